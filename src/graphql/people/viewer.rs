//! Who is asking, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{tenant::Tenant, user::User};
use crate::{
    auth::{Permission, Role},
    error::Result,
    graphql::{
        affiliates::affiliate::Affiliate,
        engine::{
            context::{ContextExt, missing},
            row::Row,
        },
        partners::partner::Partner,
    },
};

/// The viewer; what it shows comes from the request.
pub struct Viewer;

/// Who is asking, for whom, and what they may do.
#[Object]
impl Viewer {
    /// The person or machine whose token came with the request.
    async fn user(&self, ctx: &Context<'_>) -> Result<User> {
        User::by_id(ctx, ctx.viewer().user).await?.ok_or_else(|| missing("the viewer's user"))
    }

    /// The tenant whose programme they take part in.
    async fn tenant(&self, ctx: &Context<'_>) -> Tenant {
        Tenant(Arc::new(ctx.viewer().tenant.clone()))
    }

    /// The partner that they act for: that of the active organisation, else their default one. Null for operators and services,
    /// and for people who belong to no partner yet.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        let partner = ctx.viewer().partner?;
        Partner::by_id(ctx, partner.id).await.transpose()
    }

    /// The person as an affiliate, who invites others and earns by what these pay. Null for operators and services.
    async fn affiliate(&self, ctx: &Context<'_>) -> Option<Affiliate> {
        let viewer = ctx.viewer();
        viewer.scope().user.and_then(|user| Affiliate::of(ctx, user))
    }

    /// What kind of caller they are.
    async fn role(&self, ctx: &Context<'_>) -> Role {
        ctx.viewer().role
    }

    /// What they may do now. For the people of a partner that is not active, and of none, only what is about themselves alone.
    async fn permissions(&self, ctx: &Context<'_>) -> Vec<Permission> {
        ctx.viewer().permissions()
    }
}
