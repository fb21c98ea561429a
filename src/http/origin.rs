//! Which sites may make a browser send requests here.
//!
//! A browser adds the session cookie to whatever another site makes it send, and asks us first (CORS preflight) only where the request
//! is none that a form could send. So the cookie counts only in requests that a browser asks about, and only from our own site or one
//! that is configured. A token in the header Authorization needs none of this: no other site can put it there.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Refused;

/// Headers that no form of another site can send: ours, and that of Apollo's clients.
const REQUIRE_PREFLIGHT: [HeaderName; 2] =
    [HeaderName::from_static("graphql-require-preflight"), HeaderName::from_static("apollo-require-preflight")];
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
            "The session cookie counts only with the content type application/json or the header GraphQL-Require-Preflight.",
        ));
    }
    check_site(headers, allowed)
}

/// What browsers are told when they ask: the configured sites may call, with the cookie, and no other.
pub fn cors(allowed: &[String]) -> CorsLayer {
    let origins = allowed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let [ours, apollos] = REQUIRE_PREFLIGHT;
    let taken = [header::AUTHORIZATION, header::CONTENT_TYPE, ours, apollos, COST];
    let traced = ["x-request-id", "traceparent", "tracestate"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(taken.into_iter().chain(traced).collect::<Vec<_>>())
        .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER])
        .max_age(std::time::Duration::from_hours(1))
}
