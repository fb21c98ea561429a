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
    flag::CommissionFlagKind,
    rule::RateSource,
};
use crate::{
    db::{
        schema::{commission_flags, customers, links, partner_commission_events, partner_leads, partner_payout_items},
        statement::{Bind, condition},
    },
    ids::{CommissionId, CustomerId, LeadId, LinkId, PartnerId, PayoutId, ProgrammeId, TenantId},
    models::{
        list::{Conditions, Filter, ListBelow, Sum, SumColumns, SummedBelow, Sums, list, list_below, sums, sums_below},
        page::{
            Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, at_least, at_most, finds, finds_with_phones, group, of_parent,
        },
        scope::Scope,
    },
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
    /// Those of customers who came by this link.
    pub link: Option<LinkId>,
    /// Those of customers who came by a link of this programme.
    pub programme: Option<ProgrammeId>,
    /// Those with one of these flags; no partner's filter finds any.
    pub flags: Option<Vec<CommissionFlagKind>>,
    /// That of this lead.
    pub lead: Option<LeadId>,
    /// Those that this payout holds.
    pub payout: Option<PayoutId>,
    /// That of this invoice's payment, by its id in the billing system.
    pub invoice: Option<String>,
    /// Those of a customer or a lead that has every word of this, and those of the invoice of this id.
    pub search: Option<String>,
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

impl CommissionFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, partner_commission_events::table> {
        Conditions::of(partner_commission_events::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| {
                partner_commission_events::partner_id.eq(partner)
            })
            .and_one_of(
                self.statuses.as_deref(),
                |status| partner_commission_events::status.eq(status),
                |statuses| partner_commission_events::status.eq_any(statuses),
            )
            .and_if(&self.event_types, |types| partner_commission_events::event_type.eq_any(types))
            .and_if(self.currency, |currency| partner_commission_events::currency.eq(currency))
            .and_if(self.earned_from, |from| partner_commission_events::event_date.ge(from))
            .and_if(self.earned_before, |before| partner_commission_events::event_date.lt(before))
            .and_if(self.min_amount, |least| partner_commission_events::amount_sort.ge(at_least(least)))
            .and_if(self.max_amount, |most| partner_commission_events::amount_sort.le(at_most(most)))
            .and_if(self.customer, |customer| partner_commission_events::customer_id.assume_not_null().eq(customer))
            .and_if(self.link, |link| partner_commission_events::link_id.assume_not_null().eq(link))
            .and_if(self.programme, |programme| {
                let of_programme = links::table
                    .filter(links::tenant_id.eq(scope.tenant))
                    .filter(links::programme_id.eq(programme))
                    .filter(links::id.nullable().eq(partner_commission_events::link_id));
                diesel::dsl::exists(of_programme)
            })
            .and_if(&self.flags, |kinds| {
                let flagged = commission_flags::table
                    .filter(commission_flags::tenant_id.eq(scope.tenant))
                    .filter(commission_flags::commission_id.eq(partner_commission_events::id))
                    .filter(commission_flags::kind.eq_any(kinds));
                diesel::dsl::exists(flagged)
            })
            // Types are written out, for the indexes of one type alone.
            .and_if(self.lead, |lead| {
                let is_lead = condition("partner_commission_events.event_type = 'lead_conversion'", Vec::new());
                partner_commission_events::lead_id.assume_not_null().eq(lead).and(is_lead)
            })
            .and_if(self.payout, |payout| partner_commission_events::payout_id.assume_not_null().eq(payout))
            .and_if(&self.invoice, |invoice| {
                let is_payment = condition("partner_commission_events.event_type = 'invoice_payment'", Vec::new());
                partner_commission_events::invoice_id.assume_not_null().eq(invoice).and(is_payment)
            })
            .and_if(&self.search, |search| {
                // A probe of the primary key for each commission, however many customers and leads are found.
                let of_customer = customers::table
                    .filter(customers::tenant_id.eq(partner_commission_events::tenant_id))
                    .filter(customers::id.nullable().eq(partner_commission_events::customer_id))
                    .filter(finds("customers", search));
                let of_lead = partner_leads::table
                    .filter(partner_leads::tenant_id.eq(partner_commission_events::tenant_id))
                    .filter(partner_leads::id.nullable().eq(partner_commission_events::lead_id))
                    .filter(finds_with_phones("partner_leads", search));
                diesel::dsl::exists(of_customer)
                    .or(diesel::dsl::exists(of_lead))
                    .or(partner_commission_events::invoice_id.assume_not_null().eq(search))
            })
            .and_if(self.free_before, |before| condition(FREE, vec![Bind::Time(before), Bind::Time(before)]))
    }
}

