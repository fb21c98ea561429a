//! Transactions that write.

use std::sync::atomic::Ordering;

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use futures_util::join;
use tokio::sync::RwLockWriteGuard;

use super::{
    BEGIN_READING, FIRST_STATEMENTS, Session,
    act::Act,
    line::{Line, Phase},
};
use crate::{
    db::{
        DatabaseKind,
        caller::Caller,
        wal::{self, WalPosition},
    },
    error::{Error, Result},
};

/// A transaction that writes. Nothing of it stays unless it is committed.
pub struct Writing<'s> {
    pub(super) line: RwLockWriteGuard<'s, Line>,
    pub(super) session: &'s Session,
}

impl Writing<'_> {
    /// Switches to the tenant's service role until the transaction ends: for books that a partner's step changes and that no partner may
    /// write.
    pub async fn act_for_tenant(&self) -> QueryResult<()> {
        let Caller::Partner { tenant, user, .. } = self.line.caller else { return Ok(()) };
        self.session.own.fetch_add(1, Ordering::Relaxed);
        Caller::Service { tenant, user }.announce(self.line.connection()).await
    }

    /// Says what is written from now on, for the audit trail.
    pub async fn perform(&self, act: &Act) -> QueryResult<()> {
        self.session.own.fetch_add(1, Ordering::Relaxed);
        self.line.run(&act.announcement(self.session.request())).await
    }

    /// Commits, and reads the result in a fresh transaction that begins in the same round trip. An error of the COMMIT means that nothing was
    /// changed, or says that the outcome is unknown; an error of the read says that the change was made.
    pub async fn commit_and<T>(self, read: impl Future<Output = Result<T>>) -> Result<T> {
        let Self { mut line, session } = self;
        session.own.fetch_add(1 + FIRST_STATEMENTS, Ordering::Relaxed);
        let before = session.may_be_done.swap(true, Ordering::Relaxed);
        line.phase = Phase::Reading;
        let line = line.downgrade();
        // Polled in this order each time, so nothing is read before the COMMIT has been sent (see `confirm`). Each has a result of its own, so that
        // an error after the COMMIT says nothing of the COMMIT.
        let (committed, begun, announced, read) =
            join!(line.run("COMMIT"), line.run(BEGIN_READING), session.announce_commit(&line), read);
        drop(line);
        if begun.is_err() || announced.is_err() {
            session.line.write().await.phase = Phase::Abandoned;
        }
        session.decide(committed, before)?;
        begun.and(announced).map_err(Error::perhaps_done)?;
        read.map_err(Error::perhaps_done)
    }

    /// Commits where nothing is read afterwards. An error means that nothing was changed, or says that the outcome is unknown.
    pub async fn commit_alone(mut self) -> Result<()> {
        self.session.own.fetch_add(1, Ordering::Relaxed);
        let before = self.session.may_be_done.swap(true, Ordering::Relaxed);
        let is_primary = self.line.pool.kind() == DatabaseKind::Primary;
        let locate = async { if is_primary { wal::position(self.line.connection()).await.map(Some) } else { Ok(None) } };
        let (committed, position) = join!(self.line.run("COMMIT"), locate);
        self.session.decide(committed, before)?;
        self.session.note_commit(position.map_err(Error::perhaps_done)?);
        self.line.phase = Phase::Idle;
        Ok(())
    }
}

impl Session {
    /// Announces the caller after a COMMIT, and notes how far the primary is where others are read from, too.
    async fn announce_commit(&self, line: &Line) -> QueryResult<()> {
        if line.pool.kind() == DatabaseKind::Primary {
            self.note_commit(Some(line.caller.announce_and_locate(line.connection()).await?));
            return Ok(());
        }
        line.caller.announce(line.connection()).await
    }

    fn note_commit(&self, position: Option<WalPosition>) {
        if let Some(WalPosition(position)) = position {
            self.committed_at.fetch_max(position, Ordering::Release);
        }
    }
}

impl std::ops::Deref for Writing<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.line.connection()
    }
}
