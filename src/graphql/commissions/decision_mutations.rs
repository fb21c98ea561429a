//! Mutations that decide commissions: approve them, reject them.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use futures_util::future::try_join_all;

use super::commission::Commission;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{MAX_REASON, Refusal, UserError, settle},
        },
        ledger::books::BooksExt,
    },
    ids::CommissionId,
    models::commissions::{
        commission::CommissionStatus,
        decision::{Decided, Decision, DecisionFault},
    },
    validation::{Fault, FaultCode, Faults, paragraphs},
};

/// The most commissions that are decided at once.
const MAX_IDS: usize = 100;

/// Commissions to be approved.
#[derive(InputObject, Clone)]
struct ApproveCommissionsInput {
    /// The commissions, at most 100.
    ids: Vec<CommissionId>,
    /// Whether a fault of one leaves all of them as they are.
    #[graphql(default)]
    all_or_none: bool,
}

/// Commissions to be rejected.
#[derive(InputObject, Clone)]
struct RejectCommissionsInput {
    /// The commissions, at most 100.
    ids: Vec<CommissionId>,
    /// Why, for the partner to read; at most 1,000 characters.
    reason: String,
    /// Whether a fault of one leaves all of them as they are.
    #[graphql(default)]
    all_or_none: bool,
}

/// What became of one commission.
#[derive(SimpleObject)]
struct CommissionDecision {
    /// The id that was given.
    id: CommissionId,
    /// The commission as it is now. Null where there is none of this id.
    commission: Option<Row<Commission>>,
    /// Why it was left as it is. Null where it is as wanted.
    user_error: Option<UserError>,
}

/// What became of `approveCommissions`.
#[derive(SimpleObject)]
struct ApproveCommissionsPayload {
    /// One result for each id, in their order. Empty where there are user errors.
    results: Vec<CommissionDecision>,
    /// Whether all were decided so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input as a whole.
    user_errors: Vec<UserError>,
}

/// What became of `rejectCommissions`.
#[derive(SimpleObject)]
struct RejectCommissionsPayload {
    /// One result for each id, in their order. Empty where there are user errors.
    results: Vec<CommissionDecision>,
    /// Whether all were decided so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input as a whole.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DecisionMutations;

#[Object]
impl DecisionMutations {
    /// Approves pending commissions, each on its own unless all or none is asked for; what takes them back goes along. One that is
    /// approved already stays so, and a retry is safe. Needs `COMMISSIONS_MANAGE`.
    async fn approve_commissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The commissions.")] input: ApproveCommissionsInput,
    ) -> Result<Option<ApproveCommissionsPayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let decide = || decide(ctx, &input.ids, Ok(Decision::Approve), input.all_or_none);
        let ((results, replayed), user_errors) = settle(ctx, decide).await?;
        Ok(Some(ApproveCommissionsPayload { results, replayed, user_errors }))
    }

    /// Rejects commissions that are not paid and in no payout, each on its own unless all or none is asked for; what takes them back
    /// goes along. Final. Needs `COMMISSIONS_MANAGE`.
    async fn reject_commissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The commissions and the reason.")] input: RejectCommissionsInput,
    ) -> Result<Option<RejectCommissionsPayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let mut faults = Faults::default();
        let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
        let decision = reason.map(Decision::Reject).ok_or(faults);
        let ((results, replayed), user_errors) =
            settle(ctx, || decide(ctx, &input.ids, decision.clone(), input.all_or_none)).await?;
        Ok(Some(RejectCommissionsPayload { results, replayed, user_errors }))
    }
}

async fn decide(
    ctx: &Context<'_>,
    ids: &[CommissionId],
    decision: Result<Decision, Faults>,
    all_or_none: bool,
) -> Result<(Vec<CommissionDecision>, bool), Refusal> {
    let mut faults = decision.as_ref().err().cloned().unwrap_or_default();
    if ids.is_empty() || ids.len() > MAX_IDS {
        faults.add("input.ids", FaultCode::OutOfRange, format!("Must be 1 to {MAX_IDS} ids; there are {}.", ids.len()));
    }
    let (Ok(decision), true) = (decision, faults.is_empty()) else { return Err(faults.into()) };
    let writing = ctx.write().await?;
    let (decided, has_changed) = ctx.books(&writing).decide(ids, &decision, all_or_none).await?;
    let results = writing.commit_and(results(ctx, ids, &decided)).await?;
    let replayed = !has_changed && results.iter().all(|result| result.user_error.is_none());
    Ok((results, replayed))
}

async fn results(ctx: &Context<'_>, ids: &[CommissionId], decided: &Decided) -> Result<Vec<CommissionDecision>> {
    let rows = ids.iter().map(async |id| {
        let user_error = decided.get(id).and_then(Option::as_ref).map(user_error);
        Ok(CommissionDecision { id: *id, commission: Commission::by_id(ctx, *id).await?, user_error })
    });
    try_join_all(rows).await
}

fn user_error(fault: &DecisionFault) -> UserError {
    let (code, message) = match fault {
        DecisionFault::NotFound => (FaultCode::NotFound, "There is no commission of this id.".to_owned()),
        DecisionFault::Status(status) => {
            let hint = match status {
                CommissionStatus::Rejected => "which is final",
                CommissionStatus::Pending | CommissionStatus::Approved | CommissionStatus::Paid => {
                    "and stays so; `adjustCommission` books a correction"
                }
            };
            (FaultCode::InvalidTransition, format!("It is {}, {hint}.", status.shown()))
        }
        DecisionFault::InPayout => {
            (FaultCode::InvalidTransition, "A payout holds it. Cancel that first, with `cancelPayout`.".to_owned())
        }
        DecisionFault::FollowsOriginal(original) => {
            (FaultCode::InvalidTransition, format!("It takes {original} back, and follows what is decided of that."))
        }
        DecisionFault::OtherFault => {
            let message = "Left as it is: all or none was asked for, and another one cannot be decided so.";
            (FaultCode::InvalidTransition, message.to_owned())
        }
        DecisionFault::ReversalSettled(reversal) => {
            let message =
                format!("A payout has settled {reversal}, which takes it back in part; `adjustCommission` books a correction.");
            (FaultCode::InvalidTransition, message)
        }
    };
    UserError::from(Fault { code, message, field: vec!["input", "ids"] })
}
