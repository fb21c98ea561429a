//! The input of an operation: values that stand in the document, and those of variables (GraphQL specification, section 6.1.2).
//!
//! The engine coerces each argument when its field is resolved, and finds a value that does not fit when half of the answer is there, or
//! half of the changes are made. Here all values of an operation are coerced before anything runs.
//!
//! In a query an id, or a currency, that is none is left to its field: it refuses that field alone, and the others are answered. (A page
//! shows what else it has asked for.) A mutation does nothing unless all of them can be right.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned, ServerError, Variables,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
        Type, VariableDefinition,
    },
    registry::{MetaType, MetaTypeName, Registry},
};
use async_graphql_value::{ConstValue, Value};

use super::{
    MAX_FAULTS,
    coercion::{Coercion, Fault},
    root_type,
};
use crate::graphql::engine::ids;

/// How many values the variables may have in all, within lists and objects too. Each may be looked at for every row that uses it.
const MAX_VALUES: usize = 2_000;

/// Where a variable stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Usage {
    variable: Name,
    /// The type that is expected there, with the kind of an id.
    expected: String,
    /// The way to it from the field's arguments.
    path: Vec<String>,
    /// Whether it is the whole argument, and the argument has a default: that counts where the variable is left out.
    is_defaulted: bool,
}

/// What is wrong with the values in an operation, and where its variables stand.
pub fn literals(
    registry: &Registry,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
) -> (Vec<ServerError>, Vec<Usage>) {
    let definitions = &operation.variable_definitions;
    let mut walk = Walk {
        coercion: Coercion { registry, is_literal: true, leaves_ids: operation.ty == OperationType::Query },
        document,
        variables: definitions.iter().map(|definition| (definition.node.name.node.as_str(), &definition.node)).collect(),
        seen: HashSet::new(),
        usages: Vec::new(),
        errors: Vec::new(),
    };
    for definition in definitions {
        let Some(default) = &definition.node.default_value else { continue };
        let path = vec![definition.node.name.node.to_string()];
        walk.constant(&definition.node.var_type.node.to_string(), &default.node, path, default.pos);
    }
    walk.directives(&operation.directives);
    let root = root_type(registry, operation.ty).and_then(|root| registry.types.get(root));
    walk.selections(&operation.selection_set.node, root);
    (walk.errors, walk.usages)
}

/// What is wrong with the values that were sent for an operation's variables.
pub fn check_variables(
    registry: &Registry,
    operation: &OperationDefinition,
    usages: &[Usage],
    variables: &Variables,
) -> Vec<ServerError> {
    let count = variables.values().map(count_values).fold(0, usize::saturating_add);
    if count > MAX_VALUES {
        return vec![ServerError::new(format!("The variables have {count} values in all; {MAX_VALUES} is the limit."), None)];
    }
    let coercion = Coercion { registry, is_literal: false, leaves_ids: operation.ty == OperationType::Query };
    let mut errors = Vec::new();
    for definition in &operation.variable_definitions {
        let (pos, definition) = (definition.pos, &definition.node);
        let name = &definition.name.node;
        let declared = definition.var_type.node.to_string();
        let own: Vec<&Usage> = usages.iter().filter(|usage| usage.variable == *name).collect();
        let path = || own.first().map_or_else(|| vec![name.to_string()], |usage| usage.path.clone());
        let mut faults = Vec::new();
        match variables.get(name) {
            None if definition.default_value.is_some() || definition.var_type.node.nullable => {}
            None => {
                let message = format!("The variable \"${name}\" of type \"{declared}\" is needed and was not sent.");
                faults.push(Fault { path: path(), message });
            }
            Some(value) => {
                coercion.check(&declared, value, &mut path(), &mut faults);
                // The location may ask for more: that there is a value, or an id of one kind. Each type is compared once.
                let mut compared = HashSet::from([declared.trim_end_matches('!')]);
                for usage in &own {
                    let is_stricter = usage.expected.ends_with('!') && *value == ConstValue::Null;
                    if faults.is_empty() && (is_stricter || compared.insert(usage.expected.trim_end_matches('!'))) {
                        coercion.check(&usage.expected, value, &mut usage.path.clone(), &mut faults);
                    }
                }
            }
        }
        errors.extend(faults.into_iter().map(|fault| fault.error(pos)));
    }
    errors.truncate(MAX_FAULTS);
    errors
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

/// The variables that were left out where an argument has a default.
pub fn left_out(usages: &[Usage], variables: &Variables) -> HashSet<Name> {
    let is_left_out = |usage: &&Usage| usage.is_defaulted && !variables.contains_key(&usage.variable);
    usages.iter().filter(is_left_out).map(|usage| usage.variable.clone()).collect()
}

/// Takes out the arguments whose whole value is one of these variables: their defaults count then (GraphQL specification, section 6.4.1),
/// which the engine does not know.
pub fn take_out(document: &mut ExecutableDocument, left_out: &HashSet<Name>) {
    fn of(set: &mut SelectionSet, left_out: &HashSet<Name>) {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    let is_sent = |value: &Value| !matches!(value, Value::Variable(name) if left_out.contains(name));
                    field.node.arguments.retain(|(_, value)| is_sent(&value.node));
                    of(&mut field.node.selection_set.node, left_out);
                }
                Selection::InlineFragment(fragment) => of(&mut fragment.node.selection_set.node, left_out),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => {
            of(&mut operation.node.selection_set.node, left_out);
        }
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                of(&mut operation.node.selection_set.node, left_out);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        of(&mut fragment.node.selection_set.node, left_out);
    }
}

