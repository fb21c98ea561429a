//! Reads what a request says from its body or its address.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};

use crate::{app::App, graphql::document::Parameters, http::Refused};

/// What came in one body.
pub enum Body {
    /// One operation.
    Single(Parameters),
    /// Several, as a JSON array.
    Batch(Vec<Parameters>),
}

/// Reads a body, which must arrive in time.
pub async fn read(app: &App, request: Request) -> Result<Bytes, Refused> {
    in_time(app.edge.limits.body_timeout, async {
        Bytes::from_request(request, &()).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refused::request(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 1 MB."),
            _ => Refused::request(StatusCode::BAD_REQUEST, "The body could not be read."),
        })
    })
    .await
}

/// What a body of JSON says.
pub fn from_json(app: &App, body: &Bytes) -> Result<Body, Refused> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        return parse(body, "The body").map(Body::Single);
    }
    let limit = app.edge.limits.max_batch;
    if limit == 1 {
        return Err(bad("The body must be one JSON object: this server takes one operation in a request."));
    }
    // Counted before their texts are looked at.
    let items: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(body).map_err(|error| bad(&format!("The body is not JSON: {error}.")))?;
    match items.len() {
        0 => Err(bad("The body is a list without an operation.")),
        count if count > limit => Err(bad(&format!("The body has {count} operations; {limit} may come in one request."))),
        _ => items.iter().map(|item| parse(item.get().as_bytes(), "An operation")).collect::<Result<_, _>>().map(Body::Batch),
    }
}

/// Waits for something to arrive, as long as it may take.
pub async fn in_time<T>(limit: Duration, arrival: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
    tokio::time::timeout(limit, arrival).await.unwrap_or_else(|_| {
        let message = format!("The body did not arrive within {} seconds.", limit.as_secs());
        Err(Refused::request(StatusCode::REQUEST_TIMEOUT, message))
    })
}

/// Reads an operation from its JSON; `what` is what that is.
pub fn parse(json: &[u8], what: &str) -> Result<Parameters, Refused> {
    // serde would read an array as the fields of the object in their order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad(&format!("{what} must be one JSON object with `query`, and `variables` where it has any.")));
    }
    let parameters = serde_json::from_slice(json).map_err(|error| bad(&format!("{what} is not a GraphQL request: {error}.")))?;
    complete(parameters, what)
}

/// Reads an operation from the part of an address after its question mark.
pub fn from_query(query: &str) -> Result<Parameters, Refused> {
    let mut object = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match name.as_ref() {
            "query" | "operationName" | "documentId" => serde_json::Value::String(value.into_owned()),
            "variables" | "extensions" if value.is_empty() => continue,
            "variables" | "extensions" => serde_json::from_str(&value)
                .map_err(|error| bad(&format!("The parameter `{name}` is not a JSON object: {error}.")))?,
            _ => continue,
        };
        if object.insert(name.clone().into_owned(), value).is_some() {
            return Err(bad(&format!("The parameter `{name}` is there twice.")));
        }
    }
    let parameters = serde_json::from_value(serde_json::Value::Object(object))
        .map_err(|error| bad(&format!("The address is not a GraphQL request: {error}.")))?;
    complete(parameters, "The address")
}

fn complete(parameters: Parameters, what: &str) -> Result<Parameters, Refused> {
    if parameters.names_document() { Ok(parameters) } else { Err(bad(&format!("{what} has no `query`."))) }
}

fn bad(message: &str) -> Refused {
    Refused::request(StatusCode::BAD_REQUEST, message)
}
