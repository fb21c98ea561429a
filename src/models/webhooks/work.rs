//! What the servers do for all tenants: make bodies, claim deliveries, and keep what came of them. Each statement is a function of the
//! database's; a delivery is claimed by a lease, and only who holds it can say what came of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    result::Error::DeserializationError,
    sql_types::{Array, BigInt, Binary, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    body::{Facts, body},
    delivery::WebhookDeliveryStatus,
    event::WebhookEventType,
};
use crate::{
    db::statement::{Bind, statement},
    ids::{TenantId, WebhookDeliveryId, WebhookEndpointId, WebhookEventId, WebhookSecretId},
};

/// An event with its body.
#[derive(Serialize)]
struct Made {
    tenant_id: Uuid,
    id: Uuid,
    body: String,
}

/// Makes the bodies of some events and their deliveries, in a transaction; gives how many events. What is of a type that this version does not know is left
/// to one that does.
pub async fn make_bodies(mut connection: &AsyncPgConnection, most: i64, at: DateTime<Utc>) -> QueryResult<usize> {
    connection.batch_execute("BEGIN").await?;
    let made = make_some(connection, most, at).await;
    connection.batch_execute(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    made
}

async fn make_some(mut connection: &AsyncPgConnection, most: i64, at: DateTime<Utc>) -> QueryResult<usize> {
    type Columns = (SqlUuid, SqlUuid, Text, Timestamptz, Jsonb);
    type Found = (Uuid, Uuid, String, DateTime<Utc>, Value);
    let known = WebhookEventType::ALL.iter().map(|event| event.as_str().to_owned()).collect();
    let binds = vec![Bind::BigInt(most), Bind::Texts(known)];
    let found: Vec<Found> =
        statement::<Columns>("SELECT tenant_id, id, event_type, at, facts FROM raw_webhook_events(?, ?)", binds)
            .load(&mut connection)
            .await?;
    let mut made = Vec::with_capacity(found.len());
    for (tenant_id, id, event, happened_at, facts) in found {
        let Ok(event) = event.parse::<WebhookEventType>() else { continue };
        let facts: Facts = serde_json::from_value(facts).map_err(|error| DeserializationError(Box::new(error)))?;
        made.push(Made { tenant_id, id, body: body(event, WebhookEventId::from(id), happened_at, &facts) });
    }
    if !made.is_empty() {
        let binds = vec![Bind::json(&made), Bind::Time(at)];
        statement::<BigInt>("SELECT send_webhook_events(?::jsonb, ?)", binds).execute(&mut connection).await?;
    }
    Ok(made.len())
}

/// A delivery that is this server's for a while.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: WebhookDeliveryId,
    /// To which endpoint.
    pub endpoint: WebhookEndpointId,
    /// Where that is.
    pub url: String,
    /// Which event.
    pub event: WebhookEventId,
    /// What is sent.
    pub body: String,
    /// How many attempts of its schedule have been made.
    pub tries: i32,
    /// The valid secrets, the latest first, sealed.
    pub secrets: Vec<(WebhookSecretId, Vec<u8>)>,
}

