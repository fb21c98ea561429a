//! One request, one connection, one instant.
//!
//! A [`Session`] holds the connection that a request works with. Reading happens in one `READ ONLY REPEATABLE READ`
//! transaction, so that everything in one answer is true at the same instant; a mutation works in a transaction of its own,
//! after which reading starts afresh. Each transaction begins by announcing the caller to PostgreSQL, and row-level security
//! holds it to that.

mod act;
mod line;
mod observing;
mod writing;

use std::{
    future::poll_fn,
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use futures_util::try_join;
use tokio::{
    runtime::Handle,
    sync::{RwLock, RwLockReadGuard},
};

pub use self::{
    act::{Act, AuditActor},
    writing::Writing,
};
use self::{
    line::{Line, Phase},
    observing::observe,
};
pub use super::caller::{Announced, Caller, GATE, OPERATOR, PARTNER, SERVICE};
use super::{
    caller::announce_impersonator,
    pool::{DatabaseKind, Pool},
    positions::CallerPosition,
    wal::WalPosition,
};
use crate::error::{Error, Result, Transient};

/// How many statements enter a session: the start of its transaction, and the query that announces the caller.
const FIRST_STATEMENTS: u32 = 2;
/// How often a transaction is run again that PostgreSQL has aborted because of another (a deadlock, a serialization failure).
const RETRIES: u32 = 8;
/// The longest pause before the first retry, doubled for each further one. The pause itself is a random part of it.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const BEGIN_READING: &str = "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ";
/// What announces that nothing is to be recorded in the audit trail.
const NO_ACT: &str = "SET LOCAL app.audit = ''";
const BEGIN_WRITING: &str = "BEGIN READ WRITE ISOLATION LEVEL READ COMMITTED";

/// What a session's first transaction is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// For an answer from one instant.
    Read,
    /// For a mutation's first field; what is read before it or after it is read in another.
    Write(Option<Act>),
}

/// A request's connection. Dropping it, at any point, ends its transaction and gives the connection back.
pub struct Session {
    line: RwLock<Line>,
    statements: Arc<AtomicU32>,
    /// Statements that were sent and have not been answered.
    under_way: Arc<AtomicI32>,
    own: AtomicU32,
    /// How many transactions were run again.
    retries: AtomicU32,
    /// Whether BEGIN of its first transaction has been sent: nothing may be read before.
    has_begun: AtomicBool,
    /// Whether COMMIT was sent for a change of this caller's, and is not known to have failed.
    may_be_done: AtomicBool,
    /// How far the primary was after the last change that was committed; nothing where that is not noted.
    committed_at: AtomicU64,
    /// How far the changes of its caller are, where standbys are read from.
    position: Option<CallerPosition>,
    /// Whether every statement was read to its end.
    is_finished: AtomicBool,
    /// The id of the request that it serves, for the log.
    request: Option<Arc<str>>,
    /// What the next transaction that writes is for.
    act: Mutex<Option<Act>>,
}

/// The right to read. Several can be held at once; what is polled together is sent together.
pub type Reading<'s> = RwLockReadGuard<'s, AsyncPgConnection>;

impl Session {
    /// Takes a connection for `caller` and runs the first query on it, in one round trip with the start of the transaction.
    pub async fn open<T>(
        pool: &Pool,
        caller: Caller,
        first: impl AsyncFnOnce(&AsyncPgConnection) -> QueryResult<T>,
    ) -> Result<(Self, T)> {
        let announced = caller.clone();
        let both = async |connection: &AsyncPgConnection| {
            let ((), answer) = try_join!(announced.announce(connection), first(connection))?;
            Ok(answer)
        };
        let session = Self::take(pool, caller, None).await?;
        let answer = session.enter(Access::Read, both).await?;
        Ok((session, answer))
    }

    /// Takes a connection for `caller`, to serve the request of that id. No statement may run before [`Session::enter`].
    pub async fn take(pool: &Pool, caller: Caller, request: Option<&str>) -> Result<Self> {
        let (mut connection, is_open) = pool.take().await.map_err(Error::unavailable)?;
        let statements = Arc::new(AtomicU32::new(0));
        let under_way = Arc::new(AtomicI32::new(0));
        observe(&mut connection, &statements, &under_way);
        let phase = if is_open { Phase::Left } else { Phase::Idle };
        let position = match &caller {
            Caller::Gate { issuer, subject } => pool.position_of(issuer, subject),
            _ => None,
        };
        Ok(Self {
            position,
            line: RwLock::new(Line {
                pool: pool.clone(),
                connection: Some(connection),
                caller,
                impersonator: None,
                announcement: None,
                phase,
            }),
            statements,
            under_way,
            own: AtomicU32::new(0),
            retries: AtomicU32::new(0),
            has_begun: AtomicBool::new(false),
            may_be_done: AtomicBool::new(false),
            committed_at: AtomicU64::new(0),
            is_finished: AtomicBool::new(false),
            request: request.map(Arc::from),
            act: Mutex::new(None),
        })
    }

