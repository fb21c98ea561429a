//! Live updates: from a change in the database to everyone who watches it.
//!
//! One [`Hub`] per server listens to PostgreSQL, and hands events on to the server's watchers. What an event is about is not in it: a
//! watcher reads that with rights of its own. Several servers on one database hear the same.

mod listener;
mod source;

use tokio::{sync::broadcast, task::JoinHandle};
use tokio_postgres::Config;

pub use self::source::{Cursor, Source};
use crate::{error::Result, models::event::Event};

/// How many events a watcher may be behind before it has to read them from the table.
const BACKLOG: usize = 1_024;

/// Hands events on, in their order, each once.
pub struct Hub {
    events: broadcast::Sender<Event>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { events: broadcast::Sender::new(BACKLOG) }
    }
}

impl Hub {
    /// Listens to that database until the task is ended, from now on: nothing that is published once this has answered is left out. A
    /// connection that breaks off is made again.
    pub async fn listen(&self, config: Config) -> Result<JoinHandle<()>> {
        let place = listener::place(&config).await?;
        Ok(tokio::spawn(listener::run(config, self.events.clone(), place)))
    }

    /// Every event from now on.
    fn watch(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
