//! The database: whether it is reached as it should be, what its server is set to, what the server's login may do, and what is in it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult,
    sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use uuid::Uuid;

use super::{Findings, issuers::SKEW};
use crate::{
    clock::Clock,
    config::Settings,
    db::{
        STEP_DOWN,
        connect::{self, needs_tls},
        migrations,
        recovery::is_in_recovery,
        statement::{Bind, statement},
    },
    error::Result,
    ids::TenantId,
    keyring::{Keyring, SealedField},
};

/// How long the database may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a notification may take to come back.
const NOTIFIED: Duration = Duration::from_secs(2);
/// The oldest PostgreSQL that the server is tested with.
const OLDEST: i32 = 15;
/// How many connections a server opens besides its pool: for live updates, for links, for clicks, for an import.
const OTHER_CONNECTIONS: i64 = 4;

/// Examines the database that the settings name.
pub async fn examine(settings: &Settings, clock: &Clock, findings: &mut Findings) {
    let about = "DATABASE_URL";
    let Some(config) = &settings.database_url else {
        return findings.fault(about, "is not set: the program would run a PostgreSQL of its own, which is for development");
    };
    address(config, findings);
    let connected = tokio::time::timeout(PATIENCE, connect::establish(config, None)).await;
    let connection = match connected {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return findings.fault(about, format!("there is no connection: {error}")),
        Err(_) => return findings.fault(about, format!("does not answer within {} s", PATIENCE.as_secs())),
    };
    if let Err(error) = parts(connection, config, settings, clock, findings).await {
        findings.fault(about, format!("the examination broke off: {error}"));
    }
}

fn address(config: &tokio_postgres::Config, findings: &mut Findings) {
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() != TargetSessionAttrs::ReadWrite {
        findings.fault(
            "DATABASE_URL",
            "names several hosts without target_session_attrs=read-write: after a failover the server may stay with a standby, which takes no changes",
        );
    }
    if needs_tls(config) && config.get_ssl_mode() == SslMode::Prefer {
        findings.note(
            "DATABASE_URL",
            "leads across a network without sslmode=require: with a database that has no TLS the server would speak in the clear",
        );
    }
}

async fn parts(
    mut connection: AsyncPgConnection,
    config: &tokio_postgres::Config,
    settings: &Settings,
    clock: &Clock,
    findings: &mut Findings,
) -> Result<()> {
    server(&connection, findings).await?;
    time(&connection, clock, findings).await?;
    let is_standby = is_in_recovery(&connection).await?;
    if is_standby {
        findings.fault(
            "DATABASE_URL",
            "leads to a standby: nothing can be changed and nobody new can sign in until it is promoted; name the primary",
        );
    } else {
        standbys(&connection, findings).await?;
    }
    room(&connection, settings, findings).await?;
    rights(&connection, findings).await?;
    if (&mut &connection).batch_execute(STEP_DOWN).await.is_err() {
        findings.fault(
            "role of the login",
            "may not take the role portal_app: GRANT portal_app TO the login, as docs/operations.md says",
        );
        return Ok(());
    }
    if !is_standby {
        notifications(&mut connection, config, findings).await?;
    }
    if !migrated(&connection, findings).await? {
        return Ok(());
    }
    isolation(&connection, findings).await?;
    tenants(&connection, settings, findings).await?;
    sealed(&connection, settings.encryption_keys.as_ref(), findings).await
}

