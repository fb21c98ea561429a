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
    let now = Now {
        connections: app.pool.status(),
        subscriptions: app.edge.subscriptions.count(),
        websockets: app.edge.connections.count(),
        postings: postings(&app).await,
        click_backlog: app.clicks.backlog(),
        lost_clicks: app.clicks.lost(),
        webhooks_taken: app.webhooks.taken(),
        webhooks_failed: app.webhooks.failed(),
        reads: app.standbys.reads(),
        standbys: app.standbys.status(),
        reads_repeated: app.standbys.repeated(),
    };
    match app.metrics.text(now) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// How many postings there are, if a connection is free: metrics do not wait for one.
async fn postings(app: &App) -> Option<i64> {
    if app.pool.status().waiting > 0 {
        return None;
    }
    let connection = app.pool.get().await.ok()?;
    ledger::postings(&connection).await.ok()
}

/// Counts every response.
pub async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    app.metrics.responded(response.status().as_u16());
    response
}
