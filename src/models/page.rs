//! Pages by keyset: the one paginator of every list.
//!
//! A page begins after a row, not after a number of rows: its cursor holds that row's sort key and id. So a page costs the same wherever
//! it lies, and rows that come or go meanwhile neither hide nor repeat others. For lists below many parents see [`Lateral`].

use std::{borrow::Cow, collections::HashMap, hash::Hash, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use diesel::{
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::methods::{FilterDsl, LimitDsl, OrderDsl},
    result::QueryResult,
    sql_types::{Array, Bool, Untyped, Uuid as SqlUuid},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use uuid::Uuid;

use crate::{
    db::statement::{Bind, Statement, condition, statement},
    error::{Error, Result},
};

/// The longest page.
pub const MAX_PAGE: i32 = 500;
/// The length of a page where none is asked for.
pub const DEFAULT_PAGE: i32 = 100;

/// A column that lists are ordered by, with the id that decides between equals. Both are served by one index, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// What the cursor calls it; a cursor of another order is refused.
    pub name: &'static str,
    /// The column, with its table.
    pub column: &'static str,
    /// The id's column, with its table.
    pub id: &'static str,
    /// What the column holds.
    pub kind: KeyKind,
}

/// The kinds of sort keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Instants.
    Time,
    /// Texts.
    Text,
    /// Whole numbers.
    Number,
    /// Whole numbers of a table that is left-joined. A list in their order has the rows alone that have one.
    NumberBeside,
}

/// The value of a sort key in one row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// An instant, to the microsecond that PostgreSQL keeps.
    Time(DateTime<Utc>),
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// The position of a row in an ordered list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The name of the sort key.
    pub order: String,
    /// The row's value of it.
    pub key: Key,
    /// The row's id.
    pub id: Uuid,
}

impl Key {
    fn is_of(&self, kind: KeyKind) -> bool {
        match self {
            Self::Time(_) => kind == KeyKind::Time,
            Self::Text(_) => kind == KeyKind::Text,
            Self::Number(_) => matches!(kind, KeyKind::Number | KeyKind::NumberBeside),
        }
    }
}

/// The first instant of the year 1. PostgreSQL's begin somewhat earlier, chrono's much earlier.
const FIRST_MICROSECOND: i64 = -62_135_596_800_000_000;

impl Cursor {
    /// The opaque text that clients hand back.
    pub fn encode(&self) -> String {
        let key = match &self.key {
            Key::Time(time) => format!("t{}", time.timestamp_micros()),
            Key::Text(text) => format!("s{text}"),
            Key::Number(number) => format!("n{number}"),
        };
        URL_SAFE_NO_PAD.encode(format!("{}\0{}\0{key}", self.order, self.id.simple()))
    }

    /// Reads what [`Cursor::encode`] wrote; anything else is none.
    pub fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(3, '\0');
        let (order, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = match key.split_at_checked(1)? {
            ("t", micros) => {
                let micros = micros.parse().ok().filter(|&micros| micros >= FIRST_MICROSECOND)?;
                Key::Time(DateTime::from_timestamp_micros(micros)?)
            }
            // PostgreSQL's text holds no NUL; nor does any sort key that it has given.
            ("s", text) if !text.contains('\0') => Key::Text(text.to_owned()),
            ("n", number) => Key::Number(number.parse().ok()?),
            _ => return None,
        };
        Some(Self { order: order.to_owned(), key, id: Uuid::try_parse(id).ok()? })
    }
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page {
    sort: SortKey,
    descending: bool,
    length: i32,
    backwards: bool,
    after: Option<Cursor>,
    before: Option<Cursor>,
    takes_summaries: bool,
}

/// The arguments that every list takes (Relay's cursor connections specification, section 4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PageArguments {
    /// The length of a page counted from the start, or from `after`.
    pub first: Option<i32>,
    /// Where the page begins.
    pub after: Option<String>,
    /// The length of a page counted from the end, or from `before`.
    pub last: Option<i32>,
    /// Where the page ends.
    pub before: Option<String>,
}

/// One page: its rows in the list's order, and whether there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether rows come after them.
    pub has_next: bool,
    /// Whether rows come before them.
    pub has_previous: bool,
}

impl<T> Default for Slice<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), has_next: false, has_previous: false }
    }
}

impl<T> Slice<T> {
    /// The same with its rows behind shared pointers.
    pub fn shared(self) -> Slice<Arc<T>> {
        Slice { rows: self.rows.into_iter().map(Arc::new).collect(), has_next: self.has_next, has_previous: self.has_previous }
    }
}

