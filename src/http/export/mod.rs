//! `GET /export/<list>.csv`: whole lists as files, for spreadsheets.
//!
//! Behind the same guard as the API, with the same filters, read in one instant and sent a page at a time: memory does not grow
//! with the list. Each row costs what an object of an answer costs.

mod cells;
mod parameters;
mod rows;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use self::{
    cells::push_row,
    parameters::{Customers, Leads, Ledger, SignUps},
};
use super::{
    Refused,
    graphql::{negotiation::Media, position},
    origin,
    request_id::RequestId,
};
use crate::{
    app::App,
    auth::{Viewer, bearer, claims::Claims},
    db::{
        self, Pool,
        session::{Access, Session},
    },
    error::{Error, Result},
    models::{
        affiliates::{referral::ReferralFilter, wallet_transaction::WalletTransactionFilter},
        audit::entry::AuditFilter,
        commissions::list::CommissionFilter,
        members::list::MemberFilter,
        page::{Cursor, MAX_PAGE, Page, PageArguments, Slice, SortKey},
        payouts::list::PayoutFilter,
        programmes::{link_event::LinkEventFilter, link_list::LinkFilter},
    },
};

type Parameters = Query<Vec<(String, String)>>;
/// How long the next part of a file may wait for a client that does not read on.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many parts are read ahead of the client.
const AHEAD: usize = 2;
/// The byte-order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// All of them.
pub fn routes() -> Router<Arc<App>> {
    fn route<E: Export>(router: Router<Arc<App>>) -> Router<Arc<App>> {
        router.route(&format!("/export/{}", E::NAME), get(export::<E>))
    }
    [
        route::<CommissionFilter>,
        route::<PayoutFilter>,
        route::<Leads>,
        route::<MemberFilter>,
        route::<Customers>,
        route::<Ledger>,
        route::<LinkFilter>,
        route::<SignUps>,
        route::<LinkEventFilter>,
        route::<WalletTransactionFilter>,
        route::<ReferralFilter>,
        route::<AuditFilter>,
    ]
    .into_iter()
    .fold(Router::new(), |router, route| route(router))
}

/// A list that can be exported: its filter, and what its file holds.
pub trait Export: Clone + Send + Sync + 'static {
    /// A row of it.
    type Row: Send + Sync;

    /// The file's name.
    const NAME: &'static str;
    /// The names of its columns.
    const COLUMNS: &'static [&'static str];
    /// Its order, from the first on.
    const ORDER: SortKey;

    /// Makes the filter of an address's parameters, or a sentence that says what is wrong with them.
    fn parse(parameters: &[(String, String)]) -> Result<Self, String>;

    /// Refuses, with the reason, a viewer who may not read it.
    fn check(&self, _viewer: &Viewer) -> Result<()> {
        Ok(())
    }

    /// Where a row stands.
    fn cursor(row: &Self::Row, page: &Page) -> Cursor;

    /// Reads a page.
    fn read(
        &self,
        connection: &db::Connection,
        viewer: &Viewer,
        page: &Page,
    ) -> impl Future<Output = db::QueryResult<Slice<Self::Row>>> + Send;

    /// The rows as cells.
    fn cells(
        connection: &db::Connection,
        viewer: &Viewer,
        rows: &[Self::Row],
    ) -> impl Future<Output = db::QueryResult<Vec<Vec<String>>>> + Send;
}

fn page_after(order: SortKey, after: Option<String>) -> Result<Page> {
    Page::new(order, false, PageArguments { first: Some(MAX_PAGE), after, ..PageArguments::default() })
}

/// The rows that the caller may see and the filter lets through, the earliest first.
async fn export<E: Export>(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let started = start::<E>(&app, &id, &headers, parameters).await;
    started.unwrap_or_else(|refused| refused.answer(Media::Json, &id))
}

/// Takes the parameter `bom` out of the others: whether the file begins with a byte-order mark, by which some spreadsheets know UTF-8.
fn take_mark(parameters: &mut Vec<(String, String)>) -> Result<bool, String> {
    let given: Vec<String> = parameters.extract_if(.., |(name, _)| name == "bom").map(|(_, value)| value).collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["false"] => Ok(false),
        ["true"] => Ok(true),
        [_] => Err("`bom` must be true or false.".to_owned()),
        _ => Err("`bom` is given twice.".to_owned()),
    }
}

