//! Corrections of wallets, by an operator.

use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{
    wallet::{Change, Wallet},
    wallet_transaction::WalletTransactionKind,
};
use crate::{
    db::{
        is_taken,
        schema::{users, wallet_transactions},
    },
    ids::{UserId, WalletTransactionId},
    models::{
        idempotency::{Difference, Key},
        ledger::books::Books,
    },
    money::Money,
};

/// A correction by an operator.
#[derive(Debug, Clone)]
pub struct WalletAdjustment {
    /// Whose wallet.
    pub user: UserId,
    /// By how much; below zero takes away.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// The idempotency key.
    pub key: String,
}

/// Why nothing was corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalletAdjustmentFault {
    /// There is no such user.
    UnknownUser,
    /// The key is being used, at the same time, for another user.
    KeyTaken,
    /// The key was used for something else.
    KeyReused {
        /// What was done with it.
        first: WalletTransactionId,
        /// Where that differs.
        difference: Difference,
    },
}

/// What was done, and whether it had been done before with the same key.
pub type Adjusted = Result<(WalletTransactionId, bool), WalletAdjustmentFault>;

impl WalletAdjustment {
    fn key(&self) -> Key {
        let fields = [
            ("userId", json!(self.user.to_string())),
            ("amount", json!(self.amount.amount.to_string())),
            ("currency", json!(self.amount.currency.code())),
            ("reason", json!(self.reason)),
        ];
        Key::new(self.key.clone(), fields)
    }
}

impl Books<'_> {
    /// Books an operator's correction of a wallet, once for each key.
    pub async fn adjust_wallet(&self, adjustment: &WalletAdjustment) -> QueryResult<Adjusted> {
        let known = users::table.filter(users::tenant_id.eq(self.tenant)).filter(users::id.eq(adjustment.user));
        if !diesel::select(diesel::dsl::exists(known)).get_result(&mut &*self.connection).await? {
            return Ok(Err(WalletAdjustmentFault::UnknownUser));
        }
        self.lock_wallets(&[adjustment.user]).await?;
        let key = adjustment.key();
        let first: Option<(WalletTransactionId, Option<Value>)> = wallet_transactions::table
            .filter(wallet_transactions::tenant_id.eq(self.tenant))
            .filter(wallet_transactions::kind.eq(WalletTransactionKind::Adjustment))
            .filter(wallet_transactions::idempotency_key.eq(key.text()))
            .select((wallet_transactions::id, wallet_transactions::request))
            .first(&mut &*self.connection)
            .await
            .optional()?;
        if let Some((first, stored)) = first {
            return Ok(match key.difference(stored.as_ref(), []) {
                None => Ok((first, true)),
                Some(difference) => Err(WalletAdjustmentFault::KeyReused { first, difference }),
            });
        }
        let books = self.after_locks();
        let mut change = Change::now(&books, WalletTransactionKind::Adjustment, adjustment.amount.amount);
        change.reason = Some(&adjustment.reason);
        change.key = Some((key.text(), key.request()));
        let wallet = Wallet { user: adjustment.user, currency: adjustment.amount.currency };
        match books.change_wallet(wallet, change).await {
            Err(error) if is_taken(&error, "wallet_transactions_adjustment_key") => Ok(Err(WalletAdjustmentFault::KeyTaken)),
            changed => changed.map(|id| Ok((id, false))),
        }
    }
}
