//! Mutations of webhooks' sources and of what they have reported.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use serde_json::json;

use super::{
    endpoint_mutations::{MAX_DESCRIPTION, MAX_OVERLAP},
    source::WebhookSource,
};
use crate::{
    auth::Permission,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{WebhookReceiptId, WebhookSourceId, WebhookSourceSecretId},
    keyring::SealedField,
    models::{
        idempotency::Key,
        webhooks::{
            receipt::ReceiptFault,
            source::{MAX_SOURCE_SECRETS, MAX_SOURCES, NewSource, SourceFault, WebhookSourceKind},
        },
    },
    validation::{FaultCode, Faults, Wrong, line},
    webhooks::signature::Secret,
};

/// The shortest secret: `whsec_` and what stands for 16 bytes at least.
const MIN_SECRET: usize = 28;
/// The longest secret.
const MAX_SECRET: usize = 200;
/// How many receipts are applied again at once.
const MOST_RECEIPTS: usize = 500;

/// A service that is to report.
#[derive(InputObject, Clone)]
struct CreateWebhookSourceInput {
    /// Which service it is.
    kind: WebhookSourceKind,
    /// The secret that it signs with, as it shows it for the endpoint: `whsec_…`. Where it is not known before the endpoint is there, leave it out, enter
    /// the address there, and give the secret with `rotateWebhookSourceSecret`.
    secret: Option<String>,
    /// What it is for, at most 200 characters.
    description: Option<String>,
    /// A name for this request, at most 200 characters: sent again with it, it makes no other source.
    idempotency_key: String,
}

/// What became of `createWebhookSource`.
#[derive(SimpleObject)]
struct CreateWebhookSourcePayload {
    /// The source. Null where there are user errors.
    source: Option<WebhookSource>,
    /// Whether it was made before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the source is there.
    user_errors: Vec<UserError>,
}

/// The source that is to have another secret.
#[derive(InputObject, Clone)]
struct RotateWebhookSourceSecretInput {
    /// The source.
    id: WebhookSourceId,
    /// The secret that it signs with from now on, as it shows it for the endpoint: `whsec_…`.
    secret: String,
    /// For how many hours what is signed with the former secrets is taken too: 0 to 168. Clerk and Stripe sign with both for 24 at most.
    #[graphql(default = 24)]
    expire_old_after_hours: i32,
    /// A name for this request, at most 200 characters: sent again with it, it adds no other secret.
    idempotency_key: String,
}

/// What became of `rotateWebhookSourceSecret`.
#[derive(SimpleObject)]
struct RotateWebhookSourceSecretPayload {
    /// The source as it is now. Null where there are user errors.
    source: Option<WebhookSource>,
    /// Whether it was given before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the source has the secret.
    user_errors: Vec<UserError>,
}

/// The source that is to be removed.
#[derive(InputObject, Clone)]
struct RemoveWebhookSourceInput {
    /// The source.
    id: WebhookSourceId,
}

/// What became of `removeWebhookSource`.
#[derive(SimpleObject)]
struct RemoveWebhookSourcePayload {
    /// Its id.
    source_id: WebhookSourceId,
    /// Whether there was no such source any more, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when there is no such source any more.
    user_errors: Vec<UserError>,
}

/// The receipts that are to be applied again.
#[derive(InputObject, Clone)]
struct ApplyWebhookReceiptsInput {
    /// The receipts, 1 to 500. Those that are applied already stay as they are.
    ids: Vec<WebhookReceiptId>,
}

/// What became of `applyWebhookReceipts`.
#[derive(SimpleObject)]
struct ApplyWebhookReceiptsPayload {
    /// How many will be applied in a moment.
    count: i32,
    /// Whether there was nothing to apply, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the receipts will be applied.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct WebhookSourceMutations;

#[Object]
impl WebhookSourceMutations {
    /// Takes what a service reports from now on, at an address of its own. Needs `WEBHOOKS_MANAGE`.
    async fn create_webhook_source(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source.")] input: CreateWebhookSourceInput,
    ) -> Result<Option<CreateWebhookSourcePayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let ((source, replayed), user_errors) = settle(ctx, || create(ctx, input.clone())).await?;
        Ok(Some(CreateWebhookSourcePayload { source, replayed, user_errors }))
    }

