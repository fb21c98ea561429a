//! The rows of exported lists as cells, in the words of the API.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    Export,
    parameters::{self, Customers, Leads, Ledger},
};
use crate::{
    auth::{Role, Viewer},
    db,
    error::{Error, Result},
    graphql::profile::masked,
    ids::{CustomerId, PartnerId},
    models::{
        commission::Commission,
        commission_list::{BY_EVENT_DATE, CommissionFilter},
        customer::{self, Customer, CustomerAccount},
        lead::Lead,
        lead_list,
        member::Member,
        member_list::{self, MemberFilter},
        page::{Cursor, Page, Slice, SortKey},
        partner::Partner,
        payout::Payout,
        payout_list::{self, PayoutFilter},
        profile::{PaymentMethod, Profile},
        transfer::{BY_ENTRY, Transfer},
    },
    money::Money,
};

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The partners of rows, each once.
async fn partners(
    connection: &db::Connection,
    viewer: &Viewer,
    of: impl Iterator<Item = PartnerId>,
) -> db::QueryResult<HashMap<PartnerId, Partner>> {
    let ids: HashSet<PartnerId> = of.collect();
    Partner::by_ids(connection, viewer.scope(), &ids.into_iter().collect::<Vec<_>>()).await
}

fn ids(partners: &HashMap<PartnerId, Partner>) -> Vec<PartnerId> {
    partners.keys().copied().collect()
}

fn name(partners: &HashMap<PartnerId, Partner>, id: PartnerId) -> String {
    or_empty(partners.get(&id).map(|partner| &partner.company_name))
}

