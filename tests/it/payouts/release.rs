//! What is sent off: nothing to a partner in debt, nothing without a destination, nothing that no payout can hold.

use serde_json::{Value, json};

use crate::support::World;

const DAY: &str = "2026-06-15T12:00:00Z";

fn refusal(payload: &Value) -> (&str, &str) {
    let error = &payload["userErrors"][0];
    (error["code"].as_str().unwrap_or("none"), error["message"].as_str().unwrap_or("none"))
}

/// Partner A with 10 paid out, of which nothing is owed any longer, and a second payout of 10; gives that one.
async fn in_debt(world: &World) -> Value {
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    let first = world.batch(world.a).await["payout"]["id"].clone();
    world.pay_out(&first).await;
    world.pay("inv_2", "cus_1", "100.00", DAY).await;
    world.batch(world.a).await["payout"]["id"].clone()
}

/// While a partner's payable is below zero, no payout is released, started or tried again, however the debt arose; once the debt is made up
/// for, each goes on.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_a_partner_in_debt() {
    let world = World::new().await;
    let id = in_debt(&world).await;
    world.refund("inv_1", "100.00").await;
    assert_eq!(world.balances(world.a).await, ["0.00", "-10.00", "10.00", "10.00"]);
    let refused = world.step("releasePayout", &id).await;
    assert_eq!(refusal(&refused), ("INVALID_TRANSITION", "Only 0 is owed to the partner by now. Cancel it, and make a new one."));
    // A correction is a debt like a refund: with exactly what is missing made up for, it is released.
    world.adjust(world.a, "9.99", None).await;
    assert_eq!(refusal(&world.step("releasePayout", &id).await).0, "INVALID_TRANSITION");
    world.adjust(world.a, "0.01", None).await;
    assert_eq!(world.step("releasePayout", &id).await["userErrors"], json!([]));
    world.adjust(world.a, "-20.01", None).await;
    let refused = world.step("startPayout", &id).await;
    assert_eq!(
        refusal(&refused).1,
        "Nothing is owed to the partner by now: it owes 10.01 itself. Cancel the payout.",
        "{refused}"
    );
    world.adjust(world.a, "20.01", None).await;
    assert_eq!(world.step("startPayout", &id).await["userErrors"], json!([]));
    // What has been sent off is noted as it went, whatever is owed by then.
    world.adjust(world.a, "-0.01", None).await;
    assert_eq!(world.step("failPayout", &id).await["userErrors"], json!([]));
    assert_eq!(refusal(&world.step("retryPayout", &id).await).1.split('.').next(), Some("Only 9"));
    world.adjust(world.a, "0.01", None).await;
    assert_eq!(world.step("retryPayout", &id).await["userErrors"], json!([]));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A payout is released, and sent off, only where the profile says where its method's payments go; the refusal names what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_payout_needs_a_destination() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let update =
        "mutation ($input: UpdatePartnerProfileInput!) { updatePartnerProfile(input: $input) { userErrors { message } } }";
    let profile = async |input: Value| {
        let answer = world.owner_a(update, json!({"input": input})).await;
        assert_eq!(answer.data()["updatePartnerProfile"]["userErrors"], json!([]));
    };
    let address = json!({"line1": "Main Street 1", "city": "Bern", "country": "CH"});
    let cases = [
        ("PAYPAL", "a payment e-mail address", json!({"paymentEmail": "pay@example.com"}), json!({"paymentEmail": null})),
        ("STRIPE", "a payment e-mail address", json!({"paymentEmail": "pay@example.com"}), json!({"paymentEmail": null})),
        ("BANK_TRANSFER", "a bank account", json!({"bankAccount": "DE89 3704 0044 0532 0130 00"}), json!({"bankAccount": null})),
        (
            "CHECK",
            "a postal address with street, city and country",
            json!({"address": address}),
            json!({"address": {"city": null}}),
        ),
    ];
    for (number, (method, lacking, filled, cleared)) in cases.into_iter().enumerate() {
        profile(json!({"paymentMethod": method})).await;
        world.pay(&format!("inv_{number}"), "cus_1", "100.00", DAY).await;
        let id = world.batch(world.a).await["payout"]["id"].clone();
        let refused = world.step("releasePayout", &id).await;
        assert_eq!(refusal(&refused).0, "DESTINATION_MISSING", "{method}");
        let start = format!("The payout is paid by {method}, and the partner's profile has not got {lacking}.");
        assert!(refusal(&refused).1.starts_with(&start), "{refused}");
        profile(filled.clone()).await;
        assert_eq!(world.step("releasePayout", &id).await["userErrors"], json!([]), "{method}");
        profile(cleared.clone()).await;
        assert_eq!(refusal(&world.step("startPayout", &id).await).0, "DESTINATION_MISSING", "{method}");
        profile(filled).await;
        for step in ["startPayout", "failPayout"] {
            assert_eq!(world.step(step, &id).await["userErrors"], json!([]), "{method}");
        }
        profile(cleared).await;
        assert_eq!(refusal(&world.step("retryPayout", &id).await).0, "DESTINATION_MISSING", "{method}");
        assert_eq!(world.step("cancelPayout", &id).await["userErrors"], json!([]), "{method}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What comes to more than one payout can hold is said to be not payable, and asking for it is a user error.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_payout_can_hold_is_not_payable() {
    let world = World::new().await;
    world.adjust(world.a, "60000000000000.00", None).await;
    world.adjust(world.a, "39999999999999.99", None).await;
    let query = "query ($id: ID!) { previewPayout(partnerId: $id, currency: \"USD\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" }) { isPayable total { amount } } }";
    let preview = async || world.operator(query, json!({"id": world.a.to_string()})).await.data()["previewPayout"].clone();
    assert_eq!(preview().await, json!({"isPayable": true, "total": {"amount": "99999999999999.99"}}));
    world.adjust(world.a, "0.01", None).await;
    assert_eq!(preview().await["isPayable"], false);
    let refused = world.batch(world.a).await;
    assert_eq!(refusal(&refused).0, "OUT_OF_RANGE");
    assert_eq!(refused["userErrors"][0]["field"], json!(["input", "period"]));
    world.adjust(world.a, "-0.01", None).await;
    assert_eq!(world.batch(world.a).await["payout"]["total"]["amount"], "99999999999999.99");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Nothing is shown as 0.00, without a sign.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_has_no_sign() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    world.refund("inv_1", "100.00").await;
    let query = "query ($id: ID!) { partner(id: $id) { balances(currency: \"USD\") { earned { amount } pending { amount } payable { amount } }
        stats { totalEarnings { amount } } } revenueMetrics(currency: \"USD\") { totalCommissions { amount } } }";
    let answer = world.operator(query, json!({"id": world.a.to_string()})).await;
    answer.data();
    assert!(!answer.text.contains("-0"), "{}", answer.text);
    assert_eq!(answer.data()["partner"]["balances"]["earned"]["amount"], "0.00");
}

/// A failed payout whose commission was moved to another partner since is not tried again: it is no longer its partner's to be paid.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_is_not_paid_to_the_old_partner() {
    let world = World::new().await;
    let commission = world.adjust(world.a, "9.00", None).await["commission"]["id"].clone();
    world.adjust(world.a, "30.00", None).await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    for step in ["releasePayout", "startPayout", "failPayout"] {
        assert_eq!(world.step(step, &payout).await["userErrors"], json!([]), "{step}");
    }
    // More is owed than the payout pays, so that alone is no reason.
    world.adjust(world.a, "50.00", None).await;
    let moved = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { code } } }";
    let moved = world.operator(moved, json!({"id": commission, "to": world.b.to_string()})).await;
    assert_eq!(moved.data()["moveCommission"]["userErrors"], json!([]));
    let refused = world.step("retryPayout", &payout).await;
    assert_eq!(refused["userErrors"][0]["code"], "INVALID_TRANSITION", "{refused}");
    assert!(refused["userErrors"][0]["message"].as_str().expect("text").starts_with("1 of its commissions"), "{refused}");
    assert_eq!(world.broken_rules().await, [""; 0]);
}
