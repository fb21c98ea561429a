//! Applications as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::{
    error::Result,
    graphql::{
        engine::{context::ContextExt, loaders::batch_key, scalars::DateTime},
        people::user::User,
    },
    ids::PartnerId,
    models,
};

/// An application.
pub struct PartnerApplication(Arc<models::partners::application::PartnerApplication>);

/// What a partner that signed up says of itself, beside its name and its profile.
#[Object]
impl PartnerApplication {
    /// How it will sell, in its own words.
    async fn sales_plan(&self) -> &str {
        &self.0.sales_plan
    }

    /// Who submitted it last.
    async fn submitted_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.submitted_by).await.transpose()
    }

    /// When it was submitted for the first time.
    async fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// When it was submitted for the last time.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

impl PartnerApplication {
    /// That of a partner which the viewer may see.
    pub async fn by_partner(ctx: &Context<'_>, partner: PartnerId) -> Result<Option<Self>> {
        Ok(ctx.load(ApplicationByPartner(partner)).await?.map(Self))
    }
}

batch_key!(
    ApplicationByPartner(PartnerId) -> Arc<models::partners::application::PartnerApplication>,
    models::partners::application::PartnerApplication::by_partners
);
