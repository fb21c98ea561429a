//! What the server logs: gathered for the whole test run, kept apart by the request's id.

use std::{
    io,
    sync::{Mutex, Once, PoisonError},
};

use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::world::Answer;

static LINES: Mutex<Vec<Value>> = Mutex::new(Vec::new());
static START: Once = Once::new();

struct Lines;

impl io::Write for Lines {
    /// The formatter writes each event at once, as one line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(serde_json::from_slice(bytes)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to gather. One subscriber for the whole run: those that come and go race for the places that log.
pub fn gather() {
    START.call_once(|| {
        let filter = EnvFilter::new("info,partner_portal=trace");
        tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(|| Lines).init();
    });
}

/// The lines so far that are meant. The whole run's are many: only these are copied.
pub fn lines(is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|line| is_meant(line)).cloned().collect()
}

/// What the log says of the request that this is the answer to.
pub fn lines_of(answer: &Answer) -> Vec<Value> {
    let id = answer.headers["x-request-id"].to_str().expect("an id");
    lines(|line| line["request_id"] == id)
}

/// What the log says of the errors of an answer.
pub fn causes(answer: &Answer) -> Vec<Value> {
    lines_of(answer).into_iter().filter(|line| line["level"] == "ERROR").collect()
}

/// The line of the operation that this is the answer to.
pub fn operation(answer: &Answer) -> Value {
    lines_of(answer).into_iter().find(|line| line["message"] == "operation").expect("the operation was logged")
}
