//! Invitations: people who are to act for a partner and may have no user yet.
//!
//! An invitation is for an address, and for the person who has the token in its link: somebody who signs in with the address, verified by the issuer, has
//! accepted it, and so has somebody who gives the token. Of the token its hash is kept.

use std::collections::HashMap;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::partner_user::PartnerUserRole;
use crate::{
    db::{
        schema::{partner_invitations, partner_users, users},
        statement::{Bind, condition, statement},
    },
    error::{Error, Result},
    ids::{InvitationId, PartnerId, UserId},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
        list::{Conditions, Filter, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// For how long an invitation is open.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(14);
/// How many invitations of a partner may be open at once.
pub const MAX_OPEN: i64 = 50;
/// How many random bytes are in a token.
const LENGTH: usize = 32;

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum InvitationStatus {
    /// It can be accepted.
    Open,
    /// The person acts for the partner since.
    Accepted,
    /// Somebody has taken it back.
    Revoked,
    /// Nobody has accepted it in time. It can be sent again.
    Expired,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_invitations)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// To which partner.
    pub partner_id: PartnerId,
    /// Whose address.
    pub email: String,
    /// As what.
    pub role: PartnerUserRole,
    /// Who invites.
    pub created_by: UserId,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When its link was made.
    pub sent_at: DateTime<Utc>,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
    /// When it was accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// By whom.
    pub accepted_by: Option<UserId>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// All invitations of a partner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct InvitationFilter;

/// By when they were made.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "partner_invitations.created_at", id: "partner_invitations.id", kind: KeyKind::Time };

impl InvitationFilter {
    /// What holds for each of them.
    #[expect(clippy::unused_self, reason = "as all filters have it")]
    fn conditions(&self, scope: Scope) -> Conditions<'_, partner_invitations::table> {
        Conditions::of(partner_invitations::tenant_id.eq(scope.tenant))
    }
}

impl Filter for InvitationFilter {
    type Row = Invitation;

    fn cursor(row: &Self::Row, page: &Page) -> Cursor {
        page.cursor(Key::Time(row.created_at), row.id.uuid())
    }
}

list_below!(InvitationFilter => Invitation; partner_invitations; PartnerId, "partner_invitations.partner_id");

/// The secret in an invitation's link. Its `Debug` shows nothing of it.
pub struct InvitationToken(String);

impl std::fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InvitationToken")
    }
}

impl InvitationToken {
    /// A new one.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; LENGTH];
        rand::fill(&mut bytes).map_err(|_| Error::internal("no random bytes could be had"))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that somebody gives.
    pub fn given(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text in the link.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> Vec<u8> {
        digest(&SHA256, self.0.as_bytes()).as_ref().to_vec()
    }
}

/// Who is to be invited.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Its id.
    pub id: InvitationId,
    /// To which partner.
    pub partner: PartnerId,
    /// Whose address.
    pub email: String,
    /// As what.
    pub role: PartnerUserRole,
}

/// Why somebody is not invited, or an invitation stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationFault {
    /// There is no such partner.
    UnknownPartner,
    /// The partner is closed.
    PartnerClosed,
    /// There is no such invitation.
    NotFound,
    /// Somebody with this address, as the issuer has given it, acts for the partner.
    IsThere,
    /// They are invited as something else.
    InvitedAs(PartnerUserRole),
    /// [`MAX_OPEN`] are open.
    TooMany,
    /// It was accepted then.
    Accepted(DateTime<Utc>),
    /// It was taken back then.
    Revoked(DateTime<Utc>),
    /// The idempotency key was used for something else.
    KeyReused {
        /// What was made with it.
        first: Uuid,
        /// Where that differs.
        difference: Difference,
    },
}

/// What came of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// The caller acts for the partner from now on.
    Joined(PartnerId),
    /// The caller has accepted it before.
    Replayed(PartnerId),
    /// Somebody else has accepted it.
    Taken,
    /// It was taken back.
    Revoked,
    /// It was not accepted in time.
    Expired,
    /// The partner is closed.
    Closed,
    /// There is none of this token.
    Unknown,
}

