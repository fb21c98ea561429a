//! Subscriptions. The engine resolves each event by itself, as a small operation with a session of its own; where events come from, and
//! when, is [`crate::live`]'s matter. A subscription's resolver is therefore called in two ways: once to say what is to be
//! watched, and then for each event, to resolve it.

use std::sync::PoisonError;

use async_graphql::{Context, Interface, SimpleObject, Subscription as EngineSubscription};
use futures_util::stream;
use uuid::Uuid;

use super::{
    affiliates::affiliate::Affiliate,
    commissions::commission::Commission,
    engine::{
        context::ContextExt,
        row::Row,
        scalars::DateTime,
        subscription_step::{SubscriptionStep, Watched},
    },
    imports::data_import::DataImport,
    leads::lead::Lead,
    partners::partner::Partner,
    payouts::payout::Payout,
    programmes::sign_up::LinkSignUp,
};
use crate::{
    error::{Error, Result},
    ids::{CommissionId, DataImportId, LeadId, PartnerId, PayoutId, UserId},
    models::event::{Event, EventFilter, EventKind},
};

/// A lead is new or has changed.
#[derive(SimpleObject)]
pub struct LeadChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The lead as it is now.
    lead: Row<Lead>,
}

impl LeadChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(lead) = Lead::by_id(ctx, event.subject_id.into()).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), lead }))
    }
}

/// A commission is new or has changed.
#[derive(SimpleObject)]
pub struct CommissionChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The commission as it is now.
    commission: Row<Commission>,
}

impl CommissionChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(commission) = Commission::by_id(ctx, event.subject_id.into()).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), commission }))
    }
}

/// A payout is new or has changed.
#[derive(SimpleObject)]
pub struct PayoutChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The payout as it is now.
    payout: Row<Payout>,
}

impl PayoutChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(payout) = Payout::by_id(ctx, event.subject_id.into()).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), payout }))
    }
}

/// A partner has more or fewer credits to assign.
#[derive(SimpleObject)]
pub struct CreditBalanceChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The partner, with its balance as it is now.
    partner: Row<Partner>,
}

impl CreditBalanceChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(partner) = Partner::by_id(ctx, event.partner_id).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), partner }))
    }
}

/// People have followed links of a partner's. It is sent to those who watch one partner, at most once a second, and says nothing of which links:
/// figures are read anew.
#[derive(SimpleObject)]
pub struct ClicksChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The partner, with its figures as they are now.
    partner: Row<Partner>,
}

impl ClicksChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(partner) = Partner::by_id(ctx, event.partner_id).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), partner }))
    }
}

/// Somebody who came by a link has signed up, or a sign-up counts now, or no longer.
#[derive(SimpleObject)]
pub struct SignUpChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The sign-up as it is now.
    sign_up: Row<LinkSignUp>,
}

impl SignUpChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(sign_up) = LinkSignUp::by_id(ctx, event.subject_id.into()).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), sign_up: Row(sign_up) }))
    }
}

/// Something has gone into a person's wallet as an affiliate, or out of it, or is set free.
#[derive(SimpleObject)]
pub struct WalletChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The person as an affiliate, with the wallets as they are now.
    affiliate: Affiliate,
}

impl WalletChange {
    fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(affiliate) = Affiliate::of(ctx, event.subject_id.into()) else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), affiliate }))
    }
}

/// An import that runs in the background is new, has come further, or has ended. It is sent at most once a second.
#[derive(SimpleObject)]
pub struct DataImportChange {
    /// Where in the order of changes it is. Subscribe with it as `since` to receive everything after it.
    cursor: String,
    /// When the transaction began that changed it; cursors, not times, say what came first.
    at: DateTime,
    /// The import as it is now.
    import: Row<DataImport>,
}

impl DataImportChange {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        let Some(import) = DataImport::by_id(ctx, event.subject_id.into()).await? else { return Ok(None) };
        Ok(Some(Self { cursor: cursor(ctx, event)?, at: DateTime(event.at), import: Row(import) }))
    }
}

/// Something is new or has changed.
#[derive(Interface)]
#[graphql(
    field(
        name = "cursor",
        ty = "&String",
        desc = "Where in the order of changes it is. Subscribe with it as `since` to receive everything after it."
    ),
    field(
        name = "at",
        ty = "&DateTime",
        desc = "When the transaction began that changed it; cursors, not times, say what came first."
    )
)]
enum Change {
    /// A lead.
    Lead(LeadChange),
    /// A commission.
    Commission(CommissionChange),
    /// A payout.
    Payout(PayoutChange),
    /// A partner's credits.
    CreditBalance(CreditBalanceChange),
    /// Clicks on a partner's links.
    Clicks(ClicksChange),
    /// A sign-up.
    SignUp(SignUpChange),
    /// A wallet.
    Wallet(WalletChange),
    /// An import.
    DataImport(DataImportChange),
}

impl Change {
    async fn of(ctx: &Context<'_>, event: Event) -> Result<Option<Self>> {
        Ok(match event.kind {
            EventKind::Lead => LeadChange::of(ctx, event).await?.map(Self::Lead),
            EventKind::Commission => CommissionChange::of(ctx, event).await?.map(Self::Commission),
            EventKind::Payout => PayoutChange::of(ctx, event).await?.map(Self::Payout),
            EventKind::CreditBalance => CreditBalanceChange::of(ctx, event).await?.map(Self::CreditBalance),
            EventKind::Clicks => ClicksChange::of(ctx, event).await?.map(Self::Clicks),
            EventKind::SignUp => SignUpChange::of(ctx, event).await?.map(Self::SignUp),
            EventKind::Wallet => WalletChange::of(ctx, event)?.map(Self::Wallet),
            EventKind::DataImport => DataImportChange::of(ctx, event).await?.map(Self::DataImport),
        })
    }
}