/// Where a payment by that method goes as the profile is now, no more of it than the API shows.
fn destination(profile: &Profile, method: PaymentMethod) -> Option<String> {
    match method {
        PaymentMethod::Manual => None,
        PaymentMethod::BankTransfer => profile.bank_account_last4.as_deref().map(masked),
        PaymentMethod::PayPal | PaymentMethod::Stripe => profile.payment_email.as_deref().map(masked_address),
        PaymentMethod::Check => {
            let parts = [&profile.address_city, &profile.address_country].into_iter().flatten().map(String::as_str);
            Some(parts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
        }
    }
}

/// An address by its first letter and its domain: "a•••@example.com".
fn masked_address(address: &str) -> String {
    let (mailbox, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    format!("{}•••@{domain}", mailbox.chars().next().unwrap_or_default())
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn amount(amount: Decimal, code: &str) -> String {
    Currency::from_code(code).map_or(amount, |currency| Money::rounded(amount, currency).amount).to_string()
}

impl Export for CommissionFilter {
    type Row = Commission;

    const NAME: &'static str = "commissions.csv";
    const ORDER: SortKey = BY_EVENT_DATE;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "event_type",
        "status",
        "event_date",
        "amount",
        "currency",
        "base",
        "rate",
        "customer",
        "invoice_id",
        "lead_id",
        "reverses_id",
        "payout_id",
        "rejection_reason",
        "notes",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::commissions(parameters)
    }

    fn cursor(row: &Commission, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Commission>> {
        Commission::page(connection, viewer.scope(), self, page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Commission]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let customers: Vec<CustomerId> = rows.iter().filter_map(|row| row.customer_id).collect();
        let customers = Customer::by_ids(connection, viewer.scope(), &customers).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.event_type.shown(),
                row.status.shown(),
                time(row.event_date),
                amount(row.amount, &row.currency),
                row.currency.clone(),
                or_empty(row.base.map(|base| amount(base, &row.currency))),
                or_empty(row.rate),
                or_empty(row.customer_id.and_then(|id| customers.get(&id)).map(|customer| &customer.name)),
                or_empty(row.invoice_id.as_ref()),
                or_empty(row.lead_id),
                or_empty(row.reverses_id),
                or_empty(row.payout_id),
                or_empty(row.rejection_reason.as_ref()),
                or_empty(row.notes.as_ref()),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for PayoutFilter {
    type Row = Payout;

    const NAME: &'static str = "payouts.csv";
    const ORDER: SortKey = payout_list::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "status",
        "total",
        "currency",
        "commission_count",
        "payment_method",
        "payment_reference",
        "period_start",
        "period_end",
        "payout_date",
        "completed_at",
        "failure_reason",
        "notes",
        "destination",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::payouts(parameters)
    }

    fn cursor(row: &Payout, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Payout>> {
        Payout::page(connection, viewer.scope(), self, page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Payout]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        // Where money goes is for those alone who may read profiles.
        let profiles = match viewer.role {
            Role::PartnerOwner | Role::Operator => Profile::by_partners(connection, viewer.scope(), &ids(&partners)).await?,
            Role::PartnerMember | Role::Service => HashMap::new(),
        };
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.status.shown(),
                amount(row.total_amount, &row.currency),
                row.currency.clone(),
                row.commission_count.to_string(),
                row.payment_method.shown(),
                or_empty(row.payment_reference.as_ref()),
                time(row.period_start),
                time(row.period_end),
                time(row.payout_date),
                or_empty(row.completed_at.map(time)),
                or_empty(row.failure_reason.as_ref()),
                or_empty(row.notes.as_ref()),
                or_empty(profiles.get(&row.partner_id).and_then(|profile| destination(profile, row.payment_method))),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for Leads {
    type Row = Lead;

    const NAME: &'static str = "leads.csv";
    const ORDER: SortKey = lead_list::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "client_name",
        "client_email",
        "client_phone",
        "service",
        "status",
        "deal_value",
        "commission",
        "currency",
        "created_at",
        "converted_at",
        "updated_at",
        "notes",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::leads(parameters)
    }

    fn cursor(row: &Lead, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Lead>> {
        Lead::page(connection, viewer.scope().narrowed(self.partner), &self.filter, page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Lead]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.client_name.clone(),
                row.client_email.clone(),
                or_empty(row.client_phone.as_ref()),
                row.service.clone(),
                row.status.shown(),
                or_empty(row.deal_value.map(|value| amount(value, &row.currency))),
                amount(row.commission, &row.currency),
                row.currency.clone(),
                time(row.created_at),
                or_empty(row.converted_at.map(time)),
                time(row.updated_at),
                or_empty(row.notes.as_ref()),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for MemberFilter {
    type Row = Member;

    const NAME: &'static str = "members.csv";
    const ORDER: SortKey = member_list::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "email",
        "first_name",
        "last_name",
        "status",
        "credits_assigned",
        "created_at",
        "updated_at",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::members(parameters)
    }

    fn cursor(row: &Member, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Member>> {
        Member::page(connection, viewer.scope(), self, page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Member]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.email.clone(),
                row.first_name.clone(),
                or_empty(row.last_name.as_ref()),
                row.status.shown(),
                row.credits_assigned.to_string(),
                time(row.created_at),
                time(row.updated_at),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for Customers {
    type Row = Customer;

    const NAME: &'static str = "customers.csv";
    const ORDER: SortKey = customer::BY_CREATED;
    const COLUMNS: &'static [&'static str] =
        &["id", "external_id", "name", "email", "partner_id", "partner", "managed_from", "created_at", "updated_at"];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::customers(parameters)
    }

    fn cursor(row: &Customer, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Customer>> {
        Customer::page(connection, viewer.scope(), self, page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Customer]) -> db::QueryResult<Vec<Vec<String>>> {
        let customers: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
        let accounts = CustomerAccount::by_customers(connection, viewer.scope(), &customers).await?;
        // Who manages it now, or is to.
        let managing =
            |id: CustomerId| accounts.get(&id).and_then(|periods| periods.iter().find(|period| period.managed_to.is_none()));
        let partners = partners(connection, viewer, rows.iter().filter_map(|row| Some(managing(row.id)?.partner_id))).await?;
        let cells = rows.iter().map(|row| {
            let account = managing(row.id);
            vec![
                row.id.to_string(),
                row.external_id.clone(),
                row.name.clone(),
                or_empty(row.email.as_ref()),
                or_empty(account.map(|account| account.partner_id)),
                account.map_or_else(String::new, |account| name(&partners, account.partner_id)),
                or_empty(account.map(|account| time(account.managed_from))),
                time(row.created_at),
                time(row.updated_at),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for Ledger {
    type Row = Transfer;

    const NAME: &'static str = "ledger.csv";
    const ORDER: SortKey = BY_ENTRY;
    const COLUMNS: &'static [&'static str] = &[
        "entry",
        "partner_id",
        "partner",
        "posted_at",
        "kind",
        "from",
        "to",
        "amount",
        "currency",
        "from_balance",
        "to_balance",
        "commission_id",
        "payout_id",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::ledger(parameters)
    }

    fn check(&self, viewer: &Viewer) -> Result<()> {
        match viewer.role {
            Role::PartnerOwner | Role::Operator => Ok(()),
            Role::PartnerMember | Role::Service => {
                Err(Error::Forbidden("Your role does not allow this; ledgers are for owners and operators.".to_owned()))
            }
        }
    }

    fn cursor(row: &Transfer, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Transfer>> {
        let currency = self.currency.unwrap_or(&viewer.tenant.default_currency);
        Transfer::page(connection, viewer.scope().narrowed(self.partner), currency, page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Transfer]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.entry.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                time(row.posted_at),
                row.kind.shown(),
                row.from_kind.shown(),
                row.to_kind.shown(),
                amount(row.amount, &row.unit),
                row.unit.clone(),
                amount(row.from_balance, &row.unit),
                amount(row.to_balance, &row.unit),
                or_empty(row.event_id),
                or_empty(row.payout_id),
            ]
        });
        Ok(cells.collect())
    }
}
