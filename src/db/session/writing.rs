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
        caller::Caller,
        positions::{CallerPosition, Committing},
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
        let committing = session.begin_commit();
        line.phase = Phase::Reading;
        let line = line.downgrade();
        // Where standbys are read from, the caller's announcement says how far the primary is.
        let announce = async {
            if committing.is_some() {
                line.caller.announce_and_locate(line.connection()).await.map(Some)
            } else {
                line.caller.announce(line.connection()).await.map(|()| None)
            }
        };
        // Polled in this order each time, so nothing is read before the COMMIT has been sent (see `confirm`). Each has a result of its own, so that
        // an error after the COMMIT says nothing of the COMMIT.
        let (committed, begun, announced, read) = join!(line.run("COMMIT"), line.run(BEGIN_READING), announce, read);
        drop(line);
        if begun.is_err() || announced.is_err() {
            session.line.write().await.phase = Phase::Abandoned;
        }
        session.end_commit(committing, session.decide(committed, before), announced.as_ref().ok().copied().flatten())?;
        begun.and(announced).map_err(Error::perhaps_done)?;
        read.map_err(Error::perhaps_done)
    }

    /// Commits where nothing is read afterwards. An error means that nothing was changed, or says that the outcome is unknown.
    pub async fn commit_alone(mut self) -> Result<()> {
        let session = self.session;
        let before = session.may_be_done.swap(true, Ordering::Relaxed);
        let committing = session.begin_commit();
        let own = 1 + u32::from(committing.is_some());
        session.own.fetch_add(own, Ordering::Relaxed);
        let locate = async { if committing.is_some() { wal::position(self.line.connection()).await.ok() } else { None } };
        let (committed, position) = join!(self.line.run("COMMIT"), locate);
        session.end_commit(committing, session.decide(committed, before), position)?;
        self.line.phase = Phase::Idle;
        Ok(())
    }
}

impl Session {
    /// Notes how far the primary is by which the session has read, where standbys are read from: what was read may be an earlier change of the caller's.
    pub async fn note_position(&self) -> Result<()> {
        if let Some(known) = &self.position {
            let position = wal::position(&*self.read().await?).await?;
            self.own.fetch_add(1, Ordering::Relaxed);
            self.committed_at.fetch_max(position.0, Ordering::Release);
            known.raise(position);
        }
        Ok(())
    }

    /// Notes that a change of the caller's is about to be committed, where standbys are read from.
    fn begin_commit(&self) -> Option<Committing<'_>> {
        self.position.as_ref().map(CallerPosition::begin_commit)
    }

    /// Notes what became of it, and where the primary was then.
    fn end_commit(&self, committing: Option<Committing<'_>>, committed: Result<()>, position: Option<WalPosition>) -> Result<()> {
        match (committing, &committed, position) {
            (Some(committing), Ok(()), Some(position)) => {
                self.committed_at.fetch_max(position.0, Ordering::Release);
                committing.done(position);
            }
            (Some(committing), Err(error), _) if !matches!(error, Error::PerhapsDone(_)) => committing.undone(),
            // It is dropped: what became of it, or where it is, is not known.
            _ => {}
        }
        committed
    }
}

impl std::ops::Deref for Writing<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.line.connection()
    }
}
