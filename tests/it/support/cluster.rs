//! One PostgreSQL server for the test run, and a database copied from a migrated template for each test.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel_async::SimpleAsyncConnection;
use partner_portal::db::{
    connect,
    embedded::{Embedded, Options, PostgresSource},
    migrations,
};
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::Config;

struct Cluster {
    server: Embedded,
    folder: PathBuf,
    // CREATE DATABASE wants its template to itself.
    copying: Mutex<()>,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// Databases whose tests have ended, the oldest first.
static ENDED: std::sync::Mutex<VecDeque<String>> = std::sync::Mutex::new(VecDeque::new());
/// How many ended databases are left alone, since what their tests started may still be ending.
const ENDED_KEPT: usize = 6;

/// How a throw-away server is run.
pub fn options() -> Options {
    Options {
        cache: std::env::temp_dir().join("partner-portal-cache"),
        bin_dir: None,
        source: PostgresSource::Auto,
        throw_away: true,
    }
}

/// A new folder below the temporary one that the account which runs PostgreSQL can reach.
pub fn new_folder() -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("partner-portal-test-{}-{number}", std::process::id()))
}

async fn cluster() -> &'static Cluster {
    CLUSTER
        .get_or_init(async || {
            let folder = new_folder();
            let server = Embedded::start(&folder, &options()).await.expect("a throw-away PostgreSQL");
            migrations::run(&server.owner()).await.expect("migrations");
            server.grant_roles().await.expect("grants");
            Cluster { server, folder, copying: Mutex::new(()) }
        })
        .await
}

/// The server's log file.
pub async fn log_file() -> PathBuf {
    cluster().await.folder.join("postgres.log")
}

/// How to connect to a database of this test's own: as the owner of its tables, and as the server's login.
///
/// It is dropped some time after the last clone is: a whole run would need many gigabytes otherwise.
#[derive(Clone)]
pub struct Database {
    pub owner: Config,
    pub login: Config,
    _lease: Option<Arc<Lease>>,
}

struct Lease(String);

impl Drop for Lease {
    fn drop(&mut self) {
        ENDED.lock().unwrap_or_else(PoisonError::into_inner).push_back(std::mem::take(&mut self.0));
    }
}

impl Database {
    /// The database of a server that the test started itself.
    pub fn of(server: &Embedded) -> Self {
        Self::at(server.owner(), server.login())
    }

    /// One that is reached so.
    pub fn at(owner: Config, login: Config) -> Self {
        Self { owner, login, _lease: None }
    }

    /// The same database with another login.
    pub fn with_login(self, login: Config) -> Self {
        Self { login, ..self }
    }
}

/// A database with every migration applied and nothing in it.
pub async fn migrated_database() -> Database {
    database("portal").await
}

/// A database with nothing in it at all.
pub async fn empty_database() -> Database {
    database("template0").await
}

async fn database(template: &str) -> Database {
    let cluster = cluster().await;
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect::establish(&cluster.server.owner_of("postgres"), None).await.expect("a connection");
    while let Some(ended) = next_ended() {
        let drop = format!("DROP DATABASE {ended} WITH (FORCE)");
        connection.batch_execute(&drop).await.expect("the database of an ended test is dropped");
    }
    let turn = cluster.copying.lock().await;
    connection.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.expect("a database");
    drop(turn);
    let mut login = cluster.server.login();
    login.dbname(&name);
    Database { owner: cluster.server.owner_of(&name), login, _lease: Some(Arc::new(Lease(name))) }
}

fn next_ended() -> Option<String> {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    if ended.len() > ENDED_KEPT { ended.pop_front() } else { None }
}
