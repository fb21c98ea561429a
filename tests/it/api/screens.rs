//! What screens need beside rows as they came: totals under lists, boards, funnels, leaderboards, wallets, and several leads stepped at once.

use serde_json::{Value, json};

use crate::support::{
    World,
    log::operation,
    token,
    tokens::staff_token,
    world::{ACME, GLOBEX},
};

const STEPS: &str = "mutation ($ids: [ID!]!, $to: LeadStatus!) { updateLeadStatuses(input: { ids: $ids, status: $to }) {
    replayed results { id lead { status } userErrors { code field message } } userErrors { code field message } } }";

fn names(nodes: &Value, field: &str) -> Vec<String> {
    nodes.as_array().expect("nodes").iter().map(|node| node[field].as_str().expect("a text").to_owned()).collect()
}

/// Under a list stands what all of it comes to, by currency and status, also beyond the page and below many parents.
#[tokio::test(flavor = "multi_thread")]
async fn totals() {
    let world = World::new().await;
    world.earn().await;
    world.pay_in("inv_eur", "cus_1", "50.00", "EUR", "2026-06-15T12:00:00Z").await;
    let rejected = world.pay("inv_r", "cus_1", "70.00", "2026-06-15T12:00:00Z").await["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&rejected], false).await;
    world.refund("inv_0", "50.00").await;
    let query = "query ($filter: CommissionFilter) { commissions(first: 1, filter: $filter) { totalCount totals { currency count amount { amount } byStatus { status count amount { amount } } } } }";
    let all = world.owner_a(query, json!({})).await.data()["commissions"].clone();
    assert_eq!(all["totalCount"], 6);
    let of = |place: usize| &all["totals"][place];
    assert_eq!((&of(0)["currency"], &of(0)["count"], &of(0)["amount"]["amount"]), (&json!("EUR"), &json!(1), &json!("5.00")));
    assert_eq!((&of(1)["currency"], &of(1)["count"], &of(1)["amount"]["amount"]), (&json!("USD"), &json!(5), &json!("62.00")));
    assert_eq!(
        of(1)["byStatus"],
        json!([
            {"status": "PENDING", "count": 0, "amount": {"amount": "0.00"}},
            {"status": "APPROVED", "count": 4, "amount": {"amount": "55.00"}},
            {"status": "PAID", "count": 0, "amount": {"amount": "0.00"}},
            {"status": "REJECTED", "count": 1, "amount": {"amount": "7.00"}},
        ])
    );
    let some = json!({"filter": {"minAmount": "20.00", "currency": "USD"}});
    let some = world.owner_a(query, some).await.data()["commissions"]["totals"].clone();
    assert_eq!((&some[0]["count"], &some[0]["amount"]["amount"]), (&json!(2), &json!("50.00")));
    let none = world.owner_a(query, json!({"filter": {"status": []}})).await.data()["commissions"]["totals"].clone();
    assert_eq!(none, json!([]));

    world.batch(world.a).await;
    world.add_leads(world.acme, world.a, 3).await;
    world.add_leads(world.acme, world.b, 2).await;
    let nested = "{ partners(first: 10, orderBy: { field: COMPANY_NAME, direction: ASC }) { nodes {
        leads(first: 1) { totals { count dealValue { amount } byStatus { status count } } }
        commissions(first: 1, filter: { currency: \"USD\", status: [APPROVED] }) { totals { amount { amount } } }
        payouts(first: 5) { totals { count amount { amount } } nodes { commissions(first: 1) { totals { count amount { amount } } } } }
    } } }";
    let answer = world.operator(nested, json!({})).await;
    let partners = answer.data()["partners"]["nodes"].clone();
    assert_eq!(partners[0]["leads"]["totals"][0]["count"], 3);
    assert_eq!(partners[0]["leads"]["totals"][0]["dealValue"]["amount"], "60.00");
    assert_eq!(partners[1]["leads"]["totals"][0]["byStatus"][0], json!({"status": "PENDING", "count": 2}));
    assert_eq!(partners[0]["payouts"]["totals"], json!([{"count": 1, "amount": {"amount": "55.00"}}]));
    assert_eq!(partners[0]["payouts"]["nodes"][0]["commissions"]["totals"], json!([{"count": 4, "amount": {"amount": "55.00"}}]));
    assert_eq!(partners[1]["commissions"]["totals"], json!([]));
    // The partners; leads', commissions' and payouts' pages and totals; the commissions of payouts, and their totals.
    assert_eq!(operation(&answer)["statements"], 9);
}

