//! What is known of the primary and of each standby: by looking, on a connection for each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tokio_postgres::Config;

use super::{Standby, Standbys, State};
use crate::{
    db::{
        Connection, STEP_DOWN, connect,
        wal::{self, Identity},
    },
    error::{Error, Result},
};

/// How often each is looked at.
const EACH: Duration = Duration::from_millis(100);
/// How often a standby is looked at that something waits for.
const WHILE_AWAITED: Duration = Duration::from_millis(1);
/// How long each may take to answer, or to accept a connection, before it is taken for gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before a new attempt to connect, at first and after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

impl Standbys {
    /// Looks at the primary at that address and at all standbys, until the tasks are dropped. Without standbys there is nothing to look at.
    pub fn watch(self: &Arc<Self>, primary: &Config) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if !self.all.is_empty() {
            tasks.spawn(look_at_primary(Arc::clone(self), primary.clone()));
        }
        for standby in &self.all {
            tasks.spawn(look_at_standby(Arc::clone(self), Arc::clone(standby)));
        }
        tasks
    }
}

/// Looks at the primary until it is ended, over one connection after another.
async fn look_at_primary(standbys: Arc<Standbys>, config: Config) {
    let mut wait = BACKOFF[0];
    loop {
        let outcome = follow_primary(&standbys, &config, &mut wait).await;
        let was_there = standbys.primary.set_reachable(false);
        if let (true, Err(error)) = (was_there, outcome) {
            tracing::warn!(%error, "the primary does not answer; standbys answer queries");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF[1]);
    }
}

async fn follow_primary(standbys: &Standbys, config: &Config, wait: &mut Duration) -> Result<()> {
    let connection = in_time(connected(config)).await?;
    let identity = in_time(async { Ok(Identity::read(&connection).await?) }).await?;
    loop {
        let position = in_time(async { Ok(wal::position(&connection).await?) }).await?;
        if !standbys.primary.note(Instant::now(), identity, position) {
            standbys.forget();
        }
        *wait = BACKOFF[0];
        let _ = tokio::time::timeout(EACH, standbys.primary.asked.notified()).await;
    }
}

/// Looks at a standby until it is ended, over one connection after another.
async fn look_at_standby(standbys: Arc<Standbys>, standby: Arc<Standby>) {
    let mut wait = BACKOFF[0];
    loop {
        let outcome = follow_standby(&standbys, &standby, &mut wait).await;
        let was = standby.state.send_replace(State::Away);
        if let Err(error) = outcome
            && was != State::Away
        {
            tracing::warn!(standby = standby.name, %error, "a standby does not answer, and is left out");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF[1]);
    }
}

async fn follow_standby(standbys: &Standbys, standby: &Standby, wait: &mut Duration) -> Result<()> {
    let connection = in_time(connected(&standby.config)).await?;
    let identity = in_time(async { Ok(Identity::read(&connection).await?) }).await?;
    loop {
        let (is_standby, replayed) = in_time(async { Ok(wal::look(&connection).await?) }).await?;
        let state = match standbys.primary.required(Instant::now()) {
            // Nothing is known of the primary yet.
            None => State::Away,
            Some((of, _)) if of != identity => State::OfAnother,
            Some(_) if !is_standby => State::Promoted,
            Some((_, required)) if replayed < required => State::Lagging,
            Some(_) => State::Serving,
        };
        standby.replayed.send_replace(replayed);
        let was = standby.state.send_replace(state);
        if was != state {
            tracing::info!(standby = standby.name, ?was, is = ?state, "a standby has changed");
        }
        *wait = BACKOFF[0];
        let next = if standby.is_awaited() { WHILE_AWAITED } else { EACH };
        let _ = tokio::time::timeout(next, standby.asked.notified()).await;
    }
}

async fn connected(config: &Config) -> Result<Connection> {
    connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable)
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::unavailable("it does not answer in time")))
}
