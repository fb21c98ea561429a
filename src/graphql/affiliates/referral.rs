//! People whom an affiliate referred, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::Datelike;

use super::terms::AffiliateTerms;
use crate::{
    auth::Viewer,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            row::plain,
            scalars::{CurrencyCode, Date, DateTime, Money, currency},
        },
        people::user::User,
    },
    ids::{ReferralId, UserId},
    models::{
        affiliates::{
            referral::{self, BY_SIGN_UP, ReferralFilter, ReferralMeans},
            reward::{ReferralSum, sums_by_referrals},
        },
        page::{Page, PageArguments},
    },
};

/// A referral.
#[derive(Clone)]
pub struct Referral(pub Arc<referral::Referral>);

/// A person who was referred by an affiliate. The affiliate sees no more of the person than initials and months.
#[Object]
impl Referral {
    /// Its id.
    pub async fn id(&self) -> ReferralId {
        self.0.id
    }

    /// The person's initials. Null where no name is known.
    async fn initials(&self) -> Option<&str> {
        self.0.initials.as_deref()
    }

    /// The first day of the month in which the person signed up, in the tenant's time zone.
    async fn joined_month(&self, ctx: &Context<'_>) -> Date {
        let day = ctx.viewer().tenant.time_zone.day_of(self.0.signed_up_at);
        Date(day.with_day(1).unwrap_or(day))
    }

    /// How it is known who referred the person.
    async fn means(&self) -> ReferralMeans {
        self.0.means
    }

    /// Whether it holds now, and was not corrected since.
    async fn is_current(&self) -> bool {
        self.0.valid_to.is_none()
    }

    /// Whether the person has paid while it held.
    async fn has_paid(&self) -> bool {
        self.0.first_paid_at.is_some()
    }

    /// Until when the person's payments earn something, by the terms in force. Null for good, or where there are no terms.
    async fn valid_until(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        let terms = AffiliateTerms::in_force(ctx).await.transpose()?;
        terms.map(|terms| terms.0.valid_until(self.0.signed_up_at).map(DateTime)).transpose()
    }

    /// What it has brought so far, by currency.
    async fn earnings(&self, ctx: &Context<'_>) -> Result<Vec<ReferralEarnings>> {
        let sums = ctx.load(SumsByReferral(self.0.id)).await?.unwrap_or_default();
        sums.iter().map(ReferralEarnings::of).collect()
    }

    /// Who was referred. Null for the affiliate: operators see it.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        staff(ctx.viewer())?;
        User::by_id(ctx, self.0.user_id).await.transpose()
    }

    /// The affiliate. Null where you may not see them.
    async fn referrer(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.referrer_id).await.transpose()
    }

    /// The code that the person came with. Null where an operator decided, and for the affiliate.
    async fn code(&self, ctx: &Context<'_>) -> Option<&str> {
        staff(ctx.viewer())?;
        self.0.code.as_deref()
    }

    /// Why an operator corrected it. Null where none did, and for the affiliate.
    async fn reason(&self, ctx: &Context<'_>) -> Option<&str> {
        staff(ctx.viewer())?;
        self.0.reason.as_deref()
    }

    /// Since when it holds. Null for the affiliate.
    async fn valid_from(&self, ctx: &Context<'_>) -> Option<DateTime> {
        staff(ctx.viewer())?;
        Some(self.0.valid_from.into())
    }

    /// Its end, exclusive. Null while it holds, and for the affiliate.
    async fn valid_to(&self, ctx: &Context<'_>) -> Option<DateTime> {
        staff(ctx.viewer())?;
        self.0.valid_to.map(DateTime)
    }

    /// Who decided it. Null where the person's first sign-in did, and for the affiliate.
    async fn decided_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        staff(ctx.viewer())?;
        User::by_id(ctx, self.0.decided_by?).await.transpose()
    }

    /// Who acted in the name of `decidedBy`, as the sign-in service knows them. Null where nobody did, and for the affiliate.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<&str> {
        staff(ctx.viewer())?;
        self.0.impersonator.as_deref()
    }

    /// Why an operator ended it. Null while it holds, and for the affiliate.
    async fn end_reason(&self, ctx: &Context<'_>) -> Option<&str> {
        staff(ctx.viewer())?;
        self.0.end_reason.as_deref()
    }

    /// Who ended it. Null while it holds, and for the affiliate.
    async fn ended_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        staff(ctx.viewer())?;
        User::by_id(ctx, self.0.ended_by?).await.transpose()
    }

    /// Who acted in the name of `endedBy`, as the sign-in service knows them. Null where nobody did, and for the affiliate.
    async fn end_impersonator(&self, ctx: &Context<'_>) -> Option<&str> {
        staff(ctx.viewer())?;
        self.0.end_impersonator.as_deref()
    }
}

