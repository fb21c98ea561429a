//! Migrations: applied under an advisory lock before the server takes traffic, one at a time, each in a transaction of its own.

use diesel::{
    migration::{Migration, MigrationSource, MigrationVersion},
    pg::Pg,
};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio_postgres::Config;

use super::{connect, locks, statement::statement};
use crate::error::{Error, Result};

/// All migrations, built into the program.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Why the database is not at this version.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// There is no connection as the owner.
    #[error("the database cannot be reached: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// The lock or the list of migrations could not be had.
    #[error("the migrations cannot be listed: {0}{hint}", hint = hint(.0))]
    List(String),
    /// One migration failed; those before it are applied, it and those after it are not.
    #[error("migration {name} failed: {reason}")]
    Failed {
        /// Its folder's name.
        name: String,
        /// What PostgreSQL said.
        reason: String,
    },
}

/// What to do about a login without rights.
fn hint(reason: &str) -> &'static str {
    if reason.contains("permission denied") {
        "; migrations are applied by the login of PORTAL_OWNER_URL, which must own the tables, or before there are any the database: see docs/operations.md"
    } else {
        ""
    }
}

/// Applies what is missing, in order, and gives the names of what it applied. A second server that migrates at the same time
/// waits, then finds nothing missing. Needs the multi-thread runtime.
pub async fn run(config: &Config) -> Result<Vec<String>, MigrationError> {
    let mut connection = locked(config).await?;
    // A migration may take long; the operator of the deployment decides how long.
    connection.batch_execute("SET statement_timeout = 0").await.map_err(|error| MigrationError::List(error.to_string()))?;
    let mut harness = AsyncMigrationHarness::new(connection);
    let pending = harness.pending_migrations(MIGRATIONS).map_err(|error| MigrationError::List(error.to_string()))?;
    let mut applied = Vec::with_capacity(pending.len());
    for migration in pending {
        let name = migration.name().to_string();
        match harness.run_migration(&migration) {
            Ok(_) => applied.push(name),
            Err(error) => {
                // diesel's text begins with the name, which is said already.
                let text = error.to_string();
                let reason = text.strip_prefix(&format!("Failed to run {name} with: ")).unwrap_or(&text).to_owned();
                let hint = if name.ends_with("_roles") && reason.contains("permission denied") {
                    "; an owner without CREATEROLE needs the roles made by an administrator first: see docs/operations.md"
                } else {
                    ""
                };
                return Err(MigrationError::Failed { name, reason: reason + hint });
            }
        }
    }
    // The lock goes with the connection.
    Ok(applied)
}

/// Takes back every migration, the last first; for tests and development.
pub async fn revert_all(config: &Config) -> Result<(), MigrationError> {
    let mut harness = AsyncMigrationHarness::new(locked(config).await?);
    harness.revert_all_migrations(MIGRATIONS).map(drop).map_err(|error| MigrationError::List(error.to_string()))
}

async fn locked(config: &Config) -> Result<AsyncPgConnection, MigrationError> {
    let mut connection = connect::establish(config, None).await?;
    connection
        .batch_execute(&format!("SELECT pg_advisory_lock({})", locks::MIGRATING))
        .await
        .map_err(|error| MigrationError::List(error.to_string()))?;
    Ok(connection)
}

/// Whether every migration that this program was built with has been applied, as far as the server's login can see.
pub async fn current(login: &Config) -> bool {
    match connect::establish(login, Some(super::STEP_DOWN)).await {
        Ok(connection) => are_applied(&connection).await.unwrap_or(false),
        Err(_) => false,
    }
}

/// Whether every migration that this program was built with has been applied.
pub async fn are_applied(mut connection: &AsyncPgConnection) -> Result<bool> {
    let applied: Vec<String> =
        statement::<diesel::sql_types::Text>("SELECT version::text FROM __diesel_schema_migrations", vec![])
            .load(&mut connection)
            .await?;
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(Error::internal)?;
    Ok(known
        .iter()
        .all(|migration| applied.iter().any(|version| migration.name().version() == MigrationVersion::from(version.as_str()))))
}
