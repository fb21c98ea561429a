//! Imports that are asked for over the API and run in the background.

use std::{fs, future::pending, time::Duration};

use partner_portal::jobs::data_imports::DataImports;

use super::{generator::Business, *};
use crate::support::{
    listening::Listening,
    tokens::staff_token,
    world::{ACME, Setup},
};

const IMPORT: &str =
    "import { id status isDryRun step failure rowsDone rowsTotal files { name bytes } createdBy { id } startedAt finishedAt
    outcome { isProved isAnythingLeft counts { kind imported total } codes { code isLeft count }
        proof { currency status sourceCount sourceAmount { amount } count amount { amount } agrees } }
    findings(first: 500) { totalCount nodes { kind sourceId code message field value isLeft file line } } }";

/// The input of an import of two people with a link each, and no commissions.
pub fn small() -> Value {
    json!({"source": "LEGACY", "files": [
        {"name": "users.csv", "text": "id,name,email\nu_1,Ann,ann@shop.example\nu_2,Bob,bob@shop.example\n"},
        {"name": "links.csv", "text": "id,userId,url,key\nl_1,u_1,https://shop0.com/a,small-1\nl_2,u_2,https://shop0.com/b,small-2\n"},
        {"name": "commissions.csv", "text": "id,linkId,partnerId,earnings,currency,status,createdAt\n"},
    ]})
}

/// Runs what waits.
pub async fn run_waiting(world: &World) {
    while runner(world).run_next(pending()).await.expect("it runs") {}
}

pub(super) fn runner(world: &World) -> DataImports {
    let app = &world.app;
    DataImports { pool: app.pool.clone(), login: world.database.login.clone(), clock: app.clock.clone() }
}

