//! What every request shares: of the server, and of the cluster that the caller's tenant is on.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, Semaphore};

use crate::{
    auth::{
        claims::Claims,
        development::{Bearer, DevelopmentIssuer},
        guard::KnownCallers,
        verifier::TokenVerifier,
    },
    clicks::{Clicks, OtherClusters, Owner},
    clock::Clock,
    clusters::{self, Clusters, Site},
    dashboard::Dashboard,
    db::{Pool, standbys::Standbys, wal::WalPosition},
    edge::Edge,
    error::{Error, Result},
    graphql::{PortalSchema, engine::context::Shared},
    ids::TenantId,
    keyring::Keyring,
    live::Hub,
    rates::CommissionRates,
    telemetry::metrics::Metrics,
    webhooks::Webhooks,
};

/// The parts of a running server, as the tenants of one cluster see it. Servers on several clusters have one for each.
pub struct App {
    /// All clusters of the server.
    pub clusters: Arc<Clusters<Self>>,
    /// Connections to the database.
    pub pool: Pool,
    /// Standbys that answer queries beside it.
    pub standbys: Arc<Standbys>,
    /// The executable schema.
    pub schema: Arc<PortalSchema>,
    /// The callers that are known.
    pub known_callers: KnownCallers,
    /// Checks session tokens.
    pub verifier: Arc<TokenVerifier>,
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
    pub edge: Arc<Edge>,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
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
    pub development: Option<Arc<Development>>,
    /// The dashboard, where the server shows one.
    pub dashboard: Option<Arc<Dashboard>>,
}

impl App {
    /// The server as the tenant of this token sees it. With one cluster it says itself whether it has the tenant.
    pub async fn of(self: &Arc<Self>, claims: &Claims) -> Result<Arc<Self>> {
        if !self.clusters.are_several() {
            return Ok(Arc::clone(self));
        }
        self.clusters.find(&claims.issuer, claims.tenant.as_deref()).await?.ok_or(Error::UnknownTenant)
    }

    /// The server as a tenant sees it that was not found here at that time, because it was moved; `None` where it is nowhere.
    pub async fn moved(self: &Arc<Self>, claims: &Claims, since: Instant) -> Result<Option<Arc<Self>>> {
        if !self.clusters.are_several() {
            return Ok(None);
        }
        self.clusters.find_other(self, &claims.issuer, claims.tenant.as_deref(), since).await
    }

    /// It, and the server as the tenants of other clusters see it.
    pub fn all(self: &Arc<Self>) -> Vec<Arc<Self>> {
        if self.clusters.are_several() { self.clusters.started().map(|(_, app)| app).collect() } else { vec![Arc::clone(self)] }
    }

    /// Has clicks written where their tenants are. Before any is written.
    pub fn connect_clicks(self: &Arc<Self>) {
        if self.clusters.are_several() {
            self.clicks.connect(ByDirectory(Arc::downgrade(self)));
        }
    }

    /// Whether a tenant is on this cluster, as far as is known.
    pub fn has(&self, tenant: TenantId) -> bool {
        !self.clusters.are_several() || matches!(self.clusters.owner(self, tenant), clusters::Owner::Here)
    }

    /// How far a database must be to answer a caller: as this server knows, and as they say themselves.
    pub fn required_position(&self, claims: &Claims, said: WalPosition) -> WalPosition {
        let known = self.pool.position_of(&claims.issuer, &claims.subject);
        known.map_or_else(WalPosition::default, |known| known.required()).max(said)
    }

    /// What its resolvers need.
    pub fn shared(&self) -> Shared {
        Shared {
            keyring: Arc::clone(&self.keyring),
            clicks: Arc::clone(&self.clicks),
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

impl Site for App {
    fn pool(&self) -> &Pool {
        &self.pool
    }

    fn tenant_left(&self, tenant: TenantId) {
        self.hub.end_tenant(tenant);
        self.clicks.forget_links();
    }
}

/// Finds what follows links for tenants that are on other clusters.
struct ByDirectory(Weak<App>);

impl OtherClusters for ByDirectory {
    fn owner(&self, tenant: TenantId) -> Owner {
        let Some(app) = self.0.upgrade() else { return Owner::Unknown };
        match app.clusters.owner(&app, tenant) {
            clusters::Owner::Here => Owner::Here,
            clusters::Owner::Other(other) => Owner::Other(Arc::clone(&other.clicks)),
            clusters::Owner::Unknown => Owner::Unknown,
        }
    }

    fn all(&self) -> Vec<Arc<Clicks>> {
        let Some(app) = self.0.upgrade() else { return Vec::new() };
        app.all().iter().filter(|other| !Arc::ptr_eq(other, &app)).map(|other| Arc::clone(&other.clicks)).collect()
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
