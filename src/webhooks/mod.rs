//! Webhooks that leave the server, from the events that changes have written to the endpoints of the tenant's other systems; and those that come in
//! ([`receiving`]).
//!
//! The database's triggers write events in the transactions of the changes. A [`Sender`] on each server makes their bodies, and
//! deliveries to the endpoints that are for them; it claims deliveries that are due by a lease, makes the requests outside of
//! any transaction, and keeps what came of them. A server that is killed in between leaves a lease that ends: another sends the same event again,
//! under the same id.

pub mod receiving;
pub mod schedule;
mod sending;
pub mod signature;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use tokio::{
    sync::{Notify, Semaphore, broadcast::error::RecvError, mpsc},
    task::JoinSet,
};
use tracing::Instrument;
use uuid::Uuid;

use self::sending::Requests;
use crate::{
    clock::Clock,
    db::{Pool, pool::Taken},
    error::{Error, Result},
    keyring::Keyring,
    live::Hub,
    models::webhooks::work::{self, AttemptResult, ClaimedDelivery},
    outbound::Reach,
};

/// How long an endpoint has to answer, unless a sender is set up otherwise.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a delivery stays a server's: longer than an attempt can take.
const LEASE: Duration = Duration::from_secs(40);
/// How often a server looks whether anything is due, where nothing wakes it.
const LOOK: Duration = Duration::from_secs(1);
/// For how long changes are gathered after a look that has found nothing: one look for many changes.
const GATHER_CHANGES: Duration = Duration::from_millis(20);
/// How many requests a server makes at once. How many of them to one endpoint, and for one tenant, is in `claim_webhook_deliveries()`.
const MOST: usize = 512;
/// How many bodies are made in one transaction.
const BODIES: i64 = 500;
/// How many deliveries are given up in one transaction.
const GIVEN_UP: i64 = 1_000;
/// How long a result waits for others, so that several are kept in one transaction.
const GATHER: Duration = Duration::from_millis(5);
/// How many events are received at once: each takes a connection for two short statements.
const RECEIVED_AT_ONCE: usize = 4;
/// How often it is tried to keep results.
const KEEPING: u32 = 5;

/// What the requests, the sender and the receiver share.
#[derive(Debug)]
pub struct Webhooks {
    /// Where endpoints may be.
    pub reach: Reach,
    /// Wakes the sender.
    pub woken: Notify,
    /// Wakes what applies events that were received.
    pub received: Notify,
    /// How many events may be received at once.
    pub receiving: Semaphore,
    taken: AtomicU64,
    failed: AtomicU64,
}

