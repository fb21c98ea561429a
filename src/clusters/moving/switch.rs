//! The moment at which a tenant goes from one cluster to the other.

use std::time::{Duration, Instant};

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use tokio::time::sleep;

use super::{Move, Progress, catalogue, comparison::Comparison, fence};
use crate::{
    db::statement::{Bind, statement},
    error::{Error, Result},
};

/// How long the tenant may be held at once. Where that does not do, it goes on where it is, and is held again later.
const MOST_HELD: Duration = Duration::from_millis(1_500);
/// How long its transactions that write have to end.
const MOST_WAITED: Duration = Duration::from_millis(500);
/// How long to wait before it is held again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is held before the move gives up.
const ATTEMPTS: u32 = 20;
/// How often it is said how far the target is behind.
const SAY_INTERVAL: Duration = Duration::from_secs(5);
/// While it is held: no statement takes longer, and where the machine of the move is lost, PostgreSQL ends its session, and with it the hold.
const WHILE_HELD: &str = "SET statement_timeout = '2s'; SET idle_session_timeout = '3s'";
const AFTERWARDS: &str = "SET statement_timeout = 0; SET idle_session_timeout = 0";

/// The lock under which events get their numbers (`publish_events()`).
const PUBLISHING: &str = "x'706f7274616c0005'::bigint";
/// What the event of an arrival is about, so that it is shown to nobody.
const NOBODY: &str = "'00000000-0000-0000-0000-000000000000'";

impl Move {
    /// Holds the tenant, and has it go over once the target has everything; gives how long it was held.
    pub(super) async fn switch(&self, comparison: &Comparison, progress: &impl Fn(Progress)) -> Result<Duration> {
        let failures = self.subscription().failures().await?;
        for _ in 0..ATTEMPTS {
            // Until only what is being written at this moment is missing.
            let mut said = Instant::now();
            while !self.catch_up(MOST_HELD / 4).await? {
                self.subscription().check(failures).await?;
                if said.elapsed() >= SAY_INTERVAL {
                    progress(Progress::Behind(self.subscription().behind().await?));
                    said = Instant::now();
                }
            }
            let begun = Instant::now();
            for side in [&self.source, &self.target] {
                side.run(WHILE_HELD).await?;
            }
            let is_over = fence::hold(&self.source, self.tenant, MOST_WAITED).await? && {
                let outcome = self.go_over(begun, comparison).await;
                fence::release(&self.source, self.tenant).await?;
                outcome?
            };
            let held = begun.elapsed();
            for side in [&self.source, &self.target] {
                side.run(AFTERWARDS).await?;
            }
            if is_over {
                return Ok(held);
            }
            progress(Progress::Postponed);
            sleep(PAUSE).await;
        }
        Err(Error::BadUserInput(format!(
            "{} could not be held: its transactions run too long, such as an import, or the target is too slow. It is where it was; resume with the same command later",
            self.slug
        )))
    }

    /// Has the tenant go over while it is held; `false` where the target is too far behind.
    async fn go_over(&self, begun: Instant, comparison: &Comparison) -> Result<bool> {
        if !self.catch_up(MOST_HELD.saturating_sub(begun.elapsed())).await? {
            return Ok(false);
        }
        let is_taken = "SELECT EXISTS (SELECT FROM tenants WHERE slug = ? AND id <> ?)";
        if self.target.query_bool(is_taken, vec![Bind::text(&self.slug), Bind::Uuid(self.tenant.uuid())]).await? {
            return Err(Error::BadUserInput(format!("{} has another tenant {:?}", self.target.name, self.slug)));
        }
        comparison.begin().await?;
        // Beyond what the source has given by now. Cheaper than the greatest number of the tenant's.
        for (sequence, last) in catalogue::sequences(&self.source.connection, &self.tables).await? {
            self.target.run(&format!("SELECT setval('{sequence}', {last}) FROM {sequence} WHERE last_value < {last}")).await?;
        }
        self.leave().await?;
        self.arrive().await?;
        Ok(true)
    }

    /// Takes the tenant's row from the source. From here on it goes forward only.
    async fn leave(&self) -> Result<()> {
        let tenant = self.tenant.uuid();
        let sql = format!(
            "BEGIN; SET LOCAL session_replication_role = replica;
             UPDATE tenant_moves SET tenant = (SELECT to_jsonb(t) FROM tenants t WHERE t.id = '{tenant}') WHERE tenant_id = '{tenant}' AND direction = 'out';
             DELETE FROM tenants WHERE id = '{tenant}';
             COMMIT"
        );
        Ok(self.source.run(&sql).await?)
    }

    /// Gives the target the tenant's row, unless it has it.
    pub(super) async fn arrive(&self) -> Result<()> {
        let sql = "SELECT tenant::text FROM tenant_moves WHERE tenant_id = ? AND direction = 'out' AND tenant IS NOT NULL";
        let row = statement::<Text>(sql, vec![Bind::Uuid(self.tenant.uuid())]);
        let row: String = row.get_result(&mut &self.source.connection).await?;
        let columns = catalogue::columns(&self.target.connection, "tenants").await?.join(", ");
        let sql = format!(
            "BEGIN; SET LOCAL session_replication_role = replica;
             SELECT pg_advisory_xact_lock({PUBLISHING});
             WITH arrival AS (
                 INSERT INTO events (tenant_id, partner_id, kind, subject_id, place) SELECT '{tenant}', {NOBODY}, 'lead', {NOBODY}, nextval('event_places')
                 WHERE NOT EXISTS (SELECT FROM tenants WHERE id = '{tenant}') RETURNING place)
             INSERT INTO tenant_arrivals (tenant_id, place) SELECT '{tenant}', place FROM arrival ON CONFLICT (tenant_id) DO UPDATE SET place = EXCLUDED.place;
             INSERT INTO tenants ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::tenants, {row}::jsonb) ON CONFLICT (id) DO NOTHING;
             DELETE FROM tenant_moves WHERE tenant_id = '{tenant}' AND direction = 'in';
             COMMIT",
            row = catalogue::literal(&row),
            tenant = self.tenant.uuid(),
        );
        let arrived = self.target.run(&sql).await;
        if arrived.is_err() {
            // It leaves its transaction open.
            let _ = self.target.run("ROLLBACK").await;
        }
        Ok(arrived?)
    }
}
