//! Making payouts: what one would hold, and making just that.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{BigInt, Numeric, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde_json::json;

use super::{
    payout::{NewPayout, Payout},
    status::{NewPayoutChange, PayoutChange, PayoutStatus},
};
use crate::{
    clock,
    db::{
        QueryError, is_taken,
        schema::{partner_payouts, partner_profiles},
        statement::{Bind, statement},
    },
    ids::{PartnerId, PayoutChangeId, PayoutId, TenantId},
    models::{
        commissions::list::FREE,
        idempotency::{Difference, Key},
        ledger::{AccountKind, TransferKind, books::Books},
        partners::{partner::Partner, profile::PaymentMethod},
        people::tenant::TenantSettings,
        scope::Scope,
    },
    money::{MAX_AMOUNT, Money, stored_currency},
};

/// The most commissions of one payout: its count is a GraphQL `Int`.
const MAX_COUNT: i64 = i32::MAX as i64;

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
    /// When it is to be paid; `None` for now.
    pub payout_date: Option<DateTime<Utc>>,
    /// Notes.
    pub notes: Option<String>,
    /// What it must hold, as a preview has said: a [`Contents::fingerprint`].
    pub expected: Option<String>,
    /// When that preview was taken, where it is known.
    pub previewed_at: Option<DateTime<Utc>>,
    /// Its idempotency key.
    pub key: String,
}

impl PayoutRequest {
    fn key(&self) -> Key {
        let time = |time: Option<DateTime<Utc>>| json!(time.map(clock::shown));
        let fields = [
            ("partnerId", json!(self.partner.to_string())),
            ("currency", json!(self.currency.code())),
            ("period.from", time(Some(self.period_start))),
            ("period.before", time(Some(self.period_end))),
            ("payoutDate", time(self.payout_date)),
            ("notes", json!(self.notes)),
            ("expectedFingerprint", json!(self.expected)),
            ("previewedAt", time(self.previewed_at)),
        ];
        Key::new(self.key.clone(), fields)
    }
}

/// What a payout would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// SHA-256 in hexadecimal over one line for each commission, by date and id: its UUID, its amount with four digits after the
    /// point and its currency, with a space between them and a line feed between lines.
    pub fingerprint: String,
    /// How many commissions.
    pub count: i64,
    /// Their sum.
    pub total: Decimal,
    /// The instant at which that was so.
    pub at: DateTime<Utc>,
}

/// Whether a text can be a fingerprint.
pub fn is_fingerprint(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// How long back it is looked for changes where it is not known when a preview was taken.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// What is not as a preview has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What it would be now.
    pub now: Contents,
    /// Since when the following have changed: since the preview, or for a day.
    pub since: DateTime<Utc>,
    /// How many of those that it would hold now were booked, approved or set free since.
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
    /// What is free comes to more, in amount or number, than one payout can hold.
    TooMuch {
        /// What is free.
        total: Decimal,
    },
    /// The preview no longer holds.
    Changed(Box<Changed>),
    /// There is no such partner.
    UnknownPartner,
    /// The key is being used, at the same time, for a payout to another partner.
    KeyTaken,
    /// The key was used for another payout.
    KeyReused {
        /// That payout.
        first: PayoutId,
        /// Where the requests differ.
        difference: Difference,
    },
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The payout.
    pub payout: PayoutId,
    /// Whether it had been made before with the same key.
    pub is_replay: bool,
}

/// The condition of what a payout takes from a partner in a currency; [`FREE`] says which of it.
const OF_PARTNER: &str = "partner_commission_events.tenant_id = ? AND partner_commission_events.partner_id = ? AND partner_commission_events.currency = ?";

fn free(tenant: TenantId, partner: PartnerId, currency: Currency, before: DateTime<Utc>) -> [Bind; 5] {
    [Bind::Uuid(tenant.uuid()), Bind::Uuid(partner.uuid()), Bind::text(currency.code()), Bind::Time(before), Bind::Time(before)]
}

impl Contents {
    /// What a payout would hold now.
    pub async fn of(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        partner: PartnerId,
        currency: Currency,
        before: DateTime<Utc>,
    ) -> QueryResult<Self> {
        let (count, total, fingerprint, at): (i64, Decimal, String, DateTime<Utc>) =
            statement::<(BigInt, Numeric, Text, Timestamptz)>(
                format!(
                    "SELECT count(*), coalesce(sum(amount), 0), encode(sha256(convert_to(coalesce(string_agg(
                     id::text || ' ' || amount::text || ' ' || currency, E'\\n' ORDER BY event_date, id), ''), 'UTF8')), 'hex'),
                     transaction_timestamp()
                 FROM partner_commission_events WHERE {OF_PARTNER} AND {FREE}"
                ),
                free(tenant, partner, currency, before).to_vec(),
            )
            .get_result(&mut connection)
            .await?;
        Ok(Self { fingerprint, count, total, at })
    }

    /// Why no payout can be made of this, by the tenant's minimum; `None` where one can.
    pub fn fault(&self, minimum: Decimal) -> Option<PayoutFault> {
        if self.total <= Decimal::ZERO || self.total < minimum {
            return Some(PayoutFault::NothingToPay { total: self.total, minimum });
        }
        (self.total >= MAX_AMOUNT || self.count > MAX_COUNT).then_some(PayoutFault::TooMuch { total: self.total })
    }
}

