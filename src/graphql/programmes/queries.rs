//! What a query can begin with of programmes, enrolments and links.

use async_graphql::{Context, Object};

use super::{
    enrolment::{Enrolment, EnrolmentFilterInput, EnrolmentOrder},
    link::{Link, LinkFilterInput, LinkOrder},
    link_event::{LinkEvent, LinkEventFilterInput},
    programme::{Programme, ProgrammeFilterInput, ProgrammeOrder},
    sign_up::{LinkSignUp, LinkSignUpFilterInput},
};
use crate::{
    error::{Error, Result},
    graphql::engine::{pagination::Connection, row::Row},
    ids::{LinkId, ProgrammeId},
    models::page::PageArguments,
};

#[derive(Default)]
pub struct ProgrammeQueries;

#[Object]
impl ProgrammeQueries {
    /// A programme, by its id or by its shop. Null where there is no such programme, or your partner is not enrolled in it.
    async fn programme(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Option<ProgrammeId>,
        #[graphql(desc = "The shop's domain, or a host below it: \"www.example.co.uk\".")] domain: Option<String>,
    ) -> Option<Result<Row<Programme>>> {
        match (id, domain) {
            (Some(id), None) => Programme::by_id(ctx, id).await.transpose(),
            (None, Some(domain)) => Programme::by_domain(ctx, &domain).await.transpose(),
            _ => Some(Err(Error::BadUserInput("Give `id` or `domain`, one of the two.".to_owned()))),
        }
    }

    /// The programmes that your partner is enrolled in; for operators and services all. The newest first where no order is given.
    async fn programmes(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which programmes to show; all of them where it is not given.")] filter: Option<ProgrammeFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<ProgrammeOrder>,
    ) -> Result<Option<Connection<Programme>>> {
        Programme::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Your partner's parts in programmes; for operators and services those of all partners. The newest first where no order is given.
    async fn enrolments(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which enrolments to show; all of them where it is not given.")] filter: Option<EnrolmentFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<EnrolmentOrder>,
    ) -> Result<Option<Connection<Enrolment>>> {
        Enrolment::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// A link, by its id or by its key. Null where there is no such link, or it is not yours.
    async fn link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Option<LinkId>,
        #[graphql(desc = "Its key, in whichever case.")] key: Option<String>,
    ) -> Option<Result<Row<Link>>> {
        match (id, key) {
            (Some(id), None) => Link::by_id(ctx, id).await.transpose(),
            (None, Some(key)) => Link::by_key(ctx, &key).await.transpose(),
            _ => Some(Err(Error::BadUserInput("Give `id` or `key`, one of the two.".to_owned()))),
        }
    }

    /// The links of the partner that you act for; for operators and services those of all partners. The newest first where no order is given.
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which links to show; all of them where it is not given.")] filter: Option<LinkFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<LinkOrder>,
    ) -> Result<Option<Connection<Link>>> {
        Link::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Who signed up by links of the partner that you act for; for operators and services those of all partners. The latest first.
    async fn link_sign_ups(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which sign-ups to show; all of them where it is not given.")] filter: Option<LinkSignUpFilterInput>,
    ) -> Result<Option<Connection<LinkSignUp>>> {
        LinkSignUp::paginate(ctx, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Clicks, sign-ups and sales by links of the partner that you act for, the latest first. Operators and services say of which partner or link,
    /// or leave the clicks out.
    async fn link_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which events to show; all of them where it is not given.")] filter: Option<LinkEventFilterInput>,
    ) -> Result<Option<Connection<LinkEvent>>> {
        LinkEvent::paginate(ctx, PageArguments { first, after, last, before }, filter).await.map(Some)
    }
}
