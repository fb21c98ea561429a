//! Figures over periods, read from the totals by day and month: however long the history, a year of a partner's is a dozen rows
//! and the days at its edges.

use chrono::{Datelike, Days, Months, NaiveDate};
use diesel::{
    QueryResult,
    sql_types::{BigInt, Date, Numeric},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{calendar::month_start, scope::Scope};
use crate::db::statement::{Bind, statement};

/// A period of whole days, as they begin in the tenant's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    /// Its first day.
    pub from: NaiveDate,
    /// The day after its last.
    pub to: NaiveDate,
}

/// How a period is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum Interval {
    /// By day.
    Day,
    /// By week, from Monday (ISO 8601).
    Week,
    /// By calendar month.
    Month,
}

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

impl Interval {
    /// What PostgreSQL calls it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the part that a day falls into.
    pub fn start_of(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => day - Days::new(u64::from(day.weekday().num_days_from_monday())),
            Self::Month => month_start(day),
        }
    }

    /// The first day of the part after the one that begins on `start`.
    pub fn next(self, start: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => start + Days::new(1),
            Self::Week => start + Days::new(7),
            Self::Month => start + Months::new(1),
        }
    }
}

impl Period {
    /// Its whole months; empty where it has none.
    fn months(self) -> (NaiveDate, NaiveDate) {
        let first = if self.from.day() == 1 { self.from } else { month_start(self.from) + Months::new(1) };
        let end = month_start(self.to);
        if first < end { (first, end) } else { (self.to, self.to) }
    }

    /// Into how many parts an interval divides it.
    pub fn parts(self, interval: Interval) -> i64 {
        let days = (self.to - self.from).num_days();
        match interval {
            Interval::Day => days,
            Interval::Week => days / 7 + 1,
            Interval::Month => days / 28 + 1,
        }
    }
}

type Columns = (Date, Numeric, Numeric, BigInt, Numeric);

/// The totals of a period by part. Whole months are read as months unless the parts are smaller.
async fn parts(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    period: Period,
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

/// What a period has brought, to one partner or to all of a tenant's.
pub async fn figures(connection: &AsyncPgConnection, scope: Scope, currency: Currency, period: Period) -> QueryResult<Figures> {
    let parts = parts(connection, scope, currency, period, Interval::Month).await?;
    Ok(parts.into_iter().fold(Figures::default(), |sum, (_, part)| Figures {
        earned: sum.earned + part.earned,
        pending: sum.pending + part.pending,
        commission_count: sum.commission_count + part.commission_count,
        paid_out: sum.paid_out + part.paid_out,
    }))
}

/// What each part of a period has brought, those that brought nothing included.
pub async fn over_time(
    connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    period: Period,
    interval: Interval,
) -> QueryResult<Vec<Point>> {
    let mut found = parts(connection, scope, currency, period, interval).await?.into_iter().peekable();
    let mut points = Vec::new();
    let mut start = interval.start_of(period.from);
    while start < period.to {
        let part = found.next_if(|(of, _)| *of == start);
        let figures = part.map_or_else(Figures::default, |(_, figures)| figures);
        points.push(Point { start: start.max(period.from), figures });
        start = interval.next(start);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn period(from: &str, to: &str) -> Period {
        Period { from: day(from), to: day(to) }
    }

    /// A period's whole months are those that lie in it from the first to the last day.
    #[test]
    fn whole_months() {
        let months = |from, to| period(from, to).months();
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