/// What the PostgreSQL server is set to.
async fn server(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let set: Vec<(String, String)> = statement::<(Text, Text)>(
        "SELECT name, setting FROM pg_settings WHERE name IN ('server_version_num', 'server_version', 'server_encoding', 'lc_messages', 'fsync',
             'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts')",
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
    let language = value("lc_messages");
    if !["", "POSIX"].contains(&language) && !language.starts_with('C') && !language.starts_with("en") {
        findings.fault(
            "lc_messages",
            format!("is {language}: some errors are told apart by their English text; ALTER DATABASE … SET lc_messages = 'C'"),
        );
    }
    for (name, wanted, why) in [
        ("fsync", "on", "a machine that stops may take the whole database along"),
        ("full_page_writes", "on", "a machine that stops may leave pages that are half written"),
        ("autovacuum", "on", "tables grow for ever, and the database stops taking changes in the end"),
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
async fn standbys(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let (synchronous, count): (String, i64) = statement::<(Text, BigInt)>(
        "SELECT current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    match (synchronous.is_empty(), count) {
        (_, 0) if !synchronous.is_empty() => findings.fault(
            "standbys",
            format!("synchronous_standby_names is {synchronous}, and none is connected: every change waits until one is"),
        ),
        (_, 0) => {
            findings.note("standbys", "there is none: a primary that is lost takes along what was changed since the last backup");
        }
        (true, _) => findings
            .note("standbys", "none is synchronous: a primary that is lost takes along the last changes that were answered"),
        (false, _) => findings.sound("standbys", format!("{count} connected, and changes are answered once a standby has them")),
    }
    Ok(())
}

/// Whether there are as many connections as the server opens.
async fn room(mut connection: &AsyncPgConnection, settings: &Settings, findings: &mut Findings) -> QueryResult<()> {
    let (server, role, database): (i64, i64, i64) = statement::<(BigInt, BigInt, BigInt)>(
        "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
             (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user)::bigint,
             (SELECT datconnlimit FROM pg_database WHERE datname = current_database())::bigint",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    let needed = i64::try_from(settings.pool_size).unwrap_or(i64::MAX).saturating_add(OTHER_CONNECTIONS);
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
                format!("a server opens {needed} (PORTAL_POOL_SIZE and {OTHER_CONNECTIONS}), and {whose} leaves {limit}: raise it, or lower PORTAL_POOL_SIZE"),
            );
        } else {
            findings.sound("connections", format!("a server opens {needed}, and there is room for {}", limit / needed));
        }
    }
    Ok(())
}

/// Whether row-level security holds the login.
async fn rights(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let (login, is_superuser, bypasses, owned, missing): (String, bool, bool, i64, Option<String>) =
        statement::<(Text, Bool, Bool, BigInt, Nullable<Text>)>(
            "SELECT session_user::text, r.rolsuper, r.rolbypassrls OR EXISTS (SELECT FROM pg_roles m WHERE m.rolbypassrls AND pg_has_role(r.oid, m.oid, 'MEMBER')),
                 (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(r.oid, c.relowner, 'MEMBER')),
                 (SELECT string_agg(w.role, ', ') FROM unnest(ARRAY['portal_gate', 'portal_partner', 'portal_operator', 'portal_service']) AS w (role)
                     LEFT JOIN pg_roles c ON c.rolname = w.role LEFT JOIN pg_roles app ON app.rolname = 'portal_app'
                     WHERE c.oid IS NULL OR app.oid IS NULL OR NOT pg_has_role(app.oid, c.oid, 'MEMBER'))
             FROM pg_roles r WHERE r.rolname = session_user",
            Vec::new(),
        )
        .get_result(&mut connection)
        .await?;
    let about = "rights of the login";
    let before = findings.0.len();
    if is_superuser {
        findings.fault(
            about,
            format!("{login} is a superuser: row-level security does not hold it; make a login that is nothing more"),
        );
    } else if bypasses {
        findings.fault(about, format!("{login} passes by row-level security (BYPASSRLS): ALTER ROLE {login} NOBYPASSRLS"));
    } else if owned > 0 {
        findings.fault(
            about,
            format!("{login} owns {owned} tables, or is a member of their owner: row-level security does not hold it; let another role own them"),
        );
    }
    if let Some(missing) = missing {
        findings.fault(
            about,
            format!("portal_app may not take the roles {missing}: GRANT them TO portal_app, as docs/operations.md says"),
        );
    }
    if findings.0.len() == before {
        findings.sound(about, format!("{login} owns nothing, and row-level security holds it"));
    }
    Ok(())
}

