//! Mutations of programmes, and of who takes part in them.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};

use super::{enrolment::Enrolment, programme::Programme};
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::DateTime,
            user_errors::{MAX_REASON, Outcome, Refusal, UserError, changed_since, given, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{EnrolmentId, PartnerId, ProgrammeId},
    models::programmes::{
        enrolment::{EnrolmentDecision, EnrolmentFault, EnrolmentStatus},
        programme::{Attribution, EnrolmentPolicy, ProgrammeChanges, ProgrammeFault, ProgrammeStatus},
    },
    validation::{FaultCode, Faults, MAX_NAME, Wrong, line, paragraphs},
};

/// The most days that a sign-up can come after a click.
const MAX_COOKIE_DAYS: i32 = 730;

/// What to change of a programme: a field that is left out stays as it is.
#[derive(InputObject, Clone)]
struct UpdateProgrammeInput {
    /// The programme.
    id: ProgrammeId,
    /// Its name, at most 200 characters.
    name: MaybeUndefined<String>,
    /// Whether partners can make links in it.
    status: MaybeUndefined<ProgrammeStatus>,
    /// For how many days after a click a sign-up counts for it: 1 to 730.
    cookie_days: MaybeUndefined<i32>,
    /// Which click a sign-up counts for, where there are several.
    attribution: MaybeUndefined<Attribution>,
    /// How partners come into it. Those that are in it stay.
    enrolment_policy: MaybeUndefined<EnrolmentPolicy>,
    /// Whether partners earn by what customers pay with tax, of payments that a webhook's source reports from now on.
    includes_tax: MaybeUndefined<bool>,
    /// The programme's `updatedAt` when these changes were decided on: where somebody has changed it since, it is left as it is.
    expected_updated_at: Option<DateTime>,
}

/// What became of `updateProgramme`.
#[derive(SimpleObject)]
struct UpdateProgrammePayload {
    /// The programme as it is now. Null where there are user errors.
    programme: Option<Row<Programme>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the programme was changed.
    user_errors: Vec<UserError>,
}

/// A partner that is to take part in a programme.
#[derive(InputObject, Clone)]
struct EnrolPartnerInput {
    /// The partner.
    partner_id: PartnerId,
    /// The programme.
    programme_id: ProgrammeId,
}

/// What became of `enrolPartner`.
#[derive(SimpleObject)]
struct EnrolPartnerPayload {
    /// The enrolment, approved. Null where there are user errors.
    enrolment: Option<Row<Enrolment>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the partner takes part.
    user_errors: Vec<UserError>,
}

/// A decision about a partner's part in a programme.
#[derive(InputObject, Clone)]
struct DecideEnrolmentInput {
    /// The enrolment.
    id: EnrolmentId,
    /// Its status from now on: `APPROVED`, `REJECTED` or `SUSPENDED`.
    status: EnrolmentStatus,
    /// Why, at most 1,000 characters; the partner reads it. Needed unless it is approved.
    reason: Option<String>,
}

/// What became of `decideEnrolment`.
#[derive(SimpleObject)]
struct DecideEnrolmentPayload {
    /// The enrolment as it is now. Null where there are user errors.
    enrolment: Option<Row<Enrolment>>,
    /// Whether it had that status before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the enrolment has that status.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ProgrammeMutations;

#[Object]
impl ProgrammeMutations {
    /// Changes a programme. Needs `PROGRAMMES_MANAGE`.
    async fn update_programme(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateProgrammeInput,
    ) -> Result<Option<UpdateProgrammePayload>> {
        ctx.require(Permission::ProgrammesManage)?;
        let ((programme, replayed), user_errors) = settle(ctx, || update(ctx, input.clone())).await?;
        Ok(Some(UpdateProgrammePayload { programme, replayed, user_errors }))
    }

    /// Lets a partner take part in a programme, also one that was rejected or suspended. Needs `PROGRAMMES_MANAGE`.
    async fn enrol_partner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner and the programme.")] input: EnrolPartnerInput,
    ) -> Result<Option<EnrolPartnerPayload>> {
        ctx.require(Permission::ProgrammesManage)?;
        let ((enrolment, replayed), user_errors) = settle(ctx, || enrol(ctx, input.clone())).await?;
        Ok(Some(EnrolPartnerPayload { enrolment, replayed, user_errors }))
    }

