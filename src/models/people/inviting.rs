//! Inviting, and accepting: who may act for a partner by an invitation, and until when.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    invitation::{Invitation, InvitationToken, OPEN_FOR},
    partner_user::PartnerUserRole,
};
use crate::{
    db::{
        locks::{self, Named},
        schema::{partner_invitations, partner_users, users},
        statement::{Bind, condition, statement},
    },
    ids::{InvitationId, PartnerId},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// How many invitations of a partner may be open at once.
pub const MAX_OPEN: i64 = 50;

/// Who is to be invited.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Its id.
    pub id: InvitationId,
    /// To which partner.
    pub partner: PartnerId,
    /// The person's address.
    pub email: String,
    /// The role that it gives.
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
    /// The caller was removed from the partner since it was sent.
    Removed,
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

/// Accepts the invitation of a token as the caller, who is one of a partner's or of none yet.
pub async fn accept(mut connection: &AsyncPgConnection, token: &InvitationToken) -> QueryResult<Acceptance> {
    let binds = vec![Bind::text(hex::encode(token.hash()))];
    let sql = "SELECT partner_id, outcome FROM accept_invitation(decode(?, 'hex'))";
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
            "removed" => Acceptance::Removed,
            _ => Acceptance::Expired,
        },
    })
}

impl Books<'_> {
    /// Invites somebody to act for a partner in scope, once for each key. Who is invited already, as the same, stays so; where that has expired, it is renewed. Gives the
    /// invitation, and whether the token belongs to it.
    pub async fn invite(
        &self,
        scope: Scope,
        key: &IdempotencyKey,
        new: &NewInvitation,
        token: &InvitationToken,
    ) -> QueryResult<Result<(InvitationId, bool), InvitationFault>> {
        let Some(partner) = Partner::hold(self.connection, scope, new.partner).await? else {
            return Ok(Err(InvitationFault::UnknownPartner));
        };
        // Of two who invite one address at once the second finds the first's.
        locks::lock_names(self.connection, Named::Invitations, vec![new.partner.to_string()]).await?;
        if partner.status == PartnerStatus::Closed {
            return Ok(Err(InvitationFault::PartnerClosed));
        }
        let open = || {
            Invitation::query()
                .filter(partner_invitations::tenant_id.eq(self.tenant))
                .filter(partner_invitations::partner_id.eq(new.partner))
                .filter(partner_invitations::accepted_at.is_null())
                .filter(partner_invitations::revoked_at.is_null())
        };
        let same = open().filter(condition("email_key(partner_invitations.email) = email_key(?)", vec![Bind::text(&new.email)]));
        let same: Option<Invitation> = same.first(&mut &*self.connection).await.optional()?;
        let id = same.as_ref().map_or(new.id, |known| known.id);
        match key.claim(self.connection, Operation::InviteUser, self.tenant, scope.partner, id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => return Ok(Err(InvitationFault::KeyReused { first, difference })),
        }
        if self.acts_for(new.partner, &new.email).await? {
            return Ok(Err(InvitationFault::IsThere));
        }
        match same {
            Some(known) if known.expires_at > self.at && known.role != new.role => {
                return Ok(Err(InvitationFault::InvitedAs(known.role)));
            }
            Some(known) if known.expires_at > self.at => return Ok(Ok((known.id, false))),
            _ => {}
        }
        if self.open_invitations(new.partner).await? >= MAX_OPEN {
            return Ok(Err(InvitationFault::TooMany));
        }
        if same.is_some() {
            self.renew(id, new.role, token).await?;
            return Ok(Ok((id, true)));
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

    /// How many invitations of a partner are open.
    async fn open_invitations(&self, partner: PartnerId) -> QueryResult<i64> {
        partner_invitations::table
            .filter(partner_invitations::tenant_id.eq(self.tenant))
            .filter(partner_invitations::partner_id.eq(partner))
            .filter(partner_invitations::accepted_at.is_null())
            .filter(partner_invitations::revoked_at.is_null())
            .filter(partner_invitations::expires_at.gt(self.at))
            .count()
            .get_result(&mut &*self.connection)
            .await
    }

    /// Whether somebody with an address acts for a partner, whatever organisation their token names.
    async fn acts_for(&self, partner: PartnerId, email: &str) -> QueryResult<bool> {
        let people = partner_users::table
            .inner_join(users::table.on(users::tenant_id.eq(partner_users::tenant_id).and(users::id.eq(partner_users::user_id))))
            .filter(partner_users::tenant_id.eq(self.tenant))
            .filter(partner_users::partner_id.eq(partner))
            .filter(partner_users::removed_at.is_null())
            .filter(partner_users::clerk_org_id.is_null())
            .filter(condition("email_key(users.email) = email_key(?)", vec![Bind::text(email)]));
        diesel::select(diesel::dsl::exists(people)).get_result(&mut &*self.connection).await
    }

    /// Gives an invitation another token, once for each key, and begins its days anew. Gives whether the token belongs to it.
    pub async fn resend_invitation(
        &self,
        scope: Scope,
        key: &IdempotencyKey,
        id: InvitationId,
        token: &InvitationToken,
    ) -> QueryResult<Result<bool, InvitationFault>> {
        let Some(known) = self.locked_invitation(id).await? else { return Ok(Err(InvitationFault::NotFound)) };
        match key.claim(self.connection, Operation::ResendInvitation, self.tenant, scope.partner, id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(_) => return Ok(Ok(false)),
            Claim::Reused { first, difference } => return Ok(Err(InvitationFault::KeyReused { first, difference })),
        }
        if let Err(fault) = still_open(&known) {
            return Ok(Err(fault));
        }
        let partner = Partner::hold(self.connection, scope, known.partner_id).await?;
        if partner.is_none_or(|partner| partner.status == PartnerStatus::Closed) {
            return Ok(Err(InvitationFault::PartnerClosed));
        }
        if known.expires_at <= self.at && self.open_invitations(known.partner_id).await? >= MAX_OPEN {
            return Ok(Err(InvitationFault::TooMany));
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
                self.by.map(|by| partner_invitations::created_by.eq(by)),
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
