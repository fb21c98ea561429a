//! `partner-portal seed`

use clap::Args;

use super::{
    Failure,
    bar::bar,
    database::{self, Database},
    first_start, say,
};
use crate::{
    clock::Clock,
    config::Settings,
    keyring::Keyring,
    seed::{self, Amounts, Filled, Progress},
};

#[derive(Args)]
pub struct Arguments {
    /// How many partners
    #[arg(long, default_value_t = 12)]
    partners: u32,
    /// How many leads, over the past year
    #[arg(long, default_value_t = 400)]
    leads: u32,
    /// How many invoices of the partners' customers, over the past year
    #[arg(long, default_value_t = 600)]
    invoices: u32,
    /// How many members, with a year of their credits
    #[arg(long, default_value_t = 60)]
    members: u32,
    /// How many clicks on the partners' links, over the past year
    #[arg(long, default_value_t = 3000)]
    clicks: u32,
    /// Make payouts every month, and not by the quarter at first
    #[arg(long)]
    monthly_payouts: bool,
    /// The same number makes the same data; a second run with it changes nothing. The demo data's is 1
    #[arg(long, default_value_t = 2)]
    seed: u64,
    /// The tenant's slug; the one that was made first where it is not given
    #[arg(long)]
    tenant: Option<String>,
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), Failure> {
    let keyring = database::keyring(settings)?;
    let database = Database::open_migrated(settings).await?;
    let outcome = fill(settings, &database, &keyring, &arguments).await;
    database.close().await;
    let filled = outcome?;
    let Filled { tenant, partners, leads, commissions, payouts, members, links, clicks, sign_ups } = filled;
    say(&format!(
        "{tenant} has {partners} more partners, {leads} more leads, {commissions} more commissions, {payouts} more payouts, {members} more members and {links} more links with {clicks} clicks and {sign_ups} sign-ups by them.\n"
    ));
    Ok(())
}

async fn fill(settings: &Settings, database: &Database, keyring: &Keyring, arguments: &Arguments) -> Result<Filled, Failure> {
    let clock = Clock::default();
    // On an empty embedded database there is no tenant to fill yet.
    first_start::run(settings, database, keyring, &clock).await?;
    let bar = bar(0, "rows and bookings");
    let amounts = Amounts {
        partners: arguments.partners,
        leads: arguments.leads,
        invoices: arguments.invoices,
        members: arguments.members,
        clicks: arguments.clicks,
        pays_monthly: arguments.monthly_payouts,
        seed: arguments.seed,
    };
    let mut connection = database.connect_as_owner().await?;
    let show = |progress| match progress {
        Progress::Planned(more) => bar.inc_length(more as u64),
        Progress::Done(rows) => bar.inc(rows as u64),
    };
    let filled = seed::fill(&mut connection, arguments.tenant.as_deref(), amounts, keyring, &clock, show).await;
    bar.finish_and_clear();
    Ok(filled?)
}
