//! The mutation by which services report the use of credits.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::credit::CreditRedemption;
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            scalars::EmailAddress,
            user_errors::{MAX_KEY, Refusal, UserError, settled},
        },
        ledger::books::BooksExt,
        members::mutations::unknown_member,
    },
    ids::MemberId,
    models::credits::{
        assignment::credits_at_once,
        redemption::{NewRedemption, Redeemed, Redeemer, RedemptionFault},
    },
    validation::{FaultCode, Faults, email, line},
};

/// Credits that somebody uses.
#[derive(InputObject, Clone)]
struct RedeemCreditInput {
    /// Who uses them; or else name an address.
    member_id: Option<MemberId>,
    /// The address of the member who uses them, instead of its id. Where it is that of members of several partners, it is any of their credits.
    email: Option<EmailAddress>,
    /// How many: 1 to 100,000.
    #[graphql(default = 1)]
    count: i32,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first result and uses nothing.
    idempotency_key: String,
}

/// What became of `redeemCredit`.
#[derive(SimpleObject)]
struct RedeemCreditPayload {
    /// The redemption. Null where there are user errors.
    redemption: Option<CreditRedemption>,
    /// Where there are too few: how many there are. Null otherwise.
    available: Option<i64>,
    /// Whether the key was used before, and no credit was used this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the credits are used.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct RedemptionMutations;

#[Object]
impl RedemptionMutations {
    /// Uses credits of a member, by its id or its address: those that expire soonest first, never an expired one, all that are asked
    /// for or none. Inactive members, and members of partners that are not active, can use none. Needs `EVENTS_INGEST`.
    async fn redeem_credit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who uses how many.")] input: RedeemCreditInput,
    ) -> Result<Option<RedeemCreditPayload>> {
        ctx.require(Permission::EventsIngest)?;
        let mut available = None;
        let ((redemption, replayed), user_errors) = settled(redeem(ctx, input, &mut available).await)?;
        Ok(Some(RedeemCreditPayload { redemption, available, replayed, user_errors }))
    }
}

/// The redemption, and whether it was there before.
type Outcome = (Option<CreditRedemption>, bool);

/// `left` is set to how many credits there are, where these are too few.
async fn redeem(ctx: &Context<'_>, input: RedeemCreditInput, left: &mut Option<i64>) -> Result<Outcome, Refusal> {
    let mut faults = Faults::default();
    let redeemer = match (input.member_id, &input.email) {
        (Some(id), None) => Some(Redeemer::Member(id)),
        (None, Some(address)) => faults.check("input.email", email(&address.0)).map(Redeemer::Address),
        _ => {
            faults.add("input.memberId", FaultCode::Required, "Name a member or an address, and not both.");
            None
        }
    };
    faults.check("input.count", credits_at_once(input.count));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(redeemer), Some(key), true) = (redeemer, key, faults.is_empty()) else { return Err(faults.into()) };
    let new = NewRedemption { redeemer, credits: input.count, key };
    let by_member = input.member_id.is_some();
    // What others hold is passed over at first; where too little is left, it is waited for.
    let session = ctx.request().session();
    let outcome = match session.retry(|| attempt(ctx, &new, false)).await? {
        Err(RedemptionFault::Insufficient { .. }) => session.retry(|| attempt(ctx, &new, true)).await?,
        outcome => outcome,
    };
    if let Err(RedemptionFault::Insufficient { available }) = outcome {
        *left = Some(available);
    }
    outcome.map_err(|fault| refusal(&fault, by_member, new.credits))
}

/// One transaction, which stays only if it succeeds.
async fn attempt(ctx: &Context<'_>, new: &NewRedemption, waits: bool) -> Result<Result<Outcome, RedemptionFault>> {
    let writing = ctx.write().await?;
    let Redeemed { id, is_replay } = match ctx.books(&writing).redeem_credits(new, waits).await? {
        Ok(redeemed) => redeemed,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(Ok((writing.commit_and(CreditRedemption::by_id(ctx, id)).await?, is_replay)))
}

fn refusal(fault: &RedemptionFault, by_member: bool, credits: i32) -> Refusal {
    let who = if by_member { "input.memberId" } else { "input.email" };
    match fault {
        RedemptionFault::UnknownMember if by_member => unknown_member(who),
        RedemptionFault::UnknownMember => Refusal::fault(who, FaultCode::MemberNotFound, "There is no member with this address."),
        RedemptionFault::Inactive => {
            Refusal::fault(who, FaultCode::MemberInactive, "The member is INACTIVE, and can use no credits.")
        }
        RedemptionFault::Partner => Refusal::fault(
            who,
            FaultCode::PartnerInactive,
            "The member's partner is not ACTIVE, and its members can use no credits.",
        ),
        RedemptionFault::Insufficient { available } => {
            let message = format!("There are {available} credits to use, and {credits} are asked for.");
            Refusal::fault("input.count", FaultCode::InsufficientCredits, message)
        }
        RedemptionFault::KeyReused { first, difference } => Refusal::key_reused(first, difference),
    }
}
