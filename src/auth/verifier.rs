//! Checks a session token (JWT, RFC 7519; signatures as RFC 7515 and RFC 7518 §3.3 say).
//!
//! The order is fixed: the form, the header, the key, the signature, and only then what the token claims. Nothing of an
//! unsigned text is believed, not even which issuer it names.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use quick_cache::{Weighter, sync::Cache};
use serde::Deserialize;

use super::{
    claims::{Claims, CoreClaims},
    keys::KeySource,
};
use crate::clock::Clock;

/// How far the issuer's clock and ours may differ.
const LEEWAY_SECONDS: f64 = 5.0;
/// Longer texts are not looked at. Clerk's tokens stay below 4 KB, a cookie's limit.
const MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// What is wrong with a request's token. For the log and for tests; the caller gets UNAUTHENTICATED and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum TokenFault {
    #[error("no token")]
    Missing,
    #[error("the Authorization header is not one Bearer token")]
    NotBearer,
    #[error("not three base64url parts of JSON")]
    Malformed,
    #[error("a type other than JWT")]
    Type,
    #[error("an algorithm other than RS256, RS384, RS512")]
    Algorithm,
    #[error("a critical header extension")]
    Critical,
    #[error("no key of that id")]
    UnknownKey,
    #[error("the signature does not match")]
    Signature,
    #[error("claims of the wrong type, or missing")]
    Claims,
    #[error("another issuer")]
    Issuer,
    #[error("expired")]
    Expired,
    #[error("not valid yet")]
    NotYet,
    #[error("issued in the future")]
    IssuedLater,
    #[error("another authorized party, or none")]
    Party,
    #[error("the session is pending")]
    Pending,
}

impl From<TokenFault> for crate::Error {
    fn from(fault: TokenFault) -> Self {
        Self::Unauthenticated {
            reason: fault.to_string().into(),
            has_token: fault != TokenFault::Missing,
            advice: fault.advice(),
        }
    }
}

impl TokenFault {
    /// What the bearer of the token can do about it. What says something of the keys, or of who is believed, is not for them.
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::NotBearer => Some("The header Authorization is the word Bearer, a blank, and the token."),
            Self::Malformed => Some("What was sent is no JWT: three parts in base64url with dots between them."),
            // The signature is right, or this would not be known.
            Self::Expired => Some("This one has expired; get a new one."),
            Self::NotYet | Self::IssuedLater => Some("This one is not valid yet; is a clock wrong?"),
            Self::Pending => Some("The session of this one is pending; finish signing in."),
            Self::Missing
            | Self::Type
            | Self::Algorithm
            | Self::Critical
            | Self::UnknownKey
            | Self::Signature
            | Self::Claims
            | Self::Issuer
            | Self::Party => None,
        }
    }
}

/// What to do about the claim `azp`, which names the front end that asked for the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum AzpPolicy {
    /// Check it where the token has it. Tokens made by back ends and some templates lack it.
    #[default]
    WhenPresent,
    /// Refuse tokens without it.
    Required,
    /// Let tokens without it pass even when authorized parties are configured, and check nothing when none are.
    Off,
}

/// One issuer whose tokens are believed.
pub struct TrustedIssuer {
    /// Its `iss` claim, compared exactly.
    pub name: String,
    /// The keys that it signs with.
    pub keys: KeySource,
}

/// How many tokens are remembered, about, and how many bytes of their texts at most: what one says takes a few times as much.
const REMEMBERED: usize = 5_000;
const REMEMBERED_BYTES: u64 = 4_000_000;

/// Turns a token into claims that can be believed.
pub struct TokenVerifier {
    /// Whose tokens are believed.
    pub issuers: Vec<TrustedIssuer>,
    authorized_parties: Vec<String>,
    azp: AzpPolicy,
    clock: Clock,
    /// By its SHA-256, what a token says. That it holds is checked each time; only the reading and the arithmetic are saved, for as long as
    /// the issuer's set holds the very key that has signed it.
    signed: Cache<[u8; 32], Arc<Signed>, Weigh>,
}

/// By the length of its text.
#[derive(Clone)]
struct Weigh;

impl Weighter<[u8; 32], Arc<Signed>> for Weigh {
    fn weight(&self, _: &[u8; 32], signed: &Arc<Signed>) -> u64 {
        signed.bytes as u64
    }
}

/// A token whose signature is right.
struct Signed {
    bytes: usize,
    key: Arc<DecodingKey>,
    kid: Option<String>,
    algorithm: Algorithm,
    /// Without the rest, which is not looked at again.
    checked: CoreClaims,
    claims: Arc<Claims>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

impl Header {
    /// The algorithm, if this is a token that can be verified here.
    fn algorithm(&self) -> Result<Algorithm, TokenFault> {
        if self.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(TokenFault::Type);
        }
        let algorithm = match self.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "RS384" => Algorithm::RS384,
            "RS512" => Algorithm::RS512,
            _ => return Err(TokenFault::Algorithm),
        };
        if self.crit.is_some() { Err(TokenFault::Critical) } else { Ok(algorithm) }
    }
}

