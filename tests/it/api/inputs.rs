//! What is sent: judged before anything runs, every fault with its way; and a field that is refused takes no other with it.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};

use crate::support::{
    World, token,
    world::{ACME, Answer},
};

const LEAD: &str = "clientName: \"Ada\", clientEmail: \"ada@example.com\", service: \"S\"";

async fn post(world: &World, body: &Value) -> Answer {
    let request = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/graphql-response+json")
        .header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)));
    world.send(request.body(Body::from(body.to_string())).expect("a request")).await
}

/// The ways to the faults of an answer.
fn fields(answer: &Answer) -> Vec<Value> {
    let errors = answer.body["errors"].as_array().expect("errors");
    errors.iter().map(|error| error["extensions"]["field"].clone()).collect()
}

/// A value that cannot be right, wherever it stands, keeps the whole operation from running; each is reported with its path and in words.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_unless_all_can_be_right() {
    let world = World::new().await;
    let first = format!("a: createLead(input: {{ idempotencyKey: \"FRESH_KEY\", {LEAD} }}) {{ lead {{ id }} }}");
    let member = "member_01h455vb4pex5vsknk084sn02q";
    let second =
        |input: &str| format!("b: createLead(input: {{ idempotencyKey: \"FRESH_KEY\", {LEAD} {input} }}) {{ lead {{ id }} }}");
    let assign = |input: &str| {
        format!(
            "b: assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\" credits: 1 {input} }}) {{ replayed }}"
        )
    };
    for (declared, field, variables, way, words) in [
        ("($c: Int!)", format!("b: assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\", credits: $c }}) {{ replayed }}"), json!({"c": 3_000_000_000_i64}), json!([["input", "credits"]]), "3000000000 is no Int"),
        ("($c: Int!)", format!("b: assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\", credits: $c }}) {{ replayed }}"), json!({"c": 1.5}), json!([["input", "credits"]]), "1.5 is no Int"),
        ("", format!("b: assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\", credits: 3000000000 }}) {{ replayed }}"), json!({}), json!([["input", "credits"]]), "3000000000 is no Int"),
        ("($v: Decimal)", second("dealValue: $v"), json!({"v": "1,5"}), json!([["input", "dealValue"]]), "\"1,5\" is no Decimal"),
        ("($v: Decimal)", second("dealValue: $v"), json!({"v": 1.5}), json!([["input", "dealValue"]]), "1.5 is no Decimal"),
        ("", second("dealValue: \"1,5\""), json!({}), json!([["input", "dealValue"]]), "\"250.50\""),
        ("($i: CreateLeadInput!)", "b: createLead(input: $i) { lead { id } }".to_owned(), json!({"i": {"clientName": 5, "clientEmail": "a@b.de", "idempotencyKey": "k", "dealValue": "x", "partnerId": "foo"}}), json!([["input", "partnerId"], ["input", "clientName"], ["input", "service"], ["input", "dealValue"]]), "\"foo\" is not an id"),
        ("", second("partnerId: \"lead_01h455vb4pex5vsknk084sn02q\""), json!({}), json!([["input", "partnerId"]]), "is the id of a lead, but the id of a partner is needed here"),
        ("($p: ID)", second("partnerId: $p"), json!({"p": "foo"}), json!([["input", "partnerId"]]), "\"foo\" is not an id"),
        ("", "b: approveCommissions(input: { ids: [\"commission_01h455vb4pex5vsknk084sn02q\", \"foo\"] }) { results { id } }".to_owned(), json!({}), json!([["input", "ids", "1"]]), "\"foo\" is not an id"),
        ("", "b: adjustCommission(input: { idempotencyKey: \"FRESH_KEY\", partnerId: \"partner_01h455vb4pex5vsknk084sn02q\", amount: \"1\", reason: \"r\", currency: \"QQQ\" }) { replayed }".to_owned(), json!({}), json!([["input", "currency"]]), "\"QQQ\" is no CurrencyCode"),
        ("($v: Int = \"x\")", assign("validDays: $v"), json!({}), json!([["v"]]), "\"x\" is no Int"),
        ("($v: Int! = 5)", assign("validDays: $v"), json!({"v": null}), json!([["input", "validDays"]]), "null is none"),
        ("", "b: updateLeadStatus(input: { id: \"lead_01h455vb4pex5vsknk084sn02q\", status: \"LOST\" }) { lead { id } }".to_owned(), json!({}), json!([["input", "status"]]), "\"LOST\" is no value of LeadStatus"),
        ("", "b: createPayoutBatches(input: { idempotencyKey: \"FRESH_KEY\", period: { from: \"yesterday\", before: \"2026-02-30T00:00:00Z\" } }) { nextPartnerId }".to_owned(), json!({}), json!([["input", "period", "before"], ["input", "period", "from"]]), "RFC 3339"),
        ("", second("dealValue: \"1\", dealValue: \"2\""), json!({}), json!([null]), "only one input field named \"dealValue\""),
        ("", second("nope: 1"), json!({}), json!([["input", "nope"]]), "has no field \"nope\""),
        ("($p: ID = \"foo\")", second("partnerId: $p"), json!({}), json!([["input", "partnerId"]]), "\"foo\" is not an id"),
        ("($v: Int = null)", assign("validDays: $v"), json!({}), json!([["input", "validDays"]]), "null is none"),
        ("($p: ID = \"foo\")", format!("b: createLead(input: {{ idempotencyKey: \"FRESH_KEY\", {LEAD} }}) {{ lead {{ partner {{ commissions(filter: {{ partnerId: $p }}) {{ totalCount }} }} }} }}"), json!({}), json!([["filter", "partnerId"]]), "\"foo\" is not an id"),
        ("", "b: importMembers(input: { file: \"uploaded file 0\" }) { userErrors { code } }".to_owned(), json!({}), json!([["input", "file"]]), "in a variable"),
    ] {
        let query = format!("mutation {declared} {{ {first} {field} }}");
        let answer = post(&world, &json!({"query": query, "variables": variables})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"), "{query}: {}", answer.body);
        assert!(answer.body.get("data").is_none() && answer.text.contains(&json!(words).to_string().trim_matches('"').to_owned()), "{query}: {}", answer.body);
        let mut ways = fields(&answer);
        let mut expected = way.as_array().expect("ways").clone();
        ways.sort_by_key(Value::to_string);
        expected.sort_by_key(Value::to_string);
        assert_eq!(ways, expected, "{query}: {}", answer.body);
    }
    assert_eq!(world.number("SELECT count(*) FROM partner_leads").await, 0);
}

