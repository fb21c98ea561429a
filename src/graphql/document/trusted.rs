//! Trusted documents: the operations that the front ends were built with, in a file that their build writes.

use std::{collections::HashMap, path::Path};

use serde_json::Value;

use super::digest;

/// Reads a manifest: ids and texts.
///
/// It is one JSON object of ids and texts, as GraphQL Code Generator (`persisted-documents.json`) and Relay (`persistConfig.file`) write it, or
/// Apollo's (`{"format": "apollo-persisted-query-manifest", "operations": [{"id", "body", …}]}`). An id that begins with `sha256:` is
/// checked against its text.
pub fn read(path: &Path) -> Result<HashMap<String, String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse(&text)
}

fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let manifest: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let entries: Vec<(&str, Option<&str>)> = match &manifest["operations"] {
        Value::Array(operations) => operations
            .iter()
            .map(|operation| (operation["id"].as_str().unwrap_or_default(), operation["body"].as_str()))
            .collect(),
        _ => match manifest.as_object() {
            Some(object) => object.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect(),
            None => return Err("not a JSON object of ids and texts".to_owned()),
        },
    };
    let checked = entries.into_iter().map(|(id, text)| match (id, text) {
        ("", _) => Err("an operation has no id".to_owned()),
        (id, None) => Err(format!("the text of {id:?} is no string")),
        (id, Some(text)) if id.strip_prefix("sha256:").is_some_and(|hash| !digest(text).eq_ignore_ascii_case(hash)) => {
            Err(format!("{id:?} is not the hash of its text"))
        }
        (id, Some(text)) => Ok((normal(id), text.to_owned())),
    });
    checked.collect()
}

/// An id, without the name of its hash.
pub fn normal(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes that the tools write.
    #[test]
    fn shapes() {
        let hash = digest("{ me { role } }");
        for text in [
            format!("{{\"sha256:{hash}\": \"{{ me {{ role }} }}\"}}"),
            format!("{{\"{hash}\": \"{{ me {{ role }} }}\"}}"),
            format!(
                "{{\"format\": \"apollo-persisted-query-manifest\", \"version\": 1, \"operations\": [{{\"id\": \"{hash}\", \"name\": \"A\", \"type\": \"query\", \"body\": \"{{ me {{ role }} }}\"}}]}}"
            ),
        ] {
            assert_eq!(parse(&text).expect(&text)[&hash], "{ me { role } }");
        }
        for text in ["[]", "{", "{\"a\": 5}", "{\"sha256:00\": \"{ me { role } }\"}", "{\"operations\": [{\"body\": \"\"}]}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
