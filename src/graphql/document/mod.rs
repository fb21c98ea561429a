//! From a request's parameters to an operation that may run: found, parsed, within its budget, valid, its variables coerced, its cost
//! known. A document is parsed and validated once and kept, for as long as there is room, by the hash of its text.
//!
//! The order is that of what each step costs an attacker and costs us: counting tokens is linear in the text, counting fields in the
//! document, and only what is small by both is parsed and validated by the engine.

mod budget;
mod cost;
mod overlaps;
mod parameters;
mod root;
mod trusted;
mod usages;
mod values;

use std::{collections::HashMap, path::Path, sync::Arc};

use async_graphql::{
    Name, OutputType, Positioned, Request, Response, Schema, ServerError, SubscriptionType, Value, Variables,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute},
    parser::{
        self,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
    registry::{MetaTypeName, Registry},
};
use aws_lc_rs::digest::{SHA256, digest as hash};
use quick_cache::{Weighter, sync::Cache};

pub use self::parameters::Parameters;
use super::{builder, errors, mutations::Mutation, query::Query, subscription::Subscription};
use crate::{config::TrustedMode, error::Error, limits::Limits};

/// How many documents are kept, about, and how many bytes of their texts at most.
const KEPT: usize = 1_000;
const KEPT_BYTES: u64 = 8_000_000;
/// How many faults of a document are told, and up to how many similar names are looked for.
const MAX_FAULTS: usize = 20;

