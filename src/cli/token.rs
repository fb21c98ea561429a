//! `partner-portal token`

use clap::{Args, ValueEnum};

use super::{Failure, database::Database, say};
use crate::{
    auth::development::{Bearer, DevelopmentIssuer},
    clock::Clock,
    config::Settings,
    ids::PartnerId,
    models::people::{partner_user, tenant::Tenant},
    seed::demo,
};

/// Whom the token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Someone who acts for a partner
    Partner,
    /// Staff of the tenant
    Operator,
    /// A back-end system of the tenant
    Service,
}

#[derive(Args)]
pub struct Arguments {
    /// Whom the token is for
    #[arg(long, value_enum, default_value = "partner")]
    role: Kind,
    /// The user (sub); a demo person of that role where it is not given
    #[arg(long)]
    user: Option<String>,
    /// The partner to act for, by its id: its organisation becomes the active one
    #[arg(long, value_name = "ID")]
    partner: Option<PartnerId>,
    /// The user's e-mail address, which the token says is verified
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The invite code with which the user signed up
    #[arg(long, value_name = "CODE")]
    invite_code: Option<String>,
    /// The tenant's slug
    #[arg(long, default_value = demo::FIRST_TENANT)]
    tenant: String,
    /// How long it is good for: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = duration)]
    expires_in: i64,
}

fn duration(text: &str) -> Result<i64, String> {
    let wrong = || "expected a number and s, m, h or d, such as 12h".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.parse::<i64>().ok().filter(|number| (1..=100_000).contains(number)).map(|number| number * seconds).ok_or_else(wrong)
}

/// The demo person of a role, or the named user.
pub fn bearer(kind: Kind, user: Option<String>, tenant: &str) -> Bearer {
    let (demo, role) = match kind {
        Kind::Partner => (demo::owner(tenant, 1), None),
        Kind::Operator => (demo::operator(tenant), Some("operator")),
        Kind::Service => (demo::service(tenant), Some("service")),
    };
    Bearer { subject: user.unwrap_or(demo), tenant: Some(tenant.to_owned()), role, ..Bearer::default() }
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), Failure> {
    if !settings.is_development() {
        return Err(Failure::new(
            "tokens are made in development only; with DATABASE_URL or CLERK_ISSUER set they come from your issuer",
        ));
    }
    let Arguments { role, user, partner, email, invite_code, tenant, expires_in } = arguments;
    let database = Database::open_existing(settings)
        .await
        .map_err(|Failure(why)| Failure(format!("nobody would believe this token: {why}")))?;
    let found = find(&database, &tenant, partner).await;
    database.close().await;
    let contact = found?;
    let named = user.is_some();
    let mut bearer = Bearer { email, invite_code, ..bearer(role, user, &tenant) };
    if let Some((partner, contact)) = contact {
        bearer.tenant = Some(contact.tenant);
        bearer.organization = contact.organization;
        if !named && role == Kind::Partner {
            bearer.subject = contact
                .subject
                .ok_or_else(|| Failure(format!("{partner} has nobody who acts for it; name somebody with --user")))?;
        }
    }
    let token = DevelopmentIssuer::open(&settings.data_dir)?.mint(&bearer, expires_in, &Clock::default())?;
    say(&format!("{token}\n"));
    Ok(())
}

/// Makes sure that somebody believes the token: the tenant, or the partner to act for, must be there.
async fn find(
    database: &Database,
    tenant: &str,
    partner: Option<PartnerId>,
) -> Result<Option<(PartnerId, partner_user::Contact)>, Failure> {
    let connection = database.connect_as_owner().await?;
    if let Some(partner) = partner {
        let contact = partner_user::contact(&connection, partner).await?;
        return contact.map(|contact| Some((partner, contact))).ok_or_else(|| Failure(format!("there is no partner {partner}")));
    }
    let tenants = Tenant::all(&connection).await?;
    if tenants.iter().any(|known| known.slug == tenant) {
        return Ok(None);
    }
    let known: Vec<&str> = tenants.iter().map(|known| known.slug.as_str()).collect();
    Err(Failure(format!("nobody would believe this token: there is no tenant {tenant:?}; there are {}", known.join(", "))))
}
