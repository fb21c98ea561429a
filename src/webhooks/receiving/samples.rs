//! Made-up feeds of events, of every kind that is applied and of one that is not: to try out a server that has just been set up, and to test ours. The
//! same name makes the same feed; another name, one of other objects.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::models::webhooks::source::WebhookSourceKind;

/// An event of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The sender's id of it.
    pub id: String,
    /// The sender's name of its type.
    pub name: &'static str,
    /// What is sent.
    pub body: String,
}

/// What a feed is about.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What its objects' ids have in them.
    pub name: String,
    /// When its last event happens.
    pub ends_at: DateTime<Utc>,
    /// The click by which its buyers come; a link's click that is known makes commissions.
    pub click: Option<String>,
    /// The organisation that its users are members of; a partner's makes them its people.
    pub organization: String,
}

impl Feed {
    /// The events in their order.
    pub fn events(&self, kind: WebhookSourceKind) -> Vec<Sample> {
        let events = match kind {
            WebhookSourceKind::Clerk => self.clerk(),
            WebhookSourceKind::Stripe => self.stripe(),
        };
        let count = i64::try_from(events.len()).unwrap_or(0);
        events
            .into_iter()
            .zip(0..)
            .map(|((name, object), number)| {
                // Two in each second, as at services that report a change by several events.
                let seconds = self.ends_at.timestamp() - 2 * ((count - number + 1) / 2);
                let id = format!("evt_{}_{number}", self.name);
                let body = match kind {
                    WebhookSourceKind::Clerk => clerk_event(name, object, seconds),
                    WebhookSourceKind::Stripe => json!({
                        "id": id, "object": "event", "api_version": "2025-08-27.basil", "created": seconds, "livemode": false, "type": name,
                        "data": {"object": object},
                    }),
                };
                Sample { id, name, body: body.to_string() }
            })
            .collect()
    }

    /// An id of one of its objects.
    pub fn id(&self, prefix: &str, number: u32) -> String {
        format!("{prefix}_{}_{number}", self.name)
    }

    /// When its checkout begins: before everything that it leads to.
    fn began(&self) -> i64 {
        self.ends_at.timestamp() - 150
    }

    fn stripe(&self) -> Vec<(&'static str, Value)> {
        let id = |prefix, number| self.id(prefix, number);
        let customer = |number: u32, name: &str| json!({"id": id("cus", number), "object": "customer", "name": name, "email": format!("buyer{number}@{}.example", self.name.to_lowercase())});
        let invoice = |number: u32, total: i64, untaxed: i64, currency: &str| {
            json!({
                "id": id("in", number), "object": "invoice", "customer": id("cus", 1 + number % 2), "customer_name": "Sample Buyer",
                "currency": currency, "amount_due": total, "amount_paid": total, "total": total, "total_excluding_tax": untaxed, "status": "paid",
                "status_transitions": {"paid_at": self.began() + 20 + i64::from(number)},
            })
        };
        let mut old = invoice(2, 24_000, 20_000, "eur");
        old["payment_intent"] = json!(id("pi", 2));
        old["charge"] = json!(id("ch", 2));
        let paid_by = |number: u32| {
            json!({
                "id": id("inpay", number), "object": "invoice_payment", "invoice": id("in", number), "status": "paid",
                "payment": {"type": "payment_intent", "payment_intent": id("pi", number)},
            })
        };
        let charge = |number: u32, amount: i64, refunded: i64| json!({"id": id("ch", number), "object": "charge", "amount": amount, "amount_refunded": refunded, "currency": "eur", "payment_intent": id("pi", number), "created": self.began()});
        let refund = |number: u32, payment: u32, amount: i64, status: &str, created: i64| {
            json!({
                "id": id("re", number), "object": "refund", "amount": amount, "charge": id("ch", payment), "payment_intent": id("pi", payment),
                "currency": "eur", "status": status, "created": self.began() + created,
            })
        };
        let dispute = |number: u32, amount: i64, status: &str| {
            json!({
                "id": id("dp", number), "object": "dispute", "amount": amount, "charge": id("ch", number), "payment_intent": id("pi", number),
                "currency": "eur", "status": status, "created": self.began() + 60,
            })
        };
        let checkout = |number: u32, invoice: Option<u32>, tax: i64| {
            json!({
                "id": id("cs", number), "object": "checkout.session", "mode": if invoice.is_some() { "subscription" } else { "payment" },
                "payment_status": "paid", "customer": id("cus", number), "client_reference_id": self.click, "created": self.began(), "currency": "eur",
                "invoice": invoice.map(|number| id("in", number)), "payment_intent": invoice.is_none().then(|| id("pi", 100 + number)),
                "amount_total": 12_000, "total_details": {"amount_tax": tax}, "customer_details": {"name": "Sample Buyer"},
            })
        };
        vec![
            ("customer.created", customer(1, "First Buyer")),
            ("customer.created", customer(2, "Second Buyer")),
            ("checkout.session.completed", checkout(1, Some(2), 0)),
            ("checkout.session.completed", checkout(2, None, 2_000)),
            ("customer.updated", customer(1, "First Buyer Ltd")),
            ("invoice.paid", invoice(1, 12_000, 10_000, "eur")),
            ("invoice_payment.paid", paid_by(1)),
            ("invoice.paid", old),
            ("invoice.paid", invoice(3, 6_000, 6_000, "eur")),
            ("invoice_payment.paid", paid_by(3)),
            ("invoice.paid", invoice(4, 0, 0, "eur")),
            ("invoice.paid", invoice(5, 500_000, 400_000, "isk")),
            ("refund.created", refund(1, 1, 3_000, "pending", 30)),
            ("refund.updated", refund(1, 1, 3_000, "succeeded", 30)),
            ("charge.refunded", charge(1, 12_000, 3_000)),
            ("refund.created", refund(2, 1, 6_000, "succeeded", 42)),
            ("charge.refunded", charge(1, 12_000, 9_000)),
            ("refund.failed", refund(2, 1, 6_000, "failed", 42)),
            ("charge.dispute.created", dispute(2, 24_000, "needs_response")),
            ("charge.dispute.funds_withdrawn", dispute(2, 24_000, "needs_response")),
            ("charge.dispute.funds_reinstated", dispute(2, 24_000, "under_review")),
            ("charge.dispute.closed", dispute(2, 24_000, "won")),
            ("charge.dispute.created", dispute(3, 6_000, "needs_response")),
            ("charge.dispute.closed", dispute(3, 6_000, "lost")),
            ("charge.refunded", charge(102, 12_000, 12_000)),
            ("product.created", json!({"id": id("prod", 1), "object": "product"})),
        ]
    }

