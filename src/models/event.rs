//! Events: that something has changed, in one order for everyone who watches. Rows are written by the database's triggers.

use chrono::{DateTime, Utc};
use diesel::{
    result::Error::{DeserializationError, NotFound},
    sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::scope::Scope;
use crate::{
    db::{
        QueryResult,
        statement::{Bind, statement},
    },
    ids::{PartnerId, TenantId, UserId},
    pg_enum,
};

/// The channel on which a transaction notifies that events wait for their sequence numbers.
pub const WAITING: &str = "portal_events_waiting";
/// The channel on which published events are notified.
pub const PUBLISHED: &str = "portal_events";

/// What distinguishes an event from one of the same sequence number in another history of the database.
pub type Mark = [u8; 8];

/// A position in the order of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The event's sequence number; 0 before the first.
    pub sequence: i64,
    /// The event's mark.
    pub mark: Mark,
}

pg_enum! {
    /// What has changed.
    #[graphql(name = "ChangeKind")]
    pub enum EventKind {
        /// A lead is new or has changed.
        Lead = "lead",
        /// A commission is new or has changed.
        Commission = "commission",
        /// A payout is new or has changed.
        Payout = "payout",
        /// A partner has more or fewer credits to assign.
        CreditBalance = "credit_balance",
        /// People have followed a partner's links. Sent to those who watch one partner, at most once a second.
        Clicks = "clicks",
        /// Somebody who came by a link has signed up.
        SignUp = "sign_up",
        /// Something has gone into a person's wallet as an affiliate, or out of it, or is set free. Sent to that person, and to staff.
        Wallet = "wallet",
        /// An import that was asked for over the API is new, has come further, or has ended. Sent to operators.
        DataImport = "data_import",
    }
}

/// A change, without what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its sequence number: the order of all events.
    pub sequence: i64,
    /// Whose tenant's it is.
    pub tenant_id: TenantId,
    /// Which partner's; of a wallet its user's, of an import its own id.
    pub partner_id: PartnerId,
    /// What has changed.
    pub kind: EventKind,
    /// Which lead, commission, payout, sign-up or import; for credits and clicks the partner, for a wallet its user.
    pub subject_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What distinguishes it from another of its sequence number.
    pub mark: Mark,
}

impl Event {
    /// Whether it is the same event, in whichever history of the database.
    pub fn is(&self, other: &Self) -> bool {
        Self { mark: other.mark, ..*self } == *other
    }

    /// Whether it is among what may be seen in a scope.
    pub fn is_in(&self, scope: Scope) -> bool {
        let is_owned = match self.kind {
            EventKind::Wallet => scope.includes_user(self.subject_id.into()),
            EventKind::DataImport => scope.partner.is_none() && scope.user.is_none(),
            _ => scope.includes(self.partner_id),
        };
        self.tenant_id == scope.tenant && is_owned
    }

    /// Its position.
    pub fn position(&self) -> Position {
        Position { sequence: self.sequence, mark: self.mark }
    }
}

type Row = (BigInt, SqlUuid, SqlUuid, Text, SqlUuid, Timestamptz, Binary);
type Columns = (i64, Uuid, Uuid, EventKind, Uuid, DateTime<Utc>, Vec<u8>);

impl TryFrom<Columns> for Event {
    type Error = diesel::result::Error;

    fn try_from((sequence, tenant, partner, kind, subject_id, at, mark): Columns) -> QueryResult<Self> {
        Ok(Self { sequence, tenant_id: tenant.into(), partner_id: partner.into(), kind, subject_id, at, mark: read_mark(&mark)? })
    }
}

fn read_mark(bytes: &[u8]) -> QueryResult<Mark> {
    bytes.try_into().map_err(|_| DeserializationError("an event's mark is not 8 bytes long".into()))
}

/// Which events a subscription watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// What changes: one of these.
    pub kinds: Vec<EventKind>,
    /// Of this partner alone.
    pub partner: Option<PartnerId>,
    /// Of this lead, commission or payout alone.
    pub subject: Option<Uuid>,
}

impl EventFilter {
    /// Whether the event is among them. Whether the subscriber may see it is checked elsewhere.
    pub fn lets_through(&self, event: &Event) -> bool {
        self.kinds.contains(&event.kind)
            // A wallet is no partner's: the ids never are the same.
            && self.partner.is_none_or(|partner| partner == event.partner_id)
            && self.subject.is_none_or(|subject| subject == event.subject_id)
    }
}

/// Gives waiting events their sequence numbers. It remembers up to which event no more can come to wait, and does not scan that part again.
#[derive(Debug, Default)]
pub struct Publisher {
    /// The first event that may wait.
    from: i64,
    /// A transaction, and the last event that one before it can have made.
    next: Option<(i64, i64)>,
}

