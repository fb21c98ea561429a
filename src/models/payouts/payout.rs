//! Payouts: what is paid to partners at once. Making them is in [`super::batch`], taking them through their steps in
//! [`super::step`], lists of them in [`super::list`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use serde_json::Value;

use super::status::PayoutStatus;
use crate::{
    db::schema::partner_payouts,
    ids::{PartnerId, PayoutId, TenantId, UserId},
    models::{
        ledger::{AccountKind, Posting, Source, TransferKind, books::Books},
        partners::profile::PaymentMethod,
        scope::Scope,
    },
    money::stored_currency,
};

/// A payout.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_payouts)]
pub struct Payout {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: PayoutId,
    /// Who is paid.
    pub partner_id: PartnerId,
    /// How much.
    pub total_amount: Decimal,
    /// The total as lists are ordered by it.
    pub total_sort: i64,
    /// The currency (ISO 4217).
    pub currency: String,
    /// How many commissions it was made of.
    pub commission_count: i32,
    /// SHA-256 over them.
    pub fingerprint: String,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// The payment's reference, once completed.
    pub payment_reference: Option<String>,
    /// How far it has come.
    pub status: PayoutStatus,
    /// How often it has been tried to pay it.
    pub attempt: i32,
    /// When it is to be paid.
    pub payout_date: DateTime<Utc>,
    /// When it was paid.
    pub completed_at: Option<DateTime<Utc>>,
    /// The period's first instant.
    pub period_start: DateTime<Utc>,
    /// The period's end, exclusive.
    pub period_end: DateTime<Utc>,
    /// Notes of the person who made it.
    pub notes: Option<String>,
    /// Why it failed or came back, the last time.
    pub failure_reason: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its status changed last.
    pub updated_at: DateTime<Utc>,
}

/// A payout to be made.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = partner_payouts)]
pub struct NewPayout<'a> {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: PayoutId,
    /// Who is paid.
    pub partner_id: PartnerId,
    /// How much.
    pub total_amount: Decimal,
    /// The currency.
    pub currency: &'static str,
    /// How many commissions it is made of.
    pub commission_count: i32,
    /// SHA-256 over them.
    pub fingerprint: &'a str,
    /// How it is to be paid.
    pub payment_method: PaymentMethod,
    /// When it is to be paid.
    pub payout_date: DateTime<Utc>,
    /// The period's first instant.
    pub period_start: DateTime<Utc>,
    /// The period's end, exclusive.
    pub period_end: DateTime<Utc>,
    /// Notes.
    pub notes: Option<&'a str>,
    /// The idempotency key.
    pub idempotency_key: Option<&'a str>,
    /// What was asked for with it.
    pub request: Option<Value>,
    /// Who makes it.
    pub created_by: Option<UserId>,
    /// When it is made.
    pub created_at: DateTime<Utc>,
    /// The same.
    pub updated_at: DateTime<Utc>,
}

impl Payout {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[PayoutId],
    ) -> QueryResult<HashMap<PayoutId, Self>> {
        let rows = Self::query()
            .filter(partner_payouts::tenant_id.eq(scope.tenant))
            .filter(partner_payouts::id.eq_any(ids))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row: &Self| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// The payout that was made with a key, and what was asked for then.
    pub async fn by_key(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        key: &str,
    ) -> QueryResult<Option<(Self, Option<Value>)>> {
        partner_payouts::table
            .filter(partner_payouts::tenant_id.eq(tenant))
            .filter(partner_payouts::idempotency_key.eq(key))
            .select((Self::as_select(), partner_payouts::request))
            .first(&mut connection)
            .await
            .optional()
    }

    /// The payout, locked until the transaction ends.
    pub async fn lock(mut connection: &AsyncPgConnection, tenant: TenantId, id: PayoutId) -> QueryResult<Option<Self>> {
        let query =
            Self::query().filter(partner_payouts::tenant_id.eq(tenant)).filter(partner_payouts::id.eq(id)).for_no_key_update();
        query.first(&mut connection).await.optional()
    }
}

impl Books<'_> {
    /// Moves a payout's total from one account to another.
    pub async fn move_payout(
        &self,
        payout: &Payout,
        attempt: i32,
        from: AccountKind,
        to: AccountKind,
        kind: TransferKind,
    ) -> QueryResult<()> {
        let currency = stored_currency(&payout.currency)?;
        let source = Source::Payout(payout.id, attempt);
        let partner = payout.partner_id;
        self.post(&[Posting { partner, currency, from, to, amount: payout.total_amount, kind, source }]).await
    }
}
