//! Standbys that answer queries beside their primary.
//!
//! Nobody is answered without what they have changed or were told of: they carry the position of that in the write-ahead log, and are answered by a
//! standby only once it has replayed so far. A standby that is too far behind, or does not answer, is left out.

mod lag;
mod watch;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch::Sender},
    time::timeout,
};
use tokio_postgres::{Config, config::Host};

use self::lag::Progress;
use super::{
    DatabaseKind, Pool, PoolSettings,
    pool::Status,
    wal::{Identity, WalPosition},
};
use crate::error::Result;

/// How long a query waits for a standby to replay what its caller knows of, before the primary answers it.
const CATCH_UP: Duration = Duration::from_millis(5);
/// For how many callers it is remembered what they know of: those whose names have the same hash share what is remembered, which may be more than they know
/// of, and is never less.
const CALLERS: usize = 16_384;

/// What a standby is good for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answers queries.
    Serving,
    /// It is too far behind.
    Lagging,
    /// It does not answer.
    Away,
    /// It is a standby no more: it was promoted.
    Promoted,
    /// It is of another cluster, or another database of it, than the primary.
    OfAnother,
}

/// The primary and its standbys.
pub struct Standbys {
    all: Vec<Arc<Standby>>,
    primary: Primary,
    /// What callers know of, by the hash of who they are.
    known: Box<[AtomicU64]>,
    hasher: RandomState,
    reads: Reads,
}

/// How many queries were answered where.
#[derive(Debug, Default)]
struct Reads {
    /// By a standby.
    standby: AtomicU64,
    /// By the primary, because no standby serves, or all have more to do.
    primary: AtomicU64,
    /// By the primary, because the standby had not replayed what the caller knows of.
    behind: AtomicU64,
    /// By another database, because the one that was asked first did not answer, or did not know the caller.
    again: AtomicU64,
}

struct Primary {
    pool: Pool,
    /// Which database it is, and where it was.
    seen: Mutex<(Option<Identity>, Progress)>,
    is_reachable: AtomicBool,
    /// Asks for a look at once.
    asked: Notify,
}

/// One standby.
pub struct Standby {
    /// Its address, for the log and the metrics.
    name: String,
    config: Config,
    pool: Pool,
    state: Sender<State>,
    /// How far it is, as of the last look.
    replayed: Sender<WalPosition>,
    /// How many queries wait until it has replayed something.
    awaited: AtomicUsize,
    /// Asks for a look at once.
    asked: Notify,
}

/// How a standby is.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Its address.
    pub name: String,
    /// Whether it answers queries.
    pub is_serving: bool,
    /// How many bytes of the write-ahead log it has not replayed.
    pub behind: u64,
    /// Its connections.
    pub connections: Status,
}

impl Standbys {
    /// Those at these addresses, of the primary that this pool connects to. None answers a query before [`Self::watch`] has seen it.
    pub fn new(primary: Pool, addresses: &[Config], settings: PoolSettings, most_lag: Duration) -> Result<Arc<Self>> {
        let all = addresses.iter().map(|config| Standby::new(config, settings)).collect::<Result<Vec<_>>>()?;
        let callers = if all.is_empty() { 0 } else { CALLERS };
        Ok(Arc::new(Self {
            all,
            primary: Primary {
                pool: primary,
                seen: Mutex::new((None, Progress::new(most_lag))),
                is_reachable: AtomicBool::new(true),
                asked: Notify::new(),
            },
            known: (0..callers).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            reads: Reads::default(),
        }))
    }

