//! The way to a database: its hosts, and whether it is safe.

use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use super::Findings;
use crate::db::connect::needs_tls;

/// Whether the way to a database is as it should be.
pub fn examine(about: &str, config: &tokio_postgres::Config, findings: &mut Findings) {
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() != TargetSessionAttrs::ReadWrite {
        findings.fault(
            about,
            "names several hosts without target_session_attrs=read-write: after a failover the server may stay with a standby, which takes no changes",
        );
    }
    if needs_tls(config) && config.get_ssl_mode() == SslMode::Prefer {
        findings.note(
            about,
            "leads across a network without sslmode=require: with a database that has no TLS the server would speak in the clear",
        );
    }
}
