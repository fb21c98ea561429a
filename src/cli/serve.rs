//! `partner-portal serve`: everything from the settings to a server that takes traffic, and back.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{
    net::TcpListener,
    signal,
    sync::{Notify, Semaphore},
    task::JoinHandle,
};
use tokio_postgres::Config;

use super::{
    Failure,
    database::{self, Database},
    first_start,
    listeners::{self, Listeners},
    token::{self, Kind},
    welcome,
};
use crate::{
    app::{App, Development},
    auth::{
        development::{self, DevelopmentIssuer},
        guard::KnownCallers,
        keys::{KeyCache, KeySource},
        verifier::{TokenVerifier, TrustedIssuer},
    },
    clicks::Clicks,
    clock::Clock,
    config::Settings,
    db::{Pool, standbys::Standbys},
    edge::{Edge, FrontEnds},
    graphql::PortalSchema,
    http::{self, server::Ending},
    jobs::{self, data_imports::DataImports},
    keyring::Keyring,
    live::Hub,
    seed::demo,
    telemetry::metrics::Metrics,
    webhooks::{PATIENCE, Sender, Webhooks, receiving::Receiver},
};

/// How long the tokens of the start screen are good for.
const WELCOME_TOKEN_SECONDS: i64 = 12 * 60 * 60;
/// How long a server that stops waits until it has let go of an import.
const IMPORT_END: Duration = Duration::from_secs(2);
/// How long connections are kept for one more request when the server stops, and new ones are accepted.
const GRACE: Duration = Duration::from_secs(2);
/// How long webhooks that are under way may take when the server stops.
const WEBHOOK_END: Duration = Duration::from_secs(5);

pub async fn run(settings: Settings, listeners: Listeners) -> Result<(), Failure> {
    // Before anything is started: a port that is taken is the likeliest reason why nothing can be served.
    listeners.try_out(&settings).await?;
    let keyring = Arc::new(database::keyring(&settings)?);
    let mut database = Database::open_migrated(&settings).await?;
    if !database.is_lasting() {
        // It may be one that is about to stop, because its program was killed a moment ago.
        tokio::time::sleep(Duration::from_secs(1)).await;
        database = Database::open_migrated(&settings).await?;
    }
    let outcome = if database.is_lasting() {
        serve(&settings, &database, keyring, listeners).await
    } else {
        // That process would take the database along when it ends.
        Err(Failure(format!(
            "another partner-portal runs the database in {}: end it first, or set PORTAL_DATA_DIR",
            settings.data_dir.display()
        )))
    };
    database.close().await;
    outcome
}

async fn serve(settings: &Settings, database: &Database, keyring: Arc<Keyring>, mut listeners: Listeners) -> Result<(), Failure> {
    let clock = Clock::default();
    first_start::run(settings, database, &keyring, &clock).await?;
    let development = development(settings)?;
    if settings.public_url.is_none() && !settings.is_development() {
        tracing::warn!("PORTAL_PUBLIC_URL is not set: links begin with {}", settings.public_url());
    }
    let clicks = Clicks::new(settings.clicks(), &database.login, clock.clone());
    let clicks = Arc::new(clicks.map_err(|error| Failure(format!("PORTAL_CLICK_DIR (--click-dir): {error}")))?);
    let pool = Pool::new(database.login.clone(), settings.pool())?;
    let app = Arc::new(App {
        standbys: Standbys::new(pool.clone(), settings.standbys(), settings.pool(), settings.read_lag)?,
        pool,
        schema: schema(settings).await?,
        edge: Edge::new(
            settings.limits.clone(),
            settings.pool_size * (1 + settings.standbys().len()),
            FrontEnds { origins: settings.cors_origins.clone(), headers: settings.cors_headers.clone() },
            settings.introspection,
            development.is_some(),
        ),
        known_callers: KnownCallers::default(),
        verifier: verifier(settings, development.as_ref(), &clock)?,
        keyring,
        clock: clock.clone(),
        clicks: Arc::clone(&clicks),
        public_url: settings.public_url().into(),
        rates: settings.rates(&clock).map_err(Failure)?,
        metrics: Metrics::new().map_err(|error| Failure(error.to_string()))?,
        hub: Arc::new(Hub::of(&database.login, settings.pool().kind).await?),
        data_imports: Arc::new(Notify::new()),
        webhooks: Arc::new(Webhooks::new(settings.webhook_reach())),
        files: Arc::new(Semaphore::new((settings.pool_size / 2).max(1))),
        operation_timeout: settings.operation_timeout,
        upload_timeout: settings.upload_timeout,
        development,
    });
    let (listener, is_own) = listeners.api(settings).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    if let Some(development) = &app.development {
        greet(address, development, &clock)?;
        fetch_assets(&development.assets);
    }
    let pool = app.pool.clone();
    let event_days = TimeDelta::days(i64::from(settings.event_days));
    let click_days = TimeDelta::days(i64::from(settings.click_days));
    let upkeep = tokio::spawn(maintain(Arc::clone(&app), settings.maintenance_interval, event_days, click_days));
    let importing = tokio::spawn(run_imports(Arc::clone(&app), database.login.clone()));
    let sending = tokio::spawn(send_webhooks(Arc::clone(&app)));
    let receiving = tokio::spawn(apply_webhooks(Arc::clone(&app)));
    let metrics = serve_metrics(settings, &app, &mut listeners).await?;
    let watching = app.standbys.watch(&database.login);
    let live = app.hub.listen(database.login.clone()).await?;
    let clicking = clicks.run(&database.login).await?;
    until_stopped(listener, is_own, &app, settings).await;
    upkeep.abort();
    // It says first that another server may go on.
    let _ = tokio::time::timeout(IMPORT_END, importing).await;
    // What was not answered by then is sent again by another.
    let _ = tokio::time::timeout(WEBHOOK_END, sending).await;
    let _ = tokio::time::timeout(WEBHOOK_END, receiving).await;
    live.abort();
    clicks.close(clicking).await;
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    drop(watching);
    // No connection is left open when the database is stopped.
    app.standbys.close();
    pool.close();
    Ok(())
}

