//! The pool: connections ready for requests, few enough for the database, handed out first come, first served.
//!
//! When a request has read, the end of its transaction can wait for a moment: the next request sends it together with the start of its
//! own, and a round trip is saved. Where none comes in that moment, the transaction is ended here.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool::managed::{Object, TimeoutType};
use diesel::result::ConnectionError;
use diesel_async::{
    AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, PoolableConnection, RecyclingMethod,
    },
};
use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_postgres::Config;

use super::{
    STEP_DOWN, connect,
    positions::{CallerPosition, Positions},
    wal::WalPosition,
};
use crate::error::{Error, Result};

/// How long a finished request's read transaction may stay open for the next request, by default.
pub const LINGER: Duration = Duration::from_millis(2);
/// How much longer than a statement the end of a transaction may take before the connection is given up: it may wait for a statement.
const END_LIMIT: Duration = Duration::from_secs(5);

type Manager = AsyncDieselConnectionManager<AsyncPgConnection>;
type Connections = deadpool::managed::Pool<Manager>;
/// Why there is no connection.
pub type PoolError = deadpool::managed::PoolError<ConnectError>;

/// What a database is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DatabaseKind {
    /// The only one.
    #[default]
    Single,
    /// The one that is written to; others replay what it writes, and are read from.
    Primary,
    /// One that is read from.
    Standby,
}

/// What the pool needs to know besides where the database is.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// How many connections at most.
    pub size: usize,
    /// How long a request may wait for one.
    pub wait: Duration,
    /// The longest that one statement may run.
    pub statement_timeout: Duration,
    /// How long a finished request's read transaction may stay open for the next request.
    pub linger: Duration,
    /// What the database is to the server.
    pub kind: DatabaseKind,
}

/// Connections ready for requests. Clones are the same pool.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    /// How far a standby must be for what reads from it.
    required: WalPosition,
}

struct Shared {
    connections: Connections,
    permits: Arc<Semaphore>,
    size: usize,
    kind: DatabaseKind,
    wait: Duration,
    linger: Duration,
    end_limit: Duration,
    waiting: AtomicUsize,
    kept: Mutex<Kept>,
    positions: Option<Arc<Positions>>,
}

/// How a pool is used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Status {
    /// How many connections there are.
    pub size: usize,
    /// How many of them are idle.
    pub idle: usize,
    /// How many requests wait for one.
    pub waiting: usize,
}

impl std::iter::Sum for Status {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, Self { size, idle, waiting }| Self {
            size: sum.size + size,
            idle: sum.idle + idle,
            waiting: sum.waiting + waiting,
        })
    }
}

/// A waiting request, until it is dropped.
struct Waiting<'p>(&'p AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections whose read transaction is still open, the latest last.
#[derive(Default)]
struct Kept {
    lines: Vec<(Instant, Object<Manager>)>,
    is_watched: bool,
}

/// A connection, until it is dropped.
pub struct Taken {
    connection: Object<Manager>,
    permit: OwnedSemaphorePermit,
    end_limit: Duration,
}

impl Deref for Taken {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection
    }
}

impl Taken {
    /// The connection, for exclusive use.
    pub fn alone(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection
    }

    /// Closes it: it cannot be used again.
    pub fn discard(self) {
        drop(Object::take(self.connection));
    }

    /// Ends the transaction that is open, and gives the connection back; closes it where that fails or takes too long, and logs that with
    /// the id of the request that the transaction was for.
    pub async fn end(self, how: &'static str, request: Option<Arc<str>>) {
        if let Err(error) = self.run(how).await {
            tracing::warn!(request_id = request.as_deref(), %error, "a transaction could not be ended; its connection is closed");
            self.discard();
        }
    }

    async fn run(&self, how: &'static str) -> Result<()> {
        let ended = timeout(self.end_limit, (&mut &*self.connection).batch_execute(how)).await;
        Ok(ended.map_err(|_| Error::unavailable("a connection does not answer"))??)
    }
}

