//! What an operation may cost, known before it runs: about the number of objects that its answer can have.
//!
//! An object costs 1, each row of a connection as much as it selects, times `first` or `last`. Counting a list costs more than a row, a
//! mutation more than a read. Scalars are free.

use async_graphql::{
    Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet},
    registry::{MetaType, MetaTypeName, Registry},
};
use async_graphql_value::{ConstValue, Value};

use super::root_type;
use crate::models::page::{DEFAULT_PAGE, MAX_PAGE};

/// What a mutation costs beyond its payload: locks, and a commit that waits for the disk.
const MUTATION: u64 = 10;
/// What it costs to count a list.
const TOTAL_COUNT: u64 = 5;
/// What it costs to add a list up, whatever is selected of the sums: all of its rows are read.
const TOTALS: u64 = 250;
/// How many items a list has that does not say how many. Rules are the one that may have hundreds.
const LIST: u64 = 10;
const RULES: u64 = 100;
/// What a question about the schema costs. It needs no database, and its lists are limited.
const INTROSPECTION: u64 = 2_000;

/// What the operation may cost with these variables.
pub fn requested(
    registry: &Registry,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> u64 {
    let root = root_type(registry, operation.ty);
    let pricing = Pricing { registry, document, variables };
    let parent = root.and_then(|root| registry.types.get(root));
    let each = if operation.ty == OperationType::Mutation { MUTATION } else { 0 };
    1 + pricing.selections(&operation.selection_set.node, parent, u64::from(DEFAULT_PAGE.unsigned_abs()), each)
}

struct Pricing<'a> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
}

impl Pricing<'_> {
    /// `page` is how many rows the connection may have that this is the selection of, or how many results the mutation; `each` what each field
    /// costs besides.
    fn selections(&self, set: &SelectionSet, parent: Option<&MetaType>, page: u64, each: u64) -> u64 {
        let of = |selection: &async_graphql::Positioned<Selection>| match &selection.node {
            Selection::Field(field) => {
                // A mutation of several is as many, and has a result for each.
                let (count, page) =
                    if each == 0 { (1, page) } else { (self.several(&field.node).max(1), self.several(&field.node)) };
                count.saturating_mul(each).saturating_add(self.field(&field.node, parent, page))
            }
            Selection::InlineFragment(fragment) => {
                let narrowed = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                let parent = narrowed.map_or(parent, |name| self.registry.types.get(name));
                self.selections(&fragment.node.selection_set.node, parent, page, each)
            }
            Selection::FragmentSpread(spread) => match self.document.fragments.get(&spread.node.fragment_name.node) {
                Some(fragment) => {
                    let parent = self.registry.types.get(fragment.node.type_condition.node.on.node.as_str());
                    self.selections(&fragment.node.selection_set.node, parent, page, each)
                }
                None => 0,
            },
        };
        set.items.iter().map(of).fold(0, u64::saturating_add)
    }

    fn field(&self, field: &Field, parent: Option<&MetaType>, page: u64) -> u64 {
        let name = field.name.node.as_str();
        if matches!(name, "__schema" | "__type") {
            return INTROSPECTION;
        }
        let Some(meta) = parent.and_then(|parent| parent.field_by_name(name)) else { return 0 };
        let is_connection = |name: &str| name.ends_with("Connection");
        match name {
            "totalCount" => return TOTAL_COUNT,
            "totals" if parent.is_some_and(|parent| is_connection(parent.name())) => return TOTALS,
            _ => {}
        }
        let concrete = MetaTypeName::concrete_typename(&meta.ty);
        let Some(below) = self.registry.types.get(concrete).filter(|below| below.is_composite()) else { return 0 };
        let size = if is_connection(concrete) { self.size(field) } else { page };
        let children = self.selections(&field.selection_set.node, Some(below), size, 0);
        let is_list = matches!(MetaTypeName::create(&meta.ty).unwrap_non_null(), MetaTypeName::List(_));
        let count = match parent {
            _ if !is_list => 1,
            Some(parent) if is_connection(parent.name()) => page,
            Some(parent) if name == "results" && parent.name().ends_with("Payload") && page > 0 => page,
            _ => match (self.argument(field, "ids"), self.argument(field, "first")) {
                (Some(ids), _) => length(&ids),
                (None, Some(first)) => number(first),
                (None, None) if name == "commissionRules" => RULES,
                (None, None) => LIST,
            },
        };
        // An edge is no row of its own.
        let own = u64::from(!concrete.ends_with("Edge"));
        count.saturating_mul(own.saturating_add(children))
    }

    /// How many rows a connection may have.
    fn size(&self, field: &Field) -> u64 {
        let given = self.argument(field, "first").or_else(|| self.argument(field, "last"));
        given.map_or(u64::from(DEFAULT_PAGE.unsigned_abs()), number).min(u64::from(MAX_PAGE.unsigned_abs()))
    }

    /// Of how many things a mutation is by its input; 0 where it is not one of several.
    fn several(&self, field: &Field) -> u64 {
        match self.argument(field, "input") {
            Some(ConstValue::Object(input)) => input.get("ids").or_else(|| input.get("links")).map_or(0, length),
            _ => 0,
        }
    }

    /// The value of an argument that is given and not null.
    fn argument(&self, field: &Field, name: &str) -> Option<ConstValue> {
        let value = match &field.get_argument(name)?.node {
            // Defaults are among the variables.
            Value::Variable(variable) => self.variables.get(variable)?.clone(),
            value => {
                value.clone().into_const_with(|name| Ok::<_, ()>(self.variables.get(&name).cloned().unwrap_or_default())).ok()?
            }
        };
        (value != ConstValue::Null).then_some(value)
    }
}

fn number(value: ConstValue) -> u64 {
    match value {
        ConstValue::Number(number) => number.as_u64().unwrap_or(0).min(u64::from(MAX_PAGE.unsigned_abs())),
        _ => 0,
    }
}

fn length(value: &ConstValue) -> u64 {
    match value {
        ConstValue::List(items) => items.len() as u64,
        _ => 1,
    }
}
