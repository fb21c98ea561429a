//! Batching: what sibling fields ask for one by one is fetched in one statement.
//!
//! A loader's key names its query: [`BatchKey`] is implemented beside the type that it fetches. The crate `dataloader` gathers
//! keys while the executor polls siblings and calls [`BatchKey::fetch`] once; nothing outside this file names it.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use dataloader::{BatchFn, cached::Loader};
use tokio::sync::Notify;

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

        impl $crate::graphql::loaders::BatchKey for $key {
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
pub(super) use batch_key;

type Found<K> = Result<Option<<K as BatchKey>::Value>>;

struct Batch<K> {
    session: Arc<Session>,
    scope: Scope,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: BatchKey> BatchFn<K, Found<K>> for Batch<K> {
    /// Answers every key: a key without an answer would be a panic in the crate's `load` and an error in its `try_load`.
    async fn load(&mut self, keys: &[K]) -> HashMap<K, Found<K>> {
        let fetched = async {
            let reading = self.session.read().await?;
            Ok::<_, Error>(K::fetch(&reading, self.scope, keys).await?)
        };
        match fetched.await {
            Ok(mut values) => keys.iter().map(|key| (key.clone(), Ok(values.remove(key)))).collect(),
            Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
        }
    }
}

type LoaderOf<K> = Loader<K, Found<K>, Batch<K>>;

/// How many turns of the executor must pass without a new key before a batch is complete.
const QUIET_TURNS: usize = 8;
/// How many turns the crate itself waits: enough for all that the gate lets go at once.
const TURNS_AFTER_GATE: usize = 3;

/// Holds keys back until their siblings have asked too.
///
/// The crate fetches a fixed number of turns after the first key of a batch. Behind a loader, though, results are handed out
/// one after the other, and the next level's keys arrive over a number of turns that grows with the rows: batches would split,
/// and a query's statements would grow with them. Here the first to arrive waits for as long as others keep arriving.
#[derive(Default)]
struct Gate {
    arrivals: AtomicUsize,
    is_watched: AtomicBool,
    open: Notify,
}

/// Opens the gate when the one who watches it is done, or is dropped.
struct Watch<'g>(&'g Gate);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.is_watched.store(false, Ordering::Relaxed);
        self.0.open.notify_waiters();
    }
}

impl Gate {
    async fn gather(&self) {
        let opened = self.open.notified();
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return opened.await;
        }
        let _watch = Watch(self);
        let (mut seen, mut quiet) = (self.arrivals.load(Ordering::Relaxed), 0);
        while quiet < QUIET_TURNS {
            tokio::task::yield_now().await;
            let now = self.arrivals.load(Ordering::Relaxed);
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
        }
    }
}

struct Kind<K: BatchKey> {
    loader: LoaderOf<K>,
    gate: Gate,
}

/// The loaders of one reading transaction; what they have fetched is not fetched again.
pub struct Loaders {
    session: Arc<Session>,
    scope: Scope,
    by_kind: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
}

impl Loaders {
    /// Loaders that read on `session` what is in `scope`.
    pub fn new(session: Arc<Session>, scope: Scope) -> Self {
        Self { session, scope, by_kind: Mutex::default() }
    }

    /// One value by its key.
    pub async fn load<K: BatchKey>(&self, key: K) -> Found<K> {
        let kind = self.kind::<K>();
        kind.gate.gather().await;
        // When the field that leads a batch is dropped (a sibling's error propagates), those that wait for it are told that
        // nothing was found. They ask once more, for themselves.
        for _ in 0..2 {
            if let Ok(found) = kind.loader.try_load(key.clone()).await {
                return found;
            }
        }
        Err(Error::internal(format!("the batch of {key:?} was dropped")))
    }

    fn kind<K: BatchKey>(&self) -> Arc<Kind<K>> {
        let mut by_kind = self.by_kind.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || -> Box<dyn Any + Send> {
            let batch = Batch::<K> { session: Arc::clone(&self.session), scope: self.scope, kind: std::marker::PhantomData };
            // One batch however many keys: the number of statements depends on a query's shape alone.
            let loader = Loader::new(batch).with_max_batch_size(usize::MAX).with_yield_count(TURNS_AFTER_GATE);
            Box::new(Arc::new(Kind { loader, gate: Gate::default() }))
        };
        let kind = by_kind.entry(TypeId::of::<K>()).or_insert_with(make);
        Arc::clone(kind.downcast_ref().expect("a loader is filed under its key's type"))
    }
}
