//! Purchases: invoices that were paid, the payments that paid them, and checkouts.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{Report, amounts::amount};
use crate::{
    ids::ClickId,
    models::{
        billing::{
            customer::{Customer, CustomerReport},
            past_payment,
            processor::Paid,
        },
        commissions::booking::{BookingFault, Content, InvoicePayment},
        programmes::attribution::{AttributionOutcome, CameBy},
        webhooks::inbox::Disposition,
    },
    money::Money,
    webhooks::receiving::fields::{Object, Stop, ignored},
};

/// For how long a click that is not known yet may still be on its way to the database.
const CLICK_ON_ITS_WAY: TimeDelta = TimeDelta::hours(1);
/// How many payments of one invoice are looked at.
const MOST_PAYMENTS: usize = 50;
/// Where metadata may be that has a click's id: a checkout's and an invoice's own, and that of an invoice's subscription, in the old shape and the new.
const METADATA: [&str; 3] = ["/metadata", "/subscription_details/metadata", "/parent/subscription_details/metadata"];

impl<'e> Report<'_, '_, 'e> {
    pub(super) async fn invoice(self) -> Result<Disposition, Stop> {
        let id = self.object.needed("/id")?;
        let customer = self.object.id_at("/customer").ok_or_else(|| Stop::failed("It names no customer."))?;
        let Some(paid) = self.paid()? else { return Ok(ignored("Nothing was paid of it.")) };
        let payments = self.payments();
        self.processor.lock(&payments, Some(id)).await?;
        let mut notes = Vec::new();
        for payment in &payments {
            notes.extend(self.pays(payment, id).await?);
        }
        let report = self.reported(customer, "/customer_name", "/customer_email");
        let paid_at = self.object.seconds("/status_transitions/paid_at").filter(|paid_at| *paid_at <= self.at).unwrap_or(self.at);
        let stays = self.record(id, &report, paid, paid_at, self.click()).await?;
        self.processor.follow_reversals(id, self.at).await?;
        let known = payments.into_iter().chain([id]).map(str::to_owned).collect();
        Ok(match stays {
            Some(stays) => {
                notes.push(stays);
                Disposition::Ignored { reason: notes.join(" "), known }
            }
            None => Disposition::Applied { known, note: (!notes.is_empty()).then(|| notes.join(" ")) },
        })
    }

    pub(super) async fn invoice_payment(self) -> Result<Disposition, Stop> {
        let invoice = self.object.id_at("/invoice").ok_or_else(|| Stop::failed("It names no invoice."))?;
        let Some(payment) = self.payment("/payment") else { return Ok(ignored("It was paid outside of Stripe.")) };
        self.processor.lock(&[payment], Some(invoice)).await?;
        let note = self.pays(payment, invoice).await?;
        self.processor.follow_reversals(invoice, self.at).await?;
        Ok(Disposition::Applied { known: vec![payment.to_owned()], note })
    }

    /// Notes that a payment has paid an invoice, both of which are locked; gives what a person should know of it. One that its checkout has booked without
    /// an invoice is refused.
    pub(super) async fn pays(self, payment: &str, invoice: &str) -> Result<Option<String>, Stop> {
        if payment != invoice && self.processor.currency_of(payment).await?.is_some() {
            let reason = format!("{payment} was booked by its checkout, without an invoice, and would earn twice.");
            return Err(Stop::failed(reason));
        }
        Ok(self.processor.note_payment(payment, invoice, self.at).await?)
    }

    /// A checkout says who came by a click. Where it makes no invoice, it is the payment too.
    pub(super) async fn checkout(self) -> Result<Disposition, Stop> {
        let click = self.click();
        let mut payment = self.object.id_at("/payment_intent").filter(|_| self.is_payment());
        if let Some(id) = payment {
            self.processor.lock(&[id], None).await?;
            // One that has paid an invoice is that invoice's.
            let is_invoices = self.processor.invoices_of(&[id]).await?.iter().any(|invoice| invoice != id);
            payment = payment.filter(|_| !is_invoices);
        }
        if click.is_none() && payment.is_none() {
            return Ok(ignored("It has neither a click's id nor a payment without an invoice."));
        }
        let guest = self.object.text("/customer_details/email").map(str::to_lowercase);
        let Some(customer) = self.object.id_at("/customer").or(guest.as_deref()) else {
            return Ok(ignored("It names no customer."));
        };
        let report = self.reported(customer, "/customer_details/name", "/customer_details/email");
        if let Some(click) = click {
            self.came(&report, click).await?;
        }
        let Some(payment) = payment else { return Ok(Disposition::applied([])) };
        let (code, number) = (self.object.needed("/currency")?, self.object.needed_number("/amount_total")?);
        let tax = self.object.number("/total_details/amount_tax").unwrap_or(0).clamp(0, number);
        let paid = Paid { gross: amount(number, code)?, net: amount(number - tax, code)? };
        self.pays(payment, payment).await?;
        let stays = self.record(payment, &report, paid, self.at, None).await?;
        self.processor.follow_reversals(payment, self.at).await?;
        Ok(match stays {
            Some(reason) => Disposition::Ignored { reason, known: vec![payment.to_owned()] },
            None => Disposition::applied([payment]),
        })
    }

    /// Whether a checkout is a payment that has been made and has no invoice.
    fn is_payment(self) -> bool {
        self.object.text("/mode") == Some("payment")
            && self.object.text("/payment_status") == Some("paid")
            && self.object.id_at("/invoice").is_none()
            && *self.object.at("/invoice_creation/enabled") != Value::Bool(true)
            && self.object.number("/amount_total").is_some_and(|amount| amount > 0)
    }

