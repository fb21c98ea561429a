//! Redirects: `/l/<key>`, `/i/<code>` of invitations, and `/<key>` on hosts of tenants' own.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts, uri::Authority},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use qrcode::{QrCode, render::svg};

use super::{Media, Refused, request_id::RequestId};
use url::Url;

use crate::{
    app::App,
    clicks::{Clicks, Found, INVITATIONS, Visit, Way},
    error::{Error, Result},
    models::programmes::link::short_url,
};

/// What stands after a link's address for the picture of its QR code.
const PICTURE: &str = "qr.svg";
/// How long a side of such a picture is at least, in its own units.
const SIDE: u32 = 256;
/// By which headers browsers say that they fetch ahead, and what they say.
const PREFETCH: [(&str, &str); 4] =
    [("sec-purpose", "prefetch"), ("purpose", "prefetch"), ("x-purpose", "preview"), ("x-moz", "prefetch")];

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The addresses of links on the server's own host.
pub fn routes() -> Router<Arc<App>> {
    // An answer to GET without its body is one to HEAD.
    Router::new()
        .route("/l/{key}", get(own_host))
        .route("/l/{key}/qr.svg", get(picture_on_own_host))
        .route("/i/{code}", get(invitation))
}

async fn invitation(State(app): State<Arc<App>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if is_tenants(&app, &request) { unknown() } else { follow(&app, INVITATIONS, key(&request), &request).await }
}

async fn own_host(State(app): State<Arc<App>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if is_tenants(&app, &request) { unknown() } else { follow(&app, "", key(&request), &request).await }
}

async fn picture_on_own_host(State(app): State<Arc<App>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if is_tenants(&app, &request) { unknown() } else { picture(&app, "", key(&request), &request).await }
}

/// The key in `/l/<key>` or `/i/<code>`, as it stands there: no key has a character that is written otherwise.
fn key(request: &Parts) -> &str {
    request.uri.path().split('/').nth(2).unwrap_or_default()
}

/// Whether a host of a tenant's own is asked: other tenants' links are not to stand there.
fn is_tenants(app: &Arc<App>, request: &Parts) -> bool {
    host(request).is_some_and(|host| is_host(app, &host))
}

/// Whether a host is of a tenant's own, of whichever cluster.
fn is_host(app: &Arc<App>, host: &str) -> bool {
    app.all().iter().any(|app| app.clicks.is_host(host))
}

/// What follows links, of each cluster; that alone which has the link cached, where one has.
fn followers(app: &Arc<App>, host: &str, key: &str) -> Vec<Arc<Clicks>> {
    let all: Vec<Arc<Clicks>> = app.all().iter().map(|app| Arc::clone(&app.clicks)).collect();
    let cached = all.iter().find(|clicks| clicks.is_cached(host, key));
    cached.map(|clicks| vec![Arc::clone(clicks)]).unwrap_or(all)
}

/// The fallback: on a tenant's own host the path is a link's key, elsewhere the dashboard's, if there is one.
pub async fn or_nothing(State(app): State<Arc<App>>, Extension(id): Extension<RequestId>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let nothing =
        || Refused::request(StatusCode::NOT_FOUND, "There is nothing here. The API is at /graphql.").answer(Media::Json, &id.0);
    let Some(host) = host(&request).filter(|host| is_host(&app, host)) else {
        // Any other than the server's own may be a host of a tenant's whose cluster is away.
        if !is_own(&app, &request)
            && let Err(error) = app.clusters.are_settled().await
        {
            return unavailable(&error);
        }
        let page = match &app.dashboard {
            Some(dashboard) => dashboard.answer(&request).await,
            None => None,
        };
        return page.unwrap_or_else(nothing);
    };
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri.path().trim_start_matches('/');
    match path.split_once('/') {
        None => follow(&app, &host, path, &request).await,
        Some((key, PICTURE)) => picture(&app, &host, key, &request).await,
        Some(_) => unknown(),
    }
}

/// Whether the server is asked by the address that the world knows.
fn is_own(app: &App, request: &Parts) -> bool {
    let own = Url::parse(&app.public_url).ok();
    let named = request.headers.get(header::HOST).and_then(|host| Url::parse(&format!("http://{}", host.to_str().ok()?)).ok());
    own.zip(named).is_some_and(|(own, named)| own.host() == named.host())
}

/// The host that is asked, without its port, as hosts are stored.
fn host(request: &Parts) -> Option<String> {
    let named = request.headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok()?;
    Some(named.host().trim_end_matches('.').to_ascii_lowercase())
}

async fn follow(app: &Arc<App>, host: &str, key: &str, request: &Parts) -> Response {
    let headers = &request.headers;
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let settings = app.clicks.settings();
    let visit = Visit {
        host,
        key,
        query: request.uri.query().unwrap_or_default(),
        address: visitors_address(app, request),
        user_agent: text(&header::USER_AGENT).unwrap_or_default(),
        referrer: text(&header::REFERER),
        country: settings.country_header.as_ref().and_then(text),
        is_head: request.method == Method::HEAD,
        is_prefetch: is_prefetch(headers),
        may_be_elsewhere: false,
    };
    match follow_any(&followers(app, host, key), visit).await {
        Ok(Way::To(address)) => to(&address),
        Ok(Way::Expired) => page(StatusCode::GONE, "This link has expired", "It does not lead anywhere any more."),
        Ok(Way::Archived) => page(StatusCode::GONE, "This link is no longer in use", "It does not lead anywhere any more."),
        Ok(Way::Unknown) => nowhere(app).await,
        Ok(Way::TooMany) => too_many(),
        Err(error) => unavailable(&error),
    }
}

