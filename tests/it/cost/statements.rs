//! How many SQL statements an operation costs: that depends on its shape, never on how many rows come back.

use serde_json::json;

use crate::support::{
    World,
    log::{lines, operation},
    tokens::staff_token,
    world::ACME,
};

async fn statements(world: &World, token: &str, query: &str) -> u64 {
    let answer = world.run(token, query, json!({})).await;
    answer.data();
    operation(&answer)["statements"].as_u64().expect("a number")
}

/// Adds partners, each with a person and leads, and history to the leads.
async fn grow(world: &World, partners: usize, leads: usize) {
    let acme = world.acme.uuid();
    for _ in 0..partners {
        let partner = partner_portal::ids::PartnerId::new();
        world
            .sql(&format!(
                "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate) VALUES ('{acme}', '{0}', 'More', 'active', 0.1);
                 INSERT INTO partner_profiles (tenant_id, partner_id) VALUES ('{acme}', '{0}')",
                partner.uuid()
            ))
            .await;
        world.add_user(world.acme, partner, &format!("owner_{}", partner.uuid()), "owner").await;
        world.add_leads(world.acme, partner, leads).await;
    }
}

/// Every nested field, for an operator, over few rows and over many: the same number of statements.
#[tokio::test(flavor = "multi_thread")]
async fn nested_fields_are_batched() {
    let world = World::new().await;
    let operator = staff_token("operator", ACME);
    world.add_leads(world.acme, world.a, 1).await;
    let queries = [
        ("partners and their leads", "{ partners(first: 50) { nodes { leads(first: 5) { nodes { id } } } } }", 2),
        (
            "and the leads' partners",
            "{ partners(first: 50) { nodes { leads(first: 5) { nodes { id partner { companyName } } } } } }",
            3,
        ),
        ("with totals", "{ partners(first: 50) { totalCount nodes { leads(first: 5) { totalCount } } } }", 4),
        ("profiles", "{ partners { nodes { profile { website } } } }", 2),
        ("people", "{ partners { nodes { users { role user { name } } } } }", 2),
        ("people's partners", "{ partners { nodes { users { user { partners { id } } } } } }", 4),
        ("leads and their partners", "{ leads { nodes { partner { id profile { website } } } } }", 3),
        ("history", "{ leads { nodes { history { to changedBy { name } } } } }", 2),
        (
            "two lists below each partner",
            "{ partners { nodes { a: leads(first: 2) { nodes { id } } b: leads(last: 2) { nodes { id } } } } }",
            3,
        ),
        (
            "four levels",
            "{ partners { nodes { leads(first: 10) { nodes { history { to } partner { leads(first: 3) { nodes { id } } } } } } } }",
            5,
        ),
        ("the viewer", "{ me { role user { name } tenant { name } } }", 1),
    ];
    let mut few = Vec::new();
    for (name, query, expected) in queries {
        few.push(statements(&world, &operator, query).await);
        assert_eq!(few.last(), Some(&expected), "{name}");
    }
    grow(&world, 49, 6).await;
    for ((name, query, _), few) in queries.into_iter().zip(few) {
        assert_eq!(statements(&world, &operator, query).await, few, "{name}");
    }
}

/// Adds partners with customers, commissions, reversals and payouts.
async fn grow_money(world: &World, from: usize, count: usize) {
    for number in from..from + count {
        let partner = if number % 2 == 0 { world.a } else { world.b };
        let customer = format!("cus_{number}");
        world.customer(&customer, partner).await;
        world.pay(&format!("inv_{number}"), &customer, "100.00", "2026-06-15T12:00:00Z").await;
        world.refund(&format!("inv_{number}"), "30.00").await;
        world.batch(partner).await;
    }
}

/// The same for money: commissions with all that hangs on them, payouts, ledgers, balances, ranks.
#[tokio::test(flavor = "multi_thread")]
async fn money_is_batched() {
    let world = World::new().await;
    let operator = staff_token("operator", ACME);
    grow_money(&world, 0, 2).await;
    let queries = [
        ("commissions", "{ commissions { totalCount nodes { id amount { amount } } } }", 2),
        (
            "and what hangs on them",
            "{ commissions { nodes { partner { id } customer { name partner { id } } payout { id } lead { id } reverses { id } reversals { id } transfers { kind } decidedBy { id } } } }",
            8,
        ),
        ("explanations", "{ commissions { nodes { explanation { sentence steps { amount } } } } }", 2),
        (
            "payouts",
            "{ payouts { nodes { partner { id } commissions(first: 2) { totalCount nodes { id } } history { to } transfers { kind } } } }",
            6,
        ),
        (
            "partners",
            "{ partners { nodes { rank stats { totalEarnings { amount } paidEarnings { amount } } balances { payable { amount } } commissions(first: 3) { totalCount nodes { id } } payouts(first: 3) { nodes { id } } ledger(first: 3) { totalCount nodes { kind commission { id } payout { id } } } } } }",
            10,
        ),
        ("customers", "{ customers { nodes { accounts { partner { id } } } } }", 3),
        ("figures", "{ revenueMetrics { totalCommissions { amount } } earningsOverTime { earned { amount } } }", 2),
    ];
    let mut few = Vec::new();
    for (name, query, expected) in queries {
        few.push(statements(&world, &operator, query).await);
        assert_eq!(few.last(), Some(&expected), "{name}");
    }
    grow_money(&world, 2, 14).await;
    for ((name, query, _), few) in queries.into_iter().zip(few) {
        assert_eq!(statements(&world, &operator, query).await, few, "{name}");
    }
}

