//! `POST /webhooks/<source>`: events of services, each stored once before it is answered that it was taken.
//!
//! The sender has no token; what it sends is signed. Whatever is wrong is answered with a status that makes it send again, because it may be right then:
//! another secret, the clock, the database.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};

use http_body_util::LengthLimitError;
use tokio::time::timeout;

use super::request_id::RequestId;
use crate::{
    app::App,
    error::{Error, Result},
    ids::{WebhookSourceId, WebhookSourceSecretId},
    keyring::SealedField,
    models::webhooks::inbox::Reporter,
    webhooks::receiving::verify::{Unverified, is_signed, verify},
};

/// The largest body, in bytes: Stripe's largest events are about half of it.
const MAX_EVENT: usize = 256 * 1024;
/// How long a sender may take to send its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an event waits for a permit.
const QUEUE: Duration = Duration::from_secs(2);
/// After how many seconds a sender should try again where the server cannot take anything.
const LATER: &str = "5";

/// The address of sources.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/webhooks/{source}", post(receive))
}

/// Why an event is not taken.
enum Refusal {
    Unknown,
    TooLarge,
    Slow,
    BrokenOff,
    Unverified(Unverified),
    Away(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Away(error)
    }
}

async fn receive(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    source: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // What cannot be read is nobody's id.
    let source = source.map_or_else(|_| String::new(), |Path(source)| source);
    let refusal = match take(&app, &source, &headers, body).await {
        Ok(()) => return StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal,
    };
    let (status, text) = match &refusal {
        Refusal::Unknown => (StatusCode::NOT_FOUND, "There is no source of this id.".to_owned()),
        Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 256 kB.".to_owned()),
        Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, "The body did not come in time.".to_owned()),
        Refusal::BrokenOff => (StatusCode::BAD_REQUEST, "The body broke off.".to_owned()),
        Refusal::Unverified(why) => (StatusCode::BAD_REQUEST, why.to_string()),
        Refusal::Away(_) => (StatusCode::SERVICE_UNAVAILABLE, "Nothing can be stored at the moment; send it again.".to_owned()),
    };
    match &refusal {
        Refusal::Away(error) => tracing::warn!(request_id = id.0, source, %error, "a webhook could not be stored"),
        Refusal::Unknown => {}
        _ => tracing::debug!(request_id = id.0, source, %text, "a webhook was refused"),
    }
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], format!("{text}\n")).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(LATER));
    }
    response
}

async fn take(app: &Arc<App>, source: &str, headers: &HeaderMap, body: Body) -> Result<(), Refusal> {
    let source: WebhookSourceId = source.parse().map_err(|_| Refusal::Unknown)?;
    if !is_signed(headers) {
        return Err(Refusal::Unverified(Unverified::Unsigned));
    }
    let body = match timeout(PATIENCE, to_bytes(body, MAX_EVENT)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => return Err(Refusal::TooLarge),
        Ok(Err(_)) => return Err(Refusal::BrokenOff),
        Err(_) => return Err(Refusal::Slow),
    };
    // Few at once, so that senders without a right to send leave connections to callers who have one.
    let _permit =
        timeout(QUEUE, app.webhooks.receiving.acquire()).await.map_err(Error::unavailable)?.map_err(Error::unavailable)?;
    let mut outcome = Err(Refusal::Unknown);
    for app in app.all() {
        match store(&app, source, headers, &body).await {
            Err(Refusal::Unknown) => {}
            // The source may be another cluster's, or on its way there.
            Err(refusal @ (Refusal::Away(_) | Refusal::Unverified(_))) => outcome = Err(refusal),
            stored => return stored,
        }
    }
    if matches!(outcome, Err(Refusal::Unknown)) {
        app.clusters.are_settled().await.map_err(Refusal::Away)?;
    }
    outcome
}

/// Stores it on a cluster, if the source is there.
async fn store(app: &App, source: WebhookSourceId, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let connection = app.pool.get().await.map_err(Error::unavailable)?;
    let now = app.clock.instant();
    let reporter = Reporter::find(&connection, source, now).await.map_err(Error::unavailable)?.ok_or(Refusal::Unknown)?;
    // One that does not open keeps no other from being tried.
    let open = |(id, sealed): &(WebhookSourceSecretId, Vec<u8>)| {
        let opened = app.keyring.open(sealed, SealedField::WebhookSourceSecret, reporter.tenant, *id);
        opened.inspect_err(|error| tracing::error!(secret = %id, %error, "a secret of a webhook's source does not open")).ok()
    };
    let secrets: Vec<String> = reporter.secrets.iter().filter_map(open).collect();
    let event = verify(reporter.kind, headers, body, &secrets, now).map_err(Refusal::Unverified)?;
    let stored = event.store(&connection, source, now).await.map_err(Error::unavailable)?;
    if stored.is_none() {
        return Err(Refusal::Unknown);
    }
    app.webhooks.received.notify_one();
    Ok(())
}

/// Whether a body could not be read because it is larger than it may be, and not because the connection broke off.
fn is_too_large(error: &(dyn StdError + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_large)
}
