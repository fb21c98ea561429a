//! `partner-portal tenant`

use clap::{Args, Subcommand};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::AsyncPgConnection;
use rust_decimal::Decimal;

use super::{Failure, bar::bar, database::Database, each, say, tenant_host, tenant_move};
use crate::{
    auth::development,
    config::{Issuer, Settings},
    db::session::{Act, AuditActor},
    ids::TenantId,
    models::{
        calendar::TimeZone,
        people::tenant::{HOLD_DAYS, NewTenant, PartnerOnSignup, Tenant, TenantChanges, TenantSettings},
        programmes::host::is_host,
        scope::Scope,
        totals::{self, change_time_zone},
    },
    money::{decimal, minor_units},
    validation,
};

#[derive(Subcommand)]
pub enum Command {
    /// Add a tenant
    Add(AddArguments),
    /// List the tenants
    List,
    /// Change a tenant
    Set(SetArguments),
    /// Add, list or remove hosts of a tenant's own that its links are on
    #[command(subcommand)]
    Host(tenant_host::Command),
    /// Move a tenant to another database cluster while it is in use
    Move(tenant_move::Arguments),
}

#[derive(Args)]
pub struct AddArguments {
    /// Its name in tokens and commands: lower-case letters, digits and inner dashes
    #[arg(value_parser = slug)]
    slug: String,
    /// Its name
    #[arg(long, value_parser = name)]
    name: String,
    /// The issuer of its tokens; the configured one where it is not given
    #[arg(long = "tenant-issuer", value_name = "URL")]
    issuer: Option<Issuer>,
    /// The currency of its amounts (ISO 4217)
    #[arg(long, default_value = "USD", value_parser = currency)]
    currency: String,
    /// What a first sign-in makes: none, or a partner that is pending or active
    #[arg(long, default_value = "pending")]
    partner_on_signup: PartnerOnSignup,
    /// The time zone by which its days and months begin (IANA): Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: TimeZone,
}

#[derive(Args)]
pub struct SetArguments {
    /// The tenant's slug
    slug: String,
    /// Its name
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The issuer of its tokens
    #[arg(long = "tenant-issuer", value_name = "URL")]
    issuer: Option<Issuer>,
    /// The currency of its amounts (ISO 4217). Amounts that are there keep theirs; the minimum payout is none until it is set anew
    #[arg(long, value_parser = currency)]
    currency: Option<String>,
    /// What a first sign-in makes: none, or a partner that is pending or active
    #[arg(long)]
    partner_on_signup: Option<PartnerOnSignup>,
    /// How many days an invoice's commission stays pending: 0, 7, 14, 30, 60 or 90
    #[arg(long, value_parser = hold_days)]
    hold_days: Option<i32>,
    /// The least that is paid out at once, in the tenant's currency
    #[arg(long, value_parser = minimum_payout)]
    minimum_payout: Option<Decimal>,
    /// The page on which people sign up, to which invite links lead; empty for none
    #[arg(long, value_name = "URL", value_parser = sign_up_url)]
    sign_up_url: Option<SignUpUrl>,
    /// The time zone by which its days and months begin (IANA): Europe/Berlin. All totals are written anew; bookings of the tenant wait
    /// meanwhile, as long as a request may take
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<TimeZone>,
}

fn slug(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = (1..=63).contains(&text.len()) && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if good { Ok(text.to_owned()) } else { Err("expected 1 to 63 lower-case letters, digits and inner dashes".to_owned()) }
}

fn name(text: &str) -> Result<String, String> {
    validation::line(text, 200).map_err(|wrong| wrong.message)
}

/// The address of a sign-up page, or none.
#[derive(Clone)]
struct SignUpUrl(Option<String>);

fn sign_up_url(text: &str) -> Result<SignUpUrl, String> {
    if text.is_empty() {
        return Ok(SignUpUrl(None));
    }
    let url =
        url::Url::parse(text).map_err(|error| format!("expected an address such as https://www.example.com/sign-up: {error}"))?;
    if !matches!(url.scheme(), "http" | "https")
        || url.host_str().is_none()
        || !url.username().is_empty()
        || url.as_str().len() > 2_000
    {
        return Err("expected an address that begins with https:// or http://, without a user".to_owned());
    }
    Ok(SignUpUrl(Some(url.into())))
}