/// What is said of a link that no cluster has.
async fn nowhere(app: &App) -> Response {
    // It was asked for before, so that this look-up finds a move that hid it.
    app.clusters.are_settled_since(Instant::now()).await.map_or_else(|error| unavailable(&error), |()| unknown())
}

/// The first of these answers, of as many clusters, that is not `nothing`: one that does not answer keeps none waiting that is found elsewhere.
async fn first<T>(answers: impl Iterator<Item = impl Future<Output = Result<T>>>, is_nothing: impl Fn(&T) -> bool) -> Result<T> {
    let mut answers: FuturesUnordered<_> = answers.collect();
    let mut outcome = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) if !is_nothing(&answer) => return Ok(answer),
            // That it is nowhere is known once all have said so.
            Ok(nothing) => outcome = outcome.or(Some(Ok(nothing))),
            Err(error) => outcome = Some(Err(error)),
        }
    }
    outcome.unwrap_or_else(|| Err(Error::internal("no cluster was asked")))
}

/// Follows a link of any cluster.
async fn follow_any(followers: &[Arc<Clicks>], visit: Visit<'_>) -> Result<Way> {
    if let [only] = followers {
        return only.follow(visit).await;
    }
    // Who guesses is charged once.
    let Some(guesses) = followers.first() else { return Ok(Way::Unknown) };
    if !guesses.may_guess(visit.address) {
        return Ok(Way::TooMany);
    }
    let visit = Visit { may_be_elsewhere: true, ..visit };
    let way = first(followers.iter().map(|clicks| clicks.follow(visit)), |way| *way == Way::Unknown).await?;
    if way == Way::Unknown {
        guesses.charge(visit.address);
    }
    Ok(way)
}

/// What a key leads to, on any cluster.
async fn find_any(followers: &[Arc<Clicks>], host: &str, key: &str, address: Option<IpAddr>) -> Result<Found> {
    if let [only] = followers {
        return only.find(host, key, address).await;
    }
    let Some(guesses) = followers.first() else { return Ok(Found::Nothing) };
    if !guesses.may_guess(address) {
        return Ok(Found::TooMany);
    }
    let is_nothing = |found: &Found| matches!(found, Found::Nothing);
    let found = first(followers.iter().map(|clicks| clicks.find(host, key, None)), is_nothing).await?;
    if is_nothing(&found) {
        guesses.charge(address);
    }
    Ok(found)
}

/// A picture of a link's QR code.
async fn picture(app: &Arc<App>, host: &str, key: &str, request: &Parts) -> Response {
    let drawn = match find_any(&followers(app, host, key), host, key, visitors_address(app, request)).await {
        Ok(Found::Target(_)) => QrCode::new(short_url(&app.public_url, Some(host).filter(|host| !host.is_empty()), key)),
        Ok(Found::Nothing) => return nowhere(app).await,
        Ok(Found::TooMany) => return too_many(),
        Err(error) => return unavailable(&error),
    };
    match drawn {
        Ok(code) => {
            let headers = [
                (header::CONTENT_TYPE, "image/svg+xml"),
                (header::CACHE_CONTROL, "public, max-age=86400"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, code.render::<svg::Color<'_>>().min_dimensions(SIDE, SIDE).build()).into_response()
        }
        Err(error) => unavailable(&Error::internal(error)),
    }
}

/// From which address a visitor comes: as the proxy says, where a setting names its header; else, and where it says nothing that is an address, that
/// of the connection.
fn visitors_address(app: &App, request: &Parts) -> Option<IpAddr> {
    let named = app.clicks.settings().address_header.as_ref().and_then(|name| request.headers.get_all(name).iter().next_back());
    let said = named.and_then(|value| last_address(value.as_bytes()));
    said.or_else(|| request.extensions.get::<Peer>().map(|peer| peer.0.ip()))
}

/// The last address in a header that proxies add to: what stands before it the visitor may have written.
fn last_address(addresses: &[u8]) -> Option<IpAddr> {
    let last = addresses.rsplit(|&byte| byte == b',').next()?;
    let text = str::from_utf8(last).ok()?.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    PREFETCH.iter().any(|(name, says)| {
        let said = headers.get(*name).and_then(|value| value.to_str().ok());
        said.is_some_and(|said| said.to_ascii_lowercase().contains(says))
    })
}

/// Each visit is to come here, so nobody keeps the answer; the shop learns from which host the visitor came, as by any other link.
fn to(address: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(address) else { return unknown() };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ];
    (StatusCode::FOUND, headers).into_response()
}

fn too_many() -> Response {
    page(StatusCode::TOO_MANY_REQUESTS, "Too many links that do not exist", "Please try again in a minute.")
}

fn unknown() -> Response {
    page(StatusCode::NOT_FOUND, "There is no such link", "Please check the address.")
}

fn unavailable(error: &Error) -> Response {
    tracing::warn!(%error, "a link could not be looked up");
    let mut answer =
        page(StatusCode::SERVICE_UNAVAILABLE, "This link cannot be followed right now", "Please try again in a moment.");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// A page for the person who followed the link.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of several addresses the last one counts, with or without a port.
    #[test]
    fn addresses() {
        let of = |text: &str| last_address(text.as_bytes()).map(|address| address.to_string());
        assert_eq!(last_address(b"\xe9, 198.51.100.2").map(|address| address.to_string()).as_deref(), Some("198.51.100.2"));
        assert_eq!(of("203.0.113.9, 198.51.100.7").as_deref(), Some("198.51.100.7"));
        assert_eq!(of("198.51.100.7:4711").as_deref(), Some("198.51.100.7"));
        assert_eq!(of("[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
        assert_eq!(of("unknown"), None);
    }
}
