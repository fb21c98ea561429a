//! What clients send, read strictly: a message that is none of the protocol's closes the connection.

use serde::Deserialize;
use serde_json::Value;

use crate::graphql::document::Parameters;

/// The messages of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first, with the token.
    ConnectionInit {
        /// An object.
        payload: Option<Value>,
    },
    /// Asks for a pong.
    Ping {
        /// An object.
        payload: Option<Value>,
    },
    /// Answers a ping.
    Pong {},
    /// Begins an operation.
    Subscribe {
        /// What the client calls it.
        id: String,
        /// The operation.
        payload: Box<Parameters>,
    },
    /// Ends an operation.
    Complete {
        /// What the client calls it.
        id: String,
    },
}

/// Reads a message, or says what is wrong with it.
pub fn parse(text: &str) -> Result<ClientMessage, String> {
    let message: ClientMessage = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match &message {
        ClientMessage::ConnectionInit { payload: Some(payload) } | ClientMessage::Ping { payload: Some(payload) }
            if !payload.is_object() =>
        {
            Err("its payload is no object".to_owned())
        }
        ClientMessage::Subscribe { payload, .. } if !payload.names_document() => Err("its payload has no query".to_owned()),
        _ => Ok(message),
    }
}

/// The token in a payload: `{"authorization": "Bearer …"}`, in any case, itself or below `headers`.
pub fn token_of(payload: Option<&Value>) -> Option<&str> {
    let fields = payload?.as_object()?;
    let field = |fields: &serde_json::Map<String, Value>, wanted: &str| {
        fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(name, _)| name.clone())
    };
    let value = match (field(fields, "authorization"), field(fields, "headers")) {
        (Some(name), _) => &fields[&name],
        (None, Some(name)) => return token_of(fields.get(&name)),
        (None, None) => return None,
    };
    let (scheme, token) = value.as_str()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Where the token may be.
    #[test]
    fn tokens() {
        for payload in [
            json!({"authorization": "Bearer abc"}),
            json!({"Authorization": "bearer abc"}),
            json!({"headers": {"Authorization": "Bearer abc"}}),
        ] {
            assert_eq!(token_of(Some(&payload)), Some("abc"), "{payload}");
        }
        for payload in
            [json!({}), json!({"authorization": 5}), json!({"authorization": "abc"}), json!({"headers": "x"}), json!([])]
        {
            assert_eq!(token_of(Some(&payload)), None, "{payload}");
        }
    }
}
