//! Commissions, payouts and the ledger.

use std::collections::HashMap;

use super::{amount, name, or_empty, partners, time};
use crate::{
    auth::{Readable, Viewer},
    db,
    error::{Error, Result},
    graphql::partners::profile::masked,
    http::export::{
        Export,
        parameters::{self, Ledger},
    },
    ids::{CustomerId, PartnerId},
    models::{
        billing::customer::Customer,
        commissions::{
            commission::Commission,
            list::{BY_EVENT_DATE, CommissionFilter},
        },
        ledger::transfer::{self, BY_ENTRY, Transfer},
        list::List,
        page::{Cursor, Page, Slice, SortKey},
        partners::profile::{PaymentMethod, Profile},
        payouts::{self, list::PayoutFilter, payout::Payout},
    },
};

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
        self.page(connection, viewer.scope(), page).await
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
    const ORDER: SortKey = payouts::list::BY_CREATED;
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
        self.page(connection, viewer.scope(), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Payout]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        // Where money goes is for those alone who may read profiles.
        let profiles = if viewer.may_read(Readable::Profiles) {
            Profile::by_partners(connection, viewer.scope(), &partners.keys().copied().collect::<Vec<PartnerId>>()).await?
        } else {
            HashMap::new()
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
        if viewer.may_read(Readable::Ledgers) {
            return Ok(());
        }
        Err(Error::Forbidden("Your role does not allow this; ledgers are for owners and operators.".to_owned()))
    }

    fn cursor(row: &Transfer, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Transfer>> {
        let currency = self.currency.unwrap_or(&viewer.tenant.default_currency);
        transfer::Ledger::<Transfer>::of(currency.to_owned()).page(connection, viewer.scope().narrowed(self.partner), page).await
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
