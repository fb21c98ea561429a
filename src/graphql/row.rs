//! Rows, answered in one pass.
//!
//! The engine answers every field by a future of its own: about a microsecond of processor time for each, several times what its value
//! takes. Most fields of a row have nothing to wait for. A [`Row`] writes these straight into the answer's text, in the order of the
//! selection, by the very resolvers that the schema is made of; only the others go through the engine, all at the same time.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    parser::types::{Field, Selection, SelectionSet},
    registry::Registry,
    resolver_utils::resolve_container,
};
use futures_util::future::{BoxFuture, try_join_all};

use super::{
    context::RequestContext,
    json::{self, Leaf},
};
use crate::error::Error;

/// How a field is written.
type Write<T> = fn(&T, &Context<'_>, &mut Vec<u8>) -> ServerResult<()>;

/// An object whose plain fields are known: those that wait for nothing and take no arguments.
pub trait Written: ContainerType + 'static {
    /// The resolvers of its plain fields, under their names in Rust.
    const PLAIN: &'static [(&'static str, Write<Self>)];
}

/// Names an object's plain fields.
macro_rules! plain {
    ($type:ty: $($field:ident),+ $(,)?) => {
        impl $crate::graphql::row::Written for $type {
            const PLAIN: &'static [(&'static str, fn(&Self, &async_graphql::Context<'_>, &mut Vec<u8>) -> async_graphql::ServerResult<()>)] =
                &[$((stringify!($field), |row, ctx, out| {
                    $crate::graphql::row::write(futures_util::FutureExt::now_or_never(row.$field(ctx)), ctx, out)
                })),+];
        }
    };
}
pub(super) use plain;

/// Names the plain fields of an object that has no others: it is a plain value itself.
macro_rules! plain_value {
    ($type:ty: $($field:ident),+ $(,)?) => {
        $crate::graphql::row::plain!($type: $($field),+);

        impl $crate::graphql::json::Leaf for $type {
            fn write(&self, ctx: &async_graphql::Context<'_>, out: &mut Vec<u8>) -> async_graphql::ServerResult<()> {
                $crate::graphql::row::write_value(self, ctx, out)
            }
        }
    };
}
pub(super) use plain_value;

/// Writes what a resolver has answered at once.
pub fn write<V, E>(answer: Option<Result<V, E>>, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()>
where
    V: Leaf,
    E: Into<async_graphql::Error>,
{
    match answer {
        Some(Ok(value)) => value.write(ctx, out),
        Some(Err(error)) => Err(json::fault(ctx, error)),
        None => Err(json::fault(ctx, Error::internal("a field that is named as plain waits for something"))),
    }
}

/// Writes an object that has plain fields only.
pub fn write_value<T: Written>(value: &T, ctx: &Context<'_>, out: &mut Vec<u8>) -> ServerResult<()> {
    let ctx = ctx.with_selection_set(&ctx.item.node.selection_set);
    let mut fields = Vec::with_capacity(4);
    let type_name = T::type_name();
    if !collect(&ctx, &ctx.item.node, &type_name, &mut fields) {
        return Err(ctx.set_error_path(crate_fault(&ctx, "a plain value cannot be written")));
    }
    assemble(value, &ctx, &type_name, &fields, &mut std::iter::empty(), out)
}

fn crate_fault(ctx: &ContextSelectionSet<'_>, what: &str) -> async_graphql::ServerError {
    async_graphql::Error::from(Error::internal(what)).into_server_error(ctx.item.pos)
}

/// One selected field, and how it is written where it is plain.
struct Selected<'s, T: ?Sized> {
    field: &'s Positioned<Field>,
    how: How<T>,
}

enum How<T: ?Sized> {
    TypeName,
    Plain(Write<T>),
    Resolved,
}

/// More fields than this in one selection are left to the engine: looking for the same key among them takes the square of their number.
const MOST_FIELDS: usize = 64;

/// Gathers the fields of a selection, those of its fragments included (GraphQL specification, section 6.3.2). False where it asks for
/// something that only the engine knows how to do: to merge two selections under one key, or to apply a directive.
fn collect<'s, T: Written>(
    ctx: &ContextSelectionSet<'s>,
    selection: &'s SelectionSet,
    type_name: &str,
    fields: &mut Vec<Selected<'s, T>>,
) -> bool {
    selection.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => {
            let key = &field.node.response_key().node;
            match fields.iter().find(|known| known.field.node.response_key().node == *key) {
                // The same twice: what may be under one key has been checked.
                Some(known) => known.field.node.selection_set.node.items.is_empty(),
                None => {
                    let name = field.node.name.node.as_str();
                    let plain = || T::PLAIN.iter().find(|(known, _)| is_named(known, name)).map(|(_, write)| How::Plain(*write));
                    let how = if name == "__typename" { How::TypeName } else { plain().unwrap_or(How::Resolved) };
                    fields.push(Selected { field, how });
                    field.node.directives.is_empty() && fields.len() <= MOST_FIELDS
                }
            }
        }
        Selection::FragmentSpread(spread) => {
            let fragment = ctx.query_env.fragments.get(&spread.node.fragment_name.node);
            fragment.is_some_and(|fragment| {
                let condition = fragment.node.type_condition.node.on.node.as_str();
                !applies(ctx, condition, type_name) || collect(ctx, &fragment.node.selection_set.node, type_name, fields)
            })
        }
        Selection::InlineFragment(fragment) => {
            let condition = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
            condition.is_some_and(|condition| !applies(ctx, condition, type_name))
                || collect(ctx, &fragment.node.selection_set.node, type_name, fields)
        }
    })
}

