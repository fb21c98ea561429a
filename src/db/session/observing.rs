//! What is counted and traced of a session's statements.

use std::sync::{
    Arc,
    atomic::{AtomicI32, AtomicU32, Ordering},
};

use diesel::connection::InstrumentationEvent;
use diesel_async::AsyncConnection;

use crate::db::{pool::Taken, spans::Statements};

/// Counts and traces the statements on a connection.
pub(super) fn observe(connection: &mut Taken, statements: &Arc<AtomicU32>, under_way: &Arc<AtomicI32>) {
    let (counter, running) = (Arc::clone(statements), Arc::clone(under_way));
    let mut spans = Statements::default();
    connection.alone().set_instrumentation(move |event: InstrumentationEvent<'_>| match event {
        InstrumentationEvent::StartQuery { query, .. } => {
            counter.fetch_add(1, Ordering::Relaxed);
            running.fetch_add(1, Ordering::Relaxed);
            spans.start(query);
        }
        InstrumentationEvent::FinishQuery { query, error, .. } => {
            running.fetch_sub(1, Ordering::Relaxed);
            spans.finish(query, error.is_some());
        }
        _ => {}
    });
}
