//! Links as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object};

use super::{
    click::{LinkClick, LinkClickFilterInput},
    figures::LinkFigures,
    link_share::LinkShare,
    programme::Programme,
    sign_up::{LinkSignUp, LinkSignUpFilterInput},
};
use crate::{
    error::Result,
    graphql::{
        commissions::{
            commission::Commission,
            list::{CommissionFilterInput, CommissionOrder},
        },
        engine::{
            arguments::{OrderDirection, search_text},
            context::{ContextExt, missing},
            lists::{self, Parent, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::PeriodInput,
            row::{Row, plain},
            scalars::{CurrencyCode, DateTime},
        },
        imports::imported::ImportedFrom,
        partners::partner::Partner,
        people::user::User,
    },
    ids::{LinkId, PartnerId, ProgrammeId},
    models::{
        imports::facts::ImportKind,
        list::ListBelow,
        page::{Page, PageArguments, SortKey},
        programmes::{
            figures::FiguresOf,
            link,
            link_list::{BY_CLICKS, BY_CREATED, BY_EARNINGS, BY_SALES, BY_SIGN_UPS, LinkFilter, ListedLink},
        },
    },
};

/// A link.
#[derive(Clone)]
pub struct Link(pub Arc<link::Link>);

/// A short address that a partner shares. Who follows it comes to a product of the programme's shop, and counts as its click.
#[Object]
impl Link {
    /// Its id.
    pub async fn id(&self) -> LinkId {
        self.0.id
    }

    /// The partner that shares it.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a link's partner"))
    }

    /// Who made it. Null where no person did, and where it was a person of another organisation than yours.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.user_id?).await.transpose()
    }

    /// The programme of the shop that it leads to.
    async fn programme(&self, ctx: &Context<'_>) -> Result<Row<Programme>> {
        Programme::by_id(ctx, self.0.programme_id).await?.ok_or_else(|| missing("a link's programme"))
    }

    /// Where it leads.
    async fn url(&self) -> &str {
        &self.0.url
    }

    /// Its key, the last part of `shortUrl`. Compared without regard to case.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The address to share.
    async fn short_url(&self, ctx: &Context<'_>) -> String {
        self.address(ctx)
    }

    /// The address of a picture (SVG) of the QR code of `shortUrl`.
    async fn qr_code(&self, ctx: &Context<'_>) -> String {
        format!("{}/qr.svg", self.address(ctx))
    }

    /// Its title. Null where it has none.
    async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// The id that another system of the tenant's has for it. Null where it has none.
    async fn external_id(&self) -> Option<&str> {
        self.0.external_id.as_deref()
    }

    /// The code that customers can give at a purchase instead of following it. Null where it has none.
    async fn coupon_code(&self) -> Option<&str> {
        self.0.coupon_code.as_deref()
    }

    /// What is added to the address for the shop's statistics.
    async fn utm(&self) -> LinkUtm {
        LinkUtm(Arc::clone(&self.0))
    }

    /// Until when it leads to its address. Null where that has no end.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// Where it leads once it has expired. Null for a page that says so.
    async fn expired_url(&self) -> Option<&str> {
        self.0.expired_url.as_deref()
    }

    /// When it was archived: it leads nowhere since. Null while it is in use.
    async fn archived_at(&self) -> Option<DateTime> {
        self.0.archived_at.map(DateTime)
    }

    /// With whom its partner shares what is earned by it; its partner has the rest. Fixed when it was made.
    async fn split(&self, ctx: &Context<'_>) -> Result<Vec<LinkShare>> {
        LinkShare::of(ctx, self.0.id).await
    }

    /// Each time it was followed, the latest first; kept for some time, unlike the figures.
    async fn clicks(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which clicks to show; all of them where it is not given.")] filter: Option<LinkClickFilterInput>,
    ) -> Result<Option<Connection<LinkClick>>> {
        LinkClick::of_link(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Who signed up by it, the latest first.
    async fn sign_ups(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which sign-ups to show; all of them where it is not given.")] filter: Option<LinkSignUpFilterInput>,
    ) -> Result<Option<Connection<LinkSignUp>>> {
        LinkSignUp::of_link(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// The commissions of customers who came by it, and what was taken back of them. The latest first where no order is given.
    async fn commissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which commissions to show; all of them where it is not given.")] filter: Option<CommissionFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<CommissionOrder>,
    ) -> Result<Option<Connection<Commission>>> {
        Commission::of_link(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// What has come of it, since the beginning or in a period, whose bounds are rounded down to a quarter of an hour.
    async fn figures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period; since the beginning where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency the amounts are; the tenant\'s default where it is not given.")] currency: Option<
            CurrencyCode,
        >,
    ) -> Result<Option<LinkFigures>> {
        LinkFigures::of(ctx, FiguresOf::Link, self.0.id, period, currency).map(Some)
    }

    /// Which row of another system it was imported as. Null where it was not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::Link, self.0.id).await.transpose()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A link's parameters for statistics.
#[derive(Clone)]
pub struct LinkUtm(Arc<link::Link>);

/// Parameters by which a shop's statistics tell campaigns apart. They are added to the address that the link leads to.
#[Object]
impl LinkUtm {
    /// `utm_source`: where the link is shared. Null for none.
    async fn source(&self) -> Option<&str> {
        self.0.utm.utm_source.as_deref()
    }

    /// `utm_medium`: in which kind of place. Null for none.
    async fn medium(&self) -> Option<&str> {
        self.0.utm.utm_medium.as_deref()
    }

    /// `utm_campaign`: for which campaign. Null for none.
    async fn campaign(&self) -> Option<&str> {
        self.0.utm.utm_campaign.as_deref()
    }

    /// `utm_term`: for which search term. Null for none.
    async fn term(&self) -> Option<&str> {
        self.0.utm.utm_term.as_deref()
    }

    /// `utm_content`: in which of several places. Null for none.
    async fn content(&self) -> Option<&str> {
        self.0.utm.utm_content.as_deref()
    }
}

/// Which links to show.
#[derive(InputObject)]
#[graphql(name = "LinkFilter")]
pub struct LinkFilterInput {
    /// Only those of this partner.
    partner_id: Option<PartnerId>,
    /// Only those that lead to the shop of this programme.
    programme_id: Option<ProgrammeId>,
    /// Only those that are archived, or only those that are not.
    archived: Option<bool>,
    /// Only those whose key, address, title, external id or coupon code has every word of this text, in any order, without regard to case, accents and compatibility forms.
    search: Option<String>,
}

/// How to order links.
#[derive(InputObject, Default)]
pub struct LinkOrder {
    /// By what.
    field: LinkOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What links can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkOrderField {
    /// When they were made.
    #[default]
    CreatedAt,
    /// Their clicks since the beginning.
    Clicks,
    /// Their sign-ups since the beginning.
    SignUps,
    /// Their sales since the beginning, in the tenant's default currency.
    Sales,
    /// What their partners have earned by them since the beginning, in the tenant's default currency.
    Earnings,
}

impl LinkOrderField {
    fn sort_key(self) -> SortKey {
        match self {
            Self::CreatedAt => BY_CREATED,
            Self::Clicks => BY_CLICKS,
            Self::SignUps => BY_SIGN_UPS,
            Self::Sales => BY_SALES,
            Self::Earnings => BY_EARNINGS,
        }
    }
}

plain!(Link: id, url, key, title, external_id, coupon_code, expires_at, expired_url, archived_at, created_at, updated_at);

impl From<Arc<ListedLink>> for Link {
    fn from(row: Arc<ListedLink>) -> Self {
        Self(Arc::clone(&row.link))
    }
}

impl Link {
    /// The link of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: LinkId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(LinkById(id)).await?.map(|row| Row(Self(row))))
    }

    /// The link of that key, if the viewer may see it.
    pub async fn by_key(ctx: &Context<'_>, key: &str) -> Result<Option<Row<Self>>> {
        if !link::is_key(key) {
            return Ok(None);
        }
        let reading = ctx.read().await?;
        let found = link::Link::by_key(&reading, ctx.viewer().scope(), key).await?;
        Ok(found.map(|row| Row(Self(Arc::new(row)))))
    }

    /// One page of the links that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<LinkFilterInput>,
        order: Option<LinkOrder>,
    ) -> Result<Connection<Self>> {
        let (filter, page) = list(arguments, filter, order)?;
        lists::root(ctx, filter, page).await
    }

    /// One page of a partner's or programme's links, fetched together with those of its siblings.
    pub async fn below<P: Parent>(
        ctx: &Context<'_>,
        parent: P,
        arguments: PageArguments,
        filter: Option<LinkFilterInput>,
        order: Option<LinkOrder>,
    ) -> Result<Connection<Self>>
    where
        LinkFilter: ListBelow<P>,
    {
        let (filter, page) = list(arguments, filter, order)?;
        lists::nested(ctx, parent, filter, page).await
    }

    fn address(&self, ctx: &Context<'_>) -> String {
        self.0.short_url(&ctx.request().shared.public_url)
    }
}

fn list(arguments: PageArguments, filter: Option<LinkFilterInput>, order: Option<LinkOrder>) -> Result<(LinkFilter, Page)> {
    let order = order.unwrap_or_default();
    let page = Page::new(order.field.sort_key(), order.direction.is_descending(), arguments)?;
    let Some(filter) = filter else { return Ok((LinkFilter::default(), page)) };
    let filter = LinkFilter {
        partner: filter.partner_id,
        programme: filter.programme_id,
        is_archived: filter.archived,
        search: search_text(filter.search)?,
    };
    Ok((filter, page))
}

batch_key!(LinkById(LinkId) -> Arc<link::Link>, link::Link::by_ids);

impl Listed for Link {
    type Beside = TotalCount;
}

impl Shown for LinkFilter {}
