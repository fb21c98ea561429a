//! Commissions as the API shows them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};

use super::{
    explanation::CommissionExplanation,
    flag::CommissionFlag,
    list::{CommissionFilterInput, CommissionOrder},
    partner_move::PartnerMove,
    rule::CommissionRule,
    split::CommissionSplit,
};
use crate::{
    db,
    error::Result,
    graphql::{
        billing::customer::Customer,
        engine::{
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Shown},
            loaders::{BatchKey, batch_key},
            pagination::{Connection, Listed},
            row::{Row, plain},
            scalars::{DateTime, Decimal, Money},
            totals::beside,
        },
        imports::imported::ImportedFrom,
        leads::lead::Lead,
        ledger::transfer::Transfer,
        partners::partner::Partner,
        payouts::payout::Payout,
        people::user::User,
        programmes::link::Link,
    },
    ids::{CommissionId, CustomerId, LeadId, LinkId, PartnerId, PayoutId},
    models::{
        self,
        commissions::{
            commission::{self, CommissionEventType, CommissionStatus},
            explanation::Explanation,
            list::{BY_EVENT_DATE, CommissionFilter, IN_PAYOUT, InPayout},
        },
        imports::facts::ImportKind,
        page::{Page, PageArguments, SortKey},
        scope::Scope,
    },
};

/// A commission.
#[derive(Clone)]
pub struct Commission(pub Arc<commission::Commission>);

/// What a partner has earned by one event. Its amount never changes: a correction is another commission.
#[Object]
impl Commission {
    /// Its id.
    pub async fn id(&self) -> CommissionId {
        self.0.id
    }

    /// Who earned it.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a commission's partner"))
    }

    /// What made it.
    async fn event_type(&self) -> CommissionEventType {
        self.0.event_type
    }

    /// How far it has come.
    async fn status(&self) -> CommissionStatus {
        self.0.status
    }

    /// The lead that converted. Null for other events.
    async fn lead(&self, ctx: &Context<'_>) -> Option<Result<Row<Lead>>> {
        Lead::by_id(ctx, self.0.lead_id?).await.transpose()
    }

    /// The customer who paid. Null for lead conversions and adjustments.
    async fn customer(&self, ctx: &Context<'_>) -> Option<Result<Row<Customer>>> {
        Customer::by_id(ctx, self.0.customer_id?).await.transpose()
    }

    /// The link by which the customer came. Null where it came by none, and where the link is another partner's.
    async fn link(&self, ctx: &Context<'_>) -> Option<Result<Row<Link>>> {
        Link::by_id(ctx, self.0.link_id?).await.transpose()
    }

    /// What a person should look at before it is paid: it is pending until an operator has decided, however long. Partners are shown none.
    async fn flags(&self, ctx: &Context<'_>) -> Result<Vec<CommissionFlag>> {
        CommissionFlag::of(ctx, self.0.id).await
    }

    /// Of which whole it is a part, where the link's partner shares what is earned by it. Null where it is no part.
    async fn split(&self, ctx: &Context<'_>) -> Result<Option<CommissionSplit>> {
        CommissionSplit::of_commission(ctx, &self.0).await
    }

    /// The invoice's id in the billing system. Null for lead conversions and adjustments.
    async fn invoice_id(&self) -> Option<&str> {
        self.0.invoice_id.as_deref()
    }

    /// The commission that a refund takes back in part or whole, or gives back where a refund has failed. Null for other events.
    async fn reverses(&self, ctx: &Context<'_>) -> Option<Result<Row<Self>>> {
        Self::by_id(ctx, self.0.reverses_id?).await.transpose()
    }

    /// How operators moved it from partner to partner, the first one first; one that went with its lead has none. Partners see what brought it
    /// to them.
    async fn moves(&self, ctx: &Context<'_>) -> Result<Vec<PartnerMove>> {
        PartnerMove::of_commission(ctx, self.0.id).await
    }

    /// What takes it back, or gives it back where a refund has failed; the first one first.
    async fn reversals(&self, ctx: &Context<'_>) -> Result<Vec<Self>> {
        let rows = ctx.load(ReversalsOf(self.0.id)).await?.unwrap_or_default();
        Ok(rows.iter().cloned().map(Self).collect())
    }

    /// The payout that holds it, or has paid it. Null while it is in none.
    async fn payout(&self, ctx: &Context<'_>) -> Option<Result<Row<Payout>>> {
        Payout::by_id(ctx, self.0.payout_id?).await.transpose()
    }

    /// What it is a share of: the payment, or the deal's value; for a refund what has been refunded in all. Null for an adjustment, and for a lead
    /// whose deal has no value.
    async fn base(&self) -> Option<Result<Money>> {
        self.0.base.map(|base| Money::stored(base, &self.0.currency))
    }

    /// The rate, as a fraction. Null where there is not a single one.
    async fn rate(&self) -> Option<Decimal> {
        self.0.rate.map(Decimal)
    }

    /// How much it is; below zero for what is taken back.
    async fn amount(&self) -> Result<Money> {
        Money::stored(self.0.amount, &self.0.currency)
    }

    /// Why it is that much.
    async fn explanation(&self, ctx: &Context<'_>) -> Result<CommissionExplanation> {
        let rule = match self.0.rule_id {
            Some(id) => CommissionRule::by_id(ctx, id).await?.map(|rule| rule.0.as_ref().clone()),
            None => None,
        };
        let original = match self.0.reverses_id {
            Some(id) => Self::by_id(ctx, id).await?,
            None => None,
        };
        let original = original.as_ref().map(|original| original.0.0.as_ref());
        let split = CommissionSplit::of_commission(ctx, &self.0).await?;
        let split = split.as_ref().map(CommissionSplit::row);
        Ok(CommissionExplanation(Explanation::of_commission(&self.0, rule, original, split, self.0.money()?)))
    }

    /// The transfers in the partner's ledger that it has made, in their order. What its payout moved is there: `payout { transfers }`.
    async fn transfers(&self, ctx: &Context<'_>) -> Result<Vec<Transfer>> {
        Transfer::of_commission(ctx, self.0.id).await
    }

    /// When it was earned.
    async fn event_date(&self) -> DateTime {
        self.0.event_date.into()
    }

    /// When it is approved by itself, because no refund came in by then. Null for what an operator decides, and for refunds, which
    /// follow what they take back.
    async fn due_at(&self) -> Option<DateTime> {
        self.0.due_at.map(DateTime)
    }

    /// What was noted: an adjustment's reason. Null where nothing was.
    async fn notes(&self) -> Option<&str> {
        self.0.notes.as_deref()
    }

    /// Why it was rejected. Null where it was not.
    async fn rejection_reason(&self) -> Option<&str> {
        self.0.rejection_reason.as_deref()
    }

    /// Who approved or rejected it. Null where no person did, and where it was a person of another organisation than yours.
    async fn decided_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.decided_by?).await.transpose()
    }

    /// When it was approved or rejected. Null while it is pending.
    async fn decided_at(&self) -> Option<DateTime> {
        self.0.decided_at.map(DateTime)
    }

    /// Which row of another system it was imported as. Null where it was not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::Commission, self.0.id).await.transpose()
    }

    /// When it was booked.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its status, or its payout, last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

