//! Mutations that make payouts. Those that take them through their steps are in [`super::step_mutations`].

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime as Time, SecondsFormat, Utc};

use super::payout::Payout;
use crate::{
    auth::Permission,
    db::session::Writing,
    error::{Error, Result},
    graphql::{
        engine::{
            context::{ContextExt, missing},
            period::PeriodInput,
            row::Row,
            scalars::{CurrencyCode, DateTime, currency_or_default},
            user_errors::{MAX_KEY, Refusal, UserError, settle, settled},
        },
        ledger::books::BooksExt,
        partners::partner::Partner,
    },
    ids::PartnerId,
    models::{
        partners::status::PartnerStatus,
        payouts::{
            batch::{Changed, Made, PayoutFault, PayoutRequest, is_fingerprint},
            for_all_partners::BatchesRequest,
        },
    },
    money::{MAX_AMOUNT, Money},
    validation::{Fault, FaultCode, Faults, line, paragraphs},
};

const MAX_NOTES: usize = 5_000;
/// The most payouts that one operation makes.
const MAX_BATCHES: usize = 100;

/// A payout to be made.
#[derive(InputObject, Clone)]
struct CreatePayoutBatchInput {
    /// Who is to be paid.
    partner_id: PartnerId,
    /// In which currency; the tenant's default where it is left out.
    currency: Option<CurrencyCode>,
    /// The period, with both bounds: everything approved that was earned before its end and is in no payout is taken, also from before the
    /// period, and everything that was taken back or off until now.
    period: PeriodInput,
    /// When it is to be paid; now where it is left out.
    payout_date: Option<DateTime>,
    /// Notes, at most 5,000 characters.
    notes: Option<String>,
    /// The `fingerprint` of `previewPayout`: no payout is made if it would hold anything else.
    expected_fingerprint: Option<String>,
    /// The `previewedAt` of that preview, to learn what has changed since.
    previewed_at: Option<DateTime>,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first payout and makes none.
    idempotency_key: String,
}

/// What became of `createPayoutBatch`.
#[derive(SimpleObject)]
struct CreatePayoutBatchPayload {
    /// The payout. Null where there are user errors.
    payout: Option<Row<Payout>>,
    /// Whether it had been made before with the same key.
    replayed: bool,
    /// Why none was made. Empty when it was.
    user_errors: Vec<UserError>,
}

/// Payouts to be made.
#[derive(InputObject, Clone)]
struct CreatePayoutBatchesInput {
    /// In which currency; the tenant's default where it is left out.
    currency: Option<CurrencyCode>,
    /// The period, with both bounds: what was earned before its end is taken.
    period: PeriodInput,
    /// When they are to be paid; now where it is left out.
    payout_date: Option<DateTime>,
    /// The `nextPartnerId` of the answer before: goes on from there, with the same key.
    from_partner_id: Option<PartnerId>,
    /// The idempotency key, at most 200 characters: sent again, it answers with the payouts that were made, and makes those that were not.
    idempotency_key: String,
}

/// What became of one partner.
#[derive(SimpleObject)]
struct PayoutBatchResult {
    /// The partner.
    partner: Row<Partner>,
    /// Its payout. Null where none was made.
    payout: Option<Row<Payout>>,
    /// Whether it had been made before with the same key.
    replayed: bool,
    /// Why none was made: `NOTHING_TO_PAY` where it is carried forward. Null when it was.
    user_error: Option<UserError>,
}

/// What became of `createPayoutBatches`.
#[derive(SimpleObject)]
struct CreatePayoutBatchesPayload {
    /// One result for each partner with something that a payout could take, at most 100. Only active ones are paid.
    results: Vec<PayoutBatchResult>,
    /// Where to go on: there are more partners. Null when all are done.
    next_partner_id: Option<PartnerId>,
    /// Whether all payouts had been made before with the same key, and none was made this time.
    replayed: bool,
    /// What is wrong with the input. No payout was made then.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct PayoutMutations;

#[Object]
impl PayoutMutations {
    /// Makes a payout of everything that is approved, in no payout and earned before the period's end, in one currency, less what was
    /// taken back or off until now: nobody is paid more than is owed. Two at once never take the same commission. Needs `PAYOUTS_MANAGE`.
    async fn create_payout_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner and the period.")] input: CreatePayoutBatchInput,
    ) -> Result<Option<CreatePayoutBatchPayload>> {
        ctx.require(Permission::PayoutsManage)?;
        let ((payout, replayed), user_errors) = settle(ctx, || create_one(ctx, input.clone())).await?;
        Ok(Some(CreatePayoutBatchPayload { payout, replayed, user_errors }))
    }

