//! The events of one watcher, in their order, each once: first those that it missed, from the table; then those that come.

use std::collections::VecDeque;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::sync::broadcast::{self, error::RecvError};

use super::Hub;
use crate::{
    db::Connection,
    error::{Error, Result},
    models::{
        event::{self, Event, EventFilter},
        scope::Scope,
    },
};

/// How many missed events are read at once.
const PAGE: i64 = 200;

/// Where a watcher stands in the order of events: what it has been told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl Cursor {
    /// What clients keep. Its form is nobody's business.
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("event:{}", self.0))
    }

    /// What a client has kept.
    pub fn decode(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("event:")?.parse().ok());
        place.filter(|place| *place >= 0).map(Self).ok_or_else(|| {
            Error::BadUserInput(format!("since: {:?} is no cursor of an event.", text.chars().take(90).collect::<String>()))
        })
    }
}

/// One watcher's events.
pub struct Source {
    scope: Scope,
    filter: EventFilter,
    /// What it has been given last.
    after: i64,
    live: broadcast::Receiver<Event>,
    /// Whether there may be events that do not come by themselves any more.
    is_behind: bool,
    missed: VecDeque<Event>,
}

impl Source {
    /// Everything after the cursor; without one, everything from now on.
    pub async fn open(
        hub: &Hub,
        connection: &Connection,
        scope: Scope,
        filter: EventFilter,
        since: Option<Cursor>,
    ) -> Result<Self> {
        // Before the table is looked at: what comes in between is in one of the two, or in both.
        let live = hub.watch();
        let after = match since {
            None => event::last(connection).await?,
            Some(Cursor(place)) => match event::bounds(connection).await? {
                (_, last) if place > last => return Err(Error::CursorExpired("`since` is no cursor of this server's.")),
                (first, _) if place + 1 < first => {
                    return Err(Error::CursorExpired("What has changed after `since` is not kept any more."));
                }
                _ => place,
            },
        };
        Ok(Self { scope, filter, after, live, is_behind: since.is_some(), missed: VecDeque::new() })
    }

    /// Whether [`Self::catch_up`] is due before [`Self::next`].
    pub fn is_behind(&self) -> bool {
        self.is_behind && self.missed.is_empty()
    }

    /// Reads what was missed from the table.
    pub async fn catch_up(&mut self, connection: &Connection) -> Result<()> {
        let missed = event::missed(connection, self.scope, &self.filter, self.after, PAGE).await?;
        self.is_behind = i64::try_from(missed.len()).unwrap_or(PAGE) == PAGE;
        self.missed = missed.into();
        Ok(())
    }

    /// Waits for the next event; `None` where some must be read from the table first.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.missed.pop_front() {
            self.after = event.place;
            return Some(event);
        }
        while !self.is_behind {
            match self.live.recv().await {
                Ok(event) if event.place > self.after => {
                    self.after = event.place;
                    if event.tenant_id == self.scope.tenant
                        && self.scope.includes(event.partner_id)
                        && self.filter.lets_through(&event)
                    {
                        return Some(event);
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.is_behind = true,
                // The server is stopping; those who watch are told elsewhere.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cursor comes back as it went; anything else is refused.
    #[test]
    fn cursors() {
        assert_eq!(Cursor::decode(&Cursor(17).encode()).expect("a cursor"), Cursor(17));
        for bad in ["", "17", "ZXZlbnQ6", "ZXZlbnQ6LTE", "\u{1F600}"] {
            assert!(Cursor::decode(bad).is_err(), "{bad}");
        }
    }
}
