//! Lists with a filter: at the root of a query, and below many parents in one statement for all of them.
//!
//! A filter names its rows: what it implements here says how its page and its length are read.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use async_graphql::{Context, SelectionField};
use futures_util::future::try_join_all;

use super::{
    context::ContextExt,
    loaders::BatchKey,
    pagination::{Connection, connect},
};
use crate::{
    db,
    error::Result,
    models::{
        page::{Cursor, Page, Slice, SortKey},
        scope::Scope,
    },
};

/// What a filter's lists are of.
pub trait Filter: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// A row of the list.
    type Row: Send + Sync + 'static;

    /// The fields for which a row's summary is enough, and the order of the lists that can be of summaries.
    const SUMMARY: (&'static [&'static str], Option<SortKey>) = (&[], None);

    /// Where a row stands in a list.
    fn cursor(row: &Self::Row, page: &Page) -> Cursor;
}

/// A filter of lists at the root of a query.
pub trait RootFilter: Filter {
    /// One page of the list.
    fn page(
        &self,
        connection: &db::Connection,
        scope: Scope,
        page: &Page,
    ) -> impl Future<Output = db::QueryResult<Slice<Self::Row>>> + Send;

    /// The list's length.
    fn count(&self, connection: &db::Connection, scope: Scope) -> impl Future<Output = db::QueryResult<i64>> + Send;
}

/// A filter of lists below parents.
pub trait NestedFilter: Filter {
    /// A parent's id.
    type Parent: Copy + Debug + Eq + Hash + Send + Sync + 'static;

    /// The same page for each parent, in one statement.
    fn pages(
        &self,
        connection: &db::Connection,
        scope: Scope,
        parents: &[Self::Parent],
        page: &Page,
    ) -> impl Future<Output = db::QueryResult<HashMap<Self::Parent, Slice<Self::Row>>>> + Send;

    /// The length of each parent's list, in one statement.
    fn counts(
        &self,
        connection: &db::Connection,
        scope: Scope,
        parents: &[Self::Parent],
    ) -> impl Future<Output = db::QueryResult<HashMap<Self::Parent, i64>>> + Send;
}

/// A filter of rows that have a `cursor`, a `page` and a `count`, as those of `models` have; and where they have summaries, the order of
/// lists that can be of these, and the fields of a row for which they are enough.
macro_rules! root_filter {
    ($filter:ty => $row:ty $(, summaries by $sort:ident: $($field:literal),+)?) => {
        impl $crate::graphql::lists::Filter for $filter {
            type Row = $row;
            $(const SUMMARY: (&'static [&'static str], Option<$crate::models::page::SortKey>) = (&[$($field),+], Some($sort));)?

            fn cursor(row: &Self::Row, page: &$crate::models::page::Page) -> $crate::models::page::Cursor {
                row.cursor(page)
            }
        }

        impl $crate::graphql::lists::RootFilter for $filter {
            async fn page(
                &self,
                connection: &$crate::db::Connection,
                scope: $crate::models::scope::Scope,
                page: &$crate::models::page::Page,
            ) -> $crate::db::QueryResult<$crate::models::page::Slice<Self::Row>> {
                <$row>::page(connection, scope, self, page).await
            }

            async fn count(
                &self,
                connection: &$crate::db::Connection,
                scope: $crate::models::scope::Scope,
            ) -> $crate::db::QueryResult<i64> {
                <$row>::count(connection, scope, self).await
            }
        }
    };
}
pub(super) use root_filter;

/// The same filter below partners, for rows that have a `page_by_partners` and a `count_by_partners` too.
macro_rules! filter_by_partner {
    ($filter:ty => $row:ty) => {
        impl $crate::graphql::lists::NestedFilter for $filter {
            type Parent = $crate::ids::PartnerId;

            async fn pages(
                &self,
                connection: &$crate::db::Connection,
                scope: $crate::models::scope::Scope,
                parents: &[Self::Parent],
                page: &$crate::models::page::Page,
            ) -> $crate::db::QueryResult<std::collections::HashMap<Self::Parent, $crate::models::page::Slice<$row>>> {
                <$row>::page_by_partners(connection, scope, parents, self, page).await
            }

            async fn counts(
                &self,
                connection: &$crate::db::Connection,
                scope: $crate::models::scope::Scope,
                parents: &[Self::Parent],
            ) -> $crate::db::QueryResult<std::collections::HashMap<Self::Parent, i64>> {
                <$row>::count_by_partners(connection, scope, parents, self).await
            }
        }
    };
}
pub(super) use filter_by_partner;

