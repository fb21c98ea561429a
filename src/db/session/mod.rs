//! One request, one connection, one instant.
//!
//! A [`Session`] holds the connection that a request works with. Reading happens in one `READ ONLY REPEATABLE READ`
//! transaction, so that everything in one answer is true at the same instant; a mutation works in a transaction of its own,
//! after which reading starts afresh. Each transaction begins by telling PostgreSQL who is asking, and row-level security
//! holds it to that.

mod line;
mod writing;

use std::{
    future::poll_fn,
    mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering},
    },
    time::Duration,
};

use diesel::{QueryResult, connection::InstrumentationEvent};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use tokio::{
    runtime::Handle,
    sync::{RwLock, RwLockReadGuard},
};

use self::line::{Line, Phase};
pub use self::writing::Writing;
pub use super::caller::{Caller, GATE, OPERATOR, PARTNER, SERVICE, Announced};
use super::{caller::announce_impersonator, pool::Pool, spans::Statements};
use crate::error::{Error, Result, Transient};

/// How many statements enter a session: the start of its transaction, and the query that says who is asking.
const FIRST_STATEMENTS: u32 = 2;
/// How often a transaction is run again that PostgreSQL has ended to let another go on.
const RETRIES: u32 = 8;
/// The longest pause before the first of them, doubled for each further one; how long within it is left to chance.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const BEGIN_READING: &str = "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ";
const BEGIN_WRITING: &str = "BEGIN READ WRITE ISOLATION LEVEL READ COMMITTED";

