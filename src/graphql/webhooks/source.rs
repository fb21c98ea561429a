//! Webhooks' sources, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{
    endpoint::WebhookSecret,
    receipt::{WebhookReceipt, WebhookReceiptFilterInput},
};
use crate::{
    auth::Readable,
    error::Result,
    graphql::{
        engine::{context::ContextExt, json::leaf_enums, loaders::batch_key, pagination::Connection, scalars::DateTime},
        people::user::User,
    },
    ids::WebhookSourceId,
    models::{
        page::PageArguments,
        webhooks::source::{self, WebhookSourceKind},
    },
};

/// A source.
#[derive(Clone)]
pub struct WebhookSource(pub Arc<source::WebhookSource>);

/// A service that reports what happens there: Clerk, who signs in and who belongs to which organisation; Stripe, what customers pay and get back. Its
/// events are stored once each, and applied in whatever order they come.
#[Object]
impl WebhookSource {
    /// Its id.
    pub async fn id(&self) -> WebhookSourceId {
        self.0.id
    }

    /// Which service it is.
    async fn kind(&self) -> WebhookSourceKind {
        self.0.kind
    }

    /// The address to enter there, as the endpoint of its webhooks.
    async fn url(&self, ctx: &Context<'_>) -> String {
        format!("{}/webhooks/{}", ctx.request().shared.public_url, self.0.id)
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The secrets that it may sign with, the latest first, without what is in them. Until there is one, nothing is taken.
    async fn secrets(&self, ctx: &Context<'_>) -> Result<Vec<WebhookSecret>> {
        let (secrets, now) =
            (ctx.load(SecretsOfSource(self.0.id)).await?.unwrap_or_default(), ctx.request().shared.clock.instant());
        Ok(secrets
            .iter()
            .filter(|secret| secret.expires_at.is_none_or(|until| until > now))
            .map(|secret| WebhookSecret { created_at: secret.created_at.into(), expires_at: secret.expires_at.map(DateTime) })
            .collect())
    }

    /// What it has reported within ninety days, the latest first.
    async fn receipts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which receipts to show; all of them where it is not given.")] filter: Option<WebhookReceiptFilterInput>,
    ) -> Result<Option<Connection<WebhookReceipt>>> {
        WebhookReceipt::of_source(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Who made it.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by).await.transpose()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

leaf_enums!(WebhookSourceKind);

impl WebhookSource {
    /// The source of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: WebhookSourceId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Webhooks) {
            return Ok(None);
        }
        Ok(ctx.load(WebhookSourceById(id)).await?.map(Self))
    }

    /// All of the tenant's, in the order in which they were made. For those alone who may see them.
    pub async fn all(ctx: &Context<'_>) -> Result<Vec<Self>> {
        let reading = ctx.read().await?;
        let rows = source::WebhookSource::all(&reading, ctx.viewer().scope()).await?;
        Ok(rows.into_iter().map(|row| Self(Arc::new(row))).collect())
    }
}

batch_key!(WebhookSourceById(WebhookSourceId) -> Arc<source::WebhookSource>, source::WebhookSource::by_ids);
batch_key!(SecretsOfSource(WebhookSourceId) -> Arc<Vec<source::WebhookSourceSecret>>, source::WebhookSource::secrets_of);