/// The SHA-256 of a text, in hexadecimal.
fn digest(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    hash(&SHA256, text.as_bytes()).as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A valid document.
struct Document {
    bytes: usize,
    parsed: ExecutableDocument,
    introspects: bool,
    merges: bool,
}

/// An operation that may run.
pub struct Prepared {
    document: Arc<Document>,
    variables: Variables,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Whether it reads, writes or subscribes.
    pub kind: OperationType,
    /// What it may cost.
    pub cost: u64,
}

impl Prepared {
    /// Whether it selects of one object in several places, whose answers are to be merged.
    pub fn merges(&self) -> bool {
        self.document.merges
    }

    /// The same for the engine.
    pub fn request(&self) -> Request {
        // The engine's request has no way to share a document.
        let mut request = Request::new("").variables(self.variables.clone());
        if let (DocumentOperations::Multiple(_), Some(name)) = (&self.document.parsed.operations, &self.name) {
            request = request.operation_name(name);
        }
        request.set_parsed_query(self.document.parsed.clone());
        request
    }
}

/// All documents that are known, and what makes others known.
pub struct Documents {
    registry: Registry,
    judge: Schema<Query, Mutation, Subscription>,
    /// The same, who tells similar names.
    helpful_judge: Schema<Query, Mutation, Subscription>,
    limits: Limits,
    kept: Cache<String, Arc<Document>, Weigh>,
    trusted: HashMap<String, Arc<Document>>,
    mode: TrustedMode,
}

impl Documents {
    /// Knows the types of the schema, and no document.
    pub fn new(limits: Limits) -> Self {
        let mut registry = Registry::default();
        let name = |qualified: String| MetaTypeName::concrete_typename(&qualified).to_owned();
        registry.query_type = name(<Query as OutputType>::create_type_info(&mut registry));
        registry.mutation_type = Some(name(<Mutation as OutputType>::create_type_info(&mut registry)));
        registry.subscription_type = Some(name(<Subscription as SubscriptionType>::create_type_info(&mut registry)));
        let judge = builder().extension(StopAfterValidation).disable_suggestions().finish();
        let helpful_judge = builder().extension(StopAfterValidation).finish();
        let kept = Cache::with_weighter(KEPT, KEPT_BYTES, Weigh);
        Self { registry, judge, helpful_judge, limits, kept, trusted: HashMap::new(), mode: TrustedMode::Off }
    }

    /// Takes the operations of a manifest too, or from now on those only. Each must be valid.
    pub async fn trust(&mut self, mode: TrustedMode, manifest: &Path) -> Result<(), String> {
        for (id, text) in trusted::read(manifest)? {
            let document = self.make(&text, true).await.map_err(|errors| {
                let messages: Vec<String> = errors
                    .iter()
                    .map(|error| error.source::<Error>().map_or_else(|| error.message.clone(), Error::public_message))
                    .collect();
                format!("the operation {id:?}: {}", messages.join(" "))
            })?;
            self.trusted.insert(id, Arc::new(document));
        }
        self.mode = mode;
        Ok(())
    }

    /// The operation that is asked for, if all of it is right.
    pub async fn prepare(&self, parameters: Parameters, may_introspect: bool) -> Result<Prepared, Vec<ServerError>> {
        let document = self.find(&parameters, may_introspect).await?;
        if document.introspects && !may_introspect {
            return Err(refused(Error::Forbidden(
                "The schema is not told to this caller: see the setting PORTAL_INTROSPECTION.".to_owned(),
            )));
        }
        let (name, operation) = select(&document.parsed, parameters.operation_name.as_deref())?;
        let variables = parameters.variables;
        let errors = values::check_variables(&self.registry, &operation.node, &variables);
        if !errors.is_empty() {
            return Err(errors);
        }
        let variables = values::with_defaults(&operation.node, variables);
        let cost = cost::requested(&self.registry, &document.parsed, &operation.node, &variables);
        let is_subscription = operation.node.ty == OperationType::Subscription;
        let limit = if is_subscription { self.limits.max_event_cost } else { self.limits.max_cost };
        if cost > limit as u64 {
            return Err(refused(Error::QueryTooComplex(format!(
                "The operation may cost {cost}, and {limit} is the limit: ask for fewer rows (`first`), or for fewer lists below each other."
            ))));
        }
        let (name, kind) = (name.map(ToString::to_string), operation.node.ty);
        Ok(Prepared { document, variables, name, kind, cost })
    }

    async fn find(&self, parameters: &Parameters, may_introspect: bool) -> Result<Arc<Document>, Vec<ServerError>> {
        if let Some(id) = &parameters.document_id {
            return self.trusted.get(&trusted::normal(id)).map(Arc::clone).ok_or_else(|| {
                refused(Error::BadUserInput(format!(
                    "There is no document of the id {id:?}. Is the server's manifest older than the client?"
                )))
            });
        }
        let persisted = parameters.extensions.persisted_query.as_ref();
        if let Some(persisted) = persisted.filter(|persisted| persisted.version != 1) {
            let message = format!("`extensions.persistedQuery.version` is 1; {} is not known.", persisted.version);
            return Err(refused(Error::BadUserInput(message)));
        }
        let id = match (&parameters.query, persisted) {
            (Some(text), persisted) => {
                let id = digest(text);
                if persisted.is_some_and(|persisted| !persisted.sha256_hash.eq_ignore_ascii_case(&id)) {
                    return Err(refused(Error::BadUserInput(
                        "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`.".to_owned(),
                    )));
                }
                id
            }
            (None, Some(persisted)) => persisted.sha256_hash.to_ascii_lowercase(),
            (None, None) => return Err(refused(Error::BadUserInput("There is no `query`.".to_owned()))),
        };
        if let Some(document) = self.trusted.get(&id).or(self.kept.get(&id).as_ref().filter(|_| self.mode != TrustedMode::Only)) {
            return Ok(Arc::clone(document));
        }
        if self.mode == TrustedMode::Only {
            return Err(refused(Error::Forbidden("This server runs the operations of its manifest only.".to_owned())));
        }
        let text = parameters.query.as_deref().ok_or_else(|| refused(Error::PersistedQueryNotFound))?;
        let document = Arc::new(self.make(text, may_introspect).await?);
        self.kept.insert(id, Arc::clone(&document));
        Ok(document)
    }

    async fn make(&self, text: &str, tells_similar: bool) -> Result<Document, Vec<ServerError>> {
        budget::check_text(text, &self.limits).map_err(refused)?;
        let parsed = parser::parse_query(text).map_err(|error| vec![syntax_error(error)])?;
        let size = budget::check_document(&parsed, &self.limits).map_err(refused)?;
        let mut errors = judge(&self.judge, &parsed).await;
        if tells_similar && (1..=MAX_FAULTS).contains(&errors.len()) {
            errors = judge(&self.helpful_judge, &parsed).await;
        }
        errors.extend(usages::check(&self.registry, &parsed));
        // The engine tells of some of these itself.
        let mut merges = false;
        if errors.is_empty() {
            merges = overlaps::check(&self.registry, &parsed).unwrap_or_else(|faults| {
                errors = faults;
                false
            });
        }
        errors.truncate(MAX_FAULTS);
        if !errors.is_empty() {
            return Err(errors);
        }
        let parsed = root::flattened(parsed)?;
        Ok(Document { bytes: text.len(), parsed, introspects: size.introspects, merges })
    }
}

/// What the engine finds wrong with a document.
async fn judge(judge: &Schema<Query, Mutation, Subscription>, document: &ExecutableDocument) -> Vec<ServerError> {
    let mut request = Request::new("");
    if let DocumentOperations::Multiple(operations) = &document.operations {
        request.operation_name = operations.keys().next().map(ToString::to_string);
    }
    request.set_parsed_query(document.clone());
    judge.execute(request).await.errors
}

/// A document weighs what its text does.
#[derive(Clone)]
struct Weigh;

impl Weighter<String, Arc<Document>> for Weigh {
    fn weight(&self, _: &String, document: &Arc<Document>) -> u64 {
        document.bytes as u64
    }
}

/// The type that operations of a kind select of.
fn root_type(registry: &Registry, kind: OperationType) -> Option<&str> {
    match kind {
        OperationType::Query => Some(&registry.query_type),
        OperationType::Mutation => registry.mutation_type.as_deref(),
        OperationType::Subscription => registry.subscription_type.as_deref(),
    }
}

/// Has the engine validate and do no more.
struct StopAfterValidation;

impl ExtensionFactory for StopAfterValidation {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for StopAfterValidation {
    async fn execute(&self, _context: &ExtensionContext<'_>, _name: Option<&str>, _next: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}

/// The operation of that name, or the only one (GraphQL specification, section 6.1).
fn select<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<(Option<&'d Name>, &'d Positioned<OperationDefinition>), Vec<ServerError>> {
    let message = match (&document.operations, name.filter(|name| !name.is_empty())) {
        (DocumentOperations::Single(operation), None) => return Ok((None, operation)),
        (DocumentOperations::Multiple(operations), Some(name)) => {
            if let Some((name, operation)) = operations.get_key_value(name) {
                return Ok((Some(name), operation));
            }
            format!("The document has no operation of the name {name:?}.")
        }
        (DocumentOperations::Multiple(operations), None) => match operations.iter().next() {
            Some((name, operation)) if operations.len() == 1 => return Ok((Some(name), operation)),
            _ => "The document has several operations: `operationName` must say which.".to_owned(),
        },
        (DocumentOperations::Single(_), Some(name)) => format!("The document has no operation of the name {name:?}."),
    };
    Err(vec![ServerError::new(message, None)])
}

fn refused(error: Error) -> Vec<ServerError> {
    errors::alone(&error).errors
}

/// The parser's own text has the whole line of the document in it, which may be all of it.
fn syntax_error(error: parser::Error) -> ServerError {
    let mut error = ServerError::from(error);
    let expected = error.message.lines().last().and_then(|line| line.split_once("= ")).map(|(_, expected)| expected.to_owned());
    if let Some(expected) = expected {
        error.message = format!("The document does not parse: {expected}.");
    }
    error
}
