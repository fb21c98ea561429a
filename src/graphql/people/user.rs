//! Users as the API shows them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};

use crate::{
    auth::Role,
    db,
    error::Result,
    graphql::{
        affiliates::affiliate::Affiliate,
        engine::{
            context::ContextExt,
            loaders::{BatchKey, batch_key},
            row::Row,
            scalars::{DateTime, EmailAddress},
        },
        imports::imported::ImportedFrom,
        partners::partner::Partner,
    },
    ids::{PartnerId, UserId},
    models::{self, imports::facts::ImportKind, people::partner_user, scope::Scope},
};

/// A user.
#[derive(Clone)]
pub struct User(pub Arc<models::people::user::User>);

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

    /// The partners that they belong to, as far as you may see them. Operators see all, and everyone all of their own; of others a
    /// partner's people see the one that they are acting for now. What a partner of yours has, beyond its name, status and rate, is shown
    /// while you act for it: choose another with `setDefaultPartner`, or with its organisation where you signed in.
    async fn partners(&self, ctx: &Context<'_>) -> Result<Vec<Row<Partner>>> {
        let viewer = ctx.viewer();
        if viewer.user == self.0.id && matches!(viewer.role, Role::PartnerMember | Role::PartnerOwner) {
            let organization = viewer.claims.organization.as_ref().map(|organization| organization.id.clone());
            let partners = ctx.load(OwnPartners(organization)).await?.unwrap_or_default();
            return Ok(partners.iter().cloned().map(|partner| Row(Partner(Arc::new(partner)))).collect());
        }
        let ids = ctx.load(PartnersByUser(self.0.id)).await?.unwrap_or_default();
        let partners = futures_util::future::try_join_all(ids.iter().map(|&id| Partner::by_id(ctx, id))).await?;
        Ok(partners.into_iter().flatten().collect())
    }

    /// The person as an affiliate. Null for everyone but the person themselves and the company's staff.
    async fn affiliate(&self, ctx: &Context<'_>) -> Option<Affiliate> {
        Affiliate::of(ctx, self.0.id)
    }

    /// Which row of another system they were imported as. Null where they were not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::User, self.0.id).await.transpose()
    }

    /// When they first signed in.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When the person was erased, and their name replaced by a pseudonym. Null where they were not.
    async fn erased_at(&self) -> Option<DateTime> {
        self.0.erased_at.map(DateTime)
    }
}

impl User {
    /// The user of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: UserId) -> Result<Option<Self>> {
        Ok(ctx.load(UserById(id)).await?.map(Self))
    }
}

batch_key!(UserById(UserId) -> Arc<models::people::user::User>, models::people::user::User::by_ids);

/// The caller's own partners, by the organisation that their token names: read once, however often they are met in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct OwnPartners(Option<String>);

impl BatchKey for OwnPartners {
    type Value = Arc<[models::partners::partner::Partner]>;

    async fn fetch(connection: &db::Connection, _: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut found = HashMap::new();
        for key in keys {
            found.insert(key.clone(), partner_user::own_partners(connection, key.0.as_deref()).await?.into());
        }
        Ok(found)
    }
}

batch_key!(PartnersByUser(UserId) -> Arc<[PartnerId]>, partner_user::partners_by_users);
