//! Figures of links in the parts of a period, down to hours, read from the totals.

use std::{collections::HashMap, iter, sync::Arc};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use diesel::{
    result::QueryResult,
    sql_types::{BigInt, Integer, Numeric, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::figures::{ClickFigures, FiguresOf, Quarters, SaleFigures, Totals};
use crate::{
    db::statement::{Bind, statement},
    models::{
        period::{Interval, Span},
        scope::Scope,
    },
};

/// How a period of figures is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum FiguresInterval {
    /// By hour.
    Hour,
    /// By day.
    Day,
    /// By week, from Monday (ISO 8601).
    Week,
    /// By calendar month.
    Month,
}

/// The parts of a period: where each begins, and where the last one ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parts {
    starts: Arc<[DateTime<Utc>]>,
    before: DateTime<Utc>,
}

/// What has come of links in one part of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartFigures {
    /// Who followed them.
    pub clicks: ClickFigures,
    /// What they did then.
    pub sales: SaleFigures,
}

impl FiguresInterval {
    /// The same by days; `None` for hours.
    pub fn of_days(self) -> Option<Interval> {
        match self {
            Self::Hour => None,
            Self::Day => Some(Interval::Day),
            Self::Week => Some(Interval::Week),
            Self::Month => Some(Interval::Month),
        }
    }
}

impl Parts {
    /// Those of a period, whose bounds are rounded down to a quarter of an hour.
    pub fn of(span: &Span, interval: FiguresInterval) -> Self {
        Self::between(Quarters::between(span.from, span.before).bounds(), span, interval)
    }

    /// Those of a period to the instant, for what there are no totals of.
    pub fn exactly(span: &Span, interval: FiguresInterval) -> Self {
        Self::between((span.from, span.before), span, interval)
    }

    fn between((from, before): (DateTime<Utc>, DateTime<Utc>), span: &Span, interval: FiguresInterval) -> Self {
        let starts: Vec<DateTime<Utc>> = match interval.of_days() {
            Some(interval) => span.starts(interval),
            None => iter::successors(Some(from), |start| Some(*start + TimeDelta::hours(1)))
                .take_while(|start| *start < before)
                .collect(),
        };
        // The first of them may have begun before the period; a day that a zone left out begins when the next one does.
        let starts = starts.into_iter().map(|start| start.max(from)).filter(|start| *start < before);
        let mut starts: Vec<DateTime<Utc>> = starts.collect();
        starts.dedup();
        Self { starts: starts.into(), before }
    }

    /// Where each begins.
    pub fn starts(&self) -> &[DateTime<Utc>] {
        &self.starts
    }

    /// What totals they are added up from: days (UTC) where each part is of whole ones.
    fn grain(&self) -> &'static str {
        let mut bounds = self.starts.iter().chain([&self.before]);
        if bounds.all(|at| at.time() == NaiveTime::MIN) { "day" } else { "quarter_hour" }
    }

    /// The figures of many, with the amounts in one currency: for each as many as there are parts. What has none at all is left out.
    pub async fn figures(
        &self,
        mut connection: &AsyncPgConnection,
        scope: Scope,
        of: FiguresOf,
        ids: &[Uuid],
        currency: Currency,
    ) -> QueryResult<HashMap<Uuid, Arc<[PartFigures]>>> {
        let [from, ..] = self.starts[..] else { return Ok(HashMap::new()) };
        let select = |table: &str, sums: &str| {
            let range = format!("t.grain = '{}' AND t.starts_at >= ? AND t.starts_at < ?", self.grain());
            let Totals { id, from: tables, condition, mut binds } =
                Totals::within(table, scope, of, ids, &range, &[from, self.before]);
            binds.insert(0, Bind::Times(self.starts.to_vec()));
            (format!("SELECT {id}, width_bucket(t.starts_at, ?), {sums} FROM {tables} WHERE {condition}"), binds)
        };
        let mut found = HashMap::<Uuid, Vec<PartFigures>>::new();
        let mut part = |id: Uuid, number: i32, set: &dyn Fn(&mut PartFigures)| {
            let parts = found.entry(id).or_insert_with(|| vec![PartFigures::default(); self.starts.len()]);
            if let Some(part) = usize::try_from(number - 1).ok().and_then(|index| parts.get_mut(index)) {
                set(part);
            }
        };
        let (sql, binds) = select("link_click_totals", "sum(t.clicks)::bigint, sum(t.visitors)::bigint");
        let clicks: Vec<(Uuid, i32, i64, i64)> =
            statement::<(SqlUuid, Integer, BigInt, BigInt)>(sql + " GROUP BY 1, 2", binds).load(&mut connection).await?;
        for (id, number, clicks, visitors) in clicks {
            part(id, number, &|part| part.clicks = ClickFigures { clicks, visitors });
        }
        let (sql, mut binds) = select(
            "link_sale_totals",
            "sum(t.sign_ups)::bigint, sum(t.customers)::bigint, sum(t.sales)::bigint, sum(t.sale_amount), sum(t.earned)",
        );
        binds.push(Bind::text(currency.code()));
        let sales: Vec<(Uuid, i32, i64, i64, i64, Decimal, Decimal)> =
            statement::<(SqlUuid, Integer, BigInt, BigInt, BigInt, Numeric, Numeric)>(
                sql + " AND t.currency IN ('', ?) GROUP BY 1, 2",
                binds,
            )
            .load(&mut connection)
            .await?;
        for (id, number, sign_ups, customers, sales, sale_amount, earned) in sales {
            part(id, number, &|part| part.sales = SaleFigures { sign_ups, customers, sales, sale_amount, earned });
        }
        Ok(found.into_iter().map(|(id, parts)| (id, parts.into())).collect())
    }
}