plain!(
    Commission: id, event_type, status, invoice_id, base, rate, amount, event_date, due_at, notes, rejection_reason,
    decided_at, created_at, updated_at,
);
leaf_enums!(CommissionEventType, CommissionStatus);
beside!(
    CommissionsBeside, CommissionTotal, CommissionStatusTotal, CommissionStatus, "commissions";
    /// Their sum: what takes money away counts below zero.
    amount = 0
);

impl From<Arc<commission::Commission>> for Commission {
    fn from(row: Arc<commission::Commission>) -> Self {
        Self(row)
    }
}

impl Commission {
    /// The commission of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: CommissionId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(CommissionById(id)).await?.map(|row| Row(Self(row))))
    }

    /// That of a lead.
    pub async fn of_lead(ctx: &Context<'_>, lead: LeadId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(CommissionByLead(lead)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the commissions that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<CommissionFilterInput>,
        order: Option<CommissionOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::root(ctx, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of a partner's commissions, fetched together with those of its siblings.
    pub async fn of_partner(
        ctx: &Context<'_>,
        partner: PartnerId,
        arguments: PageArguments,
        filter: Option<CommissionFilterInput>,
        order: Option<CommissionOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::nested(ctx, partner, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of the commissions of a customer's payments, fetched together with those of its siblings.
    pub async fn of_customer(
        ctx: &Context<'_>,
        customer: CustomerId,
        arguments: PageArguments,
        filter: Option<CommissionFilterInput>,
        order: Option<CommissionOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::nested(ctx, customer, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of the commissions by a link, fetched together with those of its siblings.
    pub async fn of_link(
        ctx: &Context<'_>,
        link: LinkId,
        arguments: PageArguments,
        filter: Option<CommissionFilterInput>,
        order: Option<CommissionOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::nested(ctx, link, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of what a payout was made of, fetched together with those of its siblings.
    pub async fn of_payout(ctx: &Context<'_>, payout: PayoutId, arguments: PageArguments) -> Result<Connection<Self>> {
        lists::nested(ctx, payout, InPayout, Page::new(IN_PAYOUT, false, arguments)?).await
    }

    /// One page of the commissions that a filter of ours lets through, the earliest first.
    pub async fn lines(ctx: &Context<'_>, filter: CommissionFilter, arguments: PageArguments) -> Result<Connection<Self>> {
        lists::root(ctx, filter, Page::new(BY_EVENT_DATE, false, arguments)?).await
    }
}

batch_key!(CommissionById(CommissionId) -> Arc<commission::Commission>, commission::Commission::by_ids);

batch_key!(CommissionByLead(LeadId) -> Arc<commission::Commission>, commission::Commission::by_leads);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReversalsOf(CommissionId);

impl BatchKey for ReversalsOf {
    type Value = Arc<[Arc<commission::Commission>]>;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let ids: Vec<CommissionId> = keys.iter().map(|key| key.0).collect();
        let rows = commission::Commission::reversals_of(connection, scope.tenant, &ids).await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        let pairs = rows.filter_map(|row| Some((row.reverses_id?, Arc::new(row)))).collect();
        Ok(models::page::group(pairs).into_iter().map(|(id, rows)| (Self(id), rows.into())).collect())
    }
}

impl Listed for Commission {
    type Beside = CommissionsBeside;
}

impl Shown for CommissionFilter {
    // Each of these fields is answered by the columns of the summary alone: a test reads every one by itself.
    const SUMMARY: (&'static [&'static str], Option<SortKey>) = (
        &[
            "__typename",
            "id",
            "partner",
            "eventType",
            "status",
            "lead",
            "customer",
            "link",
            "flags",
            "payout",
            "amount",
            "eventDate",
        ],
        Some(BY_EVENT_DATE),
    );
}

impl Shown for InPayout {}
