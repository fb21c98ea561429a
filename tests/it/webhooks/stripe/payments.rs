//! Payments and the invoices that they have paid.

use super::*;

/// A checkout of a payment without an invoice.
fn checkout(payment: &str) -> Value {
    json!({"id": "cs_1", "mode": "payment", "payment_status": "paid", "customer": "cus_1", "created": now().timestamp() - 300,
        "amount_total": 12_000, "currency": "usd", "payment_intent": payment})
}

/// Nothing says of which of its invoices the refund of a payment is, so it is taken back of none of them, in whatever order that becomes known; the receipt of
/// the event by which it becomes known says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_several_invoices() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    let mut noted = 0;
    for (turn, order) in [[0, 1, 2, 3], [0, 3, 1, 2], [3, 0, 1, 2], [1, 2, 3, 0], [2, 3, 1, 0], [1, 0, 3, 2]].iter().enumerate() {
        let (payment, first, second) = (format!("pi_{turn}"), format!("in_{turn}_1"), format!("in_{turn}_2"));
        let events = [
            ("invoice.paid", old_invoice(&first, &payment)),
            ("invoice.paid", invoice(&second)),
            ("invoice_payment.paid", paid_by(&payment, &second)),
            ("refund.created", refund(&format!("re_{turn}"), &payment, 6_000, "succeeded")),
        ];
        for event in order {
            let (name, object) = &events[*event];
            let (_, reason) = stripe.tells(name, -80, object.clone()).await;
            noted += usize::from(reason.as_str().is_some_and(|reason| reason.contains("taken back of neither")));
        }
        apply_after(&world, TimeDelta::hours(3)).await;
        assert_eq!(stripe.booked(&first).await, "100 0 10", "{order:?}");
        assert_eq!(stripe.booked(&second).await, "100 0 10", "{order:?}");
    }
    assert!(noted >= 3, "{noted}");
    // What a person takes back then stays.
    world.refund_at("in_0_1", "50.00", &world.now_in_seconds()).await;
    stripe.says("invoice.paid", 0, old_invoice("in_0_1", "pi_0")).await;
    assert_eq!(stripe.booked("in_0_1").await, "100 50 5");
    assert!(world.broken_rules().await.is_empty());
}

/// A refund waits for its invoice, and is applied as soon as that is known, also where the invoice was reported otherwise before.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_what_differs() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    world.pay("in_1", "cus_1", "90.00", &world.now_in_seconds()).await;
    assert_eq!(stripe.says("refund.created", -50, refund("re_1", "pi_1", 6_000, "succeeded")).await, "PARKED");
    assert_eq!(stripe.says("invoice.paid", -60, old_invoice("in_1", "pi_1")).await, "IGNORED");
    apply(&world).await;
    assert_eq!(stripe.booked("in_1").await, "90 45 4.5");
}

/// A payment earns once, by its checkout or by its invoice, also where both are reported at once; so does one whose charge names the invoice.
#[tokio::test(flavor = "multi_thread")]
async fn once_for_a_checkout_and_its_invoice() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    for number in 0..12 {
        let (payment, id) = (format!("pi_{number}"), format!("in_{number}"));
        let mut events = [("checkout.session.completed", checkout(&payment)), ("invoice.paid", old_invoice(&id, &payment))];
        if number % 2 == 0 {
            events.reverse();
        }
        for (name, object) in events {
            let event = format!("evt_{name}_{number}");
            let body = json!({"id": event, "type": name, "created": now().timestamp() - 50, "data": {"object": object}});
            stripe.source.send(&world, &event, &body).await;
        }
    }
    apply(&world).await;
    for number in 0..12 {
        let booked = [stripe.booked(&format!("pi_{number}")).await, stripe.booked(&format!("in_{number}")).await];
        assert_eq!(booked.iter().filter(|booked| *booked == "- -").count(), 1, "{booked:?}");
    }
    assert_eq!(stripe.says("checkout.session.completed", 0, checkout("pi_alone")).await, "APPLIED");
    let mut named = charge("ch_1", "pi_alone", 6_000);
    named["invoice"] = json!("in_alone");
    assert_eq!(stripe.says("charge.refunded", 0, named).await, "FAILED");
    assert_eq!(stripe.booked("pi_alone").await, "120 0 12");
    assert!(world.broken_rules().await.is_empty());
}

/// Versions of the API from before 2022 have an invoice's tax, and not what it is without.
#[tokio::test(flavor = "multi_thread")]
async fn invoices_with_their_tax() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    for (id, tax, booked) in [("in_1", json!(2_000), "100 0 10"), ("in_2", json!(null), "120 0 12")] {
        let mut old = old_invoice(id, &format!("pi_{id}"));
        old.as_object_mut().expect("an object").remove("total_excluding_tax");
        old["tax"] = tax;
        assert_eq!(stripe.says("invoice.paid", 0, old).await, "APPLIED");
        assert_eq!(stripe.booked(id).await, booked);
    }
    let mut more = old_invoice("in_3", "pi_3");
    more.as_object_mut().expect("an object").remove("total_excluding_tax");
    more["tax"] = json!(12_001);
    assert_eq!(stripe.says("invoice.paid", 0, more).await, "FAILED");
}
