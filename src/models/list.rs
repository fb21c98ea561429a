//! Lists: what a filter lets through, page by page, counted and added up; for one caller, and below many parents in one statement.
//!
//! A list is the conditions of its filter, the orders in which its rows can come, and where a row stands in these. `list!` makes
//! the queries of them.

use std::{collections::HashMap, fmt::Debug, hash::Hash};

use diesel::{
    expression::BoxableExpression,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::methods::FilterDsl,
    result::QueryResult,
    sql_types::{Array, BigInt, Bool, Numeric, Text},
};
use diesel_async::AsyncPgConnection;
use rust_decimal::Decimal;

use super::{
    page::{Cursor, Page, Slice},
    scope::Scope,
};

/// A condition on the rows of a table, whatever is selected of them.
type Condition<'f, Table> = Box<dyn BoxableExpression<Table, Pg, SqlType = Bool> + 'f>;

/// What holds for each row of a list.
pub struct Conditions<'f, Table>(Vec<Condition<'f, Table>>);

impl<'f, Table> Conditions<'f, Table> {
    /// This one.
    pub fn of(condition: impl BoxableExpression<Table, Pg, SqlType = Bool> + 'f) -> Self {
        Self(vec![Box::new(condition)])
    }

    /// This one too.
    #[must_use]
    pub fn and(mut self, condition: impl BoxableExpression<Table, Pg, SqlType = Bool> + 'f) -> Self {
        self.0.push(Box::new(condition));
        self
    }

    /// This one too, for each value that is given.
    #[must_use]
    pub fn and_if<V, C>(self, values: impl IntoIterator<Item = V>, condition: impl Fn(V) -> C) -> Self
    where
        C: BoxableExpression<Table, Pg, SqlType = Bool> + 'f,
    {
        values.into_iter().fold(self, |all, value| all.and(condition(value)))
    }

    /// That a column has one of the values that are given. One alone is compared by itself: indexes of some rows only are then of use.
    #[must_use]
    pub fn and_one_of<V, One, Any>(self, values: Option<&'f [V]>, one: impl Fn(V) -> One, any: impl Fn(&'f [V]) -> Any) -> Self
    where
        V: Copy,
        One: BoxableExpression<Table, Pg, SqlType = Bool> + 'f,
        Any: BoxableExpression<Table, Pg, SqlType = Bool> + 'f,
    {
        match values {
            None => self,
            Some(&[value]) => self.and(one(value)),
            Some(values) => self.and(any(values)),
        }
    }

    /// Narrows a query to the rows for which all of them hold.
    pub fn narrow<Q>(self, query: Q) -> Q
    where
        Q: FilterDsl<Condition<'f, Table>, Output = Q>,
    {
        self.0.into_iter().fold(query, FilterDsl::filter)
    }
}

/// What lists of some rows are filtered by.
pub trait Filter: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// A row of the list.
    type Row: Send + Sync + 'static;

    /// Where a row stands in a list.
    fn cursor(row: &Self::Row, page: &Page) -> Cursor;
}

/// A list of what is in the caller's scope.
pub trait List: Filter {
    /// One page of it.
    fn page(
        &self,
        connection: &AsyncPgConnection,
        scope: Scope,
        page: &Page,
    ) -> impl Future<Output = QueryResult<Slice<Self::Row>>> + Send;

    /// Its length.
    fn count(&self, connection: &AsyncPgConnection, scope: Scope) -> impl Future<Output = QueryResult<i64>> + Send;
}

/// Lists below parents, each of its own rows.
pub trait ListBelow<Parent>: Filter {
    /// The same page for each parent, in one statement.
    fn pages(
        &self,
        connection: &AsyncPgConnection,
        scope: Scope,
        parents: &[Parent],
        page: &Page,
    ) -> impl Future<Output = QueryResult<HashMap<Parent, Slice<Self::Row>>>> + Send;

    /// The length of each parent's list, in one statement.
    fn counts(
        &self,
        connection: &AsyncPgConnection,
        scope: Scope,
        parents: &[Parent],
    ) -> impl Future<Output = QueryResult<HashMap<Parent, i64>>> + Send;
}

/// What the rows of a list come to that are of one currency and status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum<Status> {
    /// The currency (ISO 4217).
    pub currency: String,
    /// The status.
    pub status: Status,
    /// How many rows there are.
    pub count: i64,
    /// The sums of the list's amounts.
    pub amounts: Vec<Decimal>,
}

