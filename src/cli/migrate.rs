//! `partner-portal migrate`

use super::{Failure, database::Database};
use crate::config::Settings;

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let database = Database::open(settings).await?;
    let outcome = database.migrate().await;
    database.close().await;
    match outcome?.as_slice() {
        [] => println!("Nothing to do: every migration is applied."),
        applied => println!("Applied {}: {}.", applied.len(), applied.join(", ")),
    }
    Ok(())
}
