//! Lists of payouts: what they are filtered and ordered by, for one caller and for many partners at once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::count_star, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    page::{Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, at_least, at_most, group, of_parent},
    payout::Payout,
    payout_status::PayoutStatus,
    scope::Scope,
};
use crate::{db::schema::partner_payouts, ids::PartnerId};

/// Which payouts a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PayoutFilter {
    /// Those to this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those of these statuses, which may be none at all; of whichever where it is not given.
    pub statuses: Option<Vec<PayoutStatus>>,
    /// Those in this currency (ISO 4217).
    pub currency: Option<&'static str>,
    /// Those made at this instant or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Those made before this instant.
    pub created_before: Option<DateTime<Utc>>,
    /// Those to be paid at this instant or later.
    pub payout_from: Option<DateTime<Utc>>,
    /// Those to be paid before this instant.
    pub payout_before: Option<DateTime<Utc>>,
    /// Those of at least this total.
    pub min_amount: Option<Decimal>,
    /// Those of at most this total.
    pub max_amount: Option<Decimal>,
}

/// By when they were made.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "partner_payouts.created_at", id: "partner_payouts.id", kind: KeyKind::Time };
/// By total.
pub const BY_TOTAL: SortKey =
    SortKey { name: "total", column: "partner_payouts.total_sort", id: "partner_payouts.id", kind: KeyKind::Number };

/// Narrows a boxed query to the payouts in scope that the filter lets through. A macro because the query's type names what it
/// selects, and the page and its count select different things.
macro_rules! filtered {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let mut query = $query.filter(partner_payouts::tenant_id.eq($scope.tenant));
        for partner in [$scope.partner, $filter.partner].into_iter().flatten() {
            query = query.filter(partner_payouts::partner_id.eq(partner));
        }
        query = match $filter.statuses.as_deref() {
            None => query,
            Some([status]) => query.filter(partner_payouts::status.eq(*status)),
            Some(statuses) => query.filter(partner_payouts::status.eq_any(statuses)),
        };
        if let Some(currency) = $filter.currency {
            query = query.filter(partner_payouts::currency.eq(currency));
        }
        if let Some(from) = $filter.created_from {
            query = query.filter(partner_payouts::created_at.ge(from));
        }
        if let Some(before) = $filter.created_before {
            query = query.filter(partner_payouts::created_at.lt(before));
        }
        if let Some(from) = $filter.payout_from {
            query = query.filter(partner_payouts::payout_date.ge(from));
        }
        if let Some(before) = $filter.payout_before {
            query = query.filter(partner_payouts::payout_date.lt(before));
        }
        if let Some(least) = $filter.min_amount {
            query = query.filter(partner_payouts::total_sort.ge(at_least(least)));
        }
        if let Some(most) = $filter.max_amount {
            query = query.filter(partner_payouts::total_sort.le(at_most(most)));
        }
        query
    }};
}

impl Payout {
    /// One page of the payouts in scope.
    pub async fn page(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        filter: &PayoutFilter,
        page: &Page,
    ) -> QueryResult<Slice<Self>> {
        let query = Self::query().into_boxed::<Pg>();
        page.apply(filtered!(query, scope, filter)).load(&mut connection).await.map(|rows| page.slice(rows))
    }

    /// How many payouts the whole list has.
    pub async fn count(mut connection: &AsyncPgConnection, scope: Scope, filter: &PayoutFilter) -> QueryResult<i64> {
        let query = partner_payouts::table.select(count_star()).into_boxed::<Pg>();
        filtered!(query, scope, filter).get_result(&mut connection).await
    }

    /// The same page for each of many partners, in one statement.
    pub async fn page_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &PayoutFilter,
        page: &Page,
    ) -> QueryResult<HashMap<PartnerId, Slice<Self>>> {
        let query = Self::query().into_boxed::<Pg>();
        let inner = page.apply(filtered!(query, scope, filter).filter(of_parent("partner_payouts.partner_id")));
        let rows: Vec<(PartnerId, Self)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(group(rows).into_iter().map(|(partner, rows)| (partner, page.slice(rows))).collect())
    }

    /// How many payouts each of many partners has, in one statement.
    pub async fn count_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &PayoutFilter,
    ) -> QueryResult<HashMap<PartnerId, i64>> {
        let query = partner_payouts::table.select(count_star()).into_boxed::<Pg>();
        let inner = filtered!(query, scope, filter).filter(of_parent("partner_payouts.partner_id"));
        let rows: Vec<(PartnerId, i64)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(rows.into_iter().collect())
    }

    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_TOTAL => Key::Number(self.total_sort),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}
