//! What has come of links, as the API shows it.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};
use iso_currency::Currency;
use rust_decimal::{Decimal as Number, RoundingStrategy};
use uuid::Uuid;

use super::click::{LinkClickPart, PartsOfClicks};
use crate::{
    db,
    error::{Error, Result},
    graphql::engine::{
        context::ContextExt,
        loaders::BatchKey,
        period::PeriodInput,
        scalars::{CurrencyCode, DateTime, Decimal, Money, currency_or_default},
    },
    models::{
        page::group,
        programmes::{
            click_list::ClickDimension,
            figures::{ClickFigures, FiguresOf, Quarters, SaleFigures},
            figures_over_time::{FiguresInterval, PartFigures, Parts},
        },
        scope::Scope,
    },
};

/// Figures of links.
pub struct LinkFigures {
    of: FiguresOf,
    id: Uuid,
    asked: Option<PeriodInput>,
    period: Option<Quarters>,
    currency: Currency,
}

/// What has come of a link, or of several. Amounts are of one currency.
#[Object]
impl LinkFigures {
    /// How often people followed them. Programs, browsers that fetch ahead, and the same visitor on the same link less than an hour later are
    /// not counted.
    async fn clicks(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.of_clicks(ctx).await?.clicks)
    }

    /// How many people followed them: each is counted once for each link and day (UTC).
    async fn visitors(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.of_clicks(ctx).await?.visitors)
    }

    /// How many people signed up who came by them, by when they did.
    async fn sign_ups(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.of_sales(ctx).await?.sign_ups)
    }

    /// How many of those who came by them have bought something, by when they did first.
    async fn customers(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.of_sales(ctx).await?.customers)
    }

    /// How many payments in the currency were made by customers who came by them, by when they were made.
    async fn sales(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.of_sales(ctx).await?.sales)
    }

    /// What those payments were, less what has been refunded of them since.
    async fn sale_amount(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(Money::of(self.of_sales(ctx).await?.sale_amount, self.currency))
    }

    /// What the links' own partners have earned by them, by when they did, without the parts of those with whom they share: what was taken back is in it, rejected commissions are not. A period in
    /// which more was taken back than earned is below zero.
    async fn earnings(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(Money::of(self.of_sales(ctx).await?.earned, self.currency))
    }

    /// Sign-ups for each click, to four digits. Null where there were no clicks.
    async fn click_to_sign_up_rate(&self, ctx: &Context<'_>) -> Option<Result<Decimal>> {
        let figures = async { Ok((self.of_sales(ctx).await?.sign_ups, self.of_clicks(ctx).await?.clicks)) };
        rate(figures.await)
    }

    /// Customers for each sign-up, to four digits. Null where there were no sign-ups.
    async fn sign_up_to_customer_rate(&self, ctx: &Context<'_>) -> Option<Result<Decimal>> {
        rate(self.of_sales(ctx).await.map(|sales| (sales.customers, sales.sign_ups)))
    }

    /// Earnings for each click. Null where there were no clicks.
    async fn earnings_per_click(&self, ctx: &Context<'_>) -> Option<Result<Money>> {
        let figures = async { Ok((self.of_sales(ctx).await?.earned, self.of_clicks(ctx).await?.clicks)) };
        let per_click = |(earned, clicks)| (clicks != 0).then(|| Money::of(earned / Number::from(clicks), self.currency));
        figures.await.map(per_click).transpose()
    }

    /// From where most of the clicks came: the largest parts first, at most 100. A period is rounded to whole days (UTC); without one it is of all
    /// clicks that are still kept.
    async fn top(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "By what.")] by: ClickDimension,
        #[graphql(default = 10, desc = "How many parts: 1 to 100.")] first: i32,
    ) -> Result<Option<Vec<LinkClickPart>>> {
        if !(1..=100).contains(&first) {
            return Err(Error::BadUserInput(format!("first: must be from 1 to 100; it is {first}.")));
        }
        let days = self.period.map(Quarters::days_touched);
        let parts = PartsOfClicks { of: self.of, id: self.id, dimension: by, days, most: i64::from(first) };
        parts.read(ctx).await.map(Some)
    }

    /// The same in the parts of the period, those that brought nothing included; at most 400. Where no period is given: of the last 30 days, 12 weeks,
    /// 12 months, or of yesterday and today by hour. Days begin in the period's time zone, or else the tenant's.
    async fn over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "FiguresInterval::Day", desc = "How to divide it.")] interval: FiguresInterval,
    ) -> Result<Option<Vec<LinkFiguresPoint>>> {
        let span = match interval.of_days() {
            Some(interval) => PeriodInput::or_recent(ctx, self.asked, interval)?,
            None => PeriodInput::or_recent_hours(ctx, self.asked)?,
        };
        let (parts, currency) = (Parts::of(&span, interval), self.currency);
        let found = ctx.load(PartsKey { of: self.of, parts: parts.clone(), currency, id: self.id }).await?;
        let point = |(number, start): (usize, &chrono::DateTime<chrono::Utc>)| {
            let figures = found.as_ref().map(|found| found[number]).unwrap_or_default();
            LinkFiguresPoint { start: *start, figures, currency }
        };
        Ok(Some(parts.starts().iter().enumerate().map(point).collect()))
    }
}

