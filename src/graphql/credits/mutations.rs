//! Mutations of credits: granting, assigning, taking back.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use futures_util::try_join;

use super::credit::{CreditAllocation, CreditGrant};
use crate::{
    auth::Permission,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{MAX_KEY, MAX_REASON, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
        members::{member::Member, mutations::unknown_member},
        partners::partner::Partner,
    },
    ids::{AllocationId, MemberId, PartnerId},
    models::credits::{
        assignment::{Assignment, AssignmentFault, credits_at_once, valid_days},
        grant::{GrantFault, MAX_BALANCE, NewGrant},
    },
    validation::{FaultCode, Faults, line, paragraphs},
};

/// The most credits that are granted at once.
const MAX_GRANT: u32 = 100_000_000;

/// Credits for a partner.
#[derive(InputObject, Clone)]
struct GrantCreditsInput {
    /// To whom.
    partner_id: PartnerId,
    /// How many: 1 to 100,000,000. Below zero takes back so many that are unassigned.
    credits: i32,
    /// Why, at most 1,000 characters.
    reason: String,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first result and grants nothing.
    idempotency_key: String,
}

/// What became of `grantCredits`.
#[derive(SimpleObject)]
struct GrantCreditsPayload {
    /// The grant. Null where there are user errors.
    grant: Option<CreditGrant>,
    /// The partner as it is now. Null where there are user errors.
    partner: Option<Row<Partner>>,
    /// Whether the key was used before, and nothing was granted this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the credits are granted.
    user_errors: Vec<UserError>,
}

/// Credits for a member.
#[derive(InputObject, Clone)]
struct AssignCreditsInput {
    /// To whom: a member of your own partner.
    member_id: MemberId,
    /// How many: 1 to 100,000.
    credits: i32,
    /// For how many days of 24 hours they can be used: 1 to 3,650.
    #[graphql(default = 90)]
    valid_days: i32,
    /// The idempotency key, of the partner's own, at most 200 characters: sent again, it answers with the first result and assigns nothing.
    idempotency_key: String,
}

/// What became of `assignCredits`.
#[derive(SimpleObject)]
struct AssignCreditsPayload {
    /// The assigned credits. Null where there are user errors.
    allocation: Option<Row<CreditAllocation>>,
    /// The member as it is now. Null where there are user errors.
    member: Option<Row<Member>>,
    /// Your partner as it is now, also where there are user errors: its `creditBalance` says how many there are.
    partner: Option<Row<Partner>>,
    /// Whether the key was used before, and nothing was assigned this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the credits are assigned.
    user_errors: Vec<UserError>,
}

/// Credits to be taken back.
#[derive(InputObject, Clone)]
struct RevokeCreditsInput {
    /// The allocation of which nothing more is to be used.
    allocation_id: AllocationId,
}

/// What became of `revokeCredits`.
#[derive(SimpleObject)]
struct RevokeCreditsPayload {
    /// The allocation as it is now. Null where there are user errors.
    allocation: Option<Row<CreditAllocation>>,
    /// How many credits went back to the partner's balance this time. Null where there are user errors.
    revoked: Option<i64>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when nothing of the allocation can be used any longer.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreditMutations;

#[Object]
impl CreditMutations {
    /// Gives credits to a partner, or takes back what it has not assigned. Needs `CREDITS_GRANT`.
    async fn grant_credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The credits.")] input: GrantCreditsInput,
    ) -> Result<Option<GrantCreditsPayload>> {
        ctx.require(Permission::CreditsGrant)?;
        let ((grant, partner, replayed), user_errors) = settle(ctx, || grant(ctx, input.clone())).await?;
        Ok(Some(GrantCreditsPayload { grant, partner, replayed, user_errors }))
    }

    /// Assigns credits of your partner's balance to one of its members, all of them or none. Needs `CREDITS_ASSIGN`.
    async fn assign_credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The credits and the member.")] input: AssignCreditsInput,
    ) -> Result<Option<AssignCreditsPayload>> {
        ctx.require(Permission::CreditsAssign)?;
        let own = ctx.viewer().partner.ok_or_else(|| Error::internal("an assignment by nobody's partner"))?.id;
        let ((allocation, member, partner, replayed), user_errors) = settle(ctx, || assign(ctx, own, input.clone())).await?;
        let partner = match partner {
            None => Partner::by_id(ctx, own).await?,
            partner => partner,
        };
        Ok(Some(AssignCreditsPayload { allocation, member, partner, replayed, user_errors }))
    }

    /// Takes back what a member has not used of an allocation; it returns to the partner's balance. Doing so again changes nothing more.
    /// Needs `CREDITS_ASSIGN`, or `CREDITS_GRANT` of staff and machines.
    async fn revoke_credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The allocation.")] input: RevokeCreditsInput,
    ) -> Result<Option<RevokeCreditsPayload>> {
        let acts_for_partner = ctx.viewer().scope().partner.is_some();
        ctx.require(if acts_for_partner { Permission::CreditsAssign } else { Permission::CreditsGrant })?;
        let id = input.allocation_id;
        let (((allocation, replayed), revoked), user_errors) = settle(ctx, || revoke(ctx, id)).await?;
        Ok(Some(RevokeCreditsPayload { allocation, revoked, replayed, user_errors }))
    }
}

