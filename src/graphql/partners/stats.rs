//! What a partner has achieved, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::partner::Partner;
use crate::{
    error::Result,
    graphql::{
        engine::{
            row::plain,
            scalars::{CurrencyCode, Decimal, Money, currency_or_default},
        },
        ledger::balances::{PartnerBalances, purse},
    },
    models,
};

/// What a partner has achieved.
pub struct PartnerStats(pub(super) Arc<models::partners::partner::Partner>);

impl Partner {
    /// What it has achieved so far.
    pub fn achievements(&self) -> PartnerStats {
        PartnerStats(Arc::clone(&self.0))
    }
}

/// What a partner has achieved so far.
#[Object]
impl PartnerStats {
    /// The number of leads that it has sent.
    async fn total_leads(&self) -> i32 {
        self.0.total_referrals
    }

    /// The number of its leads that have converted.
    async fn converted_leads(&self) -> i32 {
        self.0.converted_referrals
    }

    /// The share of its leads that have converted, as a fraction: "0.2500" is a quarter. Zero while it has none.
    async fn conversion_rate(&self) -> Decimal {
        Decimal(self.0.conversion_rate())
    }

    /// Everything that it has earned, less what was rejected or refunded.
    async fn total_earnings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Money>> {
        let currency = currency_or_default(ctx, currency)?;
        Ok(Some(Money::of(PartnerBalances::now(ctx, purse(self.0.id, currency)).await?.0.earned, currency)))
    }

    /// What has been paid to it.
    async fn paid_earnings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Money>> {
        let currency = currency_or_default(ctx, currency)?;
        Ok(Some(Money::of(PartnerBalances::now(ctx, purse(self.0.id, currency)).await?.0.paid, currency)))
    }

    /// What it has earned and has not been paid yet: waiting for approval, approved, or in a payout that is not completed.
    async fn pending_earnings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Money>> {
        let currency = currency_or_default(ctx, currency)?;
        Ok(Some(Money::of(PartnerBalances::now(ctx, purse(self.0.id, currency)).await?.0.unpaid(), currency)))
    }
}

plain!(PartnerStats: total_leads, converted_leads, conversion_rate);
