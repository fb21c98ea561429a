//! Whether a document is valid (GraphQL specification, section 5), by `apollo-compiler`.

use std::collections::BTreeSet;

use apollo_compiler::{
    Name, Schema, ast,
    diagnostic::ToCliReport,
    schema::ExtendedType,
    validation::{DiagnosticData, Valid},
};
use async_graphql::ServerError;

use super::{MAX_FAULTS, syntax::Positions};

/// A known name is suggested where it is at most one change away, and one more for each so many characters.
const CHARACTERS_PER_CHANGE: usize = 3;

/// The schema, as documents are compared with it.
pub struct Validator(Valid<Schema>);

/// What is wrong with a document.
pub struct Invalid {
    /// The fault.
    pub error: ServerError,
    /// Whether it is about a value that stands in the document, or a variable where it stands.
    pub is_of_value: bool,
}

impl Validator {
    /// For a schema in the schema definition language; an error says what is wrong with it.
    pub fn new(schema: &str) -> Result<Self, String> {
        Schema::parse_and_validate(schema, "schema.graphql").map(Self).map_err(|failed| failed.errors.to_string())
    }

    /// What is wrong with a document, the first faults of it. `suggests` adds names that are similar to an unknown one.
    pub fn check(&self, text: &str, document: &ast::Document, suggests: bool) -> Vec<Invalid> {
        // An unknown field is reported by itself; it would be reported again as a missing one.
        let faults = match document.to_executable(&self.0) {
            Ok(document) => match document.validate(&self.0) {
                Ok(_) => return Vec::new(),
                Err(failed) => failed.errors,
            },
            Err(failed) => failed.errors,
        };
        let mut positions = Positions::of(text);
        let invalid = |error: &DiagnosticData| {
            let pos = error.location().map(|span| positions.at(span.offset()));
            let mut message = error.unstable_compat_message().unwrap_or_else(|| sentence(&error.to_string()));
            if let Some(similar) = suggests.then(|| self.similar(error)).flatten() {
                message = format!("{message} Did you mean \"{similar}\"?");
            }
            let is_of_value = matches!(
                error.unstable_error_name(),
                Some(
                    "UnsupportedValueType"
                        | "IntCoercionError"
                        | "FloatCoercionError"
                        | "UndefinedEnumValue"
                        | "UndefinedInputValue"
                        | "RequiredField"
                        | "UniqueInputValue"
                        | "DisallowedVariableUsage"
                )
            );
            Invalid { error: ServerError::new(message, pos), is_of_value }
        };
        // That a subscription has one field at its root, the compiler finds of single fields, and the specification of those of one name.
        let is_ours = |error: &&DiagnosticData| error.unstable_error_name() != Some("SubscriptionUsesMultipleFields");
        faults.iter().map(|fault| fault.error).filter(is_ours).take(MAX_FAULTS).map(invalid).collect()
    }

    /// The name that was meant, perhaps. What is unknown, and where, stands in the compiler's own text between backticks.
    fn similar(&self, error: &DiagnosticData) -> Option<&str> {
        let text = error.to_string();
        let mut quoted = text.split('`').skip(1).step_by(2);
        let (first, second) = (quoted.next()?, quoted.next());
        let (unknown, known): (&str, BTreeSet<&str>) = match error.unstable_error_name()? {
            "UndefinedField" => (second?, self.fields(first).collect()),
            "UndefinedArgument" => {
                let (of, field) = second?.split_once('.')?;
                let field = self.0.type_field(of, field).ok()?;
                (first, field.arguments.iter().map(|argument| argument.name.as_str()).collect())
            }
            "UndefinedInputValue" | "UndefinedEnumValue" => (first, self.fields(second?).collect()),
            "UndefinedDefinition" => (first, self.0.types.keys().map(Name::as_str).collect()),
            _ => return None,
        };
        let changes = |known: &&str| strsim::osa_distance(known, unknown);
        let nearest = known.into_iter().min_by_key(changes)?;
        (changes(&nearest) <= unknown.chars().count() / CHARACTERS_PER_CHANGE + 1).then_some(nearest)
    }

    /// The names of what a type has: fields or values.
    fn fields(&self, name: &str) -> Box<dyn Iterator<Item = &str> + '_> {
        match self.0.types.get(name) {
            Some(ExtendedType::Object(object)) => Box::new(object.fields.keys().map(Name::as_str)),
            Some(ExtendedType::Interface(interface)) => Box::new(interface.fields.keys().map(Name::as_str)),
            Some(ExtendedType::InputObject(input)) => Box::new(input.fields.keys().map(Name::as_str)),
            Some(ExtendedType::Enum(values)) => Box::new(values.values.keys().map(Name::as_str)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}
