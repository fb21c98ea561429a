//! `GraphiQL`, for development: a page that runs queries with a token already filled in.
//!
//! Its assets are npm packages at pinned versions, fetched once into the data folder; the page asks no other host for anything.

use std::{path::Path, sync::Arc};

use axum::{
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use super::development;
use crate::{
    app::App,
    npm::{NpmError, Package},
};

const PACKAGES: [Package; 3] = [
    Package {
        name: "graphiql",
        version: "4.1.2",
        sha512: "rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
    },
    Package {
        name: "react",
        version: "18.3.1",
        sha512: "wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
    },
    Package {
        name: "react-dom",
        version: "18.3.1",
        sha512: "5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
    },
];

/// How long the page's token is good for; loading the page again brings a new one.
const TOKEN_SECONDS: i64 = 12 * 60 * 60;

/// The files that are served, and where they lie in the packages.
const FILES: [(&str, &str, &str); 4] = [
    ("graphiql.js", "graphiql-4.1.2/graphiql.min.js", "text/javascript; charset=utf-8"),
    ("graphiql.css", "graphiql-4.1.2/graphiql.min.css", "text/css; charset=utf-8"),
    ("react.js", "react-18.3.1/umd/react.production.min.js", "text/javascript; charset=utf-8"),
    ("react-dom.js", "react-dom-18.3.1/umd/react-dom.production.min.js", "text/javascript; charset=utf-8"),
];

/// Everything from here, but for the styles that the editor writes into the page, and fonts and images within the style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; font-src 'self' data:; \
                      img-src 'self' data:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const BOOT: &str = include_str!("graphiql.js");
const PAGE: &str = include_str!("graphiql.html");
const EXAMPLES: [&str; 8] = [
    include_str!("examples/dashboard.graphql"),
    include_str!("examples/earnings.graphql"),
    include_str!("examples/credits.graphql"),
    include_str!("examples/leads.graphql"),
    include_str!("examples/status.graphql"),
    include_str!("examples/links.graphql"),
    include_str!("examples/affiliate.graphql"),
    include_str!("examples/live.graphql"),
];

/// Fetches the assets where they are missing. Blocks.
pub fn fetch_assets(folder: &Path) -> Result<(), NpmError> {
    PACKAGES.iter().try_for_each(|package| package.unpack_to(&folder.join(format!("{}-{}", package.name, package.version))))
}

/// The page, or what to do where its assets cannot be had.
pub async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let Some(development) = &app.development else { return StatusCode::NOT_FOUND.into_response() };
    if let Some(refused) = development::refuse_others(&headers, "navigate") {
        return refused;
    }
    let folder = development.assets.clone();
    let fetched = tokio::task::spawn_blocking(move || fetch_assets(&folder)).await;
    let body = match fetched {
        Ok(Ok(())) => match development.issuer.mint(&development.explorer, TOKEN_SECONDS, &app.clock) {
            Ok(token) => PAGE.replace("{settings}", &settings(&token)),
            Err(error) => without_assets(&error.to_string()),
        },
        Ok(Err(error)) => without_assets(&error.to_string()),
        Err(error) => without_assets(&error.to_string()),
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(body)).into_response()
}

/// One of the page's files.
pub async fn asset(State(app): State<Arc<App>>, UrlPath(name): UrlPath<String>) -> Response {
    let typed = |content_type| [(header::CONTENT_TYPE, content_type), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    if name == "boot.js" {
        return (typed("text/javascript; charset=utf-8"), BOOT).into_response();
    }
    let file = FILES.iter().find(|(served, ..)| *served == name).zip(app.development.as_ref());
    let Some(((_, path, content_type), development)) = file else { return StatusCode::NOT_FOUND.into_response() };
    match tokio::fs::read(development.assets.join(path)).await {
        Ok(bytes) => (typed(content_type), bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What the page's script reads: the token and the examples, as JSON that cannot end its element.
fn settings(token: &str) -> String {
    json!({"token": token, "examples": EXAMPLES}).to_string().replace('<', "\\u003c")
}

fn without_assets(reason: &str) -> String {
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Partner portal</title><h1>GraphiQL is not here yet</h1>\
         <p>Its files come from npm, once, and could not be fetched: {reason}.</p>\
         <p>Install Node.js (which brings <code>npm</code>), or mend its access to the registry, and load this page again. The API \
         itself works: POST operations to <code>/graphql</code> with a token from <code>partner-portal token</code>.</p>"
    )
}
