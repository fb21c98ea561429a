//! Rows, answered in one pass.
//!
//! The engine answers every field by a future of its own: about a microsecond of processor time for each, several times what its value
//! takes. Most fields of a row have nothing to wait for. A [`Row`] writes these straight into the answer's text, in the order of the
//! selection, by the very resolvers that the schema is made of; only the others go through the engine, all at the same time.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    parser::types::{Field, Selection as Item, SelectionSet},
    registry::Registry,
    resolver_utils::resolve_container,
};
use futures_util::future::{BoxFuture, try_join_all};

use super::{
    context::RequestContext,
    json::{self, Leaf},
    null_on_error,
};
use crate::error::Error;

/// How a field is written.
pub type Write<T> = fn(&T, &Context<'_>, &mut Vec<u8>) -> ServerResult<()>;

/// An object whose plain fields are known: those that wait for nothing and take no arguments.
pub trait Written: OutputType + 'static {
    /// The resolvers of its plain fields, under their names in Rust.
    const PLAIN: &'static [(&'static str, Write<Self>)];
}

/// Names an object's plain fields.
macro_rules! plain {
    ($type:ty: $($field:ident),+ $(,)?) => {
        impl $crate::graphql::engine::row::Written for $type {
            const PLAIN: &'static [(&'static str, fn(&Self, &async_graphql::Context<'_>, &mut Vec<u8>) -> async_graphql::ServerResult<()>)] =
                &[$((stringify!($field), |row, ctx, out| {
                    $crate::graphql::engine::row::write(futures_util::FutureExt::now_or_never(row.$field(ctx)), ctx, out)
                })),+];
        }
    };
}
pub(in crate::graphql) use plain;

/// Names the plain fields of an object that has no others: it is a plain value itself.
macro_rules! plain_value {
    ($type:ty: $($field:ident),+ $(,)?) => {
        $crate::graphql::engine::row::plain!($type: $($field),+);

        impl $crate::graphql::engine::json::Leaf for $type {
            fn write(&self, ctx: &async_graphql::Context<'_>, out: &mut Vec<u8>) -> async_graphql::ServerResult<()> {
                $crate::graphql::engine::row::write_value(self, ctx, out)
            }
        }
    };
}
pub(in crate::graphql) use plain_value;

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
    let below = ctx.with_selection_set(&ctx.item.node.selection_set);
    let selection = Selection::of(&below)
        .ok_or_else(|| json::fault(ctx, Error::internal("a plain value is selected of in a way that cannot be written")))?;
    selection.write(value, &below, &mut std::iter::empty(), out)
}

/// What is selected of an object, fragments resolved.
struct Selection<'s, T> {
    type_name: Cow<'static, str>,
    fields: Vec<Selected<'s, T>>,
}

/// One selected field, and how it is answered.
struct Selected<'s, T> {
    field: &'s Positioned<Field>,
    how: How<T>,
}

enum How<T> {
    TypeName,
    Plain(Write<T>),
    /// By the engine.
    Resolved,
}

impl<'s, T: Written> Selection<'s, T> {
    /// Gathers the fields of a selection, those of its fragments included (GraphQL specification, section 6.3.2). `None` where it asks for
    /// something that only the engine knows how to do: to merge two selections under one key, or to apply a directive.
    fn of(ctx: &ContextSelectionSet<'s>) -> Option<Self> {
        let mut selection = Self { type_name: T::type_name(), fields: Vec::with_capacity(ctx.item.node.items.len()) };
        selection.collect(ctx, &ctx.item.node).then_some(selection)
    }

    fn collect(&mut self, ctx: &ContextSelectionSet<'s>, set: &'s SelectionSet) -> bool {
        set.items.iter().all(|item| match &item.node {
            Item::Field(field) => self.add(field),
            Item::FragmentSpread(spread) => {
                let fragment = ctx.query_env.fragments.get(&spread.node.fragment_name.node);
                fragment.is_some_and(|fragment| {
                    let condition = fragment.node.type_condition.node.on.node.as_str();
                    !applies(ctx, condition, &self.type_name) || self.collect(ctx, &fragment.node.selection_set.node)
                })
            }
            Item::InlineFragment(fragment) => {
                let condition = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                condition.is_some_and(|condition| !applies(ctx, condition, &self.type_name))
                    || self.collect(ctx, &fragment.node.selection_set.node)
            }
        })
    }

    fn add(&mut self, field: &'s Positioned<Field>) -> bool {
        let key = &field.node.response_key().node;
        if let Some(known) = self.fields.iter().find(|known| known.field.node.response_key().node == *key) {
            // The same twice: what may stand under one key has been checked.
            return known.field.node.selection_set.node.items.is_empty();
        }
        let name = field.node.name.node.as_str();
        let plain = || T::PLAIN.iter().find(|(known, _)| is_named(known, name)).map(|(_, write)| How::Plain(*write));
        let how = if name == "__typename" { How::TypeName } else { plain().unwrap_or(How::Resolved) };
        self.fields.push(Selected { field, how });
        field.node.directives.is_empty()
    }