/// What one field of a mutation may not do is that field's fault: the others have been done, and say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_mutation_stands_alone() {
    let world = World::new().await;
    let partner = world.a.to_string();
    let query = format!(
        "mutation {{ a: createLead(input: {{ idempotencyKey: \"FRESH_KEY\", {LEAD} }}) {{ lead {{ id }} }}
            b: grantCredits(input: {{ partnerId: \"{partner}\", credits: 5, reason: \"r\", idempotencyKey: \"k\" }}) {{ replayed }}
            c: createLead(input: {{ idempotencyKey: \"FRESH_KEY\", {LEAD} }}) {{ lead {{ id }} }} }}"
    );
    let answer = world.owner_a(&query, json!({})).await;
    assert_eq!(answer.code(), "FORBIDDEN");
    assert_eq!(answer.body["errors"][0]["path"], json!(["b"]));
    let data = &answer.body["data"];
    assert!(data["a"]["lead"]["id"].is_string() && data["c"]["lead"]["id"].is_string() && data["b"].is_null(), "{}", answer.body);
    assert_eq!(world.number("SELECT count(*) FROM partner_leads").await, 2);
}

/// One field that a document asks for in several places is done once, and answered with all that is selected of it; what fails in it is reported
/// once, and nulls what it must.
#[tokio::test(flavor = "multi_thread")]
async fn one_field_in_several_places() {
    let world = World::new().await;
    let create = |key: &str| format!("createLead(input: {{ idempotencyKey: \"{key}\", {LEAD} }})");
    let [first, second, third] = ["1", "2", "3"].map(create);
    for (count, document) in [
        (1, format!("mutation {{ a: {first} {{ userErrors {{ code }} }} a: {first} {{ lead {{ id }} }} }}")),
        (
            2,
            format!(
                "mutation {{ ...F ...F ... on Mutation {{ ...G }} }} fragment F on Mutation {{ a: {second} {{ lead {{ id }} }} }} fragment G on Mutation {{ a: {second} {{ userErrors {{ code }} }} }}"
            ),
        ),
        (
            3,
            format!(
                "mutation ($no: Boolean = false) {{ a: {third} {{ lead {{ id }} }} a: {third} @include(if: $no) {{ userErrors {{ code }} }} ... @skip(if: true) {{ b: {third} {{ lead {{ id }} }} }} }}"
            ),
        ),
    ] {
        let answer = world.owner_a(&document, json!({})).await;
        assert!(answer.data()["a"]["lead"]["id"].is_string(), "{document}: {}", answer.body);
        assert_eq!(answer.data()["a"].get("userErrors").is_some(), count < 3, "{document}");
        assert_eq!(world.number("SELECT count(*) FROM partner_leads").await, count, "{document}");
    }
    let twice = "leads(after: \"foo\") { totalCount } leads(after: \"foo\") { pageInfo { hasNextPage } }";
    let answer = world.owner_a(&format!("{{ me {{ partner {{ id }} }} me {{ partner {{ {twice} }} }} }}"), json!({})).await;
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(1), "{}", answer.body);
    assert!(answer.body["data"]["me"]["partner"]["id"].is_string() && answer.body["data"]["me"]["partner"]["leads"].is_null());
    // Below an interface it is the engine that merges.
    let partner = world.a.to_string();
    let node = format!(
        "{{ node(id: \"{partner}\") {{ id ... on Partner {{ stats {{ totalLeads }} }} ... on Partner {{ stats {{ convertedLeads }} }} }} }}"
    );
    let answer = world.owner_a(&node, json!({})).await;
    assert_eq!(answer.data()["node"]["stats"], json!({"totalLeads": 3, "convertedLeads": 0}));
}

/// In a query an id that is none, an unknown currency, a wrong cursor or too long a page nulls its own field alone, wherever that stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_field_stands_alone() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 2).await;
    for (field, at) in [
        ("b: lead(id: \"foo\") { id }", "/b"),
        ("b: lead(id: \"partner_01h455vb4pex5vsknk084sn02q\") { id }", "/b"),
        ("b: node(id: \"foo\") { id }", "/b"),
        ("b: nodes(ids: [\"foo\"]) { id }", "/b/0"),
        ("b: leads(after: \"foo\") { totalCount }", "/b"),
        ("b: leads(first: 501) { totalCount }", "/b"),
        ("b: leads(filter: { search: \"\\u0000\" }) { totalCount }", "/b"),
        ("b: revenueMetrics(currency: \"QQQ\") { totalCommissionCount }", "/b"),
        ("b: earningsOverTime(currency: \"QQQ\") { start }", "/b"),
        ("b: commissionRules(partnerId: \"foo\") { id }", "/b"),
        ("b: partners { totalCount }", "/b"),
        ("b: me { partner { companyName leads(before: \"foo\") { totalCount } } }", "/b/partner/leads"),
        (
            "b: me { partner { companyName commissions(filter: { partnerId: \"foo\" }) { totalCount } } }",
            "/b/partner/commissions",
        ),
        ("b: me { partner { companyName balances(currency: \"QQQ\") { payable { amount } } } }", "/b/partner/balances"),
        ("b: me { partner { companyName ledger(currency: \"QQQ\") { totalCount } } }", "/b/partner/ledger"),
        ("b: me { partner { companyName members(after: \"foo\") { totalCount } } }", "/b/partner/members"),
        ("b: dashboard { partner { companyName } revenue(currency: \"QQQ\") { totalCommissionCount } }", "/b/revenue"),
        ("b: dashboard { partner { companyName } recentLeads(first: 0) { id } }", "/b/recentLeads"),
    ] {
        let answer = world.owner_a(&format!("{{ a: leads {{ totalCount }} {field} }}"), json!({})).await;
        let data = &answer.body["data"];
        assert_eq!(data["a"]["totalCount"], 2, "{field}: {}", answer.body);
        assert_eq!(data.pointer(at), Some(&Value::Null), "{field}: {}", answer.body);
        // What stands beside it is there.
        if let Some((parent, _)) = at.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            assert!(data.pointer(parent).is_some_and(|parent| !parent.is_null()), "{field}: {}", answer.body);
        }
        let errors = answer.body["errors"].as_array().expect("errors");
        let path: String = errors[0]["path"]
            .as_array()
            .expect("a path")
            .iter()
            .fold(String::new(), |path, part| path + "/" + &part.as_str().map_or_else(|| part.to_string(), str::to_owned));
        assert_eq!((errors.len(), path.as_str()), (1, at), "{field}: {}", answer.body);
    }
    let query = "query ($id: ID!, $c: CurrencyCode) { a: leads { totalCount } b: lead(id: $id) { id } c: revenueMetrics(currency: $c) { totalCommissionCount } }";
    let answer = world.owner_a(query, json!({"id": "foo", "c": "QQQ"})).await;
    assert_eq!(answer.body["data"], json!({"a": {"totalCount": 2}, "b": null, "c": null}));
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(2));
}

/// An optional variable that is left out is an argument that is left out: its default counts. Null is no such thing.
#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_left_out() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 7).await;
    let query = "query ($i: Interval, $n: Int, $d: OrderDirection) {
        earningsOverTime(interval: $i) { start }
        dashboard { recentLeads(first: $n) { id } }
        ...F
    } fragment F on Query { leads(orderBy: { field: CREATED_AT, direction: $d }) { totalCount } }";
    let answer = world.owner_a(query, json!({})).await;
    let data = answer.data();
    assert_eq!(data["earningsOverTime"].as_array().map(Vec::len), Some(12));
    assert_eq!(data["dashboard"]["recentLeads"].as_array().map(Vec::len), Some(5));
    let given = world.owner_a(query, json!({"i": "WEEK", "n": 2, "d": "ASC"})).await;
    assert_eq!(given.data()["dashboard"]["recentLeads"].as_array().map(Vec::len), Some(2));
    for name in ["i", "n", "d"] {
        let refused = world.owner_a(query, json!({name: null})).await;
        assert!(refused.body.get("data").is_none() && refused.message().contains("null is none"), "{name}: {}", refused.body);
    }
}

