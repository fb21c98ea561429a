//! Mutations of who acts for which partner.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::user::User;
use crate::{
    auth::{Permission, Role},
    clock::shown,
    db,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{Outcome, Refusal, UserError, outcome, own_partner, settle},
        },
        partners::partner::Partner,
    },
    ids::{PartnerId, UserId},
    models::people::partner_user::{LockedMemberships, MembershipFault, PartnerUserRole, set_default_partner},
    validation::{FaultCode, Faults},
};

/// A person's new role in a partner.
#[derive(InputObject, Clone)]
struct ChangePartnerUserRoleInput {
    /// The partner. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The person.
    user_id: UserId,
    /// The role to give them. Giving the one that they have already changes nothing.
    role: PartnerUserRole,
}

/// What became of `changePartnerUserRole`.
#[derive(SimpleObject)]
struct ChangePartnerUserRolePayload {
    /// The partner with its people as they are now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the person has the role.
    user_errors: Vec<UserError>,
}

/// Whom to remove from a partner.
#[derive(InputObject, Clone)]
struct RemovePartnerUserInput {
    /// The partner. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The person.
    user_id: UserId,
}

/// What became of `removePartnerUser`.
#[derive(SimpleObject)]
struct RemovePartnerUserPayload {
    /// The partner with its people as they are now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the person was removed.
    user_errors: Vec<UserError>,
}

/// Whom to let in again.
#[derive(InputObject, Clone)]
struct RestorePartnerUserInput {
    /// The partner. Operators must name one; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The person.
    user_id: UserId,
}

/// What became of `restorePartnerUser`.
#[derive(SimpleObject)]
struct RestorePartnerUserPayload {
    /// The partner with its people as they are now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the person was let in again.
    user_errors: Vec<UserError>,
}

/// The partner to act for.
#[derive(InputObject, Clone)]
struct SetDefaultPartnerInput {
    /// One of `me { user { partners } }` to which you belong whatever organisation your token names.
    partner_id: PartnerId,
}

/// What became of `setDefaultPartner`.
#[derive(SimpleObject)]
struct SetDefaultPartnerPayload {
    /// You, as from the next request on. Its `partners` show which you act for. Null where there are user errors.
    user: Option<User>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when you act for the partner from the next request on.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PartnerUserMutations;

#[Object]
impl PartnerUserMutations {
    /// Gives a person another role in a partner, which keeps an owner at least. A role that comes from an organisation is
    /// changed there. Needs `USERS_MANAGE`.
    async fn change_partner_user_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person and their new role.")] input: ChangePartnerUserRoleInput,
    ) -> Result<Option<ChangePartnerUserRolePayload>> {
        ctx.require(Permission::UsersManage)?;
        let ((partner, replayed), user_errors) = settle(ctx, || change_role(ctx, input.clone())).await?;
        Ok(Some(ChangePartnerUserRolePayload { partner, replayed, user_errors }))
    }

    /// Removes a person from a partner, which keeps an owner at least. From then on they do not act for it, whatever their token says. What
    /// they did stays in the histories under their name. Needs `USERS_MANAGE`.
    async fn remove_partner_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person.")] input: RemovePartnerUserInput,
    ) -> Result<Option<RemovePartnerUserPayload>> {
        ctx.require(Permission::UsersManage)?;
        let ((partner, replayed), user_errors) = settle(ctx, || remove(ctx, input.clone())).await?;
        Ok(Some(RemovePartnerUserPayload { partner, replayed, user_errors }))
    }

    /// Lets a person in again who was removed from a partner, as what they were. Needs `USERS_MANAGE`.
    async fn restore_partner_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person.")] input: RestorePartnerUserInput,
    ) -> Result<Option<RestorePartnerUserPayload>> {
        ctx.require(Permission::UsersManage)?;
        let ((partner, replayed), user_errors) = settle(ctx, || restore(ctx, input.clone())).await?;
        Ok(Some(RestorePartnerUserPayload { partner, replayed, user_errors }))
    }

    /// Says for which of your partners you act where your token names no organisation: from the next request on, whatever the partner's status.
    /// For people who belong to partners.
    async fn set_default_partner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner.")] input: SetDefaultPartnerInput,
    ) -> Result<Option<SetDefaultPartnerPayload>> {
        if matches!(ctx.viewer().role, Role::Operator | Role::Service) {
            return Err(Error::Forbidden("Your role does not allow this; it is for people who belong to partners.".to_owned()));
        }
        let ((user, replayed), user_errors) = settle(ctx, || choose(ctx, input.clone())).await?;
        Ok(Some(SetDefaultPartnerPayload { user, replayed, user_errors }))
    }
}