    /// Begins the first transaction, and runs the query that identifies the caller in the same round trip. [`Session::proceed`] takes what it
    /// found.
    pub async fn enter<T>(&self, access: Access, first: impl AsyncFnOnce(&AsyncPgConnection) -> QueryResult<T>) -> Result<T> {
        let mut line = self.line.write().await;
        let (begin, phase) = match access {
            Access::Read => (BEGIN_READING.to_owned(), Phase::Reading),
            Access::Write(act) => {
                line.announcement = act.map(|act| act.announcement(self.request()));
                (begin_writing(line.announcement.as_deref()), Phase::Begun)
            }
        };
        let before = mem::replace(&mut line.phase, Phase::Abandoned);
        let ((), answer) = try_join!(line.change(before, &begin), first(line.connection()))?;
        line.phase = phase;
        drop(line);
        self.has_begun.store(true, Ordering::Release);
        self.disregard_statements();
        Ok(answer)
    }

    /// Continues as the predicted caller, without waiting for the query that identifies them, where a transaction is open that allows it. Then
    /// [`Session::confirm`] must be polled before any read, and together with it. That saves the round trip of the identification.
    pub fn predict(&mut self, caller: Caller) -> bool {
        let line = self.line.get_mut();
        // Only there is a transaction open that COMMIT can end in the same round trip.
        let can = line.phase == Phase::Left;
        if can {
            (line.caller, line.phase) = (caller, Phase::Predicted);
            self.own.store(FIRST_STATEMENTS, Ordering::Relaxed);
        }
        can
    }

    /// Begins the transaction that a predicted caller reads in. Answers may leave the server only once `first` has confirmed the prediction:
    /// they were read as the caller whom `first` announces.
    pub async fn confirm<T>(&self, first: impl AsyncFnOnce(&AsyncPgConnection) -> QueryResult<T>) -> Result<T> {
        let line = self.line.read().await;
        let mut both = pin!(async { try_join!(line.change(line.phase, BEGIN_READING), first(line.connection())) });
        let ((), answer) = poll_fn(|context| {
            // After one poll both are sent before anything else: a connection sends in the order of its calls, and while a statement is being
            // prepared, diesel runs no other prepared one.
            let polled = both.as_mut().poll(context);
            self.has_begun.store(true, Ordering::Release);
            polled
        })
        .await?;
        Ok(answer)
    }

    /// Continues as another caller, in the transaction that is open: a reading one keeps its instant. Where `announced` says that PostgreSQL
    /// knows this caller in the transaction already, nothing is sent.
    pub async fn proceed(&self, caller: Caller, announced: Option<&Announced>) -> Result<()> {
        let mut line = self.line.write().await;
        line.caller = caller;
        // An abandoned transaction is rolled back when the next one begins.
        if matches!(line.phase, Phase::Reading | Phase::Begun) && announced != Some(&line.caller.announced()) {
            line.caller.announce(line.connection()).await?;
        }
        if line.phase == Phase::Begun {
            line.phase = Phase::Fresh;
        }
        drop(line);
        // Changes before this were another caller's.
        self.may_be_done.store(false, Ordering::Relaxed);
        self.disregard_statements();
        Ok(())
    }

    /// Names the person who acts in the caller's name; the histories of what they change record it.
    pub async fn name_impersonator(&self, impersonator: Option<String>) {
        self.line.write().await.impersonator = impersonator;
    }

    /// Says what is written from now on, for the audit trail; where it is not said, nothing is recorded.
    pub fn perform(&self, act: Act) {
        *self.act.lock().unwrap_or_else(PoisonError::into_inner) = Some(act);
    }

    /// How far the primary was when the last change of this session had been committed, or its position was noted; `None` where neither was, or no standby is read
    /// from.
    pub fn committed_at(&self) -> Option<WalPosition> {
        Some(WalPosition(self.committed_at.load(Ordering::Acquire))).filter(|position| *position > WalPosition::default())
    }

    /// Fails where the database is a standby: it may not know yet what the primary does.
    pub async fn expect_primary(&self) -> Result<()> {
        match self.line.read().await.pool.kind() {
            DatabaseKind::Standby => Err(Error::unavailable("a standby does not know the caller")),
            DatabaseKind::Single | DatabaseKind::Primary => Ok(()),
        }
    }

    /// Whether something of this caller's may have been committed.
    pub fn may_be_done(&self) -> bool {
        self.may_be_done.load(Ordering::Relaxed)
    }

    /// The id of the request that it serves, for the log.
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// The error that ends the request: where a change may have been committed by then, it says so.
    pub fn judge(&self, error: Error) -> Error {
        if self.may_be_done() { Error::perhaps_done(error) } else { error }
    }

