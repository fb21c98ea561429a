//! Mutations that take payouts through their steps: one for each step.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::payout::Payout;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{MAX_REASON, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::PayoutId,
    models::payouts::step::{PayoutStep, PayoutStepFault},
    validation::{FaultCode, Faults, line, paragraphs},
};

const MAX_REFERENCE: usize = 200;

/// A payout that is to take a step.
#[derive(InputObject, Clone)]
struct PayoutStepInput {
    /// The payout.
    id: PayoutId,
}

/// A payout that has been paid.
#[derive(InputObject, Clone)]
struct CompletePayoutInput {
    /// The payout.
    id: PayoutId,
    /// The payment's reference, such as the bank's, at most 200 characters.
    reference: String,
}

/// A payout that came back.
#[derive(InputObject, Clone)]
struct ReturnPayoutInput {
    /// The payout.
    id: PayoutId,
    /// Why, for the partner to read; at most 1,000 characters.
    reason: String,
}

/// A payout that could not be paid.
#[derive(InputObject, Clone)]
struct FailPayoutInput {
    /// The payout.
    id: PayoutId,
    /// Why, for the partner to read; at most 1,000 characters.
    reason: String,
}

/// A payout to be given up.
#[derive(InputObject, Clone)]
struct CancelPayoutInput {
    /// The payout.
    id: PayoutId,
    /// Why, for the partner to read; at most 1,000 characters.
    reason: Option<String>,
}

/// What became of a payout's step.
#[derive(SimpleObject)]
struct PayoutStepPayload {
    /// The payout as it is now. Null where there are user errors.
    payout: Option<Row<Payout>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// Why it was left as it is. Empty when the step is taken.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PayoutStepMutations;

#[Object]
impl PayoutStepMutations {
    /// Releases a payout for payment: `PENDING` to `READY`. Refused, as is sending it off, where something in it was refunded since it
    /// was made, where less is owed to the partner by now, and where the partner's profile does not say where the money is to go. Taking a step twice in a row changes nothing, so a retry is safe; that
    /// goes for all steps. Needs `PAYOUTS_MANAGE`.
    async fn release_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout.")] input: PayoutStepInput,
    ) -> Result<Option<PayoutStepPayload>> {
        take(ctx, input.id, Ok(PayoutStep::Release)).await
    }

    /// Sends a payout off: `READY` to `PROCESSING`. Needs `PAYOUTS_MANAGE`.
    async fn start_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout.")] input: PayoutStepInput,
    ) -> Result<Option<PayoutStepPayload>> {
        take(ctx, input.id, Ok(PayoutStep::Start)).await
    }

    /// Notes that a payout has been paid: `PROCESSING` to `COMPLETED`. Its commissions are paid with it. Needs `PAYOUTS_MANAGE`.
    async fn complete_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout and the payment's reference.")] input: CompletePayoutInput,
    ) -> Result<Option<PayoutStepPayload>> {
        let mut faults = Faults::default();
        let reference = faults.check("input.reference", line(&input.reference, MAX_REFERENCE));
        take(ctx, input.id, reference.map(PayoutStep::Complete).ok_or(faults)).await
    }

    /// Notes that a payout could not be paid: `PROCESSING` to `FAILED`. Its commissions are approved and free again. Needs
    /// `PAYOUTS_MANAGE`.
    async fn fail_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout and the reason.")] input: FailPayoutInput,
    ) -> Result<Option<PayoutStepPayload>> {
        let mut faults = Faults::default();
        let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
        take(ctx, input.id, reason.map(PayoutStep::Fail).ok_or(faults)).await
    }

    /// Tries a failed payout again, with just the commissions that it was made of: `FAILED` to `READY`. Needs `PAYOUTS_MANAGE`.
    async fn retry_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout.")] input: PayoutStepInput,
    ) -> Result<Option<PayoutStepPayload>> {
        take(ctx, input.id, Ok(PayoutStep::Retry)).await
    }

    /// Gives a payout up: `PENDING`, `READY` or `FAILED` to `CANCELLED`. Its commissions are approved and free again. Needs
    /// `PAYOUTS_MANAGE`.
    async fn cancel_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout.")] input: CancelPayoutInput,
    ) -> Result<Option<PayoutStepPayload>> {
        let mut faults = Faults::default();
        let reason = faults.check_option("input.reason", input.reason.as_deref(), |text| paragraphs(text, MAX_REASON));
        take(ctx, input.id, if faults.is_empty() { Ok(PayoutStep::Cancel(reason)) } else { Err(faults) }).await
    }

    /// Notes that a completed payout came back from the bank: `COMPLETED` to `FAILED`. Its commissions are approved and free again.
    /// Needs `PAYOUTS_MANAGE`.
    async fn return_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout and the reason.")] input: ReturnPayoutInput,
    ) -> Result<Option<PayoutStepPayload>> {
        let mut faults = Faults::default();
        let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
        take(ctx, input.id, reason.map(PayoutStep::Return).ok_or(faults)).await
    }
}