/// One page of a list at the root.
pub async fn root<F, T>(ctx: &Context<'_>, filter: F, page: Page) -> Result<Connection<T>>
where
    F: RootFilter,
    T: From<Arc<F::Row>>,
{
    let page = summarized::<F>(ctx, page);
    let reading = ctx.read().await?;
    let slice = Arc::new(filter.page(&reading, ctx.viewer().scope(), &page).await?.shared());
    drop(reading);
    Ok(connect(page, slice, RootCount(filter), F::cursor))
}

/// One page of a parent's list, fetched together with those of its siblings.
pub async fn nested<F, T>(ctx: &Context<'_>, parent: F::Parent, filter: F, page: Page) -> Result<Connection<T>>
where
    F: NestedFilter,
    T: From<Arc<F::Row>>,
{
    let list = Arc::new(List::new(filter.clone(), summarized::<F>(ctx, page)));
    let slice = ctx.load(PageOf { parent, list: Arc::clone(&list) }).await?.unwrap_or_default();
    Ok(connect(list.page.clone(), slice, CountOf { parent, filter }, F::cursor))
}

/// The same page of summaries, if these are enough for all that is selected of its rows.
fn summarized<F: Filter>(ctx: &Context<'_>, page: Page) -> Page {
    let (fields, sort) = F::SUMMARY;
    let is_enough = sort == Some(page.sort())
        && ctx.field().selection_set().all(|field| match field.name() {
            "nodes" => are_all(&field, fields),
            "edges" => field.selection_set().all(|field| field.name() != "node" || are_all(&field, fields)),
            // Whatever else is selected is of no connection, but of the rows themselves.
            name => matches!(name, "pageInfo" | "totalCount" | "__typename"),
        });
    page.of_summaries(is_enough)
}

fn are_all(selected: &SelectionField<'_>, fields: &[&str]) -> bool {
    selected.selection_set().all(|field| fields.contains(&field.name()))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RootCount<F>(F);

impl<F: RootFilter> BatchKey for RootCount<F> {
    type Value = i64;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, i64>> {
        let counts = keys.iter().map(async |key| db::QueryResult::Ok((key.clone(), key.0.count(connection, scope).await?)));
        Ok(try_join_all(counts).await?.into_iter().collect())
    }
}

/// A list of which each parent has its own. Its hash is taken once: it is a key together with every parent.
#[derive(Debug, PartialEq, Eq)]
struct List<F> {
    hash: u64,
    filter: F,
    page: Page,
}

impl<F: Filter> List<F> {
    fn new(filter: F, page: Page) -> Self {
        let mut hasher = DefaultHasher::new();
        (&filter, &page).hash(&mut hasher);
        Self { hash: hasher.finish(), filter, page }
    }
}

impl<F> Hash for List<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageOf<F: NestedFilter> {
    parent: F::Parent,
    list: Arc<List<F>>,
}

impl<F: NestedFilter> BatchKey for PageOf<F> {
    type Value = Arc<Slice<Arc<F::Row>>>;

    /// One statement for each distinct list that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut lists = HashMap::<&Arc<List<F>>, Vec<F::Parent>>::new();
        for key in keys {
            lists.entry(&key.list).or_default().push(key.parent);
        }
        let pages = lists.into_iter().map(async |(list, parents)| {
            let slices = list.filter.pages(connection, scope, &parents, &list.page).await?;
            let found =
                slices.into_iter().map(|(parent, slice)| (Self { parent, list: Arc::clone(list) }, Arc::new(slice.shared())));
            db::QueryResult::Ok(found.collect::<Vec<_>>())
        });
        Ok(try_join_all(pages).await?.into_iter().flatten().collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CountOf<F: NestedFilter> {
    parent: F::Parent,
    filter: F,
}

impl<F: NestedFilter> BatchKey for CountOf<F> {
    type Value = i64;

    /// One statement for each distinct filter that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, i64>> {
        let mut filters = HashMap::<&F, Vec<F::Parent>>::new();
        for key in keys {
            filters.entry(&key.filter).or_default().push(key.parent);
        }
        let counts = filters.into_iter().map(async |(filter, parents)| {
            let counts = filter.counts(connection, scope, &parents).await?;
            let found = counts.into_iter().map(|(parent, count)| (Self { parent, filter: filter.clone() }, count));
            db::QueryResult::Ok(found.collect::<Vec<_>>())
        });
        Ok(try_join_all(counts).await?.into_iter().flatten().collect())
    }
}
