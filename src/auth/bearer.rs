//! Finds the session token in a request's headers.

use axum::http::{HeaderMap, header};
use axum_extra::extract::CookieJar;

use super::verifier::TokenFault;

/// The cookie that Clerk's front-end libraries keep the session token in.
const SESSION_COOKIE: &str = "__session";

/// A token, not yet looked at.
pub struct Token {
    /// Its text.
    pub text: String,
    /// Whether it is from the cookie, which a browser adds to whatever a site makes it send.
    pub is_cookie: bool,
}

/// The token from `Authorization: Bearer`, else from the cookie `__session`.
///
/// A header that is there counts alone: a request with a wrong one is not saved by its cookie.
pub fn token(headers: &HeaderMap) -> Result<Token, TokenFault> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let (scheme, token) =
                value.to_str().ok().and_then(|value| value.trim().split_once(' ')).ok_or(TokenFault::NotBearer)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(TokenFault::NotBearer);
            }
            Ok(Token { text: token.trim().to_owned(), is_cookie: false })
        }
        (Some(_), Some(_)) => Err(TokenFault::NotBearer),
        (None, _) => CookieJar::from_headers(headers)
            .get(SESSION_COOKIE)
            .map(|cookie| cookie.value().to_owned())
            .filter(|token| !token.is_empty())
            .map(|text| Token { text, is_cookie: true })
            .ok_or(TokenFault::Missing),
    }
}
