//! Moves a tenant from one cluster to another while it is in use, by PostgreSQL's logical replication with row filters.
//!
//! Its rows are copied and kept up to date on the target. Then it is held: its transactions that write end, and no other begins. Once the target has everything, its row
//! of `tenants` goes from the source to the target, and with it the tenant. Each step can be done again: the same command resumes a move that was interrupted.

mod catalogue;
mod comparison;
mod fence;
mod opening;
mod replication;
mod switch;

use std::time::{Duration, Instant};

use diesel::sql_types::{Bool, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use tokio::time::sleep;
use tokio_postgres::Config;

use self::{comparison::Comparison, replication::Subscription};
use crate::{
    db::{
        Connection, QueryResult, connect,
        statement::{Bind, statement},
    },
    error::{Error, Result},
    ids::TenantId,
};

/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long servers may take to see that the tenant has moved: so long its rows stay on the source.
const DIRECTORY_GRACE: Duration = Duration::from_secs(10);
/// How many rows are deleted at once.
const CHUNK: i64 = 10_000;
/// What a connection of a move is set to.
const SETTINGS: &str =
    "SET statement_timeout = 0; SET lock_timeout = '2s'; SET synchronous_commit = on; SET TIME ZONE 'UTC'; SET DateStyle = ISO";

/// One of the two clusters.
pub struct Side {
    /// The cluster's name.
    pub name: String,
    /// How it is reached.
    config: Config,
    connection: Connection,
}

/// A tenant that is moved.
pub struct Move {
    tenant: TenantId,
    slug: String,
    source: Side,
    target: Side,
    /// The tables whose rows go along.
    tables: Vec<String>,
    /// The name of the publication, of the subscription and of its slot.
    name: String,
}

/// A step of a move that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many tables of so many have been copied.
    Copied(i64, i64),
    /// All are copied, and what changes follows.
    CatchingUp,
    /// The target has so many bytes of the source's write-ahead log still to take.
    Behind(u64),
    /// The tenant could not be held: its transactions, or what was to be transferred, took too long.
    Postponed,
    /// It is on the target, after it was held for so long.
    Switched(Duration),
    /// So many rows of it were the same on both, at the moment at which it was held.
    Compared(i64),
    /// So many rows of it were deleted on the source; none is left.
    Removed(usize),
}

impl Side {
    /// Connects to a cluster as the owner of its tables.
    pub async fn connect(name: &str, owner: &Config) -> Result<Self> {
        let connection = connect::establish(owner, Some(SETTINGS)).await;
        let connection = connection.map_err(|error| Error::unavailable(format!("{name}: {error}")))?;
        Ok(Self { name: name.to_owned(), config: owner.clone(), connection })
    }

    /// Another connection to it.
    async fn again(&self) -> Result<Self> {
        Self::connect(&self.name, &self.config).await
    }

    async fn run(&self, sql: &str) -> QueryResult<()> {
        (&mut &self.connection).batch_execute(sql).await
    }

    async fn query_bool(&self, sql: impl Into<String>, binds: Vec<Bind>) -> QueryResult<bool> {
        statement::<Bool>(sql.into(), binds).get_result(&mut &self.connection).await
    }

    /// Whether it has the tenant's row.
    async fn has(&self, tenant: TenantId) -> QueryResult<bool> {
        self.query_bool("SELECT EXISTS (SELECT FROM tenants WHERE id = ?)", vec![Bind::Uuid(tenant.uuid())]).await
    }

    async fn forget_move(&self, tenant: TenantId) -> QueryResult<()> {
        self.run(&format!("DELETE FROM tenant_moves WHERE tenant_id = '{}'", tenant.uuid())).await
    }
}

impl Move {
    /// The cluster that the tenant goes from.
    pub fn source(&self) -> &str {
        &self.source.name
    }

    /// Makes the move, or resumes it. `progress` is called with each step.
    pub async fn run(&self, progress: impl Fn(Progress)) -> Result<()> {
        self.check_rights().await?;
        if !self.has_left().await? {
            self.check().await?;
            self.begin().await?;
            self.copy(&progress).await?;
            progress(Progress::CatchingUp);
            let comparison = Comparison::connect(&self.source, &self.target).await?;
            let held = self.switch(&comparison, &progress).await?;
            progress(Progress::Switched(held));
            let rows = comparison.compare(&self.tables, self.tenant).await?;
            progress(Progress::Compared(rows));
        }
        self.arrive().await?;
        self.end_replication().await?;
        fence::remove(&self.target, self.tenant).await
    }

