//! "Field Selection Merging" (GraphQL specification, section 6.3.3): what a document selects from one object at several points, under one name, is
//! one field.
//!
//! The engine resolves each selection by itself: a mutation would be done once for each, and an error reported once for each. So the operation is
//! rewritten before it runs, with its variables known: conditions are decided, fragments are expanded, and fields of one name are one, with
//! all that is selected of them. What stands below an interface stays as it is: there it depends on each object what applies.

use std::collections::HashSet;

use async_graphql::{
    Name, Positioned, Variables,
    indexmap::IndexMap,
    parser::types::{Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
    registry::{MetaType, MetaTypeName, Registry},
};
use async_graphql_value::{ConstValue, Value};

use super::root_type;

/// The operation with what is to be merged merged, and whether something is left that only the engine can merge.
pub fn merged(
    registry: &Registry,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> (OperationDefinition, bool) {
    let mut merging = Merging { registry, document, variables, leaves: false };
    let mut merged = operation.clone();
    if let Some(root) = root_type(registry, operation.ty) {
        merged.selection_set.node = merging.set(&[&operation.selection_set.node], root);
    }
    (merged, merging.leaves)
}

/// The fields of one object, by their names in the answer, each with all its selections.
type Fields<'a> = IndexMap<&'a Name, (&'a Positioned<Field>, Vec<&'a SelectionSet>)>;

struct Merging<'a> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    leaves: bool,
}

impl<'a> Merging<'a> {
    /// What these sets select together of an object of that type.
    fn set(&mut self, sets: &[&'a SelectionSet], parent: &str) -> SelectionSet {
        if !matches!(self.registry.types.get(parent), Some(MetaType::Object { .. })) {
            self.leaves = true;
            return SelectionSet { items: sets.iter().flat_map(|set| set.items.iter().cloned()).collect() };
        }
        let (mut fields, mut seen) = (Fields::new(), HashSet::new());
        for set in sets {
            self.collect(set, parent, &mut fields, &mut seen);
        }
        let items = fields.into_values().map(|(field, sets)| {
            let mut merged = field.node.clone();
            merged.directives.clear();
            if !merged.selection_set.node.items.is_empty() {
                let meta = self.registry.types.get(parent).and_then(|parent| parent.field_by_name(&field.node.name.node));
                // What the schema has of itself is no type of the registry's.
                let below = meta.map_or("", |meta| MetaTypeName::concrete_typename(&meta.ty));
                merged.selection_set.node = self.set(&sets, below);
            }
            Positioned::new(Selection::Field(Positioned::new(merged, field.pos)), field.pos)
        });
        SelectionSet { items: items.collect() }
    }

    fn collect(&self, set: &'a SelectionSet, parent: &str, fields: &mut Fields<'a>, seen: &mut HashSet<&'a str>) {
        for selection in &set.items {
            if !self.is_included(selection.node.directives()) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    fields.entry(key).or_insert_with(|| (field, Vec::new())).1.push(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    if condition.is_none_or(|condition| self.applies(condition, parent)) {
                        self.collect(&fragment.node.selection_set.node, parent, fields, seen);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name).filter(|_| seen.insert(name)) else { continue };
                    if self.applies(&fragment.node.type_condition.node.on.node, parent) {
                        self.collect(&fragment.node.selection_set.node, parent, fields, seen);
                    }
                }
            }
        }
    }

    /// Whether a fragment on that type is for objects of this one.
    fn applies(&self, condition: &str, object: &str) -> bool {
        let implements = || self.registry.implements.get(object);
        condition == object || implements().is_some_and(|interfaces| interfaces.contains(condition))
    }

    /// What `@skip` and `@include` come to.
    fn is_included(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| {
            let condition = directive.node.arguments.iter().find(|(name, _)| name.node == "if").map(|(_, value)| &value.node);
            let holds = match condition {
                Some(Value::Boolean(holds)) => Some(*holds),
                Some(Value::Variable(name)) => match self.variables.get(name) {
                    Some(ConstValue::Boolean(holds)) => Some(*holds),
                    _ => None,
                },
                _ => None,
            };
            match directive.node.name.node.as_str() {
                "skip" => holds != Some(true),
                "include" => holds != Some(false),
                _ => true,
            }
        })
    }
}
