//! Mutations: one file per aggregate, each with input, payload and resolver side by side.
//!
//! A mutation's body goes in one order: permission, checks of the input, transaction, find under lock, change, commit. What it
//! answers is read after the commit, in a fresh transaction that begins in the same round trip. What the person can put right comes back
//! as `userErrors`, and then nothing has been changed.
//!
//! A client that has lost an answer sends the mutation again: it does its work once, and answers with the object and `replayed`. Either all is as
//! asked for by then, or the input has an `idempotencyKey`.

mod booking;
mod commission_rule;
mod credit;
mod credit_correction;
mod customer;
mod decision;
mod lead;
mod member;
mod member_import;
mod partner;
mod partner_application;
mod partner_move;
mod partner_user;
mod payout;
mod payout_step;
mod profile;
mod redemption;
mod tenant;

use std::fmt;

use async_graphql::{Context, MaybeUndefined, MergedObject, SimpleObject};
use chrono::Utc;

use super::{context::ContextExt, scalars::DateTime};
use crate::{
    clock::shown,
    db::session::Writing,
    error::{Error, Result, Transient},
    ids::PartnerId,
    models::idempotency::Difference,
    validation::{Fault, FaultCode, Faults, MAX_NAME, Wrong},
};

/// The longest key, or id of another system.
const MAX_KEY: usize = 200;
/// The longest reason.
const MAX_REASON: usize = 1_000;

/// Everything that can be changed. Each mutation is done whole or not at all, but for those that answer with a result for each of many.
#[derive(MergedObject, Default)]
pub struct Mutation(
    lead::LeadMutations,
    profile::ProfileMutations,
    partner::PartnerMutations,
    partner_application::PartnerApplicationMutations,
    customer::CustomerMutations,
    commission_rule::CommissionRuleMutations,
    booking::BookingMutations,
    decision::DecisionMutations,
    payout::PayoutMutations,
    payout_step::PayoutStepMutations,
    tenant::TenantMutations,
    member::MemberMutations,
    member_import::MemberImportMutations,
    credit::CreditMutations,
    credit_correction::CreditCorrectionMutations,
    partner_move::PartnerMoveMutations,
    partner_user::PartnerUserMutations,
    redemption::RedemptionMutations,
);

/// Something the person can put right. What they cannot (no permission, a malformed document, a fault here) is a GraphQL error
/// with `extensions.code`.
#[derive(SimpleObject)]
pub struct UserError {
    /// What kind of fault.
    code: FaultCode,
    /// What is wrong, and what would be right.
    message: String,
    /// The way to the field in the mutation's arguments: `["input", "clientEmail"]`.
    field: Vec<&'static str>,
}

impl From<Fault> for UserError {
    fn from(Fault { code, message, field }: Fault) -> Self {
        Self { code, message, field }
    }
}

/// Why a mutation changed nothing.
enum Refusal {
    /// The input is at fault: goes into the payload.
    Faults(Faults),
    /// Anything else: a GraphQL error.
    Error(Error),
}

impl Refusal {
    fn fault(path: &'static str, code: FaultCode, message: impl Into<String>) -> Self {
        Self::Faults(Faults::one(path, code, message))
    }

    /// The idempotency key was used for `first`, by a request that differs.
    fn key_reused(first: impl fmt::Display, difference: &Difference) -> Self {
        let Difference { field, first: said } = difference;
        let said = said.as_ref().map_or_else(|| format!("without `{field}`"), |said| format!("with `{field}` “{said}”"));
        let message =
            format!("The key was used before, {said}, for {first}, which stays as it is. Use another key for another request.");
        Self::Faults(
            Fault { code: FaultCode::KeyReused, message, field: ["input"].into_iter().chain(field.split('.')).collect() }.into(),
        )
    }

    /// There is no such thing, or it is not the viewer's: one answer for both.
    fn not_found(path: &'static str, what: &str) -> Self {
        Self::fault(path, FaultCode::NotFound, format!("There is no {what} of this id."))
    }
}

impl Transient for Refusal {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Error(error) if error.is_transient())
    }
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl From<Faults> for Refusal {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

/// The object that a mutation is about, as it is now, and whether all was as asked for before, so that nothing was changed.
type Outcome<T> = (Option<T>, bool);

/// Commits what was changed, or gives the transaction up where nothing was, and reads the object.
async fn outcome<T>(
    writing: Writing<'_>,
    has_changed: bool,
    read: impl Future<Output = Result<Option<T>>>,
) -> Result<Outcome<T>> {
    if has_changed {
        return Ok((writing.commit_and(read).await?, false));
    }
    drop(writing);
    Ok((read.await?, true))
}

/// Makes sure that nobody has changed what the person saw when they decided on their changes: `expected` is its `updatedAt` then.
fn unchanged_since(expected: Option<DateTime>, updated_at: chrono::DateTime<Utc>, what: &str) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected.0 != updated_at => Err(changed_since(updated_at, what)),
        _ => Ok(()),
    }
}

fn changed_since(updated_at: chrono::DateTime<Utc>, what: &str) -> Refusal {
    let message = format!("The {what} was changed at {}. Look at it as it is now, and decide again.", shown(updated_at));
    Refusal::fault("input.expectedUpdatedAt", FaultCode::Changed, message)
}

/// The partner that an input names, or else the viewer's own; operators must name one.
fn own_partner(ctx: &Context<'_>, named: Option<PartnerId>, faults: &mut Faults) -> Option<PartnerId> {
    let partner = named.or(ctx.viewer().partner.map(|partner| partner.id));
    if partner.is_none() {
        faults.add("input.partnerId", FaultCode::Required, "Name the partner.");
    }
    partner
}

/// Runs a mutation's body, which is one transaction, and again where PostgreSQL ended it to let another go on; then as [`settled`].
async fn settle<T: Default, F: Future<Output = Result<T, Refusal>>>(
    ctx: &Context<'_>,
    body: impl FnMut() -> F,
) -> Result<(T, Vec<UserError>)> {
    settled(ctx.request().session().retry(body).await)
}

/// Splits what a mutation came to into what it answers, which is nothing where its input was at fault, and what was wrong with it.
fn settled<T: Default>(outcome: Result<T, Refusal>) -> Result<(T, Vec<UserError>)> {
    match outcome {
        Ok(answer) => Ok((answer, Vec::new())),
        Err(Refusal::Faults(faults)) => Ok((T::default(), faults.into_vec().into_iter().map(UserError::from).collect())),
        Err(Refusal::Error(error)) => Err(error),
    }
}

/// What a field does to a value that can be cleared: `None` where it was left out, `Some(None)` where it was null, else what the
/// rule makes of it.
#[expect(clippy::option_option, reason = "the three cases of a change")]
fn cleared_or<T, U>(field: MaybeUndefined<T>, rule: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => rule(value).map(Some),
    }
}

/// What a field does to a value that must be there: `None` where it was left out, else what the rule makes of it. Null is a fault.
fn given<T, U>(
    field: MaybeUndefined<T>,
    path: &'static str,
    faults: &mut Faults,
    rule: impl FnOnce(T) -> Result<U, Wrong>,
) -> Option<U> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => {
            faults.add(path, FaultCode::Required, "Cannot be cleared; leave it out to keep it.");
            None
        }
        MaybeUndefined::Value(value) => faults.check(path, rule(value)),
    }
}
