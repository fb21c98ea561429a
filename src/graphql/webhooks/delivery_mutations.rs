//! Mutations of webhooks' deliveries.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use serde_json::json;

use super::{delivery::WebhookDelivery, endpoint::WebhookEndpoint};
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            scalars::DateTime,
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{WebhookDeliveryId, WebhookEndpointId},
    models::{idempotency::Key, webhooks::delivery::DeliveryFault},
    validation::{FaultCode, Faults, line},
};

/// The endpoint that is to be tested.
#[derive(InputObject, Clone)]
struct SendTestWebhookInput {
    /// The endpoint.
    id: WebhookEndpointId,
    /// A name for this request, at most 200 characters: sent again with it, it sends no other test.
    idempotency_key: String,
}

/// What became of `sendTestWebhook`.
#[derive(SimpleObject)]
struct SendTestWebhookPayload {
    /// The delivery, of an event of the type `PING`. Null where there are user errors.
    delivery: Option<WebhookDelivery>,
    /// Whether it was sent before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the test is on its way.
    user_errors: Vec<UserError>,
}

/// The delivery that is to be made again.
#[derive(InputObject, Clone)]
struct RedeliverWebhookInput {
    /// The delivery, in whichever state.
    id: WebhookDeliveryId,
}

/// What became of `redeliverWebhook`.
#[derive(SimpleObject)]
struct RedeliverWebhookPayload {
    /// The delivery as it is now. Null where there are user errors.
    delivery: Option<WebhookDelivery>,
    /// Whether it waited to be made at once already, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the delivery waits to be made.
    user_errors: Vec<UserError>,
}

/// What an endpoint is to get that it has missed.
#[derive(InputObject, Clone)]
struct RecoverWebhooksInput {
    /// The endpoint.
    endpoint_id: WebhookEndpointId,
    /// From when on. What happened more than thirty days ago is forgotten.
    since: DateTime,
}

/// What became of `recoverWebhooks`.
#[derive(SimpleObject)]
struct RecoverWebhooksPayload {
    /// The endpoint. Null where there are user errors.
    endpoint: Option<WebhookEndpoint>,
    /// How many events are sent, the oldest first: 10,000 at most. Recover again for more.
    recovered: i64,
    /// Whether nothing was missed, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when what was missed is on its way.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct WebhookDeliveryMutations;

#[Object]
impl WebhookDeliveryMutations {
    /// Sends an endpoint an event of the type `ping`, to see that it arrives. Needs `WEBHOOKS_MANAGE`.
    async fn send_test_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint.")] input: SendTestWebhookInput,
    ) -> Result<Option<SendTestWebhookPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let ((delivery, replayed), user_errors) = settle(ctx, || send_test(ctx, input.clone())).await?;
        Ok(Some(SendTestWebhookPayload { delivery, replayed, user_errors }))
    }

    /// Makes a delivery again at once, whatever came of it, with all attempts that a new one has. Needs `WEBHOOKS_MANAGE`.
    async fn redeliver_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The delivery.")] input: RedeliverWebhookInput,
    ) -> Result<Option<RedeliverWebhookPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let ((delivery, replayed), user_errors) = settle(ctx, || redeliver(ctx, input.id)).await?;
        Ok(Some(RedeliverWebhookPayload { delivery, replayed, user_errors }))
    }

    /// Sends an endpoint everything that it has missed since a time: what has failed, and what happened while it was switched off or did not hear of
    /// it. Needs `WEBHOOKS_MANAGE`.
    async fn recover_webhooks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint, and since when.")] input: RecoverWebhooksInput,
    ) -> Result<Option<RecoverWebhooksPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let ((endpoint, recovered), user_errors) = settle(ctx, || recover(ctx, input.clone())).await?;
        Ok(Some(RecoverWebhooksPayload { endpoint, recovered, replayed: recovered == 0, user_errors }))
    }
}

fn wake(ctx: &Context<'_>) {
    ctx.request().shared.webhooks.woken.notify_one();
}

async fn send_test(ctx: &Context<'_>, input: SendTestWebhookInput) -> Result<Outcome<WebhookDelivery>, Refusal> {
    let mut faults = Faults::default();
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let Some(key) = key else { return Err(faults.into()) };
    let key = Key::new(key, [("id", json!(input.id.to_string()))]);
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let (id, is_new) = books.send_test(&key, input.id).await?.map_err(|fault| delivery_refused(fault, "input.id"))?;
    let sent = outcome(writing, is_new, WebhookDelivery::by_id(ctx, id)).await?;
    wake(ctx);
    Ok(sent)
}

async fn redeliver(ctx: &Context<'_>, id: WebhookDeliveryId) -> Result<Outcome<WebhookDelivery>, Refusal> {
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let has_changed = books.redeliver(id).await?.map_err(|fault| delivery_refused(fault, "input.id"))?;
    let sent = outcome(writing, has_changed, WebhookDelivery::by_id(ctx, id)).await?;
    wake(ctx);
    Ok(sent)
}

async fn recover(ctx: &Context<'_>, input: RecoverWebhooksInput) -> Result<(Option<WebhookEndpoint>, i64), Refusal> {
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let recovered = books.recover(input.endpoint_id, input.since.0).await?;
    let recovered = recovered.map_err(|fault| delivery_refused(fault, "input.endpointId"))?;
    let (endpoint, _) = outcome(writing, recovered > 0, WebhookEndpoint::by_id(ctx, input.endpoint_id)).await?;
    wake(ctx);
    Ok((endpoint, recovered))
}

fn delivery_refused(fault: DeliveryFault, path: &'static str) -> Refusal {
    match fault {
        DeliveryFault::NotFound => {
            Refusal::fault(path, FaultCode::NotFound, "There is none of this id, or its endpoint was removed.")
        }
        DeliveryFault::Disabled => Refusal::fault(
            path,
            FaultCode::InvalidTransition,
            "The endpoint is disabled: enable it first, by updateWebhookEndpoint.",
        ),
        DeliveryFault::KeyReused { first, difference } => Refusal::key_reused(WebhookDeliveryId::from(first), &difference),
    }
}
