//! Users as affiliates, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{
    figures::AffiliateFigures,
    referral::{Referral, ReferralFilterInput},
    terms::AffiliateTerms,
    wallet::Wallet,
};
use crate::{
    error::Result,
    graphql::{
        engine::{
            context::{ContextExt, missing},
            loaders::batch_key,
            pagination::Connection,
            period::PeriodInput,
            scalars::{CurrencyCode, DateTime, currency_or_default},
        },
        people::{tenant::Tenant, user::User},
    },
    ids::UserId,
    models::{
        affiliates::{invite_code::InviteCode, period::AffiliatePeriod, referral_decision::ACCEPTABLE, wallet},
        page::PageArguments,
    },
};

/// A user as an affiliate.
#[derive(Clone, Copy)]
pub struct Affiliate(UserId);

/// A person who can invite others, and earns by what these pay.
#[Object]
impl Affiliate {
    /// The person. Null where you may not see them.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0).await.transpose()
    }

    /// Whether they have switched it on: only then they earn something by new payments.
    async fn is_active(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.activity(ctx).await?.last().is_some_and(|period| period.active_to.is_none()))
    }

    /// When they were active: each time that it was switched on, and off again.
    async fn periods(&self, ctx: &Context<'_>) -> Result<Vec<AffiliateActivity>> {
        Ok(self.activity(ctx).await?.iter().cloned().map(AffiliateActivity).collect())
    }

    /// The code that they give out: a person who signs up with it was referred by them. It is compared without regard to case, dashes, and letters that
    /// look alike.
    async fn invite_code(&self, ctx: &Context<'_>) -> Result<String> {
        let codes = self.codes(ctx).await?;
        codes.first().map(|code| code.code.clone()).ok_or_else(|| missing("a user's invite code"))
    }

    /// The link to share, with the code. Null while the company has no sign-up page to which it could lead.
    async fn invite_url(&self, ctx: &Context<'_>) -> Option<Result<String>> {
        let url = async {
            let tenant = Tenant(Arc::new(ctx.viewer().tenant.clone()));
            let has_page = tenant.sign_up_url(ctx).await?.is_some();
            let code = self.codes(ctx).await?.first().map(|code| code.code.clone()).filter(|_| has_page);
            Ok(code.map(|code| format!("{}/i/{code}", ctx.request().shared.public_url)))
        };
        url.await.transpose()
    }

    /// The codes that they gave out before; they are good for ever.
    async fn former_codes(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        Ok(self.codes(ctx).await?.iter().skip(1).map(|code| code.code.clone()).collect())
    }

    /// Whether somebody referred them.
    async fn is_referred(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(Referral::of_user(ctx, self.0).await?.iter().any(|referral| referral.0.valid_to.is_none()))
    }

    /// Who referred them. Null where nobody did, and for the person themselves: operators see it.
    async fn referred_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        if ctx.viewer().scope().user.is_some() {
            return None;
        }
        let decided = match Referral::of_user(ctx, self.0).await {
            Ok(decided) => decided,
            Err(error) => return Some(Err(error)),
        };
        let current = decided.into_iter().find(|referral| referral.0.valid_to.is_none())?;
        User::by_id(ctx, current.0.referrer_id).await.transpose()
    }

    /// What was decided of who referred them, the first decision first. Empty for the person themselves: operators see it.
    async fn referral_history(&self, ctx: &Context<'_>) -> Result<Vec<Referral>> {
        if ctx.viewer().scope().user.is_some() {
            return Ok(Vec::new());
        }
        Referral::of_user(ctx, self.0).await
    }

    /// Until when they can say who invited them, with `acceptInvite`, as long as they have not paid. Null where it is too late or decided.
    async fn can_accept_invite_until(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        let until = async {
            let user = User::by_id(ctx, self.0).await?;
            let until = user.map(|user| user.0.created_at + ACCEPTABLE).filter(|until| *until > ctx.now());
            Ok(if Referral::of_user(ctx, self.0).await?.is_empty() { until.map(DateTime) } else { None })
        };
        until.await.transpose()
    }

    /// The terms in force. Null while the tenant has none, and nobody earns anything.
    async fn terms(&self, ctx: &Context<'_>) -> Option<Result<AffiliateTerms>> {
        AffiliateTerms::in_force(ctx).await.transpose()
    }

    /// What they have brought and earned.
    async fn figures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which period; since the beginning where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<AffiliateFigures>> {
        AffiliateFigures::of(ctx, self.0, period, currency).map(Some)
    }

    /// The people whom they have referred, the latest first.
    async fn referrals(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which referrals to show; all of them where it is not given.")] filter: Option<ReferralFilterInput>,
    ) -> Result<Option<Connection<Referral>>> {
        Referral::of_referrer(ctx, self.0, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Their wallet in one currency. One into which nothing has gone yet is empty.
    async fn wallet(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Wallet>> {
        let currency = currency_or_default(ctx, currency)?;
        Ok(Some(Wallet(wallet::Wallet { user: self.0, currency })))
    }

    /// Their wallets into which something has gone, by currency.
    async fn wallets(&self, ctx: &Context<'_>) -> Result<Vec<Wallet>> {
        let currencies = ctx.load(CurrenciesOf(self.0)).await?.unwrap_or_default();
        Ok(currencies.iter().map(|&currency| Wallet(wallet::Wallet { user: self.0, currency })).collect())
    }
}

/// A period in which an affiliate was active.
pub struct AffiliateActivity(AffiliatePeriod);

/// From when to when an affiliate was active.
#[Object]
impl AffiliateActivity {
    /// When it was switched on.
    async fn active_from(&self) -> DateTime {
        self.0.active_from.into()
    }

    /// When it was switched off. Null while it is on.
    async fn active_to(&self) -> Option<DateTime> {
        self.0.active_to.map(DateTime)
    }

    /// Who switched on in the affiliate's name, as the sign-in service knows them. Null where nobody did.
    async fn started_by_impersonator(&self) -> Option<&str> {
        self.0.started_by.as_deref()
    }

    /// Who switched off in the affiliate's name. Null where nobody did.
    async fn ended_by_impersonator(&self) -> Option<&str> {
        self.0.ended_by.as_deref()
    }
}

impl Affiliate {
    /// A user as an affiliate; none where that is neither the viewer nor shown to staff.
    pub fn of(ctx: &Context<'_>, user: UserId) -> Option<Self> {
        ctx.viewer().scope().includes_user(user).then_some(Self(user))
    }

    async fn activity(&self, ctx: &Context<'_>) -> Result<Arc<[AffiliatePeriod]>> {
        Ok(ctx.load(PeriodsOf(self.0)).await?.unwrap_or_default())
    }

    async fn codes(&self, ctx: &Context<'_>) -> Result<Arc<[InviteCode]>> {
        Ok(ctx.load(CodesOf(self.0)).await?.unwrap_or_default())
    }
}

batch_key!(PeriodsOf(UserId) -> Arc<[AffiliatePeriod]>, AffiliatePeriod::by_users);

batch_key!(CodesOf(UserId) -> Arc<[InviteCode]>, InviteCode::by_users);

batch_key!(CurrenciesOf(UserId) -> Arc<[iso_currency::Currency]>, wallet::currencies);
