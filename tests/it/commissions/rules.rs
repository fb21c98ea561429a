//! Commission rules: which one decides, what it makes of a payment, versions, tiers, caps, durations, simulations.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, world::keyed};

const DAY: &str = "2026-06-15T12:00:00Z";

fn amount(payload: &Value) -> &str {
    payload["commission"]["amount"]["amount"].as_str().unwrap_or("none")
}

async fn set_rule(world: &World, input: Value) -> Value {
    let query = "mutation ($input: SetCommissionRuleInput!) { setCommissionRule(input: $input) { rule { id version kind description validTo } userErrors { code field message } } }";
    world.operator(query, json!({"input": keyed(input)})).await.data()["setCommissionRule"].clone()
}

/// The first that there is decides: the customer's own rate, the partner's rule, the programme's, the partner's default rate; a rule for
/// the currency goes before one for all. A commission keeps the version that made it.
#[tokio::test(flavor = "multi_thread")]
async fn which_rule_wins() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let own = world.customer("cus_2", world.a).await;
    let (a, start) = (world.a.to_string(), "2026-01-01T00:00:00Z");
    let explained = async |invoice: &str, customer: &str| {
        let id = world.pay(invoice, customer, "100.00", DAY).await["commission"]["id"].clone();
        let query =
            "query ($id: ID!) { commission(id: $id) { amount { amount } explanation { source rule { version } sentence } } }";
        let commission = world.owner_a(query, json!({"id": id})).await.data()["commission"].clone();
        let explanation = &commission["explanation"];
        (commission["amount"]["amount"].clone(), explanation["source"].clone(), explanation["sentence"].clone())
    };
    let (sum, source, _) = explained("inv_1", "cus_1").await;
    assert_eq!((sum, source), (json!("10.00"), json!("PARTNER_RATE")));
    set_rule(&world, json!({"kind": "PERCENTAGE", "rate": "0.2", "validFrom": start})).await;
    assert_eq!(explained("inv_2", "cus_1").await.1, "TENANT_RULE");
    set_rule(&world, json!({"partnerId": a, "kind": "PERCENTAGE", "rate": "0.3", "validFrom": start})).await;
    assert_eq!(explained("inv_3", "cus_1").await.0, "30.00");
    set_rule(&world, json!({"partnerId": a, "currency": "USD", "kind": "FLAT", "flatAmount": "7.50", "validFrom": start})).await;
    let (sum, _, sentence) = explained("inv_4", "cus_1").await;
    assert_eq!(sum, "7.50");
    assert_eq!(sentence, "7.5 flat, by version 1 of the partner's rule, for a payment of 100.00 USD: 7.50 USD.");
    let assign = "mutation ($id: ID!, $partner: ID!) { assignCustomer(input: { customerId: $id, partnerId: $partner, commissionRate: \"0.5\", from: \"2026-02-01T00:00:00Z\" }) { userErrors { message } customer { accounts { commissionRate managedTo } } } }";
    let answer = world.operator(assign, json!({"id": own, "partner": a})).await;
    assert_eq!(answer.data()["assignCustomer"]["customer"]["accounts"][1]["managedTo"], "2026-02-01T00:00:00Z");
    assert_eq!(explained("inv_5", "cus_2").await.1, "CUSTOMER_RATE");
    // A new version is for later payments; what was made by the first keeps it.
    let second = set_rule(
        &world,
        json!({"partnerId": a, "currency": "USD", "kind": "FLAT", "flatAmount": "9.00", "validFrom": "2026-06-01T00:00:00Z"}),
    )
    .await;
    assert_eq!(second["rule"]["version"], 2);
    assert_eq!(explained("inv_6", "cus_1").await.0, "9.00");
    let query = "{ commissions(filter: { minAmount: \"7.50\", maxAmount: \"7.50\" }) { nodes { explanation { rule { version validTo } amount { amount } } } } }";
    let kept = world.owner_a(query, json!({})).await.data()["commissions"]["nodes"].clone();
    assert_eq!(
        kept,
        json!([{"explanation": {"rule": {"version": 1, "validTo": "2026-06-01T00:00:00Z"}, "amount": {"amount": "7.50"}}}])
    );
    let end = "mutation ($id: ID!) { endCommissionRule(input: { id: $id, at: \"2026-06-10T00:00:00Z\" }) { rule { validTo } userErrors { code } } }";
    assert_eq!(
        world.operator(end, json!({"id": second["rule"]["id"]})).await.data()["endCommissionRule"]["rule"]["validTo"],
        "2026-06-10T00:00:00Z"
    );
    assert_eq!(explained("inv_7", "cus_1").await.0, "30.00");
    let rules = |token_query: &str| format!("{{ commissionRules({token_query}) {{ version partner {{ id }} }} }}");
    assert_eq!(
        world.owner_a(&rules("validity: ALL"), json!({})).await.data()["commissionRules"].as_array().map(Vec::len),
        Some(4)
    );
    assert_eq!(
        world.acme("owner_b", &rules("validity: IN_FORCE"), json!({})).await.data()["commissionRules"],
        json!([{"version": 1, "partner": null}])
    );
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Every fault of a rule is reported at once, and no two versions ever hold at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_checked() {
    let world = World::new().await;
    let faults = |payload: &Value| -> Vec<String> {
        let errors = payload["userErrors"].as_array().expect("faults");
        errors
            .iter()
            .map(|error| format!("{}:{}", error["field"][1].as_str().unwrap_or("-"), error["code"].as_str().expect("a code")))
            .collect()
    };
    for (input, expected) in [
        (json!({"kind": "PERCENTAGE"}), vec!["rate:REQUIRED"]),
        (json!({"kind": "PERCENTAGE", "rate": "1.1", "cap": "5"}), vec!["currency:REQUIRED", "rate:OUT_OF_RANGE"]),
        (json!({"kind": "FLAT", "flatAmount": "5", "rate": "0.1"}), vec!["currency:REQUIRED", "rate:INVALID"]),
        (json!({"kind": "FLAT", "flatAmount": "5.5", "currency": "JPY"}), vec!["flatAmount:INVALID"]),
        (json!({"kind": "TIERED", "currency": "USD", "tiers": []}), vec!["tiers:OUT_OF_RANGE"]),
        (json!({"kind": "TIERED", "currency": "USD", "tiers": [{"above": "5", "rate": "0.1"}]}), vec!["tiers:INVALID"]),
        (
            json!({"kind": "TIERED", "currency": "USD", "tiers": [{"above": "0", "rate": "0.1"}, {"above": "0", "rate": "0.2"}]}),
            vec!["tiers:INVALID"],
        ),
        (
            json!({"kind": "PERCENTAGE", "rate": "0.1", "durationMonths": 0, "validFrom": DAY, "validTo": DAY}),
            vec!["durationMonths:OUT_OF_RANGE", "validTo:OUT_OF_RANGE"],
        ),
        (json!({"kind": "PERCENTAGE", "rate": "0.1", "partnerId": world.g.to_string()}), vec!["partnerId:NOT_FOUND"]),
    ] {
        assert_eq!(faults(&set_rule(&world, input.clone()).await), expected, "{input}");
    }
    set_rule(&world, json!({"kind": "PERCENTAGE", "rate": "0.1", "validFrom": DAY})).await;
    let before = set_rule(&world, json!({"kind": "PERCENTAGE", "rate": "0.2", "validFrom": "2026-01-01T00:00:00Z"})).await;
    assert_eq!(faults(&before), ["validFrom:OUT_OF_RANGE"]);
    let gap = json!({"kind": "PERCENTAGE", "rate": "0.2", "validFrom": "2026-01-01T00:00:00Z", "validTo": DAY});
    assert_eq!(set_rule(&world, gap).await["rule"]["version"], 2);
    join_all((0..8).map(|_| set_rule(&world, json!({"partnerId": world.a.to_string(), "kind": "PERCENTAGE", "rate": "0.2"}))))
        .await;
    let overlaps =
        "SELECT count(*) FROM partner_commissions a JOIN partner_commissions b ON a.scope_id = b.scope_id AND a.id < b.id
        AND tstzrange(a.valid_from, a.valid_to) && tstzrange(b.valid_from, b.valid_to)";
    assert_eq!(world.number(overlaps).await, 0);
}

