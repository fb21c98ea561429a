//! For development: the issuer's keys, and tokens of the demo people for the dashboard's sign-in.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use url::{Host, Url};

use super::redirect::Peer;
use crate::{
    app::{App, Development},
    auth::development::Bearer,
    seed::demo,
};

/// How many seconds a token lasts unless the request says otherwise: as many as one of Clerk's sessions.
const TOKEN_SECONDS: i64 = 60;
/// How many at most.
const MAX_TOKEN_SECONDS: i64 = 12 * 60 * 60;

/// The addresses that are there in development alone.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/.well-known/jwks.json", get(key_set)).route("/development/token", get(token))
}

/// The issuer's public keys.
async fn key_set(State(app): State<Arc<App>>) -> Response {
    match &app.development {
        Some(development) => Json(development.issuer.jwks()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Whom the demo data know, or do not know yet.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Person {
    /// Owns the first partner.
    Owner,
    /// Acts for another partner beside its owner.
    Member,
    /// Staff of the tenant.
    Operator,
    /// Signs in for the first time.
    Newcomer,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    person: Person,
    /// Which newcomer.
    #[serde(default)]
    number: u32,
    /// The invite code with which a newcomer has signed up.
    invite_code: Option<String>,
    seconds: Option<i64>,
}

/// A token of one of the demo people.
async fn token(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    wanted: Query<Wanted>,
) -> Response {
    let Some(development) = &app.development else { return StatusCode::NOT_FOUND.into_response() };
    if let Some(refused) = refuse_others(&headers, "same-origin") {
        return refused;
    }
    // Also where the server listens to the network: this is for the person who started it.
    if !peer.ip().to_canonical().is_loopback() {
        return (StatusCode::FORBIDDEN, "Development tokens are given to this machine alone.").into_response();
    }
    let seconds = wanted.seconds.unwrap_or(TOKEN_SECONDS).clamp(1, MAX_TOKEN_SECONDS);
    match development.issuer.mint(&bearer(development, wanted.0), seconds, &app.clock) {
        Ok(token) => ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "token": token }))).into_response(),
        Err(error) => {
            tracing::error!(%error, "a token cannot be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn bearer(development: &Development, wanted: Wanted) -> Bearer {
    let tenant = demo::FIRST_TENANT;
    let of = |subject: String| Bearer { subject, tenant: Some(tenant.to_owned()), ..Bearer::default() };
    match wanted.person {
        Person::Owner => development.explorer.clone(),
        Person::Member => of(demo::member()),
        Person::Operator => Bearer { role: Some("operator"), ..of(demo::operator(tenant)) },
        Person::Newcomer => Bearer {
            email: Some(format!("newcomer{}@example.com", wanted.number)),
            name: Some(format!("Newcomer {}", wanted.number)),
            invite_code: wanted.invite_code,
            ..of(format!("user_{tenant}_newcomer_{}", wanted.number))
        },
    }
}

/// Refuses requests that must not be answered with a token: those of other hosts' pages, and those of scripts where a person has to open the page. `wanted` is what
/// the browser must say of the request, if it says anything: the mode `navigate`, or the site `same-origin`.
pub fn refuse_others(headers: &HeaderMap, wanted: &str) -> Option<Response> {
    if !headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(is_this_machine) {
        let message = "This answer has a token in it, and is given only where the address is an IP address or localhost.";
        return Some((StatusCode::MISDIRECTED_REQUEST, message).into_response());
    }
    // A page of another site can ask for it by script, and may read the answer where its origin is a front end's.
    let said = headers.get(if wanted == "navigate" { "sec-fetch-mode" } else { "sec-fetch-site" });
    if headers.contains_key(header::ORIGIN) || said.is_some_and(|said| said != wanted) {
        return Some(
            (StatusCode::FORBIDDEN, "This answer has a token in it, and is not given to pages of other sites.").into_response(),
        );
    }
    None
}

/// Whether the header `Host` is an IP address or `localhost`. Any other name could have been pointed here by its owner (DNS rebinding), whose
/// page could then read the answer.
fn is_this_machine(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses and the names that are kept for this machine mean it; any other name may be made to.
    #[test]
    fn hosts() {
        for host in ["localhost", "LOCALHOST:8080", "portal.localhost:3000", "127.0.0.1:8080", "[::1]:8080", "192.168.0.5"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8080",
            "notlocalhost",
            "evil.example:8080/localhost",
            "a b",
            "localhost@evil.example",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
