//! "All variable usages are allowed" (GraphQL specification, section 5.8.5): a variable stands only where its type fits.
//!
//! The engine has this rule, but never runs it: what combines its rules does not pass input values on to them. Without it a
//! variable declared `String!` or `Int!` would be taken for an `ID!`, and a client's mistake would show in production only.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Pos, Positioned, ServerError,
    parser::types::{BaseType, Directive, ExecutableDocument, Selection, SelectionSet, Type, VariableDefinition},
    registry::{MetaInputValue, MetaType, MetaTypeName, Registry},
};
use async_graphql_value::Value;

use super::{root_type, values};

/// What is wrong with the document in this respect. What other rules find wrong is passed over.
pub fn check(registry: &Registry, document: &ExecutableDocument) -> Vec<ServerError> {
    let mut errors = Vec::new();
    for (_, operation) in document.operations.iter() {
        let root = root_type(registry, operation.node.ty);
        let definitions = &operation.node.variable_definitions;
        let mut walk = Walk {
            registry,
            document,
            variables: definitions.iter().map(|definition| (definition.node.name.node.as_str(), &definition.node)).collect(),
            seen: HashSet::new(),
            errors: &mut errors,
        };
        walk.directives(&operation.node.directives);
        let root = root.and_then(|root| registry.types.get(root));
        walk.selections(&operation.node.selection_set.node, root);
    }
    errors
}

/// The way through one operation, each fragment once.
struct Walk<'a> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    variables: HashMap<&'a str, &'a VariableDefinition>,
    seen: HashSet<&'a str>,
    errors: &'a mut Vec<ServerError>,
}

impl<'a> Walk<'a> {
    fn selections(&mut self, set: &'a SelectionSet, parent: Option<&'a MetaType>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.directives(&field.directives);
                    let Some(meta) = parent.and_then(|parent| parent.field_by_name(&field.name.node)) else { continue };
                    for (name, value) in &field.arguments {
                        if let Some(argument) = meta.args.get(name.node.as_str()) {
                            self.value(&value.node, argument, value.pos);
                            self.literals(&value.node, &argument.ty, value.pos);
                        }
                    }
                    self.selections(&field.selection_set.node, self.registry.concrete_type_by_name(&meta.ty));
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives);
                    let narrowed = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    let parent = narrowed.map_or(parent, |name| self.registry.concrete_type_by_name(name));
                    self.selections(&fragment.node.selection_set.node, parent);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives);
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name).filter(|_| self.seen.insert(name)) else { continue };
                    let parent = self.registry.concrete_type_by_name(&fragment.node.type_condition.node.on.node);
                    self.selections(&fragment.node.selection_set.node, parent);
                }
            }
        }
    }

    /// The schema has no directives of its own; the built-in ones with an argument are `@skip` and `@include`.
    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for directive in directives.iter().filter(|directive| matches!(directive.node.name.node.as_str(), "skip" | "include")) {
            for (_, value) in directive.node.arguments.iter().filter(|(name, _)| name.node == "if") {
                self.typed_value(&value.node, MetaTypeName::create("Boolean!"), false, value.pos);
            }
        }
    }

    /// The engine looks at a value that has variables in it once they are known, which is not when a document is validated. Here each
    /// variable is taken to be right (it is looked at by itself), and the rest of the value is looked at.
    fn literals(&mut self, value: &Value, expected: &str, pos: Pos) {
        if !has_variable(value) || matches!(value, Value::Variable(_)) {
            return;
        }
        if let Some(message) = self.literal_fault(value, expected) {
            self.errors.push(ServerError::new(format!("Invalid value: {message}."), Some(pos)));
        }
    }

    fn literal_fault(&self, value: &Value, expected: &str) -> Option<String> {
        if !has_variable(value) {
            let value = value.clone().into_const()?;
            return values::fault(self.registry, expected, &value).map(|fault| fault.message);
        }
        match (value, MetaTypeName::create(expected).unwrap_non_null()) {
            (Value::List(items), MetaTypeName::List(inner)) => items.iter().find_map(|item| self.literal_fault(item, inner)),
            (value, MetaTypeName::List(inner)) => self.literal_fault(value, inner),
            (Value::Object(fields), MetaTypeName::Named(name)) => {
                let Some(MetaType::InputObject { input_fields, .. }) = self.registry.types.get(name) else {
                    return Some(format!("an object is no \"{name}\""));
                };
                if let Some(unknown) = fields.keys().find(|given| !input_fields.contains_key(given.as_str())) {
                    return Some(format!("\"{name}\" has no field \"{unknown}\""));
                }
                input_fields.values().find_map(|field| match fields.get(field.name.as_str()) {
                    Some(value) => self.literal_fault(value, &field.ty),
                    None if field.default_value.is_none() && MetaTypeName::create(&field.ty).is_non_null() => {
                        Some(format!("the field \"{}\" of type \"{}\" is missing", field.name, field.ty))
                    }
                    None => None,
                })
            }
            (Value::List(_), MetaTypeName::Named(name)) => Some(format!("a list is no \"{name}\"")),
            _ => None,
        }
    }

    fn value(&mut self, value: &Value, place: &MetaInputValue, pos: Pos) {
        self.typed_value(value, MetaTypeName::create(&place.ty), place.default_value.is_some(), pos);
    }

    fn typed_value(&mut self, value: &Value, expected: MetaTypeName<'_>, has_default: bool, pos: Pos) {
        match value {
            Value::Variable(name) => {
                let Some(variable) = self.variables.get(name.as_str()) else { return };
                let given = &variable.var_type.node;
                if !is_allowed(
                    given,
                    variable.default_value.as_ref().is_some_and(|value| value.node != async_graphql::Value::Null),
                    expected,
                    has_default,
                ) {
                    let text = format!("Variable \"${name}\" of type \"{given}\" is used where \"{expected}\" is expected.");
                    self.errors.push(ServerError::new(text, Some(pos)));
                }
            }
            Value::List(items) => {
                let MetaTypeName::List(inner) = expected.unwrap_non_null() else { return };
                for item in items {
                    self.typed_value(item, MetaTypeName::create(inner), false, pos);
                }
            }
            Value::Object(fields) => {
                let registry = self.registry;
                let MetaTypeName::Named(name) = expected.unwrap_non_null() else { return };
                let Some(MetaType::InputObject { input_fields, .. }) = registry.types.get(name) else { return };
                for (name, value) in fields {
                    if let Some(field) = input_fields.get(name.as_str()) {
                        self.value(value, field, pos);
                    }
                }
            }
            _ => {}
        }
    }
}

