//! Finds and registers the person that a verified token names. A found caller continues under their own role; registering runs as the role
//! `portal_gate`, which sees no more than it needs.

use diesel::{
    deserialize::Queryable,
    prelude::*,
    sql_types::{BigInt, Bool, Nullable, Numeric, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    partner_user::PartnerUserRole,
    tenant::{PartnerOnSignup, Tenant},
};
use crate::{
    db::{
        schema::{partner_profiles, partner_users, partners, referrals, users},
        session::{Announced, PARTNER},
        statement::{Bind, statement},
    },
    ids::{PartnerId, ReferralId, UserId},
    models::{
        affiliates::{invite_code::InviteCode, referral::ReferralMeans},
        partners::status::PartnerStatus,
    },
};

/// What a token says that matters for finding its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignIn {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// The tenant's slug, where the token names one.
    pub tenant: Option<String>,
    /// The active organisation's id.
    pub organization: Option<String>,
    /// What the bearer is there, as far as the token says.
    pub organization_role: Option<PartnerUserRole>,
    /// The bearer's e-mail address.
    pub email: Option<String>,
    /// Whether the issuer says that it has verified the address.
    pub is_email_verified: bool,
    /// The bearer's name.
    pub name: Option<String>,
    /// With whose invite code the bearer signed up, where the token says so.
    pub invite_code: Option<String>,
    /// The database role of staff and machines of the tenant, who belong to no partner.
    pub staff_role: Option<&'static str>,
}

/// A tenant that a token may be for, and what is known there of its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Identity {
    /// The tenant.
    pub tenant: Tenant,
    /// The user, once registered.
    pub user_id: Option<UserId>,
    /// The stored e-mail address.
    pub email: Option<String>,
    /// The stored name.
    pub user_name: Option<String>,
    /// The partner of the active organisation, else the user's default one.
    pub partner_id: Option<PartnerId>,
    /// Its status.
    pub partner_status: Option<PartnerStatus>,
    /// What the user is there; `None` where they do not belong to it, or not by this token.
    pub partner_role: Option<PartnerUserRole>,
    /// The organisation that the membership came from; `None` where it was given here.
    pub membership_organization: Option<String>,
    /// Whether it is the partner of the active organisation, of which the token says that the user is a member.
    pub is_active_organization: bool,
    /// Whether the user was removed from it.
    pub is_removed: bool,
    /// Whether the bearer's verified address is that of an invited member or person, or of a customer of whom no user is known.
    pub is_invited: bool,
    /// The version of all this, invitations left out: while it is the same, nothing has changed.
    pub version: Option<i64>,
    /// What has been announced to PostgreSQL of the caller in this transaction.
    pub announced: Announced,
}

type TenantColumns = (SqlUuid, Text, Text, Text, Text, Numeric, Text, Text);
type IdentityColumns = (
    TenantColumns,
    Nullable<SqlUuid>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<SqlUuid>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Bool,
    Bool,
    Bool,
    Nullable<BigInt>,
    (Text, Text, Text, Text),
);

impl Identity {
    /// The tenants that the token may be for: one, unless it fails to name one of several. The same statement announces the
    /// bearer to PostgreSQL for the rest of the transaction: by the role that the token gives, and by the ids that were found.
    pub async fn find(mut connection: &AsyncPgConnection, sign_in: &SignIn) -> QueryResult<Vec<Self>> {
        let text = |value: &str| Bind::text(value);
        let role = sign_in.staff_role.unwrap_or(PARTNER);
        statement::<IdentityColumns>(
            "SELECT bearer.*, set_config('role', ?, true), set_config('app.tenant_id', tenant_id::text, true),
                 set_config('app.partner_id', coalesce(CASE WHEN ? = 'portal_partner' AND partner_role IS NOT NULL THEN partner_id END,
                     '00000000-0000-0000-0000-000000000000')::text, true),
                 set_config('app.user_id', coalesce(user_id, '00000000-0000-0000-0000-000000000000')::text, true)
             FROM portal_caller(?, ?, ?, ?, ?) AS bearer",
            vec![
                text(role),
                text(role),
                text(&sign_in.issuer),
                text(&sign_in.subject),
                Bind::Text(sign_in.organization.clone()),
                Bind::Text(sign_in.tenant.clone()),
                Bind::Text(sign_in.verified_email().map(str::to_owned)),
            ],
        )
        .load(&mut connection)
        .await
    }

