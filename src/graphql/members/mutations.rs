//! Mutations of members, one at a time. Many at once are in [`super::import_mutations`].

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::member::Member;
use crate::graphql::ledger::books::BooksExt;
use crate::{
    auth::Permission,
    db,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        refusal::{Outcome, Refusal, UserError, cleared_or, given, outcome, own_partner, settle, unchanged_since},
        row::Row,
        scalars::{DateTime, EmailAddress},
    },
    ids::{MemberId, PartnerId},
    models::{
        members::member::{self, MemberChanges, MemberStatus, NewMember, email_key, is_email_taken},
        partners::partner::Partner,
    },
    validation::{FaultCode, Faults, MAX_NAME, email, line},
};

/// A member to be added.
#[derive(InputObject, Clone)]
struct AddMemberInput {
    /// Whose member. Operators must name a partner; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The e-mail address: no other member of the partner may have it.
    email: EmailAddress,
    /// The first name, at most 200 characters.
    first_name: String,
    /// The last name, at most 200 characters.
    last_name: Option<String>,
}

/// What became of `addMember`.
#[derive(SimpleObject)]
struct AddMemberPayload {
    /// The new member. Null where there are user errors.
    member: Option<Row<Member>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the member was added.
    user_errors: Vec<UserError>,
}

/// What to change of a member: a field that is left out stays as it is.
#[derive(InputObject, Clone)]
struct UpdateMemberInput {
    /// The member.
    id: MemberId,
    /// The e-mail address. It is settled once somebody has signed in with it.
    email: MaybeUndefined<EmailAddress>,
    /// The first name, at most 200 characters.
    first_name: MaybeUndefined<String>,
    /// The last name, at most 200 characters. Null clears it.
    last_name: MaybeUndefined<String>,
    /// The member's `updatedAt` when these changes were decided on: where somebody has changed it since, it is left as it is.
    expected_updated_at: Option<DateTime>,
}

/// What became of `updateMember`.
#[derive(SimpleObject)]
struct UpdateMemberPayload {
    /// The member as it is now. Null where there are user errors.
    member: Option<Row<Member>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the member was changed.
    user_errors: Vec<UserError>,
}

/// A member who is to be given no more credits.
#[derive(InputObject, Clone)]
struct DeactivateMemberInput {
    /// The member.
    id: MemberId,
    /// Whether what it has not used goes back to the partner's balance. What stays cannot be used while the member is inactive.
    #[graphql(default = true)]
    revoke_credits: bool,
}

/// What became of `deactivateMember`.
#[derive(SimpleObject)]
struct DeactivateMemberPayload {
    /// The member as it is now. Null where there are user errors.
    member: Option<Row<Member>>,
    /// How many credits went back. Null where there are user errors.
    revoked: Option<i64>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the member is inactive.
    user_errors: Vec<UserError>,
}

/// A member who is to be given credits again.
#[derive(InputObject, Clone)]
struct ReactivateMemberInput {
    /// The member.
    id: MemberId,
}

/// What became of `reactivateMember`.
#[derive(SimpleObject)]
struct ReactivateMemberPayload {
    /// The member as it is now. Null where there are user errors.
    member: Option<Row<Member>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the member is not inactive.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct MemberMutations;

#[Object]
impl MemberMutations {
    /// Adds a member to a partner: invited, until somebody signs in with the address. Needs `MEMBERS_MANAGE`.
    async fn add_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member.")] input: AddMemberInput,
    ) -> Result<Option<AddMemberPayload>> {
        ctx.require(Permission::MembersManage)?;
        let ((member, replayed), user_errors) = settle(ctx, || add(ctx, input.clone())).await?;
        Ok(Some(AddMemberPayload { member, replayed, user_errors }))
    }

    /// Changes a member. Its credits follow a new address. Needs `MEMBERS_MANAGE`.
    async fn update_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateMemberInput,
    ) -> Result<Option<UpdateMemberPayload>> {
        ctx.require(Permission::MembersManage)?;
        let ((member, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdateMemberPayload { member, replayed, user_errors }))
    }

    /// Makes a member inactive: it is given no more credits and can use none. Doing so again changes nothing more. Needs
    /// `MEMBERS_MANAGE`.
    async fn deactivate_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member.")] input: DeactivateMemberInput,
    ) -> Result<Option<DeactivateMemberPayload>> {
        ctx.require(Permission::MembersManage)?;
        let (((member, replayed), revoked), user_errors) = settle(ctx, || deactivate(ctx, input.clone())).await?;
        Ok(Some(DeactivateMemberPayload { member, revoked, replayed, user_errors }))
    }

    /// Takes an inactive member in again: invited, or active where somebody has signed in with the address. Another member stays as it
    /// is. Needs `MEMBERS_MANAGE`.
    async fn reactivate_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member.")] input: ReactivateMemberInput,
    ) -> Result<Option<ReactivateMemberPayload>> {
        ctx.require(Permission::MembersManage)?;
        let ((member, replayed), user_errors) = settle(ctx, || reactivate(ctx, input.clone())).await?;
        Ok(Some(ReactivateMemberPayload { member, replayed, user_errors }))
    }
}

/// There is no such member, or it is another partner's: one answer for both.
pub fn unknown_member(path: &'static str) -> Refusal {
    Refusal::fault(path, FaultCode::MemberNotFound, "There is no member of this id.")
}

