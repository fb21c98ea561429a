//! What came back for one request.

use axum::http::StatusCode;
use serde_json::Value;

use super::log;

/// What came back for one request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: Value,
    /// The body as it was sent: the order of keys is in no `Value`.
    pub text: String,
}

impl Answer {
    /// The data, where there are no errors.
    pub fn data(&self) -> &Value {
        assert!(self.body.get("errors").is_none(), "{} {:?}", self.body, log::causes(self));
        &self.body["data"]
    }

    /// The code of the first error.
    pub fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
    }

    /// The message of the first error.
    pub fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap_or("none")
    }
}
