//! Operators' mutations for affiliates: the terms, corrections of who referred whom, and of wallets.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{affiliate::Affiliate, terms::AffiliateTerms, wallet_transaction::WalletTransaction};
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            scalars::{CurrencyCode, Decimal, currency_or_default},
            user_errors::{MAX_KEY, MAX_REASON, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::UserId,
    models::affiliates::{
        adjustment::{WalletAdjustment, WalletAdjustmentFault},
        referral_decision::ReferralFault,
        terms::NewTerms,
    },
    money::{Money, minor_units},
    validation::{FaultCode, Faults, Wrong, amount, line, paragraphs, rate},
};

/// The longest validity, in days: a hundred years.
const MAX_VALIDITY: i32 = 36_500;

/// What affiliates earn from now on.
#[derive(InputObject, Clone)]
struct SetAffiliateTermsInput {
    /// The share of what a referred person pays, as a fraction from 0 to 1: "0.1" is ten per cent.
    share: Decimal,
    /// For how many days after a person's sign-up their payments earn something, 1 to 36,500; for good where it is left out.
    validity_days: Option<i32>,
    /// Whether anybody earns anything. While it is off, no other switch counts.
    is_active: bool,
}

/// What became of `setAffiliateTerms`.
#[derive(SimpleObject)]
struct SetAffiliateTermsPayload {
    /// The version that is in force. Null where there are user errors.
    terms: Option<AffiliateTerms>,
    /// Whether the terms said the same before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the terms are set.
    user_errors: Vec<UserError>,
}

/// Who referred a person.
#[derive(InputObject, Clone)]
struct CorrectReferrerInput {
    /// The person.
    user_id: UserId,
    /// Who referred them; nobody where it is left out.
    referrer_id: Option<UserId>,
    /// Why, at most 1,000 characters.
    reason: String,
}

/// What became of `correctReferrer`.
#[derive(SimpleObject)]
struct CorrectReferrerPayload {
    /// The person as an affiliate, as it is now. Null where there are user errors.
    affiliate: Option<Affiliate>,
    /// Whether it was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when it is corrected.
    user_errors: Vec<UserError>,
}

/// A correction of a wallet.
#[derive(InputObject, Clone)]
struct AdjustWalletInput {
    /// Whose.
    user_id: UserId,
    /// By how much; below zero takes away.
    amount: Decimal,
    /// In which currency; the tenant's default where it is left out.
    currency: Option<CurrencyCode>,
    /// Why, at most 1,000 characters; the affiliate reads it.
    reason: String,
    /// An idempotency key, at most 200 characters: sent again, it returns the first result.
    idempotency_key: String,
}

/// What became of `adjustWallet`.
#[derive(SimpleObject)]
struct AdjustWalletPayload {
    /// The correction. Null where there are user errors.
    transaction: Option<WalletTransaction>,
    /// Whether it was made before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the wallet is corrected.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct AffiliateOperatorMutations;

#[Object]
impl AffiliateOperatorMutations {
    /// Sets what affiliates earn by payments from now on: a new version of the terms. Needs `AFFILIATES_MANAGE`.
    async fn set_affiliate_terms(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The terms.")] input: SetAffiliateTermsInput,
    ) -> Result<Option<SetAffiliateTermsPayload>> {
        ctx.require(Permission::AffiliatesManage)?;
        let ((terms, replayed), user_errors) = settle(ctx, || set_terms(ctx, input.clone())).await?;
        Ok(Some(SetAffiliateTermsPayload { terms, replayed, user_errors }))
    }

    /// Corrects who referred a person, from now on. What was earned until now stays with the user who earned it. Needs `AFFILIATES_MANAGE`.
    async fn correct_referrer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The correction.")] input: CorrectReferrerInput,
    ) -> Result<Option<CorrectReferrerPayload>> {
        ctx.require(Permission::AffiliatesManage)?;
        let ((affiliate, replayed), user_errors) = settle(ctx, || correct(ctx, input.clone())).await?;
        Ok(Some(CorrectReferrerPayload { affiliate, replayed, user_errors }))
    }

