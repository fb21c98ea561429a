//! The plans that PostgreSQL makes for the lists, as it makes them for the server: under the caller's role, with its policies,
//! generic. Each order is read from its index: nothing is sorted, no table is read whole.

use serde_json::{Value, json};

use crate::support::{World, cluster, token, tokens::staff_token, world::ACME};

/// Runs an operation and gives the plans of its statements on `table`, as PostgreSQL logged them.
async fn plans(world: &World, token: &str, query: &str, variables: Value, table: &str) -> Vec<String> {
    plans_of(world, token, query, variables, &format!("FROM \"{table}\"")).await
}

/// The same for statements that contain a text.
pub async fn plans_of(world: &World, token: &str, query: &str, variables: Value, text: &str) -> Vec<String> {
    let log = cluster::log_file().await;
    // Plans are logged when their transaction ends, which an answer does not wait for. The only connection is free again once those
    // of earlier operations are logged.
    world.run(token, "{ me { role } }", json!({})).await.data();
    let mark = format!("mark-{}", uuid::Uuid::now_v7());
    world.sql(&format!("SELECT '{mark}'")).await;
    world.run(token, query, variables).await.data();
    // A plan is logged when its portal closes: at the end of the transaction, which the answer does not wait for. What stands before
    // a later mark is written whole: a reader can see the half of an entry that is being written.
    // Other tests write to this log too: an entry names the process that wrote it, and the pool has one.
    let login = world.database.login.get_user().expect("a user").to_owned();
    let process = world
        .number(&format!("SELECT max(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = '{login}'"))
        .await;
    for _ in 0..500 {
        let end = format!("mark-{}", uuid::Uuid::now_v7());
        world.sql(&format!("SELECT '{end}'")).await;
        let logged = String::from_utf8_lossy(&std::fs::read(&log).expect("the log")).into_owned();
        let (_, since) = logged.rsplit_once(&mark).expect("the mark");
        let (since, _) = since.split_once(&end).expect("the end mark");
        let mut entries: Vec<String> = Vec::new();
        let mut is_ours = false;
        for line in since.lines() {
            if line.contains(" UTC [") {
                is_ours = line.contains(&format!(" UTC [{process}] "));
                entries.push(String::new());
            }
            if let Some(entry) = entries.last_mut().filter(|_| is_ours) {
                entry.push_str(line);
                entry.push('\n');
            }
        }
        entries.retain(|entry| entry.contains("Query Text") && entry.contains(text));
        if !entries.is_empty() {
            return entries;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no plan of a statement with {text} was logged");
}

/// Every list of money is read from its index, for a partner, for an operator and below partners; figures from totals.
#[tokio::test(flavor = "multi_thread")]
async fn money_is_read_from_its_indexes() {
    let world = World::with_pool(1).await;
    let name = world.database.owner.get_dbname().expect("a name").to_owned();
    let acme = world.acme.uuid();
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate)
                SELECT '{acme}', gen_random_uuid(), 'Company ' || n, 'active', 0.1 FROM generate_series(1, 300) n;
             INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
                SELECT tenant_id, gen_random_uuid(), id, 'adjustment', (ARRAY['pending', 'approved'])[1 + n % 2], 'manual', n, 'USD', now() - n * interval '1 hour', 'n'
                FROM partners, generate_series(1, 30) n WHERE tenant_id = '{acme}';
             INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
                SELECT '{acme}', gen_random_uuid(), '{a}', 'adjustment', (ARRAY['pending', 'approved'])[1 + n % 2], 'manual', n, 'USD', now() - n * interval '1 hour', 'n'
                FROM generate_series(1, 3000) n;
             INSERT INTO partner_payouts (tenant_id, id, partner_id, total_amount, currency, commission_count, fingerprint, payout_date, period_start, period_end, status, created_at)
                SELECT tenant_id, gen_random_uuid(), id, n, 'USD', 1, 'x', now(), now() - interval '1 day', now(), (ARRAY['pending', 'ready'])[1 + n % 2], now() - n * interval '1 hour'
                FROM partners, generate_series(1, 20) n WHERE tenant_id = '{acme}';
             INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id)
                SELECT tenant_id, partner_id, 'USD', 'expense', 'pending', amount, 'earn', id FROM partner_commission_events WHERE tenant_id = '{acme}' AND event_date > now() - interval '6 hours' ORDER BY id;
             ANALYZE;
             ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0",
            a = world.a.uuid()
        ))
        .await;
    let (owner, operator) = (token("owner_a", ACME), staff_token("operator", ACME));
    world.run(&operator, "{ me { role } }", json!({})).await.data();
    let check = |plan: &str, index: &str, what: &str| {
        assert!(plan.contains(&format!("using {index} ")), "{what}: {index} is not used\n{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{what}\n{plan}");
    };
    for (list, table, orders) in [
        ("commissions", "partner_commission_events", [("EVENT_DATE", "date"), ("AMOUNT", "amount")]),
        ("payouts", "partner_payouts", [("CREATED_AT", "created"), ("TOTAL", "total")]),
    ] {
        for (field, suffix) in orders {
            for (token, index) in
                [(&owner, format!("{table}_partner_{suffix}_idx")), (&operator, format!("{table}_{suffix}_idx"))]
            {
                let query = |after: &str| {
                    format!(
                        "{{ {list}(first: 10, orderBy: {{ field: {field} }}{after}) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"
                    )
                };
                let first = plans(&world, token, &query(""), json!({}), table).await;
                check(&first[0], &index, &format!("{list} by {field}"));
                let page = world.run(token, &query(""), json!({})).await;
                let after = format!(", after: {}", page.data()[list]["pageInfo"]["endCursor"]);
                let next = plans(&world, token, &query(&after), json!({}), table).await;
                check(&next[0], &index, &format!("{list} by {field}, next page"));
                assert!(next[0].lines().any(|line| line.contains("Index Cond") && line.contains("ROW(")), "{}", next[0]);
            }
        }
        for (token, index) in [(&owner, format!("{table}_partner_status_idx")), (&operator, format!("{table}_status_idx"))] {
            let found = plans(
                &world,
                token,
                &format!("{{ {list}(first: 10, filter: {{ status: [PENDING] }}) {{ nodes {{ id }} }} }}"),
                json!({}),
                table,
            )
            .await;
            check(&found[0], &index, &format!("{list} of one status"));
        }
        let nested = format!("{{ partners(first: 50) {{ nodes {{ {list}(first: 5) {{ nodes {{ id }} }} }} }} }}");
        let found = plans(&world, &operator, &nested, json!({}), table).await;
        check(&found[0], &format!("{table}_partner_{}_idx", orders[0].1), &format!("{list} below partners"));
    }
    let ledger =
        plans(&world, &owner, "{ me { partner { ledger(first: 10) { nodes { kind } } } } }", json!({}), "transfers").await;
    check(&ledger[0], "transfers_partner_idx", "a ledger");
}

