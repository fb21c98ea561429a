//! The one error type: what can go wrong on the way of a request, and what the person who asked may know of it.
//!
//! [`Error::code`] and [`Error::public_message`] are all that leaves the server. Causes (SQL, paths, constraint names) stay in
//! the log. What a person can put right in a mutation's input is not an error but data: see [`crate::validation`].

use std::{sync::Arc, time::Duration};

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Why an operation, or a field of it, has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no valid session token.
    #[error("unauthenticated: {reason}")]
    Unauthenticated {
        /// Why not, for the log alone.
        reason: Arc<str>,
        /// Whether there was a token at all.
        has_token: bool,
        /// What the bearer can do about it. Only for a malformed header or token, and for a token whose signature was verified.
        advice: Option<&'static str>,
    },
    /// The token is valid, and of no tenant that is here.
    #[error("unauthenticated: the token is of no tenant, or fails to name one of several")]
    UnknownTenant,
    /// The tenant is being moved to another cluster, and held for the last moment of it. Nothing was done.
    #[error("The tenant is being moved to another database, and nothing was done. Try again in a few seconds.")]
    Held,
    /// The caller's role, or its partner's status, does not allow the action. The text says which and what to do.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or it is not the caller's: one answer for both.
    #[error("{0}")]
    NotFound(String),
    /// An argument makes no sense. The text names it.
    #[error("{0}")]
    BadUserInput(String),
    /// The document, or what it would cost, is over a limit. The text names both.
    #[error("{0}")]
    QueryTooComplex(String),
    /// The text of a persisted operation is not known by its hash. Clients of Apollo's protocol then send it along.
    #[error("PersistedQueryNotFound")]
    PersistedQueryNotFound,
    /// The caller, or its tenant, has spent what it may for now.
    #[error("{whose} has asked for too much in a short time. Try again in {} seconds.", seconds(*.wait))]
    RateLimited {
        /// Whose budget is spent: of the caller, or of all of the tenant's.
        whose: &'static str,
        /// How long until this operation can be paid for.
        wait: Duration,
    },
    /// The caller has as many of something open as they may.
    #[error("This user has {most} {what} open, and may not have more. Close some of them first.")]
    TooManyOpen {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// A cursor of events leads to nothing that is known here any more. The text says why.
    #[error("{0} Subscribe without `since`, and read anew what you show.")]
    CursorExpired(&'static str),
    /// The operation ran longer than it may.
    #[error("The operation took longer than it may. Ask for less at once, or try again.")]
    Timeout,
    /// The database cannot be reached or has no free connection.
    #[error("service unavailable: {0}")]
    Unavailable(Arc<str>),
    /// After a change was handed over to be committed, something went wrong: it may have been made, and is not to be asked for again unseen.
    #[error("perhaps done: {0}")]
    PerhapsDone(Arc<Self>),
    /// An earlier statement of the transaction failed, and this one was not run.
    #[error("the transaction is aborted")]
    Aborted,
    /// PostgreSQL ended the transaction to let another go on (SQLSTATE 40P01 or 40001): nothing of it was done.
    #[error("overtaken: {0}")]
    Overtaken(Arc<str>),
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(Arc<str>),
}

/// An error with its causes, in one line: the texts of some libraries stop before what is of use.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    text.replace('\n', "; ")
}

/// An error after which the same transaction may well succeed.
pub trait Transient {
    /// Whether nothing was done, and it is worth running the transaction again.
    fn is_transient(&self) -> bool;
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Overtaken(_))
    }
}

