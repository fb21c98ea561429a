//! The database that a command works with: the configured one, or the embedded one.

use diesel_async::AsyncPgConnection;
use tokio_postgres::Config;

use super::Failure;
use crate::{
    config::Settings,
    db::{
        connect,
        embedded::{Embedded, Options},
        migrations,
    },
    keyring::{Keyring, KeyringError},
    models::{
        members::member::{SharedMailbox, shared_mailboxes},
        people::tenant::Tenant,
    },
    secret_file,
};

/// Where the database is.
pub struct Database {
    /// As the owner of the tables.
    pub owner: Config,
    /// As the server.
    pub login: Config,
    embedded: Option<Embedded>,
}

impl Database {
    /// Finds the database; starts the embedded one where none is configured.
    pub async fn open(settings: &Settings) -> Result<Self, Failure> {
        if let Some(login) = settings.database_url.clone() {
            let owner = settings.owner_url.clone().unwrap_or_else(|| login.clone());
            return Ok(Self { owner, login, embedded: None });
        }
        let options = Options {
            cache: settings.data_dir.join("npm"),
            bin_dir: settings.pg_bin_dir.clone(),
            source: settings.postgres_source,
            throw_away: false,
        };
        let embedded = Embedded::start(&settings.data_dir.join("postgres"), &options).await?;
        Ok(Self { owner: embedded.owner(), login: embedded.login(), embedded: Some(embedded) })
    }

    /// The same where there is one already: nothing is created and nothing migrated.
    pub async fn open_existing(settings: &Settings) -> Result<Self, Failure> {
        let folder = settings.data_dir.join("postgres");
        if settings.database_url.is_none() && !Embedded::exists(&folder) {
            return Err(Failure(format!(
                "there is no database in {}: `partner-portal serve` or `partner-portal seed` makes one, or set DATABASE_URL",
                settings.data_dir.display()
            )));
        }
        let database = Self::open(settings).await?;
        if migrations::current(&database.login).await {
            return Ok(database);
        }
        let reached = connect::establish(&database.login, None).await;
        database.close().await;
        reached?;
        Err(Failure::new("the database is not at the version of this program: run `partner-portal migrate` first"))
    }

    /// The same, with every migration applied. Where none is missing no owner's rights are needed.
    pub async fn open_migrated(settings: &Settings) -> Result<Self, Failure> {
        let database = Self::open(settings).await?;
        if migrations::current(&database.login).await {
            return Ok(database);
        }
        if let Err(failure) = database.migrate().await {
            database.close().await;
            return Err(failure);
        }
        Ok(database)
    }

    /// Applies the migrations that are missing, and gives their names.
    pub async fn migrate(&self) -> Result<Vec<String>, Failure> {
        let applied = migrations::run(&self.owner).await?;
        for name in &applied {
            tracing::info!(name, "migration applied");
        }
        if !applied.is_empty() {
            let connection = self.connect().await?;
            warn_of_shared_mailboxes(&connection).await?;
            if self.embedded.is_none() && connect::is_superuser(&connection).await? {
                tracing::warn!(
                    "the tables' owner is a superuser: a role that owns the tables and is nothing more can do less harm; see docs/operations.md"
                );
            }
        }
        if let Some(embedded) = &self.embedded {
            embedded.grant_roles().await?;
        }
        Ok(applied)
    }

    /// Whether it ends only with this process: it is not an embedded server that another process has started.
    pub fn is_lasting(&self) -> bool {
        self.embedded.as_ref().is_none_or(Embedded::is_ours)
    }

    /// A connection by the owner's settings. Where none are set it is the login's, who may own nothing.
    pub async fn connect(&self) -> Result<AsyncPgConnection, Failure> {
        Ok(connect::establish(&self.owner, None).await?)
    }

    /// A connection as the owner of the tables, whom row-level security does not hold.
    pub async fn connect_as_owner(&self) -> Result<AsyncPgConnection, Failure> {
        let connection = self.connect().await?;
        if Tenant::owns_table(&connection).await? {
            return Ok(connection);
        }
        Err(Failure::new(
            "this command works as the owner of the tables, and this login is not: set PORTAL_OWNER_URL (--owner-url) to the owner's connection",
        ))
    }

    /// Ends the embedded server, if this process started it.
    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// The encryption keys: configured, or for the embedded database made on the first call and kept beside it.
pub fn keyring(settings: &Settings) -> Result<Keyring, Failure> {
    if let Some(keyring) = &settings.encryption_keys {
        return Ok(keyring.clone());
    }
    if settings.database_url.is_some() {
        return Err(Failure::new("PORTAL_ENCRYPTION_KEYS (--encryption-keys) is not set"));
    }
    let path = settings.data_dir.join("encryption-keys");
    let make = || Keyring::generate().map(|(_, setting)| setting.into_bytes()).map_err(std::io::Error::other);
    let kept = secret_file::read_or_make(&path, make).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    String::from_utf8_lossy(&kept).trim().parse().map_err(|error: KeyringError| Failure(format!("{}: {error}", path.display())))
}

/// Names the members that share an address: credits used by it go to one of them.
async fn warn_of_shared_mailboxes(connection: &AsyncPgConnection) -> Result<(), Failure> {
    for SharedMailbox { partner, company_name, email, other } in shared_mailboxes(connection).await? {
        tracing::warn!(
            %partner,
            company_name,
            email,
            other,
            "two members of a partner have one mailbox: by address the first is found; change the address of the other, or deactivate it"
        );
    }
    Ok(())
}
