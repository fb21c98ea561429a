//! One PostgreSQL server for the test run, and a database copied from a migrated template for each test.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
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
pub struct Database {
    pub owner: Config,
    pub login: Config,
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
    let turn = cluster.copying.lock().await;
    let mut connection = connect::establish(&cluster.server.owner_of("postgres"), None).await.expect("a connection");
    connection.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.expect("a database");
    drop(turn);
    let mut login = cluster.server.login();
    login.dbname(&name);
    Database { owner: cluster.server.owner_of(&name), login }
}
