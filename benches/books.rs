//! The books with a million commissions (`PORTAL_BENCH_EVENTS` says how many): that figures and pages read a bounded number of rows, that
//! an export and a verification keep their memory flat, and how long each takes. `cargo bench --bench books` prints what PostgreSQL says
//! of its plans; nothing here judges it.

#[path = "portal/memory.rs"]
mod memory;
mod portal;

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{Request, header},
};
use diesel_async::SimpleAsyncConnection;
use http_body_util::BodyExt;
use memory::memory;
use partner_portal::{
    seed::{Amounts, demo},
    verify,
};
use portal::Portal;
use serde_json::json;
use tower::ServiceExt;

/// Besides the demo data; what there is most of is loaded below.
const AMOUNTS: Amounts = Amounts { partners: 50, leads: 0, invoices: 0, members: 0, clicks: 0, pays_monthly: false, seed: 7 };
/// Commissions in one transaction of the loading.
const CHUNK: u64 = 5_000;

fn main() {
    // `cargo test` runs benches once, and has no use for this one.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let events = std::env::var("PORTAL_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(events));
}

async fn run(events: u64) {
    let portal = Portal::start(AMOUNTS).await;
    let started = Instant::now();
    load(&portal, events).await;
    println!("{events} commissions and their transfers are loaded, in {:.0} s", started.elapsed().as_secs_f64());
    prove(&portal).await;
    let year = "period: { from: \"2025-11-21\", before: \"2026-11-21\" }";
    let queries = [
        (
            "a partner's metrics of a year",
            &portal.owner,
            format!("{{ revenueMetrics({year}) {{ totalCommissions {{ amount }} }} }}"),
        ),
        (
            "the tenant's metrics of a year",
            &portal.operator,
            format!("{{ revenueMetrics({year}) {{ totalCommissions {{ amount }} }} }}"),
        ),
        ("a partner's first page of commissions", &portal.owner, "{ commissions { nodes { id amount { amount } } } }".to_owned()),
        (
            "the tenant's first page of commissions",
            &portal.operator,
            "{ commissions { nodes { id amount { amount } } } }".to_owned(),
        ),
        ("a partner's ledger", &portal.owner, "{ me { partner { ledger { nodes { kind amount { amount } } } } } }".to_owned()),
        (
            "a partner's rank and earnings",
            &portal.owner,
            "{ dashboard { partner { rank } stats { totalEarnings { amount } } } }".to_owned(),
        ),
    ];
    for (name, token, query) in &queries {
        println!("{name}: median {:.2} ms", median(&portal, token, query).await.as_secs_f64() * 1_000.0);
    }
    export(&portal).await;
    explain(&portal).await;
    for (name, token, query) in &queries {
        println!("\n== {name}\n{}", plans(&portal, token, query).await);
    }
}

/// Invoices, commissions and transfers in bulk, by the triggers that always keep the books.
async fn load(portal: &Portal, events: u64) {
    let mut owner = portal.connect().await;
    let tenant = format!("(SELECT id FROM tenants WHERE slug = '{}')", demo::FIRST_TENANT);
    owner
        .batch_execute(&format!(
            "CREATE TEMP TABLE managed AS SELECT row_number() OVER () - 1 AS place, a.tenant_id, a.partner_id, a.customer_id
             FROM partner_accounts a WHERE a.tenant_id = {tenant} AND a.commission_rate IS NULL"
        ))
        .await
        .expect("the customers");
    let mut from = 0;
    while from < events {
        let to = (from + CHUNK).min(events);
        owner
            .batch_execute(&format!(
                "BEGIN;
                 CREATE TEMP TABLE batch ON COMMIT DROP AS
                     SELECT m.tenant_id, m.partner_id, m.customer_id, gen_random_uuid() AS id, 'bulk_' || n AS invoice,
                         10 + n % 990 AS base, timestamptz '2025-11-21' + n * (interval '364 days' / {events}) AS at
                     FROM generate_series({from}, {to} - 1) n JOIN managed m ON m.place = n % (SELECT count(*) FROM managed);
                 INSERT INTO invoices (tenant_id, external_id, customer_id, currency, amount, paid_at)
                     SELECT tenant_id, invoice, customer_id, 'USD', base, at FROM batch;
                 INSERT INTO partner_commission_events
                     (tenant_id, id, partner_id, event_type, status, customer_id, invoice_id, source, base, rate, amount, currency, event_date)
                     SELECT tenant_id, id, partner_id, 'invoice_payment', 'approved', customer_id, invoice, 'partner_rate', base, 0.1, base * 0.1, 'USD', at FROM batch;
                 INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id)
                     SELECT tenant_id, partner_id, 'USD', 'expense', 'payable', base * 0.1, 'earn', id FROM batch;
                 COMMIT"
            ))
            .await
            .expect("a batch");
        from = to;
    }
    owner.batch_execute("VACUUM ANALYZE").await.expect("statistics");
}

