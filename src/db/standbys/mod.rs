//! Standbys that answer queries beside their primary.
//!
//! Nobody is answered without what they have changed or what a subscription has sent them: they carry the position of that in the write-ahead log, and are
//! answered by a standby only once it has replayed so far, which the session itself makes sure of. A standby that is too far behind, or does not answer, is left
//! out, and what it did not answer is asked elsewhere.

mod lag;
mod watch;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
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
    wal::{Identity, Look, WalPosition},
};
use crate::error::{Error, Result};

/// How long a query waits for a standby to replay what it requires, before the primary answers it.
const CATCH_UP: Duration = Duration::from_millis(5);

/// What a database is good for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answers queries.
    Serving,
    /// It is too far behind.
    Lagging,
    /// It has not answered once. What it was asked before goes on.
    Silent,
    /// It does not answer.
    Away,
    /// It is a standby no more: it was promoted.
    Promoted,
    /// It is of another cluster, or another database of it, than the primary.
    OfAnother,
    /// It is not known to have followed the primary's last promotion.
    OfOldTimeline,
}

/// The primary and its standbys.
pub struct Standbys {
    all: Vec<Arc<Standby>>,
    primary: Primary,
    reads: Reads,
}

/// How much was read where.
#[derive(Debug, Default)]
struct Reads {
    /// From a standby.
    standby: AtomicU64,
    /// From the primary, because no standby serves, or all have more to do.
    primary: AtomicU64,
    /// From the primary, because the standby had not replayed what was required.
    primary_ahead: AtomicU64,
    /// How much was read elsewhere than at first, because that database did not answer, or did not know the caller.
    repeated: AtomicU64,
}

struct Primary {
    pool: Pool,
    /// Which database it is, and where it was.
    seen: Mutex<(Option<Identity>, Progress)>,
    state: Sender<State>,
    /// Asks for a look at once.
    asked: Notify,
}

/// One standby.
pub struct Standby {
    /// Its address, for the log and the metrics.
    name: String,
    config: Config,
    pool: Pool,
    /// What it is good for, and how far it is, as of the last look.
    last: Sender<(State, WalPosition)>,
    /// How many queries wait until it has replayed something.
    waiting: AtomicUsize,
    /// Asks for a look at once.
    asked: Notify,
}

/// How a standby is.
#[derive(Debug, Clone)]
pub struct StandbyStatus {
    /// Its address.
    pub name: String,
    /// What it is good for.
    pub state: State,
    /// How many bytes of the write-ahead log it has not replayed; `None` where it has never answered.
    pub behind: Option<u64>,
    /// Its connections.
    pub connections: Status,
}

/// What comes of reading from a database.
pub trait Outcome {
    /// Whether the database did not answer, and another may.
    fn is_missed(&self) -> bool;

    /// What comes of a database that does not answer any more.
    fn lost() -> Self;
}

impl<T> Outcome for Result<T> {
    fn is_missed(&self) -> bool {
        self.as_ref().is_err_and(Error::is_of_database)
    }

    fn lost() -> Self {
        Err(Error::unavailable("the database does not answer"))
    }
}

/// Where something is read, and why.
enum Choice {
    Standby(Arc<Standby>),
    Primary,
    /// The standby is not as far.
    PrimaryAhead,
}

impl Standbys {
    /// Those at these addresses, of the primary that this pool connects to. None answers a query before [`Self::watch`] has seen it.
    pub fn new(primary: Pool, addresses: &[Config], settings: PoolSettings, most_lag: Duration) -> Result<Arc<Self>> {
        let all = addresses.iter().map(|config| Standby::new(config, settings)).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            all,
            primary: Primary {
                pool: primary,
                seen: Mutex::new((None, Progress::new(most_lag))),
                state: Sender::new(State::Serving),
                asked: Notify::new(),
            },
            reads: Reads::default(),
        }))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Reads where there is the least to do, from a database that has come as far as is required; and once more elsewhere where that does not answer.
    pub async fn read<T: Outcome, F: Future<Output = T>>(&self, required: WalPosition, work: impl Fn(Pool) -> F) -> T {
        if self.all.is_empty() {
            return Box::pin(work(self.primary.pool.clone())).await;
        }
        let counter = match self.choose(required).await {
            Choice::Standby(standby) => {
                let outcome = standby.read(Box::pin(work(standby.pool.requiring(required)))).await;
                if !outcome.is_missed() {
                    self.reads.standby.fetch_add(1, Ordering::Relaxed);
                    return outcome;
                }
                standby.asked.notify_one();
                self.reads.repeated.fetch_add(1, Ordering::Relaxed);
                &self.reads.primary
            }
            Choice::Primary => &self.reads.primary,
            Choice::PrimaryAhead => &self.reads.primary_ahead,
        };
        let outcome = self.primary.read(Box::pin(work(self.primary.pool.clone()))).await;
        if !outcome.is_missed() {
            counter.fetch_add(1, Ordering::Relaxed);
            return outcome;
        }
        self.primary.asked.notify_one();
        match self.best(required) {
            Some(standby) if standby.catches_up(required).await => {
                self.reads.repeated.fetch_add(1, Ordering::Relaxed);
                let outcome = standby.read(Box::pin(work(standby.pool.requiring(required)))).await;
                if !outcome.is_missed() {
                    self.reads.standby.fetch_add(1, Ordering::Relaxed);
                }
                outcome
            }
            _ => outcome,
        }
    }

    /// The database with the least to do, a standby rather than the primary.
    async fn choose(&self, required: WalPosition) -> Choice {
        let Some(best) = self.best(required) else { return Choice::Primary };
        if *self.primary.state.borrow() == State::Serving && self.primary.pool.load() < best.pool.load() {
            return Choice::Primary;
        }
        if best.catches_up(required).await { Choice::Standby(Arc::clone(best)) } else { Choice::PrimaryAhead }
    }

    /// Waits for what the primary does, unless it stops answering meanwhile.
    pub async fn on_primary<T: Outcome>(&self, work: impl Future<Output = T>) -> T {
        self.primary.read(work).await
    }

    /// Whether the primary is known not to answer.
    pub fn is_primary_away(&self) -> bool {
        *self.primary.state.borrow() == State::Away
    }

    /// A standby that answers queries, if there is one.
    pub fn serving(&self) -> Option<Arc<Standby>> {
        self.best(WalPosition::default()).map(Arc::clone)
    }

    /// The standby with the least to do, of those first that have come so far.
    fn best(&self, required: WalPosition) -> Option<&Arc<Standby>> {
        let serving = self.all.iter().filter(|standby| standby.last().0 == State::Serving);
        serving.min_by_key(|standby| (standby.last().1 < required, standby.pool.load(), fastrand::u8(..)))
    }

    /// How much was read where; nothing where there are no standbys.
    pub fn reads(&self) -> Vec<(&'static str, u64)> {
        let Reads { standby, primary, primary_ahead, .. } = &self.reads;
        let counters = [("standby", standby), ("primary", primary), ("primary_ahead", primary_ahead)];
        let counted = counters.into_iter().filter(|_| !self.all.is_empty());
        counted.map(|(from, count)| (from, count.load(Ordering::Relaxed))).collect()
    }

    /// How much was read elsewhere than at first.
    pub fn repeated(&self) -> u64 {
        self.reads.repeated.load(Ordering::Relaxed)
    }

    /// How each standby is.
    pub fn status(&self) -> Vec<StandbyStatus> {
        let newest = self.primary.seen().1.newest().unwrap_or_default();
        self.all.iter().map(|standby| standby.status(newest)).collect()
    }

    /// Gives no more connections to standbys.
    pub fn close(&self) {
        self.all.iter().for_each(|standby| standby.pool.close());
    }
}

