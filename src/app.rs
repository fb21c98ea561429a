//! What every request shares.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, Semaphore};

use crate::{
    auth::{
        claims::Claims,
        development::{Bearer, DevelopmentIssuer},
        guard::KnownCallers,
        verifier::TokenVerifier,
    },
    clicks::Clicks,
    clock::Clock,
    db::{Pool, standbys::Standbys, wal::WalPosition},
    edge::Edge,
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
    /// How far a database must be to answer a caller: as this server knows, and as they say themselves.
    pub fn required_position(&self, claims: &Claims, said: WalPosition) -> WalPosition {
        let known = self.pool.position_of(&claims.issuer, &claims.subject);
        known.map_or_else(WalPosition::default, |known| known.required()).max(said)
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
