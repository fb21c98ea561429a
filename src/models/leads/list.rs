//! Lists of leads: what they are filtered and ordered by, for one caller and for many partners at once.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{lead::Lead, status::LeadStatus};
use crate::{
    db::schema::partner_leads,
    ids::{LeadId, PartnerId, TenantId},
    models::{
        list::{Conditions, list, list_below, sums, sums_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, at_least, at_most, finds_with_phones},
        scope::Scope,
    },
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

impl LeadFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, partner_leads::table> {
        Conditions::of(partner_leads::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| partner_leads::partner_id.eq(partner))
            .and_one_of(
                self.statuses.as_deref(),
                |status| partner_leads::status.eq(status),
                |statuses| partner_leads::status.eq_any(statuses),
            )
            .and_if(&self.search, |search| finds_with_phones("partner_leads", search))
            .and_if(&self.service, |service| partner_leads::service.eq(service))
            .and_if(self.min_deal_value, |least| partner_leads::deal_value_sort.ge(at_least(least)))
            .and_if(self.max_deal_value, |most| partner_leads::deal_value_sort.le(at_most(most)))
            .and_if(self.created_from, |from| partner_leads::created_at.ge(from))
            .and_if(self.created_before, |before| partner_leads::created_at.lt(before))
    }
}

list!(LeadFilter => Lead, or LeadSummary; partner_leads);
list_below!(LeadFilter => Lead, or LeadSummary; partner_leads; PartnerId, "partner_leads.partner_id");
sums!(LeadFilter => LeadStatus; partner_leads: deal_value, commission);
sums_below!(LeadFilter => LeadStatus; partner_leads: deal_value, commission; PartnerId, "partner_leads.partner_id");

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
            erased_at: None,
        }
    }
}

impl Lead {
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
