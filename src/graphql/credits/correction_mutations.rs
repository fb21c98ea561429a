//! Mutations that correct what was done with credits: reversing a redemption, giving an allocation more time.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::credit::{CreditAllocation, CreditRedemption};
use crate::{
    auth::Permission,
    clock::shown,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::DateTime,
            user_errors::{MAX_KEY, MAX_REASON, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{AllocationId, RedemptionId},
    models::credits::correction::{ExtensionFault, Reversal, ReversalFault},
    validation::{FaultCode, Faults, line, paragraphs},
};

/// A redemption that was a mistake.
#[derive(InputObject, Clone)]
struct ReverseRedemptionInput {
    /// The redemption.
    redemption_id: RedemptionId,
    /// Why, at most 1,000 characters.
    reason: String,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first result and gives nothing back.
    idempotency_key: String,
}

/// What became of `reverseRedemption`.
#[derive(SimpleObject)]
struct ReverseRedemptionPayload {
    /// The redemption as it is now. Null where there are user errors.
    redemption: Option<CreditRedemption>,
    /// Whether the key was used before, and nothing was given back this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the credits are given back.
    user_errors: Vec<UserError>,
}

/// More time for an allocation.
#[derive(InputObject, Clone)]
struct ExtendCreditsInput {
    /// The allocation.
    allocation_id: AllocationId,
    /// The first instant at which it can no longer be used: later than now, at most 3,650 days from now.
    expires_at: DateTime,
}

/// What became of `extendCredits`.
#[derive(SimpleObject)]
struct ExtendCreditsPayload {
    /// The allocation as it is now. Null where there are user errors.
    allocation: Option<Row<CreditAllocation>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the allocation expires then.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreditCorrectionMutations;

#[Object]
impl CreditCorrectionMutations {
    /// Gives all credits of a redemption back to the members whose they were, once. They expire when they would have; those whose time has
    /// passed meanwhile are expired at once. An inactive member has them back too, and uses none until it is taken in again: `revokeCredits`
    /// gives them to the partner. Needs `EVENTS_INGEST`.
    async fn reverse_redemption(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The redemption and the reason.")] input: ReverseRedemptionInput,
    ) -> Result<Option<ReverseRedemptionPayload>> {
        ctx.require(Permission::EventsIngest)?;
        let ((redemption, replayed), user_errors) = settle(ctx, || reverse(ctx, input.clone())).await?;
        Ok(Some(ReverseRedemptionPayload { redemption, replayed, user_errors }))
    }

    /// Lets what is unused of an allocation be used for longer. Extending it to the instant at which it expires already changes nothing, so a
    /// retry is safe. Needs `CREDITS_ASSIGN`, or `CREDITS_GRANT` of staff and machines.
    async fn extend_credits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The allocation and its new expiry.")] input: ExtendCreditsInput,
    ) -> Result<Option<ExtendCreditsPayload>> {
        let acts_for_partner = ctx.viewer().scope().partner.is_some();
        ctx.require(if acts_for_partner { Permission::CreditsAssign } else { Permission::CreditsGrant })?;
        let ((allocation, replayed), user_errors) = settle(ctx, || extend(ctx, input.clone())).await?;
        Ok(Some(ExtendCreditsPayload { allocation, replayed, user_errors }))
    }
}

/// The redemption, and whether it was reversed before.
async fn reverse(ctx: &Context<'_>, input: ReverseRedemptionInput) -> Result<Outcome<CreditRedemption>, Refusal> {
    let mut faults = Faults::default();
    let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(reason), Some(key)) = (reason, key) else { return Err(faults.into()) };
    let reversal = Reversal { redemption: input.redemption_id, reason, key };
    let writing = ctx.write().await?;
    let reversed = ctx.books(&writing).reverse_redemption(&reversal).await?;
    let is_replay = reversed.map_err(|fault| reversal_refusal(&fault))?;
    Ok((writing.commit_and(CreditRedemption::by_id(ctx, reversal.redemption)).await?, is_replay))
}

fn reversal_refusal(fault: &ReversalFault) -> Refusal {
    match fault {
        ReversalFault::NotFound => Refusal::not_found("input.redemptionId", "redemption"),
        ReversalFault::KeyTaken => {
            let message = "The key is being used for another redemption at this very moment. Use another key.";
            Refusal::fault("input.idempotencyKey", FaultCode::KeyReused, message)
        }
        ReversalFault::Reversed { at } => {
            let message = format!("The redemption was reversed on {}.", shown(*at));
            Refusal::fault("input.redemptionId", FaultCode::InvalidTransition, message)
        }
        ReversalFault::KeyReused { first, difference } => Refusal::key_reused(first, difference),
    }
}

async fn extend(ctx: &Context<'_>, input: ExtendCreditsInput) -> Result<Outcome<Row<CreditAllocation>>, Refusal> {
    let (id, scope) = (input.allocation_id, ctx.viewer().scope());
    let writing = ctx.write().await?;
    let is_later = ctx.books(&writing).extend_credits(scope, id, input.expires_at.0).await?.map_err(extension_refusal)?;
    Ok(outcome(writing, is_later, CreditAllocation::by_id(ctx, id)).await?)
}

fn extension_refusal(fault: ExtensionFault) -> Refusal {
    let (code, message) = match fault {
        ExtensionFault::NotFound => return Refusal::not_found("input.allocationId", "allocation"),
        ExtensionFault::Expired(at) => {
            let message = format!("The allocation expired on {}. Assign new credits.", shown(at));
            return Refusal::fault("input.allocationId", FaultCode::InvalidTransition, message);
        }
        ExtensionFault::Earlier(at) => {
            (FaultCode::OutOfRange, format!("The allocation expires on {}; it can be given more time, not less.", shown(at)))
        }
        ExtensionFault::TooLate(at) => (FaultCode::OutOfRange, format!("Must be {} at the latest.", shown(at))),
    };
    Refusal::fault("input.expiresAt", code, message)
}
