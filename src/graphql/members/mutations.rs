//! Mutations of members, one at a time. Many at once are in [`super::import_mutations`].

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::member::Member;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::{DateTime, EmailAddress},
            user_errors::{Outcome, Refusal, UserError, changed_since, cleared_or, erased, given, outcome, own_partner, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{MemberId, PartnerId},
    models::members::{
        change::{MemberFault, Person},
        member::MemberChanges,
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
    let person = Person { email: &email, first_name: &first_name, last_name: last_name.as_deref() };
    let writing = ctx.write().await?;
    let added = ctx.books(&writing).add_member(ctx.viewer().scope(), partner_id, person).await?;
    let (id, is_new) = added.map_err(refusal)?;
    Ok(outcome(writing, is_new, Member::by_id(ctx, id)).await?)
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
    let writing = ctx.write().await?;
    let expected = input.expected_updated_at.map(|expected| expected.0);
    let written = ctx.books(&writing).change_member(ctx.viewer().scope(), input.id, &changes, expected).await?;
    let has_changed = written.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Member::by_id(ctx, input.id)).await?)
}

/// The member, and how many credits came back.
async fn deactivate(ctx: &Context<'_>, input: DeactivateMemberInput) -> Result<(Outcome<Row<Member>>, Option<i64>), Refusal> {
    let scope = ctx.viewer().scope();
    let writing = ctx.write().await?;
    let revoked = ctx.books(&writing).deactivate_member(scope, input.id, input.revoke_credits).await?;
    let (revoked, has_changed) = revoked.ok_or_else(|| unknown_member("input.id"))?;
    Ok((outcome(writing, has_changed, Member::by_id(ctx, input.id)).await?, Some(revoked)))
}

async fn reactivate(ctx: &Context<'_>, input: ReactivateMemberInput) -> Result<Outcome<Row<Member>>, Refusal> {
    let writing = ctx.write().await?;
    let reactivated = ctx.books(&writing).reactivate_member(ctx.viewer().scope(), input.id).await?;
    let has_changed = reactivated.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Member::by_id(ctx, input.id)).await?)
}

fn refusal(fault: MemberFault) -> Refusal {
    match fault {
        MemberFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        MemberFault::NotFound => unknown_member("input.id"),
        MemberFault::AddressTaken => {
            Refusal::fault("input.email", FaultCode::Taken, "The partner has a member with this address already.")
        }
        MemberFault::AddressSettled(address) => {
            let message = format!("Somebody has signed in as {address}, and the address is settled. Add another member.");
            Refusal::fault("input.email", FaultCode::InvalidTransition, message)
        }
        MemberFault::ChangedSince(at) => changed_since(at, "member"),
        MemberFault::Erased(at) => erased(at, "member"),
    }
}
