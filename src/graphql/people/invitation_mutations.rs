//! Mutations of invitations.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use serde_json::json;
use url::Url;

use super::{invitation::Invitation, tenant::Tenant};
use crate::{
    auth::{Permission, Role},
    clock::shown,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            scalars::EmailAddress,
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, outcome, own_partner, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{InvitationId, PartnerId},
    models::{
        idempotency::Key,
        people::{
            invitation::InvitationToken,
            inviting::{Acceptance, InvitationFault, MAX_OPEN, NewInvitation, accept},
            partner_user::PartnerUserRole,
        },
    },
    validation::{FaultCode, Faults, email, line},
};

/// Whom to invite.
#[derive(InputObject, Clone)]
struct InviteUserInput {
    /// The partner. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The person's address.
    email: EmailAddress,
    /// The role that it gives.
    role: PartnerUserRole,
    /// A name for this request, at most 200 characters: sent again with it, it invites nobody again.
    idempotency_key: String,
}

/// What became of `inviteUser`.
#[derive(SimpleObject)]
struct InviteUserPayload {
    /// The invitation. Null where there are user errors.
    invitation: Option<Invitation>,
    /// The link to send to the person. Null where they were invited before: `resendInvitation` makes another.
    link: Option<InvitationLink>,
    /// Whether they were invited before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the person is invited.
    user_errors: Vec<UserError>,
}

/// What a person accepts an invitation by who signs in with another address. It is shown this once, and in the event `invitation.created`. The server itself sends no mail.
#[derive(SimpleObject)]
struct InvitationLink {
    /// The token that `acceptInvitation` takes, once the person has signed in.
    token: String,
    /// The tenant's sign-up page with the token as the parameter `invitation`. Null where the tenant has no such page.
    url: Option<String>,
}

/// The invitation that is to be sent again.
#[derive(InputObject, Clone)]
struct ResendInvitationInput {
    /// The invitation: one that nobody has accepted or taken back.
    id: InvitationId,
    /// A name for this request, at most 200 characters: sent again with it, it makes no other link.
    idempotency_key: String,
}

/// What became of `resendInvitation`.
#[derive(SimpleObject)]
struct ResendInvitationPayload {
    /// The invitation as it is now. Null where there are user errors.
    invitation: Option<Invitation>,
    /// The link to send to the person. Null where it was made before.
    link: Option<InvitationLink>,
    /// Whether it was made before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when there is a new link.
    user_errors: Vec<UserError>,
}

/// The invitation that is to be taken back.
#[derive(InputObject, Clone)]
struct RevokeInvitationInput {
    /// The invitation: one that nobody has accepted.
    id: InvitationId,
}

/// What became of `revokeInvitation`.
#[derive(SimpleObject)]
struct RevokeInvitationPayload {
    /// The invitation as it is now. Null where there are user errors.
    invitation: Option<Invitation>,
    /// Whether it was taken back before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when it is taken back.
    user_errors: Vec<UserError>,
}

/// The invitation that is to be accepted.
#[derive(InputObject, Clone)]
struct AcceptInvitationInput {
    /// The token of its link.
    token: String,
}

/// What became of `acceptInvitation`.
#[derive(SimpleObject)]
struct AcceptInvitationPayload {
    /// The partner. You act for it from the next request on if you acted for none before; else `setDefaultPartner` chooses it. Null where there are
    /// user errors.
    partner_id: Option<PartnerId>,
    /// Whether you have accepted it before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when you are one of the partner's people.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct InvitationMutations;

#[Object]
impl InvitationMutations {
    /// Invites a person to act for a partner. The invitation expires after fourteen days. Needs `USERS_MANAGE`.
    async fn invite_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person.")] input: InviteUserInput,
    ) -> Result<Option<InviteUserPayload>> {
        ctx.require(Permission::UsersManage)?;
        let token = InvitationToken::generate()?;
        let ((invitation, replayed), user_errors) = settle(ctx, || invite(ctx, &token, input.clone())).await?;
        let link = link(ctx, &token, invitation.is_some() && !replayed).await?;
        Ok(Some(InviteUserPayload { invitation, link, replayed, user_errors }))
    }

    /// Makes another link for an invitation, which expires fourteen days from now; earlier links are void. Needs `USERS_MANAGE`.
    async fn resend_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The invitation.")] input: ResendInvitationInput,
    ) -> Result<Option<ResendInvitationPayload>> {
        ctx.require(Permission::UsersManage)?;
        let token = InvitationToken::generate()?;
        let ((invitation, replayed), user_errors) = settle(ctx, || resend(ctx, &token, input.clone())).await?;
        let link = link(ctx, &token, invitation.is_some() && !replayed).await?;
        Ok(Some(ResendInvitationPayload { invitation, link, replayed, user_errors }))
    }

    /// Takes an invitation back that nobody has accepted. Needs `USERS_MANAGE`.
    async fn revoke_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The invitation.")] input: RevokeInvitationInput,
    ) -> Result<Option<RevokeInvitationPayload>> {
        ctx.require(Permission::UsersManage)?;
        let ((invitation, replayed), user_errors) = settle(ctx, || revoke(ctx, input.id)).await?;
        Ok(Some(RevokeInvitationPayload { invitation, replayed, user_errors }))
    }

    /// Accepts a partner's invitation by the token of its link, whatever your address: you become one of the partner's people. For people who act for partners,
    /// or for none yet. (`acceptInvite` is for the invite codes of affiliates.)
    async fn accept_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token.")] input: AcceptInvitationInput,
    ) -> Result<Option<AcceptInvitationPayload>> {
        if matches!(ctx.viewer().role, Role::Operator | Role::Service) {
            return Err(Error::Forbidden("Your role does not allow this; it is for people who act for partners.".to_owned()));
        }
        let ((partner_id, replayed), user_errors) = settle(ctx, || join(ctx, input.clone())).await?;
        Ok(Some(AcceptInvitationPayload { partner_id, replayed, user_errors }))
    }
}

