//! What an empty database is given: demo data in development, else the first tenant, of the configured issuer.

use diesel_async::{AsyncConnection, AsyncPgConnection};

use super::{Failure, database::Database};
use crate::{
    auth::development,
    clock::Clock,
    config::Settings,
    db::locks,
    error::Result,
    ids::TenantId,
    keyring::Keyring,
    models::{
        calendar::TimeZone,
        people::tenant::{NewTenant, PartnerOnSignup, Tenant},
    },
    seed::demo,
};

/// What it is given.
enum Gift<'a> {
    Demo { issuer: &'a str, keyring: &'a Keyring, clock: &'a Clock },
    FirstTenant { issuer: &'a str },
}

/// For a server: demo data where the database is embedded, else the first tenant.
pub async fn run(settings: &Settings, database: &Database, keyring: &Keyring, clock: &Clock) -> Result<(), Failure> {
    if settings.database_url.is_some() {
        return first_tenant_if_missing(settings, database).await;
    }
    let issuer = settings.issuer.first().map_or(development::ISSUER, |issuer| issuer.0.as_str());
    give(database, &Gift::Demo { issuer, keyring, clock }).await
}

/// The first tenant, where an issuer is configured; further clusters are given theirs by commands.
pub async fn first_tenant_if_missing(settings: &Settings, database: &Database) -> Result<(), Failure> {
    match settings.issuer.first().filter(|_| settings.is_main_cluster()) {
        Some(issuer) => give(database, &Gift::FirstTenant { issuer: &issuer.0 }).await,
        None => Ok(()),
    }
}

/// Gives it whole or not at all, and once, however many servers start together. A login that does not own the tables leaves it to
/// `partner-portal migrate`, which runs as their owner.
async fn give(database: &Database, gift: &Gift<'_>) -> Result<(), Failure> {
    let mut connection = database.connect().await?;
    if !Tenant::owns_table(&connection).await? {
        return Ok(());
    }
    let work = async |connection: &mut AsyncPgConnection| -> Result<()> {
        locks::lock(connection, locks::FIRST_START).await?;
        if !Tenant::all(connection).await?.is_empty() {
            return Ok(());
        }
        match *gift {
            Gift::Demo { issuer, keyring, clock } => {
                tracing::info!("filling in demo data: two tenants with a year of business, which takes a few seconds");
                demo::fill(connection, issuer, keyring, clock).await
            }
            Gift::FirstTenant { issuer } => first_tenant(connection, issuer).await,
        }
    };
    Ok(connection.transaction(work).await?)
}

async fn first_tenant(connection: &AsyncPgConnection, issuer: &str) -> Result<()> {
    let host = url::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let new = NewTenant {
        id: TenantId::new(),
        slug: "main",
        name: &host,
        issuer,
        default_currency: "USD",
        partner_on_signup: PartnerOnSignup::Pending,
        time_zone: TimeZone::UTC,
    };
    Tenant::insert(connection, &new).await?;
    tracing::info!(issuer, "the first tenant is made: `tenant set main` gives it its name and currency");
    Ok(())
}