list!(CommissionFilter => Commission, or CommissionSummary; partner_commission_events);
list_below!(CommissionFilter => Commission, or CommissionSummary; partner_commission_events; PartnerId, "partner_commission_events.partner_id");
list_below!(CommissionFilter => Commission, or CommissionSummary; partner_commission_events; CustomerId, "partner_commission_events.customer_id");
list_below!(CommissionFilter => Commission, or CommissionSummary; partner_commission_events; LinkId, "partner_commission_events.link_id");
sums!(CommissionFilter => CommissionStatus; partner_commission_events: amount);
sums_below!(CommissionFilter => CommissionStatus; partner_commission_events: amount; PartnerId, "partner_commission_events.partner_id");
sums_below!(CommissionFilter => CommissionStatus; partner_commission_events: amount; CustomerId, "partner_commission_events.customer_id");
sums_below!(CommissionFilter => CommissionStatus; partner_commission_events: amount; LinkId, "partner_commission_events.link_id");

/// What is selected of a parent payout's items and their commissions, those in scope: one that was moved to another partner after its payout
/// was cancelled is that partner's.
macro_rules! items {
    ($selected:expr, $scope:expr) => {{
        let items = partner_payout_items::table.inner_join(
            partner_commission_events::table.on(partner_commission_events::tenant_id
                .eq(partner_payout_items::tenant_id)
                .and(partner_commission_events::id.eq(partner_payout_items::event_id))),
        );
        let mut items = items.select($selected).into_boxed::<Pg>().filter(partner_payout_items::tenant_id.eq($scope.tenant));
        if let Some(partner) = $scope.partner {
            items = items.filter(partner_commission_events::partner_id.eq(partner));
        }
        items.filter(of_parent("partner_payout_items.payout_id"))
    }};
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
    link_id: Option<LinkId>,
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
            link_id: summary.link_id,
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
    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_AMOUNT => Key::Number(self.amount_sort),
            _ => Key::Time(self.event_date),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}

/// What a payout was made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InPayout;

impl Filter for InPayout {
    type Row = Commission;

    fn cursor(row: &Commission, page: &Page) -> Cursor {
        row.cursor(page)
    }
}

impl ListBelow<PayoutId> for InPayout {
    async fn pages(
        &self,
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
        page: &Page,
    ) -> QueryResult<HashMap<PayoutId, Slice<Commission>>> {
        let inner = page.apply(items!(Commission::as_select(), scope));
        let rows: Vec<(PayoutId, Commission)> = Lateral::new(payouts, inner).load(&mut connection).await?;
        Ok(group(rows).into_iter().map(|(payout, rows)| (payout, page.slice(rows))).collect())
    }

    async fn counts(
        &self,
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
    ) -> QueryResult<HashMap<PayoutId, i64>> {
        let inner = items!(count_star(), scope);
        let rows: Vec<(PayoutId, i64)> = Lateral::new(payouts, inner).load(&mut connection).await?;
        Ok(rows.into_iter().collect())
    }
}

impl SummedBelow<PayoutId> for InPayout {
    type Status = CommissionStatus;

    async fn sums_below(
        &self,
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
        limit: i64,
    ) -> QueryResult<HashMap<PayoutId, Vec<Sum<CommissionStatus>>>> {
        let columns = (partner_commission_events::currency, partner_commission_events::status, partner_payout_items::amount);
        let rows = items!(columns, scope).limit(limit);
        let sums = Lateral::new(payouts, Sums { amounts: &["amount"], rows });
        let found: Vec<(PayoutId, SumColumns<CommissionStatus>)> = sums.load(&mut connection).await?;
        Ok(group(found.into_iter().map(|(payout, sum)| (payout, sum.into())).collect()))
    }
}