async fn prove(portal: &Portal) {
    let mut owner = portal.connect().await;
    let ((before, _), started) = (memory(), Instant::now());
    let findings = verify::run(&mut owner, None, |_| ()).await.expect("the rules");
    let failed = findings.iter().filter(|finding| finding.faults > 0).count();
    let checked: i64 = findings.iter().map(|finding| finding.checked).sum();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "verify: {failed} of {} rules fail, {checked} rows checked in {seconds:.1} s, peak memory {before} MB before and {} MB after",
        findings.len(),
        memory().0
    );
}

async fn export(portal: &Portal) {
    let request = Request::get("/export/commissions.csv").header(header::AUTHORIZATION, format!("Bearer {}", portal.operator));
    let ((before, _), started) = (memory(), Instant::now());
    let response = portal.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let mut body = response.into_body();
    let (mut bytes, mut lines) = (0, 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("a part");
        let data = frame.data_ref().map_or(&[][..], |data| data);
        bytes += data.len();
        lines += data.split(|&byte| byte == b'\n').count() - 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "\nexport: {lines} lines, {} MB in {seconds:.1} s, peak memory {before} MB before and {} MB after",
        bytes / 1_000_000,
        memory().0
    );
}

async fn median(portal: &Portal, token: &str, query: &str) -> Duration {
    portal.data(token, query).await;
    let body = json!({"query": query}).to_string();
    let mut times = Vec::new();
    for _ in 0..101 {
        let started = Instant::now();
        portal.run(token, &body).await;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// From here on PostgreSQL logs the plan of every statement of a new connection, with what it read.
async fn explain(portal: &Portal) {
    let mut owner = portal.connect().await;
    owner
        .batch_execute(
            "ALTER DATABASE portal SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE portal SET auto_explain.log_min_duration = 0;
             ALTER DATABASE portal SET auto_explain.log_analyze = on;
             ALTER DATABASE portal SET auto_explain.log_buffers = on;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'portal' AND pid <> pg_backend_pid()",
        )
        .await
        .expect("settings");
    // The pool finds its connections closed, and opens new ones.
    for _ in 0..20 {
        portal.run(&portal.owner, &json!({"query": "{ me { role } }"}).to_string()).await;
    }
}

/// The plans of an operation's own statements.
async fn plans(portal: &Portal, token: &str, query: &str) -> String {
    let log = portal.folder.join("postgres.log");
    let length = std::fs::metadata(&log).map_or(0, |log| log.len());
    portal.data(token, query).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let text = std::fs::read(&log).expect("the log");
    let text = String::from_utf8_lossy(&text[usize::try_from(length).unwrap_or(0)..]).into_owned();
    let entries = text.split("duration: ").filter(|entry| entry.contains("Query Text"));
    let own = entries.filter(|entry| {
        ["commission_totals", "partner_commission_events", "transfers", "accounts", "partner_ranks"]
            .iter()
            .any(|table| entry.contains(table))
    });
    let lines = own.flat_map(|entry| entry.lines().filter(|line| line.starts_with('\t') && !line.contains("Query Text")));
    lines.map(|line| line.trim_start_matches('\t').to_owned()).collect::<Vec<_>>().join("\n")
}
