//! Webhooks' receipts, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::source::WebhookSource;
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
    ids::{WebhookReceiptId, WebhookSourceId},
    models::{
        page::{Page, PageArguments},
        webhooks::receipt::{self, BY_RECEIVED, WebhookReceiptFilter, WebhookReceiptStatus},
    },
};

/// A receipt.
#[derive(Clone)]
pub struct WebhookReceipt(pub Arc<receipt::WebhookReceipt>);

/// An event that a source has reported, and what became of it. However often it is sent, it is stored and applied once.
#[Object]
impl WebhookReceipt {
    /// Its id.
    pub async fn id(&self) -> WebhookReceiptId {
        self.0.id
    }

    /// The source. Null once it is removed.
    async fn source(&self, ctx: &Context<'_>) -> Option<Result<WebhookSource>> {
        WebhookSource::by_id(ctx, self.0.source_id).await.transpose()
    }

    /// The sender's id of the event.
    async fn event_id(&self) -> &str {
        &self.0.event_id
    }

    /// The sender's name of the event's type, such as `invoice.paid`.
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// What became of it.
    async fn status(&self) -> WebhookReceiptStatus {
        self.0.status
    }

    /// Why it is ignored, parked or failed, or what you should know of one that is applied. Null where there is nothing to say.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// How often it was tried to apply it, since it was received or applied again.
    async fn attempt_count(&self) -> i32 {
        self.0.attempts
    }

    /// What was sent, byte for byte. Null once it is forgotten, after thirty days.
    async fn body(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(ctx.load(BodyOfReceipt(self.0.id)).await?.map(|body| body.0.clone()))
    }

    /// When it was received.
    async fn received_at(&self) -> DateTime {
        self.0.received_at.into()
    }

    /// When it is tried next. Null where it is not.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_at.map(DateTime)
    }

    /// When it was applied, ignored or given up. Null until then.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime)
    }
}

leaf_enums!(WebhookReceiptStatus);

/// Which receipts to show.
#[derive(InputObject)]
#[graphql(name = "WebhookReceiptFilter")]
pub struct WebhookReceiptFilterInput {
    /// Only those in one of these states.
    status: Option<Vec<WebhookReceiptStatus>>,
    /// Only those of events of one of these types, by the sender's names.
    event_type: Option<Vec<String>>,
}

impl WebhookReceipt {
    /// The receipt of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: WebhookReceiptId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Ok(None);
        }
        Ok(ctx.load(WebhookReceiptById(id)).await?.map(Self))
    }

    /// One page of a source's receipts, the latest first, fetched together with those of its siblings.
    pub async fn of_source(
        ctx: &Context<'_>,
        source: WebhookSourceId,
        arguments: PageArguments,
        filter: Option<WebhookReceiptFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = filter.map_or_else(WebhookReceiptFilter::default, |filter| WebhookReceiptFilter {
            status: filter.status,
            types: filter.event_type,
        });
        lists::nested(ctx, source, filter, Page::new(BY_RECEIVED, true, arguments)?).await
    }
}

batch_key!(BodyOfReceipt(WebhookReceiptId) -> Arc<receipt::ReceiptBody>, receipt::ReceiptBody::by_ids);
batch_key!(WebhookReceiptById(WebhookReceiptId) -> Arc<receipt::WebhookReceipt>, receipt::WebhookReceipt::by_ids);

plain!(WebhookReceipt: id, event_id, event_type, status, reason, attempt_count, received_at, next_attempt_at, ended_at);

impl From<Arc<receipt::WebhookReceipt>> for WebhookReceipt {
    fn from(row: Arc<receipt::WebhookReceipt>) -> Self {
        Self(row)
    }
}

impl Listed for WebhookReceipt {
    type Beside = TotalCount;
}

impl Shown for WebhookReceiptFilter {}
