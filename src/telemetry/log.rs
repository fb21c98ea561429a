//! Starts the log, and the traces beside it where they go somewhere.

use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt::{self, time::ChronoUtc},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::traces::{self, Traces};
use crate::{
    config::{LogFormat, Settings},
    db::spans::TARGET,
};

/// Logs to the standard error output from now on. What is given back sends what is left of the traces when it is finished. An error is a
/// sentence that names the setting.
pub fn start(settings: &Settings) -> Result<Option<Traces>, String> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("PORTAL_LOG (--log): {error}"))?;
    // Below this level it logs the values of every statement.
    let quiet = "tokio_postgres=info".parse().map_err(|error| format!("{error}"))?;
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(ChronoUtc::new("%Y-%m-%dT%H:%M:%S%.3fZ".to_owned()))
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let is_line = filter_fn(|metadata| metadata.target() != TARGET).with_max_level_hint(LevelFilter::TRACE);
    // As one filter: of two on one layer, either is enough for a span to be made.
    let lines = lines.with_filter(filter.add_directive(quiet).and(is_line));
    let (spans, traces) = match &settings.otlp_endpoint {
        Some(endpoint) => {
            let (layer, traces) =
                traces::export(endpoint).map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT (--otlp-endpoint): {error}"))?;
            let is_span = filter_fn(|metadata| metadata.target() == TARGET);
            (Some(layer.with_filter(is_span)), Some(traces))
        }
        None => (None, None),
    };
    tracing_subscriber::registry().with(spans).with(lines).init();
    Ok(traces)
}
