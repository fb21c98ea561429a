//! An operation with a file: the GraphQL multipart request specification
//! (<https://github.com/jaydenseric/graphql-multipart-request-spec>), for one file at most.
//!
//! Its parts come in this order: `operations`, the operation as JSON; `map`, which says which variable the file is; the file. The file goes
//! to disk as it arrives: memory does not grow with it.

use std::{
    collections::HashMap,
    fs::File,
    io::{Seek, SeekFrom},
};

use async_graphql::{ScalarType, Value};
use axum::{body::Body, extract::Request, http::StatusCode};
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::io::AsyncWriteExt;

use super::parameters::parse;
use crate::{
    error::Error,
    graphql::{document::Parameters, engine::scalars::Upload},
    http::{MAX_BODY, MAX_UPLOAD, Refused},
    imports::members::MAX_BYTES,
};

/// The largest `map`, in bytes: it names one variable.
const MAX_MAP: u64 = 4 * 1024;

type Parts = Multipart<'static>;

/// Reads the operation and its files.
pub async fn read(request: Request<Body>, boundary: String) -> Result<(Parameters, Vec<File>), Refused> {
    let limits = SizeLimit::new()
        .whole_stream(MAX_UPLOAD as u64)
        .per_field(MAX_BYTES as u64)
        .for_field("operations", MAX_BODY as u64)
        .for_field("map", MAX_MAP);
    let constraints = Constraints::new().size_limit(limits);
    let mut parts = Multipart::with_constraints(request.into_body().into_data_stream(), boundary, constraints);
    let operations = named(&mut parts, "operations").await?.bytes().await.map_err(broken)?;
    let mut operation = parse(&operations, "The part `operations`")?;
    let map = named(&mut parts, "map").await?.bytes().await.map_err(broken)?;
    let map: HashMap<String, Vec<String>> = serde_json::from_slice(&map).map_err(|error| {
        bad(&format!(
            "The part `map` must say which variables the files are, such as {{\"0\": [\"variables.input.file\"]}}: {error}."
        ))
    })?;
    let mut entries = map.into_iter();
    let files = match (entries.next(), entries.next()) {
        (Some((name, paths)), None) => vec![file(&mut parts, &mut operation, &name, &paths).await?],
        (None, _) => Vec::new(),
        (Some(_), Some(_)) => return Err(bad("The part `map` names several files; there may be one.")),
    };
    if parts.next_field().await.map_err(broken)?.is_some() {
        return Err(bad("There is a part that the part `map` does not name."));
    }
    Ok((operation, files))
}

/// The file of that name, which becomes the value of a variable.
async fn file(parts: &mut Parts, operation: &mut Parameters, name: &str, paths: &[String]) -> Result<File, Refused> {
    let [path] = paths else { return Err(bad("The part `map` must name one variable for the file.")) };
    let slot = variable(operation, path)
        .ok_or_else(|| bad(&format!("The part `map` names {path:?}, which is no variable of the operation that is null.")))?;
    *slot = Upload::at(0).to_value();
    store(named(parts, name).await?).await
}

/// The next part, which must have this name.
async fn named(parts: &mut Parts, name: &str) -> Result<Field<'static>, Refused> {
    let part = parts.next_field().await.map_err(broken)?;
    part.filter(|part| part.name() == Some(name)).ok_or_else(|| {
        bad(&format!(
            "The part {name:?} is missing. The parts are `operations`, `map` and the file that it names, in this order."
        ))
    })
}

/// The variable that a path such as `variables.input.file` leads to, if it is null.
fn variable<'o>(operation: &'o mut Parameters, path: &str) -> Option<&'o mut Value> {
    let mut names = path.strip_prefix("variables.")?.split('.');
    let first = operation.variables.get_mut(names.next()?)?;
    let value = names.try_fold(first, |value, name| match value {
        Value::Object(fields) => fields.get_mut(name),
        Value::List(values) => values.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    })?;
    (*value == Value::Null).then_some(value)
}

/// Writes a file to disk, where it has no name and ends with its last user.
async fn store(mut part: Field<'static>) -> Result<File, Refused> {
    let unstored = |error: std::io::Error| Refused::Fault(Error::internal(error));
    let made = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(std::io::Error::other).flatten();
    let mut file = tokio::fs::File::from_std(made.map_err(unstored)?);
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        file.write_all(&chunk).await.map_err(unstored)?;
    }
    file.flush().await.map_err(unstored)?;
    let mut file = file.into_std().await;
    file.seek(SeekFrom::Start(0)).map_err(unstored)?;
    Ok(file)
}

fn bad(message: &str) -> Refused {
    Refused::request(StatusCode::BAD_REQUEST, message)
}

fn broken(error: multer::Error) -> Refused {
    match error {
        multer::Error::FieldSizeExceeded { field_name, .. } => {
            let message = match field_name.as_deref() {
                Some("operations") => "The part `operations` is larger than 1 MB.",
                Some("map") => "The part `map` is larger than 4 KB.",
                _ => "The file is larger than 10 MB.",
            };
            Refused::request(StatusCode::PAYLOAD_TOO_LARGE, message)
        }
        multer::Error::StreamSizeExceeded { .. } => {
            Refused::request(StatusCode::PAYLOAD_TOO_LARGE, "The file is larger than 10 MB.")
        }
        multer::Error::StreamReadFailed(_) => bad("The body could not be read."),
        _ => bad("The body is not multipart/form-data as RFC 7578 says."),
    }
}
