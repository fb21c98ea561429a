//! Stripe beside others, beside itself, and what it never says.

use super::*;

/// What others have reported of an invoice stays, where Stripe says nothing of that: refunds, and amounts and times that differ.
#[tokio::test(flavor = "multi_thread")]
async fn beside_other_reports() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    stripe.says("invoice.paid", -90, invoice("in_1")).await;
    let now = world.now_in_seconds();
    assert_eq!(world.refund_at("in_1", "40.00", &now).await["userErrors"], json!([]));
    assert_eq!(stripe.says("invoice_payment.paid", -80, paid_by("pi_1", "in_1")).await, "APPLIED");
    assert_eq!(stripe.booked("in_1").await, "100 40 6");
    world.refund_at("in_2", "40.00", &now).await;
    assert_eq!(stripe.says("invoice.paid", -70, old_invoice("in_2", "pi_2")).await, "APPLIED");
    assert_eq!(stripe.booked("in_2").await, "100 40 6");
    world.pay("in_3", "cus_1", "90.00", &now).await;
    let (status, reason) = stripe.tells("invoice.paid", -60, old_invoice("in_3", "pi_3")).await;
    assert_eq!((status.as_str(), reason.as_str().is_some_and(|reason| reason.contains("refunds follow it"))), ("IGNORED", true));
    assert_eq!(stripe.says("charge.refunded", -50, charge("ch_3", "pi_3", 6_000)).await, "APPLIED");
    assert_eq!(stripe.booked("in_3").await, "90 45 4.5");
    assert!(world.broken_rules().await.is_empty());
}

/// However many sources a tenant has, they report of the same objects: what one has said of a payment holds for the next.
#[tokio::test(flavor = "multi_thread")]
async fn two_sources() {
    let world = World::new().await;
    let first = Stripe::new(&world).await;
    first.says("invoice.paid", -90, old_invoice("in_1", "pi_1")).await;
    first.says("refund.created", -80, refund("re_1", "pi_1", 6_000, "succeeded")).await;
    let second =
        Stripe { world: &world, source: Source::new(&world, WebhookSourceKind::Stripe).await, sent: std::cell::Cell::new(100) };
    assert_eq!(second.says("invoice.paid", -90, old_invoice("in_1", "pi_1")).await, "APPLIED");
    assert_eq!(second.booked("in_1").await, "100 50 5");
    done(&world, "removeWebhookSource", json!({"id": first.source.id}), "sourceId").await;
    assert_eq!(second.says("refund.created", -70, refund("re_2", "pi_1", 6_000, "succeeded")).await, "APPLIED");
    assert_eq!(second.booked("in_1").await, "100 100 0");
}

/// What is taken back may be the same sum twice, by reports of any times: each change is booked.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_sum_again() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    stripe.says("invoice.paid", -90, old_invoice("in_1", "pi_1")).await;
    stripe.says("refund.created", -10, refund("re_1", "pi_1", 3_000, "succeeded")).await;
    for _ in 0..2 {
        for (id, open, won) in [("dp_1", -30, -20), ("dp_2", -40, -35)] {
            assert_ne!(stripe.says("charge.dispute.created", open, dispute(id, "pi_1", "needs_response")).await, "PARKED");
            assert_ne!(stripe.says("charge.dispute.closed", won, dispute(id, "pi_1", "won")).await, "PARKED");
        }
    }
    assert_eq!(stripe.booked("in_1").await, "100 25 7.5");
    stripe.says("invoice.paid", -90, old_invoice("in_2", "pi_2")).await;
    stripe.says("refund.created", -5, refund("re_2", "pi_2", 12_000, "succeeded")).await;
    stripe.says("charge.refunded", -5, charge("ch_2", "pi_2", 12_000)).await;
    stripe.says("refund.failed", -5, refund("re_2", "pi_2", 12_000, "failed")).await;
    assert_eq!(stripe.booked("in_2").await, "100 0 10");
    stripe.says("refund.created", -5, refund("re_3", "pi_2", 12_000, "succeeded")).await;
    assert_eq!(stripe.booked("in_2").await, "100 100 0");
    assert!(world.broken_rules().await.is_empty());
}

/// What can be no payment has failed, with its reason, and keeps no other event from being applied. A payment earns once: by its checkout or by its invoice.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    let changed = |path: &str, value: Value| {
        let mut invoice = invoice("in_1");
        invoice[path] = value;
        invoice
    };
    for number in [i64::MAX, 10_000_000_000_000_000] {
        let mut huge = invoice("in_1");
        for path in ["amount_paid", "total", "total_excluding_tax"] {
            huge[path] = json!(number);
        }
        assert_eq!(stripe.says("invoice.paid", 0, huge).await, "FAILED", "{number}");
    }
    for (path, value) in [
        ("amount_paid", json!("12000")),
        ("amount_paid", json!(120.5)),
        ("total_excluding_tax", json!(-1)),
        ("total_excluding_tax", json!("10000")),
        ("total_excluding_tax", json!(12_001)),
        ("currency", json!(5)),
        ("customer", json!(null)),
    ] {
        assert_eq!(stripe.says("invoice.paid", 0, changed(path, value.clone())).await, "FAILED", "{path} {value}");
    }
    assert_eq!(stripe.says("invoice.paid", 0, old_invoice("in_1", "pi_1")).await, "APPLIED");
    assert_eq!(stripe.says("refund.created", 0, refund("re_1", "pi_1", -2_000, "succeeded")).await, "FAILED");
    assert_eq!(stripe.booked("in_1").await, "100 0 10");
    let session = |payment: &str| {
        json!({"id": "cs_1", "mode": "payment", "payment_status": "paid", "customer": "cus_1", "created": now().timestamp() - 300,
            "amount_total": 12_000, "currency": "usd", "payment_intent": payment})
    };
    assert_eq!(stripe.says("checkout.session.completed", 0, session("pi_1")).await, "IGNORED", "its invoice has earned");
    let mut with_invoice = session("pi_2");
    with_invoice["invoice_creation"] = json!({"enabled": true});
    assert_eq!(stripe.says("checkout.session.completed", 0, with_invoice).await, "IGNORED", "an invoice comes");
    assert_eq!(stripe.says("checkout.session.completed", 0, session("pi_3")).await, "APPLIED");
    assert_eq!(stripe.says("invoice_payment.paid", 0, paid_by("pi_3", "in_3")).await, "FAILED");
    assert_eq!(stripe.booked("pi_3").await, "120 0 12");
    // Of two reports of one second.
    stripe.says("customer.updated", 0, json!({"id": "cus_9", "name": "New"})).await;
    let at = world.number("SELECT extract(epoch FROM as_of)::bigint FROM processor_customers WHERE customer_id = 'cus_9'").await;
    assert_eq!(stripe.says("customer.created", at - now().timestamp(), json!({"id": "cus_9", "name": "Old"})).await, "IGNORED");
    assert!(world.broken_rules().await.is_empty());
}

/// The click of an invoice that is not known yet is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_on_their_way() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    let mut named = invoice("in_1");
    named["customer"] = json!("cus_2");
    named["metadata"] = json!({"came_by": "click_01h455vb4pex5vsknk084sn02q"});
    assert_eq!(stripe.says("invoice.paid", 0, named).await, "PARKED");
    assert_eq!(stripe.booked("in_1").await, "- -");
    apply_after(&world, TimeDelta::hours(2)).await;
    assert_eq!(stripe.booked("in_1").await, "100 0 -", "the click never came");
}