/// The figures of one part of a period.
pub struct LinkFiguresPoint {
    start: chrono::DateTime<chrono::Utc>,
    figures: PartFigures,
    currency: Currency,
}

/// What has come of links in one part of a period; see `LinkFigures`.
#[Object]
impl LinkFiguresPoint {
    /// Its first instant.
    async fn start(&self) -> DateTime {
        self.start.into()
    }

    /// How often people followed them.
    async fn clicks(&self) -> i64 {
        self.figures.clicks.clicks
    }

    /// How many people followed them, each counted once for each link and day (UTC).
    async fn visitors(&self) -> i64 {
        self.figures.clicks.visitors
    }

    /// How many people signed up.
    async fn sign_ups(&self) -> i64 {
        self.figures.sales.sign_ups
    }

    /// How many bought for the first time.
    async fn customers(&self) -> i64 {
        self.figures.sales.customers
    }

    /// How many payments were made.
    async fn sales(&self) -> i64 {
        self.figures.sales.sales
    }

    /// What they were, less what has been refunded of them since.
    async fn sale_amount(&self) -> Money {
        Money::of(self.figures.sales.sale_amount, self.currency)
    }

    /// What the links' partners have earned; below zero where more was taken back.
    async fn earnings(&self) -> Money {
        Money::of(self.figures.sales.earned, self.currency)
    }
}

/// The first for each of the second, where there are any of these.
fn rate(figures: Result<(i64, i64)>) -> Option<Result<Decimal>> {
    let rate = |(part, whole)| {
        let rate = Number::from(part).checked_div(Number::from(whole))?;
        Some(Decimal(rate.round_dp_with_strategy(4, RoundingStrategy::MidpointNearestEven)))
    };
    figures.map(rate).transpose()
}

impl LinkFigures {
    /// Those of one, since the beginning or of a period; read together with those of its siblings, when they are selected.
    pub fn of(
        ctx: &Context<'_>,
        of: FiguresOf,
        id: impl Into<Uuid>,
        period: Option<PeriodInput>,
        currency: Option<CurrencyCode>,
    ) -> Result<Self> {
        let span = period.map(|period| period.span(ctx)).transpose()?;
        let (asked, period) = (period, span.map(|span| Quarters::between(span.from, span.before)));
        Ok(Self { of, id: id.into(), asked, period, currency: currency_or_default(ctx, currency)? })
    }

    async fn of_clicks(&self, ctx: &Context<'_>) -> Result<ClickFigures> {
        let key = ClicksKey { of: self.of, period: self.period, id: self.id };
        Ok(ctx.load(key).await?.unwrap_or_default())
    }

    async fn of_sales(&self, ctx: &Context<'_>) -> Result<SaleFigures> {
        let key = SalesKey { of: self.of, period: self.period, currency: self.currency, id: self.id };
        Ok(ctx.load(key).await?.unwrap_or_default())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ClicksKey {
    of: FiguresOf,
    period: Option<Quarters>,
    id: Uuid,
}

impl BatchKey for ClicksKey {
    type Value = ClickFigures;

    /// One statement for each kind and period that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, ClickFigures>> {
        let mut found = HashMap::new();
        for ((of, period), ids) in group(keys.iter().map(|key| ((key.of, key.period), key.id)).collect()) {
            let figures = ClickFigures::by_ids(connection, scope, of, &ids, period).await?;
            found.extend(figures.into_iter().map(|(id, figures)| (Self { of, period, id }, figures)));
        }
        Ok(found)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SalesKey {
    of: FiguresOf,
    period: Option<Quarters>,
    currency: Currency,
    id: Uuid,
}

impl BatchKey for SalesKey {
    type Value = SaleFigures;

    /// One statement for each kind, period and currency that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, SaleFigures>> {
        let mut found = HashMap::new();
        for ((of, period, currency), ids) in group(keys.iter().map(|key| ((key.of, key.period, key.currency), key.id)).collect())
        {
            let figures = SaleFigures::by_ids(connection, scope, of, &ids, period, currency).await?;
            found.extend(figures.into_iter().map(|(id, figures)| (Self { of, period, currency, id }, figures)));
        }
        Ok(found)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PartsKey {
    of: FiguresOf,
    parts: Parts,
    currency: Currency,
    id: Uuid,
}

impl BatchKey for PartsKey {
    type Value = Arc<[PartFigures]>;

    /// Two statements for each kind, period, interval and currency that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut found = HashMap::new();
        for ((of, parts, currency), ids) in
            group(keys.iter().map(|key| ((key.of, key.parts.clone(), key.currency), key.id)).collect())
        {
            let figures = parts.figures(connection, scope, of, &ids, currency).await?;
            found.extend(figures.into_iter().map(|(id, figures)| (Self { of, parts: parts.clone(), currency, id }, figures)));
        }
        Ok(found)
    }
}
