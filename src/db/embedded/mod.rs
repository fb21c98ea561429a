//! A PostgreSQL server of our own, for a machine where nothing is configured: found or fetched, kept between runs, ended with us.
//!
//! Two processes may use one data folder at once: the first starts the server, the second finds it running and connects.

mod account;
mod binaries;
mod download;
mod postmaster;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use diesel_async::SimpleAsyncConnection;
use tokio_postgres::Config;

use self::{account::Account, postmaster::Postmaster};
use super::connect;

/// The database that is made in the server.
const DATABASE: &str = "portal";
/// The superuser, who owns the tables.
const OWNER: &str = "postgres";
/// The role that the server's pool logs in as; it owns nothing.
const LOGIN: &str = "portal";
/// How long a start may take, recovery after a crash included.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long a server that is on its way up or down is waited for.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(30);
/// The longest path of a socket's folder: the address holds 107 bytes (unix(7)), the file's own name takes up to 17 of them.
const SOCKET_FOLDER_LIMIT: usize = 88;

/// Why there is no embedded server. Each is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No PostgreSQL was found and none could be fetched.
    #[error(
        "no PostgreSQL was found on this machine (looked in {looked}) and none could be fetched: {reason}. {advice}, or set DATABASE_URL"
    )]
    NoServer {
        /// Where it was looked for.
        looked: String,
        /// Why the download did not help.
        reason: String,
        /// The command that installs it here.
        advice: &'static str,
    },
    /// A file or folder could not be used.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A program of PostgreSQL's failed.
    #[error("{program} failed: {reason}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it printed last.
        reason: String,
    },
    /// The server did not become ready.
    #[error("PostgreSQL did not start within {} s; its log is {log}: {last}", START_LIMIT.as_secs())]
    NotReady {
        /// The log file.
        log: PathBuf,
        /// The last line of it, or the last error.
        last: String,
    },
    /// The program runs as root and there is no account to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as; start the program as another user, or set DATABASE_URL"
    )]
    NoAccount,
    /// The database or its login could not be made.
    #[error("the database could not be prepared: {0}")]
    Prepare(String),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError + '_ {
    move |error| EmbeddedError::File { path: path.to_owned(), error }
}

/// Where PostgreSQL's programs may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum PostgresSource {
    /// From this machine where it has them, else from the pinned download.
    #[default]
    Auto,
    /// From the pinned download, whatever this machine has.
    Download,
}

/// How a server is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where binaries that had to be fetched are kept.
    pub cache: PathBuf,
    /// The folder of the `postgres` program, tried before all others.
    pub bin_dir: Option<PathBuf>,
    /// Whether the machine's own PostgreSQL may serve.
    pub source: PostgresSource,
    /// For tests: no fsync, and the data folder goes when the server ends.
    pub throw_away: bool,
}

/// A running server. Dropping it asks the server to stop without waiting; [`Embedded::stop`] waits.
pub struct Embedded {
    data: PathBuf,
    sockets: PathBuf,
    // None when another process started it.
    postmaster: Option<Postmaster>,
}

impl Embedded {
    /// Whether a server was ever started on `folder`. Makes nothing.
    pub fn exists(folder: &Path) -> bool {
        let folder = Account::find().and_then(|account| account.reachable(folder));
        folder.is_ok_and(|folder| folder.join("data/PG_VERSION").exists())
    }

    /// Starts the server on `folder`, which is made where it is missing, or finds it running.
    pub async fn start(folder: &Path, options: &Options) -> Result<Self, EmbeddedError> {
        let account = Account::find()?;
        let folder = account.reachable(folder)?;
        make_private(&folder, &account)?;
        let data = folder.join("data");
        let sockets = socket_folder(&folder);
        make_private(&sockets, &account)?;

        // Only one process at a time makes or starts a server here; the next one finds it running.
        let lock_path = folder.join("start.lock");
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        let held = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(at(&lock_path))?;
        let server = Self::start_locked(data, sockets, account, options).await;
        drop(held);
        server
    }

    async fn start_locked(data: PathBuf, sockets: PathBuf, account: Account, options: &Options) -> Result<Self, EmbeddedError> {
        let mut server = Self { data, sockets, postmaster: None };
        if server.is_running_already().await {
            return Ok(server);
        }
        let bin = {
            // The account must be able to walk to what is fetched, too.
            let options = Options { cache: account.reachable(&options.cache)?, ..options.clone() };
            tokio::task::spawn_blocking(move || binaries::find(&options))
                .await
                .map_err(|error| EmbeddedError::Prepare(error.to_string()))??
        };
        if !server.data.join("PG_VERSION").exists() {
            initialise(&bin, &server.data, &account)?;
        }
        let mut postmaster = Postmaster::launch(&bin, &server.data, &server.sockets, &account, options.throw_away)?;
        server.wait_until_ready(&mut postmaster).await?;
        server.postmaster = Some(postmaster);
        server.prepare().await?;
        Ok(server)
    }

    /// How the owner of the tables connects: for migrations, seeding and administration.
    pub fn owner(&self) -> Config {
        self.config(OWNER, DATABASE)
    }

    /// How the server's pool connects.
    pub fn login(&self) -> Config {
        self.config(LOGIN, DATABASE)
    }

    /// How the owner connects to another database of the same server.
    pub fn owner_of(&self, database: &str) -> Config {
        self.config(OWNER, database)
    }

    /// Whether this process started the server, and so ends it.
    pub fn is_ours(&self) -> bool {
        self.postmaster.is_some()
    }

