//! A persisted query by GET may be cached by its client, which then asks whether the answer is still the same (RFC 9110, section 13;
//! RFC 9111). No shared cache stores it, and no cache serves it without asking.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Marks an answer without errors: those are of one request, and are not kept.
#[derive(Debug, Clone, Copy)]
pub struct WithoutErrors;

/// How many bytes of a digest an `ETag` has.
const TAG_BYTES: usize = 16;

/// The answer with a tag, or that it is still so where the request has that tag. The tag is a weak one: the same answer is sent with one
/// content coding and another.
pub async fn tagged(response: Response<Body>, request: &HeaderMap) -> Response<Body> {
    if response.status() != StatusCode::OK || response.extensions().get::<WithoutErrors>().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is in memory, whole.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let tag = format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, &body).as_ref()[..TAG_BYTES]));
    let is_same = matches(request, &tag);
    if let Ok(tag) = HeaderValue::try_from(tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    // The answer is its caller's, whichever way they say who they are.
    parts.headers.append(header::VARY, HeaderValue::from_static("accept, authorization, cookie"));
    if is_same {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

/// Whether the request has an answer with that tag (RFC 9110, section 13.1.2: compared weakly).
fn matches(request: &HeaderMap, tag: &str) -> bool {
    let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let values = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| known == "*" || weak(known) == weak(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag is found in a list, weak or strong; a star is any.
    #[test]
    fn tags_are_compared_weakly() {
        for (known, expected) in
            [("W/\"a\"", true), ("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(known))]);
            assert_eq!(matches(&headers, "W/\"a\""), expected, "{known}");
        }
        assert!(!matches(&HeaderMap::new(), "W/\"a\""));
    }
}
