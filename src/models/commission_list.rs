//! Lists of commissions: what they are filtered and ordered by, for one caller, for many partners and for many payouts at once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::count_star, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    commission::{Commission, CommissionEventType, CommissionStatus},
    page::{Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, at_least, at_most, group, of_parent},
    rule::RateSource,
    scope::Scope,
};
use crate::{
    db::{
        schema::{partner_commission_events, partner_payout_items},
        statement::{Bind, condition},
    },
    ids::{CommissionId, CustomerId, LeadId, PartnerId, PayoutId, TenantId},
};

/// Which commissions a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CommissionFilter {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those of these statuses, which may be none at all; of whichever where it is not given.
    pub statuses: Option<Vec<CommissionStatus>>,
    /// Those of these types, which may be none at all; of whichever where it is not given.
    pub event_types: Option<Vec<CommissionEventType>>,
    /// Those in this currency (ISO 4217).
    pub currency: Option<&'static str>,
    /// Those earned at this instant or later.
    pub earned_from: Option<DateTime<Utc>>,
    /// Those earned before this instant.
    pub earned_before: Option<DateTime<Utc>>,
    /// Those of at least this amount.
    pub min_amount: Option<Decimal>,
    /// Those of at most this amount.
    pub max_amount: Option<Decimal>,
    /// Those of this customer's payments.
    pub customer: Option<CustomerId>,
    /// That of this lead.
    pub lead: Option<LeadId>,
    /// Those that this payout holds.
    pub payout: Option<PayoutId>,
    /// That of this invoice's payment, by its id in the billing system.
    pub invoice: Option<String>,
    /// Those that a payout of what was earned before this instant takes.
    pub free_before: Option<DateTime<Utc>>,
}

/// What the next payout takes: what is approved, in no payout and earned before an instant; and what takes money away, also when that
/// came later, so that nobody is paid more than is owed. Only what takes back a commission that stays behind stays with it. The instant is
/// needed twice.
pub const FREE: &str = "partner_commission_events.status = 'approved' AND partner_commission_events.payout_id IS NULL
    AND (partner_commission_events.event_date < ? OR (partner_commission_events.amount_sort < 0 AND NOT EXISTS (
        SELECT FROM partner_commission_events o WHERE o.tenant_id = partner_commission_events.tenant_id
            AND o.id = partner_commission_events.reverses_id AND o.status = 'approved' AND o.payout_id IS NULL AND o.event_date >= ?)))";

impl CommissionFilter {
    /// What a payout of what was earned before an instant takes: see [`FREE`].
    pub fn free(partner: PartnerId, currency: Currency, before: DateTime<Utc>) -> Self {
        Self { partner: Some(partner), currency: Some(currency.code()), free_before: Some(before), ..Self::default() }
    }
}

/// By when they were earned.
pub const BY_EVENT_DATE: SortKey = SortKey {
    name: "earned",
    column: "partner_commission_events.event_date",
    id: "partner_commission_events.id",
    kind: KeyKind::Time,
};
/// By amount.
pub const BY_AMOUNT: SortKey = SortKey {
    name: "amount",
    column: "partner_commission_events.amount_sort",
    id: "partner_commission_events.id",
    kind: KeyKind::Number,
};
/// By when they were earned, within a payout.
pub const IN_PAYOUT: SortKey =
    SortKey { name: "item", column: "partner_payout_items.event_date", id: "partner_payout_items.event_id", kind: KeyKind::Time };

/// Narrows a boxed query to the commissions in scope that the filter lets through. A macro because the query's type names what
/// it selects, and the page and its count select different things.
macro_rules! filtered {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let mut query = $query.filter(partner_commission_events::tenant_id.eq($scope.tenant));
        for partner in [$scope.partner, $filter.partner].into_iter().flatten() {
            query = query.filter(partner_commission_events::partner_id.eq(partner));
        }
        query = match $filter.statuses.as_deref() {
            None => query,
            Some([status]) => query.filter(partner_commission_events::status.eq(*status)),
            Some(statuses) => query.filter(partner_commission_events::status.eq_any(statuses)),
        };
        if let Some(types) = &$filter.event_types {
            query = query.filter(partner_commission_events::event_type.eq_any(types));
        }
        if let Some(currency) = $filter.currency {
            query = query.filter(partner_commission_events::currency.eq(currency));
        }
        if let Some(from) = $filter.earned_from {
            query = query.filter(partner_commission_events::event_date.ge(from));
        }
        if let Some(before) = $filter.earned_before {
            query = query.filter(partner_commission_events::event_date.lt(before));
        }
        if let Some(least) = $filter.min_amount {
            query = query.filter(partner_commission_events::amount_sort.ge(at_least(least)));
        }
        if let Some(most) = $filter.max_amount {
            query = query.filter(partner_commission_events::amount_sort.le(at_most(most)));
        }
        if let Some(customer) = $filter.customer {
            query = query.filter(partner_commission_events::customer_id.eq(customer));
        }
        // Types are written out, for the indexes of one type alone.
        if let Some(lead) = $filter.lead {
            query = query
                .filter(partner_commission_events::lead_id.eq(lead))
                .filter(condition("partner_commission_events.event_type = 'lead_conversion'", Vec::new()));
        }
        if let Some(payout) = $filter.payout {
            query = query.filter(partner_commission_events::payout_id.eq(payout));
        }
        if let Some(invoice) = &$filter.invoice {
            query = query
                .filter(partner_commission_events::invoice_id.eq(invoice))
                .filter(condition("partner_commission_events.event_type = 'invoice_payment'", Vec::new()));
        }
        if let Some(before) = $filter.free_before {
            query = query.filter(condition(FREE, vec![Bind::Time(before), Bind::Time(before)]));
        }
        query
    }};
}

