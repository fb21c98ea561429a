//! What a server does for one cluster, beside answering requests: time-driven jobs, imports, webhooks, live updates, clicks.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_postgres::Config;
use tracing::{Instrument, Span};

use super::{Failure, database::Database};
use crate::{
    app::{App, Development},
    auth::{guard::KnownCallers, verifier::TokenVerifier},
    clicks::Clicks,
    clock::Clock,
    clusters::Clusters,
    config::Settings,
    dashboard::Dashboard,
    db::{Pool, standbys::Standbys},
    edge::Edge,
    graphql::PortalSchema,
    jobs::{self, data_imports::DataImports},
    keyring::Keyring,
    live::Hub,
    rates::CommissionRates,
    telemetry::metrics::Metrics,
    webhooks::{PATIENCE, Sender, Webhooks, receiving::Receiver},
};

/// How long a server that stops waits until it has let go of an import.
const IMPORT_END: Duration = Duration::from_secs(2);
/// How long webhooks that are under way may take when the server stops.
const WEBHOOK_END: Duration = Duration::from_secs(5);
/// How long to wait before a cluster is tried again that could not be started.
const AGAIN: Duration = Duration::from_secs(2);

/// What a server has once, however many clusters there are.
pub struct Common {
    /// The clusters.
    pub clusters: Arc<Clusters<App>>,
    pub schema: Arc<PortalSchema>,
    pub edge: Arc<Edge>,
    pub verifier: Arc<TokenVerifier>,
    pub keyring: Arc<Keyring>,
    pub clock: Clock,
    pub rates: CommissionRates,
    pub metrics: Arc<Metrics>,
    pub files: Arc<Semaphore>,
    pub development: Option<Arc<Development>>,
    pub dashboard: Option<Arc<Dashboard>>,
}

impl Common {
    /// The server as the tenants of the cluster of these settings see it.
    pub async fn app(&self, settings: &Settings, login: &Config) -> Result<Arc<App>, Failure> {
        let clicks = Clicks::new(settings.clicks(), login, self.clock.clone());
        let clicks = clicks.map_err(|error| Failure(format!("PORTAL_CLICK_DIR (--click-dir): {error}")))?;
        let pool = Pool::new(login.clone(), settings.pool())?;
        Ok(Arc::new(App {
            clusters: Arc::clone(&self.clusters),
            standbys: Standbys::new(pool.clone(), settings.standbys(), settings.pool(), settings.read_lag)?,
            pool,
            schema: Arc::clone(&self.schema),
            edge: Arc::clone(&self.edge),
            known_callers: KnownCallers::default(),
            verifier: Arc::clone(&self.verifier),
            keyring: Arc::clone(&self.keyring),
            clock: self.clock.clone(),
            clicks: Arc::new(clicks),
            public_url: settings.public_url().into(),
            rates: self.rates.clone(),
            metrics: Arc::clone(&self.metrics),
            hub: Arc::new(Hub::of(login, settings.pool().kind).await?),
            data_imports: Arc::new(Notify::new()),
            webhooks: Arc::new(Webhooks::new(settings.webhook_reach())),
            files: Arc::clone(&self.files),
            operation_timeout: settings.operation_timeout,
            upload_timeout: settings.upload_timeout,
            development: self.development.clone(),
            dashboard: self.dashboard.clone(),
        }))
    }

    /// Serves the tenants of the cluster of that number until the server stops, from when it can be reached. `tried` is sent once it was tried.
    pub async fn keep(&self, number: usize, name: &str, settings: &Settings, tried: oneshot::Sender<()>) {
        let mut tried = Some(tried);
        loop {
            let begun = tokio::select! {
                begun = self.begin(settings).instrument(span(name)) => begun,
                () = self.edge.stopped() => return,
            };
            if let Ok((work, _)) = &begun {
                self.clusters.start(number, &work.app);
            }
            if let Some(tried) = tried.take() {
                // The server may be stopping already.
                let _ = tried.send(());
            }
            match begun {
                Ok((work, database)) => {
                    tracing::info!(cluster = name, "its tenants are served");
                    self.edge.stopped().await;
                    work.end().await;
                    return database.close().await;
                }
                Err(Failure(error)) => tracing::warn!(cluster = name, error, "its tenants are not served yet"),
            }
            tokio::select! {
                () = self.edge.stopped() => return,
                () = sleep(AGAIN) => {}
            }
        }
    }

