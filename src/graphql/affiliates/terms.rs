//! The terms for affiliates as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::{
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            loaders::batch_key,
            scalars::{DateTime, Decimal},
        },
        people::user::User,
    },
    ids::{AffiliateTermsId, TenantId},
    models::affiliates::terms,
};

/// One version of the terms.
#[derive(Clone)]
pub struct AffiliateTerms(pub Arc<terms::AffiliateTerms>);

/// One version of what affiliates earn; the latest that has begun is in force.
#[Object]
impl AffiliateTerms {
    /// Its id.
    pub async fn id(&self) -> AffiliateTermsId {
        self.0.id
    }

    /// Which version, from 1.
    async fn version(&self) -> i32 {
        self.0.number
    }

    /// The share of what a referred person pays, as a fraction: "0.1000" is ten per cent.
    async fn share(&self) -> Decimal {
        Decimal(self.0.share)
    }

    /// For how many days after a person's sign-up their payments earn something. Null for good.
    async fn validity_days(&self) -> Option<i32> {
        self.0.validity_days
    }

    /// Whether anybody earns anything. While it is off, no other switch counts.
    async fn is_active(&self) -> bool {
        self.0.is_active
    }

    /// Since when it holds, or held.
    async fn valid_from(&self) -> DateTime {
        self.0.valid_from.into()
    }

    /// Who set it. Null where you may not see them, or no person did.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by?).await.transpose()
    }

    /// Who acted in the name of `createdBy`, as the sign-in service knows them. Null where nobody did, and for partners' people.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<&str> {
        if ctx.viewer().scope().user.is_some() {
            return None;
        }
        self.0.impersonator.as_deref()
    }
}

impl AffiliateTerms {
    /// The version of that id.
    pub async fn by_id(ctx: &Context<'_>, id: AffiliateTermsId) -> Result<Option<Self>> {
        Ok(ctx.load(TermsById(id)).await?.map(Self))
    }

    /// All versions of the viewer's tenant, the latest first.
    pub async fn all(ctx: &Context<'_>) -> Result<Vec<Self>> {
        let found = ctx.load(TermsByTenant(ctx.viewer().tenant.id)).await?.unwrap_or_default();
        Ok(found.iter().cloned().map(|terms| Self(Arc::new(terms))).collect())
    }

    /// The version in force; none where there is none yet.
    pub async fn in_force(ctx: &Context<'_>) -> Result<Option<Self>> {
        Ok(Self::all(ctx).await?.into_iter().next())
    }
}

batch_key!(TermsById(AffiliateTermsId) -> Arc<terms::AffiliateTerms>, terms::AffiliateTerms::by_ids);

batch_key!(TermsByTenant(TenantId) -> Arc<[terms::AffiliateTerms]>, terms::AffiliateTerms::by_tenants);
