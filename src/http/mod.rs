//! The server's faces to the outside: `/graphql`, the pages for developers, health.

mod export;
mod graphiql;
mod graphql;
mod health;
mod multipart;
mod request_id;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

pub use graphiql::fetch_assets;

use crate::{app::App, error::Error, graphql::errors, member_import::MAX_BYTES};

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// The largest body of a request with a file: as large as a file may be, with its operation and what stands between them.
const MAX_UPLOAD: usize = MAX_BODY + MAX_BYTES + 64 * 1024;

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
        .layer(DefaultBodyLimit::max(MAX_BODY))
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

/// Why a request does not become an operation.
enum Refused {
    /// The request is at fault.
    Request(StatusCode, String),
    /// It failed on our side.
    Fault(Error),
}

impl Refused {
    fn request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Request(status, message.into())
    }

    /// The answer to the request of this id.
    fn answer(self, id: &str) -> Response {
        match self {
            Self::Request(status, message) => refusal(status, &message),
            Self::Fault(error) => graphql::turned_away(&error, id),
        }
    }
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
