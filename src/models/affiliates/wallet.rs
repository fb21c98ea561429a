//! Wallets: a user's accounts in one currency, and what moves them. Everything that goes into one or out of it is a
//! [`WalletTransaction`](super::wallet_transaction::WalletTransaction) with its own transfer in the ledger.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::wallet_transaction::WalletTransactionKind;
use crate::{
    db::{
        schema::{user_accounts, wallet_transactions},
        statement::{Bind, statement},
    },
    ids::{CommissionId, RewardId, UserId, WalletTransactionId},
    models::{
        ledger::{AccountKind, TransferKind, books::Books},
        scope::Scope,
    },
};

/// A user's accounts in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wallet {
    /// Whose.
    pub user: UserId,
    /// In which currency.
    pub currency: Currency,
}

/// What a wallet holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalletBalances {
    /// What is held back: part of the balance, and not to be taken out yet.
    pub held: Decimal,
    /// What can be taken out; below zero where what was taken out is refunded.
    pub available: Decimal,
    /// What has been taken out.
    pub taken_out: Decimal,
}

impl WalletBalances {
    /// All that it holds.
    pub fn balance(&self) -> Decimal {
        self.held + self.available
    }

    fn set(&mut self, kind: AccountKind, balance: Decimal) {
        match kind {
            AccountKind::Pending => self.held = balance,
            AccountKind::Wallet => self.available = balance,
            AccountKind::TakenOut => self.taken_out = balance,
            AccountKind::Expense | AccountKind::Payable | AccountKind::InPayout | AccountKind::Paid => {}
        }
    }
}

/// The balances of each wallet; one without transactions has none.
pub async fn balances(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    wallets: &[Wallet],
) -> QueryResult<HashMap<Wallet, WalletBalances>> {
    let users: Vec<UserId> = wallets.iter().map(|wallet| wallet.user).collect();
    let units: Vec<&str> = wallets.iter().map(|wallet| wallet.currency.code()).collect();
    let rows: Vec<(UserId, String, AccountKind, Decimal)> = user_accounts::table
        .filter(user_accounts::tenant_id.eq(scope.tenant))
        .filter(user_accounts::user_id.eq_any(users))
        .filter(user_accounts::unit.eq_any(units))
        .select((user_accounts::user_id, user_accounts::unit, user_accounts::kind, user_accounts::balance))
        .load(&mut connection)
        .await?;
    let mut found = HashMap::<Wallet, WalletBalances>::new();
    for (user, unit, kind, balance) in rows.into_iter().filter(|row| scope.includes_user(row.0)) {
        let Some(currency) = Currency::from_code(&unit) else { continue };
        found.entry(Wallet { user, currency }).or_default().set(kind, balance);
    }
    Ok(found)
}

/// The currencies of each user's wallets, in the order of their codes.
pub async fn currencies(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    users: &[UserId],
) -> QueryResult<HashMap<UserId, Vec<Currency>>> {
    let rows: Vec<(UserId, String)> = user_accounts::table
        .filter(user_accounts::tenant_id.eq(scope.tenant))
        .filter(user_accounts::user_id.eq_any(users))
        .order((user_accounts::user_id, user_accounts::unit))
        .select((user_accounts::user_id, user_accounts::unit))
        .distinct()
        .load(&mut connection)
        .await?;
    let mut found = HashMap::<UserId, Vec<Currency>>::new();
    for (user, unit) in rows.into_iter().filter(|row| scope.includes_user(row.0)) {
        found.entry(user).or_default().extend(Currency::from_code(&unit));
    }
    Ok(found)
}

/// What goes into a wallet or out of it.
#[derive(Debug, Clone)]
pub(super) struct Change<'a> {
    /// Why.
    pub kind: WalletTransactionKind,
    /// How much; below zero for what goes out.
    pub amount: Decimal,
    /// For a reward what was paid; for a refund what was refunded, below zero.
    pub sales: Decimal,
    /// Whether it is held back.
    pub is_held: bool,
    /// The reward that it is about.
    pub reward: Option<RewardId>,
    /// The commission that it has become.
    pub commission: Option<CommissionId>,
    /// Why somebody did it.
    pub reason: Option<&'a str>,
    /// When it is counted to.
    pub at: DateTime<Utc>,
    /// The idempotency key, and what was asked for with it.
    pub key: Option<(&'a str, Value)>,
}

impl Change<'_> {
    /// One that is done now.
    pub fn now(books: &Books<'_>, kind: WalletTransactionKind, amount: Decimal) -> Self {
        Self {
            kind,
            amount,
            sales: Decimal::ZERO,
            is_held: false,
            reward: None,
            commission: None,
            reason: None,
            at: books.at,
            key: None,
        }
    }
}

