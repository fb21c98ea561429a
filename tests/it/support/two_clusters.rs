//! Two clusters behind the same servers.

use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use partner_portal::db::embedded::Embedded;
use serde_json::json;
use tokio::task::block_in_place;

use super::{
    balancer::Balancer,
    binary::{Folder, command},
    production::{Production, Running, new_cluster, url},
    sql::{number, text},
};

/// The clusters `main`, with the tenant `main`, and `b`, which is empty.
pub struct TwoClusters {
    pub main: Production,
    pub b: Embedded,
    /// The administrator of `b`.
    pub on_b: AsyncPgConnection,
    file: PathBuf,
    _folder: Folder,
}

impl TwoClusters {
    pub async fn start() -> Self {
        let mut main = Production::start().await;
        let folder = Folder::new();
        let (b, on_b) = new_cluster(&folder.0).await;
        let file = main.data.0.join("clusters.json");
        main.settings.insert("PORTAL_CLUSTERS", file.display().to_string());
        let mut both = Self { main, b, on_b, file, _folder: folder };
        both.name_owner("portal_owner");
        both.said(&["migrate", "--cluster", "b"]);
        both.on_b.batch_execute("GRANT portal_app TO portal").await.expect("the login's role");
        // A move needs more than the owner of the tables may do.
        both.name_owner("postgres");
        both
    }

    /// Writes the file of clusters, with that owner of the tables of `b`.
    pub fn name_owner(&self, owner: &str) {
        let clusters = json!({"b": {"url": url(&self.b, "portal"), "owner_url": url(&self.b, owner)}});
        std::fs::write(&self.file, clusters.to_string()).expect("a file");
    }

    /// A command of the administrators of both clusters.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut program = command(&self.main.data.0);
        program.args(arguments).envs(&self.main.settings).env("PORTAL_OWNER_URL", self.main.url("postgres"));
        program
    }

    fn run(&self, arguments: &[&str]) -> Output {
        block_in_place(|| self.command(arguments).output()).expect("the program runs")
    }

    /// A command that runs in the background.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs")
    }

    /// What a command prints that succeeds.
    pub fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// What a command says that fails.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Two servers on both clusters, behind a balancer.
    pub async fn servers(&self) -> (Vec<Running>, Balancer) {
        let servers = vec![self.main.serve(&[]).await, self.main.serve(&[]).await];
        let balancer = Balancer::of(servers.iter().map(|server| server.address).collect()).await;
        (servers, balancer)
    }

    /// The id of the only tenant on `main`.
    pub async fn tenant(&mut self) -> String {
        text(&mut self.main.administrator, "SELECT id::text FROM tenants").await
    }

    /// That nothing of a move is left on either side.
    pub async fn nothing_is_left(&mut self) {
        for left in [
            "pg_publication",
            "pg_replication_slots",
            "pg_subscription",
            "tenant_moves",
            "pg_trigger WHERE tgname LIKE 'a_fence%'",
        ] {
            for database in [&mut self.main.administrator, &mut self.on_b] {
                assert_eq!(number(database, &format!("SELECT count(*) FROM {left}")).await, 0, "{left}");
            }
        }
    }
}

/// How many rows of a tenant there are in a database, but events.
pub async fn rows_of(database: &mut AsyncPgConnection, tenant: &str) -> i64 {
    let count = format!(
        "SELECT coalesce(sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s WHERE tenant_id = %L', c.oid::regclass, '{tenant}'),
             false, true, '')))[1]::text::bigint), 0)::bigint
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('events', 'tenant_moves')"
    );
    number(database, &count).await
}
