//! Who acts for which partner.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Bool, Integer, Nullable, Numeric, Text, Timestamptz, Untyped, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::user::User;
use crate::{
    db::{
        QueryError,
        schema::{partner_users, partners, tenants, users},
        statement::{Bind, statement},
    },
    ids::{PartnerId, TenantId, UserId},
    models::{page::group, partners::partner::Partner, scope::Scope},
};

crate::pg_enum! {
    /// What a person is in a partner.
    pub enum PartnerUserRole {
        /// Manages the partner.
        Owner = "owner",
        /// Works with its leads and members.
        Member = "member",
    }
}

impl PartnerUserRole {
    /// What a member of a partner's organisation is in it, by the role there: its administrators are owners.
    pub fn in_organization(role: &str) -> Self {
        if role == "org:admin" { Self::Owner } else { Self::Member }
    }
}

/// A person in a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerUser {
    /// Who.
    pub user: User,
    /// As what, and since when no more.
    pub membership: Membership,
}

/// What makes a person one of a partner's.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_users)]
pub struct Membership {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The partner.
    pub partner_id: PartnerId,
    /// The person.
    pub user_id: UserId,
    /// As what.
    pub role: PartnerUserRole,
    /// The organisation at the token issuer that it came from: it holds only for tokens that name that organisation, and its role
    /// follows them. `None` where it was given here.
    pub clerk_org_id: Option<String>,
    /// When the person was removed.
    pub removed_at: Option<DateTime<Utc>>,
}

/// Why a membership stays as it is.
#[derive(Debug)]
pub enum MembershipFault {
    /// There is no such person in the partner.
    Unknown,
    /// The partner would be left without an owner.
    LastOwner,
    /// The role is that of an organisation's member, and follows it.
    FromOrganization(String),
    /// The person was removed then.
    Removed(DateTime<Utc>),
    /// The person was erased then.
    Erased(DateTime<Utc>),
    /// The database.
    Database(QueryError),
}

impl From<QueryError> for MembershipFault {
    fn from(error: QueryError) -> Self {
        Self::Database(error)
    }
}

/// A partner's memberships, locked until the transaction ends: so that of two changes at once each knows who the other leaves as owners.
pub struct LockedMemberships {
    rows: Vec<Membership>,
    /// The partner's organisation.
    clerk_org_id: Option<String>,
}

impl LockedMemberships {
    /// Those of a partner in scope; `None` where it is not. The partner keeps its organisation meanwhile.
    pub async fn of_partner(mut connection: &AsyncPgConnection, scope: Scope, partner: PartnerId) -> QueryResult<Option<Self>> {
        let Some(Partner { clerk_org_id, .. }) = Partner::hold(connection, scope, partner).await? else { return Ok(None) };
        let rows: Vec<Membership> = Membership::query()
            .filter(partner_users::tenant_id.eq(scope.tenant))
            .filter(partner_users::partner_id.eq(partner))
            .order(partner_users::user_id)
            .for_no_key_update()
            .load(&mut connection)
            .await?;
        Ok(Some(Self { rows, clerk_org_id }))
    }

    fn of(&self, user: UserId) -> Result<&Membership, MembershipFault> {
        self.rows.iter().find(|row| row.user_id == user).ok_or(MembershipFault::Unknown)
    }

    /// The same of someone who was not removed.
    fn present(&self, user: UserId) -> Result<&Membership, MembershipFault> {
        let membership = self.of(user)?;
        membership.removed_at.map_or(Ok(membership), |at| Err(MembershipFault::Removed(at)))
    }

    /// Whether it is an owner's who can act: by an organisation that the partner has no longer, nobody does.
    fn is_owners(&self, row: &Membership) -> bool {
        let holds = row.clerk_org_id.is_none() || row.clerk_org_id == self.clerk_org_id;
        row.removed_at.is_none() && row.role == PartnerUserRole::Owner && holds
    }

    fn check_owner_without(&self, user: UserId) -> Result<(), MembershipFault> {
        let stays = |row: &Membership| row.user_id != user && self.is_owners(row);
        if self.rows.iter().any(stays) { Ok(()) } else { Err(MembershipFault::LastOwner) }
    }

