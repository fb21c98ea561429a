//! What is seen of the server from outside: its log, its metrics (Prometheus), its traces (OpenTelemetry).

pub mod log;
pub mod metrics;
pub mod traces;
