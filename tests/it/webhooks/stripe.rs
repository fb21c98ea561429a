//! What Stripe reports: payments, and what is taken back of them, in both shapes of its invoices.

mod others;
mod payments;

use partner_portal::models::webhooks::source::WebhookSourceKind;

use super::{
    incoming::{Source, apply, apply_after},
    *,
};

/// A source with a number for each event.
struct Stripe<'w> {
    world: &'w World,
    source: Source,
    sent: std::cell::Cell<i64>,
}

impl<'w> Stripe<'w> {
    /// One of a customer `cus_1` that partner A manages.
    async fn new(world: &'w World) -> Self {
        world.customer("cus_1", world.a).await;
        Self { world, source: Source::new(world, WebhookSourceKind::Stripe).await, sent: std::cell::Cell::new(0) }
    }

    /// Sends an event as of so many seconds from now, and applies what is due; gives what became of it.
    async fn says(&self, name: &str, seconds: i64, object: Value) -> String {
        self.tells(name, seconds, object).await.0
    }

    /// The same with the reason.
    async fn tells(&self, name: &str, seconds: i64, object: Value) -> (String, Value) {
        let number = self.sent.get() + 1;
        self.sent.set(number);
        let id = format!("evt_{number}");
        let event = json!({"id": id, "type": name, "created": now().timestamp() + seconds, "data": {"object": object}});
        self.source.send(self.world, &id, &event).await;
        apply(self.world).await;
        self.source.outcome(self.world, &id).await
    }

    /// What an invoice is of, what is refunded of it, and what partners have earned by it.
    async fn booked(&self, invoice: &str) -> String {
        let sql = format!(
            "SELECT coalesce((SELECT trim_scale(amount)::text || ' ' || trim_scale(refunded)::text FROM invoices WHERE external_id = '{invoice}'), '-') || ' '
                || coalesce((SELECT trim_scale(sum(amount))::text FROM partner_commission_events WHERE invoice_id = '{invoice}'), '-') AS text"
        );
        self.world.text(&sql).await
    }
}

/// An invoice of 120 with 20 of tax, in the shape since 2025-03-31.
fn invoice(id: &str) -> Value {
    json!({"id": id, "customer": "cus_1", "currency": "usd", "amount_paid": 12_000, "total": 12_000, "total_excluding_tax": 10_000, "status": "paid",
        "status_transitions": {"paid_at": now().timestamp() - 100}})
}

/// The same in the shape before.
fn old_invoice(id: &str, payment: &str) -> Value {
    let mut invoice = invoice(id);
    invoice["payment_intent"] = json!(payment);
    invoice
}

fn paid_by(payment: &str, invoice: &str) -> Value {
    json!({"id": "inpay_1", "invoice": invoice, "payment": {"type": "payment_intent", "payment_intent": payment}, "status": "paid"})
}

fn refund(id: &str, payment: &str, amount: i64, status: &str) -> Value {
    json!({"id": id, "amount": amount, "currency": "usd", "payment_intent": payment, "status": status, "created": now().timestamp() - 50})
}

fn charge(id: &str, payment: &str, refunded: i64) -> Value {
    json!({"id": id, "amount": 12_000, "amount_refunded": refunded, "currency": "usd", "payment_intent": payment, "created": now().timestamp() - 90})
}

fn dispute(id: &str, payment: &str, status: &str) -> Value {
    json!({"id": id, "amount": 12_000, "currency": "usd", "payment_intent": payment, "status": status, "created": now().timestamp() - 50})
}

