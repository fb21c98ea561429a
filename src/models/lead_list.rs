//! Lists of leads: what they are filtered and ordered by, for one caller and for many partners at once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::count_star, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    lead::Lead,
    lead_status::LeadStatus,
    page::{Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, at_least, at_most, finds_with_phones, group, of_parent},
    scope::Scope,
};
use crate::{
    db::schema::partner_leads,
    ids::{LeadId, PartnerId, TenantId},
};

/// Which leads a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LeadFilter {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those of these statuses, which may be none at all; of whichever where it is not given.
    pub statuses: Option<Vec<LeadStatus>>,
    /// Those whose client's name, e-mail address, phone number or service has every word of this.
    pub search: Option<String>,
    /// Those whose client is interested in this, to the letter.
    pub service: Option<String>,
    /// Those whose deal is worth at least this; unknown counts as nothing.
    pub min_deal_value: Option<Decimal>,
    /// Those whose deal is worth at most this; unknown counts as nothing.
    pub max_deal_value: Option<Decimal>,
    /// Those created at this instant or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Those created before this instant.
    pub created_before: Option<DateTime<Utc>>,
}

/// By creation.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "partner_leads.created_at", id: "partner_leads.id", kind: KeyKind::Time };
/// By the last change.
pub const BY_UPDATED: SortKey =
    SortKey { name: "updated", column: "partner_leads.updated_at", id: "partner_leads.id", kind: KeyKind::Time };
/// By the client's name, without regard to case.
pub const BY_CLIENT_NAME: SortKey =
    SortKey { name: "client", column: "partner_leads.client_name_sort", id: "partner_leads.id", kind: KeyKind::Text };
/// By the deal's value, none as zero.
pub const BY_DEAL_VALUE: SortKey =
    SortKey { name: "value", column: "partner_leads.deal_value_sort", id: "partner_leads.id", kind: KeyKind::Number };

/// Narrows a boxed query to the leads in scope that the filter lets through. A macro because the query's type names what it
/// selects, and the page and its count select different things.
macro_rules! filtered {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let mut query = $query.filter(partner_leads::tenant_id.eq($scope.tenant));
        for partner in [$scope.partner, $filter.partner].into_iter().flatten() {
            query = query.filter(partner_leads::partner_id.eq(partner));
        }
        query = match $filter.statuses.as_deref() {
            None => query,
            Some([status]) => query.filter(partner_leads::status.eq(*status)),
            Some(statuses) => query.filter(partner_leads::status.eq_any(statuses)),
        };
        if let Some(search) = &$filter.search {
            query = query.filter(finds_with_phones("partner_leads", search));
        }
        if let Some(service) = &$filter.service {
            query = query.filter(partner_leads::service.eq(service));
        }
        if let Some(least) = $filter.min_deal_value {
            query = query.filter(partner_leads::deal_value_sort.ge(at_least(least)));
        }
        if let Some(most) = $filter.max_deal_value {
            query = query.filter(partner_leads::deal_value_sort.le(at_most(most)));
        }
        if let Some(from) = $filter.created_from {
            query = query.filter(partner_leads::created_at.ge(from));
        }
        if let Some(before) = $filter.created_before {
            query = query.filter(partner_leads::created_at.lt(before));
        }
        query
    }};
}

/// What most lists show of a lead.
#[derive(HasQuery)]
#[diesel(table_name = partner_leads)]
struct LeadSummary {
    tenant_id: TenantId,
    id: LeadId,
    partner_id: PartnerId,
    client_name: String,
    client_email: String,
    service: String,
    status: LeadStatus,
    deal_value: Option<Decimal>,
    commission: Decimal,
    currency: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<LeadSummary> for Lead {
    /// What the summary does not have is empty.
    fn from(summary: LeadSummary) -> Self {
        Self {
            tenant_id: summary.tenant_id,
            id: summary.id,
            partner_id: summary.partner_id,
            client_name: summary.client_name,
            client_name_sort: String::new(),
            client_email: summary.client_email,
            client_phone: None,
            service: summary.service,
            status: summary.status,
            deal_value: summary.deal_value,
            deal_value_sort: 0,
            commission_rate: Decimal::ZERO,
            commission: summary.commission,
            commission_fixed: false,
            commission_paid: false,
            currency: summary.currency,
            notes: None,
            created_at: summary.created_at,
            converted_at: None,
            updated_at: summary.updated_at,
        }
    }
}

impl Lead {
    /// One page of the leads in scope.
    pub async fn page(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        filter: &LeadFilter,
        page: &Page,
    ) -> QueryResult<Slice<Self>> {
        let rows = if page.takes_summaries() {
            let query = LeadSummary::query().into_boxed::<Pg>();
            let rows: Vec<LeadSummary> = page.apply(filtered!(query, scope, filter)).load(&mut connection).await?;
            rows.into_iter().map(Self::from).collect()
        } else {
            let query = Self::query().into_boxed::<Pg>();
            page.apply(filtered!(query, scope, filter)).load(&mut connection).await?
        };
        Ok(page.slice(rows))
    }

    /// How many leads the whole list has.
    pub async fn count(mut connection: &AsyncPgConnection, scope: Scope, filter: &LeadFilter) -> QueryResult<i64> {
        let query = partner_leads::table.select(count_star()).into_boxed::<Pg>();
        filtered!(query, scope, filter).get_result(&mut connection).await
    }

    /// The same page for each of many partners, in one statement.
    pub async fn page_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &LeadFilter,
        page: &Page,
    ) -> QueryResult<HashMap<PartnerId, Slice<Self>>> {
        let rows: Vec<(PartnerId, Self)> = if page.takes_summaries() {
            let query = LeadSummary::query().into_boxed::<Pg>();
            let inner = page.apply(filtered!(query, scope, filter).filter(of_parent("partner_leads.partner_id")));
            let rows: Vec<(PartnerId, LeadSummary)> = Lateral::new(partners, inner).load(&mut connection).await?;
            rows.into_iter().map(|(partner, row)| (partner, row.into())).collect()
        } else {
            let query = Self::query().into_boxed::<Pg>();
            let inner = page.apply(filtered!(query, scope, filter).filter(of_parent("partner_leads.partner_id")));
            Lateral::new(partners, inner).load(&mut connection).await?
        };
        Ok(group(rows).into_iter().map(|(partner, rows)| (partner, page.slice(rows))).collect())
    }

    /// How many leads each of many partners has, in one statement.
    pub async fn count_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &LeadFilter,
    ) -> QueryResult<HashMap<PartnerId, i64>> {
        let query = partner_leads::table.select(count_star()).into_boxed::<Pg>();
        let inner = filtered!(query, scope, filter).filter(of_parent("partner_leads.partner_id"));
        let rows: Vec<(PartnerId, i64)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(rows.into_iter().collect())
    }

    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_CLIENT_NAME => Key::Text(self.client_name_sort.clone()),
            sort if sort == BY_DEAL_VALUE => Key::Number(self.deal_value_sort),
            sort if sort == BY_UPDATED => Key::Time(self.updated_at),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}
