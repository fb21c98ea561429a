//! Made-up data: believable, and the same every time for the same seed. Inserted in bulk, as the tables' owner.

mod affiliates;
mod books;
mod credits;
pub mod demo;
mod link_sales;
mod links;
mod names;
mod rows;

use chrono::SubsecRound;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use self::{
    affiliates::AffiliateYear,
    books::Year,
    credits::CreditYear,
    link_sales::LinkSales,
    links::LinkYear,
    rows::{Generator, LeadRows, PartnerRows},
};
use crate::{
    clock::Clock,
    db::schema::{lead_status_changes, partner_leads, partner_profiles, partner_users, partners, users},
    error::{Error, Result},
    ids::UserId,
    keyring::Keyring,
    models::people::tenant::Tenant,
};

/// Rows in one statement. PostgreSQL takes 65,535 values in one; the widest row here has 17.
const CHUNK: usize = 1_000;

/// How much to make.
#[derive(Debug, Clone, Copy)]
pub struct Amounts {
    /// Partners, each with its people and its profile.
    pub partners: u32,
    /// Leads, spread over them and over the past year.
    pub leads: u32,
    /// Invoices, spread over the customers of the partners and over the past year; with them come refunds and payouts.
    pub invoices: u32,
    /// Members, spread over the partners; with them come grants, assignments and the use of credits.
    pub members: u32,
    /// Clicks on the partners' links, spread over the past year.
    pub clicks: u32,
    /// Whether payouts are made every month; otherwise by the quarter at first.
    pub pays_monthly: bool,
    /// The same number makes the same data.
    pub seed: u64,
}

/// What was added: what was there already is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The tenant's slug.
    pub tenant: String,
    /// Partners.
    pub partners: usize,
    /// Leads.
    pub leads: usize,
    /// Commissions.
    pub commissions: usize,
    /// Payouts.
    pub payouts: usize,
    /// Members.
    pub members: usize,
    /// Links.
    pub links: usize,
    /// Clicks on them.
    pub clicks: usize,
    /// Customers who signed up by them.
    pub sign_ups: usize,
}

/// How far the filling has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So much more is to be done than was known of: rows and bookings.
    Planned(usize),
    /// So much is done.
    Done(usize),
}

/// Fills the tenant of that slug, or the one that was made first.
pub async fn fill(
    connection: &mut AsyncPgConnection,
    tenant: Option<&str>,
    amounts: Amounts,
    keyring: &Keyring,
    clock: &Clock,
    progress: impl Fn(Progress),
) -> Result<Filled> {
    // No subscription is open on made-up rows.
    connection.batch_execute("SET app.events = 'off'").await?;
    let tenant = find_tenant(connection, tenant).await?;
    let mut generator = Generator::new(&tenant, amounts.seed, clock.now())?;
    let partners = (1..=amounts.partners).map(|number| generator.partner(number, keyring)).collect::<Result<Vec<_>>>()?;
    progress(Progress::Planned(partners.len() + usize::try_from(amounts.leads).unwrap_or(0)));
    let mut filled = Filled {
        tenant: tenant.slug.clone(),
        partners: 0,
        leads: 0,
        commissions: 0,
        payouts: 0,
        members: 0,
        links: 0,
        clicks: 0,
        sign_ups: 0,
    };
    for chunk in partners.chunks(CHUNK) {
        filled.partners += connection.transaction(async |connection| insert_partners(connection, chunk).await).await?;
        progress(Progress::Done(chunk.len()));
    }
    if partners.is_empty() {
        return Ok(filled);
    }
    filled.leads = fill_leads(connection, &mut generator, &partners, amounts.leads, &progress).await?;
    // The planner learns of the rows so far before many statements are made of them.
    diesel::sql_query("ANALYZE").execute(connection).await?;
    let ids: Vec<_> = partners.iter().map(PartnerRows::id).collect();
    let now = clock.now().trunc_subsecs(6);
    // What came of links is paid out with the rest of the year.
    let year = LinkYear { tenant: tenant.id, partners: &ids, clicks: amounts.clicks, seed: amounts.seed, now };
    let (links, clicks) = year.book(connection, &progress).await?;
    let sales = LinkSales { tenant: tenant.id, currency: generator.currency(), seed: amounts.seed, now };
    let sold = sales.book(connection, &clicks, &progress).await?;
    (filled.links, filled.clicks, filled.sign_ups) = (links, clicks.len(), sold.sign_ups);
    let year = Year {
        tenant: tenant.id,
        currency: generator.currency(),
        partners: &ids,
        invoices: amounts.invoices,
        pays_monthly: amounts.pays_monthly,
        seed: amounts.seed,
        now,
    };
    let booked = year.book(connection, &progress).await?;
    (filled.commissions, filled.payouts) = (sold.commissions + booked.commissions, booked.payouts);
    let year = AffiliateYear { tenant: tenant.id, slug: &tenant.slug, currency: generator.currency(), seed: amounts.seed, now };
    year.book(connection, &progress).await?;
    let year = CreditYear { tenant: tenant.id, partners: &ids, members: amounts.members, seed: amounts.seed, now };
    filled.members = year.book(connection, &progress).await?;
    // The planner learns of the new rows now rather than when autovacuum comes by.
    diesel::sql_query("ANALYZE").execute(connection).await?;
    Ok(filled)
}

