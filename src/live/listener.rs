//! The server's one listener: publishes what waits, reads what is published, hands it on.

use std::{sync::Arc, time::Duration};

use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use tokio_postgres::Config;

use super::{Cursors, Hub};
use crate::{
    db::{Connection, STEP_DOWN, connect},
    error::{Error, Result},
    models::event::{self, Event, Publisher},
};

/// How many events are taken at once.
const MOST: i64 = 1_000;
/// How often to look without a notification: a silent connection may be dead.
const LOOK: Duration = Duration::from_millis(250);
/// How long to wait between two looks: what comes meanwhile is published together.
const GATHER: Duration = Duration::from_millis(10);
/// How long the database may take to answer before its connection is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before the first new attempt to connect, and before each after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// Opens a connection for the server itself, which serves the callers of all tenants.
pub async fn connect(config: &Config) -> Result<Connection> {
    connect::establish(config, Some(STEP_DOWN)).await.map_err(Error::unavailable)
}

/// Hands on what is published in one database.
pub struct Listener {
    hub: Arc<Hub>,
    config: Config,
    /// The event that was handed on last, or was there before the first.
    last: Option<Event>,
}

impl Listener {
    /// From now on.
    pub async fn new(hub: Arc<Hub>, config: Config) -> Result<Self> {
        let connection = connect(&config).await?;
        let last = last_event(&connection).await?;
        Ok(Self { hub, config, last })
    }

    /// Listens until it is dropped.
    pub async fn run(mut self) {
        let mut wait = BACKOFF[0];
        loop {
            let before = self.last;
            if let Err(error) = self.listen().await {
                tracing::warn!(%error, "live updates are interrupted");
            }
            wait = if self.last == before { (wait * 2).min(BACKOFF[1]) } else { BACKOFF[0] };
            tokio::time::sleep(wait).await;
        }
    }

    /// Listens on one connection.
    async fn listen(&mut self) -> Result<()> {
        let mut connection = in_time(connect(&self.config)).await?;
        let listen = format!("LISTEN {}; LISTEN {}", event::WAITING, event::PUBLISHED);
        connection.batch_execute(&listen).await?;
        self.hub.use_cursors(Cursors::new(&in_time(async { Ok(event::cursor_key(&connection).await?) }).await?)?);
        let mut publisher = Publisher::default();
        loop {
            in_time(self.take(&connection, &mut publisher)).await?;
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

    /// Publishes and hands on what there is now.
    async fn take(&mut self, connection: &Connection, publisher: &mut Publisher) -> Result<()> {
        while publisher.publish(connection, MOST).await? == MOST {}
        loop {
            // The last event is read again: if another has its sequence number, the database went back.
            let first = self.last.map_or(0, |last| last.sequence);
            let found = event::published_from(connection, first, MOST).await?;
            let count = found.len();
            let mut found = found.into_iter();
            if let Some(last) = self.last
                && found.next().is_none_or(|event| !event.is(&last))
            {
                *publisher = Publisher::default();
                return self.begin_anew(connection).await;
            }
            for event in found {
                self.last = Some(event);
                self.hub.send(event);
            }
            if i64::try_from(count).unwrap_or(MOST) < MOST {
                return Ok(());
            }
        }
    }

    /// Goes on from where the database stands: it was restored, or a standby took over that had not yet received everything.
    async fn begin_anew(&mut self, connection: &Connection) -> Result<()> {
        tracing::warn!("the database does not know the last change that was sent: all subscriptions end with CURSOR_EXPIRED");
        self.last = last_event(connection).await?;
        self.hub.expire_watchers();
        Ok(())
    }
}

async fn last_event(connection: &Connection) -> Result<Option<Event>> {
    let sequence = event::last(connection).await?;
    Ok(event::published_from(connection, sequence, 1).await?.into_iter().next())
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::unavailable("the database does not answer")))
}
