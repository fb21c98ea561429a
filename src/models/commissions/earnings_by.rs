//! What was earned in a period, grouped: by link, programme, customer or kind of event. Everything that was earned or taken back is in one of the
//! groups.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    result::QueryResult,
    sql_types::{BigInt, Integer, Nullable, Numeric, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    db::statement::{Bind, statement},
    models::{list::MAX_SUMMED, scope::Scope},
};

/// By what earnings are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum EarningsGroup {
    /// By the link that the customer came by.
    Link,
    /// By the programme of that link.
    Programme,
    /// By the customer who paid.
    Customer,
    /// By what made the commission: payments, refunds, leads, adjustments.
    EventType,
}

/// The earnings of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The group: an id as a UUID, or a kind of event; `None` for what belongs to none, and for the rest.
    pub group: Option<String>,
    /// Whether it is all that was left over, of groups that are not shown by themselves.
    pub is_rest: bool,
    /// What was earned in all.
    pub earned: Decimal,
    /// What was earned in each part of the period.
    pub parts: Vec<Decimal>,
}

impl EarningsGroup {
    /// The group of a commission `e` with the link `l`.
    fn column(self) -> &'static str {
        match self {
            Self::Link => "e.link_id::text",
            Self::Programme => "l.programme_id::text",
            Self::Customer => "e.customer_id::text",
            Self::EventType => "e.event_type::text",
        }
    }
}

/// The earnings of a period in one currency by group, those that earned most first: at most `most`, and the rest as one. A part begins at each of
/// `starts` and ends where the next one begins, the last one at `before`. `None` where there are more than [`MAX_SUMMED`] commissions.
pub async fn earnings_by(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    group: EarningsGroup,
    currency: Currency,
    (starts, before): (&[DateTime<Utc>], DateTime<Utc>),
    most: usize,
) -> QueryResult<Option<Vec<Series>>> {
    let [from, ..] = starts[..] else { return Ok(Some(Vec::new())) };
    let partner = if scope.partner.is_some() { "AND e.partner_id = ?" } else { "" };
    let mut binds = vec![Bind::Times(starts.to_vec()), Bind::Uuid(scope.tenant.uuid())];
    binds.extend(scope.partner.map(|partner| Bind::Uuid(partner.uuid())));
    binds.extend([Bind::text(currency.code()), Bind::Time(from), Bind::Time(before), Bind::BigInt(MAX_SUMMED + 1)]);
    let rows: Vec<(Option<String>, i32, Decimal, i64)> = statement::<(Nullable<Text>, Integer, Numeric, BigInt)>(
        format!(
            "SELECT \"group\", width_bucket(at, ?), sum(amount), count(*) FROM (
                 SELECT {} AS \"group\", e.event_date AS at, e.amount
                 FROM partner_commission_events e LEFT JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id
                 WHERE e.tenant_id = ? {partner} AND e.currency = ? AND e.event_date >= ? AND e.event_date < ? AND e.status <> 'rejected'
                 LIMIT ?) AS earned
             GROUP BY 1, 2",
            group.column()
        ),
        binds,
    )
    .load(&mut connection)
    .await?;
    if rows.iter().map(|row| row.3).sum::<i64>() > MAX_SUMMED {
        return Ok(None);
    }
    Ok(Some(series(rows.into_iter().map(|(group, part, earned, _)| (group, part, earned)), starts.len(), most)))
}

/// The series of groups' earnings in numbered parts, of which there are so many.
fn series(rows: impl Iterator<Item = (Option<String>, i32, Decimal)>, parts: usize, most: usize) -> Vec<Series> {
    let mut groups = HashMap::<Option<String>, Vec<Decimal>>::new();
    for (group, part, earned) in rows {
        let sums = groups.entry(group).or_insert_with(|| vec![Decimal::ZERO; parts]);
        if let Some(sum) = usize::try_from(part - 1).ok().and_then(|index| sums.get_mut(index)) {
            *sum += earned;
        }
    }
    let whole = |group, parts: Vec<Decimal>| Series { group, is_rest: false, earned: parts.iter().sum(), parts };
    let mut all: Vec<Series> = groups.into_iter().map(|(group, parts)| whole(group, parts)).collect();
    all.sort_by(|one, other| other.earned.cmp(&one.earned).then_with(|| one.group.cmp(&other.group)));
    if all.len() > most {
        let rest = all.split_off(most);
        let sum = |number: usize| rest.iter().map(|series| series.parts[number]).sum();
        all.push(Series { is_rest: true, ..whole(None, (0..parts).map(sum).collect()) });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups that earned most come first; what is left over is one more, and nothing is lost, not what is below zero either.
    #[test]
    fn the_rest_is_one_group() {
        let rows = [(Some("a"), 1, 5), (Some("a"), 3, -7), (Some("b"), 2, 4), (None, 1, 1), (Some("c"), 2, 3)];
        let rows = rows.map(|(group, part, earned)| (group.map(str::to_owned), part, Decimal::from(earned)));
        let found = series(rows.into_iter(), 3, 2);
        let shown: Vec<_> = found.iter().map(|series| (series.group.as_deref(), series.is_rest, series.earned)).collect();
        let number = |number: i64| Decimal::from(number);
        assert_eq!(shown, [(Some("b"), false, number(4)), (Some("c"), false, number(3)), (None, true, number(-1))]);
        assert_eq!(found[2].parts, [number(6), number(0), number(-7)]);
    }
}
