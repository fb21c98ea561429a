//! What a mutation does, as the audit trail records it: read from the document, so that it is known before anything runs.

use async_graphql::{Name, Value as ConstValue, Variables, parser::types::Field};
use async_graphql_value::Value;

use crate::db::session::{Act, AuditActor};

/// What a field of a mutation does.
pub fn act(field: &Field, variables: &Variables, actor: AuditActor, operation: Option<&str>) -> Act {
    let given = |name: &Name| variables.get(name);
    let constant = |value: &ConstValue| match value {
        ConstValue::String(text) => Some(text.clone()),
        _ => None,
    };
    let reason = match field.get_argument("input").map(|input| &input.node) {
        Some(Value::Variable(name)) => match given(name) {
            Some(ConstValue::Object(input)) => input.get("reason").and_then(constant),
            _ => None,
        },
        Some(Value::Object(input)) => match input.get("reason") {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Variable(name)) => given(name).and_then(constant),
            _ => None,
        },
        _ => None,
    };
    Act { actor, action: field.name.node.to_string(), reason, operation: operation.map(str::to_owned) }
}
