//! Programmes as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object};

use super::{
    enrolment::{Enrolment, EnrolmentFilterInput, EnrolmentOrder},
    figures::LinkFigures,
    link::{Link, LinkFilterInput, LinkOrder},
};
use crate::{
    error::{Error, Result},
    graphql::{
        commissions::rule::CommissionRule,
        engine::{
            arguments::{OrderDirection, search_text},
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::PeriodInput,
            row::{Row, plain},
            scalars::{CurrencyCode, DateTime},
        },
        imports::imported::ImportedFrom,
    },
    ids::ProgrammeId,
    models::{
        imports::facts::ImportKind,
        page::{Page, PageArguments, SortKey},
        programmes::{
            address::ProductAddress,
            figures::FiguresOf,
            programme::{
                self, Attribution, BY_CREATED, BY_NAME, EnrolmentPolicy, ProgrammeFilter, ProgrammeRateSource, ProgrammeStatus,
            },
        },
    },
};

/// A programme.
#[derive(Clone)]
pub struct Programme(pub Arc<programme::Programme>);

/// What the tenant offers to partners for one shop. It is made by the first link to a product there; partners see those that they are
/// enrolled in.
#[Object]
impl Programme {
    /// Its id.
    pub async fn id(&self) -> ProgrammeId {
        self.0.id
    }

    /// Its name for other systems. It follows from the tenant and the domain, so it is the same wherever it is computed.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// Its name; the domain until somebody gives it another.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The shop's registrable domain, in ASCII: "example.co.uk". All addresses below it belong to the programme.
    async fn domain(&self) -> &str {
        &self.0.domain
    }

    /// The address of the shop.
    async fn url(&self) -> String {
        format!("https://{}/", self.0.domain)
    }

    /// Whether partners can make links in it.
    async fn status(&self) -> ProgrammeStatus {
        self.0.status
    }

    /// The rule by which payments of customers that come by its links earn now: for partners the one that holds for them, for operators the
    /// programme's, or that of all programmes. Null where no rule holds: then a partner's default rate decides.
    async fn reward(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "For payments in which currency; the tenant's default where it is not given.")] currency: Option<
            CurrencyCode,
        >,
    ) -> Option<Result<CommissionRule>> {
        CommissionRule::reward(ctx, (self.0.id, ctx.viewer().scope().partner), currency).await.transpose()
    }

    /// Where its reward comes from.
    async fn rate_source(&self) -> ProgrammeRateSource {
        self.0.rate_source
    }

    /// When the commission-rate service was last asked about the shop; null where it never was.
    async fn rate_asked_at(&self) -> Option<DateTime> {
        self.0.rate_asked_at.map(DateTime)
    }

    /// For how many days after a click a sign-up counts for it.
    async fn cookie_days(&self) -> i32 {
        self.0.cookie_days
    }

    /// Which click a sign-up counts for, where there are several.
    async fn attribution(&self) -> Attribution {
        self.0.attribution
    }

    /// How partners come into it.
    async fn enrolment_policy(&self) -> EnrolmentPolicy {
        self.0.enrolment_policy
    }

    /// Whether partners earn by what customers pay with tax. It matters for payments that a webhook's source reports: others come with the amount that
    /// is earned by.
    async fn includes_tax(&self) -> bool {
        self.0.includes_tax
    }

    /// The partners that take part, or wait to; partners see themselves. The newest first where no order is given.
    async fn enrolments(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which enrolments to show; all of them where it is not given.")] filter: Option<EnrolmentFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<EnrolmentOrder>,
    ) -> Result<Option<Connection<Enrolment>>> {
        Enrolment::below(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// The links that lead to the shop; partners see their own. The newest first where no order is given.
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which links to show; all of them where it is not given.")] filter: Option<LinkFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<LinkOrder>,
    ) -> Result<Option<Connection<Link>>> {
        Link::below(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// What has come of the links to the shop; for partners of their own, since the beginning or in a period, whose bounds are rounded down to a quarter of an hour.
    async fn figures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period; since the beginning where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency the amounts are; the tenant\'s default where it is not given.")] currency: Option<
            CurrencyCode,
        >,
    ) -> Result<Option<LinkFigures>> {
        LinkFigures::of(ctx, FiguresOf::Programme, self.0.id, period, currency).map(Some)
    }

    /// Which row of another system it was imported as. Null where it was not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::Programme, self.0.id).await.transpose()
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

/// Which programmes to show.
#[derive(InputObject)]
#[graphql(name = "ProgrammeFilter")]
pub struct ProgrammeFilterInput {
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<ProgrammeStatus>>,
    /// Only those whose name, domain or key has every word of this text, in any order, without regard to case, accents and compatibility forms.
    search: Option<String>,
}

/// How to order programmes.
#[derive(InputObject, Default)]
pub struct ProgrammeOrder {
    /// By what.
    field: ProgrammeOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What programmes can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgrammeOrderField {
    /// When they were made.
    #[default]
    CreatedAt,
    /// Their name, without regard to case.
    Name,
}

impl ProgrammeOrderField {
    fn sort_key(self) -> SortKey {
        match self {
            Self::CreatedAt => BY_CREATED,
            Self::Name => BY_NAME,
        }
    }
}

plain!(
    Programme: id, key, name, domain, url, status, rate_source, rate_asked_at, cookie_days, attribution, enrolment_policy, includes_tax, created_at, updated_at
);
leaf_enums!(ProgrammeStatus, ProgrammeRateSource, Attribution, EnrolmentPolicy);

impl From<Arc<programme::Programme>> for Programme {
    fn from(row: Arc<programme::Programme>) -> Self {
        Self(row)
    }
}

impl Programme {
    /// The programme of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: ProgrammeId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(ProgrammeById(id)).await?.map(|row| Row(Self(row))))
    }

    /// The programme of the shop at a domain, if the viewer may see it.
    pub async fn by_domain(ctx: &Context<'_>, domain: &str) -> Result<Option<Row<Self>>> {
        let domain = domain.trim();
        // An address of the shop's names it as well.
        let address = if domain.contains("://") { domain.to_owned() } else { format!("https://{domain}") };
        let address = ProductAddress::parse(&address).map_err(|_| {
            let shown: String = domain.chars().take(60).collect();
            Error::BadUserInput(format!("`domain` must be that of a shop, such as \"example.com\"; it is {shown:?}."))
        })?;
        let reading = ctx.read().await?;
        let found = programme::Programme::of_address(&reading, ctx.viewer().scope(), &address).await?;
        Ok(found.map(|row| Row(Self(Arc::new(row)))))
    }

    /// One page of the programmes that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<ProgrammeFilterInput>,
        order: Option<ProgrammeOrder>,
    ) -> Result<Connection<Self>> {
        let order = order.unwrap_or_default();
        let page = Page::new(order.field.sort_key(), order.direction.is_descending(), arguments)?;
        let Some(filter) = filter else { return lists::root(ctx, ProgrammeFilter::default(), page).await };
        let filter = ProgrammeFilter { statuses: filter.status, search: search_text(filter.search)? };
        lists::root(ctx, filter, page).await
    }
}

batch_key!(ProgrammeById(ProgrammeId) -> Arc<programme::Programme>, programme::Programme::by_ids);

impl Listed for Programme {
    type Beside = TotalCount;
}

impl Shown for ProgrammeFilter {}
