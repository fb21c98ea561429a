//! The embedded server, run by the program itself: started twice at once, killed, stopped.

use std::process::{Command, Stdio};

use diesel_async::SimpleAsyncConnection;
use nix::sys::signal::Signal;
use partner_portal::db::embedded::Embedded;
use serde_json::json;

use crate::support::{
    binary::{Folder, Server, command, eventually, processes_in, run},
    cluster::options,
};

/// Two first starts on one folder at once make one server, which both use.
#[tokio::test(flavor = "multi_thread")]
async fn two_first_starts_at_once() {
    let folder = Folder::new();
    let start = || {
        let folder = folder.0.clone();
        tokio::spawn(async move { Embedded::start(&folder, &options()).await })
    };
    let (one, two) = (start(), start());
    let servers = [one.await.expect("a task").expect("a server"), two.await.expect("a task").expect("a server")];
    assert_eq!(servers.iter().filter(|server| server.is_ours()).count(), 1);
    for server in &servers {
        partner_portal::db::connect::establish(&server.owner(), None).await.expect("a connection");
    }
    for server in servers {
        server.stop().await;
    }
    eventually("PostgreSQL is gone", || processes_in(&folder.0).is_empty()).await;
}

/// The first start brings demo data, the next one keeps what is there; killed with SIGKILL the program takes PostgreSQL along,
/// and comes back with everything that it had acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again() {
    let folder = Folder::new();
    let mut server = Server::start(&folder.0);
    let token = String::from_utf8(run(&folder.0, &["token"]).stdout).expect("a token");
    let total = "{ leads { totalCount } dashboard { partner { companyName } } }";
    let before = server.ask(token.trim(), total).await;
    assert!(before["data"]["leads"]["totalCount"].as_i64() > Some(10), "{before}");
    let send = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id } } }";
    let created = server.ask(token.trim(), send).await["data"]["createLead"]["lead"]["id"].clone();
    server.signal(Signal::SIGKILL);
    server.child.wait().expect("it ends");

    // At once: the old PostgreSQL may still be stopping.
    let server = Server::start(&folder.0);
    let after = server.ask(token.trim(), &format!("{{ leads {{ totalCount }} lead(id: {created}) {{ clientName }} }}")).await;
    assert_eq!(
        after["data"]["leads"]["totalCount"].as_i64(),
        before["data"]["leads"]["totalCount"].as_i64().map(|total| total + 1)
    );
    assert_eq!(after["data"]["lead"]["clientName"], json!("C"));
    server.signal(Signal::SIGKILL);
    eventually("PostgreSQL ends with its parent", || processes_in(&folder.0).is_empty()).await;
}

