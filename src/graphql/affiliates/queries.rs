//! Queries of affiliates.

use async_graphql::{Context, Object};

use super::{
    referral::{Referral, ReferralFilterInput},
    terms::AffiliateTerms,
    wallet_transaction::{WalletTransaction, WalletTransactionFilterInput},
};
use crate::{
    error::Result,
    graphql::engine::{pagination::Connection, scalars::CurrencyCode},
    ids::UserId,
    models::page::PageArguments,
};

#[derive(Default)]
pub struct AffiliateQueries;

#[Object]
impl AffiliateQueries {
    /// All versions of the terms for affiliates, the latest first: that one is in force.
    async fn affiliate_terms(&self, ctx: &Context<'_>) -> Result<Vec<AffiliateTerms>> {
        AffiliateTerms::all(ctx).await
    }

    /// The people whom you have referred; for operators and services those whom anybody has. The latest first.
    async fn referrals(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which referrals to show; all of them where it is not given.")] filter: Option<ReferralFilterInput>,
    ) -> Result<Option<Connection<Referral>>> {
        Referral::paginate(ctx, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// What has gone into your wallets and out of them; for operators and services of all users. The latest first.
    async fn wallet_transactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Of whose wallets; of all that you may see where it is not given.")] user_id: Option<UserId>,
        #[graphql(desc = "In which currency; in all where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "Which transactions to show; all of them where it is not given.")] filter: Option<
            WalletTransactionFilterInput,
        >,
    ) -> Result<Option<Connection<WalletTransaction>>> {
        let arguments = PageArguments { first, after, last, before };
        WalletTransaction::paginate(ctx, arguments, (user_id, currency), filter).await.map(Some)
    }
}
