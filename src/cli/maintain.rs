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
    let clock = Clock::default();
    let rates = settings.rates(&clock).map_err(Failure)?;
    let database = Database::open_existing(settings).await?;
    let outcome = match db::Pool::new(database.login.clone(), settings.pool()) {
        Ok(pool) => {
            let kept = clock.now() - TimeDelta::days(i64::from(settings.event_days));
            let outcome = async {
                jobs::forget_events(&pool, kept).await?;
                jobs::keep_clicks(&pool, &clock, clock.now() - TimeDelta::days(i64::from(settings.click_days))).await?;
                let done = jobs::run(&pool, &clock).await?;
                Ok((done, jobs::ask_for_rates(&pool, &clock, &rates).await?))
            };
            let outcome = outcome.await;
            pool.close();
            outcome
        }
        Err(error) => Err(error),
    };
    database.close().await;
    let (approvals, with_rates) = outcome?;
    if rates.is_set() {
        match with_rates {
            1 => say("1 programme has a rate of the commission-rate service.\n"),
            _ => say(&format!("{with_rates} programmes have rates of the commission-rate service.\n")),
        }
    }
    let Some(Done { approved, expired, released }) = approvals else {
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
    match released {
        0 => {}
        1 => say("1 reward was due and can be taken out.\n"),
        _ => say(&format!("{released} rewards were due and can be taken out.\n")),
    }
    Ok(())
}
