//! Attempts of webhooks' deliveries, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::{
    auth::Readable,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        lists::{self, Shown},
        loaders::batch_key,
        pagination::{Connection, Listed, TotalCount},
        row::plain,
        scalars::DateTime,
    },
    ids::{WebhookAttemptId, WebhookDeliveryId},
    models::{
        page::{Page, PageArguments},
        webhooks::attempt::{self, BY_NUMBER, WebhookAttemptFilter},
    },
};

/// An attempt.
#[derive(Clone)]
pub struct WebhookAttempt(pub Arc<attempt::WebhookAttempt>);

/// A request to an endpoint, and what came of it.
#[Object]
impl WebhookAttempt {
    /// Its id.
    pub async fn id(&self) -> WebhookAttemptId {
        self.0.id
    }

    /// Its number among those of the delivery, from 1.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// When it was made.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// How long the answer took, in milliseconds.
    async fn milliseconds(&self) -> i32 {
        self.0.milliseconds
    }

    /// The address that it went to.
    async fn url(&self) -> &str {
        &self.0.url
    }

    /// The HTTP status of the answer: 200 to 299 is a success. Null where no answer came.
    async fn status(&self) -> Option<i32> {
        self.0.status
    }

    /// The first 2,048 bytes of the answer's body. Null where no answer came.
    async fn response(&self) -> Option<&str> {
        self.0.response.as_deref()
    }

    /// Why no answer came. Null where one did.
    async fn fault(&self) -> Option<&str> {
        self.0.fault.as_deref()
    }
}

impl WebhookAttempt {
    /// The attempt of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: WebhookAttemptId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Ok(None);
        }
        Ok(ctx.load(WebhookAttemptById(id)).await?.map(Self))
    }

    /// One page of a delivery's attempts, the latest first, fetched together with those of its siblings.
    pub async fn of_delivery(
        ctx: &Context<'_>,
        delivery: WebhookDeliveryId,
        arguments: PageArguments,
    ) -> Result<Connection<Self>> {
        lists::nested(ctx, delivery, WebhookAttemptFilter, Page::new(BY_NUMBER, true, arguments)?).await
    }
}

batch_key!(WebhookAttemptById(WebhookAttemptId) -> Arc<attempt::WebhookAttempt>, attempt::WebhookAttempt::by_ids);

plain!(WebhookAttempt: id, number, at, milliseconds, url, status, response, fault);

impl From<Arc<attempt::WebhookAttempt>> for WebhookAttempt {
    fn from(row: Arc<attempt::WebhookAttempt>) -> Self {
        Self(row)
    }
}

impl Listed for WebhookAttempt {
    type Beside = TotalCount;
}

impl Shown for WebhookAttemptFilter {}
