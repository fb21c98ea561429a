//! Members: a partner's employees and clients, to whom it can assign credits. Lists of them are in [`super::list`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Integer, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;

use crate::{
    db::{
        QueryError, is_taken,
        schema::{member_counts, partner_members},
        statement::{Bind, statement},
    },
    ids::{MemberId, PartnerId, TenantId, UserId},
    models::scope::Scope,
};

crate::pg_enum! {
    /// What has become of a member.
    pub enum MemberStatus {
        /// Added, and has not signed in with the address yet. Can be given credits and use them.
        Invited = "invited",
        /// Has signed in.
        Active = "active",
        /// Is no longer given credits, and can use none.
        Inactive = "inactive",
    }
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_members)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Whose member.
    pub partner_id: PartnerId,
    /// The e-mail address, as it was given.
    pub email: String,
    /// The same as addresses are compared.
    pub email_key: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: Option<String>,
    /// Both names as lists are ordered by them.
    pub name_sort: String,
    /// What has become of it.
    pub status: MemberStatus,
    /// The user who has signed in with the address.
    pub user_id: Option<UserId>,
    /// Credits assigned and not revoked.
    pub credits_assigned: i32,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When what is said of it last changed.
    pub updated_at: DateTime<Utc>,
    /// When the person was erased.
    pub erased_at: Option<DateTime<Utc>>,
}

/// A member to be added.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = partner_members)]
pub struct NewMember<'a> {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: MemberId,
    /// Whose member.
    pub partner_id: PartnerId,
    /// The e-mail address.
    pub email: &'a str,
    /// The first name.
    pub first_name: &'a str,
    /// The last name.
    pub last_name: Option<&'a str>,
    /// When it is added.
    pub created_at: DateTime<Utc>,
    /// The same.
    pub updated_at: DateTime<Utc>,
}

impl NewMember<'_> {
    /// Whether a member is as this one is to be: it may have been added by the same request.
    pub fn is_as(&self, known: &Member) -> bool {
        (self.email, self.first_name, self.last_name) == (&known.email, &known.first_name, known.last_name.as_deref())
            && known.status != MemberStatus::Inactive
    }
}

/// What to change of a member; `None` leaves it.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = partner_members)]
pub struct MemberChanges {
    /// The e-mail address.
    pub email: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name; `Some(None)` clears it.
    pub last_name: Option<Option<String>>,
    /// The status.
    pub status: Option<MemberStatus>,
}

impl MemberChanges {
    /// Whether anything of a member is not so already.
    pub fn differ_from(&self, member: &Member) -> bool {
        // A member whose mailbox is another's has its address and not its key.
        let has_key = |email: &String| email_key(email) == member.email_key;
        differ!(self, member; email, first_name, last_name, status) || !self.email.as_ref().is_none_or(has_key)
    }
}

/// How many members of each status a partner has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, HasQuery)]
#[diesel(table_name = member_counts)]
pub struct MemberCounts {
    /// Added, and not signed in.
    pub invited: i32,
    /// Signed in.
    pub active: i32,
    /// No longer given credits.
    pub inactive: i32,
}

/// An address as addresses are compared, the same for whatever leads to one mailbox: the part before the at sign composed (Unicode NFC) and
/// without regard to case (full case folding), the domain as in the DNS (RFC 5890, A-labels). `email_key()` in PostgreSQL computes the same.
pub fn email_key(email: &str) -> String {
    if email.is_ascii() {
        return email.to_ascii_lowercase();
    }
    let composer = ComposingNormalizer::new_nfc();
    let compared = |text: &str| composer.normalize(&CaseMapper::new().fold_string(&composer.normalize(text))).into_owned();
    match email.rsplit_once('@') {
        Some((mailbox, domain)) => {
            let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| compared(domain));
            format!("{}@{domain}", compared(mailbox))
        }
        None => compared(email),
    }
}

/// Two members of a partner who have one mailbox, from a time when that was not noticed.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct SharedMailbox {
    /// The partner.
    pub partner: PartnerId,
    /// Its company's name.
    pub company_name: String,
    /// The address of the one who is found by it.
    pub email: String,
    /// The address of the other.
    pub other: String,
}

