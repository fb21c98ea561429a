//! Mutations of webhooks' endpoints.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::TimeDelta;
use serde_json::json;
use url::Url;

use super::endpoint::WebhookEndpoint;
use crate::{
    auth::Permission,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, cleared_or, given, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{WebhookEndpointId, WebhookSecretId},
    keyring::SealedField,
    models::{
        idempotency::Key,
        webhooks::{
            endpoint::{EndpointChanges, EndpointFault, MAX_ENDPOINTS, MAX_SECRETS, NewEndpoint},
            event::WebhookEventType,
        },
    },
    outbound::Reach,
    validation::{FaultCode, Faults, Wrong, line},
    webhooks::signature::Secret,
};

/// The longest address.
const MAX_URL: usize = 2_000;
/// The longest description.
pub(super) const MAX_DESCRIPTION: usize = 200;
/// The longest that a secret stays valid beside a newer one, in hours.
pub(super) const MAX_OVERLAP: i32 = 168;

/// An endpoint that events are to be sent to.
#[derive(InputObject, Clone)]
struct CreateWebhookEndpointInput {
    /// Its address: https, without a user and password, at most 2,000 characters.
    url: String,
    /// The types of events to send to it, one at least; tests (`PING`) are sent without being named.
    event_types: Vec<WebhookEventType>,
    /// What it is for, at most 200 characters.
    description: Option<String>,
    /// A name for this request, at most 200 characters: sent again with it, it makes no other endpoint.
    idempotency_key: String,
}

/// What became of `createWebhookEndpoint`.
#[derive(SimpleObject)]
struct CreateWebhookEndpointPayload {
    /// The endpoint. Null where there are user errors.
    endpoint: Option<WebhookEndpoint>,
    /// The secret by which the receiver checks that messages are genuine: `whsec_` and base64. It is shown this once; null where the endpoint was there
    /// before: `rotateWebhookSecret` gives another.
    secret: Option<String>,
    /// Whether it was made before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the endpoint is there.
    user_errors: Vec<UserError>,
}

/// What to change of an endpoint: a field that is left out stays as it is.
#[derive(InputObject, Clone)]
struct UpdateWebhookEndpointInput {
    /// The endpoint.
    id: WebhookEndpointId,
    /// Its address.
    url: MaybeUndefined<String>,
    /// The types of events to send to it from now on.
    event_types: MaybeUndefined<Vec<WebhookEventType>>,
    /// What it is for.
    description: MaybeUndefined<String>,
    /// Whether anything is sent to it. What waits for it when it is switched off has failed; `recoverWebhooks` sends it what it has missed.
    enabled: MaybeUndefined<bool>,
}

/// What became of `updateWebhookEndpoint`.
#[derive(SimpleObject)]
struct UpdateWebhookEndpointPayload {
    /// The endpoint as it is now. Null where there are user errors.
    endpoint: Option<WebhookEndpoint>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the endpoint was changed.
    user_errors: Vec<UserError>,
}

/// The endpoint that is to be removed.
#[derive(InputObject, Clone)]
struct RemoveWebhookEndpointInput {
    /// The endpoint.
    id: WebhookEndpointId,
}

/// What became of `removeWebhookEndpoint`.
#[derive(SimpleObject)]
struct RemoveWebhookEndpointPayload {
    /// Its id.
    endpoint_id: WebhookEndpointId,
    /// Whether there was no such endpoint any more, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when there is no such endpoint any more.
    user_errors: Vec<UserError>,
}

/// The endpoint that is to have another secret.
#[derive(InputObject, Clone)]
struct RotateWebhookSecretInput {
    /// The endpoint.
    id: WebhookEndpointId,
    /// For how many hours messages are signed with the former secrets too, so that the receiver can be changed meanwhile: 0 to 168.
    #[graphql(default = 24)]
    expire_old_after_hours: i32,
    /// A name for this request, at most 200 characters: sent again with it, it makes no other secret.
    idempotency_key: String,
}

