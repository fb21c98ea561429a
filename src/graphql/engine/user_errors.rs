//! How a mutation refuses, and how it answers: faults of the input become `userErrors`, everything else an error of the answer.

use std::fmt;

use async_graphql::{Context, MaybeUndefined, SimpleObject};
use chrono::Utc;

use super::context::ContextExt;
use crate::{
    clock::shown,
    db::session::Writing,
    error::{Error, Result, Transient},
    ids::PartnerId,
    models::idempotency::Difference,
    validation::{Fault, FaultCode, Faults, Wrong},
};

/// The longest key, or id of another system.
pub const MAX_KEY: usize = 200;
/// The longest reason.
pub const MAX_REASON: usize = 1_000;

/// Something the person can put right. What they cannot (no permission, a malformed document, a fault here) is a GraphQL error
/// with `extensions.code`.
#[derive(SimpleObject)]
pub struct UserError {
    /// What kind of fault.
    code: FaultCode,
    /// What is wrong, and what would be right.
    message: String,
    /// The way to the field in the mutation's arguments: `["input", "clientEmail"]`.
    pub field: Vec<&'static str>,
}

impl From<Fault> for UserError {
    fn from(Fault { code, message, field }: Fault) -> Self {
        Self { code, message, field }
    }
}

/// Why a mutation changed nothing.
pub enum Refusal {
    /// The input is at fault: goes into the payload.
    Faults(Faults),
    /// Anything else: a GraphQL error.
    Error(Error),
}

impl Refusal {
    /// One fault of the input.
    pub fn fault(path: &'static str, code: FaultCode, message: impl Into<String>) -> Self {
        Self::Faults(Faults::one(path, code, message))
    }

    /// The idempotency key was used for `first`, by a request that differs.
    pub fn key_reused(first: impl fmt::Display, difference: &Difference) -> Self {
        let Difference { field, first: said } = difference;
        let said = said.as_ref().map_or_else(|| format!("without `{field}`"), |said| format!("with `{field}` “{said}”"));
        let message =
            format!("The key was used before, {said}, for {first}, which stays as it is. Use another key for another request.");
        Self::Faults(
            Fault { code: FaultCode::KeyReused, message, field: ["input"].into_iter().chain(field.split('.')).collect() }.into(),
        )
    }

    /// There is no such thing, or it is not the viewer's: one answer for both.
    pub fn not_found(path: &'static str, what: &str) -> Self {
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

/// The object that a mutation is about, as it is now, and whether it was so before, so that nothing was changed.
pub type Outcome<T> = (Option<T>, bool);

/// Commits what was changed, or gives the transaction up where nothing was, and reads the object.
pub async fn outcome<T>(
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

/// The object was changed at that instant, after the person had read what they decided on.
pub fn changed_since(updated_at: chrono::DateTime<Utc>, what: &str) -> Refusal {
    let message = format!("The {what} was changed at {}. Look at it as it is now, and decide again.", shown(updated_at));
    Refusal::fault("input.expectedUpdatedAt", FaultCode::Changed, message)
}

/// The person was erased at that instant.
pub fn erased(at: chrono::DateTime<Utc>, what: &str) -> Refusal {
    let message =
        format!("The {what} was erased at {}: name and contact details cannot be changed any more. Add a new one.", shown(at));
    Refusal::fault("input.id", FaultCode::Erased, message)
}

/// The partner that an input names, or else the viewer's own; operators must name one.
pub fn own_partner(ctx: &Context<'_>, named: Option<PartnerId>, faults: &mut Faults) -> Option<PartnerId> {
    let partner = named.or(ctx.viewer().partner.map(|partner| partner.id));
    if partner.is_none() {
        faults.add("input.partnerId", FaultCode::Required, "Name the partner.");
    }
    partner
}

/// Runs a mutation's body, which is one transaction, and runs it again where PostgreSQL aborted it because of another; then as [`settled`].
pub async fn settle<T: Default, F: Future<Output = Result<T, Refusal>>>(
    ctx: &Context<'_>,
    body: impl FnMut() -> F,
) -> Result<(T, Vec<UserError>)> {
    settled(ctx.request().session().retry(body).await)
}

/// Splits what a mutation came to into what it answers, which is nothing where its input was at fault, and what was wrong with it.
pub fn settled<T: Default>(outcome: Result<T, Refusal>) -> Result<(T, Vec<UserError>)> {
    match outcome {
        Ok(answer) => Ok((answer, Vec::new())),
        Err(Refusal::Faults(faults)) => Ok((T::default(), faults.into_vec().into_iter().map(UserError::from).collect())),
        Err(Refusal::Error(error)) => Err(error),
    }
}

/// What a field does to a value that can be cleared: `None` where it was left out, `Some(None)` where it was null, else what the
/// rule makes of it.
pub fn cleared_or<T, U>(field: MaybeUndefined<T>, rule: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => rule(value).map(Some),
    }
}

/// What a field does to a value that must be there: `None` where it was left out, else what the rule makes of it. Null is a fault.
pub fn given<T, U>(
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
