//! What a query can begin with of partners.

use async_graphql::{Context, Object};

use super::{
    dashboard::Dashboard,
    leaderboard::LeaderboardRow,
    list::{PartnerFilterInput, PartnerOrder},
    partner::Partner,
};
use crate::{
    auth::Readable,
    error::{Error, Result},
    graphql::engine::{
        context::ContextExt,
        pagination::Connection,
        period::PeriodInput,
        row::Row,
        scalars::{CurrencyCode, currency_or_default},
    },
    ids::PartnerId,
    models::page::PageArguments,
};

#[derive(Default)]
pub struct PartnerQueries;

#[Object]
impl PartnerQueries {
    /// What the home page of the partner that you act for shows, in one query.
    async fn dashboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period of its figures; the month so far where it is not given.")] period: Option<PeriodInput>,
    ) -> Result<Option<Dashboard>> {
        Dashboard::of_viewer(ctx, period).map(Some)
    }

    /// A partner. Null where there is no such partner, or it is not yours.
    async fn partner(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: PartnerId) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, id).await.transpose()
    }

    /// All partners of the tenant; for operators and services. The newest first where no order is given.
    async fn partners(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which partners to show; all of them where it is not given.")] filter: Option<PartnerFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<PartnerOrder>,
    ) -> Result<Option<Connection<Partner>>> {
        if !ctx.viewer().may_read(Readable::AllPartners) {
            return Err(Error::Forbidden(
                "Only operators and services can list partners. Your own is `me { partner }`.".to_owned(),
            ));
        }
        Partner::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// The partners that have earned most in one currency, the first at the top; for operators and services. `Partner.rank` is one's own rank.
    async fn leaderboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 10, desc = "How many: 1 to 100.")] first: i32,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Vec<LeaderboardRow>>> {
        if !ctx.viewer().may_read(Readable::AllPartners) {
            return Err(Error::Forbidden(
                "Only operators and services see what all partners have earned. Your own place is `me { partner { rank } }`."
                    .to_owned(),
            ));
        }
        LeaderboardRow::list(ctx, currency_or_default(ctx, currency)?, first).await.map(Some)
    }
}
