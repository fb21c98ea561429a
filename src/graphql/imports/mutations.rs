//! The mutations that import what other systems give out.

use std::{collections::HashSet, sync::Arc};

use async_graphql::{Context, InputObject, Object, SimpleObject};
use serde_json::json;
use tempfile::TempDir;

use super::data_import::DataImport;
use crate::{
    auth::Permission,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            scalars::{CurrencyCode, Upload},
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, outcome, settle, settled},
        },
        ledger::books::BooksExt,
    },
    ids::DataImportId,
    imports::history::{
        reading::RateUnit,
        source::MoneyForm,
        sources::named,
        upload::{self, Content, FileParts, MAX_FILES, Stored, UploadOptions},
    },
    models::{
        calendar::TimeZone,
        idempotency::Key,
        imports::{
            data_import::{DataImportFault, DataSource, NewDataImport},
            run::Orphans,
        },
    },
    validation::{FaultCode, Faults, Wrong, line},
};

/// The longest address for links that say none.
const MAX_URL: usize = 1_000;

/// A file that another system gave out.
#[derive(InputObject)]
struct DataFileInput {
    /// What it is called: `links.csv`. Names say what is in files; see the documentation of imports. A file called `decisions.jsonl` holds decisions about rows.
    name: String,
    /// The file, in a multipart request (the GraphQL multipart request specification).
    file: Option<Upload>,
    /// The file's text, instead of `file`. The whole request may have 1 MB.
    text: Option<String>,
}

/// What another system gave out, and what is to be said of it.
#[derive(InputObject)]
struct ImportDataInput {
    /// The system.
    source: DataSource,
    /// Its files: 1 to 100, of 100 MB together at most.
    files: Vec<DataFileInput>,
    /// Whether to do everything and roll it back in the end: the same report, and nothing is written.
    #[graphql(default)]
    dry_run: bool,
    /// The currency of amounts that name none.
    currency: Option<CurrencyCode>,
    /// The time zone of times that name none (IANA): `Europe/Berlin`.
    time_zone: Option<String>,
    /// What rates are written in.
    rate_unit: Option<RateUnit>,
    /// How amounts are written, where that is otherwise than this system does.
    money_form: Option<MoneyForm>,
    /// What becomes of links without a partner or user.
    #[graphql(default_with = "Orphans::Report")]
    orphans: Orphans,
    /// Where links lead that say no address, with `{key}` for their key: `https://example.com/?via={key}`.
    link_url: Option<String>,
    /// A name for this request, at most 200 characters: sent again with it, it is the same import. To import the same files once more, as after a failure, take another.
    idempotency_key: String,
}

/// What became of `importData`.
#[derive(SimpleObject)]
struct ImportDataPayload {
    /// The import, which waits for its turn. Null where there are user errors.
    import: Option<DataImport>,
    /// Whether it was asked for before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input, or what the files lack. Empty when the import waits for its turn.
    user_errors: Vec<UserError>,
}

/// The import that is to be cancelled.
#[derive(InputObject, Clone)]
struct CancelDataImportInput {
    /// The import.
    id: DataImportId,
}

/// What became of `cancelDataImport`.
#[derive(SimpleObject)]
struct CancelDataImportPayload {
    /// The import as it is now. Null where there are user errors.
    import: Option<DataImport>,
    /// Whether it was cancelled before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the import is cancelled.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ImportMutations;

#[Object]
impl ImportMutations {
    /// Imports what another system gave out, in the background: the answer has the import, which says how far it is. What the files lack is said at
    /// once. Each row is in or reported; an import that was stopped goes on where it was, and the same files once more change nothing. Needs `DATA_IMPORT`.
    async fn import_data(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The files, and what is to be said of them.")] input: ImportDataInput,
    ) -> Result<Option<ImportDataPayload>> {
        ctx.require(Permission::DataImport)?;
        let ((import, replayed), user_errors) = match prepare(ctx, input).await {
            Ok(prepared) => settle(ctx, || enqueue(ctx, Arc::clone(&prepared))).await?,
            Err(refusal) => settled(Err(refusal))?,
        };
        if import.is_some() && !replayed {
            ctx.request().shared.data_imports.notify_one();
        }
        Ok(Some(ImportDataPayload { import, replayed, user_errors }))
    }

    /// Cancels an import that has not ended. What is in stays, and the same files again go on from there. Needs `DATA_IMPORT`.
    async fn cancel_data_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The import.")] input: CancelDataImportInput,
    ) -> Result<Option<CancelDataImportPayload>> {
        ctx.require(Permission::DataImport)?;
        let ((import, replayed), user_errors) = settle(ctx, || cancel(ctx, input.id)).await?;
        Ok(Some(CancelDataImportPayload { import, replayed, user_errors }))
    }
}

/// A request whose files lie in a folder, and have what they need.
struct PreparedImport {
    folder: TempDir,
    key: Key,
    new: NewDataImport,
}

