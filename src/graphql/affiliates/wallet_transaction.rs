//! What has gone into wallets and out of them, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::{referral::Referral, terms::AffiliateTerms};
use crate::{
    error::Result,
    graphql::{
        commissions::{commission::Commission, explanation::CalculationStep},
        engine::{
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::{CurrencyCode, DateTime, Money, currency},
        },
        payouts::payout::Payout,
        people::user::User,
    },
    ids::{RewardId, UserId, WalletTransactionId},
    models::{
        affiliates::{
            explanation::{OfReward, WalletExplanation},
            reward,
            wallet::Wallet,
            wallet_transaction::{self, BY_CREATED, BY_NUMBER, WalletTransactionFilter, WalletTransactionKind},
        },
        page::{Page, PageArguments},
    },
};

/// A transaction.
#[derive(Clone)]
pub struct WalletTransaction(pub Arc<wallet_transaction::WalletTransaction>);

/// Something that went into a wallet or out of it.
#[Object]
impl WalletTransaction {
    /// Its id.
    pub async fn id(&self) -> WalletTransactionId {
        self.0.id
    }

    /// Its number within the wallet, from 1 without gaps.
    async fn number(&self) -> i64 {
        self.0.number
    }

    /// Why.
    async fn kind(&self) -> WalletTransactionKind {
        self.0.kind
    }

    /// How much; below zero for what went out.
    async fn amount(&self) -> Result<Money> {
        Money::stored(self.0.amount, &self.0.currency)
    }

    /// What the wallet held after it, with what is held back.
    async fn balance_after(&self) -> Result<Money> {
        Money::stored(self.0.balance, &self.0.currency)
    }

    /// When it was paid, refunded or done: figures count it by this.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// When it was recorded.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Why somebody did it. Null for rewards, refunds, and what is taken out.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Whose wallet it is of. Null where you may not see them.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.user_id).await.transpose()
    }

    /// The invoice's id in the billing system, for operators and services; for rewards and refunds. Null otherwise.
    async fn invoice_id(&self, ctx: &Context<'_>) -> Option<Result<String>> {
        if ctx.viewer().scope().user.is_some() {
            return None;
        }
        Some(self.reward(ctx).await.transpose()?.map(|reward| reward.invoice_id.clone()))
    }

    /// Who has paid. Null where it is neither a reward nor a refund.
    async fn referral(&self, ctx: &Context<'_>) -> Option<Result<Referral>> {
        let referral = match self.reward(ctx).await.transpose()? {
            Ok(reward) => Referral::by_id(ctx, reward.referral_id).await,
            Err(error) => Err(error),
        };
        referral.transpose()
    }

    /// Until when the reward is held back, or was. Null where it never was, and for other kinds.
    async fn held_until(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        self.reward(ctx).await.transpose()?.map(|reward| reward.due_at.map(DateTime)).transpose()
    }

    /// The commission of your partner that what was taken out has become. Null for other kinds, and where your partner is another one by now.
    async fn commission(&self, ctx: &Context<'_>) -> Option<Result<Row<Commission>>> {
        Commission::by_id(ctx, self.0.commission_id?).await.transpose()
    }

    /// The payout in which what was taken out is paid. Null while there is none, and for other kinds.
    async fn payout(&self, ctx: &Context<'_>) -> Option<Result<Row<Payout>>> {
        let payout = match Commission::by_id(ctx, self.0.commission_id?).await.transpose()? {
            Ok(commission) => match commission.0.0.payout_id {
                Some(payout) => Payout::by_id(ctx, payout).await,
                None => Ok(None),
            },
            Err(error) => Err(error),
        };
        payout.transpose()
    }

    /// Who did it: a person, or the machine that reported the payment. Null where no one did, or you may not see them.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by?).await.transpose()
    }

    /// Who acted in the name of `createdBy`, as the sign-in service knows them. Null where nobody did, and for the affiliate.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<&str> {
        if ctx.viewer().scope().user.is_some() {
            return None;
        }
        self.0.impersonator.as_deref()
    }

    /// Why the amount is what it is.
    async fn explanation(&self, ctx: &Context<'_>) -> Result<WalletTransactionExplanation> {
        let Some(reward) = self.reward(ctx).await? else {
            return WalletTransactionExplanation::of(WalletExplanation::of(&self.0, None)?, &self.0.currency);
        };
        let terms = AffiliateTerms::by_id(ctx, reward.terms_id);
        let transactions = async { Ok(ctx.load(TransactionsOfReward(reward.id)).await?.unwrap_or_default()) };
        let referral = Referral::by_id(ctx, reward.referral_id);
        let (terms, transactions, referral) = futures_util::try_join!(terms, transactions, referral)?;
        let terms = terms.ok_or_else(|| missing("a reward's terms"))?;
        let initials = referral.as_ref().and_then(|referral| referral.0.initials.as_deref());
        let of = OfReward { reward: &reward, terms: &terms.0, transactions: &transactions, initials };
        WalletTransactionExplanation::of(WalletExplanation::of(&self.0, Some(of))?, &self.0.currency)
    }
}

