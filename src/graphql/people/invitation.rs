//! Invitations, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::user::User;
use crate::{
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            row::{Row, plain},
            scalars::DateTime,
        },
        partners::partner::Partner,
    },
    ids::{InvitationId, PartnerId},
    models::{
        page::{Page, PageArguments},
        people::{
            invitation::{self, BY_CREATED, InvitationFilter, InvitationStatus},
            partner_user::PartnerUserRole,
        },
    },
};

/// An invitation.
#[derive(Clone)]
pub struct Invitation(pub Arc<invitation::Invitation>);

/// An invitation of a person to act for a partner. It is accepted when the person first signs in with the address, verified by the sign-in service; a person
/// who acts for a partner already, or signs in with another address, accepts it by the token of its link (`acceptInvitation`). It expires fourteen days after
/// its link was made.
#[Object]
impl Invitation {
    /// Its id.
    pub async fn id(&self) -> InvitationId {
        self.0.id
    }

    /// The partner. Null where you do not see it.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, self.0.partner_id).await.transpose()
    }

    /// The address of the person.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// The role that it gives.
    async fn role(&self) -> PartnerUserRole {
        self.0.role
    }

    /// Its status.
    async fn status(&self, ctx: &Context<'_>) -> InvitationStatus {
        self.0.status(ctx.now())
    }

    /// Who made its link. Null where you do not see them.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by).await.transpose()
    }

    /// When they were invited first.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its link was made; earlier ones are void.
    async fn sent_at(&self) -> DateTime {
        self.0.sent_at.into()
    }

    /// When it expires.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// When it was accepted. Null where it was not.
    async fn accepted_at(&self) -> Option<DateTime> {
        self.0.accepted_at.map(DateTime)
    }

    /// Who has accepted it. Null where nobody has.
    async fn accepted_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.accepted_by?).await.transpose()
    }

    /// When it was taken back. Null where it was not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime)
    }
}

leaf_enums!(InvitationStatus);

impl Invitation {
    /// The invitation of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: InvitationId) -> Result<Option<Self>> {
        Ok(ctx.load(InvitationById(id)).await?.map(Self))
    }

    /// One page of a partner's invitations, the latest first, fetched together with those of its siblings.
    pub async fn of_partner(ctx: &Context<'_>, partner: PartnerId, arguments: PageArguments) -> Result<Connection<Self>> {
        lists::nested(ctx, partner, InvitationFilter, Page::new(BY_CREATED, true, arguments)?).await
    }
}

batch_key!(InvitationById(InvitationId) -> Arc<invitation::Invitation>, invitation::Invitation::by_ids);

plain!(Invitation: id, email, created_at, sent_at, expires_at, accepted_at, revoked_at);

impl From<Arc<invitation::Invitation>> for Invitation {
    fn from(row: Arc<invitation::Invitation>) -> Self {
        Self(row)
    }
}

impl Listed for Invitation {
    type Beside = TotalCount;
}

impl Shown for InvitationFilter {}
