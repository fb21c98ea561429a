//! Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`, as `v1,` and base64.

use std::fmt;

use aws_lc_rs::{
    hmac::{self, HMAC_SHA256},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::error::{Error, Result};

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";
/// How many random bytes are in a new one: 24 to 64 are allowed.
const LENGTH: usize = 32;

/// A secret that messages are signed with. Its `Debug` shows nothing of it.
pub struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The text of a new one.
    pub fn generate() -> Result<String> {
        let mut bytes = [0; LENGTH];
        rand::fill(&mut bytes).map_err(|_| Error::internal("no random bytes could be had"))?;
        Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// The secret of a text: base64, with or without `whsec_` before it. `None` for anything else.
    pub fn of(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok()?;
        (!bytes.is_empty()).then(|| Self(hmac::Key::new(HMAC_SHA256, &bytes)))
    }

    /// The signature of a message, as it stands in the header `webhook-signature`.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, &signed(id, seconds, body))))
    }

    /// Whether a signature, in base64, is this secret's of a message; takes as long for a wrong one as for a right one.
    pub fn has_signed(&self, id: &str, seconds: i64, body: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        hmac::verify(&self.0, &signed(id, seconds, body), &signature).is_ok()
    }
}

/// What is signed of a message.
fn signed(id: &str, seconds: i64, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{seconds}.").as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn known_signature() {
        let secret = Secret::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// A new secret is one of 32 random bytes, each time another.
    #[test]
    fn new_secrets() {
        let (one, other) = (Secret::generate().expect("a secret"), Secret::generate().expect("a secret"));
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(one.strip_prefix(PREFIX).expect("the prefix")).expect("base64").len(), LENGTH);
        assert!(Secret::of(&one).is_some());
        assert!(Secret::of("whsec_").is_none() && Secret::of("not base64!").is_none());
        assert_eq!(format!("{:?}", Secret::of(&one).expect("a secret")), "Secret");
    }
}