/// One event, or none where the viewer may not see any more what it is about.
type OneOrNone<T> = stream::Iter<std::option::IntoIter<T>>;

/// The root of all subscriptions.
pub struct Subscription;

/// What changes, sent once it has been committed, with what the subscriber may see of it. Each event has a cursor; a client that subscribes with
/// it as `since` receives everything after it, in order, and nothing twice.
#[EngineSubscription]
impl Subscription {
    /// Everything that a page shows, on one stream, in the order in which it changed. What is moved to another partner is sent to that one, and
    /// no longer to the one that had it.
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only changes of these kinds, of which there is at least one. Null: of every kind.")] kinds: Option<
            Vec<EventKind>,
        >,
        #[graphql(desc = "Only what is of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<Change>> {
        let mut kinds = kinds.unwrap_or_else(|| EventKind::ALL.to_vec());
        if kinds.is_empty() {
            let message = "kinds: an empty list would tell of nothing. Leave it out to be told of changes of every kind.";
            return Err(Error::BadUserInput(message.to_owned()));
        }
        kinds.sort_unstable();
        kinds.dedup();
        // Who watches all partners would be told as often as all of their links together are followed.
        if partner_id.is_none() && ctx.viewer().scope().partner.is_none() {
            kinds.retain(|kind| *kind != EventKind::Clicks);
            if kinds.is_empty() {
                let message = "kinds: clicks are told of to those who watch one partner. Name it as `partnerId`.";
                return Err(Error::BadUserInput(message.to_owned()));
            }
        }
        resolve(step(ctx, kinds, partner_id, None, since)?, async |event| Change::of(ctx, event).await).await
    }

    /// Leads that are new or have changed.
    async fn lead_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this lead. Null: all that you may see.")] id: Option<LeadId>,
        #[graphql(desc = "Only leads of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<LeadChange>> {
        resolve(step(ctx, vec![EventKind::Lead], partner_id, id.map(LeadId::uuid), since)?, async |event| {
            LeadChange::of(ctx, event).await
        })
        .await
    }

    /// Commissions that are new or have changed.
    async fn commission_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this commission. Null: all that you may see.")] id: Option<CommissionId>,
        #[graphql(desc = "Only commissions of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<CommissionChange>> {
        resolve(step(ctx, vec![EventKind::Commission], partner_id, id.map(CommissionId::uuid), since)?, async |event| {
            CommissionChange::of(ctx, event).await
        })
        .await
    }

    /// Payouts that are new or have changed.
    async fn payout_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this payout. Null: all that you may see.")] id: Option<PayoutId>,
        #[graphql(desc = "Only payouts of this partner. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<PayoutChange>> {
        resolve(step(ctx, vec![EventKind::Payout], partner_id, id.map(PayoutId::uuid), since)?, async |event| {
            PayoutChange::of(ctx, event).await
        })
        .await
    }

    /// Partners whose credits to assign have become more or fewer.
    async fn credit_balance_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this partner's. Null: all that you may see.")] partner_id: Option<PartnerId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<CreditBalanceChange>> {
        resolve(step(ctx, vec![EventKind::CreditBalance], partner_id, None, since)?, async |event| {
            CreditBalanceChange::of(ctx, event).await
        })
        .await
    }

    /// Wallets of affiliates that have changed: your own, or for operators and services all.
    async fn wallet_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this person's. Null: all that you may see.")] user_id: Option<UserId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<WalletChange>> {
        resolve(step(ctx, vec![EventKind::Wallet], None, user_id.map(UserId::uuid), since)?, async |event| {
            WalletChange::of(ctx, event)
        })
        .await
    }

    /// Imports in the background that are new, have come further, or have ended; for operators.
    async fn data_import_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this import. Null: all of the tenant's.")] id: Option<DataImportId>,
        #[graphql(
            desc = "The cursor of the last change that was received, or `eventCursor` of a query. What came after it is sent first. Null: from now on."
        )]
        since: Option<String>,
    ) -> Result<OneOrNone<DataImportChange>> {
        resolve(step(ctx, vec![EventKind::DataImport], None, id.map(DataImportId::uuid), since)?, async |event| {
            DataImportChange::of(ctx, event).await
        })
        .await
    }
}

/// Notes what is to be watched, or gives the event that is to be resolved.
fn step(
    ctx: &Context<'_>,
    kinds: Vec<EventKind>,
    partner: Option<PartnerId>,
    subject: Option<Uuid>,
    since: Option<String>,
) -> Result<Option<Event>> {
    match ctx.step() {
        SubscriptionStep::Open(watched) => {
            let since =
                since.filter(|since| !since.is_empty()).map(|since| ctx.request().shared.cursors.decode(&since)).transpose()?;
            let filter = EventFilter { kinds, partner, subject };
            *watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Watched { filter, since });
            Ok(None)
        }
        SubscriptionStep::Resolve(event) => Ok(Some(*event)),
    }
}

/// Resolves an event, where there is one and the viewer may see what it is about.
async fn resolve<C>(event: Option<Event>, read: impl AsyncFnOnce(Event) -> Result<Option<C>>) -> Result<OneOrNone<C>> {
    let change = match event {
        Some(event) => read(event).await?,
        None => None,
    };
    Ok(stream::iter(change))
}

/// The cursor of an event.
fn cursor(ctx: &Context<'_>, event: Event) -> Result<String> {
    ctx.request().shared.cursors.encode(event.position())
}
