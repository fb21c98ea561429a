//! Users as the API shows them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;

use super::{
    context::ContextExt,
    loaders::BatchKey,
    partner::Partner,
    scalars::{DateTime, EmailAddress},
};
use crate::{
    error::Result,
    ids::{PartnerId, UserId},
    models::{self, partner_user, scope::Scope},
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
    async fn partners(&self, ctx: &Context<'_>) -> Result<Vec<Partner>> {
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

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct UserById(UserId);

impl BatchKey for UserById {
    type Value = Arc<models::user::User>;

    async fn fetch(connection: &AsyncPgConnection, scope: Scope, keys: &[Self]) -> QueryResult<HashMap<Self, Self::Value>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = models::user::User::by_ids(connection, scope, &ids).await?;
        Ok(rows.into_iter().map(|(id, row)| (Self(id), Arc::new(row))).collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PartnersByUser(UserId);

impl BatchKey for PartnersByUser {
    type Value = Arc<[PartnerId]>;

    async fn fetch(connection: &AsyncPgConnection, scope: Scope, keys: &[Self]) -> QueryResult<HashMap<Self, Self::Value>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let partners = partner_user::partners_by_users(connection, scope, &ids).await?;
        Ok(partners.into_iter().map(|(user, partners)| (Self(user), partners.into())).collect())
    }
}
