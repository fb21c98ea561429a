//! Which tenants a cluster has.

use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{QueryResult, statement::statement},
    ids::TenantId,
};

/// A tenant, as a cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Which.
    pub tenant: TenantId,
    /// Its name in tokens.
    pub slug: String,
    /// The `iss` claim of its tokens.
    pub issuer: String,
    /// Whether it was moved to another cluster a moment ago.
    pub has_left: bool,
}

/// The tenants of a cluster, and those that have just left it.
pub async fn all(mut connection: &AsyncPgConnection) -> QueryResult<Vec<DirectoryEntry>> {
    let sql = "SELECT tenant_id, slug, issuer, has_left FROM tenant_directory()";
    let rows = statement::<(SqlUuid, Text, Text, Bool)>(sql, vec![]).load(&mut connection).await?;
    let entry = |(tenant, slug, issuer, has_left)| DirectoryEntry { tenant, slug, issuer, has_left };
    Ok(rows.into_iter().map(entry).collect())
}