/// Whether notifications come, and prepared statements stay: behind some poolers they do not.
async fn notifications(
    connection: &mut AsyncPgConnection,
    config: &tokio_postgres::Config,
    findings: &mut Findings,
) -> Result<()> {
    connection.batch_execute("LISTEN portal_doctor; NOTIFY portal_doctor").await?;
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
                "its connections lose what sessions set: ALTER ROLE the login SET {}; see docs/operations.md",
                missing.join(", SET ")
            ),
        );
    }
    // While another transaction has the connection that it was prepared on.
    let prepared = statement::<Integer>("SELECT 1", Vec::new());
    prepared.clone().execute(&mut &*connection).await?;
    let mut other = connect::establish(config, None).await.map_err(crate::error::Error::unavailable)?;
    other.batch_execute("BEGIN; SELECT 1").await?;
    let again = prepared.execute(&mut &*connection).await;
    other.batch_execute("COMMIT").await?;
    if let Err(error) = again {
        findings.fault(
            about,
            format!("it does not keep prepared statements ({error}): use pgbouncer 1.21 or later with max_prepared_statements"),
        );
    }
    Ok(())
}

/// Whether the database is at this program's version.
async fn migrated(connection: &AsyncPgConnection, findings: &mut Findings) -> Result<bool> {
    let are_applied = migrations::are_applied(connection).await;
    match are_applied {
        Ok(true) => findings.sound("migrations", "are applied"),
        Ok(false) => findings.fault("migrations", "are missing: run `partner-portal migrate` with PORTAL_OWNER_URL"),
        Err(_) => findings.fault("migrations", "none are applied: run `partner-portal migrate` with PORTAL_OWNER_URL"),
    }
    Ok(are_applied.unwrap_or(false))
}

/// Whether row-level security is on everywhere.
async fn isolation(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let open: Option<String> = statement::<Nullable<Text>>(
        "SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
             AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    match open {
        Some(tables) => findings.fault(
            "row-level security",
            format!("is off on {tables}: ALTER TABLE … ENABLE ROW LEVEL SECURITY, or tenants see each other's rows"),
        ),
        None => findings.sound("row-level security", "is on for every table of tenants' rows"),
    }
    Ok(())
}

/// Whether each issuer has tenants.
async fn tenants(mut connection: &AsyncPgConnection, settings: &Settings, findings: &mut Findings) -> Result<()> {
    for issuer in &settings.issuer {
        connection.batch_execute("BEGIN READ ONLY").await?;
        let announced = "SELECT set_config('role', 'portal_gate', true), set_config('app.issuer', ?, true)";
        statement::<(Text, Text)>(announced, vec![Bind::text(issuer.0.clone())]).execute(&mut connection).await?;
        let count: i64 = statement::<BigInt>("SELECT count(*) FROM tenants", Vec::new()).get_result(&mut connection).await?;
        connection.batch_execute("COMMIT").await?;
        let about = format!("tenants of {}", issuer.0);
        match count {
            0 => findings.fault(about, "there is none: nobody with its tokens can sign in; `partner-portal tenant add` makes one, or CLERK_ISSUER is mistyped"),
            count => findings.sound(about, format!("there are {count}")),
        }
    }
    Ok(())
}

/// Whether what is sealed can be opened.
async fn sealed(mut connection: &AsyncPgConnection, keyring: Option<&Keyring>, findings: &mut Findings) -> Result<()> {
    let Some(keyring) = keyring else { return Ok(()) };
    let samples: Vec<(String, Uuid, Uuid, Vec<u8>)> =
        statement::<(Text, SqlUuid, SqlUuid, Binary)>("SELECT field, tenant_id, row_id, value FROM sealed_samples()", Vec::new())
            .load(&mut connection)
            .await?;
    let (about, count) = ("sealed values", samples.len());
    let mut closed = None;
    for (name, tenant, row, value) in samples {
        let Some(field) = SealedField::ALL.into_iter().find(|field| field.name() == name) else { continue };
        if let Err(error) = keyring.open(&value, field, TenantId::from(tenant), row) {
            closed = Some(format!("{name}: {error}"));
        }
    }
    match closed {
        Some(why) => findings.fault(
            about,
            format!("{why}: PORTAL_ENCRYPTION_KEYS must hold each key that has sealed something until `partner-portal rotate-keys` has run"),
        ),
        None if count > 0 => findings.sound(about, "can be opened"),
        None => {}
    }
    Ok(())
}
