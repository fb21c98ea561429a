//! Commissions: what partners have earned. How they come to be is in [`super::booking`], what is decided of them in
//! [`super::decision`], lists of them in [`super::list`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::rule::RateSource;
use crate::{
    db::{
        schema::partner_commission_events,
        statement::{Bind, condition},
    },
    error::{Error, Result},
    ids::{CommissionId, CustomerId, LeadId, LinkId, PartnerId, PayoutId, RuleId, TenantId, UserId},
    models::{
        ledger::{AccountKind, Posting, Source, TransferKind},
        scope::Scope,
    },
    money::Money,
};

crate::pg_enum! {
    /// How far a commission has come.
    pub enum CommissionStatus {
        /// Waits for approval: by an operator, or for the end of the time in which it is held.
        Pending = "pending",
        /// Approved: the next payout takes it, or one has.
        Approved = "approved",
        /// Paid by a payout. It is approved again should that come back.
        Paid = "paid",
        /// Rejected by an operator. Final.
        Rejected = "rejected",
    }
}

crate::pg_enum! {
    /// What made a commission.
    pub enum CommissionEventType {
        /// A customer whom the partner manages paid an invoice.
        InvoicePayment = "invoice_payment",
        /// A lead converted.
        LeadConversion = "lead_conversion",
        /// A payment was refunded, in part or whole, and the amount is below zero; or such a refund failed, and it is above.
        Refund = "refund",
        /// An operator corrected what was earned.
        Adjustment = "adjustment",
        /// A customer paid who came by a link whose partner shares what it earns.
        Split = "split",
        /// One of the partner's people took it out of their wallet as an affiliate.
        Wallet = "wallet",
        /// It was earned in another system, and brought along; that it is of a payment is not known.
        Imported = "imported",
    }
}

/// A commission.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_commission_events)]
pub struct Commission {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: CommissionId,
    /// Who earned it.
    pub partner_id: PartnerId,
    /// What made it.
    pub event_type: CommissionEventType,
    /// How far it has come.
    pub status: CommissionStatus,
    /// The lead that converted.
    pub lead_id: Option<LeadId>,
    /// The customer who paid.
    pub customer_id: Option<CustomerId>,
    /// The invoice's id in the billing system.
    pub invoice_id: Option<String>,
    /// The commission that it takes back.
    pub reverses_id: Option<CommissionId>,
    /// The payout that it is in.
    pub payout_id: Option<PayoutId>,
    /// The link that the customer came by.
    pub link_id: Option<LinkId>,
    /// Where its rate comes from.
    pub source: RateSource,
    /// The version of the rule that made it.
    pub rule_id: Option<RuleId>,
    /// What it is a share of; for a refund the cumulative amount refunded.
    pub base: Option<Decimal>,
    /// The rate, as a fraction, where there is a single one.
    pub rate: Option<Decimal>,
    /// For tiers: what the partner's month had brought before.
    pub month_base: Option<Decimal>,
    /// Whether the rule's duration had passed.
    pub is_past_duration: bool,
    /// How much.
    pub amount: Decimal,
    /// The amount as lists are ordered by it.
    pub amount_sort: i64,
    /// The currency of base and amount (ISO 4217).
    pub currency: String,
    /// When it was earned.
    pub event_date: DateTime<Utc>,
    /// When it is approved by itself.
    pub due_at: Option<DateTime<Utc>>,
    /// What was noted: an adjustment's reason.
    pub notes: Option<String>,
    /// Why it was rejected.
    pub rejection_reason: Option<String>,
    /// Who approved or rejected it.
    pub decided_by: Option<UserId>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// When it was booked.
    pub created_at: DateTime<Utc>,
    /// When its status changed last.
    pub updated_at: DateTime<Utc>,
}

/// A commission to be booked.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = partner_commission_events, treat_none_as_default_value = false)]
pub struct NewCommission<'a> {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: CommissionId,
    /// Who earned it.
    pub partner_id: PartnerId,
    /// What made it.
    pub event_type: CommissionEventType,
    /// Pending or approved.
    pub status: CommissionStatus,
    /// The lead that converted.
    pub lead_id: Option<LeadId>,
    /// The customer who paid.
    pub customer_id: Option<CustomerId>,
    /// The invoice's id in the billing system.
    pub invoice_id: Option<&'a str>,
    /// The commission that it takes back.
    pub reverses_id: Option<CommissionId>,
    /// The link that the customer came by.
    pub link_id: Option<LinkId>,
    /// Where its rate comes from.
    pub source: RateSource,
    /// The version of the rule that made it.
    pub rule_id: Option<RuleId>,
    /// What it is a share of.
    pub base: Option<Decimal>,
    /// The rate.
    pub rate: Option<Decimal>,
    /// For tiers: what the partner's month had brought before.
    pub month_base: Option<Decimal>,
    /// Whether the rule's duration had passed.
    pub is_past_duration: bool,
    /// How much.
    pub amount: Decimal,
    /// The currency.
    pub currency: &'static str,
    /// When it was earned.
    pub event_date: DateTime<Utc>,
    /// For a refund: the time that its report gives.
    pub refunded_at: Option<DateTime<Utc>>,
    /// When it is approved by itself.
    pub due_at: Option<DateTime<Utc>>,
    /// What is noted.
    pub notes: Option<&'a str>,
    /// The idempotency key.
    pub idempotency_key: Option<&'a str>,
    /// What was asked for with it.
    pub request: Option<serde_json::Value>,
    /// Who books it.
    pub created_by: Option<UserId>,
    /// Who approved it.
    pub decided_by: Option<UserId>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// When it is booked.
    pub created_at: DateTime<Utc>,
    /// The same.
    pub updated_at: DateTime<Utc>,
}

