//! Transfers of money as the API shows them, and who may read ledgers.

use std::sync::Arc;

use async_graphql::{Context, Object};
use iso_currency::Currency;

use crate::{
    auth::Readable,
    error::Result,
    graphql::{
        commissions::commission::Commission,
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            row::{Row, plain},
            scalars::{CurrencyCode, DateTime, Money, currency_or_default},
        },
        payouts::payout::Payout,
        people::user::User,
    },
    ids::{CommissionId, PartnerId, PayoutId, TransferId},
    models::{
        ledger::{
            AccountKind, TransferKind,
            transfer::{self, BY_ENTRY, Ledger},
        },
        page::{Page, PageArguments},
    },
};

/// A transfer.
#[derive(Clone)]
pub struct Transfer(pub Arc<transfer::Transfer>);

/// An amount that moved from one account of a partner's to another. Never changed and never deleted.
#[Object]
impl Transfer {
    /// Its id.
    pub async fn id(&self) -> TransferId {
        self.0.id()
    }

    /// Why it moved.
    async fn kind(&self) -> TransferKind {
        self.0.kind
    }

    /// How much; always above zero.
    async fn amount(&self) -> Result<Money> {
        Money::stored(self.0.amount, &self.0.unit)
    }

    /// From where.
    async fn from(&self) -> AccountKind {
        self.0.from_kind
    }

    /// To where.
    async fn to(&self) -> AccountKind {
        self.0.to_kind
    }

    /// What the account `from` held after it. Null to callers that may not read the partner's ledger.
    #[graphql(name = "fromBalance")]
    async fn source_balance(&self, ctx: &Context<'_>) -> Option<Result<Money>> {
        reads_ledgers(ctx).then(|| Money::stored(self.0.from_balance, &self.0.unit))
    }

    /// What the account `to` held after it. Null to callers that may not read the partner's ledger.
    #[graphql(name = "toBalance")]
    async fn target_balance(&self, ctx: &Context<'_>) -> Option<Result<Money>> {
        reads_ledgers(ctx).then(|| Money::stored(self.0.to_balance, &self.0.unit))
    }

    /// The commission that it is about. Null where it is about a payout.
    async fn commission(&self, ctx: &Context<'_>) -> Option<Result<Row<Commission>>> {
        Commission::by_id(ctx, self.0.event_id?).await.transpose()
    }

    /// The payout that it is about. Null where it is about a commission.
    async fn payout(&self, ctx: &Context<'_>) -> Option<Result<Row<Payout>>> {
        Payout::by_id(ctx, self.0.payout_id?).await.transpose()
    }

    /// Who caused it. Null where time did, and where it was a person of another organisation than yours.
    async fn posted_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.posted_by?).await.transpose()
    }

    /// When it was posted.
    async fn posted_at(&self) -> DateTime {
        self.0.posted_at.into()
    }
}

/// The currency of the ledger that is asked for; `None` for a caller that may not read ledgers.
pub fn readable(ctx: &Context<'_>, currency: Option<CurrencyCode>) -> Option<Result<Currency>> {
    reads_ledgers(ctx).then(|| currency_or_default(ctx, currency))
}

/// Whether the viewer may read ledgers: partners' owners their own, operators all.
pub fn reads_ledgers(ctx: &Context<'_>) -> bool {
    ctx.viewer().may_read(Readable::Ledgers)
}

impl Listed for Transfer {
    type Beside = TotalCount;
}

impl Shown for Ledger<transfer::Transfer> {}

plain!(Transfer: id, kind, amount, from, to, source_balance, target_balance, posted_at);
leaf_enums!(AccountKind, TransferKind);

impl From<Arc<transfer::Transfer>> for Transfer {
    fn from(row: Arc<transfer::Transfer>) -> Self {
        Self(row)
    }
}

impl Transfer {
    /// The transfer of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: TransferId) -> Result<Option<Self>> {
        Ok(ctx.load(TransferById(id)).await?.map(Self))
    }

    /// One page of a partner's ledger.
    pub async fn of_partner(
        ctx: &Context<'_>,
        partner: PartnerId,
        currency: Currency,
        arguments: PageArguments,
    ) -> Result<Connection<Self>> {
        let ledger = Ledger::<transfer::Transfer>::of(currency.code());
        lists::nested(ctx, partner, ledger, Page::new(BY_ENTRY, true, arguments)?).await
    }

    /// A commission's own transfers.
    pub async fn of_commission(ctx: &Context<'_>, id: CommissionId) -> Result<Vec<Self>> {
        let rows = ctx.load(TransfersByCommission(id)).await?.unwrap_or_default();
        Ok(rows.iter().cloned().map(Self).collect())
    }

    /// A payout's transfers.
    pub async fn of_payout(ctx: &Context<'_>, id: PayoutId) -> Result<Vec<Self>> {
        let rows = ctx.load(TransfersByPayout(id)).await?.unwrap_or_default();
        Ok(rows.iter().cloned().map(Self).collect())
    }
}

batch_key!(TransferById(TransferId) -> Arc<transfer::Transfer>, transfer::Transfer::by_ids);

batch_key!(TransfersByCommission(CommissionId) -> Arc<[Arc<transfer::Transfer>]>, transfer::Transfer::by_commissions);

batch_key!(TransfersByPayout(PayoutId) -> Arc<[Arc<transfer::Transfer>]>, transfer::Transfer::by_payouts);
