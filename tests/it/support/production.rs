//! A set-up as in production: a cluster whose owner of the tables and login are roles of their own, an issuer that publishes its keys, the settings of
//! the server, and the first tenant.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use axum::{Json, Router, http::HeaderMap, routing::get};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use nix::sys::signal::Signal;
use partner_portal::{
    auth::development::DevelopmentIssuer,
    clock::Clock,
    db::{
        connect,
        embedded::{Embedded, Options},
    },
};
use serde_json::{Value, json};

use super::{
    KEYS,
    binary::{Folder, command, eventually},
    cluster,
    processes::signal_all,
    standby::sockets,
    tokens::good_claims,
};

/// A set-up that runs.
pub struct Production {
    pub cluster: Embedded,
    pub administrator: AsyncPgConnection,
    /// As the owner of the tables.
    pub owner: AsyncPgConnection,
    /// What the server is set to.
    pub settings: BTreeMap<&'static str, String>,
    /// The folder that the program runs with.
    pub data: Folder,
    issuer: DevelopmentIssuer,
    _folder: Folder,
}

impl Production {
    /// On a cluster that keeps what it is given.
    pub async fn start() -> Self {
        let (folder, data) = (Folder::new(), Folder::new());
        let (cluster, mut administrator) = new_cluster(&folder.0).await;
        let issuer = DevelopmentIssuer::open(&data.0).expect("an issuer");
        let settings = BTreeMap::from([
            ("DATABASE_URL", url(&cluster, "portal")),
            ("CLERK_ISSUER", format!("http://{}", publish(issuer.jwks()).await)),
            ("PORTAL_ENCRYPTION_KEYS", KEYS.to_owned()),
            ("PORTAL_PUBLIC_URL", "https://go.example.com".to_owned()),
            ("PORTAL_MAX_SOCKETS", "200".to_owned()),
        ]);
        let migrated = command(&data.0)
            .args(["migrate"])
            .envs(&settings)
            .env("PORTAL_OWNER_URL", url(&cluster, "portal_owner"))
            .output()
            .expect("the program runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        administrator.batch_execute("GRANT portal_app TO portal").await.expect("the login's role");
        let mut as_owner = cluster.owner();
        as_owner.user("portal_owner");
        let owner = connect::establish(&as_owner, None).await.expect("the owner");
        Self { cluster, administrator, owner, settings, data, issuer, _folder: folder }
    }

    /// How a role connects.
    pub fn url(&self, login: &str) -> String {
        url(&self.cluster, login)
    }

    /// A server with these settings too, once it is ready.
    pub async fn serve(&self, settings: &[(&str, &str)]) -> Running {
        // Free a moment ago: the servers of other tests ask for none by number.
        let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let data = Folder::new();
        let mut program = command(&data.0);
        program.args(["serve", "--listen", &address.to_string()]).envs(&self.settings).envs(settings.iter().copied());
        let log = std::env::temp_dir().join(format!("{}.log", data.0.display()));
        let output = std::fs::File::create(&log).expect("a log");
        program.stdin(Stdio::null()).stdout(output.try_clone().expect("a log")).stderr(output);
        let running = Running { child: program.spawn().expect("it starts"), address, log, _data: data };
        for _ in 0..400 {
            let ready = reqwest::get(format!("http://{address}/readyz")).await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return running;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the server is not ready: {}", std::fs::read_to_string(&running.log).unwrap_or_default());
    }

    /// A token of the tenant `main`'s.
    pub fn token(&self, subject: &str) -> String {
        self.token_of(subject, "main")
    }

    /// A token that names no tenant.
    pub fn token_without_tenant(&self, subject: &str) -> String {
        let mut claims = good_claims(subject, "main");
        claims["iss"] = json!(self.settings["CLERK_ISSUER"]);
        claims.as_object_mut().expect("claims").remove("tenant");
        self.issuer.sign(&claims).expect("a token")
    }

    /// A token of a tenant's.
    pub fn token_of(&self, subject: &str, tenant: &str) -> String {
        let mut claims = good_claims(subject, tenant);
        claims["iss"] = json!(self.settings["CLERK_ISSUER"]);
        self.issuer.sign(&claims).expect("a token")
    }
}

/// A cluster from which tenants can be moved, with an owner of the tables to be.
pub async fn new_cluster(folder: &Path) -> (Embedded, AsyncPgConnection) {
    let options = Options { throw_away: false, ..cluster::options() };
    let cluster = Embedded::start(folder, &options).await.expect("a cluster");
    let mut administrator = connect::establish(&cluster.owner(), None).await.expect("an administrator");
    administrator.batch_execute("ALTER SYSTEM SET wal_level = logical").await.expect("a setting");
    drop(administrator);
    cluster.stop().await;
    let cluster = Embedded::start(folder, &options).await.expect("the cluster, started again");
    let mut administrator = connect::establish(&cluster.owner(), None).await.expect("an administrator");
    let roles = "CREATE ROLE portal_owner LOGIN CREATEROLE; GRANT ALL ON SCHEMA public TO portal_owner; ALTER DATABASE portal OWNER TO portal_owner";
    administrator.batch_execute(roles).await.expect("an owner");
    (cluster, administrator)
}

/// A server that runs.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
    _data: Folder,
}

impl Running {
    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().expect("it is there");
    }

    /// Asks it to end, and waits until it has.
    pub async fn end(mut self) {
        signal_all(self.child.id(), Signal::SIGTERM);
        eventually("it ends", || self.child.try_wait().expect("its status").is_some()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// How a role connects to a cluster.
pub fn url(cluster: &Embedded, login: &str) -> String {
    url_of(login, &[&sockets(&cluster.owner())])
}

/// How a role connects to whichever of several databases has its sockets in these folders.
pub fn url_of(login: &str, sockets: &[&Path]) -> String {
    let hosts: Vec<String> = sockets.iter().map(|folder| folder.display().to_string().replace('/', "%2F")).collect();
    format!("postgres://{login}@{}/portal", hosts.join(","))
}

/// Publishes keys. The clock is right at one path and an hour late at another; a third has no keys.
async fn publish(keys: &Value) -> SocketAddr {
    let (keys, late) = (keys.clone(), keys.clone());
    let hour_ago = (Clock::default().now() - chrono::TimeDelta::hours(1)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let router = Router::new()
        .route("/.well-known/jwks.json", get(async move || Json(keys.clone())))
        .route(
            "/late/.well-known/jwks.json",
            get(async move || {
                let mut headers = HeaderMap::new();
                headers.insert("date", hour_ago.parse().expect("a header"));
                (headers, Json(late.clone()))
            }),
        )
        .route("/empty/.well-known/jwks.json", get(async || Json(json!({"keys": []}))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
