//! What a query can begin with of payouts.

use async_graphql::{Context, Object};

use super::{
    payout::{Payout, PayoutFilterInput, PayoutOrder},
    preview::PayoutPreview,
};
use crate::{
    error::Result,
    graphql::engine::{
        pagination::Connection,
        period::PeriodInput,
        row::Row,
        scalars::{CurrencyCode, currency_or_default},
    },
    ids::{PartnerId, PayoutId},
    models::page::PageArguments,
};

#[derive(Default)]
pub struct PayoutQueries;

#[Object]
impl PayoutQueries {
    /// A payout. Null where there is no such payout, or it is not yours.
    async fn payout(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: PayoutId) -> Option<Result<Row<Payout>>> {
        Payout::by_id(ctx, id).await.transpose()
    }

    /// The payouts to the partner that you act for, or for operators and services to all partners. The newest first where no order is given.
    async fn payouts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which payouts to show; all of them where it is not given.")] filter: Option<PayoutFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<PayoutOrder>,
    ) -> Result<Option<Connection<Payout>>> {
        Payout::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// What a payout would hold if it were made now; nothing is written. Null where there is no such partner, or it is not yours.
    async fn preview_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who would be paid.")] partner_id: PartnerId,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "The period: what was earned before its end is taken. It has both bounds.")] period: PeriodInput,
    ) -> Option<Result<PayoutPreview>> {
        let currency = match currency_or_default(ctx, currency) {
            Ok(currency) => currency,
            Err(error) => return Some(Err(error)),
        };
        PayoutPreview::of(ctx, partner_id, currency, period).await.transpose()
    }
}
