//! Tenants as the API shows them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;

use super::{
    context::ContextExt,
    loaders::BatchKey,
    scalars::{CurrencyCode, currency},
};
use crate::{
    error::Result,
    ids::TenantId,
    models::{self, scope::Scope},
};

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

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TenantById(TenantId);

impl BatchKey for TenantById {
    type Value = Arc<models::tenant::Tenant>;

    async fn fetch(connection: &AsyncPgConnection, scope: Scope, keys: &[Self]) -> QueryResult<HashMap<Self, Self::Value>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = models::tenant::Tenant::by_ids(connection, scope, &ids).await?;
        Ok(rows.into_iter().map(|(id, row)| (Self(id), Arc::new(row))).collect())
    }
}
