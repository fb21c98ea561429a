//! What a query can begin with of figures over periods.

use async_graphql::{Context, Object};

use super::{
    earnings_by::EarningsSeries,
    revenue::{EarningsPoint, RevenueMetrics},
};
use crate::{
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            period::PeriodInput,
            scalars::{CurrencyCode, currency_or_default},
        },
        partners::partner::Partner,
    },
    ids::PartnerId,
    models::{
        commissions::earnings_by::EarningsGroup, period::Interval, programmes::figures_over_time::FiguresInterval, scope::Scope,
    },
};

#[derive(Default)]
pub struct FigureQueries;

#[Object]
impl FigureQueries {
    /// Totals for one period and currency: of the partner that you act for, or for operators of all partners or one.
    async fn revenue_metrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period; the month so far where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
    ) -> Result<Option<RevenueMetrics>> {
        let period = PeriodInput::or_month(ctx, period)?;
        RevenueMetrics::of(ctx, figures_scope(ctx, partner_id).await?, currency_or_default(ctx, currency)?, period)
            .await
            .map(Some)
    }

    /// What was earned and paid over time, in one currency: by the partner that you act for, or for operators by all partners or one.
    async fn earnings_over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Interval::Month", desc = "How time is divided.")] interval: Interval,
        #[graphql(desc = "The period; the last 30 days, 12 weeks or 12 months where it is not given.")] period: Option<
            PeriodInput,
        >,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
    ) -> Result<Option<Vec<EarningsPoint>>> {
        let scope = figures_scope(ctx, partner_id).await?;
        EarningsPoint::over_time(ctx, scope, currency_or_default(ctx, currency)?, interval, period).await.map(Some)
    }

    /// What was earned in a period by link, programme, customer or kind of event, in one currency: by the partner that you act for, or for
    /// operators by all partners or one. Everything that was earned or taken back is in one of the series, the largest first; those beyond
    /// `first` are one together.
    async fn earnings_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "By what they are grouped.")] group: EarningsGroup,
        #[graphql(default_with = "FiguresInterval::Day", desc = "How time is divided.")] interval: FiguresInterval,
        #[graphql(
            desc = "The period; the last 30 days, 12 weeks or 12 months, or yesterday and today by hour, where it is not given."
        )]
        period: Option<PeriodInput>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
        #[graphql(desc = "How many series are shown by themselves: 1 to 50, 10 where it is not given.")] first: Option<i32>,
    ) -> Result<Option<Vec<EarningsSeries>>> {
        let scope = figures_scope(ctx, partner_id).await?;
        let currency = currency_or_default(ctx, currency)?;
        EarningsSeries::list(ctx, scope, group, currency, interval, (period, first)).await.map(Some)
    }
}

/// Whose figures are asked for: a partner's must be one that the viewer may see.
pub async fn figures_scope(ctx: &Context<'_>, partner: Option<PartnerId>) -> Result<Scope> {
    let scope = ctx.viewer().scope();
    let Some(partner) = partner else { return Ok(scope) };
    match Partner::by_id(ctx, partner).await? {
        Some(_) => Ok(Scope { partner: Some(partner), ..scope }),
        None => Err(Error::NotFound("There is no partner of this id.".to_owned())),
    }
}
