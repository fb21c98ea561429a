//! The one place where errors become part of an answer: their code and public message. What they are about inside goes to the
//! log with the request's id.

use async_graphql::{ErrorExtensionValues, Response, ServerError};

use crate::error::Error;

/// The code of a document that the engine refuses: it does not parse, validate, or coerce.
const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
const QUERY_TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";

/// Gives every error of the answer its code and public message, and returns the codes.
pub fn finish(response: &mut Response, request_id: &str) -> Vec<&'static str> {
    response.errors.iter_mut().map(|error| publish(error, request_id)).collect()
}

fn publish(error: &mut ServerError, request_id: &str) -> &'static str {
    let code = match (error.source::<Error>(), &error.source) {
        (Some(cause), _) => {
            let (code, message) = (cause.code(), cause.public_message());
            if matches!(cause, Error::Internal(_) | Error::Unavailable(_)) {
                tracing::error!(request_id, path = ?error.path, error = %cause, "a field failed");
            }
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
        (None, None) if matches!(error.message.as_str(), "Query is too complex." | "Query is nested too deep.") => {
            QUERY_TOO_COMPLEX
        }
        (None, None) => BAD_USER_INPUT,
    };
    extend(error, code, request_id);
    code
}

/// An error for an answer that the engine had no part in.
pub fn alone(cause: &Error, request_id: &str) -> Response {
    if matches!(cause, Error::Internal(_) | Error::Unavailable(_)) {
        tracing::error!(request_id, error = %cause, "a request failed");
    }
    let mut error = ServerError::new(cause.public_message(), None);
    extend(&mut error, cause.code(), request_id);
    Response::from_errors(vec![error])
}

fn extend(error: &mut ServerError, code: &'static str, request_id: &str) {
    let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    extensions.set("code", code);
    if code == "INTERNAL_SERVER_ERROR" {
        extensions.set("requestId", request_id);
    }
}