/// The grant, its partner, and whether it was there before.
type GrantOutcome = (Option<CreditGrant>, Option<Row<Partner>>, bool);

async fn grant(ctx: &Context<'_>, input: GrantCreditsInput) -> Result<GrantOutcome, Refusal> {
    let mut faults = Faults::default();
    if input.credits == 0 || input.credits.unsigned_abs() > MAX_GRANT {
        let message = format!("Must be from 1 to {MAX_GRANT}, or as many below zero; it is {}.", input.credits);
        faults.add("input.credits", FaultCode::InvalidAmount, message);
    }
    let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(reason), Some(key), true) = (reason, key, faults.is_empty()) else { return Err(faults.into()) };
    let new = NewGrant { partner: input.partner_id, credits: input.credits, reason, key };
    let writing = ctx.write().await?;
    let granted = ctx.books(&writing).grant_credits(&new).await?.map_err(|fault| grant_refusal(&fault))?;
    let read = async { try_join!(CreditGrant::by_id(ctx, granted.id), Partner::by_id(ctx, new.partner)) };
    let (grant, partner) = writing.commit_and(read).await?;
    Ok((grant, partner, granted.is_replay))
}

fn grant_refusal(fault: &GrantFault) -> Refusal {
    match fault {
        GrantFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        GrantFault::Closed => {
            let message = "The partner is CLOSED: credits can be taken back from it, and not given.";
            Refusal::fault("input.partnerId", FaultCode::PartnerInactive, message)
        }
        GrantFault::Insufficient { balance } => {
            let message = format!("The partner has {balance} unassigned credits; no more can be taken back.");
            Refusal::fault("input.credits", FaultCode::InsufficientCredits, message)
        }
        GrantFault::TooMany { balance } => {
            let message = format!("The partner has {balance} unassigned credits, and can have {MAX_BALANCE} at most.");
            Refusal::fault("input.credits", FaultCode::OutOfRange, message)
        }
        GrantFault::KeyReused { first, difference } => Refusal::key_reused(first, difference),
    }
}

/// The allocation, its member, their partner, and whether it was there before.
type AssignOutcome = (Option<Row<CreditAllocation>>, Option<Row<Member>>, Option<Row<Partner>>, bool);

async fn assign(ctx: &Context<'_>, partner: PartnerId, input: AssignCreditsInput) -> Result<AssignOutcome, Refusal> {
    let mut faults = Faults::default();
    faults.check("input.credits", credits_at_once(input.credits));
    faults.check("input.validDays", valid_days(input.valid_days));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(key), true) = (key, faults.is_empty()) else { return Err(faults.into()) };
    let AssignCreditsInput { member_id: member, credits, valid_days, .. } = input;
    let writing = ctx.write().await?;
    let wanted = Assignment { member, credits, valid_days, key: Some(key) };
    let assigned = ctx.books(&writing).assign_to_member(partner, wanted).await?;
    let assigned = assigned.map_err(|fault| assignment_refusal(fault, credits))?;
    let read =
        async { try_join!(CreditAllocation::by_id(ctx, assigned.id), Member::by_id(ctx, member), Partner::by_id(ctx, partner)) };
    let (allocation, member, partner) = writing.commit_and(read).await?;
    Ok((allocation, member, partner, assigned.is_replay))
}

fn assignment_refusal(fault: AssignmentFault, credits: i32) -> Refusal {
    match fault {
        AssignmentFault::Amount => Refusal::fault("input.credits", FaultCode::InvalidAmount, "Cannot be assigned at once."),
        AssignmentFault::Days => Refusal::fault("input.validDays", FaultCode::OutOfRange, "Is no number of days for credits."),
        AssignmentFault::Partner => {
            Refusal::fault("input.memberId", FaultCode::PartnerInactive, "Your partner is not ACTIVE, and assigns no credits.")
        }
        AssignmentFault::UnknownMember => unknown_member("input.memberId"),
        AssignmentFault::Inactive => {
            let message = "The member is INACTIVE. Take it in again first, with `reactivateMember`.";
            Refusal::fault("input.memberId", FaultCode::MemberInactive, message)
        }
        AssignmentFault::Insufficient { balance } => {
            let message = format!("Your partner has {balance} credits to assign, and {credits} are asked for.");
            Refusal::fault("input.credits", FaultCode::InsufficientCredits, message)
        }
        AssignmentFault::KeyReused(first) => {
            let message = format!("The key was used before, for {first}, which is another assignment. Use another key.");
            Refusal::fault("input.idempotencyKey", FaultCode::KeyReused, message)
        }
    }
}

/// The allocation, and how many credits went back.
async fn revoke(ctx: &Context<'_>, id: AllocationId) -> Result<(Outcome<Row<CreditAllocation>>, Option<i64>), Refusal> {
    let scope = ctx.viewer().scope();
    let writing = ctx.write().await?;
    let revoked = ctx.books(&writing).revoke_credits(scope, id).await?;
    let revoked = revoked.ok_or_else(|| Refusal::not_found("input.allocationId", "allocation"))?;
    Ok((outcome(writing, revoked > 0, CreditAllocation::by_id(ctx, id)).await?, Some(revoked)))
}
