//! An error stays in the field where it happened, if that field may be null (GraphQL specification, section 6.4.4).
//!
//! The engine passes on what a resolver refuses, and an argument that it cannot coerce, to the object above; so the object would be null
//! for the fault of one of its fields. What an object's fields come to passes through here, whichever of the two ways it is answered.

use std::sync::Arc;

use async_graphql::{
    ContextSelectionSet, ServerError, ServerResult, Value,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
};

use super::context::RequestContext;

/// Makes a nullable field null where it is refused, and records its error; describes the schema by this text.
#[derive(Clone, Copy)]
pub struct FieldErrorExtension(pub &'static str);

impl ExtensionFactory for FieldErrorExtension {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for FieldErrorExtension {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        // The engine describes what a schema is, not this one.
        if info.parent_type == "__Schema" && info.name == "description" {
            return Ok(Some(Value::from(self.0)));
        }
        let may_be_null = !info.return_type.ends_with('!');
        match next.run(ctx, info).await {
            Err(error) if may_be_null => {
                ctx.data_unchecked::<RequestContext>().record(error);
                Ok(None)
            }
            answer => answer,
        }
    }
}

/// Does the same for a field that is resolved without the engine's extensions.
pub fn null_on_error(
    answer: ServerResult<Option<Value>>,
    ctx: &ContextSelectionSet<'_>,
    type_name: &str,
    field: &str,
) -> ServerResult<Value> {
    match answer {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(error) if may_be_null(ctx, type_name, field) => {
            record(ctx, error);
            Ok(Value::Null)
        }
        Err(error) => Err(error),
    }
}

/// Whether a type's field may be null.
pub fn may_be_null(ctx: &ContextSelectionSet<'_>, type_name: &str, field: &str) -> bool {
    let meta = ctx.schema_env.registry.types.get(type_name).and_then(|meta| meta.field_by_name(field));
    meta.is_some_and(|meta| !meta.ty.ends_with('!'))
}

/// Keeps the error of a field that is null for it.
pub fn record(ctx: &ContextSelectionSet<'_>, error: ServerError) {
    ctx.data_unchecked::<RequestContext>().record(error);
}
