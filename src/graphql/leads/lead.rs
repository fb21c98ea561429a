//! Leads as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object};

use crate::{
    error::Result,
    graphql::{
        commissions::{commission::Commission, partner_move::PartnerMove},
        engine::{
            arguments::{OrderDirection, search_text},
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::{DateTime, Decimal, EmailAddress, Money},
            totals::beside,
        },
        partners::partner::Partner,
        people::user::User,
    },
    ids::{LeadId, LeadStatusChangeId, PartnerId},
    models::{
        self,
        leads::{
            list::{BY_CLIENT_NAME, BY_CREATED, BY_DEAL_VALUE, BY_UPDATED, LeadFilter},
            status::{self, LeadStatus},
        },
        page::{Page, PageArguments, SortKey},
    },
};

/// A lead.
#[derive(Clone)]
pub struct Lead(pub Arc<models::leads::lead::Lead>);

/// A person or company that a partner has sent to the tenant.
#[Object]
impl Lead {
    /// Its id.
    pub async fn id(&self) -> LeadId {
        self.0.id
    }

    /// The partner that sent it.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a lead's partner"))
    }

    /// The client's name.
    async fn client_name(&self) -> &str {
        &self.0.client_name
    }

    /// The client's e-mail address.
    async fn client_email(&self) -> EmailAddress {
        EmailAddress(self.0.client_email.clone())
    }

    /// The client's phone number. Null where none is given.
    async fn client_phone(&self) -> Option<&str> {
        self.0.client_phone.as_deref()
    }

    /// What the client is interested in.
    async fn service(&self) -> &str {
        &self.0.service
    }

    /// How far it has come.
    async fn status(&self) -> LeadStatus {
        self.0.status
    }

    /// What the deal is worth. Null while nobody knows.
    async fn deal_value(&self) -> Option<Result<Money>> {
        self.0.deal_value.map(|value| Money::stored(value, &self.0.currency))
    }

    /// What the partner earns if it converts: its share of the deal, unless an operator has set another amount.
    async fn commission(&self) -> Result<Money> {
        Money::stored(self.0.commission, &self.0.currency)
    }

    /// Whether the commission has been paid.
    async fn commission_paid(&self) -> bool {
        self.0.commission_paid
    }

    /// The partner's notes. Null where there are none.
    async fn notes(&self) -> Option<&str> {
        self.0.notes.as_deref()
    }

    /// The statuses that `updateLeadStatus` accepts from here. Empty once it has converted.
    async fn next_statuses(&self) -> &[LeadStatus] {
        self.0.status.next()
    }

    /// Every step it has taken, the first one first.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<LeadStatusChange>> {
        let steps = ctx.load(HistoryByLead(self.0.id)).await?.unwrap_or_default();
        Ok(steps.iter().cloned().map(LeadStatusChange).collect())
    }

    /// What was booked for it when it converted, with how far that has come: it may be rejected, or paid. Null until then.
    async fn commission_entry(&self, ctx: &Context<'_>) -> Option<Result<Row<Commission>>> {
        Commission::of_lead(ctx, self.0.id).await.transpose()
    }

    /// Who sent it. Null where no person did, and where it was a person of another organisation than yours.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        let by = match ctx.load(HistoryByLead(self.0.id)).await {
            Ok(steps) => steps?.iter().find(|step| step.from_status.is_none())?.changed_by?,
            Err(error) => return Some(Err(error)),
        };
        User::by_id(ctx, by).await.transpose()
    }

    /// How operators moved it from partner to partner, the first one first. Partners see what brought it to them.
    async fn moves(&self, ctx: &Context<'_>) -> Result<Vec<PartnerMove>> {
        PartnerMove::of_lead(ctx, self.0.id).await
    }

    /// When it was sent.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it converted. Null until then.
    async fn converted_at(&self) -> Option<DateTime> {
        self.0.converted_at.map(DateTime)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// When the client was erased, and their name replaced by a pseudonym. Null where they were not.
    async fn erased_at(&self) -> Option<DateTime> {
        self.0.erased_at.map(DateTime)
    }
}

/// A step of a lead.
#[derive(Clone)]
pub struct LeadStatusChange(status::LeadStatusChange);

/// One step that a lead has taken.
#[Object]
impl LeadStatusChange {
    /// Its id.
    pub async fn id(&self) -> LeadStatusChangeId {
        self.0.id
    }

    /// The status before. Null for the first entry, which has what it was created as.
    async fn from(&self) -> Option<LeadStatus> {
        self.0.from_status
    }