impl Publisher {
    /// Gives at most this many waiting events their sequence numbers, and returns how many. Must be the first write of its transaction for what
    /// is remembered to advance.
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

/// The events of all tenants from a sequence number on, in their order.
pub async fn published_from(mut connection: &AsyncPgConnection, first: i64, most: i64) -> QueryResult<Vec<Event>> {
    let rows: Vec<Columns> =
        statement::<Row>("SELECT * FROM events_of_all_kinds_from(?, ?)", vec![Bind::BigInt(first), Bind::BigInt(most)])
            .load(&mut connection)
            .await?;
    rows.into_iter().map(Event::try_from).collect()
}

/// The events after a sequence number that are in the scope and pass the filter, in their order.
pub async fn missed(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    filter: &EventFilter,
    after: i64,
    most: i64,
) -> QueryResult<Vec<Event>> {
    let mut binds = Vec::new();
    // Of each kind as many as may be wanted: an index has them in their order, and no more are read.
    let kinds: Vec<String> = filter.kinds.iter().map(|kind| one_kind(*kind, scope, filter, after, most, &mut binds)).collect();
    binds.push(Bind::BigInt(most));
    let rows: Vec<Columns> = statement::<Row>(
        format!(
            "SELECT place, tenant_id, partner_id, kind::text, subject_id, at, event_mark((SELECT event_epoch()), id, subject_id, at)
                FROM ({}) AS missed ORDER BY place LIMIT ?",
            kinds.join(" UNION ALL ")
        ),
        binds,
    )
    .load(&mut connection)
    .await?;
    rows.into_iter().map(Event::try_from).collect()
}

/// The query of the missed events of one kind.
fn one_kind(kind: EventKind, scope: Scope, filter: &EventFilter, after: i64, most: i64, binds: &mut Vec<Bind>) -> String {
    let mut text = "(SELECT * FROM events WHERE tenant_id = ? AND kind = ? AND place > ?".to_owned();
    binds.extend([Bind::Uuid(scope.tenant.uuid()), Bind::text(kind.as_str()), Bind::BigInt(after)]);
    let owner = match kind {
        EventKind::Wallet => scope.user.map(UserId::uuid),
        _ => scope.partner.map(PartnerId::uuid),
    };
    for (column, id) in
        [("partner_id", owner), ("partner_id", filter.partner.map(PartnerId::uuid)), ("subject_id", filter.subject)]
    {
        if let Some(id) = id {
            text.push_str(" AND ");
            text.push_str(column);
            text.push_str(" = ?");
            binds.push(Bind::Uuid(id));
        }
    }
    text.push_str(" ORDER BY place LIMIT ?)");
    binds.push(Bind::BigInt(most));
    text
}

/// The sequence number of the last event.
pub async fn last(mut connection: &AsyncPgConnection) -> QueryResult<i64> {
    statement::<BigInt>("SELECT last_event()", vec![]).get_result(&mut connection).await
}

/// The position of the last event.
pub async fn last_position(mut connection: &AsyncPgConnection) -> QueryResult<Position> {
    let (sequence, mark): (i64, Vec<u8>) =
        statement::<(BigInt, Binary)>("SELECT place, mark FROM last_event_mark()", vec![]).get_result(&mut connection).await?;
    Ok(Position { sequence, mark: read_mark(&mark)? })
}

/// The sequence number of the last event, and the mark of the event of a sequence number; `None` where it is not stored.
pub async fn at(mut connection: &AsyncPgConnection, sequence: i64) -> QueryResult<(i64, Option<Mark>)> {
    let (last, mark): (i64, Option<Vec<u8>>) =
        statement::<(BigInt, Nullable<Binary>)>("SELECT last, mark FROM event_at(?)", vec![Bind::BigInt(sequence)])
            .get_result(&mut connection)
            .await?;
    Ok((last, mark.as_deref().map(read_mark).transpose()?))
}

/// The event after which all of a tenant's are here: it arrived from another cluster then; 0 where it has always been here.
pub async fn floor(mut connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<i64> {
    statement::<BigInt>("SELECT event_floor(?)", vec![Bind::Uuid(tenant.uuid())]).get_result(&mut connection).await
}

/// The key that cursors are encrypted with.
pub async fn cursor_key(mut connection: &AsyncPgConnection) -> QueryResult<Vec<u8>> {
    statement::<Binary>("SELECT event_cursor_key()", vec![]).get_result(&mut connection).await
}

/// Deletes so many events from before a time; gives how many it were.
pub async fn forget(mut connection: &AsyncPgConnection, before: DateTime<Utc>, most: i64) -> QueryResult<i64> {
    statement::<BigInt>("SELECT forget_events(?, ?)", vec![Bind::Time(before), Bind::BigInt(most)])
        .get_result(&mut connection)
        .await
}
