//! `partner-portal maintain`

use chrono::TimeDelta;

use super::{Failure, database::Database, say};
use crate::{
    clock::Clock,
    config::Settings,
    db,
    jobs::{self, Done},
};

pub async fn run(settings: &Settings) -> Result<(), Failure> {
    let database = Database::open_existing(settings).await?;
    let outcome = match db::Pool::new(database.login.clone(), settings.pool()) {
        Ok(pool) => {
            let clock = Clock::default();
            let kept = clock.now() - TimeDelta::days(i64::from(settings.event_days));
            let outcome = async {
                jobs::forget_events(&pool, kept).await?;
                jobs::keep_clicks(&pool, &clock, clock.now() - TimeDelta::days(i64::from(settings.click_days))).await?;
                jobs::run(&pool, &clock).await
            };
            let outcome = outcome.await;
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
