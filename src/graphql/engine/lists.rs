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
use futures_util::future::{BoxFuture, try_join_all};

use super::{
    context::ContextExt,
    loaders::BatchKey,
    pagination::{Beside, Connection, Listed, connect},
};
use crate::{
    db,
    error::Result,
    models::{
        list::{Filter, List, ListBelow, MAX_SUMMED, Sum, Summed, SummedBelow},
        page::{Page, Slice, SortKey, group},
        scope::Scope,
    },
};

/// A list as it is shown.
pub trait Shown: Filter {
    /// The fields for which a row's summary is enough, and the order of the lists that can be of summaries.
    const SUMMARY: (&'static [&'static str], Option<SortKey>) = (&[], None);
}

/// The id of a list's parent.
pub trait Parent: Copy + Debug + Eq + Hash + Send + Sync + 'static {}

impl<T: Copy + Debug + Eq + Hash + Send + Sync + 'static> Parent for T {}

/// One page of a list at the root.
pub async fn root<F, T>(ctx: &Context<'_>, filter: F, page: Page) -> Result<Connection<T>>
where
    F: List + Shown,
    T: Listed + From<Arc<F::Row>>,
    T::Beside: Beside<AtRoot<F>>,
{
    let page = summarized::<F>(ctx, page);
    let reading = ctx.read().await?;
    let slice = Arc::new(filter.page(&reading, ctx.viewer().scope(), &page).await?.shared());
    drop(reading);
    Ok(connect(page, slice, T::Beside::of(AtRoot(filter)), F::cursor))
}

/// One page of a parent's list, fetched together with those of its siblings.
pub async fn nested<P, F, T>(ctx: &Context<'_>, parent: P, filter: F, page: Page) -> Result<Connection<T>>
where
    P: Parent,
    F: ListBelow<P> + Shown,
    T: Listed + From<Arc<F::Row>>,
    T::Beside: Beside<Below<P, F>>,
{
    let list = Arc::new(OwnPage::new(filter.clone(), summarized::<F>(ctx, page)));
    let slice = ctx.load(PageOf { parent, list: Arc::clone(&list) }).await?.unwrap_or_default();
    Ok(connect(list.page.clone(), slice, T::Beside::of(Below { parent, filter }), F::cursor))
}

/// The same page of summaries, if these are enough for all that is selected of its rows.
fn summarized<F: Shown>(ctx: &Context<'_>, page: Page) -> Page {
    let (fields, sort) = F::SUMMARY;
    let is_enough = sort == Some(page.sort())
        && ctx.field().selection_set().all(|field| match field.name() {
            "nodes" => are_all(&field, fields),
            "edges" => field.selection_set().all(|field| field.name() != "node" || are_all(&field, fields)),
            // Whatever else is selected is of no connection, but of the rows themselves.
            name => matches!(name, "pageInfo" | "totalCount" | "totals" | "__typename"),
        });
    page.of_summaries(is_enough)
}

fn are_all(selected: &SelectionField<'_>, fields: &[&str]) -> bool {
    selected.selection_set().all(|field| fields.contains(&field.name()))
}

/// The key of a list at the root: of its length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AtRoot<F>(F);

impl<F: List> BatchKey for AtRoot<F> {
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
        let lists = group(keys.iter().map(|key| (&key.list, key.parent)).collect());
        let pages = lists.into_iter().map(async |(list, parents)| {
            let slices = list.filter.pages(connection, scope, &parents, &list.page).await?;
            let found =
                slices.into_iter().map(|(parent, slice)| (Self { parent, list: Arc::clone(list) }, Arc::new(slice.shared())));
            db::QueryResult::Ok(found.collect::<Vec<_>>())
        });
        Ok(try_join_all(pages).await?.into_iter().flatten().collect())
    }
}

/// The key of a parent's list: of its length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Below<P, F> {
    parent: P,
    filter: F,
}

impl<P: Parent, F: ListBelow<P>> BatchKey for Below<P, F> {
    type Value = i64;

    /// One statement for each distinct filter that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, i64>> {
        let filters = group(keys.iter().map(|key| (&key.filter, key.parent)).collect());
        let counts = filters.into_iter().map(async |(filter, parents)| {
            let counts = filter.counts(connection, scope, &parents).await?;
            let found = counts.into_iter().map(|(parent, count)| (Self { parent, filter: filter.clone() }, count));
            db::QueryResult::Ok(found.collect::<Vec<_>>())
        });
        Ok(try_join_all(counts).await?.into_iter().flatten().collect())
    }
}

/// A list that can be added up.
pub trait Summable<Status>: Send + Sync {
    /// What it comes to, by currency and status; `None` where it has more rows than are added up.
    fn sums<'c>(&'c self, ctx: &'c Context<'_>) -> BoxFuture<'c, Result<Sums<Status>>>;
}

type Sums<Status> = Option<Arc<[Sum<Status>]>>;

impl<F: Summed> Summable<F::Status> for AtRoot<F> {
    fn sums<'c>(&'c self, ctx: &'c Context<'_>) -> BoxFuture<'c, Result<Sums<F::Status>>> {
        Box::pin(async { Ok(ctx.load(SumsOf(self.clone())).await?.unwrap_or_else(|| Some(Arc::default()))) })
    }
}

impl<P: Parent, F: SummedBelow<P>> Summable<F::Status> for Below<P, F> {
    fn sums<'c>(&'c self, ctx: &'c Context<'_>) -> BoxFuture<'c, Result<Sums<F::Status>>> {
        Box::pin(async { Ok(ctx.load(SumsOf(self.clone())).await?.unwrap_or_else(|| Some(Arc::default()))) })
    }
}

/// The key of what a list comes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SumsOf<L>(L);

/// The sums, unless they are of more rows than that.
fn within<Status>(limit: i64, sums: Vec<Sum<Status>>) -> Sums<Status> {
    (sums.iter().map(|sum| sum.count).sum::<i64>() <= limit).then(|| sums.into())
}

impl<F: Summed> BatchKey for SumsOf<AtRoot<F>> {
    type Value = Sums<F::Status>;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let sums = keys.iter().map(async |key| {
            let sums = key.0.0.sums(connection, scope, MAX_SUMMED + 1).await?;
            db::QueryResult::Ok((key.clone(), within(MAX_SUMMED, sums)))
        });
        Ok(try_join_all(sums).await?.into_iter().collect())
    }
}

impl<P: Parent, F: SummedBelow<P>> BatchKey for SumsOf<Below<P, F>> {
    type Value = Sums<F::Status>;

    /// One statement for each distinct filter that the document asks for. What it may read is divided among the parents.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let filters = group(keys.iter().map(|Self(list)| (&list.filter, list.parent)).collect());
        let sums = filters.into_iter().map(async |(filter, parents)| {
            let limit = MAX_SUMMED / i64::try_from(parents.len()).unwrap_or(MAX_SUMMED).max(1);
            let sums = filter.sums_below(connection, scope, &parents, limit + 1).await?;
            let found = sums.into_iter().map(|(parent, sums)| {
                let list = Below { parent, filter: filter.clone() };
                (Self(list), within(limit, sums))
            });
            db::QueryResult::Ok(found.collect::<Vec<_>>())
        });
        Ok(try_join_all(sums).await?.into_iter().flatten().collect())
    }
}