    /// Gives a source the secret that it signs with; what is signed with the former ones is taken for some hours more. Needs `WEBHOOKS_MANAGE`.
    async fn rotate_webhook_source_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source and its secret.")] input: RotateWebhookSourceSecretInput,
    ) -> Result<Option<RotateWebhookSourceSecretPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let ((source, replayed), user_errors) = settle(ctx, || rotate(ctx, input.clone())).await?;
        Ok(Some(RotateWebhookSourceSecretPayload { source, replayed, user_errors }))
    }

    /// Removes a source: nothing is taken at its address any more, and what it has reported is no longer shown. What waits is applied. Needs
    /// `WEBHOOKS_MANAGE`.
    async fn remove_webhook_source(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source.")] input: RemoveWebhookSourceInput,
    ) -> Result<Option<RemoveWebhookSourcePayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let (has_changed, user_errors) = settle(ctx, || remove(ctx, input.id)).await?;
        Ok(Some(RemoveWebhookSourcePayload { source_id: input.id, replayed: !has_changed, user_errors }))
    }

    /// Has events applied again that were ignored, are parked or have failed, after the reason for that is gone. Needs `WEBHOOKS_MANAGE`.
    async fn apply_webhook_receipts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The receipts.")] input: ApplyWebhookReceiptsInput,
    ) -> Result<Option<ApplyWebhookReceiptsPayload>> {
        ctx.require(Permission::WebhooksManage)?;
        let (count, user_errors) = settle(ctx, || apply_again(ctx, input.clone())).await?;
        ctx.request().shared.webhooks.received.notify_one();
        Ok(Some(ApplyWebhookReceiptsPayload { count, replayed: count == 0, user_errors }))
    }
}

/// A secret that was given, and sealed.
struct GivenSecret {
    id: WebhookSourceSecretId,
    sealed: Vec<u8>,
    /// What stands for it beside the idempotency key.
    print: String,
}

impl GivenSecret {
    fn of(ctx: &Context<'_>, text: &str) -> Result<Self> {
        let id = WebhookSourceSecretId::new();
        let (keyring, tenant) = (&ctx.request().shared.keyring, ctx.viewer().tenant.id);
        let sealed = keyring.seal(text, SealedField::WebhookSourceSecret, tenant, id).map_err(Error::internal)?;
        Ok(Self { id, sealed, print: STANDARD.encode(digest(&SHA256, text.as_bytes())) })
    }

    fn row(&self) -> (WebhookSourceSecretId, &[u8]) {
        (self.id, &self.sealed)
    }
}

async fn create(ctx: &Context<'_>, input: CreateWebhookSourceInput) -> Result<Outcome<WebhookSource>, Refusal> {
    let mut faults = Faults::default();
    let given = input.secret.as_deref().filter(|text| !text.trim().is_empty());
    let given = faults.check_option("input.secret", given, |text| secret(input.kind, text));
    let description = input.description.as_deref().filter(|text| !text.trim().is_empty());
    let description = faults.check_option("input.description", description, |text| line(text, MAX_DESCRIPTION));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(key), true) = (key, faults.is_empty()) else { return Err(faults.into()) };
    let given = given.map(|text| GivenSecret::of(ctx, &text)).transpose()?;
    let print = given.as_ref().map(|given| &given.print);
    let fields = [("kind", json!(input.kind.as_str())), ("secret", json!(print)), ("description", json!(description))];
    let key = Key::new(key, fields);
    let new = NewSource { id: WebhookSourceId::new(), kind: input.kind, description };
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let added = books.add_source(&key, &new, given.as_ref().map(GivenSecret::row)).await?;
    let (id, is_new) = added.map_err(refused)?;
    Ok(outcome(writing, is_new, WebhookSource::by_id(ctx, id)).await?)
}

