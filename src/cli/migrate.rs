//! `partner-portal migrate`

use super::{Failure, database::Database, say};
use crate::config::Settings;

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let database = Database::open(settings).await?;
    let outcome = database.migrate().await;
    database.close().await;
    match outcome?.as_slice() {
        [] => say("Nothing to do: every migration is applied.\n"),
        applied => say(&format!("Applied {}: {}.\n", applied.len(), applied.join(", "))),
    }
    Ok(())
}
