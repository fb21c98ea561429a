//! Metrics, in Prometheus's text format. Labels take a bounded number of values: what callers name is counted by name only so far.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::db::{
    pool::Status,
    standbys::{StandbyStatus, State},
};

/// How many names of operations have metrics of their own. Later ones are counted as `other`.
const NAMES: usize = 100;
/// The bounds of the histogram of seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];
/// The bounds of the histogram of statements.
const STATEMENTS: [f64; 8] = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 50.0];

/// What is counted.
pub struct Metrics {
    registry: Registry,
    names: Mutex<HashSet<String>>,
    operations: IntCounterVec,
    seconds: HistogramVec,
    statements: HistogramVec,
    refusals: IntCounterVec,
    responses: IntCounterVec,
    connections: IntGaugeVec,
    subscriptions: IntGauge,
    websockets: IntGauge,
    delivered: IntCounter,
    retries: IntCounter,
    postings: IntGauge,
    click_backlog: IntGauge,
    lost_clicks: IntCounter,
    webhooks: IntCounterVec,
    reads: IntCounterVec,
    reads_repeated: IntCounter,
    standbys: StandbyGauges,
    cluster_up: IntGaugeVec,
    cluster_tenants: IntGaugeVec,
}

/// What is shown of each standby.
struct StandbyGauges {
    serving: IntGaugeVec,
    behind: IntGaugeVec,
    connections: IntGaugeVec,
}

/// The figures that are looked up when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Now {
    /// Database connections.
    pub connections: Status,
    /// Open subscriptions.
    pub subscriptions: usize,
    /// WebSocket connections that are open.
    pub websockets: usize,
    /// Postings in the ledger; `None` where the database does not answer.
    pub postings: Option<i64>,
    /// Bytes of clicks that are not in the database yet.
    pub click_backlog: u64,
    /// Clicks that could not be kept, since the server began.
    pub lost_clicks: u64,
    /// Attempts to send webhooks that were taken, since the server began.
    pub webhooks_taken: u64,
    /// Those that failed.
    pub webhooks_failed: u64,
    /// How much was read from where, since the server began; nothing where no standby is read from.
    pub reads: Vec<(&'static str, u64)>,
    /// How each standby is.
    pub standbys: Vec<StandbyStatus>,
    /// How much was read elsewhere than at first.
    pub reads_repeated: u64,
    /// How many tenants are on each cluster, where there are several; `None` of one that has not been started.
    pub clusters: Vec<(String, Option<usize>)>,
}

