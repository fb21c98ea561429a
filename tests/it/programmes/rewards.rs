//! What partners earn in programmes: which rule decides, who sees it, and that a rate is what was entered.

use serde_json::{Value, json};

use crate::support::{World, world::keyed};

const START: &str = "2026-01-01T00:00:00Z";

async fn set_rule(world: &World, input: Value) -> Value {
    let query = "mutation ($input: SetCommissionRuleInput!) { setCommissionRule(input: $input) {
        rule { id version partner { id } programme { domain } } userErrors { code field } } }";
    world.operator(query, json!({"input": keyed(input)})).await.data()["setCommissionRule"].clone()
}

/// What a payment of 100 USD would earn partner A in a programme, where the rate comes from, and the sentence about it.
async fn tried(world: &World, customer: &str, programme: &Value) -> (String, String, String) {
    let query = "query ($partner: ID!, $customer: ID!, $programme: ID) {
        calculateCommission(partnerId: $partner, customerId: $customer, amount: \"100.00\", currency: \"USD\", programmeId: $programme) {
            amount { amount } source sentence } }";
    let variables = json!({"partner": world.a.to_string(), "customer": customer, "programme": programme});
    let found = world.operator(query, variables).await.data()["calculateCommission"].clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&found["amount"]["amount"]), text(&found["source"]), text(&found["sentence"]))
}

/// The first that there is decides: the customer's own rate, the partner's rule in the programme, the partner's rule, the programme's, the rule
/// for all partners, the partner's default rate. The explanation names it.
#[tokio::test(flavor = "multi_thread")]
async fn which_rule_of_a_programme_wins() {
    let world = World::new().await;
    let customer = world.customer("cus_1", world.a).await;
    let programme = world.link("https://example.com/").await["programme"]["id"].clone();
    let other = world.link("https://example.org/").await["programme"]["id"].clone();
    let a = world.a.to_string();
    assert_eq!(tried(&world, &customer, &programme).await.1, "PARTNER_RATE");
    set_rule(&world, json!({"kind": "PERCENTAGE", "rate": "0.01", "validFrom": START})).await;
    assert_eq!(tried(&world, &customer, &programme).await.1, "TENANT_RULE");
    // 0 is a rate.
    set_rule(&world, json!({"programmeId": programme, "kind": "PERCENTAGE", "rate": "0", "validFrom": START})).await;
    let (amount, source, sentence) = tried(&world, &customer, &programme).await;
    assert_eq!((amount.as_str(), source.as_str()), ("0.00", "PROGRAMME_RULE"));
    assert_eq!(sentence, "0% of 100, by version 1 of the programme's rule, for a payment of 100.00 USD: 0.00 USD.");
    assert_eq!(tried(&world, &customer, &other).await.1, "TENANT_RULE");
    // One for the currency goes before one for every one, but not before what is closer.
    let flat = json!({"programmeId": programme, "currency": "USD", "kind": "FLAT", "flatAmount": "3.00", "validFrom": START});
    set_rule(&world, flat).await;
    assert_eq!(tried(&world, &customer, &programme).await.0, "3.00");
    set_rule(&world, json!({"partnerId": a, "kind": "PERCENTAGE", "rate": "0.04", "validFrom": START})).await;
    assert_eq!(tried(&world, &customer, &programme).await.1, "PARTNER_RULE");
    let both = json!({"partnerId": a, "programmeId": programme, "kind": "PERCENTAGE", "rate": "0.05", "validFrom": START});
    let set = set_rule(&world, both).await;
    assert_eq!((&set["rule"]["version"], &set["rule"]["programme"]["domain"]), (&json!(1), &json!("example.com")));
    let (amount, source, sentence) = tried(&world, &customer, &programme).await;
    assert_eq!((amount.as_str(), source.as_str()), ("5.00", "ENROLMENT_RULE"));
    assert!(sentence.contains("version 1 of the partner's rule in this programme"), "{sentence}");
    assert_eq!(tried(&world, &customer, &other).await.1, "PARTNER_RULE");
    let assign = "mutation ($id: ID!, $partner: ID!) { assignCustomer(input: { customerId: $id, partnerId: $partner, commissionRate: \"0.5\" }) { userErrors { message } } }";
    world.operator(assign, json!({"id": customer, "partner": a})).await.data();
    world.app.clock.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(tried(&world, &customer, &programme).await.1, "CUSTOMER_RATE");
}

