//! Figures over periods, read from the totals by day and month: however long the history, a year of a partner's is a dozen rows
//! and the days at its edges.

use chrono::NaiveDate;
use diesel::{
    QueryResult,
    sql_types::{BigInt, Date, Integer, Numeric},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    db::statement::{Bind, statement},
    models::{
        list::MAX_SUMMED,
        period::{Days, Interval, Span},
        scope::Scope,
    },
};

/// What a period has brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Commissions earned and not rejected, reversals and adjustments included.
    pub earned: Decimal,
    /// Those of them that wait for approval.
    pub pending: Decimal,
    /// How many there are.
    pub commission_count: i64,
    /// Payouts completed.
    pub paid_out: Decimal,
}

/// The figures of one part of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The part's first day; of the first part the period's.
    pub start: NaiveDate,
    /// Its figures.
    pub figures: Figures,
}

type Columns = (Date, Numeric, Numeric, BigInt, Numeric);

/// The totals of days by part. Whole months are read as months unless the parts are smaller.
async fn totals(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    period: Days,
    interval: Interval,
) -> QueryResult<Vec<(NaiveDate, Figures)>> {
    let (first, end) = if interval == Interval::Month { period.months() } else { (period.to, period.to) };
    // All of a tenant's partners have figures of their own: what they cost does not grow with how many they are.
    let (table, partner) =
        if scope.partner.is_some() { ("commission_totals", "partner_id = ? AND") } else { ("tenant_totals", "") };
    let mut ranges = Vec::new();
    let mut binds = vec![Bind::text(interval.unit())];
    for (grain, from, to) in [("day", period.from, first), ("month", first, end), ("day", end, period.to)] {
        if from >= to {
            continue;
        }
        ranges.push(format!(
            "SELECT starts_on, earned, pending, commission_count, paid_out FROM {table}
             WHERE tenant_id = ? AND {partner} currency = ? AND grain = '{grain}' AND starts_on >= ? AND starts_on < ?"
        ));
        binds.push(Bind::Uuid(scope.tenant.uuid()));
        binds.extend(scope.partner.map(|partner| Bind::Uuid(partner.uuid())));
        binds.extend([Bind::text(currency.code()), Bind::Date(from), Bind::Date(to)]);
    }
    let rows: Vec<(NaiveDate, Decimal, Decimal, i64, Decimal)> = statement::<Columns>(
        format!(
            "SELECT date_trunc(?, starts_on::timestamp)::date, sum(earned), sum(pending), sum(commission_count)::bigint, sum(paid_out)
             FROM ({}) AS totals GROUP BY 1 ORDER BY 1",
            ranges.join(" UNION ALL ")
        ),
        binds,
    )
    .load(&mut connection)
    .await?;
    let figures =
        |(start, earned, pending, commission_count, paid_out)| (start, Figures { earned, pending, commission_count, paid_out });
    Ok(rows.into_iter().map(figures).collect())
}