impl CommissionStatus {
    /// The account that holds a commission of this status while no payout does; a rejected one has gone back.
    pub fn account(self) -> AccountKind {
        match self {
            Self::Pending => AccountKind::Pending,
            Self::Approved => AccountKind::Payable,
            Self::Paid => AccountKind::Paid,
            Self::Rejected => AccountKind::Expense,
        }
    }
}

impl Commission {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[CommissionId],
    ) -> QueryResult<HashMap<CommissionId, Self>> {
        let rows = Self::query()
            .filter(partner_commission_events::tenant_id.eq(scope.tenant))
            .filter(partner_commission_events::id.eq_any(ids))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row: &Self| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// The commission of an invoice.
    pub async fn by_invoice(mut connection: &AsyncPgConnection, tenant: TenantId, invoice: &str) -> QueryResult<Option<Self>> {
        Self::query()
            .filter(partner_commission_events::tenant_id.eq(tenant))
            .filter(partner_commission_events::invoice_id.eq(invoice))
            // Written out: a generic plan of a bound value would not use the index of payments alone.
            .filter(condition("partner_commission_events.event_type = 'invoice_payment'", Vec::new()))
            .first(&mut connection)
            .await
            .optional()
    }

    /// The commission of a lead.
    pub async fn by_lead(mut connection: &AsyncPgConnection, tenant: TenantId, lead: LeadId) -> QueryResult<Option<Self>> {
        Self::query()
            .filter(partner_commission_events::tenant_id.eq(tenant))
            .filter(partner_commission_events::lead_id.eq(lead))
            // Written out, for the index of conversions alone.
            .filter(condition("partner_commission_events.event_type = 'lead_conversion'", Vec::new()))
            .first(&mut connection)
            .await
            .optional()
    }

    /// The commission of each of many leads that is in scope.
    pub async fn by_leads(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        leads: &[LeadId],
    ) -> QueryResult<HashMap<LeadId, Self>> {
        let rows: Vec<Self> = Self::query()
            .filter(partner_commission_events::tenant_id.eq(scope.tenant))
            .filter(partner_commission_events::lead_id.eq_any(leads))
            .filter(condition("partner_commission_events.event_type = 'lead_conversion'", Vec::new()))
            .load(&mut connection)
            .await?;
        let visible = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        Ok(visible.filter_map(|row| Some((row.lead_id?, row))).collect())
    }

    /// What takes a commission back, or gives it back where a refund failed; the first one booked first.
    pub async fn reversals_of(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        ids: &[CommissionId],
    ) -> QueryResult<Vec<Self>> {
        Self::query()
            .filter(partner_commission_events::tenant_id.eq(tenant))
            // Written out, for the index of refunds alone.
            .filter(condition("partner_commission_events.event_type = 'refund'", Vec::new()))
            .filter(partner_commission_events::reverses_id.eq_any(ids))
            .order((partner_commission_events::created_at, partner_commission_events::id))
            .load(&mut connection)
            .await
    }

    /// What the report of a refund has made of a commission: so much in all, at that time.
    pub async fn by_refund(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        original: CommissionId,
        refunded: Decimal,
        refunded_at: DateTime<Utc>,
    ) -> QueryResult<Option<CommissionId>> {
        partner_commission_events::table
            .filter(partner_commission_events::tenant_id.eq(tenant))
            .filter(condition("partner_commission_events.event_type = 'refund'", Vec::new()))
            .filter(partner_commission_events::reverses_id.eq(original))
            .filter(partner_commission_events::base.eq(refunded))
            .filter(condition(
                "coalesce(partner_commission_events.refunded_at, partner_commission_events.event_date) = ?",
                vec![Bind::Time(refunded_at)],
            ))
            .select(partner_commission_events::id)
            .first(&mut connection)
            .await
            .optional()
    }

    /// Its currency.
    pub fn currency(&self) -> Result<Currency> {
        Currency::from_code(&self.currency).ok_or_else(|| Error::internal(format!("{:?} is no ISO 4217 code", self.currency)))
    }

    /// Its amount.
    pub fn money(&self) -> Result<Money> {
        Ok(Money::rounded(self.amount, self.currency()?))
    }

    /// A transfer of the whole of it.
    pub fn posting(&self, currency: Currency, from: AccountKind, to: AccountKind, kind: TransferKind) -> Posting {
        let source = Source::Commission(self.id);
        Posting { partner: self.partner_id, currency, from, to, amount: self.amount, kind, source }
    }
}