impl Webhooks {
    /// With endpoints within reach.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            woken: Notify::new(),
            received: Notify::new(),
            receiving: Semaphore::new(RECEIVED_AT_ONCE),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// How many attempts of this server were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn count(&self, result: &AttemptResult) {
        let count = if result.is_taken() { &self.taken } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends what is due.
pub struct Sender {
    /// Connections.
    pub pool: Pool,
    /// The clock.
    pub clock: Clock,
    /// Opens secrets.
    pub keyring: Arc<Keyring>,
    /// What it shares with the API.
    pub webhooks: Arc<Webhooks>,
    /// How long an endpoint has to answer.
    pub patience: Duration,
}

impl Sender {
    /// Sends what is due, again and again, until the server stops; then waits for the answers that are under way.
    pub async fn run(self, hub: &Hub, stopped: impl Future<Output = ()>) -> Result<()> {
        let requests = Arc::new(self.requests()?);
        let sender = Arc::new(self);
        let (mut changes, stopped) = (hub.watch(), stopped.shared());
        let (results, ended) = mpsc::unbounded_channel();
        // On its own: while results wait to be kept, others are sent.
        let keeping = tokio::spawn(Arc::clone(&sender).keep_all(ended).in_current_span());
        let (mut under_way, mut giving_up_at) = (JoinSet::new(), Instant::now());
        let (mut next_look_at, mut has_news) = (Instant::now(), false);
        loop {
            let is_stopped = !hub.until_writable_or(stopped.clone()).await;
            if is_stopped && under_way.is_empty() {
                break;
            }
            let mut is_more = false;
            let is_free = !is_stopped && under_way.len() < MOST;
            if is_free && next_look_at <= Instant::now() {
                let (claimed, pause) = match sender.claim(MOST - under_way.len()).await {
                    Ok(claimed) => (claimed, GATHER_CHANGES),
                    // What waits is found again at the next look; an error that lasts is logged once a second.
                    Err(error) => {
                        tracing::warn!(%error, "webhooks cannot be sent");
                        (Claimed::default(), LOOK)
                    }
                };
                is_more = claimed.is_more;
                (next_look_at, has_news) = (Instant::now() + if is_more { Duration::ZERO } else { pause }, false);
                for (holder, delivery) in claimed.deliveries {
                    let requests = Arc::clone(&requests);
                    under_way.spawn(async move { (holder, requests.attempt(&delivery).await) });
                }
            }
            if !is_stopped && giving_up_at <= Instant::now() {
                let is_all = sender.give_up().await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "webhooks of disabled endpoints cannot be given up");
                    true
                });
                giving_up_at = Instant::now() + if is_all { LOOK } else { Duration::ZERO };
                is_more |= !is_all;
            }
            let until_look = if is_free && has_news { next_look_at.saturating_duration_since(Instant::now()) } else { LOOK };
            tokio::select! {
                Some(result) = under_way.join_next() => {
                    next_look_at = Instant::now();
                    // Several are kept, and others claimed, at once.
                    tokio::time::sleep(GATHER).await;
                    let mut next = Some(result);
                    while let Some(result) = next {
                        match result {
                            Ok(result) => drop(results.send(result)),
                            Err(error) => tracing::error!(%error, "an attempt to send a webhook has ended in the middle"),
                        }
                        next = under_way.try_join_next();
                    }
                }
                () = stopped.clone(), if !is_stopped => {}
                () = std::future::ready(()), if is_more => {}
                () = sender.webhooks.woken.notified() => next_look_at = Instant::now(),
                // Also where it has missed some: that there was a change is all.
                change = changes.recv() => {
                    has_news = true;
                    if matches!(change, Err(RecvError::Closed)) {
                        changes = hub.watch();
                    }
                }
                () = tokio::time::sleep(until_look) => {}
            }
        }
        drop(results);
        keeping.await.map_err(Error::internal)
    }

    /// Sends all that is due, and keeps what came of it. Gives how many attempts it made.
    pub async fn run_once(&self) -> Result<usize> {
        let (requests, mut count) = (self.requests()?, 0);
        while !self.give_up().await? {}
        loop {
            let claimed = self.claim(MOST).await?;
            if !claimed.is_more {
                return Ok(count);
            }
            count += claimed.deliveries.len();
            let attempts = claimed.deliveries.iter().map(async |(holder, delivery)| (*holder, requests.attempt(delivery).await));
            self.keep(join_all(attempts).await).await;
        }
    }

    /// Gives up some of what waits for endpoints to which nothing is sent any more; gives whether that is all.
    async fn give_up(&self) -> Result<bool> {
        let (connection, now) = (self.connection().await?, self.clock.instant());
        Ok(work::give_up(&connection, GIVEN_UP, now).await? < GIVEN_UP)
    }

    /// Makes bodies that are missing, and claims what is due.
    async fn claim(&self, most: usize) -> Result<Claimed> {
        let (connection, now, holder) = (self.connection().await?, self.clock.instant(), Uuid::now_v7());
        let made = work::make_bodies(&connection, BODIES, now).await?;
        let claimed = work::claim(&connection, holder, most, LEASE, now).await?;
        let deliveries: Vec<_> = claimed.into_iter().map(|delivery| (holder, delivery)).collect();
        Ok(Claimed { is_more: made > 0 || !deliveries.is_empty(), deliveries })
    }

    /// Keeps results as they come, those together that come within a moment.
    async fn keep_all(self: Arc<Self>, mut ended: mpsc::UnboundedReceiver<Ended>) {
        while let Some(first) = ended.recv().await {
            let mut batch = vec![first];
            while batch.len() < MOST
                && let Ok(result) = ended.try_recv()
            {
                batch.push(result);
            }
            self.keep(batch).await;
            // There is room for others.
            self.webhooks.woken.notify_one();
        }
    }

    /// Keeps what came of attempts. Where that cannot be, they are made again once the lease has ended.
    async fn keep(&self, mut results: Vec<Ended>) {
        results.sort_by_key(|(holder, _)| *holder);
        for batch in results.chunk_by(|(one, _), (other, _)| one == other) {
            let [(holder, _), ..] = batch else { continue };
            let results: Vec<AttemptResult> = batch.iter().map(|(_, result)| result.clone()).collect();
            for result in &results {
                self.webhooks.count(result);
            }
            for attempt in 1..=KEEPING {
                match self.keep_of(*holder, &results).await {
                    Ok(()) => break,
                    Err(error) if attempt < KEEPING => {
                        tracing::info!(%error, "what came of webhooks is kept at the next attempt");
                        tokio::time::sleep(LOOK).await;
                    }
                    Err(error) => tracing::warn!(%error, "what came of webhooks could not be kept, and they will be sent again"),
                }
            }
        }
    }

    async fn keep_of(&self, holder: Uuid, results: &[AttemptResult]) -> Result<()> {
        let (connection, now) = (self.connection().await?, self.clock.instant());
        Ok(work::end(&connection, holder, results, schedule::GIVING_UP, now).await?)
    }

    fn requests(&self) -> Result<Requests> {
        Requests::new(self.webhooks.reach, self.patience, Arc::clone(&self.keyring), self.clock.clone())
    }

    async fn connection(&self) -> Result<Taken> {
        self.pool.get().await.map_err(Error::unavailable)
    }
}

/// What came of an attempt, and by which lease it was made.
type Ended = (Uuid, AttemptResult);

/// What was claimed.
#[derive(Default)]
struct Claimed {
    deliveries: Vec<(Uuid, ClaimedDelivery)>,
    /// Whether there may be more.
    is_more: bool,
}
