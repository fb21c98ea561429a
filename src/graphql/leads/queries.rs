//! What a query can begin with of leads.

use async_graphql::{Context, Object};

use super::{
    figures::LeadsPoint,
    lead::{Lead, LeadFilterInput, LeadOrder},
};
use crate::{
    error::Result,
    graphql::{
        engine::{pagination::Connection, period::PeriodInput, row::Row},
        ledger::queries::figures_scope,
    },
    ids::{LeadId, PartnerId},
    models::{page::PageArguments, period::Interval},
};

#[derive(Default)]
pub struct LeadQueries;

#[Object]
impl LeadQueries {
    /// A lead. Null where there is no such lead, or it is not yours.
    async fn lead(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: LeadId) -> Option<Result<Row<Lead>>> {
        Lead::by_id(ctx, id).await.transpose()
    }

    /// The leads of the partner that you act for, or for operators of all partners. The newest first where no order is given.
    async fn leads(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which leads to show; all of them where it is not given.")] filter: Option<LeadFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<LeadOrder>,
    ) -> Result<Option<Connection<Lead>>> {
        Lead::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// How many leads were sent over time, and what has become of them: by the partner that you act for, or for operators and services by all
    /// partners or one. Refused for a period in which more than 100,000 were.
    async fn leads_over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Interval::Month", desc = "How time is divided.")] interval: Interval,
        #[graphql(desc = "The period; the last 30 days, 12 weeks or 12 months where it is not given.")] period: Option<
            PeriodInput,
        >,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
    ) -> Result<Option<Vec<LeadsPoint>>> {
        LeadsPoint::over_time(ctx, figures_scope(ctx, partner_id).await?, interval, period).await.map(Some)
    }
}
