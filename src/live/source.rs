//! The events of one watcher, in their order, each once: first those that it missed, from the table; then those that come.

use std::collections::VecDeque;

use tokio::sync::broadcast::{self, error::RecvError};

use super::{Hub, Item, cursor::OF_ANOTHER};
use crate::{
    db::Connection,
    error::{Error, Result},
    models::{
        event::{self, Event, EventFilter, Position},
        scope::Scope,
    },
};

/// How many missed events are read at once.
const PAGE: i64 = 200;
/// Why there is nothing after the last event that was sent.
const WENT_BACK: &str = "The database has been restored or replaced, and does not know all that you were told.";

/// One watcher's events.
pub struct EventSource {
    scope: Scope,
    filter: EventFilter,
    opened_at: Position,
    /// What it has been given last.
    after: i64,
    live: broadcast::Receiver<Item>,
    /// Whether there may be events that do not come by themselves any more.
    is_behind: bool,
    missed: VecDeque<Event>,
}

impl EventSource {
    /// Everything after the position; without one, everything from now on.
    pub async fn open(
        hub: &Hub,
        connection: &Connection,
        scope: Scope,
        filter: EventFilter,
        since: Option<Position>,
    ) -> Result<Self> {
        // Before the table is looked at: what comes in between is in one of the two, or in both.
        let live = hub.watch();
        let opened_at = match since {
            None => event::last_position(connection).await?,
            Some(position @ Position { sequence, mark }) => match event::at(connection, sequence).await? {
                (_, Some(kept)) if kept == mark && sequence >= event::floor(connection, scope.tenant).await? => position,
                (last, None) if sequence <= last => {
                    return Err(Error::CursorExpired("What has changed after the cursor is not kept any more."));
                }
                // What the cursor was made by may not have been replayed yet.
                (last, None) if sequence > last && hub.is_standby() => {
                    return Err(Error::unavailable("the standby is behind the cursor"));
                }
                _ => return Err(Error::CursorExpired(OF_ANOTHER)),
            },
        };
        let after = opened_at.sequence;
        Ok(Self { scope, filter, opened_at, after, live, is_behind: since.is_some(), missed: VecDeque::new() })
    }

    /// Where it began.
    pub fn opened_at(&self) -> Position {
        self.opened_at
    }

    /// Whether [`Self::catch_up`] is due before [`Self::next`].
    pub fn is_behind(&self) -> bool {
        self.is_behind && self.missed.is_empty()
    }

    /// What was missed, from the table: as much as is read at once.
    pub async fn missed(&self, connection: &Connection) -> Result<Vec<Event>> {
        Ok(event::missed(connection, self.scope, &self.filter, self.after, PAGE).await?)
    }

    /// Takes what was missed.
    pub fn catch_up(&mut self, missed: Vec<Event>) {
        self.is_behind = i64::try_from(missed.len()).unwrap_or(PAGE) == PAGE;
        self.missed = missed.into();
    }

    /// Waits for the next event; `None` where some must be read from the table first. An error where the events that were sent so far are not
    /// those of the database any more.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.missed.pop_front() {
            self.after = event.sequence;
            return Ok(Some(event));
        }
        while !self.is_behind {
            match self.live.recv().await {
                Ok(Item::Left(tenant)) if tenant == self.scope.tenant => return Err(Error::CursorExpired(OF_ANOTHER)),
                Ok(Item::Event(event)) if event.sequence > self.after => {
                    self.after = event.sequence;
                    if event.is_in(self.scope) && self.filter.lets_through(&event) {
                        return Ok(Some(event));
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.is_behind = true,
                Err(RecvError::Closed) => return Err(Error::CursorExpired(WENT_BACK)),
            }
        }
        Ok(None)
    }
}
