//! One operation from its parameters to its answer, over whichever transport: its cost, its permit, its session, its line in the log.

use std::{
    fs::File,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_graphql::{Response as Answer, ServerError, Value, parser::types::OperationType, value};
use futures_util::FutureExt;
use opentelemetry::Context;
use tracing::Instrument;

use super::position;
use crate::{
    app::App,
    auth::{
        Role, Viewer,
        claims::Claims,
        guard::{Unconfirmed, staff_role},
    },
    db::{
        DatabaseKind, Pool,
        session::{Access, AuditActor, Session},
        spans,
        standbys::Outcome,
        wal::WalPosition,
    },
    error::{Error, Result},
    graphql::{
        document::{Parameters, Prepared},
        engine::{context::RequestContext, error_codes, json},
    },
    http::{Refused, panic_text},
    telemetry::traces,
};

/// How many bytes of a document cost as much as an object.
const BYTES_PER_COST: u64 = 2_000;

/// How long it may take to find out the position of what a mutation has answered.
const POSITION_LIMIT: Duration = Duration::from_secs(1);

/// The caller, and how the operation was sent.
pub struct Call {
    /// The request's id.
    pub id: String,
    /// What the caller's token says.
    pub claims: Arc<Claims>,
    /// Whether nothing may be changed: a request that caches may repeat.
    pub is_safe: bool,
    /// Whether the answer says what it has cost.
    pub tells_cost: bool,
    /// The cursor of the last event that a stream has brought, where one that broke off is opened again.
    pub last_event_id: Option<String>,
    /// The caller's span, in their trace.
    pub caller: Option<Context>,
    /// How far a database must be to answer the caller, as they say.
    pub position: WalPosition,
}

/// Runs one operation that has one answer.
pub async fn run(app: &Arc<App>, call: &Call, parameters: Parameters, files: Vec<File>) -> Result<Answer, Refused> {
    let prepared = prepare(app, call, parameters).await?;
    single(app, call, &prepared, files).await
}

/// Runs an operation that was prepared and paid for, and has one answer.
pub async fn single(app: &Arc<App>, call: &Call, prepared: &Prepared, files: Vec<File>) -> Result<Answer, Refused> {
    if prepared.kind == OperationType::Subscription {
        let message = "A subscription has more than one answer: open it over WebSocket (graphql-transport-ws), or accept text/event-stream.";
        return Err(Error::BadUserInput(message.to_owned()).into());
    }
    execute(app, call, prepared, files).await
}

/// Refuses at the earliest moment an operation for which no permit is free, and charges its caller the least that anything costs.
pub fn check_permit(app: &App, call: &Call) -> Result<(), Refused> {
    let checked = app.edge.check_permit().or_else(|full| app.edge.budgets.charge_user(&call.claims, 1).and(Err(full)));
    checked.inspect_err(|error| app.metrics.refused(error.code()))?;
    Ok(())
}

/// Finds the operation and takes its price.
pub async fn prepare(app: &Arc<App>, call: &Call, parameters: Parameters) -> Result<Prepared, Refused> {
    let prepared = find(app, call, parameters).await;
    prepared.inspect_err(|refused| app.metrics.refused(refused.code()))
}

async fn find(app: &Arc<App>, call: &Call, parameters: Parameters) -> Result<Prepared, Refused> {
    // Looking at a document has a price too, by its size.
    let bytes = parameters.query.as_ref().map_or(0, String::len);
    app.edge.budgets.charge_user(&call.claims, 1 + bytes as u64 / BYTES_PER_COST)?;
    let may_introspect = app.edge.may_introspect(&call.claims);
    let prepared = app.schema.prepare(parameters, may_introspect).await.map_err(Refused::Document)?;
    if call.is_safe && prepared.kind == OperationType::Mutation {
        return Err(Refused::Unsafe);
    }
    app.edge.budgets.charge_user(&call.claims, prepared.cost)?;
    Ok(prepared)
}

/// Runs an operation that was prepared and paid for.
pub async fn execute(app: &Arc<App>, call: &Call, prepared: &Prepared, files: Vec<File>) -> Result<Answer, Refused> {
    let span = traces::operation(kind(prepared), prepared.name.as_deref().unwrap_or_default(), call.caller.as_ref());
    let answer = work(app, call, prepared, files).instrument(span).await;
    answer.inspect_err(|refused| app.metrics.refused(refused.code()))
}

/// Runs it on the cluster that the caller's tenant is on.
async fn work(app: &Arc<App>, call: &Call, prepared: &Prepared, files: Vec<File>) -> Result<Answer, Refused> {
    let started = Instant::now();
    let app = app.of(&call.claims).await?;
    let has_files = !files.is_empty();
    match Box::pin(work_on(&app, call, prepared, files, call.position)).await {
        Err(Refused::Fault(Error::UnknownTenant)) => match app.moved(&call.claims, started).await? {
            // Perhaps they have been read.
            Some(_) if has_files => Err(Error::Held.into()),
            // What the caller has done there is not said by a position here.
            Some(other) => Box::pin(work_on(&other, call, prepared, Vec::new(), WalPosition::UNKNOWN)).await,
            None => Err(Error::UnknownTenant.into()),
        },
        outcome => outcome,
    }
}

async fn work_on(
    app: &App,
    call: &Call,
    prepared: &Prepared,
    files: Vec<File>,
    position: WalPosition,
) -> Result<Answer, Refused> {
    let started = Instant::now();
    let _permit = app.edge.permit()?;
    let looks_through_all = prepared.looks_through_all();
    let limit = if files.is_empty() && !looks_through_all { app.operation_timeout } else { app.upload_timeout };
    let _turn = if looks_through_all { Some(app.edge.permit_to_look_through(limit).await?) } else { None };
    let said = position.max(position::of_extensions(app, prepared.position.as_deref())?);
    let (session, viewer, mut answer) = if prepared.kind == OperationType::Query && files.is_empty() {
        Box::pin(query(app, call, prepared, said, limit)).await?
    } else {
        Box::pin(run_known(app, &app.pool, call, prepared, files, limit, false)).await?
    };
    if is_held(&answer) && !session.may_be_done() {
        return Err(Error::Held.into());
    }
    if prepared.kind == OperationType::Mutation && session.committed_at().is_none() {
        // One that was sent again: what it answers was committed by another server, perhaps. Whether that can be said does not change the answer.
        let _ = tokio::time::timeout(POSITION_LIMIT, session.note_position()).await;
    }
    if let Some(position) = session.committed_at() {
        position::attach(app, position, said, &mut answer)?;
    }
    if call.tells_cost {
        answer.extensions.insert("cost".to_owned(), cost(app, prepared, &answer));
    }
    let codes = error_codes::finish(&mut answer, &call.id);
    if codes.is_empty() {
        session.finish();
    } else {
        spans::failed(&tracing::Span::current());
    }
    let outcome = codes.first().copied().unwrap_or("ok");
    app.metrics.ran(prepared.name.as_deref(), kind(prepared), outcome, started.elapsed(), session.statements());
    app.metrics.retried(session.retries());
    log(call, prepared, &viewer, started, session.statements(), &codes);
    Ok(answer)
}

/// An operation's answer, the session that it was read in, and the viewer.
type Answered = (Arc<Session>, Arc<Viewer>, Answer);

/// Runs a query where there is the least to do.
async fn query(app: &App, call: &Call, prepared: &Prepared, said: WalPosition, limit: Duration) -> Result<Answered, Refused> {
    let deadline = Instant::now() + limit;
    let is_paid = AtomicBool::new(false);
    let answer = |pool: Pool| {
        let is_paid = &is_paid;
        async move {
            let left = || deadline.saturating_duration_since(Instant::now());
            // On the heap, each by itself: there is room for one of them at a time.
            if let Some(answered) = Box::pin(read(app, &pool, call, prepared, left(), is_paid)).await? {
                return Ok(answered);
            }
            let is_paid = is_paid.load(Ordering::Relaxed);
            Box::pin(run_known(app, &pool, call, prepared, Vec::new(), left(), is_paid)).await
        }
    };
    app.standbys.read(app.required_position(&call.claims, said), answer).await
}

impl Outcome for Result<Answered, Refused> {
    fn is_missed(&self) -> bool {
        let mut errors = match self {
            Err(Refused::Fault(error)) => return error.is_of_database(),
            Err(_) => return false,
            Ok((_, _, answer)) => answer.errors.iter().filter_map(ServerError::source::<Error>),
        };
        errors.any(Error::is_of_database)
    }

    fn lost() -> Self {
        Err(Error::unavailable("the database does not answer").into())
    }
}

/// Runs an operation once the caller is identified. Its cost is charged unless it was.
async fn run_known(
    app: &App,
    pool: &Pool,
    call: &Call,
    prepared: &Prepared,
    files: Vec<File>,
    limit: Duration,
    is_paid: bool,
) -> Result<Answered, Refused> {
    let access = if prepared.kind == OperationType::Mutation {
        Access::Write(prepared.first_act(actor(&call.claims)))
    } else {
        Access::Read
    };
    let admit = Box::pin(app.known_callers.admit(pool, &call.claims, &call.id, access));
    let is_primary = pool.kind() == DatabaseKind::Primary;
    // Nothing has been changed yet.
    let (session, viewer) = if is_primary { app.standbys.on_primary(admit).await? } else { admit.await? };
    if !is_paid {
        app.edge.budgets.charge_tenant(viewer.tenant.id, prepared.cost)?;
    }
    let (session, viewer) = (Arc::new(session), Arc::new(viewer));
    let context = context(app, &session, &viewer, files).named(prepared.name.clone());
    let answer = within(limit, app.schema.execute(prepared, context)).await;
    let answer = answer.unwrap_or_else(|error| error_codes::alone(&session.judge(error)));
    Ok((session, viewer, answer))
}

/// Runs a query under the predicted caller while the prediction is being confirmed. `None` where it was wrong, or where the connection was lost:
/// then it may run once more. `is_paid` says whether its cost has been charged.
async fn read(
    app: &App,
    pool: &Pool,
    call: &Call,
    prepared: &Prepared,
    limit: Duration,
    is_paid: &AtomicBool,
) -> Result<Option<Answered>, Refused> {
    let (session, viewer, predicted) = app.known_callers.predict(pool, &call.claims, &call.id).await?;
    let charge =
        || if is_paid.load(Ordering::Relaxed) { Ok(()) } else { app.edge.budgets.charge_tenant(viewer.tenant.id, prepared.cost) };
    match charge() {
        Ok(()) => is_paid.store(true, Ordering::Relaxed),
        // A refusal by budget is answered only to the confirmed caller.
        Err(_) if predicted.is_some() => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let (session, viewer) = (Arc::new(session), Arc::new(viewer));
    let context = context(app, &session, &viewer, Vec::new());
    let confirmed = async {
        match &predicted {
            Some(predicted) => app.known_callers.confirm(&session, predicted).await,
            None => Ok(()),
        }
    };
    let answer = match within(limit, app.schema.execute_if(confirmed, prepared, context)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Unconfirmed::Another | Unconfirmed::Fault(Error::Unavailable(_)))) => return Ok(None),
        Ok(Err(Unconfirmed::Fault(error))) => return Err(error.into()),
        Err(error) => error_codes::alone(&error),
    };
    Ok(Some((session, viewer, answer)))
}

