//! Wallets as the API shows them.

use async_graphql::{Context, Object};

use super::wallet_transaction::{WalletTransaction, WalletTransactionFilterInput};
use crate::{
    error::Result,
    graphql::engine::{
        context::ContextExt,
        loaders::batch_key,
        pagination::Connection,
        scalars::{CurrencyCode, Money},
    },
    models::{
        affiliates::wallet::{self, WalletBalances},
        page::PageArguments,
        partners::status::PartnerStatus,
    },
};

/// A user's wallet in one currency.
#[derive(Clone, Copy)]
pub struct Wallet(pub wallet::Wallet);

/// What an affiliate has earned in one currency and not taken out.
#[Object]
impl Wallet {
    /// The currency.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.0.currency)
    }

    /// All that it holds. Below zero where what was taken out is refunded: what is earned next fills it first.
    async fn balance(&self, ctx: &Context<'_>) -> Result<Money> {
        self.money(ctx, WalletBalances::balance).await
    }

    /// What of that is held back, for refunds to come in.
    async fn held(&self, ctx: &Context<'_>) -> Result<Money> {
        self.money(ctx, |balances| balances.held).await
    }

    /// The rest, which can be taken out where it is above zero.
    async fn available(&self, ctx: &Context<'_>) -> Result<Money> {
        self.money(ctx, |balances| balances.available).await
    }

    /// What has been taken out, less what came back.
    async fn taken_out(&self, ctx: &Context<'_>) -> Result<Money> {
        self.money(ctx, |balances| balances.taken_out).await
    }

    /// Whether you can take something out now: it is yours, something is available, and the partner that you act for is active.
    async fn can_take_out(&self, ctx: &Context<'_>) -> Result<bool> {
        let viewer = ctx.viewer();
        let is_active = viewer.partner.is_some_and(|partner| partner.status == PartnerStatus::Active);
        if viewer.user != self.0.user || !is_active {
            return Ok(false);
        }
        Ok(self.balances(ctx).await?.available > rust_decimal::Decimal::ZERO)
    }

    /// What has gone into it and out of it, the latest first.
    async fn transactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which transactions to show; all of them where it is not given.")] filter: Option<
            WalletTransactionFilterInput,
        >,
    ) -> Result<Option<Connection<WalletTransaction>>> {
        WalletTransaction::of_wallet(ctx, self.0, PageArguments { first, after, last, before }, filter).await.map(Some)
    }
}

impl Wallet {
    async fn balances(&self, ctx: &Context<'_>) -> Result<WalletBalances> {
        Ok(ctx.load(BalancesOf(self.0)).await?.unwrap_or_default())
    }

    async fn money(&self, ctx: &Context<'_>, of: fn(&WalletBalances) -> rust_decimal::Decimal) -> Result<Money> {
        Ok(Money::of(of(&self.balances(ctx).await?), self.0.currency))
    }
}

batch_key!(BalancesOf(wallet::Wallet) -> WalletBalances, wallet::balances);