fn hold_days(text: &str) -> Result<i32, String> {
    text.parse().ok().filter(|days| HOLD_DAYS.contains(days)).ok_or_else(|| "expected 0, 7, 14, 30, 60 or 90".to_owned())
}

fn minimum_payout(text: &str) -> Result<Decimal, String> {
    let amount = decimal(text).ok_or("expected an amount such as 50.00")?;
    validation::amount(amount, 4).map_err(|wrong| wrong.message)
}

/// The least that is paid out: in the tenant's minor units, and nothing where the currency changes and it is not said anew.
fn minimum(tenant: &Tenant, arguments: &SetArguments) -> Result<Option<Decimal>, Failure> {
    let code = arguments.currency.as_deref().unwrap_or(&tenant.default_currency);
    let digits = iso_currency::Currency::from_code(code).map_or(4, minor_units);
    match arguments.minimum_payout {
        Some(amount) => {
            validation::amount(amount, digits).map(Some).map_err(|wrong| Failure(format!("--minimum-payout: {}", wrong.message)))
        }
        None => Ok((code != tenant.default_currency).then_some(Decimal::ZERO)),
    }
}

fn currency(text: &str) -> Result<String, String> {
    let known = iso_currency::Currency::from_code(text).ok_or("expected an ISO 4217 code such as USD")?;
    Ok(known.code().to_owned())
}

pub async fn run(settings: &Settings, clusters: &[(String, Settings)], command: Command) -> Result<(), Failure> {
    // Where none is named, that of DATABASE_URL.
    let [(name, one), ..] = clusters else { return Err(Failure::new("there is no cluster")) };
    match command {
        Command::Add(arguments) => {
            let slug = &arguments.slug;
            let is_taken = async |connection: &AsyncPgConnection| Ok(Tenant::is_name_taken(connection, slug).await?);
            check_others(settings, name, is_taken, &format!("a tenant {slug:?}")).await?;
            let database = Database::open_migrated(one).await?;
            on(database, "tenant add", async |connection| add(connection, settings, arguments).await).await
        }
        Command::List => {
            let list_of = async |settings: &Settings| on(Database::open_existing(settings).await?, "tenant list", list).await;
            each(clusters, list_of).await
        }
        Command::Set(arguments) => {
            let database = Database::open_existing(one).await?;
            on(database, "tenant set", async |connection| set(connection, arguments).await).await
        }
        Command::Host(command) => {
            if let Some(host) = command.added() {
                let is_taken = async |connection: &AsyncPgConnection| Ok(is_host(connection, host).await?);
                check_others(settings, name, is_taken, &format!("the host {host}")).await?;
            }
            let database = Database::open_existing(one).await?;
            on(database, "tenant host", async |connection| tenant_host::run(connection, settings, command).await).await
        }
        Command::Move(arguments) => tenant_move::run(&settings.all_clusters(), &arguments).await,
    }
}

/// Works with a database as the owner of its tables, under a name for the audit trail.
async fn on(
    database: Database,
    name: &str,
    work: impl AsyncFnOnce(&AsyncPgConnection) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let outcome = match database.connect_as_owner().await {
        Ok(connection) => {
            Act::new(AuditActor::Command, name).announce_for_connection(&connection).await?;
            work(&connection).await
        }
        Err(failure) => Err(failure),
    };
    database.close().await;
    outcome
}

/// Refuses what another cluster has, or what is being moved there: a tenant of that name, by which tokens name it, or a host.
async fn check_others(
    settings: &Settings,
    name: &str,
    is_taken: impl AsyncFn(&AsyncPgConnection) -> Result<bool, Failure>,
    what: &str,
) -> Result<(), Failure> {
    for (other, settings) in settings.all_clusters().into_iter().filter(|(other, _)| other != name) {
        let database = Database::open_existing(&settings).await.map_err(|Failure(text)| Failure(format!("{other}: {text}")))?;
        if is_taken(&database.connect_as_owner().await?).await? {
            return Err(Failure(format!("{what} is on {other} already")));
        }
    }
    Ok(())
}

