//! Refunds that fail, and reports in any order.

use serde_json::{Value, json};

use crate::support::World;

const DAY: &str = "2026-06-15T12:00:00Z";
const NOON: &str = "2026-06-20T12:00:00Z";
const ONE: &str = "2026-06-20T13:00:00Z";
const TWO: &str = "2026-06-20T14:00:00Z";

fn amount(payload: &Value) -> &str {
    payload["commission"]["amount"]["amount"].as_str().unwrap_or("none")
}

/// What is left of an invoice's commission.
async fn left(world: &World, invoice: &str) -> i64 {
    world
        .number(&format!("SELECT (sum(amount) * 100)::bigint FROM partner_commission_events WHERE invoice_id = '{invoice}'"))
        .await
}

/// A refund that the bank returns is reported as a smaller sum with a later time, down to nothing; what was taken back is given back,
/// and the amount says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_refund_is_booked_back() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "1000.00", DAY).await;
    assert_eq!(amount(&world.refund_at("inv_1", "400.00", NOON).await), "-40.00");
    let back = world.refund_at("inv_1", "100.00", ONE).await;
    assert_eq!((amount(&back), &back["replayed"], &back["commission"]["eventType"]), ("30.00", &json!(false), &json!("REFUND")));
    assert_eq!(
        back["commission"]["explanation"]["sentence"],
        "Of 1000.00 USD only 100.00 USD is refunded after all, so 10.00 USD of the commission of 100.00 USD is taken back where it \
         was 40.00 USD before: 30.00 USD."
    );
    assert_eq!(amount(&world.refund_at("inv_1", "0.00", TWO).await), "10.00");
    assert_eq!(world.balances(world.a).await, ["0.00", "100.00", "0.00", "0.00"]);
    // The same amount as before, of another time, is a refund of its own.
    assert_eq!(amount(&world.refund_at("inv_1", "400.00", "2026-06-21T00:00:00Z").await), "-40.00");
    // Each report that was booked answers with what it was booked as; one that came too late was not.
    for (sum, at, booked) in
        [("400.00", NOON, "-40.00"), ("100.00", ONE, "30.00"), ("0.00", TWO, "10.00"), ("50.00", NOON, "none")]
    {
        let again = world.refund_at("inv_1", sum, at).await;
        assert_eq!((amount(&again), &again["replayed"], &again["userErrors"]), (booked, &json!(true), &json!([])));
    }
    assert_eq!(left(&world, "inv_1").await, 6_000);
    assert_eq!(world.broken_rules().await, [""; 0]);
    // Refunds that were booked before their time was kept are no fault.
    world.sql("UPDATE partner_commission_events SET refunded_at = NULL").await;
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Whatever the order in which reports arrive, before the payment or after it, the one with the latest time counts, and of two with the same
/// time the larger.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_ends_in_the_same_books() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let reports = [Some(("400.00", NOON)), Some(("100.00", ONE)), Some(("300.00", TWO)), Some(("200.00", TWO)), None];
    let mut invoices = Vec::new();
    let mut orders = vec![vec![]];
    for place in 0..reports.len() {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=place).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, place);
                    order
                })
            })
            .collect();
    }
    for (number, order) in orders.iter().enumerate() {
        let invoice = format!("inv_{number}");
        for place in order {
            let answer = match reports[*place] {
                Some((sum, at)) => world.refund_at(&invoice, sum, at).await,
                None => world.pay(&invoice, "cus_1", "1000.00", DAY).await,
            };
            assert_eq!(answer["userErrors"], json!([]), "{order:?}");
        }
        invoices.push(invoice);
    }
    assert_eq!(invoices.len(), 120);
    for invoice in &invoices {
        assert_eq!(left(&world, invoice).await, 7_000, "{invoice}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A refund that is reported before its payment, and is more than that, counts as all of it and can be repeated; a new one of more than was
/// paid is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_before_its_payment_can_be_repeated() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    for _ in 0..2 {
        assert_eq!(world.refund_at("inv_1", "500.00", NOON).await["userErrors"], json!([]));
    }
    assert_eq!(amount(&world.pay("inv_1", "cus_1", "300.00", DAY).await), "30.00");
    assert_eq!(left(&world, "inv_1").await, 0);
    let again = world.refund_at("inv_1", "500.00", NOON).await;
    assert_eq!((amount(&again), &again["replayed"], &again["userErrors"]), ("-30.00", &json!(true), &json!([])));
    assert_eq!(world.refund_at("inv_1", "500.00", ONE).await["userErrors"][0]["code"], "OUT_OF_RANGE");
    assert_eq!(amount(&world.refund_at("inv_1", "299.99", ONE).await), "none", "a thousandth of a dollar");
    assert_eq!(amount(&world.refund_at("inv_1", "100.00", TWO).await), "20.00");
    assert_eq!(world.refund_at("inv_1", "500.00", NOON).await["userErrors"], json!([]));
    assert_eq!(left(&world, "inv_1").await, 2_000);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What a failed refund gives back follows its original: pending and rejected with it; in no one's way when a payout goes off; paid by the
/// next one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_goes_with_its_original() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "1000.00", DAY).await;
    let first = world.batch(world.a).await["payout"]["id"].clone();
    world.refund_at("inv_1", "400.00", NOON).await;
    assert_eq!(world.step("releasePayout", &first).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    world.refund_at("inv_1", "0.01", ONE).await;
    assert_eq!(world.step("releasePayout", &first).await["userErrors"], json!([]), "less than half a cent is taken back");
    for step in ["startPayout", "completePayout"] {
        assert_eq!(world.step(step, &first).await["userErrors"], json!([]));
    }
    world.refund_at("inv_1", "500.00", TWO).await;
    world.refund_at("inv_1", "0.00", "2026-06-21T00:00:00Z").await;
    world.pay("inv_2", "cus_1", "10.00", DAY).await;
    let next = world.batch(world.a).await["payout"].clone();
    assert_eq!((&next["total"]["amount"], &next["commissionCount"]), (&json!("1.00"), &json!(5)));
    world.pay_out(&next["id"]).await;
    assert_eq!(world.balances(world.a).await, ["0.00", "0.00", "0.00", "101.00"]);

    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    let now = world.app.clock.now().to_rfc3339();
    let held = world.pay("inv_3", "cus_1", "100.00", &now).await["commission"]["id"].clone();
    let at = (world.app.clock.now() + chrono::TimeDelta::seconds(1)).to_rfc3339();
    world.refund_at("inv_3", "100.00", &now).await;
    world.refund_at("inv_3", "0.00", &at).await;
    assert_eq!(world.balances(world.a).await[..2], ["10.00", "0.00"]);
    world.decide("rejectCommissions", &[&held], false).await;
    assert_eq!(world.balances(world.a).await[..2], ["0.00", "0.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
