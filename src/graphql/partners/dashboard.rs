//! What a partner's home page shows, in one query.

use async_graphql::{Context, Object};

use super::{partner::Partner, stats::PartnerStats};
use crate::{
    auth::viewer::ActivePartner,
    error::{Error, Result},
    graphql::{
        credits::ledger::CreditFigures,
        engine::{
            context::{ContextExt, missing},
            period::PeriodInput,
            row::Row,
            scalars::{CurrencyCode, currency_or_default},
        },
        leads::lead::Lead,
        ledger::revenue::{EarningsPoint, RevenueMetrics},
        members::member::MemberCounts,
    },
    models::{page::PageArguments, partners::status::PartnerStatus, period::Interval},
};

/// The dashboard of one partner.
pub struct Dashboard {
    partner: ActivePartner,
    period: Option<PeriodInput>,
}

/// What a partner's home page shows. All of it is true at the same instant.
#[Object]
impl Dashboard {
    /// The partner.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.partner.id).await?.ok_or_else(|| missing("the viewer's partner"))
    }

    /// Whether the partner may work, and not only read: it is active.
    async fn can_access_dashboard(&self) -> bool {
        self.partner.status == PartnerStatus::Active
    }

    /// What the partner has achieved so far.
    async fn stats(&self, ctx: &Context<'_>) -> Result<Row<PartnerStats>> {
        let partner = Partner::by_id(ctx, self.partner.id).await?.ok_or_else(|| missing("the viewer's partner"))?;
        Ok(Row(partner.0.achievements()))
    }

    /// What the period has brought: the one that the dashboard is asked for, or the month so far.
    async fn revenue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<RevenueMetrics>> {
        let period = PeriodInput::or_month(ctx, self.period)?;
        RevenueMetrics::of(ctx, ctx.viewer().scope(), currency_or_default(ctx, currency)?, period).await.map(Some)
    }

    /// What was earned and paid over time: over the dashboard's period, or else the last 30 days, 12 weeks or 12 months.
    async fn earnings_over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Interval::Month", desc = "How time is divided.")] interval: Interval,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Vec<EarningsPoint>>> {
        let currency = currency_or_default(ctx, currency)?;
        EarningsPoint::over_time(ctx, ctx.viewer().scope(), currency, interval, self.period).await.map(Some)
    }

    /// Where the partner's credits are now.
    async fn credits(&self, ctx: &Context<'_>) -> Result<CreditFigures> {
        CreditFigures::of_partner(ctx, self.partner.id).await
    }

    /// How many members the partner has.
    async fn member_counts(&self, ctx: &Context<'_>) -> Result<MemberCounts> {
        MemberCounts::of_partner(ctx, self.partner.id).await
    }

    /// The newest leads.
    async fn recent_leads(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 5, desc = "How many: 1 to 500.")] first: i32,
    ) -> Result<Option<Vec<Row<Lead>>>> {
        let page = PageArguments { first: Some(first), ..PageArguments::default() };
        let leads = Lead::of_partner(ctx, self.partner.id, page, None, None).await?;
        Ok(Some(leads.rows.into_iter().map(Row).collect()))
    }
}

impl Dashboard {
    /// The viewer's dashboard.
    pub fn of_viewer(ctx: &Context<'_>, period: Option<PeriodInput>) -> Result<Self> {
        let none =
            || Error::NotFound("The dashboard is a partner's, and you act for none. Read `partner(id:)` instead.".to_owned());
        ctx.viewer().partner.map(|partner| Self { partner, period }).ok_or_else(none)
    }
}