/// What most functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The value of `extensions.code`, the part of an error that a program may depend on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated { .. } | Self::UnknownTenant => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::NotFound(_) => "NOT_FOUND",
            Self::BadUserInput(_) => "BAD_USER_INPUT",
            Self::QueryTooComplex(_) => "QUERY_TOO_COMPLEX",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::RateLimited { .. } | Self::TooManyOpen { .. } => "RATE_LIMITED",
            Self::CursorExpired(_) => "CURSOR_EXPIRED",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable(_) | Self::Overtaken(_) | Self::Held => "SERVICE_UNAVAILABLE",
            Self::PerhapsDone(_) | Self::Aborted | Self::Internal(_) => "INTERNAL_SERVER_ERROR",
        }
    }

    /// The sentence for the person who asked.
    pub fn public_message(&self) -> String {
        match self {
            Self::Unauthenticated { advice: None, .. } | Self::UnknownTenant => "A valid session token is needed.".to_owned(),
            Self::Unauthenticated { advice: Some(advice), .. } => format!("A valid session token is needed. {advice}"),
            Self::Unavailable(_) => "The service is not available at the moment. Try again in a few seconds.".to_owned(),
            Self::Overtaken(_) => {
                "Others are changing the same things at this moment, and nothing was done. Try again in a few seconds.".to_owned()
            }
            Self::PerhapsDone(_) => {
                "Something went wrong on our side after the change was handed over: it may have been made. Look before \
                you ask for it again; if it stays, tell support the request id."
                    .to_owned()
            }
            Self::Aborted | Self::Internal(_) => {
                "Something went wrong on our side. Try again; if it stays, tell support the request id.".to_owned()
            }
            Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::BadUserInput(_)
            | Self::QueryTooComplex(_)
            | Self::PersistedQueryNotFound
            | Self::RateLimited { .. }
            | Self::TooManyOpen { .. }
            | Self::CursorExpired(_)
            | Self::Held
            | Self::Timeout => self.to_string(),
        }
    }

    /// After how many seconds it makes sense to try again, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { wait, .. } => Some(seconds(*wait).max(1)),
            Self::Unavailable(_) | Self::Overtaken(_) | Self::Held => Some(1),
            _ => None,
        }
    }

    /// Whether a database could not do it, and another, or the same at another time, may.
    pub fn is_of_database(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Overtaken(_))
    }

    /// A fault of ours, with what is known of it for the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string().into())
    }

    /// What went wrong once a change had been handed over.
    pub fn perhaps_done(cause: impl Into<Self>) -> Self {
        match cause.into() {
            known @ Self::PerhapsDone(_) => known,
            cause => Self::PerhapsDone(Arc::new(cause)),
        }
    }

    /// What it is where the change may be asked for twice.
    #[must_use]
    pub fn repeatable(self) -> Self {
        match self {
            Self::PerhapsDone(cause) => Arc::unwrap_or_clone(cause),
            other => other,
        }
    }

    /// The database cannot serve, with what is known of it for the log.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::Unavailable(cause.to_string().into())
    }
}

/// Whole seconds, rounded up: after them it is sure to be over.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        match &error {
            // A connection that breaks off has no SQLSTATE.
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand, _) => {
                Self::unavailable(error)
            }
            DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => Self::unavailable(error),
            DieselError::DatabaseError(_, info) if is_of_recovery(info.message()) => Self::unavailable(error),
            DieselError::DatabaseError(_, info) if info.message() == HELD => Self::Held,
            DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Self::Overtaken(error.to_string().into()),
            // SQLSTATE 40P01 (deadlock_detected) has no kind of its own in diesel; its text is PostgreSQL's.
            DieselError::DatabaseError(_, info) if info.message() == "deadlock detected" => {
                Self::Overtaken(error.to_string().into())
            }
            // SQLSTATE 25P02 (in_failed_sql_transaction)
            DieselError::DatabaseError(_, info) if info.message().starts_with("current transaction is aborted") => Self::Aborted,
            // SQLSTATE 57014 (query_canceled) has no kind of its own in diesel; its text is PostgreSQL's.
            DieselError::DatabaseError(_, info) if info.message().contains("statement timeout") => Self::Timeout,
            // SQLSTATE class 57P: the server is going down or coming up.
            DieselError::DatabaseError(_, info)
                if info.message().starts_with("terminating connection")
                    || info.message().starts_with("the database system is") =>
            {
                Self::unavailable(error)
            }
            _ => Self::internal(error),
        }
    }
}

/// What the database says of a tenant that is held (`fence_moving_tenant()`).
const HELD: &str = "the tenant is being moved to another cluster";

/// Whether a standby cannot do it, or what it replays stood in the way. diesel gives no SQLSTATE (25006 and 0A000, 55000, or 40001); see "Hot Standby" in
/// PostgreSQL's documentation.
fn is_of_recovery(message: &str) -> bool {
    let is_refused = message.starts_with("cannot ") && message.ends_with(" during recovery");
    // What a standby was asked that is not as far as it must be ([`crate::db::wal::WalPosition`]), or is a standby no more.
    let is_elsewhere = ["recovery is in progress", "recovery is not in progress"].contains(&message);
    is_refused || is_elsewhere || message.ends_with(" due to conflict with recovery")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a standby says of itself is told apart from values that are quoted.
    #[test]
    fn recovery() {
        for message in [
            "cannot execute LISTEN during recovery",
            "cannot set transaction read-write mode during recovery",
            "canceling statement due to conflict with recovery",
            "terminating connection due to conflict with recovery",
        ] {
            assert!(is_of_recovery(message), "{message}");
        }
        for message in ["invalid input syntax for type uuid: \"lost during recovery\"", "deadlock detected"] {
            assert!(!is_of_recovery(message), "{message}");
        }
    }

    /// What only the log may know is not in the public message.
    #[test]
    fn causes_stay_inside() {
        let unauthenticated = Error::Unauthenticated { reason: "signature".into(), has_token: true, advice: None };
        for error in [unauthenticated, Error::internal("relation \"x\""), Error::unavailable("/run/x")] {
            let message = error.public_message();
            assert!(!message.contains("signature") && !message.contains("relation") && !message.contains("/run"), "{message}");
        }
    }
}
