//! How many leads were sent over time, and what has become of them.

use diesel::{
    QueryResult,
    sql_types::{BigInt, Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::status::LeadStatus;
use crate::{
    db::statement::{Bind, statement},
    ids::PartnerId,
    models::{
        list::MAX_SUMMED,
        period::{Interval, Span},
        scope::Scope,
    },
};

/// The leads in scope that were sent in a period, counted by the number of the part in which they were sent, from 1 on, and by the status that they have now. Of more than [`MAX_SUMMED`] some are left out: the counts then say
/// that there are more.
pub async fn sent_over_time(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    span: &Span,
    interval: Interval,
) -> QueryResult<Vec<(i32, LeadStatus, i64)>> {
    let partner = if scope.partner.is_some() { "AND partner_id = ?" } else { "" };
    let mut binds = vec![Bind::Times(span.starts(interval)), Bind::Uuid(scope.tenant.uuid())];
    binds.extend(scope.partner.map(PartnerId::uuid).map(Bind::Uuid));
    binds.extend([Bind::Time(span.from), Bind::Time(span.before), Bind::BigInt(MAX_SUMMED + 1)]);
    statement::<(Integer, Text, BigInt)>(
        format!(
            "SELECT width_bucket(created_at, ?), status::text, count(*) FROM (
                 SELECT created_at, status FROM partner_leads
                 WHERE tenant_id = ? {partner} AND created_at >= ? AND created_at < ? LIMIT ?) AS leads
             GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        binds,
    )
    .load(&mut connection)
    .await
}
