//! What must stay fast: whole operations through the router, on a database of their own. `cargo bench` prints the time of each, and how
//! many SQL statements it takes; nothing here judges it.

mod portal;

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use diesel_async::SimpleAsyncConnection;
use partner_portal::seed::Amounts;
use portal::Portal;
use serde_json::json;
use tokio::runtime::Runtime;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// How much there is to read from, besides the demo data.
const AMOUNTS: Amounts =
    Amounts { partners: 200, leads: 20_000, invoices: 2_000, members: 400, clicks: 0, pays_monthly: false, seed: 7 };

/// Reads from the log how many statements the last operation took.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Statements {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "statements" {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

fn operations(criterion: &mut Criterion) {
    let statements = Statements::default();
    tracing_subscriber::registry().with(statements.clone().with_filter(LevelFilter::INFO)).init();
    let runtime = Runtime::new().expect("a runtime");
    let portal = runtime.block_on(Portal::start(AMOUNTS));
    runtime.block_on(async { portal.connect().await.batch_execute("VACUUM ANALYZE").await.expect("statistics") });
    let lead =
        runtime.block_on(portal.data(&portal.owner, "{ leads(first: 1) { nodes { id } } }"))["leads"]["nodes"][0]["id"].clone();
    let me = runtime.block_on(portal.data(&portal.owner, "{ me { partner { id } } members(first: 1) { nodes { id } } }"));
    let (partner, member) = (&me["me"]["partner"]["id"], &me["members"]["nodes"][0]["id"]);
    let grant = format!(
        "mutation {{ grantCredits(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: {partner}, credits: 10000000, reason: \"R\" }}) {{ grant {{ id }} }} }}"
    );
    runtime.block_on(portal.data(&portal.operator, &grant));
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
                 profile {{ paymentMethod taxIdMasked }} }} stats {{ totalLeads convertedLeads conversionRate }} \
                 recentLeads(first: 10) {{ {fields} history {{ to at }} }} }} }}"
            ),
        ),
        (
            "50 leads",
            &portal.owner,
            format!("{{ leads(first: 50) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"),
        ),
        (
            "100 commissions",
            &portal.owner,
            "{ commissions { nodes { id status amount { amount currency } eventDate customer { name } } pageInfo { endCursor } } }".to_owned(),
        ),
        (
            "earnings",
            &portal.owner,
            "{ dashboard { partner { rank } stats { totalEarnings { amount } pendingEarnings { amount } } revenue { totalCommissions { amount } } \
             earningsOverTime { start earned { amount } paid { amount } } } }"
                .to_owned(),
        ),
        (
            "50 members, 2 allocations each",
            &portal.owner,
            "{ members(first: 50) { nodes { email status creditsAssigned creditsAvailable creditAllocations(first: 2) { nodes { credits available expiresAt } } } } \
             dashboard { credits { balance assigned used expired } memberCounts { total } } }"
                .to_owned(),
        ),
        (
            "assign 10 credits",
            &portal.owner,
            format!(
                "mutation {{ assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: {member}, credits: 10 }}) {{ allocation {{ id available }} userErrors {{ code }} }} }}"
            ),
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
        println!("{name}: {} SQL statements", statements.0.load(Ordering::Relaxed));
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
