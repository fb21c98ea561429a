//! The watcher: hears from the database which links have changed, and gets the keys by which visitors are hashed.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;

use super::Clicks;
use crate::{
    db::{Connection, STEP_DOWN, connect},
    error::{Error, Result},
    models::programmes::click::{CHANGED, all_hosts},
};

/// How often a silent connection is tried: it may be dead.
const LOOK: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the first new attempt to connect, and before each after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Watches until it is dropped.
pub async fn run(clicks: Arc<Clicks>, config: Config) {
    let mut wait = BACKOFF[0];
    loop {
        let begun = Instant::now();
        if let Err(error) = watch(&clicks, &config).await {
            tracing::warn!(%error, "changes of links are not heard of for now");
        }
        wait = if begun.elapsed() < PATIENCE { (wait * 2).min(BACKOFF[1]) } else { BACKOFF[0] };
        sleep(wait).await;
    }
}

/// Watches over one connection.
async fn watch(clicks: &Clicks, config: &Config) -> Result<()> {
    let connecting = async { connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable) };
    let mut connection = in_time(connecting).await?;
    connection.batch_execute(&format!("LISTEN {CHANGED}")).await?;
    // What has changed before is not heard of any more.
    clicks.targets.begin_anew();
    loop {
        in_time(learn(clicks, &connection)).await?;
        let mut notifications = std::pin::pin!(connection.notifications_stream());
        let mut next = timeout(LOOK, notifications.next()).await.ok();
        while let Some(heard) = next {
            match heard {
                Some(Ok(notification)) => clicks.targets.hear(&notification.payload),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Error::unavailable("the connection has ended")),
            }
            next = notifications.next().now_or_never();
        }
    }
}

/// Reads what redirects need whether the database is there or not.
async fn learn(clicks: &Clicks, connection: &Connection) -> Result<()> {
    clicks.targets.set_hosts(all_hosts(connection).await?);
    clicks.targets.forget_idle();
    let today = clicks.clock.now().date_naive();
    // Tomorrow's key too: the database may be away when it begins.
    for day in [today, today + TimeDelta::days(1)] {
        clicks.visitors.learn_key(connection, day).await?;
    }
    Ok(())
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::unavailable("the database does not answer")))
}