/// A commission that was moved after its payout was cancelled is in no list of its former partner's: rows, count and totals agree.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_commission() {
    let world = World::new().await;
    world.earn().await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    world.step("cancelPayout", &payout).await;
    let ids = world.owner_a("{ commissions(first: 1) { nodes { id } } }", json!({})).await.data()["commissions"]["nodes"].clone();
    let moving = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { message } } }";
    let moved = world.operator(moving, json!({"id": ids[0]["id"], "to": world.b.to_string()})).await;
    assert_eq!(moved.data()["moveCommission"]["userErrors"], json!([]));
    let query = "query ($id: ID!) { payout(id: $id) { commissionCount commissions { totalCount totals { count } nodes { id } pageInfo { hasNextPage } } } }";
    for (found, count) in
        [(world.owner_a(query, json!({"id": payout})).await, 2), (world.operator(query, json!({"id": payout})).await, 3)]
    {
        let payout = &found.data()["payout"];
        assert_eq!(payout["commissionCount"], 3);
        let list = &payout["commissions"];
        assert_eq!((&list["totalCount"], &list["totals"]), (&json!(count), &json!([{"count": count}])));
        assert_eq!(list["nodes"].as_array().map(Vec::len), Some(count));
    }
}

/// A list of more rows than are added up says so, in place of a sum that is wrong, and of nothing else of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn totals_are_bounded() {
    let world = World::new().await;
    world
        .sql(&format!(
            "SET session_replication_role = replica;
             INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, deal_value, commission_rate, commission, commission_fixed, currency, created_at)
                 SELECT '{}', gen_random_uuid(), '{}', 'C', 'c@example.com', 'S', 1, 0, 0, true, 'USD', timestamptz '2026-01-01' + n * interval '1 second'
                 FROM generate_series(0, 100000) AS n",
            world.acme.uuid(),
            world.a.uuid()
        ))
        .await;
    let query = "query ($before: DateOrDateTime) { leads(first: 1, filter: { created: { before: $before } }) { nodes { id } totals { count } } }";
    let all = world.owner_a(query, json!({})).await;
    assert_eq!(all.body["data"]["leads"]["totals"], Value::Null);
    assert_eq!(all.body["data"]["leads"]["nodes"].as_array().map(Vec::len), Some(1));
    assert!(
        all.body["errors"][0]["message"].as_str().is_some_and(|text| text.contains("more rows than are added up, 100000")),
        "{}",
        all.body
    );
    let some = world.owner_a(query, json!({"before": "2026-01-02T03:46:40Z"})).await;
    assert_eq!(some.data()["leads"]["totals"], json!([{"count": 100_000}]));
    let funnel = "query ($period: PeriodInput) { leadsOverTime(interval: MONTH, period: $period) { count } }";
    let period = |from: &str, before: &str| json!({"period": {"from": from, "before": before}});
    let refused = world.owner_a(funnel, period("2026-01-01", "2026-02-01")).await;
    assert!(
        refused.body["errors"][0]["message"].as_str().is_some_and(|text| text.starts_with("period: More than")),
        "{}",
        refused.body
    );
    assert_eq!(
        world.owner_a(funnel, period("2026-01-01", "2026-01-02")).await.data()["leadsOverTime"],
        json!([{"count": 86_400}])
    );
}

