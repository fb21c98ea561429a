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
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::partner_user::PartnerUserRole;
use crate::{
    db::schema::partner_invitations,
    error::{Error, Result},
    ids::{InvitationId, PartnerId, UserId},
    models::{
        list::{Conditions, Filter, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// For how long an invitation is open.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(14);
/// How many random bytes are in a token.
const LENGTH: usize = 32;

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum InvitationStatus {
    /// It can be accepted.
    Open,
    /// A person has accepted it.
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
    /// The person's address.
    pub email: String,
    /// The role that it gives.
    pub role: PartnerUserRole,
    /// Who has made its link.
    pub created_by: UserId,
    /// When the person was invited first.
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

    /// What the database keeps of it.
    pub fn hash(&self) -> Vec<u8> {
        digest(&SHA256, self.0.as_bytes()).as_ref().to_vec()
    }
}

impl Invitation {
    /// Its status at an instant.
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