/// Every list in every order, for a partner, for an operator and below partners.
#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_read_from_its_index() {
    let world = World::with_pool(1).await;
    let name = world.database.owner.get_dbname().expect("a name").to_owned();
    let acme = world.acme.uuid();
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate, created_at)
                SELECT '{acme}', gen_random_uuid(), 'Company ' || n, (ARRAY['active', 'pending', 'closed'])[1 + n % 3], 0.1, now() - n * interval '1 hour'
                FROM generate_series(1, 3000) n;
             INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, status, deal_value, commission_fixed, currency, created_at, updated_at)
                SELECT tenant_id, gen_random_uuid(), id, 'Client ' || n, 'c' || n || '@example.com', 'S', (ARRAY['pending', 'contacted', 'lost'])[1 + n % 3], n, true, 'USD',
                       now() - n * interval '1 minute', now() - n * interval '1 minute'
                FROM partners, generate_series(1, 10) n WHERE tenant_id = '{acme}';
             INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, status, deal_value, commission_fixed, currency, created_at, updated_at)
                SELECT '{acme}', gen_random_uuid(), '{a}', 'Client ' || n, 'c' || n || '@example.com', 'S', (ARRAY['pending', 'contacted', 'lost'])[1 + n % 3], n, true, 'USD',
                       now() - n * interval '1 minute', now() - n * interval '1 minute'
                FROM generate_series(1, 2000) n;
             ANALYZE;
             ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0",
            a = world.a.uuid()
        ))
        .await;
    let (owner, operator) = (token("owner_a", ACME), staff_token("operator", ACME));
    world.run(&operator, "{ me { role } }", json!({})).await.data();

    let list = "query ($order: LeadOrder, $after: String, $filter: LeadFilter) { leads(first: 10, after: $after, orderBy: $order, filter: $filter) { nodes { id } pageInfo { endCursor } } }";
    let check = |plan: &str, index: &str, what: &str| {
        assert!(plan.contains(&format!("using {index} ")), "{what}: {index} is not used\n{plan}");
        assert!(!plan.contains("Sort"), "{what} is sorted\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{what} reads a whole table\n{plan}");
    };
    for (field, suffix) in
        [("CREATED_AT", "created"), ("UPDATED_AT", "updated"), ("CLIENT_NAME", "name"), ("DEAL_VALUE", "value")]
    {
        for direction in ["ASC", "DESC"] {
            for (who, token, index) in [
                ("a partner", &owner, format!("partner_leads_partner_{suffix}_idx")),
                ("an operator", &operator, format!("partner_leads_{suffix}_idx")),
            ] {
                let what = format!("{field} {direction} for {who}");
                let order = json!({"field": field, "direction": direction});
                let first = plans(&world, token, list, json!({"order": order}), "partner_leads").await;
                check(&first[0], &index, &what);
                let page = world.run(token, list, json!({"order": order})).await;
                let after = page.data()["leads"]["pageInfo"]["endCursor"].clone();
                let next = plans(&world, token, list, json!({"order": order, "after": after}), "partner_leads").await;
                check(&next[0], &index, &format!("{what}, next page"));
                let condition = next[0].lines().find(|line| line.contains("Index Cond")).expect("a condition");
                assert!(condition.contains("ROW("), "{what}: the cursor is no condition of the index\n{}", next[0]);
            }
        }
    }
    for (who, token, index) in
        [("a partner", &owner, "partner_leads_partner_status_idx"), ("an operator", &operator, "partner_leads_status_idx")]
    {
        let found = plans(&world, token, list, json!({"filter": {"status": ["LOST"]}}), "partner_leads").await;
        check(&found[0], index, &format!("one status for {who}"));
    }
    let nested = "{ partners(first: 50) { nodes { leads(first: 5) { nodes { id partner { id } } } } } }";
    let found = plans(&world, &operator, nested, json!({}), "partner_leads").await;
    check(&found[0], "partner_leads_partner_created_idx", "leads below partners");
    for (field, index) in
        [("CREATED_AT", "partners_created_idx"), ("UPDATED_AT", "partners_updated_idx"), ("COMPANY_NAME", "partners_name_idx")]
    {
        let query = format!("{{ partners(first: 10, orderBy: {{ field: {field} }}) {{ nodes {{ id }} }} }}");
        let found = plans(&world, &operator, &query, json!({}), "partners").await;
        check(found.last().expect("a plan"), index, &format!("partners by {field}"));
    }
    let found =
        plans(&world, &operator, "{ partners(first: 10, filter: { status: [CLOSED] }) { nodes { id } } }", json!({}), "partners")
            .await;
    check(found.last().expect("a plan"), "partners_status_created_idx", "partners of one status");
}

