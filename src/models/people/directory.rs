//! What the sign-in service reports of users, organisations and memberships, in any order and more than once: of each the latest state is kept, and
//! what is deleted there stays deleted here.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;

use super::partner_user::PartnerUserRole;
use crate::{
    db::{
        locks::{self, Named},
        schema::directory_objects,
        statement::{Bind, statement},
    },
    models::ledger::books::Books,
};

/// A membership of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationMember {
    /// The user, by the sign-in service's id.
    pub subject: String,
    /// The organisation, by the sign-in service's id.
    pub organization: String,
}

/// What is reported of an object.
#[derive(Debug, Clone)]
pub struct ObjectState {
    /// When it was so.
    pub as_of: DateTime<Utc>,
    /// When that was reported.
    pub sent_at: DateTime<Utc>,
    /// Whether it is gone for good.
    pub is_deleted: bool,
    /// Of a user: whether they are banned.
    pub is_blocked: bool,
    /// Of a membership: whose and in what.
    pub membership: Option<OrganizationMember>,
    /// Of a membership: what the user is in the partner by it.
    pub role: Option<PartnerUserRole>,
}

impl ObjectState {
    /// One that is there.
    pub const fn present(as_of: DateTime<Utc>, sent_at: DateTime<Utc>) -> Self {
        Self { as_of, sent_at, is_deleted: false, is_blocked: false, membership: None, role: None }
    }

    /// One that is gone.
    pub fn deleted(at: DateTime<Utc>) -> Self {
        Self { is_deleted: true, ..Self::present(at, at) }
    }
}

/// What came of a membership of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The user is one of the partner's people.
    Yes,
    /// No partner has the organisation.
    NoPartner,
    /// The user has not signed in here.
    NoUser,
}

/// The directory of a tenant.
#[derive(Clone, Copy)]
pub struct Directory<'b, 'c>(pub &'b Books<'c>);

impl Directory<'_, '_> {
    /// Waits until no other transaction works on a user and their memberships.
    pub async fn lock(&self, subject: &str) -> QueryResult<()> {
        let name = format!("{} {subject}", self.0.tenant);
        locks::lock_names(self.0.connection, Named::Directory, vec![name]).await
    }

    /// Keeps the state of an object, unless a later one is known or it is deleted. Gives whether this is the latest.
    pub async fn note(&self, object: &str, state: &ObjectState) -> QueryResult<bool> {
        let (subject, organization) = state.membership.as_ref().map(|member| (&member.subject, &member.organization)).unzip();
        let upsert = diesel::insert_into(directory_objects::table)
            .values((
                directory_objects::tenant_id.eq(self.0.tenant),
                directory_objects::object_id.eq(object),
                directory_objects::as_of.eq(state.as_of),
                directory_objects::sent_at.eq(state.sent_at),
                directory_objects::is_deleted.eq(state.is_deleted),
                directory_objects::is_blocked.eq(state.is_blocked),
                directory_objects::subject.eq(subject),
                directory_objects::organization.eq(organization),
                directory_objects::role.eq(state.role),
            ))
            .on_conflict((directory_objects::tenant_id, directory_objects::object_id))
            .do_update()
            .set((
                directory_objects::as_of.eq(state.as_of),
                directory_objects::sent_at.eq(state.sent_at),
                directory_objects::is_deleted.eq(state.is_deleted),
                directory_objects::is_blocked.eq(state.is_blocked),
                subject.map(|subject| directory_objects::subject.eq(subject)),
                organization.map(|organization| directory_objects::organization.eq(organization)),
                directory_objects::role.eq(state.role),
            ));
        // Whatever is known of it, it is deleted now.
        let known_until = if state.is_deleted { state.as_of + TimeDelta::days(36_500) } else { state.as_of };
        let is_later = directory_objects::is_deleted.eq(false).and(
            directory_objects::as_of
                .lt(known_until)
                .or(directory_objects::as_of.eq(known_until).and(directory_objects::sent_at.le(state.sent_at))),
        );
        let changed = diesel::query_dsl::methods::FilterDsl::filter(upsert, is_later);
        Ok(changed.execute(&mut &*self.0.connection).await? > 0)
    }

    /// Says of a membership, of which it was only known that it is deleted, whose and in what it was. Gives whether that was not known.
    pub async fn complete(&self, object: &str, member: &OrganizationMember) -> QueryResult<bool> {
        let row = directory_objects::table.find((self.0.tenant, object)).filter(directory_objects::subject.is_null());
        diesel::update(row)
            .set((directory_objects::subject.eq(&member.subject), directory_objects::organization.eq(&member.organization)))
            .execute(&mut &*self.0.connection)
            .await
            .map(|count| count > 0)
    }