    /// Makes a customer the partner's by whose link they came to a checkout.
    async fn came(self, report: &CustomerReport, click: ClickId) -> Result<(), Stop> {
        let began_at = self.object.seconds("/created").unwrap_or(self.at);
        let books = self.processor.0;
        let customer = Customer::add(books.connection, books.tenant, report).await?;
        match self.processor.came_by(customer, &CameBy::Clicks(vec![click]), began_at).await? {
            None => Err(Stop::failed(too_many_payments())),
            Some(AttributionOutcome::Unknown) => self.unknown(click),
            Some(_) => Ok(()),
        }
    }

    /// A click that is not known may be on its way still.
    fn unknown(self, click: ClickId) -> Result<(), Stop> {
        if self.processor.0.at - self.at >= CLICK_ON_ITS_WAY {
            return Ok(());
        }
        Err(Disposition::Parked { reason: format!("The click {click} is not known yet."), waits_for: None }.into())
    }

    /// Books a payment, once. One that was reported otherwise with another amount or at another time stays as it is, and refunds follow that; then it gives
    /// what to say of it.
    async fn record(
        self,
        invoice: &str,
        customer: &CustomerReport,
        paid: Paid,
        paid_at: DateTime<Utc>,
        click: Option<ClickId>,
    ) -> Result<Option<String>, Stop> {
        if self.processor.currency_of(invoice).await?.is_some() {
            return Ok(None);
        }
        let books = self.processor.0;
        let known = Customer::add(books.connection, books.tenant, customer).await?;
        let came = click.map(|click| CameBy::Clicks(vec![click]));
        if let (Some(click), Some(came)) = (click, &came)
            && !self.processor.is_managed(known, paid_at).await?
            && books.visit(came, paid_at).await?.is_err_and(|outcome| outcome == AttributionOutcome::Unknown)
        {
            self.unknown(click)?;
        }
        let amount = self.processor.commission_base(known, paid, paid_at).await?;
        self.processor.note_invoice(invoice, paid).await?;
        if amount.amount.is_zero() {
            return Ok(None);
        }
        let (invoice, customer) = (invoice.to_owned(), customer.external_id.clone());
        let booked = books.record_payment(&InvoicePayment { invoice, customer, amount, paid_at, came }).await?;
        match booked {
            Ok(_) => Ok(None),
            Err(fault @ BookingFault::Differs { content: Content::Amount | Content::PaidAt, .. }) => {
                Ok(Some(format!("{} That stays, and refunds follow it.", not_booked(&fault))))
            }
            Err(fault) => Err(Stop::failed(not_booked(&fault))),
        }
    }

    /// What was paid of an invoice; `None` for nothing.
    fn paid(self) -> Result<Option<Paid>, Stop> {
        let (code, number) = (self.object.needed("/currency")?, self.object.needed_number("/amount_paid")?);
        if number <= 0 {
            return Ok(None);
        }
        let gross = amount(number, code)?;
        // Versions of the API from before 2022 have the tax instead.
        let before_tax = match (self.object.at("/total_excluding_tax"), self.object.number("/total"), self.object.number("/tax"))
        {
            (Value::Null, Some(all), Some(tax)) => Value::from(all.saturating_sub(tax)),
            (net, _, _) => net.clone(),
        };
        let net = match (self.object.number("/total"), before_tax) {
            (_, Value::Null) => gross,
            (Some(all), net) if all > 0 => {
                let net = net.as_i64().filter(|net| (0..=all).contains(net));
                let net = net.ok_or_else(|| Stop::failed("Without tax it is no whole number from 0 to its /total."))?;
                // Where a balance has paid a part of it, the same part of what is left is without tax.
                Money::rounded(gross.amount * (Decimal::from(net) / Decimal::from(all)), gross.currency)
            }
            _ => gross,
        };
        Ok(Some(Paid { gross, net }))
    }

    /// The payments that an invoice names: one by itself in its old shape, those of its list in the new one.
    fn payments(self) -> Vec<&'e str> {
        let listed = self.object.at("/payments/data").as_array().map(Vec::as_slice).unwrap_or_default();
        let of_list = listed.iter().filter_map(|payment| Report { object: Object(payment), ..self }.payment("/payment"));
        let own = ["/payment_intent", "/charge"].into_iter().filter_map(|path| self.object.id_at(path));
        own.chain(of_list).take(MOST_PAYMENTS).collect()
    }

    /// The click by which somebody came to a purchase: its id as the shop's own reference, or anywhere in the metadata.
    fn click(self) -> Option<ClickId> {
        let values = METADATA.into_iter().filter_map(|path| self.object.at(path).as_object()).flat_map(|map| map.values());
        let mut texts = self.object.text("/client_reference_id").into_iter().chain(values.filter_map(|value| value.as_str()));
        texts.find_map(|text| text.trim().parse().ok())
    }
}

fn too_many_payments() -> String {
    format!(
        "More than {} payments of the customer since then have earned nothing, and no more are booked at once.",
        past_payment::MOST
    )
}

/// Why a payment is not booked, for people.
fn not_booked(fault: &BookingFault) -> String {
    match fault {
        BookingFault::Differs { content, first } => {
            let what = match content {
                Content::Customer => "by another customer",
                Content::Amount => "with another amount",
                Content::Currency => "in another currency",
                Content::PaidAt => "at another time",
            };
            format!("The invoice was reported before {what}: {first}.")
        }
        BookingFault::TooManyPayments => too_many_payments(),
        BookingFault::UnknownCustomer
        | BookingFault::UnknownPartner
        | BookingFault::KeyTaken
        | BookingFault::KeyReused { .. }
        | BookingFault::Closed { .. }
        | BookingFault::RefundsExceed { .. } => format!("The payment cannot be booked: {fault:?}."),
    }
}
