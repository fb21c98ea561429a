//! From a request's parameters to an operation that may run: found, parsed, within its budget, valid, its variables coerced, its cost
//! known. A document is parsed and validated once and kept, for as long as there is room, by the hash of its text.
//!
//! The order is that of what each step costs an attacker and costs us: counting tokens is linear in the text, counting fields in the
//! document, and only what is small by both is validated.

mod coercion;
mod cost;
mod merging;
mod overlaps;
mod parameters;
mod root;
mod size;
mod syntax;
mod text;
mod trusted;
mod validation;
mod values;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use async_graphql::{
    Name, OutputType, Positioned, Request, ServerError, SubscriptionType, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection},
    registry::{MetaTypeName, Registry},
};
use aws_lc_rs::digest::{SHA256, digest as hash};
use quick_cache::{Weighter, sync::Cache};

pub use self::parameters::Parameters;
use self::{validation::Validator, values::Usage};
use super::{
    engine::{act::act, error_codes, ids},
    mutation::Mutation,
    query::Query,
    sdl,
    subscription::Subscription,
};
use crate::{
    config::{TrustedMode, limits::Limits},
    db::session::{Act, AuditActor},
    error::Error,
};

/// How many documents are kept, about, and how many bytes of their texts at most.
const KEPT: usize = 1_000;
const KEPT_BYTES: u64 = 8_000_000;
/// How many faults of a document, or of its variables, are reported.
const MAX_FAULTS: usize = 20;

/// The SHA-256 of a text, in hexadecimal.
fn digest(text: &str) -> String {
    hex::encode(hash(&SHA256, text.as_bytes()))
}

/// A valid document.
struct Document {
    bytes: usize,
    parsed: ExecutableDocument,
    /// Where the variables of each operation stand, by its name.
    usages: HashMap<Option<Name>, Vec<Usage>>,
    introspects: bool,
    merges: bool,
}

/// An operation that may run.
pub struct Prepared {
    document: Arc<Document>,
    variables: Variables,
    /// The document as it runs, where that is another than the one that was sent.
    rewritten: Option<ExecutableDocument>,
    merges: bool,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Whether it reads, writes or subscribes.
    pub kind: OperationType,
    /// What it may cost.
    pub cost: u64,
    /// The position that a standby must have replayed to answer it, as the request has it.
    pub position: Option<String>,
}

impl Prepared {
    /// Whether it selects from one object at several points, whose answers the engine has to merge.
    pub fn merges(&self) -> bool {
        self.merges
    }

    /// Whether it reads all that a tenant keeps, which takes as long as there is much of it.
    pub fn looks_through_all(&self) -> bool {
        self.kind == OperationType::Mutation && self.first_field().is_some_and(|field| field.name.node == "erasePerson")
    }

    /// What the first field of a mutation does; `None` where that is not known before it runs.
    pub fn first_act(&self, actor: AuditActor) -> Option<Act> {
        self.first_field().map(|field| act(field, &self.variables, actor, self.name.as_deref()))
    }

    fn first_field(&self) -> Option<&Field> {
        let document = self.rewritten.as_ref().unwrap_or(&self.document.parsed);
        let operation = match &document.operations {
            DocumentOperations::Single(operation) => operation,
            DocumentOperations::Multiple(operations) => operations.get(self.name.as_deref()?)?,
        };
        match &operation.node.selection_set.node.items.first()?.node {
            Selection::Field(field) => Some(&field.node),
            _ => None,
        }
    }

    /// The same for the engine.
    pub fn request(&self) -> Request {
        // The engine's request has no way to share a document.
        let mut request = Request::new("").variables(self.variables.clone());
        if let (DocumentOperations::Multiple(_), Some(name)) = (&self.document.parsed.operations, &self.name) {
            request = request.operation_name(name);
        }
        request.set_parsed_query(self.rewritten.as_ref().unwrap_or(&self.document.parsed).clone());
        request
    }
}

/// All documents that are known, and what makes others known.
pub struct Documents {
    registry: Registry,
    validator: Validator,
    limits: Limits,
    kept: Cache<String, Arc<Document>, Weigh>,
    trusted: HashMap<String, Arc<Document>>,
    mode: TrustedMode,
}

impl Documents {
    /// Knows the types of the schema, and no document.
    pub fn new(limits: Limits) -> Self {
        let name = |qualified: String| MetaTypeName::concrete_typename(&qualified).to_owned();
        let registry = ids::registry_of_kinds(|registry| {
            registry.query_type = name(<Query as OutputType>::create_type_info(registry));
            registry.mutation_type = Some(name(<Mutation as OutputType>::create_type_info(registry)));
            registry.subscription_type = Some(name(<Subscription as SubscriptionType>::create_type_info(registry)));
        });
        let validator = Validator::new(&sdl()).expect("the schema is valid: it is compared with the one that is committed");
        let kept = Cache::with_weighter(KEPT, KEPT_BYTES, Weigh);
        Self { registry, validator, limits, kept, trusted: HashMap::new(), mode: TrustedMode::Off }
    }

