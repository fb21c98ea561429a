//! Payouts as the API shows them, and what one would hold.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object};

use crate::{
    error::Result,
    graphql::{
        commissions::commission::Commission,
        engine::{
            arguments::OrderDirection,
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::{CurrencyCode, DateTime, Decimal, Money},
            totals::beside,
        },
        imports::imported::ImportedFrom,
        ledger::transfer::Transfer,
        partners::partner::Partner,
        people::user::User,
    },
    ids::{PartnerId, PayoutChangeId, PayoutId},
    models::{
        imports::facts::ImportKind,
        page::{Page, PageArguments},
        partners::profile::PaymentMethod,
        payouts::{
            list::{BY_CREATED, BY_TOTAL, PayoutFilter},
            payout,
            status::{self, PayoutStatus},
        },
    },
};

/// A payout.
#[derive(Clone)]
pub struct Payout(pub Arc<payout::Payout>);

/// Commissions that are paid to a partner at once.
#[Object]
impl Payout {
    /// Its id.
    pub async fn id(&self) -> PayoutId {
        self.0.id
    }

    /// Who is paid.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a payout's partner"))
    }

    /// How much.
    async fn total(&self) -> Result<Money> {
        Money::stored(self.0.total_amount, &self.0.currency)
    }

    /// How many commissions it was made of.
    async fn commission_count(&self) -> i32 {
        self.0.commission_count
    }

    /// SHA-256 over what it was made of: the fingerprint of the preview that it equals.
    async fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// How far it has come.
    async fn status(&self) -> PayoutStatus {
        self.0.status
    }

    /// The statuses that it can have next. Empty once it is cancelled.
    async fn next_statuses(&self) -> Vec<PayoutStatus> {
        self.0.status.next()
    }

    /// How it is paid.
    async fn payment_method(&self) -> PaymentMethod {
        self.0.payment_method
    }

    /// The payment's reference, such as the bank's. Null until it is completed.
    async fn payment_reference(&self) -> Option<&str> {
        self.0.payment_reference.as_deref()
    }

    /// How often it has been tried to pay it.
    async fn attempt(&self) -> i32 {
        self.0.attempt
    }

    /// The first instant of the period that it is for.
    async fn period_start(&self) -> DateTime {
        self.0.period_start.into()
    }

    /// The end of the period, exclusive. It holds what was earned before that, also before the period where that was carried forward,
    /// and what was taken back or off until it was made.
    async fn period_end(&self) -> DateTime {
        self.0.period_end.into()
    }

    /// When it is to be paid.
    async fn payout_date(&self) -> DateTime {
        self.0.payout_date.into()
    }

    /// When it was paid. Null while it is not, or no longer, completed.
    async fn completed_at(&self) -> Option<DateTime> {
        self.0.completed_at.map(DateTime)
    }

    /// Notes of the person who made it. Null where there are none.
    async fn notes(&self) -> Option<&str> {
        self.0.notes.as_deref()
    }

    /// Why it failed or came back, the last time. Null where it never did.
    async fn failure_reason(&self) -> Option<&str> {
        self.0.failure_reason.as_deref()
    }

    /// What it was made of, the earliest first; also after it has failed, when they are free for another payout.
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
    ) -> Result<Option<Connection<Commission>>> {
        Commission::of_payout(ctx, self.0.id, PageArguments { first, after, last, before }).await.map(Some)
    }

    /// Every step it has taken, the first one first.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<PayoutStatusChange>> {
        let steps = ctx.load(HistoryByPayout(self.0.id)).await?.unwrap_or_default();
        Ok(steps.iter().cloned().map(PayoutStatusChange).collect())
    }

    /// The transfers in the partner's ledger that it has made, in their order.
    async fn transfers(&self, ctx: &Context<'_>) -> Result<Vec<Transfer>> {
        Transfer::of_payout(ctx, self.0.id).await
    }

    /// Which row of another system it was imported as. Null where it was not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::Payout, self.0.id).await.transpose()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its status last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A step of a payout.
#[derive(Clone)]
pub struct PayoutStatusChange(status::PayoutChange);

/// One step that a payout has taken.
#[Object]
impl PayoutStatusChange {
    /// Its id.
    pub async fn id(&self) -> PayoutChangeId {
        self.0.id
    }