/// What became of `rotateWebhookSecret`.
#[derive(SimpleObject)]
struct RotateWebhookSecretPayload {
    /// The endpoint as it is now. Null where there are user errors.
    endpoint: Option<WebhookEndpoint>,
    /// The new secret. It is shown this once; null where it was made before.
    secret: Option<String>,
    /// Whether it was made before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the endpoint has the secret.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct WebhookEndpointMutations;

#[Object]
impl WebhookEndpointMutations {
    /// Sends events to another system from now on. Needs `WEBHOOKS_MANAGE`.
    async fn create_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint.")] input: CreateWebhookEndpointInput,
    ) -> Result<Option<CreateWebhookEndpointPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let secret = NewSecret::of(ctx)?;
        let ((endpoint, replayed), user_errors) = settle(ctx, || create(ctx, &secret, input.clone())).await?;
        let secret = secret.shown(endpoint.is_some() && !replayed);
        Ok(Some(CreateWebhookEndpointPayload { endpoint, secret, replayed, user_errors }))
    }

    /// Changes an endpoint, switches it off or on again. Needs `WEBHOOKS_MANAGE`.
    async fn update_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateWebhookEndpointInput,
    ) -> Result<Option<UpdateWebhookEndpointPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let ((endpoint, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdateWebhookEndpointPayload { endpoint, replayed, user_errors }))
    }

    /// Removes an endpoint: nothing is sent to it any more, and its deliveries are no longer shown. Needs `WEBHOOKS_MANAGE`.
    async fn remove_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint.")] input: RemoveWebhookEndpointInput,
    ) -> Result<Option<RemoveWebhookEndpointPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let (has_changed, user_errors) = settle(ctx, || remove(ctx, input.id)).await?;
        Ok(Some(RemoveWebhookEndpointPayload { endpoint_id: input.id, replayed: !has_changed, user_errors }))
    }

    /// Gives an endpoint another secret; the former ones stay valid for some hours, and until then each message is signed with all of them. Needs
    /// `WEBHOOKS_MANAGE`.
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint.")] input: RotateWebhookSecretInput,
    ) -> Result<Option<RotateWebhookSecretPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let secret = NewSecret::of(ctx)?;
        let ((endpoint, replayed), user_errors) = settle(ctx, || rotate(ctx, &secret, input.clone())).await?;
        let secret = secret.shown(endpoint.is_some() && !replayed);
        Ok(Some(RotateWebhookSecretPayload { endpoint, secret, replayed, user_errors }))
    }
}

/// A secret that is made for a request, and sealed.
struct NewSecret {
    id: WebhookSecretId,
    text: String,
    sealed: Vec<u8>,
}

impl NewSecret {
    fn of(ctx: &Context<'_>) -> Result<Self> {
        let (id, text) = (WebhookSecretId::new(), Secret::generate()?);
        let (keyring, tenant) = (&ctx.request().shared.keyring, ctx.viewer().tenant.id);
        let sealed = keyring.seal(&text, SealedField::WebhookSecret, tenant, id).map_err(Error::internal)?;
        Ok(Self { id, text, sealed })
    }

    fn row(&self) -> (WebhookSecretId, &[u8]) {
        (self.id, &self.sealed)
    }

    /// The text, where it is this request's.
    fn shown(self, is_new: bool) -> Option<String> {
        is_new.then_some(self.text)
    }
}

async fn create(
    ctx: &Context<'_>,
    secret: &NewSecret,
    input: CreateWebhookEndpointInput,
) -> Result<Outcome<WebhookEndpoint>, Refusal> {
    let mut faults = Faults::default();
    let reach = ctx.request().shared.webhooks.reach;
    let url = faults.check("input.url", address(&input.url, reach));
    let types = faults.check("input.eventTypes", types(&input.event_types));
    let description = input.description.as_deref().filter(|text| !text.trim().is_empty());
    let description = faults.check_option("input.description", description, |text| line(text, MAX_DESCRIPTION));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(url), Some(types), Some(key), true) = (url, types, key, faults.is_empty()) else { return Err(faults.into()) };
    let words: Vec<&str> = types.iter().map(|event| event.as_str()).collect();
    let key = Key::new(key, [("url", json!(url)), ("eventTypes", json!(words)), ("description", json!(description))]);
    let new = NewEndpoint { id: WebhookEndpointId::new(), url, description, types };
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let (id, is_new) = books.add_endpoint(&key, &new, secret.row()).await?.map_err(endpoint_refused)?;
    Ok(outcome(writing, is_new, WebhookEndpoint::by_id(ctx, id)).await?)
}

