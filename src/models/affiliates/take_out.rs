//! Taking money out of a wallet: it becomes a commission of the user's own partner, approved at once, and is paid like every other. Where that is
//! rejected before it is paid, it comes back into the wallet.

use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    wallet::{self, Change, Wallet},
    wallet_transaction::{WalletTransaction, WalletTransactionKind},
};
use crate::{
    db::schema::wallet_transactions,
    ids::{PartnerId, UserId, WalletTransactionId},
    models::{
        commissions::{
            commission::{Commission, CommissionEventType, CommissionStatus},
            rule::RateSource,
        },
        idempotency::{Difference, Key},
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
    money::{Money, stored_currency},
};

/// What is to be taken out.
#[derive(Debug, Clone)]
pub struct TakeOut {
    /// Whose wallet.
    pub user: UserId,
    /// To which partner: the one that the user acts for.
    pub partner: Option<PartnerId>,
    /// How much.
    pub amount: Money,
    /// The idempotency key: one of the user's own.
    pub key: String,
}

/// Why nothing was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOutFault {
    /// The partner is not active.
    NotActive,
    /// There is less in the wallet that is not held back.
    TooLittle {
        /// What can be taken out.
        available: Decimal,
        /// What is held back.
        held: Decimal,
    },
    /// The key was used for something else.
    KeyReused {
        /// What was done with it.
        first: WalletTransactionId,
        /// Where that differs.
        difference: Difference,
    },
}

/// What was done, and whether it had been done before with the same key.
pub type Taken = Result<(WalletTransactionId, bool), TakeOutFault>;

impl TakeOut {
    fn key(&self) -> Key {
        let fields = [("amount", json!(self.amount.amount.to_string())), ("currency", json!(self.amount.currency.code()))];
        Key::new(self.key.clone(), fields)
    }
}

impl Books<'_> {
    /// Takes an amount out of a wallet, once for each key.
    pub async fn take_out(&self, request: &TakeOut) -> QueryResult<Taken> {
        let key = request.key();
        // In this order, as where a payment is booked.
        self.lock(request.partner.as_slice()).await?;
        self.lock_wallets(&[request.user]).await?;
        let first: Option<(WalletTransactionId, Option<Value>)> = wallet_transactions::table
            .filter(wallet_transactions::tenant_id.eq(self.tenant))
            .filter(wallet_transactions::user_id.eq(request.user))
            .filter(wallet_transactions::kind.eq(WalletTransactionKind::TakeOut))
            .filter(wallet_transactions::idempotency_key.eq(key.text()))
            .select((wallet_transactions::id, wallet_transactions::request))
            .first(&mut &*self.connection)
            .await
            .optional()?;
        if let Some((first, stored)) = first {
            return Ok(match key.difference(stored.as_ref(), []) {
                None => Ok((first, true)),
                Some(difference) => Err(TakeOutFault::KeyReused { first, difference }),
            });
        }
        let scope = Scope::tenant(self.tenant);
        let known = Partner::by_ids(self.connection, scope, request.partner.as_slice()).await?;
        let active = known.into_values().find(|partner| partner.status == PartnerStatus::Active);
        let Some(partner) = active else { return Ok(Err(TakeOutFault::NotActive)) };
        let Money { amount, currency } = request.amount;
        let own = Wallet { user: request.user, currency };
        let balances = wallet::balances(self.connection, scope, &[own]).await?.remove(&own).unwrap_or_default();
        if amount > balances.available {
            return Ok(Err(TakeOutFault::TooLittle { available: balances.available, held: balances.held }));
        }
        let books = self.after_locks();
        let mut event = books.event(CommissionEventType::Wallet, partner.id, currency, books.at);
        event.status = CommissionStatus::Approved;
        event.source = RateSource::Wallet;
        event.amount = amount;
        event.decided_at = Some(books.at);
        let commission = books.book(&event, currency).await?;
        let mut change = Change::now(&books, WalletTransactionKind::TakeOut, -amount);
        change.commission = Some(commission.id);
        change.key = Some((key.text(), key.request()));
        Ok(Ok((books.change_wallet(own, change).await?, false)))
    }

    /// Gives rejected commissions that were taken out of wallets back to these. The books of their partners are locked.
    pub(in crate::models) async fn give_back(&self, rejected: &[&Commission], reason: &str) -> QueryResult<()> {
        let ids = rejected.iter().filter(|row| row.event_type == CommissionEventType::Wallet).map(|row| row.id);
        let ids: Vec<_> = ids.collect();
        if ids.is_empty() {
            return Ok(());
        }
        let taken: Vec<WalletTransaction> = WalletTransaction::query()
            .filter(wallet_transactions::tenant_id.eq(self.tenant))
            .filter(wallet_transactions::kind.eq(WalletTransactionKind::TakeOut))
            .filter(wallet_transactions::commission_id.eq_any(ids))
            .order(wallet_transactions::id)
            .load(&mut &*self.connection)
            .await?;
        let users: Vec<UserId> = taken.iter().map(|row| row.user_id).collect();
        self.lock_wallets(&users).await?;
        for row in taken {
            let own = Wallet { user: row.user_id, currency: stored_currency(&row.currency)? };
            let mut change = Change::now(self, WalletTransactionKind::GiveBack, -row.amount);
            change.commission = row.commission_id;
            change.reason = Some(reason);
            self.change_wallet(own, change).await?;
        }
        Ok(())
    }
}
