//! Payments of before a partner managed the customer: where it turns out that it did already, those that earned nothing are booked.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::invoice::Invoice;
use crate::{
    db::{schema::invoices, statement::condition},
    ids::{CustomerId, TenantId},
    models::{
        commissions::{rule::Payment, split::Earner},
        ledger::books::Books,
    },
    money::{Money, stored_currency},
};

/// The most payments that are booked at once: each takes a few statements.
pub const MOST: usize = 1_000;

/// A customer's paid invoices since an instant that have earned nobody anything, the first one first, one more than are booked at once; locked
/// until the transaction ends, before any books are.
pub(in crate::models) async fn lock_unearned(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    customer: CustomerId,
    since: DateTime<Utc>,
) -> QueryResult<Vec<Invoice>> {
    Invoice::query()
        .filter(invoices::tenant_id.eq(tenant))
        .filter(invoices::customer_id.eq(customer))
        .filter(invoices::paid_at.ge(since))
        .filter(condition(
            "NOT EXISTS (SELECT FROM partner_commission_events e WHERE e.tenant_id = invoices.tenant_id
                 AND e.invoice_id = invoices.external_id AND e.event_type = 'invoice_payment')",
            Vec::new(),
        ))
        .order((invoices::paid_at, invoices::external_id))
        .limit(i64::try_from(MOST + 1).unwrap_or(i64::MAX))
        .for_no_key_update()
        .load(&mut connection)
        .await
}

impl Books<'_> {
    /// Books payments that earned nothing, each by the rule that held when it was paid, and what was refunded of them. The invoices and the
    /// partners' books are locked. Gives how many.
    pub(in crate::models) async fn book_past_payments(&self, earner: Earner<'_>, unearned: &[Invoice]) -> QueryResult<usize> {
        let account = earner.account;
        let mut unearned = unearned.to_vec();
        self.price(account.origin.programme_id, &mut unearned).await?;
        let mut booked = 0;
        for invoice in &unearned {
            let (Some(amount), Some(paid_at)) = (invoice.amount, invoice.paid_at) else { continue };
            let currency = stored_currency(&invoice.currency)?;
            let amount = Money::rounded(amount, currency);
            let payment = Payment {
                partner: account.partner_id,
                programme: account.origin.programme_id,
                customer: account.customer_id,
                amount,
                at: paid_at,
            };
            self.book_paid_invoice(payment, earner, invoice).await?;
            booked += 1;
        }
        Ok(booked)
    }
}
