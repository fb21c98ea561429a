//! Figures over periods as the API shows them.

use async_graphql::{Context, Object};
use iso_currency::Currency;

use crate::{
    error::{Error, Result},
    graphql::engine::{
        context::ContextExt,
        period::{PeriodInput, wrong},
        scalars::{CurrencyCode, Date, DateTime, Money},
    },
    models::{
        ledger::revenue::{self, Figures, Point},
        list::MAX_SUMMED,
        period::{Interval, Span},
        scope::Scope,
    },
};

/// The figures of a period.
pub struct RevenueMetrics {
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
}

impl RevenueMetrics {
    /// The figures of the partners in scope.
    pub async fn of(ctx: &Context<'_>, scope: Scope, currency: Currency, span: Span) -> Result<Self> {
        let reading = ctx.read().await?;
        let figures = revenue::figures(&reading, scope, currency, &span).await?.ok_or_else(too_many)?;
        Ok(Self { span, currency, figures })
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