impl Page {
    /// Checks the arguments. Errors name the argument, its value and what it may be.
    pub fn new(sort: SortKey, descending: bool, arguments: PageArguments) -> Result<Self> {
        let PageArguments { first, after, last, before } = arguments;
        // What a client has before its first page: no cursor, rather than a wrong one.
        let [after, before] = [after, before].map(|cursor| cursor.filter(|text| !text.is_empty()));
        if first.is_some() && last.is_some() {
            return Err(Error::BadUserInput("Give `first` or `last`, not both.".to_owned()));
        }
        let length = |name: &str, value: i32| match value {
            1..=MAX_PAGE => Ok(value),
            _ => Err(Error::BadUserInput(format!("`{name}` must be from 1 to {MAX_PAGE}; it is {value}."))),
        };
        let cursor = |name: &str, text: Option<String>| -> Result<Option<Cursor>> {
            let Some(text) = text else { return Ok(None) };
            match Cursor::decode(&text) {
                Some(cursor) if cursor.order == sort.name && cursor.key.is_of(sort.kind) => Ok(Some(cursor)),
                Some(_) => Err(Error::BadUserInput(format!("`{name}` is the cursor of a list in another order."))),
                None => {
                    Err(Error::BadUserInput(format!("`{name}` is not a cursor. Use `endCursor` or `startCursor` of `pageInfo`.")))
                }
            }
        };
        Ok(Self {
            sort,
            descending,
            length: match (first, last) {
                (Some(first), _) => length("first", first)?,
                (_, Some(last)) => length("last", last)?,
                _ => DEFAULT_PAGE,
            },
            backwards: last.is_some(),
            after: cursor("after", after)?,
            before: cursor("before", before)?,
            takes_summaries: false,
        })
    }

    /// The same of rows of which no more needs to be read than a summary has, or of whole ones.
    #[must_use]
    pub fn of_summaries(mut self, takes_summaries: bool) -> Self {
        self.takes_summaries = takes_summaries;
        self
    }

    /// Whether no more needs to be read of its rows than a summary has.
    pub fn takes_summaries(&self) -> bool {
        self.takes_summaries
    }

    /// Narrows a query to the page, plus one row, which shows whether there are more.
    pub fn apply<Q>(&self, mut query: Q) -> Q
    where
        Q: FilterDsl<Statement<Bool>, Output = Q> + OrderDsl<Statement<Untyped>, Output = Q> + LimitDsl<Output = Q>,
    {
        let SortKey { column, id, kind, .. } = self.sort;
        if kind == KeyKind::NumberBeside {
            // It makes the left join an inner join, which is read in the order of that table's index.
            query = query.filter(condition(format!("{column} IS NOT NULL"), vec![]));
        }
        for (cursor, is_after) in [(&self.after, true), (&self.before, false)] {
            if let Some(cursor) = cursor {
                let comparison = if is_after == self.descending { '<' } else { '>' };
                let key = match &cursor.key {
                    Key::Time(time) => Bind::Time(*time),
                    Key::Text(text) => Bind::Text(Some(text.clone())),
                    Key::Number(number) => Bind::BigInt(*number),
                };
                query =
                    query.filter(condition(format!("({column}, {id}) {comparison} (?, ?)"), vec![key, Bind::Uuid(cursor.id)]));
            }
        }
        let direction = if self.descending == self.backwards { "ASC" } else { "DESC" };
        query.order(statement(format!("{column} {direction}, {id} {direction}"), vec![])).limit(i64::from(self.length) + 1)
    }

    /// Makes a page of what the query gave.
    pub fn slice<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let length = usize::try_from(self.length).unwrap_or(0);
        let more = rows.len() > length;
        rows.truncate(length);
        if self.backwards {
            rows.reverse();
            return Slice { rows, has_next: self.before.is_some(), has_previous: more };
        }
        Slice { rows, has_next: more, has_previous: self.after.is_some() }
    }

    /// The cursor of a row of this page.
    pub fn cursor(&self, key: Key, id: Uuid) -> Cursor {
        Cursor { order: self.sort.name.to_owned(), key, id }
    }

    /// What the page is ordered by.
    pub fn sort(&self) -> SortKey {
        self.sort
    }
}

/// One inner query for each of many parents, in one statement: its rows come with their parent's id.
///
/// The inner query refers to the parent at hand as `parent.id`. With an index that begins with the parent and goes on with the
/// order, PostgreSQL reads just the rows that the pages need; numbering all rows with `row_number()` reads them all.
pub struct Lateral<Q> {
    parents: Vec<Uuid>,
    inner: Q,
}

impl<Q> Lateral<Q> {
    /// `inner` for each of `parents`.
    pub fn new<Id: Copy>(parents: &[Id], inner: Q) -> Self
    where
        Uuid: From<Id>,
    {
        Self { parents: parents.iter().map(|&id| Uuid::from(id)).collect(), inner }
    }
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Lateral<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT parent.id, page.* FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.parents)?;
        out.push_sql(") AS parent (id) CROSS JOIN LATERAL (");
        self.inner.walk_ast(out.reborrow())?;
        out.push_sql(") AS page");
        Ok(())
    }
}