fn context(app: &App, session: &Arc<Session>, viewer: &Arc<Viewer>, files: Vec<File>) -> RequestContext {
    RequestContext::new(Arc::clone(session), Arc::clone(viewer), files, app.shared())
}

/// Whether something was not done because the tenant is held.
fn is_held(answer: &Answer) -> bool {
    answer.errors.iter().filter_map(ServerError::source::<Error>).any(|error| matches!(error, Error::Held))
}

/// Who acts, as far as the token says.
fn actor(claims: &Claims) -> AuditActor {
    staff_role(claims).map_or(AuditActor::Partner, Role::actor)
}

/// What the engine gives, in time and without a panic.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(panic)) => Err(Error::internal(format!("a panic: {}", panic_text(&*panic)))),
        Err(_) => Err(Error::Timeout),
    }
}

fn cost(app: &App, prepared: &Prepared, answer: &Answer) -> Value {
    value!({"requested": prepared.cost, "actual": json::objects(&answer.data), "limit": app.edge.limits.max_cost as u64})
}

fn kind(prepared: &Prepared) -> &'static str {
    match prepared.kind {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}

/// What the log says of an operation: its name and type, never its variables.
fn log(call: &Call, prepared: &Prepared, viewer: &Viewer, started: Instant, statements: u32, codes: &[&str]) {
    let name: String = prepared.name.iter().flat_map(|name| name.chars()).take(100).collect();
    let milliseconds = (started.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    tracing::info!(
        request_id = call.id,
        operation = name,
        kind = kind(prepared),
        tenant = viewer.tenant.slug,
        user = %viewer.user,
        role = ?viewer.role,
        actor = viewer.claims.actor,
        milliseconds,
        statements,
        cost = prepared.cost,
        errors = codes.join(","),
        "operation"
    );
}
