//! What is known of the primary and of each standby: by looking, on a connection for each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tokio_postgres::Config;
use tracing::Instrument;

use super::{Standby, Standbys, State};
use crate::{
    db::{
        Connection, STEP_DOWN, connect,
        wal::{self, Identity, Look, WalPosition},
    },
    error::{Error, Result},
};

/// How often each is looked at.
const EACH: Duration = Duration::from_millis(100);
/// How often a standby is looked at that queries wait for.
const WHILE_WAITED_FOR: Duration = Duration::from_millis(1);
/// How long each may take to answer, or to accept a connection. One that has not answered twice is taken for gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before a new attempt to connect, at first and after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

impl Standbys {
    /// Looks at the primary at that address and at all standbys, until the tasks are dropped. Without standbys there is nothing to look at.
    pub fn watch(self: &Arc<Self>, primary: &Config) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if !self.all.is_empty() {
            tasks.spawn(look_at_primary(Arc::clone(self), primary.clone()).in_current_span());
        }
        for standby in &self.all {
            tasks.spawn(look_at_standby(Arc::clone(self), Arc::clone(standby)).in_current_span());
        }
        tasks
    }
}

/// What a database is that has not answered: silent the first time, then away.
fn after(state: State) -> State {
    if matches!(state, State::Silent | State::Away) { State::Away } else { State::Silent }
}

/// Looks at the primary until it is ended, over one connection after another.
async fn look_at_primary(standbys: Arc<Standbys>, config: Config) {
    let mut wait = BACKOFF[0];
    loop {
        let outcome = follow_primary(&standbys, &config, &mut wait).await;
        let was = *standbys.primary.state.borrow();
        let state = after(was);
        standbys.primary.state.send_replace(state);
        if let (false, State::Away, Err(error)) = (was == state, state, outcome) {
            tracing::warn!(%error, "the primary does not answer");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF[1]);
    }
}

async fn follow_primary(standbys: &Standbys, config: &Config, wait: &mut Duration) -> Result<()> {
    let connection = in_time(connected(config)).await?;
    loop {
        let look = in_time(async { Ok(Look::at(&connection).await?) }).await?;
        standbys.primary.note(Instant::now(), look);
        *wait = BACKOFF[0];
        let _ = tokio::time::timeout(EACH, standbys.primary.asked.notified()).await;
    }
}

/// Looks at a standby until it is ended, over one connection after another.
async fn look_at_standby(standbys: Arc<Standbys>, standby: Arc<Standby>) {
    let mut wait = BACKOFF[0];
    loop {
        let outcome = follow_standby(&standbys, &standby, &mut wait).await;
        let (was, replayed) = standby.last();
        let state = after(was);
        standby.last.send_replace((state, replayed));
        if let (false, Err(error)) = (was == state, outcome) {
            tracing::warn!(standby = standby.name, %error, ?state, "a standby does not answer, and is left out");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF[1]);
    }
}

async fn follow_standby(standbys: &Standbys, standby: &Standby, wait: &mut Duration) -> Result<()> {
    let connection = in_time(connected(&standby.config)).await?;
    loop {
        let look = in_time(async { Ok(Look::at(&connection).await?) }).await?;
        let state = judge(look, standbys.primary.required());
        let (was, _) = standby.last.send_replace((state, look.position));
        match (was == state, state) {
            (true, _) => {}
            (false, State::Serving) => tracing::info!(standby = standby.name, "a standby answers queries"),
            (false, _) => {
                tracing::warn!(standby = standby.name, ?state, "a standby is left out; `partner-portal doctor` says why");
            }
        }
        *wait = BACKOFF[0];
        let next = if standby.is_waited_for() { WHILE_WAITED_FOR } else { EACH };
        let _ = tokio::time::timeout(next, standby.asked.notified()).await;
    }
}

/// What a standby is good for, by what is known of the primary, and what is required.
fn judge(look: Look, primary: Option<(Identity, WalPosition)>) -> State {
    let Some((primary, required)) = primary else { return State::Silent };
    let is_of = |identity: Identity| (identity.cluster, identity.database);
    if is_of(primary) != is_of(look.identity) {
        State::OfAnother
    } else if !look.is_standby {
        State::Promoted
    } else if primary.timeline != look.identity.timeline {
        State::OfOldTimeline
    } else if look.position < required {
        State::Lagging
    } else {
        State::Serving
    }
}

async fn connected(config: &Config) -> Result<Connection> {
    let connection = connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable)?;
    wal::see_timeline(&connection).await;
    Ok(connection)
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::unavailable("it does not answer in time")))
}
