//! The publication on the source, and the subscription of the target to it. See "Logical Replication" in PostgreSQL's documentation.

use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use tokio::time::sleep;
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{Side, catalogue::literal};
use crate::{
    db::{
        QueryResult, connect,
        statement::{Bind, statement},
    },
    error::{Error, Result},
    ids::TenantId,
};

/// How often the target may fail to take what it is given: it tries again by itself every few seconds.
const MOST_FAILURES: i64 = 5;

/// How long a slot may be in use after its subscription has ended.
const SLOT_PATIENCE: Duration = Duration::from_secs(20);
/// How often to look whether it is.
const SLOT_LOOK: Duration = Duration::from_millis(50);

/// A subscription and its publication.
pub(super) struct Subscription<'m> {
    pub(super) name: &'m str,
    pub(super) source: &'m Side,
    pub(super) target: &'m Side,
}

impl Subscription<'_> {
    pub(super) async fn exists(&self) -> QueryResult<bool> {
        self.target.query_bool("SELECT EXISTS (SELECT FROM pg_subscription WHERE subname = ?)", vec![Bind::text(self.name)]).await
    }

    /// Publishes the tenant's rows of these tables, and subscribes to them.
    pub(super) async fn create(&self, tables: &[String], tenant: TenantId) -> Result<()> {
        let name = self.name;
        let rows: Vec<String> = tables.iter().map(|table| format!("{table} WHERE (tenant_id = '{}')", tenant.uuid())).collect();
        self.source
            .run(&format!(
                "DROP PUBLICATION IF EXISTS {name}; CREATE PUBLICATION {name} FOR TABLE {} WITH (publish = 'insert, update, delete', publish_via_partition_root = true)",
                rows.join(", ")
            ))
            .await?;
        // Passwords are not for the log of the target's server.
        self.target
            .run("SET log_statement = none; SET log_min_duration_statement = -1; SET log_min_error_statement = panic")
            .await?;
        let address = literal(&conninfo(&self.source.config));
        // What is applied is confirmed once it is on disk, at once: the tenant is not held for longer than need be.
        let subscribe =
            format!("CREATE SUBSCRIPTION {name} CONNECTION {address} PUBLICATION {name} WITH (synchronous_commit = 'on')");
        let subscribed = self.target.run(&subscribe).await;
        self.target.run("RESET log_statement; RESET log_min_duration_statement; RESET log_min_error_statement").await?;
        subscribed.map_err(|error| {
            Error::BadUserInput(format!(
                "{} cannot subscribe to {}, at its owner_url: {error}",
                self.target.name, self.source.name
            ))
        })
    }

    /// How many tables have been copied, of how many.
    pub(super) async fn copied(&self) -> QueryResult<(i64, i64)> {
        let sql = "SELECT count(*) FILTER (WHERE r.srsubstate = 'r'), count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = ?";
        statement::<(BigInt, BigInt)>(sql, vec![Bind::text(self.name)]).get_result(&mut &self.target.connection).await
    }

    /// How often the target has failed to take what it was given, since it subscribed.
    pub(super) async fn failures(&self) -> QueryResult<i64> {
        let sql = "SELECT coalesce(sum(apply_error_count + sync_error_count), 0)::bigint FROM pg_stat_subscription_stats WHERE subname = ?";
        statement::<BigInt>(sql, vec![Bind::text(self.name)]).get_result(&mut &self.target.connection).await
    }

    /// Fails where the target does not get what it is to have: its slot is lost, or it has refused it again and again since there were so many failures.
    pub(super) async fn check(&self, before: i64) -> Result<()> {
        let slot = "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ? AND wal_status IS DISTINCT FROM 'lost')";
        if !self.source.query_bool(slot, vec![Bind::text(self.name)]).await? {
            return Err(Error::BadUserInput(format!(
                "the replication slot {} is lost on {}: undo the move by --cancel, and begin anew",
                self.name, self.source.name
            )));
        }
        let failures = self.failures().await? - before;
        if failures < MOST_FAILURES {
            return Ok(());
        }
        Err(Error::BadUserInput(format!(
            "{} has refused {failures} times what it is given: its log says why. Resume with the same command, or undo the move by --cancel",
            self.target.name
        )))
    }

    /// The position that the target must confirm, to have all that has been committed by now.
    pub(super) async fn position(&self) -> QueryResult<String> {
        // What was committed without waiting for the disk is on the disk once something after it is.
        self.source.run("SELECT pg_logical_emit_message(true, 'portal', 'move')").await?;
        statement::<Text>("SELECT pg_current_wal_flush_lsn()::text", vec![]).get_result(&mut &self.source.connection).await
    }

    pub(super) async fn has_confirmed(&self, position: &str) -> QueryResult<bool> {
        let sql =
            "SELECT coalesce((SELECT confirmed_flush_lsn >= ?::pg_lsn FROM pg_replication_slots WHERE slot_name = ?), false)";
        self.source.query_bool(sql, vec![Bind::text(position), Bind::text(self.name)]).await
    }

    /// How many bytes of the write-ahead log the target has not confirmed.
    pub(super) async fn behind(&self) -> QueryResult<u64> {
        let sql = "SELECT coalesce((SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = ?), 0)::bigint";
        let bytes: i64 = statement::<BigInt>(sql, vec![Bind::text(self.name)]).get_result(&mut &self.source.connection).await?;
        Ok(bytes.unsigned_abs())
    }

    /// Ends the subscription and its slots, whichever of them there are.
    pub(super) async fn drop(&self) -> Result<()> {
        let name = self.name;
        if self.exists().await? {
            let number = "SELECT oid::bigint FROM pg_subscription WHERE subname = ?";
            let number: i64 =
                statement::<BigInt>(number, vec![Bind::text(name)]).get_result(&mut &self.target.connection).await?;
            // By itself it fails where a slot is lost.
            let detach = format!("ALTER SUBSCRIPTION {name} DISABLE; ALTER SUBSCRIPTION {name} SET (slot_name = NONE)");
            self.target.run(&detach).await?;
            self.target.run(&format!("DROP SUBSCRIPTION {name}")).await?;
            self.drop_slots(&format!("pg\\_{number}\\_sync\\_%")).await?;
        }
        self.drop_slots(&name.replace('_', "\\_")).await
    }

    /// Drops slots of such names on the source, once nobody uses them.
    async fn drop_slots(&self, pattern: &str) -> Result<()> {
        let left = "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name LIKE ?)";
        let drop = "SELECT coalesce(bool_or(pg_drop_replication_slot(slot_name) IS NULL), false) FROM pg_replication_slots WHERE slot_name LIKE ? AND NOT active";
        let begun = Instant::now();
        loop {
            let pattern = || vec![Bind::text(pattern)];
            self.source.query_bool(drop, pattern()).await?;
            if !self.source.query_bool(left, pattern()).await? {
                return Ok(());
            }
            if begun.elapsed() >= SLOT_PATIENCE {
                return Err(Error::BadUserInput(format!(
                    "{}: a replication slot of the move is still in use: resume later",
                    self.source.name
                )));
            }
            sleep(SLOT_LOOK).await;
        }
    }
}