    /// Each of them.
    pub fn all(&self) -> &[Arc<Standby>] {
        &self.all
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The standby that is to answer a query whose caller knows of all up to `after`; `None` where the primary is to. It is the one of all with the least to
    /// do, and a standby rather than the primary.
    pub async fn choose(&self, after: WalPosition) -> Option<Arc<Standby>> {
        if self.all.is_empty() {
            return None;
        }
        let is_primary_free =
            |best: &Standby| self.primary.is_reachable.load(Ordering::Relaxed) && self.primary.pool.load() < best.pool.load();
        let Some(best) = self.best(after).filter(|best| !is_primary_free(best)) else {
            self.reads.primary.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let is_far_enough = best.has_replayed(after).await;
        let counter = if is_far_enough { &self.reads.standby } else { &self.reads.behind };
        counter.fetch_add(1, Ordering::Relaxed);
        is_far_enough.then(|| Arc::clone(best))
    }

    /// A standby that answers queries, if there is one.
    pub fn serving(&self) -> Option<Arc<Standby>> {
        self.best(WalPosition::default()).map(Arc::clone)
    }

    /// A standby that can answer what the primary did not.
    pub async fn stand_in(&self, after: WalPosition) -> Option<Arc<Standby>> {
        self.primary.asked.notify_one();
        let best = self.best(after)?;
        let is_far_enough = best.has_replayed(after).await;
        if is_far_enough {
            self.reads.again.fetch_add(1, Ordering::Relaxed);
        }
        is_far_enough.then(|| Arc::clone(best))
    }

    /// Notes that the primary answers what a standby could not, and has the standby looked at.
    pub fn note_failure(&self, standby: &Standby) {
        self.reads.again.fetch_add(1, Ordering::Relaxed);
        standby.asked.notify_one();
    }

    /// The standby with the least to do, of those first that have replayed so far.
    fn best(&self, after: WalPosition) -> Option<&Arc<Standby>> {
        let serving = self.all.iter().filter(|standby| *standby.state.borrow() == State::Serving);
        serving.min_by_key(|standby| (*standby.replayed.borrow() < after, standby.pool.load(), fastrand::u8(..)))
    }

    /// Remembers that this caller knows of all up to that position.
    pub fn remember(&self, caller: (&str, &str), position: WalPosition) {
        if let Some(known) = self.known_by(caller) {
            known.fetch_max(position.0, Ordering::Release);
        }
    }

    /// What this caller knows of by this server.
    pub fn remembered(&self, caller: (&str, &str)) -> WalPosition {
        WalPosition(self.known_by(caller).map_or(0, |known| known.load(Ordering::Acquire)))
    }

    fn known_by(&self, caller: (&str, &str)) -> Option<&AtomicU64> {
        let hash = usize::try_from(self.hasher.hash_one(caller) % CALLERS as u64).unwrap_or_default();
        self.known.get(hash)
    }

    /// Forgets what callers know of: it is there no more.
    fn forget(&self) {
        for known in &self.known {
            known.store(0, Ordering::Release);
        }
    }

    /// How many queries were answered by what; nothing where there are no standbys.
    pub fn reads(&self) -> Vec<(&'static str, u64)> {
        let Reads { standby, primary, behind, again } = &self.reads;
        let counters = [("standby", standby), ("primary", primary), ("primary_ahead", behind), ("another", again)];
        let counted = counters.into_iter().filter(|_| !self.all.is_empty());
        counted.map(|(by, count)| (by, count.load(Ordering::Relaxed))).collect()
    }

    /// How each standby is.
    pub fn figures(&self) -> Vec<Figures> {
        let newest = self.primary.newest().unwrap_or_default();
        self.all.iter().map(|standby| standby.figures(newest)).collect()
    }

    /// Gives no more connections to standbys.
    pub fn close(&self) {
        self.all.iter().for_each(|standby| standby.pool.close());
    }
}

impl Primary {
    fn set_reachable(&self, is_reachable: bool) -> bool {
        self.is_reachable.swap(is_reachable, Ordering::Relaxed)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, (Option<Identity>, Progress)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where the primary is. `false` where it is another, which does not have all that was there.
    fn note(&self, now: Instant, identity: Identity, position: WalPosition) -> bool {
        let mut seen = self.seen();
        let is_same = seen.0.replace(identity).is_none_or(|known| known == identity);
        let goes_on = seen.1.newest().is_none_or(|newest| newest <= position);
        seen.1.note(now, position);
        drop(seen);
        self.set_reachable(true);
        is_same && goes_on
    }

    fn newest(&self) -> Option<WalPosition> {
        self.seen().1.newest()
    }

    /// Which database a standby is of, and what it has replayed that is not too far behind; `None` while nothing is known of the primary.
    fn required(&self, now: Instant) -> Option<(Identity, WalPosition)> {
        let seen = self.seen();
        seen.0.zip(seen.1.required(now))
    }
}

impl Standby {
    fn new(config: &Config, settings: PoolSettings) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            name: address(config),
            pool: Pool::new(config.clone(), PoolSettings { kind: DatabaseKind::Standby, ..settings })?,
            config: config.clone(),
            state: Sender::new(State::Away),
            replayed: Sender::default(),
            awaited: AtomicUsize::new(0),
            asked: Notify::new(),
        }))
    }

    /// Its connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What it is good for at the moment.
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Waits until it is not good for a query any more that is under way: it does not answer.
    pub async fn lost(&self) {
        // The sender lives as long as the standby.
        let _ = self.state.subscribe().wait_for(|state| *state == State::Away).await;
    }

    /// Whether it has replayed so far, or does in a moment.
    async fn has_replayed(&self, after: WalPosition) -> bool {
        if *self.replayed.borrow() >= after {
            return true;
        }
        self.awaited.fetch_add(1, Ordering::Relaxed);
        let _awaited = Awaited(&self.awaited);
        self.asked.notify_one();
        timeout(CATCH_UP, self.replayed.subscribe().wait_for(|replayed| *replayed >= after)).await.is_ok()
    }

    fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    fn figures(&self, newest: WalPosition) -> Figures {
        Figures {
            name: self.name.clone(),
            is_serving: self.state() == State::Serving,
            behind: newest.0.saturating_sub(self.replayed.borrow().0),
            connections: self.pool.status(),
        }
    }
}

/// A query that waits for a standby, until it is dropped.
struct Awaited<'s>(&'s AtomicUsize);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A database's address for people: without what is for the database alone.
pub fn address(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let port = config.get_ports().get(n).or_else(|| config.get_ports().first()).copied().unwrap_or(5432);
        format!("{host}:{port}")
    });
    hosts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standbys() -> Arc<Standbys> {
        let settings =
            PoolSettings { size: 1, wait: CATCH_UP, statement_timeout: CATCH_UP, linger: CATCH_UP, kind: DatabaseKind::Primary };
        let config = Config::new();
        let primary = Pool::new(config.clone(), settings).expect("a pool");
        Standbys::new(primary, &[config], settings, CATCH_UP).expect("standbys")
    }

    /// What a caller knows of is never forgotten for less, and however many callers there are, it takes no more memory.
    #[test]
    fn callers_are_remembered() {
        let standbys = standbys();
        let caller = ("https://issuer.example.com", "user_1");
        assert_eq!(standbys.remembered(caller), WalPosition(0));
        standbys.remember(caller, WalPosition(30));
        standbys.remember(caller, WalPosition(20));
        for n in 0..100_000 {
            standbys.remember(("https://issuer.example.com", &format!("other_{n}")), WalPosition(10));
        }
        assert_eq!(standbys.remembered(caller), WalPosition(30));
        standbys.forget();
        assert_eq!(standbys.remembered(caller), WalPosition(0));
    }

    /// An address in the log has no password.
    #[test]
    fn names() {
        let config = "postgres://portal:secret@db.example.com:6432/portal".parse().expect("an address");
        assert_eq!(address(&config), "db.example.com:6432");
    }
}
