//! Transactions that write.

use super::{
    BEGIN_READING, FIRST_STATEMENTS, Session,
    line::{Line, Phase},
};
use crate::{
    db::caller::Caller,
    error::{Error, Result},
};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use futures_util::join;
use std::sync::atomic::Ordering;
use tokio::sync::RwLockWriteGuard;

/// A transaction that writes. Nothing of it stays unless it is committed.
pub struct Writing<'s> {
    pub(super) line: RwLockWriteGuard<'s, Line>,
    pub(super) session: &'s Session,
}

impl Writing<'_> {
    /// Goes on, to the end of the transaction, as a machine of the tenant: for books that a partner's step changes and that no
    /// partner may write.
    pub async fn act_for_tenant(&self) -> QueryResult<()> {
        let Caller::Partner { tenant, user, .. } = self.line.caller else { return Ok(()) };
        self.session.own.fetch_add(1, Ordering::Relaxed);
        Caller::Service { tenant, user }.announce(self.line.connection()).await
    }

    /// Makes it last, and reads with the session what has become of it: that is sent in the same round trip. An error of the commit says that
    /// it does not last, or that nobody knows; an error after that is one of reading.
    pub async fn commit_and<T>(self, read: impl Future<Output = Result<T>>) -> Result<T> {
        let Self { mut line, session } = self;
        session.own.fetch_add(1 + FIRST_STATEMENTS, Ordering::Relaxed);
        let before = session.may_be_done.swap(true, Ordering::Relaxed);
        line.phase = Phase::Reading;
        let line = line.downgrade();
        // Polled in this order, each time, so nothing is read before what comes first has been sent (see `confirm`). Each by itself, so that
        // what comes after the commit says nothing of it.
        let (committed, begun, announced, read) =
            join!(line.run("COMMIT"), line.run(BEGIN_READING), line.caller.announce(line.connection()), read);
        drop(line);
        if begun.is_err() || announced.is_err() {
            session.line.write().await.phase = Phase::Abandoned;
        }
        session.decide(committed, before)?;
        begun.and(announced).map_err(Error::perhaps_done)?;
        read.map_err(Error::perhaps_done)
    }

    /// Makes it last, where nothing is read afterwards. An error says that it does not, or that nobody knows.
    pub async fn commit_alone(mut self) -> Result<()> {
        self.session.own.fetch_add(1, Ordering::Relaxed);
        let before = self.session.may_be_done.swap(true, Ordering::Relaxed);
        let committed = self.line.run("COMMIT").await;
        self.session.decide(committed, before)?;
        self.line.phase = Phase::Idle;
        Ok(())
    }
}

impl std::ops::Deref for Writing<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.line.connection()
    }
}
