//! Whether an event comes from whom it says: signatures of Svix and Standard Webhooks (Clerk), and of Stripe.
//!
//! All of them are HMAC-SHA256 over the time, the body's bytes and, but for Stripe, the event's id. <https://docs.svix.com/receiving/verifying-payloads/how-manual>,
//! <https://docs.stripe.com/webhooks#verify-manually>.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::fields::Object;
use crate::{
    models::webhooks::{inbox::Received, source::WebhookSourceKind},
    webhooks::signature::Secret,
};

/// By how much the time of a signature may be off, in seconds.
const TOLERANCE: i64 = 300;
/// How many signatures of one request are looked at: one for each live secret is normal.
const MOST_SIGNATURES: usize = 8;

/// Why an event is not taken. Displays as a sentence for the person who sets the sender up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// A header is missing.
    #[error("The headers that sign it are missing: svix-id, svix-timestamp and svix-signature, or the same with webhook-.")]
    NoSvixHeaders,
    /// The same of Stripe.
    #[error("The header Stripe-Signature is missing, or is not t=<seconds>,v1=<signature>.")]
    NoStripeHeader,
    /// No header signs it.
    #[error("No header signs it: svix-signature, webhook-signature or Stripe-Signature.")]
    Unsigned,
    /// The time is off.
    #[error("The time of the signature is more than five minutes from now.")]
    Time,
    /// No secret was given yet.
    #[error("No secret of this source is known yet: give it with rotateWebhookSourceSecret.")]
    NoSecret,
    /// No signature is one of a valid secret.
    #[error("The signature is not one of this source's secrets.")]
    Signature,
    /// The body is not what is expected.
    #[error("The body is not a JSON object with the event's id and type.")]
    Body,
}

/// Whether headers can be those of a signed event at all; before anything is looked up.
pub fn is_signed(headers: &HeaderMap) -> bool {
    ["svix-signature", "webhook-signature", "stripe-signature"].into_iter().any(|name| headers.contains_key(name))
}

/// The event of a request that one of the secrets has signed within five minutes from now.
pub fn verify(
    kind: WebhookSourceKind,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[String],
    now: DateTime<Utc>,
) -> Result<Received, Unverified> {
    let signed_id = match kind {
        WebhookSourceKind::Clerk => Some(svix(headers, body, secrets, now)?),
        WebhookSourceKind::Stripe => {
            stripe(headers, body, secrets, now)?;
            None
        }
    };
    // PostgreSQL keeps no NUL, and JSON has none outside of its escapes.
    let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0')).ok_or(Unverified::Body)?;
    let event: Value = serde_json::from_str(text).map_err(|_| Unverified::Body)?;
    let object = Object(&event);
    let id = signed_id.or_else(|| object.text("/id")).ok_or(Unverified::Body)?;
    let event_type = object.text("/type").ok_or(Unverified::Body)?;
    Ok(Received { event: id.to_owned(), event_type: event_type.to_owned(), body: text.to_owned() })
}

fn svix<'h>(headers: &'h HeaderMap, body: &[u8], secrets: &[String], now: DateTime<Utc>) -> Result<&'h str, Unverified> {
    let all = |prefix: &str| {
        let one = |name: &str| headers.get(format!("{prefix}-{name}"))?.to_str().ok();
        Some((one("id")?, one("timestamp")?, one("signature")?))
    };
    let (id, time, signatures) = all("svix").or_else(|| all("webhook")).ok_or(Unverified::NoSvixHeaders)?;
    let id = Some(id).filter(|id| !id.is_empty() && id.len() <= 200).ok_or(Unverified::NoSvixHeaders)?;
    let seconds = near(time, now)?;
    let keys = keys(secrets.iter().filter_map(|secret| Secret::of(secret)).collect())?;
    let is_signed = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .take(MOST_SIGNATURES)
        .any(|signature| keys.iter().any(|key| key.has_signed(id, seconds, body, signature)));
    if is_signed { Ok(id) } else { Err(Unverified::Signature) }
}

fn stripe(headers: &HeaderMap, body: &[u8], secrets: &[String], now: DateTime<Utc>) -> Result<(), Unverified> {
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).ok_or(Unverified::NoStripeHeader)?;
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let time = pairs().find(|(name, _)| *name == "t").ok_or(Unverified::NoStripeHeader)?.1;
    let signatures: Vec<Vec<u8>> = pairs()
        .filter(|(name, _)| *name == "v1")
        .take(MOST_SIGNATURES)
        .filter_map(|(_, signature)| hex::decode(signature).ok())
        .collect();
    near(time, now)?;
    // Unlike Svix's, the text of a secret is the key itself.
    let keys = keys(secrets.iter().map(|secret| hmac::Key::new(HMAC_SHA256, secret.as_bytes())).collect())?;
    let signed = [time.as_bytes(), b".", body].concat();
    let is_signed = keys.iter().any(|key| signatures.iter().any(|signature| hmac::verify(key, &signed, signature).is_ok()));
    if is_signed { Ok(()) } else { Err(Unverified::Signature) }
}

fn keys<K>(keys: Vec<K>) -> Result<Vec<K>, Unverified> {
    if keys.is_empty() { Err(Unverified::NoSecret) } else { Ok(keys) }
}

/// The time of a signature, in seconds since 1970.
fn near(time: &str, now: DateTime<Utc>) -> Result<i64, Unverified> {
    let seconds: i64 = time.parse().map_err(|_| Unverified::Time)?;
    let is_near = now.timestamp().checked_sub(seconds).is_some_and(|off| off.unsigned_abs() <= TOLERANCE.unsigned_abs());
    if is_near { Ok(seconds) } else { Err(Unverified::Time) }
}

/// The headers of an event, as its sender would sign it now.
pub fn sign(
    kind: WebhookSourceKind,
    secret: &str,
    id: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> Option<Vec<(&'static str, String)>> {
    let seconds = now.timestamp();
    Some(match kind {
        WebhookSourceKind::Clerk => vec![
            ("svix-id", id.to_owned()),
            ("svix-timestamp", seconds.to_string()),
            ("svix-signature", Secret::of(secret)?.sign(id, seconds, body)),
        ],
        WebhookSourceKind::Stripe => {
            let key = hmac::Key::new(HMAC_SHA256, secret.as_bytes());
            let tag = hmac::sign(&key, &[seconds.to_string().as_bytes(), b".", body].concat());
            vec![("stripe-signature", format!("t={seconds},v1={}", hex::encode(tag.as_ref())))]
        }
    })
}