/// A payment, a decision and a payout cost the same however many commissions there are.
#[tokio::test(flavor = "multi_thread")]
async fn booking_costs_the_same() {
    let world = World::new().await;
    let (service, operator) = (staff_token("service", ACME), staff_token("operator", ACME));
    world.customer("cus_1", world.a).await;
    let pay = |number: usize| {
        format!(
            "mutation {{ recordInvoicePayment(input: {{ invoiceId: \"n_{number}\", customerExternalId: \"cus_1\", amount: \"50.00\", paidAt: \"2026-06-15T12:00:00Z\" }}) {{ replayed }} }}"
        )
    };
    let batch = format!(
        "mutation {{ createPayoutBatch(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{}\", period: {{ from: \"2026-01-01T00:00:00Z\", before: \"2027-01-01T00:00:00Z\" }} }}) {{ replayed }} }}",
        world.a
    );
    let first = (statements(&world, &service, &pay(0)).await, statements(&world, &operator, &batch).await);
    for number in 1..40 {
        world.run(&service, &pay(number), json!({})).await.data();
    }
    let later = (statements(&world, &service, &pay(40)).await, statements(&world, &operator, &batch).await);
    assert_eq!(first, later);
    assert_eq!(first, (11, 11));
}

/// Adds members with allocations, and what becomes of them.
async fn grow_credits(world: &World, from: usize, count: usize) {
    for number in from..from + count {
        let member = world.member(&format!("m{number}@example.com")).await;
        for days in [30, 60] {
            world.assign(&member, 5, days, None).await;
        }
        world.redeem(&member, 7, &member).await;
    }
}

/// The same for credits: members and their allocations, ledgers, balances; and assigning costs the same for one credit and for many.
#[tokio::test(flavor = "multi_thread")]
async fn credits_are_batched() {
    let world = World::new().await;
    let (operator, owner, service) =
        (staff_token("operator", ACME), crate::support::token("owner_a", ACME), staff_token("service", ACME));
    world.grant(world.a, 100_000, None).await;
    world.grant(world.b, 10, None).await;
    grow_credits(&world, 0, 2).await;
    let queries = [
        ("members", "{ members { totalCount nodes { email partner { id } user { id } creditsAssigned creditsAvailable creditsUsed creditsExpired } } }", 4),
        ("and what they were assigned", "{ members { nodes { creditAllocations(first: 2) { totalCount nodes { credits available } } } } }", 3),
        ("allocations", "{ creditAllocations { nodes { available member { email } partner { id } assignedBy { id } transfers { kind } } } }", 5),
        (
            "partners",
            "{ partners { nodes { creditBalance credits { used } memberCounts { total } members(first: 3) { totalCount nodes { id } } creditAllocations(first: 3) { totalCount nodes { id } }
                creditLedger(first: 3) { totalCount nodes { kind grant { reason } allocation { id } redemption { credits email member { id } } postedBy { id } } } } } }",
            14,
        ),
    ];
    let mut few = Vec::new();
    for (name, query, expected) in queries {
        few.push(statements(&world, &operator, query).await);
        assert_eq!(few.last(), Some(&expected), "{name}");
    }
    let dashboard = "{ dashboard { credits { balance assigned used expired } memberCounts { total active } } }";
    assert_eq!(statements(&world, &owner, dashboard).await, 2);
    let member = world.member("ann@example.com").await;
    let assign = |credits: usize| {
        format!(
            "mutation {{ assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\", credits: {credits} }}) {{ allocation {{ available }} }} }}"
        )
    };
    let redeem = |count: usize| {
        format!(
            "mutation {{ redeemCredit(input: {{ memberId: \"{member}\", count: {count}, idempotencyKey: \"s{count}\" }}) {{ redemption {{ credits }} }} }}"
        )
    };
    // The database's function; then the payload's allocation, partner and member.
    assert_eq!((statements(&world, &owner, &assign(1)).await, statements(&world, &owner, &assign(20_000)).await), (4, 4));
    assert_eq!((statements(&world, &service, &redeem(1)).await, statements(&world, &service, &redeem(15_000)).await), (6, 6));
    // An import: the partner, then for some rows at once the balance, what is known, the members, their credits.
    let import = |from: usize, rows: usize| {
        let rows = (from..from + rows).map(|n| format!("i{n}@example.com,I,1\\n")).collect::<Vec<_>>().concat();
        format!(
            "mutation {{ importMembers(input: {{ csv: \"email,first name,credits\\n{rows}\" }}) {{ import {{ imported failed }} }} }}"
        )
    };
    assert_eq!((statements(&world, &owner, &import(0, 1)).await, statements(&world, &owner, &import(1, 200)).await), (7, 7));
    grow_credits(&world, 2, 14).await;
    for ((name, query, _), few) in queries.into_iter().zip(few) {
        assert_eq!(statements(&world, &operator, query).await, few, "{name}");
    }
}