async fn start<E: Export>(
    app: &Arc<App>,
    id: &str,
    headers: &HeaderMap,
    mut parameters: Vec<(String, String)>,
) -> Result<Response, Refused> {
    let token = bearer::token(headers).map_err(Error::from)?;
    // A link to a file is followed with the cookie; what another site cannot read of it, it may not make us compute either.
    if token.is_cookie {
        origin::check_link(headers)?;
    }
    let claims = app.verifier.verify(&token.text).await.map_err(Error::from)?;
    app.edge.budgets.charge_user(&claims, 1)?;
    // A link that a browser follows has no headers of its own.
    let positions: Vec<String> = parameters.extract_if(.., |(name, _)| name == "position").map(|(_, text)| text).collect();
    let positions = positions.iter().flat_map(|text| text.split(','));
    let begun = Instant::now();
    let app = &app.of(&claims).await?;
    let said = position::of_texts(app, "position", positions)?.max(position::of_headers(app, headers)?);
    let parsed = take_mark(&mut parameters).and_then(|has_mark| Ok((has_mark, E::parse(&parameters)?)));
    let (has_mark, filter) = parsed.map_err(|message| Refused::request(StatusCode::BAD_REQUEST, message))?;
    // Before a connection is taken: each export keeps one for as long as it is read.
    let of_user = app.edge.exports.enter(&claims, "exports").map_err(Refused::from)?;
    let permit = Arc::clone(&app.files).try_acquire_owned().map_err(|_| Refused::NoPermit)?;
    let open = |pool: Pool| {
        let (filter, claims) = (filter.clone(), Arc::clone(&claims));
        async move {
            let (session, viewer) = app.known_callers.admit(&pool, &claims, id, Access::Read).await?;
            filter.check(&viewer)?;
            tracing::info!(request_id = id, tenant = viewer.tenant.slug, user = %viewer.user, name = E::NAME, "export");
            let mut reader = Reader { app: Arc::clone(app), session, viewer, claims, filter, next: None };
            let mut first = if has_mark { MARK.to_vec() } else { Vec::new() };
            push_row(E::COLUMNS.iter().copied(), &mut first);
            let rows = reader.part(&page_after(E::ORDER, None)?, &mut first).await?;
            Ok((reader, first, rows))
        }
    };
    let mut opened = app.standbys.read(app.required_position(&claims, said), open).await;
    if matches!(opened, Err(Error::UnknownTenant)) && app.moved(&claims, begun).await?.is_some() {
        opened = Err(Error::Held);
    }
    let (reader, first, rows) = opened.map_err(|error| match error {
        Error::BadUserInput(message) => Refused::request(StatusCode::BAD_REQUEST, message),
        error => error.into(),
    })?;
    // A caller who cannot pay for the first part is refused; for later parts the file waits.
    app.edge.budgets.charge_user(&reader.claims, rows as u64)?;
    app.edge.budgets.charge_tenant(reader.viewer.tenant.id, rows as u64)?;
    let (parts, received) = mpsc::channel(AHEAD);
    let id = id.to_owned();
    tokio::spawn(async move {
        reader.send(first, parts, id).await;
        drop((permit, of_user));
    });
    let body = Body::from_stream(stream::unfold(Some(received), next_part).fuse());
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", E::NAME)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// A part of the file, or its end. Without its end a file is torn, and must not look whole.
type Part = Result<Option<Vec<u8>>>;

/// What the client gets next.
async fn next_part(received: Option<mpsc::Receiver<Part>>) -> Option<(Result<Vec<u8>>, Option<mpsc::Receiver<Part>>)> {
    let mut received = received?;
    match received.recv().await {
        Some(Ok(Some(part))) => Some((Ok(part), Some(received))),
        Some(Ok(None)) => None,
        Some(Err(error)) => Some((Err(error), None)),
        None => Some((Err(Error::Timeout), None)),
    }
}

/// Takes a price once it can be paid, if that is not too long from now: the list is read in a transaction that waits, too.
async fn paid(charge: impl Fn() -> Result<()>) -> Result<()> {
    loop {
        match charge() {
            Err(Error::RateLimited { wait, .. }) if wait <= PATIENCE => tokio::time::sleep(wait).await,
            outcome => return outcome,
        }
    }
}

/// Reads a list page by page, within the session's one instant.
struct Reader<E> {
    app: Arc<App>,
    session: Session,
    viewer: Viewer,
    claims: Arc<Claims>,
    filter: E,
    next: Option<Page>,
}

impl<E: Export> Reader<E> {
    /// Sends the whole file. A client that goes away, or does not read on, ends it: its connection is for others.
    async fn send(mut self, first: Vec<u8>, parts: mpsc::Sender<Part>, id: String) {
        let mut part = Ok(Some(first));
        loop {
            let goes_on = matches!(part, Ok(Some(_)));
            if let Err(error) = &part {
                tracing::error!(request_id = id, %error, "an export broke off");
            }
            if parts.send_timeout(part, PATIENCE).await.is_err() {
                tracing::info!(request_id = id, "an export is not read on, and ends");
                return;
            }
            part = match self.next.take() {
                Some(page) => self.next_part(&page).await.map(Some),
                None if goes_on => Ok(None),
                None => return,
            };
        }
    }

    async fn next_part(&mut self, page: &Page) -> Result<Vec<u8>> {
        let mut part = Vec::new();
        let rows = self.part(page, &mut part).await?;
        let rates = &self.app.edge.budgets;
        paid(|| rates.charge_user(&self.claims, rows as u64)).await?;
        paid(|| rates.charge_tenant(self.viewer.tenant.id, rows as u64)).await?;
        Ok(part)
    }

    /// Appends one part of the file, and knows then what comes next; gives the number of its rows.
    async fn part(&mut self, page: &Page, out: &mut Vec<u8>) -> Result<usize> {
        let reading = self.session.read().await?;
        let slice = self.filter.read(&reading, &self.viewer, page).await?;
        let rows = E::cells(&reading, &self.viewer, &slice.rows).await?;
        drop(reading);
        for row in &rows {
            push_row(row.iter().map(String::as_str), out);
        }
        self.next = match slice.rows.last() {
            Some(last) if slice.has_next => Some(page_after(E::ORDER, Some(E::cursor(last, page).encode()))?),
            _ => None,
        };
        Ok(rows.len())
    }
}
