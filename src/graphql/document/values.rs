//! Coercion of variables (GraphQL specification, section 6.1.2), and the same look at values that stand in the document.
//!
//! The engine coerces each argument when its field is resolved; a variable that no field uses is never looked at, and one that does
//! not fit is found when half of the answer is there. Here all of them are looked at before anything runs.

use async_graphql::{
    Name, ServerError, Variables,
    parser::types::OperationDefinition,
    registry::{MetaType, MetaTypeName, Registry},
};
use async_graphql_value::ConstValue;

/// How many values the variables may have in all, within lists and objects too. Each may be looked at for every row that uses it.
const MAX_VALUES: usize = 2_000;

/// What is wrong with the values that were sent for an operation's variables.
pub fn check_variables(registry: &Registry, operation: &OperationDefinition, variables: &Variables) -> Vec<ServerError> {
    let count = variables.values().map(count_values).fold(0, usize::saturating_add);
    if count > MAX_VALUES {
        return vec![ServerError::new(format!("The variables have {count} values in all; {MAX_VALUES} is the limit."), None)];
    }
    let check = |definition: &async_graphql::Positioned<async_graphql::parser::types::VariableDefinition>| {
        let (name, definition) = (&definition.node.name.node, (&definition.node, definition.pos));
        let (definition, pos) = definition;
        let expected = definition.var_type.node.to_string();
        let fault = match variables.get(name) {
            None if definition.default_value.is_some() || definition.var_type.node.nullable => return None,
            None => format!("Variable \"${name}\" of type \"{expected}\" is needed and was not sent."),
            Some(value) => {
                let Fault { path, message } = fault(registry, &expected, value)?;
                let place = if path.is_empty() { String::new() } else { format!(" at \"{}\"", path.join(".")) };
                format!("Variable \"${name}\" of type \"{expected}\" was sent an invalid value{place}: {message}.")
            }
        };
        Some(ServerError::new(fault, Some(pos)))
    };
    operation.variable_definitions.iter().filter_map(check).collect()
}

/// The variables as the operation sees them: with the defaults of those that were not sent. (The engine knows them in arguments, not in
/// `@skip` and `@include`.)
pub fn with_defaults(operation: &OperationDefinition, mut variables: Variables) -> Variables {
    for definition in &operation.variable_definitions {
        if let Some(default) = &definition.node.default_value {
            variables.entry(definition.node.name.node.clone()).or_insert_with(|| default.node.clone());
        }
    }
    variables
}

fn count_values(value: &ConstValue) -> usize {
    match value {
        ConstValue::List(items) => items.iter().map(count_values).sum::<usize>() + 1,
        ConstValue::Object(fields) => fields.values().map(count_values).sum::<usize>() + 1,
        _ => 1,
    }
}

/// What is wrong with a value, and where in it.
pub struct Fault {
    /// The way from the value to the fault: names of fields and places in lists.
    path: Vec<String>,
    /// The fault.
    pub message: String,
}

impl Fault {
    fn here(message: String) -> Self {
        Self { path: Vec::new(), message }
    }

    fn below(mut self, step: impl ToString) -> Self {
        self.path.insert(0, step.to_string());
        self
    }
}

/// What is wrong with a value for a type, if anything is.
pub fn fault(registry: &Registry, expected: &str, value: &ConstValue) -> Option<Fault> {
    match (MetaTypeName::create(expected), value) {
        (MetaTypeName::NonNull(inner), ConstValue::Null) => Some(Fault::here(format!("null is no \"{inner}\""))),
        (MetaTypeName::NonNull(inner), value) => fault(registry, inner, value),
        (_, ConstValue::Null) => None,
        (MetaTypeName::List(inner), ConstValue::List(items)) => {
            items.iter().enumerate().find_map(|(place, item)| Some(fault(registry, inner, item)?.below(place)))
        }
        // A single value stands for a list of one.
        (MetaTypeName::List(inner), value) => fault(registry, inner, value),
        (MetaTypeName::Named(name), value) => named(registry, name, value),
    }
}

fn named(registry: &Registry, name: &str, value: &ConstValue) -> Option<Fault> {
    match registry.types.get(name)? {
        MetaType::Scalar { is_valid, .. } => {
            let fits = is_valid.as_ref().is_none_or(|is_valid| is_valid(value));
            (!fits).then(|| Fault::here(format!("{} is no \"{name}\"", shown(value))))
        }
        MetaType::Enum { enum_values, .. } => {
            let given = match value {
                ConstValue::Enum(given) => Some(given.as_str()),
                ConstValue::String(given) => Some(given.as_str()),
                _ => None,
            };
            let fits = given.is_some_and(|given| enum_values.contains_key(given));
            (!fits).then(|| Fault::here(format!("{} is no value of \"{name}\"", shown(value))))
        }
        MetaType::InputObject { input_fields, .. } => {
            let ConstValue::Object(fields) = value else {
                return Some(Fault::here(format!("{} is no object of \"{name}\"", shown(value))));
            };
            if let Some(unknown) = fields.keys().find(|given| !input_fields.contains_key(given.as_str())) {
                return Some(Fault::here(format!("\"{name}\" has no field \"{unknown}\"")));
            }
            input_fields.values().find_map(|field| match fields.get(&Name::new(&field.name)) {
                Some(value) => Some(fault(registry, &field.ty, value)?.below(&field.name)),
                None if field.default_value.is_none() && MetaTypeName::create(&field.ty).is_non_null() => {
                    Some(Fault::here(format!("the field \"{}\" of type \"{}\" is missing", field.name, field.ty)))
                }
                None => None,
            })
        }
        MetaType::Object { .. } | MetaType::Interface { .. } | MetaType::Union { .. } => None,
    }
}

/// The value in the message, not all of a long one.
fn shown(value: &ConstValue) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}