/// What a person has brought in one currency.
#[derive(SimpleObject)]
pub struct ReferralEarnings {
    /// The currency.
    currency: CurrencyCode,
    /// What the person paid by what earned something, less refunds.
    sales: Money,
    /// What the affiliate has earned by it.
    earned: Money,
}

impl ReferralEarnings {
    fn of(sum: &ReferralSum) -> Result<Self> {
        let code = currency(&sum.currency)?;
        Ok(Self { currency: CurrencyCode(code), sales: Money::of(sum.sales, code), earned: Money::of(sum.earned, code) })
    }
}

leaf_enums!(ReferralMeans);

/// Something for staff alone.
fn staff(viewer: &Viewer) -> Option<()> {
    viewer.scope().user.is_none().then_some(())
}

/// Which referrals to show.
#[derive(InputObject)]
#[graphql(name = "ReferralFilter")]
pub struct ReferralFilterInput {
    /// Only those of this affiliate.
    referrer_id: Option<UserId>,
    /// Only those that hold now, or only those that were corrected since.
    current: Option<bool>,
    /// Only people who have paid, or only those who have not.
    paid: Option<bool>,
}

impl Referral {
    /// The referral of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: ReferralId) -> Result<Option<Self>> {
        Ok(ctx.load(ReferralById(id)).await?.map(Self))
    }

    /// What has been decided of a user, the first decision first; for staff, or the user alone.
    pub async fn of_user(ctx: &Context<'_>, user: UserId) -> Result<Vec<Self>> {
        let found = ctx.load(ReferralsOfUser(user)).await?.unwrap_or_default();
        Ok(found.iter().cloned().map(|row| Self(Arc::new(row))).collect())
    }

    /// One page of the referrals that the viewer may see, the latest sign-up first.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<ReferralFilterInput>,
    ) -> Result<Connection<Self>> {
        lists::root(ctx, checked(filter), Page::new(BY_SIGN_UP, true, arguments)?).await
    }

    /// One page of those of an affiliate, fetched together with those of its siblings.
    pub async fn of_referrer(
        ctx: &Context<'_>,
        referrer: UserId,
        arguments: PageArguments,
        filter: Option<ReferralFilterInput>,
    ) -> Result<Connection<Self>> {
        lists::nested(ctx, referrer, checked(filter), Page::new(BY_SIGN_UP, true, arguments)?).await
    }
}

fn checked(filter: Option<ReferralFilterInput>) -> ReferralFilter {
    let Some(filter) = filter else { return ReferralFilter::default() };
    ReferralFilter { referrer: filter.referrer_id, is_current: filter.current, has_paid: filter.paid }
}

batch_key!(ReferralById(ReferralId) -> Arc<referral::Referral>, referral::Referral::by_ids);

batch_key!(ReferralsOfUser(UserId) -> Arc<[referral::Referral]>, referral::Referral::by_users);

batch_key!(SumsByReferral(ReferralId) -> Arc<[ReferralSum]>, sums_by_referrals);

plain!(Referral: id, initials, means, is_current, has_paid);

impl From<Arc<referral::Referral>> for Referral {
    fn from(row: Arc<referral::Referral>) -> Self {
        Self(row)
    }
}

impl Listed for Referral {
    type Beside = TotalCount;
}

impl Shown for ReferralFilter {}
