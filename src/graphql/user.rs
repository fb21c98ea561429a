//! Users as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{
    context::ContextExt,
    loaders::batch_key,
    partner::Partner,
    row::Row,
    scalars::{DateTime, EmailAddress},
};
use crate::{
    error::Result,
    ids::{PartnerId, UserId},
    models::{self, partner_user},
};

/// A user.
#[derive(Clone)]
pub struct User(pub Arc<models::user::User>);

/// A person, or a machine, that has signed in.
#[Object]
impl User {
    /// Its id.
    pub async fn id(&self) -> UserId {
        self.0.id
    }

    /// The e-mail address that the sign-in service vouches for. Null where it gives none.
    async fn email(&self) -> Option<EmailAddress> {
        self.0.email.clone().map(EmailAddress)
    }

    /// The name that the sign-in service gives. Null where it gives none.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The partners they act for, as far as you may see them: operators see all, others the one that they are acting for now.
    async fn partners(&self, ctx: &Context<'_>) -> Result<Vec<Row<Partner>>> {
        let ids = ctx.load(PartnersByUser(self.0.id)).await?.unwrap_or_default();
        let partners = futures_util::future::try_join_all(ids.iter().map(|&id| Partner::by_id(ctx, id))).await?;
        Ok(partners.into_iter().flatten().collect())
    }

    /// When they first signed in.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

impl User {
    /// The user of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: UserId) -> Result<Option<Self>> {
        Ok(ctx.load(UserById(id)).await?.map(Self))
    }
}

batch_key!(UserById(UserId) -> Arc<models::user::User>, models::user::User::by_ids);

batch_key!(PartnersByUser(UserId) -> Arc<[PartnerId]>, partner_user::partners_by_users);