async fn add(ctx: &Context<'_>, input: AddMemberInput) -> Result<Outcome<Row<Member>>, Refusal> {
    let mut faults = Faults::default();
    let partner_id = own_partner(ctx, input.partner_id, &mut faults);
    let email = faults.check("input.email", email(&input.email.0));
    let first_name = faults.check("input.firstName", line(&input.first_name, MAX_NAME));
    let last_name = faults.check_option("input.lastName", input.last_name.as_deref(), |name| line(name, MAX_NAME));
    let (Some(partner_id), Some(email), Some(first_name), true) = (partner_id, email, first_name, faults.is_empty()) else {
        return Err(faults.into());
    };
    let viewer = ctx.viewer();
    let writing = ctx.write().await?;
    if Partner::by_ids(&writing, viewer.scope(), &[partner_id]).await?.is_empty() {
        return Err(Refusal::not_found("input.partnerId", "partner"));
    }
    let now = ctx.now();
    let new = NewMember {
        tenant_id: viewer.tenant.id,
        id: MemberId::new(),
        partner_id,
        email: &email,
        first_name: &first_name,
        last_name: last_name.as_deref(),
        created_at: now,
        updated_at: now,
    };
    if member::Member::insert(&writing, &new).await? {
        return Ok(outcome(writing, true, Member::by_id(ctx, new.id)).await?);
    }
    // Perhaps by the same request a moment ago.
    match member::Member::by_address(&writing, viewer.scope(), partner_id, &email).await? {
        Some(known) if new.is_as(&known) => Ok(outcome(writing, false, Member::by_id(ctx, known.id)).await?),
        _ => Err(taken()),
    }
}

async fn update(ctx: &Context<'_>, input: UpdateMemberInput) -> Result<Outcome<Row<Member>>, Refusal> {
    let mut faults = Faults::default();
    let changes = MemberChanges {
        email: given(input.email, "input.email", &mut faults, |address| email(&address.0)),
        first_name: given(input.first_name, "input.firstName", &mut faults, |name| line(&name, MAX_NAME)),
        last_name: cleared_or(input.last_name, |name| faults.check("input.lastName", line(&name, MAX_NAME))),
        status: None,
    };
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let (scope, tenant) = (ctx.viewer().scope(), ctx.viewer().tenant.id);
    let writing = ctx.write().await?;
    let members = member::Member::by_ids(&writing, scope, &[input.id]).await?;
    let known = members.get(&input.id).ok_or_else(|| unknown_member("input.id"))?;
    if changes.email.is_some() {
        // Its credits may move along: that is the books', and begins with the partner's balance.
        writing.act_for_tenant().await?;
        ctx.books(&writing).lock_credits(known.partner_id).await?;
    }
    let member = if changes.email.is_some() {
        member::Member::lock_key(&writing, scope, input.id).await?
    } else {
        member::Member::lock(&writing, scope, input.id).await?
    };
    let member = member.ok_or_else(|| unknown_member("input.id"))?;
    if !changes.differ_from(&member) {
        return Ok(outcome(writing, false, Member::by_id(ctx, input.id)).await?);
    }
    unchanged_since(input.expected_updated_at, member.updated_at, "member")?;
    if changes.email.as_ref().is_some_and(|email| email_key(email) != member.email_key) {
        if member.user_id.is_some() {
            let message = format!("Somebody has signed in as {}, and the address is settled. Add another member.", member.email);
            return Err(Refusal::fault("input.email", FaultCode::InvalidTransition, message));
        }
        member.lock_units(&writing, tenant).await?;
    }
    member.update(&writing, tenant, &changes, ctx.now()).await.map_err(violation)?;
    Ok(outcome(writing, true, Member::by_id(ctx, input.id)).await?)
}

/// The member, and how many credits came back.
async fn deactivate(ctx: &Context<'_>, input: DeactivateMemberInput) -> Result<(Outcome<Row<Member>>, Option<i64>), Refusal> {
    let scope = ctx.viewer().scope();
    let writing = ctx.write().await?;
    writing.act_for_tenant().await?;
    let revoked = ctx.books(&writing).deactivate_member(scope, input.id, input.revoke_credits).await?;
    let (revoked, has_changed) = revoked.ok_or_else(|| unknown_member("input.id"))?;
    Ok((outcome(writing, has_changed, Member::by_id(ctx, input.id)).await?, Some(revoked)))
}

async fn reactivate(ctx: &Context<'_>, input: ReactivateMemberInput) -> Result<Outcome<Row<Member>>, Refusal> {
    let writing = ctx.write().await?;
    let member = member::Member::lock(&writing, ctx.viewer().scope(), input.id).await?;
    let member = member.ok_or_else(|| unknown_member("input.id"))?;
    if member.status != MemberStatus::Inactive {
        return Ok(outcome(writing, false, Member::by_id(ctx, input.id)).await?);
    }
    let status = if member.user_id.is_some() { MemberStatus::Active } else { MemberStatus::Invited };
    let changes = MemberChanges { status: Some(status), ..MemberChanges::default() };
    member.update(&writing, ctx.viewer().tenant.id, &changes, ctx.now()).await?;
    Ok(outcome(writing, true, Member::by_id(ctx, input.id)).await?)
}

/// What a person can put right of what the database refused.
fn violation(error: db::QueryError) -> Refusal {
    if is_email_taken(&error) {
        return taken();
    }
    error.into()
}

fn taken() -> Refusal {
    Refusal::fault("input.email", FaultCode::Taken, "The partner has a member with this address already.")
}
