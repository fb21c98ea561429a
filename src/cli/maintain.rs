//! `partner-portal maintain`

use super::{Failure, database::Database, say};
use crate::{clock::Clock, config::Settings, db, maintenance};

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let database = Database::open_migrated(settings).await?;
    let outcome = match db::pool(database.login.clone(), settings.pool()) {
        Ok(pool) => {
            let outcome = maintenance::run(&pool, &Clock::default()).await;
            pool.close();
            outcome
        }
        Err(error) => Err(error),
    };
    database.close().await;
    match outcome? {
        Some(1) => say("1 commission was due and is approved.\n"),
        Some(approved) => say(&format!("{approved} commissions were due and are approved.\n")),
        None => say("Another server is doing it at this moment.\n"),
    }
    Ok(())
}
