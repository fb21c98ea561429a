//! A subscription, over whichever transport: its events one after the other, each resolved with the rights that the subscriber has at that moment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::{Response as Answer, Value};
use tokio::sync::watch;

use super::{
    operation::{Call, within},
    position,
};
use crate::{
    app::App,
    auth::{Viewer, claims::Claims},
    db::{
        Pool,
        session::{Access, Session},
        wal::WalPosition,
    },
    edge::UserPermit,
    error::{Error, Result},
    graphql::{
        document::Prepared,
        engine::{context::RequestContext, error_codes, subscription_step::SubscriptionStep},
    },
    http::Refused,
    live::{EventSource, OF_ANOTHER},
    models::event::Event,
};

/// How long to wait for the database before an event is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer to one event.
pub struct Update {
    /// The event's cursor.
    pub cursor: String,
    /// The answer.
    pub answer: Answer,
}

/// An open subscription.
pub struct Feed {
    app: Arc<App>,
    id: String,
    prepared: Prepared,
    /// What the subscriber's newest token says.
    claims: watch::Receiver<Arc<Claims>>,
    source: EventSource,
    /// The cursor of where it was opened.
    opened_at: String,
    /// The event that is being resolved: stored while resolving fails, and when the future that awaits it is dropped.
    resolving: Option<Event>,
    _permit: UserPermit,
}

impl Feed {
    /// Opens a subscription that was prepared and paid for.
    pub async fn open(
        app: &Arc<App>,
        call: &Call,
        prepared: Prepared,
        claims: watch::Receiver<Arc<Claims>>,
    ) -> Result<Self, Refused> {
        let permit = app.edge.subscriptions.enter(&call.claims, "subscriptions")?;
        // After a restart all subscribers come back at once: they wait for each other, and do not hold up requests.
        let under_way = app.edge.permit_to_resolve().await?;
        let begun = Instant::now();
        let mut app = app.of(&call.claims).await?;
        let (session, viewer) = match enter(&app, call).await {
            Err(Error::UnknownTenant) => {
                app = app.moved(&call.claims, begun).await?.ok_or(Error::UnknownTenant)?;
                enter(&app, call).await?
            }
            entered => entered?,
        };
        let app = &app;
        app.edge.budgets.charge_tenant(viewer.tenant.id, prepared.cost)?;
        let step = Arc::new(SubscriptionStep::open());
        let answer = execute(app, &prepared, &session, &viewer, Arc::clone(&step)).await;
        let Some(watched) = step.watched() else {
            // The resolver has refused.
            return Err(Refused::Document(answer.unwrap_or_default().errors));
        };
        // Where a stream broke off is further than where it began.
        let since = match &call.last_event_id {
            Some(cursor) => Some(app.hub.cursors().decode(cursor)?),
            None => watched.since,
        };
        let source = {
            let reading = session.read().await?;
            EventSource::open(&app.hub, &reading, viewer.scope(), watched.filter, since).await?
        };
        // From here on it is said to those who watch.
        if !app.has(viewer.tenant.id) {
            return Err(Error::Held.into());
        }
        drop(under_way);
        let operation = prepared.name.as_deref().unwrap_or_default();
        tracing::info!(request_id = call.id, operation, kind = "subscription", user = %viewer.user, "subscribed");
        let opened_at = app.hub.cursors().encode(source.opened_at())?;
        Ok(Self {
            app: Arc::clone(app),
            id: call.id.clone(),
            prepared,
            claims,
            source,
            opened_at,
            resolving: None,
            _permit: permit,
        })
    }

    /// The cursor of where it was opened: events after it are sent.
    pub fn opened_at(&self) -> &str {
        &self.opened_at
    }

    /// Waits for the next update. An error ends the subscription. Nothing is lost when the wait is given up and begun again.
    pub async fn next(&mut self) -> Result<Update> {
        loop {
            let asked = Instant::now();
            match self.next_or_nothing().await {
                Ok(Some(update)) => return Ok(update),
                Ok(None) => {}
                // The database is away. What is missed meanwhile is in the table.
                Err(Error::Unavailable(_) | Error::Held) => tokio::time::sleep(PATIENCE).await,
                Err(Error::UnknownTenant) => match self.app.moved(&self.claims(), asked).await {
                    // The cursors that were sent lead nowhere there.
                    Ok(Some(_)) => return Err(Error::CursorExpired(OF_ANOTHER)),
                    Ok(None) => return Err(Error::UnknownTenant),
                    // It is between two clusters, or one does not answer.
                    Err(_) => tokio::time::sleep(PATIENCE).await,
                },
                Err(error) => return Err(error),
            }
        }
    }

