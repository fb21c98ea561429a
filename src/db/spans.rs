//! The spans of statements, below the operation that sends them. They are enabled only where traces are exported
//! ([`crate::telemetry::traces`]).

use std::fmt::Display;

use tracing::Span;

/// The target of the spans that are exported, and of nothing else.
pub const TARGET: &str = "portal::trace";

/// Says of an operation, or of a statement, that it has failed.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// The spans of a session's statements that have not ended.
#[derive(Default)]
pub struct Statements(Vec<(String, Span)>);

impl Statements {
    /// A statement is sent.
    pub fn start(&mut self, statement: &dyn Display) {
        let span = tracing::info_span!(target: TARGET, "statement", otel.name = tracing::field::Empty, otel.kind = "client", otel.status_code = tracing::field::Empty, db.system.name = "postgresql", db.query.text = tracing::field::Empty);
        if span.is_disabled() {
            return;
        }
        let text = statement.to_string();
        // What is bound is nobody's business.
        let sql = text.split(" -- binds:").next().unwrap_or_default();
        span.record("otel.name", sql.split_whitespace().next().unwrap_or("statement"));
        span.record("db.query.text", sql);
        self.0.push((text, span));
    }

    /// A statement has ended.
    pub fn finish(&mut self, statement: &dyn Display, has_failed: bool) {
        if self.0.is_empty() {
            return;
        }
        let text = statement.to_string();
        if let Some(index) = self.0.iter().position(|(started, _)| *started == text) {
            let (_, span) = self.0.swap_remove(index);
            if has_failed {
                failed(&span);
            }
        }
    }
}
