//! `partner-portal seed`

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    Failure,
    database::{self, Database},
    say,
};
use crate::{
    clock::Clock,
    config::Settings,
    seed::{self, Amounts},
};

#[derive(Args)]
pub struct Arguments {
    /// How many partners
    #[arg(long, default_value_t = 12)]
    partners: u32,
    /// How many leads, over the past year
    #[arg(long, default_value_t = 400)]
    leads: u32,
    /// The same number makes the same data; a second run with it changes nothing
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The tenant's slug; the first one where it is not given
    #[arg(long)]
    tenant: Option<String>,
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), Failure> {
    let keyring = database::keyring(settings)?;
    let database = Database::open_migrated(settings).await?;
    let bar = ProgressBar::new(u64::from(arguments.partners) + u64::from(arguments.leads));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left")?);
    let amounts = Amounts { partners: arguments.partners, leads: arguments.leads, seed: arguments.seed };
    let outcome = match database.connect().await {
        Ok(mut connection) => {
            seed::fill(&mut connection, arguments.tenant.as_deref(), amounts, &keyring, &Clock::default(), |rows| bar.inc(rows))
                .await
                .map_err(Failure::from)
        }
        Err(failure) => Err(failure),
    };
    bar.finish_and_clear();
    database.close().await;
    let filled = outcome?;
    say(&format!("{} has {} more partners and {} more leads.\n", filled.tenant, filled.partners, filled.leads));
    Ok(())
}
