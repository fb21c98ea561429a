//! Making payouts: what one would hold, and making just that.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{BigInt, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    books::Books,
    ledger::{AccountKind, TransferKind},
    payout::{NewPayout, Payout},
    payout_status::{NewPayoutChange, PayoutChange, PayoutStatus},
    profile::PaymentMethod,
    tenant::TenantSettings,
};
use crate::{
    db::{
        schema::{partner_payouts, partner_profiles},
        statement::{Bind, statement},
    },
    ids::{PartnerId, PayoutChangeId, PayoutId, TenantId},
    money::Money,
};

/// What a payout is asked for.
#[derive(Debug, Clone)]
pub struct PayoutRequest {
    /// Who is to be paid.
    pub partner: PartnerId,
    /// In which currency.
    pub currency: Currency,
    /// The period's first instant.
    pub period_start: DateTime<Utc>,
    /// The period's end, exclusive.
    pub period_end: DateTime<Utc>,
    /// When it is to be paid.
    pub payout_date: DateTime<Utc>,
    /// Notes.
    pub notes: Option<String>,
    /// What it must hold, as a preview has said.
    pub expected: Option<Fingerprint>,
    /// What it must be the only one of.
    pub key: Option<String>,
}

/// What a preview can be held to: a SHA-256 over the canonical lines, which decides; and the number, total and time of the
/// preview, so that it can be said what has changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 in hexadecimal over one line for each commission, by date and id: its UUID, its amount with four digits after the
    /// point and its currency, with a space between them and a line feed between lines.
    pub sha256: String,
    /// How many commissions.
    pub count: i64,
    /// Their sum.
    pub total: Decimal,
    /// When it was taken.
    pub at: DateTime<Utc>,
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}:{}", self.sha256, self.count, self.total.normalize(), self.at.timestamp_micros())
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let [sha256, count, total, at] = text.split(':').collect::<Vec<_>>().try_into().map_err(drop)?;
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(());
        }
        Ok(Self {
            sha256: sha256.to_ascii_lowercase(),
            count: count.parse().map_err(drop)?,
            total: Decimal::from_str_exact(total).map_err(drop)?,
            at: DateTime::from_timestamp_micros(at.parse().map_err(drop)?).ok_or(())?,
        })
    }
}

/// What changed between a preview and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What was previewed.
    pub expected: Fingerprint,
    /// What it would be now.
    pub now: Fingerprint,
    /// How many of those that it would hold were booked or approved since.
    pub came: i64,
    /// How many have gone since: rejected, or into another payout.
    pub went: i64,
}

/// Why no payout was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutFault {
    /// What is free does not come to more than zero, or not to the tenant's minimum; it is carried forward.
    NothingToPay {
        /// What is free.
        total: Decimal,
        /// The least that is paid out.
        minimum: Decimal,
    },
    /// The preview no longer holds.
    Changed(Box<Changed>),
    /// The key was used for a payout to another partner, in another currency or for another period.
    KeyReused(PayoutId),
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The payout.
    pub payout: PayoutId,
    /// Whether it had been made before with the same key.
    pub is_replay: bool,
}

/// What is approved, in no payout and earned before an instant: the condition of what the next payout takes.
const FREE: &str =
    "tenant_id = ? AND partner_id = ? AND currency = ? AND status = 'approved' AND payout_id IS NULL AND event_date < ?";

fn free(tenant: TenantId, partner: PartnerId, currency: Currency, before: DateTime<Utc>) -> Vec<Bind> {
    vec![Bind::Uuid(tenant.uuid()), Bind::Uuid(partner.uuid()), Bind::text(currency.code()), Bind::Time(before)]
}

impl Fingerprint {
    /// What a payout would hold now.
    pub async fn of(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        partner: PartnerId,
        currency: Currency,
        before: DateTime<Utc>,
    ) -> QueryResult<Self> {
        let (count, total, sha256, at): (i64, Decimal, String, DateTime<Utc>) =
            statement::<(BigInt, Numeric, Text, Timestamptz)>(
                format!(
                    "SELECT count(*), coalesce(sum(amount), 0), encode(sha256(convert_to(coalesce(string_agg(
                     id::text || ' ' || amount::text || ' ' || currency, E'\\n' ORDER BY event_date, id), ''), 'UTF8')), 'hex'),
                     transaction_timestamp()
                 FROM partner_commission_events WHERE {FREE}"
                ),
                free(tenant, partner, currency, before),
            )
            .get_result(&mut connection)
            .await?;
        Ok(Self { sha256, count, total, at })
    }
}

/// The partners that have something to be paid in a currency, of those that may work.
pub async fn due_partners(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    currency: Currency,
) -> QueryResult<Vec<PartnerId>> {
    statement::<SqlUuid>(
        "SELECT p.id FROM accounts a JOIN partners p ON p.tenant_id = a.tenant_id AND p.id = a.partner_id
         WHERE a.tenant_id = ? AND a.kind = 'payable' AND a.unit = ? AND a.balance > 0 AND p.status = 'active'
         ORDER BY p.id",
        vec![Bind::Uuid(tenant.uuid()), Bind::text(currency.code())],
    )
    .load(&mut connection)
    .await
}

