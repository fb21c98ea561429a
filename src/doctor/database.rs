//! The database: whether it is reached as it should be, and what its server is set to.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;

use super::{Findings, address, contents, issuers::SKEW, standbys};
use crate::{
    clock::Clock,
    config::Settings,
    db::{STEP_DOWN, connect, statement::statement, wal::is_in_recovery},
    error::{Error, Result},
};

/// How long the database may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long all that is asked of it may take.
const EXAMINED: Duration = Duration::from_secs(30);
/// How long a notification may take to come back.
const NOTIFIED: Duration = Duration::from_secs(2);
/// The oldest PostgreSQL that the server is tested with.
const OLDEST: i32 = 15;
/// How many connections a server opens besides its pool: for live updates, for links, for clicks, for an import. One more looks at the primary where standbys are read from.
const OTHER_CONNECTIONS: i64 = 4;

/// Examines the database that the settings name.
pub async fn examine(settings: &Settings, clock: &Clock, findings: &mut Findings) {
    let about = "DATABASE_URL";
    let Some(config) = &settings.database_url else {
        return findings.fault(about, "is not set: the program would run a PostgreSQL of its own, which is for development");
    };
    address::examine(about, config, findings);
    let connected = tokio::time::timeout(PATIENCE, connect::establish(config, None)).await;
    let connection = match connected {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return findings.fault(about, format!("there is no connection to {}: {error}", address::shown(config))),
        Err(_) => {
            return findings.fault(about, format!("{} does not answer within {} s", address::shown(config), PATIENCE.as_secs()));
        }
    };
    let examined = tokio::time::timeout(EXAMINED, parts(connection, config, settings, clock, findings)).await;
    match examined {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.to_string().contains("prepared statement") => no_statements(&error, findings),
        Ok(Err(error)) => findings.fault(about, format!("the examination broke off: {error}")),
        Err(_) => findings
            .fault(about, format!("the examination did not end within {} s: something waits for a lock", EXAMINED.as_secs())),
    }
}

async fn parts(
    mut connection: AsyncPgConnection,
    config: &tokio_postgres::Config,
    settings: &Settings,
    clock: &Clock,
    findings: &mut Findings,
) -> Result<()> {
    server(&connection, settings, findings).await?;
    time(&connection, clock, findings).await?;
    let is_standby = is_in_recovery(&connection).await?;
    if is_standby {
        findings.fault(
            "DATABASE_URL",
            "leads to a standby: nothing can be changed and nobody new can sign in until it is promoted; name the primary",
        );
    } else {
        copies(&connection, findings).await?;
        standbys::examine(&connection, settings, findings).await?;
    }
    room(&connection, settings, findings).await?;
    contents::rights(&connection, findings).await?;
    if (&mut &connection).batch_execute(STEP_DOWN).await.is_err() {
        findings
            .fault("role of the login", "may not take the role portal_app: GRANT it to the login, as docs/operations.md says");
        return Ok(());
    }
    if !is_standby {
        notifications(&mut connection, config, findings).await?;
    }
    if !contents::migrated(&connection, findings).await? {
        return Ok(());
    }
    contents::isolation(&connection, findings).await?;
    contents::tenants(&connection, settings, findings).await?;
    contents::sealed(&connection, settings.encryption_keys.as_ref(), findings).await
}

