//! Stripe's events: customers, paid invoices, what is refunded and disputed, and checkouts of visitors who came by a link.
//!
//! <https://docs.stripe.com/api/events/types>. Invoices have two shapes: before the API version 2025-03-31 they name their payment themselves, since then
//! `invoice_payment.paid` does. An endpoint keeps the version that it was made with, so both are read. Events come in any order and more than once.

mod amounts;
mod purchases;
mod reversals;

use chrono::{DateTime, Utc};

use super::fields::{Event, Object, Stop, ignored};
use crate::{
    models::{
        billing::{customer::CustomerReport, processor::Processor},
        webhooks::inbox::Disposition,
    },
    validation,
};

const LATE: &str = "A later state of it is known.";

/// Does what an event says.
pub async fn apply(processor: Processor<'_, '_>, event: Event<'_>) -> Result<Disposition, Stop> {
    let report = || {
        let at = Object(event.body).seconds("/created").ok_or_else(|| Stop::failed("It has no time at /created."))?;
        Ok::<_, Stop>(Report { processor, object: Object(Object(event.body).at("/data/object")), at })
    };
    match event.name {
        "customer.created" => report()?.customer(0).await,
        "customer.updated" => report()?.customer(1).await,
        "invoice.paid" => report()?.invoice().await,
        "invoice_payment.paid" => report()?.invoice_payment().await,
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => report()?.checkout().await,
        "charge.refunded" => report()?.charge().await,
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => report()?.refund().await,
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => report()?.dispute(event.name).await,
        _ => Ok(ignored("Nothing is kept of events of this type.")),
    }
}

/// The state of an object as of an instant.
#[derive(Clone, Copy)]
struct Report<'b, 'c, 'e> {
    processor: Processor<'b, 'c>,
    object: Object<'e>,
    at: DateTime<Utc>,
}

impl<'e> Report<'_, '_, 'e> {
    /// A customer, by a report of that step: of two of one second, that of the later step is the later.
    async fn customer(self, step: i32) -> Result<Disposition, Stop> {
        let id = self.object.needed("/id")?;
        let is_latest = self.processor.report_customer(&self.reported(id, "/name", "/email"), self.at, step).await?;
        Ok(if is_latest { Disposition::applied([]) } else { ignored(LATE) })
    }

    /// A customer of an id, with the name and the address under these paths.
    fn reported(self, id: &str, name: &str, email: &str) -> CustomerReport {
        let email = self.object.text(email).filter(|email| validation::email(email).is_ok());
        let name = self.object.name(name).unwrap_or_else(|| email.unwrap_or(id).to_owned());
        CustomerReport { external_id: id.to_owned(), name, email: email.map(str::to_owned) }
    }

    /// The payment that an object names: its payment intent, or its charge where it has none.
    fn payment(self, below: &str) -> Option<&'e str> {
        let id = |name: &str| self.object.id_at(&format!("{below}/{name}"));
        id("payment_intent").or_else(|| id("charge"))
    }
}
