//! Tenants as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{
    context::ContextExt,
    loaders::batch_key,
    scalars::{CurrencyCode, currency},
};
use crate::{error::Result, ids::TenantId, models};

/// A tenant.
#[derive(Clone)]
pub struct Tenant(pub Arc<models::tenant::Tenant>);

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
}

impl Tenant {
    /// The tenant of that id, if it is the viewer's.
    pub async fn by_id(ctx: &Context<'_>, id: TenantId) -> Result<Option<Self>> {
        Ok(ctx.load(TenantById(id)).await?.map(Self))
    }
}

batch_key!(TenantById(TenantId) -> Arc<models::tenant::Tenant>, models::tenant::Tenant::by_ids);
