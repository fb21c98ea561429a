//! Who acts for which partner.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{page::group, scope::Scope, user::User};
use crate::{
    db::schema::{partner_users, partners, tenants, users},
    ids::{PartnerId, UserId},
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

/// A person in a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerUser {
    /// Who.
    pub user: User,
    /// As what.
    pub role: PartnerUserRole,
}

/// The people of each partner, those who came first before the others.
pub async fn by_partners(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    partners: &[PartnerId],
) -> QueryResult<HashMap<PartnerId, Vec<PartnerUser>>> {
    let rows: Vec<(PartnerId, PartnerUserRole, User)> = partner_users::table
        .inner_join(users::table.on(users::tenant_id.eq(partner_users::tenant_id).and(users::id.eq(partner_users::user_id))))
        .filter(partner_users::tenant_id.eq(scope.tenant))
        .filter(partner_users::partner_id.eq_any(partners))
        .order((partner_users::created_at, partner_users::user_id))
        .select((partner_users::partner_id, partner_users::role, User::as_select()))
        .load(&mut connection)
        .await?;
    let visible = rows.into_iter().filter(|(partner, ..)| scope.includes(*partner));
    Ok(group(visible.map(|(partner, role, user)| (partner, PartnerUser { user, role })).collect()))
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
            partner_users::table
                .on(partner_users::tenant_id.eq(partners::tenant_id).and(partner_users::partner_id.eq(partners::id))),
        )
        .left_join(users::table.on(users::tenant_id.eq(partner_users::tenant_id).and(users::id.eq(partner_users::user_id))))
        .filter(partners::id.eq(partner))
        .order((partner_users::role.desc().nulls_last(), partner_users::created_at))
        .select((tenants::slug, partners::clerk_org_id, users::clerk_user_id.nullable()))
        .first(&mut connection)
        .await
        .optional()
}
