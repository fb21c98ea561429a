//! From a page of rows to a Relay connection.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, Object, ObjectType, OutputType, Positioned, ServerResult, Value,
    connection::{self, Edge, EmptyFields, PageInfo},
    parser::types::Field,
    registry::Registry,
};
use futures_util::future::BoxFuture;

use super::{
    context::ContextExt,
    loaders::BatchKey,
    row::{self, Row, Written},
};
use crate::{
    error::Result,
    models::page::{Cursor, Page, Slice},
};

/// A row of a list.
pub trait Listed: Written + ContainerType + Clone {
    /// The fields that its connections have beside their rows.
    type Beside: ContainerType + ObjectType + 'static;
}

/// What connections have beside their rows, of a list by its key.
pub trait Beside<L>: Sized {
    /// That list's.
    fn of(list: L) -> Self;
}

/// How a connection stands in the schema.
type InSchema<T> = connection::Connection<String, Row<T>, <T as Listed>::Beside, EmptyFields>;

/// One page of a list. Its total is counted, and the cursors of its rows are encoded, only where they are selected.
pub struct Connection<T: Listed> {
    /// The rows.
    pub rows: Vec<T>,
    has_next: bool,
    has_previous: bool,
    cursor: Box<dyn Fn(usize) -> String + Send + Sync>,
    beside: T::Beside,
}

impl<T: Listed> Connection<T> {
    fn page_info(&self) -> PageInfo {
        PageInfo {
            has_previous_page: self.has_previous,
            has_next_page: self.has_next,
            start_cursor: (!self.rows.is_empty()).then(|| (self.cursor)(0)),
            end_cursor: self.rows.len().checked_sub(1).map(|last| (self.cursor)(last)),
        }
    }

    fn edges(&self) -> Vec<Edge<String, Row<T>, EmptyFields>> {
        self.rows.iter().enumerate().map(|(index, row)| Edge::new((self.cursor)(index), Row(row.clone()))).collect()
    }
}

impl<T: Listed> OutputType for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        InSchema::<T>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        InSchema::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        row::resolve(self, ctx).await
    }
}

impl<T: Listed> Written for Connection<T> {
    const PLAIN: &'static [(&'static str, row::Write<Self>)] = &[];
}

impl<T: Listed> ContainerType for Connection<T> {
    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        let below = ctx.with_selection_set(&ctx.item.node.selection_set);
        match ctx.item.node.name.node.as_str() {
            "nodes" => row::resolve_list(&self.rows, &below).await.map(Some),
            "edges" => self.edges().resolve(&below, ctx.item).await.map(Some),
            "pageInfo" => self.page_info().resolve(&below, ctx.item).await.map(Some),
            _ => self.beside.resolve_field(ctx).await,
        }
    }
}

/// A list's length, still to be counted.
trait Count: Send + Sync {
    fn count<'c>(&'c self, ctx: &'c Context<'_>) -> BoxFuture<'c, Result<i64>>;
}

impl<K: BatchKey<Value = i64>> Count for K {
    fn count<'c>(&'c self, ctx: &'c Context<'_>) -> BoxFuture<'c, Result<i64>> {
        Box::pin(async { Ok(ctx.load(self.clone()).await?.unwrap_or(0)) })
    }
}

/// The field that every connection has beside its rows.
pub struct TotalCount(Arc<dyn Count>);

#[Object]
impl TotalCount {
    /// How many there are in the whole list, on all pages. Counted only when it is selected.
    pub async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        self.0.count(ctx).await
    }
}

impl<L: BatchKey<Value = i64>> Beside<L> for TotalCount {
    fn of(list: L) -> Self {
        Self(Arc::new(list))
    }
}

/// Makes a connection of a page. `cursor` gives a row's cursor.
pub fn connect<R, T>(page: Page, slice: Arc<Slice<Arc<R>>>, beside: T::Beside, cursor: fn(&R, &Page) -> Cursor) -> Connection<T>
where
    R: Send + Sync + 'static,
    T: Listed + From<Arc<R>>,
{
    Connection {
        rows: slice.rows.iter().map(|row| T::from(Arc::clone(row))).collect(),
        has_next: slice.has_next,
        has_previous: slice.has_previous,
        beside,
        cursor: Box::new(move |index| cursor(&slice.rows[index], &page).encode()),
    }
}