    /// Deletes what is left of it on the source, once the servers have seen where it is.
    pub async fn remove(&self, progress: impl Fn(Progress)) -> Result<()> {
        sleep(DIRECTORY_GRACE).await;
        if self.source.has(self.tenant).await? || !self.target.has(self.tenant).await? {
            return Err(Error::internal(format!("{} is not on {} alone: nothing was deleted", self.slug, self.target.name)));
        }
        let rows = self.delete_rows(&self.source).await?;
        fence::remove(&self.source, self.tenant).await?;
        self.source.forget_move(self.tenant).await?;
        progress(Progress::Removed(rows));
        Ok(())
    }

    /// Undoes a move whose tenant has not left: nothing of it stays on the target.
    pub async fn cancel(&self) -> Result<()> {
        self.check_rights().await?;
        if self.has_left().await? {
            return Err(Error::BadUserInput(format!(
                "{} is on {} by now: resume the move, and then move it back",
                self.slug, self.target.name
            )));
        }
        if self.target.has(self.tenant).await? {
            return Err(Error::internal(format!("{} has {}: nothing was deleted", self.target.name, self.slug)));
        }
        self.end_replication().await?;
        self.delete_rows(&self.target).await?;
        for side in [&self.target, &self.source] {
            fence::remove(side, self.tenant).await?;
            side.forget_move(self.tenant).await?;
        }
        Ok(())
    }

    async fn has_left(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT FROM tenant_moves WHERE tenant_id = ? AND direction = 'out' AND tenant IS NOT NULL)";
        Ok(self.source.query_bool(sql, vec![Bind::Uuid(self.tenant.uuid())]).await?)
    }

    /// Notes the move on both sides, and puts up what holds the tenant's rows.
    async fn begin(&self) -> Result<()> {
        let tenant = self.tenant.uuid();
        let issuer = statement::<Text>("SELECT issuer FROM tenants WHERE id = ?", vec![Bind::Uuid(tenant)]);
        let issuer: String = issuer.get_result(&mut &self.source.connection).await?;
        for (side, direction, peer) in [(&self.source, "out", &self.target), (&self.target, "in", &self.source)] {
            let sql = "INSERT INTO tenant_moves (tenant_id, slug, issuer, direction, peer) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
            let texts = [&self.slug, &issuer, direction, &peer.name].map(Bind::text);
            let binds = std::iter::once(Bind::Uuid(tenant)).chain(texts).collect();
            statement::<Text>(sql, binds).execute(&mut &side.connection).await?;
            fence::put_up(side, &self.tables, self.tenant).await?;
        }
        Ok(())
    }

    /// Copies all rows, and has what changes meanwhile follow.
    async fn copy(&self, progress: &impl Fn(Progress)) -> Result<()> {
        let subscription = self.subscription();
        if !subscription.exists().await? {
            // Of an attempt that was interrupted before it was there.
            subscription.drop().await?;
            self.delete_rows(&self.target).await?;
            catalogue::copy_months(&self.source, &self.target).await?;
            subscription.create(&self.tables, self.tenant).await?;
        }
        let failures = subscription.failures().await?;
        let mut shown = None;
        loop {
            let (done, all) = subscription.copied().await?;
            if all == 0 {
                return Err(Error::internal(format!("the subscription {} has no tables: undo the move by --cancel", self.name)));
            }
            if shown.replace((done, all)) != Some((done, all)) {
                progress(Progress::Copied(done, all));
            }
            if done == all {
                return Ok(());
            }
            subscription.check(failures).await?;
            sleep(10 * LOOK).await;
        }
    }

    /// Waits until what was committed by now is on the target; `false` where that takes longer.
    async fn catch_up(&self, patience: Duration) -> Result<bool> {
        let subscription = self.subscription();
        let position = subscription.position().await?;
        let begun = Instant::now();
        while !subscription.has_confirmed(&position).await? {
            if begun.elapsed() >= patience {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
        Ok(true)
    }

    fn subscription(&self) -> Subscription<'_> {
        Subscription { name: &self.name, source: &self.source, target: &self.target }
    }

    async fn end_replication(&self) -> Result<()> {
        self.subscription().drop().await?;
        Ok(self.source.run(&format!("DROP PUBLICATION IF EXISTS {}", self.name)).await?)
    }

    /// Deletes the tenant's rows on one side, some at a time, without what deletions bring about.
    async fn delete_rows(&self, side: &Side) -> Result<usize> {
        let (tenant, mut count) = (self.tenant.uuid(), 0);
        side.run("SET session_replication_role = replica").await?;
        for table in catalogue::leaves(&side.connection).await? {
            let sql = format!(
                "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE tenant_id = '{tenant}' LIMIT {CHUNK})) AND tenant_id = '{tenant}'"
            );
            loop {
                let deleted = statement::<Bool>(sql.clone(), vec![]).execute(&mut &side.connection).await?;
                count += deleted;
                if i64::try_from(deleted).unwrap_or(CHUNK) < CHUNK {
                    break;
                }
            }
        }
        side.run("SET session_replication_role = origin").await?;
        Ok(count)
    }
}
