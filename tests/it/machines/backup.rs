//! A database that was backed up as docs/operations.md says, and is restored on another machine.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use diesel_async::SimpleAsyncConnection;
use partner_portal::db::{
    connect,
    embedded::{Embedded, Options},
};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::support::{
    binary::{Folder, command},
    cluster,
    production::{Production, new_cluster, url},
    sql::{number, text},
    standby::sockets,
    traffic::{ask, partner},
};

const SEND: &str = "mutation ($key: String!) { createLead(input: { idempotencyKey: $key, clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id } } }";

/// Runs one of PostgreSQL's programs as an account.
fn run(program: &Path, account: Option<&Path>, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    if let Some(account) = account {
        let owner = std::fs::metadata(account).expect("a folder");
        command.uid(owner.uid()).gid(owner.gid());
    }
    let output = block_in_place(|| command.output()).expect("it runs");
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
}

/// A set-up with data in it, and the token of a partner.
async fn filled() -> (Production, String) {
    let production = Production::start().await;
    let token = partner(&production).await;
    let mut seed = command(&production.data.0);
    seed.args(["seed", "--partners", "3", "--leads", "50", "--invoices", "20", "--clicks", "100", "--members", "5"])
        .envs(&production.settings)
        .env("PORTAL_OWNER_URL", production.url("portal_owner"));
    assert!(block_in_place(|| seed.output()).expect("it runs").status.success());
    (production, token)
}

/// Sends a lead, and gives the cursor of that.
async fn change(production: &Production, token: &str, key: &str) -> Value {
    let server = production.serve(&[]).await;
    let client = reqwest::Client::new();
    ask(&client, server.address, token, SEND, json!({"key": key})).await.expect("a lead");
    // It is published a moment later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cursor = ask(&client, server.address, token, "{ eventCursor }", json!({})).await.expect("a cursor");
    server.end().await;
    cursor["eventCursor"].clone()
}

/// That servers on a restored database know all, go on, and take no cursor from before for one of theirs.
async fn goes_on(mut production: Production, restored: &Embedded, token: &str, cursor: Value) {
    let owner = url(restored, "portal_owner");
    production.settings.insert("DATABASE_URL", url(restored, "portal"));
    for (arguments, said) in [("migrate", "Nothing to do"), ("verify", "PASS: all")] {
        let output = block_in_place(|| {
            command(&production.data.0).arg(arguments).envs(&production.settings).env("PORTAL_OWNER_URL", &owner).output()
        });
        let out = String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned();
        assert!(out.contains(said), "{arguments}: {out}");
    }
    let server = production.serve(&[]).await;
    let client = reqwest::Client::new();
    let leads = "{ leads(first: 1) { totalCount } }";
    let known = ask(&client, server.address, token, leads, json!({})).await.expect("an answer");
    assert_eq!(known["leads"]["totalCount"], 1);
    // Perhaps under the number that a lost change has had.
    ask(&client, server.address, token, SEND, json!({"key": "after"})).await.expect("a lead");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let watch = json!({"query": "subscription ($since: String) { leadChanged(since: $since) { lead { id } } }", "variables": {"since": cursor}});
    let request =
        client.post(format!("http://{}/graphql", server.address)).bearer_auth(token).header("accept", "text/event-stream");
    let mut stream = request.json(&watch).send().await.expect("an answer");
    let first = stream.chunk().await.expect("a part").expect("a part");
    assert!(String::from_utf8_lossy(&first).contains("CURSOR_EXPIRED"), "{}", String::from_utf8_lossy(&first));
    server.end().await;
}

async fn programs(production: &mut Production) -> PathBuf {
    PathBuf::from(text(&mut production.administrator, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").await)
}

/// A dump that the owner of the tables makes is restored by the owner on another cluster: nothing of it needs an administrator, and the books hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dump_is_restored() {
    let (mut production, token) = filled().await;
    let bin = programs(&mut production).await;
    if !bin.join("pg_dump").exists() {
        eprintln!("not tried: this PostgreSQL has no pg_dump");
        return;
    }
    let cursor = change(&production, &token, "before").await;
    let folder = Folder::new();
    let (restored, mut administrator) = new_cluster(&folder.0).await;
    administrator
        .batch_execute(
            "CREATE ROLE portal_gate NOLOGIN NOINHERIT; CREATE ROLE portal_partner NOLOGIN NOINHERIT; CREATE ROLE portal_operator NOLOGIN NOINHERIT;
             CREATE ROLE portal_service NOLOGIN NOINHERIT; CREATE ROLE portal_app NOLOGIN NOINHERIT;
             GRANT portal_gate, portal_partner, portal_operator, portal_service TO portal_app;
             GRANT portal_gate, portal_partner, portal_operator, portal_service, portal_app TO portal_owner; GRANT portal_app TO portal",
        )
        .await
        .expect("roles");
    let dump = production.data.0.join("portal.dump");
    let (from, file) = (production.url("portal_owner"), dump.display().to_string());
    run(&bin.join("pg_dump"), None, &["--format=custom", "--file", &file, &from]);
    run(&bin.join("pg_restore"), None, &["--exit-on-error", "--dbname", &url(&restored, "portal_owner"), &file]);
    let owned = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'portal_owner'";
    assert_eq!(number(&mut administrator, owned).await, 0);
    goes_on(production, &restored, &token, cursor).await;
}

/// A base backup is started as it is: what was changed later is lost, and no cursor of that is taken for one of what comes in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_base_backup_is_restored() {
    let (mut production, token) = filled().await;
    let bin = programs(&mut production).await;
    if !bin.join("pg_basebackup").exists() {
        eprintln!("not tried: this PostgreSQL has no pg_basebackup");
        return;
    }
    change(&production, &token, "before").await;
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let primary = sockets(&production.cluster.owner());
    let account = std::fs::metadata(&primary).expect("the primary's folder");
    std::os::unix::fs::chown(&folder.0, Some(account.uid()), Some(account.gid())).expect("a folder of its own");
    let (data, host) = (folder.0.join("data").display().to_string(), primary.display().to_string());
    run(
        &bin.join("pg_basebackup"),
        Some(&primary),
        &["--host", &host, "--username", "postgres", "--checkpoint=fast", "--pgdata", &data],
    );
    // It is not in the backup.
    let cursor = change(&production, &token, "lost").await;
    let options = Options { throw_away: false, ..cluster::options() };
    let restored = Embedded::start(&folder.0, &options).await.expect("the restored cluster");
    drop(connect::establish(&restored.owner(), None).await.expect("a connection"));
    goes_on(production, &restored, &token, cursor).await;
}
