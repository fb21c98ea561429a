//! What is read of an event: field by field, so that one says by its path what it lacks.

use chrono::{DateTime, Utc};
use diesel::result::Error as DieselError;
use serde_json::Value;

use crate::models::webhooks::inbox::Disposition;

/// An event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'e> {
    /// The sender's name of its type.
    pub name: &'e str,
    /// All of it.
    pub body: &'e Value,
}

/// An object in an event.
#[derive(Debug, Clone, Copy)]
pub struct Object<'e>(pub &'e Value);

/// Why the application of an event ends early.
#[derive(Debug)]
pub enum Stop {
    /// By what it says.
    Decided(Disposition),
    /// By the database.
    Database(DieselError),
}

impl Stop {
    /// The decision, where it is one.
    pub fn decided(self) -> Result<Disposition, DieselError> {
        match self {
            Self::Decided(disposition) => Ok(disposition),
            Self::Database(error) => Err(error),
        }
    }

    /// It cannot be applied, and the reason is in what was sent.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Decided(Disposition::Failed(reason.into()))
    }
}

impl From<DieselError> for Stop {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}

impl From<Disposition> for Stop {
    fn from(disposition: Disposition) -> Self {
        Self::Decided(disposition)
    }
}

/// It says nothing that is kept here, or nothing new.
pub fn ignored(reason: &str) -> Disposition {
    Disposition::Ignored { reason: reason.to_owned(), known: Vec::new() }
}

impl<'e> Object<'e> {
    /// What is under a path, by JSON Pointer (RFC 6901); null where nothing is.
    pub fn at(self, path: &str) -> &'e Value {
        self.0.pointer(path).unwrap_or(&Value::Null)
    }

    /// A text that is there and can be an id or a name: 1 to 200 characters, none of them a control character.
    pub fn text(self, path: &str) -> Option<&'e str> {
        let text = self.at(path).as_str()?.trim();
        (!text.is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control)).then_some(text)
    }

    /// What somebody is called: control characters are blanks, and what is beyond 200 characters is cut.
    pub fn name(self, path: &str) -> Option<String> {
        let name: String = self.at(path).as_str()?.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let name: String = name.trim().chars().take(200).collect();
        (!name.is_empty()).then_some(name)
    }

    /// The same as [`Object::text`] where it must be there.
    pub fn needed(self, path: &str) -> Result<&'e str, Stop> {
        self.text(path).ok_or_else(|| Stop::failed(format!("It has no text of 1 to 200 characters at {path}.")))
    }

    /// The id of another object, which may be there in full.
    pub fn id_at(self, path: &str) -> Option<&'e str> {
        self.text(path).or_else(|| self.text(&format!("{path}/id")))
    }

    /// A whole number.
    pub fn number(self, path: &str) -> Option<i64> {
        self.at(path).as_i64()
    }

    /// The same where it must be there.
    pub fn needed_number(self, path: &str) -> Result<i64, Stop> {
        self.number(path).ok_or_else(|| Stop::failed(format!("It has no whole number at {path}.")))
    }

    /// An instant, in seconds since 1970.
    pub fn seconds(self, path: &str) -> Option<DateTime<Utc>> {
        self.number(path).and_then(|seconds| sound(DateTime::from_timestamp(seconds, 0)))
    }

    /// An instant, in milliseconds since 1970.
    pub fn milliseconds(self, path: &str) -> Option<DateTime<Utc>> {
        self.number(path).and_then(|milliseconds| sound(DateTime::from_timestamp_millis(milliseconds)))
    }
}

/// An instant that can be one of an event's.
fn sound(time: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    time.filter(|time| (946_684_800..4_102_444_800).contains(&time.timestamp()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Fields of other types, blank ones and times of no century of ours count as absent.
    #[test]
    fn fields() {
        let value = json!({"id": " a ", "blank": "  ", "number": 5, "far": 9_999_999_999_999_i64, "now": 1_790_000_000, "in": {"id": "b"}});
        let object = Object(&value);
        assert_eq!(object.text("/id"), Some("a"));
        assert_eq!((object.text("/blank"), object.text("/number"), object.text("/nothing")), (None, None, None));
        assert_eq!(object.id_at("/in"), Some("b"));
        assert!(object.seconds("/far").is_none() && object.seconds("/now").is_some());
        assert!(matches!(object.needed("/blank"), Err(Stop::Decided(Disposition::Failed(_)))));
    }
}