/// A transfer of a wallet's.
pub(super) struct WalletPosting {
    pub from: AccountKind,
    pub to: AccountKind,
    /// How much; below zero goes the other way.
    pub amount: Decimal,
    pub kind: TransferKind,
    pub transaction: Option<WalletTransactionId>,
    pub reward: Option<RewardId>,
}

impl Books<'_> {
    /// Writes a transaction of a wallet, whose user is locked, and its transfer.
    pub(super) async fn change_wallet(&self, wallet: Wallet, change: Change<'_>) -> QueryResult<WalletTransactionId> {
        let of_wallet = wallet_transactions::table
            .filter(wallet_transactions::tenant_id.eq(self.tenant))
            .filter(wallet_transactions::user_id.eq(wallet.user))
            .filter(wallet_transactions::currency.eq(wallet.currency.code()));
        let last: Option<(i64, Decimal)> = of_wallet
            .order(wallet_transactions::number.desc())
            .select((wallet_transactions::number, wallet_transactions::balance))
            .first(&mut &*self.connection)
            .await
            .optional()?;
        let (number, balance) = last.unwrap_or_default();
        let id = WalletTransactionId::new();
        let (key, request) = change.key.unzip();
        diesel::insert_into(wallet_transactions::table)
            .values((
                wallet_transactions::tenant_id.eq(self.tenant),
                wallet_transactions::id.eq(id),
                wallet_transactions::user_id.eq(wallet.user),
                wallet_transactions::currency.eq(wallet.currency.code()),
                wallet_transactions::number.eq(number + 1),
                wallet_transactions::kind.eq(change.kind),
                wallet_transactions::amount.eq(change.amount),
                wallet_transactions::balance.eq(balance + change.amount),
                wallet_transactions::sales.eq(change.sales),
                wallet_transactions::reward_id.eq(change.reward),
                wallet_transactions::commission_id.eq(change.commission),
                wallet_transactions::reason.eq(change.reason),
                wallet_transactions::at.eq(change.at),
                wallet_transactions::idempotency_key.eq(key),
                (wallet_transactions::request.eq(request), wallet_transactions::created_by.eq(self.by)),
                wallet_transactions::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        let into = if change.is_held { AccountKind::Pending } else { AccountKind::Wallet };
        let (from, to, amount, kind) = match change.kind {
            WalletTransactionKind::Reward | WalletTransactionKind::Refund => {
                (AccountKind::Expense, into, change.amount, TransferKind::Earn)
            }
            WalletTransactionKind::TakeOut => (AccountKind::Wallet, AccountKind::TakenOut, -change.amount, TransferKind::TakeOut),
            WalletTransactionKind::GiveBack => {
                (AccountKind::TakenOut, AccountKind::Wallet, change.amount, TransferKind::GiveBack)
            }
            WalletTransactionKind::Adjustment => (AccountKind::Expense, AccountKind::Wallet, change.amount, TransferKind::Adjust),
        };
        self.post_in_wallet(wallet, &[WalletPosting { from, to, amount, kind, transaction: Some(id), reward: None }]).await?;
        Ok(id)
    }

    /// Posts transfers of a wallet, in their order, by the database's own function. An amount of zero moves nothing and is not posted.
    pub(super) async fn post_in_wallet(&self, wallet: Wallet, postings: &[WalletPosting]) -> QueryResult<()> {
        let postings: Vec<_> = postings.iter().filter(|posting| !posting.amount.is_zero()).collect();
        if postings.is_empty() {
            return Ok(());
        }
        let sides = |posting: &&WalletPosting| {
            if posting.amount.is_sign_negative() { (posting.to, posting.from) } else { (posting.from, posting.to) }
        };
        let texts = |texts: Vec<&str>| Bind::Texts(texts.into_iter().map(str::to_owned).collect());
        statement::<Text>(
            "SELECT post_wallet_transfers(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)::text",
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::OptionalUuid(self.by.map(UserId::uuid)),
                Bind::Time(self.at),
                Bind::Uuid(wallet.user.uuid()),
                Bind::text(wallet.currency.code()),
                texts(postings.iter().map(|posting| sides(posting).0.as_str()).collect()),
                texts(postings.iter().map(|posting| sides(posting).1.as_str()).collect()),
                Bind::Decimals(postings.iter().map(|posting| posting.amount.abs()).collect()),
                texts(postings.iter().map(|posting| posting.kind.as_str()).collect()),
                Bind::OptionalUuids(postings.iter().map(|posting| posting.transaction.map(Uuid::from)).collect()),
                Bind::OptionalUuids(postings.iter().map(|posting| posting.reward.map(Uuid::from)).collect()),
            ],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
