//! A run of an import: whether it is a new one or goes on with one that was stopped, and how far it is.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    OptionalExtension, QueryResult,
    sql_types::{BigInt, Bool, Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::facts::ImportKind;
use crate::{
    db::statement::{Bind, statement},
    ids::TenantId,
    models::ledger::books::Books,
};

/// How many rows are settled in one transaction, unless one of them is refused; payouts are settled whole.
pub const BATCH: i64 = 1_000;

/// How long an import that seems to be running is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of links of which neither a partner nor a user is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[graphql(name = "ImportOrphans")]
pub enum Orphans {
    /// They are reported and left.
    #[default]
    Report,
    /// They belong to a partner of their own.
    Hold,
}

/// How many rows of a kind have come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCount {
    /// The kind.
    pub kind: ImportKind,
    /// How many are in.
    pub inside: i64,
    /// Of how many.
    pub all: i64,
}

/// A run, on its connection: each of its methods works in the transaction that is open.
#[derive(Clone, Copy)]
pub struct ImportRun<'c> {
    /// The connection.
    pub connection: &'c AsyncPgConnection,
    /// Into which tenant.
    pub tenant: TenantId,
    /// From which system.
    pub source: &'static str,
    /// Its number, from 1.
    pub run: i32,
    /// When it writes.
    pub at: DateTime<Utc>,
    /// Whether all of it is rolled back in the end. Nobody else sees what it has made then, so no books are locked.
    pub is_rehearsal: bool,
    /// What becomes of links without owner.
    pub orphans: Orphans,
    /// How many rows are settled at once.
    pub batch: i64,
}

/// How a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Its number.
    pub run: i32,
    /// Whether it goes on with a run of the same request that was stopped.
    pub is_continued: bool,
}

/// Keeps other imports from the same system into the tenant out, until [`unlock`] or until the connection closes. `false` where one is running: PostgreSQL
/// may take a moment to see that one was killed, so that long is waited.
pub async fn lock(mut connection: &AsyncPgConnection, tenant: TenantId, source: &str) -> QueryResult<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        let sql = "SELECT pg_try_advisory_lock(hashtextextended(?, 0))";
        if statement::<Bool>(sql, vec![lock_name(tenant, source)]).get_result(&mut connection).await? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(PATIENCE / 50).await;
    }
}

/// Lets other imports begin.
pub async fn unlock(mut connection: &AsyncPgConnection, tenant: TenantId, source: &str) -> QueryResult<()> {
    let sql = "SELECT pg_advisory_unlock(hashtextextended(?, 0))";
    statement::<Bool>(sql, vec![lock_name(tenant, source)]).execute(&mut connection).await.map(drop)
}

fn lock_name(tenant: TenantId, source: &str) -> Bind {
    Bind::text(format!("import {source} {}", tenant.uuid()))
}

impl<'c> ImportRun<'c> {
    /// Begins a run, or goes on with the one of the same request that was not finished. A new one reads anew all
    /// that is not in.
    pub async fn begin(&mut self, request: &str) -> QueryResult<Begun> {
        let binds = vec![self.tenant_bind(), self.source_bind()];
        let known: Option<(i32, bool, String)> = statement::<(Integer, Bool, Text)>(
            "SELECT run, finished_at IS NOT NULL, encode(request, 'hex') FROM import_runs WHERE tenant_id = ? AND source = ? FOR UPDATE",
            binds,
        )
        .get_result(&mut &*self.connection)
        .await
        .optional()?;
        if let Some((run, false, _)) = known.as_ref().filter(|(_, _, before)| before == request) {
            self.run = *run;
            return Ok(Begun { run: *run, is_continued: true });
        }
        self.run = known.map_or(1, |(run, ..)| run + 1);
        let binds = vec![self.tenant_bind(), self.source_bind(), self.run_bind(), Bind::text(request), Bind::Time(self.at)];
        statement::<Text>(
            "INSERT INTO import_runs (tenant_id, source, run, request, started_at) VALUES (?, ?, ?::integer, decode(?, 'hex'), ?)
             ON CONFLICT (tenant_id, source) DO UPDATE
             SET run = EXCLUDED.run, request = EXCLUDED.request, started_at = EXCLUDED.started_at, finished_at = NULL",
            binds,
        )
        .execute(&mut &*self.connection)
        .await?;
        for again in [
            "DELETE FROM import_findings f USING import_rows r WHERE f.tenant_id = ? AND f.source = ?
                 AND r.tenant_id = f.tenant_id AND r.source = f.source AND r.kind = f.kind AND r.source_id = f.source_id AND r.state <> 'in'",
            "DELETE FROM import_rows WHERE tenant_id = ? AND source = ? AND state <> 'in'",
        ] {
            let binds = vec![self.tenant_bind(), self.source_bind()];
            statement::<Text>(again, binds).execute(&mut &*self.connection).await?;
        }
        Ok(Begun { run: self.run, is_continued: false })
    }

