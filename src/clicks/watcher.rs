//! The watcher: is notified by the database which links have changed, and gets the keys by which visitors are hashed.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;

use super::Clicks;
use crate::{
    db::{Connection, STEP_DOWN, connect, wal::is_in_recovery},
    error::{Error, Result},
    models::programmes::click::{CHANGED, all_hosts},
};

/// How often a silent connection is tried: it may be dead.
const LOOK: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before the first new attempt to connect, and before each after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// A connection by which changes of links are learned of.
pub struct Source {
    connection: Connection,
    /// Whether it is to a standby, which gives no notifications.
    is_standby: bool,
}

/// Watches until it is dropped, first by `source`.
pub async fn run(clicks: Arc<Clicks>, config: Config, source: Source) {
    let mut wait = BACKOFF[0];
    let mut next = Some(source);
    loop {
        let begun = Instant::now();
        let watched = async {
            let source = match next.take() {
                Some(source) => source,
                None => connect(&clicks, &config).await?,
            };
            watch(&clicks, source).await
        };
        if let Err(error) = watched.await {
            tracing::warn!(%error, "changes of links are not notified for now");
        }
        // Until there is a connection again, nothing that is cached is current for longer than until the next attempt.
        clicks.targets.invalidate_all();
        wait = if begun.elapsed() < PATIENCE { (wait * 2).min(BACKOFF[1]) } else { BACKOFF[0] };
        sleep(wait).await;
    }
}

/// A connection that is notified of changes from now on, by which redirects have learned what they need.
pub async fn connect(clicks: &Clicks, config: &Config) -> Result<Source> {
    in_time(async {
        let mut connection = connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable)?;
        let is_standby = is_in_recovery(&connection).await?;
        if !is_standby {
            connection.batch_execute(&format!("LISTEN {CHANGED}")).await?;
        }
        clicks.targets.invalidate_all();
        learn(clicks, &connection).await?;
        Ok(Source { connection, is_standby })
    })
    .await
}

/// Watches over one connection, until it breaks off or its standby is promoted.
async fn watch(clicks: &Clicks, source: Source) -> Result<()> {
    let Source { mut connection, is_standby } = source;
    loop {
        if is_standby {
            sleep(LOOK).await;
            clicks.targets.invalidate_all();
            if !in_time(async { Ok(is_in_recovery(&connection).await?) }).await? {
                return Ok(());
            }
        } else {
            take_notifications(clicks, &mut connection).await?;
        }
        // Hosts are among it: what they are notified by needs no more.
        in_time(learn(clicks, &connection)).await?;
    }
}

/// Waits for notifications, not for long, and takes those that there are.
async fn take_notifications(clicks: &Clicks, connection: &mut Connection) -> Result<()> {
    let mut notifications = std::pin::pin!(connection.notifications_stream());
    let mut next = timeout(LOOK, notifications.next()).await.ok();
    while let Some(notified) = next {
        match notified {
            Some(Ok(notification)) => clicks.targets.invalidate(&notification.payload),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Error::unavailable("the connection has ended")),
        }
        next = notifications.next().now_or_never();
    }
    Ok(())
}

/// Reads what redirects need whether the database is there or not.
async fn learn(clicks: &Clicks, connection: &Connection) -> Result<()> {
    clicks.targets.set_hosts(all_hosts(connection).await?);
    clicks.limits.forget_idle();
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
