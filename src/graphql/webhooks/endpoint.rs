//! Webhooks' endpoints, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};

use super::delivery::{WebhookDelivery, WebhookDeliveryFilterInput};
use crate::{
    auth::Readable,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            row::plain,
            scalars::DateTime,
        },
        people::user::User,
    },
    ids::WebhookEndpointId,
    models::{
        page::{Page, PageArguments},
        webhooks::{
            endpoint::{self, BY_CREATED, WebhookEndpointFilter},
            event::WebhookEventType,
        },
    },
};

/// An endpoint.
#[derive(Clone)]
pub struct WebhookEndpoint(pub Arc<endpoint::WebhookEndpoint>);

/// An address of another system that events are sent to, as Standard Webhooks 1.0.0 says.
#[Object]
impl WebhookEndpoint {
    /// Its id.
    pub async fn id(&self) -> WebhookEndpointId {
        self.0.id
    }

    /// The address.
    async fn url(&self) -> &str {
        &self.0.url
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The types of events that are sent to it.
    async fn event_types(&self) -> Vec<WebhookEventType> {
        self.0.event_types()
    }

    /// Whether anything is sent to it.
    async fn is_enabled(&self) -> bool {
        self.0.disabled_at.is_none()
    }

    /// Since when nothing is sent to it. Null where it is enabled.
    async fn disabled_at(&self) -> Option<DateTime> {
        self.0.disabled_at.map(DateTime)
    }

    /// Why nothing is sent to it. Null where it is enabled.
    async fn disabled_reason(&self) -> Option<&str> {
        self.0.disabled_reason.as_deref()
    }

    /// Since when every attempt has failed: after five days it is disabled. Null where the last has succeeded.
    async fn failing_since(&self) -> Option<DateTime> {
        self.0.failing_since.map(DateTime)
    }

    /// When an attempt has succeeded last. Null where none has.
    async fn last_success_at(&self) -> Option<DateTime> {
        self.0.last_success_at.map(DateTime)
    }

    /// The secrets that messages to it are signed with, the latest first; what is in them is shown once, by the mutation that makes them.
    async fn secrets(&self, ctx: &Context<'_>) -> Result<Vec<WebhookSecret>> {
        let (secrets, now) =
            (ctx.load(SecretsOfEndpoint(self.0.id)).await?.unwrap_or_default(), ctx.request().shared.clock.instant());
        Ok(secrets
            .iter()
            .filter(|secret| secret.expires_at.is_none_or(|until| until > now))
            .map(|secret| WebhookSecret { created_at: secret.created_at.into(), expires_at: secret.expires_at.map(DateTime) })
            .collect())
    }

    /// What was sent to it within thirty days, or is to be, the latest first.
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which deliveries to show; all of them where it is not given.")] filter: Option<
            WebhookDeliveryFilterInput,
        >,
    ) -> Result<Option<Connection<WebhookDelivery>>> {
        WebhookDelivery::of_endpoint(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Who made it.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by).await.transpose()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was changed last.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A secret of an endpoint or a source, without what is in it.
#[derive(SimpleObject)]
pub struct WebhookSecret {
    /// When it was made or given.
    pub created_at: DateTime,
    /// Until when messages are signed with it, or taken that are. Null where no newer one replaces it.
    pub expires_at: Option<DateTime>,
}

impl WebhookEndpoint {
    /// The endpoint of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: WebhookEndpointId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Ok(None);
        }
        Ok(ctx.load(WebhookEndpointById(id)).await?.map(Self))
    }

    /// One page of the tenant's endpoints, in the order in which they were made. For those alone who may see them.
    pub async fn paginate(ctx: &Context<'_>, arguments: PageArguments) -> Result<Connection<Self>> {
        lists::root(ctx, WebhookEndpointFilter, Page::new(BY_CREATED, false, arguments)?).await
    }
}

batch_key!(WebhookEndpointById(WebhookEndpointId) -> Arc<endpoint::WebhookEndpoint>, endpoint::WebhookEndpoint::by_ids);
batch_key!(SecretsOfEndpoint(WebhookEndpointId) -> Arc<Vec<endpoint::WebhookSecret>>, endpoint::WebhookEndpoint::secrets_of);

plain!(WebhookEndpoint: id, url, description, is_enabled, disabled_at, disabled_reason, failing_since, last_success_at, created_at, updated_at);

impl From<Arc<endpoint::WebhookEndpoint>> for WebhookEndpoint {
    fn from(row: Arc<endpoint::WebhookEndpoint>) -> Self {
        Self(row)
    }
}

impl Listed for WebhookEndpoint {
    type Beside = TotalCount;
}

impl Shown for WebhookEndpointFilter {}
