//! What affiliates do themselves: the switch, their code, and who invited them.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::affiliate::Affiliate;
use crate::{
    auth::Permission,
    clicks::INVITATIONS,
    clock::shown,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            user_errors::{Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    models::affiliates::{
        invite_code::{CodeFault, MOST},
        referral_decision::ReferralFault,
    },
    validation::{FaultCode, Faults, MAX_INVITE_CODE, invite_code, line},
};

/// Whether you are active as an affiliate.
#[derive(InputObject, Clone)]
struct SetAffiliateActiveInput {
    /// Whether you are to earn something by the payments of the people whom you have referred, from now on.
    active: bool,
}

/// What became of `setAffiliateActive`.
#[derive(SimpleObject)]
struct SetAffiliateActivePayload {
    /// You as an affiliate, as it is now.
    affiliate: Option<Affiliate>,
    /// Whether it was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when it is switched.
    user_errors: Vec<UserError>,
}

/// Who invited you.
#[derive(InputObject, Clone)]
struct AcceptInviteInput {
    /// The code that they gave you, in whichever case, with or without dashes.
    code: String,
}

/// What became of `acceptInvite`.
#[derive(SimpleObject)]
struct AcceptInvitePayload {
    /// You as an affiliate, as it is now. Null where there are user errors.
    affiliate: Option<Affiliate>,
    /// Whether it was accepted before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the invitation is accepted.
    user_errors: Vec<UserError>,
}

/// Your own invite code.
#[derive(InputObject, Clone)]
struct ChooseInviteCodeInput {
    /// The code, of 3 to 32 letters, digits and inner dashes; one of your former codes is yours again. A new one is made where it is left out.
    code: Option<String>,
    /// The code that you give out now. Needed where a new one is to be made: where it is no longer that, nothing is made, so that sending it again
    /// makes no second one.
    replacing: Option<String>,
}

/// What became of `chooseInviteCode`.
#[derive(SimpleObject)]
struct ChooseInviteCodePayload {
    /// You as an affiliate, with the code. Null where there are user errors.
    affiliate: Option<Affiliate>,
    /// Whether it was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the code is yours.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct AffiliateMutations;

#[Object]
impl AffiliateMutations {
    /// Switches you on or off as an affiliate. Switching off ends new rewards alone: what you have earned stays. Needs `AFFILIATE_TAKE_PART`.
    async fn set_affiliate_active(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whether you are active.")] input: SetAffiliateActiveInput,
    ) -> Result<Option<SetAffiliateActivePayload>> {
        ctx.require(Permission::AffiliateTakePart)?;
        let ((affiliate, replayed), user_errors) = settle(ctx, || switch(ctx, input.active)).await?;
        Ok(Some(SetAffiliateActivePayload { affiliate, replayed, user_errors }))
    }

    /// Says who invited you: within seven days of your first sign-in, and before your first payment. Decided once. Needs `AFFILIATE_TAKE_PART`.
    async fn accept_invite(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The code.")] input: AcceptInviteInput,
    ) -> Result<Option<AcceptInvitePayload>> {
        ctx.require(Permission::AffiliateTakePart)?;
        let ((affiliate, replayed), user_errors) = settle(ctx, || accept(ctx, input.clone())).await?;
        Ok(Some(AcceptInvitePayload { affiliate, replayed, user_errors }))
    }

    /// Gives you a code of your choice, or a new one that is made. Your former codes stay good. Needs `AFFILIATE_TAKE_PART`.
    async fn choose_invite_code(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The code.")] input: ChooseInviteCodeInput,
    ) -> Result<Option<ChooseInviteCodePayload>> {
        ctx.require(Permission::AffiliateTakePart)?;
        let ((affiliate, replayed), user_errors) = settle(ctx, || choose(ctx, input.clone())).await?;
        Ok(Some(ChooseInviteCodePayload { affiliate, replayed, user_errors }))
    }
}

async fn switch(ctx: &Context<'_>, is_active: bool) -> Result<Outcome<Affiliate>, Refusal> {
    let user = ctx.viewer().user;
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    books.act_for_tenant().await?;
    let has_changed = books.set_affiliate_active(user, is_active).await?;
    Ok(outcome(writing, has_changed, async { Ok(Affiliate::of(ctx, user)) }).await?)
}

async fn accept(ctx: &Context<'_>, input: AcceptInviteInput) -> Result<Outcome<Affiliate>, Refusal> {
    let mut faults = Faults::default();
    let Some(code) = faults.check("input.code", line(&input.code, MAX_INVITE_CODE)) else { return Err(faults.into()) };
    let user = ctx.viewer().user;
    let invitations = &ctx.request().shared.invitations;
    invitations.check(user)?;
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    books.act_for_tenant().await?;
    let decided = books.accept_invite(user, &code).await?;
    if decided == Err(ReferralFault::UnknownCode) {
        invitations.guessed(user);
    }
    let (_, is_new) = decided.map_err(|fault| refusal(&fault))?;
    Ok(outcome(writing, is_new, async { Ok(Affiliate::of(ctx, user)) }).await?)
}

async fn choose(ctx: &Context<'_>, input: ChooseInviteCodeInput) -> Result<Outcome<Affiliate>, Refusal> {
    let mut faults = Faults::default();
    let code = faults.check_option("input.code", input.code.as_deref(), invite_code);
    if input.code.is_none() && input.replacing.is_none() {
        faults.add(
            "input.replacing",
            FaultCode::Required,
            "Say which code is to be replaced by a new one, or choose one yourself as `code`.",
        );
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let user = ctx.viewer().user;
    let writing = ctx.write().await?;
    let books = ctx.books(&writing);
    books.act_for_tenant().await?;
    // Whether a code is somebody's can be learned by choosing it as well.
    let invitations = &ctx.request().shared.invitations;
    invitations.check(user)?;
    let is_chosen = code.is_some();
    let chosen = match (code, input.replacing) {
        (Some(code), _) if ctx.request().shared.clicks.is_taken_elsewhere(INVITATIONS, &code).await => Err(CodeFault::Taken),
        (Some(code), _) => books.choose_invite_code(user, &code).await?,
        (None, replacing) => books.renew_invite_code(user, &replacing.unwrap_or_default()).await?,
    };
    if chosen == Err(CodeFault::Taken) {
        invitations.guessed(user);
    }
    let has_changed = chosen.map_err(|fault| {
        let path = if is_chosen { "input.code" } else { "input.replacing" };
        let (code, message) = match fault {
            CodeFault::Taken => {
                (FaultCode::Taken, "Somebody has this code, or one that looks like it. Choose another one.".to_owned())
            }
            CodeFault::Reserved => (FaultCode::Taken, "This word is reserved. Choose another one.".to_owned()),
            CodeFault::TooMany => {
                (FaultCode::OutOfRange, format!("You have {MOST} codes, which is the most. Choose one of your former codes."))
            }
        };
        Refusal::fault(path, code, message)
    })?;
    Ok(outcome(writing, has_changed, async { Ok(Affiliate::of(ctx, user)) }).await?)
}

fn refusal(fault: &ReferralFault) -> Refusal {
    let (code, message) = match fault {
        ReferralFault::UnknownCode => (FaultCode::NotFound, "Nobody has this code. Please check it.".to_owned()),
        ReferralFault::UnknownUser | ReferralFault::UnknownReferrer => (FaultCode::NotFound, "There is no such user.".to_owned()),
        ReferralFault::Oneself => (FaultCode::Invalid, "This is your own code.".to_owned()),
        ReferralFault::Circle => {
            (FaultCode::Invalid, "You have referred this person yourself, directly or over others.".to_owned())
        }
        ReferralFault::Decided => (
            FaultCode::InvalidTransition,
            "It is decided who referred you. Ask the company to correct it if it is wrong.".to_owned(),
        ),
        ReferralFault::TooLate(until) => (
            FaultCode::InvalidTransition,
            format!("An invitation can be accepted for seven days: you could until {}.", shown(*until)),
        ),
        ReferralFault::HasPaid => (
            FaultCode::InvalidTransition,
            "An invitation can be accepted before the first payment, and you have paid.".to_owned(),
        ),
    };
    Refusal::fault("input.code", code, message)
}
