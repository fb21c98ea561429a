//! What must stay fast: whole operations through the router, on a database of their own. `cargo bench` prints the time of each;
//! nothing here judges it.

use std::{hint::black_box, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::BodyExt;
use partner_portal::{
    app::App,
    auth::{
        development::{Bearer, DevelopmentIssuer, ISSUER},
        keys::KeySource,
        verifier::{AzpPolicy, TokenVerifier, TrustedIssuer},
    },
    clock::Clock,
    db::{
        self, PoolSettings, connect,
        embedded::{Embedded, Options, Source},
        migrations,
    },
    graphql::PortalSchema,
    http,
    keyring::Keyring,
    seed::{self, Amounts, demo},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// How much there is to read from.
const PARTNERS: u32 = 200;
const LEADS: u32 = 20_000;

/// A server without a socket, and tokens for it.
struct Portal {
    // Stops when it is dropped.
    _database: Embedded,
    _folder: PathBuf,
    router: Router,
    owner: String,
    operator: String,
}

impl Portal {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("partner-portal-bench-{}", std::process::id()));
        let cache = std::env::temp_dir().join("partner-portal-cache");
        let options = Options { cache, bin_dir: None, source: Source::Auto, throw_away: true };
        let database = Embedded::start(&folder, &options).await.expect("PostgreSQL");
        migrations::run(&database.owner()).await.expect("migrations");
        database.grant_roles().await.expect("grants");
        let clock = Clock::default();
        let keyring = Keyring::generate().expect("a key").0;
        let mut connection = connect::establish(&database.owner(), None).await.expect("a connection");
        demo::fill(&mut connection, ISSUER, &keyring, &clock).await.expect("demo data");
        let amounts = Amounts { partners: PARTNERS, leads: LEADS, invoices: 2_000, seed: 7 };
        seed::fill(&mut connection, Some(demo::FIRST_TENANT), amounts, &keyring, &clock, |_| ()).await.expect("data");

        let keys = tempfile::tempdir().expect("a folder");
        let issuer = DevelopmentIssuer::open(keys.path()).expect("a key");
        let token = |subject: String, role| {
            let bearer = Bearer { subject, tenant: Some(demo::FIRST_TENANT.to_owned()), role, ..Bearer::default() };
            issuer.mint(&bearer, 86_400, &clock).expect("a token")
        };
        let trusted = TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(issuer.keys()) };
        let limit = Duration::from_secs(10);
        let app = App {
            pool: db::pool(database.login(), PoolSettings { size: 4, wait: limit, statement_timeout: limit }).expect("a pool"),
            schema: PortalSchema::new(),
            verifier: TokenVerifier {
                issuers: vec![trusted],
                authorized_parties: vec![],
                azp: AzpPolicy::default(),
                clock: clock.clone(),
            },
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            exports: Arc::new(tokio::sync::Semaphore::new(2)),
            operation_timeout: limit,
            development: None,
        };
        let owner = token(demo::owner(demo::FIRST_TENANT, 1), None);
        let operator = token(demo::operator(demo::FIRST_TENANT), Some("operator"));
        Self { _database: database, _folder: folder, router: http::router(Arc::new(app)), owner, operator }
    }

    async fn run(&self, token: &str, body: &str) -> Vec<u8> {
        let request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(body.to_owned()))
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        response.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }

    /// Runs a query once and gives its data: a bench of errors would be fast.
    async fn data(&self, token: &str, query: &str) -> Value {
        let answer: Value = serde_json::from_slice(&self.run(token, &json!({"query": query}).to_string()).await).expect("JSON");
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].clone()
    }
}

fn operations(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let portal = runtime.block_on(Portal::start());
    let lead =
        runtime.block_on(portal.data(&portal.owner, "{ leads(first: 1) { nodes { id } } }"))["leads"]["nodes"][0]["id"].clone();
    let fields =
        "id clientName clientEmail status dealValue { amount currency } commission { amount currency } createdAt updatedAt";
    let queries = [
        ("viewer", &portal.owner, "{ me { role } }".to_owned()),
        ("one lead", &portal.owner, format!("{{ lead(id: {lead}) {{ {fields} }} }}")),
        (
            "dashboard",
            &portal.owner,
            format!(
                "{{ me {{ user {{ name }} permissions }} dashboard {{ canAccessDashboard partner {{ companyName status commissionRate \
                 profile {{ paymentMethod taxIdMasked }} }} stats {{ totalReferrals convertedReferrals conversionRate }} \
                 recentLeads(first: 10) {{ {fields} history {{ to at }} }} }} }}"
            ),
        ),
        (
            "50 leads",
            &portal.owner,
            format!("{{ leads(first: 50) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"),
        ),
        (
            "50 partners, 5 leads each",
            &portal.operator,
            format!(
                "{{ partners(first: 50) {{ nodes {{ id companyName leads(first: 5) {{ nodes {{ {fields} partner {{ companyName }} }} }} }} }} }}"
            ),
        ),
    ];
    let mut group = criterion.benchmark_group("operation");
    group.throughput(Throughput::Elements(1));
    for (name, token, query) in queries {
        runtime.block_on(portal.data(token, &query));
        let body = json!({"query": query}).to_string();
        let portal = &portal;
        group.bench_with_input(BenchmarkId::from_parameter(name), &body, |bencher, body| {
            bencher.to_async(&runtime).iter(async || black_box(portal.run(token, body).await));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    targets = operations
}
criterion_main!(benches);
