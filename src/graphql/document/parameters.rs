//! What a request says: the parameters of the GraphQL-over-HTTP specification (section 5.1), in whichever form they came.

use async_graphql::Variables;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

/// One operation as it was asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// The document.
    pub query: Option<String>,
    /// Which of the document's operations.
    pub operation_name: Option<String>,
    /// The values of its variables.
    #[serde(default, deserialize_with = "variables")]
    pub variables: Variables,
    /// What else client and server have agreed on.
    #[serde(default, deserialize_with = "extensions")]
    pub extensions: Extensions,
    /// The id of a trusted document, instead of `query`.
    pub document_id: Option<String>,
}

impl Parameters {
    /// Whether they say which document, by its text, hash or id.
    pub fn names_document(&self) -> bool {
        self.query.is_some() || self.document_id.is_some() || self.extensions.persisted_query.is_some()
    }
}

/// The extensions that this server knows. Others are passed over.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Automatic persisted queries.
    pub persisted_query: Option<PersistedQuery>,
    /// The position that a standby must have replayed to answer, from an earlier answer.
    pub position: Option<String>,
}

/// Apollo's protocol of automatic persisted queries.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistedQuery {
    /// Of the protocol: 1.
    pub version: u32,
    /// The SHA-256 of the document's text, in hexadecimal.
    pub sha256_hash: String,
}

/// An object, or null. (An array would be taken for the fields of a struct in their order.)
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Option::<Map<String, Value>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Variables, D::Error> {
    object(deserializer).map(|object| Variables::from_json(Value::Object(object)))
}

fn extensions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Extensions, D::Error> {
    serde_json::from_value(Value::Object(object(deserializer)?)).map_err(D::Error::custom)
}
