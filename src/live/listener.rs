//! The server's one listener: publishes what waits, reads what is published, hands it on.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast;
use tokio_postgres::Config;

use crate::{
    db::{self, Connection, STEP_DOWN, connect},
    error::{Error, Result},
    models::event::{self, Event, Publisher},
};

/// How many events are taken at once.
const MOST: i64 = 1_000;
/// How often to look without having been told: a connection that is silent may be dead.
const LOOK: Duration = Duration::from_millis(250);
/// How long to wait between two looks: what comes meanwhile is published together.
const GATHER: Duration = Duration::from_millis(10);
/// How long the database may take to answer before its connection is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before the first new attempt to connect, and before each after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// How far the order of events has come.
pub async fn place(config: &Config) -> Result<i64> {
    let connection = connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable)?;
    Ok(event::last(&connection).await?)
}

/// Listens from a place on, until it is dropped.
pub async fn run(config: Config, events: broadcast::Sender<Event>, mut place: i64) {
    let mut wait = BACKOFF[0];
    loop {
        let before = place;
        if let Err(error) = listen(&config, &events, &mut place).await {
            tracing::warn!(%error, "live updates are interrupted");
        }
        wait = if place == before { (wait * 2).min(BACKOFF[1]) } else { BACKOFF[0] };
        tokio::time::sleep(wait).await;
    }
}

/// Listens on one connection, from `place` on.
async fn listen(config: &Config, events: &broadcast::Sender<Event>, place: &mut i64) -> Result<()> {
    let mut connection = in_time(async { connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable) }).await?;
    let listen = format!("LISTEN {}; LISTEN {}", event::WAITING, event::PUBLISHED);
    connection.batch_execute(&listen).await?;
    let mut publisher = Publisher::default();
    loop {
        in_time(async { Ok(take(&connection, &mut publisher, events, place).await?) }).await?;
        tokio::time::sleep(GATHER).await;
        let mut notifications = std::pin::pin!(connection.notifications_stream());
        match tokio::time::timeout(LOOK, notifications.next()).await {
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) => return Err(Error::unavailable("the connection has ended")),
            Ok(Some(Ok(_))) | Err(_) => {}
        }
        // Many say the same at once.
        while let Some(Some(Ok(_))) = notifications.next().now_or_never() {}
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::unavailable("the database does not answer")))
}

/// Publishes and hands on what there is now.
async fn take(
    connection: &Connection,
    publisher: &mut Publisher,
    events: &broadcast::Sender<Event>,
    after: &mut i64,
) -> db::QueryResult<()> {
    while publisher.publish(connection, MOST).await? == MOST {}
    loop {
        let found = event::published(connection, *after, MOST).await?;
        for event in &found {
            *after = event.place;
            // Nobody may be watching.
            let _ = events.send(*event);
        }
        if i64::try_from(found.len()).unwrap_or(MOST) < MOST {
            return Ok(());
        }
    }
}