/// What the PostgreSQL server is set to.
async fn server(mut connection: &AsyncPgConnection, settings: &Settings, findings: &mut Findings) -> QueryResult<()> {
    let set: Vec<(String, String)> = statement::<(Text, Text)>(
        "SELECT name, setting FROM pg_settings WHERE name IN ('server_version_num', 'server_version', 'server_encoding', 'lc_messages', 'fsync',
             'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts', 'default_transaction_read_only', 'wal_level')",
        Vec::new(),
    )
    .load(&mut connection)
    .await?;
    let value = |name: &str| set.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    let version = value("server_version_num").parse().unwrap_or(0) / 10_000;
    if version < OLDEST {
        findings.fault("PostgreSQL", format!("is {}: {OLDEST} or later is needed", value("server_version")));
    } else {
        findings.sound("PostgreSQL", format!("is {}", value("server_version")));
    }
    if value("server_encoding") != "UTF8" {
        findings.fault("encoding", format!("of the database is {}: make it anew with ENCODING 'UTF8'", value("server_encoding")));
    }
    if settings.clusters.is_some() && value("wal_level") != "logical" {
        findings.note(
            "wal_level",
            format!("is {}: no tenant can be moved from this cluster; it needs `logical`, and a restart", value("wal_level")),
        );
    }
    let language = value("lc_messages");
    if !["", "C", "POSIX"].contains(&language) && !language.starts_with("C.") && !language.starts_with("en") {
        findings.fault(
            "lc_messages",
            format!("is {language}: some errors are told apart by their English text; ALTER DATABASE … SET lc_messages = 'C'"),
        );
    }
    for (name, wanted, why) in [
        ("fsync", "on", "a machine that stops may take the whole database along"),
        ("full_page_writes", "on", "a machine that stops may leave pages that are half written"),
        ("autovacuum", "on", "tables grow for ever, and the database stops taking changes in the end"),
        ("track_counts", "on", "autovacuum does nothing without it"),
        (
            "default_transaction_read_only",
            "off",
            "behind a pooler nothing that the server does by itself is done, such as publishing changes",
        ),
    ] {
        if value(name) != wanted {
            findings.fault(name, format!("is {}: {why}; set it {wanted}", value(name)));
        }
    }
    if value("synchronous_commit") == "off" {
        findings.fault("synchronous_commit", "is off: changes that were answered may be lost when PostgreSQL stops; set it on");
    }
    Ok(())
}

/// Whether the clocks agree.
async fn time(mut connection: &AsyncPgConnection, clock: &Clock, findings: &mut Findings) -> QueryResult<()> {
    let theirs: DateTime<Utc> =
        statement::<Timestamptz>("SELECT clock_timestamp()", Vec::new()).get_result(&mut connection).await?;
    let apart: TimeDelta = (clock.now() - theirs).abs();
    if apart > SKEW {
        findings.fault(
            "clocks",
            format!("of this machine and the database's are {} s apart: let both follow NTP", apart.num_seconds()),
        );
    } else {
        findings.sound("clocks", "of this machine and the database's agree");
    }
    Ok(())
}

