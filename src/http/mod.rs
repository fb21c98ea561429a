//! The server's faces to the outside: `/graphql`, redirects, webhooks that come in, the pages for developers, health.

mod caching;
mod development;
mod export;
mod graphiql;
mod graphql;
mod health;
pub mod metrics;
mod origin;
mod redirect;
mod request_id;
pub mod server;
mod webhooks;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::ServerError;
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use futures_util::FutureExt;
use tower::ServiceBuilder;
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
    set_header::SetResponseHeaderLayer,
};

pub use graphiql::fetch_assets;
use graphql::negotiation::Media;
use request_id::RequestId;

use crate::{app::App, error::Error, graphql::engine::error_codes};

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// The smallest answer that is compressed, in bytes.
const MIN_COMPRESSED: u64 = 1024;

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    let mut router =
        Router::new().route("/graphql", post(graphql::post).get(graphql::get)).merge(export::routes()).merge(webhooks::routes());
    if app.development.is_some() {
        router = router
            .route("/graphiql", get(graphiql::page))
            .route("/assets/graphiql/{file}", get(graphiql::asset))
            .merge(development::routes());
        if app.dashboard.is_none() {
            router = router.route("/", get(async || Redirect::temporary("/graphiql")));
        }
    }
    let hardened =
        |name: header::HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    // The first one is around all others. They are put on together: each layer by itself would wrap every route once more.
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(request_id::assign))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count))
        .layer(hardened(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .layer(hardened(header::REFERRER_POLICY, "no-referrer"))
        .layer(hardened(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(origin::cors(&app.edge.front_ends))
        .layer(compressed())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(survive));
    router
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(redirect::or_nothing)
        .method_not_allowed_fallback(async |Extension(id): Extension<RequestId>| {
            refusal(
                &id,
                StatusCode::METHOD_NOT_ALLOWED,
                "This address does not take that method; the header Allow says which it takes.",
            )
        })
        .layer(layers)
        // Outside of all that answers of the API go through: a redirect has no body, and says itself what its headers are.
        .merge(redirect::routes().layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count)))
        .with_state(app)
}

/// Answers above 1 kB go out as the client accepts them: zstd, br or gzip. Not events, each of which is to arrive at once.
fn compressed() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_COMPRESSED).and(NotForContentType::const_new("text/event-stream")))
}

/// A request that is no GraphQL operation gets an answer in the form of one, with its fault.
fn refusal(id: &RequestId, status: StatusCode, message: &str) -> Response {
    Refused::request(status, message).answer(Media::Json, &id.0)
}

/// Why a request does not become an operation.
enum Refused {
    /// The request is at fault.
    Request(StatusCode, String),
    /// It would change something, by a method that only reads.
    Unsafe,
    /// The document is, or its variables.
    Document(Vec<ServerError>),
    /// It may not run, or not now; or it failed on our side.
    Fault(Error),
    /// No permit for a file is free at the moment.
    NoPermit,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl Refused {
    fn request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Request(status, message.into())
    }

    /// The code of its first error.
    fn code(&self) -> &'static str {
        match self {
            Self::Request(..) | Self::Unsafe => "BAD_USER_INPUT",
            Self::Document(errors) => {
                errors.iter().find_map(|error| error.source::<Error>()).map_or("BAD_USER_INPUT", Error::code)
            }
            Self::Fault(error) => error.code(),
            Self::NoPermit => "SERVICE_UNAVAILABLE",
        }
    }

    /// What a request without a valid token is asked for, and what is wrong with the one that it has (RFC 6750, section 3).
    fn challenge(&self) -> HeaderValue {
        let text = match self {
            Self::Fault(Error::Unauthenticated { has_token: true, advice: Some(advice), .. }) => {
                format!("Bearer error=\"invalid_token\", error_description=\"{advice}\"")
            }
            Self::Fault(Error::Unauthenticated { has_token: true, .. } | Error::UnknownTenant) => {
                "Bearer error=\"invalid_token\"".to_owned()
            }
            _ => "Bearer".to_owned(),
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// The answer to the request of this id.
    fn answer(self, media: Media, id: &str) -> Response {
        let is_unsafe = matches!(self, Self::Unsafe);
        let challenge = self.challenge();
        let (status, retry_after) = match &self {
            Self::Request(status, _) => (*status, None),
            Self::Unsafe => (StatusCode::METHOD_NOT_ALLOWED, None),
            Self::Document(_) => (media.status_of_request_errors(), None),
            Self::Fault(error) => (status_of(error, media), error.retry_after()),
            Self::NoPermit => (StatusCode::SERVICE_UNAVAILABLE, Some(60)),
        };
        // What a client without a stream reads is JSON.
        let media = if media == Media::EventStream { Media::GraphqlResponse } else { media };
        let headers =
            [(header::CONTENT_TYPE, media.content_type()), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        let mut response = (status, headers, self.body(id).to_string()).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if is_unsafe {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The body of that answer: errors, and no `data`, because nothing ran (GraphQL specification, section 7.1).
    fn body(self, id: &str) -> serde_json::Value {
        let mut response = match self {
            Self::Request(_, message) => error_codes::alone(&Error::BadUserInput(message)),
            Self::Unsafe => error_codes::alone(&Error::BadUserInput("A mutation is sent with POST.".to_owned())),
            Self::Document(errors) => async_graphql::Response::from_errors(errors),
            Self::Fault(error) => error_codes::alone(&error),
            Self::NoPermit => error_codes::alone(&Error::unavailable("too many exports and uploads are running")),
        };
        let codes = error_codes::finish(&mut response, id);
        tracing::info!(request_id = id, errors = codes.join(","), "turned away");
        serde_json::json!({"errors": response.errors})
    }
}

fn status_of(error: &Error, media: Media) -> StatusCode {
    match error {
        Error::Unauthenticated { .. } | Error::UnknownTenant => StatusCode::UNAUTHORIZED,
        Error::RateLimited { .. } | Error::TooManyOpen { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::Unavailable(_) | Error::Overtaken(_) | Error::Held => StatusCode::SERVICE_UNAVAILABLE,
        Error::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Error::BadUserInput(_) | Error::QueryTooComplex(_) | Error::PersistedQueryNotFound | Error::CursorExpired(_) => {
            media.status_of_request_errors()
        }
        Error::Forbidden(_) => StatusCode::FORBIDDEN,
        Error::NotFound(_) | Error::PerhapsDone(_) | Error::Aborted | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Waits until a token has expired; its expiry is in seconds since 1970.
async fn until(app: &App, expires_at: i64) {
    loop {
        let left = expires_at - app.clock.now().timestamp();
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else { return };
        // Not all at once: clocks are set, and this one is moved in tests.
        tokio::time::sleep(Duration::from_secs(left.min(60))).await;
    }
}

/// Answers for what panics outside an operation.
async fn survive(Extension(id): Extension<RequestId>, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|payload| {
        Refused::Fault(Error::internal(format!("a panic: {}", panic_text(&*payload)))).answer(Media::Json, &id.0)
    })
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of unknown cause")
}