    /// Gives someone another role; the one that they have already changes nothing. Who is an owner no more has made no invitations. Whether it is
    /// another.
    pub async fn change_role(
        &self,
        connection: &AsyncPgConnection,
        user: UserId,
        role: PartnerUserRole,
        by: UserId,
        at: DateTime<Utc>,
    ) -> Result<bool, MembershipFault> {
        let membership = self.present(user)?;
        if membership.role == role {
            return Ok(false);
        }
        if let Some(organization) = &membership.clerk_org_id {
            return Err(MembershipFault::FromOrganization(organization.clone()));
        }
        if role != PartnerUserRole::Owner {
            self.check_owner_without(user)?;
        }
        membership.set_role(connection, role).await?;
        if role != PartnerUserRole::Owner {
            membership.revoke_invitations(connection, by, at).await?;
        }
        Ok(true)
    }

    /// Removes someone: whatever their token says, they act for the partner no more, and no invitation from before lets them in again.
    /// Whether they were not removed before.
    pub async fn remove(
        &self,
        connection: &AsyncPgConnection,
        user: UserId,
        by: UserId,
        at: DateTime<Utc>,
    ) -> Result<bool, MembershipFault> {
        let membership = self.of(user)?;
        if membership.removed_at.is_some() {
            return membership.revoke_invitations(connection, by, at).await.map_err(Into::into);
        }
        if self.is_owners(membership) {
            self.check_owner_without(user)?;
        }
        membership.set_removal(connection, Some((at, by))).await?;
        membership.revoke_invitations(connection, by, at).await?;
        Ok(true)
    }

    /// Lets someone in again who was removed, as what they were. Whether they were.
    pub async fn restore(&self, connection: &AsyncPgConnection, user: UserId) -> Result<bool, MembershipFault> {
        let membership = self.of(user)?;
        if membership.removed_at.is_none() {
            return Ok(false);
        }
        if let Some(at) = membership.erased_at(connection).await? {
            return Err(MembershipFault::Erased(at));
        }
        membership.set_removal(connection, None).await?;
        Ok(true)
    }
}

impl Membership {
    async fn erased_at(&self, mut connection: &AsyncPgConnection) -> QueryResult<Option<DateTime<Utc>>> {
        users::table.find((self.tenant_id, self.user_id)).select(users::erased_at).first(&mut connection).await
    }

    async fn set_role(&self, mut connection: &AsyncPgConnection, role: PartnerUserRole) -> QueryResult<()> {
        let row = partner_users::table.find((self.tenant_id, self.partner_id, self.user_id));
        diesel::update(row).set(partner_users::role.eq(role)).execute(&mut connection).await.map(drop)
    }

    /// Takes back the open invitations of the person's address, and those that the person has made: nobody comes back by a token of their own. Gives
    /// whether there was one.
    async fn revoke_invitations(&self, mut connection: &AsyncPgConnection, by: UserId, at: DateTime<Utc>) -> QueryResult<bool> {
        let sql = "UPDATE partner_invitations i SET revoked_at = ?, revoked_by = ? FROM users u
             WHERE u.tenant_id = ? AND u.id = ? AND i.tenant_id = u.tenant_id AND i.partner_id = ?
                 AND (i.created_by = u.id OR email_key(i.email) = email_key(u.email)) AND i.accepted_at IS NULL AND i.revoked_at IS NULL";
        let person = [self.tenant_id.uuid(), self.user_id.uuid(), self.partner_id.uuid()].map(Bind::Uuid);
        let binds = [Bind::Time(at), Bind::Uuid(by.uuid())].into_iter().chain(person).collect();
        statement::<Untyped>(sql, binds).execute(&mut connection).await.map(|count| count > 0)
    }

    async fn set_removal(&self, mut connection: &AsyncPgConnection, removal: Option<(DateTime<Utc>, UserId)>) -> QueryResult<()> {
        let row = partner_users::table.find((self.tenant_id, self.partner_id, self.user_id));
        let (at, by) = removal.unzip();
        diesel::update(row)
            .set((partner_users::removed_at.eq(at), partner_users::removed_by.eq(by)))
            .execute(&mut connection)
            .await
            .map(drop)
    }
}

