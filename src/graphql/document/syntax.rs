//! From a document's text to what the engine runs.
//!
//! The engine's own parser takes some of what the specification refuses (`queryfoo`, an input field twice) and refuses some of what it
//! allows (a character beyond the first 65,536 written as escapes). So documents are parsed by `apollo-compiler`, which validates them too,
//! and brought into the engine's form here.

use std::collections::HashMap;

use apollo_compiler::{
    Node,
    ast::{self, Definition},
    diagnostic::ToCliReport,
    parser::{Parser, SourceSpan},
};
use async_graphql::indexmap::IndexMap;
use async_graphql::{
    Name, Pos, Positioned, ServerError,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread, InlineFragment,
        OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition, VariableDefinition,
    },
};
use async_graphql_value::{Number, Value};

/// How deep the parser calls itself: several times for each bracket, of which the text's budget allows 64 within each other.
const MAX_RECURSION: usize = 500;

/// A document's text as a tree.
pub fn parse(text: &str) -> Result<ast::Document, Vec<ServerError>> {
    Parser::new().recursion_limit(MAX_RECURSION).parse_ast(text, "document").map_err(|failed| {
        // One mistake makes many: the first one says where it begins.
        let first = failed.errors.iter().next();
        let (message, pos) = first.map_or((String::new(), None), |fault| {
            (fault.error.to_string(), fault.error.location().map(|span| Positions::of(text).at(span.offset())))
        });
        let message = message.strip_prefix("syntax error: ").unwrap_or(&message).trim_end_matches('.');
        vec![ServerError::new(format!("The document does not parse: {message}."), pos)]
    })
}

/// The same document in the engine's form. What is no operation and no fragment is left out, and of two of one name the first one: both
/// are for validation to refuse.
pub fn executable(text: &str, document: &ast::Document) -> Result<ExecutableDocument, Vec<ServerError>> {
    let mut convert = Convert { positions: Positions::of(text), errors: Vec::new() };
    let (mut anonymous, mut named, mut fragments) = (None, HashMap::new(), HashMap::new());
    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let name = operation.name.as_ref().map(|name| Name::new(name.as_str()));
                let operation = convert.operation(operation);
                match name {
                    Some(name) => drop(named.entry(name).or_insert(operation)),
                    None => anonymous = anonymous.or(Some(operation)),
                }
            }
            Definition::FragmentDefinition(fragment) => {
                let name = Name::new(fragment.name.as_str());
                let fragment = convert.fragment(fragment);
                fragments.entry(name).or_insert(fragment);
            }
            _ => {}
        }
    }
    if !convert.errors.is_empty() {
        return Err(convert.errors);
    }
    let operations = match anonymous {
        Some(operation) if named.is_empty() => DocumentOperations::Single(operation),
        _ => DocumentOperations::Multiple(named),
    };
    Ok(ExecutableDocument { operations, fragments })
}

/// Lines and columns of a text, counted in characters from 1. What is asked for in the order of the text is counted once.
pub struct Positions<'t> {
    text: &'t str,
    last: (usize, Pos),
}

impl<'t> Positions<'t> {
    /// The positions of a text.
    pub fn of(text: &'t str) -> Self {
        Self { text, last: (0, Pos { line: 1, column: 1 }) }
    }

    /// The position of the character that begins at that byte.
    pub fn at(&mut self, offset: usize) -> Pos {
        let (from, mut pos) = if offset < self.last.0 { (0, Pos { line: 1, column: 1 }) } else { self.last };
        let mut passed = self.text.get(from..offset).unwrap_or_default().chars().peekable();
        while let Some(character) = passed.next() {
            let ends_line = match character {
                '\n' => true,
                '\r' => passed.peek() != Some(&'\n'),
                _ => false,
            };
            pos = if ends_line { Pos { line: pos.line + 1, column: 1 } } else { Pos { column: pos.column + 1, ..pos } };
        }
        self.last = (offset, pos);
        pos
    }

    fn of_span(&mut self, span: Option<SourceSpan>) -> Pos {
        span.map_or(self.last.1, |span| self.at(span.offset()))
    }
}

struct Convert<'t> {
    positions: Positions<'t>,
    errors: Vec<ServerError>,
}

