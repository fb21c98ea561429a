//! Corrections of what a partner has earned, by an operator.

use diesel::{QueryResult, prelude::*, result::DatabaseErrorKind};
use diesel_async::RunQueryDsl;

use super::{
    booking::{Booked, Booking, BookingFault, Content, differs},
    books::Books,
    commission::{Commission, CommissionEventType, CommissionStatus},
    ledger::{self, Purse},
    partner::{Partner, PartnerStatus},
    rule::RateSource,
    scope::Scope,
};
use crate::{
    db::{QueryError, schema::partner_commission_events},
    ids::PartnerId,
    money::Money,
};

/// A correction by an operator.
#[derive(Debug, Clone)]
pub struct Adjustment {
    /// Whose earnings.
    pub partner: PartnerId,
    /// By how much; below zero takes away.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// What it must be the only one of.
    pub key: Option<String>,
}

impl Books<'_> {
    /// Books an operator's correction, approved at once. For a closed partner only what brings its balance nearer to zero: a refund may
    /// come after the end.
    pub async fn adjust(&self, adjustment: &Adjustment) -> QueryResult<Booking> {
        self.lock(&[adjustment.partner]).await?;
        if let Some(first) = self.adjustment_of_key(adjustment.key.as_deref()).await? {
            return Ok(same(&first, adjustment));
        }
        if let Some(fault) = self.closed(adjustment).await? {
            return Ok(Err(fault));
        }
        let currency = adjustment.amount.currency;
        let mut event = self.event(CommissionEventType::Adjustment, adjustment.partner, currency, self.at);
        event.status = CommissionStatus::Approved;
        event.source = RateSource::Manual;
        event.amount = adjustment.amount.amount;
        event.notes = Some(&adjustment.reason);
        event.idempotency_key = adjustment.key.as_deref();
        event.decided_by = self.by;
        event.decided_at = Some(self.at);
        Ok(Ok(Booked::new(Some(self.book(&event, currency).await?.id))))
    }

    async fn adjustment_of_key(&self, key: Option<&str>) -> QueryResult<Option<Commission>> {
        let Some(key) = key else { return Ok(None) };
        Commission::query()
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(partner_commission_events::idempotency_key.eq(key))
            .first(&mut &*self.connection)
            .await
            .optional()
    }

    /// Why a correction cannot be booked for a partner that is closed.
    async fn closed(&self, adjustment: &Adjustment) -> QueryResult<Option<BookingFault>> {
        let scope = Scope::tenant(self.tenant);
        let partners = Partner::by_ids(self.connection, scope, &[adjustment.partner]).await?;
        if partners.get(&adjustment.partner).is_none_or(|partner| partner.status != PartnerStatus::Closed) {
            return Ok(None);
        }
        let purse = Purse { partner: adjustment.partner, currency: adjustment.amount.currency };
        let balances = ledger::balances(self.connection, scope, &[purse]).await?;
        let payable = balances.get(&purse).copied().unwrap_or_default().payable;
        let left = payable + adjustment.amount.amount;
        let settles = left.abs() < payable.abs() && (left.is_zero() || left.is_sign_negative() == payable.is_sign_negative());
        Ok((!settles).then_some(BookingFault::Closed { payable }))
    }
}

/// A key used again: the first result where the content is the same.
fn same(first: &Commission, adjustment: &Adjustment) -> Booking {
    let currency = adjustment.amount.currency;
    if first.partner_id != adjustment.partner {
        return differs(Content::Partner, first.partner_id);
    }
    if first.currency != currency.code() {
        return differs(Content::Currency, &first.currency);
    }
    if first.amount != adjustment.amount.amount {
        return differs(Content::Amount, Money::rounded(first.amount, currency).amount);
    }
    match first.notes.as_deref() {
        Some(notes) if notes != adjustment.reason => differs(Content::Reason, notes),
        _ => Ok(Booked::replay(Some(first.id))),
    }
}

/// Whether a correction was refused because another, of another partner, is being booked with the same key.
pub fn is_key_taken(error: &QueryError) -> bool {
    matches!(error, QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, info)
        if info.constraint_name() == Some("partner_commission_events_idempotency_key"))
}
