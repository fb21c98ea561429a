//! Imports that are asked for over the API and run in the background: what is asked for, how far each is, and what came of it. How a server
//! comes to run one is in [`super::data_import_work`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    finding::{CodeCount, FindingCode},
    proof::ProofLine,
    run::KindCount,
};
use crate::{
    db::schema::{data_import_chunks, data_imports},
    ids::{DataImportId, TenantId, UserId},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// A system that data can be imported from.
    pub enum DataSource {
        /// A link-based system: users, partners, links, programmes, enrolments, commissions and payouts as CSV or lines of JSON.
        Legacy = "legacy",
        /// Dub.
        Dub = "dub",
        /// Rewardful.
        Rewardful = "rewardful",
        /// Tolt.
        Tolt = "tolt",
        /// PartnerStack.
        Partnerstack = "partnerstack",
        /// FirstPromoter.
        Firstpromoter = "firstpromoter",
        /// Tapfiliate.
        Tapfiliate = "tapfiliate",
    }
}

crate::pg_enum! {
    /// How far an import is.
    pub enum DataImportStatus {
        /// It waits for its turn.
        Waiting = "waiting",
        /// It is under way.
        Running = "running",
        /// It is at its end: what could be decided is in, and the rest reported.
        Completed = "completed",
        /// It could not go on. What is in stays, and the same files again go on from there.
        Failed = "failed",
        /// It was cancelled. What is in stays, and the same files again go on from there.
        Cancelled = "cancelled",
    }
}

/// A file of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataImportFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// What came of an import that has completed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataImportOutcome {
    /// How many rows of each kind are in.
    pub counts: Vec<KindCount>,
    /// How much was reported, by code.
    pub findings: Vec<CodeCount>,
    /// Commissions by currency and status, there and here.
    pub proof: Vec<ProofLine>,
}

impl DataImportOutcome {
    /// Whether anything is in.
    pub fn is_anything_in(&self) -> bool {
        self.counts.iter().any(|count| count.inside > 0)
    }

    /// Whether what the source says of commissions is what is here, in each currency and status.
    pub fn is_proved(&self) -> bool {
        self.proof.iter().all(ProofLine::agrees)
    }

    /// Whether rows wait for a decision.
    pub fn is_anything_left(&self) -> bool {
        self.findings.iter().any(|count| count.is_left && count.code != FindingCode::LeftOut.as_str())
    }
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = data_imports)]
pub struct DataImport {
    /// Its id.
    pub id: DataImportId,
    /// From which system.
    pub source: DataSource,
    /// Whether nothing is written in the end.
    pub is_dry_run: bool,
    /// Its files, as [`DataImportFile`]s.
    pub files: Value,
    /// How far it is.
    pub status: DataImportStatus,
    /// What it is doing; `None` unless it runs.
    pub step: Option<String>,
    /// How many rows of the step are done.
    pub rows_done: i64,
    /// How many rows the step has, about.
    pub rows_total: i64,
    /// A [`DataImportOutcome`], where it has completed.
    pub outcome: Option<Value>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// Who asked for it.
    pub created_by: UserId,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which imports a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DataImportFilter {
    /// From this system.
    pub source: Option<DataSource>,
    /// In one of these states.
    pub status: Option<Vec<DataImportStatus>>,
}

/// By when they were asked for.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "data_imports.created_at", id: "data_imports.id", kind: KeyKind::Time };

impl DataImportFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, data_imports::table> {
        Conditions::of(data_imports::tenant_id.eq(scope.tenant))
            .and_if(self.source, |source| data_imports::source.eq(source))
            .and_one_of(
                self.status.as_deref(),
                |status| data_imports::status.eq(status),
                |statuses| data_imports::status.eq_any(statuses),
            )
    }
}

list!(DataImportFilter => DataImport; data_imports);