/// Tiers count the calendar month, a cap holds, and after a rule's duration nothing is earned, with the reason in words.
#[tokio::test(flavor = "multi_thread")]
async fn tiers_caps_and_durations() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let tiers = json!([{"above": "0", "rate": "0.1"}, {"above": "100", "rate": "0.2"}]);
    set_rule(
        &world,
        json!({"partnerId": world.a.to_string(), "currency": "USD", "kind": "TIERED", "tiers": tiers, "cap": "15.00", "durationMonths": 3, "validFrom": "2026-01-01T00:00:00Z"}),
    )
    .await;
    let earned = async |invoice: &str, sum: &str, at: &str| amount(&world.pay(invoice, "cus_1", sum, at).await).to_owned();
    assert_eq!(earned("inv_1", "80.00", "2026-03-05T00:00:00Z").await, "8.00");
    assert_eq!(earned("inv_2", "40.00", "2026-03-31T23:59:59Z").await, "6.00");
    assert_eq!(earned("inv_3", "40.00", "2026-04-01T00:00:00Z").await, "4.00");
    assert_eq!(earned("inv_4", "500.00", "2026-04-02T00:00:00Z").await, "15.00");
    assert_eq!(earned("inv_5", "40.00", "2026-06-04T23:59:59Z").await, "4.00");
    assert_eq!(earned("inv_6", "40.00", "2026-06-05T00:00:00Z").await, "0.00");
    let query =
        "{ commissions(first: 3) { nodes { explanation { sentence monthBase { amount } steps { kind description amount } } } } }";
    let nodes = world.owner_a(query, json!({})).await.data()["commissions"]["nodes"].clone();
    assert_eq!(
        nodes[0]["explanation"]["sentence"],
        "Nothing is earned: version 1 of the partner's rule holds for 3 months from the customer's first payment, and they have passed."
    );
    assert_eq!(
        nodes[2]["explanation"],
        json!({
            "sentence": "10% of 60, 20% of 440, less 79 above the cap, by version 1 of the partner's rule, for a payment of 500.00 USD, after 40.00 USD in the same month: 15.00 USD.",
            "monthBase": {"amount": "40.00"},
            "steps": [
                {"kind": "SHARE", "description": "10% of 60", "amount": "6"},
                {"kind": "SHARE", "description": "20% of 440", "amount": "88"},
                {"kind": "CAP", "description": "less 79 above the cap", "amount": "-79"},
            ],
        })
    );
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What a payment would earn is what it then earns; asking writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn calculating() {
    let world = World::new().await;
    let customer = world.customer("cus_1", world.a).await;
    let tiers = json!([{"above": "0", "rate": "0.1"}, {"above": "100", "rate": "0.2"}]);
    set_rule(&world, json!({"currency": "USD", "kind": "TIERED", "tiers": tiers, "validFrom": "2026-01-01T00:00:00Z"})).await;
    world.pay("inv_1", "cus_1", "90.00", DAY).await;
    let query = "query ($partner: ID!, $customer: ID!, $amount: Decimal!) { calculateCommission(partnerId: $partner, customerId: $customer, amount: $amount, at: \"2026-06-15T13:00:00Z\") { amount { amount } sentence source } }";
    let ask = |sum: &str| json!({"partner": world.a.to_string(), "customer": customer, "amount": sum});
    let before = world.number("SELECT count(*) FROM partner_commission_events").await;
    let said = world.owner_a(query, ask("30.00")).await.data()["calculateCommission"].clone();
    assert_eq!((&said["amount"]["amount"], &said["source"]), (&json!("5.00"), &json!("TENANT_RULE")));
    assert_eq!(world.operator(query, ask("30.00")).await.data()["calculateCommission"], said);
    assert_eq!(world.acme("owner_b", query, ask("30.00")).await.data()["calculateCommission"], Value::Null);
    assert!(world.owner_a(query, ask("0")).await.message().contains("`amount`"));
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, before);
    assert_eq!(amount(&world.pay("inv_2", "cus_1", "30.00", "2026-06-15T13:00:00Z").await), "5.00");
}

