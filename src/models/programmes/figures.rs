//! Figures of links, read from totals: of a link, of a partner's part in a programme, of a programme, of a partner.

use std::collections::HashMap;

use chrono::{DateTime, Days, DurationRound, NaiveDate, TimeDelta, Utc};
use diesel::{
    result::QueryResult,
    sql_types::{BigInt, Numeric, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    db::statement::{Bind, statement},
    ids::PartnerId,
    models::scope::Scope,
};

/// How finely totals are kept.
const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// What the figures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FiguresOf {
    /// One link.
    Link,
    /// One partner's part in a programme.
    Enrolment,
    /// One programme.
    Programme,
    /// One partner.
    Partner,
}

/// What has come of links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClickFigures {
    /// Clicks of people, a visitor's on one link within an hour counted once.
    pub clicks: i64,
    /// Visitors, each counted once for a link and day.
    pub visitors: i64,
}

/// What those who came by links have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaleFigures {
    /// Sign-ups that count.
    pub sign_ups: i64,
    /// Customers by when they bought first by a link.
    pub customers: i64,
    /// Payments in the currency.
    pub sales: i64,
    /// What was paid, less what was refunded of it.
    pub sale_amount: Decimal,
    /// What the links' partners have earned, what was taken back included.
    pub earned: Decimal,
}

/// A period of figures, to the quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quarters {
    from: DateTime<Utc>,
    before: DateTime<Utc>,
}

impl Quarters {
    /// The period between two instants, both rounded down to a quarter of an hour, which days begin with in every time zone.
    pub fn between(from: DateTime<Utc>, before: DateTime<Utc>) -> Self {
        let floor = |at: DateTime<Utc>| at.duration_trunc(QUARTER).unwrap_or(at);
        Self { from: floor(from), before: floor(before) }
    }

    /// Its first instant, and its end.
    pub fn bounds(self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.from, self.before)
    }

    /// The days (UTC) that it has a part of: the first, and the one after the last.
    pub fn days_touched(self) -> (NaiveDate, NaiveDate) {
        let last = (self.before - QUARTER).max(self.from).date_naive();
        (self.from.date_naive(), last + Days::new(1))
    }

    /// The whole days (UTC) in it, for which there are totals; empty where there are none.
    fn days(self) -> (DateTime<Utc>, DateTime<Utc>) {
        let day = TimeDelta::days(1);
        let floor = |at: DateTime<Utc>| at.duration_trunc(day).unwrap_or(at);
        let first = if floor(self.from) == self.from { self.from } else { floor(self.from) + day };
        let end = floor(self.before);
        if first < end { (first, end) } else { (self.before, self.before) }
    }
}

/// The totals that figures are added up from.
pub(super) struct Totals {
    /// The column of the id.
    pub id: &'static str,
    /// The tables.
    pub from: String,
    /// Which rows.
    pub condition: String,
    /// What is bound there.
    pub binds: Vec<Bind>,
}

impl Totals {
    /// Those of a table, since the beginning or of a period.
    fn of(table: &str, scope: Scope, of: FiguresOf, ids: &[Uuid], period: Option<Quarters>) -> Self {
        let Some(period) = period else { return Self::within(table, scope, of, ids, "t.grain = 'all'", &[]) };
        let (first, end) = period.days();
        let times = [first, end, period.from, first, end, period.before];
        let grains = "(t.grain = 'day' AND t.starts_at >= ? AND t.starts_at < ?
            OR t.grain = 'quarter_hour' AND (t.starts_at >= ? AND t.starts_at < ? OR t.starts_at >= ? AND t.starts_at < ?))";
        Self::within(table, scope, of, ids, grains, &times)
    }

    /// Those of a table of which something is so, with the instants that are bound there; a programme's are those of the partners in it.
    pub fn within(table: &str, scope: Scope, of: FiguresOf, ids: &[Uuid], grains: &str, times: &[DateTime<Utc>]) -> Self {
        let (id, from) = match of {
            FiguresOf::Link | FiguresOf::Enrolment | FiguresOf::Partner => ("t.scope_id", format!("{table} t")),
            FiguresOf::Programme => {
                ("e.programme_id", format!("enrolments e JOIN {table} t ON t.tenant_id = e.tenant_id AND t.scope_id = e.id"))
            }
        };
        let mut binds = vec![Bind::Uuid(scope.tenant.uuid()), Bind::Uuids(ids.to_vec())];
        binds.extend(times.iter().copied().map(Bind::Time));
        let own = if scope.partner.is_some() { " AND t.partner_id = ?" } else { "" };
        binds.extend(scope.partner.map(PartnerId::uuid).map(Bind::Uuid));
        Self { id, from, condition: format!("t.tenant_id = ? AND {id} = ANY (?) AND {grains}{own}"), binds }
    }
}

