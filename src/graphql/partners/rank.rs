//! A partner's rank by what it has earned.

use crate::{
    db,
    error::Result,
    graphql::engine::{context::ContextExt, loaders::BatchKey, scalars::currency_or_default},
    ids::PartnerId,
    models::{ledger::Purse, partners::rank, scope::Scope},
};
use async_graphql::Context;
use std::collections::HashMap;

/// A partner's rank by what it has earned.
pub async fn rank(ctx: &Context<'_>, partner: PartnerId) -> Result<Option<i64>> {
    ctx.load(RankOf(Purse { partner, currency: currency_or_default(ctx, None)? })).await
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RankOf(Purse);

impl BatchKey for RankOf {
    type Value = i64;

    /// All in the tenant's default currency, and so one statement.
    async fn fetch(connection: &db::Connection, _: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, i64>> {
        let Some(RankOf(Purse { currency, .. })) = keys.first() else { return Ok(HashMap::new()) };
        let partners: Vec<PartnerId> = keys.iter().map(|key| key.0.partner).collect();
        let found = rank::ranks(connection, &partners, *currency).await?;
        Ok(found.into_iter().map(|(partner, rank)| (Self(Purse { partner, currency: *currency }), rank)).collect())
    }
}
