//! Moves of leads and commissions between partners, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::{
    error::Result,
    graphql::{
        engine::{context::ContextExt, loaders::batch_key, row::Row, scalars::DateTime},
        partners::partner::Partner,
        people::user::User,
    },
    ids::{CommissionId, LeadId, MoveId},
    models::commissions::partner_move::Move,
};

/// A move.
#[derive(Clone)]
pub struct PartnerMove(Move);

/// A lead or commission that an operator moved from one partner to another.
#[Object]
impl PartnerMove {
    /// Its id.
    pub async fn id(&self) -> MoveId {
        self.0.id
    }

    /// The partner that had it before. Null to partners: they do not see others.
    async fn from(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, self.0.from_partner_id).await.transpose()
    }

    /// Whose it is since. Null to partners whose it no longer is.
    async fn to(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, self.0.to_partner_id).await.transpose()
    }

    /// Why.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Who moved it. Null where it was a person of another organisation than yours.
    async fn moved_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.moved_by?).await.transpose()
    }

    /// Who acted in their name, by the id (`act.sub`) that the sign-in service gives. Null where they did it themselves.
    async fn impersonator(&self) -> Option<&str> {
        self.0.impersonator.as_deref()
    }

    /// When.
    async fn at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

impl PartnerMove {
    /// The move of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: MoveId) -> Result<Option<Self>> {
        Ok(ctx.load(MoveById(id)).await?.map(|row| Self(row.as_ref().clone())))
    }

    /// A lead's, the first one first.
    pub async fn of_lead(ctx: &Context<'_>, lead: LeadId) -> Result<Vec<Self>> {
        Ok(ctx.load(MovesByLead(lead)).await?.unwrap_or_default().iter().cloned().map(Self).collect())
    }

    /// A commission's own, the first one first.
    pub async fn of_commission(ctx: &Context<'_>, commission: CommissionId) -> Result<Vec<Self>> {
        Ok(ctx.load(MovesByCommission(commission)).await?.unwrap_or_default().iter().cloned().map(Self).collect())
    }
}

batch_key!(MoveById(MoveId) -> Arc<Move>, Move::by_ids);

batch_key!(MovesByLead(LeadId) -> Arc<[Move]>, Move::by_leads);

batch_key!(MovesByCommission(CommissionId) -> Arc<[Move]>, Move::by_commissions);
