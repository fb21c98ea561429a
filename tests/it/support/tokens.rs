//! Session tokens for tests, from the development issuer: the verification is production's.

use std::sync::LazyLock;

use partner_portal::auth::development::{DevelopmentIssuer, ISSUER};
use serde_json::{Value, json};

static ISSUER_KEY: LazyLock<DevelopmentIssuer> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    DevelopmentIssuer::open(folder.path()).expect("a key")
});

/// The issuer that the test server believes.
pub fn issuer() -> &'static DevelopmentIssuer {
    &ISSUER_KEY
}

/// Now, in seconds.
pub fn now() -> i64 {
    partner_portal::clock::Clock::default().now().timestamp()
}

/// Claims that are good: for changing one of them.
pub fn good_claims(subject: &str, tenant: &str) -> Value {
    json!({"iss": ISSUER, "sub": subject, "tenant": tenant, "iat": now(), "nbf": now(), "exp": now() + 600})
}

/// A token with these claims.
pub fn sign(claims: &Value) -> String {
    issuer().sign(claims).expect("a token")
}

/// A good token.
pub fn token(subject: &str, tenant: &str) -> String {
    sign(&good_claims(subject, tenant))
}

/// A good token of a tenant's staff or machine.
pub fn staff_token(role: &str, tenant: &str) -> String {
    let mut claims = good_claims(&format!("{role}_{tenant}"), tenant);
    claims["metadata"] = json!({"role": role});
    sign(&claims)
}
