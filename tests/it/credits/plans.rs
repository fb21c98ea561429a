//! The plans of what is read and taken of members and credits, as PostgreSQL makes them for the server.

use serde_json::json;

use crate::{
    cost::plans::plans_of,
    support::{World, token, tokens::staff_token, world::ACME},
};

/// Many partners with members, partner A with very many; every third allocation is used up, and one member has 20,000 credits.
async fn fill(world: &World) {
    let name = world.database.owner.get_dbname().expect("a name").to_owned();
    let (acme, a) = (world.acme.uuid(), world.a.uuid());
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate)
                SELECT '{acme}', gen_random_uuid(), 'Company ' || n, 'active', 0.1 FROM generate_series(1, 200) n;
             INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, status, created_at)
                SELECT tenant_id, gen_random_uuid(), id, 'm' || n || '@example.com', 'M', (ARRAY['invited', 'active', 'inactive'])[1 + n % 3], now() - n * interval '1 hour'
                FROM partners, generate_series(1, 20) n WHERE tenant_id = '{acme}';
             INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, status, created_at)
                SELECT '{acme}', gen_random_uuid(), '{a}', 'a' || n || '@example.com', 'M', (ARRAY['invited', 'active', 'inactive'])[1 + n % 3], now() - n * interval '1 hour'
                FROM generate_series(1, 3000) n;
             INSERT INTO credit_allocations (tenant_id, id, partner_id, member_id, employee_email, credits, used, valid_days, expires_at, created_at)
                SELECT tenant_id, gen_random_uuid(), partner_id, id, email_key, 2, CASE n % 3 WHEN 0 THEN 2 ELSE 0 END, 90, now() + n * interval '1 day', now() - n * interval '1 hour'
                FROM partner_members, generate_series(1, 4) n WHERE tenant_id = '{acme}';
             INSERT INTO partner_credits (tenant_id, allocation_id, number, partner_id, member_id, employee_email, expires_at)
                SELECT tenant_id, id, 1, partner_id, member_id, employee_email, expires_at FROM credit_allocations;
             INSERT INTO member_accounts (tenant_id, partner_id, member_id, kind, balance)
                SELECT tenant_id, partner_id, id, kind, 2 FROM partner_members, unnest(ARRAY['assigned', 'used']) kind WHERE tenant_id = '{acme}';
             INSERT INTO credit_grants (tenant_id, id, partner_id, credits, reason)
                SELECT tenant_id, gen_random_uuid(), id, 5, 'R' FROM partners, generate_series(1, 15) n WHERE tenant_id = '{acme}';
             INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, grant_id)
                SELECT tenant_id, partner_id, 'CREDIT', 'issued', 'available', credits, 'grant', id FROM credit_grants;
             ANALYZE;
             ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0;
             ALTER DATABASE {name} SET auto_explain.log_analyze = on"
        ))
        .await;
}

fn check(plan: &str, index: &str, what: &str) {
    assert!(plan.contains(&format!("using {index} ")), "{what}: {index} is not used\n{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{what}\n{plan}");
}

/// Members, allocations and ledgers of credits are read from their indexes, for a partner, for an operator and below their parents.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_from_their_indexes() {
    let world = World::with_pool(1).await;
    fill(&world).await;
    let (owner, operator) = (token("owner_a", ACME), staff_token("operator", ACME));
    world.run(&operator, "{ me { role } }", json!({})).await.data();
    for (list, table, of_partner, of_all) in [
        ("members", "partner_members", "partner_members_partner_created_idx", "partner_members_created_idx"),
        ("creditAllocations", "credit_allocations", "credit_allocations_partner_idx", "credit_allocations_created_idx"),
    ] {
        let text = format!("FROM \"{table}\"");
        for (token, index) in [(&owner, of_partner), (&operator, of_all)] {
            let query = |after: &str| format!("{{ {list}(first: 10{after}) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}");
            check(&plans_of(&world, token, &query(""), json!({}), &text).await[0], index, list);
            let page = world.run(token, &query(""), json!({})).await;
            let after = format!(", after: {}", page.data()[list]["pageInfo"]["endCursor"]);
            let next = plans_of(&world, token, &query(&after), json!({}), &text).await;
            check(&next[0], index, &format!("{list}, next page"));
            assert!(next[0].lines().any(|line| line.contains("Index Cond") && line.contains("ROW(")), "{}", next[0]);
        }
        let nested = format!("{{ partners(first: 50) {{ nodes {{ {list}(first: 5) {{ nodes {{ id }} }} }} }} }}");
        check(&plans_of(&world, &operator, &nested, json!({}), &text).await[0], of_partner, &format!("{list} below partners"));
    }
    for (token, index) in [(&owner, "partner_members_partner_status_idx"), (&operator, "partner_members_status_idx")] {
        let query = "{ members(first: 10, filter: { status: [ACTIVE] }) { nodes { id } } }";
        check(&plans_of(&world, token, query, json!({}), "FROM \"partner_members\"").await[0], index, "members of one status");
    }
    let nested = "{ members(first: 50) { nodes { creditAllocations(first: 2) { nodes { credits } } creditsAvailable } } }";
    let found = plans_of(&world, &owner, nested, json!({}), "LATERAL (SELECT \"credit_allocations\"").await;
    check(&found[0], "credit_allocations_member_idx", "allocations below members");
    let found = plans_of(&world, &owner, nested, json!({}), "AS member (id)").await;
    let indexes = ["credit_allocations_member_due_idx", "member_accounts_pkey"];
    assert!(indexes.iter().all(|index| found[0].contains(index)) && !found[0].contains("Seq Scan"), "{}", found[0]);
    let transfers = "{ creditAllocations(first: 3) { nodes { transfers { kind } } } }";
    for token in [&owner, &operator] {
        let found = plans_of(&world, token, transfers, json!({}), "FROM \"transfers\"").await;
        assert!(found[0].contains("transfers_allocation_idx") && !found[0].contains("Seq Scan"), "{}", found[0]);
    }
    let ledger = "{ me { partner { creditLedger(first: 10) { nodes { kind } } credits { expired } } } }";
    let found = plans_of(&world, &owner, ledger, json!({}), "FROM \"transfers\"").await;
    check(&found[0], "transfers_partner_idx", "a ledger");
    let found = plans_of(&world, &owner, ledger, json!({}), "AS partner (id)").await;
    assert!(found[0].contains("credit_allocations_partner_due_idx") && !found[0].contains("Seq Scan"), "{}", found[0]);
}

/// Using one of many credits reads no others.
#[tokio::test(flavor = "multi_thread")]
async fn using_a_credit_reads_no_others() {
    let world = World::with_pool(1).await;
    fill(&world).await;
    world.grant(world.a, 20_000, None).await;
    let member = world.member("rich@example.com").await;
    world.assign(&member, 20_000, 90, None).await;
    let service = staff_token("service", ACME);
    world.run(&service, "{ me { role } }", json!({})).await.data();
    let redeem = format!(
        "mutation {{ redeemCredit(input: {{ memberId: \"{member}\", idempotencyKey: \"r\" }}) {{ userErrors {{ code }} }} }}"
    );
    let found = plans_of(&world, &service, &redeem, json!({}), "UPDATE partner_credits").await;
    let plan = &found[0];
    let scan = plan.lines().find(|line| line.contains("partner_credits_employee_idx")).unwrap_or_else(|| panic!("{plan}"));
    assert!(scan.contains("rows=1 loops=1") && !plan.contains("Seq Scan"), "{plan}");
}
