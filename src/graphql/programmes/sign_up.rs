//! Sign-ups as the API shows them, and how a customer came.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::link::Link;
use crate::{
    error::Result,
    graphql::{
        billing::customer::Customer,
        engine::{
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::DateTime,
        },
        partners::partner::Partner,
    },
    ids::{ClickId, LinkId, PartnerId, ProgrammeId, SignUpId},
    models::{
        billing::account::CustomerAccount,
        page::{Page, PageArguments},
        programmes::{
            attribution::AttributionOutcome,
            link::LinkMeans,
            sign_up,
            sign_up_list::{BY_TIME, SignUpFilter},
        },
    },
};

/// A sign-up.
#[derive(Clone)]
pub struct LinkSignUp(pub Arc<sign_up::SignUp>);

/// Somebody who came by a link has become a customer of the shop's.
#[Object]
impl LinkSignUp {
    /// Its id.
    pub async fn id(&self) -> SignUpId {
        self.0.id
    }

    /// The link.
    async fn link(&self, ctx: &Context<'_>) -> Result<Row<Link>> {
        Link::by_id(ctx, self.0.link_id).await?.ok_or_else(|| missing("a sign-up's link"))
    }

    /// The link's partner.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a sign-up's partner"))
    }

    /// Who signed up. Null for partners that have never managed the customer.
    async fn customer(&self, ctx: &Context<'_>) -> Option<Result<Row<Customer>>> {
        Customer::by_id(ctx, self.0.customer_id).await.transpose()
    }

    /// For what.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// How they came by the link.
    async fn means(&self) -> LinkMeans {
        self.0.means
    }

    /// The click's id. Null where they came otherwise.
    async fn click_id(&self) -> Option<ClickId> {
        self.0.click_id
    }

    /// When they followed the link. Null where they came otherwise.
    async fn clicked_at(&self) -> Option<DateTime> {
        self.0.clicked_at.map(DateTime)
    }

    /// When they signed up.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// Whether it counts: the customer's first one by a link of the partner that managed it then.
    async fn is_counted(&self) -> bool {
        self.0.is_counted
    }

    /// What the shop said besides. Null where it said nothing.
    async fn metadata(&self) -> Option<&str> {
        self.0.metadata.as_deref()
    }
}

leaf_enums!(LinkMeans, AttributionOutcome);

impl LinkSignUp {
    /// The sign-up of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: SignUpId) -> Result<Option<Self>> {
        Ok(ctx.load(SignUpById(id)).await?.map(Self))
    }
}

batch_key!(SignUpById(SignUpId) -> Arc<sign_up::SignUp>, sign_up::SignUp::by_ids);

/// Which sign-ups to show.
#[derive(InputObject)]
#[graphql(name = "LinkSignUpFilter")]
pub struct LinkSignUpFilterInput {
    /// Only those by links of this partner.
    partner_id: Option<PartnerId>,
    /// Only those by links to the shop of this programme.
    programme_id: Option<ProgrammeId>,
    /// Only those by this link.
    link_id: Option<LinkId>,
    /// Only those that count, or only those that do not.
    counted: Option<bool>,
    /// Only those in this period.
    at: Option<PeriodInput>,
}

impl LinkSignUp {
    /// One page of the sign-ups that the viewer may see, the latest first.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<LinkSignUpFilterInput>,
    ) -> Result<Connection<Self>> {
        lists::root(ctx, checked(ctx, filter)?, Page::new(BY_TIME, true, arguments)?).await
    }

    /// One page of the sign-ups by a link, fetched together with those of its siblings.
    pub async fn of_link(
        ctx: &Context<'_>,
        link: LinkId,
        arguments: PageArguments,
        filter: Option<LinkSignUpFilterInput>,
    ) -> Result<Connection<Self>> {
        lists::nested(ctx, link, checked(ctx, filter)?, Page::new(BY_TIME, true, arguments)?).await
    }
}

fn checked(ctx: &Context<'_>, filter: Option<LinkSignUpFilterInput>) -> Result<SignUpFilter> {
    let Some(filter) = filter else { return Ok(SignUpFilter::default()) };
    let (from, before) = bounds(ctx, "at", filter.at)?;
    Ok(SignUpFilter {
        partner: filter.partner_id,
        programme: filter.programme_id,
        link: filter.link_id,
        is_counted: filter.counted,
        from,
        before,
    })
}

plain!(LinkSignUp: id, name, means, click_id, clicked_at, at, is_counted, metadata);

impl From<Arc<sign_up::SignUp>> for LinkSignUp {
    fn from(row: Arc<sign_up::SignUp>) -> Self {
        Self(row)
    }
}

impl Listed for LinkSignUp {
    type Beside = TotalCount;
}

impl Shown for SignUpFilter {}

/// How a customer came to its partner.
#[derive(Clone)]
pub struct CustomerAttribution(CustomerAccount);

/// By which link a customer came, and so whose it is.
#[Object]
impl CustomerAttribution {
    /// The link.
    async fn link(&self, ctx: &Context<'_>) -> Option<Result<Row<Link>>> {
        Link::by_id(ctx, self.0.origin.link_id?).await.transpose()
    }

    /// Its partner.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("an attribution's partner"))
    }

    /// How the customer came by it.
    async fn means(&self) -> Option<LinkMeans> {
        self.0.origin.means
    }

    /// The click's id. Null where it came otherwise.
    async fn click_id(&self) -> Option<ClickId> {
        self.0.origin.click_id
    }

    /// When it followed the link. Null where it came otherwise.
    async fn clicked_at(&self) -> Option<DateTime> {
        self.0.origin.clicked_at.map(DateTime)
    }

    /// Since when it is the partner's: when it signed up, or bought first.
    async fn since(&self) -> DateTime {
        self.0.managed_from.into()
    }

    /// All of it in one sentence, for people.
    async fn sentence(&self) -> Option<String> {
        self.0.attribution_sentence()
    }
}

impl CustomerAttribution {
    /// That of a period; none where the customer did not come by a link.
    pub fn of(account: &CustomerAccount) -> Option<Self> {
        account.origin.link_id.map(|_| Self(account.clone()))
    }
}