fn count_values(value: &ConstValue) -> usize {
    match value {
        ConstValue::List(items) => items.iter().map(count_values).sum::<usize>() + 1,
        ConstValue::Object(fields) => fields.values().map(count_values).sum::<usize>() + 1,
        _ => 1,
    }
}

/// The way through one operation, each fragment once.
struct Walk<'a> {
    coercion: Coercion<'a>,
    document: &'a ExecutableDocument,
    variables: HashMap<&'a str, &'a VariableDefinition>,
    seen: HashSet<&'a str>,
    usages: Vec<Usage>,
    errors: Vec<ServerError>,
}

impl<'a> Walk<'a> {
    fn selections(&mut self, set: &'a SelectionSet, parent: Option<&'a MetaType>) {
        let registry = self.coercion.registry;
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.directives(&field.directives);
                    let Some(meta) = parent.and_then(|parent| parent.field_by_name(&field.name.node)) else { continue };
                    for (name, value) in &field.arguments {
                        if let Some(argument) = meta.args.get(name.node.as_str()) {
                            let path = vec![name.node.to_string()];
                            self.value(&argument.ty, argument.default_value.is_some(), &value.node, path, value.pos);
                        }
                    }
                    self.selections(&field.selection_set.node, registry.concrete_type_by_name(&meta.ty));
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives);
                    let narrowed = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    let parent = narrowed.map_or(parent, |name| registry.concrete_type_by_name(name));
                    self.selections(&fragment.node.selection_set.node, parent);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives);
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name).filter(|_| self.seen.insert(name)) else { continue };
                    let parent = registry.concrete_type_by_name(&fragment.node.type_condition.node.on.node);
                    self.selections(&fragment.node.selection_set.node, parent);
                }
            }
        }
    }

    /// The built-in ones with an argument are `@skip` and `@include`; the schema has none of its own.
    fn directives(&mut self, directives: &'a [Positioned<Directive>]) {
        for (name, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            self.value("Boolean!", false, &value.node, vec![name.node.to_string()], value.pos);
        }
    }

    fn value(&mut self, expected: &str, has_default: bool, value: &'a Value, path: Vec<String>, pos: Pos) {
        if self.errors.len() < MAX_FAULTS {
            let mut faults = Vec::new();
            self.coercion.check(expected, value, &mut path.clone(), &mut faults);
            self.errors.extend(faults.into_iter().map(|fault| fault.error(pos)));
        }
        self.find(expected, has_default, value, path, pos);
    }

    fn constant(&mut self, expected: &str, value: &ConstValue, mut path: Vec<String>, pos: Pos) {
        let mut faults = Vec::new();
        self.coercion.check(expected, value, &mut path, &mut faults);
        self.errors.extend(faults.into_iter().map(|fault| fault.error(pos)));
    }

    /// Where variables stand in a value, and whether they may stand there ("All Variable Usages Are Allowed", section 5.8.5; the compiler
    /// has this rule for whole arguments).
    fn find(&mut self, expected: &str, has_default: bool, value: &'a Value, path: Vec<String>, pos: Pos) {
        let below = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect();
        match (value, MetaTypeName::create(expected).unwrap_non_null()) {
            (Value::Variable(variable), _) => {
                if let Some(definition) = self.variables.get(variable.as_str()) {
                    let given = &definition.var_type.node;
                    let given_default = definition.default_value.as_ref().is_some_and(|value| value.node != ConstValue::Null);
                    if !is_allowed(given, given_default, MetaTypeName::create(expected), has_default) {
                        let public = expected.replace(
                            MetaTypeName::concrete_typename(expected),
                            ids::public_name(MetaTypeName::concrete_typename(expected)),
                        );
                        let message =
                            format!("Variable \"${variable}\" of type \"{given}\" used in position expecting type \"{public}\".");
                        self.errors.push(ServerError::new(message, Some(pos)));
                    }
                }
                let is_defaulted = has_default && path.len() == 1;
                self.usages.push(Usage { variable: variable.clone(), expected: expected.to_owned(), path, is_defaulted });
            }
            (Value::List(items), MetaTypeName::List(inner)) => {
                for (index, item) in items.iter().enumerate() {
                    self.find(inner, false, item, below(&index.to_string()), pos);
                }
            }
            (value, MetaTypeName::List(inner)) => self.find(inner, false, value, path, pos),
            (Value::Object(fields), MetaTypeName::Named(name)) => {
                let registry = self.coercion.registry;
                let Some(MetaType::InputObject { input_fields, .. }) = registry.types.get(name) else { return };
                for (name, value) in fields {
                    if let Some(field) = input_fields.get(name.as_str()) {
                        self.find(&field.ty, field.default_value.is_some(), value, below(name), pos);
                    }
                }
            }
            _ => {}
        }
    }
}

