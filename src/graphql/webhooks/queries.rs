//! Queries of webhooks.

use async_graphql::{Context, Object};

use super::{endpoint::WebhookEndpoint, source::WebhookSource};
use crate::{
    auth::Readable,
    error::{Error, Result},
    graphql::engine::{context::ContextExt, pagination::Connection},
    ids::WebhookEndpointId,
    models::page::PageArguments,
};

#[derive(Default)]
pub struct WebhookQueries;

#[Object]
impl WebhookQueries {
    /// An endpoint that events are sent to. Null where there is no such endpoint, and for all but operators.
    async fn webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: WebhookEndpointId,
    ) -> Option<Result<WebhookEndpoint>> {
        WebhookEndpoint::by_id(ctx, id).await.transpose()
    }

    /// The endpoints that events are sent to, in the order in which they were made; for operators.
    async fn webhook_endpoints(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
    ) -> Result<Option<Connection<WebhookEndpoint>>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Err(Error::Forbidden("Only operators see where events are sent.".to_owned()));
        }
        WebhookEndpoint::paginate(ctx, PageArguments { first, after, last, before }).await.map(Some)
    }

    /// The services that report what happens there, in the order in which they were made; for operators.
    async fn webhook_sources(&self, ctx: &Context<'_>) -> Result<Option<Vec<WebhookSource>>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Err(Error::Forbidden("Only operators see which services report.".to_owned()));
        }
        WebhookSource::all(ctx).await.map(Some)
    }
}
