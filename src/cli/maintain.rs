//! `partner-portal maintain`

use super::{Failure, database::Database, say};
use crate::{
    clock::Clock,
    config::Settings,
    db,
    maintenance::{self, Done},
};

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
    let Some(Done { approved, expired }) = outcome? else {
        say("Another server is doing it at this moment.\n");
        return Ok(());
    };
    match approved {
        1 => say("1 commission was due and is approved.\n"),
        _ => say(&format!("{approved} commissions were due and are approved.\n")),
    }
    match expired {
        1 => say("1 credit was past its time and is expired.\n"),
        _ => say(&format!("{expired} credits were past their time and are expired.\n")),
    }
    Ok(())
}
