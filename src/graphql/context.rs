//! What every resolver can reach: who is asking, the request's database session, its loaders.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Context;
use chrono::{DateTime, SubsecRound, Utc};

use super::loaders::{BatchKey, Loaders};
use crate::{
    auth::{Permission, Viewer},
    clock::Clock,
    db::session::{Reading, Session, Writing},
    error::{Error, Result},
    keyring::Keyring,
    models::books::Books,
};

/// The state of one request.
pub struct RequestContext {
    session: Arc<Session>,
    viewer: Arc<Viewer>,
    loaders: Mutex<Arc<Loaders>>,
    /// Seals account numbers.
    pub keyring: Arc<Keyring>,
    /// Tells the time.
    pub clock: Clock,
}

impl RequestContext {
    /// The state of a request by `viewer` on `session`.
    pub fn new(session: Arc<Session>, viewer: Arc<Viewer>, keyring: Arc<Keyring>, clock: Clock) -> Self {
        let loaders = Mutex::new(Arc::new(Loaders::new(Arc::clone(&session), viewer.scope())));
        Self { session, viewer, loaders, keyring, clock }
    }

    fn loaders(&self) -> Arc<Loaders> {
        Arc::clone(&self.loaders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shorthands for resolvers.
pub trait ContextExt {
    /// The request's state.
    fn request(&self) -> &RequestContext;

    /// Who is asking.
    fn viewer(&self) -> &Viewer {
        &self.request().viewer
    }

    /// Now.
    fn now(&self) -> DateTime<Utc> {
        self.request().clock.now().trunc_subsecs(6)
    }

    /// The tenant's books, for a transaction that writes.
    fn books<'w>(&self, writing: &'w Writing<'_>) -> Books<'w> {
        let viewer = self.viewer();
        Books { connection: writing, tenant: viewer.tenant.id, by: Some(viewer.user), at: self.now() }
    }

    /// Refuses whoever does not have the permission.
    fn require(&self, permission: Permission) -> Result<()> {
        self.viewer().require(permission)
    }

    /// One value by its key, in one statement with all that siblings ask for; `None` where there is none.
    fn load<K: BatchKey>(&self, key: K) -> impl Future<Output = Result<Option<K::Value>>> + Send
    where
        Self: Sync,
    {
        async move { self.request().loaders().load(key).await }
    }

    /// The connection for a query that no sibling shares.
    fn read(&self) -> impl Future<Output = Result<Reading<'_>>> + Send
    where
        Self: Sync,
    {
        async move { self.request().session.read().await }
    }

    /// A transaction that writes. What is read after its commit is read anew.
    fn write(&self) -> impl Future<Output = Result<Writing<'_>>> + Send
    where
        Self: Sync,
    {
        async move {
            let request = self.request();
            let writing = request.session.write().await?;
            let fresh = Arc::new(Loaders::new(Arc::clone(&request.session), request.viewer.scope()));
            *request.loaders.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            Ok(writing)
        }
    }
}

impl ContextExt for Context<'_> {
    fn request(&self) -> &RequestContext {
        self.data_unchecked::<RequestContext>()
    }
}

/// The answer to a mistake of ours: a row that a foreign key promises is not there.
pub(super) fn missing(what: &str) -> Error {
    Error::internal(format!("{what} is not there"))
}