impl ClickFigures {
    /// The figures of many, since the beginning or of a period. Where there are none, it is left out.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        of: FiguresOf,
        ids: &[Uuid],
        period: Option<Quarters>,
    ) -> QueryResult<HashMap<Uuid, Self>> {
        let Totals { id, from, condition, binds } = Totals::of("link_click_totals", scope, of, ids, period);
        let rows: Vec<(Uuid, i64, i64)> = statement::<(SqlUuid, BigInt, BigInt)>(
            format!("SELECT {id}, sum(t.clicks)::bigint, sum(t.visitors)::bigint FROM {from} WHERE {condition} GROUP BY 1"),
            binds,
        )
        .load(&mut connection)
        .await?;
        Ok(rows.into_iter().map(|(id, clicks, visitors)| (id, Self { clicks, visitors })).collect())
    }
}

impl SaleFigures {
    /// The figures of many, with the amounts in one currency, since the beginning or of a period. Where there are none, it is left out.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        of: FiguresOf,
        ids: &[Uuid],
        period: Option<Quarters>,
        currency: Currency,
    ) -> QueryResult<HashMap<Uuid, Self>> {
        let Totals { id, from, condition, mut binds } = Totals::of("link_sale_totals", scope, of, ids, period);
        binds.push(Bind::text(currency.code()));
        let rows: Vec<(Uuid, i64, i64, i64, Decimal, Decimal)> =
            statement::<(SqlUuid, BigInt, BigInt, BigInt, Numeric, Numeric)>(
                format!(
                    "SELECT {id}, sum(t.sign_ups)::bigint, sum(t.customers)::bigint, sum(t.sales)::bigint, sum(t.sale_amount), sum(t.earned)
                     FROM {from} WHERE {condition} AND t.currency IN ('', ?) GROUP BY 1"
                ),
                binds,
            )
            .load(&mut connection)
            .await?;
        let figures = rows.into_iter().map(|(id, sign_ups, customers, sales, sale_amount, earned)| {
            (id, Self { sign_ups, customers, sales, sale_amount, earned })
        });
        Ok(figures.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    /// Whole days are read as days, and only what is left at both ends by quarters of an hour.
    #[test]
    fn parts() {
        let period = Quarters::between(at("2026-11-01T23:15:59Z"), at("2026-11-03T05:45:00Z"));
        assert_eq!((period.from, period.before), (at("2026-11-01T23:15:00Z"), at("2026-11-03T05:45:00Z")));
        assert_eq!(period.days(), (at("2026-11-02T00:00:00Z"), at("2026-11-03T00:00:00Z")));
        let whole = Quarters::between(at("2026-11-01T00:00:00Z"), at("2026-11-03T00:00:00Z"));
        assert_eq!(whole.days(), (whole.from, whole.before));
        let within = Quarters::between(at("2026-11-01T01:00:00Z"), at("2026-11-01T23:00:00Z"));
        assert_eq!(within.days(), (within.before, within.before));
    }
}
