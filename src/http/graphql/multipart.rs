//! An operation with a file: the GraphQL multipart request specification
//! (<https://github.com/jaydenseric/graphql-multipart-request-spec>).
//!
//! Its parts come in this order: `operations`, the operation as JSON; `map`, which says which variable each file is; the files. They go
//! to disk as they arrive: memory does not grow with them.

use std::{
    collections::{HashMap, HashSet},
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
    http::{MAX_BODY, Refused},
    imports::history::upload::MAX_FILES,
};

/// The largest `map`, in bytes: it names a variable for each file.
const MAX_MAP: u64 = 16 * 1024;
/// The largest size of what stands between the parts, in bytes.
const MAX_BETWEEN: usize = 64 * 1024;
const TOO_LARGE: &str = "The files are larger than may be sent: 100 MB together by operators, 10 MB by others.";

type Parts = Multipart<'static>;

/// Reads the operation and its files, of so many bytes together at most.
pub async fn read(request: Request<Body>, boundary: String, most: usize) -> Result<(Parameters, Vec<File>), Refused> {
    let limits = SizeLimit::new()
        .whole_stream((MAX_BODY + most + MAX_BETWEEN) as u64)
        .per_field(most as u64)
        .for_field("operations", MAX_BODY as u64)
        .for_field("map", MAX_MAP);
    let constraints = Constraints::new().size_limit(limits);
    let mut parts = Multipart::with_constraints(request.into_body().into_data_stream(), boundary, constraints);
    let operations = named(&mut parts, "operations").await?.bytes().await.map_err(broken)?;
    let mut operation = parse(&operations, "The part `operations`")?;
    let map = named(&mut parts, "map").await?.bytes().await.map_err(broken)?;
    let mut names = HashSet::new();
    let map: HashMap<String, Vec<String>> = serde_json::from_slice(&map).map_err(|error| {
        bad(&format!(
            "The part `map` must say which variables the files are, such as {{\"0\": [\"variables.input.file\"]}}: {error}."
        ))
    })?;
    if map.len() > MAX_FILES {
        return Err(bad(&format!("The part `map` names {} files; there may be {MAX_FILES}.", map.len())));
    }
    // They may come in any order.
    let mut files = Vec::with_capacity(map.len());
    while files.len() < map.len() {
        let part = parts.next_field().await.map_err(broken)?;
        let known = part.and_then(|part| Some((map.get_key_value(part.name()?)?, part)));
        let Some(((name, paths), part)) = known else {
            let missing = map.keys().find(|name| !names.contains(*name)).map(String::as_str).unwrap_or_default();
            return Err(bad(&format!("The file {missing:?} is missing, which the part `map` names; the files follow `map`.")));
        };
        if !names.insert(name.clone()) {
            return Err(bad(&format!("There are two files {name:?}.")));
        }
        let [path] = paths.as_slice() else { return Err(bad("The part `map` must name one variable for each file.")) };
        let slot = variable(&mut operation, path)
            .ok_or_else(|| bad(&format!("The part `map` names {path:?}, which is no variable of the operation that is null.")))?;
        *slot = Upload::at(files.len()).to_value();
        files.push(store(part).await?);
    }
    if parts.next_field().await.map_err(broken)?.is_some() {
        return Err(bad("There is a part that the part `map` does not name."));
    }
    Ok((operation, files))
}

/// The next part, which must have this name.
async fn named(parts: &mut Parts, name: &str) -> Result<Field<'static>, Refused> {
    let part = parts.next_field().await.map_err(broken)?;
    part.filter(|part| part.name() == Some(name)).ok_or_else(|| {
        bad(&format!(
            "The part {name:?} is missing. The parts are `operations`, `map` and the files that it names, in this order."
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
                Some("map") => "The part `map` is larger than 16 KB.",
                _ => TOO_LARGE,
            };
            Refused::request(StatusCode::PAYLOAD_TOO_LARGE, message)
        }
        multer::Error::StreamSizeExceeded { .. } => Refused::request(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE),
        multer::Error::StreamReadFailed(_) => bad("The body could not be read."),
        _ => bad("The body is not multipart/form-data as RFC 7578 says."),
    }
}