/// How the target's server connects to the source: key=value pairs (see "Connection Strings" in the documentation of libpq).
fn conninfo(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let addresses: Vec<String> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
    let password = config.get_password().map(String::from_utf8_lossy).unwrap_or_default();
    // What the move itself speaks to with TLS, the target's server does, too.
    let mode = match config.get_ssl_mode() {
        SslMode::Disable => "disable",
        _ if connect::needs_tls(config) => "require",
        _ => "prefer",
    };
    let pairs = [
        ("host", hosts.join(",")),
        ("hostaddr", addresses.join(",")),
        ("port", ports.join(",")),
        ("user", config.get_user().unwrap_or_default().to_owned()),
        ("password", password.into_owned()),
        ("dbname", config.get_dbname().unwrap_or_default().to_owned()),
        ("sslmode", mode.to_owned()),
        ("target_session_attrs", if hosts.len().max(addresses.len()) > 1 { "read-write".to_owned() } else { String::new() }),
    ];
    let quoted = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
    let said = pairs.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name}={}", quoted(value))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses come out as they went in, whatever the password is.
    #[test]
    fn addresses() {
        let config: Config = "postgres://po:it'\\s@a.example,b.example:6432/portal?sslmode=require".parse().expect("an address");
        let text = conninfo(&config);
        assert_eq!(
            text,
            r"host='a.example,b.example' port='5432,6432' user='po' password='it\'\\s' dbname='portal' sslmode='require' target_session_attrs='read-write'"
        );
        let again: Config = text.parse().expect("an address");
        assert_eq!(again.get_password(), config.get_password());
    }
}
