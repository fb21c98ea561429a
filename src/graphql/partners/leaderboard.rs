//! The partners that have earned most.

use async_graphql::{Context, SimpleObject};
use iso_currency::Currency;

use super::partner::Partner;
use crate::{
    error::{Error, Result},
    graphql::engine::{
        context::{ContextExt, missing},
        row::Row,
        scalars::Money,
    },
    models::partners::rank,
};

/// How long it may be.
const MAX_LENGTH: i32 = 100;

/// A partner's rank among all of the tenant's.
#[derive(SimpleObject)]
pub struct LeaderboardRow {
    /// Its rank; equal amounts share one.
    rank: i64,
    /// The partner.
    partner: Row<Partner>,
    /// Everything that it has earned, less what was rejected or refunded.
    earned: Money,
}

impl LeaderboardRow {
    /// The first of them.
    pub async fn list(ctx: &Context<'_>, currency: Currency, first: i32) -> Result<Vec<Self>> {
        if !(1..=MAX_LENGTH).contains(&first) {
            return Err(Error::BadUserInput(format!("`first` must be from 1 to {MAX_LENGTH}; it is {first}.")));
        }
        let leaders = {
            let reading = ctx.read().await?;
            rank::leaders(&reading, ctx.viewer().scope(), currency, i64::from(first)).await?
        };
        let rows = leaders.into_iter().map(async |(partner, rank, earned)| {
            let partner = Partner::by_id(ctx, partner).await?.ok_or_else(|| missing("a leading partner"))?;
            Ok(Self { rank, partner, earned: Money::of(earned, currency) })
        });
        futures_util::future::try_join_all(rows).await
    }
}
