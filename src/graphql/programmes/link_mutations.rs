//! Mutations of links.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use tokio::time::Instant;

use super::{
    link::Link,
    link_input::{CreateLinkInput, UpdateLinkInput},
};
use crate::{
    auth::Permission,
    db::session::Writing,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{Outcome, Refusal, UserError, changed_since, outcome, settle, settled},
        },
        ledger::books::BooksExt,
    },
    ids::LinkId,
    models::programmes::{link_change::LinkFault, link_request::LinkRequest},
    rates::PATIENCE,
    validation::{Fault, FaultCode},
};

/// The most links that are made at once.
const MAX_LINKS: usize = 100;

/// What became of `createLink`.
#[derive(SimpleObject)]
struct CreateLinkPayload {
    /// The link. Null where there are user errors.
    link: Option<Row<Link>>,
    /// Whether there was this link before, in use, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when there is the link.
    user_errors: Vec<UserError>,
}

/// Links to be made.
#[derive(InputObject, Clone)]
struct CreateLinksInput {
    /// The links, at most 100.
    links: Vec<CreateLinkInput>,
}

/// What became of `createLinks`.
#[derive(SimpleObject)]
struct CreateLinksPayload {
    /// A result for each link, in the order of the input; the fields of its user errors are those of that link. Empty where there are user errors.
    results: Vec<CreateLinkPayload>,
    /// Whether there were all of these links before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input as a whole.
    user_errors: Vec<UserError>,
}

/// What became of `updateLink`.
#[derive(SimpleObject)]
struct UpdateLinkPayload {
    /// The link as it is now. Null where there are user errors.
    link: Option<Row<Link>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the link was changed.
    user_errors: Vec<UserError>,
}

/// A link that is to lead nowhere.
#[derive(InputObject, Clone)]
struct ArchiveLinkInput {
    /// The link.
    id: LinkId,
}

/// What became of `archiveLink`.
#[derive(SimpleObject)]
struct ArchiveLinkPayload {
    /// The link as it is now. Null where there are user errors.
    link: Option<Row<Link>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the link is archived.
    user_errors: Vec<UserError>,
}

/// A link that is to lead to its address again.
#[derive(InputObject, Clone)]
struct RestoreLinkInput {
    /// The link.
    id: LinkId,
}

/// What became of `restoreLink`.
#[derive(SimpleObject)]
struct RestoreLinkPayload {
    /// The link as it is now. Null where there are user errors.
    link: Option<Row<Link>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the link is in use.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct LinkMutations;

#[Object]
impl LinkMutations {
    /// Makes a link to a product, in the programme of its shop, where the partner is enrolled by it. The same address once more is the same
    /// link, which is restored where it was archived. Needs `LINKS_MANAGE`.
    async fn create_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link.")] input: CreateLinkInput,
    ) -> Result<Option<CreateLinkPayload>> {
        ctx.require(Permission::LinksManage)?;
        let deadline = Instant::now() + PATIENCE;
        let ((link, replayed), user_errors) = settle(ctx, || create(ctx, input.clone(), deadline)).await?;
        Ok(Some(CreateLinkPayload { link, replayed, user_errors }))
    }

    /// Makes links as `createLink` does, each by itself: what is wrong with one keeps no other from being made. Needs `LINKS_MANAGE`.
    async fn create_links(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The links.")] input: CreateLinksInput,
    ) -> Result<Option<CreateLinksPayload>> {
        ctx.require(Permission::LinksManage)?;
        let ((results, replayed), user_errors) = settled(create_all(ctx, input.links).await)?;
        Ok(Some(CreateLinksPayload { results, replayed, user_errors }))
    }

    /// Changes a link. Its key stays as it is, because it has been shared. Needs `LINKS_MANAGE`.
    async fn update_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateLinkInput,
    ) -> Result<Option<UpdateLinkPayload>> {
        ctx.require(Permission::LinksManage)?;
        let ((link, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdateLinkPayload { link, replayed, user_errors }))
    }

    /// Archives a link: who follows it is told that it is no more. Its figures stay, and its key is nobody else's. Needs `LINKS_MANAGE`.
    async fn archive_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link.")] input: ArchiveLinkInput,
    ) -> Result<Option<ArchiveLinkPayload>> {
        ctx.require(Permission::LinksManage)?;
        let ((link, replayed), user_errors) = settle(ctx, || set_archived(ctx, input.id, true)).await?;
        Ok(Some(ArchiveLinkPayload { link, replayed, user_errors }))
    }

    /// Lets an archived link lead to its address again. Needs `LINKS_MANAGE`.
    async fn restore_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link.")] input: RestoreLinkInput,
    ) -> Result<Option<RestoreLinkPayload>> {
        ctx.require(Permission::LinksManage)?;
        let ((link, replayed), user_errors) = settle(ctx, || set_archived(ctx, input.id, false)).await?;
        Ok(Some(RestoreLinkPayload { link, replayed, user_errors }))
    }
}

/// Makes a link. Where its shop has no programme yet, nothing is held while the commission-rate service is asked, until `deadline` at most.
async fn create(ctx: &Context<'_>, input: CreateLinkInput, deadline: Instant) -> Result<Outcome<Row<Link>>, Refusal> {
    let mut request = input.request(ctx)?;
    loop {
        let writing = ctx.write().await?;
        match ctx.books(&writing).create_link(ctx.viewer().scope(), &request).await? {
            Ok((_, true)) if is_on_another_cluster(ctx, &writing, &request).await? => return Err(refusal(LinkFault::KeyTaken)),
            Ok((id, has_changed)) => return Ok(outcome(writing, has_changed, Link::by_id(ctx, id)).await?),
            Err(LinkFault::UnknownRate) => drop(writing),
            Err(fault) => return Err(refusal(fault)),
        }
        let (address, tenant) = (&request.address, ctx.viewer().tenant.id);
        ctx.request().session().rest().await?;
        request.quote = ctx.rates().quote(tenant, address.domain(), Some(address.url()), deadline).await;
    }
}

