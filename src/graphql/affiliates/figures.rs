//! What affiliates have brought and earned, as the API shows it.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};
use chrono::NaiveDate;
use iso_currency::Currency;

use crate::{
    db,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        loaders::BatchKey,
        period::PeriodInput,
        scalars::{CurrencyCode, Date, Money, currency_or_default},
    },
    ids::UserId,
    models::{
        affiliates::figures,
        page::group,
        period::{Days, Interval},
        scope::Scope,
    },
};

/// Figures of an affiliate.
pub struct AffiliateFigures {
    user: UserId,
    currency: Currency,
    asked: Option<PeriodInput>,
    days: Option<Days>,
}

/// What an affiliate has brought and earned. Amounts are of one currency. A period is rounded to whole days of the tenant's time zone.
#[Object]
impl AffiliateFigures {
    /// What referred people paid by what earned something, less refunds, by when that was.
    async fn sales(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(Money::of(self.read(ctx).await?.sales, self.currency))
    }

    /// The affiliate's share of it. A period in which more was refunded than paid is below zero.
    async fn earned(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(Money::of(self.read(ctx).await?.earned, self.currency))
    }

    /// What was taken out of the wallet, less what came back.
    async fn taken_out(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(Money::of(self.read(ctx).await?.taken_out, self.currency))
    }

    /// What operators added, less what they took off.
    async fn adjusted(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(Money::of(self.read(ctx).await?.adjusted, self.currency))
    }

    /// How often people followed the invite links. Programs, browsers that fetch ahead, and the same visitor less than an hour later are not counted;
    /// days are those of UTC.
    async fn clicks(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.read(ctx).await?.clicks)
    }

    /// How many people were referred, by when they signed up.
    async fn people(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.read(ctx).await?.people)
    }

    /// How many of these have paid, by when they did first.
    async fn paying_people(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.read(ctx).await?.paying)
    }

    /// The same in the parts of the period, those that brought nothing included; at most 400. Where no period is given: of the last 12 months,
    /// 12 weeks or 30 days.
    async fn over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Interval::Month", desc = "How to divide it.")] interval: Interval,
    ) -> Result<Option<Vec<AffiliateFiguresPoint>>> {
        let days = PeriodInput::or_recent(ctx, self.asked, interval)?.days;
        let key = PartsKey { user: self.user, currency: self.currency, days, interval };
        let parts = ctx.load(key).await?.unwrap_or_default();
        let point = |&(start, figures)| AffiliateFiguresPoint { start, figures, currency: self.currency };
        Ok(Some(parts.iter().map(point).collect()))
    }
}

/// The figures of one part of a period.
pub struct AffiliateFiguresPoint {
    start: NaiveDate,
    figures: figures::AffiliateFigures,
    currency: Currency,
}

/// What an affiliate has brought and earned in one part of a period; see `AffiliateFigures`.
#[Object]
impl AffiliateFiguresPoint {
    /// Its first day.
    async fn start(&self) -> Date {
        Date(self.start)
    }

    /// What referred people paid, less refunds.
    async fn sales(&self) -> Money {
        Money::of(self.figures.sales, self.currency)
    }

    /// The affiliate's share of it.
    async fn earned(&self) -> Money {
        Money::of(self.figures.earned, self.currency)
    }

    /// What was taken out, less what came back.
    async fn taken_out(&self) -> Money {
        Money::of(self.figures.taken_out, self.currency)
    }

    /// What operators added, less what they took off.
    async fn adjusted(&self) -> Money {
        Money::of(self.figures.adjusted, self.currency)
    }

    /// How often people followed the invite links.
    async fn clicks(&self) -> i64 {
        self.figures.clicks
    }

    /// How many people were referred.
    async fn people(&self) -> i64 {
        self.figures.people
    }

    /// How many paid for the first time.
    async fn paying_people(&self) -> i64 {
        self.figures.paying
    }
}

impl AffiliateFigures {
    /// Those of a user, since the beginning or of a period; read together with those of its siblings, when they are selected.
    pub fn of(ctx: &Context<'_>, user: UserId, period: Option<PeriodInput>, currency: Option<CurrencyCode>) -> Result<Self> {
        let days = period.map(|period| period.span(ctx)).transpose()?.map(|span| {
            let zone = ctx.viewer().tenant.time_zone;
            let last = zone.day_of(span.before - chrono::TimeDelta::microseconds(1));
            Days { from: zone.day_of(span.from), to: last.succ_opt().unwrap_or(last) }
        });
        Ok(Self { user, currency: currency_or_default(ctx, currency)?, asked: period, days })
    }

    async fn read(&self, ctx: &Context<'_>) -> Result<figures::AffiliateFigures> {
        let key = FiguresKey { user: self.user, currency: self.currency, days: self.days };
        Ok(ctx.load(key).await?.unwrap_or_default())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FiguresKey {
    user: UserId,
    currency: Currency,
    days: Option<Days>,
}

impl BatchKey for FiguresKey {
    type Value = figures::AffiliateFigures;

    /// One statement for each currency and period that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut found = HashMap::new();
        for ((currency, days), users) in group(keys.iter().map(|key| ((key.currency, key.days), key.user)).collect()) {
            let figures = figures::figures(connection, scope, &users, currency, days).await?;
            found.extend(figures.into_iter().map(|(user, figures)| (Self { user, currency, days }, figures)));
        }
        Ok(found)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PartsKey {
    user: UserId,
    currency: Currency,
    days: Days,
    interval: Interval,
}

impl BatchKey for PartsKey {
    type Value = Arc<[(NaiveDate, figures::AffiliateFigures)]>;

    /// One statement for each currency, period and interval that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut found = HashMap::new();
        let of = |key: &Self| ((key.currency, key.days, key.interval), key.user);
        for ((currency, days, interval), users) in group(keys.iter().map(of).collect()) {
            let parts = figures::over_time(connection, scope, &users, currency, days, interval).await?;
            found.extend(parts.into_iter().map(|(user, parts)| (Self { user, currency, days, interval }, parts.into())));
        }
        Ok(found)
    }
}
