//! The budget of a document: what it may ask of the parser, of validation and of execution, counted before each of them starts.
//!
//! Counting takes time linear in the document's size, whatever the document says: a fragment is counted once and remembered,
//! however often it is spread. Validation and execution visit each use of a fragment, so what they would visit is what is bounded.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

use crate::{config::limits::Limits, error::Error};

/// How many fragments may be open at once, one spread in the other.
const MAX_FRAGMENT_CHAIN: usize = 32;
/// How many operations a document may have: each is validated with all that it spreads.
const MAX_OPERATIONS: usize = 20;
/// How many lists of the schema introspection may ask for. What the usual tools send has nine.
const MAX_INTROSPECTED: usize = 12;
/// How many lists of the introspected schema may nest below a type: the arguments of its fields are two.
const MAX_INTROSPECTED_LISTS: usize = 2;

/// What a parsed document asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Fields, and uses of fragments, with fragments expanded: what validation and execution visit.
    visits: usize,
    /// Fields at its first level, with fragments expanded.
    width: usize,
    /// Levels of fields.
    depth: usize,
    /// Levels of lists of the introspected schema.
    lists: usize,
    /// Lists of the introspected schema, with fragments expanded.
    introspected: usize,
    /// Whether it asks about the schema.
    pub introspects: bool,
}

impl Size {
    /// The same where it is a fragment's.
    fn used(self) -> Self {
        Self { visits: self.visits.saturating_add(1), ..self }
    }

    fn add(&mut self, other: Self) {
        self.visits = self.visits.saturating_add(other.visits);
        self.width = self.width.saturating_add(other.width);
        self.depth = self.depth.max(other.depth);
        self.lists = self.lists.max(other.lists);
        self.introspected = self.introspected.saturating_add(other.introspected);
        self.introspects |= other.introspects;
    }
}

/// Measures a document, and refuses it where it is over a limit.
pub fn check_document(document: &ExecutableDocument, limits: &Limits) -> Result<Size, Error> {
    let mut count = Count { document, limits, aliases: 0, fragments: HashMap::new() };
    let mut whole = Size::default();
    within(document.operations.iter().count(), MAX_OPERATIONS, "operations")?;
    for (_, operation) in document.operations.iter() {
        let size = count.selections(&operation.node.selection_set.node, 0)?;
        within(size.width, limits.max_root_fields, "fields at the root")?;
        whole.add(size);
    }
    // Each is validated by itself too; of the schema only what nothing spreads asks for more.
    for name in document.fragments.keys() {
        let is_spread = count.fragments.contains_key(name.as_str());
        let size = count.fragment(name.as_str(), 0)?;
        whole.add(if is_spread { Size { introspected: 0, ..size } } else { size });
    }
    count.check(whole)?;
    Ok(whole)
}

struct Count<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    aliases: usize,
    /// What each fragment asks for; `None` while it is being counted.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Count<'a> {
    fn selections(&mut self, set: &'a SelectionSet, chain: usize) -> Result<Size, Error> {
        let mut size = Size::default();
        for selection in &set.items {
            let part = match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.aliases += usize::from(field.alias.is_some());
                    within(self.aliases, self.limits.max_aliases, "aliases")?;
                    let below = self.selections(&field.selection_set.node, chain)?;
                    let name = field.name.node.as_str();
                    let is_list = matches!(
                        name,
                        "types"
                            | "directives"
                            | "fields"
                            | "inputFields"
                            | "interfaces"
                            | "possibleTypes"
                            | "enumValues"
                            | "args"
                    );
                    Size {
                        visits: below.visits.saturating_add(1),
                        width: 1,
                        depth: below.depth + 1,
                        lists: below.lists + usize::from(is_list && name != "types"),
                        introspected: below.introspected.saturating_add(usize::from(is_list)),
                        introspects: below.introspects || matches!(name, "__schema" | "__type"),
                    }
                }
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, chain)?.used(),
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str(), chain)?.used(),
            };
            size.add(part);
            self.check(size)?;
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &str, chain: usize) -> Result<Size, Error> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Err(Error::BadUserInput(format!("The document has no fragment {name}.")));
        };
        match self.fragments.get(name.as_str()) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(Error::BadUserInput(format!("The fragment {name} contains itself."))),
            None => {}
        }
        within(chain, MAX_FRAGMENT_CHAIN, "fragments within each other")?;
        self.fragments.insert(name, None);
        let size = self.selections(&fragment.node.selection_set.node, chain + 1)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }

    fn check(&self, size: Size) -> Result<(), Error> {
        within(size.visits, self.limits.max_fields, "fields, counted wherever a fragment is used")?;
        within(size.depth, self.limits.max_depth, "levels of fields")?;
        if !size.introspects {
            return Ok(());
        }
        within(size.lists, MAX_INTROSPECTED_LISTS, "lists of the schema within each other")?;
        within(size.introspected, MAX_INTROSPECTED, "lists of the schema, counted wherever a fragment is used")
    }
}