/// An explanation, and its currency.
pub struct WalletTransactionExplanation {
    explanation: WalletExplanation,
    currency: iso_currency::Currency,
}

/// Why a wallet's transaction is what it is.
#[Object]
impl WalletTransactionExplanation {
    /// All of it in one sentence, for people.
    async fn sentence(&self) -> &str {
        &self.explanation.sentence
    }

    /// The version of the terms by which a reward is calculated. Null for other kinds.
    async fn terms(&self) -> Option<AffiliateTerms> {
        self.explanation.terms.clone().map(|terms| AffiliateTerms(Arc::new(terms)))
    }

    /// For a reward what was paid, for a refund what is left of that. Null for other kinds.
    async fn base(&self) -> Option<Money> {
        self.explanation.base.map(|base| Money::of(base, self.currency))
    }

    /// The steps from `base` to `reward`. Empty for other kinds.
    async fn steps(&self) -> Vec<CalculationStep> {
        self.explanation.steps.iter().map(|step| CalculationStep::new(step, self.currency)).collect()
    }

    /// What the steps come to, rounded once, half to even: for a refund the reward that is left, of which the amount is the change. Null for
    /// other kinds.
    async fn reward(&self) -> Option<Money> {
        self.explanation.reward.map(|reward| Money::of(reward, self.currency))
    }
}

impl WalletTransactionExplanation {
    fn of(explanation: WalletExplanation, code: &str) -> Result<Self> {
        Ok(Self { explanation, currency: currency(code)? })
    }
}

leaf_enums!(WalletTransactionKind);

/// Which transactions to show.
#[derive(InputObject)]
#[graphql(name = "WalletTransactionFilter")]
pub struct WalletTransactionFilterInput {
    /// Only those of these kinds.
    kinds: Option<Vec<WalletTransactionKind>>,
    /// Only those that were recorded in this period.
    created_at: Option<PeriodInput>,
}

impl WalletTransaction {
    /// The transaction of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: WalletTransactionId) -> Result<Option<Self>> {
        Ok(ctx.load(TransactionById(id)).await?.map(Self))
    }

    /// One page of the transactions that the viewer may see, of one user and currency or of all, the latest first.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        (user, currency): (Option<UserId>, Option<CurrencyCode>),
        filter: Option<WalletTransactionFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = checked(ctx, filter)?;
        let filter = WalletTransactionFilter { user, currency: currency.map(|code| code.0), ..filter };
        lists::root(ctx, filter, Page::new(BY_CREATED, true, arguments)?).await
    }

    /// One page of a wallet's, fetched together with those of its siblings, the latest first.
    pub async fn of_wallet(
        ctx: &Context<'_>,
        wallet: Wallet,
        arguments: PageArguments,
        filter: Option<WalletTransactionFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = WalletTransactionFilter { currency: Some(wallet.currency), ..checked(ctx, filter)? };
        lists::nested(ctx, wallet.user, filter, Page::new(BY_NUMBER, true, arguments)?).await
    }

    async fn reward(&self, ctx: &Context<'_>) -> Result<Option<Arc<reward::Reward>>> {
        match self.0.reward_id {
            Some(id) => ctx.load(RewardById(id)).await,
            None => Ok(None),
        }
    }
}

fn checked(ctx: &Context<'_>, filter: Option<WalletTransactionFilterInput>) -> Result<WalletTransactionFilter> {
    let Some(filter) = filter else { return Ok(WalletTransactionFilter::default()) };
    let (from, before) = bounds(ctx, "createdAt", filter.created_at)?;
    Ok(WalletTransactionFilter { kinds: filter.kinds, from, before, ..WalletTransactionFilter::default() })
}

batch_key!(TransactionById(WalletTransactionId) -> Arc<wallet_transaction::WalletTransaction>, wallet_transaction::WalletTransaction::by_ids);

batch_key!(TransactionsOfReward(RewardId) -> Arc<[wallet_transaction::WalletTransaction]>, wallet_transaction::WalletTransaction::by_rewards);

batch_key!(RewardById(RewardId) -> Arc<reward::Reward>, reward::Reward::by_ids);

plain!(WalletTransaction: id, number, kind, amount, balance_after, at, created_at, reason);

impl From<Arc<wallet_transaction::WalletTransaction>> for WalletTransaction {
    fn from(row: Arc<wallet_transaction::WalletTransaction>) -> Self {
        Self(row)
    }
}

impl Listed for WalletTransaction {
    type Beside = TotalCount;
}

impl Shown for WalletTransactionFilter {}