/// The columns of a [`Sum`].
pub type SumColumns<Status> = (String, Status, i64, Vec<Decimal>);

impl<Status> From<SumColumns<Status>> for Sum<Status> {
    fn from((currency, status, count, amounts): SumColumns<Status>) -> Self {
        Self { currency, status, count, amounts }
    }
}

/// A list whose rows have amounts in a currency, and a status. At most `limit` rows are read: where the counts come to so many, there may be more.
pub trait Summed: List {
    /// The status of a row.
    type Status: Copy + Eq + Send + Sync + 'static;

    /// What its rows come to, by currency and status.
    fn sums(
        &self,
        connection: &AsyncPgConnection,
        scope: Scope,
        limit: i64,
    ) -> impl Future<Output = QueryResult<Vec<Sum<Self::Status>>>> + Send;
}

/// Lists below parents whose rows have amounts in a currency, and a status.
pub trait SummedBelow<Parent>: ListBelow<Parent> {
    /// The status of a row.
    type Status: Copy + Eq + Send + Sync + 'static;

    /// What the rows of each parent's list come to, of at most `limit` rows for each, in one statement.
    fn sums_below(
        &self,
        connection: &AsyncPgConnection,
        scope: Scope,
        parents: &[Parent],
        limit: i64,
    ) -> impl Future<Output = QueryResult<HashMap<Parent, Vec<Sum<Self::Status>>>>> + Send;
}

/// How many rows one statement adds up at most.
pub const MAX_SUMMED: i64 = 100_000;

/// Adds up the amounts of a query's rows by their `currency` and `status`.
pub struct Sums<Q> {
    /// The columns of the amounts.
    pub amounts: &'static [&'static str],
    /// What gives the rows.
    pub rows: Q,
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Sums<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT rows.currency::text, rows.status::text, count(*), ARRAY[");
        for (index, amount) in self.amounts.iter().enumerate() {
            out.push_sql(if index == 0 { "coalesce(sum(rows." } else { ", coalesce(sum(rows." });
            out.push_identifier(amount)?;
            out.push_sql("), 0)");
        }
        out.push_sql("] FROM (");
        self.rows.walk_ast(out.reborrow())?;
        out.push_sql(") AS rows GROUP BY 1, 2 ORDER BY 1, 2");
        Ok(())
    }
}

impl<Q> QueryId for Sums<Q> {
    type QueryId = ();
    // Cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Sums<Q> {
    type SqlType = (Text, Text, BigInt, Array<Numeric>);
}

impl<Q, Conn> diesel::RunQueryDsl<Conn> for Sums<Q> {}

/// Makes the list of a filter that has `conditions(scope)`, with rows that have `query()` and `cursor(page)`. Where the rows have summaries,
/// pages of no more than these are read as such. Of rows `by sort` the query is made for the order of the page.
macro_rules! list {
    ($filter:ty => $row:ty $(, or $summary:ty)? $(, by $sort:ident)?; $table:ident) => {
        impl $crate::models::list::Filter for $filter {
            type Row = $row;

            fn cursor(row: &Self::Row, page: &$crate::models::page::Page) -> $crate::models::page::Cursor {
                row.cursor(page)
            }
        }

        impl $crate::models::list::List for $filter {
            async fn page(
                &self,
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                page: &$crate::models::page::Page,
            ) -> diesel::QueryResult<$crate::models::page::Slice<Self::Row>> {
                $(if page.takes_summaries() {
                    let query = <$summary>::query().into_boxed::<diesel::pg::Pg>();
                    let query = page.apply(self.conditions(scope).narrow(query));
                    let rows: Vec<$summary> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
                    return Ok(page.slice(rows.into_iter().map(Self::Row::from).collect()));
                })?
                let query = <$row>::query($(page.$sort())?).into_boxed::<diesel::pg::Pg>();
                let query = page.apply(self.conditions(scope).narrow(query));
                Ok(page.slice(diesel_async::RunQueryDsl::load(query, &mut connection).await?))
            }

            async fn count(
                &self,
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
            ) -> diesel::QueryResult<i64> {
                let query = $table::table.select(diesel::dsl::count_star()).into_boxed::<diesel::pg::Pg>();
                diesel_async::RunQueryDsl::get_result(self.conditions(scope).narrow(query), &mut connection).await
            }
        }
    };
}
pub(super) use list;