/// A customer shows what its payments have earned and what it has paid: to staff all of it, to a partner what has earned it something.
#[tokio::test(flavor = "multi_thread")]
async fn customers() {
    let world = World::new().await;
    let customer = world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", "2026-06-15T12:00:00Z").await;
    world.pay_in("inv_2", "cus_1", "30.00", "EUR", "2026-06-15T12:00:00Z").await;
    // Before anybody managed it.
    world.pay("inv_3", "cus_1", "7.00", "2019-06-15T12:00:00Z").await;
    let rejected = world.pay("inv_4", "cus_1", "5.00", "2026-06-15T12:00:00Z").await["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&rejected], false).await;
    world.refund("inv_1", "40.00").await;
    let query = "query ($id: ID!) { customer(id: $id) { revenue { amount currency } commissions(orderBy: { field: AMOUNT, direction: ASC }) { totalCount nodes { eventType amount { amount } } totals { currency amount { amount } } } } }";
    let own = world.owner_a(query, json!({"id": customer})).await.data()["customer"].clone();
    assert_eq!(own["revenue"], json!([{"amount": "30.00", "currency": "EUR"}, {"amount": "60.00", "currency": "USD"}]));
    assert_eq!(own["commissions"]["totalCount"], 4);
    assert_eq!(own["commissions"]["totals"][1], json!({"currency": "USD", "amount": {"amount": "6.50"}}));
    let all = world.operator(query, json!({"id": customer})).await.data()["customer"].clone();
    assert_eq!(all["revenue"], json!([{"amount": "30.00", "currency": "EUR"}, {"amount": "72.00", "currency": "USD"}]));
    // Another partner takes it over: it sees the customer, and nothing of what was paid before.
    let assign = "mutation ($id: ID!, $partner: ID!) { assignCustomer(input: { customerId: $id, partnerId: $partner }) { userErrors { message } } }";
    world
        .operator(
            "mutation ($id: ID!) { releaseCustomer(input: { customerId: $id }) { userErrors { message } } }",
            json!({"id": customer}),
        )
        .await
        .data();
    let assigned = world.operator(assign, json!({"id": customer, "partner": world.b.to_string()})).await;
    assert_eq!(assigned.data()["assignCustomer"]["userErrors"], json!([]));
    let later = world.run(&token("owner_b", ACME), query, json!({"id": customer})).await.data()["customer"].clone();
    assert_eq!((&later["revenue"], &later["commissions"]["totalCount"]), (&json!([]), &json!(0)));
}

/// Commissions are found by their customer, their lead, or their invoice.
#[tokio::test(flavor = "multi_thread")]
async fn commissions_are_searched() {
    let world = World::new().await;
    world.customer("Müller & Co", world.a).await;
    world.customer("Other", world.a).await;
    world.pay("inv_1", "Müller & Co", "10.00", "2026-06-15T12:00:00Z").await;
    world.pay("inv_2", "Other", "20.00", "2026-06-15T12:00:00Z").await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let convert = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONVERTED }) { userErrors { code } } }";
    world.sql("UPDATE partner_leads SET client_name = 'Zoë Lång', commission = 3").await;
    world.operator(convert, json!({"id": lead})).await.data();
    let query = "query ($search: String!) { commissions(filter: { search: $search }) { totalCount nodes { invoiceId lead { clientName } } } }";
    for (search, expected) in [
        ("muller", json!([{"invoiceId": "inv_1", "lead": null}])),
        ("co MÜLLER", json!([{"invoiceId": "inv_1", "lead": null}])),
        ("inv_2", json!([{"invoiceId": "inv_2", "lead": null}])),
        ("zoe lang", json!([{"invoiceId": null, "lead": {"clientName": "Zoë Lång"}}])),
        ("inv", json!([])),
    ] {
        let found = world.owner_a(query, json!({"search": search})).await.data()["commissions"].clone();
        assert_eq!(found["nodes"], expected, "{search}");
        assert_eq!(found["totalCount"].as_u64(), expected.as_array().map(|nodes| nodes.len() as u64), "{search}");
    }
    let others = world.run(&token("owner_b", ACME), query, json!({"search": "muller"})).await;
    assert_eq!(others.data()["commissions"]["totalCount"], 0);
}

