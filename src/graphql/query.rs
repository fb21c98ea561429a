//! The fields that a query can begin with, and the small types that their arguments share.

use async_graphql::{Context, Enum, ID, Object};
use futures_util::future::join_all;

use super::{
    context::ContextExt,
    dashboard::Dashboard,
    lead::{Lead, LeadFilterInput, LeadOrder},
    node::{self, Node},
    pagination::Connection,
    partner::{Partner, PartnerFilterInput, PartnerOrder},
    viewer::Viewer,
};
use crate::{
    auth::Role,
    error::{Error, Result},
    ids::{LeadId, PartnerId},
    models::page::PageArguments,
};

/// The most ids that `nodes` takes.
const MAX_NODES: usize = 100;
/// The longest text to search for.
const MAX_SEARCH: usize = 200;

/// The root of queries.
pub struct Query;

/// Everything that can be read. All of one answer is true at the same instant.
#[Object]
impl Query {
    /// Anything by its id. Null where there is no such thing, or it is not yours.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a lead, partner, tenant or user.")] id: ID,
    ) -> Option<Result<Node>> {
        node::fetch(ctx, &id).await.transpose()
    }

    /// Several things by their ids, in the order of the ids; null in the place of each that is not there, or not yours.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100 ids, of one kind or several.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Result<Node>>>> {
        if ids.len() > MAX_NODES {
            return Err(Error::BadUserInput(format!("`ids` takes at most {MAX_NODES} ids; there are {}.", ids.len())));
        }
        Ok(join_all(ids.iter().map(async |id| node::fetch(ctx, id).await.transpose())).await)
    }

    /// Who is asking: the user, the tenant, the partner they act for, and what they may do.
    async fn me(&self) -> Viewer {
        Viewer
    }

    /// What the home page of the partner that you act for shows, in one query.
    async fn dashboard(&self, ctx: &Context<'_>) -> Result<Dashboard> {
        Dashboard::of_viewer(ctx)
    }

    /// A partner. Null where there is no such partner, or it is not yours.
    async fn partner(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: PartnerId) -> Option<Result<Partner>> {
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
    ) -> Result<Connection<Partner>> {
        if !matches!(ctx.viewer().role, Role::Operator | Role::Service) {
            return Err(Error::Forbidden(
                "Only operators and services can list partners. Your own is `me { partner }`.".to_owned(),
            ));
        }
        Partner::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await
    }

    /// A lead. Null where there is no such lead, or it is not yours.
    async fn lead(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: LeadId) -> Option<Result<Lead>> {
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
    ) -> Result<Connection<Lead>> {
        Lead::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await
    }
}

/// The direction of an order.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderDirection {
    /// The smallest, oldest or alphabetically first at the start.
    Asc,
    /// The largest, newest or alphabetically last at the start.
    #[default]
    Desc,
}

impl OrderDirection {
    /// Whether large comes first.
    pub fn is_descending(self) -> bool {
        self == Self::Desc
    }
}

/// A text to search for; blank is none.
pub fn search_text(text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().count() > MAX_SEARCH || text.contains('\0') {
        return Err(Error::BadUserInput(format!("`search` takes at most {MAX_SEARCH} characters, none of them NUL.")));
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}
