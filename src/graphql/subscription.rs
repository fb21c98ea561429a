//! Subscriptions. The engine resolves each event by itself, as a small operation with a session of its own; where events come from, and
//! when, is [`crate::live`]'s matter. A subscription's resolver is therefore called in two ways: once to say what is to be
//! watched, and then for each event, to tell of it.

use std::sync::{Mutex, PoisonError};

use async_graphql::{Context, SimpleObject, Subscription as EngineSubscription};
use futures_util::stream;
use uuid::Uuid;

use super::{
    commission::Commission, context::ContextExt, lead::Lead, partner::Partner, payout::Payout, row::Row, scalars::DateTime,
};
use crate::{
    error::Result,
    ids::{CommissionId, LeadId, PartnerId, PayoutId},
    live::Cursor,
    models::event::{Event, EventFilter, EventKind},
};

/// What a subscription's resolver is called for.
pub enum Step {
    /// It says what is to be watched.
    Open(Mutex<Option<Watched>>),
    /// It tells of an event.
    Tell(Event),
}

/// What is to be watched.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Which events.
    pub filter: EventFilter,
    /// From where on.
    pub since: Option<Cursor>,
}

impl Step {
    /// The first call.
    pub fn open() -> Self {
        Self::Open(Mutex::default())
    }

    /// What the first call has said.
    pub fn watched(&self) -> Option<Watched> {
        match self {
            Self::Open(watched) => *watched.lock().unwrap_or_else(PoisonError::into_inner),
            Self::Tell(_) => None,
        }
    }
}

/// A lead is new or has changed.
#[derive(SimpleObject)]
pub struct LeadChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to be told of everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The lead as it is now.
    lead: Row<Lead>,
}

/// A commission is new or has changed.
#[derive(SimpleObject)]
pub struct CommissionChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to be told of everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The commission as it is now.
    commission: Row<Commission>,
}

/// A payout is new or has changed.
#[derive(SimpleObject)]
pub struct PayoutChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to be told of everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The payout as it is now.
    payout: Row<Payout>,
}

/// A partner has more or fewer credits to assign.
#[derive(SimpleObject)]
pub struct CreditBalanceChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to be told of everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The partner, with its balance as it is now.
    partner: Row<Partner>,
}

/// One event, or none: what it is about cannot be seen any more.
type Told<T> = stream::Iter<std::option::IntoIter<T>>;

/// The root of all subscriptions.
pub struct Subscription;

/// What changes, told once it has been committed, with what the subscriber may see of it. Each event has a cursor; whoever subscribes with
/// it as `since` is told of everything after it, in order, and of nothing twice.
#[EngineSubscription]
impl Subscription {
    /// Leads that are new or have changed.
    async fn lead_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this lead. Null: all that you may see.")] id: Option<LeadId>,
        #[graphql(desc = "Only leads of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is told first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<Told<LeadChange>> {
        let event = step(ctx, EventKind::Lead, partner_id, id.map(LeadId::uuid), since)?;
        let change = |cursor, at, lead| LeadChange { cursor, at, lead };
        tell(event, async |event| Lead::by_id(ctx, event.subject_id.into()).await, change).await
    }

    /// Commissions that are new or have changed.
    async fn commission_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this commission. Null: all that you may see.")] id: Option<CommissionId>,
        #[graphql(desc = "Only commissions of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is told first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<Told<CommissionChange>> {
        let event = step(ctx, EventKind::Commission, partner_id, id.map(CommissionId::uuid), since)?;
        let change = |cursor, at, commission| CommissionChange { cursor, at, commission };
        tell(event, async |event| Commission::by_id(ctx, event.subject_id.into()).await, change).await
    }

    /// Payouts that are new or have changed.
    async fn payout_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this payout. Null: all that you may see.")] id: Option<PayoutId>,
        #[graphql(desc = "Only payouts of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is told first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<Told<PayoutChange>> {
        let event = step(ctx, EventKind::Payout, partner_id, id.map(PayoutId::uuid), since)?;
        let change = |cursor, at, payout| PayoutChange { cursor, at, payout };
        tell(event, async |event| Payout::by_id(ctx, event.subject_id.into()).await, change).await
    }

    /// Partners whose credits to assign have become more or fewer.
    async fn credit_balance_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this partner's. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is told first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<Told<CreditBalanceChange>> {
        let event = step(ctx, EventKind::CreditBalance, partner_id, None, since)?;
        let change = |cursor, at, partner| CreditBalanceChange { cursor, at, partner };
        tell(event, async |event| Partner::by_id(ctx, event.partner_id).await, change).await
    }
}

/// Notes what is to be watched, or gives the event that is to be told of.
fn step(
    ctx: &Context<'_>,
    kind: EventKind,
    partner: Option<PartnerId>,
    subject: Option<Uuid>,
    since: Option<String>,
) -> Result<Option<Event>> {
    match ctx.step() {
        Step::Open(watched) => {
            let since = since.filter(|since| !since.is_empty()).map(|since| Cursor::decode(&since)).transpose()?;
            let filter = EventFilter { kind, partner, subject };
            *watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Watched { filter, since });
            Ok(None)
        }
        Step::Tell(event) => Ok(Some(*event)),
    }
}

/// The change that an event is told as, where there is one and what it is about can be seen.
async fn tell<T, C>(
    event: Option<Event>,
    read: impl AsyncFnOnce(Event) -> Result<Option<T>>,
    change: impl FnOnce(String, DateTime, T) -> C,
) -> Result<Told<C>> {
    let told = match event {
        Some(event) => read(event).await?.map(|subject| change(Cursor(event.place).encode(), DateTime(event.at), subject)),
        None => None,
    };
    Ok(stream::iter(told))
}
