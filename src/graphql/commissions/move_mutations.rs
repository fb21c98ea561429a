//! Mutations that move leads and commissions to another partner.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::commission::Commission;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{MAX_REASON, Outcome, Refusal, UserError, outcome, settle},
        },
        leads::lead::Lead,
        ledger::books::BooksExt,
    },
    ids::{CommissionId, LeadId, PartnerId},
    models::commissions::partner_move::MoveFault,
    validation::{FaultCode, Faults, paragraphs},
};

/// A lead that is another partner's.
#[derive(InputObject, Clone)]
struct MoveLeadInput {
    /// The lead.
    id: LeadId,
    /// The partner to move it to.
    partner_id: PartnerId,
    /// Why, for that partner to read; at most 1,000 characters.
    reason: String,
}

/// What became of `moveLead`.
#[derive(SimpleObject)]
struct MoveLeadPayload {
    /// The lead as it is now. Null where there are user errors.
    lead: Option<Row<Lead>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// Why it stays where it is. Empty when it is that partner's.
    user_errors: Vec<UserError>,
}

/// A commission that is another partner's.
#[derive(InputObject, Clone)]
struct MoveCommissionInput {
    /// The commission.
    id: CommissionId,
    /// The partner to move it to.
    partner_id: PartnerId,
    /// Why, for that partner to read; at most 1,000 characters.
    reason: String,
}

/// What became of `moveCommission`.
#[derive(SimpleObject)]
struct MoveCommissionPayload {
    /// The commission as it is now. Null where there are user errors.
    commission: Option<Row<Commission>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// Why it stays where it is. Empty when it is that partner's.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PartnerMoveMutations;

#[Object]
impl PartnerMoveMutations {
    /// Moves a lead to another partner, with its history and what it has earned, unless that is paid or in a payout. Moving it to where it is
    /// changes nothing, so a retry is safe. Needs `COMMISSIONS_MANAGE`.
    async fn move_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The lead, the partner and the reason.")] input: MoveLeadInput,
    ) -> Result<Option<MoveLeadPayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let ((lead, replayed), user_errors) = settle(ctx, || move_lead(ctx, input.clone())).await?;
        Ok(Some(MoveLeadPayload { lead, replayed, user_errors }))
    }

    /// Moves a commission that is neither paid nor in a payout to another partner, with what takes it back. The amount stays as it is: it was
    /// calculated by the rule that held. Later payments of the customer are not moved: see `assignCustomer`. Moving it to where it is changes
    /// nothing, so a retry is safe. Needs `COMMISSIONS_MANAGE`.
    async fn move_commission(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The commission, the partner and the reason.")] input: MoveCommissionInput,
    ) -> Result<Option<MoveCommissionPayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let ((commission, replayed), user_errors) = settle(ctx, || move_commission(ctx, input.clone())).await?;
        Ok(Some(MoveCommissionPayload { commission, replayed, user_errors }))
    }
}

fn reason(text: &str) -> Result<String, Faults> {
    let mut faults = Faults::default();
    faults.check("input.reason", paragraphs(text, MAX_REASON)).ok_or(faults)
}

async fn move_lead(ctx: &Context<'_>, input: MoveLeadInput) -> Result<Outcome<Row<Lead>>, Refusal> {
    let reason = reason(&input.reason)?;
    let writing = ctx.write().await?;
    let moved = ctx.books(&writing).move_lead(input.id, input.partner_id, &reason).await?;
    let has_moved = moved.map_err(|fault| refusal(fault, "lead"))?;
    Ok(outcome(writing, has_moved, Lead::by_id(ctx, input.id)).await?)
}

async fn move_commission(ctx: &Context<'_>, input: MoveCommissionInput) -> Result<Outcome<Row<Commission>>, Refusal> {
    let reason = reason(&input.reason)?;
    let writing = ctx.write().await?;
    let moved = ctx.books(&writing).move_commission(input.id, input.partner_id, &reason).await?;
    let has_moved = moved.map_err(|fault| refusal(fault, "commission"))?;
    Ok(outcome(writing, has_moved, Commission::by_id(ctx, input.id)).await?)
}

fn refusal(fault: MoveFault, what: &str) -> Refusal {
    let message = match fault {
        MoveFault::NotFound => return Refusal::not_found("input.id", what),
        MoveFault::UnknownPartner => return Refusal::not_found("input.partnerId", "partner"),
        MoveFault::Closed => {
            let message = "The partner is CLOSED and earns nothing more.";
            return Refusal::fault("input.partnerId", FaultCode::PartnerInactive, message);
        }
        MoveFault::Status(status) => format!(
            "The commission is {}, and stays with its partner. `adjustCommission` books a correction.",
            status.as_str().to_uppercase()
        ),
        MoveFault::InPayout => "A payout holds the commission. Cancel the payout first.".to_owned(),
        MoveFault::FollowsOriginal(original) => format!("The commission takes {original} back, and follows it. Move that."),
        MoveFault::FollowsLead(lead) => format!("The commission is that of {lead}, and follows it. Use `moveLead`."),
        MoveFault::ReversalSettled(reversal) => {
            format!("A payout has settled {reversal}, which takes it back in part. `adjustCommission` books a correction.")
        }
    };
    Refusal::fault("input.id", FaultCode::InvalidTransition, message)
}
