//! The root of queries, merged of the areas' own, and the fields that are about none of them.

use async_graphql::{Context, ID, MergedObject, Object};
use futures_util::future::join_all;

use super::{
    affiliates::queries::AffiliateQueries,
    audit::queries::AuditQueries,
    billing::queries::CustomerQueries,
    commissions::queries::CommissionQueries,
    credits::queries::CreditQueries,
    engine::context::ContextExt,
    imports::queries::ImportQueries,
    leads::queries::LeadQueries,
    ledger::queries::FigureQueries,
    members::queries::MemberQueries,
    node::{self, Node},
    partners::queries::PartnerQueries,
    payouts::queries::PayoutQueries,
    people::{person::PersonQueries, viewer::Viewer},
    programmes::queries::ProgrammeQueries,
    webhooks::queries::WebhookQueries,
};
use crate::{
    error::{Error, Result},
    models::event,
};

/// The most ids that `nodes` takes.
const MAX_NODES: usize = 100;

/// Everything that can be read. All of one answer is true at the same instant.
#[derive(MergedObject, Default)]
pub struct Query(
    GlobalQueries,
    PartnerQueries,
    LeadQueries,
    CustomerQueries,
    CommissionQueries,
    PayoutQueries,
    FigureQueries,
    MemberQueries,
    CreditQueries,
    ProgrammeQueries,
    AffiliateQueries,
    ImportQueries,
    WebhookQueries,
    AuditQueries,
    PersonQueries,
);

#[derive(Default)]
struct GlobalQueries;

#[Object]
impl GlobalQueries {
    /// Anything by its id. Null where there is no such thing, or it is not yours.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of anything that implements `Node`.")] id: ID,
    ) -> Option<Result<Node>> {
        node::fetch(ctx, &id).await.transpose()
    }

    /// Several things by their ids, in the order of the ids; null for each that is not there, or not yours.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100 ids, of one kind or several.")] ids: Vec<ID>,
    ) -> Result<Option<Vec<Option<Result<Node>>>>> {
        if ids.len() > MAX_NODES {
            return Err(Error::BadUserInput(format!("`ids` takes at most {MAX_NODES} ids; there are {}.", ids.len())));
        }
        Ok(Some(join_all(ids.iter().map(async |id| node::fetch(ctx, id).await.transpose())).await))
    }

    /// Where the order of changes stands in this answer. Subscribe with it as `since`, and you receive every change that is not in the
    /// answer yet, and perhaps one again that was made just before and is.
    async fn event_cursor(&self, ctx: &Context<'_>) -> Result<String> {
        let reading = ctx.read().await?;
        ctx.request().shared.cursors.encode(event::last_position(&reading).await?)
    }

    /// Who is asking: the user, the tenant, the partner they act for, and what they may do.
    async fn me(&self) -> Viewer {
        Viewer
    }
}
