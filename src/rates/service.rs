//! The port to the service, and its client over HTTP.
//!
//! `GET <url>?domain=example.com&url=…&tenant=…` with a bearer token is answered by 200 and JSON (see [`super::read_answer`]), or by 204 or 404
//! where no rate is known.

use std::{fmt, time::Duration};

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use reqwest::{Client, Response, StatusCode, header};
use url::Url;

use crate::{
    ids::TenantId,
    outbound::{self, Reach},
};

/// The longest answer, in bytes.
const MOST_BYTES: usize = 8 * 1024;
/// The longest that one try may take.
pub(super) const TRY_LIMIT: Duration = Duration::from_millis(1_500);

/// A question: which rate does this shop pay?
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// For whom.
    pub tenant: TenantId,
    /// The shop's registrable domain, in ASCII.
    pub domain: &'q str,
    /// The product's address, where a link is being made.
    pub url: Option<&'q str>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be reached.
    #[error("it could not be reached: {0}")]
    Unreachable(reqwest::Error),
    /// It took too long.
    #[error("it did not answer in time")]
    TimedOut,
    /// It wants to be asked less often, and says for how long.
    #[error("it was asked too often")]
    TooManyRequests(Option<TimeDelta>),
    /// It answered with another status than those that are agreed on.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// The answer is longer than any that could be meant.
    #[error("its answer is longer than {MOST_BYTES} bytes")]
    TooLong,
}

impl AskError {
    /// Whether it may be otherwise at the next try.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => status.is_server_error(),
            Self::TimedOut | Self::TooManyRequests(_) | Self::TooLong => false,
        }
    }
}

/// Something that can be asked for rates. Gives the answer's text, or `None` where no rate is known.
pub trait RateService: Send + Sync {
    /// Asks once.
    fn ask<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Option<String>, AskError>>;
}

/// A service over HTTP.
pub struct HttpRateService {
    client: Client,
    url: Url,
    token: Option<String>,
}

impl HttpRateService {
    /// The one at `url`, which must be within reach, asked with a bearer token.
    pub fn new(url: Url, token: Option<String>, reach: Reach) -> reqwest::Result<Self> {
        Ok(Self { client: outbound::client(reach, TRY_LIMIT)?, url, token })
    }

    async fn get(&self, question: &Question<'_>) -> Result<Option<String>, AskError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("domain", question.domain).append_pair("tenant", &question.tenant.to_string());
        if let Some(product) = question.url {
            url.query_pairs_mut().append_pair("url", product);
        }
        let mut request = self.client.get(url).header(header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(unanswered)?;
        match response.status() {
            StatusCode::OK => text(response).await.map(Some),
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(None),
            StatusCode::TOO_MANY_REQUESTS => Err(AskError::TooManyRequests(retry_after(&response))),
            status => Err(AskError::Status(status)),
        }
    }
}

impl RateService for HttpRateService {
    fn ask<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Option<String>, AskError>> {
        Box::pin(self.get(question))
    }
}

impl fmt::Debug for HttpRateService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRateService").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// The body, unless it is longer than any that could be meant.
async fn text(mut response: Response) -> Result<String, AskError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(AskError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The error without the URL: its query names a tenant.
fn unanswered(error: reqwest::Error) -> AskError {
    if error.is_timeout() { AskError::TimedOut } else { AskError::Unreachable(error.without_url()) }
}

/// The seconds of `Retry-After` (RFC 9110, section 10.2.3); a date there is not read.
fn retry_after(response: &Response) -> Option<TimeDelta> {
    let seconds: i64 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    TimeDelta::try_seconds(seconds)
}
