//! What has gone into wallets and out of them, and who was referred.

use super::{amount, or_empty, time};
use crate::{
    auth::Viewer,
    db,
    http::export::{Export, parameters},
    ids::{ReferralId, RewardId},
    models::{
        affiliates::{
            referral::{self, Referral, ReferralFilter},
            reward::{Reward, sums_by_referrals},
            wallet_transaction::{self, WalletTransaction, WalletTransactionFilter},
        },
        list::List,
        page::{Cursor, Page, Slice, SortKey},
    },
};

impl Export for WalletTransactionFilter {
    type Row = WalletTransaction;

    const NAME: &'static str = "wallet.csv";
    const ORDER: SortKey = wallet_transaction::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "user_id",
        "currency",
        "number",
        "kind",
        "amount",
        "balance_after",
        "sales",
        "at",
        "created_at",
        "invoice_id",
        "referral_id",
        "commission_id",
        "reason",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::wallet(parameters)
    }

    fn cursor(row: &WalletTransaction, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<WalletTransaction>> {
        self.page(connection, viewer.scope(), page).await
    }

    /// Invoices are named to staff alone.
    async fn cells(
        connection: &db::Connection,
        viewer: &Viewer,
        rows: &[WalletTransaction],
    ) -> db::QueryResult<Vec<Vec<String>>> {
        let ids: Vec<RewardId> = rows.iter().filter_map(|row| row.reward_id).collect();
        let rewards = Reward::by_ids(connection, viewer.scope(), &ids).await?;
        let is_staff = viewer.scope().user.is_none();
        let cells = rows.iter().map(|row| {
            let reward = row.reward_id.and_then(|id| rewards.get(&id));
            vec![
                row.id.to_string(),
                row.user_id.to_string(),
                row.currency.clone(),
                row.number.to_string(),
                row.kind.shown(),
                amount(row.amount, &row.currency),
                amount(row.balance, &row.currency),
                amount(row.sales, &row.currency),
                time(row.at),
                time(row.created_at),
                or_empty(reward.filter(|_| is_staff).map(|reward| &reward.invoice_id)),
                or_empty(reward.map(|reward| reward.referral_id)),
                or_empty(row.commission_id),
                or_empty(row.reason.as_ref()),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for ReferralFilter {
    type Row = Referral;

    const NAME: &'static str = "referrals.csv";
    const ORDER: SortKey = referral::BY_SIGN_UP;
    const COLUMNS: &'static [&'static str] =
        &["id", "referrer_id", "user_id", "initials", "joined_month", "means", "is_current", "has_paid", "earned", "reason"];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::referrals(parameters)
    }

    fn cursor(row: &Referral, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Referral>> {
        self.page(connection, viewer.scope(), page).await
    }

    /// What was earned is in all its currencies. The person is named to staff alone.
    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Referral]) -> db::QueryResult<Vec<Vec<String>>> {
        let ids: Vec<ReferralId> = rows.iter().map(|row| row.id).collect();
        let sums = sums_by_referrals(connection, viewer.scope(), &ids).await?;
        let is_staff = viewer.scope().user.is_none();
        let cells = rows.iter().map(|row| {
            let sums = sums.get(&row.id).into_iter().flatten();
            let earned: Vec<String> = sums.map(|sum| format!("{} {}", amount(sum.earned, &sum.currency), sum.currency)).collect();
            vec![
                row.id.to_string(),
                row.referrer_id.to_string(),
                or_empty(is_staff.then_some(row.user_id)),
                or_empty(row.initials.as_ref()),
                viewer.tenant.time_zone.day_of(row.signed_up_at).format("%Y-%m").to_string(),
                row.means.shown(),
                row.valid_to.is_none().to_string(),
                row.first_paid_at.is_some().to_string(),
                earned.join("; "),
                or_empty(row.reason.as_ref().filter(|_| is_staff)),
            ]
        });
        Ok(cells.collect())
    }
}
