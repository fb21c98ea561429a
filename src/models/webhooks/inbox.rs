//! The way of an event from the request that brings it to what becomes of it. The server stores it before any caller is known, by functions of the
//! database's; it is applied in the tenant's name, in one transaction with what it changes, so it is applied once however many servers are at it.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{receipt::WebhookReceiptStatus, source::WebhookSourceKind};
use crate::{
    db::{
        schema::{webhook_receipts, webhook_sources},
        statement::{Bind, statement},
    },
    ids::{TenantId, WebhookReceiptId, WebhookSourceId, WebhookSourceSecretId},
    models::ledger::books::Books,
};

/// For how long it is tried to apply an event.
pub const TRIED_FOR: TimeDelta = TimeDelta::days(3);
/// The pauses before an event is tried again, in seconds; then the last of them again and again.
const PAUSES: [i64; 7] = [5, 30, 120, 600, 1_800, 3_600, 7_200];

/// Who reports, and how it is known that it is them.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// Whose source it is.
    pub tenant: TenantId,
    /// Which service it is.
    pub kind: WebhookSourceKind,
    /// The valid secrets, the latest first, sealed.
    pub secrets: Vec<(WebhookSourceSecretId, Vec<u8>)>,
}

impl Reporter {
    /// The one that reports to this source; `None` where there is no such source.
    pub async fn find(
        mut connection: &AsyncPgConnection,
        source: WebhookSourceId,
        now: DateTime<Utc>,
    ) -> QueryResult<Option<Self>> {
        type Found = (Uuid, WebhookSourceKind, Vec<Uuid>, Vec<Vec<u8>>);
        let binds = vec![Bind::Uuid(source.uuid()), Bind::Time(now)];
        let sql = "SELECT tenant_id, kind, secret_ids, secrets FROM find_webhook_source(?, ?)";
        let found: Option<Found> = statement::<(SqlUuid, Text, Array<SqlUuid>, Array<Binary>)>(sql, binds)
            .get_result(&mut connection)
            .await
            .optional()?;
        Ok(found.map(|(tenant, kind, ids, sealed)| Self {
            tenant: tenant.into(),
            kind,
            secrets: ids.into_iter().map(Into::into).zip(sealed).collect(),
        }))
    }
}

/// An event as its request brings it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The sender's id of it.
    pub event: String,
    /// The sender's name of its type.
    pub event_type: String,
    /// What was sent.
    pub body: String,
}

impl Received {
    /// Stores it, once; gives whether it is new, and `None` where there is no such source any more.
    pub async fn store(
        self,
        mut connection: &AsyncPgConnection,
        source: WebhookSourceId,
        now: DateTime<Utc>,
    ) -> QueryResult<Option<bool>> {
        let binds = vec![
            Bind::Uuid(source.uuid()),
            Bind::Uuid(WebhookReceiptId::new().uuid()),
            Bind::text(self.event),
            Bind::text(self.event_type),
            Bind::text(self.body),
            Bind::Time(now),
        ];
        statement::<Nullable<Bool>>("SELECT receive_webhook(?, ?, ?, ?, ?, ?)", binds).get_result(&mut connection).await
    }
}

/// Some receipts that are to be applied by then, of each tenant in turn.
pub async fn due(
    mut connection: &AsyncPgConnection,
    by_then: DateTime<Utc>,
    most: i64,
) -> QueryResult<Vec<(TenantId, WebhookReceiptId)>> {
    let binds = vec![Bind::Time(by_then), Bind::BigInt(most)];
    let sql = "SELECT tenant_id, id FROM due_webhook_receipts(?, ?)";
    let found: Vec<(Uuid, Uuid)> = statement::<(SqlUuid, SqlUuid)>(sql, binds).load(&mut connection).await?;
    Ok(found.into_iter().map(|(tenant, id)| (tenant.into(), id.into())).collect())
}

/// Forgets what was in receipts from before a time, some of them; gives how many.
pub async fn forget_bodies(
    mut connection: &AsyncPgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    most: i64,
) -> QueryResult<i64> {
    let binds = vec![Bind::Time(before), Bind::Time(now), Bind::BigInt(most)];
    statement::<BigInt>("SELECT forget_webhook_bodies(?, ?, ?)", binds).get_result(&mut connection).await
}

/// Forgets receipts from before a time themselves, some of them; gives how many.
pub async fn forget(mut connection: &AsyncPgConnection, before: DateTime<Utc>, most: i64) -> QueryResult<i64> {
    let binds = vec![Bind::Time(before), Bind::BigInt(most)];
    statement::<BigInt>("SELECT forget_webhook_receipts(?, ?)", binds).get_result(&mut connection).await
}

/// A receipt that is being applied: locked until the transaction ends.
#[derive(Debug, Clone, Queryable)]
pub struct Claimed {
    /// Its id.
    pub id: WebhookReceiptId,
    /// Which source has reported it.
    pub source: WebhookSourceId,
    /// Which service that is.
    pub kind: WebhookSourceKind,
    /// The sender's name of the event's type.
    pub event_type: String,
    /// What was sent.
    pub body: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when.
    pub tried_since: DateTime<Utc>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// What it says is taken up.
    Applied {
        /// The names of what is known now: what waited for one of these is tried at once.
        known: Vec<String>,
        /// What a person should know of it.
        note: Option<String>,
    },
    /// It says nothing that is kept here, or nothing new, or the books stay as they are. What it names is known all the same.
    Ignored {
        /// Why.
        reason: String,
        /// The names of what is known now.
        known: Vec<String>,
    },
    /// It needs something that is not known yet; nothing of it is taken up.
    Parked {
        /// Why.
        reason: String,
        /// What it waits for, where that has a name.
        waits_for: Option<String>,
    },
    /// It cannot be applied: why. Nothing of it is taken up.
    Failed(String),
}