/// What screens show beside rows as they came: lists by names, a leaderboard, a funnel, a customer's commissions and their totals.
#[tokio::test(flavor = "multi_thread")]
async fn screens_are_read_from_their_indexes() {
    let world = World::with_pool(1).await;
    let name = world.database.owner.get_dbname().expect("a name").to_owned();
    let customer = world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "10.00", "2026-06-15T12:00:00Z").await;
    world.add_leads(world.acme, world.a, 50).await;
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate)
                SELECT '{acme}', gen_random_uuid(), 'Company ' || n, 'active', 0.1 FROM generate_series(1, 1000) n;
             INSERT INTO customers (tenant_id, id, external_id, name)
                SELECT '{acme}', gen_random_uuid(), 'x' || n, 'Customer ' || n FROM generate_series(1, 3000) n;
             INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, status)
                SELECT tenant_id, gen_random_uuid(), id, 'm' || n || '@example.com', 'Member ' || n, 'invited'
                FROM partners, generate_series(1, 5) n WHERE tenant_id = '{acme}';
             INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, status)
                SELECT '{acme}', gen_random_uuid(), '{a}', 'a' || n || '@example.com', 'Member ' || n, 'invited' FROM generate_series(1, 2000) n;
             INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, deal_value, commission_fixed, currency, created_at)
                SELECT tenant_id, gen_random_uuid(), id, 'C', 'c@example.com', 'S', 1, true, 'USD', now() - n * interval '1 day'
                FROM partners, generate_series(1, 10) n WHERE tenant_id = '{acme}';
             INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
                SELECT tenant_id, gen_random_uuid(), id, 'adjustment', 'approved', 'manual', n, 'USD', now() - n * interval '1 hour', 'n'
                FROM partners, generate_series(1, 5) n WHERE tenant_id = '{acme}';
             INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id)
                SELECT tenant_id, partner_id, 'USD', 'expense', 'payable', amount, 'earn', id FROM partner_commission_events
                WHERE tenant_id = '{acme}' AND event_type = 'adjustment';
             ANALYZE;
             ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0",
            acme = world.acme.uuid(),
            a = world.a.uuid()
        ))
        .await;
    let (owner, operator) = (token("owner_a", ACME), staff_token("operator", ACME));
    // The pool's connection is from before plans were logged.
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    while world.run(&operator, "{ me { role } }", json!({})).await.body.get("errors").is_some() {}
    let of_customer =
        format!("{{ customer(id: \"{customer}\") {{ commissions(first: 5) {{ nodes {{ id }} totals {{ count }} }} }} }}");
    let by_name =
        |list: &str| format!("{{ {list}(first: 10, orderBy: {{ field: NAME, direction: ASC }}) {{ nodes {{ id }} }} }}");
    let funnel = "{ leadsOverTime(interval: DAY) { count } }";
    for (token, query, text, index) in [
        (&operator, by_name("customers"), "FROM \"customers\"", "customers_name_idx"),
        (&operator, by_name("members"), "FROM \"partner_members\"", "partner_members_name_idx"),
        (&owner, by_name("members"), "FROM \"partner_members\"", "partner_members_partner_name_idx"),
        (&operator, "{ leaderboard { earned { amount } } }".to_owned(), "AS leaders", "accounts_rank_idx"),
        (&owner, funnel.to_owned(), "width_bucket", "partner_leads_partner_created_idx"),
        (&operator, of_customer.clone(), "AS page", "partner_commission_events_customer_idx"),
        (&operator, of_customer.clone(), "AS rows GROUP BY", "partner_commission_events_customer_idx"),
    ] {
        let found = plans_of(&world, token, &query, json!({}), text).await;
        let plan = &found[0];
        assert!(plan.contains(index), "{query}: {index} is not used\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{query}\n{plan}");
    }
}