/// A paid invoice of either shape earns once, however often and by however many events it is reported; one that nothing was paid of earns nothing, and one
/// that was paid outside of Stripe earns like any other.
#[tokio::test(flavor = "multi_thread")]
async fn invoices() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    for (id, object) in [("in_1", invoice("in_1")), ("in_2", old_invoice("in_2", "pi_2"))] {
        for seconds in 0..2 {
            assert_eq!(stripe.says("invoice.paid", seconds, object.clone()).await, "APPLIED");
        }
        assert_eq!(stripe.booked(id).await, "100 0 10");
    }
    let mut outside = invoice("in_3");
    outside["paid_out_of_band"] = json!(true);
    assert_eq!(stripe.says("invoice.paid", 0, outside).await, "APPLIED");
    assert_eq!(stripe.booked("in_3").await, "100 0 10");
    let mut free = invoice("in_4");
    free["amount_paid"] = json!(0);
    assert_eq!(stripe.says("invoice.paid", 0, free).await, "IGNORED");
    assert_eq!(stripe.booked("in_4").await, "- -");
    // A balance has paid a third of it.
    let mut partly = invoice("in_5");
    partly["amount_paid"] = json!(8_000);
    assert_eq!(stripe.says("invoice.paid", 0, partly).await, "APPLIED");
    assert_eq!(stripe.booked("in_5").await, "66.67 0 6.67");
    let mut unknown = invoice("in_6");
    unknown["customer"] = json!("cus_new");
    unknown["customer_name"] = json!("New Buyer");
    assert_eq!(stripe.says("invoice.paid", 0, unknown).await, "APPLIED");
    assert_eq!(stripe.booked("in_6").await, "100 0 -");
    assert_eq!(
        stripe.says("customer.updated", -500, json!({"id": "cus_new", "name": "Newer Buyer", "email": "n@example.com"})).await,
        "APPLIED"
    );
    assert_eq!(stripe.says("customer.created", -600, json!({"id": "cus_new", "name": "Old Buyer"})).await, "IGNORED");
    assert_eq!(world.text("SELECT name AS text FROM customers WHERE external_id = 'cus_new'").await, "Newer Buyer");
    for broken in
        [json!({}), json!({"id": "in_7", "customer": "cus_1"}), json!({"id": "in_7", "currency": "usd", "amount_paid": 5})]
    {
        assert_eq!(stripe.says("invoice.paid", 0, broken).await, "FAILED");
    }
    assert!(world.broken_rules().await.is_empty());
}

/// A refund takes back its part, once, whether it is reported by itself, by its charge or by both; one that fails gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn refunds() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    stripe.says("invoice.paid", -90, old_invoice("in_1", "pi_1")).await;
    assert_eq!(stripe.says("refund.created", -50, refund("re_1", "pi_1", 3_000, "pending")).await, "APPLIED");
    assert_eq!(stripe.booked("in_1").await, "100 25 7.5");
    assert_eq!(stripe.says("charge.refunded", -49, charge("ch_1", "pi_1", 3_000)).await, "APPLIED");
    assert_eq!(stripe.says("refund.updated", -40, refund("re_1", "pi_1", 3_000, "succeeded")).await, "APPLIED");
    assert_eq!(stripe.booked("in_1").await, "100 25 7.5");
    assert_eq!(stripe.says("refund.created", -30, refund("re_2", "pi_1", 9_000, "pending")).await, "APPLIED");
    assert_eq!(stripe.booked("in_1").await, "100 100 0");
    assert_eq!(stripe.says("charge.refunded", -29, charge("ch_1", "pi_1", 12_000)).await, "APPLIED");
    assert_eq!(stripe.says("refund.failed", -20, refund("re_2", "pi_1", 9_000, "failed")).await, "APPLIED");
    assert_eq!(stripe.booked("in_1").await, "100 25 7.5");
    assert_eq!(stripe.says("refund.updated", -25, refund("re_2", "pi_1", 9_000, "pending")).await, "IGNORED");
    assert_eq!(stripe.says("charge.refunded", -35, charge("ch_1", "pi_1", 3_000)).await, "IGNORED");
    assert_eq!(stripe.booked("in_1").await, "100 25 7.5");
    let (status, reason) = stripe
        .tells("refund.created", 0, {
            let mut other = refund("re_3", "pi_1", 3_000, "pending");
            other["currency"] = json!("eur");
            other
        })
        .await;
    assert_eq!((status.as_str(), reason), ("PARKED", json!("It is in EUR, and the invoice in USD.")));
    assert!(world.broken_rules().await.is_empty());
}

