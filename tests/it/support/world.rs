//! A small world: two tenants of one issuer, Acme with partners A and B, Globex with partner G, and their people.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, Request, header},
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use http_body_util::BodyExt;
use partner_portal::{
    app::App,
    auth::{
        development::ISSUER,
        guard::KnownCallers,
        keys::KeySource,
        verifier::{AzpPolicy, TokenVerifier, TrustedIssuer},
    },
    clicks::Clicks,
    clock::Clock,
    clusters::Clusters,
    config::{Introspection, TrustedMode, limits::Limits},
    db::{self, DatabaseKind, PoolSettings, connect, standbys::Standbys},
    edge::{Edge, FrontEnds},
    graphql, http,
    ids::{LeadId, PartnerId, TenantId, UserId},
    live::Hub,
    telemetry::metrics::Metrics,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::Config;
use tower::ServiceExt;

pub use super::answer::Answer;
use super::{
    cluster, log, programmes, rate_service,
    sql::{number, text},
    tokens,
};

/// The tenant Acme: slug `acme`, US dollars.
pub const ACME: &str = "acme";
/// The tenant Globex: slug `globex`, yen.
pub const GLOBEX: &str = "globex";

/// A web origin that may call from a browser.
pub const FRONT_END: &str = "https://portal.example.com";

/// How a world's server is set up.
pub struct Setup {
    pub pool: usize,
    pub operation_timeout: Duration,
    pub limits: Limits,
    pub introspection: Introspection,
    pub trusted: Option<(TrustedMode, std::path::PathBuf)>,
    /// Whether it tells of changes.
    pub is_live: bool,
    /// How long a request may wait for a connection.
    pub pool_wait: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long a transaction that was read in waits for the next request.
    pub linger: Duration,
    /// Another database than one of the run's cluster.
    pub database: Option<cluster::Database>,
    /// Where the commission-rate service is, if there is one.
    pub rates: Option<url::Url>,
    /// Standbys that queries are answered by, too.
    pub standbys: Vec<Config>,
    /// How far those may be behind.
    pub read_lag: Duration,
}

impl Default for Setup {
    /// As tests need it that are not about this: nobody's budget is ever spent.
    fn default() -> Self {
        const ENDLESS: usize = 1_000_000_000;
        let limits =
            Limits { user_rate: ENDLESS, user_burst: ENDLESS, tenant_rate: ENDLESS, tenant_burst: ENDLESS, ..Limits::default() };
        Self {
            pool: 4,
            operation_timeout: Duration::from_secs(30),
            limits,
            introspection: Introspection::On,
            trusted: None,
            is_live: false,
            pool_wait: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(20),
            linger: db::LINGER,
            database: None,
            rates: None,
            standbys: Vec::new(),
            read_lag: Duration::from_secs(2),
        }
    }
}

/// A server with its database.
pub struct World {
    pub app: Arc<App>,
    pub router: Router,
    pub database: cluster::Database,
    _looking: Arc<JoinSet<()>>,
    is_live: bool,
    pub acme: TenantId,
    pub globex: TenantId,
    /// Acme's partner A: owner `owner_a`, member `member_a`, organisation `org_a`, a tenth of each deal.
    pub a: PartnerId,
    /// Acme's partner B: owner `owner_b`, organisation `org_b`.
    pub b: PartnerId,
    /// Globex's partner G: owner `owner_g`, organisation `org_g`.
    pub g: PartnerId,
}

impl World {
    /// A fresh one.
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    /// A fresh one whose operations may take so long.
    pub async fn with_limit(operation_timeout: Duration) -> Self {
        Self::with(Setup { operation_timeout, ..Setup::default() }).await
    }

    /// A fresh one whose server has so many connections.
    pub async fn with_pool(pool: usize) -> Self {
        Self::with(Setup { pool, ..Setup::default() }).await
    }

    /// A fresh one with these limits.
    pub async fn with_limits(limits: Limits) -> Self {
        Self::with(Setup { limits, ..Setup::default() }).await
    }

    /// A fresh one that is set up like this.
    pub async fn with(setup: Setup) -> Self {
        let world = Self::unpopulated(setup).await;
        world.populate().await;
        world
    }

    /// Another server on the same database.
    pub async fn twin(&self) -> Self {
        self.twin_on(self.database.clone()).await
    }

    /// Another server, on a copy of the database.
    pub async fn twin_on(&self, database: cluster::Database) -> Self {
        self.twin_with(Setup { database: Some(database), ..Setup::default() }).await
    }

    /// Another server on the same database, or on a copy of it, that is set up like this.
    pub async fn twin_with(&self, setup: Setup) -> Self {
        let database = setup.database.unwrap_or_else(|| self.database.clone());
        let twin = Self::unpopulated(Setup { database: Some(database), is_live: self.is_live, ..setup }).await;
        Self { acme: self.acme, globex: self.globex, a: self.a, b: self.b, g: self.g, ..twin }
    }

    async fn unpopulated(setup: Setup) -> Self {
        let Setup {
            pool: size,
            operation_timeout,
            limits,
            introspection,
            trusted,
            is_live,
            pool_wait,
            statement_timeout,
            linger,
            database,
            rates,
            standbys,
            read_lag,
        } = setup;
        log::gather();
        let database = match database {
            Some(database) => database,
            None => cluster::migrated_database().await,
        };
        let clock = Clock::default();
        let rates = rates.map_or_else(Default::default, |url| rate_service::client(url, &clock));
        let settings = PoolSettings {
            size,
            wait: pool_wait,
            statement_timeout,
            linger,
            kind: if standbys.is_empty() { DatabaseKind::Single } else { DatabaseKind::Primary },
        };
        let issuer = TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(tokens::issuer().keys()) };
        let verifier = TokenVerifier::new(vec![issuer], vec![], AzpPolicy::WhenPresent, clock.clone());
        let mut schema = graphql::PortalSchema::new(limits.clone());
        if let Some((mode, manifest)) = trusted {
            schema.trust(mode, &manifest).await.expect("a manifest");
        }
        let front_ends =
            FrontEnds { origins: vec![FRONT_END.to_owned()], headers: vec![HeaderName::from_static("x-app-version")] };
        let clicks = Clicks::new(programmes::click_settings(), &database.login, clock.clone()).expect("a folder of clicks");
        let pool = db::Pool::new(database.login.clone(), settings).expect("a pool");
        let app = Arc::new(App {
            clusters: Clusters::new(Vec::new()),
            standbys: Standbys::new(pool.clone(), &standbys, settings, read_lag).expect("pools"),
            pool,
            schema: Arc::new(schema),
            edge: Arc::new(Edge::new(limits, size, front_ends, introspection, false)),
            known_callers: KnownCallers::default(),
            verifier: Arc::new(verifier),
            keyring: Arc::new(super::KEYS.parse().expect("a keyring")),
            clock,
            clicks: Arc::new(clicks),
            public_url: "https://portal.example.com".into(),
            rates,
            metrics: Arc::new(Metrics::new().expect("metrics")),
            data_imports: Arc::default(),
            webhooks: crate::webhooks::anywhere(),
            hub: Arc::new(Hub::of(&database.login, settings.kind).await.expect("a hub")),
            files: Arc::new(tokio::sync::Semaphore::new(2)),
            operation_timeout,
            upload_timeout: operation_timeout.max(Duration::from_mins(1)),
            development: None,
            dashboard: None,
        });
        if is_live {
            app.hub.listen(database.login.clone()).await.expect("a listener");
        }
        Self {
            _looking: Arc::new(app.standbys.watch(&database.login)),
            router: http::router(Arc::clone(&app)),
            app,
            database,
            is_live,
            acme: TenantId::new(),
            globex: TenantId::new(),
            a: PartnerId::new(),
            b: PartnerId::new(),
            g: PartnerId::new(),
        }
    }

    async fn populate(&self) {
        let Self { acme, globex, a, b, g, .. } = self;
        self.sql(&format!(
            "INSERT INTO tenants (id, slug, name, issuer, default_currency) VALUES
                ('{}', 'acme', 'Acme', '{ISSUER}', 'USD'), ('{}', 'globex', 'Globex', '{ISSUER}', 'JPY')",
            acme.uuid(),
            globex.uuid()
        ))
        .await;
        for (tenant, partner, name) in [(acme, a, "a"), (acme, b, "b"), (globex, g, "g")] {
            self.sql(&format!(
                "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate, clerk_org_id)
                    VALUES ('{tenant}', '{partner}', 'Partner {upper}', 'active', 0.1, 'org_{name}');
                 INSERT INTO partner_profiles (tenant_id, partner_id) VALUES ('{tenant}', '{partner}')",
                tenant = tenant.uuid(),
                partner = partner.uuid(),
                upper = name.to_uppercase()
            ))
            .await;
            self.add_user(*tenant, *partner, &format!("owner_{name}"), "owner").await;
        }
        self.add_user(*acme, *a, "member_a", "member").await;
    }

    /// Adds a person to a partner.
    pub async fn add_user(&self, tenant: TenantId, partner: PartnerId, subject: &str, role: &str) -> UserId {
        let (id, tenant, partner) = (UserId::new(), tenant.uuid(), partner.uuid());
        self.sql(&format!(
            "INSERT INTO users (tenant_id, id, clerk_user_id, name, default_partner_id)
                VALUES ('{tenant}', '{}', '{subject}', 'Name of {subject}', '{partner}');
             INSERT INTO partner_users (tenant_id, partner_id, user_id, role) VALUES ('{tenant}', '{partner}', '{}', '{role}')",
            id.uuid(),
            id.uuid()
        ))
        .await;
        id
    }

    /// Adds `count` leads to a partner, one second apart; gives their ids, the oldest first.
    pub async fn add_leads(&self, tenant: TenantId, partner: PartnerId, count: usize) -> Vec<LeadId> {
        let ids: Vec<LeadId> = (0..count).map(|_| LeadId::new()).collect();
        let list: Vec<String> = ids.iter().map(|id| format!("'{}'", id.uuid())).collect();
        self.sql(&format!(
            "INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, deal_value, commission_fixed, currency, created_at)
             SELECT '{tenant}', id, '{partner}', 'Client ' || n, 'client' || n || '@example.com', 'Plan', n * 10, true, 'USD',
                    timestamptz '2026-01-01' + n * interval '1 second'
             FROM unnest(ARRAY[{}]::uuid[]) WITH ORDINALITY AS new (id, n);
             INSERT INTO lead_status_changes (tenant_id, id, partner_id, lead_id, to_status)
             SELECT tenant_id, gen_random_uuid(), partner_id, id, 'pending' FROM partner_leads WHERE id = ANY (ARRAY[{0}]::uuid[])",
            list.join(","),
            tenant = tenant.uuid(),
            partner = partner.uuid(),
        ))
        .await;
        // That they are there is published before anybody watches.
        while self.is_live && self.number("SELECT count(*) FROM events WHERE place IS NULL").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ids
    }

    /// Adds one lead.
    pub async fn add_lead(&self, tenant: TenantId, partner: PartnerId) -> LeadId {
        self.add_leads(tenant, partner, 1).await[0]
    }

    /// A connection as the owner of the tables.
    pub async fn owner(&self) -> AsyncPgConnection {
        connect::establish(&self.database.owner, None).await.expect("a connection")
    }

    /// Runs statements as the owner of the tables.
    pub async fn sql(&self, sql: &str) {
        self.owner().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The number that a query gives, asked as the owner of the tables.
    pub async fn number(&self, sql: &str) -> i64 {
        number(&mut self.owner().await, sql).await
    }

    /// The text that a query gives, asked as the owner of the tables; empty for NULL.
    pub async fn text(&self, sql: &str) -> String {
        text(&mut self.owner().await, sql).await
    }

    /// Waits until so many statements of this database wait for a lock.
    pub async fn until_locked(&self, count: i64) {
        let waiting = "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()";
        for _ in 0..1_000 {
            if self.number(waiting).await >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("fewer than {count} statements wait for a lock");
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let body = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
        Answer { status: parts.status, headers: parts.headers, body, text }
    }

    /// Runs an operation with a token.
    pub async fn run(&self, token: &str, query: &str, variables: Value) -> Answer {
        let body = with_fresh_keys(&json!({"query": query, "variables": variables}).to_string());
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        self.send(request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(Body::from(body)).expect("a request"))
            .await
    }

    /// Runs an operation as a user of Acme's.
    pub async fn acme(&self, subject: &str, query: &str, variables: Value) -> Answer {
        self.run(&tokens::token(subject, ACME), query, variables).await
    }

    /// Runs an operation as partner A's owner.
    pub async fn owner_a(&self, query: &str, variables: Value) -> Answer {
        self.acme("owner_a", query, variables).await
    }

    /// Runs an operation as Acme's operator.
    pub async fn operator(&self, query: &str, variables: Value) -> Answer {
        self.run(&tokens::staff_token("operator", ACME), query, variables).await
    }

    /// Runs an operation as a machine of Acme's.
    pub async fn service(&self, query: &str, variables: Value) -> Answer {
        self.run(&tokens::staff_token("service", ACME), query, variables).await
    }
}

/// An operation with an idempotency key of its own in each place of `FRESH_KEY`.
pub fn with_fresh_keys(operation: &str) -> String {
    let mut parts = operation.split("FRESH_KEY");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &uuid::Uuid::now_v7().to_string() + part)
}

/// An input with an idempotency key of its own, unless it has one.
pub fn keyed(mut input: Value) -> Value {
    input.as_object_mut().expect("an object").entry("idempotencyKey").or_insert_with(|| json!("FRESH_KEY"));
    input
}