/// `IsVariableUsageAllowed`: a nullable variable may stand where null may not if it, or the location, has a default.
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
        (BaseType::Named(given), MetaTypeName::Named(expected)) => given == ids::public_name(expected),
        (BaseType::List(given), MetaTypeName::List(expected)) => are_compatible(given, MetaTypeName::create(expected)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::indexmap::IndexMap;

    use super::*;
    use crate::graphql::{
        document::{Documents, syntax},
        engine::scalars,
    };

    fn faults(documents: &Documents, text: &str) -> usize {
        let document = syntax::executable(text, &syntax::parse(text).expect(text)).expect(text);
        let of = |operation: &OperationDefinition| literals(&documents.registry, &document, operation).0.len();
        document.operations.iter().map(|(_, operation)| of(&operation.node)).sum()
    }

    /// Every scalar that can be sent has a rule: none of them takes an object.
    #[test]
    fn scalars_have_rules() {
        let documents = Documents::new(crate::config::limits::Limits::default());
        let mut sent = HashSet::new();
        for meta in documents.registry.types.values() {
            let arguments = match meta {
                MetaType::InputObject { input_fields, .. } => input_fields.values().map(|field| &field.ty).collect::<Vec<_>>(),
                MetaType::Object { fields, .. } => {
                    fields.values().flat_map(|field| field.args.values().map(|argument| &argument.ty)).collect()
                }
                _ => Vec::new(),
            };
            sent.extend(arguments.into_iter().map(|ty| MetaTypeName::concrete_typename(ty).to_owned()));
        }
        let is_scalar = |name: &&String| matches!(documents.registry.types.get(*name), Some(MetaType::Scalar { .. }) | None);
        let scalars: Vec<_> = sent.iter().filter(is_scalar).collect();
        assert!(scalars.len() > 15, "{scalars:?}");
        for name in scalars {
            assert!(scalars::check(name, &ConstValue::Object(IndexMap::new()), true).is_err(), "{name}");
        }
    }

    /// Types that fit are let through, others are not, wherever the variable stands.
    #[test]
    fn usages() {
        let documents = Documents::new(crate::config::limits::Limits::default());
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
            ("query ($v: DateTime) { revenueMetrics(period: { from: $v }) { periodStart } }", 1),
            ("query ($v: DateOrDateTime!) { revenueMetrics(period: { from: $v }) { periodStart } }", 0),
            ("query ($v: Interval) { earningsOverTime(interval: $v) { start } }", 0),
            ("query ($v: OrderDirection) { leads(orderBy: { field: CREATED_AT, direction: $v }) { totalCount } }", 0),
        ] {
            assert_eq!(faults(&documents, document), expected, "{document}");
        }
    }
}
