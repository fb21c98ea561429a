//! "Field Selection Merging" (GraphQL specification, section 5.3.2): what is answered under one name is one field with one set of arguments.
//!
//! The compiler has this rule, and takes lists of different lengths for the same argument. Here fields of the same type are compared once
//! more, wherever they stand, and those of an interface with those of the objects that are of it; and it is found out whether the engine
//! has anything to merge.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Positioned, ServerError,
    parser::types::{ExecutableDocument, Field, Selection, SelectionSet},
    registry::{MetaType, MetaTypeName, Registry},
};

use super::root_type;

/// What is wrong with the document in this respect; or else whether there is anything to merge: objects that are selected from at several
/// points under one name.
pub fn check(registry: &Registry, document: &ExecutableDocument) -> Result<bool, Vec<ServerError>> {
    let (mut errors, mut merges) = (Vec::new(), false);
    for (_, operation) in document.operations.iter() {
        let root = root_type(registry, operation.node.ty);
        if let Some(root) = root {
            Merging { registry, document, errors: &mut errors, merges: &mut merges }
                .merge(&[(&operation.node.selection_set.node, root)]);
        }
    }
    if errors.is_empty() { Ok(merges) } else { Err(errors) }
}

/// A selection set and the type that it selects of.
type Scope<'a> = (&'a SelectionSet, &'a str);
/// The fields under one name of the answer, of one type.
type Group<'a> = Vec<&'a Positioned<Field>>;

struct Merging<'a, 'e> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    errors: &'e mut Vec<ServerError>,
    merges: &'e mut bool,
}

impl<'a> Merging<'a, '_> {
    /// Compares what these scopes select together.
    fn merge(&mut self, scopes: &[Scope<'a>]) {
        let mut groups: HashMap<(&'a str, &'a str), Group<'a>> = HashMap::new();
        let mut seen = HashSet::new();
        for (set, parent) in scopes {
            self.collect(set, parent, &mut groups, &mut seen);
        }
        // What is asked of an interface is asked of the objects that are of it.
        let inherited: Vec<_> = groups
            .iter()
            .flat_map(|((parent, key), fields)| {
                let objects = self.registry.types.get(*parent).and_then(MetaType::possible_types).into_iter().flatten();
                objects.map(move |object| ((object.as_str(), *key), fields))
            })
            .filter(|(path, _)| groups.contains_key(path))
            .map(|(path, fields)| (path, fields.clone()))
            .collect();
        for (path, fields) in inherited {
            groups.entry(path).or_default().extend(fields);
        }
        for ((parent, key), fields) in groups {
            let (first, others) = fields.split_first().expect("a group begins with a field");
            if let Some(other) = others.iter().find(|other| !is_same(&first.node, &other.node)) {
                let message = format!(
                    "\"{key}\" is asked for as two different fields of \"{parent}\", or with different arguments. Give one of them an alias."
                );
                self.errors.push(ServerError::new(message, Some(other.pos)));
                continue;
            }
            let meta = self.registry.types.get(parent).and_then(|parent| parent.field_by_name(&first.node.name.node));
            let Some(below) = meta.map(|meta| MetaTypeName::concrete_typename(&meta.ty)) else { continue };
            *self.merges |= !others.is_empty() && !first.node.selection_set.node.items.is_empty();
            let scopes: Vec<Scope<'a>> = fields.iter().map(|field| (&field.node.selection_set.node, below)).collect();
            self.merge(&scopes);
        }
    }

    fn collect(
        &mut self,
        set: &'a SelectionSet,
        parent: &'a str,
        groups: &mut HashMap<(&'a str, &'a str), Group<'a>>,
        seen: &mut HashSet<&'a str>,
    ) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    groups.entry((parent, field.node.response_key().node.as_str())).or_default().push(field);
                }
                Selection::InlineFragment(fragment) => {
                    let narrowed = fragment.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    self.collect(&fragment.node.selection_set.node, narrowed.unwrap_or(parent), groups, seen);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if !seen.insert(name) {
                        *self.merges = true;
                        continue;
                    }
                    if let Some(fragment) = self.document.fragments.get(name) {
                        let narrowed = fragment.node.type_condition.node.on.node.as_str();
                        self.collect(&fragment.node.selection_set.node, narrowed, groups, seen);
                    }
                }
            }
        }
    }
}

/// Whether it is the same field with the same arguments, in whatever order.
fn is_same(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            other.arguments.iter().any(|(other_name, other)| other_name.node == name.node && other.node == value.node)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::document::syntax;

    /// Two fields under one name are refused wherever they stand; the same field twice, or fields of different types, are not.
    #[test]
    fn merging() {
        let documents = crate::graphql::document::Documents::new(crate::config::limits::Limits::default());
        for (document, expected) in [
            ("{ me { a: role } me { a: __typename } }", Err(1)),
            ("{ me { a: role ... on Viewer { a: __typename } } }", Err(1)),
            ("{ me { ...F ...G } } fragment F on Viewer { a: role } fragment G on Viewer { a: permissions }", Err(1)),
            ("{ leads(first: 1) { totalCount } leads(first: 2) { totalCount } }", Err(1)),
            ("{ me { role } me { role } ...F } fragment F on Query { me { role } }", Ok(true)),
            (
                "query ($n: Int) { leads(first: $n, after: \"x\") { totalCount } leads(after: \"x\", first: $n) { totalCount } }",
                Ok(true),
            ),
            ("{ node(id: \"x\") { ... on Lead { a: status } ... on Payout { a: paymentMethod } } }", Ok(false)),
            ("{ nodes(ids: []) { id } nodes(ids: [\"x\"]) { id } }", Err(1)),
            ("{ lead(id: \"x\") { ... on Node { a: id } a: status } }", Err(1)),
            ("{ lead(id: \"x\") { ... on Node { a: id } a: id ... on Lead { b: status } } }", Ok(false)),
            ("{ me { partner { leads { nodes { id } } } } me { partner { leads { totalCount } } } }", Ok(true)),
            ("{ me { role ...F } } fragment F on Viewer { role permissions }", Ok(false)),
            ("{ ...F ...F } fragment F on Query { me { role } }", Ok(true)),
        ] {
            let parsed = syntax::executable(document, &syntax::parse(document).expect(document)).expect(document);
            assert_eq!(check(&documents.registry, &parsed).map_err(|errors| errors.len()), expected, "{document}");
        }
    }
}