/// A payout's items and their commissions.
macro_rules! items {
    () => {
        partner_payout_items::table.inner_join(
            partner_commission_events::table.on(partner_commission_events::tenant_id
                .eq(partner_payout_items::tenant_id)
                .and(partner_commission_events::id.eq(partner_payout_items::event_id))),
        )
    };
}

/// What most lists show of a commission.
#[derive(HasQuery)]
#[diesel(table_name = partner_commission_events)]
struct CommissionSummary {
    tenant_id: TenantId,
    id: CommissionId,
    partner_id: PartnerId,
    event_type: CommissionEventType,
    status: CommissionStatus,
    lead_id: Option<LeadId>,
    customer_id: Option<CustomerId>,
    payout_id: Option<PayoutId>,
    source: RateSource,
    amount: Decimal,
    currency: String,
    event_date: DateTime<Utc>,
}

impl From<CommissionSummary> for Commission {
    /// What the summary does not have is empty.
    fn from(summary: CommissionSummary) -> Self {
        Self {
            tenant_id: summary.tenant_id,
            id: summary.id,
            partner_id: summary.partner_id,
            event_type: summary.event_type,
            status: summary.status,
            lead_id: summary.lead_id,
            customer_id: summary.customer_id,
            invoice_id: None,
            reverses_id: None,
            payout_id: summary.payout_id,
            source: summary.source,
            rule_id: None,
            base: None,
            rate: None,
            month_base: None,
            is_past_duration: false,
            amount: summary.amount,
            amount_sort: 0,
            currency: summary.currency,
            event_date: summary.event_date,
            due_at: None,
            notes: None,
            rejection_reason: None,
            decided_by: None,
            decided_at: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Commission {
    /// One page of the commissions in scope.
    pub async fn page(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        filter: &CommissionFilter,
        page: &Page,
    ) -> QueryResult<Slice<Self>> {
        let rows = if page.takes_summaries() {
            let query = CommissionSummary::query().into_boxed::<Pg>();
            let rows: Vec<CommissionSummary> = page.apply(filtered!(query, scope, filter)).load(&mut connection).await?;
            rows.into_iter().map(Self::from).collect()
        } else {
            let query = Self::query().into_boxed::<Pg>();
            page.apply(filtered!(query, scope, filter)).load(&mut connection).await?
        };
        Ok(page.slice(rows))
    }

    /// How many commissions the whole list has.
    pub async fn count(mut connection: &AsyncPgConnection, scope: Scope, filter: &CommissionFilter) -> QueryResult<i64> {
        let query = partner_commission_events::table.select(count_star()).into_boxed::<Pg>();
        filtered!(query, scope, filter).get_result(&mut connection).await
    }

    /// The same page for each of many partners, in one statement.
    pub async fn page_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &CommissionFilter,
        page: &Page,
    ) -> QueryResult<HashMap<PartnerId, Slice<Self>>> {
        let rows: Vec<(PartnerId, Self)> = if page.takes_summaries() {
            let query = CommissionSummary::query().into_boxed::<Pg>();
            let inner = page.apply(filtered!(query, scope, filter).filter(of_parent("partner_commission_events.partner_id")));
            let rows: Vec<(PartnerId, CommissionSummary)> = Lateral::new(partners, inner).load(&mut connection).await?;
            rows.into_iter().map(|(partner, row)| (partner, row.into())).collect()
        } else {
            let query = Self::query().into_boxed::<Pg>();
            let inner = page.apply(filtered!(query, scope, filter).filter(of_parent("partner_commission_events.partner_id")));
            Lateral::new(partners, inner).load(&mut connection).await?
        };
        Ok(group(rows).into_iter().map(|(partner, rows)| (partner, page.slice(rows))).collect())
    }

    /// How many commissions each of many partners has, in one statement.
    pub async fn count_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &CommissionFilter,
    ) -> QueryResult<HashMap<PartnerId, i64>> {
        let query = partner_commission_events::table.select(count_star()).into_boxed::<Pg>();
        let inner = filtered!(query, scope, filter).filter(of_parent("partner_commission_events.partner_id"));
        let rows: Vec<(PartnerId, i64)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(rows.into_iter().collect())
    }

    /// The same page of what each of many payouts was made of, in one statement.
    pub async fn page_by_payouts(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
        page: &Page,
    ) -> QueryResult<HashMap<PayoutId, Slice<Self>>> {
        let query = items!().select(Self::as_select()).into_boxed::<Pg>();
        let query = query.filter(partner_payout_items::tenant_id.eq(scope.tenant));
        let inner = page.apply(query.filter(of_parent("partner_payout_items.payout_id")));
        let rows: Vec<(PayoutId, Self)> = Lateral::new(payouts, inner).load(&mut connection).await?;
        let rows = rows.into_iter().filter(|(_, row)| scope.includes(row.partner_id)).collect();
        Ok(group(rows).into_iter().map(|(payout, rows)| (payout, page.slice(rows))).collect())
    }

    /// How many commissions each of many payouts was made of, in one statement.
    pub async fn count_by_payouts(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
    ) -> QueryResult<HashMap<PayoutId, i64>> {
        let mut query = partner_payout_items::table.select(count_star()).into_boxed::<Pg>();
        query = query.filter(partner_payout_items::tenant_id.eq(scope.tenant));
        if let Some(partner) = scope.partner {
            query = query.filter(partner_payout_items::partner_id.eq(partner));
        }
        let inner = query.filter(of_parent("partner_payout_items.payout_id"));
        let rows: Vec<(PayoutId, i64)> = Lateral::new(payouts, inner).load(&mut connection).await?;
        Ok(rows.into_iter().collect())
    }

    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_AMOUNT => Key::Number(self.amount_sort),
            _ => Key::Time(self.event_date),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}
