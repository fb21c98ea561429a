//! A hot standby of a throw-away PostgreSQL.

use std::{
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use diesel_async::SimpleAsyncConnection;
use nix::sys::signal::Signal;
use partner_portal::db::{Connection, connect, embedded::Embedded};
use tokio_postgres::{Config, config::Host};

use super::{
    cluster::{self, Database},
    processes::signal_all,
    sql::{number, text},
};

/// How long a test waits for the standby to start, or to replay something.
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs the server until the pipe on its standard input is closed, in whatever way this process ends.
const GUARD: &str =
    r#"exec 3<&0; "$@" 3<&- </dev/null & server=$!; { read -r _ <&3; kill -INT "$server"; } 2>/dev/null & wait "$server""#;

/// A running standby. It ends, and its folder goes, when it is dropped.
pub struct Standby {
    guard: Child,
    folder: PathBuf,
    owner: Config,
    login: Config,
}

impl Standby {
    /// A standby of a server that runs, with these settings.
    pub async fn of(primary: &Embedded, settings: &[&str]) -> Self {
        let sockets = sockets(&primary.owner());
        let mut administrator = connect(&primary.owner()).await;
        let bin = PathBuf::from(text(&mut administrator, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").await);
        let folder = cluster::new_folder();
        let data = folder.join("data");
        std::fs::create_dir_all(&folder).expect("a folder");
        let account = std::fs::metadata(&sockets).expect("the primary's folder");
        chown(&folder, Some(account.uid()), Some(account.gid())).expect("a folder of its own");
        let by_account = |program: &str| {
            let mut command = Command::new(program);
            command.uid(account.uid()).gid(account.gid()).current_dir("/");
            command
        };
        // By hand, as not every package of PostgreSQL has pg_basebackup; see "Making a Base Backup Using the Low Level API" in its documentation.
        text(&mut administrator, "SELECT pg_backup_start('standby', true)::text").await;
        let theirs = text(&mut administrator, "SELECT current_setting('data_directory')").await;
        // Files come and go meanwhile: what is missing is in the WAL.
        let copied = by_account("cp").args(["--archive", "--no-target-directory"]).arg(&theirs).arg(&data).output().expect("cp");
        assert!(data.join("global/pg_control").exists(), "{}", String::from_utf8_lossy(&copied.stderr));
        let label = text(&mut administrator, "SELECT labelfile FROM pg_backup_stop(false)").await;
        for left in ["postmaster.pid", "postmaster.opts"] {
            let _ = std::fs::remove_file(data.join(left));
        }
        for emptied in ["pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_stat_tmp"] {
            for entry in
                std::fs::read_dir(data.join(emptied)).into_iter().flatten().flatten().filter(|entry| entry.path().is_file())
            {
                std::fs::remove_file(entry.path()).expect("it is removed");
            }
        }
        let followed = format!("primary_conninfo = 'host={} user=postgres'\n", sockets.display());
        for (name, content) in
            [("backup_label", label.as_str()), ("standby.signal", ""), ("postgresql.auto.conf", followed.as_str())]
        {
            std::fs::write(data.join(name), content).expect("a file");
            chown(data.join(name), Some(account.uid()), Some(account.gid())).expect("the account's file");
        }
        let mut server = by_account("/bin/sh");
        server.args(["-c", GUARD, "standby"]).arg(bin.join("postgres")).arg("-D").arg(&data).arg("-k").arg(&folder);
        for setting in ["listen_addresses=", "fsync=off", "max_connections=400"].iter().chain(settings) {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        server.stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log).process_group(0);
        let guard = server.spawn().expect("the standby starts");
        let moved = |config: &Config| {
            let mut config = moved_to(config, &folder);
            config.application_name("partner-portal");
            config
        };
        let standby = Self { guard, owner: moved(&primary.owner()), login: moved(&primary.login()), folder };
        standby.until("it starts", async |standby| connect::establish(&standby.owner, None).await.is_ok()).await;
        standby
    }

    /// How to connect to it.
    pub fn database(&self) -> Database {
        Database::at(self.owner.clone(), self.login.clone())
    }

    /// The folder of its sockets.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How a server connects to it.
    pub fn login(&self) -> Config {
        self.login.clone()
    }

    /// A connection as the owner of the tables.
    pub async fn owner(&self) -> Connection {
        connect(&self.owner).await
    }

    /// Waits until it has replayed all that the primary has written by now.
    pub async fn catch_up(&self, primary: &Embedded) {
        let mut administrator = connect(&primary.owner()).await;
        // Without synchronous commits, what is inserted is written a moment later.
        let written = text(&mut administrator, "SELECT pg_current_wal_insert_lsn()::text").await;
        let replayed = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}')::integer::bigint");
        let mut nudge = connect(&primary.owner()).await;
        self.until("it catches up", async |standby| {
            nudge.batch_execute("SELECT pg_logical_emit_message(false, 'nudge', '')").await.expect("a record");
            number(&mut standby.owner().await, &replayed).await == 1
        })
        .await;
    }

    /// Has it follow another primary.
    pub async fn follow(&self, primary: &Self) {
        let mut owner = self.owner().await;
        let address = format!("ALTER SYSTEM SET primary_conninfo = 'host={} user=postgres'", primary.folder.display());
        owner.batch_execute(&address).await.expect("a setting");
        owner.batch_execute("SELECT pg_reload_conf()").await.expect("it is read");
    }

    /// Makes it a primary.
    pub async fn promote(&self) {
        let promoted = text(&mut self.owner().await, "SELECT pg_promote()::text").await;
        assert_eq!(promoted, "true");
    }

    /// Stops all its processes where they are: it does not answer, and its connections stay.
    pub fn freeze(&self) {
        signal_all(self.guard.id(), Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        signal_all(self.guard.id(), Signal::SIGCONT);
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self).await {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "{what}: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.thaw();
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn connect(config: &Config) -> Connection {
    connect::establish(config, None).await.expect("a connection")
}

/// The folder of sockets that an address names.
pub fn sockets(config: &Config) -> PathBuf {
    let folder = config.get_hosts().iter().find_map(|host| match host {
        Host::Unix(folder) => Some(folder.clone()),
        Host::Tcp(_) => None,
    });
    folder.expect("a socket")
}

/// The same database and login behind another folder of sockets.
fn moved_to(config: &Config, sockets: &Path) -> Config {
    let mut moved = Config::new();
    moved.host_path(sockets).user(config.get_user().expect("a user")).dbname(config.get_dbname().expect("a database"));
    moved
}