    /// The status after.
    async fn to(&self) -> LeadStatus {
        self.0.to_status
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

    /// What was noted. Null where nothing was.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}

plain!(
    Lead: id, client_name, client_email, client_phone, service, status, deal_value, commission, commission_paid, notes,
    next_statuses, created_at, converted_at, updated_at, erased_at,
);
leaf_enums!(LeadStatus);
beside!(
    LeadsBeside, LeadTotal, LeadStatusTotal, LeadStatus, "leads";
    /// What their deals are worth; unknown counts as nothing.
    deal_value = 0,
    /// What they earn, or would earn, as the leads say.
    commission = 1
);

impl From<Arc<models::leads::lead::Lead>> for Lead {
    fn from(row: Arc<models::leads::lead::Lead>) -> Self {
        Self(row)
    }
}

impl Lead {
    /// The lead of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: LeadId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(LeadById(id)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the leads that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<LeadFilterInput>,
        order: Option<LeadOrder>,
    ) -> Result<Connection<Self>> {
        let (filter, page) = list(ctx, arguments, filter, order)?;
        lists::root(ctx, filter, page).await
    }

    /// One page of a partner's leads, fetched together with those of its siblings.
    pub async fn of_partner(
        ctx: &Context<'_>,
        partner: PartnerId,
        arguments: PageArguments,
        filter: Option<LeadFilterInput>,
        order: Option<LeadOrder>,
    ) -> Result<Connection<Self>> {
        let (filter, page) = list(ctx, arguments, filter, order)?;
        lists::nested(ctx, partner, filter, page).await
    }
}

/// Which leads to show.
#[derive(InputObject)]
#[graphql(name = "LeadFilter")]
pub struct LeadFilterInput {
    /// Only those of this partner.
    partner_id: Option<PartnerId>,
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<LeadStatus>>,
    /// Only those whose client's name, e-mail address, phone number or service has every word of this text, in any order, without regard to case, accents and compatibility forms.
    search: Option<String>,
    /// Only those whose client is interested in this, as it is written.
    service: Option<String>,
    /// Only those whose deal is worth at least this; unknown counts as nothing.
    min_deal_value: Option<Decimal>,
    /// Only those whose deal is worth at most this; unknown counts as nothing.
    max_deal_value: Option<Decimal>,
    /// Only those created in this period.
    created: Option<PeriodInput>,
}

/// How to order leads.
#[derive(InputObject, Default)]
pub struct LeadOrder {
    /// By what.
    field: LeadOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What leads can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeadOrderField {
    /// When they were sent.
    #[default]
    CreatedAt,
    /// When they last changed.
    UpdatedAt,
    /// The client's name, without regard to case.
    ClientName,
    /// What the deal is worth; unknown counts as nothing.
    DealValue,
}

impl LeadOrderField {
    fn sort_key(self) -> SortKey {
        match self {
            Self::CreatedAt => BY_CREATED,
            Self::UpdatedAt => BY_UPDATED,
            Self::ClientName => BY_CLIENT_NAME,
            Self::DealValue => BY_DEAL_VALUE,
        }
    }
}

/// A list's filter and page, checked.
fn list(
    ctx: &Context<'_>,
    arguments: PageArguments,
    filter: Option<LeadFilterInput>,
    order: Option<LeadOrder>,
) -> Result<(LeadFilter, Page)> {
    let order = order.unwrap_or_default();
    let page = Page::new(order.field.sort_key(), order.direction.is_descending(), arguments)?;
    let Some(filter) = filter else { return Ok((LeadFilter::default(), page)) };
    let (created_from, created_before) = bounds(ctx, "created", filter.created)?;
    let filter = LeadFilter {
        statuses: filter.status,
        partner: filter.partner_id,
        search: search_text(filter.search)?,
        service: filter.service,
        min_deal_value: filter.min_deal_value.map(|value| value.0),
        max_deal_value: filter.max_deal_value.map(|value| value.0),
        created_from,
        created_before,
    };
    Ok((filter, page))
}

batch_key!(LeadById(LeadId) -> Arc<models::leads::lead::Lead>, models::leads::lead::Lead::by_ids);

impl LeadStatusChange {
    /// The step of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: LeadStatusChangeId) -> Result<Option<Self>> {
        Ok(ctx.load(LeadStatusChangeById(id)).await?.map(|row| Self(row.as_ref().clone())))
    }
}

batch_key!(LeadStatusChangeById(LeadStatusChangeId) -> Arc<status::LeadStatusChange>, status::LeadStatusChange::by_ids);

batch_key!(HistoryByLead(LeadId) -> Arc<[status::LeadStatusChange]>, status::LeadStatusChange::by_leads);

impl Listed for Lead {
    type Beside = LeadsBeside;
}

impl Shown for LeadFilter {
    // Each of these fields is answered by the columns of the summary alone: a test reads every one by itself.
    const SUMMARY: (&'static [&'static str], Option<SortKey>) = (
        &[
            "__typename",
            "id",
            "partner",
            "clientName",
            "clientEmail",
            "service",
            "status",
            "dealValue",
            "commission",
            "commissionEntry",
            "nextStatuses",
            "history",
            "createdAt",
            "createdBy",
            "updatedAt",
        ],
        Some(BY_CREATED),
    );
}
