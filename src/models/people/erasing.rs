//! Erasing a person: what names them is replaced by a pseudonym, wherever it was written. What they have bought, earned and done stays.

use diesel::{
    OptionalExtension, QueryResult,
    sql_types::{Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::person::{self, PersonKind, PersonRow};
use crate::{
    db::statement::{Bind, statement},
    ids::{DataImportId, UserId},
    models::ledger::books::Books,
};

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What the person is called from now on.
    pub pseudonym: String,
    /// The rows that named the person, the one that was asked about first.
    pub erased: Vec<PersonRow>,
    /// Rows of the same e-mail address that still name somebody.
    pub left: Vec<PersonRow>,
    /// Whether anything was not erased before.
    pub is_new: bool,
}

/// Why nobody was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureFault {
    /// There is no such row.
    NotFound,
    /// The row belongs to a user, who is to be erased instead.
    BelongsTo(UserId),
    /// It is the caller.
    Oneself,
    /// An import is not finished, which may name the person.
    Importing(DataImportId),
}

impl Books<'_> {
    /// Erases the person whom a row is about, with the rows that belong to them if they are a user, and `with_same_address` with all others
    /// of their e-mail address. An access of theirs ends with the transaction.
    pub async fn erase_person(
        &self,
        kind: PersonKind,
        id: Uuid,
        with_same_address: bool,
    ) -> QueryResult<Result<Erasure, ErasureFault>> {
        // One after the other: who comes second finds them erased. Nothing else is locked yet, so nobody can wait for this in turn.
        let turn = "SELECT pg_advisory_xact_lock(hashtextextended('erase_person ' || ?::text, 0))::text";
        let turn = statement::<Nullable<Text>>(turn, vec![Bind::text(self.tenant.to_string())]);
        turn.execute(&mut &*self.connection).await?;
        let rows = person::find(self.connection, self.tenant, kind, id).await?;
        let [asked, ..] = rows.as_slice() else { return Ok(Err(ErasureFault::NotFound)) };
        let is_chosen = |row: &PersonRow| row.is_certain || with_same_address;
        // A row of a user's is never erased without the user, whose name would tell who it was.
        let is_users = |user: UserId| rows.iter().any(|row| row.id == user.uuid() && (is_chosen(row) || row.erased_at.is_some()));
        if let Some(user) = asked.user.filter(|user| !is_users(*user)) {
            return Ok(Err(ErasureFault::BelongsTo(user)));
        }
        let (erased, left): (Vec<_>, Vec<_>) =
            rows.iter().cloned().partition(|row| is_chosen(row) && row.user.is_none_or(is_users));
        let left = left.into_iter().filter(|row| row.erased_at.is_none()).collect();
        if self.by.is_some_and(|by| erased.iter().any(|row| row.id == by.uuid())) {
            return Ok(Err(ErasureFault::Oneself));
        }
        if erased.iter().all(|row| row.erased_at.is_some()) {
            let pseudonym = asked.name.clone().unwrap_or_default();
            return Ok(Ok(Erasure { pseudonym, erased, left, is_new: false }));
        }
        let unfinished =
            "SELECT id FROM data_imports WHERE tenant_id = ? AND status IN ('waiting', 'running') ORDER BY id LIMIT 1";
        let unfinished = statement::<SqlUuid>(unfinished, vec![Bind::Uuid(self.tenant.uuid())]);
        if let Some(import) = unfinished.get_result::<DataImportId>(&mut &*self.connection).await.optional()? {
            return Ok(Err(ErasureFault::Importing(import)));
        }
        let binds = vec![
            Bind::Uuid(self.tenant.uuid()),
            Bind::Uuids(erased.iter().map(|row| row.id).collect()),
            Bind::Texts(erased.iter().map(PersonRow::node_id).collect()),
            Bind::OptionalUuid(self.by.map(UserId::uuid)),
            Bind::Time(self.at),
        ];
        let erase = statement::<Nullable<Text>>("SELECT erase_person(?, ?, ?, ?, ?)", binds);
        let pseudonym = erase.get_result::<Option<String>>(&mut &*self.connection).await?.unwrap_or_default();
        let at = Some(self.at);
        let erased = erased.into_iter().map(|row| PersonRow { erased_at: row.erased_at.or(at), ..row }).collect();
        Ok(Ok(Erasure { pseudonym, erased, left, is_new: true }))
    }
}
