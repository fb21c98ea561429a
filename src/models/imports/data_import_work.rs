//! How a server comes to run an import, and keeps it: by a lease. Each statement here is a function of the database's that acts for the server that
//! holds the lease, and answers `false` where that is another by now, or none because the import was cancelled.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    OptionalExtension, QueryResult,
    sql_types::{Binary, Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::{
    data_import::{DataImportFile, DataImportOutcome, DataSource},
    proof::KeptFinding,
    staged::understood,
};
use crate::{
    db::statement::{Bind, statement},
    ids::{DataImportId, TenantId},
};

/// An import that this server runs.
#[derive(Debug, Clone)]
pub struct DataImportWork {
    /// The lease.
    pub lease: Uuid,
    /// Into which tenant.
    pub tenant: TenantId,
    /// The import.
    pub id: DataImportId,
    /// From which system.
    pub source: DataSource,
    /// Whether nothing is written in the end.
    pub is_dry_run: bool,
    /// What is said of the files beside them.
    pub options: Value,
    /// Its files.
    pub files: Vec<DataImportFile>,
    /// Which attempt this is, from 1.
    pub attempt: i32,
}

impl DataImportWork {
    /// Takes the next import that waits, or that another server has left; `None` where there is none.
    pub async fn claim(mut connection: &AsyncPgConnection, lease: Duration, at: DateTime<Utc>) -> QueryResult<Option<Self>> {
        type Columns = (SqlUuid, SqlUuid, Text, Bool, Jsonb, Jsonb, Integer);
        type Found = (Uuid, Uuid, DataSource, bool, Value, Value, i32);
        let holder = Uuid::now_v7();
        let found: Option<Found> = statement::<Columns>(
            "SELECT tenant_id, id, source, is_dry_run, options, files, attempts FROM claim_data_import(?, ?, ?)",
            vec![Bind::Uuid(holder), Bind::seconds(lease), Bind::Time(at)],
        )
        .get_result(&mut connection)
        .await
        .optional()?;
        found
            .map(|(tenant, id, source, is_dry_run, options, files, attempt)| {
                let files = understood(files)?;
                Ok(Self { lease: holder, tenant: tenant.into(), id: id.into(), source, is_dry_run, options, files, attempt })
            })
            .transpose()
    }

    /// A part of a file's content, both counted from 0; `None` behind the last.
    pub async fn chunk(&self, mut connection: &AsyncPgConnection, file: i64, number: i64) -> QueryResult<Option<Vec<u8>>> {
        let binds = vec![Bind::Uuid(self.lease), Bind::BigInt(file), Bind::BigInt(number)];
        statement::<Nullable<Binary>>("SELECT data_import_chunk(?, ?::integer, ?::integer)", binds)
            .get_result(&mut connection)
            .await
    }

    /// Renews the lease, and says how far the import is.
    pub async fn hold(
        &self,
        connection: &AsyncPgConnection,
        lease: Duration,
        step: &str,
        done: u64,
        total: u64,
    ) -> QueryResult<bool> {
        let number = |rows: u64| Bind::BigInt(i64::try_from(rows).unwrap_or(i64::MAX));
        let binds = vec![Bind::seconds(lease), Bind::text(step), number(done), number(total)];
        self.act(connection, "SELECT hold_data_import(?, ?, ?, ?, ?)", binds).await
    }

    /// Lets another turn go on with it, at the earliest after a time. A turn that has failed counts as an attempt.
    pub async fn put_back(&self, connection: &AsyncPgConnection, after: Duration, has_failed: bool) -> QueryResult<bool> {
        let sql = if has_failed { "SELECT put_back_data_import(?, ?, true)" } else { "SELECT put_back_data_import(?, ?, false)" };
        self.act(connection, sql, vec![Bind::seconds(after)]).await
    }

    /// Keeps what was found, after so many findings; what was kept behind these is forgotten.
    pub async fn report(&self, connection: &AsyncPgConnection, after: i64, findings: &[KeptFinding]) -> QueryResult<bool> {
        self.act(connection, "SELECT report_data_import(?, ?, ?::jsonb)", vec![Bind::BigInt(after), Bind::json(&findings)]).await
    }

    /// Ends it with what came of it.
    pub async fn complete(
        &self,
        connection: &AsyncPgConnection,
        outcome: &DataImportOutcome,
        at: DateTime<Utc>,
    ) -> QueryResult<bool> {
        self.act(connection, "SELECT end_data_import(?, ?::jsonb, NULL, ?)", vec![Bind::json(outcome), Bind::Time(at)]).await
    }

    /// Ends it with why it failed.
    pub async fn fail(&self, connection: &AsyncPgConnection, why: &str, at: DateTime<Utc>) -> QueryResult<bool> {
        self.act(connection, "SELECT end_data_import(?, NULL, ?, ?)", vec![Bind::text(why), Bind::Time(at)]).await
    }

    async fn act(&self, mut connection: &AsyncPgConnection, sql: &'static str, binds: Vec<Bind>) -> QueryResult<bool> {
        let binds = std::iter::once(Bind::Uuid(self.lease)).chain(binds).collect();
        statement::<Bool>(sql, binds).get_result(&mut connection).await
    }
}
