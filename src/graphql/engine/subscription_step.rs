//! The steps of a subscription. Its resolver is called in two ways: once to say what is to be watched, and then for each event.

use std::sync::{Mutex, PoisonError};

use crate::models::event::{Event, EventFilter, Position};

/// What a subscription's resolver is called for.
pub enum SubscriptionStep {
    /// It says what is to be watched.
    Open(Mutex<Option<Watched>>),
    /// It resolves an event.
    Resolve(Event),
}

/// What is to be watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Which events.
    pub filter: EventFilter,
    /// From where on.
    pub since: Option<Position>,
}

impl SubscriptionStep {
    /// The first call.
    pub fn open() -> Self {
        Self::Open(Mutex::default())
    }

    /// What the first call has said.
    pub fn watched(&self) -> Option<Watched> {
        match self {
            Self::Open(watched) => watched.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Self::Resolve(_) => None,
        }
    }
}