impl Disposition {
    /// Taken up, with nothing to say of it; these are known now.
    pub fn applied<'n>(known: impl IntoIterator<Item = &'n str>) -> Self {
        Self::Applied { known: known.into_iter().map(str::to_owned).collect(), note: None }
    }

    /// Parked until something of a name is known.
    pub fn waits_for(name: &str, reason: impl Into<String>) -> Self {
        Self::Parked { reason: reason.into(), waits_for: Some(name.to_owned()) }
    }
}

impl Books<'_> {
    /// The receipt of that id, if it is still to be applied by now and no other transaction has locked it.
    pub async fn claim_receipt(&self, id: WebhookReceiptId) -> QueryResult<Option<Claimed>> {
        type Found = (WebhookReceiptId, WebhookSourceId, String, Option<String>, i32, DateTime<Utc>, DateTime<Utc>);
        let waiting = [WebhookReceiptStatus::Received, WebhookReceiptStatus::Parked];
        let found: Option<Found> = webhook_receipts::table
            .filter(webhook_receipts::tenant_id.eq(self.tenant))
            .filter(webhook_receipts::id.eq(id))
            .filter(webhook_receipts::status.eq_any(waiting))
            .filter(webhook_receipts::next_at.le(self.at))
            .select((
                webhook_receipts::id,
                webhook_receipts::source_id,
                webhook_receipts::event_type,
                webhook_receipts::body,
                webhook_receipts::attempts,
                webhook_receipts::tried_since,
                webhook_receipts::received_at,
            ))
            .for_no_key_update()
            .skip_locked()
            .first(&mut &*self.connection)
            .await
            .optional()?;
        let Some((id, source, event_type, body, attempts, tried_since, received_at)) = found else { return Ok(None) };
        let kind = webhook_sources::table
            .filter(webhook_sources::tenant_id.eq(self.tenant))
            .filter(webhook_sources::id.eq(source))
            .select(webhook_sources::kind)
            .first(&mut &*self.connection)
            .await?;
        Ok(Some(Claimed { id, source, kind, event_type, body, attempts, tried_since, received_at }))
    }

    /// Notes what becomes of a receipt. One that is parked is tried again after a pause, and has failed after [`TRIED_FOR`].
    pub async fn settle_receipt(&self, receipt: &Claimed, disposition: &Disposition) -> QueryResult<()> {
        let is_over = self.at - receipt.tried_since >= TRIED_FOR;
        let (status, reason, waits_for) = match disposition {
            Disposition::Applied { note, .. } => (WebhookReceiptStatus::Applied, note.as_ref(), None),
            Disposition::Ignored { reason, .. } => (WebhookReceiptStatus::Ignored, Some(reason), None),
            Disposition::Parked { reason, .. } if is_over => (WebhookReceiptStatus::Failed, Some(reason), None),
            Disposition::Parked { reason, waits_for } => (WebhookReceiptStatus::Parked, Some(reason), waits_for.as_ref()),
            Disposition::Failed(reason) => (WebhookReceiptStatus::Failed, Some(reason), None),
        };
        let pause =
            usize::try_from(receipt.attempts).ok().and_then(|tried| PAUSES.get(tried)).unwrap_or(&PAUSES[PAUSES.len() - 1]);
        let next_at = (status == WebhookReceiptStatus::Parked).then(|| self.at + TimeDelta::seconds(*pause));
        let row = webhook_receipts::table.filter(webhook_receipts::tenant_id.eq(self.tenant));
        diesel::update(row.filter(webhook_receipts::id.eq(receipt.id)))
            .set((
                webhook_receipts::status.eq(status),
                webhook_receipts::attempts.eq(receipt.attempts + 1),
                webhook_receipts::reason.eq(reason),
                webhook_receipts::waits_for.eq(waits_for),
                webhook_receipts::next_at.eq(next_at),
                webhook_receipts::ended_at.eq(next_at.is_none().then_some(self.at)),
            ))
            .execute(&mut &*self.connection)
            .await?;
        if let Some(name) = waits_for {
            return self.wake_if_known(receipt, name).await;
        }
        let (Disposition::Applied { known, .. } | Disposition::Ignored { known, .. }) = disposition else { return Ok(()) };
        if known.is_empty() {
            return Ok(());
        }
        // One that another transaction has locked is tried again after its pause.
        let waiting = webhook_receipts::table
            .filter(webhook_receipts::tenant_id.eq(self.tenant))
            .filter(webhook_receipts::waits_for.eq_any(known))
            .select(webhook_receipts::id)
            .for_no_key_update()
            .skip_locked();
        let waiting: Vec<WebhookReceiptId> = waiting.load(&mut &*self.connection).await?;
        diesel::update(row.filter(webhook_receipts::id.eq_any(waiting)))
            .set(webhook_receipts::next_at.eq(Some(self.at)))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// What a receipt waits for may have been reported while it was parked: then it is tried at once.
    async fn wake_if_known(&self, receipt: &Claimed, name: &str) -> QueryResult<()> {
        statement::<Text>(
            "UPDATE webhook_receipts SET next_at = ? WHERE tenant_id = ? AND id = ? AND waits_for = ?
                 AND (EXISTS (SELECT FROM processor_invoices i WHERE i.tenant_id = webhook_receipts.tenant_id AND i.invoice_id = waits_for)
                     OR EXISTS (SELECT FROM processor_payments p WHERE p.tenant_id = webhook_receipts.tenant_id AND p.payment_id = waits_for))",
            vec![Bind::Time(self.at), Bind::Uuid(self.tenant.uuid()), Bind::Uuid(receipt.id.uuid()), Bind::text(name)],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