/// Checks the input, and puts the files into a folder to see what they lack.
async fn prepare(ctx: &Context<'_>, input: ImportDataInput) -> Result<Arc<PreparedImport>, Refusal> {
    let mut faults = Faults::default();
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let zone = faults.check_option("input.timeZone", input.time_zone.as_deref(), zone);
    let link_url = faults.check_option("input.linkUrl", input.link_url.as_deref(), link_url);
    let files = files(ctx, input.files, &mut faults);
    let (Some(key), true) = (key, faults.is_empty()) else { return Err(faults.into()) };
    let source = named(input.source.as_str()).ok_or_else(|| Error::internal("a source without facts"))?;
    let stored = tokio::task::spawn_blocking(move || Stored::of(files, source)).await.map_err(Error::internal)?;
    let stored =
        stored.map_err(Error::internal)?.map_err(|message| Refusal::fault("input.files", FaultCode::Invalid, message))?;
    let options = UploadOptions {
        currency: input.currency.map(|currency| currency.0.code().to_owned()),
        zone,
        rate_unit: input.rate_unit,
        money: input.money_form,
        link_url,
        orphans: input.orphans,
    };
    let options = serde_json::to_value(&options).map_err(Error::internal)?;
    let request = [
        ("source", json!(input.source.as_str())),
        ("files", json!(stored.digest)),
        ("dryRun", json!(input.dry_run)),
        ("currency", options["currency"].clone()),
        ("timeZone", options["zone"].clone()),
        ("rateUnit", options["rate_unit"].clone()),
        ("moneyForm", options["money"].clone()),
        ("orphans", options["orphans"].clone()),
        ("linkUrl", options["link_url"].clone()),
    ];
    let new =
        NewDataImport { id: DataImportId::new(), source: input.source, is_dry_run: input.dry_run, options, files: stored.files };
    Ok(Arc::new(PreparedImport { folder: stored.folder, key: Key::new(key, request), new }))
}

fn zone(text: &str) -> Result<String, Wrong> {
    let known = text.trim().parse::<TimeZone>();
    known.map(|zone| zone.to_string()).map_err(|_| Wrong {
        code: FaultCode::Invalid,
        message: format!("{text:?} is no time zone of the IANA's, such as Europe/Berlin."),
    })
}

fn link_url(text: &str) -> Result<String, Wrong> {
    let url = line(text, MAX_URL)?;
    let example = url.replace("{key}", "a");
    let is_address = url::Url::parse(&example).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_address && example != url {
        return Ok(url);
    }
    let message = "Must be an address with {key} for the link's key, such as https://example.com/?via={key}.";
    Err(Wrong { code: FaultCode::Invalid, message: message.to_owned() })
}

/// The files, by their names.
fn files(ctx: &Context<'_>, inputs: Vec<DataFileInput>, faults: &mut Faults) -> Vec<(String, Content)> {
    let count = inputs.len();
    if count == 0 || count > MAX_FILES {
        faults.add("input.files", FaultCode::OutOfRange, format!("Must be 1 to {MAX_FILES} files; there are {count}."));
        return Vec::new();
    }
    let (mut names, mut files) = (HashSet::new(), Vec::with_capacity(count));
    for input in inputs {
        let name = input.name.trim();
        if let Err(message) = upload::check_name(name) {
            faults.add("input.files", FaultCode::Invalid, message);
        } else if !names.insert(name.to_lowercase()) {
            faults.add("input.files", FaultCode::Taken, format!("Two files are called {name:?}."));
        }
        let content = match (input.file, input.text) {
            (Some(upload), None) => {
                let file = upload.file(ctx);
                if file.is_none() {
                    let message = format!("The request has no file for {name:?}, or has used it already.");
                    faults.add("input.files", FaultCode::Required, message);
                }
                file.map(Content::Uploaded)
            }
            (None, Some(text)) => Some(Content::Text(text)),
            _ => {
                let message = format!("Give the file {name:?} or its text, and not both.");
                faults.add("input.files", FaultCode::Required, message);
                None
            }
        };
        files.extend(content.map(|content| (name.to_owned(), content)));
    }
    files
}

/// Writes the import and its files.
async fn enqueue(ctx: &Context<'_>, prepared: Arc<PreparedImport>) -> Result<Outcome<DataImport>, Refusal> {
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let (id, is_new) = books.add_data_import(&prepared.key, &prepared.new).await?.map_err(refusal)?;
    if is_new {
        for (index, file) in (0..).zip(&prepared.new.files) {
            let mut parts = FileParts::open(&prepared.folder.path().join(&file.name)).map_err(Error::internal)?;
            let mut number = 0;
            while let Some(part) = parts.read_next().map_err(Error::internal)? {
                books.add_data_import_chunk(id, index, number, part).await?;
                number += 1;
            }
        }
    }
    Ok(outcome(writing, is_new, DataImport::by_id(ctx, id)).await?)
}

async fn cancel(ctx: &Context<'_>, id: DataImportId) -> Result<Outcome<DataImport>, Refusal> {
    let writing = ctx.write().await?;
    let has_changed = ctx.books(&writing).cancel_data_import(id).await?.map_err(refusal)?;
    Ok(outcome(writing, has_changed, DataImport::by_id(ctx, id)).await?)
}

fn refusal(fault: DataImportFault) -> Refusal {
    match fault {
        DataImportFault::NotFound => Refusal::not_found("input.id", "import"),
        DataImportFault::Ended(status) => {
            let message = format!("The import has ended: it is {}.", status.shown());
            Refusal::fault("input.id", FaultCode::InvalidTransition, message)
        }
        DataImportFault::KeyReused { first, difference } => Refusal::key_reused(first, &difference),
    }
}
