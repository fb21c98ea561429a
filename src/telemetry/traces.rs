//! Traces: one span for each operation, below whoever called (W3C Trace Context, `traceparent`), and one for each of its statements.
//!
//! Without an endpoint to send them to nothing of this is done: the spans are not enabled.

use std::fmt::Display;

use axum::http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// The target of the spans that are exported, and of nothing else.
pub const TARGET: &str = "portal::trace";

/// The way to the collector.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends what is left.
    pub fn finish(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Sends spans to the collector at that address, by OTLP over HTTP, in batches. Must not be called on a runtime's threads.
pub fn export<S>(endpoint: &Url) -> Result<(OpenTelemetryLayer<S, opentelemetry_sdk::trace::SdkTracer>, Traces), String>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let address = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(address).build().map_err(|error| error.to_string())?;
    let resource = Resource::builder()
        .with_service_name("partner-portal")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let layer =
        tracing_opentelemetry::layer().with_tracer(provider.tracer("partner-portal")).with_location(false).with_threads(false);
    Ok((layer, Traces(provider)))
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Who called, as a request's headers say.
pub fn caller(headers: &HeaderMap) -> Option<Context> {
    headers.get("traceparent")?;
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    context.has_active_span().then_some(context)
}

/// The span of an operation.
pub fn operation(kind: &'static str, name: &str, caller: Option<&Context>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "operation",
        otel.name = format!("{kind} {name}").trim_end(),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        graphql.operation.r#type = kind,
        graphql.operation.name = name,
    );
    if let Some(caller) = caller.filter(|_| !span.is_disabled()) {
        // It fails only where the span is not exported.
        let _ = span.set_parent(caller.clone());
    }
    span
}

/// Says of the current operation that it has errors.
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
        if let Some(place) = self.0.iter().position(|(started, _)| *started == text) {
            let (_, span) = self.0.swap_remove(place);
            if has_failed {
                failed(&span);
            }
        }
    }
}
