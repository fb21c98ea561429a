//! Erasing a person: what names them is replaced by a pseudonym, wherever it was written. What they have bought, earned and done stays.

use diesel::{
    QueryResult,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::{
    person::{self, PersonKind, PersonRow},
    user::User,
};
use crate::{
    db::{
        locks::{self, Named},
        statement::{Bind, statement},
    },
    ids::{DataImportId, PartnerId, UserId},
    models::{imports::data_import::DataImport, ledger::books::Books, scope::Scope},
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
    /// It is the caller's own user.
    IsCaller,
    /// The caller was erased meanwhile.
    CallerIsErased,
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
        self.erase_in_turn().await?;
        if self.is_caller_erased().await? {
            return Ok(Err(ErasureFault::CallerIsErased));
        }
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
            return Ok(Err(ErasureFault::IsCaller));
        }
        let known_as = erased.iter().find_map(PersonRow::pseudonym);
        if let Some(pseudonym) = known_as.clone().filter(|_| erased.iter().all(|row| row.erased_at.is_some())) {
            return Ok(Ok(Erasure { pseudonym, erased, left, is_new: false }));
        }
        if let Some(import) = DataImport::unfinished(self.connection, self.tenant).await? {
            return Ok(Err(ErasureFault::Importing(import)));
        }
        self.end_access(&erased).await?;
        let pseudonym = self.replace_names(&erased, known_as, !left.is_empty()).await?;
        let at = Some(self.at);
        let erased = erased.into_iter().map(|row| PersonRow { erased_at: row.erased_at.or(at), ..row }).collect();
        Ok(Ok(Erasure { pseudonym, erased, left, is_new: true }))
    }

    /// Waits until nobody else of the tenant is erased, so that who comes second finds them erased. Nothing else is locked by then, so that nobody
    /// waits for this in a circle.
    async fn erase_in_turn(&self) -> QueryResult<()> {
        // All that the tenant keeps is looked through: the limit of an operation holds, and not that of a statement.
        let mut connection = self.connection;
        connection.batch_execute("SET LOCAL statement_timeout = 0").await?;
        locks::lock_names(connection, Named::ErasePerson, vec![self.tenant.to_string()]).await
    }

    /// Two who erase each other at once: the second was somebody when the request came.
    async fn is_caller_erased(&self) -> QueryResult<bool> {
        let Some(by) = self.by else { return Ok(false) };
        let user = User::by_ids(self.connection, Scope::tenant(self.tenant), &[by]).await?;
        Ok(user.get(&by).is_some_and(|user| user.erased_at.is_some()))
    }

    /// Ends what the person may do, and the invitations that they made. The audit trail has these changes, which name nobody.
    async fn end_access(&self, rows: &[PersonRow]) -> QueryResult<()> {
        let ids = || Bind::Uuids(rows.iter().map(|row| row.id).collect());
        let (tenant, at, by) =
            (|| Bind::Uuid(self.tenant.uuid()), || Bind::Time(self.at), || Bind::OptionalUuid(self.by.map(UserId::uuid)));
        let removed = "UPDATE partner_users SET removed_at = ?, removed_by = ? WHERE tenant_id = ? AND user_id = ANY (?) AND removed_at IS NULL";
        statement::<Text>(removed, vec![at(), by(), tenant(), ids()]).execute(&mut &*self.connection).await?;
        let revoked = "UPDATE partner_invitations SET revoked_at = ?, revoked_by = ?
            WHERE tenant_id = ? AND created_by = ANY (?) AND id <> ALL (?) AND accepted_at IS NULL AND revoked_at IS NULL";
        statement::<Text>(revoked, vec![at(), by(), tenant(), ids(), ids()]).execute(&mut &*self.connection).await.map(drop)
    }

    /// Replaces what names the person whom `rows` are about; gives the pseudonym. `is_shared` says that others have the address too.
    async fn replace_names(&self, rows: &[PersonRow], known_as: Option<String>, is_shared: bool) -> QueryResult<String> {
        let ids = || Bind::Uuids(rows.iter().map(|row| row.id).collect());
        let tenant = || Bind::Uuid(self.tenant.uuid());
        let partners = "SELECT partner_id FROM partner_users WHERE tenant_id = ? AND user_id = ANY (?)";
        let partners: Vec<PartnerId> = statement::<SqlUuid>(partners, vec![tenant(), ids()]).load(&mut &*self.connection).await?;
        let binds = vec![
            tenant(),
            ids(),
            Bind::Texts(rows.iter().map(PersonRow::node_id).collect()),
            Bind::Texts(partners.iter().map(ToString::to_string).collect()),
            Bind::Text(known_as),
            Bind::OptionalUuid(self.by.map(UserId::uuid)),
            Bind::Time(self.at),
        ];
        let erase = statement::<Text>(format!("SELECT erase_person(?, ?, ?, ?, ?, {is_shared}, ?, ?)"), binds);
        erase.get_result(&mut &*self.connection).await
    }
}
