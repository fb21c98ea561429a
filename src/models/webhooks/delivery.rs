//! Deliveries: each event on its way to an endpoint.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::event::WebhookEventType;
use crate::{
    db::{
        schema::{webhook_deliveries, webhook_endpoints, webhook_events},
        statement::{Bind, statement},
    },
    ids::{WebhookDeliveryId, WebhookEndpointId, WebhookEventId},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
        list::{Conditions, Filter, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// How many deliveries are recovered at once.
pub const MAX_RECOVERED: i64 = 10_000;

crate::pg_enum! {
    /// How far a delivery is.
    pub enum WebhookDeliveryStatus {
        /// It is made at `nextAttemptAt`, or under way.
        Waiting = "waiting",
        /// The endpoint has answered that it has it.
        Delivered = "delivered",
        /// No attempt is made any more. It can be sent again.
        Failed = "failed",
    }
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = webhook_deliveries)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// To which endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// Which event.
    pub event_id: WebhookEventId,
    /// Of what type that is, a [`WebhookEventType`].
    pub event_type: WebhookEventType,
    /// How far it is.
    pub status: WebhookDeliveryStatus,
    /// How many attempts have been made.
    pub attempts: i32,
    /// When the next is due.
    pub next_at: Option<DateTime<Utc>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WebhookDeliveryFilter {
    /// In one of these states.
    pub status: Option<Vec<WebhookDeliveryStatus>>,
    /// Of events of one of these types.
    pub types: Option<Vec<WebhookEventType>>,
}

/// By when they began.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "webhook_deliveries.created_at", id: "webhook_deliveries.id", kind: KeyKind::Time };

impl WebhookDeliveryFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, webhook_deliveries::table> {
        Conditions::of(webhook_deliveries::tenant_id.eq(scope.tenant))
            .and_one_of(
                self.status.as_deref(),
                |status| webhook_deliveries::status.eq(status),
                |statuses| webhook_deliveries::status.eq_any(statuses),
            )
            .and_one_of(
                self.types.as_deref(),
                |event| webhook_deliveries::event_type.eq(event),
                |events| webhook_deliveries::event_type.eq_any(events),
            )
    }
}

impl Filter for WebhookDeliveryFilter {
    type Row = WebhookDelivery;

    fn cursor(row: &Self::Row, page: &Page) -> Cursor {
        page.cursor(Key::Time(row.created_at), row.id.uuid())
    }
}

list_below!(WebhookDeliveryFilter => WebhookDelivery; webhook_deliveries; WebhookEndpointId, "webhook_deliveries.endpoint_id");

/// An event that was sent, or will be.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = webhook_events)]
pub struct WebhookEvent {
    /// Its id, which receivers see.
    pub id: WebhookEventId,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What is sent; `None` until it is made.
    pub body: Option<String>,
}

impl WebhookEvent {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookEventId],
    ) -> QueryResult<HashMap<WebhookEventId, Self>> {
        let query = Self::query().filter(webhook_events::tenant_id.eq(scope.tenant)).filter(webhook_events::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

impl WebhookDelivery {
    /// Those of `ids` that are in scope, and whose endpoints were not removed.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookDeliveryId],
    ) -> QueryResult<HashMap<WebhookDeliveryId, Self>> {
        let query = Self::query()
            .filter(webhook_deliveries::tenant_id.eq(scope.tenant))
            .filter(webhook_deliveries::id.eq_any(ids))
            .filter(diesel::dsl::exists(
                webhook_endpoints::table
                    .filter(webhook_endpoints::tenant_id.eq(webhook_deliveries::tenant_id))
                    .filter(webhook_endpoints::id.eq(webhook_deliveries::endpoint_id))
                    .filter(webhook_endpoints::removed_at.is_null()),
            ));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryFault {
    /// There is no such endpoint or delivery.
    NotFound,
    /// The endpoint is disabled.
    Disabled,
    /// The key was used for another request.
    KeyReused {
        /// What that made.
        first: Uuid,
        /// Where they differ.
        difference: Difference,
    },
}

impl Books<'_> {
    /// Locks an endpoint to which something is to be sent: it is not switched off or removed meanwhile.
    async fn enabled_endpoint(&self, id: WebhookEndpointId) -> QueryResult<Result<(), DeliveryFault>> {
        let disabled_at: Option<Option<DateTime<Utc>>> = webhook_endpoints::table
            .filter(webhook_endpoints::tenant_id.eq(self.tenant))
            .filter(webhook_endpoints::id.eq(id))
            .filter(webhook_endpoints::removed_at.is_null())
            .select(webhook_endpoints::disabled_at)
            .for_share()
            .first(&mut &*self.connection)
            .await
            .optional()?;
        Ok(match disabled_at {
            None => Err(DeliveryFault::NotFound),
            Some(Some(_)) => Err(DeliveryFault::Disabled),
            Some(None) => Ok(()),
        })
    }

    /// Sends an endpoint a test event, once for each key. Gives the delivery and whether it is new.
    pub async fn send_test(
        &self,
        key: &IdempotencyKey,
        endpoint: WebhookEndpointId,
    ) -> QueryResult<Result<(WebhookDeliveryId, bool), DeliveryFault>> {
        let (id, event) = (WebhookDeliveryId::new(), WebhookEventId::new());
        match key.claim(self.connection, Operation::SendTestWebhook, self.tenant, None, id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => return Ok(Err(DeliveryFault::KeyReused { first, difference })),
        }
        if let Err(fault) = self.enabled_endpoint(endpoint).await? {
            return Ok(Err(fault));
        }
        let body = super::body::body(WebhookEventType::Ping, event, self.at, &HashMap::new());
        diesel::insert_into(webhook_events::table)
            .values((
                webhook_events::tenant_id.eq(self.tenant),
                webhook_events::id.eq(event),
                webhook_events::event_type.eq(WebhookEventType::Ping),
                webhook_events::at.eq(self.at),
                webhook_events::body.eq(body),
                webhook_events::endpoint_id.eq(Some(endpoint)),
            ))
            .execute(&mut &*self.connection)
            .await?;
        diesel::insert_into(webhook_deliveries::table)
            .values((
                webhook_deliveries::tenant_id.eq(self.tenant),
                webhook_deliveries::id.eq(id),
                webhook_deliveries::endpoint_id.eq(endpoint),
                webhook_deliveries::event_id.eq(event),
                webhook_deliveries::event_type.eq(WebhookEventType::Ping),
                webhook_deliveries::next_at.eq(Some(self.at)),
                webhook_deliveries::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok((id, true)))
    }

    /// Sends a delivery again at once, with all attempts that a new one has; gives whether it did not wait to be sent at once already.
    pub async fn redeliver(&self, id: WebhookDeliveryId) -> QueryResult<Result<bool, DeliveryFault>> {
        let row =
            webhook_deliveries::table.filter(webhook_deliveries::tenant_id.eq(self.tenant)).filter(webhook_deliveries::id.eq(id));
        let endpoint = row.select(webhook_deliveries::endpoint_id).first(&mut &*self.connection).await.optional()?;
        let Some(endpoint) = endpoint else { return Ok(Err(DeliveryFault::NotFound)) };
        if let Err(fault) = self.enabled_endpoint(endpoint).await? {
            return Ok(Err(fault));
        }
        let locked = row.select((webhook_deliveries::tries, webhook_deliveries::next_at)).for_no_key_update();
        let locked: Option<(i32, Option<DateTime<Utc>>)> = locked.first(&mut &*self.connection).await.optional()?;
        let Some((tries, next_at)) = locked else { return Ok(Err(DeliveryFault::NotFound)) };
        if tries == 0 && next_at.is_some_and(|next_at| next_at <= self.at) {
            return Ok(Ok(false));
        }
        diesel::update(webhook_deliveries::table)
            .filter(webhook_deliveries::tenant_id.eq(self.tenant))
            .filter(webhook_deliveries::id.eq(id))
            .set((
                webhook_deliveries::status.eq(WebhookDeliveryStatus::Waiting),
                webhook_deliveries::tries.eq(0),
                webhook_deliveries::next_at.eq(Some(self.at)),
                webhook_deliveries::ended_at.eq(None::<DateTime<Utc>>),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(true))
    }

    /// Sends an endpoint what it has missed since a time: what has failed, and what happened while nothing was sent to it. The oldest first, at most
    /// [`MAX_RECOVERED`]; gives how many.
    pub async fn recover(&self, endpoint: WebhookEndpointId, since: DateTime<Utc>) -> QueryResult<Result<i64, DeliveryFault>> {
        if let Err(fault) = self.enabled_endpoint(endpoint).await? {
            return Ok(Err(fault));
        }
        let binds = vec![
            Bind::Uuid(self.tenant.uuid()),
            Bind::Uuid(endpoint.uuid()),
            Bind::Time(since),
            Bind::BigInt(MAX_RECOVERED),
            Bind::Time(self.at),
            Bind::Time(self.at),
            Bind::Time(self.at),
        ];
        let sql = "WITH missed AS (
                SELECT e.tenant_id, e.id AS event_id, e.event_type, e.at, p.id AS endpoint_id FROM webhook_endpoints p
                JOIN webhook_events e ON e.tenant_id = p.tenant_id AND e.event_type = ANY (p.types) AND e.body IS NOT NULL
                LEFT JOIN webhook_deliveries d ON d.tenant_id = e.tenant_id AND d.event_id = e.id AND d.endpoint_id = p.id
                WHERE p.tenant_id = ? AND p.id = ? AND e.at >= ? AND (d.id IS NULL OR d.status = 'failed') AND (e.endpoint_id IS NULL OR e.endpoint_id = p.id) ORDER BY e.at, e.id LIMIT ?
            ), again AS (
                INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, event_type, next_at, created_at)
                SELECT tenant_id, gen_random_uuid(), endpoint_id, event_id, event_type, least(at, ?), ? FROM missed
                ON CONFLICT ON CONSTRAINT webhook_deliveries_event_key DO UPDATE SET status = 'waiting', tries = 0, next_at = least(EXCLUDED.next_at, ?), ended_at = NULL
                    WHERE webhook_deliveries.status = 'failed'
                RETURNING id
            )
            SELECT count(*) FROM again";
        statement::<BigInt>(sql, binds).get_result(&mut &*self.connection).await.map(Ok)
    }
}