    /// The status before. Null for the first entry.
    async fn from(&self) -> Option<PayoutStatus> {
        self.0.from_status
    }

    /// The status after.
    async fn to(&self) -> PayoutStatus {
        self.0.to_status
    }

    /// Who did it. Null where it was a person of another organisation than yours.
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

    /// The reference or reason that was given. Null where none was.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}

plain!(
    Payout: id, total, commission_count, fingerprint, status, next_statuses, payment_method, payment_reference, attempt,
    period_start, period_end, payout_date, completed_at, notes, failure_reason, created_at, updated_at,
);
leaf_enums!(PayoutStatus);
beside!(
    PayoutsBeside, PayoutTotal, PayoutStatusTotal, PayoutStatus, "payouts";
    /// Their sum.
    amount = 0
);

impl From<Arc<payout::Payout>> for Payout {
    fn from(row: Arc<payout::Payout>) -> Self {
        Self(row)
    }
}

impl Payout {
    /// The payout of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: PayoutId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(PayoutById(id)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the payouts that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<PayoutFilterInput>,
        order: Option<PayoutOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::root(ctx, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of a partner's payouts, fetched together with those of its siblings.
    pub async fn of_partner(
        ctx: &Context<'_>,
        partner: PartnerId,
        arguments: PageArguments,
        filter: Option<PayoutFilterInput>,
        order: Option<PayoutOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::nested(ctx, partner, filter.unwrap_or_default().checked(ctx)?, page).await
    }
}

/// Which payouts to show.
#[derive(InputObject, Default)]
#[graphql(name = "PayoutFilter")]
pub struct PayoutFilterInput {
    /// Only those to this partner.
    partner_id: Option<PartnerId>,
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<PayoutStatus>>,
    /// Only those in this currency.
    currency: Option<CurrencyCode>,
    /// Only those made in this period.
    created: Option<PeriodInput>,
    /// Only those to be paid in this period.
    payout_date: Option<PeriodInput>,
    /// Only those of at least this total.
    min_amount: Option<Decimal>,
    /// Only those of at most this total.
    max_amount: Option<Decimal>,
}

impl PayoutFilterInput {
    fn checked(self, ctx: &Context<'_>) -> Result<PayoutFilter> {
        let input = self;
        let (created_from, created_before) = bounds(ctx, "created", input.created)?;
        let (payout_from, payout_before) = bounds(ctx, "payoutDate", input.payout_date)?;
        Ok(PayoutFilter {
            partner: input.partner_id,
            statuses: input.status,
            currency: input.currency.map(|currency| currency.0.code()),
            created_from,
            created_before,
            payout_from,
            payout_before,
            min_amount: input.min_amount.map(|amount| amount.0),
            max_amount: input.max_amount.map(|amount| amount.0),
        })
    }
}

/// How to order payouts.
#[derive(InputObject, Default)]
pub struct PayoutOrder {
    /// By what.
    field: PayoutOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What payouts can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayoutOrderField {
    /// When they were made.
    #[default]
    CreatedAt,
    /// How much they are, whatever the currency.
    Total,
}

impl PayoutOrder {
    fn page(&self, arguments: PageArguments) -> Result<Page> {
        let sort = match self.field {
            PayoutOrderField::CreatedAt => BY_CREATED,
            PayoutOrderField::Total => BY_TOTAL,
        };
        Page::new(sort, self.direction.is_descending(), arguments)
    }
}

batch_key!(PayoutById(PayoutId) -> Arc<payout::Payout>, payout::Payout::by_ids);

impl PayoutStatusChange {
    /// The step of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: PayoutChangeId) -> Result<Option<Self>> {
        Ok(ctx.load(PayoutChangeById(id)).await?.map(|row| Self(row.as_ref().clone())))
    }
}

batch_key!(PayoutChangeById(PayoutChangeId) -> Arc<status::PayoutChange>, status::PayoutChange::by_ids);

batch_key!(HistoryByPayout(PayoutId) -> Arc<[status::PayoutChange]>, status::PayoutChange::by_payouts);

impl Listed for Payout {
    type Beside = PayoutsBeside;
}

impl Shown for PayoutFilter {}