pub(super) fn within(count: usize, limit: usize, of_what: &str) -> Result<(), Error> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::QueryTooComplex(format!("The document has more than {limit} {of_what}. Ask for less at once.")))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use async_graphql::parser::parse_query;

    use super::*;
    use crate::graphql::document::text::check_text;

    fn measure(text: &str) -> Result<Size, Error> {
        let limits = Limits::default();
        check_text(text, &limits)?;
        check_document(&parse_query(text).expect(text), &limits)
    }

    fn refusal(text: &str) -> String {
        measure(text).expect_err("it is over the budget").public_message()
    }

    /// Each use of a fragment counts, and each fragment is counted once: sixty doublings are counted at once.
    #[test]
    fn fragments_are_expanded() {
        let size = measure("{ ...F ...F } fragment F on Query { a: me { role } b: me { role } }").expect("a size");
        assert_eq!((size.visits, size.width, size.depth), (2 * (4 + 1) + 4, 4 + 2, 2));
        let mut bomb = "query { ...F0 }".to_owned();
        for n in 0..31 {
            write!(bomb, " fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1).expect("text");
        }
        bomb.push_str(" fragment F31 on Query { a: __typename }");
        assert!(refusal(&bomb).contains("2000 fields"), "{}", refusal(&bomb));
        let nested = bomb.replace("{ ...F0 }", "{ me { ...F0 } }");
        assert!(refusal(&nested).contains("2000 fields"), "{}", refusal(&nested));
    }

    /// What tools ask about a schema passes: nine lists, most of them in a fragment that is used once.
    #[test]
    fn introspection_by_tools() {
        let text = "query { __schema { queryType { name } types { ...Type } directives { name args { ...Input } } } }
            fragment Type on __Type { name fields { name args { ...Input } type { ...Ref } } inputFields { ...Input } interfaces { ...Ref }
                enumValues { name } possibleTypes { ...Ref } }
            fragment Input on __InputValue { name type { ...Ref } defaultValue }
            fragment Ref on __Type { name ofType { name ofType { name ofType { name ofType { name } } } } }";
        let size = measure(text).expect("it passes");
        assert_eq!((size.introspected, size.introspects), (9, true));
    }

    /// Every way to be large has its own limit, which the refusal names.
    #[test]
    fn each_limit() {
        let repeat = |part: &str, times: usize| part.repeat(times);
        for (text, words) in [
            (format!("{{ {} }}", repeat("a ", 6_100)), "6000 tokens"),
            (format!("{{ {} }}", repeat("a: role ", 201)), "200 aliases"),
            (format!("{{ {} }}", repeat("__typename ", 51)), "50 fields at the root"),
            (format!("{{ {} x {} }}", repeat("a { ", 20), repeat("} ", 20)), "20 levels of fields"),
            (format!("{{ x {} }}", repeat("@a ", 101)), "100 directives"),
            (format!("{} x {}", repeat("{ ", 65), repeat("} ", 65)), "64 brackets"),
            ("{ a(x: ".to_owned() + &repeat("[", 40_000), "64 brackets"),
            (
                "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(),
                "lists of the schema",
            ),
        ] {
            assert!(refusal(&text).contains(words), "{words}: {}", refusal(&text));
        }
        let mut chain = "{ ...F0 }".to_owned();
        for n in 0..40 {
            write!(chain, " fragment F{n} on Query {{ ...F{} }}", n + 1).expect("text");
        }
        assert!(refusal(&chain).contains("fragments within each other"));
        assert!(refusal("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }").contains("contains itself"));
        assert!(refusal("{ ...A } fragment A on Query { ...B ...B }").contains("no fragment B"));
        assert!(refusal(&format!("{{ {} }}", repeat("a", 201))).contains("200 bytes in a name"));
        assert!(refusal(&format!("{{ a(b: \"{}\") }}", repeat("a", 110_000))).contains("50000 bytes"));
    }

    /// What stands in strings and comments is one token or none.
    #[test]
    fn strings_and_comments() {
        let limits = Limits { max_tokens: 8, ..Limits::default() };
        for text in ["{ a(b: \"{{{", "{ a(b: \"x\n\") }", "{ a(b: [\"\"\"\" {{{ ]) }"] {
            assert!(check_text(text, &limits).is_err(), "{text}");
        }
        assert!(check_text(&format!("{{ a(b: [{}]) }}", "0".repeat(20)), &limits).is_err());
        for text in [
            "{ a(b: \"{{{{ \\\" }}}} \\\\\") }",
            "{ a(b: \"\"\"{{{{ \\\"\"\" {{ \"quoted\" \"\"\") }",
            "{ # {{{{{{ ((((\n a b }",
            "{ a,,,,b }",
        ] {
            check_text(text, &limits).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}
