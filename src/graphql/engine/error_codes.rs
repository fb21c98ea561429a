//! The one module where errors become part of an answer: their code and public message. What they are about inside goes to the
//! log with the request's id.

use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};

use crate::error::Error;

/// The code of a document that the engine refuses: it does not parse, validate, or coerce.
const BAD_USER_INPUT: &str = "BAD_USER_INPUT";

/// Gives every error of the answer its code and public message, and returns the codes.
pub fn finish(response: &mut Response, request_id: &str) -> Vec<&'static str> {
    // After one statement has failed PostgreSQL refuses the rest of the transaction: those errors are the first one's.
    let cause = response
        .errors
        .iter()
        .filter_map(ServerError::source::<Error>)
        .find(|error| matches!(error, Error::Timeout | Error::Unavailable(_) | Error::Held | Error::Internal(_)))
        .cloned();
    response.errors.iter_mut().map(|error| publish(error, cause.as_ref(), request_id)).collect()
}

/// Whether an error that is finished says that something was not available at that moment.
pub fn is_unavailable(error: &ServerError) -> bool {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    code.is_some_and(|code| *code == Value::from("SERVICE_UNAVAILABLE"))
}

/// An answer of one error, still to be finished.
pub fn alone(cause: &Error) -> Response {
    let mut error = ServerError::new(String::new(), None);
    error.source = Some(Arc::new(cause.clone()));
    Response::from_errors(vec![error])
}

fn publish(error: &mut ServerError, first: Option<&Error>, request_id: &str) -> &'static str {
    let code = match (error.source::<Error>(), &error.source) {
        (Some(cause), _) => {
            let cause = if let (Error::Aborted, Some(first)) = (cause, first) { first } else { cause };
            if let Error::Unauthenticated { reason, .. } = cause {
                tracing::info!(request_id, reason = &**reason, "token refused");
            }
            if matches!(cause, Error::UnknownTenant) {
                tracing::info!(request_id, reason = %cause, "token refused");
            }
            if matches!(cause, Error::Unavailable(_)) {
                tracing::warn!(request_id, path = ?error.path, error = %cause, "not available");
            }
            if matches!(cause, Error::Internal(_) | Error::Aborted | Error::PerhapsDone(_)) {
                tracing::error!(request_id, path = ?error.path, error = %cause, "a field failed");
            }
            let (code, message) = (cause.code(), cause.public_message());
            error.message = message;
            code
        }
        // Only our own error type is meant to come out of a resolver; whatever else did may say anything.
        (None, Some(_)) => {
            tracing::error!(request_id, path = ?error.path, error = %error.message, "a field failed with a foreign error");
            let cause = Error::internal(&error.message);
            error.message = cause.public_message();
            cause.code()
        }
        (None, None) => {
            error.message = plain(&error.message).to_owned();
            BAD_USER_INPUT
        }
    };
    extend(error, code, request_id);
    code
}

/// What is wrong with a value, without what the engine says around it: `Failed to parse "ID": … (occurred while parsing "LeadFilter")`.
fn plain(message: &str) -> &str {
    let rest = message.strip_prefix("Failed to parse \"").and_then(|rest| rest.split_once("\": "));
    rest.map_or(message, |(_, sentence)| sentence.split(" (occurred while parsing \"").next().unwrap_or(sentence))
}

fn extend(error: &mut ServerError, code: &'static str, request_id: &str) {
    let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    extensions.set("code", code);
    if code == "INTERNAL_SERVER_ERROR" {
        extensions.set("requestId", request_id);
    }
}
