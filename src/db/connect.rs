//! One connection to PostgreSQL, with TLS where the server is across a network.

use diesel::{ConnectionError, ConnectionResult, QueryResult, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres::{
    Config, NoTls,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::statement::statement;
use crate::error::with_causes;

/// Connects, and runs `setup` on the new connection.
///
/// A server across a network is spoken to with TLS, its certificate checked against the system's authorities. Only a server
/// that has no TLS at all is spoken to in the clear, and not where the URL says `sslmode=require`.
pub async fn establish(config: &Config, setup: Option<&str>) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = if needs_tls(config) {
        let tls = rustls::ClientConfig::with_platform_verifier().map_err(failed)?;
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(failed)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    } else {
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    };
    if let Some(setup) = setup {
        connection.batch_execute(setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(connection)
}

/// Whether the login is a superuser.
pub async fn is_superuser(mut connection: &AsyncPgConnection) -> QueryResult<bool> {
    statement::<Bool>("SELECT rolsuper FROM pg_roles WHERE rolname = session_user", Vec::new()).get_result(&mut connection).await
}

/// Whether it is a server across a network.
pub fn needs_tls(config: &Config) -> bool {
    let local = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Host::Unix(_) => true,
    });
    let local = local && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
    match config.get_ssl_mode() {
        SslMode::Disable => false,
        SslMode::Prefer => !local,
        _ => true,
    }
}

fn failed(error: impl std::error::Error) -> ConnectionError {
    ConnectionError::BadConnection(with_causes(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clear text stays on this machine unless the URL asks for it.
    #[test]
    fn tls_is_for_networks() {
        let needs = |url: &str| needs_tls(&url.parse().expect(url));
        assert!(needs("postgres://db.example.com/portal"));
        assert!(needs("postgres://localhost/portal?sslmode=require"));
        assert!(needs("hostaddr=10.0.0.5 user=portal"));
        assert!(needs("host=localhost hostaddr=10.0.0.5 user=portal"));
        assert!(!needs("postgres://localhost/portal"));
        assert!(!needs("postgres://portal@%2Frun%2Fpostgresql/portal"));
        assert!(!needs("postgres://db.example.com/portal?sslmode=disable"));
    }
}