/// Asks for an import of a folder's files, as a browser does; gives what was answered.
async fn asked(world: &World, folder: &Path, mut input: Value) -> Value {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    input["idempotencyKey"] = json!(uuid::Uuid::now_v7().to_string());
    input["files"] = names.iter().map(|name| json!({"name": name, "file": null})).collect();
    let query = format!(
        "mutation ($input: ImportDataInput!) {{ importData(input: $input) {{ replayed userErrors {{ code message field }} {IMPORT} }} }}"
    );
    let operations = json!({"query": query, "variables": {"input": input}}).to_string();
    let map: Value = (0..names.len())
        .map(|index| (index.to_string(), json!([format!("variables.input.files.{index}.file")])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let map = map.to_string();
    let contents: Vec<(String, Vec<u8>)> =
        names.iter().enumerate().map(|(index, name)| (index.to_string(), fs::read(folder.join(name)).expect("a file"))).collect();
    let mut parts: Vec<(&str, &[u8])> = vec![("operations", operations.as_bytes()), ("map", map.as_bytes())];
    // In any order.
    parts.extend(contents.iter().rev().map(|(index, content)| (index.as_str(), content.as_slice())));
    world.upload_as(&staff_token("operator", ACME), &parts, true).await.data()["importData"].clone()
}

pub(super) async fn import(world: &World, id: &Value) -> Value {
    let query = format!("query ($id: ID!) {{ import: dataImport(id: $id) {{ {} }} }}", &IMPORT[9..IMPORT.len() - 2]);
    world.operator(&query, json!({"id": id})).await.data()["import"].clone()
}

/// What is uploaded is imported as the command line does it: the same rows, findings and proof.
#[tokio::test(flavor = "multi_thread")]
async fn from_the_browser() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(5, 4, 60, &["USD", "JPY"], true).write("legacy", &folder.0);
    let other = World::new().await;
    let (outcome, found) = Given::new("legacy", &folder.0).run(&other, other.acme).await.expect("an import");
    let input = json!({"source": "LEGACY", "rateUnit": "PERCENT"});
    let first = asked(&world, &folder.0, input.clone()).await;
    assert_eq!((&first["userErrors"], &first["replayed"]), (&json!([]), &json!(false)), "{first}");
    let waiting = &first["import"];
    assert_eq!((&waiting["status"], &waiting["outcome"], &waiting["startedAt"]), (&json!("WAITING"), &json!(null), &json!(null)));
    assert_eq!(waiting["files"].as_array().map(Vec::len), Some(fs::read_dir(&folder.0).expect("a folder").count()));
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert!(!runner(&world).run_next(pending()).await.expect("nothing waits"));
    let done = import(&world, &waiting["id"]).await;
    assert_eq!((&done["status"], &done["failure"], &done["step"]), (&json!("COMPLETED"), &json!(null), &json!(null)), "{done}");
    assert_eq!(done["findings"]["totalCount"], json!(found.len()));
    for (shown, finding) in done["findings"]["nodes"].as_array().expect("findings").iter().zip(&found) {
        assert_eq!(
            (&shown["sourceId"], &shown["code"], &shown["isLeft"]),
            (&json!(finding.source_id), &json!(finding.code), &json!(finding.is_left))
        );
    }
    let counts = done["outcome"]["counts"].as_array().expect("counts");
    assert_eq!(counts.len(), outcome.summary.counts.len());
    for (shown, count) in counts.iter().zip(&outcome.summary.counts) {
        assert_eq!(
            (&shown["kind"], &shown["imported"], &shown["total"]),
            (&json!(count.kind.shown()), &json!(count.inside), &json!(count.all))
        );
    }
    assert_eq!(done["outcome"]["proof"].as_array().map(Vec::len), Some(outcome.summary.proof.len()));
    assert_eq!(done["outcome"]["isProved"], json!(outcome.summary.is_proved()));
    // Neither content nor lease is left.
    assert_eq!(
        world
            .number(
                "SELECT (SELECT count(*) FROM data_import_chunks) + (SELECT count(*) FROM data_imports WHERE lease IS NOT NULL)"
            )
            .await,
        0
    );
    // The same once more is another import, which changes nothing.
    let before = world.text("SELECT count(*) || ' ' || sum(amount) FROM partner_commission_events").await;
    let again = asked(&world, &folder.0, input).await;
    assert_ne!(again["import"]["id"], waiting["id"]);
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(import(&world, &again["import"]["id"]).await["outcome"], done["outcome"]);
    assert_eq!(world.text("SELECT count(*) || ' ' || sum(amount) FROM partner_commission_events").await, before);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A dry run says the same and leaves nothing but its report.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(7, 3, 30, &["USD"], true).write("rewardful", &folder.0);
    let counted = "SELECT (SELECT count(*) FROM import_rows) + (SELECT count(*) FROM partner_commission_events) + (SELECT count(*) FROM import_findings)";
    let dry = asked(&world, &folder.0, json!({"source": "REWARDFUL", "dryRun": true})).await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(world.number(counted).await, 0);
    let wet = asked(&world, &folder.0, json!({"source": "REWARDFUL"})).await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    let (dry, wet) = (import(&world, &dry["import"]["id"]).await, import(&world, &wet["import"]["id"]).await);
    assert_eq!((&dry["isDryRun"], &wet["isDryRun"]), (&json!(true), &json!(false)));
    assert_eq!((&dry["outcome"], &dry["findings"]), (&wet["outcome"], &wet["findings"]));
    assert!(world.number(counted).await > 0);
}

/// Decisions come as a file among the others.
#[tokio::test(flavor = "multi_thread")]
async fn decisions_come_along() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(8, 2, 10, &["USD"], true).write("legacy", &folder.0);
    let left = async |import: &Value| self::import(&world, &import["import"]["id"]).await["outcome"]["isAnythingLeft"].clone();
    let input = json!({"source": "LEGACY", "rateUnit": "PERCENT"});
    let first = asked(&world, &folder.0, input.clone()).await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(left(&first).await, json!(true));
    let query = "query ($id: ID!) { dataImport(id: $id) { findings(filter: { left: true }) { nodes { kind sourceId } } } }";
    let answer = world.operator(query, json!({"id": first["import"]["id"]})).await;
    let mut decisions = std::collections::BTreeSet::new();
    for finding in answer.data()["dataImport"]["findings"]["nodes"].as_array().expect("findings") {
        let kind = finding["kind"].as_str().expect("a kind").to_lowercase();
        decisions.insert(json!({"kind": kind, "id": finding["sourceId"], "leave": true}).to_string());
    }
    fs::write(folder.0.join("decisions.jsonl"), decisions.into_iter().collect::<Vec<_>>().join("\n")).expect("a file");
    let second = asked(&world, &folder.0, input).await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(left(&second).await, json!(false));
    assert_eq!(import(&world, &second["import"]["id"]).await["outcome"]["isProved"], json!(true));
}

