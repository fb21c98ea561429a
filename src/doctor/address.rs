//! The way to a database: its hosts, and whether it is safe.

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::Findings;
use crate::db::connect::needs_tls;

/// The hosts and the database's name, without anything secret.
pub fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |number: usize| ports.get(number).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().map(|(number, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(number)),
        Host::Unix(folder) => format!("{}:{}", folder.display(), port(number)),
    });
    format!("{}/{}", hosts.collect::<Vec<_>>().join(","), config.get_dbname().or(config.get_user()).unwrap_or_default())
}

/// Whether the way to a database is as it should be.
pub fn examine(about: &str, config: &Config, findings: &mut Findings) {
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
