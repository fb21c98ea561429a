//! Enrolments as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object};

use super::{figures::LinkFigures, programme::Programme};
use crate::{
    error::Result,
    graphql::{
        commissions::rule::CommissionRule,
        engine::{
            arguments::OrderDirection,
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Parent, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::PeriodInput,
            row::{Row, plain},
            scalars::{CurrencyCode, DateTime},
        },
        partners::partner::Partner,
        people::user::User,
    },
    ids::{EnrolmentChangeId, EnrolmentId, PartnerId, ProgrammeId},
    models::{
        list::ListBelow,
        page::{Page, PageArguments, SortKey},
        programmes::{
            enrolment::{self, BY_CREATED, EnrolmentFilter, EnrolmentStatus},
            figures::FiguresOf,
        },
    },
};

/// An enrolment.
#[derive(Clone)]
pub struct Enrolment(pub Arc<enrolment::Enrolment>);

/// A partner's part in a programme. It begins with the partner's first link to the shop, or by an operator.
#[Object]
impl Enrolment {
    /// Its id.
    pub async fn id(&self) -> EnrolmentId {
        self.0.id
    }

    /// The partner.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("an enrolment's partner"))
    }

    /// The programme.
    async fn programme(&self, ctx: &Context<'_>) -> Result<Row<Programme>> {
        Programme::by_id(ctx, self.0.programme_id).await?.ok_or_else(|| missing("an enrolment's programme"))
    }

    /// Whether the partner takes part.
    async fn status(&self) -> EnrolmentStatus {
        self.0.status
    }

    /// Why it has its status, as the operator said. Null where nothing was said.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The operator who decided last. Null where nobody has decided, and where it is a person of another organisation than yours.
    async fn decided_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.decided_by?).await.transpose()
    }

    /// When it was decided last. Null where nobody has.
    async fn decided_at(&self) -> Option<DateTime> {
        self.0.decided_at.map(DateTime)
    }

    /// How it began and every decision since, the first one first.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<EnrolmentStatusChange>> {
        let changes = ctx.load(HistoryByEnrolment(self.0.id)).await?.unwrap_or_default();
        Ok(changes.iter().cloned().map(EnrolmentStatusChange).collect())
    }

    /// The rule by which payments of customers that come by the partner's links to the shop earn now. Null where no rule holds: then the
    /// partner's default rate decides.
    async fn reward(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "For payments in which currency; the tenant's default where it is not given.")] currency: Option<
            CurrencyCode,
        >,
    ) -> Option<Result<CommissionRule>> {
        CommissionRule::reward(ctx, (self.0.programme_id, Some(self.0.partner_id)), currency).await.transpose()
    }

    /// What has come of the partner's links to the shop, since the beginning or in a period, whose bounds are rounded down to a quarter of an hour.
    async fn figures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period; since the beginning where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency the amounts are; the tenant\'s default where it is not given.")] currency: Option<
            CurrencyCode,
        >,
    ) -> Result<Option<LinkFigures>> {
        LinkFigures::of(ctx, FiguresOf::Enrolment, self.0.id, period, currency).map(Some)
    }

    /// When it began.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A change of an enrolment's status.
#[derive(Clone)]
pub struct EnrolmentStatusChange(enrolment::EnrolmentChange);

/// How an enrolment began, or one decision about it.
#[Object]
impl EnrolmentStatusChange {
    /// Its id.
    pub async fn id(&self) -> EnrolmentChangeId {
        self.0.id
    }

    /// The status before. Null for the first entry.
    async fn from(&self) -> Option<EnrolmentStatus> {
        self.0.from_status
    }

    /// The status after.
    async fn to(&self) -> EnrolmentStatus {
        self.0.to_status
    }

    /// The reason that was given. Null where none was.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Who did it. Null where no person did, and where it was a person of another organisation than yours.
    async fn changed_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.changed_by?).await.transpose()
    }

    /// Who acted in their name, by the id (`act.sub`) that the sign-in service gives. Null where they did it themselves.
    async fn impersonator(&self) -> Option<&str> {
        self.0.impersonator.as_deref()
    }

    /// When.
    async fn at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// Which enrolments to show.
#[derive(InputObject)]
#[graphql(name = "EnrolmentFilter")]
pub struct EnrolmentFilterInput {
    /// Only those of this partner.
    partner_id: Option<PartnerId>,
    /// Only those in this programme.
    programme_id: Option<ProgrammeId>,
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<EnrolmentStatus>>,
}

/// How to order enrolments.
#[derive(InputObject, Default)]
pub struct EnrolmentOrder {
    /// By what.
    field: EnrolmentOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What enrolments can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnrolmentOrderField {
    /// When they began.
    #[default]
    CreatedAt,
}

impl EnrolmentOrderField {
    fn sort_key(self) -> SortKey {
        match self {
            Self::CreatedAt => BY_CREATED,
        }
    }
}

plain!(Enrolment: id, status, reason, decided_at, created_at, updated_at);
leaf_enums!(EnrolmentStatus);

impl From<Arc<enrolment::Enrolment>> for Enrolment {
    fn from(row: Arc<enrolment::Enrolment>) -> Self {
        Self(row)
    }
}

impl Enrolment {
    /// The enrolment of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: EnrolmentId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(EnrolmentById(id)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the enrolments that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<EnrolmentFilterInput>,
        order: Option<EnrolmentOrder>,
    ) -> Result<Connection<Self>> {
        let (filter, page) = list(arguments, filter, order)?;
        lists::root(ctx, filter, page).await
    }

    /// One page of a partner's or programme's enrolments, fetched together with those of its siblings.
    pub async fn below<P: Parent>(
        ctx: &Context<'_>,
        parent: P,
        arguments: PageArguments,
        filter: Option<EnrolmentFilterInput>,
        order: Option<EnrolmentOrder>,
    ) -> Result<Connection<Self>>
    where
        EnrolmentFilter: ListBelow<P>,
    {
        let (filter, page) = list(arguments, filter, order)?;
        lists::nested(ctx, parent, filter, page).await
    }
}

impl EnrolmentStatusChange {
    /// The change of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: EnrolmentChangeId) -> Result<Option<Self>> {
        Ok(ctx.load(EnrolmentChangeById(id)).await?.map(|row| Self(row.as_ref().clone())))
    }
}

fn list(
    arguments: PageArguments,
    filter: Option<EnrolmentFilterInput>,
    order: Option<EnrolmentOrder>,
) -> Result<(EnrolmentFilter, Page)> {
    let order = order.unwrap_or_default();
    let page = Page::new(order.field.sort_key(), order.direction.is_descending(), arguments)?;
    let Some(filter) = filter else { return Ok((EnrolmentFilter::default(), page)) };
    Ok((EnrolmentFilter { partner: filter.partner_id, programme: filter.programme_id, statuses: filter.status }, page))
}

batch_key!(EnrolmentById(EnrolmentId) -> Arc<enrolment::Enrolment>, enrolment::Enrolment::by_ids);
batch_key!(EnrolmentChangeById(EnrolmentChangeId) -> Arc<enrolment::EnrolmentChange>, enrolment::EnrolmentChange::by_ids);
batch_key!(HistoryByEnrolment(EnrolmentId) -> Arc<[enrolment::EnrolmentChange]>, enrolment::EnrolmentChange::by_enrolments);

impl Listed for Enrolment {
    type Beside = TotalCount;
}

impl Shown for EnrolmentFilter {}
