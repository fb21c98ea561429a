//! `/graphql`: GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>), from a request to its response.

mod feed;
mod multipart;
pub(super) mod negotiation;
mod operation;
mod parameters;
pub(super) mod position;
mod sse;
mod websocket;

use std::{fs::File, sync::Arc};

use async_graphql::{Response as Answer, parser::types::OperationType};
use axum::{
    Extension,
    extract::{
        Request, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use self::{
    negotiation::{Accepted, Media},
    operation::Call,
    parameters::Body,
};
use super::{Refused, caching, graphiql, origin, request_id::RequestId, server::SocketPermit};
use crate::{
    app::App,
    auth::{Permission, bearer, guard},
    error::Error,
    graphql::{
        document::Parameters,
        engine::{error_codes, json},
    },
    imports::{history, members},
    telemetry::traces,
};

/// `POST`: an operation as JSON, or with a file.
pub async fn post(State(app): State<Arc<App>>, Extension(RequestId(id)): Extension<RequestId>, request: Request) -> Response {
    let accepted = match negotiation::accepted(request.headers()) {
        Ok(accepted) => accepted,
        Err(refused) => return refused.answer(Media::Json, &id),
    };
    match answer_post(&app, &id, accepted, request).await {
        Ok(response) => response,
        Err(refused) => refused.answer(accepted.media(), &id),
    }
}

async fn answer_post(app: &Arc<App>, id: &str, accepted: Accepted, request: Request) -> Result<Response, Refused> {
    let form = form(request.headers())?;
    let is_json = matches!(form, Form::Json);
    let call = call(app, id, request.headers(), is_json, false).await?;
    // Before the file is taken, and a connection for it.
    let permit = match &form {
        Form::Json => None,
        Form::Multipart(_) => Some(Arc::clone(&app.files).try_acquire_owned().map_err(|_| Refused::NoPermit)?),
    };
    let (body, files) = match form {
        Form::Json => {
            let body = parameters::read(app, request).await?;
            // Subscribers wait for a permit; and a client that is answered before its whole body was read may never see the answer.
            if !accepted.stream {
                operation::check_permit(app, &call)?;
            }
            (parameters::from_json(app, &body)?, Vec::new())
        }
        Form::Multipart(boundary) => {
            let limit = app.edge.limits.file_timeout;
            // By what the token says: the caller is not identified yet.
            let imports =
                guard::staff_role(&call.claims).is_some_and(|role| role.permissions().contains(&Permission::DataImport));
            let most = if imports { history::upload::MAX_BYTES } else { members::MAX_BYTES };
            let (parameters, files) = parameters::in_time(limit, multipart::read(request, boundary, most)).await?;
            (Body::Single(parameters), files)
        }
    };
    let response = match body {
        Body::Single(parameters) => single(app, call, accepted, parameters, files).await,
        Body::Batch(batch) => self::batch(app, &call, accepted, batch).await,
    };
    drop(permit);
    response
}

/// `GET`: a query in the address; a WebSocket; for browsers the page.
pub async fn get(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    permit: Option<Extension<SocketPermit>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Ok(upgrade) = upgrade {
        // It would be sent elsewhere at once, and come back here.
        if app.edge.is_stopping() {
            return Refused::from(Error::unavailable("the server is stopping")).answer(Media::Json, &id);
        }
        return websocket::open(app, id, upgrade, permit.map(|Extension(permit)| permit));
    }
    let query = uri.query().unwrap_or_default();
    let accepts_html =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"));
    if accepts_html && query.is_empty() && app.development.is_some() {
        return graphiql::page(State(app), headers).await;
    }
    let accepted = match negotiation::accepted(&headers) {
        Ok(accepted) => accepted,
        Err(refused) => return refused.answer(Media::Json, &id),
    };
    let answer = async {
        let call = call(&app, &id, &headers, false, true).await?;
        let parameters = parameters::from_query(query)?;
        let is_persisted = parameters.query.is_none();
        let answer = single(&app, call, accepted, parameters, Vec::new()).await?;
        Ok(if is_persisted { caching::tagged(answer, &headers).await } else { answer })
    };
    answer.await.unwrap_or_else(|refused: Refused| refused.answer(accepted.media(), &id))
}

async fn single(
    app: &Arc<App>,
    call: Call,
    accepted: Accepted,
    parameters: Parameters,
    files: Vec<File>,
) -> Result<Response, Refused> {
    let prepared = operation::prepare(app, &call, parameters).await?;
    let is_subscription = prepared.kind == OperationType::Subscription;
    match accepted.single {
        Some(media) if !(is_subscription && accepted.stream) => {
            Ok(respond(media, operation::single(app, &call, &prepared, files).await?))
        }
        _ => sse::answer(app, call, prepared, files).await,
    }
}

/// Runs operations one after the other. Their answers come in the order of the requests.
async fn batch(app: &Arc<App>, call: &Call, accepted: Accepted, batch: Vec<Parameters>) -> Result<Response, Refused> {
    let media = accepted
        .single
        .ok_or_else(|| Refused::request(StatusCode::NOT_ACCEPTABLE, "Several operations have one answer: accept JSON."))?;
    let mut answers = Vec::with_capacity(batch.len());
    let mut own = HeaderMap::new();
    for parameters in batch {
        let answer = match operation::run(app, call, parameters, Vec::new()).await {
            Ok(mut answer) => {
                // The later one is the furthest.
                own.extend(std::mem::take(&mut answer.http_headers));
                json::answer(&answer)
            }
            Err(refused) => refused.body(&call.id).to_string(),
        };
        answers.push(answer);
    }
    Ok((headers(media), own, format!("[{}]", answers.join(","))).into_response())
}

fn respond(media: Media, mut answer: Answer) -> Response {
    let own = std::mem::take(&mut answer.http_headers);
    let mut response = (headers(media), own, json::answer(&answer)).into_response();
    if answer.errors.is_empty() {
        response.extensions_mut().insert(caching::WithoutErrors);
    }
    // Where a part of the answer could not be had, its status is 200 all the same.
    if answer.errors.iter().any(error_codes::is_unavailable) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn headers(media: Media) -> [(header::HeaderName, HeaderValue); 2] {
    [(header::CONTENT_TYPE, media.content_type()), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

/// Verifies the token, and notes how the operation was sent.
async fn call(app: &Arc<App>, id: &str, headers: &HeaderMap, is_json: bool, is_safe: bool) -> Result<Call, Refused> {
    let token = bearer::token(headers).map_err(Error::from)?;
    if token.is_cookie && !(is_safe && origin::is_event_source(headers)) {
        origin::check_cookie(headers, is_json, &app.edge.front_ends.origins)?;
    }
    let claims = app.verifier.verify(&token.text).await.map_err(Error::from)?;
    let position = position::of_headers(&*app.of(&claims).await?, headers)?;
    Ok(Call {
        id: id.to_owned(),
        claims,
        is_safe,
        tells_cost: headers.contains_key(origin::COST),
        last_event_id: last_event_id(headers),
        caller: traces::caller(headers),
        position,
    })
}

/// The cursor that a browser's `EventSource` has got last (HTML Living Standard, section 9.2.4).
fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id")?.to_str().ok()?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// In which form an operation comes.
enum Form {
    Json,
    /// With files. This is the boundary between the parts.
    Multipart(String),
}

/// A form on another site can send any other type, with the caller's cookie; JSON, and headers of our own, need that site's consent.
fn form(headers: &HeaderMap) -> Result<Form, Refused> {
    let refused = |message| Err(Refused::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let codings = headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if codings.map(<[u8]>::trim_ascii).any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return refused("The body must come as it is, without Content-Encoding: compressed requests are not taken.");
    }
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if essence.eq_ignore_ascii_case("application/json") {
        let charset = parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
        return match charset {
            Some((_, charset)) if !charset.trim_matches('"').eq_ignore_ascii_case("utf-8") => refused("JSON is in UTF-8."),
            _ => Ok(Form::Json),
        };
    }
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return refused("Send the operation as application/json, or with a file as multipart/form-data.");
    }
    if !origin::requires_preflight(headers) {
        return refused("A request with a file needs the header GraphQL-Require-Preflight, with any value.");
    }
    match multer::parse_boundary(text) {
        Ok(boundary) => Ok(Form::Multipart(boundary)),
        Err(_) => Err(Refused::request(StatusCode::BAD_REQUEST, "The content type names no boundary.")),
    }
}
