//! Lists with a filter: at the root of a query, and below many parents in one statement for all of them.
//!
//! What [`models::list`](crate::models::list) reads becomes a connection here, in a number of statements that does not grow with the parents.

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
        list::{Filter, List, ListBelow},
        page::{Page, Slice, SortKey},
        scope::Scope,
    },
};

/// A list as it is shown.
pub trait Shown: Filter {
    /// The fields for which a row's summary is enough, and the order of the lists that can be of summaries.
    const SUMMARY: (&'static [&'static str], Option<SortKey>) = (&[], None);
}

/// What lists are below of: its id.
pub trait Parent: Copy + Debug + Eq + Hash + Send + Sync + 'static {}

impl<T: Copy + Debug + Eq + Hash + Send + Sync + 'static> Parent for T {}

/// One page of a list at the root.
pub async fn root<F, T>(ctx: &Context<'_>, filter: F, page: Page) -> Result<Connection<T>>
where
    F: List + Shown,
    T: From<Arc<F::Row>>,
{
    let page = summarized::<F>(ctx, page);
    let reading = ctx.read().await?;
    let slice = Arc::new(filter.page(&reading, ctx.viewer().scope(), &page).await?.shared());
    drop(reading);
    Ok(connect(page, slice, RootCount(filter), F::cursor))
}

/// One page of a parent's list, fetched together with those of its siblings.
pub async fn nested<P, F, T>(ctx: &Context<'_>, parent: P, filter: F, page: Page) -> Result<Connection<T>>
where
    P: Parent,
    F: ListBelow<P> + Shown,
    T: From<Arc<F::Row>>,
{
    let list = Arc::new(OwnPage::new(filter.clone(), summarized::<F>(ctx, page)));
    let slice = ctx.load(PageOf { parent, list: Arc::clone(&list) }).await?.unwrap_or_default();
    Ok(connect(list.page.clone(), slice, CountOf { parent, filter }, F::cursor))
}

/// The same page of summaries, if these are enough for all that is selected of its rows.
fn summarized<F: Shown>(ctx: &Context<'_>, page: Page) -> Page {
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

impl<F: List> BatchKey for RootCount<F> {
    type Value = i64;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, i64>> {
        let counts = keys.iter().map(async |key| db::QueryResult::Ok((key.clone(), key.0.count(connection, scope).await?)));
        Ok(try_join_all(counts).await?.into_iter().collect())
    }
}

/// A page that each parent has of its own list. Its hash is taken once: it is a key together with every parent.
#[derive(Debug, PartialEq, Eq)]
struct OwnPage<F> {
    hash: u64,
    filter: F,
    page: Page,
}

impl<F: Filter> OwnPage<F> {
    fn new(filter: F, page: Page) -> Self {
        let mut hasher = DefaultHasher::new();
        (&filter, &page).hash(&mut hasher);
        Self { hash: hasher.finish(), filter, page }
    }
}

impl<F> Hash for OwnPage<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageOf<P, F> {
    parent: P,
    list: Arc<OwnPage<F>>,
}

impl<P: Parent, F: ListBelow<P>> BatchKey for PageOf<P, F> {
    type Value = Arc<Slice<Arc<F::Row>>>;

    /// One statement for each distinct list that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut lists = HashMap::<&Arc<OwnPage<F>>, Vec<P>>::new();
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
struct CountOf<P, F> {
    parent: P,
    filter: F,
}

impl<P: Parent, F: ListBelow<P>> BatchKey for CountOf<P, F> {
    type Value = i64;

    /// One statement for each distinct filter that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, i64>> {
        let mut filters = HashMap::<&F, Vec<P>>::new();
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
