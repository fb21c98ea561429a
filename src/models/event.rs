//! Events: that something has changed, in one order for everyone who watches. Rows are written by the database's triggers.

use chrono::{DateTime, Utc};
use diesel::{
    result::Error::NotFound,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::scope::Scope;
use crate::{
    db::{
        QueryResult,
        statement::{Bind, statement},
    },
    ids::{PartnerId, TenantId},
    pg_enum,
};

/// The channel on which a transaction says that events wait for their places.
pub const WAITING: &str = "portal_events_waiting";
/// The channel on which it is said that events have been published.
pub const PUBLISHED: &str = "portal_events";

pg_enum! {
    /// What has changed.
    pub enum EventKind {
        /// A lead.
        Lead = "lead",
        /// A commission.
        Commission = "commission",
        /// A payout.
        Payout = "payout",
        /// A partner's credits.
        CreditBalance = "credit_balance",
    }
}

/// A change, without what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events.
    pub place: i64,
    /// Whose tenant's it is.
    pub tenant_id: TenantId,
    /// Which partner's.
    pub partner_id: PartnerId,
    /// What has changed.
    pub kind: EventKind,
    /// Which lead, commission or payout; for credits the partner.
    pub subject_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

type Row = (BigInt, SqlUuid, SqlUuid, Text, SqlUuid, Timestamptz);
type Columns = (i64, Uuid, Uuid, EventKind, Uuid, DateTime<Utc>);

impl From<Columns> for Event {
    fn from((place, tenant, partner, kind, subject_id, at): Columns) -> Self {
        Self { place, tenant_id: tenant.into(), partner_id: partner.into(), kind, subject_id, at }
    }
}

/// Which events somebody watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFilter {
    /// What changes.
    pub kind: EventKind,
    /// Of this partner alone.
    pub partner: Option<PartnerId>,
    /// Of this lead, commission or payout alone.
    pub subject: Option<Uuid>,
}

impl EventFilter {
    /// Whether the event is among them. Whose it may be told is another matter.
    pub fn lets_through(&self, event: &Event) -> bool {
        event.kind == self.kind
            && self.partner.is_none_or(|partner| partner == event.partner_id)
            && self.subject.is_none_or(|subject| subject == event.subject_id)
    }
}

/// Gives waiting events their places, and knows up to where none can come to wait any more: what was published there is not gone through
/// again.
#[derive(Debug, Default)]
pub struct Publisher {
    /// The first event that may wait.
    from: i64,
    /// A transaction, and the last event that one before it can have made.
    next: Option<(i64, i64)>,
}

impl Publisher {
    /// Gives so many waiting events their places; gives how many it were. In a transaction that has written already nothing is learnt
    /// from it.
    pub async fn publish(&mut self, mut connection: &AsyncPgConnection, most: i64) -> QueryResult<i64> {
        // Where it fails, nothing is known any more.
        let Self { from, next } = std::mem::take(self);
        // Read to its end: what goes wrong at the commit comes after the row.
        let passes: Vec<(i64, i64, Option<i64>, i64)> = statement::<(BigInt, BigInt, Nullable<BigInt>, BigInt)>(
            "SELECT published, oldest, own, last_id FROM publish_events(?, ?)",
            vec![Bind::BigInt(most), Bind::BigInt(from)],
        )
        .load(&mut connection)
        .await?;
        let [(published, oldest, own, last)] = passes[..] else { return Err(NotFound) };
        let sample = own.map(|transaction| (transaction, last));
        *self = match next {
            // Ids begin anew: another database has been restored into this one.
            _ if last + 1 < from => Self::default(),
            // Some may be left.
            _ if published >= most => Self { from, next },
            Some((transaction, end)) if oldest >= transaction => Self { from: end + 1, next: sample },
            next => Self { from, next: next.or(sample) },
        };
        Ok(published)
    }
}

/// The events of all tenants after a place, in their order.
pub async fn published(mut connection: &AsyncPgConnection, after: i64, most: i64) -> QueryResult<Vec<Event>> {
    let rows: Vec<Columns> =
        statement::<Row>("SELECT * FROM published_events(?, ?)", vec![Bind::BigInt(after), Bind::BigInt(most)])
            .load(&mut connection)
            .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// The events after a place that are in the scope and let through, in their order.
pub async fn missed(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    filter: &EventFilter,
    after: i64,
    most: i64,
) -> QueryResult<Vec<Event>> {
    let mut text = "SELECT place, tenant_id, partner_id, kind::text, subject_id, at FROM events WHERE tenant_id = ? AND kind = ? AND place > ?".to_owned();
    let mut binds = vec![Bind::Uuid(scope.tenant.uuid()), Bind::text(filter.kind.as_str()), Bind::BigInt(after)];
    for (column, id) in [
        ("partner_id", scope.partner.map(PartnerId::uuid)),
        ("partner_id", filter.partner.map(PartnerId::uuid)),
        ("subject_id", filter.subject),
    ] {
        if let Some(id) = id {
            text.push_str(" AND ");
            text.push_str(column);
            text.push_str(" = ?");
            binds.push(Bind::Uuid(id));
        }
    }
    text.push_str(" ORDER BY place LIMIT ?");
    binds.push(Bind::BigInt(most));
    let rows: Vec<Columns> = statement::<Row>(text, binds).load(&mut connection).await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// The place of the last event.
pub async fn last(mut connection: &AsyncPgConnection) -> QueryResult<i64> {
    statement::<BigInt>("SELECT last_event()", vec![]).get_result(&mut connection).await
}

/// The places of the first event that is kept and of the last. To find the first, all that were forgotten and that somebody can still see
/// are gone through.
pub async fn bounds(mut connection: &AsyncPgConnection) -> QueryResult<(i64, i64)> {
    statement::<(BigInt, BigInt)>("SELECT first, last FROM event_bounds()", vec![]).get_result(&mut connection).await
}

/// Deletes so many events from before a time; gives how many it were.
pub async fn forget(mut connection: &AsyncPgConnection, before: DateTime<Utc>, most: i64) -> QueryResult<i64> {
    statement::<BigInt>("SELECT forget_events(?, ?)", vec![Bind::Time(before), Bind::BigInt(most)])
        .get_result(&mut connection)
        .await
}