async fn rotate(ctx: &Context<'_>, input: RotateWebhookSourceSecretInput) -> Result<Outcome<WebhookSource>, Refusal> {
    let mut faults = Faults::default();
    let hours = input.expire_old_after_hours;
    if !(0..=MAX_OVERLAP).contains(&hours) {
        let message = format!("Must be 0 to {MAX_OVERLAP} hours; {hours} is not.");
        faults.add("input.expireOldAfterHours", FaultCode::OutOfRange, message);
    }
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(key), true) = (key, faults.is_empty()) else { return Err(faults.into()) };
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    // What a secret looks like depends on whose it is.
    let source = books.locked_source(input.id).await?.ok_or_else(|| Refusal::not_found("input.id", "webhook source"))?;
    let text = faults.check("input.secret", secret(source.kind, &input.secret));
    let Some(text) = text else { return Err(faults.into()) };
    let given = GivenSecret::of(ctx, &text)?;
    let fields = [("id", json!(input.id.to_string())), ("secret", json!(given.print)), ("expireOldAfterHours", json!(hours))];
    let overlap = TimeDelta::hours(i64::from(hours));
    let rotated = books.rotate_source_secret(&Key::new(key, fields), input.id, given.row(), overlap).await?;
    let has_changed = rotated.map_err(refused)?;
    Ok(outcome(writing, has_changed, WebhookSource::by_id(ctx, input.id)).await?)
}

async fn remove(ctx: &Context<'_>, id: WebhookSourceId) -> Result<bool, Refusal> {
    let writing = ctx.write().await?;
    let has_changed = ctx.books(&writing).remove_source(id).await?;
    if has_changed {
        writing.commit_alone().await?;
    }
    Ok(has_changed)
}

async fn apply_again(ctx: &Context<'_>, input: ApplyWebhookReceiptsInput) -> Result<i32, Refusal> {
    let mut ids = input.ids;
    ids.sort_unstable();
    ids.dedup();
    if !(1..=MOST_RECEIPTS).contains(&ids.len()) {
        let message = format!("Must be 1 to {MOST_RECEIPTS} receipts; {} is not.", ids.len());
        return Err(Refusal::fault("input.ids", FaultCode::OutOfRange, message));
    }
    let writing = ctx.write().await?;
    let count = ctx.books(&writing).apply_again(&ids).await?.map_err(|fault| match fault {
        ReceiptFault::NotFound(id) => {
            Refusal::fault("input.ids", FaultCode::NotFound, format!("There is no webhook receipt {id}."))
        }
        ReceiptFault::Forgotten(id) => {
            let message = format!("What was sent with {id} is forgotten after thirty days. Have the sender send it again.");
            Refusal::fault("input.ids", FaultCode::InvalidTransition, message)
        }
    })?;
    if count > 0 {
        writing.commit_alone().await?;
    }
    Ok(i32::try_from(count).unwrap_or(i32::MAX))
}

/// A secret as the service shows it.
fn secret(kind: WebhookSourceKind, text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    let is_one = match kind {
        WebhookSourceKind::Clerk => text.starts_with("whsec_") && text.len() >= MIN_SECRET && Secret::of(text).is_some(),
        WebhookSourceKind::Stripe => {
            text.len() >= MIN_SECRET && text.starts_with("whsec_") && text.bytes().all(|byte| byte.is_ascii_graphic())
        }
    };
    let message = || "This is no secret of a webhook's endpoint: it begins with whsec_.".to_owned();
    let is_one = is_one && text.len() <= MAX_SECRET;
    is_one.then(|| text.to_owned()).ok_or_else(|| Wrong { code: FaultCode::Invalid, message: message() })
}

fn refused(fault: SourceFault) -> Refusal {
    match fault {
        SourceFault::NotFound => Refusal::not_found("input.id", "webhook source"),
        SourceFault::TooMany => {
            let message = format!("There are {MAX_SOURCES} sources, and no more may be. Remove one first.");
            Refusal::fault("input", FaultCode::OutOfRange, message)
        }
        SourceFault::TooManySecrets => {
            let message =
                format!("{MAX_SOURCE_SECRETS} secrets are valid, and no more may be. Let the former ones expire sooner.");
            Refusal::fault("input.expireOldAfterHours", FaultCode::OutOfRange, message)
        }
        SourceFault::KeyReused { first, difference } => Refusal::key_reused(WebhookSourceId::from(first), &difference),
    }
}
