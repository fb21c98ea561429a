//! What other web sites can make a browser do: nothing.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};

use crate::support::{
    World,
    log::lines_of,
    token,
    world::{ACME, Answer, FRONT_END},
};

async fn send(world: &World, method: Method, headers: &[(&str, &str)], body: &str) -> Answer {
    let uri = if method == Method::GET { "/graphql?query=%7B__typename%7D" } else { "/graphql" };
    let mut request = Request::builder().method(method).uri(uri).header(header::HOST, "api.example.com");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body.to_owned())).expect("a request")).await
}

/// The session cookie counts in requests from our own site or a configured one, which a browser asks about; a header counts always.
#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_counts_at_home() {
    let world = World::new().await;
    let cookie = format!("__session={}", token("owner_a", ACME));
    let bearer = format!("Bearer {}", token("owner_a", ACME));
    let (body, json) = (r#"{"query":"{ __typename }"}"#, ("content-type", "application/json"));
    let (ours, preflight) = (("cookie", cookie.as_str()), ("graphql-require-preflight", "1"));
    let evil = ("origin", "https://evil.example");
    for (method, headers, status) in [
        (Method::POST, vec![json, ours], 200),
        (Method::POST, vec![json, ours, ("sec-fetch-site", "same-origin")], 200),
        (Method::POST, vec![json, ours, ("origin", "https://api.example.com")], 200),
        (Method::POST, vec![json, ours, ("sec-fetch-site", "same-site"), ("origin", FRONT_END)], 200),
        (Method::POST, vec![json, ours, ("sec-fetch-site", "cross-site"), evil], 403),
        (Method::POST, vec![json, ours, ("sec-fetch-site", "same-site"), ("origin", "https://other.example.com")], 403),
        (Method::POST, vec![json, ours, ("sec-fetch-site", "none")], 403),
        (Method::POST, vec![json, ours, evil], 403),
        (Method::POST, vec![json, ours, ("origin", "null")], 403),
        (Method::POST, vec![json, ("authorization", bearer.as_str()), ("sec-fetch-site", "cross-site"), evil], 200),
        (Method::GET, vec![ours], 403),
        (Method::GET, vec![ours, ("sec-fetch-site", "same-origin")], 403),
        (Method::GET, vec![ours, preflight, ("sec-fetch-site", "same-origin")], 200),
        (Method::GET, vec![ours, preflight, ("sec-fetch-site", "cross-site"), evil], 403),
        (Method::GET, vec![("authorization", bearer.as_str())], 200),
    ] {
        let body = if method == Method::POST { body } else { "" };
        let answer = send(&world, method.clone(), &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {headers:?}: {}", answer.body);
    }
}

/// Everything that a form can send is 415, whatever is in it.
#[tokio::test(flavor = "multi_thread")]
async fn forms_are_refused() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", token("owner_a", ACME));
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", ""]
    {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        let answer = send(&world, Method::POST, &headers, r#"{"query":"{ __typename }"}"#).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
}

/// A browser that asks learns of configured origins only; none is echoed.
#[tokio::test(flavor = "multi_thread")]
async fn preflight() {
    let world = World::new().await;
    let ask = async |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        send(&world, Method::OPTIONS, &headers, "").await
    };
    let allowed = ask(FRONT_END).await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.headers["access-control-allow-origin"], FRONT_END);
    assert_eq!(allowed.headers["access-control-allow-credentials"], "true");
    for origin in ["https://evil.example", "null", "https://portal.example.com.evil.example", "http://portal.example.com"] {
        let refused = ask(origin).await;
        assert!(refused.headers.get("access-control-allow-origin").is_none(), "{origin}");
        // The log names the setting that would allow it.
        let log = lines_of(&refused);
        assert!(
            log.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains("PORTAL_CORS_ORIGINS"))),
            "{origin}"
        );
    }
    // What common clients send may be sent, and one setting lets more; what a front end needs of an answer may be read.
    let taken = allowed.headers["access-control-allow-headers"].to_str().expect("text").to_owned();
    for name in [
        "apollographql-client-name",
        "apollographql-client-version",
        "traceparent",
        "sentry-trace",
        "last-event-id",
        "x-app-version",
    ] {
        assert!(taken.split(',').any(|taken| taken.trim() == name), "{name}: {taken}");
    }
    let answer = send(&world, Method::POST, &[("origin", FRONT_END), ("content-type", "application/json")], "{}").await;
    let read = answer.headers["access-control-expose-headers"].to_str().expect("text").to_owned();
    for name in ["x-request-id", "retry-after", "content-disposition", "www-authenticate"] {
        assert!(read.split(',').any(|read| read.trim() == name), "{name}: {read}");
    }
}
