//! Which sites may make a browser send requests here.
//!
//! A browser adds the session cookie to whatever another site makes it send, and asks us first (CORS preflight) only where the request
//! is none that a form could send. So the cookie counts only in requests that a browser asks about, and only from our own site or one
//! that is configured. A token in the header Authorization needs none of this: no other site can put it there.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Refused, request_id::RequestId};
use crate::edge::FrontEnds;

/// Headers that no form of another site can send: ours, and that of Apollo's clients.
const REQUIRE_PREFLIGHT: [HeaderName; 2] =
    [HeaderName::from_static("graphql-require-preflight"), HeaderName::from_static("apollo-require-preflight")];
/// Headers that common clients send: Apollo's names of itself and of the operation, traces of the usual tools, the position in a stream.
const SENT: [&str; 15] = [
    "apollographql-client-name",
    "apollographql-client-version",
    "x-apollo-operation-name",
    "x-apollo-operation-id",
    "x-apollo-operation-type",
    "last-event-id",
    "portal-position",
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
];
/// Headers of answers that a front end may read.
const READ: [&str; 6] = ["x-request-id", "retry-after", "content-disposition", "www-authenticate", "etag", "portal-position"];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Asks for what an operation has cost, in `extensions.cost`.
pub const COST: HeaderName = HeaderName::from_static("graphql-cost");

/// Whether the request has a header that makes browsers ask before they send it from another site.
pub fn requires_preflight(headers: &HeaderMap) -> bool {
    REQUIRE_PREFLIGHT.iter().any(|name| headers.contains_key(name))
}

/// Refuses a request with a cookie that another site may be behind.
pub fn check_site(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refused> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(&header::ORIGIN);
    let is_allowed = origin.is_some_and(|origin| allowed.iter().any(|allowed| allowed == origin));
    let is_same = match (text(&FETCH_SITE), origin) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text(&header::HOST)
        }
        // No browser: none that is still in use leaves out both.
        (None, None) => true,
    };
    if is_allowed || is_same {
        return Ok(());
    }
    Err(Refused::request(
        StatusCode::FORBIDDEN,
        "The session cookie does not count in requests from another site. Send the token in the header Authorization.",
    ))
}

/// Whether a page of our own site opens a stream of events: with the `EventSource` of its browser, which sends no header that a page could
/// choose. A browser says by itself that it is our own (`Sec-Fetch-Site`), and a page of another site cannot make it say so.
pub fn is_event_source(headers: &HeaderMap) -> bool {
    let is = |name, value| headers.get(name).is_some_and(|found: &HeaderValue| found == value);
    is(header::ACCEPT, "text/event-stream") && is(FETCH_SITE, "same-origin")
}

/// Refuses to follow a link with a cookie for another site. A link of our own site, or one that a person has kept, is followed.
pub fn check_link(headers: &HeaderMap) -> Result<(), Refused> {
    let is_cross = headers.get(&FETCH_SITE).is_some_and(|site| site == "cross-site");
    if is_cross {
        return Err(Refused::request(StatusCode::FORBIDDEN, "The session cookie does not count in links from another site."));
    }
    Ok(())
}

/// Refuses a request with a cookie that a form of another site could have sent, too.
pub fn check_cookie(headers: &HeaderMap, is_json: bool, allowed: &[String]) -> Result<(), Refused> {
    if !is_json && !requires_preflight(headers) {
        return Err(Refused::request(
            StatusCode::FORBIDDEN,
            "The session cookie counts only in a POST with the content type application/json, or with the header GraphQL-Require-Preflight.",
        ));
    }
    check_site(headers, allowed)
}

/// What preflight requests are answered: the configured front ends may call, with the cookie, and in development those on the usual ports of
/// this machine; no other. One that is refused is logged with
/// the setting that would let it.
pub fn cors(front_ends: &FrontEnds) -> CorsLayer {
    let [ours, apollos] = REQUIRE_PREFLIGHT;
    let taken = [header::AUTHORIZATION, header::CONTENT_TYPE, ours, apollos, COST];
    let more = front_ends.headers.iter().cloned();
    let allowed = front_ends.origins.clone();
    let is_allowed = move |origin: &HeaderValue, request: &Parts| {
        if allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            return true;
        }
        let is_other = check_site(&request.headers, &[]).is_err();
        if is_other {
            let id = request.extensions.get::<RequestId>().map(|id| id.0.as_str());
            tracing::info!(request_id = id, ?origin, "a browser asks for another site; PORTAL_CORS_ORIGINS does not name it");
        }
        false
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(taken.into_iter().chain(SENT.map(HeaderName::from_static)).chain(more).collect::<Vec<_>>())
        .expose_headers(READ.map(HeaderName::from_static))
        .max_age(std::time::Duration::from_hours(1))
}
