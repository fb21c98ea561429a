//! The data of the first start in development: two tenants, so that isolation can be seen, with twelve partners, 400 leads and a
//! year of commissions, payouts and credits.

use diesel_async::AsyncPgConnection;

use super::{Amounts, fill as fill_tenant, insert_staff};
use crate::{
    clock::Clock,
    error::{Error, Result},
    ids::{TenantId, UserId},
    keyring::Keyring,
    models::{
        calendar::TimeZone,
        people::tenant::{NewTenant, PartnerOnSignup, Tenant},
    },
};

/// The tenant that development tokens are for unless another is named.
pub const FIRST_TENANT: &str = "northwind";
/// The seed of the demo data.
pub const SEED: u64 = 1;

/// Slug, name, currency, what a sign-up makes, how much of everything.
const TENANTS: [(&str, &str, &str, PartnerOnSignup, Amounts); 2] = [
    (
        FIRST_TENANT,
        "Northwind Software",
        "USD",
        PartnerOnSignup::Pending,
        Amounts { partners: 8, leads: 280, invoices: 160, members: 40, clicks: 2400, pays_monthly: false, seed: SEED },
    ),
    (
        "kanto",
        "Kanto Robotics",
        "JPY",
        PartnerOnSignup::Active,
        Amounts { partners: 4, leads: 120, invoices: 60, members: 16, clicks: 800, pays_monthly: false, seed: SEED },
    ),
];

/// The `sub` of the owner of a tenant's n-th demo partner.
pub fn owner(tenant: &str, number: u32) -> String {
    super::rows::owner_subject(tenant, SEED, number)
}

/// The `sub` of somebody who acts for a demo partner of the first tenant beside its owner.
pub fn member() -> String {
    // The third partner is the first that has somebody beside its owner.
    super::rows::member_subject(FIRST_TENANT, SEED, 3, 1)
}

/// The `sub` of a tenant's demo operator.
pub fn operator(tenant: &str) -> String {
    format!("user_{tenant}_operator")
}

/// The `sub` of a tenant's demo billing system.
pub fn service(tenant: &str) -> String {
    format!("machine_{tenant}_billing")
}

/// Fills an empty database; `issuer` is the one whose tokens its tenants believe.
pub async fn fill(connection: &mut AsyncPgConnection, issuer: &str, keyring: &Keyring, clock: &Clock) -> Result<()> {
    for (slug, name, currency, partner_on_signup, amounts) in TENANTS {
        let new = NewTenant {
            id: TenantId::new(),
            slug,
            name,
            issuer,
            default_currency: currency,
            partner_on_signup,
            time_zone: TimeZone::UTC,
        };
        Tenant::insert(connection, &new).await?;
        fill_tenant(connection, Some(slug), amounts, keyring, clock, |_| ()).await?;
        let tenant = Tenant::all(connection).await?.into_iter().find(|tenant| tenant.slug == slug);
        let tenant = tenant.ok_or_else(|| Error::internal("a tenant was removed while it was filled"))?;
        for (subject, name) in [(operator(slug), "Olive Operator"), (service(slug), "Billing")] {
            insert_staff(connection, &tenant, UserId::new(), &subject, name).await?;
        }
    }
    Ok(())
}