/// Claims deliveries that are due: at most so many, and of each endpoint and tenant no more than may be under way at once.
pub async fn claim(
    mut connection: &AsyncPgConnection,
    holder: Uuid,
    most: usize,
    lease: Duration,
    at: DateTime<Utc>,
) -> QueryResult<Vec<ClaimedDelivery>> {
    type Columns = (SqlUuid, SqlUuid, SqlUuid, Text, SqlUuid, Text, Integer, Nullable<Array<SqlUuid>>, Nullable<Array<Binary>>);
    type Found = (Uuid, Uuid, Uuid, String, Uuid, String, i32, Option<Vec<Uuid>>, Option<Vec<Vec<u8>>>);
    let binds =
        vec![Bind::Uuid(holder), Bind::BigInt(i64::try_from(most).unwrap_or(i64::MAX)), Bind::seconds(lease), Bind::Time(at)];
    let sql = "SELECT tenant_id, id, endpoint_id, url, event_id, body, tries, secret_ids, secrets FROM claim_webhook_deliveries(?, ?, ?, ?)";
    let found: Vec<Found> = statement::<Columns>(sql, binds).load(&mut connection).await?;
    Ok(found
        .into_iter()
        .map(|(tenant, id, endpoint, url, event, body, tries, ids, sealed)| ClaimedDelivery {
            tenant: tenant.into(),
            id: id.into(),
            endpoint: endpoint.into(),
            url,
            event: event.into(),
            body,
            tries,
            secrets: ids.into_iter().flatten().map(WebhookSecretId::from).zip(sealed.into_iter().flatten()).collect(),
        })
        .collect())
}

/// What came of an attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptResult {
    /// Whose.
    pub tenant_id: Uuid,
    /// Of which delivery.
    pub id: Uuid,
    /// To which endpoint.
    pub endpoint_id: Uuid,
    /// How many attempts of its schedule had been made before.
    pub tries: i32,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub milliseconds: i32,
    /// Where to.
    pub url: String,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
    /// Why no answer came.
    pub fault: Option<String>,
    /// How far the delivery is.
    pub outcome: &'static str,
    /// When it is tried again.
    pub next_at: Option<DateTime<Utc>>,
    /// Until when nothing is to be sent to the endpoint.
    pub paused_until: Option<DateTime<Utc>>,
    /// Whether the endpoint has said that it is gone.
    pub is_gone: bool,
}

impl AttemptResult {
    /// Whether the endpoint has taken it.
    pub fn is_taken(&self) -> bool {
        self.outcome == WebhookDeliveryStatus::Delivered.as_str()
    }

    /// How far the delivery is.
    pub fn set(&mut self, status: WebhookDeliveryStatus) {
        self.outcome = status.as_str();
    }
}

/// When endpoints are disabled, and what is said of it then.
#[derive(Debug, Clone, Copy)]
pub struct GivingUp {
    /// After so long without a success.
    pub after: Duration,
    /// Why one is disabled that has failed so long.
    pub failed: &'static str,
    /// Why one is disabled that is gone.
    pub gone: &'static str,
}

/// Keeps what came of attempts, and disables endpoints that are given up. What is no longer the holder's is left to whose it is.
pub async fn end(
    mut connection: &AsyncPgConnection,
    holder: Uuid,
    results: &[AttemptResult],
    giving_up: GivingUp,
    at: DateTime<Utc>,
) -> QueryResult<()> {
    let binds = vec![
        Bind::Uuid(holder),
        Bind::json(&results),
        Bind::Time(at),
        Bind::seconds(giving_up.after),
        Bind::text(giving_up.gone),
        Bind::text(giving_up.failed),
    ];
    statement::<BigInt>("SELECT end_webhook_attempts(?, ?::jsonb, ?, ?, ?, ?)", binds).execute(&mut connection).await.map(drop)
}

/// Gives up at most so many deliveries that wait for endpoints to which nothing is sent any more; gives how many.
pub async fn give_up(mut connection: &AsyncPgConnection, most: i64, at: DateTime<Utc>) -> QueryResult<i64> {
    let binds = vec![Bind::BigInt(most), Bind::Time(at)];
    statement::<BigInt>("SELECT give_webhook_deliveries_up(?, ?)", binds).get_result(&mut connection).await
}

/// Deletes at most so many events from before a time, with their deliveries; gives how many.
pub async fn forget(mut connection: &AsyncPgConnection, before: DateTime<Utc>, most: i64) -> QueryResult<i64> {
    let binds = vec![Bind::Time(before), Bind::BigInt(most)];
    statement::<BigInt>("SELECT forget_webhook_events(?, ?)", binds).get_result(&mut connection).await
}
