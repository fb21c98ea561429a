//! Idempotency keys: a request that is sent again with its key answers with the first result; one that differs in anything is refused.
//!
//! The row that a request makes keeps the whole request beside its key, field by field. Assigning credits is the exception: the database's
//! own function keeps each of its few fields in a column and compares those, because other programs call it too.

use serde_json::{Map, Value};

/// A key, and all that is asked for with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    text: String,
    fields: Vec<(&'static str, Value)>,
}

/// Where a request differs from the first one with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field of the input.
    pub field: &'static str,
    /// What it said the first time; `None` for nothing.
    pub first: Option<String>,
}

impl Key {
    /// A key with every field of the mutation's input but itself, by its name there; one that was left out is [`Value::Null`].
    pub fn new<const N: usize>(text: String, fields: [(&'static str, Value); N]) -> Self {
        Self { text, fields: fields.into() }
    }

    /// The key.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The request as it is stored.
    pub fn request(&self) -> Value {
        Value::Object(self.fields.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect::<Map<_, _>>())
    }

    /// The first field in which this request differs from the one whose row this is. A row of before requests were stored says of it what
    /// its columns say: `kept`, some of the fields, which alone are compared then.
    pub fn difference<const N: usize>(&self, stored: Option<&Value>, kept: [(&'static str, Value); N]) -> Option<Difference> {
        let kept = Value::Object(kept.into_iter().map(|(field, value)| (field.to_owned(), value)).collect());
        let (first, is_whole) = stored.map_or((&kept, false), |stored| (stored, true));
        self.fields.iter().find_map(|(field, value)| {
            let first = first.get(*field).or(is_whole.then_some(&Value::Null))?;
            (first != value).then(|| Difference { field, first: shown(first) })
        })
    }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every field counts, also one that was left out the first time or is left out now.
    #[test]
    fn every_field_counts() {
        let key = |a: Value, b: Value| Key::new("k".to_owned(), [("a", a), ("b", b)]);
        let first = key(json!("x"), json!(null));
        let stored = first.request();
        let difference = |key: &Key| key.difference(Some(&stored), []);
        assert_eq!(difference(&first), None);
        assert_eq!(difference(&key(json!("y"), json!(null))), Some(Difference { field: "a", first: Some("x".to_owned()) }));
        assert_eq!(difference(&key(json!("x"), json!(1))), Some(Difference { field: "b", first: None }));
        assert_eq!(difference(&key(json!(null), json!(null))).map(|difference| difference.field), Some("a"));
        // Of a row without its request those fields are compared that it has columns for.
        let by_columns = |key: &Key| key.difference(None, [("a", json!("x"))]).map(|difference| difference.field);
        assert_eq!((by_columns(&key(json!("x"), json!(1))), by_columns(&key(json!("y"), json!(1)))), (None, Some("a")));
    }
}