/// Two whole programs started at once on a folder that is not there yet: one serves, with one set of demo data; the other says
/// that the first runs the database.
#[tokio::test(flavor = "multi_thread")]
async fn two_first_programs_at_once() {
    let folder = Folder::new();
    let start = || {
        let mut command = command(&folder.0);
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the program runs")
    };
    let mut programs = [start(), start()];
    let mut ended = None;
    for _ in 0..3_000 {
        ended = programs.iter_mut().position(|program| program.try_wait().expect("its state").is_some());
        if ended.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let mut said = String::new();
    let loser = &mut programs[ended.expect("one of them ends")];
    std::io::Read::read_to_string(loser.stderr.as_mut().expect("its errors"), &mut said).expect("text");
    assert!(said.contains("another partner-portal runs the database"), "{said}");
    // The demo data comes whole or not at all.
    let tenants = || String::from_utf8(run(&folder.0, &["tenant", "list"]).stdout).expect("text").lines().count();
    eventually("there is demo data", || tenants() > 0).await;
    assert_eq!(tenants(), 2);
    for program in &mut programs {
        let _ = program.kill();
        let _ = program.wait();
    }
    eventually("PostgreSQL ends with its parent", || processes_in(&folder.0).is_empty()).await;
}

/// A second program on the same folder uses the running server, and leaves it running.
#[tokio::test(flavor = "multi_thread")]
async fn commands_beside_a_running_server() {
    let folder = Folder::new();
    let server = Server::start(&folder.0);
    let listed = run(&folder.0, &["tenant", "list"]);
    let text = String::from_utf8(listed.stdout).expect("text");
    assert!(text.starts_with("kanto\tKanto Robotics\tJPY") && text.contains("\nnorthwind\tNorthwind Software\tUSD"), "{text}");
    let seeded =
        run(&folder.0, &["seed", "--partners", "2", "--leads", "50", "--invoices", "20", "--seed", "9", "--tenant", "kanto"]);
    assert_eq!(String::from_utf8_lossy(&seeded.stderr), "");
    let said = String::from_utf8_lossy(&seeded.stdout).into_owned();
    assert!(said.starts_with("kanto has 2 more partners, 50 more leads, "), "{said}");
    let again =
        run(&folder.0, &["seed", "--partners", "2", "--leads", "50", "--invoices", "20", "--seed", "9", "--tenant", "kanto"]);
    assert_eq!(
        String::from_utf8_lossy(&again.stdout),
        "kanto has 0 more partners, 0 more leads, 0 more commissions, 0 more payouts, 0 more members and 0 more links with 0 clicks and 0 sign-ups by them.\n"
    );
    let operator =
        String::from_utf8(run(&folder.0, &["token", "--role", "operator", "--tenant", "kanto"]).stdout).expect("a token");
    let totals = server.ask(operator.trim(), "{ leads { totalCount } partners { totalCount nodes { id } } }").await;
    assert_eq!((&totals["data"]["leads"]["totalCount"], &totals["data"]["partners"]["totalCount"]), (&json!(170), &json!(6)));
    // A token for a partner by its id acts for that partner.
    let partner = totals["data"]["partners"]["nodes"][5]["id"].as_str().expect("an id").to_owned();
    let token = String::from_utf8(run(&folder.0, &["token", "--partner", &partner]).stdout).expect("a token");
    let me = server.ask(token.trim(), "{ me { role partner { id } } }").await;
    assert_eq!(me["data"]["me"], json!({"role": "PARTNER_OWNER", "partner": {"id": partner}}));
}

/// `seed` on an empty embedded database brings the demo data first, and says at the terminal what it added.
#[test]
fn seeding_an_empty_database() {
    let folder = Folder::new();
    let seeded = run(&folder.0, &["seed", "--partners", "3", "--leads", "1100", "--invoices", "20"]);
    let said = String::from_utf8_lossy(&seeded.stdout).into_owned();
    assert!(said.starts_with("northwind has 3 more partners, 1100 more leads, "), "{said}");
    let listed = run(&folder.0, &["tenant", "list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 2);
    let unknown = run(&folder.0, &["seed", "--tenant", "nobody"]);
    assert!(
        String::from_utf8_lossy(&unknown.stderr)
            .ends_with("partner-portal: there is no tenant \"nobody\"; `partner-portal tenant list` shows them\n")
    );
}

/// A running server approves by itself what has been held long enough, at each turn of its maintenance.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_what_is_due() {
    let folder = Folder::new();
    let server = Server::start_with(&folder.0, &[("PORTAL_MAINTENANCE_INTERVAL", "0.2")]);
    run(&folder.0, &["tenant", "set", "northwind", "--hold-days", "7"]);
    let service = String::from_utf8(run(&folder.0, &["token", "--role", "service"]).stdout).expect("a token");
    let now = partner_portal::clock::shown(partner_portal::clock::Clock::default().now());
    let pay = format!(
        "mutation {{ recordInvoicePayment(input: {{ invoiceId: \"held\", customerExternalId: \"cus_1_1_1\", amount: \"50.00\", paidAt: \"{now}\" }}) {{ commission {{ id status }} }} }}"
    );
    let held = server.ask(service.trim(), &pay).await["data"]["recordInvoicePayment"]["commission"].clone();
    assert_eq!(held["status"], "PENDING");
    let database = Embedded::start(&folder.0.join("postgres"), &options()).await.expect("the running server");
    let mut owner = partner_portal::db::connect::establish(&database.owner(), None).await.expect("a connection");
    let early = "UPDATE partner_commission_events SET due_at = now() - interval '1 second' WHERE invoice_id = 'held'";
    owner.batch_execute(early).await.expect("it is due");
    let mut status = json!(null);
    for _ in 0..100 {
        let asked = server.ask(service.trim(), &format!("{{ commission(id: {}) {{ status }} }}", held["id"])).await;
        status = asked["data"]["commission"]["status"].clone();
        if status == "APPROVED" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(status, "APPROVED");
}

/// Ctrl-C lets requests in flight finish, stops PostgreSQL and leaves no process.
#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end() {
    let folder = Folder::new();
    let mut server = Server::start(&folder.0);
    let token = String::from_utf8(run(&folder.0, &["token"]).stdout).expect("a token");
    // The request waits for this lock, and so is in flight for as long as we hold it.
    let database = Embedded::start(&folder.0.join("postgres"), &options()).await.expect("the running server");
    let mut holder = partner_portal::db::connect::establish(&database.owner(), None).await.expect("a connection");
    holder.batch_execute("BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
    let asking = {
        let url = format!("http://{}/graphql", server.address);
        let token = token.trim().to_owned();
        let query = json!({"query": "{ leads { totalCount } }"});
        tokio::spawn(async move {
            reqwest::Client::new().post(url).bearer_auth(token).json(&query).send().await.expect("an answer").status()
        })
    };
    let waiting = "DO $$ BEGIN FOR i IN 1..500 LOOP EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted); PERFORM pg_sleep(0.01); END LOOP; END $$";
    let mut watcher = partner_portal::db::connect::establish(&database.owner(), None).await.expect("a connection");
    watcher.batch_execute(waiting).await.expect("the request waits");
    server.signal(Signal::SIGINT);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(server.child.try_wait().expect("its state").is_none(), "the server waits for the request");
    drop((holder, watcher));
    assert_eq!(asking.await.expect("a task"), 200);
    assert!(server.child.wait().expect("it ends").success());
    // What fetches GraphiQL's files at the start ends a moment after its parent.
    for _ in 0..100 {
        if processes_in(&folder.0).is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(processes_in(&folder.0), Vec::<u32>::new());
}

/// With no PostgreSQL to be found and none to be fetched the program ends with one line that says what to do.
#[test]
fn without_any_postgres() {
    let folder = Folder::new();
    let empty = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_partner-portal"));
    command.env_clear().env("PATH", empty.path()).env("PORTAL_DATA_DIR", &folder.0).args([
        "migrate",
        "--postgres-source",
        "download",
    ]);
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("none could be fetched: the npm client cannot be run") && said.contains("set DATABASE_URL"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("partner-portal:")).count(), 1);
}
