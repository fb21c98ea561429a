//! Where links lead: remembered until the database says that it has changed, also while the database is away.
//!
//! Each entry is of an age of the memory. A new age begins where changes may have been missed: what is of an earlier one is looked up anew
//! when it is next asked for, and serves where that fails.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use quick_cache::sync::Cache;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
    time::timeout,
};

use crate::{
    db::Pool,
    error::{Error, Result},
    models::programmes::{
        click::{LinkTarget, find_link},
        link::is_key,
    },
};

/// How many links are remembered.
const REMEMBERED: usize = 20_000;
/// How many links are looked up at once: the API's requests need connections, too.
const LOOKUPS: usize = 2;
/// How long a visit may wait for a look-up to begin.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many links that are not there one address may ask for in a minute, and at once.
const GUESSES: NonZeroU32 = NonZeroU32::new(60).expect("above 0");

/// What is found under a key.
#[derive(Debug, Clone)]
pub enum Found {
    /// A link.
    Target(Arc<LinkTarget>),
    /// Nothing.
    Nothing,
    /// Whoever asks has guessed too often.
    TooMany,
}

/// A link, and in which age of the memory it was looked up.
#[derive(Clone)]
struct Known {
    target: Arc<LinkTarget>,
    age: u64,
}

/// The memory.
pub struct Targets {
    pool: Pool,
    known: Cache<String, Known>,
    hosts: RwLock<HashSet<String>>,
    /// What was looked up in an earlier age is looked up again.
    age: AtomicU64,
    /// How many changes have been heard of.
    changes: AtomicU64,
    lookups: Semaphore,
    /// One look-up for a key at a time.
    under_way: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
    guesses: DefaultKeyedRateLimiter<IpAddr>,
    /// Until when nothing is looked up for an address that has guessed too often.
    refused: Cache<IpAddr, Instant>,
}

impl Targets {
    /// An empty memory.
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            known: Cache::new(REMEMBERED),
            hosts: RwLock::default(),
            age: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            lookups: Semaphore::new(LOOKUPS),
            under_way: Mutex::default(),
            guesses: RateLimiter::keyed(Quota::per_minute(GUESSES)),
            refused: Cache::new(REMEMBERED),
        }
    }

    /// Whether a host is one of a tenant's own.
    pub fn is_host(&self, host: &str) -> bool {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    /// What a key on a host leads to. `address` is charged for a key that is none.
    pub async fn find(&self, host: &str, key: &str, address: Option<IpAddr>) -> Result<Found> {
        if !is_key(key) {
            return Ok(Found::Nothing);
        }
        let name = format!("{host}/{}", key.to_ascii_lowercase());
        let known = self.known.get(&name);
        if let Some(Known { target, age }) = &known
            && *age == self.age.load(Ordering::Acquire)
        {
            return Ok(Found::Target(Arc::clone(target)));
        }
        // One that is known is no guess.
        let address = address.map(network).filter(is_public);
        if known.is_none()
            && address.is_some_and(|address| self.refused.get(&address).is_some_and(|until| until > Instant::now()))
        {
            return Ok(Found::TooMany);
        }
        match (self.look_up(name, host, key).await, known) {
            (Ok(Some(target)), _) => Ok(Found::Target(target)),
            (Ok(None), _) => {
                if let Some(address) = address
                    && let Err(not_until) = self.guesses.check_key(&address)
                {
                    let wait = not_until.wait_time_from(DefaultClock::default().now());
                    self.refused.insert(address, Instant::now() + wait);
                }
                Ok(Found::Nothing)
            }
            (Err(error), Some(Known { target, .. })) => {
                tracing::debug!(%error, "a link is served as it was");
                Ok(Found::Target(target))
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn look_up(&self, name: String, host: &str, key: &str) -> Result<Option<Arc<LinkTarget>>> {
        let turn = self.turn(&name);
        let _turn = turn.lock().await;
        let age = self.age.load(Ordering::Acquire);
        if let Some(known) = self.known.get(&name).filter(|known| known.age == age) {
            return Ok(Some(known.target));
        }
        let changes = self.changes.load(Ordering::Acquire);
        let permit = timeout(PATIENCE, self.lookups.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(Error::unavailable("too many links are looked up")) };
        let connection = self.pool.get().await.map_err(Error::unavailable)?;
        let Some(target) = find_link(&connection, host, key).await?.map(Arc::new) else {
            self.known.remove(&name);
            return Ok(None);
        };
        // What has changed meanwhile may have been this link: then the next visit looks again.
        if self.changes.load(Ordering::Acquire) == changes {
            self.known.insert(name, Known { target: Arc::clone(&target), age });
        }
        Ok(Some(target))
    }

    fn turn(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = under_way.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        under_way.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(AsyncMutex::new(()));
        under_way.insert(name.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Learns the hosts of tenants' own.
    pub fn set_hosts(&self, hosts: Vec<String>) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = hosts.into_iter().collect();
    }

    /// Forgets who guessed long ago.
    pub fn forget_idle(&self) {
        self.guesses.retain_recent();
    }

    /// Hears what the database says has changed.
    pub fn hear(&self, changed: &str) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        if changed == "*" {
            self.age.fetch_add(1, Ordering::AcqRel);
        } else {
            self.known.remove(changed);
        }
    }

    /// Looks everything up anew: changes may not have been heard of.
    pub fn begin_anew(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.age.fetch_add(1, Ordering::AcqRel);
    }
}

/// Whom one address stands for: of IPv6 the network that one customer has (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64))),
        },
        address @ IpAddr::V4(_) => address,
    }
}

/// Whether an address is one visitor's and not, say, that of a proxy for all of them.
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !(address.is_private() || address.is_loopback() || address.is_link_local()),
        IpAddr::V6(address) => !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()),
    }
}
