//! Why a wallet's transaction is what it is: what went in, each step, and how it was rounded, as data and as one sentence.

use diesel::QueryResult;
use rust_decimal::Decimal;

use super::{
    reward::{Reward, share_of},
    terms::AffiliateTerms,
    wallet_transaction::{WalletTransaction, WalletTransactionKind},
};
use crate::{
    models::commissions::{
        calculation::{CalculationStep, percent},
        explanation::shown,
    },
    money::{Money, stored_currency},
};

/// An explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletExplanation {
    /// All of it in one sentence.
    pub sentence: String,
    /// The terms by which a reward is calculated.
    pub terms: Option<AffiliateTerms>,
    /// For a reward what was paid; for a refund what is left of it.
    pub base: Option<Decimal>,
    /// The steps to the reward of that base.
    pub steps: Vec<CalculationStep>,
    /// What they come to: for a refund the reward that is left, of which the amount is the change.
    pub reward: Option<Decimal>,
}

/// What a transaction of a reward is explained by.
#[derive(Debug, Clone, Copy)]
pub struct OfReward<'a> {
    /// The reward.
    pub reward: &'a Reward,
    /// The terms that it names.
    pub terms: &'a AffiliateTerms,
    /// All of its transactions, in their order.
    pub transactions: &'a [WalletTransaction],
    /// The payer's initials.
    pub initials: Option<&'a str>,
}

impl WalletExplanation {
    /// Why a transaction is what it is.
    pub fn of(transaction: &WalletTransaction, of_reward: Option<OfReward<'_>>) -> QueryResult<Self> {
        let currency = stored_currency(&transaction.currency)?;
        let amount = shown(transaction.amount.abs(), currency);
        let reason = transaction.reason.as_deref().unwrap_or_default();
        let plain = |sentence| Self { sentence, terms: None, base: None, steps: Vec::new(), reward: None };
        Ok(match (transaction.kind, of_reward) {
            (WalletTransactionKind::Reward | WalletTransactionKind::Refund, Some(of_reward)) => {
                Self::of_reward(transaction, of_reward)?
            }
            (WalletTransactionKind::Reward, None) => plain(format!("{amount} for a payment.")),
            (WalletTransactionKind::Refund, None) => plain(format!("{amount} for a refund.")),
            (WalletTransactionKind::TakeOut, _) => {
                plain(format!("{amount} taken out: it is owed to the partner since, and paid with its commissions."))
            }
            (WalletTransactionKind::GiveBack, _) => plain(format!("{amount} that was taken out is back: {reason}")),
            (WalletTransactionKind::Adjustment, _) => {
                let did = if transaction.amount.is_sign_negative() { "took off" } else { "added" };
                plain(format!("An operator {did} {amount}: {reason}"))
            }
        })
    }

    fn of_reward(transaction: &WalletTransaction, of: OfReward<'_>) -> QueryResult<Self> {
        let OfReward { reward, terms, transactions, initials } = of;
        let currency = stored_currency(&transaction.currency)?;
        let until: Vec<_> = transactions.iter().filter(|other| other.number <= transaction.number).collect();
        let base: Decimal = until.iter().map(|other| other.sales).sum();
        let before: Decimal = until.iter().filter(|other| other.number < transaction.number).map(|other| other.amount).sum();
        let calculation = share_of(terms.share, Money { amount: base, currency });
        let who = initials.unwrap_or("the referred person");
        let (rate, left) = (percent(terms.share), shown(calculation.amount, currency));
        let by = format!("version {} of the terms", terms.number);
        let sentence = if transaction.kind == WalletTransactionKind::Reward {
            format!("{rate} of {} that {who} paid, by {by}: {left}.", shown(base, currency))
        } else {
            format!(
                "Of {} that {who} paid, {} has been refunded in all: {rate} of the rest, by {by}, is {left} where it was {} before.",
                shown(reward.base, currency),
                shown(reward.base - base, currency),
                shown(before, currency)
            )
        };
        Ok(Self {
            sentence,
            terms: Some(terms.clone()),
            base: Some(base),
            steps: calculation.steps,
            reward: Some(calculation.amount),
        })
    }
}