impl Convert<'_> {
    fn position<T>(&mut self, node: &Node<T>) -> Pos {
        self.positions.of_span(node.location())
    }

    fn name(&mut self, name: &apollo_compiler::Name) -> Positioned<Name> {
        let pos = self.positions.of_span(name.location());
        Positioned::new(Name::new(name.as_str()), pos)
    }

    fn operation(&mut self, operation: &Node<ast::OperationDefinition>) -> Positioned<OperationDefinition> {
        let pos = self.position(operation);
        let ty = match operation.operation_type {
            ast::OperationType::Query => OperationType::Query,
            ast::OperationType::Mutation => OperationType::Mutation,
            ast::OperationType::Subscription => OperationType::Subscription,
        };
        let variable_definitions = operation.variables.iter().map(|variable| self.variable(variable)).collect();
        let directives = self.directives(&operation.directives);
        let selection_set = Positioned::new(self.selections(&operation.selection_set), pos);
        Positioned::new(OperationDefinition { ty, variable_definitions, directives, selection_set }, pos)
    }

    fn fragment(&mut self, fragment: &Node<ast::FragmentDefinition>) -> Positioned<FragmentDefinition> {
        let pos = self.position(fragment);
        let on = self.name(&fragment.type_condition);
        let type_condition = Positioned::new(TypeCondition { on }, pos);
        let directives = self.directives(&fragment.directives);
        let selection_set = Positioned::new(self.selections(&fragment.selection_set), pos);
        Positioned::new(FragmentDefinition { type_condition, directives, selection_set }, pos)
    }

    fn variable(&mut self, variable: &Node<ast::VariableDefinition>) -> Positioned<VariableDefinition> {
        let pos = self.position(variable);
        let name = self.name(&variable.name);
        let type_pos = self.position(&variable.ty);
        let var_type = Positioned::new(as_type(&variable.ty), type_pos);
        let default_value = variable.default_value.as_ref().and_then(|value| {
            let default = self.value(value);
            // A variable cannot stand in a default: validation refuses it.
            Some(Positioned::new(default.node.into_const()?, default.pos))
        });
        let directives = self.directives(&variable.directives);
        Positioned::new(VariableDefinition { name, var_type, directives, default_value }, pos)
    }

    fn directives(&mut self, directives: &ast::DirectiveList) -> Vec<Positioned<Directive>> {
        let convert = |directive: &Node<ast::Directive>| {
            let pos = self.position(directive);
            let name = self.name(&directive.name);
            Positioned::new(Directive { name, arguments: self.arguments(&directive.arguments) }, pos)
        };
        directives.0.iter().map(convert).collect()
    }

    fn arguments(&mut self, arguments: &[Node<ast::Argument>]) -> Vec<(Positioned<Name>, Positioned<Value>)> {
        arguments.iter().map(|argument| (self.name(&argument.name), self.value(&argument.value))).collect()
    }

    fn selections(&mut self, selections: &[ast::Selection]) -> SelectionSet {
        SelectionSet { items: selections.iter().map(|selection| self.selection(selection)).collect() }
    }

    fn selection(&mut self, selection: &ast::Selection) -> Positioned<Selection> {
        match selection {
            ast::Selection::Field(field) => {
                let pos = self.position(field);
                let alias = field.alias.as_ref().map(|alias| self.name(alias));
                let name = self.name(&field.name);
                let arguments = self.arguments(&field.arguments);
                let directives = self.directives(&field.directives);
                let selection_set = Positioned::new(self.selections(&field.selection_set), pos);
                let field = Field { alias, name, arguments, directives, selection_set };
                Positioned::new(Selection::Field(Positioned::new(field, pos)), pos)
            }
            ast::Selection::FragmentSpread(spread) => {
                let pos = self.position(spread);
                let fragment_name = self.name(&spread.fragment_name);
                let spread = FragmentSpread { fragment_name, directives: self.directives(&spread.directives) };
                Positioned::new(Selection::FragmentSpread(Positioned::new(spread, pos)), pos)
            }
            ast::Selection::InlineFragment(fragment) => {
                let pos = self.position(fragment);
                let type_condition = fragment.type_condition.as_ref().map(|on| {
                    let on = self.name(on);
                    let pos = on.pos;
                    Positioned::new(TypeCondition { on }, pos)
                });
                let directives = self.directives(&fragment.directives);
                let selection_set = Positioned::new(self.selections(&fragment.selection_set), pos);
                let fragment = InlineFragment { type_condition, directives, selection_set };
                Positioned::new(Selection::InlineFragment(Positioned::new(fragment, pos)), pos)
            }
        }
    }

    fn value(&mut self, value: &Node<ast::Value>) -> Positioned<Value> {
        let pos = self.position(value);
        let converted = match &**value {
            ast::Value::Null => Value::Null,
            ast::Value::Enum(name) => Value::Enum(Name::new(name.as_str())),
            ast::Value::Variable(name) => Value::Variable(Name::new(name.as_str())),
            ast::Value::String(text) => Value::String(text.clone()),
            ast::Value::Boolean(truth) => Value::Boolean(*truth),
            ast::Value::Int(number) => self.number(number.as_str(), pos),
            ast::Value::Float(number) => self.number(number.as_str(), pos),
            ast::Value::List(items) => Value::List(items.iter().map(|item| self.value(item).node).collect()),
            ast::Value::Object(fields) => {
                let mut object = IndexMap::with_capacity(fields.len());
                for (name, value) in fields {
                    let value = self.value(value);
                    // "Input Object Field Uniqueness" (GraphQL specification, section 5.6.3), which the compiler does not look at.
                    if object.insert(Name::new(name.as_str()), value.node).is_some() {
                        let message = format!("There can be only one input field named \"{name}\".");
                        self.errors.push(ServerError::new(message, Some(value.pos)));
                    }
                }
                Value::Object(object)
            }
        };
        Positioned::new(converted, pos)
    }

    fn number(&mut self, text: &str, pos: Pos) -> Value {
        // What is read as a number knows no negative zero among the whole ones.
        let text = if text == "-0" { "0" } else { text };
        text.parse::<Number>().map_or_else(
            |_| {
                self.errors.push(ServerError::new(format!("{text} is a number beyond all that can be represented."), Some(pos)));
                Value::Null
            },
            Value::Number,
        )
    }
}