/// What a session's first transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For an answer from one instant.
    Read,
    /// For a mutation's first field; what is read before it or after it is read in another.
    Write,
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
    /// Whether its first transaction has begun, or what begins it has been sent: nothing may be read before.
    has_begun: AtomicBool,
    /// Whether a change of this caller's was handed over to be committed, and is not known to have failed.
    may_be_done: AtomicBool,
    /// Whether all that was asked was read to its end.
    is_finished: AtomicBool,
    /// The id of the request that it serves, for the log.
    request: Option<Arc<str>>,
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

    /// Takes a connection for `caller`, to serve the request of that id. Nothing may be asked before the session has been entered.
    pub async fn take(pool: &Pool, caller: Caller, request: Option<&str>) -> Result<Self> {
        let (mut connection, is_open) = pool.take().await.map_err(Error::unavailable)?;
        let statements = Arc::new(AtomicU32::new(0));
        let under_way = Arc::new(AtomicI32::new(0));
        let (counter, running) = (Arc::clone(&statements), Arc::clone(&under_way));
        let mut spans = Statements::default();
        connection.alone().set_instrumentation(move |event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { query, .. } => {
                counter.fetch_add(1, Ordering::Relaxed);
                running.fetch_add(1, Ordering::Relaxed);
                spans.start(query);
            }
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                running.fetch_sub(1, Ordering::Relaxed);
                spans.finish(query, error.is_some());
            }
            _ => {}
        });
        let phase = if is_open { Phase::Left } else { Phase::Idle };
        Ok(Self {
            line: RwLock::new(Line { pool: pool.clone(), connection: Some(connection), caller, impersonator: None, phase }),
            statements,
            under_way,
            own: AtomicU32::new(0),
            retries: AtomicU32::new(0),
            has_begun: AtomicBool::new(false),
            may_be_done: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
            request: request.map(Arc::from),
        })
    }

    /// Begins the first transaction and runs in the same round trip the query that says who is asking; what it has said is announced to
    /// [`Session::proceed`].
    pub async fn enter<T>(&self, access: Access, first: impl AsyncFnOnce(&AsyncPgConnection) -> QueryResult<T>) -> Result<T> {
        let mut line = self.line.write().await;
        let (begin, phase) = match access {
            Access::Read => (BEGIN_READING, Phase::Reading),
            Access::Write => (BEGIN_WRITING, Phase::Begun),
        };
        let begin = mem::replace(&mut line.phase, Phase::Abandoned).then(begin);
        let ((), answer) = try_join!(line.run(&begin), first(line.connection()))?;
        line.phase = phase;
        drop(line);
        self.has_begun.store(true, Ordering::Release);
        self.disregard_statements();
        Ok(answer)
    }

    /// Goes on at once as a caller who is predicted, if that can be: if so, [`Session::confirm`] must be polled before whatever reads, and
    /// along with it. That saves the round trip in which it is found out who asks.
    pub fn predict(&mut self, caller: Caller) -> bool {
        let line = self.line.get_mut();
        // Only there is a transaction that can be gone on from.
        let can = line.phase == Phase::Left;
        if can {
            (line.caller, line.phase) = (caller, Phase::Predicted);
            self.own.store(FIRST_STATEMENTS, Ordering::Relaxed);
        }
        can
    }

    /// Begins the transaction that a predicted caller reads in. What was read may be announced only when `first` has said that it was them
    /// indeed who asked: it was read as whoever `first` has found.
    pub async fn confirm<T>(&self, first: impl AsyncFnOnce(&AsyncPgConnection) -> QueryResult<T>) -> Result<T> {
        let line = self.line.read().await;
        let begin = line.phase.then(BEGIN_READING);
        let mut both = pin!(async { try_join!(line.run(&begin), first(line.connection())) });
        let ((), answer) = poll_fn(|context| {
            // Polled once, both are on their way before anything else: a connection sends in the order of asking, and where a statement is
            // still to be prepared, diesel runs no other prepared one until it is.
            let polled = both.as_mut().poll(context);
            self.has_begun.store(true, Ordering::Release);
            polled
        })
        .await?;
        Ok(answer)
    }

    /// Goes on as another caller; a reading transaction that is open goes on too, at the same instant, and so does the writing one that the
    /// session began with. Where PostgreSQL has been announced in it that this one asks, that is not said again.
    pub async fn proceed(&self, caller: Caller, announced: Option<&Announced>) -> Result<()> {
        let mut line = self.line.write().await;
        line.caller = caller;
        // What was done in an abandoned transaction is nobody's: the next one begins with its end.
        if matches!(line.phase, Phase::Reading | Phase::Begun) && announced != Some(&line.caller.announced()) {
            line.caller.announce(line.connection()).await?;
        }
        if line.phase == Phase::Begun {
            line.phase = Phase::Fresh;
        }
        drop(line);
        // What was done before was not asked for by them.
        self.may_be_done.store(false, Ordering::Relaxed);
        self.disregard_statements();
        Ok(())
    }

    /// Says who acts in the caller's name: the histories of what they change will tell.
    pub async fn name_impersonator(&self, impersonator: Option<String>) {
        self.line.write().await.impersonator = impersonator;
    }

    /// The id of the request that it serves, for the log.
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// What an error is that ends the request: where a change may have been made by then, that.
    pub fn judge(&self, error: Error) -> Error {
        if self.may_be_done.load(Ordering::Relaxed) { Error::perhaps_done(error) } else { error }
    }

    /// Says that nothing was given up half-way: the connection may serve the next as it is.
    pub fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    /// The connection for reading, within the request's one instant.
    pub async fn read(&self) -> Result<Reading<'_>> {
        if !self.has_begun.load(Ordering::Acquire) {
            return Err(Error::internal("somebody reads before it is asked who reads"));
        }
        let line = self.line.read().await;
        if matches!(line.phase, Phase::Reading | Phase::Predicted) {
            return Ok(RwLockReadGuard::map(line, Line::connection));
        }
        drop(line);
        let mut line = self.line.write().await;
        if line.phase != Phase::Reading {
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
        if line.phase == Phase::Fresh {
            line.phase = Phase::Abandoned;
        } else {
            line.begin(BEGIN_WRITING).await?;
        }
        if let Some(impersonator) = line.impersonator.clone() {
            announce_impersonator(line.connection(), impersonator).await?;
        }
        self.own.fetch_add(self.statements() - before, Ordering::Relaxed);
        Ok(Writing { line, session: self })
    }

    /// Runs what is one transaction, and again (so often) where PostgreSQL ended it to let another go on: nothing of it was done then.
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

    /// How many statements have run, apart from the session's own (transaction control and saying who is asking).
    pub fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed).saturating_sub(self.own.load(Ordering::Relaxed))
    }

    /// What a commit comes to. Where it has failed, what may be done is what was so before; where the connection was lost, nobody knows.
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

impl Drop for Session {
    fn drop(&mut self) {
        let line = self.line.get_mut();
        let Some(connection) = line.connection.take() else { return };
        let Some(how) = line.phase.end() else { return };
        // Nobody else is to wait for a statement that was given up, or for the rest of its rows.
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
