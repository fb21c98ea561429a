//! `POST /graphql`: one operation from its bytes to its answer, and its line in the log. One with a file is read in [`super::multipart`].

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::{Request as Operation, Response as Answer, parser::types::DocumentOperations};
use async_graphql_axum::GraphQLResponse;
use axum::{
    Extension,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use super::{Refused, multipart, panic_text, request_id::RequestId};
use crate::{
    app::App,
    auth::{Viewer, guard},
    error::{Error, Result},
    graphql::{context::RequestContext, errors},
};

/// Headers that no form of another site can send: ours, and that of Apollo's clients.
const REQUIRE_PREFLIGHT: [&str; 2] = ["graphql-require-preflight", "apollo-require-preflight"];
/// How long a request with a file may take to arrive.
const ARRIVAL: Duration = Duration::from_mins(2);

/// Answers one operation.
pub async fn answer(State(app): State<Arc<App>>, Extension(RequestId(id)): Extension<RequestId>, request: Request) -> Response {
    let started = Instant::now();
    let form = match form(request.headers()) {
        Ok(form) => form,
        Err(refused) => return refused.answer(&id),
    };
    let claims = match guard::claims(&app.verifier, request.headers()).await {
        Ok(claims) => claims,
        Err(error) => return turned_away(&error, &id),
    };
    // Before the file is taken, and a connection for it.
    let place = match form {
        Form::Json => None,
        Form::Multipart(_) => Some(Arc::clone(&app.files).try_acquire_owned()),
    };
    let Ok(_place) = place.transpose() else { return too_many_files(&id) };
    let read = match form {
        Form::Json => read(request).await.map(|operation| (operation, Vec::new())),
        Form::Multipart(boundary) => {
            let read = tokio::time::timeout(ARRIVAL, multipart::read(request, boundary)).await;
            read.unwrap_or(Err(Refused::Fault(Error::Timeout)))
        }
    };
    let (mut operation, files) = match read {
        Ok(read) => read,
        Err(refused) => return refused.answer(&id),
    };
    let limit = if files.is_empty() { app.operation_timeout } else { app.upload_timeout };
    let (session, viewer) = match guard::admit(&app.pool, claims).await {
        Ok((session, viewer)) => (Arc::new(session), Arc::new(viewer)),
        Err(error) => return turned_away(&error, &id),
    };

    let described = Described::of(&mut operation);
    let keyring = Arc::clone(&app.keyring);
    let context = RequestContext::new(Arc::clone(&session), Arc::clone(&viewer), files, keyring, app.clock.clone());
    let mut answer = execute(&app, operation.data(context), limit).await.unwrap_or_else(|error| errors::alone(&error));
    let codes = errors::finish(&mut answer, &id);
    described.log(&id, &viewer, started, session.statements(), &codes);
    let mut response = GraphQLResponse::from(answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn execute(app: &App, operation: Operation, limit: Duration) -> Result<Answer> {
    let work = AssertUnwindSafe(app.schema.execute(operation)).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(panic)) => Err(Error::internal(format!("a panic: {}", panic_text(&*panic)))),
        Err(_) => Err(Error::Timeout),
    }
}

/// Reads the body: one operation as a JSON object.
async fn read(request: Request) -> Result<Operation, Refused> {
    let body = Bytes::from_request(request, &()).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refused::request(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 1 MB."),
        _ => Refused::request(StatusCode::BAD_REQUEST, "The body could not be read."),
    })?;
    parse(&body, "The body")
}

/// Reads an operation from its JSON; `what` is what that is.
pub(super) fn parse(json: &[u8], what: &str) -> Result<Operation, Refused> {
    // serde would read an array as the fields of the object in their order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        let message = format!("{what} must be one JSON object with `query`, and `variables` where it has any.");
        return Err(Refused::request(StatusCode::BAD_REQUEST, message));
    }
    serde_json::from_slice(json)
        .map_err(|error| Refused::request(StatusCode::BAD_REQUEST, format!("{what} is not a GraphQL request: {error}.")))
}

/// In which form an operation comes.
enum Form {
    Json,
    /// With files. The parts are told apart by this.
    Multipart(String),
}

/// A form on another site can send any other type, with the caller's cookie; JSON, and headers of our own, need that site's consent.
fn form(headers: &HeaderMap) -> Result<Form, Refused> {
    let refused = |message| Err(Refused::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(Form::Json);
    }
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return refused("Send the operation as application/json, or with a file as multipart/form-data.");
    }
    if !REQUIRE_PREFLIGHT.iter().any(|name| headers.contains_key(*name)) {
        return refused("A request with a file needs the header GraphQL-Require-Preflight, with any value.");
    }
    match multer::parse_boundary(text) {
        Ok(boundary) => Ok(Form::Multipart(boundary)),
        Err(_) => Err(Refused::request(StatusCode::BAD_REQUEST, "The content type names no boundary.")),
    }
}

/// The answer to a request that did not get as far as its operation.
pub(super) fn turned_away(error: &Error, id: &str) -> Response {
    let status = match error {
        Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Error::Forbidden(_) | Error::NotFound(_) | Error::BadUserInput(_) | Error::Aborted | Error::Internal(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    tracing::info!(request_id = id, code = error.code(), "turned away");
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(errors::answer(error, id))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The answer to a file for which there is no place at the moment.
pub(super) fn too_many_files(id: &str) -> Response {
    let mut response = turned_away(&Error::unavailable("too many exports and uploads are running"), id);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// What the log says of an operation: its name and type, never its variables.
struct Described {
    name: String,
    kind: &'static str,
}

impl Described {
    fn of(operation: &mut Operation) -> Self {
        let name = operation.operation_name.clone();
        let Ok(document) = operation.parsed_query() else { return Self { name: String::new(), kind: "malformed" } };
        let kind_of =
            |operation: &async_graphql::Positioned<async_graphql::parser::types::OperationDefinition>| match operation.node.ty {
                async_graphql::parser::types::OperationType::Query => "query",
                async_graphql::parser::types::OperationType::Mutation => "mutation",
                async_graphql::parser::types::OperationType::Subscription => "subscription",
            };
        match (&document.operations, name) {
            (DocumentOperations::Single(operation), name) => Self { name: name.unwrap_or_default(), kind: kind_of(operation) },
            (DocumentOperations::Multiple(operations), Some(name)) => {
                let kind = operations.get(name.as_str()).map_or("unknown", kind_of);
                Self { name, kind }
            }
            (DocumentOperations::Multiple(operations), None) => match operations.iter().next() {
                Some((name, operation)) if operations.len() == 1 => Self { name: name.to_string(), kind: kind_of(operation) },
                _ => Self { name: String::new(), kind: "unknown" },
            },
        }
    }

    fn log(&self, request_id: &str, viewer: &Viewer, started: Instant, statements: u32, codes: &[&str]) {
        let name: String = self.name.chars().take(100).collect();
        let milliseconds = started.elapsed().as_secs_f64() * 1_000.0;
        tracing::info!(
            request_id,
            operation = name,
            kind = self.kind,
            tenant = viewer.tenant.slug,
            user = %viewer.user,
            role = ?viewer.role,
            actor = viewer.claims.actor,
            milliseconds,
            statements,
            errors = codes.join(","),
            "operation"
        );
    }
}
