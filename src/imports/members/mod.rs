//! Members from a CSV file: each row whole or not at all, and each reported.
//!
//! [`table`] reads rows, [`plan`] decides what becomes of each, [`crate::models::members::batch`] does it, a chunk in a transaction.
//! The file is read twice, from where it lies: once to know that it can be read to its end, and what it holds; once to import it. Of each
//! row some twenty bytes are kept, for finding addresses that come twice.

pub mod column;
pub mod fault;
pub mod header;
pub mod plan;
mod source;
pub mod table;

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, Utc};

pub use self::source::MemberFile;
use self::{
    fault::FileFault,
    plan::{Plan, RowOutcome, RowReport},
    source::Chunks,
    table::FileLine,
};
use crate::{
    clock::Clock,
    db::session::Session,
    error::{Error, Result},
    ids::{PartnerId, TenantId, UserId},
    models::{ledger::books::Books, members::batch::Known},
};

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The most rows, without the header.
pub const MAX_ROWS: u32 = 50_000;
/// Rows in one transaction. Enough that its cost is theirs; few enough that nobody waits long for the partner's balance, and that the
/// versions of its row which the transaction leaves behind are few.
const CHUNK: usize = 250;
/// How often rows are decided anew because others add the same members at that moment.
const ATTEMPTS: usize = 20;
/// The longest key, in characters: an allocation's own is made of it and an address. A file's content makes one of this length.
pub const MAX_KEY: usize = 64;

/// Whose members come from where, and under which conditions.
#[derive(Debug, Clone)]
pub struct Import {
    /// The tenant.
    pub tenant: TenantId,
    /// The partner.
    pub partner: PartnerId,
    /// Who imports; `None` for the shell.
    pub by: Option<UserId>,
    /// Whether credits may be assigned.
    pub may_assign: bool,
    /// For how many days.
    pub valid_days: i32,
    /// What credits are assigned once for; the file's content where there is none.
    pub key: Option<String>,
    /// Whether only to say what would happen.
    pub is_dry_run: bool,
}

/// What came of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows.
    pub rows: u32,
    /// New members.
    pub imported: u32,
    /// Members that were changed or given credits.
    pub updated: u32,
    /// Rows with nothing to do.
    pub skipped: u32,
    /// Rows that are at fault.
    pub failed: u32,
    /// Credits assigned.
    pub credits_assigned: i64,
    /// What credits were assigned once for.
    pub key: String,
    /// Columns that mean nothing here.
    pub ignored_columns: Vec<String>,
}

/// Receives the progress.
pub trait Progress: Send {
    /// The file can be read, and has so many rows.
    fn begins(&mut self, rows: u32);

    /// A row is done.
    fn row(&mut self, report: RowReport);
}

impl Import {
    /// Imports a file, on a session of a caller who may write the partner's members. Rows that were done before an error stay done.
    pub async fn run(
        &self,
        session: &Session,
        clock: &Clock,
        source: MemberFile,
        progress: &mut impl Progress,
    ) -> Result<Result<Summary, FileFault>> {
        let (source, scan) = match source.scan().await? {
            Ok(scanned) => scanned,
            Err(fault) => return Ok(Err(fault)),
        };
        progress.begins(scan.rows);
        let key = self.key.clone().unwrap_or(scan.digest);
        let mut summary = Summary { key: key.clone(), ignored_columns: scan.ignored_columns, ..Summary::default() };
        let plan = Mutex::new(Plan::new(self, key));
        let mut chunks = Chunks::of(source, CHUNK);
        while let Some(chunk) = chunks.next().await? {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(fault) => return Ok(Err(fault)),
            };
            let at = clock.now().trunc_subsecs(6);
            let mut reports = None;
            for _ in 0..ATTEMPTS {
                reports = session.retry(|| self.chunk(session, &plan, &chunk, at)).await?;
                if reports.is_some() {
                    break;
                }
            }
            for report in reports.ok_or_else(|| Error::internal("some rows were decided anew too often"))? {
                summary.count(&report);
                progress.row(report);
            }
        }
        Ok(if summary.rows == scan.rows { Ok(summary) } else { Err(FileFault::Changed) })
    }

    /// Imports some rows in one transaction; `None` when another added one of their members meanwhile, and it is to be done again.
    async fn chunk(
        &self,
        session: &Session,
        plan: &Mutex<Plan<'_>>,
        chunk: &[FileLine],
        at: DateTime<Utc>,
    ) -> Result<Option<Vec<RowReport>>> {
        let plan = || plan.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = plan().wanted(chunk);
        if self.is_dry_run {
            let reading = session.read().await?;
            let known = Known::read(&reading, self.tenant, self.partner, &wanted).await?;
            return Ok(Some(plan().decide(chunk, known).reports));
        }
        let writing = session.write().await?;
        let books = Books { connection: &writing, tenant: self.tenant, by: self.by, at, writing: Some(&writing), clock: None };
        books.act_for_tenant().await?;
        let known = Known::lock(&books, self.partner, &wanted).await?;
        let decided = plan().decide(chunk, known);
        if !books.import_members(self.partner, &decided.changes).await? {
            return Ok(None);
        }
        writing.commit_alone().await?;
        Ok(Some(decided.reports))
    }
}

impl Summary {
    fn count(&mut self, report: &RowReport) {
        self.rows += 1;
        self.credits_assigned += i64::from(report.credits);
        match report.outcome {
            RowOutcome::Imported => self.imported += 1,
            RowOutcome::Updated => self.updated += 1,
            RowOutcome::Skipped => self.skipped += 1,
            RowOutcome::Failed => self.failed += 1,
        }
    }
}
