//! The position in the write-ahead log of the last change that a caller has committed or received by a subscription. Answers bring it to the client, which sends it with
//! its next request; on any server, a standby answers that request only once it has replayed the position.

use async_graphql::{Response as Answer, Value};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    app::App,
    db::wal::WalPosition,
    error::{Error, Result},
};

/// The header, of answers and of requests.
pub const POSITION: HeaderName = HeaderName::from_static("portal-position");
/// The same in `extensions`, over transports where an operation has no headers of its own.
const EXTENSION: &str = "position";

/// The furthest of the positions that a request's headers have.
pub fn of_headers(app: &App, headers: &HeaderMap) -> Result<WalPosition> {
    let values = headers.get_all(POSITION).iter().filter_map(|value| value.to_str().ok());
    of_texts(app, POSITION.as_str(), values.flat_map(|value| value.split(',')))
}

/// The position in the extensions of a request.
pub fn of_extensions(app: &App, position: Option<&str>) -> Result<WalPosition> {
    of_texts(app, "extensions.position", position.into_iter().flat_map(|positions| positions.split(',')))
}

/// The furthest of these positions.
pub fn of_texts<'t>(app: &App, what: &str, texts: impl Iterator<Item = &'t str>) -> Result<WalPosition> {
    // Without standbys every answer is from the primary.
    if app.standbys.is_empty() {
        return Ok(WalPosition::default());
    }
    let cursors = app.hub.cursors();
    let mut positions = texts.map(str::trim).filter(|text| !text.is_empty()).map(|text| cursors.decode_wal(what, text));
    positions.try_fold(WalPosition::default(), |furthest, position| Ok(furthest.max(position?)))
}

/// Puts the position that a database must have replayed to answer the caller's next request into an answer: the further one of its own and the request's.
pub fn attach(app: &App, position: WalPosition, said: WalPosition, answer: &mut Answer) -> Result<()> {
    // One that cannot be read is not handed on: no database would ever come so far.
    let said = if said == WalPosition::UNKNOWN { WalPosition::default() } else { said };
    let text = app.hub.cursors().encode_wal(position.max(said))?;
    answer.http_headers.insert(POSITION, HeaderValue::try_from(text).map_err(Error::internal)?);
    Ok(())
}

/// Moves it to the extensions, for transports where an operation has no headers of its own.
pub fn into_extensions(answer: &mut Answer) {
    let position = answer.http_headers.remove(POSITION);
    if let Some(position) = position.as_ref().and_then(|position| position.to_str().ok()) {
        answer.extensions.insert(EXTENSION.to_owned(), Value::from(position));
    }
}
