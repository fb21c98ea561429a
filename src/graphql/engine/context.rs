//! What every resolver can reach: who is asking, the request's database session, its loaders.

use std::{
    fs::File,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{Context, Response, ServerError};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::{
    act::act,
    loaders::{BatchKey, Loaders},
    quiet::{Quiet, UnderWay},
    subscription_step::SubscriptionStep,
};
use crate::{
    auth::{Permission, Viewer, invitations::Invitations},
    clicks::Clicks,
    clock::Clock,
    db::{
        Connection,
        session::{Reading, Session, Writing},
    },
    error::{Error, Result},
    ids::PartnerId,
    keyring::Keyring,
    live::Cursors,
    rates::CommissionRates,
    webhooks::Webhooks,
};

/// The state of one request.
pub struct RequestContext {
    session: Arc<Session>,
    viewer: Arc<Viewer>,
    loaders: Mutex<Arc<Loaders>>,
    quiet: Arc<Quiet>,
    /// Whether answers are to be merged: only the engine knows how, and not of what is text already.
    merges: bool,
    /// When the request came.
    as_of: DateTime<Utc>,
    uploads: Mutex<Vec<Option<File>>>,
    field_errors: FieldErrors,
    /// The operation's name.
    operation: Option<String>,
    /// What it shares with all others.
    pub shared: Shared,
}

/// What all requests of a server share, and their resolvers need.
pub struct Shared {
    /// Seals account numbers.
    pub keyring: Arc<Keyring>,
    /// Follows links: knows which keys are taken on other clusters.
    pub clicks: Arc<Clicks>,
    /// Makes and reads cursors of changes.
    pub cursors: Cursors,
    /// The clock.
    pub clock: Clock,
    /// Where the server is reached from outside, without a slash at the end.
    pub public_url: Arc<str>,
    /// Asks the commission-rate service.
    pub rates: CommissionRates,
    /// Limits how many invite codes a person may guess.
    pub invitations: Arc<Invitations>,
    /// Wakes what runs imports in the background.
    pub data_imports: Arc<Notify>,
    /// Wakes what sends webhooks, and says where they may go.
    pub webhooks: Arc<Webhooks>,
}

/// The errors of fields that are null for them, until they go into the answer.
#[derive(Clone, Default)]
pub struct FieldErrors(Arc<Mutex<Vec<ServerError>>>);

impl FieldErrors {
    /// The answer with them.
    pub fn with(&self, mut answer: Response) -> Response {
        answer.errors.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        answer
    }
}

impl RequestContext {
    /// The state of a request by `viewer` on `session`, which came with files.
    pub fn new(session: Arc<Session>, viewer: Arc<Viewer>, uploads: Vec<File>, shared: Shared) -> Self {
        let quiet = Arc::new(Quiet::default());
        let loaders = Mutex::new(Arc::new(Loaders::new(Arc::clone(&session), viewer.scope(), Arc::clone(&quiet))));
        let as_of = shared.clock.instant();
        let uploads = Mutex::new(uploads.into_iter().map(Some).collect());
        let field_errors = FieldErrors::default();
        Self { session, viewer, loaders, quiet, merges: false, as_of, uploads, field_errors, operation: None, shared }
    }

    /// The same for an operation of that name.
    #[must_use]
    pub fn named(mut self, operation: Option<String>) -> Self {
        self.operation = operation;
        self
    }

    /// The same for an operation whose answers are to be merged.
    #[must_use]
    pub fn merging(mut self, merges: bool) -> Self {
        self.merges = merges;
        self
    }

    /// Whether the answers to one object, selected from at several points of the document, are to be merged.
    pub fn merges(&self) -> bool {
        self.merges
    }

    /// The moments at which its resolvers have requested all that they need.
    pub fn quiet(&self) -> Arc<Quiet> {
        Arc::clone(&self.quiet)
    }

    /// Keeps the error of a field that is null for it.
    pub fn record(&self, error: ServerError) {
        self.field_errors.0.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    /// The errors of fields that are null for them.
    pub fn field_errors(&self) -> FieldErrors {
        self.field_errors.clone()
    }

    /// The database session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Forgets what was read: after a change it is read anew.
    pub fn renew_loaders(&self) {
        let fresh = Arc::new(Loaders::new(Arc::clone(&self.session), self.viewer.scope(), Arc::clone(&self.quiet)));
        *self.loaders.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// The file of that index in the request, unless it has been taken.
    pub fn take_upload(&self, index: usize) -> Option<File> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index)?.take()
    }

    fn loaders(&self) -> Arc<Loaders> {
        Arc::clone(&self.loaders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to read, of one resolver. What it finds may make others ask for the same as its siblings' do, so batches wait for it.
pub struct Held<'r> {
    reading: Reading<'r>,
    _under_way: UnderWay<'r>,
}

impl Deref for Held<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.reading
    }
}

/// Shorthands for resolvers.
pub trait ContextExt {
    /// The request's state.
    fn request(&self) -> &RequestContext;

    /// What a subscription's resolver is called for.
    fn step(&self) -> &SubscriptionStep;

    /// Who is asking.
    fn viewer(&self) -> &Viewer {
        &self.request().viewer
    }

    /// Now.
    fn now(&self) -> DateTime<Utc> {
        self.request().shared.clock.instant()
    }

    /// Asks the commission-rate service.
    fn rates(&self) -> &CommissionRates {
        &self.request().shared.rates
    }

    /// The one instant as of which this request reads everything that changes with time alone.
    fn as_of(&self) -> DateTime<Utc> {
        self.request().as_of
    }

    /// Refuses a caller without the permission.
    fn require(&self, permission: Permission) -> Result<()> {
        self.viewer().require(permission)
    }

    /// Refuses a caller who acts for another partner at the moment. People see that their other partners exist; what such a partner has is
    /// read in its own scope alone, and in another would look empty.
    fn require_acting_for(&self, partner: PartnerId) -> Result<()> {
        if self.viewer().scope().includes(partner) {
            return Ok(());
        }
        let message =
            "You are not acting for this partner. Choose it with `setDefaultPartner`, or its organisation where you signed in.";
        Err(Error::Forbidden(message.to_owned()))
    }

    /// One value by its key, in one statement with all that siblings ask for; `None` where there is none.
    fn load<K: BatchKey>(&self, key: K) -> impl Future<Output = Result<Option<K::Value>>> + Send
    where
        Self: Sync,
    {
        async move { self.request().loaders().load(key).await }
    }

    /// The connection for a query that no sibling shares. Nobody may wait for a batch while holding it: none is complete until then.
    fn read(&self) -> impl Future<Output = Result<Held<'_>>> + Send
    where
        Self: Sync,
    {
        async move {
            let request = self.request();
            let under_way = request.quiet.begin();
            Ok(Held { reading: request.session.read().await?, _under_way: under_way })
        }
    }

    /// Says that what is written from now on is this field's, for the audit trail. A transaction of [`ContextExt::write`] is.
    fn perform(&self);

    /// A transaction that writes. What is read after its commit is read anew.
    fn write(&self) -> impl Future<Output = Result<Writing<'_>>> + Send
    where
        Self: Sync,
    {
        async move {
            self.perform();
            let request = self.request();
            let writing = request.session.write().await?;
            request.renew_loaders();
            Ok(writing)
        }
    }
}

impl ContextExt for Context<'_> {
    fn request(&self) -> &RequestContext {
        self.data_unchecked::<RequestContext>()
    }

    fn perform(&self) {
        let request = self.request();
        let actor = request.viewer.role.actor();
        request.session.perform(act(&self.item.node, &self.query_env.variables, actor, request.operation.as_deref()));
    }

    fn step(&self) -> &SubscriptionStep {
        self.data_unchecked::<Arc<SubscriptionStep>>()
    }
}

/// The answer to a mistake of ours: a row that a foreign key promises is not there.
pub fn missing(what: &str) -> Error {
    Error::internal(format!("{what} is not there"))
}