    /// Makes a payout for each active partner that has something payable, each in a transaction of its own. Broken off, it is simply
    /// called again with the same key. Needs `PAYOUTS_MANAGE`.
    async fn create_payout_batches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period.")] input: CreatePayoutBatchesInput,
    ) -> Result<Option<CreatePayoutBatchesPayload>> {
        ctx.require(Permission::PayoutsManage)?;
        let ((results, next_partner_id), user_errors) = settled(create_all(ctx, input).await)?;
        let made: Vec<bool> = results.iter().filter(|result| result.payout.is_some()).map(|result| result.replayed).collect();
        let replayed = !made.is_empty() && made.iter().all(|replayed| *replayed);
        Ok(Some(CreatePayoutBatchesPayload { results, next_partner_id, replayed, user_errors }))
    }
}

/// The payout, and whether it was there before.
async fn create_one(ctx: &Context<'_>, input: CreatePayoutBatchInput) -> Result<(Option<Row<Payout>>, bool), Refusal> {
    let currency = currency_or_default(ctx, input.currency)?;
    let mut faults = Faults::default();
    let period = period(ctx, input.period, &mut faults);
    let notes = faults.check_option("input.notes", input.notes.as_deref(), |text| paragraphs(text, MAX_NOTES));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    if input.expected_fingerprint.as_deref().is_some_and(|text| !is_fingerprint(text)) {
        faults.add("input.expectedFingerprint", FaultCode::Invalid, "Must be the `fingerprint` of `previewPayout`, as it is.");
    }
    let (Some(key), Some((period_start, period_end)), true) = (key, period, faults.is_empty()) else { return Err(faults.into()) };
    let request = PayoutRequest {
        partner: input.partner_id,
        currency,
        period_start,
        period_end,
        payout_date: input.payout_date.map(|date| date.0),
        notes,
        expected: input.expected_fingerprint,
        previewed_at: input.previewed_at.map(|at| at.0),
        key,
    };
    let (writing, made) = create(ctx, &request).await?;
    Ok((writing.commit_and(Payout::by_id(ctx, made.payout)).await?, made.is_replay))
}

/// A payout that is there once its transaction is committed.
async fn create<'c>(ctx: &'c Context<'_>, request: &PayoutRequest) -> Result<(Writing<'c>, Made), Refusal> {
    let writing = ctx.write().await?;
    let made = ctx.books(&writing).create_payout(ctx.viewer().scope(), request).await?;
    let made = made.map_err(|fault| refusal(&fault, request))?;
    Ok((writing, made))
}

async fn create_alone(ctx: &Context<'_>, request: &PayoutRequest) -> Result<Option<Made>, Refusal> {
    let (writing, made) = create(ctx, request).await?;
    writing.commit_alone().await?;
    Ok(Some(made))
}

/// Claims the key for these payouts, or finds that it is theirs.
async fn claim(ctx: &Context<'_>, all: &BatchesRequest) -> Result<(), Refusal> {
    let writing = ctx.write().await?;
    match all.claim(&writing, ctx.viewer().tenant.id).await? {
        Ok(true) => Ok(writing.commit_alone().await?),
        Ok(false) => Ok(()),
        Err(difference) => Err(Refusal::key_reused("other payouts", &difference)),
    }
}

/// One partner's payout, or why there is none.
struct One {
    partner: PartnerId,
    made: Option<Made>,
    error: Option<UserError>,
}

impl One {
    fn refused(partner: PartnerId, code: FaultCode, message: String) -> Self {
        Self { partner, made: None, error: Some(UserError::from(Fault { code, message, field: vec!["input"] })) }
    }

    async fn shown(self, ctx: &Context<'_>) -> Result<PayoutBatchResult> {
        let (payout, replayed) = match self.made {
            Some(Made { payout, is_replay }) => (Payout::by_id(ctx, payout).await?, is_replay),
            None => (None, false),
        };
        let partner = Partner::by_id(ctx, self.partner).await?.ok_or_else(|| missing("a payout's partner"))?;
        Ok(PayoutBatchResult { partner, payout, replayed, user_error: self.error })
    }
}

type AllDone = (Vec<PayoutBatchResult>, Option<PartnerId>);