impl DataImport {
    /// One that waits or runs, if there is one.
    pub async fn unfinished(mut connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<Option<DataImportId>> {
        data_imports::table
            .filter(data_imports::tenant_id.eq(tenant))
            .filter(data_imports::status.eq_any([DataImportStatus::Waiting, DataImportStatus::Running]))
            .order(data_imports::id)
            .select(data_imports::id)
            .first(&mut connection)
            .await
            .optional()
    }

    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[DataImportId],
    ) -> QueryResult<HashMap<DataImportId, Self>> {
        let query = Self::query().filter(data_imports::tenant_id.eq(scope.tenant)).filter(data_imports::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }
}

/// An import that is asked for.
#[derive(Debug)]
pub struct NewDataImport {
    /// Its id.
    pub id: DataImportId,
    /// From which system.
    pub source: DataSource,
    /// Whether nothing is to be written in the end.
    pub is_dry_run: bool,
    /// What is said of the files beside them.
    pub options: Value,
    /// Its files, to each of which the parts of its content are added afterwards.
    pub files: Vec<DataImportFile>,
}

/// Why an import was not asked for, or not cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataImportFault {
    /// There is no such import.
    NotFound,
    /// It has ended with this status.
    Ended(DataImportStatus),
    /// The key was used for another request.
    KeyReused {
        /// What that made.
        first: DataImportId,
        /// Where they differ.
        difference: Difference,
    },
}

impl Books<'_> {
    /// Asks for an import, once for each key. Gives its id and whether it is new; only then its content is to be added.
    pub async fn add_data_import(
        &self,
        key: &IdempotencyKey,
        new: &NewDataImport,
    ) -> QueryResult<Result<(DataImportId, bool), DataImportFault>> {
        match key.claim(self.connection, Operation::ImportData, self.tenant, None, new.id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => {
                return Ok(Err(DataImportFault::KeyReused { first: first.into(), difference }));
            }
        }
        diesel::insert_into(data_imports::table)
            .values((
                data_imports::tenant_id.eq(self.tenant),
                data_imports::id.eq(new.id),
                data_imports::source.eq(new.source),
                data_imports::is_dry_run.eq(new.is_dry_run),
                data_imports::options.eq(&new.options),
                data_imports::files.eq(serde_json::to_value(&new.files).unwrap_or_default()),
                data_imports::created_by.eq(self.by.unwrap_or_else(|| Uuid::nil().into())),
                data_imports::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok((new.id, true)))
    }

    /// Adds a part of a file's content: `file` counts the import's files from 0, and `number` the file's parts.
    pub async fn add_data_import_chunk(&self, id: DataImportId, file: i32, number: i32, content: &[u8]) -> QueryResult<()> {
        diesel::insert_into(data_import_chunks::table)
            .values((
                data_import_chunks::tenant_id.eq(self.tenant),
                data_import_chunks::import_id.eq(id),
                data_import_chunks::file.eq(file),
                data_import_chunks::number.eq(number),
                data_import_chunks::content.eq(content),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// Cancels an import that has not ended: the server that runs it notices within a second, at the end of the statement that it is at. Gives whether it was not cancelled already.
    pub async fn cancel_data_import(&self, id: DataImportId) -> QueryResult<Result<bool, DataImportFault>> {
        let found: Option<DataImportStatus> = data_imports::table
            .filter(data_imports::tenant_id.eq(self.tenant))
            .filter(data_imports::id.eq(id))
            .select(data_imports::status)
            .for_update()
            .first(&mut &*self.connection)
            .await
            .optional()?;
        match found {
            None => return Ok(Err(DataImportFault::NotFound)),
            Some(DataImportStatus::Cancelled) => return Ok(Ok(false)),
            Some(status @ (DataImportStatus::Completed | DataImportStatus::Failed)) => {
                return Ok(Err(DataImportFault::Ended(status)));
            }
            Some(DataImportStatus::Waiting | DataImportStatus::Running) => {}
        }
        diesel::update(data_imports::table)
            .filter(data_imports::tenant_id.eq(self.tenant))
            .filter(data_imports::id.eq(id))
            .set((
                data_imports::status.eq(DataImportStatus::Cancelled),
                data_imports::finished_at.eq(Some(self.at)),
                data_imports::lease.eq(None::<Uuid>),
                data_imports::held_until.eq(None::<DateTime<Utc>>),
            ))
            .execute(&mut &*self.connection)
            .await?;
        diesel::delete(data_import_chunks::table)
            .filter(data_import_chunks::tenant_id.eq(self.tenant))
            .filter(data_import_chunks::import_id.eq(id))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(true))
    }
}
