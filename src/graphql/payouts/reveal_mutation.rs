//! The mutation that shows where a payout goes in full.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::payout::Payout;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            user_errors::{MAX_KEY, MAX_REASON, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::PayoutId,
    models::payouts::reveal::{RevealFault, Revealed},
    validation::{FaultCode, Faults, line, paragraphs},
};

/// The payout whose destination is to be shown.
#[derive(InputObject, Clone)]
struct RevealPayoutDestinationInput {
    /// The payout: one that is still to be paid.
    payout_id: PayoutId,
    /// Why, for the audit trail; at most 1,000 characters. The partner's owners read it there.
    reason: String,
    /// A name for this request, at most 200 characters: sent again with it while the payout is to be paid to the same account, nothing is
    /// recorded again.
    idempotency_key: String,
}

/// What became of `revealPayoutDestination`.
#[derive(SimpleObject)]
struct RevealPayoutDestinationPayload {
    /// The payout. Null where there are user errors.
    payout: Option<Row<Payout>>,
    /// The number of the account that the partner is paid to, in full. Null where there are user errors.
    bank_account: Option<String>,
    /// Whether it was shown before with this key, and nothing was recorded this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the number is shown.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct RevealMutations;

#[Object]
impl RevealMutations {
    /// Shows the number of the account that a payout is to be paid to, and leaves an entry in the audit trail. Needs `PAYOUTS_MANAGE`.
    async fn reveal_payout_destination(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout and the reason.")] input: RevealPayoutDestinationInput,
    ) -> Result<Option<RevealPayoutDestinationPayload>> {
        ctx.require(Permission::PayoutsManage)?;
        let ((shown, replayed), user_errors) = settle(ctx, || reveal(ctx, input.clone())).await?;
        let (payout, bank_account) = shown.unzip();
        Ok(Some(RevealPayoutDestinationPayload { payout, bank_account, replayed, user_errors }))
    }
}

async fn reveal(ctx: &Context<'_>, input: RevealPayoutDestinationInput) -> Result<Outcome<(Row<Payout>, String)>, Refusal> {
    let mut faults = Faults::default();
    let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(reason), Some(key)) = (reason, key) else { return Err(faults.into()) };
    let writing = ctx.write().await?;
    let keyring = &ctx.request().shared.keyring;
    let revealed = ctx.books(&writing).reveal_destination(&key, &reason, keyring, input.payout_id).await?.map_err(refused)?;
    let Revealed { bank_account, is_new } = revealed;
    let read = async { Ok(Payout::by_id(ctx, input.payout_id).await?.map(|payout| (payout, bank_account))) };
    Ok(outcome(writing, is_new, read).await?)
}

fn refused(fault: RevealFault) -> Refusal {
    match fault {
        RevealFault::NotFound => Refusal::not_found("input.payoutId", "payout"),
        RevealFault::Over(status) => {
            let message = format!("The payout is {}: nothing is to be paid.", status.as_str().to_uppercase());
            Refusal::fault("input.payoutId", FaultCode::InvalidTransition, message)
        }
        RevealFault::NoAccount => {
            Refusal::fault("input.payoutId", FaultCode::NotFound, "The partner's profile has no bank account.")
        }
        RevealFault::KeyReused { first, difference } => Refusal::key_reused(PayoutId::from(first), &difference),
    }
}
