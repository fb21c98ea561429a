//! Refunds: what of a commission is taken back when its payment is, and given back where a refund has failed.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::QueryResult;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    booking::{Booked, Booking, BookingFault, Content, differs},
    commission::{Commission, CommissionEventType, CommissionStatus},
    rule::RateSource,
};
use crate::{
    ids::CommissionId,
    models::{
        billing::invoice::{Invoice, NewInvoice},
        ledger::books::Books,
        programmes::link::Link,
        scope::Scope,
    },
    money::{Money, stored_currency},
};

/// A refund as the billing system reports it.
#[derive(Debug, Clone)]
pub struct InvoiceRefund {
    /// The invoice's id.
    pub invoice: String,
    /// How much of it has been refunded in all, this time included.
    pub refunded: Money,
    /// When.
    pub refunded_at: DateTime<Utc>,
}

impl Books<'_> {
    /// Books what a refund takes back, or gives back where one before it has failed. `refunded` is cumulative, and reports are ordered by
    /// `refunded_at` (of two of one time the larger is the later): one that is not later than what is known changes nothing, so that
    /// reports may repeat, be lost or overtake each other and the books end the same.
    pub async fn record_refund(&self, report: &InvoiceRefund) -> QueryResult<Booking> {
        let (currency, refunded) = (report.refunded.currency, report.refunded.amount);
        let reported = NewInvoice {
            tenant_id: self.tenant,
            external_id: &report.invoice,
            customer_id: None,
            currency: currency.code(),
            amount: None,
            paid_at: None,
            refunded,
            refunded_at: Some(report.refunded_at),
        };
        let (invoice, is_new) = Invoice::add(self.connection, &reported).await?;
        if is_new {
            return Ok(Ok(Booked::new(None)));
        }
        if invoice.currency != currency.code() {
            return Ok(differs(Content::Currency, invoice.currency));
        }
        let commission = Commission::by_invoice(self.connection, self.tenant, &report.invoice).await?;
        let in_force = refunded.min(invoice.amount.unwrap_or(refunded));
        if (Some(report.refunded_at), refunded) <= (invoice.refunded_at, invoice.refunded) {
            let booked = match commission {
                Some(original) => {
                    Commission::by_refund(self.connection, self.tenant, original.id, in_force, report.refunded_at).await?
                }
                None => None,
            };
            return Ok(Ok(Booked::replay(booked)));
        }
        if let Some(paid) = invoice.amount.filter(|paid| refunded > *paid) {
            return Ok(Err(BookingFault::RefundsExceed { paid, refunded }));
        }
        self.refund_invoice(&invoice, commission, refunded, report.refunded_at).await.map(|reversal| Ok(Booked::new(reversal)))
    }

    /// Books what is refunded in all of an invoice, whatever was reported before; for reports whose order the caller knows by other means, and who has
    /// locked the invoice. What is refunded of an invoice that has not been paid is noted, and taken back when it is. Gives whether anything was not so
    /// already.
    pub(in crate::models) async fn set_refunded(
        &self,
        invoice: &str,
        refunded: Money,
        refunded_at: DateTime<Utc>,
    ) -> QueryResult<bool> {
        let reported = NewInvoice {
            tenant_id: self.tenant,
            external_id: invoice,
            customer_id: None,
            currency: refunded.currency.code(),
            amount: None,
            paid_at: None,
            refunded: Decimal::ZERO,
            refunded_at: None,
        };
        let (known, _) = Invoice::add(self.connection, &reported).await?;
        if known.refunded == refunded.amount {
            return Ok(false);
        }
        let commission = Commission::by_invoice(self.connection, self.tenant, invoice).await?;
        // Each change is later than the last: what is taken back is once for each sum and time.
        let next = |before: DateTime<Utc>| refunded_at.max(before + TimeDelta::microseconds(1));
        let refunded_at = known.refunded_at.map_or(refunded_at, next);
        self.refund_invoice(&known, commission, refunded.amount, refunded_at).await.map(|_| true)
    }

    /// Books what is refunded of an invoice, which is locked. Gives what takes back its commission.
    async fn refund_invoice(
        &self,
        invoice: &Invoice,
        commission: Option<Commission>,
        refunded: Decimal,
        refunded_at: DateTime<Utc>,
    ) -> QueryResult<Option<CommissionId>> {
        let Some(commission) = commission else {
            invoice.refund(self.connection, self.tenant, refunded, refunded_at).await?;
            self.refund_reward(&invoice.external_id, refunded, refunded_at).await?;
            return Ok(None);
        };
        let mut parts = Vec::new();
        let mut partners = vec![commission.partner_id];
        if let Some(link) = commission.link_id {
            // The figures of its link follow the invoice; where it was moved, these are another partner's.
            let links = Link::by_ids(self.connection, Scope::tenant(self.tenant), &[link]).await?;
            parts = Commission::parts_of(self.connection, self.tenant, commission.id).await?;
            partners.extend(links.values().map(|link| link.partner_id).chain(parts.iter().map(|part| part.partner_id)));
        }
        self.lock(&partners).await?;
        invoice.refund(self.connection, self.tenant, refunded, refunded_at).await?;
        let reversal = self.reverse_all(&commission, &parts, refunded, refunded_at).await?;
        self.refund_reward(&invoice.external_id, refunded, refunded_at).await?;
        Ok(reversal)
    }

    /// Takes back what has been refunded of a commission, and of the others' parts where it is shared. Gives what takes back the first.
    pub(super) async fn reverse_all(
        &self,
        owners: &Commission,
        parts: &[Commission],
        refunded: Decimal,
        refunded_at: DateTime<Utc>,
    ) -> QueryResult<Option<CommissionId>> {
        for part in parts {
            self.reverse(part, refunded, refunded_at).await?;
        }
        self.reverse(owners, refunded, refunded_at).await
    }

    /// Takes back a commission's share of what has been refunded, less what is taken back already; where that is more by now, gives back
    /// the difference. A reversal follows its original while that is unpaid, and is for the next payout when it is paid.
    async fn reverse(
        &self,
        original: &Commission,
        refunded: Decimal,
        refunded_at: DateTime<Utc>,
    ) -> QueryResult<Option<CommissionId>> {
        // Read again under the lock: it may have been approved or rejected meanwhile.
        let now = Commission::by_ids(self.connection, Scope::tenant(self.tenant), &[original.id]).await?;
        let locked = original.partner_id;
        let original = now.get(&original.id).unwrap_or(original);
        self.still_of(&[locked], [original.partner_id])?;
        let currency = stored_currency(&original.currency)?;
        let status = match original.status {
            CommissionStatus::Rejected => return Ok(None),
            CommissionStatus::Pending => CommissionStatus::Pending,
            CommissionStatus::Approved | CommissionStatus::Paid => CommissionStatus::Approved,
        };
        let reversals = Commission::reversals_of(self.connection, self.tenant, &[original.id]).await?;
        let reversed: Decimal = reversals.iter().map(|reversal| -reversal.amount).sum();
        let amount = reversal_target(original, refunded, currency) - reversed;
        if amount.is_zero() {
            return Ok(None);
        }
        let date = refunded_at.max(original.event_date);
        let mut event = self.event(CommissionEventType::Refund, original.partner_id, currency, date);
        event.status = status;
        event.customer_id = original.customer_id;
        event.invoice_id = original.invoice_id.as_deref();
        event.reverses_id = Some(original.id);
        event.link_id = original.link_id;
        event.source = RateSource::Reversal;
        event.base = Some(refunded);
        event.refunded_at = Some(refunded_at);
        event.amount = -amount;
        event.decided_at = (status == CommissionStatus::Approved).then_some(self.at);
        Ok(Some(self.book(&event, currency).await?.id))
    }
}

/// How much of a commission is to be taken back once so much of its base is refunded: all of it when all is.
pub fn reversal_target(original: &Commission, refunded: Decimal, currency: Currency) -> Decimal {
    match original.base {
        Some(base) if refunded < base => Money::rounded(original.amount * refunded / base, currency).amount,
        _ => original.amount,
    }
}
