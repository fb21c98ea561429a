//! Hand-written SQL that diesel prepares once per connection, for what its query builder cannot say.
//!
//! diesel's own `sql_query` is parsed and planned at every execution; these are cached by their text.

use std::{borrow::Cow, time::Duration};

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, TypedExpressionType, ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

/// A value to bind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bind {
    /// A text, or NULL.
    Text(Option<String>),
    /// A UUID.
    Uuid(Uuid),
    /// A UUID, or NULL.
    OptionalUuid(Option<Uuid>),
    /// An array of UUIDs.
    Uuids(Vec<Uuid>),
    /// An array of UUIDs, some of them NULL.
    OptionalUuids(Vec<Option<Uuid>>),
    /// An array of texts.
    Texts(Vec<String>),
    /// A whole number.
    BigInt(i64),
    /// An array of whole numbers.
    Integers(Vec<i32>),
    /// A decimal number.
    Decimal(Decimal),
    /// An array of decimal numbers.
    Decimals(Vec<Decimal>),
    /// An array of truths.
    Bools(Vec<bool>),
    /// An instant.
    Time(chrono::DateTime<chrono::Utc>),
    /// An array of instants.
    Times(Vec<chrono::DateTime<chrono::Utc>>),
    /// A calendar day.
    Date(chrono::NaiveDate),
}

impl Bind {
    /// A text.
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text(Some(value.into()))
    }

    /// Rows as the text of JSON, for `jsonb_to_recordset`.
    pub fn json(rows: &impl Serialize) -> Self {
        Self::text(serde_json::to_string(rows).expect("maps with text keys become JSON"))
    }

    /// A length of time in whole seconds.
    pub fn seconds(time: Duration) -> Self {
        Self::BigInt(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }

    fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Self::Uuid(value) => out.push_bind_param::<SqlUuid, _>(value),
            Self::OptionalUuid(value) => out.push_bind_param::<Nullable<SqlUuid>, _>(value),
            Self::Uuids(value) => out.push_bind_param::<Array<SqlUuid>, _>(value),
            Self::OptionalUuids(value) => out.push_bind_param::<Array<Nullable<SqlUuid>>, _>(value),
            Self::Texts(value) => out.push_bind_param::<Array<Text>, _>(value),
            Self::BigInt(value) => out.push_bind_param::<BigInt, _>(value),
            Self::Integers(value) => out.push_bind_param::<Array<Integer>, _>(value),
            Self::Decimal(value) => out.push_bind_param::<Numeric, _>(value),
            Self::Decimals(value) => out.push_bind_param::<Array<Numeric>, _>(value),
            Self::Bools(value) => out.push_bind_param::<Array<Bool>, _>(value),
            Self::Date(value) => out.push_bind_param::<Date, _>(value),
            Self::Time(value) => out.push_bind_param::<Timestamptz, _>(value),
            Self::Times(value) => out.push_bind_param::<Array<Timestamptz>, _>(value),
        }
    }
}

/// A text with a `?` for each bound value, in their order. As a statement it answers rows of `ST`; inside a query of the
/// builder it is an expression of type `ST`.
#[derive(Debug, Clone)]
pub struct Statement<ST> {
    text: Cow<'static, str>,
    binds: Vec<Bind>,
    answer: std::marker::PhantomData<ST>,
}

/// A statement from its text and values.
pub fn statement<ST>(text: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Statement<ST> {
    let text = text.into();
    debug_assert_eq!(text.matches('?').count(), binds.len(), "a value for each question mark: {text}");
    Statement { text, binds, answer: std::marker::PhantomData }
}

/// A condition for a query of the builder.
pub fn condition(text: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Statement<Bool> {
    statement(text, binds)
}

impl<ST> QueryFragment<Pg> for Statement<ST> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut parts = self.text.split('?');
        out.push_sql(parts.next().unwrap_or_default());
        for (part, bind) in parts.zip(&self.binds) {
            bind.push(&mut out)?;
            out.push_sql(part);
        }
        Ok(())
    }
}

impl<ST> QueryId for Statement<ST> {
    type QueryId = ();
    // Cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Statement<ST>
where
    ST: TypedExpressionType,
{
    type SqlType = ST;
}

impl<ST, Conn> diesel::RunQueryDsl<Conn> for Statement<ST> {}

impl<ST> Expression for Statement<ST>
where
    ST: TypedExpressionType,
{
    type SqlType = ST;
}

impl<ST, QS> AppearsOnTable<QS> for Statement<ST> where Self: Expression {}
impl<ST, QS> SelectableExpression<QS> for Statement<ST> where Self: AppearsOnTable<QS> {}
impl<ST, GB> ValidGrouping<GB> for Statement<ST> {
    type IsAggregate = is_aggregate::Never;
}
