//! `partner-portal migrate`

use super::{Failure, database::Database, first_start, say};
use crate::config::Settings;

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let database = Database::open(settings).await?;
    let outcome = migrate(settings, &database).await;
    database.close().await;
    match outcome?.as_slice() {
        [] => say("Nothing to do: every migration is applied.\n"),
        applied => say(&format!("Applied {}: {}.\n", applied.len(), applied.join(", "))),
    }
    Ok(())
}

/// In production the first tenant is made here too: the server need not be let in as the tables' owner at all.
async fn migrate(settings: &Settings, database: &Database) -> Result<Vec<String>, Failure> {
    let applied = database.migrate().await?;
    if settings.database_url.is_some() {
        first_start::first_tenant_if_missing(settings, database).await?;
    }
    Ok(applied)
}