impl Pool {
    /// A pool of connections whose login owns nothing and may do nothing until a session has announced a caller.
    pub fn new(config: Config, settings: PoolSettings) -> Result<Self> {
        // Generic plans: custom ones are planned anew at each execution, which costs the short statements here more than they gain.
        let setup = format!(
            "{STEP_DOWN}; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 60000; \
             SET plan_cache_mode = force_generic_plan; SET TIME ZONE 'UTC'",
            settings.statement_timeout.as_millis()
        );
        let mut manager = ManagerConfig::default();
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |_| {
            let (config, setup) = (config.clone(), setup.clone());
            async move { connect::establish(&config, Some(&setup)).await }.boxed()
        });
        let connections = Connections::builder(AsyncDieselConnectionManager::new_with_config("", manager))
            .max_size(settings.size)
            .wait_timeout(Some(settings.wait))
            .create_timeout(Some(settings.wait))
            .runtime(::deadpool::Runtime::Tokio1)
            .build()
            .map_err(Error::internal)?;
        let permits = Arc::new(Semaphore::new(settings.size));
        let shared = Shared {
            connections,
            permits,
            size: settings.size,
            kind: settings.kind,
            wait: settings.wait,
            linger: settings.linger,
            end_limit: settings.statement_timeout + END_LIMIT,
            waiting: AtomicUsize::new(0),
            kept: Mutex::default(),
            positions: (settings.kind == DatabaseKind::Primary).then(Arc::default),
        };
        Ok(Self { shared: Arc::new(shared), required: WalPosition::default() })
    }

    /// The same pool, for what a standby answers only once it has replayed so far.
    #[must_use]
    pub fn requiring(&self, required: WalPosition) -> Self {
        Self { shared: Arc::clone(&self.shared), required }
    }

    /// How far a standby must be; `None` where this is no standby, or nothing is required.
    pub fn required(&self) -> Option<WalPosition> {
        let is_standby = self.shared.kind == DatabaseKind::Standby;
        Some(self.required).filter(|required| is_standby && *required > WalPosition::default())
    }

    /// How far the changes of a caller are that are made in this database; `None` where no standby is read from.
    pub fn position_of(&self, issuer: &str, subject: &str) -> Option<CallerPosition> {
        Some(self.shared.positions.as_ref()?.of(issuer, subject))
    }

    /// A connection without a transaction.
    pub async fn get(&self) -> Result<Taken, PoolError> {
        let (taken, is_open) = self.take().await?;
        let ended = if is_open { taken.run("COMMIT").await } else { Ok(()) };
        if let Err(error) = ended {
            taken.discard();
            return Err(PoolError::Backend(ConnectError::ConnectionError(ConnectionError::BadConnection(error.to_string()))));
        }
        Ok(taken)
    }

    /// A connection, and whether the previous request's read transaction is still open on it.
    pub async fn take(&self) -> Result<(Taken, bool), PoolError> {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.shared.waiting);
        let permit = match timeout(self.shared.wait, Arc::clone(&self.shared.permits).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(PoolError::Closed),
            Err(_) => return Err(PoolError::Timeout(TimeoutType::Wait)),
        };
        drop(waiting);
        let end_limit = self.shared.end_limit;
        while let Some((_, mut connection)) = self.shared.kept().lines.pop() {
            if connection.is_broken() {
                drop(Object::take(connection));
                continue;
            }
            return Ok((Taken { connection, permit, end_limit }, true));
        }
        Ok((Taken { connection: self.shared.connections.get().await?, permit, end_limit }, false))
    }

    /// Takes back a connection on which a reading transaction is open.
    pub fn keep(&self, taken: Taken) {
        let Taken { connection, permit, .. } = taken;
        let Ok(runtime) = Handle::try_current() else { return drop(Object::take(connection)) };
        let mut kept = self.shared.kept();
        // Closed in this order: a later caller finds it closed.
        if self.shared.permits.is_closed() {
            return drop(Object::take(connection));
        }
        kept.lines.push((Instant::now(), connection));
        if !std::mem::replace(&mut kept.is_watched, true) {
            runtime.spawn(watch(Arc::clone(&self.shared)));
        }
        drop(kept);
        // The permit is released last: only now can the next request look for the connection.
        drop(permit);
    }

    /// What the database is to the server.
    pub fn kind(&self) -> DatabaseKind {
        self.shared.kind
    }

    /// How many requests have a connection, or wait for one.
    pub fn load(&self) -> usize {
        self.shared.size.saturating_sub(self.shared.permits.available_permits()) + self.shared.waiting.load(Ordering::Relaxed)
    }

    /// How it is used at the moment.
    pub fn status(&self) -> Status {
        let connections = self.shared.connections.status();
        Status {
            size: connections.size,
            idle: connections.available + self.shared.kept().lines.len(),
            waiting: self.shared.waiting.load(Ordering::Relaxed),
        }
    }

    /// Gives no more connections, and closes those that are idle.
    pub fn close(&self) {
        self.shared.permits.close();
        self.shared.connections.close();
        self.shared.kept().lines.clear();
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections whose transaction has stayed open for too long; `None` where no others are open either. Each comes with a permit, so that
    /// no request is promised the connection meanwhile. Where no permit is free, a request has one and is about to look for the
    /// connection, which is left for it.
    fn idle(&self) -> Option<Vec<Taken>> {
        let mut kept = self.kept();
        if kept.lines.is_empty() {
            kept.is_watched = false;
            return None;
        }
        let stale = kept.lines.partition_point(|(since, _)| since.elapsed() >= self.linger);
        let permits: Vec<_> = (0..stale).map_while(|_| Arc::clone(&self.permits).try_acquire_owned().ok()).collect();
        let connections = kept.lines.drain(..permits.len()).map(|(_, connection)| connection);
        let end_limit = self.end_limit;
        Some(connections.zip(permits).map(|(connection, permit)| Taken { connection, permit, end_limit }).collect())
    }
}

/// Ends transactions that no request has taken over, until there are none.
async fn watch(shared: Arc<Shared>) {
    loop {
        sleep(shared.linger).await;
        let Some(idle) = shared.idle() else { return };
        for taken in idle {
            tokio::spawn(taken.end("COMMIT", None));
        }
    }
}
