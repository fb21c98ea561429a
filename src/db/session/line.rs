//! A session's connection, and which transaction is open on it.

use std::mem;

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::try_join;

use crate::{
    db::{
        caller::Caller,
        pool::{Pool, Taken},
    },
    error::Result,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No transaction is open.
    Idle,
    /// The previous request's read transaction is still open on this connection; this request has run nothing yet.
    Left,
    /// The same, and the caller is predicted: BEGIN of their read transaction is sent together with their first read.
    Predicted,
    /// The reading transaction is open.
    Reading,
    /// A write transaction is open in which the session began; the caller is not announced yet.
    Begun,
    /// The same, and the caller is announced; nothing else has been done in it.
    Fresh,
    /// A transaction was begun and is neither committed nor rolled back, and it may have failed.
    Abandoned,
}

impl Phase {
    /// What ends the transaction that is open.
    pub(super) fn end(self) -> Option<&'static str> {
        match self {
            Self::Idle => None,
            Self::Left | Self::Predicted | Self::Reading => Some("COMMIT"),
            Self::Begun | Self::Fresh | Self::Abandoned => Some("ROLLBACK"),
        }
    }

    /// What ends it and begins another.
    pub(super) fn then(self, begin: &str) -> String {
        self.end().map_or_else(|| begin.to_owned(), |end| format!("{end}; {begin}"))
    }
}

pub(super) struct Line {
    pub(super) pool: Pool,
    // None while the session rests, and once it has ended.
    pub(super) connection: Option<Taken>,
    pub(super) caller: Caller,
    /// Who acts in the caller's name.
    pub(super) impersonator: Option<String>,
    /// What the transaction was announced to be for that the session began in.
    pub(super) announcement: Option<String>,
    pub(super) phase: Phase,
}

impl Line {
    pub(super) fn connection(&self) -> &AsyncPgConnection {
        self.connection.as_ref().expect("a session takes its connection before it uses it")
    }

    /// Ends the transaction that is open and opens one for the caller, in one round trip.
    pub(super) async fn begin(&mut self, how: &str) -> Result<()> {
        let phase = mem::replace(&mut self.phase, Phase::Abandoned);
        try_join!(self.change(phase, how), self.caller.announce(self.connection()))?;
        Ok(())
    }

    /// Ends the transaction of that phase and opens one, in one round trip; on a standby only where it has replayed what is required.
    pub(super) async fn change(&self, phase: Phase, begin: &str) -> QueryResult<()> {
        let Some(required) = self.pool.required() else { return self.run(&phase.then(begin)).await };
        let end = async { if let Some(end) = phase.end() { self.run(end).await } else { Ok(()) } };
        // By itself, as it would be in one transaction with the BEGIN of the same message: what is read there is as old as the check.
        let check = required.check();
        try_join!(end, self.run(&check), self.run(begin)).map(drop)
    }

    /// Runs statements that return no rows.
    pub(super) async fn run(&self, sql: &str) -> QueryResult<()> {
        (&mut self.connection()).batch_execute(sql).await
    }
}
