//! The server's faces to the outside: `/graphql`, the pages for developers, health.

mod export;
mod graphiql;
mod graphql;
mod health;
mod request_id;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

pub use graphiql::fetch_assets;

use crate::{app::App, error::Error, graphql::errors};

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/graphql", post(graphql::answer).get(graphiql::page_or_hint))
        .route("/export/commissions.csv", get(export::commissions))
        .route("/export/payouts.csv", get(export::payouts))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    if app.development.is_some() {
        router = router
            .route("/", get(graphiql::page))
            .route("/assets/graphiql/{file}", get(graphiql::asset))
            .route("/.well-known/jwks.json", get(key_set));
    }
    router
        .fallback(async || refusal(StatusCode::NOT_FOUND, "There is nothing here. The API is at /graphql."))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(middleware::from_fn(request_id::assign))
        .with_state(app)
}

/// The development issuer's public keys.
async fn key_set(State(app): State<Arc<App>>) -> Response {
    match &app.development {
        Some(development) => Json(development.issuer.jwks()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A request that is no GraphQL operation gets an answer in the form of one, with its fault.
fn refusal(status: StatusCode, message: &str) -> Response {
    let error = Error::BadUserInput(message.to_owned());
    (status, [(header::CACHE_CONTROL, "no-store")], Json(errors::answer(&error, ""))).into_response()
}

/// For what panics outside an operation.
fn panicked(payload: Box<dyn std::any::Any + Send>) -> Response {
    let error = Error::internal(format!("a panic: {}", panic_text(&*payload)));
    (StatusCode::INTERNAL_SERVER_ERROR, Json(errors::answer(&error, ""))).into_response()
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of unknown cause")
}
