//! A server without a socket on a database of its own, filled with made-up data.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use diesel_async::AsyncPgConnection;
use http_body_util::BodyExt;
use partner_portal::{
    app::App,
    auth::{
        development::{Bearer, DevelopmentIssuer, ISSUER},
        guard::KnownCallers,
        keys::KeySource,
        verifier::{AzpPolicy, TokenVerifier, TrustedIssuer},
    },
    clicks::{ClickSettings, Clicks},
    clock::Clock,
    clusters::Clusters,
    config::{Introspection, limits::Limits},
    db::{
        self, PoolSettings, connect,
        embedded::{Embedded, Options, PostgresSource},
        migrations,
    },
    edge::{Edge, FrontEnds},
    graphql::PortalSchema,
    http,
    keyring::Keyring,
    live::Hub,
    outbound::Reach,
    seed::{self, Amounts, demo},
    telemetry::metrics::Metrics,
    webhooks::Webhooks,
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A server without a socket, and tokens for it.
pub struct Portal {
    /// Stops when it is dropped.
    database: Embedded,
    /// Where its files are, the log among them.
    pub folder: PathBuf,
    /// The whole service.
    pub router: Router,
    /// The token of the first partner's owner.
    pub owner: String,
    /// The token of the tenant's operator.
    pub operator: String,
    issuer: DevelopmentIssuer,
}

impl Portal {
    /// Starts one with the demo data and as much more.
    pub async fn start(amounts: Amounts) -> Self {
        let folder = std::env::temp_dir().join(format!("partner-portal-bench-{}", std::process::id()));
        let cache = std::env::temp_dir().join("partner-portal-cache");
        let options = Options { cache, bin_dir: None, source: PostgresSource::Auto, throw_away: true };
        let database = Embedded::start(&folder, &options).await.expect("PostgreSQL");
        migrations::run(&database.owner()).await.expect("migrations");
        database.grant_roles().await.expect("grants");
        let clock = Clock::default();
        let keyring = Keyring::generate().expect("a key").0;
        let mut connection = connect::establish(&database.owner(), None).await.expect("a connection");
        demo::fill(&mut connection, ISSUER, &keyring, &clock).await.expect("demo data");
        seed::fill(&mut connection, Some(demo::FIRST_TENANT), amounts, &keyring, &clock, |_| ()).await.expect("data");

        let keys = tempfile::tempdir().expect("a folder");
        let issuer = DevelopmentIssuer::open(keys.path()).expect("a key");
        let trusted = TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(issuer.keys()) };
        let limit = Duration::from_secs(10);
        // What is timed is not what a user may spend.
        let limits = Limits {
            user_rate: 1_000_000_000,
            user_burst: 1_000_000_000,
            tenant_rate: 1_000_000_000,
            tenant_burst: 1_000_000_000,
            ..Limits::default()
        };
        let clicks = ClickSettings {
            folder: folder.join("clicks"),
            parameter: "click_id".to_owned(),
            address_header: None,
            country_header: None,
        };
        let settings =
            PoolSettings { size: 4, wait: limit, statement_timeout: limit, linger: db::LINGER, kind: db::DatabaseKind::Single };
        let pool = db::Pool::new(database.login(), settings).expect("a pool");
        let app = App {
            clusters: Clusters::new(Vec::new()),
            clicks: Arc::new(Clicks::new(clicks, &database.login(), clock.clone()).expect("a folder")),
            standbys: db::standbys::Standbys::new(pool.clone(), &[], settings, limit).expect("none"),
            pool,
            schema: Arc::new(PortalSchema::new(limits.clone())),
            edge: Arc::new(Edge::new(limits, 4, FrontEnds::default(), Introspection::On, false)),
            known_callers: KnownCallers::default(),
            verifier: Arc::new(TokenVerifier::new(vec![trusted], vec![], AzpPolicy::default(), clock.clone())),
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            public_url: "http://localhost".into(),
            rates: partner_portal::rates::CommissionRates::default(),
            metrics: Arc::new(Metrics::new().expect("metrics")),
            data_imports: Arc::default(),
            webhooks: Arc::new(Webhooks::new(Reach::Public)),
            hub: Arc::new(Hub::of(&database.login(), settings.kind).await.expect("a hub")),
            files: Arc::new(tokio::sync::Semaphore::new(2)),
            operation_timeout: limit,
            upload_timeout: Duration::from_mins(5),
            development: None,
            dashboard: None,
        };
        let none = String::new();
        let mut portal =
            Self { database, folder, router: http::router(Arc::new(app)), owner: none.clone(), operator: none, issuer };
        portal.owner = portal.token(demo::owner(demo::FIRST_TENANT, 1), None);
        portal.operator = portal.token(demo::operator(demo::FIRST_TENANT), Some("operator"));
        portal
    }

    /// A token of somebody of the first tenant's.
    pub fn token(&self, subject: String, role: Option<&'static str>) -> String {
        let bearer = Bearer { subject, tenant: Some(demo::FIRST_TENANT.to_owned()), role, ..Bearer::default() };
        self.issuer.mint(&bearer, 86_400, &Clock::default()).expect("a token")
    }

    /// A connection as the owner of the tables.
    pub async fn connect(&self) -> AsyncPgConnection {
        connect::establish(&self.database.owner(), None).await.expect("a connection")
    }

    /// Runs an operation.
    pub async fn run(&self, token: &str, body: &str) -> Vec<u8> {
        let request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(with_fresh_keys(body)))
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        response.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }

    /// Runs a query once and gives its data: a bench of errors would be fast.
    pub async fn data(&self, token: &str, query: &str) -> Value {
        let answer: Value = serde_json::from_slice(&self.run(token, &json!({"query": query}).to_string()).await).expect("JSON");
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].clone()
    }
}

/// An operation with an idempotency key of its own in each place of `FRESH_KEY`.
fn with_fresh_keys(operation: &str) -> String {
    let mut parts = operation.split("FRESH_KEY");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &uuid::Uuid::now_v7().to_string() + part)
}

impl Drop for Portal {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
