//! Figures over periods as the API shows them.

use async_graphql::{Context, InputObject, Object};
use chrono::{Days, Months, NaiveDate};
use iso_currency::Currency;

use super::{
    context::ContextExt,
    scalars::{CurrencyCode, Date, DateTime, Money},
};
use crate::{
    error::{Error, Result},
    models::{
        calendar::month_start,
        revenue::{self, Figures, Interval, Period, Point},
        scope::Scope,
    },
};

/// The longest period, in days: ten years.
const MAX_DAYS: i64 = 3_660;
/// The most points that are shown over time.
const MAX_POINTS: i64 = 400;

/// A period of whole days, as they begin in the tenant's time zone.
#[derive(InputObject, Clone, Copy)]
pub struct PeriodInput {
    /// Its first day.
    from: Date,
    /// Its last day.
    to: Date,
}

impl PeriodInput {
    /// The period, checked.
    pub fn checked(self) -> Result<Period> {
        let (from, last) = (self.from.0, self.to.0);
        let days = (last - from).num_days() + 1;
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(Error::BadUserInput(format!(
                "A period's `to` must be its `from` or a later day, at most {MAX_DAYS} days in all; it is {from} to {last}."
            )));
        }
        let to = last.checked_add_days(Days::new(1)).unwrap_or(last);
        Ok(Period { from, to })
    }

    /// The period that is asked for, or else the month so far.
    pub fn or_month(ctx: &Context<'_>, asked: Option<Self>) -> Result<Period> {
        let today = ctx.viewer().tenant.time_zone.day_of(ctx.now());
        asked.map_or_else(|| Ok(Period { from: month_start(today), to: today + Days::new(1) }), Self::checked)
    }

    /// The period that is asked for, or else the last 30 days, 12 weeks or 12 months; of no more parts than are shown over time.
    pub fn or_recent(ctx: &Context<'_>, asked: Option<Self>, interval: Interval) -> Result<Period> {
        let period = match asked {
            Some(period) => period.checked()?,
            None => recent(interval, ctx.viewer().tenant.time_zone.day_of(ctx.now())),
        };
        if period.parts(interval) > MAX_POINTS {
            return Err(Error::BadUserInput(format!(
                "The period has more than {MAX_POINTS} parts. Ask for a longer interval or a shorter period."
            )));
        }
        Ok(period)
    }
}

/// The parts of a period: the first day of each by the calendar, and within the period.
pub fn parts_of(period: Period, interval: Interval) -> Vec<(NaiveDate, NaiveDate)> {
    let starts = std::iter::successors(Some(interval.start_of(period.from)), |start| Some(interval.next(*start)));
    starts.take_while(|start| *start < period.to).map(|start| (start, start.max(period.from))).collect()
}

/// The figures of a period.
pub struct RevenueMetrics {
    period: Period,
    currency: Currency,
    figures: Figures,
}

/// What a period has brought, in one currency. Currencies are never added together.
#[Object]
impl RevenueMetrics {
    /// The period's first instant.
    async fn period_start(&self, ctx: &Context<'_>) -> DateTime {
        ctx.viewer().tenant.time_zone.start_of(self.period.from).into()
    }

    /// The period's end, exclusive.
    async fn period_end(&self, ctx: &Context<'_>) -> DateTime {
        ctx.viewer().tenant.time_zone.start_of(self.period.to).into()
    }

    /// The currency of all amounts.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.currency)
    }

    /// The commissions earned in the period and not rejected, less what was taken back in it.
    async fn total_commissions(&self) -> Money {
        Money::of(self.figures.earned, self.currency)
    }

    /// How many they are, reversals and adjustments counted.
    async fn total_commission_count(&self) -> i64 {
        self.figures.commission_count
    }

    /// The payouts completed in the period.
    async fn total_payouts(&self) -> Money {
        Money::of(self.figures.paid_out, self.currency)
    }

    /// Those of the commissions that still wait for approval.
    async fn pending_amount(&self) -> Money {
        Money::of(self.figures.pending, self.currency)
    }
}

impl RevenueMetrics {
    /// The figures of the partners in scope.
    pub async fn of(ctx: &Context<'_>, scope: Scope, currency: Currency, period: Period) -> Result<Self> {
        let reading = ctx.read().await?;
        let figures = revenue::figures(&reading, scope, currency, period).await?;
        Ok(Self { period, currency, figures })
    }
}

/// The figures of one part of a period.
pub struct EarningsPoint {
    point: Point,
    currency: Currency,
}

/// What one part of a period has brought.
#[Object]
impl EarningsPoint {
    /// Its first day.
    async fn start(&self) -> Date {
        Date(self.point.start)
    }

    /// The commissions earned in it and not rejected, less what was taken back in it.
    async fn earned(&self) -> Money {
        Money::of(self.point.figures.earned, self.currency)
    }

    /// The payouts completed in it.
    async fn paid(&self) -> Money {
        Money::of(self.point.figures.paid_out, self.currency)
    }

    /// How many commissions were earned in it.
    async fn commission_count(&self) -> i64 {
        self.point.figures.commission_count
    }
}

impl EarningsPoint {
    /// The points of a period, or else of the last 30 days, 12 weeks or 12 months.
    pub async fn over_time(
        ctx: &Context<'_>,
        scope: Scope,
        currency: Currency,
        interval: Interval,
        period: Option<PeriodInput>,
    ) -> Result<Vec<Self>> {
        let period = PeriodInput::or_recent(ctx, period, interval)?;
        let reading = ctx.read().await?;
        let points = revenue::over_time(&reading, scope, currency, period, interval).await?;
        Ok(points.into_iter().map(|point| Self { point, currency }).collect())
    }
}

fn recent(interval: Interval, today: NaiveDate) -> Period {
    let from = match interval {
        Interval::Day => today - Days::new(29),
        Interval::Week => interval.start_of(today) - Days::new(7 * 11),
        Interval::Month => interval.start_of(today) - Months::new(11),
    };
    Period { from, to: today + Days::new(1) }
}
