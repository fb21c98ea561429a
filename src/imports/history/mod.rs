//! What another system gives out, brought in: its files are read ([`folder`], `records`, [`reading`]) by what is known of the system ([`source`], [`sources`]),
//! every row is kept, and then one kind after the other is settled ([`crate::models::imports`]). Each part is one transaction with its checkpoint, so an
//! import that is stopped goes on where it was.

mod cells;
pub mod decisions;
mod draft;
pub mod folder;
pub mod reading;
mod records;
pub mod source;
pub mod sources;
mod transactions;
pub mod upload;

use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, Utc};
use diesel_async::AsyncPgConnection;

use self::{
    decisions::Decisions,
    folder::{Folder, InputFile},
    reading::{ReadingOptions, Understanding},
    source::SourceFacts,
    transactions::Transactions,
};
use crate::{
    error::Result,
    ids::TenantId,
    models::imports::{
        data_import::DataImportOutcome,
        facts::ImportKind,
        refused::refusal,
        run::{self, BATCH, ImportRun, Orphans},
        staged::ReadRow,
    },
};

/// How many rows are kept in one transaction.
const CHUNK: usize = 1_000;

/// An import to be run.
pub struct Import<'i> {
    /// From which system.
    pub source: &'static SourceFacts,
    /// Its files.
    pub folder: &'i Folder,
    /// What else is said of them.
    pub options: &'i ReadingOptions,
    /// What becomes of links without owner.
    pub orphans: Orphans,
    /// What was decided about rows.
    pub decisions: &'i Decisions,
    /// Into which tenant.
    pub tenant: TenantId,
    /// Whether nothing is written in the end.
    pub is_dry_run: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// Shows how far an import is.
pub trait Progress: Send {
    /// A part begins, of about so many rows.
    fn begins(&mut self, what: &str, rows: u64);
    /// So many more rows are done.
    fn done(&mut self, rows: u64);
}

/// What came of an import.
#[derive(Debug)]
pub struct Outcome {
    /// The number of the run.
    pub run: i32,
    /// Whether it went on with one that was stopped.
    pub is_continued: bool,
    /// What is in, what was reported, and the proof.
    pub summary: DataImportOutcome,
}

/// Why an import did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// Another is running.
    #[error("an import from {0} into this tenant is running already")]
    Running(&'static str),
    /// A file cannot be read.
    #[error("{0}")]
    File(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] crate::error::Error),
}