    /// Whether the identity is still current. The same statement announces the caller to PostgreSQL, as [`Identity::find`] did; where it is not
    /// current, it announces a caller who sees nothing. It takes half as long as finding them: one row, read by its key.
    pub async fn is_current(&self, mut connection: &AsyncPgConnection, says: &SignIn) -> QueryResult<bool> {
        let Announced { role, tenant, partner, user } = &self.announced;
        let [tenant, partner, user] = [tenant, partner, user].map(Bind::text);
        let address = Bind::Text(says.verified_email().filter(|_| says.staff_role.is_none()).map(str::to_owned));
        statement::<(Bool, Text, Text, Text, Text)>(
            "SELECT is_current, set_config('role', ?, true),
                 set_config('app.tenant_id', CASE WHEN is_current THEN ? ELSE '00000000-0000-0000-0000-000000000000' END, true),
                 set_config('app.partner_id', ?, true), set_config('app.user_id', ?, true)
             FROM (SELECT coalesce((SELECT version = ? FROM caller_versions WHERE tenant_id = ? AND user_id = ?), false)
                 AND NOT coalesce(portal_is_invited(?, ?), false) AND NOT coalesce(portal_is_awaited(?, ?, ?), false) AS is_current OFFSET 0) AS seen",
            vec![
                Bind::text(role),
                tenant,
                partner,
                user,
                Bind::BigInt(self.version.unwrap_or(-1)),
                Bind::Uuid(self.tenant.id.uuid()),
                Bind::OptionalUuid(self.user_id.map(UserId::uuid)),
                Bind::Uuid(self.tenant.id.uuid()),
                address.clone(),
                Bind::Uuid(self.tenant.id.uuid()),
                address,
                Bind::OptionalUuid(self.user_id.map(UserId::uuid)),
            ],
        )
        .get_result::<(bool, String, String, String, String)>(&mut connection)
        .await
        .map(|(is_current, ..)| is_current)
    }

    /// Whether the token vouches for a membership that is not registered yet, or not as it says. A person who was removed stays removed.
    fn joins(&self, sign_in: &SignIn) -> bool {
        let differs = |role| self.membership_organization.is_some() && sign_in.organization_role.is_some_and(|said| said != role);
        self.is_active_organization && !self.is_removed && self.partner_role.is_none_or(differs)
    }

    /// Whether the token says something that is to be stored.
    pub fn must_sign_in(&self, says: &SignIn) -> bool {
        let newer = |said: &Option<String>, stored: &Option<String>| said.is_some() && said != stored;
        let joins = says.staff_role.is_none() && (self.joins(says) || self.is_invited);
        self.user_id.is_none() || joins || newer(&says.email, &self.email) || newer(&says.name, &self.user_name)
    }
}

