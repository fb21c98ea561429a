//! The server as its own token issuer, for development: an RSA key kept in the data folder, its public half published at
//! `/.well-known/jwks.json`, tokens in Clerk's layout. The verification is the same as in production.

use std::{
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize, PublicKeyComponents},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::keys::KeySet;
use crate::{clock::Clock, secret_file};

/// The issuer that development tokens name. It is no address: the keys are known to the server itself.
pub const ISSUER: &str = "https://development.partner-portal.invalid";

/// Why there is no development issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds no key, or none could be made.
    #[error("{0} holds no RSA key; remove it to have a new one made")]
    Key(PathBuf),
    /// Signing failed.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Whom a development token is for.
#[derive(Debug, Clone, Default)]
pub struct Bearer {
    /// `sub`
    pub subject: String,
    /// `tenant`
    pub tenant: Option<String>,
    /// `o.id`
    pub organization: Option<String>,
    /// `metadata.role`
    pub role: Option<&'static str>,
    /// `email`
    pub email: Option<String>,
    /// `name`
    pub name: Option<String>,
    /// `invite_code`
    pub invite_code: Option<String>,
}

/// The key, and what is published of it.
pub struct DevelopmentIssuer {
    signing: EncodingKey,
    key_id: String,
    public: Value,
}

impl DevelopmentIssuer {
    /// The issuer whose key lies in `folder`; made on the first call.
    pub fn open(folder: &Path) -> Result<Self, IssuerError> {
        let path = folder.join("development-issuer.der");
        let make = || {
            let pair = KeyPair::generate(KeySize::Rsa2048).map_err(io::Error::other)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(io::Error::other)?;
            Ok(der.as_ref().to_vec())
        };
        match secret_file::read_or_make(&path, make) {
            Ok(der) => Self::from_pkcs8(&der).ok_or(IssuerError::Key(path)),
            Err(error) => Err(IssuerError::File { path, error }),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = KeyPair::from_pkcs8(der).ok()?;
        let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let key_id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &components.n).as_ref()[..12]);
        let public = json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id,
            "n": URL_SAFE_NO_PAD.encode(&components.n), "e": URL_SAFE_NO_PAD.encode(&components.e),
        }]});
        // PKCS#8 (RFC 5208) wraps the PKCS#1 key that the signing library wants in a PEM of either kind.
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", pem_lines(der));
        Some(Self { signing: EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?, key_id, public })
    }

    /// The published key set.
    pub fn jwks(&self) -> &Value {
        &self.public
    }

    /// The same as the verifier takes it.
    pub fn keys(&self) -> KeySet {
        KeySet::from_json(&self.public)
    }

    /// A token in the layout of Clerk's version 2 that is good for `seconds` from now.
    pub fn mint(&self, bearer: &Bearer, seconds: i64, clock: &Clock) -> Result<String, IssuerError> {
        let now = clock.now().timestamp();
        let mut claims = json!({
            "v": 2, "iss": ISSUER, "sub": bearer.subject, "sid": format!("sess_{}", bearer.subject),
            "iat": now, "nbf": now, "exp": now + seconds,
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims[name] = value;
            }
        };
        set("tenant", bearer.tenant.as_ref().map(|slug| json!(slug)));
        set("o", bearer.organization.as_ref().map(|id| json!({"id": id, "rol": "member"})));
        set("metadata", bearer.role.map(|role| json!({"role": role})));
        set("email", bearer.email.as_ref().map(|email| json!(email)));
        set("email_verified", bearer.email.as_ref().map(|_| json!(true)));
        set("name", bearer.name.as_ref().map(|name| json!(name)));
        set("invite_code", bearer.invite_code.as_ref().map(|code| json!(code)));
        self.sign(&claims)
    }

    /// Signs any claims; how tests make tokens with faults.
    pub fn sign(&self, claims: &Value) -> Result<String, IssuerError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.signing)?)
    }
}

fn pem_lines(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>().join("\n")
}
