//! Webhooks' deliveries, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::{attempt::WebhookAttempt, endpoint::WebhookEndpoint};
use crate::{
    auth::Readable,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        json::leaf_enums,
        lists::{self, Shown},
        loaders::batch_key,
        pagination::{Connection, Listed, TotalCount},
        row::plain,
        scalars::DateTime,
    },
    ids::{WebhookDeliveryId, WebhookEndpointId, WebhookEventId},
    models::{
        page::{Page, PageArguments},
        webhooks::{
            delivery::{self, BY_CREATED, WebhookDeliveryFilter, WebhookDeliveryStatus, WebhookEvent},
            event::WebhookEventType,
        },
    },
};

/// A delivery.
#[derive(Clone)]
pub struct WebhookDelivery(pub Arc<delivery::WebhookDelivery>);

/// An event on its way to an endpoint. It is tried ten times within 76 hours: at once, and after 5 seconds, 5 minutes, half an hour, 2, 5, 10, 14, 20 and 24
/// hours, each more or less by a tenth. It may arrive twice, and events in another order than they happened: the header `webhook-id` is the same at
/// every attempt.
#[Object]
impl WebhookDelivery {
    /// Its id.
    pub async fn id(&self) -> WebhookDeliveryId {
        self.0.id
    }

    /// The endpoint. Null once it is removed.
    async fn endpoint(&self, ctx: &Context<'_>) -> Option<Result<WebhookEndpoint>> {
        WebhookEndpoint::by_id(ctx, self.0.endpoint_id).await.transpose()
    }

    /// The event's id, which the receiver sees as `webhook-id`.
    async fn event_id(&self) -> WebhookEventId {
        self.0.event_id
    }

    /// What has happened.
    async fn event_type(&self) -> WebhookEventType {
        self.0.event_type
    }

    /// When it happened.
    async fn happened_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(self.event(ctx).await?.map_or(self.0.created_at, |event| event.at).into())
    }

    /// What is sent, byte for byte: a JSON text.
    async fn body(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(self.event(ctx).await?.and_then(|event| event.body.clone()).unwrap_or_default())
    }

    /// How far it is.
    async fn status(&self) -> WebhookDeliveryStatus {
        self.0.status
    }

    /// How many attempts have been made.
    async fn attempt_count(&self) -> i32 {
        self.0.attempts
    }

    /// When the next attempt is made. Null where none is.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_at.map(DateTime)
    }

    /// The attempts, the latest first.
    async fn attempts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
    ) -> Result<Option<Connection<WebhookAttempt>>> {
        WebhookAttempt::of_delivery(ctx, self.0.id, PageArguments { first, after, last, before }).await.map(Some)
    }

    /// When it began.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was delivered or given up. Null until then.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime)
    }
}

leaf_enums!(WebhookEventType, WebhookDeliveryStatus);

/// Which deliveries to show.
#[derive(InputObject)]
#[graphql(name = "WebhookDeliveryFilter")]
pub struct WebhookDeliveryFilterInput {
    /// Only those in one of these states.
    status: Option<Vec<WebhookDeliveryStatus>>,
    /// Only those of events of one of these types.
    event_type: Option<Vec<WebhookEventType>>,
}

impl WebhookDelivery {
    /// The delivery of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: WebhookDeliveryId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Ok(None);
        }
        Ok(ctx.load(WebhookDeliveryById(id)).await?.map(Self))
    }

    /// One page of an endpoint's deliveries, the latest first, fetched together with those of its siblings.
    pub async fn of_endpoint(
        ctx: &Context<'_>,
        endpoint: WebhookEndpointId,
        arguments: PageArguments,
        filter: Option<WebhookDeliveryFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = filter.map_or_else(WebhookDeliveryFilter::default, |filter| WebhookDeliveryFilter {
            status: filter.status,
            types: filter.event_type,
        });
        lists::nested(ctx, endpoint, filter, Page::new(BY_CREATED, true, arguments)?).await
    }

    async fn event(&self, ctx: &Context<'_>) -> Result<Option<Arc<WebhookEvent>>> {
        ctx.load(WebhookEventById(self.0.event_id)).await
    }
}

batch_key!(WebhookDeliveryById(WebhookDeliveryId) -> Arc<delivery::WebhookDelivery>, delivery::WebhookDelivery::by_ids);
batch_key!(WebhookEventById(WebhookEventId) -> Arc<WebhookEvent>, WebhookEvent::by_ids);

plain!(WebhookDelivery: id, event_id, event_type, status, attempt_count, next_attempt_at, created_at, ended_at);

impl From<Arc<delivery::WebhookDelivery>> for WebhookDelivery {
    fn from(row: Arc<delivery::WebhookDelivery>) -> Self {
        Self(row)
    }
}

impl Listed for WebhookDelivery {
    type Beside = TotalCount;
}

impl Shown for WebhookDeliveryFilter {}