impl Invitation {
    /// What became of it by an instant.
    pub fn status(&self, now: DateTime<Utc>) -> InvitationStatus {
        match (self.accepted_at, self.revoked_at) {
            (Some(_), _) => InvitationStatus::Accepted,
            (None, Some(_)) => InvitationStatus::Revoked,
            (None, None) if self.expires_at <= now => InvitationStatus::Expired,
            (None, None) => InvitationStatus::Open,
        }
    }

    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[InvitationId],
    ) -> QueryResult<HashMap<InvitationId, Self>> {
        let query =
            Self::query().filter(partner_invitations::tenant_id.eq(scope.tenant)).filter(partner_invitations::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }
}

/// Accepts the invitation of a token as the caller, who is one of a partner's or of none yet.
pub async fn accept(mut connection: &AsyncPgConnection, token: &InvitationToken, at: DateTime<Utc>) -> QueryResult<Acceptance> {
    let binds = vec![Bind::text(hex::encode(token.hash())), Bind::Time(at)];
    let sql = "SELECT partner_id, outcome FROM accept_invitation(decode(?, 'hex'), ?)";
    let found: Option<(PartnerId, String)> =
        statement::<(SqlUuid, Text)>(sql, binds).get_result(&mut connection).await.optional()?;
    Ok(match found {
        None => Acceptance::Unknown,
        Some((partner, outcome)) => match outcome.as_str() {
            "joined" => Acceptance::Joined(partner),
            "replayed" => Acceptance::Replayed(partner),
            "taken" => Acceptance::Taken,
            "revoked" => Acceptance::Revoked,
            "closed" => Acceptance::Closed,
            _ => Acceptance::Expired,
        },
    })
}