    /// Notes that everything is settled.
    pub async fn finish(&self) -> QueryResult<()> {
        let binds = vec![Bind::Time(self.at), self.tenant_bind(), self.source_bind()];
        let sql = "UPDATE import_runs SET finished_at = ? WHERE tenant_id = ? AND source = ?";
        statement::<Text>(sql, binds).execute(&mut &*self.connection).await.map(drop)
    }

    /// How many lines of a file this run has read for a kind of row.
    pub async fn lines_read(&self, file: &str, kind: ImportKind) -> QueryResult<i64> {
        let binds = vec![self.tenant_bind(), self.source_bind(), Bind::text(file), Bind::text(kind.as_str()), self.run_bind()];
        let sql =
            "SELECT lines FROM import_files WHERE tenant_id = ? AND source = ? AND file = ? AND kind = ? AND run = ?::integer";
        statement::<BigInt>(sql, binds).get_result(&mut &*self.connection).await.optional().map(Option::unwrap_or_default)
    }

    /// Notes that so many are read.
    pub async fn note_lines(&self, file: &str, kind: ImportKind, lines: i64) -> QueryResult<()> {
        let binds = vec![
            self.tenant_bind(),
            self.source_bind(),
            Bind::text(file),
            Bind::text(kind.as_str()),
            self.run_bind(),
            Bind::BigInt(lines),
        ];
        statement::<Text>(
            "INSERT INTO import_files (tenant_id, source, file, kind, run, lines) VALUES (?, ?, ?, ?, ?::integer, ?)
             ON CONFLICT (tenant_id, source, file, kind) DO UPDATE SET run = EXCLUDED.run, lines = EXCLUDED.lines",
            binds,
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    /// Lets PostgreSQL look at the tables that have grown: what it knows of them decides how rows are found.
    pub async fn analyze(&self) -> QueryResult<()> {
        let sql = if self.is_rehearsal { "SELECT import_analyze(true)::text" } else { "SELECT import_analyze(false)::text" };
        statement::<Text>(sql, Vec::new()).execute(&mut &*self.connection).await.map(drop)
    }

    /// How many rows wait for their turn.
    pub async fn waiting_count(&self) -> QueryResult<i64> {
        let binds = vec![self.tenant_bind(), self.source_bind()];
        let sql = "SELECT count(*) FROM import_rows WHERE tenant_id = ? AND source = ? AND state IN ('read', 'ready')";
        statement::<BigInt>(sql, binds).get_result(&mut &*self.connection).await
    }

    /// How many rows of each kind have come in, of how many.
    pub async fn counts(&self) -> QueryResult<Vec<KindCount>> {
        let sql = "SELECT kind, count(*) FILTER (WHERE state = 'in'), count(*) FROM import_rows WHERE tenant_id = ? AND source = ? GROUP BY kind";
        let binds = vec![self.tenant_bind(), self.source_bind()];
        let rows: Vec<(ImportKind, i64, i64)> =
            statement::<(Text, BigInt, BigInt)>(sql, binds).load(&mut &*self.connection).await?;
        let mut counts: Vec<_> = rows.into_iter().map(|(kind, inside, all)| KindCount { kind, inside, all }).collect();
        counts.sort_unstable_by_key(|count| count.kind);
        Ok(counts)
    }

    /// The tenant's books, as the run writes in them.
    pub(super) fn books(&self) -> Books<'c> {
        Books { connection: self.connection, tenant: self.tenant, by: None, at: self.at, writing: None, clock: None }
    }

    /// What the source's row is called here, in notes that people read.
    pub(super) fn named(&self, source_id: &str) -> String {
        format!("Brought along from {}: {source_id}", self.source)
    }

    pub(super) fn tenant_bind(&self) -> Bind {
        Bind::Uuid(self.tenant.uuid())
    }

    pub(super) fn source_bind(&self) -> Bind {
        Bind::text(self.source)
    }

    pub(super) fn run_bind(&self) -> Bind {
        Bind::BigInt(i64::from(self.run))
    }
}
