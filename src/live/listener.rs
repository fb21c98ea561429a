//! The server's one listener: publishes what waits where that is its turn, reads what is published, hands it on.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use tokio_postgres::Config;

use super::{Cursors, Hub, turns::Turns};
use crate::{
    db::{Connection, STEP_DOWN, connect, wal::is_in_recovery},
    error::{Error, Result},
    models::event::{self, Event, Publisher},
};

/// How many events are taken at once.
const MOST: i64 = 1_000;
/// How often a standby is looked into: it gives no notifications.
const LOOK_AT_STANDBY: Duration = Duration::from_millis(250);
/// How long to wait between two looks: what comes meanwhile is published together.
const GATHER: Duration = Duration::from_millis(10);
/// How long the database may take to answer before its connection is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection must have worked for the next to be tried at once.
const WORKED: Duration = Duration::from_secs(1);
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
        hub.note_position(&connection).await?;
        Ok(Self { hub, config, last })
    }

    /// Listens until it is dropped.
    pub async fn run(mut self) {
        let mut wait = BACKOFF[0];
        loop {
            let begun = Instant::now();
            if let Err(error) = self.listen().await {
                tracing::warn!(%error, "live updates are interrupted");
            }
            // A connection that has worked for a while is made again at once.
            wait = if begun.elapsed() < WORKED { (wait * 2).min(BACKOFF[1]) } else { BACKOFF[0] };
            tokio::time::sleep(wait).await;
        }
    }

    /// Listens on one connection, until it breaks off or its standby is promoted.
    async fn listen(&mut self) -> Result<()> {
        let mut connection = in_time(connect(&self.config)).await?;
        self.hub.use_cursors(Cursors::new(&in_time(async { Ok(event::cursor_key(&connection).await?) }).await?)?);
        let is_standby = in_time(async { Ok(is_in_recovery(&connection).await?) }).await?;
        if self.hub.is_standby.send_replace(is_standby) != is_standby {
            tracing::warn!(is_standby, "the database has changed: a standby takes no changes");
        }
        if is_standby {
            return self.look_at_standby(&connection).await;
        }
        let listen = format!("LISTEN {}; LISTEN {}", event::WAITING, event::PUBLISHED);
        in_time(async { Ok(connection.batch_execute(&listen).await?) }).await?;
        let (mut publisher, mut turns) = (Publisher::default(), Turns::new(Instant::now()));
        loop {
            let own = if turns.is_due(Instant::now()) {
                turns.note_attempt(Instant::now());
                in_time(publish(&connection, &mut publisher)).await?
            } else {
                0
            };
            match in_time(self.hand_on(&connection)).await? {
                Some(new) => turns.note(own, new),
                // Ids may begin anew.
                None => publisher = Publisher::default(),
            }
            tokio::time::sleep(GATHER).await;
            wait(&mut connection, &mut turns).await?;
        }
    }

    /// Looks into a standby for what the primary has published, until it is promoted.
    async fn look_at_standby(&mut self, connection: &Connection) -> Result<()> {
        while in_time(async { Ok(is_in_recovery(connection).await?) }).await? {
            in_time(self.hand_on(connection)).await?;
            tokio::time::sleep(LOOK_AT_STANDBY).await;
        }
        Ok(())
    }

    /// Hands on what there is now, and gives how many events that were; `None` where the database went back.
    async fn hand_on(&mut self, connection: &Connection) -> Result<Option<usize>> {
        let mut new = 0;
        loop {
            // The last event is read again: if another has its sequence number, the database went back.
            let first = self.last.map_or(0, |last| last.sequence);
            let found = event::published_from(connection, first, MOST).await?;
            let count = found.len();
            let mut found = found.into_iter();
            if let Some(last) = self.last {
                match found.next() {
                    Some(event) if event.is(&last) => {}
                    // A standby may not have replayed it yet.
                    None if self.hub.is_standby() && event::last(connection).await? < last.sequence => return Ok(Some(new)),
                    _ => {
                        self.begin_anew(connection).await?;
                        return Ok(None);
                    }
                }
            }
            new += found.len();
            if found.len() > 0 {
                // Before they are handed on: a database that has replayed so far has them.
                self.hub.note_position(connection).await?;
            }
            for event in found {
                self.last = Some(event);
                self.hub.send(event);
            }
            if i64::try_from(count).unwrap_or(MOST) < MOST {
                return Ok(Some(new));
            }
        }
    }

    /// Goes on from where the database stands: it was restored, or a standby took over that had not yet received everything.
    async fn begin_anew(&mut self, connection: &Connection) -> Result<()> {
        tracing::warn!("the database does not know the last change that was sent: all subscriptions end with CURSOR_EXPIRED");
        self.last = last_event(connection).await?;
        self.hub.note_position(connection).await?;
        self.hub.expire_watchers();
        Ok(())
    }
}

/// Publishes all that waits, and gives how many events that were.
async fn publish(connection: &Connection, publisher: &mut Publisher) -> Result<usize> {
    let mut count = 0;
    loop {
        let some = publisher.publish(connection, MOST).await?;
        count += usize::try_from(some).unwrap_or_default();
        if some < MOST {
            return Ok(count);
        }
    }
}

/// Waits until there is something to do.
async fn wait(connection: &mut Connection, turns: &mut Turns) -> Result<()> {
    let mut notifications = pin!(connection.notifications_stream());
    loop {
        match tokio::time::timeout(turns.pause(Instant::now()), notifications.next()).await {
            Ok(Some(Ok(notification))) => turns.hear(&notification.channel, Instant::now()),
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) => return Err(Error::unavailable("the connection has ended")),
            Err(_) => return Ok(()),
        }
        // Many say the same at once.
        while let Some(Some(Ok(notification))) = notifications.next().now_or_never() {
            turns.hear(&notification.channel, Instant::now());
        }
        if !turns.are_others_to_act() {
            return Ok(());
        }
    }
}

async fn last_event(connection: &Connection) -> Result<Option<Event>> {
    let sequence = event::last(connection).await?;
    Ok(event::published_from(connection, sequence, 1).await?.into_iter().next())
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(Error::unavailable("the database does not answer")))
}
