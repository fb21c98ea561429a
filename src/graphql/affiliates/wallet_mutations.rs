//! Taking money out of a wallet.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{affiliate::Affiliate, wallet_transaction::WalletTransaction};
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            scalars::{CurrencyCode, Decimal, currency_or_default},
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    models::affiliates::take_out::{TakeOut, TakeOutFault},
    money::{Money, minor_units},
    validation::{FaultCode, Faults, line, positive_amount},
};

/// What to take out of your wallet.
#[derive(InputObject, Clone)]
struct TakeOutOfWalletInput {
    /// How much: at most what is available.
    amount: Decimal,
    /// Of which wallet; that in the tenant's default currency where it is left out.
    currency: Option<CurrencyCode>,
    /// An idempotency key, at most 200 characters: sent again, it returns the first result.
    idempotency_key: String,
}

/// What became of `takeOutOfWallet`.
#[derive(SimpleObject)]
struct TakeOutOfWalletPayload {
    /// What was taken out. Null where there are user errors.
    transaction: Option<WalletTransaction>,
    /// You as an affiliate, as it is now. Null where there are user errors.
    affiliate: Option<Affiliate>,
    /// Whether it was taken out before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when it is taken out.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct WalletMutations;

#[Object]
impl WalletMutations {
    /// Takes money out of your wallet: it becomes a commission of the partner that you act for, approved at once, and is paid with the partner's next
    /// payout. Needs `AFFILIATE_TAKE_PART`, and that partner to be active.
    async fn take_out_of_wallet(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much.")] input: TakeOutOfWalletInput,
    ) -> Result<Option<TakeOutOfWalletPayload>> {
        ctx.require(Permission::AffiliateTakePart)?;
        let ((transaction, replayed), user_errors) = settle(ctx, || take_out(ctx, input.clone())).await?;
        let affiliate = transaction.as_ref().and_then(|_| Affiliate::of(ctx, ctx.viewer().user));
        Ok(Some(TakeOutOfWalletPayload { transaction, affiliate, replayed, user_errors }))
    }
}

async fn take_out(ctx: &Context<'_>, input: TakeOutOfWalletInput) -> Result<Outcome<WalletTransaction>, Refusal> {
    let currency = currency_or_default(ctx, input.currency)?;
    let mut faults = Faults::default();
    let amount = faults.check("input.amount", positive_amount(input.amount.0, minor_units(currency)));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(amount), Some(key)) = (amount, key) else { return Err(faults.into()) };
    let viewer = ctx.viewer();
    let request = TakeOut {
        user: viewer.user,
        partner: viewer.partner.map(|partner| partner.id),
        amount: Money::rounded(amount, currency),
        key,
    };
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    books.act_for_tenant().await?;
    let (id, is_replay) = books.take_out(&request).await?.map_err(|fault| match fault {
        TakeOutFault::NotActive => not_active(),
        TakeOutFault::TooLittle { available, held } => {
            let shown = |amount| format!("{} {}", Money::rounded(amount, currency).amount, currency.code());
            let held = if held.is_zero() { String::new() } else { format!("; {} more is held back", shown(held)) };
            let message = if available.is_sign_negative() {
                format!("Nothing can be taken out: {} is there. What is earned next fills the wallet first.", shown(available))
            } else {
                format!("{} can be taken out{held}.", shown(available))
            };
            Refusal::fault("input.amount", FaultCode::InsufficientFunds, message)
        }
        TakeOutFault::KeyReused { first, difference } => Refusal::key_reused(first, &difference),
    })?;
    Ok(outcome(writing, !is_replay, WalletTransaction::by_id(ctx, id)).await?)
}

fn not_active() -> Refusal {
    Refusal::fault(
        "input.amount",
        FaultCode::PartnerInactive,
        "What you take out is paid to your partner, and you act for none that is active. Try again once it is, or choose another one with `setDefaultPartner`.",
    )
}