/// A simulation replays the period's payments under another rule: totals and each partner's difference, nothing written; what has a
/// rate or rule that goes before it stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn simulating() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.customer("cus_2", world.b).await;
    set_rule(
        &world,
        json!({"partnerId": world.b.to_string(), "kind": "PERCENTAGE", "rate": "0.3", "validFrom": "2026-01-01T00:00:00Z"}),
    )
    .await;
    for (number, (customer, sum)) in [("cus_1", "100.00"), ("cus_1", "200.00"), ("cus_2", "100.00")].into_iter().enumerate() {
        world.pay(&format!("inv_{number}"), customer, sum, &format!("2026-06-1{number}T00:00:00Z")).await;
    }
    world.pay("inv_early", "cus_1", "50.00", "2026-06-01T00:00:00Z").await;
    let before = world.number("SELECT count(*) FROM partner_commissions").await;
    let query = "query ($rule: CommissionRuleInput!) { simulateCommissionRule(rule: $rule, period: { from: \"2026-06-05\", before: \"2026-07-01\" }) {
        totals { payments affectedPayments actual { amount } simulated { amount } difference { amount } }
        partners { partner { id } payments affectedPayments actual { amount } simulated { amount } difference { amount } } } }";
    let run = async |rule: Value| world.operator(query, json!({"rule": rule})).await.data()["simulateCommissionRule"].clone();
    let tiers = json!([{"above": "0", "rate": "0.1"}, {"above": "100", "rate": "0.5"}]);
    let found = run(json!({"kind": "TIERED", "currency": "USD", "tiers": tiers})).await;
    // The month began with 50 before the period: 50 at 10% and 50 at 50%, then 200 at 50%.
    assert_eq!(
        found["totals"],
        json!([{"payments": 3, "affectedPayments": 2, "actual": {"amount": "60.00"}, "simulated": {"amount": "160.00"}, "difference": {"amount": "100.00"}}])
    );
    assert_eq!(found["partners"][0]["partner"]["id"], world.a.to_string());
    assert_eq!(found["partners"][1]["affectedPayments"], 0);
    let for_b = run(json!({"kind": "PERCENTAGE", "rate": "0.1", "partnerId": world.b.to_string()})).await;
    assert_eq!(for_b["totals"][0]["difference"]["amount"], "-20.00");
    let wrong = world.operator(query, json!({"rule": {"kind": "FLAT"}})).await;
    assert_eq!((wrong.code(), wrong.message().contains("rule.flatAmount")), ("BAD_USER_INPUT", true));
    assert_eq!(world.number("SELECT count(*) FROM partner_commissions").await, before);
    assert_eq!(world.owner_a(query, json!({"rule": {"kind": "PERCENTAGE", "rate": "0.1"}})).await.code(), "FORBIDDEN");
}