async fn create_all(ctx: &Context<'_>, input: CreatePayoutBatchesInput) -> Result<AllDone, Refusal> {
    let currency = currency_or_default(ctx, input.currency)?;
    let mut faults = Faults::default();
    let period = period(ctx, input.period, &mut faults);
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(key), Some((period_start, period_end)), true) = (key, period, faults.is_empty()) else { return Err(faults.into()) };
    let all =
        BatchesRequest { currency, period_start, period_end, payout_date: input.payout_date.as_ref().map(|date| date.0), key };
    ctx.request().session().retry(|| claim(ctx, &all)).await?;
    let reading = ctx.read().await?;
    let partners = all.partners(&reading, ctx.viewer().tenant.id).await?;
    drop(reading);
    let mut due = partners.into_iter().filter(|(partner, _)| input.from_partner_id.is_none_or(|from| *partner >= from));
    let (made, stopped_at) = create_each(ctx, &all, due.by_ref().take(MAX_BATCHES)).await?;
    let next = stopped_at.or_else(|| due.next().map(|(partner, _)| partner));
    Ok((futures_util::future::try_join_all(made.into_iter().map(|one| one.shown(ctx))).await?, next))
}

/// Makes one payout after the other. Where the database fails, times out or leaves an outcome unknown, it ends there and gives that partner:
/// what is made by then stays and is in the answer, and the caller continues from there.
async fn create_each(
    ctx: &Context<'_>,
    all: &BatchesRequest,
    due: impl Iterator<Item = (PartnerId, PartnerStatus)>,
) -> Result<(Vec<One>, Option<PartnerId>)> {
    let request_id = ctx.request().session().request();
    let mut made = Vec::new();
    for (partner, status) in due {
        if status != PartnerStatus::Active {
            let message = format!("The partner is {}; `createPayoutBatch` pays it all the same.", status.shown());
            made.push(One::refused(partner, FaultCode::InvalidTransition, message));
            continue;
        }
        let request = all.of(partner);
        match settle(ctx, || create_alone(ctx, &request)).await {
            Ok((payout, mut errors)) => made.push(One { partner, made: payout, error: errors.pop() }),
            Err(error @ (Error::Unavailable(_) | Error::Timeout | Error::PerhapsDone(_))) => {
                if made.is_empty() {
                    return Err(error);
                }
                tracing::warn!(request_id, %error, "payouts for all stop half-way");
                return Ok((made, Some(partner)));
            }
            // One that fails keeps no other from being paid.
            Err(error) => {
                tracing::error!(request_id, %partner, %error, "a payout could not be made");
                made.push(One::refused(partner, FaultCode::Failed, error.public_message()));
            }
        }
    }
    Ok((made, None))
}

fn period(ctx: &Context<'_>, period: PeriodInput, faults: &mut Faults) -> Option<(Time<Utc>, Time<Utc>)> {
    let bounds = period.both_bounds(ctx);
    bounds.map_err(|message| faults.add("input.period", FaultCode::OutOfRange, message)).ok()
}

fn refusal(fault: &PayoutFault, request: &PayoutRequest) -> Refusal {
    let shown = |amount| format!("{} {}", Money::rounded(amount, request.currency).amount, request.currency.code());
    match fault {
        PayoutFault::NothingToPay { total, minimum } => {
            let message = if total.is_zero() {
                "There is nothing to pay.".to_owned()
            } else if total.is_sign_negative() {
                format!("There is nothing to pay: what is free comes to {}, which the next payout makes up for.", shown(*total))
            } else {
                format!(
                    "{} is less than the {} that is paid out at least; it is carried forward.",
                    shown(*total),
                    shown(*minimum)
                )
            };
            Refusal::fault("input", FaultCode::NothingToPay, message)
        }
        PayoutFault::TooMuch { total } => {
            let message = format!(
                "{} is more than one payout can be, which is below {MAX_AMOUNT}. Choose an earlier end of the period.",
                shown(*total)
            );
            Refusal::fault("input.period", FaultCode::OutOfRange, message)
        }
        PayoutFault::Changed(changed) => {
            let Changed { now, came, went, since } = changed.as_ref();
            let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
            let message = format!(
                "The preview no longer holds: now there are {} commissions of {} in all. Since {since} {came} came and {went} went. Preview \
                 it again.",
                now.count,
                shown(now.total)
            );
            Refusal::fault("input.expectedFingerprint", FaultCode::PreviewChanged, message)
        }
        PayoutFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        PayoutFault::KeyTaken => {
            let message = "The key is being used for another payout at this very moment. Use another key.";
            Refusal::fault("input.idempotencyKey", FaultCode::KeyReused, message)
        }
        PayoutFault::KeyReused { first, difference } => Refusal::key_reused(first, difference),
    }
}