    /// Corrects what a wallet holds, up or down. Needs `AFFILIATES_MANAGE`.
    async fn adjust_wallet(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The correction.")] input: AdjustWalletInput,
    ) -> Result<Option<AdjustWalletPayload>> {
        ctx.require(Permission::AffiliatesManage)?;
        let ((transaction, replayed), user_errors) = settle(ctx, || adjust(ctx, input.clone())).await?;
        Ok(Some(AdjustWalletPayload { transaction, replayed, user_errors }))
    }
}

async fn set_terms(ctx: &Context<'_>, input: SetAffiliateTermsInput) -> Result<Outcome<AffiliateTerms>, Refusal> {
    let mut faults = Faults::default();
    let share = faults.check("input.share", rate(input.share.0));
    let validity_days = input.validity_days.and_then(|days| faults.check("input.validityDays", validity(days)));
    let (Some(share), true) = (share, faults.is_empty()) else { return Err(faults.into()) };
    let writing = ctx.write().await?;
    let new = NewTerms { share, validity_days, is_active: input.is_active };
    let (id, is_new) = ctx.books(&writing).set_affiliate_terms(new).await?;
    Ok(outcome(writing, is_new, AffiliateTerms::by_id(ctx, id)).await?)
}

fn validity(days: i32) -> Result<i32, Wrong> {
    if (1..=MAX_VALIDITY).contains(&days) {
        return Ok(days);
    }
    Err(Wrong { code: FaultCode::OutOfRange, message: format!("Must be from 1 to {MAX_VALIDITY}; it is {days}.") })
}

async fn correct(ctx: &Context<'_>, input: CorrectReferrerInput) -> Result<Outcome<Affiliate>, Refusal> {
    let mut faults = Faults::default();
    let Some(reason) = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON)) else { return Err(faults.into()) };
    let writing = ctx.write().await?;
    let corrected = ctx.books(&writing).correct_referrer(input.user_id, input.referrer_id, &reason).await?;
    let (_, has_changed) = corrected.map_err(|fault| match fault {
        ReferralFault::UnknownUser => Refusal::not_found("input.userId", "user"),
        ReferralFault::UnknownReferrer => Refusal::not_found("input.referrerId", "user"),
        ReferralFault::Oneself => Refusal::fault("input.referrerId", FaultCode::Invalid, "Nobody refers themselves."),
        _ => {
            let message = "The person has referred this one, directly or over others, and the two would refer each other.";
            Refusal::fault("input.referrerId", FaultCode::Invalid, message)
        }
    })?;
    Ok(outcome(writing, has_changed, async { Ok(Affiliate::of(ctx, input.user_id)) }).await?)
}

async fn adjust(ctx: &Context<'_>, input: AdjustWalletInput) -> Result<Outcome<WalletTransaction>, Refusal> {
    let currency = currency_or_default(ctx, input.currency)?;
    let mut faults = Faults::default();
    let size = faults.check("input.amount", amount(input.amount.0.abs(), minor_units(currency)));
    if size.is_some_and(|size| size.is_zero()) {
        faults.add("input.amount", FaultCode::OutOfRange, "Must be above or below 0.");
    }
    let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(reason), Some(key), true) = (reason, key, faults.is_empty()) else { return Err(faults.into()) };
    let amount = Money::rounded(input.amount.0, currency);
    let writing = ctx.write().await?;
    let adjusted = ctx.books(&writing).adjust_wallet(&WalletAdjustment { user: input.user_id, amount, reason, key }).await?;
    let (id, is_replay) = adjusted.map_err(|fault| match fault {
        WalletAdjustmentFault::UnknownUser => Refusal::not_found("input.userId", "user"),
        WalletAdjustmentFault::KeyTaken => {
            let message = "The key is being used for another user at this very moment. Use another key.";
            Refusal::fault("input.idempotencyKey", FaultCode::KeyReused, message)
        }
        WalletAdjustmentFault::KeyReused { first, difference } => Refusal::key_reused(first, &difference),
    })?;
    Ok(outcome(writing, !is_replay, WalletTransaction::by_id(ctx, id)).await?)
}
