//! How far a database is: its position in the write-ahead log, which a standby replays.

use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::statement::statement;

/// The SQL of how far the database is: on a standby what it has replayed, on a primary what it has written. Where commits do not wait for the disk, what
/// they have written may still be in memory.
macro_rules! position_sql {
    () => {
        "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
            ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint"
    };
}
pub(super) use position_sql;

/// A position in the write-ahead log, in bytes. A database that has come so far knows all that was committed before it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WalPosition(pub u64);

impl WalPosition {
    /// Further than any database is: only the primary has it.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// What PostgreSQL gives for that.
    pub(super) fn of(bytes: i64) -> Self {
        Self(u64::try_from(bytes).unwrap_or_default())
    }

    /// A statement that fails on a database that is no standby, or has not replayed so far, with "recovery is not in progress" and "recovery is in progress" (SQLSTATE
    /// 55000).
    pub(super) fn check(self) -> String {
        let (high, low) = (self.0 >> 32, self.0 & 0xffff_ffff);
        format!(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_is_wal_replay_paused()::text
                 WHEN pg_last_wal_replay_lsn() < '{high:X}/{low:X}' THEN pg_current_wal_lsn()::text END"
        )
    }
}

/// Whether the database is a standby, which takes no changes until it is promoted.
pub async fn is_in_recovery(mut connection: &AsyncPgConnection) -> QueryResult<bool> {
    statement::<Bool>("SELECT pg_is_in_recovery()", Vec::new()).get_result(&mut connection).await
}

/// How far the database is.
pub async fn position(mut connection: &AsyncPgConnection) -> QueryResult<WalPosition> {
    let position = statement::<BigInt>(concat!("SELECT ", position_sql!()), Vec::new());
    Ok(WalPosition::of(position.get_result(&mut connection).await?))
}

/// Which database it is, of which cluster, with which history. A standby has those of its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: i64,
    /// The database.
    pub database: i64,
    /// The timeline: each promotion begins one. A standby says so only when it has written something of it to its disk, or to those who may read all
    /// statistics.
    pub timeline: i64,
}

/// Lets [`Look::at`] see the timeline at once, where the login may read all statistics. One that does not inherit what it is granted has to take the role.
pub async fn see_timeline(mut connection: &AsyncPgConnection) {
    // Where it may not, the timeline is seen later.
    let _ = connection.batch_execute("SET ROLE pg_read_all_stats").await;
}

/// What a database is at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Which one it is.
    pub identity: Identity,
    /// Whether it is a standby.
    pub is_standby: bool,
    /// How far it is.
    pub position: WalPosition,
}

impl Look {
    /// Looks at the database that is connected.
    pub async fn at(mut connection: &AsyncPgConnection) -> QueryResult<Self> {
        const SQL: &str = concat!(
            "SELECT system_identifier, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
                 CASE WHEN pg_is_in_recovery()
                     THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), min_recovery_end_timeline)::bigint
                     ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END,
                 pg_is_in_recovery(), ",
            position_sql!(),
            " FROM pg_control_system(), pg_control_recovery()"
        );
        let look = statement::<(BigInt, BigInt, BigInt, Bool, BigInt)>(SQL, Vec::new());
        let (cluster, database, timeline, is_standby, bytes) = look.get_result(&mut connection).await?;
        Ok(Self { identity: Identity { cluster, database, timeline }, is_standby, position: WalPosition::of(bytes) })
    }
}