/// Whether a fragment on that type is for objects of this one.
fn applies(ctx: &ContextSelectionSet<'_>, condition: &str, type_name: &str) -> bool {
    let interfaces = || ctx.schema_env.registry.implements.get(type_name);
    condition == type_name || interfaces().is_some_and(|interfaces| interfaces.contains(condition))
}

/// Whether `client_name` is called `clientName` in the schema.
fn is_named(rust: &str, name: &str) -> bool {
    let mut rest = name.bytes();
    let mut is_new_word = false;
    for byte in rust.bytes() {
        if byte == b'_' {
            is_new_word = true;
            continue;
        }
        let expected = if is_new_word { byte.to_ascii_uppercase() } else { byte };
        is_new_word = false;
        if rest.next() != Some(expected) {
            return false;
        }
    }
    rest.next().is_none()
}

/// Writes the object. `resolved` gives what the engine has answered, in the order of the fields.
fn assemble<T: Written>(
    row: &T,
    ctx: &ContextSelectionSet<'_>,
    type_name: &str,
    fields: &[Selected<'_, T>],
    resolved: &mut dyn Iterator<Item = Value>,
    out: &mut Vec<u8>,
) -> ServerResult<()> {
    out.push(b'{');
    for (place, Selected { field, how }) in fields.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        // A name needs no escapes (GraphQL specification, section 2.1.9).
        out.push(b'"');
        out.extend_from_slice(field.node.response_key().node.as_bytes());
        out.extend_from_slice(b"\":");
        match how {
            How::TypeName => json::push(type_name, out),
            How::Plain(write) => write(row, &ctx.with_field(field), out)?,
            How::Resolved => json::push_value(&resolved.next().unwrap_or_default(), out),
        }
    }
    out.push(b'}');
    Ok(())
}

/// An object that is answered in one pass. In the schema it is the object itself.
#[derive(Clone)]
pub struct Row<T>(pub T);

impl<T: Written> OutputType for Row<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        let type_name = T::type_name();
        let mut fields = Vec::with_capacity(16);
        let merges = ctx.data_unchecked::<RequestContext>().merges();
        if merges || !collect::<T>(ctx, &ctx.item.node, &type_name, &mut fields) {
            return resolve_container(ctx, &self.0).await;
        }
        let asking = fields.iter().filter(|selected| matches!(selected.how, How::Resolved)).map(|selected| {
            let answer: BoxFuture<'_, ServerResult<Value>> =
                Box::pin(async { Ok(self.0.resolve_field(&ctx.with_field(selected.field)).await?.unwrap_or_default()) });
            answer
        });
        let resolved = try_join_all(asking).await?;
        let mut out = Vec::with_capacity(256);
        assemble(&self.0, ctx, &type_name, &fields, &mut resolved.into_iter(), &mut out)?;
        Ok(Value::Binary(out.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field's name in the schema is that of its resolver in camel case.
    #[test]
    fn names() {
        for (rust, name) in [("id", "id"), ("client_name", "clientName"), ("last4_of_it", "last4OfIt")] {
            assert!(is_named(rust, name), "{rust} {name}");
        }
        for (rust, name) in [("id", "ids"), ("ids", "id"), ("client_name", "client_name"), ("client_name", "clientname")] {
            assert!(!is_named(rust, name), "{rust} {name}");
        }
    }
}