    /// Lets the login take the callers' roles; after the migrations that make them.
    pub async fn grant_roles(&self) -> Result<(), EmbeddedError> {
        // Another program that starts on the same folder may be granting the same: PostgreSQL then refuses the second.
        let grant = format!(
            "DO $$ BEGIN GRANT portal_app TO {LOGIN}; EXCEPTION WHEN unique_violation OR internal_error THEN NULL; END $$"
        );
        self.execute(DATABASE, &grant).await
    }

    /// Stops the server, if this process started it, and waits until it is gone.
    pub async fn stop(mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.stop().await;
        }
    }

    fn config(&self, user: &str, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.sockets).user(user).dbname(database).application_name("partner-portal");
        config
    }

    async fn try_connect(&self, user: &str, database: &str) -> Result<(), String> {
        connect::establish(&self.config(user, database), None).await.map(drop).map_err(|error| error.to_string())
    }

    /// Whether another process's server runs on this folder. One that is still starting, or still stopping after its process was
    /// killed, is waited for.
    async fn is_running_already(&self) -> bool {
        let started = Instant::now();
        while let Some(server) = postmaster::running_on(&self.data) {
            if self.try_connect(OWNER, DATABASE).await.is_ok() {
                return true;
            }
            if started.elapsed() > TAKEOVER_LIMIT {
                tracing::warn!(
                    process = server,
                    "a process that was a PostgreSQL server of this folder runs, but does not answer"
                );
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    async fn wait_until_ready(&self, postmaster: &mut Postmaster) -> Result<(), EmbeddedError> {
        let started = Instant::now();
        loop {
            let last = match self.try_connect(OWNER, "postgres").await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if postmaster.has_ended() || started.elapsed() > START_LIMIT {
                let log = postmaster.log.clone();
                let last = fs::read_to_string(&log).ok().and_then(|text| reason_in(&text)).unwrap_or(last);
                return Err(EmbeddedError::NotReady { log, last });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes the database and its login where they are missing.
    async fn prepare(&self) -> Result<(), EmbeddedError> {
        if self.try_connect(OWNER, DATABASE).await.is_err() {
            self.execute("postgres", &format!("CREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0")).await?;
        }
        let login = format!("DO $$ BEGIN CREATE ROLE {LOGIN} LOGIN NOINHERIT; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
        self.execute(DATABASE, &login).await
    }

    async fn execute(&self, database: &str, sql: &str) -> Result<(), EmbeddedError> {
        let failed = |error: String| EmbeddedError::Prepare(error);
        let mut connection =
            connect::establish(&self.config(OWNER, database), None).await.map_err(|error| failed(error.to_string()))?;
        connection.batch_execute(sql).await.map_err(|error| failed(error.to_string()))
    }
}

/// Why a program of PostgreSQL's has ended, from what it printed: the last error with its details, or else the last line.
fn reason_in(printed: &str) -> Option<String> {
    let lines: Vec<&str> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_error = |line: &&str| ["FATAL:", "PANIC:", "ERROR:", "error:"].iter().any(|word| line.contains(word));
    let Some(error) = lines.iter().rposition(is_error) else { return lines.last().map(|line| (*line).to_owned()) };
    let is_detail = |line: &&&str| ["DETAIL:", "HINT:"].iter().any(|word| line.contains(word));
    Some(
        lines[error..=error].iter().chain(lines[error + 1..].iter().take_while(is_detail)).copied().collect::<Vec<_>>().join(" "),
    )
}

/// A folder that only the account which runs PostgreSQL can look into.
fn make_private(folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
    if !folder.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder.parent().unwrap_or(folder)).map_err(at(folder))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
    }
    account.own(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(at(folder))
}

/// Where the sockets lie: beside the data, or under the temporary folder where that path would be too long for an address.
fn socket_folder(folder: &Path) -> PathBuf {
    let beside = folder.join("run");
    if beside.as_os_str().len() <= SOCKET_FOLDER_LIMIT {
        return beside;
    }
    std::env::temp_dir().join(format!("partner-portal-{}", account::short_hash(folder)))
}

/// Makes a cluster in a folder beside its own and moves it there: a start that was cut off leaves nothing half made.
fn initialise(bin: &Path, data: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let unfinished = data.with_extension("new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
    }
    let run = |locale: &str| {
        let mut command = Command::new(bin.join("initdb"));
        command
            .args(["--username", OWNER, "--auth", "trust", "--encoding", "UTF8", "--no-sync", "--locale", locale, "--pgdata"])
            .arg(&unfinished);
        account.assume(&mut command);
        command.output().map_err(at(&bin.join("initdb")))
    };
    // C.UTF-8 knows upper and lower case beyond ASCII; not every system has it.
    let mut output = run("C.UTF-8")?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(&unfinished);
        output = run("C")?;
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(EmbeddedError::Program {
            program: "initdb",
            reason: reason_in(&said).unwrap_or_else(|| "it said nothing".to_owned()),
        });
    }
    fs::rename(&unfinished, data).map_err(at(data))
}

#[cfg(test)]
mod tests {
    use super::reason_in;

    /// The error is reported, and not what the program says after it.
    #[test]
    fn reasons() {
        let log = "LOG:  starting PostgreSQL 15\nFATAL:  could not write lock file \"postmaster.pid\": No space left on device\nHINT:  Free some.\nLOG:  database system is shut down\n";
        assert_eq!(
            reason_in(log).as_deref(),
            Some("FATAL:  could not write lock file \"postmaster.pid\": No space left on device HINT:  Free some.")
        );
        assert_eq!(
            reason_in("initdb: error: directory exists\ninitdb: removing data directory").as_deref(),
            Some("initdb: error: directory exists")
        );
        assert_eq!(reason_in("starting\n\n").as_deref(), Some("starting"));
        assert_eq!(reason_in(""), None);
    }
}
