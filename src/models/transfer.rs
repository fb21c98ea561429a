//! Transfers of money as they are read: of a commission, of a payout, and a page of a partner's ledger.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    credit_ledger::CREDIT_UNIT,
    ledger::{AccountKind, TransferKind},
    list::{Conditions, list, list_below},
    page::{Cursor, Key, KeyKind, Page, SortKey, group},
    scope::Scope,
};
use crate::{
    db::schema::transfers,
    ids::{CommissionId, PartnerId, PayoutId, TransferId, UserId},
};

/// A posted transfer.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = transfers)]
pub struct Transfer {
    /// Its number: the order of posting.
    pub entry: i64,
    /// Whose accounts.
    pub partner_id: PartnerId,
    /// The currency (ISO 4217).
    pub unit: String,
    /// From where.
    pub from_kind: AccountKind,
    /// To where.
    pub to_kind: AccountKind,
    /// How much; above zero.
    pub amount: Decimal,
    /// Why.
    pub kind: TransferKind,
    /// The commission that it is about.
    pub event_id: Option<CommissionId>,
    /// The payout that it is about.
    pub payout_id: Option<PayoutId>,
    /// The balance of `from_kind` after it.
    pub from_balance: Decimal,
    /// The balance of `to_kind` after it.
    pub to_balance: Decimal,
    /// Who caused it.
    pub posted_by: Option<UserId>,
    /// When.
    pub posted_at: DateTime<Utc>,
}

/// By the order of posting.
pub const BY_ENTRY: SortKey =
    SortKey { name: "entry", column: "transfers.entry", id: "transfers.partner_id", kind: KeyKind::Number };

impl Transfer {
    /// Its id.
    pub fn id(&self) -> TransferId {
        TransferId::numbered(self.entry)
    }

    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[TransferId],
    ) -> QueryResult<HashMap<TransferId, Self>> {
        let rows: Vec<Self> = Self::query()
            .filter(transfers::tenant_id.eq(scope.tenant))
            .filter(transfers::entry.eq_any(ids.iter().filter_map(|id| id.number())))
            .filter(transfers::unit.ne(CREDIT_UNIT))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id(), row)).collect())
    }

    /// Each commission's own transfers, in the order of posting.
    pub async fn by_commissions(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        commissions: &[CommissionId],
    ) -> QueryResult<HashMap<CommissionId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(transfers::tenant_id.eq(scope.tenant))
            .filter(transfers::event_id.eq_any(commissions))
            .order(transfers::entry)
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        Ok(group(rows.filter_map(|row| Some((row.event_id?, row))).collect()))
    }

    /// Each payout's transfers, in the order of posting.
    pub async fn by_payouts(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
    ) -> QueryResult<HashMap<PayoutId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(transfers::tenant_id.eq(scope.tenant))
            .filter(transfers::payout_id.eq_any(payouts))
            .order(transfers::entry)
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        Ok(group(rows.filter_map(|row| Some((row.payout_id?, row))).collect()))
    }

    /// Where this row stands in a ledger.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Number(self.entry), Uuid::from(self.partner_id))
    }
}

/// What is posted in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LedgerFilter {
    /// The currency (ISO 4217).
    pub unit: String,
}

impl LedgerFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, transfers::table> {
        Conditions::of(transfers::tenant_id.eq(scope.tenant))
            .and_if(scope.partner, |partner| transfers::partner_id.eq(partner))
            .and(transfers::unit.eq(&self.unit))
    }
}

list!(LedgerFilter => Transfer; transfers);
list_below!(LedgerFilter => Transfer; transfers; PartnerId, "transfers.partner_id");