/// Whether another machine has what this one writes.
async fn copies(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    // Who may not read all statistics sees no more of the others than that they are there.
    let (wanted, commit, count, synchronous, may_see, slots): (String, String, i64, i64, bool, Option<String>) =
        statement::<(Text, Text, BigInt, BigInt, Bool, Nullable<Text>)>(
            "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'), (SELECT count(*) FROM pg_stat_replication),
                 (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
                 pg_has_role(session_user, 'pg_read_all_stats', 'MEMBER'),
                 (SELECT string_agg(slot_name, ', ') FROM pg_replication_slots WHERE NOT active OR wal_status IN ('unreserved', 'lost'))",
            Vec::new(),
        )
        .get_result(&mut connection)
        .await?;
    let about = "standbys";
    if !wanted.is_empty() && (count == 0 || may_see && synchronous == 0) {
        findings.fault(
            about,
            format!("synchronous_standby_names is {wanted}, and none of them is connected: every change waits until one is"),
        );
    } else if count == 0 {
        findings.note(about, "there is none: a primary that is lost takes along what was changed since the last backup");
    } else if wanted.is_empty() || commit == "local" {
        findings.note(about, "none is synchronous: a primary that is lost takes along the last changes that were answered");
    } else if may_see {
        findings.sound(about, format!("{synchronous} synchronous of {count} connected"));
    } else {
        findings
            .note(about, format!("{count} connected; to see whether one is synchronous, GRANT pg_read_all_stats to the login"));
    }
    if let Some(slots) = slots {
        findings.note(
            "replication slots",
            format!("{slots} have no standby connected or have lost what it needs: they keep WAL until the disk is full; drop those of standbys that are gone"),
        );
    }
    Ok(())
}

/// Whether there are as many connections as the server opens.
async fn room(mut connection: &AsyncPgConnection, settings: &Settings, findings: &mut Findings) -> QueryResult<()> {
    let (server, role, database): (i64, i64, i64) = statement::<(BigInt, BigInt, BigInt)>(
        "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
                 - coalesce(current_setting('reserved_connections', true)::bigint, 0),
             (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user)::bigint,
             (SELECT datconnlimit FROM pg_database WHERE datname = current_database())::bigint",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    let others = OTHER_CONNECTIONS + i64::from(!settings.standbys().is_empty());
    let needed = i64::try_from(settings.pool_size).unwrap_or(i64::MAX).saturating_add(others);
    let limits = [
        (server, "max_connections of PostgreSQL"),
        (role, "the login's CONNECTION LIMIT"),
        (database, "the database's CONNECTION LIMIT"),
    ];
    // A negative limit is none.
    let tightest = limits.into_iter().filter(|(limit, _)| *limit >= 0).min_by_key(|(limit, _)| *limit);
    if let Some((limit, whose)) = tightest {
        if limit < needed {
            findings.fault(
                "connections",
                format!("a server opens {needed} (PORTAL_POOL_SIZE and {others}), and {whose} leaves {limit}: raise it, or lower PORTAL_POOL_SIZE"),
            );
        } else if limit < 2 * needed {
            findings.note(
                "connections",
                format!(
                    "a server opens {needed}, and {whose} leaves {limit}: there is no room for a second one, as in a rollout"
                ),
            );
        } else {
            findings.sound("connections", format!("a server opens {needed}, and {whose} leaves room for {}", limit / needed));
        }
    }
    Ok(())
}

/// Whether notifications come, and prepared statements stay: behind some poolers they do not.
async fn notifications(
    connection: &mut AsyncPgConnection,
    config: &tokio_postgres::Config,
    findings: &mut Findings,
) -> Result<()> {
    connection.batch_execute("LISTEN portal_doctor").await?;
    // By another connection: a pooler would give this one what it has said itself.
    let mut other = connect::establish(config, None).await.map_err(Error::unavailable)?;
    other.batch_execute("NOTIFY portal_doctor").await?;
    let heard = {
        let mut notifications = std::pin::pin!(connection.notifications_stream());
        matches!(tokio::time::timeout(NOTIFIED, notifications.next()).await, Ok(Some(Ok(_))))
    };
    if heard {
        findings.sound("notifications", "come");
        return Ok(());
    }
    findings.note(
        "notifications",
        "do not come: a pooler stands in between that hands out connections by the transaction; live updates come by looking, up to a quarter of a second later",
    );
    let about = "pooler";
    let kept: Option<Vec<String>> = statement::<Nullable<diesel::sql_types::Array<Text>>>(
        "SELECT rolconfig FROM pg_roles WHERE rolname = session_user",
        Vec::new(),
    )
    .get_result(&mut &*connection)
    .await?;
    let kept = kept.unwrap_or_default();
    let missing: Vec<&str> = ["role=portal_app", "plan_cache_mode=force_generic_plan", "TimeZone=UTC"]
        .into_iter()
        .filter(|wanted| !kept.iter().any(|set| set.eq_ignore_ascii_case(wanted)))
        .collect();
    if !missing.is_empty() {
        findings.fault(
            about,
            format!(
                "its connections lose what sessions set: ALTER ROLE … SET {}; see docs/operations.md",
                missing.join(", SET ")
            ),
        );
    }
    // While another transaction has the connection that it was prepared on.
    let prepared = statement::<Integer>("SELECT 1", Vec::new());
    prepared.clone().execute(&mut &*connection).await?;
    other.batch_execute("BEGIN; SELECT 1").await?;
    let again = prepared.execute(&mut &*connection).await;
    other.batch_execute("COMMIT").await?;
    if let Err(error) = again {
        no_statements(&error, findings);
    }
    Ok(())
}

fn no_statements(error: &impl std::fmt::Display, findings: &mut Findings) {
    let advice = "use pgbouncer 1.21 or later with max_prepared_statements, or its pool_mode=session";
    findings.fault("pooler", format!("prepared statements get lost on the way to the database ({error}): {advice}"));
}