    /// Whether an object was deleted.
    pub async fn is_deleted(&self, object: &str) -> QueryResult<bool> {
        let row = directory_objects::table.find((self.0.tenant, object)).select(directory_objects::is_deleted);
        row.first(&mut &*self.0.connection).await.optional().map(Option::unwrap_or_default)
    }

    /// Whose and in what a membership was, as far as it was reported.
    pub async fn membership(&self, object: &str) -> QueryResult<Option<OrganizationMember>> {
        let found: Option<(Option<String>, Option<String>)> = directory_objects::table
            .find((self.0.tenant, object))
            .select((directory_objects::subject, directory_objects::organization))
            .first(&mut &*self.0.connection)
            .await
            .optional()?;
        Ok(found.and_then(|(subject, organization)| Some(OrganizationMember { subject: subject?, organization: organization? })))
    }

    /// What the user is by their latest membership of the organisation that was not deleted; `None` where they have none.
    pub async fn role_in(&self, member: &OrganizationMember) -> QueryResult<Option<PartnerUserRole>> {
        let role: Option<Option<PartnerUserRole>> = directory_objects::table
            .filter(directory_objects::tenant_id.eq(self.0.tenant))
            .filter(directory_objects::subject.eq(&member.subject))
            .filter(directory_objects::organization.eq(&member.organization))
            .filter(directory_objects::is_deleted.eq(false))
            .order((directory_objects::as_of.desc(), directory_objects::object_id))
            .select(directory_objects::role)
            .first(&mut &*self.0.connection)
            .await
            .optional()?;
        Ok(role.flatten())
    }

    /// Takes up a user's name and verified address, and raises their version. Gives whether there is such a user.
    pub async fn update_user(&self, subject: &str, name: Option<&str>, email: Option<&str>) -> QueryResult<bool> {
        let text = |value: Option<&str>| Bind::Text(value.map(str::to_owned));
        let binds = vec![self.tenant(), Bind::text(subject), text(name), text(email), Bind::Time(self.0.at)];
        let is_known =
            statement::<Bool>("SELECT directory_user(?, ?, ?, ?, ?)", binds).get_result(&mut &*self.0.connection).await?;
        self.raise_version(subject).await?;
        Ok(is_known)
    }

    /// Raises a user's version, so that no server goes by what it remembers of them.
    pub async fn raise_version(&self, subject: &str) -> QueryResult<()> {
        let binds = vec![self.tenant(), Bind::text(subject)];
        let raise = statement::<Nullable<Text>>("SELECT directory_raise_version(?, ?)::text", binds);
        raise.execute(&mut &*self.0.connection).await.map(drop)
    }

    /// Makes a user one of the people of the partner that has an organisation, as its member there.
    pub async fn join(&self, member: &OrganizationMember, role: PartnerUserRole) -> QueryResult<Joined> {
        let binds = vec![self.tenant(), Bind::text(&member.subject), Bind::text(&member.organization), Bind::text(role.as_str())];
        let joined: String =
            statement::<Text>("SELECT directory_join(?, ?, ?, ?)", binds).get_result(&mut &*self.0.connection).await?;
        Ok(match joined.as_str() {
            "joined" => Joined::Yes,
            "no user" => Joined::NoUser,
            _ => Joined::NoPartner,
        })
    }

    /// Ends a user's memberships, or those that came from an organisation, or the one that is both; gives how many.
    pub async fn leave(&self, subject: Option<&str>, organization: Option<&str>) -> QueryResult<i64> {
        let text = |value: Option<&str>| Bind::Text(value.map(str::to_owned));
        let binds = vec![self.tenant(), text(subject), text(organization), Bind::Time(self.0.at)];
        statement::<BigInt>("SELECT directory_leave(?, ?, ?, ?)", binds).get_result(&mut &*self.0.connection).await
    }

    /// Lets the partner of an organisation have none; gives whether a partner had it.
    pub async fn drop_organization(&self, organization: &str) -> QueryResult<bool> {
        let binds = vec![self.tenant(), Bind::text(organization)];
        statement::<Bool>("SELECT directory_drop_organization(?, ?)", binds).get_result(&mut &*self.0.connection).await
    }

    fn tenant(self) -> Bind {
        Bind::Uuid(self.0.tenant.uuid())
    }
}
