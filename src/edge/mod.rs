//! What guards the server as a whole: limits, budgets, bounds on concurrent work, and who may introspect the schema.

pub mod budgets;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderName;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch},
    time::timeout,
};

use crate::{
    auth::{Role, claims::Claims, guard, invitations::Invitations},
    config::{Introspection, limits::Limits},
    edge::budgets::Budgets,
    error::{Error, Result},
};

/// How many exports of one user may run at once: each keeps a database connection, also while it waits for its budget.
const EXPORTS_OF_A_USER: usize = 2;

/// Where front ends usually run while they are developed: those of Next, Vite, Angular, Expo and the like.
const DEVELOPMENT_PORTS: [u16; 10] = [3000, 3001, 4173, 4200, 4321, 5173, 5174, 8000, 8081, 19006];

/// The front ends that may call from a browser.
#[derive(Debug, Clone, Default)]
pub struct FrontEnds {
    /// Their web origins.
    pub origins: Vec<String>,
    /// Request headers that they may send besides the usual ones.
    pub headers: Vec<HeaderName>,
}

/// The guards that all requests share.
pub struct Edge {
    /// The settings.
    pub limits: Limits,
    /// What callers may still spend.
    pub budgets: Budgets,
    /// How many invite codes a person may guess.
    pub invitations: Arc<Invitations>,
    /// The front ends that may call from a browser.
    pub front_ends: FrontEnds,
    /// How many exports each user has running.
    pub exports: Arc<PerUser>,
    /// How many subscriptions each user has open.
    pub subscriptions: Arc<PerUser>,
    /// How many WebSocket connections each user has open.
    pub connections: Arc<PerUser>,
    introspection: Introspection,
    in_flight: Arc<Semaphore>,
    /// Bounds the events that are resolved at the same time: each takes a database connection for a moment, which requests need too.
    resolving: Semaphore,
    /// Lets one operation at a time look through all that a tenant keeps.
    looking_through: Semaphore,
    stopping: watch::Sender<bool>,
}

impl Edge {
    /// Guards by these settings, for a server with so many database connections. In development `Introspection::Auto` is for everyone.
    pub fn new(
        limits: Limits,
        pool_size: usize,
        mut front_ends: FrontEnds,
        introspection: Introspection,
        is_development: bool,
    ) -> Self {
        let introspection = match introspection {
            Introspection::Auto if is_development => Introspection::On,
            other => other,
        };
        if is_development {
            let ports = DEVELOPMENT_PORTS.into_iter();
            let origins = ports.flat_map(|port| ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:{port}")));
            front_ends.origins.extend(origins);
        }
        Self {
            budgets: Budgets::new(&limits),
            invitations: Arc::default(),
            in_flight: Arc::new(Semaphore::new(limits.max_in_flight)),
            // All users together are bounded by the permits for files.
            exports: PerUser::new(EXPORTS_OF_A_USER, usize::MAX),
            subscriptions: PerUser::new(limits.user_subscriptions, limits.max_subscriptions),
            connections: PerUser::new(limits.user_connections, limits.max_sockets),
            resolving: Semaphore::new((pool_size / 4).max(1)),
            looking_through: Semaphore::new(1),
            stopping: watch::Sender::new(false),
            front_ends,
            introspection,
            limits,
        }
    }

    /// Whether the caller may introspect the schema.
    pub fn may_introspect(&self, claims: &Claims) -> bool {
        match self.introspection {
            Introspection::On => true,
            Introspection::Off => false,
            Introspection::Auto => guard::staff_role(claims) == Some(Role::Operator),
        }
    }

    /// A permit for one operation, if one is free now.
    pub fn permit(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| full())
    }

    /// Refuses a request where no permit is free, before it is parsed: refusing must cost less than serving.
    pub fn check_permit(&self) -> Result<()> {
        if self.in_flight.available_permits() == 0 { Err(full()) } else { Ok(()) }
    }

    /// A permit for resolving one event. Waits for it: subscribers have time, requests do not.
    pub async fn permit_to_resolve(&self) -> Result<SemaphorePermit<'_>> {
        self.resolving.acquire().await.map_err(Error::internal)
    }

    /// A permit for an operation that looks through all that a tenant keeps. Waits for it, for so long and without a database connection: several of them
    /// would take those of all others for minutes.
    pub async fn permit_to_look_through(&self, patience: Duration) -> Result<SemaphorePermit<'_>> {
        timeout(patience, self.looking_through.acquire()).await.map_err(|_| full())?.map_err(Error::internal)
    }

    /// Ends subscriptions and connections that would never end by themselves: the server is stopping.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the server is stopping.
    pub async fn stopped(&self) {
        // An error says that the server is gone altogether.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

fn full() -> Error {
    Error::unavailable("too many operations are under way")
}

/// How many of a kind (exports, subscriptions, connections) each user has, and all users together.
pub struct PerUser {
    most: usize,
    most_of_all: usize,
    counts: Mutex<HashMap<(String, String), usize>>,
}

impl PerUser {
    fn new(most: usize, most_of_all: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_all, counts: Mutex::default() })
    }

    /// One more for this user, until the permit is dropped. `what` names them, for the refusal where it would be too many.
    pub fn enter(self: &Arc<Self>, claims: &Claims, what: &'static str) -> Result<UserPermit> {
        let user = (claims.issuer.clone(), claims.subject.clone());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.get(&user).is_some_and(|count| *count >= self.most) {
            return Err(Error::TooManyOpen { what, most: self.most });
        }
        if counts.values().sum::<usize>() >= self.most_of_all {
            return Err(Error::unavailable(format!("all places for {what} are taken")));
        }
        *counts.entry(user.clone()).or_default() += 1;
        Ok(UserPermit { user, among: Arc::clone(self) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// A permit for one of a kind, counted for its user until it is dropped.
pub struct UserPermit {
    user: (String, String),
    among: Arc<PerUser>,
}

impl Drop for UserPermit {
    fn drop(&mut self) {
        let mut counts = self.among.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}
