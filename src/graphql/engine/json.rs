//! JSON, written once. What a row's plain fields hold goes into the answer's text as it is found, with no value built between the two.
//!
//! Part of an answer that is text already stands in the engine's tree as [`Value::Binary`], which nothing else here makes.

use async_graphql::{Context, Error, Response, ServerResult, Value, resolver_utils::EnumType};
use serde::Serialize;

use crate::error::Result;

/// A value that is written without waiting for anything: a scalar, an enum, or an object of such.
pub trait Leaf {
    /// Appends it as JSON. The field's context has what is selected of an object, and where an error belongs.
    fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()>;
}

/// Appends anything that serde knows.
pub fn push(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("texts and numbers can be written to memory");
}

/// An error where the field stands.
pub fn fault(ctx: &Context<'_>, error: impl Into<Error>) -> async_graphql::ServerError {
    ctx.set_error_path(error.into().into_server_error(ctx.item.pos))
}

/// Says how types are written as JSON.
macro_rules! leaf {
    ($($type:ty => |$value:ident, $out:ident| $write:expr;)+) => {$(
        impl $crate::graphql::engine::json::Leaf for $type {
            fn write(&self, _: &async_graphql::Context<'_>, $out: &mut Vec<u8>) -> async_graphql::ServerResult<()> {
                let $value = self;
                $write;
                Ok(())
            }
        }
    )+};
}
pub(in crate::graphql) use leaf;

leaf! {
    bool => |value, out| push(value, out);
    i32 => |value, out| push(value, out);
    i64 => |value, out| push(value, out);
    str => |value, out| push(value, out);
    String => |value, out| push(value, out);
}

/// A text in which nothing needs an escape.
pub fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// The same of what is displayed.
pub fn displayed(value: &impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write;

    write!(out, "\"{value}\"").expect("memory can be written to");
}

/// An enum's value under its name in the schema.
pub fn push_enum<E: EnumType>(value: E, out: &mut Vec<u8>) {
    let item = E::items().iter().find(|item| item.value == value).expect("every value is an item");
    quoted(item.name, out);
}

/// Says of enums that they are written by their names in the schema.
macro_rules! leaf_enums {
    ($($type:ty),+ $(,)?) => {
        $crate::graphql::engine::json::leaf! { $($type => |value, out| $crate::graphql::engine::json::push_enum(*value, out);)+ }
    };
}
pub(in crate::graphql) use leaf_enums;

impl<T: Leaf + ?Sized> Leaf for &T {
    fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()> {
        T::write(self, ctx, out)
    }
}

impl<T: Leaf> Leaf for [T] {
    fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()> {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write(ctx, out)?;
        }
        out.push(b']');
        Ok(())
    }
}

impl<T: Leaf> Leaf for Vec<T> {
    fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()> {
        self.as_slice().write(ctx, out)
    }
}

/// Null where there is none, and where it failed: the error is the answer's then (GraphQL specification, section 6.4.4).
impl<T: Leaf> Leaf for Option<T> {
    fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()> {
        let Some(value) = self else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        let begin = out.len();
        if let Err(error) = value.write(ctx, out) {
            out.truncate(begin);
            out.extend_from_slice(b"null");
            ctx.add_error(error);
        }
        Ok(())
    }
}

impl<T: Leaf> Leaf for Result<T> {
    fn write(&self, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()> {
        match self {
            Ok(value) => value.write(ctx, out),
            Err(error) => Err(fault(ctx, error.clone())),
        }
    }
}

/// Appends a value of the engine's.
pub fn push_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Binary(json) => out.extend_from_slice(json),
        Value::Object(fields) => {
            out.push(b'{');
            for (index, (name, value)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push(name.as_str(), out);
                out.push(b':');
                push_value(value, out);
            }
            out.push(b'}');
        }
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_value(item, out);
            }
            out.push(b']');
        }
        Value::String(text) => push(text, out),
        Value::Enum(name) => push(name.as_str(), out),
        Value::Number(number) => push(number, out),
        Value::Boolean(truth) => push(truth, out),
        Value::Null => out.extend_from_slice(b"null"),
    }
}

/// A whole answer (GraphQL over HTTP, section 7).
pub fn answer(response: &Response) -> String {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"data\":");
    push_value(&response.data, &mut out);
    if !response.errors.is_empty() {
        out.extend_from_slice(b",\"errors\":");
        push(&response.errors, &mut out);
    }
    if !response.extensions.is_empty() {
        out.extend_from_slice(b",\"extensions\":");
        push(&response.extensions, &mut out);
    }
    out.push(b'}');
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// How many objects a value has: what an answer has cost, without what counting and writing cost besides.
pub fn objects(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => 1 + fields.values().map(objects).sum::<u64>(),
        Value::List(items) => items.iter().map(objects).sum(),
        Value::Binary(json) => objects_in(json),
        _ => 0,
    }
}

/// The same of text: its opening braces, except those in strings.
fn objects_in(json: &[u8]) -> u64 {
    let (mut count, mut in_string, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Braces count where they open an object, and not in a text.
    #[test]
    fn counting() {
        assert_eq!(objects_in(br#"{"a":{"b":"{\"{"},"c":[{},{}]}"#), 4);
        assert_eq!(objects_in(br#""{""#), 0);
    }

    /// Text stands in an answer as it is, and everything else as serde writes it.
    #[test]
    fn answers() {
        let data = async_graphql::value!({"a": [1, null, true, 2.5], "b": "\"é\n", "c": {}});
        let mut response = Response::new(data.clone());
        let written = serde_json::to_string(&response).expect("JSON");
        assert_eq!(answer(&response), written);
        let mut text = Vec::new();
        push_value(&data, &mut text);
        response.data = Value::Binary(text.into());
        assert_eq!(answer(&response), written);
    }
}
