//! A partner's people.

use std::sync::Arc;

use async_graphql::{Context, SimpleObject};

use crate::{
    error::Result,
    graphql::{
        engine::{context::ContextExt, loaders::batch_key, scalars::DateTime},
        people::user::User,
    },
    ids::PartnerId,
    models::people::partner_user::{self, PartnerUserRole},
};

/// A person who acts for a partner.
#[derive(SimpleObject)]
pub struct PartnerUser {
    /// Who.
    user: User,
    /// As what.
    role: PartnerUserRole,
    /// The organisation at the sign-in service that the membership came from: it holds only for tokens that name that organisation, and its
    /// role follows them. Null where it was given here.
    clerk_org_id: Option<String>,
    /// When they were removed: since then they do not act for the partner. Null while they do.
    removed_at: Option<DateTime>,
}

impl From<partner_user::PartnerUser> for PartnerUser {
    fn from(partner_user::PartnerUser { user, membership }: partner_user::PartnerUser) -> Self {
        Self {
            user: User(Arc::new(user)),
            role: membership.role,
            clerk_org_id: membership.clerk_org_id,
            removed_at: membership.removed_at.map(DateTime::from),
        }
    }
}

impl PartnerUser {
    /// A partner's people, in the order in which they joined; removed ones only where they are requested.
    pub async fn of_partner(ctx: &Context<'_>, partner: PartnerId, include_removed: bool) -> Result<Vec<Self>> {
        let users = ctx.load(UsersByPartner(partner)).await?.unwrap_or_default();
        let shown = users.iter().filter(|user| include_removed || user.membership.removed_at.is_none());
        Ok(shown.cloned().map(Self::from).collect())
    }
}

batch_key!(UsersByPartner(PartnerId) -> Arc<[partner_user::PartnerUser]>, partner_user::by_partners);