/// Ten per cent is "0.1" on every way in: what was entered is what is shown, and what a payment earns. (Existing systems have two scripts that
/// write 10 and 1000 for it.)
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_never_a_hundred_times_too_high() {
    let world = World::new().await;
    let customer = world.customer("cus_1", world.a).await;
    let programme = world.link("https://example.com/").await["programme"]["id"].clone();
    for rate in ["10", "1000", "1.0001", "-0.1"] {
        let refused = set_rule(&world, json!({"programmeId": programme, "kind": "PERCENTAGE", "rate": rate})).await;
        assert_eq!(refused["userErrors"][0]["field"], json!(["input", "rate"]), "{rate}");
    }
    set_rule(&world, json!({"programmeId": programme, "kind": "PERCENTAGE", "rate": "0.1", "validFrom": START})).await;
    assert_eq!(tried(&world, &customer, &programme).await.0, "10.00");
    let shown = "query ($id: ID!) { programme(id: $id) { rateSource reward { rate description } } }";
    let shown = world.owner_a(shown, json!({"id": programme})).await.data()["programme"].clone();
    assert_eq!(shown, json!({"rateSource": "OPERATOR", "reward": {"rate": "0.1000", "description": "10%"}}));
}

/// A partner sees the rules of the programmes that it takes part in, and its own; of a programme it is shown the one that holds for it. A rule for
/// a partner in a programme needs its part in that.
#[tokio::test(flavor = "multi_thread")]
async fn who_sees_the_rules_of_a_programme() {
    let world = World::new().await;
    let programme = world.link("https://example.com/").await["programme"]["id"].clone();
    let (a, b) = (world.a.to_string(), world.b.to_string());
    let refused = set_rule(&world, json!({"partnerId": b, "programmeId": programme, "kind": "PERCENTAGE", "rate": "0.1"})).await;
    assert_eq!(refused["userErrors"], json!([{"code": "NOT_ENROLLED", "field": ["input", "programmeId"]}]));
    let missing = json!({"programmeId": "programme_01h455vb4pex5vsknk084sn02q", "kind": "PERCENTAGE", "rate": "0.1"});
    assert_eq!(set_rule(&world, missing).await["userErrors"][0]["code"], "NOT_FOUND");
    let of_programme = set_rule(&world, json!({"programmeId": programme, "kind": "PERCENTAGE", "rate": "0.1"})).await;
    set_rule(&world, json!({"partnerId": a, "programmeId": programme, "kind": "PERCENTAGE", "rate": "0.2"})).await;
    world.app.clock.advance(chrono::TimeDelta::seconds(1));
    let list = "query ($programme: ID) { commissionRules(programmeId: $programme) { rate partner { id } programme { id } } }";
    let seen = async |subject: &str| {
        world.acme(subject, list, json!({"programme": programme})).await.data()["commissionRules"]
            .as_array()
            .expect("a list")
            .len()
    };
    assert_eq!((seen("owner_a").await, seen("owner_b").await), (2, 0));
    assert_eq!(
        world.operator(list, json!({"programme": null})).await.data()["commissionRules"].as_array().map(Vec::len),
        Some(2)
    );
    let node = "query ($id: ID!) { node(id: $id) { id } }";
    let id = json!({"id": of_programme["rule"]["id"]});
    assert_eq!(world.acme("owner_b", node, id.clone()).await.data()["node"], Value::Null);
    let reward =
        "query ($id: ID!) { programme(id: $id) { reward { rate } enrolments { nodes { reward(currency: \"EUR\") { rate } } } } }";
    let own = world.owner_a(reward, json!({"id": programme})).await.data()["programme"].clone();
    assert_eq!(own, json!({"reward": {"rate": "0.2000"}, "enrolments": {"nodes": [{"reward": {"rate": "0.2000"}}]}}));
    let general = world.operator(reward, json!({"id": programme})).await.data()["programme"].clone();
    assert_eq!(general, json!({"reward": {"rate": "0.1000"}, "enrolments": {"nodes": [{"reward": {"rate": "0.2000"}}]}}));
}
