//! Payouts for all partners at once: which partners, and one request for each.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use serde_json::json;
use uuid::Uuid;

use super::batch::PayoutRequest;
use crate::{
    clock,
    db::{
        schema::partner_payouts,
        statement::{Bind, statement},
    },
    ids::{PartnerId, TenantId},
    models::{
        commissions::list::FREE,
        idempotency::{Claim, Difference, Key, Operation},
        partners::status::PartnerStatus,
    },
};

/// Payouts to be made for all partners.
#[derive(Debug, Clone)]
pub struct BatchesRequest {
    /// In which currency.
    pub currency: Currency,
    /// The period's first instant.
    pub period_start: DateTime<Utc>,
    /// The period's end, exclusive.
    pub period_end: DateTime<Utc>,
    /// When they are to be paid; `None` for now.
    pub payout_date: Option<DateTime<Utc>>,
    /// Their idempotency key.
    pub key: String,
}

impl BatchesRequest {
    /// The key, which stays this request's from one call to the next.
    fn key(&self) -> Key {
        let time = |time: Option<DateTime<Utc>>| json!(time.map(clock::shown));
        let fields = [
            ("currency", json!(self.currency.code())),
            ("period.from", time(Some(self.period_start))),
            ("period.before", time(Some(self.period_end))),
            ("payoutDate", time(self.payout_date)),
        ];
        Key::new(self.key.clone(), fields)
    }

    /// A partner's payout.
    pub fn of(&self, partner: PartnerId) -> PayoutRequest {
        PayoutRequest {
            partner,
            currency: self.currency,
            period_start: self.period_start,
            period_end: self.period_end,
            payout_date: self.payout_date,
            notes: None,
            expected: None,
            previewed_at: None,
            key: format!("{} {partner}", self.key),
        }
    }

    /// Claims the key for this request, once. An error says where the first request with the key differs.
    pub async fn claim(&self, connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<Result<bool, Difference>> {
        let claim = self.key().claim(connection, Operation::CreatePayoutBatches, tenant, None, Uuid::now_v7()).await?;
        Ok(match claim {
            Claim::First => Ok(true),
            Claim::Replay(_) => Ok(false),
            Claim::Reused { difference, .. } => Err(difference),
        })
    }

    /// The partners that are to be paid, in the order of their ids, with their statuses: those of which a payout would take something, and
    /// those whose payouts this request has made already.
    pub async fn partners(
        &self,
        connection: &AsyncPgConnection,
        tenant: TenantId,
    ) -> QueryResult<BTreeMap<PartnerId, PartnerStatus>> {
        let done = self.done(connection, tenant).await?;
        let due = due_partners(connection, tenant, self.currency, self.period_end).await?;
        Ok(due.into_iter().chain(done.into_iter().map(|partner| (partner, PartnerStatus::Active))).collect())
    }

    /// The partners whose payouts have been made by this request.
    async fn done(&self, mut connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<Vec<PartnerId>> {
        let pattern: String =
            self.key.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect();
        partner_payouts::table
            .filter(partner_payouts::tenant_id.eq(tenant))
            .filter(partner_payouts::idempotency_key.like(format!("{pattern} {}\\_%", PartnerId::PREFIX)))
            .select(partner_payouts::partner_id)
            .load(&mut connection)
            .await
    }
}

/// The partners of which a payout of what was earned before an instant would take something, with their statuses.
pub async fn due_partners(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    currency: Currency,
    before: DateTime<Utc>,
) -> QueryResult<Vec<(PartnerId, PartnerStatus)>> {
    // A partner's accounts say which of them can have anything; then each is one probe of the index.
    statement::<(SqlUuid, Text)>(
        format!(
            "SELECT p.id, p.status::text FROM accounts a JOIN partners p ON p.tenant_id = a.tenant_id AND p.id = a.partner_id
             WHERE a.tenant_id = ? AND a.kind = 'payable' AND a.unit = ? AND EXISTS (
                 SELECT FROM partner_commission_events WHERE partner_commission_events.tenant_id = a.tenant_id
                     AND partner_commission_events.partner_id = a.partner_id AND partner_commission_events.currency = a.unit AND {FREE})
             ORDER BY p.id"
        ),
        vec![Bind::Uuid(tenant.uuid()), Bind::text(currency.code()), Bind::Time(before), Bind::Time(before)],
    )
    .load(&mut connection)
    .await
}