    /// Takes the operations of a manifest too, or from now on those only. Each must be valid.
    pub async fn trust(&mut self, mode: TrustedMode, manifest: &Path) -> Result<(), String> {
        for (id, text) in trusted::read(manifest)? {
            let document = self.make(&text, true).map_err(|errors| {
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
        let usages = document.usages.get(&name.cloned()).map(Vec::as_slice).unwrap_or_default();
        let variables = values::with_defaults(&operation.node, variables);
        let errors = values::check_variables(&self.registry, &operation.node, usages, &variables);
        if !errors.is_empty() {
            return Err(errors);
        }
        let left_out = values::left_out(usages, &variables);
        let cost = cost::requested(&self.registry, &document.parsed, &operation.node, &variables);
        let is_subscription = operation.node.ty == OperationType::Subscription;
        let limit = if is_subscription { self.limits.max_event_cost } else { self.limits.max_cost };
        if cost > limit as u64 {
            return Err(refused(Error::QueryTooComplex(format!(
                "The operation may cost {cost}, and {limit} is the limit: ask for fewer rows (`first`), or for fewer lists below each other."
            ))));
        }
        let kind = operation.node.ty;
        let (rewritten, merges) = self.rewrite(&document, name, &variables, &left_out);
        let name = name.map(ToString::to_string);
        Ok(Prepared { document, variables, rewritten, merges, name, kind, cost, position: parameters.extensions.position })
    }

    /// The document as it runs with these variables, where that is another, and whether the engine has something to merge.
    fn rewrite(
        &self,
        document: &Document,
        name: Option<&Name>,
        variables: &Variables,
        left_out: &HashSet<Name>,
    ) -> (Option<ExecutableDocument>, bool) {
        if left_out.is_empty() && !document.merges {
            return (None, false);
        }
        let mut parsed = document.parsed.clone();
        if !left_out.is_empty() {
            values::take_out(&mut parsed, left_out);
        }
        if !document.merges {
            return (Some(parsed), false);
        }
        let merge = |operation: &OperationDefinition| merging::merged(&self.registry, &parsed, operation, variables);
        let merged = match (&parsed.operations, name) {
            (DocumentOperations::Single(operation), _) => Some(merge(&operation.node)),
            (DocumentOperations::Multiple(operations), Some(name)) => {
                operations.get(name).map(|operation| merge(&operation.node))
            }
            (DocumentOperations::Multiple(_), None) => None,
        };
        let Some((operation, leaves)) = merged else { return (Some(parsed), true) };
        match (&mut parsed.operations, name) {
            (DocumentOperations::Single(single), _) => single.node = operation,
            (DocumentOperations::Multiple(operations), Some(name)) => {
                operations.entry(name.clone()).and_modify(|known| known.node = operation);
            }
            (DocumentOperations::Multiple(_), None) => {}
        }
        (Some(parsed), leaves)
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
        let document = Arc::new(self.make(text, may_introspect)?);
        self.kept.insert(id, Arc::clone(&document));
        Ok(document)
    }

    fn make(&self, text: &str, suggests: bool) -> Result<Document, Vec<ServerError>> {
        text::check_text(text, &self.limits).map_err(refused)?;
        let tree = syntax::parse(text)?;
        let parsed = syntax::executable(text, &tree)?;
        let size = size::check_document(&parsed, &self.limits).map_err(refused)?;
        let usages = self.check(text, &tree, &parsed, suggests)?;
        let merges = overlaps::check(&self.registry, &parsed)?;
        let parsed = root::flattened(parsed)?;
        Ok(Document { bytes: text.len(), parsed, usages, introspects: size.introspects, merges })
    }

    /// Validates a document, and says where the variables of its operations stand.
    fn check(
        &self,
        text: &str,
        tree: &apollo_compiler::ast::Document,
        parsed: &ExecutableDocument,
        suggests: bool,
    ) -> Result<HashMap<Option<Name>, Vec<Usage>>, Vec<ServerError>> {
        let (mut of_values, mut usages) = (Vec::<ServerError>::new(), HashMap::new());
        for (name, operation) in parsed.operations.iter() {
            let (errors, own) = values::literals(&self.registry, parsed, &operation.node);
            // A fragment's values are looked at for each operation that spreads it.
            for error in errors {
                if of_values.len() < MAX_FAULTS && !of_values.contains(&error) {
                    of_values.push(error);
                }
            }
            usages.insert(name.cloned(), own);
        }
        let invalid = self.validator.check(text, tree, suggests);
        // What is wrong with values, both find; here it is known in which field.
        let is_reported = |fault: &validation::Invalid| !fault.is_of_value || of_values.is_empty();
        let mut errors: Vec<ServerError> = invalid.into_iter().filter(is_reported).map(|fault| fault.error).collect();
        errors.extend(of_values);
        errors.truncate(MAX_FAULTS);
        if errors.is_empty() { Ok(usages) } else { Err(errors) }
    }
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
    error_codes::alone(&error).errors
}