impl<Q> QueryId for Lateral<Q> {
    type QueryId = ();
    // Cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Lateral<Q> {
    type SqlType = (SqlUuid, Q::SqlType);
}

impl<Q, Conn> diesel::RunQueryDsl<Conn> for Lateral<Q> {}

/// The condition that ties an inner query to its parent.
pub fn of_parent(column: &'static str) -> Statement<Bool> {
    condition(Cow::from(format!("{column} = parent.id")), vec![])
}

/// The least whole number of ten-thousandths that is not below an amount, as the columns hold it that lists are ordered by; what is
/// beyond them is at their end.
pub fn at_least(amount: Decimal) -> i64 {
    let end = if amount.is_sign_negative() { i64::MIN } else { i64::MAX };
    amount.checked_mul(Decimal::from(10_000)).and_then(|amount| amount.ceil().to_i64()).unwrap_or(end)
}

/// The same for the largest that is not above it.
pub fn at_most(amount: Decimal) -> i64 {
    let end = if amount.is_sign_negative() { i64::MIN } else { i64::MAX };
    amount.checked_mul(Decimal::from(10_000)).and_then(|amount| amount.floor().to_i64()).unwrap_or(end)
}

/// That the column `search_text` of a table has every word of a search, in any order, without regard to case, accents and compatibility
/// forms. The patterns are made once for a statement.
pub fn finds(table: &str, search: &str) -> Statement<Bool> {
    has_words(table, search, false)
}

/// The same for a table with phone numbers: a word of digits and what stands between them is compared by its digits.
pub fn finds_with_phones(table: &str, search: &str) -> Statement<Bool> {
    has_words(table, search, true)
}

fn has_words(table: &str, search: &str, has_phone: bool) -> Statement<Bool> {
    let sql = format!("{table}.search_text LIKE ALL (coalesce((SELECT search_patterns(?, {has_phone})), '{{}}'))");
    condition(sql, vec![Bind::text(search)])
}

/// Rows by their parent, in the order they came; a parent without rows has none.
pub fn group<Id: Eq + Hash, T>(rows: Vec<(Id, T)>) -> HashMap<Id, Vec<T>> {
    let mut groups = HashMap::<Id, Vec<T>>::new();
    for (parent, row) in rows {
        groups.entry(parent).or_default().push(row);
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SORT: SortKey = SortKey { name: "created", column: "t.created_at", id: "t.id", kind: KeyKind::Time };

    proptest! {
        /// A cursor survives the way to its text and back; no text makes the decoder panic.
        #[test]
        fn cursors(micros in -60_000_000_000_000_000_i64..4_000_000_000_000_000, text in "[^\0]*", number: i64, id: u128, noise in ".*") {
            let time = DateTime::from_timestamp_micros(micros).expect("in range");
            for key in [Key::Time(time), Key::Text(text), Key::Number(number)] {
                let cursor = Cursor { order: "created".into(), key, id: Uuid::from_u128(id) };
                prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            }
            let _ = Cursor::decode(&noise);
        }
    }

    /// A bound lets nothing through that is beyond it, however finely it is given.
    #[test]
    fn bounds() {
        let decimal = |text: &str| text.parse::<Decimal>().expect("a decimal");
        assert_eq!((at_least(decimal("1.00005")), at_most(decimal("1.00015"))), (10_001, 10_001));
        assert_eq!((at_least(decimal("-1.00005")), at_most(decimal("-1.00005"))), (-10_000, -10_001));
        assert_eq!((at_least(Decimal::MAX), at_most(Decimal::MIN)), (i64::MAX, i64::MIN));
    }

    /// A page that cannot be is refused, and the sentence names the argument and its value.
    #[test]
    fn arguments() {
        let refusal = |arguments| Page::new(SORT, true, arguments).expect_err("refused").to_string();
        assert_eq!(
            refusal(PageArguments { first: Some(501), ..Default::default() }),
            "`first` must be from 1 to 500; it is 501."
        );
        assert_eq!(refusal(PageArguments { last: Some(0), ..Default::default() }), "`last` must be from 1 to 500; it is 0.");
        assert!(refusal(PageArguments { first: Some(1), last: Some(1), ..Default::default() }).contains("not both"));
        assert!(refusal(PageArguments { after: Some("x".into()), ..Default::default() }).contains("`after` is not a cursor"));
        let forged = Cursor { order: "created".into(), key: Key::Number(1), id: Uuid::nil() }.encode();
        assert!(refusal(PageArguments { after: Some(forged), ..Default::default() }).contains("another order"));
        let other = Cursor { order: "name".into(), key: Key::Number(1), id: Uuid::nil() }.encode();
        assert!(refusal(PageArguments { before: Some(other), ..Default::default() }).contains("another order"));
    }
}