    fn clerk(&self) -> Vec<(&'static str, Value)> {
        let id = |prefix, number| self.id(prefix, number);
        let user = |number: u32, first: &str, banned: bool| {
            json!({
                "id": id("user", number), "object": "user", "first_name": first, "last_name": "Sample", "banned": banned, "primary_email_address_id": "idn_1",
                "email_addresses": [{
                    "id": "idn_1", "email_address": format!("user{number}@{}.example", self.name.to_lowercase()), "verification": {"status": "verified"},
                }],
            })
        };
        let membership = |number: u32, user: u32, role: &str| {
            json!({
                "id": id("orgmem", number), "object": "organization_membership", "role": role, "organization": {"id": self.organization},
                "public_user_data": {"user_id": id("user", user), "first_name": "Invited", "last_name": "Sample"},
            })
        };
        let gone = |prefix, number: u32| json!({"id": id(prefix, number), "deleted": true});
        vec![
            ("user.created", user(1, "Ada", false)),
            ("user.created", user(2, "Ben", false)),
            ("user.created", user(3, "Cem", false)),
            ("organizationMembership.created", membership(1, 1, "org:admin")),
            ("organizationMembership.created", membership(2, 2, "org:member")),
            ("organizationMembership.created", membership(3, 3, "org:member")),
            ("organizationMembership.updated", membership(2, 2, "org:admin")),
            ("user.updated", user(1, "Adele", false)),
            ("organizationMembership.deleted", membership(1, 1, "org:admin")),
            ("organizationMembership.created", membership(4, 1, "org:member")),
            ("user.deleted", gone("user", 3)),
            ("session.created", json!({"id": id("sess", 1)})),
        ]
    }
}

/// An event of Clerk's: its object is as of the event.
fn clerk_event(name: &str, mut object: Value, seconds: i64) -> Value {
    if object["deleted"] != true {
        object["updated_at"] = json!(seconds * 1_000);
    }
    json!({"object": "event", "type": name, "timestamp": seconds * 1_000, "data": object})
}

/// The events in another order, some of them twice, and some at the very end, as after an outage. The same seed makes the same order.
pub fn disordered(events: &[Sample], seed: u64) -> Vec<Sample> {
    let drawn = |what: &str, index: usize| digest(&SHA256, format!("{seed} {what} {index}").as_bytes()).as_ref().to_vec();
    // A byte of 256: about a third come twice, and about a fifth late.
    let is_drawn = |what: &str, index: usize, below: u8| drawn(what, index).first().is_some_and(|byte| *byte < below);
    let twice = (0..events.len()).filter(|index| is_drawn("twice", *index, 80));
    let mut order: Vec<(bool, Vec<u8>, usize)> = (0..events.len())
        .chain(twice)
        .enumerate()
        .map(|(position, index)| (is_drawn("late", position, 50), drawn("order", position), index))
        .collect();
    order.sort();
    order.into_iter().filter_map(|(_, _, index)| events.get(index).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feed in disorder has all events of the feed, some of them twice, in another order for another seed.
    #[test]
    fn disorder() {
        let ends_at = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let feed = Feed { name: "test".to_owned(), ends_at, click: None, organization: "org_1".to_owned() };
        for kind in [WebhookSourceKind::Clerk, WebhookSourceKind::Stripe] {
            let events = feed.events(kind);
            let order = |seed| disordered(&events, seed);
            assert!(events.iter().all(|event| order(1).contains(event)));
            assert!(order(1).len() > events.len());
            assert_ne!(order(1), order(2));
            assert_eq!(order(1), order(1));
        }
    }
}
