//! How many leads were sent over time, and what has become of them.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    QueryResult,
    sql_types::{BigInt, Date, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{calendar::TimeZone, lead_status::LeadStatus, list::MAX_SUMMED, revenue::Interval, scope::Scope};
use crate::{
    db::statement::{Bind, statement},
    ids::PartnerId,
};

/// The leads in scope that were sent from an instant on and before another, counted by the first day of the part of time in which they were sent,
/// as days begin in a time zone, and by the status that they have now. Of more than [`MAX_SUMMED`] some are left out: the counts then say
/// that there are more.
pub async fn sent_over_time(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
    interval: Interval,
    zone: TimeZone,
) -> QueryResult<Vec<(NaiveDate, LeadStatus, i64)>> {
    let partner = if scope.partner.is_some() { "AND partner_id = ?" } else { "" };
    let mut binds = vec![Bind::text(interval.unit()), Bind::text(zone.to_string()), Bind::Uuid(scope.tenant.uuid())];
    binds.extend(scope.partner.map(PartnerId::uuid).map(Bind::Uuid));
    binds.extend([Bind::Time(from), Bind::Time(before), Bind::BigInt(MAX_SUMMED + 1)]);
    statement::<(Date, Text, BigInt)>(
        format!(
            "SELECT date_trunc(?, created_at AT TIME ZONE ?)::date, status::text, count(*) FROM (
                 SELECT created_at, status FROM partner_leads
                 WHERE tenant_id = ? {partner} AND created_at >= ? AND created_at < ? LIMIT ?) AS leads
             GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        binds,
    )
    .load(&mut connection)
    .await
}