    async fn next_or_nothing(&mut self) -> Result<Option<Update>> {
        if self.source.is_behind() {
            let _permit = self.app.edge.permit_to_resolve().await?;
            let (app, claims, id, source) = (&self.app, &self.claims(), &self.id, &self.source);
            let missed = |pool: Pool| async move {
                let (session, _) = admit(app, &pool, claims, id).await?;
                let missed = source.missed(&*session.read().await?).await?;
                session.finish();
                Ok(missed)
            };
            let missed = app.standbys.read(app.hub.position(), missed).await?;
            self.source.catch_up(missed);
        }
        if self.resolving.is_none() {
            self.resolving = self.source.next().await?;
        }
        let Some(event) = self.resolving else { return Ok(None) };
        // Each event is paid for; a subscriber who has spent everything waits until it is earned.
        if let Err(Error::RateLimited { wait, .. }) = self.app.edge.budgets.charge_user(&self.claims(), self.prepared.cost) {
            tokio::time::sleep(wait).await;
            return Ok(None);
        }
        let position = self.app.hub.position();
        let resolved = {
            let feed = &*self;
            feed.app.standbys.read(position, |pool: Pool| async move { feed.resolve(&pool, event).await }).await
        };
        let resolved = resolved.and_then(|update| update.map(|update| self.with_position(update, position)).transpose());
        if !matches!(resolved, Err(Error::Unavailable(_) | Error::Held | Error::UnknownTenant)) {
            self.resolving = None;
        }
        resolved
    }

    /// The answer to one event; `None` if the subscriber may no longer see its subject.
    async fn resolve(&self, pool: &Pool, event: Event) -> Result<Option<Update>> {
        let _permit = self.app.edge.permit_to_resolve().await?;
        let (session, viewer) = admit(&self.app, pool, &self.claims(), &self.id).await?;
        if !event.is_in(viewer.scope()) {
            session.finish();
            return Ok(None);
        }
        let answer = execute(&self.app, &self.prepared, &session, &viewer, Arc::new(SubscriptionStep::Resolve(event))).await;
        let Some(mut answer) = answer else { return Ok(None) };
        let failure = answer
            .errors
            .iter()
            .filter_map(async_graphql::ServerError::source::<Error>)
            .find(|error| matches!(error, Error::Unavailable(_)));
        if let Some(failure) = failure {
            return Err(failure.clone());
        }
        self.app.metrics.event_delivered();
        if error_codes::finish(&mut answer, &self.id).is_empty() {
            session.finish();
        }
        // An answer whose data is null has nothing but errors.
        if answer.errors.is_empty() && answer.data == Value::Null {
            return Ok(None);
        }
        Ok(Some(Update { cursor: self.app.hub.cursors().encode(event.position())?, answer }))
    }

    /// Says in an update how far a database must be to answer its reader from now on, and remembers it.
    fn with_position(&self, mut update: Update, position: WalPosition) -> Result<Update> {
        let claims = self.claims();
        if let Some(known) = self.app.pool.position_of(&claims.issuer, &claims.subject) {
            known.raise(position);
            position::attach(&self.app, position, position, &mut update.answer)?;
            position::into_extensions(&mut update.answer);
        }
        Ok(update)
    }

    fn claims(&self) -> Arc<Claims> {
        Arc::clone(&self.claims.borrow())
    }
}

/// Identifies the subscriber by the primary: what a standby does not know yet, and was handed on before, would come neither from the table nor by itself.
async fn enter(app: &App, call: &Call) -> Result<(Arc<Session>, Arc<Viewer>)> {
    app.standbys.on_primary(Box::pin(admit(app, &app.pool, &call.claims, &call.id))).await
}

async fn admit(app: &App, pool: &Pool, claims: &Arc<Claims>, request: &str) -> Result<(Arc<Session>, Arc<Viewer>)> {
    let (session, viewer) = app.known_callers.admit(pool, claims, request, Access::Read).await?;
    Ok((Arc::new(session), Arc::new(viewer)))
}

/// Runs one step; `None` where it answers nothing.
async fn execute(
    app: &App,
    prepared: &Prepared,
    session: &Arc<Session>,
    viewer: &Arc<Viewer>,
    step: Arc<SubscriptionStep>,
) -> Option<Answer> {
    let context = RequestContext::new(Arc::clone(session), Arc::clone(viewer), Vec::new(), app.shared());
    let work = app.schema.execute_step(prepared, context, step);
    within(app.operation_timeout, work).await.unwrap_or_else(|error| Some(error_codes::alone(&error)))
}