    /// Approves, rejects or suspends a partner's part in a programme. Without one that is approved or to be decided, its links lead on and
    /// count nothing. Needs `PROGRAMMES_MANAGE`.
    async fn decide_enrolment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The decision.")] input: DecideEnrolmentInput,
    ) -> Result<Option<DecideEnrolmentPayload>> {
        ctx.require(Permission::ProgrammesManage)?;
        let ((enrolment, replayed), user_errors) = settle(ctx, || decide(ctx, input.clone())).await?;
        Ok(Some(DecideEnrolmentPayload { enrolment, replayed, user_errors }))
    }
}

async fn update(ctx: &Context<'_>, input: UpdateProgrammeInput) -> Result<Outcome<Row<Programme>>, Refusal> {
    let mut faults = Faults::default();
    let changes = ProgrammeChanges {
        name: given(input.name, "input.name", &mut faults, |name| line(&name, MAX_NAME)),
        status: given(input.status, "input.status", &mut faults, Ok),
        cookie_days: given(input.cookie_days, "input.cookieDays", &mut faults, cookie_days),
        attribution: given(input.attribution, "input.attribution", &mut faults, Ok),
        enrolment_policy: given(input.enrolment_policy, "input.enrolmentPolicy", &mut faults, Ok),
        includes_tax: given(input.includes_tax, "input.includesTax", &mut faults, Ok),
    };
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let expected = input.expected_updated_at.map(|expected| expected.0);
    let written = ctx.books(&writing).change_programme(input.id, &changes, expected).await?;
    let has_changed = written.map_err(|fault| match fault {
        ProgrammeFault::NotFound => Refusal::not_found("input.id", "programme"),
        ProgrammeFault::ChangedSince(at) => changed_since(at, "programme"),
    })?;
    Ok(outcome(writing, has_changed, Programme::by_id(ctx, input.id)).await?)
}

async fn enrol(ctx: &Context<'_>, input: EnrolPartnerInput) -> Result<Outcome<Row<Enrolment>>, Refusal> {
    let writing = ctx.write().await?;
    let enrolled = ctx.books(&writing).enrol_partner(input.partner_id, input.programme_id).await?;
    let (id, has_changed) = enrolled.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Enrolment::by_id(ctx, id)).await?)
}

async fn decide(ctx: &Context<'_>, input: DecideEnrolmentInput) -> Result<Outcome<Row<Enrolment>>, Refusal> {
    let mut faults = Faults::default();
    let reason = faults.check_option("input.reason", input.reason.as_deref(), |reason| paragraphs(reason, MAX_REASON));
    if input.status == EnrolmentStatus::Pending {
        faults.add("input.status", FaultCode::InvalidTransition, "A decision is APPROVED, REJECTED or SUSPENDED.");
    }
    if input.status != EnrolmentStatus::Approved && input.reason.is_none() {
        faults.add("input.reason", FaultCode::Required, "Say why: the partner reads it.");
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let writing = ctx.write().await?;
    let decision = EnrolmentDecision { status: input.status, reason: reason.as_deref() };
    let decided = ctx.books(&writing).decide_enrolment(input.id, decision).await?;
    let has_changed = decided.map_err(refusal)?;
    Ok(outcome(writing, has_changed, Enrolment::by_id(ctx, input.id)).await?)
}

fn cookie_days(days: i32) -> Result<i32, Wrong> {
    let message = || format!("Must be 1 to {MAX_COOKIE_DAYS} days; it is {days}.");
    let is_within = (1..=MAX_COOKIE_DAYS).contains(&days);
    is_within.then_some(days).ok_or_else(|| Wrong { code: FaultCode::OutOfRange, message: message() })
}

fn refusal(fault: EnrolmentFault) -> Refusal {
    match fault {
        EnrolmentFault::NotFound => Refusal::not_found("input.id", "enrolment"),
        EnrolmentFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        EnrolmentFault::UnknownProgramme => Refusal::not_found("input.programmeId", "programme"),
        EnrolmentFault::PartnerClosed => Refusal::fault(
            "input.partnerId",
            FaultCode::PartnerInactive,
            "The partner is closed, and takes part in nothing more.",
        ),
    }
}
