//! The books of a tenant's partners: who writes in them, when, and one at a time for each partner.
//!
//! Everything that moves money is a method of [`Books`], beside the aggregate that it changes. Each locks the books of the partners that
//! it touches, then reads, then writes rows and their transfers, all in the caller's transaction. Locks are always taken in one order: the
//! row that causes it (a customer's and invoice's, a lead's), the books, then rows of partners, commissions and payouts; then the tenant's referrals,
//! users' wallets, and the terms for affiliates. Credits have an order
//! of their own, after the books: the partner's unassigned balance, the member, single credits, their allocations, other accounts.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::Text,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::{
        session::Writing,
        statement::{Bind, statement},
    },
    ids::{PartnerId, TenantId, UserId},
};

/// A writing transaction on a tenant's books.
#[derive(Clone, Copy)]
pub struct Books<'c> {
    /// The connection, with the transaction.
    pub connection: &'c AsyncPgConnection,
    /// Whose.
    pub tenant: TenantId,
    /// Who writes; `None` when no person or machine asked for it.
    pub by: Option<UserId>,
    /// When; of a change that waits for locks see [`Books::after_locks`].
    pub at: DateTime<Utc>,
    /// The caller's transaction, where its role may be one that writes no books; `None` where the connection's role may.
    pub writing: Option<&'c Writing<'c>>,
    /// The clock, where the change is made now; `None` where `at` is another instant (what is due, made-up histories).
    pub clock: Option<&'c Clock>,
}

/// What was read before a lock has changed by the time of the lock, so that other locks are needed: the transaction is to be run again.
pub(in crate::models) fn overtaken(reason: &str) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, Box::new(reason.to_owned()))
}

impl Books<'_> {
    /// The same books as of now. Waiting for locks takes time: what is written after them must not lie before what others wrote meanwhile.
    #[must_use]
    pub fn after_locks(self) -> Self {
        Self { at: self.clock.map_or(self.at, Clock::instant), ..self }
    }

    /// Continues, to the end of the transaction, in the tenant's name: for what a partner's step changes and no partner may write.
    pub async fn act_for_tenant(&self) -> QueryResult<()> {
        match self.writing {
            Some(writing) => writing.act_for_tenant().await,
            None => Ok(()),
        }
    }

    /// Makes sure that what was read again under the lock is still of these partners, whose books are locked: where an operator has moved it
    /// meanwhile, the transaction is to be run again.
    pub fn still_of(&self, locked: &[PartnerId], partners: impl IntoIterator<Item = PartnerId>) -> QueryResult<()> {
        if partners.into_iter().all(|partner| locked.contains(&partner)) {
            return Ok(());
        }
        Err(overtaken("a commission was moved to another partner while its books were waited for"))
    }

    /// Waits until nobody else writes in these partners' books, and keeps others out until the transaction ends. The locks are
    /// taken in one order, so two writers never wait for each other.
    pub async fn lock(&self, partners: &[PartnerId]) -> QueryResult<()> {
        self.lock_all(partners.iter().map(|id| id.uuid()).collect()).await
    }

    /// The same for users' wallets: after the books of partners.
    pub async fn lock_wallets(&self, users: &[UserId]) -> QueryResult<()> {
        self.lock_all(users.iter().map(|id| id.uuid()).collect()).await
    }

    /// Ids are never those of another kind of thing, so all share one kind of lock.
    async fn lock_all(&self, ids: Vec<Uuid>) -> QueryResult<()> {
        statement::<Text>(
            "SELECT pg_advisory_xact_lock(key)::text FROM (
                 SELECT DISTINCT hashtextextended(id::text, 0) AS key FROM unnest(?) AS id ORDER BY 1) AS keys",
            vec![Bind::Uuids(ids)],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
