//! What the server logs while a piece of work runs.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing::instrument::WithSubscriber;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the buffer").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `work`; gives what it came to and the lines that it logged, as JSON.
pub async fn logged<T>(work: impl Future<Output = T>) -> (T, Vec<Value>) {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let outcome = work.with_subscriber(subscriber).await;
    let bytes = buffer.0.lock().expect("the buffer").clone();
    let lines = String::from_utf8(bytes).expect("text").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (outcome, lines)
}

/// The line of the one operation among them.
pub fn operation(lines: &[Value]) -> &Value {
    lines.iter().find(|line| line["message"] == "operation").expect("an operation was logged")
}