async fn take(ctx: &Context<'_>, id: PayoutId, step: Result<PayoutStep, Faults>) -> Result<Option<PayoutStepPayload>> {
    ctx.require(Permission::PayoutsManage)?;
    let ((payout, replayed), user_errors) = settle(ctx, || step_one(ctx, id, step.clone())).await?;
    Ok(Some(PayoutStepPayload { payout, replayed, user_errors }))
}

async fn step_one(ctx: &Context<'_>, id: PayoutId, step: Result<PayoutStep, Faults>) -> Result<Outcome<Row<Payout>>, Refusal> {
    let step = step?;
    let writing = ctx.write().await?;
    let is_taken = ctx.books(&writing).step_payout(id, &step).await?.map_err(refusal)?;
    Ok(outcome(writing, is_taken, Payout::by_id(ctx, id)).await?)
}

fn refusal(fault: PayoutStepFault) -> Refusal {
    match fault {
        PayoutStepFault::NotFound => Refusal::not_found("input.id", "payout"),
        PayoutStepFault::Status(status) => {
            let next: Vec<String> = status.next().iter().map(|status| status.shown()).collect();
            let message = if next.is_empty() {
                format!("The payout is {}, which is final.", status.shown())
            } else {
                format!("The payout is {}; from there it can become {}.", status.shown(), next.join(", "))
            };
            Refusal::fault("input.id", FaultCode::InvalidTransition, message)
        }
        PayoutStepFault::OtherReference(first) => Refusal::fault(
            "input.reference",
            FaultCode::KeyReused,
            format!("The payout was completed with the reference {first:?}."),
        ),
        PayoutStepFault::CommissionsGone(count) => {
            let message = format!(
                "{count} of its commissions are rejected, refunded or in another payout, or another partner's, by now. Cancel it, and make a new one of what is \
                 free."
            );
            Refusal::fault("input.id", FaultCode::InvalidTransition, message)
        }
        PayoutStepFault::NotOwed { owed } if owed.is_sign_negative() && !owed.is_zero() => {
            let message =
                format!("Nothing is owed to the partner by now: it owes {} itself. Cancel the payout.", -owed.normalize());
            Refusal::fault("input.id", FaultCode::InvalidTransition, message)
        }
        PayoutStepFault::NotOwed { owed } => {
            let message = format!("Only {} is owed to the partner by now. Cancel it, and make a new one.", owed.normalize());
            Refusal::fault("input.id", FaultCode::InvalidTransition, message)
        }
        PayoutStepFault::NoDestination { method, lacks } => {
            let message = format!(
                "The payout is paid by {}, and the partner's profile has not got {lacks}. Complete the profile with \
                 `updatePartnerProfile`; or give it another method, cancel this payout and make a new one.",
                method.shown()
            );
            Refusal::fault("input.id", FaultCode::DestinationMissing, message)
        }
    }
}
