//! Transfers of money as they are read: of a commission, of a payout, and a page of a partner's ledger.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::count_star, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    credit_ledger::CREDIT_UNIT,
    ledger::{AccountKind, TransferKind},
    page::{Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, group, of_parent},
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

    /// One page of the transfers in scope in one currency.
    pub async fn page(mut connection: &AsyncPgConnection, scope: Scope, currency: &str, page: &Page) -> QueryResult<Slice<Self>> {
        let mut query =
            Self::query().into_boxed::<Pg>().filter(transfers::tenant_id.eq(scope.tenant)).filter(transfers::unit.eq(currency));
        if let Some(partner) = scope.partner {
            query = query.filter(transfers::partner_id.eq(partner));
        }
        page.apply(query).load(&mut connection).await.map(|rows| page.slice(rows))
    }

    /// The same page of each of many partners' ledgers in one currency, in one statement.
    pub async fn page_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        currency: Currency,
        page: &Page,
    ) -> QueryResult<HashMap<PartnerId, Slice<Self>>> {
        let query = Self::query().into_boxed::<Pg>().filter(transfers::tenant_id.eq(scope.tenant));
        let inner = page.apply(query.filter(transfers::unit.eq(currency.code())).filter(of_parent("transfers.partner_id")));
        let rows: Vec<(PartnerId, Self)> = Lateral::new(partners, inner).load(&mut connection).await?;
        let rows = rows.into_iter().filter(|(partner, _)| scope.includes(*partner)).collect();
        Ok(group(rows).into_iter().map(|(partner, rows)| (partner, page.slice(rows))).collect())
    }

    /// How many transfers each of many partners has in one currency, in one statement.
    pub async fn count_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        currency: Currency,
    ) -> QueryResult<HashMap<PartnerId, i64>> {
        let query = transfers::table.select(count_star()).into_boxed::<Pg>().filter(transfers::tenant_id.eq(scope.tenant));
        let inner = query.filter(transfers::unit.eq(currency.code())).filter(of_parent("transfers.partner_id"));
        let rows: Vec<(PartnerId, i64)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(rows.into_iter().filter(|(partner, _)| scope.includes(*partner)).collect())
    }

    /// Where this row stands in a ledger.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Number(self.entry), Uuid::from(self.partner_id))
    }
}