impl From<diesel::result::Error> for ImportFault {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Import<'_> {
    /// Brings everything in on a connection of its own, which is the caller's again afterwards. `report` is called within the last transaction, to read findings.
    pub async fn run(
        &self,
        connection: &AsyncPgConnection,
        progress: &mut dyn Progress,
        report: impl AsyncFnOnce(&ImportRun<'_>) -> Result<()>,
    ) -> Result<Outcome, ImportFault> {
        if !run::lock(connection, self.tenant, self.source.name).await? {
            return Err(ImportFault::Running(self.source.name));
        }
        let transactions = Transactions { connection, tenant: self.tenant, is_rehearsal: self.is_dry_run };
        transactions.begin().await?;
        let mut run = ImportRun {
            connection,
            tenant: self.tenant,
            source: self.source.name,
            run: 0,
            at: self.at,
            is_rehearsal: self.is_dry_run,
            orphans: self.orphans,
            batch: BATCH,
        };
        let begun = run.begin(&self.request()).await?;
        transactions.next().await?;
        for file in &self.folder.files {
            self.read(&run, &transactions, file, progress).await?;
        }
        let unknown = run.without_row(self.decisions.names()).await?;
        if let Some((kind, id)) = unknown {
            let kind = kind.as_str();
            return Err(ImportFault::File(format!("a decision is about the {kind} {id:?}, which is in none of the files")));
        }
        self.settle(&run, &transactions, progress).await?;
        run.finish().await?;
        transactions.next().await?;
        let summary =
            DataImportOutcome { counts: run.counts().await?, findings: run.findings_by_code().await?, proof: run.proof().await? };
        report(&run).await?;
        transactions.end().await?;
        run::unlock(connection, self.tenant, self.source.name).await?;
        Ok(Outcome { run: begun.run, is_continued: begun.is_continued, summary })
    }

    /// SHA-256 of all that is asked for.
    fn request(&self) -> String {
        let mut digest = Context::new(&SHA256);
        digest.update(&self.folder.digest);
        digest.update(&self.decisions.digest);
        digest.update(format!("{:?} {:?}", self.options, self.orphans).as_bytes());
        hex::encode(digest.finish().as_ref())
    }

    /// Keeps the rows of a file, from where an earlier turn of this run stopped.
    async fn read(
        &self,
        run: &ImportRun<'_>,
        transactions: &Transactions<'_>,
        file: &InputFile,
        progress: &mut dyn Progress,
    ) -> Result<(), ImportFault> {
        let has_link_days = self.folder.files.iter().any(|file| file.facts.iter().any(|facts| facts.kind == ImportKind::LinkDay));
        for facts in &file.facts {
            let understanding = Understanding {
                source: self.source,
                file: facts,
                format: file.format,
                name: &file.name,
                options: self.options,
                decisions: self.decisions,
                has_link_days,
                now: self.at,
            };
            let before = run.lines_read(&file.name, facts.kind).await?;
            let mut records = file.records().map_err(ImportFault::File)?;
            progress.begins(&format!("reading {}", file.name), records.count().unwrap_or(file.lines));
            let (mut rows, mut last) = (Vec::<ReadRow>::with_capacity(CHUNK), before);
            while let Some(record) = records.read().map_err(|error| ImportFault::File(format!("{}: {error}", file.name)))? {
                if record.line <= before {
                    progress.done(1);
                    continue;
                }
                last = record.line;
                rows.extend(understanding.rows(&record));
                if rows.len() >= CHUNK {
                    progress.done(rows.len() as u64);
                    run.keep(std::mem::take(&mut rows)).await?;
                    run.note_lines(&file.name, facts.kind, last).await?;
                    transactions.next().await?;
                }
            }
            progress.done(rows.len() as u64);
            run.keep(rows).await?;
            run.note_lines(&file.name, facts.kind, last).await?;
            transactions.next().await?;
        }
        Ok(())
    }

    /// Settles one kind of row after the other, each when what it refers to is in.
    async fn settle(
        &self,
        run: &ImportRun<'_>,
        transactions: &Transactions<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), ImportFault> {
        let waiting = run.waiting_count().await?;
        progress.begins("bringing in", u64::try_from(waiting).unwrap_or_default());
        if waiting > BATCH {
            run.analyze().await?;
        }
        let mut steps = Steps { run, transactions, progress };
        let owners = async |run: &ImportRun<'_>| run.give_owners(!self.source.has_users).await;
        steps.all(Some(ImportKind::Partner), 1, async |run| run.settle_partners().await).await?;
        steps.all(Some(ImportKind::User), 1, async |run| run.settle_users().await).await?;
        steps.all(Some(ImportKind::Membership), 1, async |run| run.settle_memberships().await).await?;
        steps.all(None, usize::MAX, owners).await?;
        steps.all(Some(ImportKind::Programme), 1, async |run| run.settle_programmes().await).await?;
        steps.all(Some(ImportKind::Enrolment), 1, async |run| run.settle_enrolments().await).await?;
        steps.all(Some(ImportKind::Rule), 1, async |run| run.settle_rules().await).await?;
        steps.all(Some(ImportKind::Link), 1, async |run| run.settle_links().await).await?;
        // What links made of users who are gone.
        steps.all(None, usize::MAX, owners).await?;
        steps.all(Some(ImportKind::LinkDay), 1, async |run| run.settle_link_days().await).await?;
        steps.all(Some(ImportKind::Customer), 1, async |run| run.settle_customers().await).await?;
        run.name_payouts().await?;
        transactions.next().await?;
        steps.all(Some(ImportKind::Payout), 1, async |run| run.settle_payouts().await).await?;
        steps.all(Some(ImportKind::Commission), 2, async |run| run.resolve_commissions().await).await?;
        steps.all(Some(ImportKind::Commission), 2, async |run| run.write_commissions().await).await?;
        steps.all(Some(ImportKind::Payout), usize::MAX, async |run| run.settle_empty_payouts().await).await?;
        run.assign_customers().await?;
        transactions.next().await?;
        Ok(())
    }
}

/// The steps of an import, each for all rows that it is about.
struct Steps<'s, 'c> {
    run: &'s ImportRun<'c>,
    transactions: &'s Transactions<'c>,
    progress: &'s mut dyn Progress,
}

impl<'c> Steps<'_, 'c> {
    /// Runs a step until nothing is left to do. Where a rule of the database refuses a batch, it is done again in smaller ones, down to the row that is the
    /// reason: that is reported and left, and all others come in.
    async fn all(
        &mut self,
        kind: Option<ImportKind>,
        weight: usize,
        step: impl AsyncFn(&ImportRun<'c>) -> diesel::QueryResult<usize>,
    ) -> Result<(), ImportFault> {
        let mut run = *self.run;
        for batch in 1_u32.. {
            self.transactions.mark().await?;
            let count = match (step(&run).await, kind) {
                (Ok(count), _) => {
                    self.transactions.forget_mark().await?;
                    count
                }
                (Err(error), Some(kind)) => {
                    let Some(why) = refusal(&error) else { return Err(error.into()) };
                    self.transactions.back_to_mark().await?;
                    if run.batch > 1 {
                        run.batch = (run.batch / 8).max(1);
                        continue;
                    }
                    run.refuse_next(kind, &why).await?
                }
                (Err(error), None) => return Err(error.into()),
            };
            run.batch = (run.batch * 2).min(BATCH);
            // Once there is something to see, and when it has grown much.
            if batch == 4 || batch % 256 == 0 {
                run.analyze().await?;
            }
            self.transactions.next().await?;
            self.progress.done((count / weight) as u64);
            if count == 0 {
                break;
            }
        }
        Ok(())
    }
}
