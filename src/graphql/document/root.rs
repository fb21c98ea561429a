//! The root of a subscription: one field (GraphQL specification, section 5.2.4.1). The engine looks at the fields that stand there
//! themselves, and not into fragments; so what they select is brought there.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, ServerError,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType,
        Selection, SelectionSet,
    },
};

/// The document with each subscription's root as one field.
pub fn flattened(mut document: ExecutableDocument) -> Result<ExecutableDocument, Vec<ServerError>> {
    let fragments = &document.fragments;
    let flatten = |operation: &mut Positioned<OperationDefinition>| {
        if operation.node.ty == OperationType::Subscription {
            let pos = operation.pos;
            let root = &mut operation.node.selection_set;
            let field = only_field(fragments, &root.node).map_err(|message| vec![ServerError::new(message, Some(pos))])?;
            root.node.items = vec![Positioned::new(Selection::Field(field), pos)];
        }
        Ok::<(), Vec<ServerError>>(())
    };
    match &mut document.operations {
        DocumentOperations::Single(operation) => flatten(operation)?,
        DocumentOperations::Multiple(operations) => operations.values_mut().try_for_each(flatten)?,
    }
    Ok(document)
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The one field of a root, with all its selections.
fn only_field(fragments: &Fragments, root: &SelectionSet) -> Result<Positioned<Field>, &'static str> {
    let mut fields = Vec::new();
    collect(fragments, root, &mut fields)?;
    let mut fields = fields.into_iter();
    let mut first = fields.next().ok_or("A subscription has one field at its root.")?;
    for other in fields {
        if other.node.response_key().node != first.node.response_key().node {
            return Err("A subscription has one field at its root.");
        }
        first.node.selection_set.node.items.extend(other.node.selection_set.node.items);
    }
    Ok(first)
}

fn collect(fragments: &Fragments, set: &SelectionSet, fields: &mut Vec<Positioned<Field>>) -> Result<(), &'static str> {
    let is_conditional = |directives: &[Positioned<Directive>]| {
        directives.iter().any(|directive| matches!(directive.node.name.node.as_str(), "skip" | "include"))
    };
    for selection in &set.items {
        let (directives, below) = match &selection.node {
            Selection::Field(field) => (&field.node.directives, None),
            Selection::InlineFragment(fragment) => (&fragment.node.directives, Some(&fragment.node.selection_set.node)),
            Selection::FragmentSpread(spread) => {
                let fragment = fragments.get(&spread.node.fragment_name.node);
                (&spread.node.directives, fragment.map(|fragment| &fragment.node.selection_set.node))
            }
        };
        if is_conditional(directives) {
            return Err("The root of a subscription takes neither @skip nor @include.");
        }
        match (&selection.node, below) {
            (Selection::Field(field), _) => fields.push(field.clone()),
            (_, Some(below)) => collect(fragments, below, fields)?,
            (_, None) => {}
        }
    }
    Ok(())
}
