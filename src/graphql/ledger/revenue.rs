//! Figures over periods as the API shows them.

use async_graphql::{Context, Object};
use iso_currency::Currency;
use rust_decimal::{Decimal as Exact, RoundingStrategy};

use crate::{
    error::{Error, Result},
    graphql::engine::{
        context::ContextExt,
        period::{PeriodInput, wrong},
        scalars::{CurrencyCode, Date, DateTime, Decimal, Money},
    },
    models::{
        ledger::revenue::{self, Figures, Point},
        list::MAX_SUMMED,
        period::{Interval, Span},
        scope::Scope,
    },
};

/// To how many places shares are given.
const SHARE_PLACES: u32 = 4;

/// The figures of a period.
pub struct RevenueMetrics {
    scope: Scope,
    span: Span,
    currency: Currency,
    figures: Figures,
}

/// What a period has brought, in one currency. Currencies are never added together.
#[Object]
impl RevenueMetrics {
    /// The period's first instant.
    async fn period_start(&self) -> DateTime {
        self.span.from.into()
    }

    /// The period's end, exclusive.
    async fn period_end(&self) -> DateTime {
        self.span.before.into()
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

    /// The same of the period that ends where this one begins: as many months where this one is whole months, else as many days, or as long.
    async fn previous(&self, ctx: &Context<'_>) -> Result<Option<Self>> {
        match self.span.previous() {
            Some(span) => Self::of(ctx, self.scope, self.currency, span).await.map(Some),
            None => Ok(None),
        }
    }

    /// How these figures differ from those of the previous period.
    async fn change(&self, ctx: &Context<'_>) -> Result<Option<RevenueChange>> {
        let Some(span) = self.span.previous() else { return Ok(None) };
        let before = Self::of(ctx, self.scope, self.currency, span).await?;
        Ok(Some(RevenueChange { now: self.figures, before: before.figures }))
    }
}

/// Figures of two periods.
pub struct RevenueChange {
    now: Figures,
    before: Figures,
}

/// How the figures of a period differ from those of the period before it, as shares of these: "0.25" is a quarter more, "-1" is nothing left. Null where there was
/// nothing before.
#[Object]
impl RevenueChange {
    /// Of the commissions earned.
    async fn total_commissions(&self) -> Option<Decimal> {
        share(self.now.earned, self.before.earned)
    }

    /// Of how many they are.
    async fn total_commission_count(&self) -> Option<Decimal> {
        share(self.now.commission_count.into(), self.before.commission_count.into())
    }

    /// Of the payouts completed.
    async fn total_payouts(&self) -> Option<Decimal> {
        share(self.now.paid_out, self.before.paid_out)
    }
}

/// By how much of what was before there is more now, to four places.
fn share(now: Exact, before: Exact) -> Option<Decimal> {
    let change = now.checked_sub(before)?.checked_div(before.abs())?;
    Some(Decimal(change.round_dp_with_strategy(SHARE_PLACES, RoundingStrategy::MidpointAwayFromZero).normalize()))
}

impl RevenueMetrics {
    /// The figures of the partners in scope.
    pub async fn of(ctx: &Context<'_>, scope: Scope, currency: Currency, span: Span) -> Result<Self> {
        let reading = ctx.read().await?;
        let figures = revenue::figures(&reading, scope, currency, &span).await?.ok_or_else(too_many)?;
        Ok(Self { scope, span, currency, figures })
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
        let span = PeriodInput::or_recent(ctx, period, interval)?;
        let reading = ctx.read().await?;
        let points = revenue::over_time(&reading, scope, currency, &span, interval).await?.ok_or_else(too_many)?;
        Ok(points.into_iter().map(|point| Self { point, currency }).collect())
    }
}

/// Figures that have to be added up, of more than are.
pub(super) fn too_many() -> Error {
    wrong(format!(
        "It has more than {MAX_SUMMED} commissions and payouts, which are not added up one by one. Ask for whole days in the tenant's time \
         zone, or for a shorter period."
    ))
}