impl Books<'_> {
    /// Makes a payout of what is approved and free up to the period's end, once for each key.
    pub async fn create_payout(&self, scope: Scope, request: &PayoutRequest) -> QueryResult<Result<Made, PayoutFault>> {
        if Partner::by_ids(self.connection, scope, &[request.partner]).await?.is_empty() {
            return Ok(Err(PayoutFault::UnknownPartner));
        }
        self.lock(&[request.partner]).await?;
        let key = request.key();
        if let Some((first, stored)) = Payout::by_key(self.connection, self.tenant, key.text()).await? {
            let kept = [
                ("partnerId", json!(first.partner_id.to_string())),
                ("currency", json!(first.currency)),
                ("period.from", json!(clock::shown(first.period_start))),
                ("period.before", json!(clock::shown(first.period_end))),
                ("notes", json!(first.notes)),
            ];
            return Ok(match key.difference(stored.as_ref(), kept) {
                None => Ok(Made { payout: first.id, is_replay: true }),
                Some(difference) => Err(PayoutFault::KeyReused { first: first.id, difference }),
            });
        }
        let now = Contents::of(self.connection, self.tenant, request.partner, request.currency, request.period_end).await?;
        if request.expected.as_ref().is_some_and(|expected| *expected != now.fingerprint) {
            return self.changed(request, now).await.map(|changed| Err(PayoutFault::Changed(Box::new(changed))));
        }
        let minimum = TenantSettings::minimum_payout(self.connection, self.tenant, request.currency).await?;
        if let Some(fault) = now.fault(minimum) {
            return Ok(Err(fault));
        }
        let payout = match self.insert_payout(request, &now).await {
            Err(error) if is_key_taken(&error) => return Ok(Err(PayoutFault::KeyTaken)),
            inserted => inserted?,
        };
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

    async fn insert_payout(&self, request: &PayoutRequest, now: &Contents) -> QueryResult<Payout> {
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
            fingerprint: &now.fingerprint,
            payment_method: method.unwrap_or(PaymentMethod::Manual),
            payout_date: request.payout_date.unwrap_or(self.at),
            period_start: request.period_start,
            period_end: request.period_end,
            notes: request.notes.as_deref(),
            idempotency_key: Some(&request.key),
            request: Some(request.key().request()),
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
        let currency = stored_currency(&payout.currency)?;
        let mut binds = vec![Bind::Uuid(payout.id.uuid()), Bind::Time(self.at)];
        binds.extend(free(self.tenant, payout.partner_id, currency, payout.period_end));
        binds.push(Bind::Uuid(payout.id.uuid()));
        statement::<BigInt>(
            format!(
                "WITH taken AS (
                     UPDATE partner_commission_events SET payout_id = ?, updated_at = ? WHERE {OF_PARTNER} AND {FREE}
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

    async fn changed(&self, request: &PayoutRequest, now: Contents) -> QueryResult<Changed> {
        let since = request.previewed_at.unwrap_or(self.at - LOOK_BACK);
        let mut binds = free(self.tenant, request.partner, request.currency, request.period_end).to_vec();
        // The partner and the period once more.
        let again = binds[..4].to_vec();
        binds.push(Bind::Time(since));
        binds.extend(again);
        binds.extend([Bind::Time(since), Bind::Time(since), Bind::Time(since)]);
        let (came, went): (i64, i64) = statement::<(BigInt, BigInt)>(
            format!(
                "SELECT (SELECT count(*) FROM partner_commission_events WHERE {OF_PARTNER} AND {FREE} AND updated_at >= ?),
                     (SELECT count(*) FROM partner_commission_events WHERE {OF_PARTNER} AND event_date < ? AND updated_at >= ? AND created_at < ?
                         AND CASE WHEN status = 'rejected' THEN EXISTS (SELECT FROM transfers t
                                 WHERE t.tenant_id = partner_commission_events.tenant_id AND t.event_id = partner_commission_events.id
                                     AND t.to_kind = 'payable')
                             ELSE EXISTS (SELECT FROM transfers t
                                 WHERE t.tenant_id = partner_commission_events.tenant_id AND t.payout_id = partner_commission_events.payout_id
                                     AND t.kind = 'hold' AND t.posted_at >= ?) END)"
            ),
            binds,
        )
        .get_result(&mut &*self.connection)
        .await?;
        Ok(Changed { now, since, came, went })
    }
}

/// Whether a payout was refused because another, to another partner, is being made with the same key.
fn is_key_taken(error: &QueryError) -> bool {
    is_taken(error, "partner_payouts_idempotency_key")
}
