//! From a page of rows to a Relay connection.

use std::sync::Arc;

use async_graphql::{
    Context, Object,
    connection::{self, Edge, EmptyFields},
};
use futures_util::future::BoxFuture;

use super::{
    context::ContextExt,
    loaders::BatchKey,
    row::{Row, Written},
};
use crate::{
    error::Result,
    models::page::{Cursor, Page, Slice},
};

/// A connection whose total is counted only where it is selected.
pub type Connection<T> = connection::Connection<String, Row<T>, TotalCount, EmptyFields>;

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
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        self.0.count(ctx).await
    }
}

/// Makes a connection of a page. `cursor` tells where a row stands; `count` is the key under which the list's length is found.
pub fn connect<R, T>(
    page: &Page,
    slice: &Slice<Arc<R>>,
    count: impl BatchKey<Value = i64>,
    cursor: fn(&R, &Page) -> Cursor,
) -> Connection<T>
where
    T: From<Arc<R>> + Written,
{
    let mut connection = Connection::with_additional_fields(slice.has_previous, slice.has_next, TotalCount(Arc::new(count)));
    connection.edges.extend(slice.rows.iter().map(|row| Edge::new(cursor(row, page).encode(), Row(T::from(Arc::clone(row))))));
    connection
}
