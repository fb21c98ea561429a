//! `GET /export/commissions.csv` and `/export/payouts.csv`: whole lists as files, for spreadsheets.
//!
//! Behind the same guard as the API, with the same filters, read in one instant and sent a page at a time: memory does not grow
//! with the list.

mod parameters;
mod rows;

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use self::{
    parameters::{commission_filter, payout_filter},
    rows::harmless,
};
use super::{Refused, negotiation::Media, origin, request_id::RequestId};
use crate::{
    app::App,
    auth::bearer,
    db::{
        self,
        session::{Access, Session},
    },
    error::{Error, Result},
    models::{
        page::{Page, Slice},
        scope::Scope,
    },
};

type Parameters = Query<Vec<(String, String)>>;
/// Makes a filter of an address's parameters, or a sentence that says what is wrong with them.
type Parse<E> = fn(&[(String, String)]) -> Result<E, String>;

/// How long the next part of a file may wait for a client that does not read on.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many parts are read ahead of the client.
const AHEAD: usize = 2;

/// The commissions that the caller may see and the filter lets through, the earliest first.
pub async fn commissions(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    answer(app, id, &headers, &parameters, commission_filter, "commissions.csv").await
}

/// The payouts that the caller may see and the filter lets through, the earliest first.
pub async fn payouts(
    State(app): State<Arc<App>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    answer(app, id, &headers, &parameters, payout_filter, "payouts.csv").await
}

/// A list that can be exported.
pub trait Export: Send + Sync + 'static {
    /// A row of it.
    type Row: Send + Sync;

    /// The names of its columns.
    const COLUMNS: &'static [&'static str];

    /// The first page.
    fn first_page() -> Result<Page>;

    /// The page after a row.
    fn next_page(row: &Self::Row, page: &Page) -> Result<Page>;

    /// Reads a page.
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

async fn answer<E: Export>(
    app: Arc<App>,
    id: String,
    headers: &HeaderMap,
    parameters: &[(String, String)],
    filter: Parse<E>,
    name: &'static str,
) -> Response {
    let started = start(&app, &id, headers, parameters, filter, name).await;
    started.unwrap_or_else(|refused| refused.answer(Media::Json, &id))
}

async fn start<E: Export>(
    app: &Arc<App>,
    id: &str,
    headers: &HeaderMap,
    parameters: &[(String, String)],
    filter: Parse<E>,
    name: &'static str,
) -> Result<Response, Refused> {
    let token = bearer::token(headers).map_err(Error::from)?;
    // A link to a file is followed with the cookie; what another site cannot read of it, it may not make us compute either.
    if token.is_cookie {
        origin::check_link(headers)?;
    }
    let claims = app.verifier.verify(&token.text).await.map_err(Error::from)?;
    app.edge.rates.charge_user(&claims, app.edge.limits.max_cost as u64)?;
    let filter = filter(parameters).map_err(|message| Refused::request(StatusCode::BAD_REQUEST, message))?;
    // Before a connection is taken: each export keeps one for as long as it is read.
    let place = Arc::clone(&app.files).try_acquire_owned().map_err(|_| Refused::NoPlace)?;
    let (session, viewer) = app.acquaintances.admit(&app.pool, &claims, Access::Read).await?;
    app.edge.rates.charge_tenant(viewer.tenant.id, app.edge.limits.max_cost as u64)?;
    tracing::info!(request_id = id, tenant = viewer.tenant.slug, user = %viewer.user, name, "export");
    let mut reader = Reader { _place: place, session, scope: viewer.scope(), filter, next: None };
    let first = reader.part(&E::first_page()?, true).await?;
    let (parts, received) = mpsc::channel(AHEAD);
    tokio::spawn(reader.send(first, parts, id.to_owned()));
    let body = Body::from_stream(stream::unfold(Some(received), next_part));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
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

/// Reads a list page by page, within the session's one instant.
struct Reader<E> {
    /// Its place among those that may run at once.
    _place: OwnedSemaphorePermit,
    session: Session,
    scope: Scope,
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
                Some(page) => self.part(&page, false).await.map(Some),
                None if goes_on => Ok(None),
                None => return,
            };
        }
    }

    /// One part of the file, and what comes next.
    async fn part(&mut self, page: &Page, is_first: bool) -> Result<Vec<u8>> {
        let reading = self.session.read().await?;
        let slice = self.filter.read(&reading, self.scope, page).await?;
        let cells = E::cells(&reading, self.scope, &slice.rows).await?;
        drop(reading);
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        if is_first {
            writer.write_record(E::COLUMNS).map_err(Error::internal)?;
        }
        for row in cells {
            writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(Error::internal)?;
        }
        self.next = match slice.rows.last() {
            Some(last) if slice.has_next => Some(E::next_page(last, page)?),
            _ => None,
        };
        writer.into_inner().map_err(Error::internal)
    }
}
