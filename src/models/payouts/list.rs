//! Lists of payouts: what they are filtered and ordered by, for one caller and for many partners at once.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{payout::Payout, status::PayoutStatus};
use crate::{
    db::schema::partner_payouts,
    ids::PartnerId,
    models::{
        list::{Conditions, list, list_below, sums, sums_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, at_least, at_most},
        scope::Scope,
    },
};

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

impl PayoutFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, partner_payouts::table> {
        Conditions::of(partner_payouts::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| partner_payouts::partner_id.eq(partner))
            .and_one_of(
                self.statuses.as_deref(),
                |status| partner_payouts::status.eq(status),
                |statuses| partner_payouts::status.eq_any(statuses),
            )
            .and_if(self.currency, |currency| partner_payouts::currency.eq(currency))
            .and_if(self.created_from, |from| partner_payouts::created_at.ge(from))
            .and_if(self.created_before, |before| partner_payouts::created_at.lt(before))
            .and_if(self.payout_from, |from| partner_payouts::payout_date.ge(from))
            .and_if(self.payout_before, |before| partner_payouts::payout_date.lt(before))
            .and_if(self.min_amount, |least| partner_payouts::total_sort.ge(at_least(least)))
            .and_if(self.max_amount, |most| partner_payouts::total_sort.le(at_most(most)))
    }
}

list!(PayoutFilter => Payout; partner_payouts);
list_below!(PayoutFilter => Payout; partner_payouts; PartnerId, "partner_payouts.partner_id");
sums!(PayoutFilter => PayoutStatus; partner_payouts: total_amount);
sums_below!(PayoutFilter => PayoutStatus; partner_payouts: total_amount; PartnerId, "partner_payouts.partner_id");

impl Payout {
    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_TOTAL => Key::Number(self.total_sort),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}