impl Books<'_> {
    /// Invites somebody to act for a partner in scope. Who is invited already, as the same, stays so; where that has expired, it is renewed. Gives the
    /// invitation, and whether the token is its.
    pub async fn invite(
        &self,
        scope: Scope,
        new: &NewInvitation,
        token: &InvitationToken,
    ) -> QueryResult<Result<(InvitationId, bool), InvitationFault>> {
        let Some(partner) = Partner::hold(self.connection, scope, new.partner).await? else {
            return Ok(Err(InvitationFault::UnknownPartner));
        };
        // Of two who invite one address at once the second finds the first's.
        let binds = vec![Bind::text(new.partner.to_string())];
        statement::<Text>("SELECT pg_advisory_xact_lock(hashtextextended('invitations ' || ?, 0))::text", binds)
            .execute(&mut &*self.connection)
            .await?;
        if partner.status == PartnerStatus::Closed {
            return Ok(Err(InvitationFault::PartnerClosed));
        }
        if self.acts_for(new.partner, &new.email).await? {
            return Ok(Err(InvitationFault::IsThere));
        }
        let open = || {
            Invitation::query()
                .filter(partner_invitations::tenant_id.eq(self.tenant))
                .filter(partner_invitations::partner_id.eq(new.partner))
                .filter(partner_invitations::accepted_at.is_null())
                .filter(partner_invitations::revoked_at.is_null())
        };
        let all: Vec<Invitation> = open().load(&mut &*self.connection).await?;
        let same = open().filter(condition("email_key(partner_invitations.email) = email_key(?)", vec![Bind::text(&new.email)]));
        let same: Option<Invitation> = same.first(&mut &*self.connection).await.optional()?;
        if let Some(known) = same {
            if known.expires_at > self.at && known.role != new.role {
                return Ok(Err(InvitationFault::InvitedAs(known.role)));
            }
            if known.expires_at > self.at {
                return Ok(Ok((known.id, false)));
            }
            self.renew(known.id, new.role, token).await?;
            return Ok(Ok((known.id, true)));
        }
        if i64::try_from(all.iter().filter(|known| known.expires_at > self.at).count()).unwrap_or(MAX_OPEN) >= MAX_OPEN {
            return Ok(Err(InvitationFault::TooMany));
        }
        self.announce_token(token).await?;
        diesel::insert_into(partner_invitations::table)
            .values((
                partner_invitations::tenant_id.eq(self.tenant),
                partner_invitations::id.eq(new.id),
                partner_invitations::partner_id.eq(new.partner),
                partner_invitations::email.eq(&new.email),
                partner_invitations::role.eq(new.role),
                partner_invitations::token_hash.eq(token.hash()),
                partner_invitations::created_by.eq(self.by.unwrap_or_else(|| Uuid::nil().into())),
                partner_invitations::created_at.eq(self.at),
                partner_invitations::sent_at.eq(self.at),
                partner_invitations::expires_at.eq(self.at + OPEN_FOR),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok((new.id, true)))
    }

    /// Whether somebody with an address acts for a partner.
    async fn acts_for(&self, partner: PartnerId, email: &str) -> QueryResult<bool> {
        let people = partner_users::table
            .inner_join(users::table.on(users::tenant_id.eq(partner_users::tenant_id).and(users::id.eq(partner_users::user_id))))
            .filter(partner_users::tenant_id.eq(self.tenant))
            .filter(partner_users::partner_id.eq(partner))
            .filter(partner_users::removed_at.is_null())
            .filter(condition("email_key(users.email) = email_key(?)", vec![Bind::text(email)]));
        diesel::select(diesel::dsl::exists(people)).get_result(&mut &*self.connection).await
    }

    /// Gives an invitation another token, once for each key, and begins its days anew. Gives whether the token is its.
    pub async fn resend_invitation(
        &self,
        key: &IdempotencyKey,
        id: InvitationId,
        token: &InvitationToken,
    ) -> QueryResult<Result<bool, InvitationFault>> {
        let Some(known) = self.locked_invitation(id).await? else { return Ok(Err(InvitationFault::NotFound)) };
        match key.claim(self.connection, Operation::ResendInvitation, self.tenant, Some(known.partner_id), id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(_) => return Ok(Ok(false)),
            Claim::Reused { first, difference } => return Ok(Err(InvitationFault::KeyReused { first, difference })),
        }
        if let Err(fault) = still_open(&known) {
            return Ok(Err(fault));
        }
        self.renew(id, known.role, token).await?;
        Ok(Ok(true))
    }

    /// Takes an invitation back; gives whether it was not taken back already.
    pub async fn revoke_invitation(&self, id: InvitationId) -> QueryResult<Result<bool, InvitationFault>> {
        let Some(known) = self.locked_invitation(id).await? else { return Ok(Err(InvitationFault::NotFound)) };
        match still_open(&known) {
            Err(InvitationFault::Revoked(_)) => return Ok(Ok(false)),
            Err(fault) => return Ok(Err(fault)),
            Ok(()) => {}
        }
        diesel::update(partner_invitations::table.find((self.tenant, id)))
            .set((partner_invitations::revoked_at.eq(Some(self.at)), partner_invitations::revoked_by.eq(self.by)))
            .execute(&mut &*self.connection)
            .await
            .map(|_| Ok(true))
    }

    async fn locked_invitation(&self, id: InvitationId) -> QueryResult<Option<Invitation>> {
        let row =
            Invitation::query().filter(partner_invitations::tenant_id.eq(self.tenant)).filter(partner_invitations::id.eq(id));
        row.for_no_key_update().first(&mut &*self.connection).await.optional()
    }

    async fn renew(&self, id: InvitationId, role: PartnerUserRole, token: &InvitationToken) -> QueryResult<()> {
        self.announce_token(token).await?;
        diesel::update(partner_invitations::table.find((self.tenant, id)))
            .set((
                partner_invitations::role.eq(role),
                partner_invitations::token_hash.eq(token.hash()),
                partner_invitations::sent_at.eq(self.at),
                partner_invitations::expires_at.eq(self.at + OPEN_FOR),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// The event of the change carries the token.
    async fn announce_token(&self, token: &InvitationToken) -> QueryResult<()> {
        let announce = statement::<Text>("SELECT set_config('app.invitation_token', ?, true)", vec![Bind::text(token.text())]);
        announce.execute(&mut &*self.connection).await.map(drop)
    }
}

fn still_open(invitation: &Invitation) -> Result<(), InvitationFault> {
    match (invitation.accepted_at, invitation.revoked_at) {
        (Some(at), _) => Err(InvitationFault::Accepted(at)),
        (None, Some(at)) => Err(InvitationFault::Revoked(at)),
        (None, None) => Ok(()),
    }
}
