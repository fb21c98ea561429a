//! Mutations of the tenant's own settings.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::tenant::Tenant;
use crate::{
    auth::Permission,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        scalars::{Decimal, currency_or_default},
        user_errors::{Outcome, Refusal, UserError, given, outcome, settle},
    },
    models::people::tenant::{HOLD_DAYS, TenantSettings},
    money::minor_units,
    validation::{FaultCode, Faults, Wrong, amount},
};

/// What to change of how the tenant pays; what is left out stays as it is.
#[derive(InputObject, Clone)]
struct UpdateTenantSettingsInput {
    /// How many days an invoice's commission stays pending: 0, 7, 14, 30, 60 or 90. For invoices that are reported from now on.
    commission_hold_days: MaybeUndefined<i32>,
    /// The least that is paid out at once, in the default currency.
    minimum_payout: MaybeUndefined<Decimal>,
}

/// What became of `updateTenantSettings`.
#[derive(SimpleObject)]
struct UpdateTenantSettingsPayload {
    /// The tenant as it is now. Null where there are user errors.
    tenant: Option<Tenant>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the settings are changed.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct TenantMutations;

#[Object]
impl TenantMutations {
    /// Changes how the tenant pays its partners. Needs `SETTINGS_MANAGE`.
    async fn update_tenant_settings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateTenantSettingsInput,
    ) -> Result<Option<UpdateTenantSettingsPayload>> {
        ctx.require(Permission::SettingsManage)?;
        let ((tenant, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdateTenantSettingsPayload { tenant, replayed, user_errors }))
    }
}

async fn update(ctx: &Context<'_>, input: UpdateTenantSettingsInput) -> Result<Outcome<Tenant>, Refusal> {
    let tenant = ctx.viewer().tenant.id;
    let digits = minor_units(currency_or_default(ctx, None)?);
    let mut faults = Faults::default();
    let days = given(input.commission_hold_days, "input.commissionHoldDays", &mut faults, |days| {
        if HOLD_DAYS.contains(&days) {
            return Ok(days);
        }
        Err(Wrong { code: FaultCode::OutOfRange, message: format!("Must be 0, 7, 14, 30, 60 or 90; it is {days}.") })
    });
    let minimum = given(input.minimum_payout, "input.minimumPayout", &mut faults, |value| amount(value.0, digits));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let has_changed = TenantSettings::update(&writing, tenant, days, minimum).await?;
    Ok(outcome(writing, has_changed, Tenant::by_id(ctx, tenant)).await?)
}