/// The link of a token, where it is this request's.
async fn link(ctx: &Context<'_>, token: &InvitationToken, is_new: bool) -> Result<Option<InvitationLink>> {
    if !is_new {
        return Ok(None);
    }
    let tenant = Tenant::by_id(ctx, ctx.viewer().tenant.id).await?;
    let page = match tenant {
        Some(tenant) => tenant.sign_up_url(ctx).await?,
        None => None,
    };
    let url = page.and_then(|page| Url::parse(&page).ok()).map(|mut url| {
        url.query_pairs_mut().append_pair("invitation", token.text());
        url.to_string()
    });
    Ok(Some(InvitationLink { token: token.text().to_owned(), url }))
}

async fn invite(ctx: &Context<'_>, token: &InvitationToken, input: InviteUserInput) -> Result<Outcome<Invitation>, Refusal> {
    let mut faults = Faults::default();
    let partner = own_partner(ctx, input.partner_id, &mut faults);
    let email = faults.check("input.email", email(&input.email.0));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(partner), Some(email), Some(key), true) = (partner, email, key, faults.is_empty()) else {
        return Err(faults.into());
    };
    let key =
        Key::new(key, [("partnerId", json!(partner.to_string())), ("email", json!(email)), ("role", json!(input.role.as_str()))]);
    let new = NewInvitation { id: InvitationId::new(), partner, email, role: input.role };
    let writing = ctx.write().await?;
    let (id, is_new) = ctx.books(&writing).invite(ctx.viewer().scope(), &key, &new, token).await?.map_err(refused)?;
    Ok(outcome(writing, is_new, Invitation::by_id(ctx, id)).await?)
}

async fn resend(
    ctx: &Context<'_>,
    token: &InvitationToken,
    input: ResendInvitationInput,
) -> Result<Outcome<Invitation>, Refusal> {
    let mut faults = Faults::default();
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let Some(key) = key else { return Err(faults.into()) };
    let (key, scope) = (Key::new(key, [("id", json!(input.id.to_string()))]), ctx.viewer().scope());
    let writing = ctx.write().await?;
    let is_new = ctx.books(&writing).resend_invitation(scope, &key, input.id, token).await?.map_err(refused)?;
    Ok(outcome(writing, is_new, Invitation::by_id(ctx, input.id)).await?)
}

async fn revoke(ctx: &Context<'_>, id: InvitationId) -> Result<Outcome<Invitation>, Refusal> {
    let writing = ctx.write().await?;
    let has_changed = ctx.books(&writing).revoke_invitation(id).await?.map_err(refused)?;
    Ok(outcome(writing, has_changed, Invitation::by_id(ctx, id)).await?)
}

async fn join(ctx: &Context<'_>, input: AcceptInvitationInput) -> Result<Outcome<PartnerId>, Refusal> {
    let wrong = |code, message: &str| Err(Refusal::fault("input.token", code, message.to_owned()));
    let writing = ctx.write().await?;
    match accept(&writing, &InvitationToken::given(&input.token)).await? {
        Acceptance::Joined(partner) => {
            writing.commit_alone().await?;
            Ok((Some(partner), false))
        }
        Acceptance::Replayed(partner) => Ok((Some(partner), true)),
        Acceptance::Unknown => {
            wrong(FaultCode::NotFound, "There is no invitation of this token. A newer link may have replaced it.")
        }
        Acceptance::Removed => {
            wrong(FaultCode::InvalidTransition, "You were removed from the partner since. Ask to be invited again.")
        }
        Acceptance::Taken => wrong(FaultCode::Taken, "Somebody else has accepted this invitation."),
        Acceptance::Revoked => wrong(FaultCode::InvalidTransition, "The invitation was taken back."),
        Acceptance::Expired => wrong(FaultCode::InvalidTransition, "The invitation has expired. Ask to be invited again."),
        Acceptance::Closed => wrong(FaultCode::InvalidTransition, "The partner is CLOSED."),
    }
}

fn refused(fault: InvitationFault) -> Refusal {
    match fault {
        InvitationFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        InvitationFault::PartnerClosed => {
            Refusal::fault("input.partnerId", FaultCode::InvalidTransition, "The partner is CLOSED.")
        }
        InvitationFault::NotFound => Refusal::not_found("input.id", "invitation"),
        InvitationFault::IsThere => {
            Refusal::fault("input.email", FaultCode::Taken, "Somebody with this address acts for the partner already.")
        }
        InvitationFault::InvitedAs(role) => {
            let role = role.as_str().to_uppercase();
            let message = format!("They are invited as {role}. Take that back first, with `revokeInvitation`.");
            Refusal::fault("input.role", FaultCode::Taken, message)
        }
        InvitationFault::TooMany => {
            let message = format!("{MAX_OPEN} invitations are open, and no more may be. Take one back first.");
            Refusal::fault("input", FaultCode::OutOfRange, message)
        }
        InvitationFault::Accepted(at) => {
            Refusal::fault("input.id", FaultCode::InvalidTransition, format!("It was accepted at {}.", shown(at)))
        }
        InvitationFault::Revoked(at) => {
            let message = format!("It was taken back at {}. Invite the person again, with `inviteUser`.", shown(at));
            Refusal::fault("input.id", FaultCode::InvalidTransition, message)
        }
        InvitationFault::KeyReused { first, difference } => Refusal::key_reused(InvitationId::from(first), &difference),
    }
}