async fn add(connection: &AsyncPgConnection, settings: &Settings, arguments: AddArguments) -> Result<(), Failure> {
    let issuer = match (&arguments.issuer, settings.issuer.as_slice()) {
        (Some(issuer), _) | (None, [issuer]) => issuer.0.as_str(),
        (None, []) if settings.is_development() => development::ISSUER,
        (None, _) => return Err(Failure::new("--tenant-issuer is needed: CLERK_ISSUER does not name exactly one")),
    };
    let new = NewTenant {
        id: TenantId::new(),
        slug: &arguments.slug,
        name: &arguments.name,
        issuer,
        default_currency: &arguments.currency,
        partner_on_signup: arguments.partner_on_signup,
        time_zone: arguments.time_zone,
    };
    check_time_zone(connection, new.time_zone).await?;
    if Tenant::is_name_taken(connection, &arguments.slug).await? {
        return Err(Failure(format!("there is a tenant {:?} already; `tenant set` changes it", arguments.slug)));
    }
    match Tenant::insert(connection, &new).await {
        Ok(()) => say(&format!("{} is added as {}.\n", arguments.slug, new.id)),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            return Err(Failure(format!("there is a tenant {:?} already; `tenant set` changes it", arguments.slug)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn list(connection: &AsyncPgConnection) -> Result<(), Failure> {
    for tenant in Tenant::all(connection).await? {
        let settings = TenantSettings::by_tenants(connection, Scope::tenant(tenant.id), &[tenant.id]).await?;
        let (days, least) =
            settings.get(&tenant.id).map_or((0, Decimal::ZERO), |it| (it.commission_hold_days, it.minimum_payout));
        let Tenant { id, slug, name, issuer, default_currency, partner_on_signup, time_zone, .. } = tenant;
        let (on_signup, least) = (partner_on_signup.as_str(), least.normalize());
        say(&format!(
            "{slug}\t{name}\t{default_currency}\tsign-up: {on_signup}\thold: {days} days\tminimum payout: {least}\t{issuer}\t{id}\ttime zone: {time_zone}\n"
        ));
    }
    Ok(())
}

/// A zone that PostgreSQL does not know is none of its time zone database, which may be an older one.
async fn check_time_zone(connection: &AsyncPgConnection, zone: TimeZone) -> Result<(), Failure> {
    if totals::knows(connection, zone).await? {
        return Ok(());
    }
    Err(Failure(format!(
        "--time-zone: PostgreSQL does not know {zone}; `SELECT name FROM pg_timezone_names` shows what it knows"
    )))
}

async fn set(connection: &AsyncPgConnection, arguments: SetArguments) -> Result<(), Failure> {
    let known = Tenant::all(connection).await?.into_iter().find(|tenant| tenant.slug == arguments.slug);
    let minimum_payout = known.as_ref().map_or(Ok(None), |tenant| minimum(tenant, &arguments))?;
    let zone = arguments.time_zone;
    if let Some(zone) = zone {
        check_time_zone(connection, zone).await?;
    }
    let changes = TenantChanges {
        name: arguments.name.as_deref(),
        issuer: arguments.issuer.as_ref().map(|issuer| issuer.0.as_str()),
        default_currency: arguments.currency.as_deref(),
        partner_on_signup: arguments.partner_on_signup,
        commission_hold_days: arguments.hold_days,
        minimum_payout,
        sign_up_url: arguments.sign_up_url.as_ref().map(|url| url.0.as_deref()),
    };
    if changes.is_empty() && zone.is_none() {
        return Err(Failure::new(
            "nothing to change: give --name, --tenant-issuer, --currency, --partner-on-signup, --hold-days, --minimum-payout, --sign-up-url or --time-zone",
        ));
    }
    let Some(tenant) = known else {
        return Err(Failure(format!("there is no tenant {:?}; `tenant list` shows them", arguments.slug)));
    };
    // First what may take long, and fail: nothing is half done then.
    if let Some(zone) = zone.filter(|&zone| zone != tenant.time_zone) {
        let bar = bar(0, "partners");
        let progress = |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        change_time_zone(connection, tenant.id, zone, progress).await?;
        bar.finish_and_clear();
    }
    if !changes.is_empty() {
        Tenant::update(connection, &arguments.slug, &changes).await?;
    }
    say(&format!("{} is changed.\n", arguments.slug));
    Ok(())
}
