//! `GET /export/commissions.csv` and `/export/payouts.csv`: whole lists as files, for spreadsheets.
//!
//! Behind the same guard as the API, with the same filters, read in one instant and sent a page at a time: memory does not grow
//! with the list.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::stream;
use iso_currency::Currency;
use rust_decimal::Decimal;
use tokio::sync::OwnedSemaphorePermit;

use super::{graphql::turned_away, refusal, request_id::RequestId};
use crate::{
    app::App,
    auth::guard,
    db::{self, session::Session},
    error::{Error, Result},
    ids::{CustomerId, IdError, PartnerId},
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

type Parameters = Query<Vec<(String, String)>>;

/// The commissions that the caller may see and the filter lets through, the earliest first.
pub async fn commissions(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    match commission_filter(&parameters) {
        Ok(filter) => answer(app, &id, &headers, filter, "commissions.csv").await,
        Err(message) => refusal(StatusCode::BAD_REQUEST, &message),
    }
}

/// The payouts that the caller may see and the filter lets through, the earliest first.
pub async fn payouts(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    match payout_filter(&parameters) {
        Ok(filter) => answer(app, &id, &headers, filter, "payouts.csv").await,
        Err(message) => refusal(StatusCode::BAD_REQUEST, &message),
    }
}

/// A list that can be exported.
trait Export: Send + Sync + 'static {
    type Row: Send;

    const COLUMNS: &'static [&'static str];

    fn first_page() -> Result<Page>;

    /// The page after a row.
    fn next_page(row: &Self::Row, page: &Page) -> Result<Page>;

    fn read(
        &self,
        connection: &db::Connection,
        scope: Scope,
        page: &Page,
    ) -> impl Future<Output = db::QueryResult<Slice<Self::Row>>> + Send;

    /// The rows as cells.
    fn cells(
        connection: &db::Connection,
        scope: Scope,
        rows: &[Self::Row],
    ) -> impl Future<Output = db::QueryResult<Vec<Vec<String>>>> + Send;
}

async fn answer<E: Export>(app: Arc<App>, id: &str, headers: &HeaderMap, filter: E, name: &'static str) -> Response {
    let claims = match guard::claims(&app.verifier, headers).await {
        Ok(claims) => claims,
        Err(error) => return turned_away(&error, id),
    };
    // Before a connection is taken: each export keeps one for as long as it is read.
    let Ok(place) = Arc::clone(&app.exports).try_acquire_owned() else {
        let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "Too many exports are running. Try again in a minute.");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return response;
    };
    let (session, viewer) = match guard::admit(&app.pool, claims).await {
        Ok(admitted) => admitted,
        Err(error) => return turned_away(&error, id),
    };
    tracing::info!(request_id = id, tenant = viewer.tenant.slug, user = %viewer.user, name, "export");
    let first = match E::first_page() {
        Ok(page) => page,
        Err(error) => return turned_away(&error, id),
    };
    let reader = Reader { _place: place, session, scope: viewer.scope(), filter, next: Some(first), has_begun: false };
    let body = Body::from_stream(stream::try_unfold(reader, Reader::turn));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}

/// Reads a list page by page, within the session's one instant.
struct Reader<E> {
    /// Its place among those that may run at once.
    _place: OwnedSemaphorePermit,
    session: Session,
    scope: Scope,
    filter: E,
    next: Option<Page>,
    has_begun: bool,
}

impl<E: Export> Reader<E> {
    /// The next part of the file; none at its end.
    async fn turn(mut self) -> Result<Option<(Vec<u8>, Self)>> {
        let Some(page) = self.next.take() else { return Ok(None) };
        let reading = self.session.read().await?;
        let slice = self.filter.read(&reading, self.scope, &page).await?;
        let cells = E::cells(&reading, self.scope, &slice.rows).await?;
        drop(reading);
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        if !self.has_begun {
            writer.write_record(E::COLUMNS).map_err(Error::internal)?;
        }
        for row in cells {
            writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(Error::internal)?;
        }
        self.has_begun = true;
        self.next = match slice.rows.last() {
            Some(last) if slice.has_next => Some(E::next_page(last, &page)?),
            _ => None,
        };
        Ok(Some((writer.into_inner().map_err(Error::internal)?, self)))
    }
}