/// Runs one change of a partner's memberships, which are locked meanwhile; it gives whether anything was not so already.
async fn change(
    ctx: &Context<'_>,
    partner_id: Option<PartnerId>,
    change: impl AsyncFnOnce(&LockedMemberships, &db::Connection) -> Result<bool, MembershipFault>,
) -> Result<Outcome<Row<Partner>>, Refusal> {
    let mut faults = Faults::default();
    let Some(partner) = own_partner(ctx, partner_id, &mut faults) else { return Err(faults.into()) };
    let scope = ctx.viewer().scope();
    let writing = ctx.write().await?;
    let memberships = LockedMemberships::of_partner(&writing, scope, partner).await?;
    let memberships = memberships.ok_or_else(|| Refusal::not_found("input.partnerId", "partner"))?;
    let has_changed = change(&memberships, &writing).await.map_err(refused)?;
    Ok(outcome(writing, has_changed, Partner::by_id(ctx, partner)).await?)
}

async fn change_role(ctx: &Context<'_>, input: ChangePartnerUserRoleInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    change(ctx, input.partner_id, async |memberships, connection| {
        memberships.change_role(connection, input.user_id, input.role, ctx.viewer().user, ctx.now()).await
    })
    .await
}

async fn remove(ctx: &Context<'_>, input: RemovePartnerUserInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    change(ctx, input.partner_id, async |memberships, connection| {
        memberships.remove(connection, input.user_id, ctx.viewer().user, ctx.now()).await
    })
    .await
}

async fn restore(ctx: &Context<'_>, input: RestorePartnerUserInput) -> Result<Outcome<Row<Partner>>, Refusal> {
    change(ctx, input.partner_id, async |memberships, connection| memberships.restore(connection, input.user_id).await).await
}

async fn choose(ctx: &Context<'_>, input: SetDefaultPartnerInput) -> Result<Outcome<User>, Refusal> {
    let viewer = ctx.viewer();
    let writing = ctx.write().await?;
    let Some(has_changed) = set_default_partner(&writing, viewer.scope(), viewer.user, input.partner_id).await? else {
        let message = "You do not belong to a partner of this id, or by an organisation only: then choose that organisation where you signed in.";
        return Err(Refusal::fault("input.partnerId", FaultCode::NotFound, message));
    };
    Ok(outcome(writing, has_changed, User::by_id(ctx, viewer.user)).await?)
}

/// What a person can put right of what the rules refused.
fn refused(fault: MembershipFault) -> Refusal {
    match fault {
        MembershipFault::Unknown => Refusal::not_found("input.userId", "person in the partner"),
        MembershipFault::LastOwner => Refusal::fault(
            "input.userId",
            FaultCode::LastOwner,
            "They are the partner's only owner. Make somebody else an owner first.",
        ),
        MembershipFault::FromOrganization(organization) => Refusal::fault(
            "input.userId",
            FaultCode::FromOrganization,
            format!(
                "Their role comes from the organisation {organization}. Change it there: it is taken up with their next token."
            ),
        ),
        MembershipFault::Removed(at) => Refusal::fault(
            "input.userId",
            FaultCode::InvalidTransition,
            format!("They were removed at {}. To let them in again, use `restorePartnerUser`.", shown(at)),
        ),
        MembershipFault::Erased(at) => {
            let message = format!("They were erased at {}, and cannot sign in any more.", shown(at));
            Refusal::fault("input.userId", FaultCode::Erased, message)
        }
        MembershipFault::Database(error) => error.into(),
    }
}
