//! What partners' accounts hold, as the API shows it.

use crate::{
    db,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        loaders::{BatchKey, batch_key},
        scalars::{CurrencyCode, Money},
    },
    ids::PartnerId,
    models::{
        ledger::{self, Balances, Purse},
        scope::Scope,
    },
};
use async_graphql::{Context, Object};
use chrono::NaiveDate;
use iso_currency::Currency;
use std::{collections::HashMap, sync::Arc};

/// A partner's balances in one currency.
pub struct PartnerBalances(pub Balances, Currency);

/// What a partner's accounts hold in one currency.
#[Object]
impl PartnerBalances {
    /// The currency of all of them.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.1)
    }

    /// Everything earned, less what was rejected or refunded: the sum of the other four.
    async fn earned(&self) -> Money {
        Money::of(self.0.earned, self.1)
    }

    /// What waits for approval.
    async fn pending(&self) -> Money {
        Money::of(self.0.pending, self.1)
    }

    /// What is approved and in no payout yet. Below zero after a refund of what was paid: the next payout makes up for it.
    async fn payable(&self) -> Money {
        Money::of(self.0.payable, self.1)
    }

    /// What payouts hold that are not completed yet.
    async fn in_payout(&self) -> Money {
        Money::of(self.0.in_payout, self.1)
    }

    /// What has been paid.
    async fn paid(&self) -> Money {
        Money::of(self.0.paid, self.1)
    }
}

/// A partner's accounts in one currency.
pub fn purse(partner: PartnerId, currency: Currency) -> Purse {
    Purse { partner, currency }
}

impl PartnerBalances {
    /// What a purse holds now.
    pub async fn now(ctx: &Context<'_>, purse: Purse) -> Result<Self> {
        Ok(Self(ctx.load(BalancesOf(purse)).await?.unwrap_or_default(), purse.currency))
    }

    /// What a partner's accounts hold now in each currency.
    pub async fn all(ctx: &Context<'_>, partner: PartnerId) -> Result<Vec<Self>> {
        let wallet = ctx.load(WalletOf(partner)).await?.unwrap_or_default();
        Ok(wallet.iter().map(|&(currency, balances)| Self(balances, currency)).collect())
    }

    /// What a purse held at the end of a day.
    pub async fn on(ctx: &Context<'_>, purse: Purse, day: NaiveDate) -> Result<Self> {
        let reading = ctx.read().await?;
        Ok(Self(ledger::balances_on(&reading, ctx.viewer().scope(), purse, day).await?, purse.currency))
    }
}

batch_key!(WalletOf(PartnerId) -> Arc<[(Currency, Balances)]>, ledger::wallets);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BalancesOf(Purse);

impl BatchKey for BalancesOf {
    type Value = Balances;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Balances>> {
        let purses: Vec<Purse> = keys.iter().map(|key| key.0).collect();
        let found = ledger::balances(connection, scope, &purses).await?;
        Ok(found.into_iter().map(|(purse, balances)| (Self(purse), balances)).collect())
    }
}