/// An import whose server dies is gone on with by another once the lease has ended; one that stops lets go of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_dies() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(9, 20, 3_000, &["USD", "JPY"], false).write("legacy", &folder.0);
    let first = asked(&world, &folder.0, json!({"source": "LEGACY", "rateUnit": "PERCENT"})).await;
    let id = &first["import"]["id"];
    let is_under_way = async || world.number("SELECT count(*) FROM import_rows WHERE kind = 'commission'").await > 0;
    let dying = runner(&world);
    let task = tokio::spawn(async move { dying.run_next(pending()).await });
    while !is_under_way().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    task.abort();
    assert!(task.await.is_err(), "it was aborted in its middle");
    assert_eq!(import(&world, id).await["status"], "RUNNING");
    assert!(!runner(&world).run_next(pending()).await.expect("the lease has not ended"));
    world.sql("UPDATE data_imports SET held_until = now() - interval '1 second'").await;
    // The next one is asked to stop, while it goes on.
    assert!(runner(&world).run_next(tokio::time::sleep(Duration::from_millis(300))).await.expect("it stops"));
    assert_eq!(import(&world, id).await["status"], "WAITING");
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    let done = import(&world, id).await;
    assert_eq!((&done["status"], &done["outcome"]["isProved"]), (&json!("COMPLETED"), &json!(true)), "{done}");
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events WHERE source = 'imported'").await, 3_000);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Several servers take what waits, each import once, and those of one tenant one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers() {
    let world = World::new().await;
    for (seed, source) in [(10, "tolt"), (11, "tapfiliate"), (12, "partnerstack")] {
        let folder = binary::Folder::new();
        Business::new(seed, 3, 50, &["USD"], false).write(source, &folder.0);
        let asked =
            asked(&world, &folder.0, json!({"source": source.to_uppercase(), "linkUrl": "https://shop0.com/?via={key}"})).await;
        assert_eq!(asked["userErrors"], json!([]), "{source}");
    }
    let servers = (0..3).map(|_| async {
        let runner = runner(&world);
        for _ in 0..400 {
            runner.run_next(pending()).await.expect("it runs");
            if world.number("SELECT count(*) FROM data_imports WHERE finished_at IS NULL").await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    futures_util::future::join_all(servers).await;
    assert_eq!(
        world.text("SELECT string_agg(status || ' ' || attempts, ',') FROM data_imports").await,
        "completed 1,completed 1,completed 1"
    );
    // None began before the one before it had ended.
    let overlaps = "SELECT count(*) FROM data_imports a JOIN data_imports b ON a.id < b.id AND a.started_at < b.finished_at AND b.started_at < a.finished_at";
    assert_eq!(world.number(overlaps).await, 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An import that is cancelled stops, and keeps what is in; the same files again go on from there.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling() {
    const CANCEL: &str =
        "mutation ($id: ID!) { cancelDataImport(input: { id: $id }) { replayed import { status } userErrors { code message } } }";
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(13, 20, 4_000, &["USD"], false).write("legacy", &folder.0);
    let input = json!({"source": "LEGACY", "rateUnit": "PERCENT"});
    let first = asked(&world, &folder.0, input.clone()).await;
    let id = &first["import"]["id"];
    let running = runner(&world);
    let task = tokio::spawn(async move { running.run_next(pending()).await });
    while world.number("SELECT count(*) FROM import_rows WHERE kind = 'commission'").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cancelled = async |id: &Value| world.operator(CANCEL, json!({"id": id})).await.data()["cancelDataImport"].clone();
    assert_eq!(cancelled(id).await, json!({"replayed": false, "import": {"status": "CANCELLED"}, "userErrors": []}));
    assert_eq!(cancelled(id).await, json!({"replayed": true, "import": {"status": "CANCELLED"}, "userErrors": []}));
    assert!(tokio::time::timeout(Duration::from_secs(20), task).await.expect("it stops").expect("a task").expect("no error"));
    assert!(world.number("SELECT count(*) FROM partner_commission_events").await < 4_000, "it was cancelled in its middle");
    assert_eq!(world.number("SELECT count(*) FROM data_import_chunks").await, 0);
    let second = asked(&world, &folder.0, input).await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    let done = import(&world, &second["import"]["id"]).await;
    assert_eq!((&done["status"], &done["outcome"]["isProved"]), (&json!("COMPLETED"), &json!(true)), "{done}");
    let ended = cancelled(&second["import"]["id"]).await;
    assert_eq!(ended["userErrors"][0]["code"], "INVALID_TRANSITION", "{ended}");
    assert_eq!(cancelled(&json!("dataimport_01h455vb4pex5vsknk084sn02q")).await["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Who watches an import learns that it waits, how far it is, and that it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn watching() {
    let world = World::with(Setup { is_live: true, ..Setup::default() }).await;
    let server = Listening::start(&world).await;
    let mut operator = server.connect(&staff_token("operator", ACME)).await;
    operator.subscribe("1", "subscription { dataImportChanged { cursor import { status step rowsTotal } } }", json!({})).await;
    let mut all = server.connect(&staff_token("service", ACME)).await;
    all.subscribe("1", "subscription { changes { __typename } }", json!({})).await;
    crate::live::subscriptions::settled(&world, 2).await;
    let folder = binary::Folder::new();
    Business::new(14, 20, 3_000, &["USD"], false).write("legacy", &folder.0);
    asked(&world, &folder.0, json!({"source": "LEGACY", "rateUnit": "PERCENT", "dryRun": true})).await;
    assert_eq!(operator.next("1").await["dataImportChanged"]["import"]["status"], "WAITING");
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    let mut steps = std::collections::BTreeSet::new();
    loop {
        let change = operator.next("1").await["dataImportChanged"]["import"].clone();
        if change["status"] == "COMPLETED" {
            break;
        }
        steps.extend(change["step"].as_str().map(str::to_owned));
    }
    assert!(!steps.is_empty(), "it said what it was doing");
    // A machine learns nothing of it.
    assert!(all.is_silent(Duration::from_millis(500)).await);
}

/// A server that keeps dying of an import gives it up in the end, and one that cannot go on tries again.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_and_again() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(15, 2, 20, &["USD"], false).write("legacy", &folder.0);
    let input = json!({"source": "LEGACY", "rateUnit": "PERCENT"});
    let first = asked(&world, &folder.0, input.clone()).await;
    let id = &first["import"]["id"];
    // Another import of the system holds the lock: that is no failure.
    let other = connect::establish(&world.database.login, None).await.expect("a connection");
    assert!(partner_portal::models::imports::run::lock(&other, world.acme, "legacy").await.expect("a lock"));
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(world.text("SELECT status || ' ' || attempts FROM data_imports").await, "waiting 0");
    drop(other);
    // Something within the database fails: that is one.
    world.sql("UPDATE data_imports SET held_until = NULL; ALTER TABLE import_rows RENAME TO away").await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(world.text("SELECT status || ' ' || attempts FROM data_imports").await, "waiting 1");
    world.sql("ALTER TABLE away RENAME TO import_rows; UPDATE data_imports SET held_until = NULL, attempts = 10").await;
    assert!(runner(&world).run_next(pending()).await.expect("it is given up"));
    let failed = import(&world, id).await;
    assert_eq!(failed["status"], "FAILED");
    assert!(failed["failure"].as_str().is_some_and(|text| text.starts_with("It failed on our side")), "{failed}");
    // The same files with another key.
    let second = asked(&world, &folder.0, input).await;
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    assert_eq!(import(&world, &second["import"]["id"]).await["status"], "COMPLETED");
}

/// A server runs what waits as soon as it is woken, and stops when it is asked to.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_runs_what_waits() {
    let world = World::new().await;
    let woken = std::sync::Arc::clone(&world.app.data_imports);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (own, hub) = (runner(&world), std::sync::Arc::clone(&world.app.hub));
    let server = tokio::spawn(async move {
        own.run(&hub, &woken, async {
            let _ = stopped.await;
        })
        .await;
    });
    let folder = binary::Folder::new();
    Business::new(16, 2, 20, &["USD"], false).write("legacy", &folder.0);
    let asked = asked(&world, &folder.0, json!({"source": "LEGACY", "rateUnit": "PERCENT"})).await;
    let mut status = json!("WAITING");
    for _ in 0..400 {
        status = import(&world, &asked["import"]["id"]).await["status"].clone();
        if status == "COMPLETED" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(status, "COMPLETED");
    stop.send(()).expect("it runs");
    tokio::time::timeout(Duration::from_secs(5), server).await.expect("it stops").expect("without a panic");
}
