//! Tenants as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::{
    error::Result,
    graphql::engine::{
        context::{ContextExt, missing},
        loaders::batch_key,
        scalars::{CurrencyCode, Money, TimeZone, currency},
    },
    ids::TenantId,
    models::{self, people::tenant::TenantSettings},
};

/// A tenant.
#[derive(Clone)]
pub struct Tenant(pub Arc<models::people::tenant::Tenant>);

/// A company that runs a partner programme.
#[Object]
impl Tenant {
    /// Its id.
    pub async fn id(&self) -> TenantId {
        self.0.id
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The currency of amounts where none is asked for.
    async fn default_currency(&self) -> Result<CurrencyCode> {
        currency(&self.0.default_currency).map(CurrencyCode)
    }

    /// The time zone by which its days and months begin, of figures, periods and balances: "Europe/Berlin" (IANA).
    async fn time_zone(&self) -> TimeZone {
        TimeZone(self.0.time_zone)
    }

    /// How many days an invoice's commission stays pending, for refunds to come in.
    async fn commission_hold_days(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.settings(ctx).await?.commission_hold_days)
    }

    /// The least that is paid out at once in the default currency. What is below is carried forward.
    async fn minimum_payout(&self, ctx: &Context<'_>) -> Result<Money> {
        Money::stored(self.settings(ctx).await?.minimum_payout, &self.0.default_currency)
    }

    /// The page on which people sign up, to which the links of invitations lead. Null where there is none.
    pub async fn sign_up_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(self.settings(ctx).await?.sign_up_url.clone())
    }
}

impl Tenant {
    /// The tenant of that id, if it is the viewer's.
    pub async fn by_id(ctx: &Context<'_>, id: TenantId) -> Result<Option<Self>> {
        Ok(ctx.load(TenantById(id)).await?.map(Self))
    }

    async fn settings(&self, ctx: &Context<'_>) -> Result<Arc<TenantSettings>> {
        ctx.load(SettingsByTenant(self.0.id)).await?.ok_or_else(|| missing("the viewer's tenant"))
    }
}

batch_key!(TenantById(TenantId) -> Arc<models::people::tenant::Tenant>, models::people::tenant::Tenant::by_ids);

batch_key!(SettingsByTenant(TenantId) -> Arc<TenantSettings>, TenantSettings::by_tenants);
