//! Where links lead: a cache in front of the database, which serves while the database is away.
//!
//! Each entry carries the generation in which it was read. An entry is current until the database notifies that it has changed; where
//! notifications may have been missed, a new generation begins. What is not current is read again when it is next asked for, and serves as
//! it is where that fails.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use super::limits::{Limits, Origin};
use crate::{
    db::Pool,
    error::{Error, Result},
    models::programmes::{
        click::{LinkTarget, find_invitation, find_link},
        link::is_key,
    },
};

/// How many links are cached.
const CAPACITY: usize = 20_000;
/// How long a visit may wait for the database.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long cached links are served as they are after the database has failed to answer.
const RESPITE: Duration = Duration::from_secs(1);
/// The generation of what has changed.
const STALE: u64 = u64::MAX;
/// In place of a host: keys are invite codes. No host is called so.
pub const INVITATIONS: &str = "i";

/// What is found under a key.
#[derive(Debug, Clone)]
pub enum Found {
    /// A link.
    Target(Arc<LinkTarget>),
    /// Nothing.
    Nothing,
    /// The visitor has asked for too many links that are not there.
    TooMany,
}

#[derive(Clone)]
struct Entry {
    target: Arc<LinkTarget>,
    generation: u64,
}

/// The cache.
pub struct Targets {
    /// Connections for look-ups alone: slow requests of the API keep no visitor waiting, and guesses none of its requests.
    pool: Pool,
    entries: Cache<String, Entry>,
    hosts: RwLock<HashSet<String>>,
    generation: AtomicU64,
    /// How many changes have been notified.
    changes: AtomicU64,
    /// Until when the database is not asked for what is cached.
    respite: Mutex<Option<Instant>>,
    /// A lock for each key that is being looked up: one look-up serves all who wait for it.
    under_way: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
}

impl Targets {
    /// An empty cache.
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            entries: Cache::new(CAPACITY),
            hosts: RwLock::default(),
            generation: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            respite: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    /// Whether a host is one of a tenant's own.
    pub fn is_host(&self, host: &str) -> bool {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    /// Whether what a key on a host leads to is cached, and has not changed since: a link that was moved to another cluster has.
    pub fn is_cached(&self, host: &str, key: &str) -> bool {
        is_key(key) && self.entries.get(&name(host, key)).is_some_and(|entry| self.is_current(&entry))
    }

    /// What a key on a host leads to. `origin` is charged for a key that is none.
    pub async fn find(&self, host: &str, key: &str, origin: Option<Origin>, limits: &Limits) -> Result<Found> {
        if !is_key(key) {
            return Ok(Found::Nothing);
        }
        let name = name(host, key);
        let cached = self.entries.get(&name);
        if let Some(entry) = &cached
            && (self.is_current(entry) || self.is_in_respite())
        {
            return Ok(Found::Target(Arc::clone(&entry.target)));
        }
        // A cached link is no guess.
        if cached.is_none() && origin.is_some_and(|origin| !limits.may_guess(origin)) {
            return Ok(Found::TooMany);
        }
        let looked_up = timeout(PATIENCE, self.look_up(name, host, key)).await.map_err(Error::unavailable).flatten();
        match (looked_up, cached) {
            (Ok(Some(target)), _) => Ok(Found::Target(target)),
            (Ok(None), _) => {
                if let Some(origin) = origin {
                    limits.guessed(origin);
                }
                Ok(Found::Nothing)
            }
            (Err(error), Some(Entry { target, .. })) => {
                tracing::debug!(%error, "a link is served as it was");
                *self.respite.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + RESPITE);
                Ok(Found::Target(target))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Learns the hosts of tenants' own.
    pub fn set_hosts(&self, hosts: Vec<String>) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = hosts.into_iter().collect();
    }

    /// Takes a notification that links have changed: one by its host and key, or all of a partner by an at sign and its id.
    pub fn invalidate(&self, changed: &str) {
        // Before the entries are looked at: a look-up that comes between counts again after it has written its own.
        self.changes.fetch_add(1, Ordering::SeqCst);
        match changed.strip_prefix('@') {
            Some(partner) => {
                let is_theirs = |entry: &Entry| entry.target.partner.uuid().to_string() == partner;
                let names: Vec<String> =
                    self.entries.iter().filter(|(_, entry)| is_theirs(entry)).map(|(name, _)| name).collect();
                for name in &names {
                    self.mark_stale(name);
                }
            }
            None => self.mark_stale(changed),
        }
    }

    /// Begins a new generation: changes may have been missed.
    pub fn invalidate_all(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Closes its connections.
    pub fn close(&self) {
        self.pool.close();
    }

    fn is_current(&self, entry: &Entry) -> bool {
        entry.generation == self.generation.load(Ordering::SeqCst)
    }

    fn is_in_respite(&self) -> bool {
        self.respite.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > Instant::now())
    }

    /// Keeps an entry for as long as it cannot be read again.
    fn mark_stale(&self, name: &str) {
        if let Some(entry) = self.entries.get(name) {
            self.entries.insert(name.to_owned(), Entry { generation: STALE, ..entry });
        }
    }

    async fn look_up(&self, name: String, host: &str, key: &str) -> Result<Option<Arc<LinkTarget>>> {
        let lock = self.lock_of(&name);
        let _locked = lock.lock().await;
        if let Some(entry) = self.entries.get(&name).filter(|entry| self.is_current(entry)) {
            return Ok(Some(entry.target));
        }
        let (generation, changes) = (self.generation.load(Ordering::SeqCst), self.changes.load(Ordering::SeqCst));
        let connection = self.pool.get().await.map_err(Error::unavailable)?;
        let found = if host == INVITATIONS {
            find_invitation(&connection, key).await?
        } else {
            find_link(&connection, host, key).await?
        };
        let Some(target) = found.map(Arc::new) else {
            self.entries.remove(&name);
            return Ok(None);
        };
        self.entries.insert(name.clone(), Entry { target: Arc::clone(&target), generation });
        // What has changed meanwhile may have been this link.
        if self.changes.load(Ordering::SeqCst) != changes {
            self.mark_stale(&name);
        }
        Ok(Some(target))
    }

    fn lock_of(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = under_way.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        under_way.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(AsyncMutex::new(()));
        under_way.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

/// What a link is cached under.
fn name(host: &str, key: &str) -> String {
    format!("{host}/{}", key.to_ascii_lowercase())
}