impl Primary {
    fn seen(&self) -> MutexGuard<'_, (Option<Identity>, Progress)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, now: Instant, look: Look) {
        let mut seen = self.seen();
        seen.0 = Some(look.identity);
        seen.1.note(now, look.position);
        drop(seen);
        self.state.send_replace(State::Serving);
    }

    /// Which database a standby is of, and what it has replayed that is not too far behind; `None` while nothing is known of the primary.
    fn required(&self) -> Option<(Identity, WalPosition)> {
        let seen = self.seen();
        seen.0.zip(seen.1.required())
    }

    async fn read<T: Outcome>(&self, work: impl Future<Output = T>) -> T {
        // One that is known not to answer is asked nevertheless, where no standby will do: it may be back.
        let mut state = self.state.subscribe();
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = until_away(&mut state) => T::lost(),
        }
    }
}

/// Waits until a database does not answer any more.
async fn until_away(state: &mut tokio::sync::watch::Receiver<State>) {
    loop {
        // The sender lives as long as what it is about.
        if state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        if *state.borrow_and_update() == State::Away {
            return;
        }
    }
}

impl Standby {
    fn new(config: &Config, settings: PoolSettings) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            name: display_address(config),
            pool: Pool::new(config.clone(), PoolSettings { kind: DatabaseKind::Standby, ..settings })?,
            config: config.clone(),
            last: Sender::new((State::Silent, WalPosition::default())),
            waiting: AtomicUsize::new(0),
            asked: Notify::new(),
        }))
    }

    /// Its connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    fn last(&self) -> (State, WalPosition) {
        *self.last.borrow()
    }

    async fn read<T: Outcome>(&self, work: impl Future<Output = T>) -> T {
        let mut last = self.last.subscribe();
        tokio::select! {
            biased;
            outcome = work => outcome,
            _ = last.wait_for(|(state, _)| *state == State::Away) => T::lost(),
        }
    }

    /// Whether it has replayed so far, or does in a moment.
    async fn catches_up(&self, required: WalPosition) -> bool {
        let is_far_enough = |(state, replayed): &(State, WalPosition)| *state == State::Serving && *replayed >= required;
        if is_far_enough(&self.last()) {
            return true;
        }
        if required == WalPosition::UNKNOWN {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        self.asked.notify_one();
        timeout(CATCH_UP, self.last.subscribe().wait_for(is_far_enough)).await.is_ok()
    }

    fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn status(&self, newest: WalPosition) -> StandbyStatus {
        let (state, replayed) = self.last();
        StandbyStatus {
            name: self.name.clone(),
            state,
            behind: (replayed > WalPosition::default()).then(|| newest.0.saturating_sub(replayed.0)),
            connections: self.pool.status(),
        }
    }
}

/// A query that waits for a standby, until it is dropped.
struct Waiting<'s>(&'s AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A database's address as people read it: without what is for the database alone.
pub fn display_address(config: &Config) -> String {
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let host = host.or_else(|| config.get_hostaddrs().first().map(ToString::to_string)).unwrap_or_default();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that is shown has no password.
    #[test]
    fn addresses() {
        let config = "postgres://portal:secret@db.example.com:6432/portal".parse().expect("an address");
        assert_eq!(display_address(&config), "db.example.com:6432/portal");
    }
}
