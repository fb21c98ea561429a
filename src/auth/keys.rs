//! The public keys that tokens are checked with, and the cache of an issuer's key set (JWKS, RFC 7517).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::header::DATE;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Clock;

/// How long a fetched key set is used without asking again.
const FRESH_FOR: TimeDelta = TimeDelta::minutes(5);
/// How long to wait after a fetch, also a failed one, before an unknown key id or a stale set causes another.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
/// How long one fetch may take.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

/// A public key and the algorithm that its set restricts it to, if it does.
#[derive(Clone)]
struct Key {
    key: Arc<DecodingKey>,
    algorithm: Option<Algorithm>,
}

/// Keys by their id.
#[derive(Clone, Default)]
pub struct KeySet(HashMap<String, Key>);

impl KeySet {
    /// How many keys it holds.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Reads a key set. Keys that cannot sign a session token (another type or use, no id) are passed over.
    pub fn from_json(set: &Value) -> Self {
        let keys = set["keys"].as_array().into_iter().flatten();
        Self(keys.filter_map(|key| Some((key["kid"].as_str()?.to_owned(), Self::read(key)?))).collect())
    }

    fn read(key: &Value) -> Option<Key> {
        let signs = key.get("use").is_none_or(|purpose| purpose == "sig");
        let algorithm = match key.get("alg").map(Value::as_str) {
            None => None,
            Some(name) => Some(name?.parse().ok()?),
        };
        (key["kty"] == "RSA" && signs).then_some(())?;
        let (modulus, exponent) = (key["n"].as_str()?, key["e"].as_str()?);
        Some(Key { key: Arc::new(DecodingKey::from_rsa_components(modulus, exponent).ok()?), algorithm })
    }

    fn find(&self, kid: &str, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let key = self.0.get(kid)?;
        key.algorithm.is_none_or(|only| only == algorithm).then(|| Arc::clone(&key.key))
    }
}

/// What fetches key sets.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().timeout(FETCH_LIMIT).redirect(reqwest::redirect::Policy::none()).build()
}

/// Fetches a key set, with the issuer's time where the answer says it (RFC 9110, section 6.6.1).
pub async fn fetch(client: &reqwest::Client, url: Url) -> Result<(KeySet, Option<DateTime<Utc>>), reqwest::Error> {
    let answer = client.get(url).send().await?.error_for_status()?;
    let date = answer.headers().get(DATE).and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
    let set: Value = answer.json().await?;
    Ok((KeySet::from_json(&set), date.as_ref().map(DateTime::to_utc)))
}

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
#[error("not an RSA public key in PEM: {0}")]
pub struct PemError(#[from] jsonwebtoken::errors::Error);

/// Where an issuer's keys come from.
pub enum KeySource {
    /// One key from the settings; the network is not asked. It serves whatever id a token names.
    Pem(Arc<DecodingKey>),
    /// A set that is known here: the development issuer's.
    Known(KeySet),
    /// The issuer's published set.
    Published(KeyCache),
}

impl KeySource {
    /// The key of a text in PEM. In an environment file its line breaks are often written as `\n`.
    pub fn of_pem(pem: &str) -> Result<Self, PemError> {
        Ok(Self::Pem(Arc::new(DecodingKey::from_rsa_pem(pem.replace("\\n", "\n").as_bytes())?)))
    }

    /// The key to check a token with, from what is here already: the same one, for as long as the source holds it.
    pub fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        match self {
            Self::Pem(key) => Some(Arc::clone(key)),
            Self::Known(set) => set.find(kid?, algorithm),
            Self::Published(cache) => cache.known(kid?, algorithm),
        }
    }

    /// The same after asking the issuer, if it may be asked now.
    pub async fn fetched(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        match self {
            Self::Pem(_) | Self::Known(_) => None,
            Self::Published(cache) => cache.fetched(kid?, algorithm).await,
        }
    }
}

#[derive(Clone, Default)]
struct Cached {
    set: Arc<KeySet>,
    fetched: Option<DateTime<Utc>>,
    tried: Option<DateTime<Utc>>,
}

impl Cached {
    fn is_younger_than(&self, age: TimeDelta, now: DateTime<Utc>) -> bool {
        self.fetched.is_some_and(|fetched| now - fetched < age)
    }

    /// Whether the issuer was asked so recently that it is left alone.
    fn is_paused(&self, now: DateTime<Utc>) -> bool {
        self.tried.is_some_and(|tried| now - tried < PAUSE)
    }
}

/// A published key set, fetched when it is needed and kept for five minutes.
#[derive(Clone)]
pub struct KeyCache(Arc<Published>);

struct Published {
    url: Url,
    client: reqwest::Client,
    clock: Clock,
    // Read by every request, so behind a lock that is never held while waiting.
    cached: std::sync::RwLock<Cached>,
    // Held while fetching: requests that need the same fetch wait for it.
    fetching: Mutex<()>,
}

impl KeyCache {
    /// A cache of the set at `url`; nothing is fetched yet.
    pub fn new(url: Url, clock: Clock) -> Result<Self, reqwest::Error> {
        let client = client()?;
        Ok(Self(Arc::new(Published { url, client, clock, cached: std::sync::RwLock::default(), fetching: Mutex::new(()) })))
    }

    /// A key that may be used at once. One that is past its five minutes still serves while the set is fetched behind it.
    fn known(&self, kid: &str, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let (cached, now) = (self.0.cached(), self.0.clock.now());
        let key = cached.set.find(kid, algorithm)?;
        if cached.is_younger_than(FRESH_FOR, now) {
            return Some(key);
        }
        if !cached.is_paused(now) && cached.is_younger_than(FRESH_FOR * 2, now) {
            drop(self.refresh());
            return Some(key);
        }
        // Older than that it serves only while the issuer does not answer.
        cached.is_paused(now).then_some(key)
    }

    async fn fetched(&self, kid: &str, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        // In a task of its own: a request that waits for it may be dropped without undoing it.
        let _ = self.refresh().await;
        self.0.cached().set.find(kid, algorithm)
    }

    fn refresh(&self) -> tokio::task::JoinHandle<()> {
        let published = Arc::clone(&self.0);
        tokio::spawn(async move { published.refresh().await })
    }
}

impl Published {
    fn cached(&self) -> Cached {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the set, unless it was asked for just now. When that fails the old one stays in use.
    async fn refresh(&self) {
        let _turn = self.fetching.lock().await;
        let (old, now) = (self.cached(), self.clock.now());
        if old.is_paused(now) {
            return;
        }
        let new = match fetch(&self.client, self.url.clone()).await {
            Ok((set, _)) if set.count() > 0 => Cached { set: Arc::new(set), fetched: Some(now), tried: Some(now) },
            Ok(_) => {
                tracing::warn!(url = %self.url, "the key set holds no usable key; the known keys stay in use");
                Cached { tried: Some(now), ..old }
            }
            Err(error) => {
                tracing::warn!(url = %self.url, %error, "the key set could not be fetched; the known keys stay in use");
                Cached { tried: Some(now), ..old }
            }
        };
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}
