//! `/metrics`, on a port of its own, for the operators of the server.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{app::App, models::ledger, telemetry::metrics::Now};

/// The service beside the API.
pub fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(app)
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let all = app.all();
    let sum = |of: fn(&App) -> u64| all.iter().map(|app| of(app)).sum();
    let now = Now {
        connections: all.iter().map(|app| app.pool.status()).sum(),
        subscriptions: app.edge.subscriptions.count(),
        websockets: app.edge.connections.count(),
        postings: postings(&all).await,
        click_backlog: sum(|app| app.clicks.backlog()),
        lost_clicks: sum(|app| app.clicks.lost()),
        webhooks_taken: sum(|app| app.webhooks.taken()),
        webhooks_failed: sum(|app| app.webhooks.failed()),
        reads: reads(&all),
        standbys: all.iter().flat_map(|app| app.standbys.status()).collect(),
        reads_repeated: sum(|app| app.standbys.repeated()),
        clusters: app.clusters.status(),
    };
    match app.metrics.text(now) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// How much was read from where, on all clusters together.
fn reads(all: &[Arc<App>]) -> Vec<(&'static str, u64)> {
    let mut sums: Vec<(&'static str, u64)> = Vec::new();
    for (from, count) in all.iter().flat_map(|app| app.standbys.reads()) {
        match sums.iter_mut().find(|(known, _)| *known == from) {
            Some((_, sum)) => *sum += count,
            None => sums.push((from, count)),
        }
    }
    sums
}

/// How many postings there are, if a connection to each cluster is free: metrics do not wait for one.
async fn postings(all: &[Arc<App>]) -> Option<i64> {
    let mut sum = 0;
    for app in all {
        if app.pool.status().waiting > 0 {
            return None;
        }
        let connection = app.pool.get().await.ok()?;
        sum += ledger::postings(&connection).await.ok()?;
    }
    Some(sum)
}

/// Counts every response.
pub async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    app.metrics.responded(response.status().as_u16());
    response
}