    /// Notes that no statement was given up half-way: the connection can serve the next request as it is.
    pub fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    /// The connection for reading, within the request's one instant.
    pub async fn read(&self) -> Result<Reading<'_>> {
        if !self.has_begun.load(Ordering::Acquire) {
            return Err(Error::internal("a read before the caller is identified"));
        }
        let line = self.line.read().await;
        if matches!(line.phase, Phase::Reading | Phase::Predicted) {
            return Ok(RwLockReadGuard::map(line, Line::connection));
        }
        drop(line);
        let mut line = self.line.write().await;
        if line.phase != Phase::Reading {
            self.wake(&mut line).await?;
            let before = self.statements();
            line.begin(BEGIN_READING).await?;
            line.phase = Phase::Reading;
            self.own.fetch_add(self.statements() - before, Ordering::Relaxed);
        }
        Ok(RwLockReadGuard::map(line.downgrade(), Line::connection))
    }

    /// A transaction for writing. Nothing else uses the connection while it lives; the next reading begins afresh.
    pub async fn write(&self) -> Result<Writing<'_>> {
        let mut line = self.line.write().await;
        let before = self.statements();
        let act = self.act.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let announcement = act.map(|act| act.announcement(self.request()));
        if line.phase == Phase::Fresh {
            line.phase = Phase::Abandoned;
            if line.announcement != announcement {
                line.run(announcement.as_deref().unwrap_or(NO_ACT)).await?;
            }
        } else {
            self.wake(&mut line).await?;
            line.begin(&begin_writing(announcement.as_deref())).await?;
        }
        if let Some(impersonator) = line.impersonator.clone() {
            announce_impersonator(line.connection(), impersonator).await?;
        }
        self.own.fetch_add(self.statements() - before, Ordering::Relaxed);
        Ok(Writing { line, session: self })
    }

    /// Gives the connection back until the session reads or writes again, so that others can work with it while something else is waited for.
    /// What was not committed is undone.
    pub async fn rest(&self) -> Result<()> {
        let mut line = self.line.write().await;
        if let Some(end) = line.phase.end() {
            line.phase = Phase::Abandoned;
            self.own.fetch_add(1, Ordering::Relaxed);
            line.run(end).await?;
            line.phase = Phase::Idle;
        }
        line.connection = None;
        Ok(())
    }

    /// Takes a connection again where the session has rested.
    async fn wake(&self, line: &mut Line) -> Result<()> {
        if line.connection.is_none() {
            let (mut connection, is_open) = line.pool.take().await.map_err(Error::unavailable)?;
            observe(&mut connection, &self.statements, &self.under_way);
            line.phase = if is_open { Phase::Left } else { Phase::Idle };
            line.connection = Some(connection);
        }
        Ok(())
    }

    /// Runs a transaction, and runs it again where PostgreSQL aborted it because of another: then nothing of it was done.
    pub async fn retry<T, E: Transient, F: Future<Output = Result<T, E>>>(
        &self,
        mut transaction: impl FnMut() -> F,
    ) -> F::Output {
        let mut pause = FIRST_PAUSE;
        for _ in 0..RETRIES {
            match transaction().await {
                Err(error) if error.is_transient() => {
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause.mul_f64(fastrand::f64())).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
        transaction().await
    }

    /// How many transactions were run again.
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// How many statements have run, apart from the session's own (transaction control, and announcing the caller).
    pub fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed).saturating_sub(self.own.load(Ordering::Relaxed))
    }

    /// The outcome of a COMMIT. Where it failed, `may_be_done` is what it was `before`; where the connection was lost, the outcome is unknown.
    fn decide(&self, committed: QueryResult<()>, before: bool) -> Result<()> {
        match committed.map_err(Error::from) {
            Ok(()) => Ok(()),
            Err(lost @ Error::Unavailable(_)) => Err(Error::perhaps_done(lost)),
            Err(error) => {
                self.may_be_done.store(before, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    fn disregard_statements(&self) {
        self.own.store(self.statements.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Begins a transaction that writes, and tells PostgreSQL what it is for.
fn begin_writing(announcement: Option<&str>) -> String {
    announcement.map_or_else(|| BEGIN_WRITING.to_owned(), |announcement| format!("{BEGIN_WRITING}; {announcement}"))
}

impl Drop for Session {
    fn drop(&mut self) {
        let line = self.line.get_mut();
        let Some(connection) = line.connection.take() else { return };
        let Some(how) = line.phase.end() else { return };
        // The next request must not wait for a statement that was given up, or for the rest of its rows.
        let is_quiet = self.is_finished.load(Ordering::Relaxed) && self.under_way.load(Ordering::Relaxed) == 0;
        if line.phase == Phase::Left || is_quiet && matches!(line.phase, Phase::Predicted | Phase::Reading) {
            return line.pool.keep(connection);
        }
        // The answer need not wait for this. Without a runtime the connection is closed, not reused.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(connection.end(how, self.request.take()))),
            Err(_) => connection.discard(),
        }
    }
}
