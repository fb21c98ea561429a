//! The rows of exported lists as cells, in the words of the API.

use chrono::{DateTime, SecondsFormat, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::Export;
use crate::{
    db,
    error::Result,
    ids::{CustomerId, PartnerId},
    models::{
        commission::Commission,
        commission_list::{BY_EVENT_DATE, CommissionFilter},
        customer::Customer,
        page::{MAX_PAGE, Page, PageArguments, Slice, SortKey},
        partner::Partner,
        payout::Payout,
        payout_list::{BY_CREATED, PayoutFilter},
        scope::Scope,
    },
    money::Money,
};

/// A cell that no spreadsheet runs as a formula: one that begins like a formula, and is no number, gets an apostrophe before it.
/// (OWASP, "CSV Injection")
pub fn harmless(cell: &str) -> String {
    let begins_like_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if begins_like_formula && Decimal::from_str_exact(cell).is_err() { format!("'{cell}") } else { cell.to_owned() }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn amount(amount: Decimal, code: &str) -> String {
    Currency::from_code(code).map_or(amount, |currency| Money::rounded(amount, currency).amount).to_string()
}

fn page_after(sort: SortKey, after: Option<String>) -> Result<Page> {
    Page::new(sort, false, PageArguments { first: Some(MAX_PAGE), after, ..PageArguments::default() })
}

impl Export for CommissionFilter {
    type Row = Commission;

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

    fn first_page() -> Result<Page> {
        page_after(BY_EVENT_DATE, None)
    }

    fn next_page(row: &Commission, page: &Page) -> Result<Page> {
        page_after(BY_EVENT_DATE, Some(row.cursor(page).encode()))
    }

    async fn read(&self, connection: &db::Connection, scope: Scope, page: &Page) -> db::QueryResult<Slice<Commission>> {
        Commission::page(connection, scope, self, page).await
    }

    async fn cells(connection: &db::Connection, scope: Scope, rows: &[Commission]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners: Vec<PartnerId> = rows.iter().map(|row| row.partner_id).collect();
        let partners = Partner::by_ids(connection, scope, &partners).await?;
        let customers: Vec<CustomerId> = rows.iter().filter_map(|row| row.customer_id).collect();
        let customers = Customer::by_ids(connection, scope, &customers).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                or_empty(partners.get(&row.partner_id).map(|partner| &partner.company_name)),
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
    ];

    fn first_page() -> Result<Page> {
        page_after(BY_CREATED, None)
    }

    fn next_page(row: &Payout, page: &Page) -> Result<Page> {
        page_after(BY_CREATED, Some(row.cursor(page).encode()))
    }

    async fn read(&self, connection: &db::Connection, scope: Scope, page: &Page) -> db::QueryResult<Slice<Payout>> {
        Payout::page(connection, scope, self, page).await
    }

    async fn cells(connection: &db::Connection, scope: Scope, rows: &[Payout]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners: Vec<PartnerId> = rows.iter().map(|row| row.partner_id).collect();
        let partners = Partner::by_ids(connection, scope, &partners).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                or_empty(partners.get(&row.partner_id).map(|partner| &partner.company_name)),
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
            ]
        });
        Ok(cells.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    /// What a spreadsheet would run is made a text; numbers stay numbers.
    #[test]
    fn formulas_are_texts() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+49 30 1", "'+49 30 1"),
            ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
            ("\t=1", "'\t=1"),
            ("-12.50", "-12.50"),
            ("Plain, text", "Plain, text"),
        ] {
            assert_eq!(harmless(cell), expected);
        }
    }
}
