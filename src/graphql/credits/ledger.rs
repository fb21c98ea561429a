//! Credits in the ledger as the API shows them: partners' balances, and transfers.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};
use chrono::Utc;

use super::credit::{CreditAllocation, CreditGrant, CreditRedemption};
use crate::{
    db,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::{BatchKey, batch_key},
            pagination::{Connection, Listed, TotalCount},
            row::{Row, plain},
            scalars::DateTime,
        },
        ledger::transfer::reads_ledgers,
        people::user::User,
    },
    ids::{AllocationId, CreditTransferId, PartnerId, RedemptionId},
    models::{
        credits::ledger::{self, CreditAccountKind, CreditTransferKind, figures, whole},
        ledger::{
            CREDIT_UNIT,
            transfer::{BY_ENTRY, Ledger},
        },
        page::{Page, PageArguments},
        scope::Scope,
    },
};

/// A transfer of credits.
#[derive(Clone)]
pub struct CreditTransfer(Arc<ledger::CreditTransfer>);

/// Credits that moved from one of a partner's accounts to another. Never changed and never deleted.
#[Object]
impl CreditTransfer {
    /// Its id.
    pub async fn id(&self) -> CreditTransferId {
        self.0.id()
    }

    /// Why they moved.
    async fn kind(&self) -> CreditTransferKind {
        self.0.kind
    }

    /// How many; always above zero.
    async fn credits(&self) -> i64 {
        whole(self.0.amount)
    }

    /// From where.
    async fn from(&self) -> CreditAccountKind {
        self.0.from_kind
    }

    /// To where.
    async fn to(&self) -> CreditAccountKind {
        self.0.to_kind
    }

    /// What the partner's account `from` held after it, all its members taken together. Null to callers that may not read the partner's ledger.
    #[graphql(name = "fromBalance")]
    async fn source_balance(&self, ctx: &Context<'_>) -> Option<i64> {
        reads_ledgers(ctx).then(|| whole(self.0.from_balance))
    }

    /// What the partner's account `to` held after it, all its members taken together. Null to callers that may not read the partner's ledger.
    #[graphql(name = "toBalance")]
    async fn target_balance(&self, ctx: &Context<'_>) -> Option<i64> {
        reads_ledgers(ctx).then(|| whole(self.0.to_balance))
    }

    /// The grant that it is about. Null where it is about an allocation.
    async fn grant(&self, ctx: &Context<'_>) -> Option<Result<CreditGrant>> {
        CreditGrant::by_id(ctx, self.0.grant_id?).await.transpose()
    }

    /// The allocation that it is about. Null where it is about a grant.
    async fn allocation(&self, ctx: &Context<'_>) -> Option<Result<Row<CreditAllocation>>> {
        CreditAllocation::by_id(ctx, self.0.allocation_id?).await.transpose()
    }

    /// The redemption that used them. Null where they were not used, and to partners.
    async fn redemption(&self, ctx: &Context<'_>) -> Option<Result<CreditRedemption>> {
        CreditRedemption::by_id(ctx, self.0.redemption_id?).await.transpose()
    }

    /// Who caused it. Null where no person did, and where it was a person of another organisation than yours.
    async fn posted_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.posted_by?).await.transpose()
    }

    /// When it was posted.
    async fn posted_at(&self) -> DateTime {
        self.0.posted_at.into()
    }
}

/// A partner's credits.
pub struct CreditFigures(ledger::CreditFigures);

/// Where a partner's credits are now. What is past its time counts as expired from that second on.
#[Object]
impl CreditFigures {
    /// How many it can still assign.
    async fn balance(&self) -> i64 {
        self.0.balance
    }

    /// How many its members have: neither used, expired nor taken back.
    async fn assigned(&self) -> i64 {
        self.0.assigned
    }

    /// How many its members have used.
    async fn used(&self) -> i64 {
        self.0.used
    }

    /// How many its members have not used in time.
    async fn expired(&self) -> i64 {
        self.0.expired
    }
}

impl CreditFigures {
    /// A partner's.
    pub async fn of_partner(ctx: &Context<'_>, partner: PartnerId) -> Result<Self> {
        Ok(Self(ctx.load(CreditsOf(partner, ctx.as_of())).await?.unwrap_or_default()))
    }

    /// How many it can still assign.
    pub fn unassigned(&self) -> i64 {
        self.0.balance
    }
}

plain!(CreditTransfer: id, kind, credits, from, to, source_balance, target_balance, posted_at);
leaf_enums!(CreditAccountKind, CreditTransferKind);

impl From<Arc<ledger::CreditTransfer>> for CreditTransfer {
    fn from(row: Arc<ledger::CreditTransfer>) -> Self {
        Self(row)
    }
}

impl CreditTransfer {
    /// The transfer of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: CreditTransferId) -> Result<Option<Self>> {
        Ok(ctx.load(CreditTransferById(id)).await?.map(Self))
    }

    /// One page of a partner's ledger of credits; none for a caller that may not read ledgers.
    pub async fn of_partner(ctx: &Context<'_>, partner: PartnerId, arguments: PageArguments) -> Option<Result<Connection<Self>>> {
        if !reads_ledgers(ctx) {
            return None;
        }
        Some(match Page::new(BY_ENTRY, true, arguments) {
            Ok(page) => lists::nested(ctx, partner, Ledger::<ledger::CreditTransfer>::of(CREDIT_UNIT), page).await,
            Err(error) => Err(error),
        })
    }

    /// An allocation's transfers.
    pub async fn of_allocation(ctx: &Context<'_>, id: AllocationId) -> Result<Vec<Self>> {
        let rows = ctx.load(TransfersByAllocation(id)).await?.unwrap_or_default();
        Ok(rows.iter().cloned().map(Self).collect())
    }

    /// A redemption's transfers.
    pub async fn of_redemption(ctx: &Context<'_>, id: RedemptionId) -> Result<Vec<Self>> {
        let rows = ctx.load(TransfersByRedemption(id)).await?.unwrap_or_default();
        Ok(rows.iter().cloned().map(Self).collect())
    }
}

impl Listed for CreditTransfer {
    type Beside = TotalCount;
}

impl Shown for Ledger<ledger::CreditTransfer> {}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CreditsOf(PartnerId, chrono::DateTime<Utc>);

impl BatchKey for CreditsOf {
    type Value = ledger::CreditFigures;

    /// All at the request's one instant, and so one statement.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let Some(&Self(_, now)) = keys.first() else { return Ok(HashMap::new()) };
        let partners: Vec<PartnerId> = keys.iter().map(|key| key.0).collect();
        let found = figures(connection, scope, &partners, now).await?;
        Ok(found.into_iter().map(|(partner, figures)| (Self(partner, now), figures)).collect())
    }
}

batch_key!(CreditTransferById(CreditTransferId) -> Arc<ledger::CreditTransfer>, ledger::CreditTransfer::by_ids);

batch_key!(TransfersByAllocation(AllocationId) -> Arc<[Arc<ledger::CreditTransfer>]>, ledger::CreditTransfer::by_allocations);

batch_key!(TransfersByRedemption(RedemptionId) -> Arc<[Arc<ledger::CreditTransfer>]>, ledger::CreditTransfer::by_redemptions);
