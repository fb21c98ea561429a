//! What guards the server as a whole: limits, budgets, the bound on work under way, and who may know what.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    auth::{Role, claims::Claims, guard},
    config::Introspection,
    error::{Error, Result},
    limits::Limits,
    rates::Rates,
};

/// The guards that all requests share.
pub struct Edge {
    /// The settings.
    pub limits: Limits,
    /// What callers may still spend.
    pub rates: Rates,
    /// The web origins that may call from a browser.
    pub origins: Vec<String>,
    introspection: Introspection,
    in_flight: Arc<Semaphore>,
}

impl Edge {
    /// Guards by these settings. In development `Introspection::Auto` is for everyone.
    pub fn new(limits: Limits, origins: Vec<String>, introspection: Introspection, is_development: bool) -> Self {
        let introspection = match introspection {
            Introspection::Auto if is_development => Introspection::On,
            other => other,
        };
        Self {
            rates: Rates::new(&limits),
            in_flight: Arc::new(Semaphore::new(limits.max_in_flight)),
            origins,
            introspection,
            limits,
        }
    }

    /// Whether the caller may ask about the schema.
    pub fn may_introspect(&self, claims: &Claims) -> bool {
        match self.introspection {
            Introspection::On => true,
            Introspection::Off => false,
            Introspection::Auto => guard::staff_role(claims) == Some(Role::Operator),
        }
    }

    /// A place among the operations under way, if there is one now.
    pub fn place(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| Error::unavailable("too many operations are under way"))
    }

    /// Waits until nothing is under way, or for so long.
    pub async fn until_idle(&self, limit: Duration) -> bool {
        let all = u32::try_from(self.limits.max_in_flight).unwrap_or(u32::MAX);
        tokio::time::timeout(limit, self.in_flight.acquire_many(all)).await.is_ok()
    }
}