    async fn begin(&self, settings: &Settings) -> Result<(Work, Database), Failure> {
        let database = Database::open_existing(settings).await?;
        let app = self.app(settings, &database.login).await?;
        Ok((Work::begin(app, settings, &database.login).await?, database))
    }
}

/// What log lines of the work for a cluster begin with, where there are several.
pub fn span(name: &str) -> Span {
    tracing::info_span!("cluster", name)
}

/// What is being done for one cluster.
pub struct Work {
    pub app: Arc<App>,
    forgetting: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    importing: JoinHandle<()>,
    sending: JoinHandle<()>,
    receiving: JoinHandle<()>,
    live: JoinHandle<()>,
    clicking: [JoinHandle<()>; 2],
    _watching: JoinSet<()>,
}

impl Work {
    /// Begins with all of it.
    pub async fn begin(app: Arc<App>, settings: &Settings, login: &Config) -> Result<Self, Failure> {
        let event_days = TimeDelta::days(i64::from(settings.event_days));
        let click_days = TimeDelta::days(i64::from(settings.click_days));
        app.connect_clicks();
        let live = app.hub.listen(login.clone()).await?;
        let clicking = app.clicks.run(login).await.inspect_err(|_| live.abort())?;
        Ok(Self {
            forgetting: tokio::spawn({
                let app = Arc::clone(&app);
                async move { app.hub.forget_lost(|| app.known_callers.forget()).await }
            }),
            upkeep: tokio::spawn(
                maintain(Arc::clone(&app), settings.maintenance_interval, event_days, click_days).in_current_span(),
            ),
            importing: tokio::spawn(run_imports(Arc::clone(&app), login.clone()).in_current_span()),
            sending: tokio::spawn(send_webhooks(Arc::clone(&app)).in_current_span()),
            receiving: tokio::spawn(apply_webhooks(Arc::clone(&app)).in_current_span()),
            live,
            clicking,
            _watching: app.standbys.watch(login),
            app,
        })
    }

    /// Ends it, once the server is stopping.
    pub async fn end(self) {
        self.forgetting.abort();
        self.upkeep.abort();
        // It says first that another server may go on.
        let _ = timeout(IMPORT_END, self.importing).await;
        // What was not answered by then is sent again by another.
        let _ = timeout(WEBHOOK_END, self.sending).await;
        let _ = timeout(WEBHOOK_END, self.receiving).await;
        self.live.abort();
        self.app.clicks.close(self.clicking).await;
        // No connection is left open when the database is stopped.
        self.app.standbys.close();
        self.app.pool.close();
    }
}

/// Does what is due by time, again and again. A failure is logged and tried again at the next turn.
async fn maintain(app: Arc<App>, interval: Duration, event_days: TimeDelta, click_days: TimeDelta) {
    loop {
        app.edge.budgets.forget_idle();
        app.edge.invitations.forget_idle();
        if app.hub.is_standby() {
            sleep(interval).await;
            continue;
        }
        let now = app.clock.now();
        // What fails keeps nothing else from being done.
        let outcomes = [
            jobs::run(&app.pool, &app.clock).await.map(drop),
            jobs::forget_events(&app.pool, now - event_days).await.map(drop),
            jobs::keep_clicks(&app.pool, &app.clock, now - click_days).await.map(drop),
            jobs::forget_webhooks(&app.pool, now).await.map(drop),
            jobs::ask_for_rates(&app.pool, &app.clock, &app.rates).await.map(drop),
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "maintenance failed");
        }
        sleep(interval).await;
    }
}

/// Runs imports in the background until the server stops.
async fn run_imports(app: Arc<App>, login: Config) {
    let imports = DataImports { pool: app.pool.clone(), login, clock: app.clock.clone() };
    imports.run(&app.hub, &app.data_imports, app.edge.stopped()).await;
}

/// Sends webhooks until the server stops.
async fn send_webhooks(app: Arc<App>) {
    let (pool, clock, keyring) = (app.pool.clone(), app.clock.clone(), Arc::clone(&app.keyring));
    let sender = Sender { pool, clock, keyring, webhooks: Arc::clone(&app.webhooks), patience: PATIENCE };
    if let Err(error) = sender.run(&app.hub, app.edge.stopped()).await {
        tracing::error!(%error, "webhooks are not sent");
    }
}

/// Applies webhooks that were received until the server stops.
async fn apply_webhooks(app: Arc<App>) {
    let receiver = Receiver { pool: app.pool.clone(), clock: app.clock.clone(), webhooks: Arc::clone(&app.webhooks) };
    receiver.run(&app.hub, app.edge.stopped()).await;
}