/// Functions in SQL with settings of their own: each call parses and plans them anew, which takes as long as a request does otherwise. These are called now and then.
const PLANNED_ANEW: &str = "all_link_hosts() click_months() event_cursor_key() initials(text) make_invite_code() person_alternatives(text[]) person_mentions() \
                            tenants_with_due_commissions(timestamp with time zone) tenants_with_due_credits(timestamp with time zone) \
                            tenants_with_due_rewards(timestamp with time zone)";

/// What requests call, and what columns are computed by, keeps its plan: a function in SQL that is not inlined does not.
#[tokio::test(flavor = "multi_thread")]
async fn functions_keep_their_plans() {
    let world = World::new().await;
    let own = "p.pronamespace = 'public'::regnamespace AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')";
    let with_settings = format!(
        "SELECT string_agg(p.oid::regprocedure::text, ' ' ORDER BY p.oid::regprocedure::text COLLATE \"C\") FROM pg_proc p WHERE {own} AND p.proconfig IS NOT NULL"
    );
    assert_eq!(world.text(&with_settings).await, PLANNED_ANEW);
    let computed = format!(
        "SELECT count(*) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum JOIN pg_depend n ON n.objid = d.oid
         JOIN pg_proc p ON n.refclassid = 'pg_proc'::regclass AND n.refobjid = p.oid WHERE a.attgenerated = 's' AND {own}"
    );
    assert_eq!(world.number(&computed).await, 0);
}
