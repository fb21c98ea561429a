//! One attempt: the request to an endpoint, and what its answer means.

use std::{error::Error as _, sync::Arc, time::Duration};

use chrono::TimeDelta;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{schedule, signature::Secret};
use crate::{
    clock::Clock,
    error::{Error, Result},
    keyring::{Keyring, SealedField},
    models::webhooks::{
        delivery::WebhookDeliveryStatus,
        work::{AttemptResult, ClaimedDelivery},
    },
    outbound::{self, Reach},
};

/// How long an answer's body is read: its status has said all that matters.
const READING: Duration = Duration::from_secs(2);
/// How much of an answer's body is kept.
const MAX_RESPONSE: usize = 2_048;
const AGENT: &str = concat!("partner-portal/", env!("CARGO_PKG_VERSION"));

/// Makes requests.
pub struct Requests {
    client: Client,
    reach: Reach,
    patience: Duration,
    keyring: Arc<Keyring>,
    clock: Clock,
}

/// An answer.
struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: String,
}

impl Requests {
    /// To endpoints within reach, which have so long to answer.
    pub fn new(reach: Reach, patience: Duration, keyring: Arc<Keyring>, clock: Clock) -> Result<Self> {
        Ok(Self { client: outbound::client(reach, patience).map_err(Error::internal)?, reach, patience, keyring, clock })
    }

    /// Makes one attempt.
    pub async fn attempt(&self, delivery: &ClaimedDelivery) -> AttemptResult {
        let (at, begun) = (self.clock.instant(), Instant::now());
        let answer = self.send(delivery, at.timestamp()).await;
        let elapsed = begun.elapsed();
        let now = at + TimeDelta::from_std(elapsed).unwrap_or_default();
        let mut result = AttemptResult {
            tenant_id: delivery.tenant.uuid(),
            id: delivery.id.uuid(),
            endpoint_id: delivery.endpoint.uuid(),
            tries: delivery.tries,
            at,
            milliseconds: i32::try_from(elapsed.as_millis()).unwrap_or(i32::MAX),
            url: delivery.url.clone(),
            status: None,
            response: None,
            fault: None,
            outcome: WebhookDeliveryStatus::Delivered.as_str(),
            next_at: None,
            paused_until: None,
            is_gone: false,
        };
        let is_delivered = match answer {
            Ok(answer) => {
                let is_delivered = (200..300).contains(&answer.status);
                if !is_delivered {
                    let asked = answer.retry_after.as_deref().and_then(|header| schedule::retry_after(header, now));
                    result.paused_until = asked.and_then(|rest| Some(now + TimeDelta::from_std(rest).ok()?));
                }
                result.is_gone = answer.status == 410;
                (result.status, result.response) = (Some(answer.status), Some(answer.body));
                is_delivered
            }
            Err(fault) => {
                result.fault = Some(fault);
                false
            }
        };
        if !is_delivered {
            let next = schedule::next_attempt(delivery.tries + 1, now).filter(|_| !result.is_gone);
            // Not before the endpoint wants to be asked again.
            result.next_at = next.map(|next| result.paused_until.map_or(next, |until| until.max(next)));
            result.set(next.map_or(WebhookDeliveryStatus::Failed, |_| WebhookDeliveryStatus::Waiting));
        }
        result
    }

    /// Sends it; a sentence where no answer came.
    async fn send(&self, delivery: &ClaimedDelivery, seconds: i64) -> Result<Answer, String> {
        let url = Url::parse(&delivery.url).ok().filter(|url| self.reach.allows(url));
        let url = url.ok_or("The address is not one that can be reached from here.")?;
        let id = delivery.event.to_string();
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", self.signatures(delivery, &id, seconds)?)
            .body(delivery.body.clone());
        let response = request.send().await.map_err(|error| self.said(&error))?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: response.status().as_u16(), retry_after, body: beginning(response).await })
    }

    /// A signature by each valid secret, the latest first.
    fn signatures(&self, delivery: &ClaimedDelivery, id: &str, seconds: i64) -> Result<String, String> {
        let signatures: Option<Vec<String>> = delivery
            .secrets
            .iter()
            .map(|(secret, sealed)| {
                let text = self.keyring.open(sealed, SealedField::WebhookSecret, delivery.tenant, *secret).ok()?;
                Some(Secret::of(&text)?.sign(id, seconds, delivery.body.as_bytes()))
            })
            .collect();
        signatures.filter(|signatures| !signatures.is_empty()).map(|signatures| signatures.join(" ")).ok_or_else(|| {
            tracing::error!(endpoint = %delivery.endpoint, "a webhook's secret does not open with the configured keys");
            "The secret cannot be opened: the server's encryption keys have been changed. Rotate the secret.".to_owned()
        })
    }

    /// What went wrong, for the person who looks after the endpoint.
    fn said(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("No answer within {} seconds.", self.patience.as_secs());
        }
        let mut cause = error.source();
        let mut last = None;
        while let Some(inner) = cause {
            last = Some(inner);
            cause = inner.source();
        }
        let what = if error.is_connect() { "Cannot connect" } else { "The request failed" };
        last.map_or_else(|| format!("{what}."), |cause| format!("{what}: {cause}."))
    }
}

/// The beginning of an answer's body. The rest of one that never ends is not read.
async fn beginning(mut response: Response) -> String {
    let (mut body, until) = (Vec::new(), Instant::now() + READING);
    while body.len() < MAX_RESPONSE
        && let Ok(Ok(Some(chunk))) = timeout_at(until, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MAX_RESPONSE);
    // A text of PostgreSQL has no NUL.
    String::from_utf8_lossy(&body).replace('\0', "\u{fffd}")
}
