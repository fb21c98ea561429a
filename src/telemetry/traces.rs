//! Traces: one span for each operation, below the caller's span (W3C Trace Context, `traceparent`), and one for each of its statements.
//!
//! Without an endpoint to send them to nothing of this is done: the spans are not enabled.

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

use crate::db::spans::TARGET;

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
