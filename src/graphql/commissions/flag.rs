//! Flags of commissions as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, SimpleObject};

use crate::{
    error::Result,
    graphql::engine::{context::ContextExt, json::leaf_enums, loaders::batch_key, scalars::DateTime},
    ids::CommissionId,
    models::commissions::flag::{self, CommissionFlagKind},
};

/// What a person should look at of a commission before it is paid.
#[derive(SimpleObject)]
pub struct CommissionFlag {
    /// What should be looked at.
    kind: CommissionFlagKind,
    /// Why, in one sentence for people.
    reason: String,
    /// Since when.
    created_at: DateTime,
}

impl CommissionFlag {
    /// Those of a commission, read together with its siblings'.
    pub async fn of(ctx: &Context<'_>, commission: CommissionId) -> Result<Vec<Self>> {
        let flags = ctx.load(FlagsOf(commission)).await?.unwrap_or_default();
        let shown =
            |flag: &flag::CommissionFlag| Self { kind: flag.kind, reason: flag.reason(), created_at: flag.created_at.into() };
        Ok(flags.iter().map(shown).collect())
    }
}

leaf_enums!(CommissionFlagKind);

batch_key!(FlagsOf(CommissionId) -> Arc<[flag::CommissionFlag]>, flag::CommissionFlag::by_commissions);
