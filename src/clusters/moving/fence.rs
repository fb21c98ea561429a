//! What holds a tenant's rows: triggers for them alone, on all tables, while it is moved (`fence_moving_tenant()`).

use std::time::{Duration, Instant};

use diesel::{
    result::Error as DieselError,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;
use tokio::time::sleep;

use super::Side;
use crate::{
    db::{
        QueryResult,
        statement::{Bind, statement},
    },
    error::{Error, Result},
    ids::TenantId,
};

/// How long a table may be in use before its triggers are given up.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long others may have to wait behind it.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '50ms'";
/// How long to wait before the first new attempt, and before each after many.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// The lock that transactions which write hold shared (`fence_moving_tenant()`).
const LOCK: i32 = 1_953_391_224;

/// Puts up the triggers that are missing. Each table is locked for a moment, against changes alone.
pub(super) async fn put_up(side: &Side, tables: &[String], tenant: TenantId) -> Result<()> {
    let id = tenant.uuid();
    let keyed = tables.iter().map(|table| (table.as_str(), "tenant_id", "INSERT OR UPDATE"));
    for (table, column, changes) in keyed.chain([("tenants", "id", "UPDATE")]) {
        let (written, deleted) = (name(tenant, "written"), name(tenant, "deleted"));
        let is_there = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(?) AND tgname = ?)";
        if side.query_bool(is_there, vec![Bind::text(table), Bind::text(&deleted)]).await? {
            continue;
        }
        let sql = format!(
            "BEGIN;
             CREATE TRIGGER {written} BEFORE {changes} ON {table} FOR EACH ROW WHEN (NEW.{column} = '{id}') EXECUTE FUNCTION fence_moving_tenant('{id}');
             CREATE TRIGGER {deleted} BEFORE DELETE ON {table} FOR EACH ROW WHEN (OLD.{column} = '{id}') EXECUTE FUNCTION fence_moving_tenant('{id}');
             COMMIT"
        );
        with_lock_retries(side, &sql).await?;
    }
    Ok(())
}

/// Removes the triggers.
pub(super) async fn remove(side: &Side, tenant: TenantId) -> Result<()> {
    let sql = "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE tgname IN (?, ?) AND tgparentid = 0";
    let names = vec![Bind::text(name(tenant, "written")), Bind::text(name(tenant, "deleted"))];
    let drops: Vec<String> = statement::<Text>(sql, names).load(&mut &side.connection).await?;
    for sql in drops {
        with_lock_retries(side, &sql).await?;
    }
    Ok(())
}

/// Holds the tenant, once its transactions that write have ended; `false` where they do not in time.
pub(super) async fn hold(side: &Side, tenant: TenantId, patience: Duration) -> QueryResult<bool> {
    side.run(&format!("SET lock_timeout = {}", patience.as_millis())).await?;
    let held = statement::<Text>(
        "SELECT pg_advisory_lock(?::bigint::integer, hashtext(?))::text",
        vec![Bind::BigInt(LOCK.into()), Bind::text(tenant.uuid().to_string())],
    )
    .get_result::<String>(&mut &side.connection)
    .await;
    side.run("SET lock_timeout = '2s'").await?;
    match held {
        Ok(_) => Ok(true),
        Err(error) if is_locked(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends the hold.
pub(super) async fn release(side: &Side, tenant: TenantId) -> QueryResult<()> {
    let binds = vec![Bind::BigInt(LOCK.into()), Bind::text(tenant.uuid().to_string())];
    let released = statement::<Bool>("SELECT pg_advisory_unlock(?::bigint::integer, hashtext(?))", binds);
    released.get_result::<bool>(&mut &side.connection).await.map(drop)
}

/// Runs what needs a table to itself for a moment, when it can be had. Others wait behind it: so it waits for a moment itself, and seldom.
pub(super) async fn with_lock_retries(side: &Side, sql: &str) -> Result<()> {
    let (begun, mut pause) = (Instant::now(), PAUSES[0]);
    side.run(LOCK_TIMEOUT).await?;
    let outcome = loop {
        match side.run(sql).await {
            Err(error) if is_locked(&error) => {
                // One that failed within a transaction leaves it open.
                side.run("ROLLBACK").await?;
                if begun.elapsed() >= PATIENCE {
                    break Err(Error::BadUserInput(format!(
                        "{}: a transaction that has been open for minutes is in the way: resume the move once it has ended",
                        side.name
                    )));
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES[1]);
            }
            outcome => break Ok(outcome?),
        }
    };
    side.run("SET lock_timeout = '2s'").await?;
    outcome
}

/// Whether a lock could not be had in time (SQLSTATE 55P03, which has no kind of its own in diesel; its text is PostgreSQL's).
fn is_locked(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, info) if info.message().contains("lock timeout"))
}

fn name(tenant: TenantId, what: &str) -> String {
    format!("a_fence_{}_{what}", tenant.uuid().simple())
}
