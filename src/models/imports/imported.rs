//! The map of ids: what here was made of which row elsewhere, and the other way round.

use std::collections::HashMap;

use diesel::{
    OptionalExtension, QueryResult,
    sql_types::{BigInt, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{data_import::DataSource, facts::ImportKind};
use crate::{
    db::statement::{Bind, statement},
    ids::TenantId,
    models::scope::Scope,
};

/// The row of another system that something here was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRow {
    /// The system.
    pub source: DataSource,
    /// What the row is.
    pub kind: ImportKind,
    /// Its id there. What follows from another row begins with that one's.
    pub source_id: String,
    /// The file that it was read in.
    pub file: String,
    /// The line; 0 where it follows from other rows.
    pub line: i64,
}

impl ImportedRow {
    /// What things of some kinds were made of. Where several rows are one thing here, the one that came first.
    pub async fn of_targets(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        targets: &[(ImportKind, Uuid)],
    ) -> QueryResult<HashMap<(ImportKind, Uuid), Self>> {
        type Columns = (SqlUuid, Text, Text, Text, Text, BigInt);
        type Found = (Uuid, DataSource, ImportKind, String, String, i64);
        let binds = vec![Bind::Uuid(scope.tenant.uuid()), Bind::Uuids(targets.iter().map(|(_, id)| *id).collect())];
        let rows: Vec<Found> = statement::<Columns>(
            "SELECT target_id, source, kind, source_id, file, line FROM import_rows
             WHERE tenant_id = ? AND target_id = ANY (?) AND state = 'in' ORDER BY position DESC",
            binds,
        )
        .load(&mut connection)
        .await?;
        // The first one comes last, and stays.
        let named =
            |(target, source, kind, source_id, file, line)| ((kind, target), Self { source, kind, source_id, file, line });
        Ok(rows.into_iter().map(named).collect())
    }

    /// What a row has become here; `None` where it is not in.
    pub async fn target(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        source: DataSource,
        kind: ImportKind,
        source_id: &str,
    ) -> QueryResult<Option<Uuid>> {
        // PostgreSQL's text holds no NUL, so no row has such an id.
        if source_id.contains('\0') {
            return Ok(None);
        }
        let binds =
            vec![Bind::Uuid(tenant.uuid()), Bind::text(source.as_str()), Bind::text(kind.as_str()), Bind::text(source_id)];
        statement::<SqlUuid>(
            "SELECT target_id FROM import_rows WHERE tenant_id = ? AND source = ? AND kind = ? AND source_id = ? AND state = 'in'",
            binds,
        )
        .get_result(&mut connection)
        .await
        .optional()
    }
}