/// A cell that no spreadsheet runs as a formula: one that begins like a formula, and is no number, gets an apostrophe before it.
/// (OWASP, "CSV Injection")
fn harmless(cell: &str) -> String {
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
                row.event_type.as_str().to_owned(),
                row.status.as_str().to_owned(),
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
                or_empty(row.rejection_reason.as_ref().or(row.notes.as_ref())),
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
                row.status.as_str().to_owned(),
                amount(row.total_amount, &row.currency),
                row.currency.clone(),
                row.commission_count.to_string(),
                row.payment_method.as_str().to_owned(),
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

/// One parameter's value, or a sentence that says what is wrong with it.
fn value<T: std::str::FromStr>(name: &str, text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(60).collect();
        format!("`{name}` must be {wanted}; it is {shown:?}.")
    })
}

/// Several values of an enumeration, in capitals as in the API, separated by commas.
fn words<T: std::str::FromStr>(name: &str, text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|word| value(name, &word.trim().to_ascii_lowercase(), "one of the API's values, or several with commas"))
        .collect()
}

fn currency(text: &str) -> Result<&'static str, String> {
    Currency::from_code(text)
        .map(|known| known.code())
        .ok_or_else(|| "`currency` must be an ISO 4217 code such as USD.".to_owned())
}

fn instant(name: &str, text: &str) -> Result<DateTime<Utc>, String> {
    value::<DateTime<chrono::FixedOffset>>(name, text, "an instant such as 2026-11-20T09:30:00Z").map(|time| time.to_utc())
}

fn unknown(name: &str, known: &str) -> String {
    let shown: String = name.chars().take(60).collect();
    format!("There is no parameter {shown:?}; there are {known}.")
}

fn commission_filter(parameters: &[(String, String)]) -> Result<CommissionFilter, String> {
    let mut filter = CommissionFilter::default();
    for (name, text) in parameters {
        match name.as_str() {
            "partnerId" => filter.partner = Some(text.parse().map_err(|error: IdError| error.to_string())?),
            "status" => filter.statuses = words(name, text)?,
            "eventType" => filter.event_types = words(name, text)?,
            "currency" => filter.currency = Some(currency(text)?),
            "earnedFrom" => filter.earned_from = Some(instant(name, text)?),
            "earnedBefore" => filter.earned_before = Some(instant(name, text)?),
            "minAmount" => filter.min_amount = Some(value(name, text, "a decimal number")?),
            "maxAmount" => filter.max_amount = Some(value(name, text, "a decimal number")?),
            _ => {
                let known = "partnerId, status, eventType, currency, earnedFrom, earnedBefore, minAmount, maxAmount";
                return Err(unknown(name, known));
            }
        }
    }
    Ok(filter)
}

fn payout_filter(parameters: &[(String, String)]) -> Result<PayoutFilter, String> {
    let mut filter = PayoutFilter::default();
    for (name, text) in parameters {
        match name.as_str() {
            "partnerId" => filter.partner = Some(text.parse().map_err(|error: IdError| error.to_string())?),
            "status" => filter.statuses = words(name, text)?,
            "currency" => filter.currency = Some(currency(text)?),
            "createdFrom" => filter.created_from = Some(instant(name, text)?),
            "createdBefore" => filter.created_before = Some(instant(name, text)?),
            "minAmount" => filter.min_amount = Some(value(name, text, "a decimal number")?),
            "maxAmount" => filter.max_amount = Some(value(name, text, "a decimal number")?),
            _ => return Err(unknown(name, "partnerId, status, currency, createdFrom, createdBefore, minAmount, maxAmount")),
        }
    }
    Ok(filter)
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
