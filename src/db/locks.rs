//! Advisory locks: PostgreSQL's locks of things that are not rows. Each is held until the transaction ends, but for that of migrations, which the connection holds.
//!
//! Their keys are numbers, the same in every version. All that the server takes are listed here, but for those of partners' books and users' wallets
//! ([`crate::models::ledger::books`]) and that of an import ([`crate::models::imports::run`]), which the connection holds too. Functions of the database take
//! 1953391220 (a share of a tenant's totals), 1953391224 (a tenant that is moved; 1953391225 is the move itself) and x'706f7274616c0005' to '0007' (events, clicks, imports).

use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::{
    Connection, QueryResult,
    statement::{Bind, statement},
};
use crate::ids::TenantId;

/// Only one server migrates.
pub const MIGRATING: i64 = 0x7061_7274_6e65_7201;
/// Only one server fills an empty database.
pub const FIRST_START: i64 = 0x7061_7274_6e65_7202;
/// Only one server runs the jobs.
pub const JOBS: i64 = 0x706f_7274_616c_0003;

/// What of a tenant is locked as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum OfTenant {
    /// Its totals. Transactions that change them hold it shared (`tenant_time_zone()`); writing them all anew holds it exclusively.
    Totals = 1_953_391_221,
    /// Its referrals: two that are decided at the same instant could close a circle.
    Referrals = 1_953_391_222,
    /// Its affiliate terms. Transactions that book by them hold it shared; changing them holds it exclusively.
    Terms = 1_953_391_223,
}

/// Things that are locked by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A user of the sign-in service, and their memberships.
    Directory,
    /// People of a tenant: one is erased after the other.
    ErasePerson,
    /// Invitations of a partner.
    Invitations,
    /// A link's key.
    Link,
    /// A payment or an invoice of the payment service: payments before invoices.
    Processor,
    /// The endpoints of a tenant, which are counted.
    WebhookEndpoints,
    /// The sources of a tenant, which are counted.
    WebhookSources,
}

impl Named {
    const fn word(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::ErasePerson => "erase_person",
            Self::Invitations => "invitations",
            Self::Link => "link",
            Self::Processor => "processor",
            Self::WebhookEndpoints => "webhook_endpoints",
            Self::WebhookSources => "webhook_sources",
        }
    }
}

/// Waits until nobody else holds the lock of that number.
pub async fn lock(mut connection: &Connection, number: i64) -> QueryResult<()> {
    let lock = statement::<Text>("SELECT pg_advisory_xact_lock(?)::text", vec![Bind::BigInt(number)]);
    lock.execute(&mut connection).await.map(drop)
}

/// Takes the lock of that number, unless another transaction holds it; gives whether it did.
pub async fn try_lock(mut connection: &Connection, number: i64) -> QueryResult<bool> {
    let lock = statement::<Bool>("SELECT pg_try_advisory_xact_lock(?)", vec![Bind::BigInt(number)]);
    lock.get_result(&mut connection).await
}

/// Waits until nobody else holds that lock of a tenant.
pub async fn lock_of_tenant(connection: &Connection, what: OfTenant, tenant: TenantId) -> QueryResult<()> {
    take_of_tenant(connection, "pg_advisory_xact_lock", what, tenant).await
}

/// Waits until nobody holds that lock of a tenant alone, and shares it.
pub async fn share_of_tenant(connection: &Connection, what: OfTenant, tenant: TenantId) -> QueryResult<()> {
    take_of_tenant(connection, "pg_advisory_xact_lock_shared", what, tenant).await
}

async fn take_of_tenant(mut connection: &Connection, function: &str, what: OfTenant, tenant: TenantId) -> QueryResult<()> {
    let lock = statement::<Text>(
        format!("SELECT {function}({}, hashtext(?::text))::text", what as i32),
        vec![Bind::Uuid(tenant.uuid())],
    );
    lock.execute(&mut connection).await.map(drop)
}

/// Waits until nobody else holds the locks of these names, in their order, so that two transactions that take several cannot deadlock.
pub async fn lock_names(mut connection: &Connection, what: Named, mut names: Vec<String>) -> QueryResult<()> {
    if names.is_empty() {
        return Ok(());
    }
    names.sort_unstable();
    let sql = "SELECT max(pg_advisory_xact_lock(hashtextextended(? || ' ' || name, 0))::text) FROM unnest(?) AS name";
    let lock = statement::<Nullable<Text>>(sql, vec![Bind::text(what.word()), Bind::Texts(names)]);
    lock.execute(&mut connection).await.map(drop)
}
