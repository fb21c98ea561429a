//! `partner-portal serve`: everything from the settings to a server that takes traffic, and back.

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{join, join_all};
use tokio::{
    net::TcpListener,
    signal,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tracing::{Instrument, Span};

use super::{
    Failure,
    database::{self, Database},
    first_start,
    listeners::{self, Listeners},
    token::{self, Kind},
    welcome,
    work::{Common, Work, span},
};
use crate::{
    app::{App, Development},
    auth::{
        development::{self, DevelopmentIssuer},
        keys::{KeyCache, KeySource},
        verifier::{TokenVerifier, TrustedIssuer},
    },
    clock::Clock,
    clusters::Clusters,
    config::{Settings, TrustedMode},
    dashboard::Dashboard,
    edge::{Edge, FrontEnds},
    graphql::PortalSchema,
    http::{self, server::Ending},
    keyring::Keyring,
    seed::demo,
    telemetry::metrics::Metrics,
};

/// How long the tokens of the start screen are good for.
const WELCOME_TOKEN_SECONDS: i64 = 12 * 60 * 60;
/// Where the dashboard of a checkout is built.
const DASHBOARD: &str = "dashboard/dist";
/// How long the start waits for clusters that do not answer.
const TRY: Duration = Duration::from_secs(5);
/// How long connections are kept for one more request when the server stops, and new ones are accepted.
const GRACE: Duration = Duration::from_secs(2);

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
    let development = development(settings)?.map(Arc::new);
    if settings.public_url.is_none() && !settings.is_development() {
        tracing::warn!("PORTAL_PUBLIC_URL is not set: links begin with {}", settings.public_url());
    }
    let clusters = settings.for_clusters().map_err(Failure)?;
    let pools = settings.pool_size * clusters.iter().map(|(_, settings)| 1 + settings.standbys().len()).sum::<usize>();
    let (schema, dashboard) = schema_and_dashboard(settings).await?;
    let common = Arc::new(Common {
        clusters: Clusters::new(clusters.iter().map(|(name, _)| name.clone()).collect()),
        schema: Arc::new(schema),
        edge: Arc::new(Edge::new(
            settings.limits.clone(),
            pools,
            FrontEnds { origins: settings.cors_origins.clone(), headers: settings.cors_headers.clone() },
            settings.introspection,
            development.is_some(),
        )),
        verifier: Arc::new(verifier(settings, development.as_deref(), &clock)?),
        keyring,
        clock: clock.clone(),
        rates: settings.rates(&clock).map_err(Failure)?,
        metrics: Arc::new(Metrics::new().map_err(|error| Failure(error.to_string()))?),
        files: Arc::new(Semaphore::new((settings.pool_size / 2).max(1))),
        development,
        dashboard,
    });
    let app = common.app(settings, &database.login).await?;
    let (listener, is_own) = listeners.api(settings).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    if let Some(development) = &app.development {
        greet(address, development, app.dashboard.is_some(), &clock)?;
        fetch_assets(&development.assets);
    }
    let metrics = serve_metrics(settings, &app, &mut listeners).await?;
    let of_main = if common.clusters.are_several() { span(&clusters[0].0) } else { Span::none() };
    let work = Work::begin(Arc::clone(&app), settings, &database.login).instrument(of_main).await?;
    common.clusters.start(0, &app);
    let others = start_others(&common, clusters).await;
    until_stopped(listener, is_own, &app, settings).await;
    join(work.end(), join_all(others)).await;
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    Ok(())
}

/// Begins to serve the tenants of the clusters after the first, each once it can be reached; waits until each was tried, but not for long.
async fn start_others(common: &Arc<Common>, clusters: Vec<(String, Settings)>) -> Vec<JoinHandle<()>> {
    if !common.clusters.are_several() {
        return Vec::new();
    }
    let (mut tasks, mut tried) = (Vec::new(), Vec::new());
    for (number, (name, settings)) in clusters.into_iter().enumerate().skip(1) {
        let (sender, receiver) = oneshot::channel();
        tried.push(receiver);
        let common = Arc::clone(common);
        tasks.push(tokio::spawn(async move { common.keep(number, &name, &settings, sender).await }));
    }
    let _ = timeout(TRY, join_all(tried)).await;
    let of = Arc::clone(common);
    tokio::spawn(async move {
        tokio::select! {
            () = of.clusters.watch() => {}
            () = of.edge.stopped() => {}
        }
    });
    tasks
}

/// The schema, with the operations of the manifest where there is one, or of the dashboard; and the dashboard.
async fn schema_and_dashboard(settings: &Settings) -> Result<(PortalSchema, Option<Arc<Dashboard>>), Failure> {
    let mut schema = PortalSchema::new(settings.limits.clone());
    if let Some(manifest) = &settings.trusted_manifest {
        let trusted = schema.trust(settings.trusted_documents, manifest).await;
        trusted
            .map_err(|error| Failure(format!("PORTAL_TRUSTED_MANIFEST (--trusted-manifest): {}: {error}", manifest.display())))?;
    }
    let (folder, is_asked_for) = match &settings.dashboard_dir {
        Some(folder) => (folder.clone(), true),
        None if settings.is_development() => (PathBuf::from(DASHBOARD), false),
        None => return Ok((schema, None)),
    };
    let failed = |why: String| Failure(format!("PORTAL_DASHBOARD_DIR (--dashboard-dir): {}: {why}", folder.display()));
    let issuers: Vec<&str> = settings.issuer.iter().map(|issuer| issuer.0.as_str()).collect();
    let Some(dashboard) = Dashboard::open(folder.clone(), &issuers) else {
        return if is_asked_for {
            Err(failed("there is no index.html: `npm ci --prefix dashboard` builds one".to_owned()))
        } else {
            Ok((schema, None))
        };
    };
    let manifest = folder.join("persisted-documents.json");
    if settings.trusted_manifest.is_none() && manifest.is_file() {
        let trusted = schema.trust(TrustedMode::Allow, &manifest).await;
        // It was built for another version of the schema.
        match trusted.map_err(|why| failed(format!("{why}; build it again"))) {
            Ok(()) => {}
            Err(failure) if is_asked_for => return Err(failure),
            Err(Failure(why)) => {
                tracing::warn!("{why}");
                return Ok((schema, None));
            }
        }
    }
    Ok((schema, Some(dashboard)))
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

fn greet(address: SocketAddr, development: &Development, has_dashboard: bool, clock: &Clock) -> Result<(), Failure> {
    let mint = |kind| development.issuer.mint(&token::bearer(kind, None, demo::FIRST_TENANT), WELCOME_TOKEN_SECONDS, clock);
    welcome::print(address, has_dashboard, &mint(Kind::Partner)?, &mint(Kind::Operator)?);
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
