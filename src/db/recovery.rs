//! Databases that read what another writes: hot standbys.

use diesel::{QueryResult, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::statement::statement;

/// Whether the database is a standby, which takes no changes until it is promoted.
pub async fn is_in_recovery(mut connection: &AsyncPgConnection) -> QueryResult<bool> {
    statement::<Bool>("SELECT pg_is_in_recovery()", Vec::new()).get_result(&mut connection).await
}
