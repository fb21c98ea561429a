//! Tenants: the companies that run a partner programme. Changed from the command line; operators change how theirs pays.

use std::collections::HashMap;

use diesel::{prelude::*, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    db::{
        schema::tenants,
        statement::{Bind, statement},
    },
    ids::TenantId,
    models::{calendar::TimeZone, scope::Scope},
};

crate::pg_enum! {
    /// What a person who signs in for the first time gets.
    pub enum PartnerOnSignup {
        /// No partner; somebody must invite them.
        None = "none",
        /// A partner of their own that an operator must approve.
        Pending = "pending",
        /// A partner of their own that may work at once.
        Active = "active",
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = tenants)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name in tokens and on the command line.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The `iss` claim of its tokens.
    pub issuer: String,
    /// The currency of its amounts where none is named (ISO 4217).
    pub default_currency: String,
    /// The commission rate of a partner that a sign-up makes, as a fraction.
    pub default_commission_rate: Decimal,
    /// What a first sign-in makes.
    pub partner_on_signup: PartnerOnSignup,
    /// By which its days and months begin.
    pub time_zone: TimeZone,
}

/// A tenant to be added.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = tenants)]
pub struct NewTenant<'a> {
    /// Its id.
    pub id: TenantId,
    /// Its slug: lower-case letters, digits and inner dashes.
    pub slug: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The `iss` claim of its tokens.
    pub issuer: &'a str,
    /// Its currency.
    pub default_currency: &'a str,
    /// What a first sign-in makes.
    pub partner_on_signup: PartnerOnSignup,
    /// By which its days and months begin.
    pub time_zone: TimeZone,
}

/// What to change of a tenant; `None` stays as it is.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = tenants)]
pub struct TenantChanges<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// The `iss` claim of its tokens.
    pub issuer: Option<&'a str>,
    /// Its currency.
    pub default_currency: Option<&'a str>,
    /// What a first sign-in makes.
    pub partner_on_signup: Option<PartnerOnSignup>,
    /// How long commissions are held, in days.
    pub commission_hold_days: Option<i32>,
    /// The least that is paid out at once.
    pub minimum_payout: Option<Decimal>,
    /// The page on which people sign up; `Some(None)` for none any more.
    pub sign_up_url: Option<Option<&'a str>>,
}

impl TenantChanges<'_> {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        let Self { name, issuer, default_currency, partner_on_signup, commission_hold_days, minimum_payout, sign_up_url } = self;
        name.is_none()
            && issuer.is_none()
            && default_currency.is_none()
            && partner_on_signup.is_none()
            && commission_hold_days.is_none()
            && minimum_payout.is_none()
            && sign_up_url.is_none()
    }
}

/// How long commissions can be held, in days.
pub const HOLD_DAYS: [i32; 6] = [0, 7, 14, 30, 60, 90];

/// What operators can set of how their tenant pays.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = tenants)]
pub struct TenantSettings {
    /// Whose.
    pub id: TenantId,
    /// The currency of `minimum_payout` (ISO 4217).
    pub default_currency: String,
    /// How long an invoice's commission stays pending, in days: one of [`HOLD_DAYS`].
    pub commission_hold_days: i32,
    /// The least that is paid out at once.
    pub minimum_payout: Decimal,
    /// The page on which people sign up, to which invite links lead.
    pub sign_up_url: Option<String>,
}

impl TenantSettings {
    /// The settings of the tenant in scope.
    pub async fn by_tenants(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[TenantId],
    ) -> QueryResult<HashMap<TenantId, Self>> {
        let rows =
            Self::query().filter(tenants::id.eq(scope.tenant)).filter(tenants::id.eq_any(ids)).load(&mut connection).await?;
        Ok(rows.into_iter().map(|row: Self| (row.id, row)).collect())
    }

    /// The least that the tenant pays out at once in a currency: its minimum in its own, and whatever there is in others.
    pub async fn minimum_payout(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        currency: Currency,
    ) -> QueryResult<Decimal> {
        let settings: Self = Self::query().filter(tenants::id.eq(tenant)).first(&mut connection).await?;
        Ok(if settings.default_currency == currency.code() { settings.minimum_payout } else { Decimal::ZERO })
    }

    /// Changes the settings; whether anything was not so already.
    pub async fn update(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        commission_hold_days: Option<i32>,
        minimum_payout: Option<Decimal>,
    ) -> QueryResult<bool> {
        let before: Self = Self::query().filter(tenants::id.eq(tenant)).for_no_key_update().first(&mut connection).await?;
        let has_changes = commission_hold_days.is_some_and(|days| days != before.commission_hold_days)
            || minimum_payout.is_some_and(|amount| amount != before.minimum_payout);
        if !has_changes {
            return Ok(false);
        }
        diesel::update(tenants::table.filter(tenants::id.eq(tenant)))
            .set((
                commission_hold_days.map(|days| tenants::commission_hold_days.eq(days)),
                minimum_payout.map(|amount| tenants::minimum_payout.eq(amount)),
                tenants::updated_at.eq(diesel::dsl::now),
            ))
            .execute(&mut connection)
            .await
            .map(|_| true)
    }
}

impl Tenant {
    /// Those of `ids` that are in scope: a caller sees its own tenant.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[TenantId],
    ) -> QueryResult<HashMap<TenantId, Self>> {
        let rows =
            Self::query().filter(tenants::id.eq(scope.tenant)).filter(tenants::id.eq_any(ids)).load(&mut connection).await?;
        Ok(rows.into_iter().map(|row: Self| (row.id, row)).collect())
    }

    /// All tenants, by slug; for the command line.
    pub async fn all(mut connection: &AsyncPgConnection) -> QueryResult<Vec<Self>> {
        Self::query().order(tenants::slug).load(&mut connection).await
    }

    /// Whether the connection's login owns the table, and so may change it.
    pub async fn owns_table(mut connection: &AsyncPgConnection) -> QueryResult<bool> {
        // Asked of the catalogue: a login without any right on the schema cannot even name the table.
        let text = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'tenants' \
                    AND pg_has_role(tableowner, 'USAGE'))";
        statement::<Bool>(text, vec![]).get_result(&mut connection).await
    }

    /// Whether a tenant of that name is here, or is being moved.
    pub async fn is_name_taken(mut connection: &AsyncPgConnection, slug: &str) -> QueryResult<bool> {
        let text = "SELECT EXISTS (SELECT FROM tenants WHERE slug = ?) OR EXISTS (SELECT FROM tenant_moves WHERE slug = ?)";
        statement::<Bool>(text, vec![Bind::text(slug), Bind::text(slug)]).get_result(&mut connection).await
    }

    /// Adds a tenant; a slug that is taken is a unique violation of `tenants_slug_key`.
    pub async fn insert(mut connection: &AsyncPgConnection, new: &NewTenant<'_>) -> QueryResult<()> {
        diesel::insert_into(tenants::table).values(new).execute(&mut connection).await.map(drop)
    }

    /// Changes the tenant of that slug; `false` where there is none.
    pub async fn update(mut connection: &AsyncPgConnection, slug: &str, changes: &TenantChanges<'_>) -> QueryResult<bool> {
        let updated = diesel::update(tenants::table.filter(tenants::slug.eq(slug)))
            .set((changes, tenants::updated_at.eq(diesel::dsl::now)))
            .execute(&mut connection)
            .await?;
        Ok(updated > 0)
    }
}
