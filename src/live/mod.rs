//! Live updates: from a change in the database to everyone who watches it.
//!
//! One [`Hub`] per server listens to PostgreSQL, and hands events on to the server's watchers. What an event is about is not in it: a
//! watcher reads that with rights of its own. Several servers on one database hear the same.

mod cursor;
mod listener;
mod source;
mod turns;

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::{broadcast, watch},
    task::JoinHandle,
};
use tokio_postgres::Config;
use tracing::Instrument;

use self::listener::Listener;
pub use self::{
    cursor::{Cursors, OF_ANOTHER},
    source::EventSource,
};
use crate::{
    db::{
        Connection, DatabaseKind,
        wal::{self, WalPosition, is_in_recovery},
    },
    error::Result,
    ids::TenantId,
    models::event::{self, Event},
};

/// How many events a watcher may be behind before it has to read them from the table.
const BACKLOG: usize = 1_024;

/// Hands events on, in their order, each once.
pub struct Hub {
    shared: RwLock<Shared>,
    /// Whether the database is a standby, as far as is known.
    is_standby: watch::Sender<bool>,
    /// How often the database has gone back to before what it had published.
    restarts: watch::Sender<u64>,
    /// Whether standbys of the database are read from.
    kind: DatabaseKind,
    /// How far the database was when the last event was handed on, where it has such standbys.
    position: AtomicU64,
}

struct Shared {
    events: broadcast::Sender<Item>,
    cursors: Cursors,
}

/// What is handed on to watchers.
#[derive(Debug, Clone, Copy)]
pub enum Item {
    /// An event.
    Event(Event),
    /// The tenant is on another cluster from now on.
    Left(TenantId),
}

impl Hub {
    /// For the changes in that database.
    pub async fn of(config: &Config, kind: DatabaseKind) -> Result<Self> {
        let connection = listener::connect(config).await?;
        let cursors = Cursors::new(&event::cursor_key(&connection).await?)?;
        let is_standby = watch::Sender::new(is_in_recovery(&connection).await?);
        let shared = RwLock::new(Shared { events: broadcast::Sender::new(BACKLOG), cursors });
        let restarts = watch::Sender::default();
        Ok(Self { shared, is_standby, restarts, kind, position: AtomicU64::default() })
    }

    /// Listens to the database until the task is ended, from now on: nothing that is published once this has answered is left out. A
    /// connection that breaks off is made again.
    pub async fn listen(self: &Arc<Self>, config: Config) -> Result<JoinHandle<()>> {
        let listener = Listener::new(Arc::clone(self), config).await?;
        Ok(tokio::spawn(listener.run().in_current_span()))
    }

    /// Makes and reads the cursors of clients.
    pub fn cursors(&self) -> Cursors {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).cursors.clone()
    }

    /// Every event from now on.
    pub fn watch(&self) -> broadcast::Receiver<Item> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).events.subscribe()
    }

    /// Whether the database is a standby, as far as is known.
    pub fn is_standby(&self) -> bool {
        *self.is_standby.borrow()
    }

    /// How far the database was when the last event was handed on: one that has come so far has all events until now.
    pub fn position(&self) -> WalPosition {
        WalPosition(self.position.load(Ordering::Acquire))
    }

    /// Notes how far the database is that has all events which were handed on, or are about to be.
    async fn note_position(&self, connection: &Connection) -> Result<()> {
        if self.kind == DatabaseKind::Primary {
            self.position.store(wal::position(connection).await?.0, Ordering::Release);
        }
        Ok(())
    }

    /// Waits until the database takes changes. A standby takes none until it is promoted.
    pub async fn until_writable(&self) {
        // The sender lives as long as the hub, so this cannot fail.
        let _ = self.is_standby.subscribe().wait_for(|is_standby| !is_standby).await;
    }

    /// Waits for the same; `false` where something else has come by then.
    pub async fn until_writable_or(&self, other: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = other => false,
            () = self.until_writable() => true,
        }
    }

    /// Waits, again and again, until the database goes back to before what it had published: what is remembered of it may be of changes that never were. Calls
    /// `forget` each time.
    pub async fn forget_lost(&self, forget: impl Fn()) {
        let mut restarts = self.restarts.subscribe();
        // The sender lives as long as the hub.
        while restarts.changed().await.is_ok() {
            forget();
        }
    }

    /// Hands an event on.
    fn send(&self, event: Event) {
        // Nobody may be watching.
        let _ = self.shared.read().unwrap_or_else(PoisonError::into_inner).events.send(Item::Event(event));
    }

    /// Ends every subscription of a tenant that is on another cluster from now on.
    pub fn end_tenant(&self, tenant: TenantId) {
        let _ = self.shared.read().unwrap_or_else(PoisonError::into_inner).events.send(Item::Left(tenant));
    }

    /// Reads the key from the database again: another database may have been restored over it.
    fn use_cursors(&self, cursors: Cursors) {
        self.shared.write().unwrap_or_else(PoisonError::into_inner).cursors = cursors;
    }

    /// Ends every subscription: the database no longer knows the events that were sent.
    fn expire_watchers(&self) {
        self.restarts.send_modify(|count| *count += 1);
        self.shared.write().unwrap_or_else(PoisonError::into_inner).events = broadcast::Sender::new(BACKLOG);
    }
}