async fn update(ctx: &Context<'_>, input: UpdateWebhookEndpointInput) -> Result<Outcome<WebhookEndpoint>, Refusal> {
    let mut faults = Faults::default();
    let reach = ctx.request().shared.webhooks.reach;
    let changes = EndpointChanges {
        url: given(input.url, "input.url", &mut faults, |text| address(&text, reach)),
        types: given(input.event_types, "input.eventTypes", &mut faults, |given| types(&given)),
        description: cleared_or(input.description, |text| {
            if text.trim().is_empty() {
                return Some(None);
            }
            faults.check("input.description", line(&text, MAX_DESCRIPTION)).map(Some)
        })
        .map(Option::flatten),
        is_enabled: given(input.enabled, "input.enabled", &mut faults, Ok),
    };
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let has_changed = books.change_endpoint(input.id, &changes).await?.map_err(endpoint_refused)?;
    Ok(outcome(writing, has_changed, WebhookEndpoint::by_id(ctx, input.id)).await?)
}

async fn remove(ctx: &Context<'_>, id: WebhookEndpointId) -> Result<bool, Refusal> {
    let writing = ctx.write().await?;
    let has_changed = ctx.books(&writing).remove_endpoint(id).await?;
    if has_changed {
        writing.commit_alone().await?;
    }
    Ok(has_changed)
}

async fn rotate(
    ctx: &Context<'_>,
    secret: &NewSecret,
    input: RotateWebhookSecretInput,
) -> Result<Outcome<WebhookEndpoint>, Refusal> {
    let mut faults = Faults::default();
    let hours = input.expire_old_after_hours;
    if !(0..=MAX_OVERLAP).contains(&hours) {
        let message = format!("Must be 0 to {MAX_OVERLAP} hours; {hours} is not.");
        faults.add("input.expireOldAfterHours", FaultCode::OutOfRange, message);
    }
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(key), true) = (key, faults.is_empty()) else { return Err(faults.into()) };
    let key = Key::new(key, [("id", json!(input.id.to_string())), ("expireOldAfterHours", json!(hours))]);
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let overlap = TimeDelta::hours(i64::from(hours));
    let has_changed = books.rotate_secret(&key, input.id, secret.row(), overlap).await?.map_err(endpoint_refused)?;
    Ok(outcome(writing, has_changed, WebhookEndpoint::by_id(ctx, input.id)).await?)
}

/// The address of an endpoint, as it is kept.
fn address(text: &str, reach: Reach) -> Result<String, Wrong> {
    let text = line(text, MAX_URL)?;
    let wrong = |why: &str| Err(Wrong { code: FaultCode::Invalid, message: format!("{text:?} {why}") });
    let Ok(mut url) = Url::parse(&text) else { return wrong("is no address such as https://example.com/webhooks.") };
    let is_secure = url.scheme() == "https" || (reach == Reach::Private && url.scheme() == "http");
    if !is_secure {
        return wrong("does not begin with https://.");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("has a user or password in it; the secret says where a message comes from.");
    }
    if !reach.allows(&url) {
        return wrong("is not reached from everywhere: events are sent to public addresses alone.");
    }
    // It is never sent.
    url.set_fragment(None);
    if url.as_str().len() > MAX_URL {
        return Err(Wrong {
            code: FaultCode::TooLong,
            message: format!("Must have {MAX_URL} characters at most, as it is sent."),
        });
    }
    Ok(url.into())
}

fn types(given: &[WebhookEventType]) -> Result<Vec<WebhookEventType>, Wrong> {
    let types: Vec<WebhookEventType> =
        WebhookEventType::ALL.iter().copied().filter(|event| *event != WebhookEventType::Ping && given.contains(event)).collect();
    if types.is_empty() {
        return Err(Wrong { code: FaultCode::Required, message: "Name one type of events at least, besides PING.".to_owned() });
    }
    Ok(types)
}

fn endpoint_refused(fault: EndpointFault) -> Refusal {
    match fault {
        EndpointFault::NotFound => Refusal::not_found("input.id", "endpoint"),
        EndpointFault::TooMany => {
            let message = format!("There are {MAX_ENDPOINTS} endpoints, and no more can be made. Remove one first.");
            Refusal::fault("input", FaultCode::OutOfRange, message)
        }
        EndpointFault::TooManySecrets => {
            let message = format!(
                "{MAX_SECRETS} secrets are valid already. Wait until one expires, or let the former ones expire at once: 0 hours."
            );
            Refusal::fault("input.expireOldAfterHours", FaultCode::OutOfRange, message)
        }
        EndpointFault::KeyReused { first, difference } => Refusal::key_reused(WebhookEndpointId::from(first), &difference),
    }
}
