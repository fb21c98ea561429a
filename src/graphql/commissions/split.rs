//! Of which whole a commission is a part, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::commission::Commission;
use crate::{
    error::Result,
    graphql::engine::{
        context::ContextExt,
        loaders::batch_key,
        row::Row,
        scalars::{Decimal, Money},
    },
    ids::CommissionId,
    models::commissions::{
        commission::{self, CommissionEventType},
        split,
    },
};

/// Of which whole a commission is a part, and its currency.
pub struct CommissionSplit {
    split: Arc<split::CommissionSplit>,
    currency: String,
}

/// Of which whole a commission is a part: what is earned by a link whose partner shares it with others. All parts sum to the whole.
#[Object]
impl CommissionSplit {
    /// The part, as a fraction. That of the link's partner is the rest.
    async fn share(&self) -> Decimal {
        Decimal(self.split.share)
    }

    /// What is divided: what the payment earns by the rule.
    async fn whole(&self) -> Result<Money> {
        Money::stored(self.split.whole, &self.currency)
    }

    /// The commission of the link's partner; of that one itself. Null where it is another partner's.
    async fn of(&self, ctx: &Context<'_>) -> Option<Result<Row<Commission>>> {
        Commission::by_id(ctx, self.split.owners_id).await.transpose()
    }
}

impl CommissionSplit {
    /// That of a commission, read together with its siblings'; `None` where it is no part.
    pub async fn of_commission(ctx: &Context<'_>, commission: &commission::Commission) -> Result<Option<Self>> {
        let can_be_part = commission.event_type == CommissionEventType::Split
            || commission.event_type == CommissionEventType::InvoicePayment && commission.link_id.is_some();
        if !can_be_part {
            return Ok(None);
        }
        let split = ctx.load(SplitOf(commission.id)).await?;
        Ok(split.map(|split| Self { split, currency: commission.currency.clone() }))
    }

    /// The row itself.
    pub fn row(&self) -> &split::CommissionSplit {
        &self.split
    }
}

batch_key!(SplitOf(CommissionId) -> Arc<split::CommissionSplit>, split::CommissionSplit::by_commissions);