/// The schema, with the operations of the manifest where there is one.
async fn schema(settings: &Settings) -> Result<PortalSchema, Failure> {
    let mut schema = PortalSchema::new(settings.limits.clone());
    if let Some(manifest) = &settings.trusted_manifest {
        let trusted = schema.trust(settings.trusted_documents, manifest).await;
        trusted
            .map_err(|error| Failure(format!("PORTAL_TRUSTED_MANIFEST (--trusted-manifest): {}: {error}", manifest.display())))?;
    }
    Ok(schema)
}

/// Does what is due by time, again and again. A failure is logged and tried again at the next turn.
async fn maintain(app: Arc<App>, interval: Duration, event_days: TimeDelta, click_days: TimeDelta) {
    loop {
        app.edge.budgets.forget_idle();
        app.edge.invitations.forget_idle();
        if app.hub.is_standby() {
            tokio::time::sleep(interval).await;
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
        tokio::time::sleep(interval).await;
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

/// Serves metrics beside the API, where a setting says so.
async fn serve_metrics(
    settings: &Settings,
    app: &Arc<App>,
    listeners: &mut Listeners,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let Some(listener) = listeners.metrics(settings).await? else { return Ok(None) };
    tracing::info!(address = %listener.local_addr()?, "metrics");
    let (router, limits) = (http::metrics::router(Arc::clone(app)), settings.limits.clone());
    Ok(Some(tokio::spawn(async move {
        http::server::serve(listener, router, &limits, Ending::default(), std::future::pending()).await;
    })))
}

/// Serves until a signal comes, then lets requests in flight finish. A second signal, or the time limit, ends them.
async fn until_stopped(listener: TcpListener, is_own: bool, app: &Arc<App>, settings: &Settings) {
    let grace = if settings.is_development() { Duration::ZERO } else { GRACE };
    let end = Ending { grace, accepts: is_own };
    let server = http::server::serve(listener, http::router(Arc::clone(app)), &settings.limits, end, app.edge.stopped());
    listeners::say_ready();
    let limit = async {
        stop_signal().await;
        tracing::info!("stopping: requests in flight finish first");
        listeners::say_stopping();
        app.edge.stop();
        tokio::select! {
            () = tokio::time::sleep(settings.shutdown_timeout) => tracing::warn!("requests in flight did not finish in time"),
            () = stop_signal() => tracing::warn!("asked twice: requests in flight are cut off"),
        }
    };
    tokio::select! {
        () = server => {}
        () = limit => {}
    }
}

fn stop_signal() -> impl Future<Output = ()> {
    // Registered at once, so that no signal is missed from here on.
    let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
    let interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt());
    async move {
        match (terminate, interrupt) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
}

fn development(settings: &Settings) -> Result<Option<Development>, Failure> {
    if !settings.is_development() {
        return Ok(None);
    }
    let issuer = DevelopmentIssuer::open(&settings.data_dir)?;
    let explorer = token::bearer(Kind::Partner, None, demo::FIRST_TENANT);
    Ok(Some(Development { issuer, explorer, assets: settings.data_dir.join("npm") }))
}

/// Believes the configured issuers, or in development our own.
pub fn verifier(settings: &Settings, development: Option<&Development>, clock: &Clock) -> Result<TokenVerifier, Failure> {
    let mut issuers = Vec::new();
    if let Some(development) = development {
        issuers.push(TrustedIssuer { name: development::ISSUER.to_owned(), keys: KeySource::Known(development.issuer.keys()) });
    }
    for issuer in &settings.issuer {
        let keys = if let Some(pem) = &settings.jwt_key {
            KeySource::of_pem(pem).map_err(|error| Failure(format!("CLERK_JWT_KEY (--jwt-key): {error}")))?
        } else {
            let url = settings.jwks_url.clone().map_or_else(|| issuer.jwks_url(), Ok).map_err(Failure)?;
            KeySource::Published(KeyCache::new(url, clock.clone())?)
        };
        issuers.push(TrustedIssuer { name: issuer.0.clone(), keys });
    }
    let authorized_parties = settings.authorized_parties.clone();
    Ok(TokenVerifier::new(issuers, authorized_parties, settings.azp_policy, clock.clone()))
}

fn greet(address: SocketAddr, development: &Development, clock: &Clock) -> Result<(), Failure> {
    let mint = |kind| development.issuer.mint(&token::bearer(kind, None, demo::FIRST_TENANT), WELCOME_TOKEN_SECONDS, clock);
    welcome::print(address, &mint(Kind::Partner)?, &mint(Kind::Operator)?);
    Ok(())
}

/// Has the page's assets ready before somebody opens it. Without them the page says what to do.
fn fetch_assets(folder: &Path) {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = http::fetch_assets(&folder) {
            tracing::warn!(%error, "GraphiQL's assets could not be fetched");
        }
    });
}