/// `node` and `nodes` over several kinds: one statement for each kind.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_batched() {
    let world = World::new().await;
    let leads = world.add_leads(world.acme, world.a, 20).await;
    let ids: Vec<String> =
        leads.iter().map(|id| format!("\"{id}\"")).chain([format!("\"{}\"", world.a), format!("\"{}\"", world.b)]).collect();
    let query = format!("{{ nodes(ids: [{}]) {{ id ... on Lead {{ partner {{ id }} }} }} }}", ids.join(","));
    assert_eq!(statements(&world, &staff_token("operator", ACME), &query).await, 2);
}

/// A dashboard is three statements, and a mutation's statements are few and fixed.
#[tokio::test(flavor = "multi_thread")]
async fn dashboard_and_mutations() {
    let world = World::new().await;
    let lead = world.add_leads(world.acme, world.a, 10).await[0];
    let owner = crate::support::token("owner_a", ACME);
    let dashboard = "{ dashboard { partner { companyName } stats { totalLeads } recentLeads { id history { to } } } }";
    assert_eq!(statements(&world, &owner, dashboard).await, 3);
    let step = format!("mutation {{ updateLeadStatus(input: {{ id: \"{lead}\", status: CONTACTED }}) {{ lead {{ status }} }} }}");
    // Lock, update and record; then the payload's lead.
    assert_eq!(statements(&world, &owner, &step).await, 2);
}

/// One connection serves a whole request, however many fields ask at once: with a pool of one nothing waits for itself.
#[tokio::test(flavor = "multi_thread")]
async fn one_request_takes_one_connection() {
    let world = World::with_pool(1).await;
    world.add_leads(world.acme, world.a, 3).await;
    let query = "{ a: leads { totalCount nodes { id partner { id users { role } } } } b: leads(first: 1) { nodes { id } } me { user { name } } }";
    for _ in 0..3 {
        world.owner_a(query, json!({})).await.data();
    }
    let newcomer = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { partner { id } } } }";
    world.owner_a(newcomer, json!({})).await.data();
    world.acme("newcomer", "{ me { partner { id } } }", json!({})).await.data();
    assert_eq!(world.app.pool.status().size, 1);
}

/// Everything in one answer is true at the same instant, while leads are being added: the total is that of the rows beside it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_of_one_instant() {
    let world = World::with_pool(6).await;
    let writer = async {
        for _ in 0..40 {
            world.add_leads(world.acme, world.a, 2).await;
        }
    };
    let readers = async {
        for _ in 0..60 {
            let query = "{ leads(first: 500) { totalCount nodes { id } } dashboard { stats { totalLeads } } nested: me { partner { leads(first: 500) { totalCount nodes { id } } } } }";
            let answer = world.owner_a(query, json!({})).await;
            let data = answer.data();
            let total = data["leads"]["totalCount"].as_u64().expect("a number");
            assert_eq!(data["leads"]["nodes"].as_array().map(|nodes| nodes.len() as u64), Some(total));
            assert_eq!(data["dashboard"]["stats"]["totalLeads"], total);
            assert_eq!(data["nested"]["partner"]["leads"]["totalCount"], total);
            assert_eq!(data["nested"]["partner"]["leads"]["nodes"].as_array().map(|nodes| nodes.len() as u64), Some(total));
        }
    };
    futures_util::join!(writer, readers);
}

/// An operation is one line in the log: who, what, how long, how many statements, which errors; never its variables.
#[tokio::test(flavor = "multi_thread")]
async fn one_line_for_an_operation() {
    let world = World::new().await;
    let mut claims = crate::support::tokens::good_claims("owner_a", ACME);
    claims["act"] = json!({"sub": "support_7"});
    let query =
        "mutation Profile($input: UpdatePartnerProfileInput!) { updatePartnerProfile(input: $input) { userErrors { message } } }";
    let variables = json!({"input": {"taxId": "SECRET-123456", "bankAccount": "SECRET-987654", "contactName": "Secret Name"}});
    let answer = world.run(&crate::support::sign(&claims), query, variables).await;
    answer.data();
    let line = operation(&answer);
    assert_eq!(
        (&line["operation"], &line["kind"], &line["tenant"], &line["role"]),
        (&json!("Profile"), &json!("mutation"), &json!("acme"), &json!("PartnerOwner"))
    );
    assert_eq!((&line["actor"], &line["errors"]), (&json!("support_7"), &json!("")));
    assert_eq!(line["request_id"], json!(answer.headers["x-request-id"].to_str().expect("an id")));
    assert!(line["statements"].is_number());
    let milliseconds = line["milliseconds"].to_string();
    let (_, fraction) = milliseconds.split_once('.').expect("a fraction");
    assert!((1..=3).contains(&fraction.len()), "{milliseconds}");
    let everything = serde_json::to_string(&lines(|_| true)).expect("text").to_lowercase();
    assert!(!everything.contains("secret-") && !everything.contains("secret name"));
}