/// Members and customers come in the order of their names as people order them, or members of their addresses, page by page.
#[tokio::test(flavor = "multi_thread")]
async fn orders() {
    let world = World::new().await;
    for (email, first, last) in
        [("c@x.example", "Zoe", Some("Äbel")), ("B@x.example", "Ann", Some("Zorn")), ("a@x.example", "abba", None)]
    {
        let add = "mutation ($email: EmailAddress!, $first: String!, $last: String) { addMember(input: { email: $email, firstName: $first, lastName: $last }) { userErrors { message } } }";
        world.owner_a(add, json!({"email": email, "first": first, "last": last})).await.data();
    }
    let query = "query ($field: MemberOrderField!, $direction: OrderDirection!, $after: String) {
        members(first: 2, after: $after, orderBy: { field: $field, direction: $direction }) { nodes { firstName } pageInfo { endCursor hasNextPage } }
        me { partner { members(first: 2, after: $after, orderBy: { field: $field, direction: $direction }) { nodes { firstName } } } } }";
    for (field, direction, expected) in [
        ("NAME", "ASC", ["abba", "Zoe", "Ann"]),
        ("NAME", "DESC", ["Ann", "Zoe", "abba"]),
        ("EMAIL", "ASC", ["abba", "Ann", "Zoe"]),
        ("CREATED_AT", "ASC", ["Zoe", "Ann", "abba"]),
    ] {
        let mut found = Vec::new();
        let mut after = Value::Null;
        for _ in 0..2 {
            let variables = json!({"field": field, "direction": direction, "after": after});
            let page = world.owner_a(query, variables).await.data().clone();
            assert_eq!(page["members"]["nodes"], page["me"]["partner"]["members"]["nodes"], "{field}");
            found.extend(names(&page["members"]["nodes"], "firstName"));
            after = page["members"]["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(found, expected, "{field} {direction}");
    }
    for name in ["Zorn", "ábel", "Beta"] {
        world.customer(name, world.a).await;
    }
    let query =
        "query ($direction: OrderDirection!) { customers(orderBy: { field: NAME, direction: $direction }) { nodes { name } } }";
    for (direction, expected) in [("ASC", ["ábel", "Beta", "Zorn"]), ("DESC", ["Zorn", "Beta", "ábel"])] {
        let found = world.owner_a(query, json!({"direction": direction})).await.data()["customers"]["nodes"].clone();
        assert_eq!(names(&found, "name"), expected, "{direction}");
    }
}

/// Staff see who has earned most; a partner its place alone.
#[tokio::test(flavor = "multi_thread")]
async fn leaderboard() {
    let world = World::new().await;
    world.earn().await;
    world.customer("cus_2", world.b).await;
    world.pay("inv_b", "cus_2", "600.00", "2026-06-15T12:00:00Z").await;
    world.pay_in("inv_eur", "cus_2", "10.00", "EUR", "2026-06-15T12:00:00Z").await;
    let query = "query ($first: Int!, $currency: CurrencyCode) { leaderboard(first: $first, currency: $currency) { rank earned { amount } partner { companyName } } }";
    let row = |rank: u8, earned: &str, name: &str| json!({"rank": rank, "earned": {"amount": earned}, "partner": {"companyName": name}});
    let mut all = world.operator(query, json!({"first": 10})).await.data()["leaderboard"].as_array().expect("rows").clone();
    all.sort_by_key(|row| row["partner"]["companyName"].to_string());
    assert_eq!(all, [row(1, "60.00", "Partner A"), row(1, "60.00", "Partner B")]);
    world.pay("inv_c", "cus_2", "1.00", "2026-06-15T12:00:00Z").await;
    let first = world.operator(query, json!({"first": 1})).await.data()["leaderboard"].clone();
    assert_eq!(first, json!([row(1, "60.10", "Partner B")]));
    let euros = world.operator(query, json!({"first": 10, "currency": "EUR"})).await.data()["leaderboard"].clone();
    assert_eq!(euros, json!([row(1, "1.00", "Partner B")]));
    let elsewhere = world.run(&staff_token("operator", GLOBEX), query, json!({"first": 10, "currency": "USD"})).await;
    assert_eq!(elsewhere.data()["leaderboard"], json!([]));
    assert_eq!(world.owner_a(query, json!({"first": 1})).await.code(), "FORBIDDEN");
    for first in [0, 101] {
        assert_eq!(world.operator(query, json!({"first": first})).await.code(), "BAD_USER_INPUT");
    }
}

/// A wallet has every currency in which a partner has ever earned something, for anyone who may read its ledger, in one statement for many.
#[tokio::test(flavor = "multi_thread")]
async fn wallets() {
    let world = World::new().await;
    world.earn().await;
    world.pay_in("inv_eur", "cus_1", "10.00", "EUR", "2026-06-15T12:00:00Z").await;
    world.grant(world.a, 5, None).await;
    let query = "{ me { partner { wallet { currency earned { amount currency } payable { amount } } } } }";
    let expected = json!([
        {"currency": "EUR", "earned": {"amount": "1.00", "currency": "EUR"}, "payable": {"amount": "1.00"}},
        {"currency": "USD", "earned": {"amount": "60.00", "currency": "USD"}, "payable": {"amount": "60.00"}},
    ]);
    assert_eq!(world.owner_a(query, json!({})).await.data()["me"]["partner"]["wallet"], expected);
    assert_eq!(world.run(&token("member_a", ACME), query, json!({})).await.data()["me"]["partner"]["wallet"], Value::Null);
    let all = world.operator("{ partners { nodes { companyName wallet { currency } } } }", json!({})).await;
    assert_eq!(operation(&all)["statements"], 2);
    assert_eq!(all.data()["partners"]["nodes"].as_array().map(Vec::len), Some(2));
}

/// A funnel counts the leads by when they were sent, in the tenant's days, and by what has become of them.
#[tokio::test(flavor = "multi_thread")]
async fn leads_over_time() {
    let world = World::new().await;
    let leads = world.add_leads(world.acme, world.a, 4).await;
    world.add_lead(world.acme, world.b).await;
    for (lead, at, status) in [
        (&leads[0], "2026-02-28T23:30:00Z", "lost"),
        (&leads[1], "2026-03-01T00:30:00Z", "pending"),
        (&leads[2], "2026-03-31T23:59:59Z", "converted"),
        (&leads[3], "2026-04-01T00:00:00Z", "pending"),
    ] {
        let set = format!(
            "UPDATE partner_leads SET created_at = '{at}', status = '{status}', converted_at = CASE '{status}' WHEN 'converted' THEN now() END WHERE id = '{}'",
            lead.uuid()
        );
        world.sql(&set).await;
    }
    let query = "query ($partner: ID) { leadsOverTime(interval: MONTH, period: { from: \"2026-02-15\", before: \"2026-04-01\" }, partnerId: $partner) { start count byStatus { status count } } }";
    let found = world.owner_a(query, json!({})).await.data()["leadsOverTime"].clone();
    let counts = |counts: [u8; 5]| {
        let statuses = ["PENDING", "CONTACTED", "QUALIFIED", "CONVERTED", "LOST"];
        json!(statuses.iter().zip(counts).map(|(status, count)| json!({"status": status, "count": count})).collect::<Vec<_>>())
    };
    let expected = json!([
        {"start": "2026-02-15", "count": 1, "byStatus": counts([0, 0, 0, 0, 1])},
        {"start": "2026-03-01", "count": 2, "byStatus": counts([1, 0, 0, 1, 0])},
    ]);
    assert_eq!(found, expected);
    let of_a = world.operator(query, json!({"partner": world.a.to_string()})).await.data()["leadsOverTime"].clone();
    assert_eq!(of_a, expected);
    // In Berlin the first of them was sent on the first of March.
    world.sql("UPDATE tenants SET time_zone = 'Europe/Berlin' WHERE slug = 'acme'").await;
    let found = world.owner_a(query, json!({})).await.data()["leadsOverTime"].clone();
    assert_eq!((&found[0]["count"], &found[1]["count"]), (&json!(0), &json!(2)));
    let foreign = world.run(&token("owner_b", ACME), query, json!({"partner": world.a.to_string()})).await;
    assert_eq!(foreign.code(), "NOT_FOUND");
}

/// Several leads are stepped by one call, each on its own, and each has its result; sent again, nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn several_leads_at_once() {
    let world = World::new().await;
    let leads: Vec<String> = world.add_leads(world.acme, world.a, 3).await.iter().map(ToString::to_string).collect();
    let foreign = world.add_lead(world.acme, world.b).await.to_string();
    world.operator(STEPS, json!({"ids": [leads[2]], "to": "CONVERTED"})).await.data();
    let ids = json!([leads[0], leads[2], foreign, leads[1]]);
    let done = world.owner_a(STEPS, json!({"ids": ids, "to": "CONTACTED"})).await.data()["updateLeadStatuses"].clone();
    assert_eq!((&done["replayed"], &done["userErrors"]), (&json!(false), &json!([])));
    let results = &done["results"];
    assert_eq!(results[0], json!({"id": leads[0], "lead": {"status": "CONTACTED"}, "userErrors": []}));
    assert_eq!((&results[1]["lead"], &results[1]["userErrors"][0]["code"]), (&Value::Null, &json!("INVALID_TRANSITION")));
    assert_eq!((&results[2]["lead"], &results[2]["userErrors"][0]["code"]), (&Value::Null, &json!("NOT_FOUND")));
    assert_eq!(results[2]["userErrors"][0]["field"], json!(["input", "ids"]));
    assert_eq!(results[3]["lead"]["status"], "CONTACTED");
    let refused = world.owner_a(STEPS, json!({"ids": [leads[2]], "to": "CONTACTED"})).await.data()["updateLeadStatuses"].clone();
    assert_eq!(refused["replayed"], false);
    let again = world.owner_a(STEPS, json!({"ids": ids, "to": "CONTACTED"})).await.data()["updateLeadStatuses"].clone();
    assert_eq!(again["replayed"], true);
    assert_eq!(world.number("SELECT count(*) FROM lead_status_changes WHERE to_status = 'contacted'").await, 2);
    for ids in [Vec::new(), vec![leads[0].clone(); 101]] {
        let refused = world.owner_a(STEPS, json!({"ids": ids, "to": "LOST"})).await.data()["updateLeadStatuses"].clone();
        assert_eq!((&refused["results"], &refused["userErrors"][0]["code"]), (&json!([]), &json!("OUT_OF_RANGE")));
    }
}