/// All of them; for the command line, as the tables' owner.
pub async fn shared_mailboxes(mut connection: &AsyncPgConnection) -> QueryResult<Vec<SharedMailbox>> {
    statement::<(SqlUuid, Text, Text, Text)>(
        "SELECT p.id, p.company_name, o.email, m.email
         FROM partner_members m
         JOIN partner_members o ON o.tenant_id = m.tenant_id AND o.partner_id = m.partner_id AND o.email_key = email_key(m.email)
         JOIN partners p ON p.tenant_id = m.tenant_id AND p.id = m.partner_id
         WHERE m.email_key LIKE '% %'
         ORDER BY p.company_name, p.id, m.email",
        Vec::new(),
    )
    .load(&mut connection)
    .await
}

impl Member {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[MemberId],
    ) -> QueryResult<HashMap<MemberId, Self>> {
        let rows: Vec<Self> = Self::query()
            .filter(partner_members::tenant_id.eq(scope.tenant))
            .filter(partner_members::id.eq_any(ids))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// Adds a member; `false` where the partner has one with the address.
    pub async fn insert(mut connection: &AsyncPgConnection, new: &NewMember<'_>) -> QueryResult<bool> {
        let insert = diesel::insert_into(partner_members::table).values(new).on_conflict_do_nothing();
        insert.execute(&mut connection).await.map(|inserted| inserted > 0)
    }

    /// The partner's member with an address, compared as addresses are.
    pub async fn by_address(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partner: PartnerId,
        address: &str,
    ) -> QueryResult<Option<Self>> {
        let found: Option<Self> = Self::query()
            .filter(partner_members::tenant_id.eq(scope.tenant))
            .filter(partner_members::partner_id.eq(partner))
            .filter(partner_members::email_key.eq(email_key(address)))
            .first(&mut connection)
            .await
            .optional()?;
        Ok(found.filter(|row| scope.includes(row.partner_id)))
    }

    /// The member in scope, locked until the transaction ends.
    pub async fn lock(mut connection: &AsyncPgConnection, scope: Scope, id: MemberId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(partner_members::tenant_id.eq(scope.tenant)).filter(partner_members::id.eq(id));
        let found: Option<Self> = query.for_no_key_update().first(&mut connection).await.optional()?;
        Ok(found.filter(|row| scope.includes(row.partner_id)))
    }

    /// The same for a change of its address, a column of a unique key: that needs the stronger lock from the beginning.
    pub async fn lock_key(mut connection: &AsyncPgConnection, scope: Scope, id: MemberId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(partner_members::tenant_id.eq(scope.tenant)).filter(partner_members::id.eq(id));
        let found: Option<Self> = query.for_update().first(&mut connection).await.optional()?;
        Ok(found.filter(|row| scope.includes(row.partner_id)))
    }

    /// Changes the member. Its credits follow a new address.
    pub async fn update(
        &self,
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        changes: &MemberChanges,
        at: DateTime<Utc>,
    ) -> QueryResult<()> {
        diesel::update(
            partner_members::table.filter(partner_members::tenant_id.eq(tenant)).filter(partner_members::id.eq(self.id)),
        )
        .set((changes, partner_members::updated_at.eq(at)))
        .execute(&mut connection)
        .await
        .map(drop)
    }

    /// Locks the member's unused credits, in the lock order of all statements that lock several: before a change of address, which
    /// updates all of them.
    pub async fn lock_units(&self, mut connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<()> {
        statement::<Integer>(
            "SELECT number FROM partner_credits WHERE tenant_id = ? AND employee_email = ? AND status = 'available' AND member_id = ?
             ORDER BY expires_at, allocation_id, number FOR UPDATE",
            vec![Bind::Uuid(tenant.uuid()), Bind::text(&self.email_key), Bind::Uuid(self.id.uuid())],
        )
        .execute(&mut connection)
        .await
        .map(drop)
    }
}

impl MemberCounts {
    /// Each partner's; one without members has none.
    pub async fn by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
    ) -> QueryResult<HashMap<PartnerId, Self>> {
        let rows: Vec<(PartnerId, Self)> = member_counts::table
            .filter(member_counts::tenant_id.eq(scope.tenant))
            .filter(member_counts::partner_id.eq_any(partners))
            .select((member_counts::partner_id, Self::as_select()))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|(partner, _)| scope.includes(*partner)).collect())
    }
}

/// Whether a member was refused because the partner has one with this address.
pub(super) fn is_email_taken(error: &QueryError) -> bool {
    is_taken(error, "partner_members_email_key")
}