/// An empty list in a filter lets nothing through; a filter that is left out, or null, everything. An empty cursor is none.
#[tokio::test(flavor = "multi_thread")]
async fn empty_is_not_all() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 3).await;
    let member = "mutation { addMember(input: { email: \"m@example.com\", firstName: \"M\" }) { member { id } } }";
    world.owner_a(member, json!({})).await.data();
    world.earn().await;
    world.batch(world.a).await;
    for (list, filter) in [
        ("leads", "status"),
        ("members", "status"),
        ("partners", "status"),
        ("commissions", "status"),
        ("commissions", "eventType"),
        ("payouts", "status"),
    ] {
        let count = async |value: &str| {
            let query = format!("{{ {list}(filter: {{ {filter}: {value} }}) {{ totalCount nodes {{ id }} }} }}");
            let answer = world.operator(&query, json!({})).await;
            let list = &answer.data()[list];
            assert_eq!(list["totalCount"].as_u64(), list["nodes"].as_array().map(|nodes| nodes.len() as u64));
            list["totalCount"].as_u64().unwrap_or_default()
        };
        assert_eq!(count("[]").await, 0, "{list} {filter}");
        assert!(count("null").await > 0, "{list} {filter}");
    }
    let below = "{ me { partner { leads(filter: { status: [] }, after: \"\") { totalCount nodes { id } } all: leads(after: \"\", before: \"\") { totalCount nodes { id } } } } }";
    let partner = world.owner_a(below, json!({})).await.data()["me"]["partner"].clone();
    assert_eq!(partner["leads"], json!({"totalCount": 0, "nodes": []}));
    assert_eq!(partner["all"]["totalCount"], json!(partner["all"]["nodes"].as_array().map(Vec::len)));
}