impl Books<'_> {
    /// Makes a payout of what is approved and free up to the period's end.
    pub async fn create_payout(&self, request: &PayoutRequest) -> QueryResult<Result<Made, PayoutFault>> {
        self.lock(&[request.partner]).await?;
        if let Some(key) = &request.key
            && let Some(first) = Payout::by_key(self.connection, self.tenant, key).await?
        {
            let is_same = first.partner_id == request.partner
                && first.currency == request.currency.code()
                && first.period_start == request.period_start
                && first.period_end == request.period_end;
            let made = Made { payout: first.id, is_replay: true };
            return Ok(if is_same { Ok(made) } else { Err(PayoutFault::KeyReused(first.id)) });
        }
        let now = Fingerprint::of(self.connection, self.tenant, request.partner, request.currency, request.period_end).await?;
        if let Some(expected) = &request.expected
            && expected.sha256 != now.sha256
        {
            return self
                .changed(request, expected.clone(), now)
                .await
                .map(|changed| Err(PayoutFault::Changed(Box::new(changed))));
        }
        let minimum = TenantSettings::minimum_payout(self.connection, self.tenant, request.currency).await?;
        if now.total <= Decimal::ZERO || now.total < minimum {
            return Ok(Err(PayoutFault::NothingToPay { total: now.total, minimum }));
        }
        let payout = self.insert_payout(request, &now).await?;
        self.take(&payout).await?;
        self.move_payout(&payout, payout.attempt, AccountKind::Payable, AccountKind::InPayout, TransferKind::Hold).await?;
        let step = NewPayoutChange {
            tenant_id: self.tenant,
            id: PayoutChangeId::new(),
            partner_id: payout.partner_id,
            payout_id: payout.id,
            from_status: None,
            to_status: PayoutStatus::Pending,
            changed_by: self.by,
            note: None,
            created_at: self.at,
        };
        PayoutChange::insert(self.connection, &step).await?;
        Ok(Ok(Made { payout: payout.id, is_replay: false }))
    }

    async fn insert_payout(&self, request: &PayoutRequest, now: &Fingerprint) -> QueryResult<Payout> {
        let method: Option<PaymentMethod> = partner_profiles::table
            .filter(partner_profiles::tenant_id.eq(self.tenant))
            .filter(partner_profiles::partner_id.eq(request.partner))
            .select(partner_profiles::payment_method)
            .first(&mut &*self.connection)
            .await
            .optional()?;
        let new = NewPayout {
            tenant_id: self.tenant,
            id: PayoutId::new(),
            partner_id: request.partner,
            total_amount: Money::rounded(now.total, request.currency).amount,
            currency: request.currency.code(),
            commission_count: i32::try_from(now.count).unwrap_or(i32::MAX),
            fingerprint: &now.sha256,
            payment_method: method.unwrap_or(PaymentMethod::Manual),
            payout_date: request.payout_date,
            period_start: request.period_start,
            period_end: request.period_end,
            notes: request.notes.as_deref(),
            idempotency_key: request.key.as_deref(),
            created_by: self.by,
            created_at: self.at,
            updated_at: self.at,
        };
        diesel::insert_into(partner_payouts::table)
            .values(&new)
            .returning(Payout::as_returning())
            .get_result(&mut &*self.connection)
            .await
    }

    /// Gives a payout the commissions that are free, and keeps the list of them.
    async fn take(&self, payout: &Payout) -> QueryResult<()> {
        let currency = Currency::from_code(&payout.currency).unwrap_or(Currency::XXX);
        let mut binds = vec![Bind::Uuid(payout.id.uuid()), Bind::Time(self.at)];
        binds.extend(free(self.tenant, payout.partner_id, currency, payout.period_end));
        binds.push(Bind::Uuid(payout.id.uuid()));
        statement::<BigInt>(
            format!(
                "WITH taken AS (
                     UPDATE partner_commission_events SET payout_id = ?, updated_at = ? WHERE {FREE}
                     RETURNING tenant_id, partner_id, id, event_date, amount)
                 INSERT INTO partner_payout_items (tenant_id, payout_id, event_id, partner_id, event_date, amount)
                 SELECT tenant_id, ?, id, partner_id, event_date, amount FROM taken"
            ),
            binds,
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    async fn changed(&self, request: &PayoutRequest, expected: Fingerprint, now: Fingerprint) -> QueryResult<Changed> {
        let of_partner = || {
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::Uuid(request.partner.uuid()),
                Bind::text(request.currency.code()),
                Bind::Time(request.period_end),
                Bind::Time(expected.at),
            ]
        };
        let is_free = "status = 'approved' AND payout_id IS NULL";
        let (came, went): (i64, i64) = statement::<(BigInt, BigInt)>(
            format!(
                "SELECT count(*) FILTER (WHERE {is_free}), count(*) FILTER (WHERE status <> 'pending' AND NOT ({is_free}) AND created_at < ?)
                 FROM partner_commission_events
                 WHERE tenant_id = ? AND partner_id = ? AND currency = ? AND event_date < ? AND updated_at >= ?"
            ),
            [vec![Bind::Time(expected.at)], of_partner()].concat(),
        )
        .get_result(&mut &*self.connection)
        .await?;
        Ok(Changed { expected, now, came, went })
    }
}