impl SignIn {
    /// The address, if the issuer has verified it.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.is_email_verified)
    }

    /// Registers the bearer in the tenant of `found`, or brings what is stored up to date: the user; membership of the partner
    /// whose organisation the token vouches for, with the role that it says; or, for a new user without one, a partner of their own if the
    /// tenant wants it and nobody has invited them. Members that were invited under the bearer's verified address become the bearer.
    ///
    /// Two first requests at once make one user and one partner: the second waits at the user's unique key and then finds them. A user who
    /// was there before is locked last, as in every change of a membership, so that the two cannot deadlock.
    pub async fn register(&self, connection: &AsyncPgConnection, found: &Identity) -> QueryResult<()> {
        let (user, is_new) = match found.user_id {
            Some(user) => (user, false),
            None => self.add_user(connection, found).await?,
        };
        let mut default_partner = None;
        if self.staff_role.is_none() {
            let is_invited = self.accept_invitations(connection, found, user).await?;
            self.link_members(connection, found, user).await?;
            self.link_customers(connection, found, user).await?;
            if is_new {
                self.refer(connection, found, user).await?;
            }
            let on_signup = match found.tenant.partner_on_signup {
                PartnerOnSignup::None => None,
                PartnerOnSignup::Pending => Some(PartnerStatus::Pending),
                PartnerOnSignup::Active => Some(PartnerStatus::Active),
            };
            let on_signup = on_signup.filter(|_| !is_invited);
            default_partner = match (found.partner_id.filter(|_| found.joins(self)), on_signup.filter(|_| is_new)) {
                (Some(partner), _) => {
                    let role = self.organization_role.unwrap_or(PartnerUserRole::Member);
                    self.join(connection, found, user, partner, role, self.organization.as_deref()).await?;
                    Some(partner)
                }
                (None, Some(status)) => Some(self.found_partner(connection, found, user, status).await?),
                (None, None) => None,
            };
        }
        self.update_user(connection, found, user, default_partner).await
    }

    /// The new user, and whether it was added now rather than by a concurrent request, or by an import that had the bearer's verified address.
    async fn add_user(&self, mut connection: &AsyncPgConnection, found: &Identity) -> QueryResult<(UserId, bool)> {
        if let Some(imported) = self.claim_imported(connection, found).await? {
            return Ok((imported, false));
        }
        let fresh = UserId::new();
        let user: UserId = diesel::insert_into(users::table)
            .values((
                users::tenant_id.eq(found.tenant.id),
                users::id.eq(fresh),
                users::clerk_user_id.eq(&self.subject),
                users::email.eq(&self.email),
                users::name.eq(&self.name),
            ))
            .on_conflict((users::tenant_id, users::clerk_user_id))
            .do_update()
            .set(users::updated_at.eq(diesel::dsl::now))
            .returning(users::id)
            .get_result(&mut connection)
            .await?;
        Ok((user, user == fresh))
    }

    /// The imported user of the bearer's verified address, who is the bearer from now on.
    async fn claim_imported(&self, mut connection: &AsyncPgConnection, found: &Identity) -> QueryResult<Option<UserId>> {
        let Some(email) = self.verified_email() else { return Ok(None) };
        let binds = vec![Bind::Uuid(found.tenant.id.uuid()), Bind::text(&self.subject), Bind::text(email)];
        statement::<Nullable<SqlUuid>>("SELECT claim_imported_user(?, ?, ?)", binds).get_result(&mut connection).await
    }

    /// Takes up what the token says of the person; `partner` becomes the one that they act for if there was none.
    async fn update_user(
        &self,
        mut connection: &AsyncPgConnection,
        found: &Identity,
        user: UserId,
        partner: Option<PartnerId>,
    ) -> QueryResult<()> {
        let row = || users::table.filter(users::tenant_id.eq(found.tenant.id)).filter(users::id.eq(user));
        diesel::update(row())
            .set((
                self.email.as_ref().map(|email| users::email.eq(email)),
                self.name.as_ref().map(|name| users::name.eq(name)),
                users::updated_at.eq(diesel::dsl::now),
            ))
            .execute(&mut connection)
            .await?;
        if let Some(partner) = partner {
            diesel::update(row().filter(users::default_partner_id.is_null()))
                .set(users::default_partner_id.eq(partner))
                .execute(&mut connection)
                .await?;
        }
        Ok(())
    }

    /// A new user was referred by the owner of the code that they signed up with; a code that is nobody's is none. Nobody can have been referred by
    /// a user who is new, so there is no circle.
    async fn refer(&self, mut connection: &AsyncPgConnection, found: &Identity, user: UserId) -> QueryResult<()> {
        let Some(code) = &self.invite_code else { return Ok(()) };
        let Some(referrer) = InviteCode::owner(connection, found.tenant.id, code).await? else {
            tracing::info!(%user, "the token has an invite code that is nobody's");
            return Ok(());
        };
        diesel::insert_into(referrals::table)
            .values((
                referrals::tenant_id.eq(found.tenant.id),
                referrals::id.eq(ReferralId::new()),
                referrals::user_id.eq(user),
                referrals::referrer_id.eq(referrer),
                referrals::means.eq(ReferralMeans::Claimed),
                referrals::code.eq(code),
                referrals::signed_up_at.eq(diesel::dsl::now),
                referrals::valid_from.eq(diesel::dsl::now),
            ))
            .execute(&mut connection)
            .await
            .map(drop)
    }

    /// Makes the user one of the partner's people. A membership that came from an organisation comes from this one now, with this role; one that
    /// was given here stays, and so does a removal.
    async fn join(
        &self,
        mut connection: &AsyncPgConnection,
        found: &Identity,
        user: UserId,
        partner: PartnerId,
        role: PartnerUserRole,
        organization: Option<&str>,
    ) -> QueryResult<()> {
        diesel::insert_into(partner_users::table)
            .values((
                partner_users::tenant_id.eq(found.tenant.id),
                partner_users::partner_id.eq(partner),
                partner_users::user_id.eq(user),
                partner_users::role.eq(role),
                partner_users::clerk_org_id.eq(organization),
            ))
            .on_conflict_do_nothing()
            .execute(&mut connection)
            .await?;
        diesel::update(partner_users::table)
            .filter(partner_users::tenant_id.eq(found.tenant.id))
            .filter(partner_users::partner_id.eq(partner))
            .filter(partner_users::user_id.eq(user))
            .filter(partner_users::removed_at.is_null().and(partner_users::clerk_org_id.is_not_null()))
            .filter(partner_users::role.ne(role).or(partner_users::clerk_org_id.is_distinct_from(organization)))
            .set((partner_users::role.eq(role), partner_users::clerk_org_id.eq(organization)))
            .execute(&mut connection)
            .await
            .map(drop)
    }

    async fn found_partner(
        &self,
        mut connection: &AsyncPgConnection,
        found: &Identity,
        user: UserId,
        status: PartnerStatus,
    ) -> QueryResult<PartnerId> {
        let partner = PartnerId::new();
        let company: String = self.name.as_deref().or(self.email.as_deref()).unwrap_or("New partner").chars().take(200).collect();
        diesel::insert_into(partners::table)
            .values((
                partners::tenant_id.eq(found.tenant.id),
                partners::id.eq(partner),
                partners::company_name.eq(company),
                partners::status.eq(status),
                partners::commission_rate.eq(found.tenant.default_commission_rate),
            ))
            .execute(&mut connection)
            .await?;
        diesel::insert_into(partner_profiles::table)
            .values((
                partner_profiles::tenant_id.eq(found.tenant.id),
                partner_profiles::partner_id.eq(partner),
                partner_profiles::contact_name.eq(&self.name),
                partner_profiles::contact_email.eq(&self.email),
            ))
            .execute(&mut connection)
            .await?;
        self.join(connection, found, user, partner, PartnerUserRole::Owner, None).await?;
        Ok(partner)
    }
}