/// Whether another cluster has a link with the key that is chosen, where links are on the server's own host. Two that are made at the same moment may both be.
async fn is_on_another_cluster(ctx: &Context<'_>, writing: &Writing<'_>, request: &LinkRequest) -> Result<bool, Refusal> {
    let Some(key) = &request.key else { return Ok(false) };
    let clicks = &ctx.request().shared.clicks;
    Ok(clicks.has_others() && !ctx.books(writing).has_own_host().await? && clicks.is_taken_elsewhere("", key).await)
}

/// The results, and whether all links were there before.
async fn create_all(ctx: &Context<'_>, inputs: Vec<CreateLinkInput>) -> Result<(Vec<CreateLinkPayload>, bool), Refusal> {
    if inputs.is_empty() || inputs.len() > MAX_LINKS {
        let message = format!("Must be 1 to {MAX_LINKS} links; there are {}.", inputs.len());
        return Err(Refusal::fault("input.links", FaultCode::OutOfRange, message));
    }
    let mut results = Vec::with_capacity(inputs.len());
    let deadline = Instant::now() + PATIENCE;
    for input in inputs {
        results.push(match settle(ctx, || create(ctx, input.clone(), deadline)).await {
            Ok(((link, replayed), user_errors)) => CreateLinkPayload { link, replayed, user_errors },
            Err(error) if results.is_empty() => return Err(error.into()),
            // What was done stays and is in the answer; the others can be sent again.
            Err(error) => {
                tracing::warn!(request_id = ctx.request().session().request(), %error, "a link could not be made");
                let fault = Fault { code: FaultCode::Failed, message: error.public_message(), field: vec!["input"] };
                CreateLinkPayload { link: None, replayed: false, user_errors: vec![fault.into()] }
            }
        });
    }
    let replayed = results.iter().all(|result| result.replayed);
    Ok((results, replayed))
}

async fn update(ctx: &Context<'_>, input: UpdateLinkInput) -> Result<Outcome<Row<Link>>, Refusal> {
    let (id, expected) = (input.id, input.expected_updated_at.map(|expected| expected.0));
    let changes = input.changes(ctx)?;
    let writing = ctx.write().await?;
    let written = ctx.books(&writing).change_link(ctx.viewer().scope(), id, &changes, expected).await?;
    let has_changed = written.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Link::by_id(ctx, id)).await?)
}

async fn set_archived(ctx: &Context<'_>, id: LinkId, archives: bool) -> Result<Outcome<Row<Link>>, Refusal> {
    let scope = ctx.viewer().scope();
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    let changed = if archives { books.archive_link(scope, id).await? } else { books.restore_link(scope, id).await? };
    let has_changed = changed.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Link::by_id(ctx, id)).await?)
}

fn refusal(fault: LinkFault) -> Refusal {
    let taken = |path, what: &str| Refusal::fault(path, FaultCode::Taken, format!("Another link has this {what}."));
    match fault {
        LinkFault::NotFound => Refusal::not_found("input.id", "link"),
        LinkFault::UnknownRate => Error::internal("a link whose shop's rate was asked for and is still unknown").into(),
        LinkFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        LinkFault::UnknownSharer(partner) => {
            let message = format!("There is no partner {partner}, or it is closed.");
            Refusal::fault("input.split", FaultCode::NotFound, message)
        }
        LinkFault::PartnerClosed => {
            Refusal::fault("input.partnerId", FaultCode::PartnerInactive, "The partner is closed, and makes no more links.")
        }
        LinkFault::ProgrammePaused(name) => {
            let message = format!("The programme {name} takes no new links for now.");
            Refusal::fault("input.url", FaultCode::ProgrammePaused, message)
        }
        LinkFault::NotEnrolled(name, status) => {
            let message = format!("The partner does not take part in the programme {name}: it was {}.", status.as_str());
            Refusal::fault("input.url", FaultCode::NotEnrolled, message)
        }
        LinkFault::KeyTaken => taken("input.key", "key"),
        LinkFault::ExternalIdTaken => taken("input.externalId", "id"),
        LinkFault::CouponCodeTaken => taken("input.couponCode", "coupon code"),
        LinkFault::AddressTaken(link) => {
            Refusal::fault("input.url", FaultCode::Taken, format!("The partner has a link to this address already: {link}."))
        }
        LinkFault::OtherShop(domain) => {
            let message = format!("{domain} belongs to another shop than the link's address. Make another link.");
            Refusal::fault("input.url", FaultCode::Invalid, message)
        }
        LinkFault::ExpiredToOtherShop(domain) => {
            let message = format!("{domain} belongs to another shop than the link's address.");
            Refusal::fault("input.expiredUrl", FaultCode::Invalid, message)
        }
        LinkFault::LeadsToLinks(host) => {
            Refusal::fault("input.url", FaultCode::Invalid, format!("Links are on {host}; a link leads to a product."))
        }
        LinkFault::Differs { link, field, first } => {
            let says = first.map_or_else(|| "nothing".to_owned(), |first| format!("“{first}”"));
            let message = format!(
                "There is this link already, {link}, and it says {says} here. Change it by `updateLink`, or send an `idempotencyKey` for another link."
            );
            Refusal::fault(field, FaultCode::Taken, message)
        }
        LinkFault::KeyReused { first, difference } => Refusal::key_reused(first, &difference),
        LinkFault::ChangedSince(at) => changed_since(at, "link"),
    }
}
