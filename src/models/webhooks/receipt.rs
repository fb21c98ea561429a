//! Receipts: each event that a source has reported, once, and what became of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::{webhook_receipts, webhook_sources},
    ids::{WebhookReceiptId, WebhookSourceId},
    models::{
        ledger::books::Books,
        list::{Conditions, Filter, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// What became of an event that was reported.
    pub enum WebhookReceiptStatus {
        /// It is stored, and will be applied in a moment.
        Received = "received",
        /// What it says is taken up.
        Applied = "applied",
        /// It says nothing that is kept here, or nothing new.
        Ignored = "ignored",
        /// It needs something that has not been reported yet, and is tried again for three days, with growing pauses.
        Parked = "parked",
        /// It could not be applied. It can be applied again.
        Failed = "failed",
    }
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = webhook_receipts)]
pub struct WebhookReceipt {
    /// Its id.
    pub id: WebhookReceiptId,
    /// Which source has reported it.
    pub source_id: WebhookSourceId,
    /// The sender's id of the event.
    pub event_id: String,
    /// The sender's name of the event's type.
    pub event_type: String,
    /// What became of it.
    pub status: WebhookReceiptStatus,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it is ignored, parked or failed.
    pub reason: Option<String>,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// When it is tried next.
    pub next_at: Option<DateTime<Utc>>,
    /// When it was decided what becomes of it.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which receipts a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WebhookReceiptFilter {
    /// In one of these states.
    pub status: Option<Vec<WebhookReceiptStatus>>,
    /// Of events of one of these types, by the sender's names.
    pub types: Option<Vec<String>>,
}

/// By when they were received.
pub const BY_RECEIVED: SortKey =
    SortKey { name: "received", column: "webhook_receipts.received_at", id: "webhook_receipts.id", kind: KeyKind::Time };

impl WebhookReceiptFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, webhook_receipts::table> {
        Conditions::of(webhook_receipts::tenant_id.eq(scope.tenant))
            .and_one_of(
                self.status.as_deref(),
                |status| webhook_receipts::status.eq(status),
                |statuses| webhook_receipts::status.eq_any(statuses),
            )
            .and_if(&self.types, |types| webhook_receipts::event_type.eq_any(types))
    }
}

impl Filter for WebhookReceiptFilter {
    type Row = WebhookReceipt;

    fn cursor(row: &Self::Row, page: &Page) -> Cursor {
        page.cursor(Key::Time(row.received_at), row.id.uuid())
    }
}

list_below!(WebhookReceiptFilter => WebhookReceipt; webhook_receipts; WebhookSourceId, "webhook_receipts.source_id");

impl WebhookReceipt {
    /// Those of `ids` that are in scope, and whose sources were not removed.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookReceiptId],
    ) -> QueryResult<HashMap<WebhookReceiptId, Self>> {
        let query = Self::query()
            .filter(webhook_receipts::tenant_id.eq(scope.tenant))
            .filter(webhook_receipts::id.eq_any(ids))
            .filter(diesel::dsl::exists(
                webhook_sources::table
                    .filter(webhook_sources::tenant_id.eq(webhook_receipts::tenant_id))
                    .filter(webhook_sources::id.eq(webhook_receipts::source_id))
                    .filter(webhook_sources::removed_at.is_null()),
            ));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// What was sent of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptBody(pub String);

impl ReceiptBody {
    /// Those of `ids` that are in scope and not forgotten.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookReceiptId],
    ) -> QueryResult<HashMap<WebhookReceiptId, Self>> {
        let rows: Vec<(WebhookReceiptId, Option<String>)> = webhook_receipts::table
            .filter(webhook_receipts::tenant_id.eq(scope.tenant))
            .filter(webhook_receipts::id.eq_any(ids))
            .select((webhook_receipts::id, webhook_receipts::body))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter_map(|(id, body)| Some((id, Self(body?)))).collect())
    }
}

/// Why receipts are not applied again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptFault {
    /// There is no receipt of this id.
    NotFound(WebhookReceiptId),
    /// What was in it is forgotten.
    Forgotten(WebhookReceiptId),
}

impl Books<'_> {
    /// Has receipts applied again that are not applied yet; gives how many will be. Of those that are applied nothing is changed.
    pub async fn apply_again(&self, ids: &[WebhookReceiptId]) -> QueryResult<Result<usize, ReceiptFault>> {
        let of_tenant = || {
            webhook_receipts::table.filter(webhook_receipts::tenant_id.eq(self.tenant)).filter(webhook_receipts::id.eq_any(ids))
        };
        let found: Vec<(WebhookReceiptId, WebhookReceiptStatus, bool)> = of_tenant()
            .select((webhook_receipts::id, webhook_receipts::status, webhook_receipts::body.is_not_null()))
            .order(webhook_receipts::id)
            .for_no_key_update()
            .load(&mut &*self.connection)
            .await?;
        for id in ids {
            match found.iter().find(|(known, ..)| known == id) {
                None => return Ok(Err(ReceiptFault::NotFound(*id))),
                Some((_, status, false)) if *status != WebhookReceiptStatus::Applied => {
                    return Ok(Err(ReceiptFault::Forgotten(*id)));
                }
                Some(_) => {}
            }
        }
        let again = [WebhookReceiptStatus::Ignored, WebhookReceiptStatus::Parked, WebhookReceiptStatus::Failed];
        diesel::update(of_tenant().filter(webhook_receipts::status.eq_any(again)))
            .set((
                webhook_receipts::status.eq(WebhookReceiptStatus::Received),
                webhook_receipts::attempts.eq(0),
                webhook_receipts::reason.eq(None::<String>),
                webhook_receipts::waits_for.eq(None::<String>),
                webhook_receipts::tried_since.eq(self.at),
                webhook_receipts::next_at.eq(Some(self.at)),
                webhook_receipts::ended_at.eq(None::<DateTime<Utc>>),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(Ok)
    }
}
