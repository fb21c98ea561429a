//! What every request shares.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, Semaphore};

use crate::{
    auth::{
        Viewer,
        claims::Claims,
        development::{Bearer, DevelopmentIssuer},
        guard::KnownCallers,
        verifier::TokenVerifier,
    },
    clicks::Clicks,
    clock::Clock,
    db::{
        Pool,
        session::{Access, Session},
        standbys::Standbys,
        wal::WalPosition,
    },
    edge::Edge,
    error::{Error, Result},
    graphql::{PortalSchema, engine::context::Shared},
    keyring::Keyring,
    live::Hub,
    rates::CommissionRates,
    telemetry::metrics::Metrics,
    webhooks::Webhooks,
};

/// The parts of a running server.
pub struct App {
    /// Connections to the database.
    pub pool: Pool,
    /// Standbys that answer queries beside it.
    pub standbys: Arc<Standbys>,
    /// The executable schema.
    pub schema: PortalSchema,
    /// The callers that are known.
    pub known_callers: KnownCallers,
    /// Checks session tokens.
    pub verifier: TokenVerifier,
    /// Seals account numbers.
    pub keyring: Arc<Keyring>,
    /// The clock.
    pub clock: Clock,
    /// Follows links.
    pub clicks: Arc<Clicks>,
    /// Where the server is reached from outside, without a slash at the end.
    pub public_url: Arc<str>,
    /// Asks the commission-rate service.
    pub rates: CommissionRates,
    /// What guards the server as a whole.
    pub edge: Edge,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Publishes changes to subscriptions.
    pub hub: Arc<Hub>,
    /// Wakes what runs imports in the background.
    pub data_imports: Arc<Notify>,
    /// Wakes what sends webhooks, and says where they may go.
    pub webhooks: Arc<Webhooks>,
    /// How many exports and uploads may run at once: each keeps a connection for as long as it takes.
    pub files: Arc<Semaphore>,
    /// The longest that one operation may take.
    pub operation_timeout: Duration,
    /// The longest that one operation with a file may take.
    pub upload_timeout: Duration,
    /// What is there in development only; `None` in production.
    pub development: Option<Development>,
}

impl App {
    /// What a caller must not be answered without: what this server knows that they have changed or were told of, and `after`, what they say themselves.
    pub fn known_to(&self, claims: &Claims, after: WalPosition) -> WalPosition {
        self.standbys.remembered((&claims.issuer, &claims.subject)).max(after)
    }

    /// Opens a session for reading, on a standby where one is as far as the caller. What a standby cannot do for them, the primary does.
    pub async fn open_reading(&self, claims: &Arc<Claims>, request: &str, after: WalPosition) -> Result<(Session, Viewer)> {
        if let Some(standby) = self.standbys.choose(self.known_to(claims, after)).await {
            match self.known_callers.admit(standby.pool(), claims, request, Access::Read).await {
                Err(Error::Unavailable(_)) => self.standbys.note_failure(&standby),
                admitted => return admitted,
            }
        }
        let (session, viewer) = self.known_callers.admit(&self.pool, claims, request, Access::Read).await?;
        // One who has signed in for the first time.
        self.note_changes(claims, &session);
        Ok((session, viewer))
    }

    /// Remembers how far the changes of a session are, and gives that.
    pub fn note_changes(&self, claims: &Claims, session: &Session) -> Option<WalPosition> {
        let position = session.committed_at()?;
        self.standbys.remember((&claims.issuer, &claims.subject), position);
        Some(position)
    }

    /// What its resolvers need.
    pub fn shared(&self) -> Shared {
        Shared {
            keyring: Arc::clone(&self.keyring),
            cursors: self.hub.cursors(),
            clock: self.clock.clone(),
            public_url: Arc::clone(&self.public_url),
            rates: self.rates.clone(),
            invitations: Arc::clone(&self.edge.invitations),
            data_imports: Arc::clone(&self.data_imports),
            webhooks: Arc::clone(&self.webhooks),
        }
    }
}

/// The pages and tokens for developers.
pub struct Development {
    /// Issues tokens.
    pub issuer: DevelopmentIssuer,
    /// Whom `GraphiQL` acts for.
    pub explorer: Bearer,
    /// Where `GraphiQL`'s assets are kept once fetched.
    pub assets: std::path::PathBuf,
}
