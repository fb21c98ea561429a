//! Transfers as they are read: one reader for every kind of unit, be it money or credits. Each kind has a row of its own, with the
//! accounts, the reasons and the sources that transfers of the kind have.

use std::{borrow::Cow, marker::PhantomData};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use rust_decimal::Decimal;

use super::{AccountKind, CREDIT_UNIT, TransferKind};
use crate::{
    db::schema::transfers,
    ids::{CommissionId, PartnerId, PayoutId, TransferId, UserId},
    models::{
        list::Conditions,
        page::{KeyKind, SortKey},
        scope::Scope,
    },
};

/// A posted transfer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, HasQuery)]
#[diesel(table_name = transfers)]
pub struct Transfer {
    /// Its number: the order of posting.
    pub entry: i64,
    /// Whose accounts.
    #[diesel(select_expression = transfers::partner_id.assume_not_null())]
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

/// What is posted in one unit, with rows of the unit's kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger<Row> {
    unit: Cow<'static, str>,
    rows: PhantomData<fn() -> Row>,
}

impl<Row> Ledger<Row> {
    /// What is posted in this unit: a currency's code (ISO 4217), or credits.
    pub fn of(unit: impl Into<Cow<'static, str>>) -> Self {
        Self { unit: unit.into(), rows: PhantomData }
    }

    /// What holds for each of them.
    pub(in crate::models) fn conditions(&self, scope: Scope) -> Conditions<'_, transfers::table> {
        Conditions::of(transfers::tenant_id.eq(scope.tenant))
            .and(transfers::partner_id.is_not_null())
            .and_if(scope.partner, |partner| transfers::partner_id.assume_not_null().eq(partner))
            .and(transfers::unit.eq(&*self.unit))
    }
}

/// Makes the reader of transfers in one kind of unit: by their ids, by what they are about, and in [`Ledger`]s. A row has an `entry` and
/// a `partner_id`, and `$units` selects its kind's transfers.
macro_rules! reader {
    ($row:ident, $id:ident, $units:expr; $($(#[$doc:meta])* $by:ident($column:ident: $source:ty)),+ $(,)?) => {
        impl $row {
            /// Its id.
            pub fn id(&self) -> $id {
                $id::numbered(self.entry)
            }

            /// Those of `ids` that are in scope.
            pub async fn by_ids(
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                ids: &[$id],
            ) -> QueryResult<std::collections::HashMap<$id, Self>> {
                let query = Self::query()
                    .filter(transfers::tenant_id.eq(scope.tenant))
                    .filter(transfers::entry.eq_any(ids.iter().filter_map(|id| id.number())))
                    .filter(transfers::partner_id.is_not_null())
                    .filter($units);
                let rows: Vec<Self> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
                Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id(), row)).collect())
            }

            $($(#[$doc])*
            pub async fn $by(
                mut connection: &diesel_async::AsyncPgConnection,
                scope: $crate::models::scope::Scope,
                sources: &[$source],
            ) -> QueryResult<std::collections::HashMap<$source, Vec<std::sync::Arc<Self>>>> {
                let query = Self::query()
                    .filter(transfers::tenant_id.eq(scope.tenant))
                    .filter(transfers::$column.eq_any(sources))
                    .order(transfers::entry);
                let rows: Vec<Self> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
                let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
                Ok($crate::models::page::group(rows.filter_map(|row| Some((row.$column?, std::sync::Arc::new(row)))).collect()))
            })+

            /// Where this row stands in a ledger.
            pub fn cursor(&self, page: &$crate::models::page::Page) -> $crate::models::page::Cursor {
                page.cursor($crate::models::page::Key::Number(self.entry), self.partner_id.uuid())
            }
        }

        $crate::models::list::list!($crate::models::ledger::transfer::Ledger<$row> => $row; transfers);
        $crate::models::list::list_below!(
            $crate::models::ledger::transfer::Ledger<$row> => $row; transfers; PartnerId, "transfers.partner_id"
        );
    };
}
pub(in crate::models) use reader;

reader! {
    Transfer, TransferId, transfers::unit.ne(CREDIT_UNIT);
    /// Each commission's own transfers, in the order of posting.
    by_commissions(event_id: CommissionId),
    /// Each payout's transfers, in the order of posting.
    by_payouts(payout_id: PayoutId),
}