fn as_type(ty: &ast::Type) -> Type {
    let (base, nullable) = match ty {
        ast::Type::Named(name) => (BaseType::Named(Name::new(name.as_str())), true),
        ast::Type::NonNullNamed(name) => (BaseType::Named(Name::new(name.as_str())), false),
        ast::Type::List(inner) => (BaseType::List(Box::new(as_type(inner))), true),
        ast::Type::NonNullList(inner) => (BaseType::List(Box::new(as_type(inner))), false),
    };
    Type { base, nullable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ExecutableDocument, Vec<ServerError>> {
        executable(text, &parse(text)?)
    }

    /// What the engine's own parser makes of a document, this makes of it too.
    #[test]
    fn as_the_engine_reads() {
        for text in [
            "{ me { role } }",
            "query Q($a: [ID!]! $b: Int = 5, $c: F = { a: [1, 2.5], b: \"x\", c: null, d: E, e: true }) {\n  b: a(x: $a y: -3) @skip(if: $b) { ...F @include(if: true)\r\n ... on T { e: c } ... { d } }\n} fragment F on T { x }",
            "mutation A { a(input: { text: \"\"\"\n  block\n    text\n\"\"\", other: \"a\\n\\u00e9\" }) { b } } subscription B { c }",
        ] {
            let ours = read(text).expect(text);
            let engine = async_graphql::parser::parse_query(text).expect(text);
            let shown = |document: &ExecutableDocument| {
                let mut operations: Vec<_> = document.operations.iter().collect();
                operations.sort_by_key(|(name, _)| name.map(ToString::to_string));
                serde_json::to_value((operations, &document.fragments)).expect("JSON")
            };
            let (ours, engine) = (shown(&ours), shown(&engine));
            assert_eq!(without_places(ours), without_places(engine), "{text}");
        }
    }

    /// The engine says of some sets where their bracket is.
    fn without_places(mut value: serde_json::Value) -> serde_json::Value {
        match &mut value {
            serde_json::Value::Object(fields) => {
                fields.remove("pos");
                fields.values_mut().for_each(|field| *field = without_places(field.take()));
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| *item = without_places(item.take())),
            _ => {}
        }
        value
    }

    /// A position is a line and a column, counted in characters; each line terminator of the specification begins a line.
    #[test]
    fn positions() {
        let text = "{ é a\r\nb\rc\n\n  d }";
        let mut positions = Positions::of(text);
        for (name, line, column) in [("a", 1, 5), ("b", 2, 1), ("c", 3, 1), ("d", 5, 3), ("b", 2, 1)] {
            let pos = positions.at(text.find(name).expect("it is there"));
            assert_eq!((pos.line, pos.column), (line, column), "{name}");
        }
    }

    /// A character may be written in each way that the specification knows; half of one is refused, and so is a field that stands twice.
    #[test]
    fn characters_and_fields() {
        let text = |document: &str| {
            let read = read(document).ok()?;
            let (_, operation) = read.operations.iter().next()?;
            let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else { return None };
            match &field.node.arguments[0].1.node {
                Value::String(text) => Some(text.clone()),
                _ => None,
            }
        };
        for escaped in ["\\uD83D\\uDE00", "\\u{1F600}", "\\u{00001F600}", "😀"] {
            assert_eq!(text(&format!("{{ a(b: \"{escaped}\") }}")).as_deref(), Some("😀"), "{escaped}");
        }
        for broken in ["\\uD83D", "\\uDE00\\uD83D", "\\u{110000}", "\\u{}", "\\u{D83D}"] {
            assert_eq!(text(&format!("{{ a(b: \"{broken}\") }}")), None, "{broken}");
        }
        assert!(read("{ a(b: { c: 1, d: { e: 1 } }) }").is_ok());
        assert_eq!(read("{ a(b: { c: 1, c: 1 }) }").map_err(|errors| errors.len()).err(), Some(1));
        assert_eq!(read("{ a(b: [{ c: { d: 1, d: 2 } }]) }").map_err(|errors| errors.len()).err(), Some(1));
        for misread in ["queryfoo { a }", "query () { a }", "{ a(b: 01) }", "{ a(b: 1c: 2) }", "{ }", "", "{ a(b: \"x\ny\") }"] {
            assert!(read(misread).is_err(), "{misread:?}");
        }
    }
}