fn has_variable(value: &Value) -> bool {
    match value {
        Value::Variable(_) => true,
        Value::List(items) => items.iter().any(has_variable),
        Value::Object(fields) => fields.values().any(has_variable),
        _ => false,
    }
}

/// `IsVariableUsageAllowed`: a nullable variable may stand where null may not if it, or the place, has a default.
fn is_allowed(given: &Type, given_default: bool, expected: MetaTypeName<'_>, expected_default: bool) -> bool {
    match expected {
        MetaTypeName::NonNull(inner) if given.nullable => {
            (given_default || expected_default) && are_compatible(given, MetaTypeName::create(inner))
        }
        expected => are_compatible(given, expected),
    }
}

/// `AreTypesCompatible`: the same type, or a stricter one.
fn are_compatible(given: &Type, expected: MetaTypeName<'_>) -> bool {
    if let MetaTypeName::NonNull(inner) = expected {
        return !given.nullable && same_base(given, MetaTypeName::create(inner));
    }
    same_base(given, expected)
}

fn same_base(given: &Type, expected: MetaTypeName<'_>) -> bool {
    match (&given.base, expected) {
        (BaseType::Named(given), MetaTypeName::Named(expected)) => given == expected,
        (BaseType::List(given), MetaTypeName::List(expected)) => are_compatible(given, MetaTypeName::create(expected)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(document: &str) -> usize {
        let documents = crate::graphql::document::Documents::new(crate::limits::Limits::default());
        check(&documents.registry, &async_graphql::parser::parse_query(document).expect(document)).len()
    }

    /// Types that fit are let through, others are not, wherever the variable stands.
    #[test]
    fn usages() {
        for (document, expected) in [
            ("query ($v: ID!) { lead(id: $v) { id } }", 0),
            ("query ($v: String!) { lead(id: $v) { id } }", 1),
            ("query ($v: Int!) { lead(id: $v) { id } }", 1),
            ("query ($v: ID) { lead(id: $v) { id } }", 1),
            ("query ($v: ID = \"x\") { lead(id: $v) { id } }", 0),
            ("query ($v: ID = null) { lead(id: $v) { id } }", 1),
            ("query ($v: Int) { dashboard { recentLeads(first: $v) { id } } }", 0),
            ("query ($v: [ID!]!) { nodes(ids: $v) { id } }", 0),
            ("query ($v: [ID]!) { nodes(ids: $v) { id } }", 1),
            ("query ($v: ID!) { nodes(ids: $v) { id } }", 1),
            ("query ($v: ID!) { nodes(ids: [$v]) { id } }", 0),
            ("query ($v: Int!) { nodes(ids: [$v]) { id } }", 1),
            ("query ($v: LeadStatus!) { leads(filter: { status: [$v] }) { totalCount } }", 0),
            ("query ($v: String!) { leads(filter: { status: [$v] }) { totalCount } }", 1),
            ("query ($v: [LeadStatus!]) { leads(filter: { status: $v }) { totalCount } }", 0),
            ("query ($v: String!) { me { role @include(if: $v) } }", 1),
            ("query ($v: Boolean!) { me { role @include(if: $v) } }", 0),
            ("query ($v: Int!) { ...F } fragment F on Query { lead(id: $v) { id } }", 1),
            ("query ($v: Int!) { node(id: \"x\") { ... on Partner { leads(after: $v) { totalCount } } } }", 1),
            ("mutation ($v: String!) { updateLeadStatus(input: { id: $v, status: LOST }) { userErrors { code } } }", 1),
            ("mutation ($v: UpdateLeadStatusInput!) { updateLeadStatus(input: $v) { userErrors { code } } }", 0),
            ("mutation ($v: ID!) { updateLeadStatus(input: { id: $v, status: NOWHERE }) { userErrors { code } } }", 1),
            ("mutation ($v: ID!) { updateLeadStatus(input: { id: $v, status: LOST, more: 5 }) { userErrors { code } } }", 1),
            ("mutation ($v: ID!) { updateLeadStatus(input: { id: $v }) { userErrors { code } } }", 1),
            ("query ($v: LeadStatus!) { leads(filter: { status: [$v, 5] }) { totalCount } }", 1),
            ("query ($v: Int!) { ...F } fragment F on Query { ...F me { ...G } } fragment G on Viewer { role }", 0),
        ] {
            assert_eq!(faults(document), expected, "{document}");
        }
    }
}