/// A refund that overtakes its payment waits for it: for what says which invoice was paid, and for the invoice; it is applied in that moment.
#[tokio::test(flavor = "multi_thread")]
async fn refunds_that_come_first() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    assert_eq!(stripe.says("charge.refunded", -10, charge("ch_1", "pi_1", 6_000)).await, "PARKED");
    assert_eq!(stripe.says("invoice_payment.paid", -20, paid_by("pi_1", "in_1")).await, "APPLIED");
    let (status, reason) = stripe.source.outcome(&world, "evt_1").await;
    assert_eq!((status.as_str(), reason), ("PARKED", json!("The invoice in_1 has not been reported yet.")));
    assert_eq!(stripe.booked("in_1").await, "- -");
    assert_eq!(stripe.says("invoice.paid", -20, invoice("in_1")).await, "APPLIED");
    assert_eq!(stripe.source.outcome(&world, "evt_1").await.0, "APPLIED");
    assert_eq!(stripe.booked("in_1").await, "100 50 5");
    assert!(world.broken_rules().await.is_empty());
}

/// What is disputed is taken back at once, is given back when the dispute is won, and stays away when it is lost; an inquiry takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn disputes() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    for (invoice, payment) in [("in_1", "pi_1"), ("in_2", "pi_2"), ("in_3", "pi_3")] {
        stripe.says("invoice.paid", -90, old_invoice(invoice, payment)).await;
    }
    stripe.says("charge.dispute.created", -50, dispute("dp_1", "pi_1", "needs_response")).await;
    assert_eq!(stripe.booked("in_1").await, "100 100 0");
    stripe.says("charge.dispute.closed", -30, dispute("dp_1", "pi_1", "won")).await;
    assert_eq!(stripe.booked("in_1").await, "100 0 10");
    assert_eq!(stripe.says("charge.dispute.funds_withdrawn", -50, dispute("dp_1", "pi_1", "needs_response")).await, "IGNORED");
    assert_eq!(stripe.says("charge.dispute.funds_reinstated", -40, dispute("dp_1", "pi_1", "won")).await, "IGNORED");
    assert_eq!(stripe.booked("in_1").await, "100 0 10");
    stripe.says("charge.dispute.closed", -30, dispute("dp_2", "pi_2", "lost")).await;
    stripe.says("charge.dispute.created", -50, dispute("dp_2", "pi_2", "needs_response")).await;
    assert_eq!(stripe.booked("in_2").await, "100 100 0");
    stripe.says("charge.dispute.created", -50, dispute("dp_3", "pi_3", "warning_needs_response")).await;
    assert_eq!(stripe.booked("in_3").await, "100 0 10");
    stripe.says("charge.dispute.updated", -40, dispute("dp_3", "pi_3", "needs_response")).await;
    assert_eq!(stripe.booked("in_3").await, "100 100 0");
    assert!(world.broken_rules().await.is_empty());
}