/// The same of a period of which there are no totals, from the commissions and payouts themselves; `None` where these are more than
/// [`MAX_SUMMED`], in whatever currency.
async fn sums(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    span: &Span,
    interval: Interval,
) -> QueryResult<Option<Vec<(NaiveDate, Figures)>>> {
    let partner = if scope.partner.is_some() { "AND partner_id = ?" } else { "" };
    let code = || Bind::text(currency.code());
    let bounds = || {
        let tenant = [Bind::Uuid(scope.tenant.uuid())].into_iter().chain(scope.partner.map(|partner| Bind::Uuid(partner.uuid())));
        tenant.chain([Bind::Time(span.from), Bind::Time(span.before), Bind::BigInt(MAX_SUMMED + 1)])
    };
    let mut binds = vec![Bind::Times(span.starts(interval)), code(), code(), code()];
    binds.extend(bounds());
    binds.push(code());
    binds.extend(bounds());
    let rows: Vec<(i32, Decimal, Decimal, i64, Decimal, i64)> = statement::<(Integer, Numeric, Numeric, BigInt, Numeric, BigInt)>(
        format!(
            "SELECT width_bucket(at, ?), sum(earned), sum(pending), sum(commission_count)::bigint, sum(paid_out), count(*) FROM (
                 SELECT event_date AS at, earned, pending, commission_count, 0 AS paid_out FROM (
                     SELECT event_date, (currency = ? AND status <> 'rejected')::integer AS commission_count,
                         CASE WHEN currency = ? AND status <> 'rejected' THEN amount ELSE 0 END AS earned,
                         CASE WHEN currency = ? AND status = 'pending' THEN amount ELSE 0 END AS pending
                     FROM partner_commission_events WHERE tenant_id = ? {partner} AND event_date >= ? AND event_date < ? LIMIT ?
                 ) AS commissions
                 UNION ALL (SELECT completed_at, 0, 0, 0, CASE WHEN currency = ? AND status = 'completed' THEN total_amount ELSE 0 END
                     FROM partner_payouts WHERE tenant_id = ? {partner} AND completed_at >= ? AND completed_at < ? LIMIT ?)
             ) AS sums GROUP BY 1 ORDER BY 1"
        ),
        binds,
    )
    .load(&mut connection)
    .await?;
    let parts = interval.parts_of(span.days);
    let part = |number: i32| usize::try_from(number - 1).ok().and_then(|index| parts.get(index));
    let read: i64 = rows.iter().map(|row| row.5).sum();
    let rows = rows.into_iter().filter_map(|(number, earned, pending, commission_count, paid_out, _)| {
        Some((part(number)?.0, Figures { earned, pending, commission_count, paid_out }))
    });
    Ok((read <= MAX_SUMMED).then(|| rows.collect()))
}

async fn parts(
    connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    span: &Span,
    interval: Interval,
) -> QueryResult<Option<Vec<(NaiveDate, Figures)>>> {
    if span.has_totals {
        totals(connection, scope, currency, span.days, interval).await.map(Some)
    } else {
        sums(connection, scope, currency, span, interval).await
    }
}

/// What a period has brought, to one partner or to all of a tenant's; `None` where there are no totals of it, and more than [`MAX_SUMMED`]
/// commissions and payouts.
pub async fn figures(
    connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    span: &Span,
) -> QueryResult<Option<Figures>> {
    let Some(parts) = parts(connection, scope, currency, span, Interval::Month).await? else { return Ok(None) };
    Ok(Some(parts.into_iter().fold(Figures::default(), |sum, (_, part)| Figures {
        earned: sum.earned + part.earned,
        pending: sum.pending + part.pending,
        commission_count: sum.commission_count + part.commission_count,
        paid_out: sum.paid_out + part.paid_out,
    })))
}

/// What each part of a period has brought, those that brought nothing included; `None` as for [`figures`].
pub async fn over_time(
    connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    span: &Span,
    interval: Interval,
) -> QueryResult<Option<Vec<Point>>> {
    let Some(parts) = parts(connection, scope, currency, span, interval).await? else { return Ok(None) };
    let mut found = parts.into_iter().peekable();
    let point = |(of, start)| {
        let part = found.next_if(|(part, _)| *part == of);
        Point { start, figures: part.map_or_else(Figures::default, |(_, figures)| figures) }
    };
    Ok(Some(interval.parts_of(span.days).into_iter().map(point).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn days(from: &str, to: &str) -> Days {
        Days { from: day(from), to: day(to) }
    }

    /// A period's whole months are those that lie in it from the first to the last day.
    #[test]
    fn whole_months() {
        let months = |from, to| days(from, to).months();
        assert_eq!(months("2026-01-01", "2027-01-01"), (day("2026-01-01"), day("2027-01-01")));
        assert_eq!(months("2026-01-02", "2026-03-31"), (day("2026-02-01"), day("2026-03-01")));
        assert_eq!(months("2026-01-02", "2026-02-28"), (day("2026-02-28"), day("2026-02-28")));
        assert_eq!(months("2026-01-31", "2026-02-01"), (day("2026-02-01"), day("2026-02-01")));
    }

    /// Weeks begin on Monday.
    #[test]
    fn weeks() {
        assert_eq!(Interval::Week.start_of(day("2026-11-22")), day("2026-11-16"));
        assert_eq!(Interval::Week.next(day("2026-11-16")), day("2026-11-23"));
        assert_eq!(Interval::Month.next(day("2026-12-01")), day("2027-01-01"));
    }
}