impl Metrics {
    /// Everything at nothing.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let histograms = |name: &str, help: &str, buckets: &[f64]| {
            let histograms = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &["operation"])?;
            registry.register(Box::new(histograms.clone())).map(|()| histograms)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        let delivered = IntCounter::new("portal_events_told_total", "Events that were sent to subscribers.")?;
        registry.register(Box::new(delivered.clone()))?;
        let retries = IntCounter::new(
            "portal_transactions_retried_total",
            "Transactions that PostgreSQL ended to let another go on (40P01, 40001), and that were run again.",
        )?;
        registry.register(Box::new(retries.clone()))?;
        let lost_clicks =
            IntCounter::new("portal_clicks_lost_total", "Clicks whose visitors went on, and that could not be kept.")?;
        registry.register(Box::new(lost_clicks.clone()))?;
        let reads_repeated = IntCounter::new(
            "portal_reads_repeated_total",
            "Queries, events and exports that were read from another database, because the first did not answer, or did not know the caller.",
        )?;
        registry.register(Box::new(reads_repeated.clone()))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            names: Mutex::default(),
            operations: counters(
                "portal_operations_total",
                "Operations that ran, by name, type and outcome (ok, or the first error's code).",
                &["operation", "type", "outcome"],
            )?,
            seconds: histograms(
                "portal_operation_seconds",
                "How long operations took, from their permit to their answer.",
                &SECONDS,
            )?,
            statements: histograms("portal_operation_statements", "How many SQL statements operations took.", &STATEMENTS)?,
            refusals: counters("portal_refusals_total", "Operations that did not run, by code.", &["code"])?,
            responses: counters("portal_http_responses_total", "HTTP responses, by status.", &["status"])?,
            subscriptions: gauge("portal_subscriptions", "Subscriptions that are open.")?,
            websockets: gauge("portal_websockets", "WebSockets that are open and have said who they are.")?,
            postings: gauge(
                "portal_ledger_postings",
                "Transfers posted to the ledger since PostgreSQL began to count, some of them rolled back.",
            )?,
            click_backlog: gauge(
                "portal_click_backlog_bytes",
                "Clicks that were answered and are not in the database yet, in bytes.",
            )?,
            webhooks: counters(
                "portal_webhook_attempts_total",
                "Attempts to send webhooks, by what came of them.",
                &["outcome"],
            )?,
            connections: gauges("portal_pool_connections", "Database connections, and requests that wait for one.", &["state"])?,
            reads: counters(
                "portal_reads_total",
                "Queries, events and exports by what they were read from: a standby; the primary; the primary, because the standby had not replayed what was required.",
                &["from"],
            )?,
            cluster_up: gauges(
                "portal_cluster_started",
                "Whether the server serves the cluster's tenants (1), or has not reached it since it began (0).",
                &["cluster"],
            )?,
            cluster_tenants: gauges("portal_cluster_tenants", "Tenants on the cluster.", &["cluster"])?,
            standbys: StandbyGauges {
                serving: gauges(
                    "portal_standby_serving",
                    "Whether the standby answers queries (1) or is left out (0).",
                    &["standby"],
                )?,
                behind: gauges(
                    "portal_standby_behind_bytes",
                    "How much of the write-ahead log the standby has not replayed.",
                    &["standby"],
                )?,
                connections: gauges(
                    "portal_standby_connections",
                    "Connections to the standby, and requests that wait for one.",
                    &["standby", "state"],
                )?,
            },
            reads_repeated,
            lost_clicks,
            delivered,
            retries,
            registry,
        })
    }

    /// An operation ran.
    pub fn ran(&self, name: Option<&str>, kind: &str, outcome: &str, took: Duration, statements: u32) {
        let name = self.bounded(name);
        self.operations.with_label_values(&[&name, kind, outcome]).inc();
        self.seconds.with_label_values(&[&name]).observe(took.as_secs_f64());
        self.statements.with_label_values(&[&name]).observe(f64::from(statements));
    }

    /// An operation was refused.
    pub fn refused(&self, code: &str) {
        self.refusals.with_label_values(&[code]).inc();
    }

    /// A request was answered.
    pub fn responded(&self, status: u16) {
        self.responses.with_label_values(&[&status.to_string()]).inc();
    }

    /// So many transactions of an operation were run again.
    pub fn retried(&self, count: u32) {
        self.retries.inc_by(u64::from(count));
    }

    /// An event was sent to a subscriber.
    pub fn event_delivered(&self) {
        self.delivered.inc();
    }

    /// All of it as text.
    pub fn text(&self, now: Now) -> Result<String, prometheus::Error> {
        for (state, count) in by_state(now.connections) {
            self.connections.with_label_values(&[state]).set(count);
        }
        for (from, count) in &now.reads {
            raise(&self.reads.with_label_values(&[from]), *count);
        }
        raise(&self.reads_repeated, now.reads_repeated);
        for standby in &now.standbys {
            let name = standby.name.as_str();
            self.standbys.serving.with_label_values(&[name]).set((standby.state == State::Serving).into());
            if let Some(behind) = standby.behind {
                self.standbys.behind.with_label_values(&[name]).set(i64::try_from(behind).unwrap_or(i64::MAX));
            }
            for (state, count) in by_state(standby.connections) {
                self.standbys.connections.with_label_values(&[name, state]).set(count);
            }
        }
        for (name, tenants) in &now.clusters {
            self.cluster_up.with_label_values(&[name]).set(tenants.is_some().into());
            self.cluster_tenants.with_label_values(&[name]).set(whole(tenants.unwrap_or_default()));
        }
        self.subscriptions.set(whole(now.subscriptions));
        self.websockets.set(whole(now.websockets));
        self.click_backlog.set(i64::try_from(now.click_backlog).unwrap_or(i64::MAX));
        raise(&self.lost_clicks, now.lost_clicks);
        for (outcome, count) in [("taken", now.webhooks_taken), ("failed", now.webhooks_failed)] {
            raise(&self.webhooks.with_label_values(&[outcome]), count);
        }
        if let Some(postings) = now.postings {
            self.postings.set(postings);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    fn bounded(&self, name: Option<&str>) -> String {
        let Some(name) = name else { return "anonymous".to_owned() };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            if names.len() >= NAMES || name.len() > 100 {
                return "other".to_owned();
            }
            names.insert(name.to_owned());
        }
        name.to_owned()
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A pool's connections by what they do, and the requests that wait for one.
fn by_state(Status { size, idle, waiting }: Status) -> [(&'static str, i64); 3] {
    [("used", whole(size.saturating_sub(idle))), ("free", whole(idle)), ("waiting", whole(waiting))]
}

/// Raises a counter to what has been counted elsewhere.
fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many names callers invent, the number of metrics is bounded.
    #[test]
    fn names_are_bounded() {
        let metrics = Metrics::new().expect("metrics");
        for n in 0..10_000 {
            metrics.ran(Some(&format!("Name{n}")), "query", "ok", Duration::ZERO, 1);
        }
        let text = metrics.text(Now::default()).expect("text");
        assert!(text.lines().filter(|line| line.starts_with("portal_operations_total{")).count() == NAMES + 1);
        assert!(text.contains("operation=\"other\""));
    }
}