/// The same below parents whose ids are in a column.
macro_rules! list_below {
    ($filter:ty => $row:ty $(, or $summary:ty)? $(, by $sort:ident)?; $table:ident; $parent:ty, $column:literal) => {
        impl $crate::models::list::ListBelow<$parent> for $filter {
            async fn pages(
                &self,
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                parents: &[$parent],
                page: &$crate::models::page::Page,
            ) -> diesel::QueryResult<std::collections::HashMap<$parent, $crate::models::page::Slice<Self::Row>>> {
                use $crate::models::page::{Lateral, group, of_parent};
                $(if page.takes_summaries() {
                    let query = <$summary>::query().into_boxed::<diesel::pg::Pg>();
                    let query = page.apply(self.conditions(scope).narrow(query).filter(of_parent($column)));
                    let query = Lateral::new(parents, query);
                    let rows: Vec<($parent, $summary)> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
                    let rows = rows.into_iter().map(|(parent, row)| (parent, Self::Row::from(row))).collect();
                    return Ok(group(rows).into_iter().map(|(parent, rows)| (parent, page.slice(rows))).collect());
                })?
                let query = <$row>::query($(page.$sort())?).into_boxed::<diesel::pg::Pg>();
                let query = page.apply(self.conditions(scope).narrow(query).filter(of_parent($column)));
                let query = Lateral::new(parents, query);
                let rows: Vec<($parent, $row)> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
                Ok(group(rows).into_iter().map(|(parent, rows)| (parent, page.slice(rows))).collect())
            }

            async fn counts(
                &self,
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                parents: &[$parent],
            ) -> diesel::QueryResult<std::collections::HashMap<$parent, i64>> {
                use $crate::models::page::{Lateral, of_parent};
                let query = $table::table.select(diesel::dsl::count_star()).into_boxed::<diesel::pg::Pg>();
                let query = Lateral::new(parents, self.conditions(scope).narrow(query).filter(of_parent($column)));
                let rows: Vec<($parent, i64)> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
                Ok(rows.into_iter().collect())
            }
        }
    };
}
pub(super) use list_below;

/// Makes the sums of a list whose rows have a `currency`, a `status` and amounts.
macro_rules! sums {
    ($filter:ty => $status:ty; $table:ident: $($amount:ident),+) => {
        impl $crate::models::list::Summed for $filter {
            type Status = $status;

            async fn sums(
                &self,
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                limit: i64,
            ) -> diesel::QueryResult<Vec<$crate::models::list::Sum<$status>>> {
                use $crate::models::list::{SumColumns, Sums};
                let rows = $table::table.select(($table::currency, $table::status, $($table::$amount),+)).into_boxed::<diesel::pg::Pg>();
                let rows = self.conditions(scope).narrow(rows).limit(limit);
                let sums = Sums { amounts: &[$(stringify!($amount)),+], rows };
                let found: Vec<SumColumns<$status>> = diesel_async::RunQueryDsl::load(sums, &mut connection).await?;
                Ok(found.into_iter().map(Into::into).collect())
            }
        }
    };
}
pub(super) use sums;

/// The same below parents whose ids are in a column.
macro_rules! sums_below {
    ($filter:ty => $status:ty; $table:ident: $($amount:ident),+; $parent:ty, $column:literal) => {
        impl $crate::models::list::SummedBelow<$parent> for $filter {
            type Status = $status;

            async fn sums_below(
                &self,
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                parents: &[$parent],
                limit: i64,
            ) -> diesel::QueryResult<std::collections::HashMap<$parent, Vec<$crate::models::list::Sum<$status>>>> {
                use $crate::models::{
                    list::{SumColumns, Sums},
                    page::{Lateral, group, of_parent},
                };
                let rows = $table::table.select(($table::currency, $table::status, $($table::$amount),+)).into_boxed::<diesel::pg::Pg>();
                let rows = self.conditions(scope).narrow(rows).filter(of_parent($column)).limit(limit);
                let sums = Lateral::new(parents, Sums { amounts: &[$(stringify!($amount)),+], rows });
                let found: Vec<($parent, SumColumns<$status>)> = diesel_async::RunQueryDsl::load(sums, &mut connection).await?;
                Ok(group(found.into_iter().map(|(parent, sum)| (parent, sum.into())).collect()))
            }
        }
    };
}
pub(super) use sums_below;
