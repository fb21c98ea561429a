//! What affiliates have brought and earned, read from totals by day.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::sql_types::{BigInt, Date, Nullable, Numeric, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    db::{
        QueryResult,
        statement::{Bind, statement},
    },
    ids::UserId,
    models::{
        period::{Days, Interval},
        scope::Scope,
    },
};

/// What an affiliate has brought and earned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AffiliateFigures {
    /// What referred people paid by what earned something, less refunds.
    pub sales: Decimal,
    /// The affiliate's share of it.
    pub earned: Decimal,
    /// What was taken out of the wallet, less what came back.
    pub taken_out: Decimal,
    /// What operators added, less what they took off.
    pub adjusted: Decimal,
    /// How many people were referred.
    pub people: i64,
    /// How many paid for the first time.
    pub paying: i64,
    /// How often people followed the invite links, by days of UTC.
    pub clicks: i64,
}

type Columns = (SqlUuid, Nullable<Date>, Numeric, Numeric, Numeric, Numeric, BigInt, BigInt, BigInt);
type Row = (UserId, Option<NaiveDate>, Decimal, Decimal, Decimal, Decimal, i64, i64, i64);

/// The figures of each user in a currency, of the days of a period or of all, by the parts of an interval where one is given.
async fn read(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    users: &[UserId],
    currency: Currency,
    days: Option<Days>,
    interval: Option<Interval>,
) -> QueryResult<Vec<Row>> {
    let part = if interval.is_some() { "date_trunc(?, day::timestamp)::date" } else { "NULL::date" };
    let mut binds: Vec<Bind> = interval.iter().map(|interval| Bind::text(interval.unit())).collect();
    let condition = if days.is_some() { "AND day >= ? AND day < ?" } else { "" };
    for bind in [Some(Bind::text(currency.code())), None, None] {
        binds.extend([Bind::Uuid(scope.tenant.uuid()), Bind::Uuids(users.iter().map(|user| user.uuid()).collect())]);
        binds.extend(bind);
        binds.extend(days.iter().flat_map(|days| [Bind::Date(days.from), Bind::Date(days.to)]));
    }
    let rows: Vec<Row> = statement::<Columns>(
        format!(
            "SELECT user_id, {part}, sum(sales), sum(earned), sum(taken_out), sum(adjusted), sum(people)::bigint, sum(paying)::bigint,
                 sum(clicks)::bigint FROM (
                 SELECT user_id, day, sales, earned, taken_out, adjusted, 0 AS people, 0 AS paying, 0 AS clicks FROM affiliate_totals
                 WHERE tenant_id = ? AND user_id = ANY (?) AND currency = ? {condition}
                 UNION ALL SELECT user_id, day, 0, 0, 0, 0, people, paying, 0 FROM affiliate_people
                 WHERE tenant_id = ? AND user_id = ANY (?) {condition}
                 UNION ALL SELECT user_id, day, 0, 0, 0, 0, 0, 0, clicks FROM invite_click_totals
                 WHERE tenant_id = ? AND user_id = ANY (?) {condition}) AS totals
             GROUP BY 1, 2"
        ),
        binds,
    )
    .load(&mut connection)
    .await?;
    Ok(rows.into_iter().filter(|row| scope.includes_user(row.0)).collect())
}

fn figures_of((_, _, sales, earned, taken_out, adjusted, people, paying, clicks): Row) -> AffiliateFigures {
    AffiliateFigures { sales, earned, taken_out, adjusted, people, paying, clicks }
}

/// The figures of each user in a currency, of the days of a period or of all.
pub async fn figures(
    connection: &AsyncPgConnection,
    scope: Scope,
    users: &[UserId],
    currency: Currency,
    days: Option<Days>,
) -> QueryResult<HashMap<UserId, AffiliateFigures>> {
    let rows = read(connection, scope, users, currency, days, None).await?;
    Ok(rows.into_iter().map(|row| (row.0, figures_of(row))).collect())
}

/// The same in the parts of a period, by each part's first day; of the first part the period's. Parts that brought nothing are included.
pub async fn over_time(
    connection: &AsyncPgConnection,
    scope: Scope,
    users: &[UserId],
    currency: Currency,
    days: Days,
    interval: Interval,
) -> QueryResult<HashMap<UserId, Vec<(NaiveDate, AffiliateFigures)>>> {
    let rows = read(connection, scope, users, currency, Some(days), Some(interval)).await?;
    let found: HashMap<_, _> = rows.into_iter().filter_map(|row| Some(((row.0, row.1?), figures_of(row)))).collect();
    let parts = interval.parts_of(days);
    let of_user = |user: UserId| {
        let point = |&(part, start): &(NaiveDate, NaiveDate)| (start, found.get(&(user, part)).copied().unwrap_or_default());
        (user, parts.iter().map(point).collect())
    };
    Ok(users.iter().map(|user| of_user(*user)).collect())
}
