//! The dashboard: the files of its build, and its first page at every address that it has pages at.

use std::{path::PathBuf, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use tower_http::services::ServeDir;

/// The first page. A folder without it is no build.
const INDEX: &str = "/index.html";
/// Files whose names change with their contents.
const HASHED: &str = "/assets/";
/// The check for machines that Clerk's sign-in page may show (Clerk's documentation, "Content Security Policy").
const CLERK_CHECK: &str = "https://challenges.cloudflare.com";

/// The dashboard that a server shows.
pub struct Dashboard {
    files: ServeDir,
    policy: HeaderValue,
}

impl Dashboard {
    /// The build in a folder, for people who sign in at these issuers. `None` where the folder holds none.
    pub fn open(folder: PathBuf, issuers: &[&str]) -> Option<Arc<Self>> {
        if !folder.join(&INDEX[1..]).is_file() {
            return None;
        }
        let policy = HeaderValue::from_str(&policy(issuers)).ok()?;
        let files = ServeDir::new(folder).append_index_html_on_directories(false).precompressed_br().precompressed_gzip();
        Some(Arc::new(Self { files, policy }))
    }

    /// The file at the address, or the first page where somebody opens the address in a browser; `None` where it is neither.
    pub async fn answer(&self, request: &Parts) -> Option<Response> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri.path();
        if path != "/" && path != INDEX {
            if let Some(file) = self.read(request, path).await {
                return Some(file);
            }
            if path.starts_with(HASHED) || !is_opened(&request.headers) {
                return None;
            }
        }
        self.read(request, INDEX).await
    }

    /// A file; `None` where there is none of that name.
    async fn read(&self, request: &Parts, path: &str) -> Option<Response> {
        let mut wanted = Request::builder().method(request.method.clone()).uri(path).body(Body::empty()).ok()?;
        wanted.headers_mut().clone_from(&request.headers);
        // What cannot be read is not there.
        let mut answer = self.files.clone().try_call(wanted).await.ok()?.into_response();
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        let is_hashed = path.starts_with(HASHED) && !answer.status().is_client_error();
        let kept = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
        // Also where a page is named otherwise, or is the same as before: a browser takes the policy of a 304 for the page that it has kept.
        if !path.starts_with(HASHED) {
            answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        }
        Some(answer)
    }
}

/// Whether somebody opens a page, rather than a program asking for something that is not there.
fn is_opened(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// Everything from the server itself, but for styles that parts of the page write, pictures (QR codes are on the hosts of links), and what
/// Clerk's sign-in needs. An issuer without TLS is a test's, and not Clerk.
fn policy(issuers: &[&str]) -> String {
    let clerk: Vec<&str> = issuers.iter().copied().filter(|issuer| issuer.starts_with("https://")).collect();
    let check: &[&str] = if clerk.is_empty() { &[] } else { &[CLERK_CHECK] };
    let from_here = |others: &[&[&str]]| [&["'self'"], others.concat().as_slice()].concat().join(" ");
    let frames = check.first().unwrap_or(&"'none'");
    format!(
        "default-src 'none'; script-src {}; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; font-src 'self'; connect-src {}; worker-src 'self' blob:; \
         frame-src {frames}; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        from_here(&[&clerk, check]),
        from_here(&[&clerk]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts come from the server alone, and where people sign in by Clerk from there; an issuer on this machine is no Clerk.
    #[test]
    fn policies() {
        let own = policy(&["http://127.0.0.1:9000"]);
        assert!(
            own.contains("script-src 'self'; ") && own.contains("connect-src 'self'; ") && own.contains("frame-src 'none'; "),
            "{own}"
        );
        let clerk = policy(&["https://clerk.example.com"]);
        assert!(clerk.contains("script-src 'self' https://clerk.example.com https://challenges.cloudflare.com; "), "{clerk}");
        assert!(clerk.contains("connect-src 'self' https://clerk.example.com; "), "{clerk}");
    }
}
