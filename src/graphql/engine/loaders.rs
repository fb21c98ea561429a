//! Batching: what sibling fields ask for one by one is fetched in one statement.
//!
//! A loader's key names its query: [`BatchKey`] is implemented beside the type that it fetches. Keys are gathered until
//! the request is quiet; then the crate `dataloader` calls [`BatchKey::fetch`] once for those that it does not know yet. Nothing outside this
//! file names it.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt::{self, Debug},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dataloader::{BatchFn, cached::Loader};

use super::quiet::Quiet;
use crate::{
    db::{Connection, QueryResult, session::Session},
    error::{Error, Result},
    models::scope::Scope,
};

/// A key of one kind of batched query.
pub trait BatchKey: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// What is found under a key. Cloned for each field that asks, so rows are behind an `Arc`.
    type Value: Clone + Send + Sync + 'static;

    /// Finds all keys' values in a number of statements that does not depend on how many keys there are.
    fn fetch(
        connection: &Connection,
        scope: Scope,
        keys: &[Self],
    ) -> impl Future<Output = QueryResult<HashMap<Self, Self::Value>>> + Send;
}

/// Defines a key that is one id: `find(connection, scope, &ids)` gives what is found under each.
macro_rules! batch_key {
    ($key:ident($id:ty) -> $value:ty, $find:path) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        struct $key($id);

        impl $crate::graphql::engine::loaders::BatchKey for $key {
            type Value = $value;

            async fn fetch(
                connection: &$crate::db::Connection,
                scope: $crate::models::scope::Scope,
                keys: &[Self],
            ) -> $crate::db::QueryResult<std::collections::HashMap<Self, Self::Value>> {
                let ids: Vec<$id> = keys.iter().map(|key| key.0).collect();
                let found = $find(connection, scope, &ids).await?;
                Ok(found.into_iter().map(|(id, found)| (Self(id), found.into())).collect())
            }
        }
    };
}
pub(in crate::graphql) use batch_key;

type Found<K> = Result<Option<<K as BatchKey>::Value>>;

/// A key as the crate is given it. The crate writes a key's `Debug` into an error for each value that it gives, before it looks whether the
/// value is there: it finds no more to write than this.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked<K>(K);

impl<K> Debug for Asked<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
}

struct Batch<K> {
    session: Arc<Session>,
    scope: Scope,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: BatchKey> BatchFn<Asked<K>, Found<K>> for Batch<K> {
    /// Answers every key: a key without an answer would be a panic in the crate's `load` and an error in its `try_load`.
    async fn load(&mut self, keys: &[Asked<K>]) -> HashMap<Asked<K>, Found<K>> {
        let keys: Vec<K> = keys.iter().map(|Asked(key)| key.clone()).collect();
        // On the heap: each field that waits for a batch would otherwise reserve the space of a whole one.
        let fetched = Box::pin(async {
            let reading = self.session.read().await?;
            Ok::<_, Error>(K::fetch(&reading, self.scope, &keys).await?)
        });
        match fetched.await {
            Ok(mut values) => {
                keys.into_iter().map(|key| (values.remove(&key), key)).map(|(found, key)| (Asked(key), Ok(found))).collect()
            }
            Err(error) => keys.into_iter().map(|key| (Asked(key), Err(error.clone()))).collect(),
        }
    }
}

type LoaderOf<K> = Loader<Asked<K>, Found<K>, Batch<K>>;

struct Kind<K: BatchKey> {
    loader: LoaderOf<K>,
    /// What siblings have asked for since the last batch.
    asked: Mutex<Vec<Asked<K>>>,
}

impl<K: BatchKey> Kind<K> {
    fn asked(&self) -> MutexGuard<'_, Vec<Asked<K>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loaders of one reading transaction; what they have fetched is not fetched again.
pub struct Loaders {
    session: Arc<Session>,
    scope: Scope,
    quiet: Arc<Quiet>,
    by_kind: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
}

impl Loaders {
    /// Loaders that read on `session` what is in `scope`, each time that the request is quiet.
    pub fn new(session: Arc<Session>, scope: Scope, quiet: Arc<Quiet>) -> Self {
        Self { session, scope, quiet, by_kind: Mutex::default() }
    }

    /// One value by its key.
    ///
    /// The crate gathers the keys that come within a fixed number of turns of the executor. How many turns siblings need grows with the
    /// rows, so they are gathered here, until the request is quiet; the first to go on then hands all of them over.
    pub async fn load<K: BatchKey>(&self, key: K) -> Found<K> {
        let (kind, key) = (self.kind::<K>(), Asked(key));
        kind.asked().push(key.clone());
        self.quiet.moment().await;
        let asked = std::mem::take(&mut *kind.asked());
        if !asked.is_empty() {
            let _under_way = self.quiet.begin();
            // What was found stays in the loader, and so do faults.
            let _ = kind.loader.try_load_many(asked).await;
        }
        // When the field that leads a batch is dropped (a sibling's error propagates), the fields that wait for it
        // find nothing. They request the key once more, for themselves.
        for _ in 0..2 {
            if let Ok(found) = kind.loader.try_load(key.clone()).await {
                return found;
            }
        }
        Err(Error::internal(format!("the batch of {:?} was dropped", key.0)))
    }

    fn kind<K: BatchKey>(&self) -> Arc<Kind<K>> {
        let mut by_kind = self.by_kind.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || -> Box<dyn Any + Send> {
            let batch = Batch::<K> { session: Arc::clone(&self.session), scope: self.scope, kind: std::marker::PhantomData };
            // One batch however many keys: the number of statements depends on a query's shape alone.
            let loader = Loader::new(batch).with_max_batch_size(usize::MAX).with_yield_count(0);
            Box::new(Arc::new(Kind { loader, asked: Mutex::default() }))
        };
        let kind = by_kind.entry(TypeId::of::<K>()).or_insert_with(make);
        Arc::clone(kind.downcast_ref().expect("a loader is filed under its key's type"))
    }
}