    /// Asks the engine for what is not plain.
    fn ask<'f>(
        &'f self,
        row: &'f T,
        ctx: &'f ContextSelectionSet<'f>,
    ) -> impl Iterator<Item = BoxFuture<'f, ServerResult<Value>>> + 'f
    where
        T: ContainerType,
    {
        let resolved = self.fields.iter().filter(|selected| matches!(selected.how, How::Resolved));
        resolved.map(move |selected| -> BoxFuture<'f, ServerResult<Value>> {
            Box::pin(async move {
                let answer = row.resolve_field(&ctx.with_field(selected.field)).await;
                null_on_error::null_on_error(answer, ctx, &self.type_name, &selected.field.node.name.node)
            })
        })
    }

    /// Writes the object. `resolved` gives what the engine has answered, in the order of the fields.
    fn write(
        &self,
        row: &T,
        ctx: &ContextSelectionSet<'_>,
        resolved: &mut dyn Iterator<Item = Value>,
        out: &mut Vec<u8>,
    ) -> ServerResult<()> {
        out.push(b'{');
        for (index, Selected { field, how }) in self.fields.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            // A name needs no escapes (GraphQL specification, section 2.1.9).
            out.push(b'"');
            out.extend_from_slice(field.node.response_key().node.as_bytes());
            out.extend_from_slice(b"\":");
            match how {
                How::TypeName => json::push(&*self.type_name, out),
                How::Plain(write) => {
                    let before = out.len();
                    if let Err(error) = write(row, &ctx.with_field(field), out) {
                        if !null_on_error::may_be_null(ctx, &self.type_name, &field.node.name.node) {
                            return Err(error);
                        }
                        null_on_error::record(ctx, error);
                        out.truncate(before);
                        out.extend_from_slice(b"null");
                    }
                }
                How::Resolved => {
                    let answer = resolved.next().ok_or_else(|| json::fault(&ctx.with_field(field), unnamed()))?;
                    json::push_value(&answer, out);
                }
            }
        }
        out.push(b'}');
        Ok(())
    }
}

fn unnamed() -> Error {
    Error::internal("a field of a plain value is not named as plain")
}

/// Answers an object in one pass.
pub async fn resolve<T: Written + ContainerType>(row: &T, ctx: &ContextSelectionSet<'_>) -> ServerResult<Value> {
    let Some(selection) = Selection::of(ctx).filter(|_| !merges(ctx)) else { return resolve_container(ctx, row).await };
    let resolved = try_join_all(selection.ask(row, ctx)).await?;
    let mut out = Vec::with_capacity(256);
    selection.write(row, ctx, &mut resolved.into_iter(), &mut out)?;
    Ok(Value::Binary(out.into()))
}

/// Answers a list of objects in one pass.
pub async fn resolve_list<T: Written + ContainerType>(rows: &[T], ctx: &ContextSelectionSet<'_>) -> ServerResult<Value> {
    let items: Vec<_> = (0..rows.len()).map(|index| ctx.with_index(index)).collect();
    let Some(selection) = Selection::of(ctx).filter(|_| !merges(ctx)) else {
        let items = rows.iter().zip(&items).map(|(row, item)| resolve_container(item, row));
        return Ok(Value::List(try_join_all(items).await?));
    };
    let asked = rows.iter().zip(&items).flat_map(|(row, item)| selection.ask(row, item));
    let mut resolved = try_join_all(asked).await?.into_iter();
    let mut out = Vec::with_capacity(256 * rows.len());
    out.push(b'[');
    for (index, (row, item)) in rows.iter().zip(&items).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        selection.write(row, item, &mut resolved, &mut out)?;
    }
    out.push(b']');
    Ok(Value::Binary(out.into()))
}

/// Whether the answers to one object, selected from at several points of the document, are to be merged. Text cannot be.
fn merges(ctx: &ContextSelectionSet<'_>) -> bool {
    ctx.data_unchecked::<RequestContext>().merges()
}

/// Whether a fragment on that type is for objects of this one.
fn applies(ctx: &ContextSelectionSet<'_>, condition: &str, type_name: &str) -> bool {
    let interfaces = || ctx.schema_env.registry.implements.get(type_name);
    condition == type_name || interfaces().is_some_and(|interfaces| interfaces.contains(condition))
}

/// Whether `client_name` is called `clientName` in the schema.
fn is_named(rust: &str, name: &str) -> bool {
    let mut letters = name.bytes();
    let mut is_new_word = false;
    for byte in rust.bytes() {
        if byte == b'_' {
            is_new_word = true;
            continue;
        }
        let expected = if is_new_word { byte.to_ascii_uppercase() } else { byte };
        is_new_word = false;
        if letters.next() != Some(expected) {
            return false;
        }
    }
    letters.next().is_none()
}

/// An object that is answered in one pass. In the schema it is the object itself.
#[derive(Clone)]
pub struct Row<T>(pub T);

impl<T: Written + ContainerType> OutputType for Row<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        resolve(&self.0, ctx).await
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