/// A checkout of somebody who came by a link is that link's: its payment, and the invoices that follow, also those that were reported before it. Tax counts
/// where the programme says so.
#[tokio::test(flavor = "multi_thread")]
async fn checkouts() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    let link = world.link("https://shop.example.com/p").await;
    let click = world.click_at(&link, now() - TimeDelta::seconds(400)).await;
    let session = |customer: Value, payment: Value, invoice: Value| {
        json!({"id": "cs_1", "mode": "payment", "payment_status": "paid", "customer": customer, "client_reference_id": click, "created": now().timestamp() - 300,
            "amount_total": 12_000, "currency": "usd", "total_details": {"amount_tax": 2_000}, "payment_intent": payment, "invoice": invoice,
            "customer_details": {"email": "Guest@example.com", "name": "A Guest"}})
    };
    assert_eq!(
        stripe.says("checkout.session.completed", -200, session(json!("cus_2"), json!("pi_2"), json!(null))).await,
        "APPLIED"
    );
    assert_eq!(stripe.booked("pi_2").await, "100 0 10");
    assert_eq!(stripe.says("charge.refunded", -100, charge("ch_2", "pi_2", 12_000)).await, "APPLIED");
    assert_eq!(stripe.booked("pi_2").await, "100 100 0");
    // A guest has no id of their own.
    assert_eq!(
        stripe.says("checkout.session.completed", -200, session(json!(null), json!("pi_3"), json!(null))).await,
        "APPLIED"
    );
    assert_eq!(stripe.booked("pi_3").await, "100 0 10");
    assert_eq!(world.text("SELECT name AS text FROM customers WHERE external_id = 'guest@example.com'").await, "A Guest");
    // One that is paid later.
    let mut later = session(json!("cus_4"), json!("pi_4"), json!(null));
    later["payment_status"] = json!("unpaid");
    assert_eq!(stripe.says("checkout.session.completed", -200, later.clone()).await, "APPLIED");
    assert_eq!(stripe.booked("pi_4").await, "- -");
    later["payment_status"] = json!("paid");
    assert_eq!(stripe.says("checkout.session.async_payment_succeeded", -100, later).await, "APPLIED");
    assert_eq!(stripe.booked("pi_4").await, "100 0 10");
    let changes = json!({"id": link["programme"]["id"], "includesTax": true});
    let taxed = done(&world, "updateProgramme", changes, "programme { includesTax }").await;
    assert_eq!(taxed["programme"]["includesTax"], json!(true));
    let mut of_customer = invoice("in_5");
    of_customer["customer"] = json!("cus_5");
    assert_eq!(stripe.says("invoice.paid", -150, of_customer).await, "APPLIED");
    assert_eq!(stripe.booked("in_5").await, "100 0 -");
    assert_eq!(
        stripe.says("checkout.session.completed", -100, session(json!("cus_5"), json!(null), json!("in_5"))).await,
        "APPLIED"
    );
    assert_eq!(stripe.booked("in_5").await, "120 0 12");
    // An invoice may say it itself.
    let mut named = invoice("in_6");
    named["customer"] = json!("cus_6");
    named["parent"] = json!({"subscription_details": {"metadata": {"came_by": click}}});
    assert_eq!(stripe.says("invoice.paid", -50, named).await, "APPLIED");
    assert_eq!(stripe.booked("in_6").await, "120 0 12");
    let mut strange = session(json!("cus_7"), json!(null), json!("in_7"));
    strange["client_reference_id"] = json!("click_01h455vb4pex5vsknk084sn02q");
    assert_eq!(stripe.says("checkout.session.completed", -10, strange).await, "PARKED", "it may be on its way");
    assert!(world.broken_rules().await.is_empty());
}

/// Amounts are read as Stripe writes them. What is no amount there is parked, and never guessed.
#[tokio::test(flavor = "multi_thread")]
async fn currencies() {
    let world = World::new().await;
    let stripe = Stripe::new(&world).await;
    for (number, (code, amount)) in
        [("jpy", "12000"), ("isk", "120"), ("huf", "120"), ("kwd", "12"), ("mga", "12000")].iter().enumerate()
    {
        let mut invoice = invoice(&format!("in_{number}"));
        invoice["currency"] = json!(code);
        invoice["total_excluding_tax"] = json!(12_000);
        assert_eq!(stripe.says("invoice.paid", 0, invoice).await, "APPLIED", "{code}");
        let booked =
            world.text(&format!("SELECT trim_scale(amount)::text AS text FROM invoices WHERE external_id = 'in_{number}'")).await;
        assert_eq!(booked, *amount, "{code}");
    }
    for (code, paid) in [("isk", 12_050), ("kwd", 12_001), ("zzz", 100)] {
        let mut invoice = invoice(&format!("in_{code}"));
        (invoice["currency"], invoice["amount_paid"]) = (json!(code), json!(paid));
        assert_eq!(stripe.says("invoice.paid", 0, invoice).await, "PARKED", "{code}");
    }
    apply_after(&world, TimeDelta::days(4)).await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_receipts WHERE status = 'failed'").await, 3);
}