/// The tenant of that slug, or the one that was made first.
async fn find_tenant(connection: &AsyncPgConnection, slug: Option<&str>) -> Result<Tenant> {
    let named = Tenant::all(connection).await?.into_iter().filter(|known| slug.is_none_or(|slug| known.slug == slug));
    // Ids sort by the time they were made at.
    named.min_by_key(|known| known.id).ok_or_else(|| {
        Error::NotFound(match slug {
            Some(slug) => format!("there is no tenant {slug:?}; `partner-portal tenant list` shows them"),
            None => "there is no tenant yet; `partner-portal tenant add` makes one".to_owned(),
        })
    })
}

/// Adds leads of these partners, some in each transaction; gives how many.
async fn fill_leads(
    connection: &mut AsyncPgConnection,
    generator: &mut Generator<'_>,
    partners: &[PartnerRows],
    count: u32,
    progress: &impl Fn(Progress),
) -> Result<usize> {
    let (mut left, mut inserted) = (usize::try_from(count).unwrap_or(usize::MAX), 0);
    while left > 0 {
        let leads: Vec<LeadRows> = (0..left.min(CHUNK)).map(|_| generator.lead(partners)).collect();
        inserted += connection.transaction(async |connection| insert_leads(connection, &leads).await).await?;
        progress(Progress::Done(leads.len()));
        left -= leads.len();
    }
    Ok(inserted)
}

async fn insert_partners(connection: &mut AsyncPgConnection, chunk: &[PartnerRows]) -> QueryResult<usize> {
    let rows: Vec<_> = chunk.iter().map(|rows| &rows.partner).collect();
    let inserted = diesel::insert_into(partners::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<_> = chunk.iter().map(|rows| &rows.profile).collect();
    diesel::insert_into(partner_profiles::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<_> = chunk.iter().flat_map(|rows| &rows.users).collect();
    diesel::insert_into(users::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<_> = chunk.iter().flat_map(|rows| &rows.memberships).collect();
    diesel::insert_into(partner_users::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    Ok(inserted)
}

async fn insert_leads(connection: &mut AsyncPgConnection, chunk: &[LeadRows]) -> QueryResult<usize> {
    let rows: Vec<_> = chunk.iter().map(|rows| &rows.lead).collect();
    let inserted = diesel::insert_into(partner_leads::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    let rows: Vec<_> = chunk.iter().flat_map(|rows| &rows.steps).collect();
    diesel::insert_into(lead_status_changes::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    Ok(inserted)
}

/// Adds a person who acts for no partner.
async fn insert_staff(
    connection: &mut AsyncPgConnection,
    tenant: &Tenant,
    id: UserId,
    subject: &str,
    name: &str,
) -> QueryResult<()> {
    diesel::insert_into(users::table)
        .values((users::tenant_id.eq(tenant.id), users::id.eq(id), users::clerk_user_id.eq(subject), users::name.eq(name)))
        .on_conflict_do_nothing()
        .execute(connection)
        .await
        .map(drop)
}
