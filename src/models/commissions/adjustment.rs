//! Corrections of what a partner has earned, by an operator.

use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{
    booking::{Booked, Booking, BookingFault},
    commission::{Commission, CommissionEventType, CommissionStatus},
    rule::RateSource,
};
use crate::{
    db::{QueryError, is_taken, schema::partner_commission_events},
    ids::PartnerId,
    models::{
        idempotency::Key,
        ledger::{self, Purse, books::Books},
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
    money::{Money, stored_currency},
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
    /// Its idempotency key.
    pub key: String,
}

impl Adjustment {
    fn key(&self) -> Key {
        let fields = [
            ("partnerId", json!(self.partner.to_string())),
            ("amount", json!(self.amount.amount.to_string())),
            ("currency", json!(self.amount.currency.code())),
            ("reason", json!(self.reason)),
        ];
        Key::new(self.key.clone(), fields)
    }
}

impl Commission {
    /// What a correction's own columns say of its request.
    fn kept(&self) -> [(&'static str, Value); 4] {
        let amount = stored_currency(&self.currency).map_or(self.amount, |currency| Money::rounded(self.amount, currency).amount);
        [
            ("partnerId", json!(self.partner_id.to_string())),
            ("amount", json!(amount.to_string())),
            ("currency", json!(self.currency)),
            ("reason", json!(self.notes)),
        ]
    }
}

impl Books<'_> {
    /// Books an operator's correction, approved at once. For a closed partner only what brings its balance nearer to zero: a refund may
    /// come after the end.
    pub async fn adjust(&self, scope: Scope, adjustment: &Adjustment) -> QueryResult<Booking> {
        if Partner::by_ids(self.connection, scope, &[adjustment.partner]).await?.is_empty() {
            return Ok(Err(BookingFault::UnknownPartner));
        }
        self.lock(&[adjustment.partner]).await?;
        let key = adjustment.key();
        if let Some((first, request)) = self.adjustment_of_key(&key).await? {
            let (first, kept) = (first.id, first.kept());
            return Ok(match key.difference(request.as_ref(), kept) {
                None => Ok(Booked::replay(Some(first))),
                Some(difference) => Err(BookingFault::KeyReused { first, difference }),
            });
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
        event.idempotency_key = Some(&adjustment.key);
        event.request = Some(key.request());
        event.decided_by = self.by;
        event.decided_at = Some(self.at);
        match self.book(&event, currency).await {
            Err(error) if is_key_taken(&error) => Ok(Err(BookingFault::KeyTaken)),
            booked => booked.map(|commission| Ok(Booked::new(Some(commission.id)))),
        }
    }

    async fn adjustment_of_key(&self, key: &Key) -> QueryResult<Option<(Commission, Option<Value>)>> {
        partner_commission_events::table
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(partner_commission_events::idempotency_key.eq(key.text()))
            .select((Commission::as_select(), partner_commission_events::request))
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

/// Whether a correction was refused because another, of another partner, is being booked with the same key.
fn is_key_taken(error: &QueryError) -> bool {
    is_taken(error, "partner_commission_events_idempotency_key")
}
