//! The budget of a document: what it may ask of the parser, of validation and of execution, counted before each of them starts.
//!
//! Counting takes time linear in the document's size, whatever the document says: a fragment is counted once and remembered,
//! however often it is spread. Validation and execution visit each use of a fragment, so what they would visit is what is bounded.

use std::collections::HashMap;

use async_graphql::{
    Positioned,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

use crate::{error::Error, limits::Limits};

/// How deep brackets of any kind may nest, in text: the parser calls itself for each.
const MAX_NESTING: usize = 64;
/// How many fragments may be open at once, one spread in the other.
const MAX_FRAGMENT_CHAIN: usize = 32;
/// How many lists of the introspected schema may nest below a type: the arguments of its fields are two.
const MAX_INTROSPECTED_LISTS: usize = 2;

/// Counts the tokens of a text, as section 2.1 of the specification divides it, and how deep its brackets nest.
pub fn check_text(text: &str, limits: &Limits) -> Result<(), Error> {
    let (mut tokens, mut nesting, mut directives) = (0, 0_usize, 0);
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = end_of(bytes, at, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => end_of_string(bytes, at),
            b'{' | b'(' | b'[' => {
                nesting += 1;
                at + 1
            }
            b'}' | b')' | b']' => {
                nesting = nesting.saturating_sub(1);
                at + 1
            }
            b'@' => {
                directives += 1;
                at + 1
            }
            _ if is_word(byte) => end_of(bytes, at, is_word),
            _ => at + 1,
        };
        tokens += 1;
        within(tokens, limits.max_tokens, "tokens")?;
        within(nesting, MAX_NESTING, "brackets within each other")?;
        within(directives, limits.max_directives, "directives")?;
    }
    Ok(())
}

/// Names, numbers, and what is beyond ASCII: the parser takes or refuses the run at once.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+') || byte >= 0x80
}

fn end_of(bytes: &[u8], from: usize, goes_on: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|&byte| !goes_on(byte)).map_or(bytes.len(), |length| from + length)
}

/// Where the string ends that begins here. One that does not end goes on to the end of the text: the parser says so.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    let (quote, escaped): (&[u8], &[u8]) = if rest.starts_with(b"\"\"\"") { (b"\"\"\"", b"\\\"\"\"") } else { (b"\"", b"\\\"") };
    let mut at = from + quote.len();
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(quote) {
            return at + quote.len();
        }
        at += match rest {
            rest if rest.starts_with(escaped) => escaped.len(),
            // In a plain string a backslash may stand before another.
            [b'\\', _, ..] if quote.len() == 1 => 2,
            _ => 1,
        };
    }
    bytes.len()
}

/// What a parsed document asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Fields, with fragments expanded.
    fields: usize,
    /// Fields at its first level, with fragments expanded.
    width: usize,
    /// Levels of fields.
    depth: usize,
    /// Levels of lists of the introspected schema.
    lists: usize,
    /// Whether it asks about the schema.
    pub introspects: bool,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.width = self.width.saturating_add(other.width);
        self.depth = self.depth.max(other.depth);
        self.lists = self.lists.max(other.lists);
        self.introspects |= other.introspects;
    }
}

/// Measures a document, and refuses it where it is over a limit.
pub fn check_document(document: &ExecutableDocument, limits: &Limits) -> Result<Size, Error> {
    let mut count = Count { document, limits, aliases: 0, fragments: HashMap::new() };
    let mut whole = Size::default();
    for (_, operation) in document.operations.iter() {
        let size = count.selections(&operation.node.selection_set.node, 0)?;
        within(size.width, limits.max_root_fields, "fields at the root")?;
        whole.add(size);
    }
    // Those that nothing spreads are validated all the same.
    for name in document.fragments.keys() {
        whole.add(count.fragment(name.as_str(), 0)?);
    }
    count.check(whole)?;
    Ok(whole)
}

/// How many fields an operation of a document that was measured has at its root.
pub fn root_fields(document: &ExecutableDocument, operation: &Positioned<OperationDefinition>, limits: &Limits) -> usize {
    let mut count = Count { document, limits, aliases: 0, fragments: HashMap::new() };
    count.selections(&operation.node.selection_set.node, 0).map_or(usize::MAX, |size| size.width)
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
                    let is_list = matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes" | "args");
                    Size {
                        fields: below.fields.saturating_add(1),
                        width: 1,
                        depth: below.depth + 1,
                        lists: below.lists + usize::from(is_list),
                        introspects: below.introspects || matches!(name, "__schema" | "__type"),
                    }
                }
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, chain)?,
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str(), chain)?,
            };
            size.add(part);
            self.check(size)?;
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &str, chain: usize) -> Result<Size, Error> {
        // That one is missing is for validation to say.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Ok(Size::default()) };
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
        within(size.fields, self.limits.max_fields, "fields, counted wherever a fragment is used")?;
        within(size.depth, self.limits.max_depth, "levels of fields")?;
        if size.introspects {
            within(size.lists, MAX_INTROSPECTED_LISTS, "lists of the schema within each other")
        } else {
            Ok(())
        }
    }
}

fn within(count: usize, limit: usize, of_what: &str) -> Result<(), Error> {
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
        assert_eq!((size.fields, size.width, size.depth), (8 + 4, 4 + 2, 2));
        let mut bomb = "query { ...F0 }".to_owned();
        for n in 0..31 {
            write!(bomb, " fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1).expect("text");
        }
        bomb.push_str(" fragment F31 on Query { a: __typename }");
        assert!(refusal(&bomb).contains("2000 fields"), "{}", refusal(&bomb));
        let nested = bomb.replace("{ ...F0 }", "{ me { ...F0 } }");
        assert!(refusal(&nested).contains("2000 fields"), "{}", refusal(&nested));
    }

    /// Every way to be large has its own limit, which the refusal names.
    #[test]
    fn each_limit() {
        let repeat = |part: &str, times: usize| part.repeat(times);
        for (text, words) in [
            (format!("{{ {} }}", repeat("__typename ", 10_100)), "10000 tokens"),
            (format!("{{ {} }}", repeat("a: role ", 201)), "200 aliases"),
            (format!("{{ {} }}", repeat("__typename ", 51)), "50 fields at the root"),
            (format!("{{ {} x {} }}", repeat("a { ", 20), repeat("} ", 20)), "20 levels of fields"),
            (format!("{{ x {} }}", repeat("@a ", 101)), "100 directives"),
            (format!("{} x {}", repeat("{ ", 65), repeat("} ", 65)), "64 brackets"),
            ("{ a(x: ".to_owned() + &repeat("[", 100_000), "64 brackets"),
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
    }

    /// What stands in strings and comments is one token or none.
    #[test]
    fn strings_and_comments() {
        let limits = Limits { max_tokens: 8, ..Limits::default() };
        for text in [
            "{ a(b: \"{{{{ \\\" }}}} \\\\\") }",
            "{ a(b: \"\"\"{{{{ \\\"\"\" {{ \"quoted\" \"\"\") }",
            "{ # {{{{{{ ((((\n a b }",
            "{ a,,,,b }",
            "{ a(b: \"without an end { { { { {",
        ] {
            check_text(text, &limits).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}