/// The people of each partner, in the order in which they joined, removed ones included.
pub async fn by_partners(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    partners: &[PartnerId],
) -> QueryResult<HashMap<PartnerId, Vec<PartnerUser>>> {
    let rows: Vec<(Membership, User)> = partner_users::table
        .inner_join(users::table.on(users::tenant_id.eq(partner_users::tenant_id).and(users::id.eq(partner_users::user_id))))
        .filter(partner_users::tenant_id.eq(scope.tenant))
        .filter(partner_users::partner_id.eq_any(partners))
        .order((partner_users::created_at, partner_users::user_id))
        .select((Membership::as_select(), User::as_select()))
        .load(&mut connection)
        .await?;
    let visible = rows.into_iter().filter(|(membership, _)| scope.includes(membership.partner_id));
    Ok(group(visible.map(|(membership, user)| (membership.partner_id, PartnerUser { user, membership })).collect()))
}

type PartnerColumns =
    (SqlUuid, SqlUuid, Text, Text, Text, Numeric, Nullable<Text>, Nullable<Text>, Integer, Integer, Timestamptz, Timestamptz);

/// The partners that the caller belongs to by a token that names this organisation or none, those joined first before the others: also those
/// for which they are not acting.
pub async fn own_partners(mut connection: &AsyncPgConnection, organization: Option<&str>) -> QueryResult<Vec<Partner>> {
    statement::<PartnerColumns>(
        "SELECT tenant_id, id, company_name, company_name_sort, status, commission_rate, clerk_org_id, status_reason,
             total_referrals, converted_referrals, created_at, updated_at
         FROM portal_own_partners(?)",
        vec![Bind::Text(organization.map(str::to_owned))],
    )
    .load(&mut connection)
    .await
}

/// Makes the partner the one that the caller acts for where their token names no organisation, and gives whether it was another. `None` where
/// they do not belong to it, or only by an organisation.
pub async fn set_default_partner(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    user: UserId,
    partner: PartnerId,
) -> QueryResult<Option<bool>> {
    let hold = statement::<Text>("SELECT portal_hold_partner(?)::text", vec![Bind::Uuid(partner.uuid())]);
    hold.execute(&mut connection).await?;
    let may = statement::<Bool>("SELECT portal_may_act_for(?)", vec![Bind::Uuid(partner.uuid())]);
    if !may.get_result::<bool>(&mut connection).await? {
        return Ok(None);
    }
    let row = users::table.filter(users::tenant_id.eq(scope.tenant)).filter(users::id.eq(user));
    let changed = diesel::update(row.filter(users::default_partner_id.is_distinct_from(partner)))
        .set((users::default_partner_id.eq(partner), users::updated_at.eq(diesel::dsl::now)))
        .execute(&mut connection)
        .await?;
    Ok(Some(changed > 0))
}

/// The partners of each user, those joined first before the others.
pub async fn partners_by_users(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    users: &[UserId],
) -> QueryResult<HashMap<UserId, Vec<PartnerId>>> {
    let rows: Vec<(UserId, PartnerId)> = partner_users::table
        .filter(partner_users::tenant_id.eq(scope.tenant))
        .filter(partner_users::user_id.eq_any(users))
        .filter(partner_users::removed_at.is_null())
        .order((partner_users::created_at, partner_users::partner_id))
        .select((partner_users::user_id, partner_users::partner_id))
        .load(&mut connection)
        .await?;
    Ok(group(rows.into_iter().filter(|(_, partner)| scope.includes(*partner)).collect()))
}

/// How to act for a partner in development: whose token, from which tenant, with which organisation.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Contact {
    /// The tenant's slug.
    pub tenant: String,
    /// The partner's organisation at the token issuer.
    pub organization: Option<String>,
    /// The `sub` of an owner, or else of a member.
    pub subject: Option<String>,
}

/// Finds the partner in whatever tenant it is; for the command line, as the tables' owner.
pub async fn contact(mut connection: &AsyncPgConnection, partner: PartnerId) -> QueryResult<Option<Contact>> {
    partners::table
        .inner_join(tenants::table)
        .left_join(
            partner_users::table.on(partner_users::tenant_id
                .eq(partners::tenant_id)
                .and(partner_users::partner_id.eq(partners::id))
                .and(partner_users::removed_at.is_null())),
        )
        .left_join(users::table.on(users::tenant_id.eq(partner_users::tenant_id).and(users::id.eq(partner_users::user_id))))
        .filter(partners::id.eq(partner))
        .order((partner_users::role.desc().nulls_last(), partner_users::created_at))
        .select((tenants::slug, partners::clerk_org_id, users::clerk_user_id.nullable()))
        .first(&mut connection)
        .await
        .optional()
}
