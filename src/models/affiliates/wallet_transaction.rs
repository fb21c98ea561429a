//! What has gone into wallets and out of them, and lists of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    db::schema::wallet_transactions,
    ids::{CommissionId, RewardId, UserId, WalletTransactionId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, group},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// Why something went into a wallet or out of it.
    pub enum WalletTransactionKind {
        /// A person whom the user referred has paid.
        Reward = "reward",
        /// Such a payment was refunded, in part or whole, and the amount is below zero; or such a refund failed, and it is above.
        Refund = "refund",
        /// The user took it out: it is owed to their partner since, and paid with its commissions.
        TakeOut = "take_out",
        /// What was taken out was rejected, and has come back.
        GiveBack = "give_back",
        /// An operator corrected the wallet.
        Adjustment = "adjustment",
    }
}

/// One entry of a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, HasQuery)]
#[diesel(table_name = wallet_transactions)]
pub struct WalletTransaction {
    /// Its id.
    pub id: WalletTransactionId,
    /// Whose wallet.
    pub user_id: UserId,
    /// In which currency (ISO 4217).
    pub currency: String,
    /// Its number within the wallet, from 1.
    pub number: i64,
    /// Why.
    pub kind: WalletTransactionKind,
    /// How much; below zero for what went out.
    pub amount: Decimal,
    /// What the wallet held after it.
    pub balance: Decimal,
    /// For a reward what was paid; for a refund what was refunded, below zero.
    pub sales: Decimal,
    /// The reward that it is about.
    pub reward_id: Option<RewardId>,
    /// The commission that it has become, or is given back from.
    pub commission_id: Option<CommissionId>,
    /// Why somebody did it.
    pub reason: Option<String>,
    /// When it was paid, refunded or done.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub created_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
}

/// Which transactions a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WalletTransactionFilter {
    /// Those of this user's wallets.
    pub user: Option<UserId>,
    /// Those in this currency.
    pub currency: Option<Currency>,
    /// Those of these kinds.
    pub kinds: Option<Vec<WalletTransactionKind>>,
    /// Those recorded from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Those recorded before this instant.
    pub before: Option<DateTime<Utc>>,
}

/// By when they were recorded.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "wallet_transactions.created_at", id: "wallet_transactions.id", kind: KeyKind::Time };
/// Within one wallet, in its order.
pub const BY_NUMBER: SortKey =
    SortKey { name: "number", column: "wallet_transactions.number", id: "wallet_transactions.id", kind: KeyKind::Number };

impl WalletTransactionFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, wallet_transactions::table> {
        Conditions::of(wallet_transactions::tenant_id.eq(scope.tenant))
            .and_if([scope.user, self.user].into_iter().flatten(), |user| wallet_transactions::user_id.eq(user))
            .and_if(self.currency, |currency| wallet_transactions::currency.eq(currency.code()))
            .and_if(self.kinds.as_deref(), |kinds| wallet_transactions::kind.eq_any(kinds))
            .and_if(self.from, |from| wallet_transactions::created_at.ge(from))
            .and_if(self.before, |before| wallet_transactions::created_at.lt(before))
    }
}

list!(WalletTransactionFilter => WalletTransaction; wallet_transactions);
list_below!(WalletTransactionFilter => WalletTransaction; wallet_transactions; UserId, "wallet_transactions.user_id");

impl WalletTransaction {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WalletTransactionId],
    ) -> QueryResult<HashMap<WalletTransactionId, Self>> {
        let query =
            Self::query().filter(wallet_transactions::tenant_id.eq(scope.tenant)).filter(wallet_transactions::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes_user(row.user_id)).map(|row| (row.id, row)).collect())
    }

    /// Each reward's transactions, in their order.
    pub async fn by_rewards(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        rewards: &[RewardId],
    ) -> QueryResult<HashMap<RewardId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(wallet_transactions::tenant_id.eq(scope.tenant))
            .filter(wallet_transactions::reward_id.eq_any(rewards))
            .order(wallet_transactions::number)
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().filter(|row| scope.includes_user(row.user_id));
        Ok(group(rows.filter_map(|row| Some((row.reward_id?, row))).collect()))
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_NUMBER => Key::Number(self.number),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}
