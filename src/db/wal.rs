//! How far a database is: its position in the write-ahead log, which a standby replays.

use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::statement::statement;

/// The SQL of how far the database is: on a standby what it has replayed, on a primary what it has written. Where commits do not wait for the disk, what
/// they have written may still be in memory.
pub(super) const POSITION: &str = "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
    ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint";

/// A position in the write-ahead log, in bytes. A database that has come so far knows all that was committed before it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WalPosition(pub u64);

impl WalPosition {
    /// What PostgreSQL gives for [`POSITION`].
    pub(super) fn of(bytes: i64) -> Self {
        Self(u64::try_from(bytes).unwrap_or_default())
    }
}

/// Whether the database is a standby, which takes no changes until it is promoted.
pub async fn is_in_recovery(connection: &AsyncPgConnection) -> QueryResult<bool> {
    Ok(look(connection).await?.0)
}

/// How far the database is.
pub async fn position(connection: &AsyncPgConnection) -> QueryResult<WalPosition> {
    Ok(look(connection).await?.1)
}

/// Both.
pub(super) async fn look(mut connection: &AsyncPgConnection) -> QueryResult<(bool, WalPosition)> {
    let sql = format!("SELECT pg_is_in_recovery(), {POSITION}");
    let (is_in_recovery, bytes) = statement::<(Bool, BigInt)>(sql, Vec::new()).get_result(&mut connection).await?;
    Ok((is_in_recovery, WalPosition::of(bytes)))
}

/// Which database of which cluster it is: a standby has that of its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    cluster: i64,
    database: i64,
}

impl Identity {
    /// Of the database that is connected.
    pub async fn read(mut connection: &AsyncPgConnection) -> QueryResult<Self> {
        let read = statement::<(BigInt, BigInt)>(
            "SELECT system_identifier, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) FROM pg_control_system()",
            Vec::new(),
        );
        let (cluster, database) = read.get_result(&mut connection).await?;
        Ok(Self { cluster, database })
    }
}
