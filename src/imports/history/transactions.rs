//! The transactions of an import: one after the other, or for a rehearsal one around all that is rolled back.

use diesel::{QueryResult, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use crate::{
    db::{session::Caller, statement::statement},
    ids::{TenantId, UserId},
};

/// The transactions of one import, on its connection.
pub struct Transactions<'c> {
    /// The connection.
    pub connection: &'c AsyncPgConnection,
    /// The tenant, in whose staff's role each of them works.
    pub tenant: TenantId,
    /// Whether all is rolled back in the end.
    pub is_rehearsal: bool,
}

impl Transactions<'_> {
    /// Begins the first.
    pub async fn begin(&self) -> QueryResult<()> {
        (&mut &*self.connection).batch_execute("BEGIN").await?;
        Caller::Operator { tenant: self.tenant, user: UserId::from(Uuid::nil()) }.announce(self.connection).await?;
        // History is nothing to watch: it happened long ago.
        statement::<Text>("SELECT set_config('app.events', 'off', true)", Vec::new())
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// Commits, and begins the next. A rehearsal goes on in the one that is open.
    pub async fn next(&self) -> QueryResult<()> {
        if self.is_rehearsal {
            return Ok(());
        }
        (&mut &*self.connection).batch_execute("COMMIT").await?;
        self.begin().await
    }

    /// Marks where the transaction is, to come back to.
    pub async fn mark(&self) -> QueryResult<()> {
        (&mut &*self.connection).batch_execute("SAVEPOINT batch").await
    }

    /// Keeps what was done since the mark.
    pub async fn forget_mark(&self) -> QueryResult<()> {
        (&mut &*self.connection).batch_execute("RELEASE SAVEPOINT batch").await
    }

    /// Undoes what was done since the mark.
    pub async fn back_to_mark(&self) -> QueryResult<()> {
        (&mut &*self.connection).batch_execute("ROLLBACK TO SAVEPOINT batch; RELEASE SAVEPOINT batch").await
    }

    /// Ends the last: commits, or rolls everything back.
    pub async fn end(&self) -> QueryResult<()> {
        let sql = if self.is_rehearsal { "ROLLBACK" } else { "COMMIT" };
        (&mut &*self.connection).batch_execute(sql).await
    }
}
