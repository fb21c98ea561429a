//! The writer: brings clicks from the journal into the database, many in one transaction.

use std::{sync::Arc, time::Duration};

use diesel::result::DatabaseErrorKind;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;

use super::{Clicks, Owner};
use crate::{
    db::{Connection, QueryError, STEP_DOWN, connect, wal::is_in_recovery},
    error::{Error, Result},
    models::programmes::click::{self, Click},
};

/// How long to gather clicks before they are written: many cost little more than one.
const GATHER: Duration = Duration::from_millis(100);
/// How often new clicks are announced to subscribers, at most.
const ANNOUNCE: Duration = Duration::from_secs(1);
/// How often to look for the files of processes that have ended.
const ADOPT: Duration = Duration::from_secs(10);
/// How long the database may take for a batch before its connection is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to wait before the first new attempt, and before each after many.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Writes until it is dropped.
pub async fn run(clicks: Arc<Clicks>, config: Config) {
    let mut wait = BACKOFF[0];
    loop {
        let begun = Instant::now();
        if let Err(error) = write(&clicks, &config).await {
            tracing::warn!(%error, backlog = clicks.backlog(), "clicks wait for the database");
        }
        // It may be away for long.
        if let Err(error) = clicks.journal.sync() {
            tracing::error!(%error, "clicks could not be brought to the disk");
        }
        wait = if begun.elapsed() < BACKOFF[1] { (wait * 2).min(BACKOFF[1]) } else { BACKOFF[0] };
        sleep(wait).await;
    }
}

/// Writes over one connection.
async fn write(clicks: &Clicks, config: &Config) -> Result<()> {
    let connecting = connect::establish(config, Some(STEP_DOWN));
    let connection = timeout(PATIENCE, connecting).await.map_err(Error::unavailable)?.map_err(Error::unavailable)?;
    if in_time(is_in_recovery(&connection)).await?? {
        tracing::info!(backlog = clicks.backlog(), "clicks wait until the standby is promoted");
        while in_time(is_in_recovery(&connection)).await?? {
            clicks.journal.sync().map_err(Error::internal)?;
            sleep(BACKOFF[1]).await;
        }
    }
    let mut adopted = Instant::now();
    let mut announced = None;
    // Something may be left from before.
    let mut has_news = true;
    loop {
        // Taken before it is looked: what comes in between wakes the next turn.
        let added = clicks.journal.added.notified();
        has_news |= write_all(clicks, &connection).await?;
        if has_news && announced.is_none_or(|at: Instant| at.elapsed() >= ANNOUNCE) {
            has_news = in_time(click::announce(&connection)).await?? > 0;
            announced = Some(Instant::now());
        }
        if adopted.elapsed() >= ADOPT {
            clicks.journal.adopt().map_err(Error::internal)?;
            adopted = Instant::now();
        }
        if timeout(if has_news { ANNOUNCE } else { ADOPT }, added).await.is_ok() {
            sleep(GATHER).await;
        }
    }
}

/// Writes what is in the journal; gives whether there was anything.
async fn write_all(clicks: &Clicks, connection: &Connection) -> Result<bool> {
    let mut has_written = false;
    while let Some(batch) = clicks.journal.next().map_err(Error::internal)? {
        let (own, of_others) = by_cluster(clicks, &batch.clicks)?;
        if !own.is_empty() {
            match in_time(click::write(connection, &own)).await? {
                Err(error) if is_of_the_data(&error) => write_singly(connection, &own).await?,
                written => drop(written?),
            }
        }
        for (other, click) in of_others {
            other.journal.append(click).map_err(Error::internal)?;
        }
        clicks.journal.finish(&batch).map_err(Error::internal)?;
        has_written = true;
    }
    Ok(has_written)
}

/// Clicks of other clusters' tenants, each with where it is written.
type OfOthers<'c> = Vec<(Arc<Clicks>, &'c Click)>;

/// Those that are to be written here, and those whose tenants have been moved, with where to. Where a tenant is not known to be here all wait: elsewhere than where
/// it is, clicks of it would be left out.
fn by_cluster<'c>(clicks: &Clicks, batch: &'c [Click]) -> Result<(Vec<Click>, OfOthers<'c>)> {
    let Some(others) = clicks.others.get() else { return Ok((batch.to_vec(), Vec::new())) };
    let (mut own, mut of_others) = (Vec::new(), Vec::new());
    for click in batch {
        match others.owner(click.tenant) {
            Owner::Here => own.push(click.clone()),
            Owner::Other(other) => of_others.push((other, click)),
            Owner::Unknown => return Err(Error::unavailable("it is not known on which cluster a click's tenant is")),
        }
    }
    Ok((own, of_others))
}

/// Writes clicks one by one, without those that PostgreSQL refuses: none keeps the others waiting.
async fn write_singly(connection: &Connection, clicks: &[Click]) -> Result<()> {
    for click in clicks {
        match in_time(click::write(connection, std::slice::from_ref(click))).await? {
            Err(error) if is_of_the_data(&error) => tracing::error!(%error, click = %click.id, "a click cannot be written"),
            written => drop(written?),
        }
    }
    Ok(())
}

/// Whether PostgreSQL refused what it was given, and would again.
fn is_of_the_data(error: &QueryError) -> bool {
    matches!(
        error,
        QueryError::DatabaseError(
            DatabaseErrorKind::CheckViolation | DatabaseErrorKind::NotNullViolation | DatabaseErrorKind::ForeignKeyViolation,
            _
        )
    )
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T> {
    timeout(PATIENCE, work).await.map_err(Error::unavailable)
}
