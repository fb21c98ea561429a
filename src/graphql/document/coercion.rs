//! What a value must be, for its type (GraphQL specification, sections 3.5 to 3.12): a literal of a document, or what was sent for a variable.

use std::borrow::Cow;

use async_graphql::{
    ErrorExtensionValues, Name, Pos, ServerError,
    indexmap::IndexMap,
    registry::{MetaType, MetaTypeName, Registry},
};
use async_graphql_value::{ConstValue, Value};

use super::MAX_FAULTS;
use crate::graphql::engine::{
    ids,
    scalars::{self, shown},
};

/// What is wrong with a value, in a sentence that a form can show.
pub(super) struct Fault {
    /// The way to it from the field's arguments: names of fields and indexes in lists.
    pub path: Vec<String>,
    /// The sentence.
    pub message: String,
}

impl Fault {
    /// The error of it, with its path as `extensions.field`.
    pub fn error(self, pos: Pos) -> ServerError {
        let mut error = ServerError::new(self.message, Some(pos));
        let field = self.path.into_iter().map(ConstValue::String).collect();
        error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("field", ConstValue::List(field));
        error
    }
}

/// The shape of an input value.
pub(super) enum Seen<'v, V> {
    /// A variable: its value is checked by itself.
    Variable,
    /// Null.
    Null,
    /// A list.
    List(&'v [V]),
    /// An object.
    Object(&'v IndexMap<Name, V>),
    /// A scalar or an enum value.
    Leaf(Cow<'v, ConstValue>),
}

/// A value that stands in a document, or was sent for a variable.
pub(super) trait Given: Sized + std::fmt::Display {
    /// What it is.
    fn seen(&self) -> Seen<'_, Self>;
}

impl Given for Value {
    fn seen(&self) -> Seen<'_, Self> {
        match self {
            Self::Variable(_) => Seen::Variable,
            Self::Null => Seen::Null,
            Self::List(items) => Seen::List(items),
            Self::Object(fields) => Seen::Object(fields),
            leaf => Seen::Leaf(Cow::Owned(leaf.clone().into_const().unwrap_or_default())),
        }
    }
}

impl Given for ConstValue {
    fn seen(&self) -> Seen<'_, Self> {
        match self {
            Self::Null => Seen::Null,
            Self::List(items) => Seen::List(items),
            Self::Object(fields) => Seen::Object(fields),
            leaf => Seen::Leaf(Cow::Borrowed(leaf)),
        }
    }
}

/// The values of one operation against the types of the schema.
pub(super) struct Coercion<'a> {
    /// The types.
    pub registry: &'a Registry,
    /// Whether the values stand in the document: an enum's are no strings there.
    pub is_literal: bool,
    /// Whether ids and currencies that are none are left to their fields.
    pub leaves_ids: bool,
}

impl Coercion<'_> {
    /// Adds what is wrong with a value.
    pub fn check<V: Given>(&self, expected: &str, value: &V, path: &mut Vec<String>, faults: &mut Vec<Fault>) {
        if faults.len() >= MAX_FAULTS {
            return;
        }
        match (MetaTypeName::create(expected), value.seen()) {
            (_, Seen::Variable) => {}
            (MetaTypeName::NonNull(_), Seen::Null) => say(faults, path, "A value is needed here, and null is none.".to_owned()),
            (MetaTypeName::NonNull(inner), _) => self.check(inner, value, path, faults),
            (_, Seen::Null) => {}
            (MetaTypeName::List(inner), Seen::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    self.check(inner, item, path, faults);
                    path.pop();
                }
            }
            // A single value stands for a list of one.
            (MetaTypeName::List(inner), _) => self.check(inner, value, path, faults),
            (MetaTypeName::Named(name), seen) => self.named(name, value, seen, path, faults),
        }
    }

    fn named<V: Given>(&self, name: &str, value: &V, seen: Seen<'_, V>, path: &mut Vec<String>, faults: &mut Vec<Fault>) {
        match (self.registry.types.get(name), seen) {
            (Some(MetaType::InputObject { input_fields, .. }), Seen::Object(fields)) => {
                for unknown in fields.keys().filter(|given| !input_fields.contains_key(given.as_str())).take(MAX_FAULTS) {
                    path.push(unknown.to_string());
                    say(faults, path, format!("{name} has no field \"{unknown}\"."));
                    path.pop();
                }
                for field in input_fields.values() {
                    path.push(field.name.clone());
                    match fields.get(field.name.as_str()) {
                        Some(value) => self.check(&field.ty, value, path, faults),
                        None if field.default_value.is_none() && field.ty.ends_with('!') => {
                            say(faults, path, format!("The field \"{}\" is needed.", field.name));
                        }
                        None => {}
                    }
                    path.pop();
                }
            }
            (Some(MetaType::Enum { enum_values, .. }), Seen::Leaf(leaf)) => {
                let is_known = match &*leaf {
                    ConstValue::Enum(given) => enum_values.contains_key(given.as_str()),
                    ConstValue::String(given) => !self.is_literal && enum_values.contains_key(given.as_str()),
                    _ => false,
                };
                if !is_known {
                    say(faults, path, format!("{} is no value of {name}.", shown(value)));
                }
            }
            (Some(MetaType::Scalar { .. }) | None, Seen::Leaf(leaf)) => {
                if self.is_literal && name == "Upload" {
                    return say(faults, path, "A file comes in a variable, never in the document.".to_owned());
                }
                if let Err(message) = scalars::check(name, &leaf, self.leaves_ids) {
                    say(faults, path, message);
                }
            }
            _ => say(faults, path, format!("{} is no {}.", shown(value), ids::public_name(name))),
        }
    }
}

fn say(faults: &mut Vec<Fault>, path: &[String], message: String) {
    faults.push(Fault { path: path.to_vec(), message });
}