impl TokenVerifier {
    /// Believes these issuers, under whose key each token is signed; for these front ends, or with none for any.
    pub fn new(issuers: Vec<TrustedIssuer>, authorized_parties: Vec<String>, azp: AzpPolicy, clock: Clock) -> Self {
        Self { issuers, authorized_parties, azp, clock, signed: Cache::with_weighter(REMEMBERED, REMEMBERED_BYTES, Weigh) }
    }

    /// What the token says, if all of it holds.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenFault> {
        let (message, signature, header, payload) = split(token)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.remembered(&hash) {
            return claims;
        }
        let header: Header = json(header)?;
        let algorithm = header.algorithm()?;
        let (issuer, key) = self.signer(message.as_bytes(), signature, header.kid.as_deref(), algorithm).await?;
        let mut checked: CoreClaims = json(payload)?;
        let claims = Arc::new(Claims::from(&checked));
        checked.rest = serde_json::Value::Null;
        let signed = Arc::new(Signed { bytes: token.len(), key, kid: header.kid, algorithm, checked, claims });
        let claims = self.check(&signed, issuer)?;
        self.signed.insert(hash, signed);
        Ok(claims)
    }

    /// The same of a token whose signature has been verified before, under a key that its issuer still publishes.
    fn remembered(&self, hash: &[u8; 32]) -> Option<Result<Arc<Claims>, TokenFault>> {
        let signed = self.signed.get(hash)?;
        let known = |issuer: &TrustedIssuer| issuer.keys.known(signed.kid.as_deref(), signed.algorithm);
        let has_signed = |issuer: &&TrustedIssuer| known(issuer).is_some_and(|key| Arc::ptr_eq(&key, &signed.key));
        let issuer = self.issuers.iter().find(has_signed)?;
        let checked = self.check(&signed, issuer);
        if matches!(checked, Err(TokenFault::Expired)) {
            self.signed.remove(hash);
        }
        Some(checked)
    }

    /// The issuer that has signed a message, and the key. Keys that are here are tried first, so that one issuer that does not answer keeps
    /// no other's tokens waiting.
    async fn signer(
        &self,
        message: &[u8],
        signature: &str,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(&TrustedIssuer, Arc<DecodingKey>), TokenFault> {
        let fits = |key: &DecodingKey| matches!(crypto::verify(signature, message, key, algorithm), Ok(true));
        let mut fault = TokenFault::UnknownKey;
        let mut unknown = Vec::new();
        for issuer in &self.issuers {
            match issuer.keys.known(kid, algorithm) {
                Some(key) if fits(&key) => return Ok((issuer, key)),
                Some(_) => fault = TokenFault::Signature,
                None => unknown.push(issuer),
            }
        }
        for issuer in unknown {
            match issuer.keys.fetched(kid, algorithm).await {
                Some(key) if fits(&key) => return Ok((issuer, key)),
                Some(_) => fault = TokenFault::Signature,
                None => {}
            }
        }
        Err(fault)
    }

    /// What a token that the issuer has signed claims, if all of it holds now.
    fn check(&self, signed: &Signed, issuer: &TrustedIssuer) -> Result<Arc<Claims>, TokenFault> {
        let claims = &signed.checked;
        #[expect(clippy::cast_precision_loss, reason = "seconds stay below 2^52 for a hundred million years")]
        let now = self.clock.now().timestamp() as f64;
        if claims.iss != issuer.name {
            return Err(TokenFault::Issuer);
        }
        if claims.sub.is_empty() || claims.sub.len() > 255 || claims.sub.chars().any(char::is_control) {
            return Err(TokenFault::Claims);
        }
        if claims.exp + LEEWAY_SECONDS <= now {
            return Err(TokenFault::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf - LEEWAY_SECONDS > now) {
            return Err(TokenFault::NotYet);
        }
        if claims.iat.is_some_and(|iat| iat - LEEWAY_SECONDS > now) {
            return Err(TokenFault::IssuedLater);
        }
        if !self.is_for_us(claims.azp.as_deref()) {
            return Err(TokenFault::Party);
        }
        if claims.sts.as_deref() == Some("pending") {
            return Err(TokenFault::Pending);
        }
        Ok(Arc::clone(&signed.claims))
    }

    fn is_for_us(&self, azp: Option<&str>) -> bool {
        match azp {
            Some(party) => self.authorized_parties.is_empty() || self.authorized_parties.iter().any(|known| known == party),
            None => self.azp != AzpPolicy::Required,
        }
    }
}

/// The signed text, the signature, and the two parts of the signed text.
fn split(token: &str) -> Result<(&str, &str, &str, &str), TokenFault> {
    if token.len() > MAX_TOKEN_LENGTH {
        return Err(TokenFault::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
    if payload.contains('.') || header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(TokenFault::Malformed);
    }
    Ok((message, signature, header, payload))
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|error| if error.is_data() { TokenFault::Claims } else { TokenFault::Malformed })
}
