//! What goes wrong around the server: the database away, connections cut or all in use, clients that leave, an end under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use partner_portal::db::{
    embedded::{Embedded, Options},
    migrations,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    World,
    binary::{Folder, Server, eventually, run},
    cluster::{self, Database},
    listening::Listening,
    log, token,
    world::{ACME, Setup},
};

const PERHAPS: &str = "it may have been made";
const LEADS: &str = "{ leads(first: 5) { nodes { id partner { id } } } }";

/// PostgreSQL stops and starts again under load: meanwhile requests learn so, quickly; afterwards all work, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_database_goes_and_comes() {
    let folder = Folder::new();
    let options = Options { throw_away: false, ..cluster::options() };
    let server = Embedded::start(&folder.0, &options).await.expect("PostgreSQL");
    migrations::run(&server.owner()).await.expect("migrations");
    server.grant_roles().await.expect("grants");
    let database = Database::of(&server);
    let world = World::with(Setup { database: Some(database), is_live: true, ..Setup::default() }).await;
    let (done, failures) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asks = (0..8).map(|_| async {
        while !done.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let answer = world.owner_a(LEADS, json!({})).await;
            assert!(asked.elapsed() < Duration::from_secs(6), "an answer took {:?}", asked.elapsed());
            if answer.body.get("errors").is_some() {
                assert_eq!(answer.code(), "SERVICE_UNAVAILABLE", "{}", answer.body);
                assert!(answer.headers.contains_key("retry-after"), "{}: {}", answer.status, answer.body);
                failures.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let fault = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.stop().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let again = Embedded::start(&folder.0, &options).await.expect("PostgreSQL again");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = failures.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        done.store(true, Ordering::Relaxed);
        (again, before, failures.load(Ordering::Relaxed))
    };
    let (_, (again, before, after)) = tokio::join!(join_all(asks), fault);
    assert!(before > 0, "requests failed while it was away");
    assert_eq!(after, before, "and none once it was back");
    drop(world);
    again.stop().await;
}

/// Connections are cut under load: nobody gets a wrong answer, and the server goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_are_cut() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 5).await;
    let done = AtomicBool::new(false);
    let asks = (0..6).map(|_| async {
        let mut failures = 0;
        while !done.load(Ordering::Relaxed) {
            let answer = world.owner_a(LEADS, json!({})).await;
            if answer.body.get("errors").is_some() {
                assert_eq!(answer.code(), "SERVICE_UNAVAILABLE", "{}", answer.body);
                assert!(answer.headers.contains_key("retry-after"), "{}: {}", answer.status, answer.body);
                failures += 1;
            } else {
                assert_eq!(answer.body["data"]["leads"]["nodes"].as_array().map(Vec::len), Some(5));
            }
        }
        failures
    });
    let cut = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        done.store(true, Ordering::Relaxed);
    };
    let (failures, ()) = tokio::join!(join_all(asks), cut);
    // Five times four connections at most, each of which one request can have been using.
    assert!(failures.iter().sum::<usize>() <= 20, "{failures:?}");
    world.owner_a(LEADS, json!({})).await.data();
}

/// When all connections are in use for long, a request more learns so after its wait, and others go on when they are free.
#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_exhausted() {
    let world = World::with(Setup { pool: 2, pool_wait: Duration::from_millis(300), ..Setup::default() }).await;
    world.add_lead(world.acme, world.a).await;
    let mut locker = world.owner().await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
    let late = async {
        world.until_locked(2).await;
        let answer = world.owner_a("{ me { role } }", json!({})).await;
        drop(locker);
        answer
    };
    let (first, second, late) = tokio::join!(world.owner_a(LEADS, json!({})), world.owner_a(LEADS, json!({})), late);
    assert_eq!((late.status.as_u16(), late.code()), (503, "SERVICE_UNAVAILABLE"));
    first.data();
    second.data();
    world.owner_a(LEADS, json!({})).await.data();
}

/// A request that is given up while its statement runs keeps nobody waiting: its connection is handed to no one before it is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_given_up() {
    let world = World::with_pool(2).await;
    world.add_leads(world.acme, world.a, 5).await;
    for _ in 0..2 {
        // So that the next one is predicted, and the one after it could be given the same connection.
        world.owner_a(LEADS, json!({})).await.data();
        let mut locker = world.owner().await;
        diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
        world.operator("{ me { role } }", json!({})).await.data();
        tokio::select! {
            _ = world.owner_a(LEADS, json!({})) => panic!("the table is locked"),
            () = world.until_locked(1) => {}
        }
        for _ in 0..10 {
            let asked = Instant::now();
            world.owner_a("{ me { role } }", json!({})).await.data();
            assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
        }
        drop(locker);
        assert_eq!(world.owner_a(LEADS, json!({})).await.data()["leads"]["nodes"].as_array().map(Vec::len), Some(5));
    }
}

/// The end of a transaction that nobody goes on from, and a request that wants its connection just then: neither takes it from the other for
/// good.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_wanted_while_it_is_tidied() {
    let world = World::with_pool(1).await;
    for turn in 0..400 {
        let asked = Instant::now();
        world.owner_a("{ me { role } }", json!({})).await.data();
        assert!(asked.elapsed() < Duration::from_secs(5), "turn {turn} took {:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_micros(1_500 + 10 * turn)).await;
    }
}

/// A reading transaction in which a statement has failed is no hindrance to the request that is given its connection next.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_is_handed_on() {
    let world = World::with_pool(1).await;
    world.sql("ALTER TABLE partner_leads RENAME COLUMN notes TO remarks").await;
    for _ in 0..5 {
        assert_eq!(world.owner_a("{ leads { nodes { notes } } }", json!({})).await.code(), "INTERNAL_SERVER_ERROR");
        world.operator("{ me { role } }", json!({})).await.data();
        world.owner_a("{ me { partner { companyName } } }", json!({})).await.data();
    }
}

/// What is refused at its commit is not reported as done, though its answer was being read already; the next requests on the same
/// connection are none the worse for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_fails() {
    let world = World::with_pool(1).await;
    let refused = world.add_lead(world.acme, world.a).await;
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused at last'; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON partner_leads DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (NEW.id = '{}') EXECUTE FUNCTION refuse()",
        refused.uuid()
    );
    world.sql(&refuse).await;
    let refused = refused.to_string();
    for _ in 0..3 {
        let taken = world.add_lead(world.acme, world.a).await.to_string();
        let answer = world.owner_a(&lose(&refused), json!({})).await;
        assert_eq!(
            (answer.code(), &answer.body["data"]),
            ("INTERNAL_SERVER_ERROR", &json!({"updateLeadStatus": null})),
            "{answer:?}"
        );
        world.owner_a(&lose(&taken), json!({})).await.data();
        assert_eq!(status(&world, &refused).await, "PENDING");
        assert_eq!(status(&world, &taken).await, "LOST");
    }
}

/// What is committed stays, also when the answer cannot be read; the next request finds it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cannot_be_read() {
    let world = World::with_pool(1).await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    world.sql("ALTER TABLE partner_leads RENAME COLUMN created_at TO made_at").await;
    let answer = world.owner_a(&lose(&lead), json!({})).await;
    assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR");
    assert!(answer.text.contains(PERHAPS), "{answer:?}");
    world.sql("ALTER TABLE partner_leads RENAME COLUMN made_at TO created_at").await;
    assert_eq!(status(&world, &lead).await, "LOST");
}

/// Nobody is asked to try again what may have been done: where the time is over while a change is being committed, and where the connection
/// breaks off just then.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_not_answered() {
    let world = World::with(Setup { pool: 1, operation_timeout: Duration::from_secs(2), ..Setup::default() }).await;
    let leads =
        [world.add_lead(world.acme, world.a).await, world.add_lead(world.acme, world.a).await].map(|lead| lead.to_string());
    linger_at_commit(&world).await;
    for (lead, breaks) in leads.iter().zip([false, true]) {
        let mut locker = world.owner().await;
        diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "SELECT pg_advisory_lock(1)").await.expect("a lock");
        let breaking = async {
            if breaks {
                world.until_locked(1).await;
                world.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
            }
        };
        let step = lose(lead);
        let (answer, ()) = tokio::join!(world.owner_a(&step, json!({})), breaking);
        assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR");
        assert!(answer.text.contains(PERHAPS), "{answer:?}");
        drop(locker);
        if breaks {
            let received = |line: &Value| line["message"] == "a transaction could not be ended; its connection is closed";
            eventually("the log names the request", || log::lines_of(&answer).iter().any(received)).await;
        }
        // What is asked for in time is none the worse for it.
        assert_eq!(status(&world, lead).await, if breaks { "PENDING" } else { "LOST" });
    }
}

/// Makes each change of a lead wait at its commit for the lock 1.
async fn linger_at_commit(world: &World) {
    world
        .sql(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON partner_leads DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION linger()",
        )
        .await;
}

/// A client closes its socket in the middle of a mutation: nothing of it stays, and its connection serves the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_closes_midway() {
    let world = World::with_pool(1).await;
    let server = Listening::start(&world).await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut locker = world.owner().await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE lead_status_changes")
        .await
        .expect("a lock");
    let stream = send(&server, &lose(&lead)).await;
    world.until_locked(1).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(locker);
    assert_eq!(status(&world, &lead).await, "PENDING");
}

/// A client closes its socket while its change is being committed: that has been asked for and is not taken back, and the connection serves
/// the next once it is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_closes_at_the_commit() {
    let world = World::with_pool(1).await;
    let server = Listening::start(&world).await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    linger_at_commit(&world).await;
    let mut locker = world.owner().await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "SELECT pg_advisory_lock(1)").await.expect("a lock");
    let stream = send(&server, &lose(&lead)).await;
    world.until_locked(1).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(locker);
    assert_eq!(status(&world, &lead).await, "LOST");
    assert_eq!(world.app.pool.status().size, 1);
}

fn lose(lead: &str) -> String {
    format!("mutation {{ updateLeadStatus(input: {{ id: \"{lead}\", status: LOST }}) {{ lead {{ status }} }} }}")
}

async fn status(world: &World, lead: &str) -> Value {
    let answer = world.owner_a("query ($id: ID!) { lead(id: $id) { status } }", json!({"id": lead})).await;
    answer.data()["lead"]["status"].clone()
}

/// Sends a document over a socket that is not read from.
async fn send(server: &Listening, document: &str) -> TcpStream {
    let body = json!({"query": document}).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        token("owner_a", ACME),
        body.len()
    );
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    stream
}

/// SIGTERM under load: what was acknowledged is there, what was not is not, and the process ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_end_under_load() {
    let folder = Folder::new();
    let mut server = Server::start(&folder.0);
    let token = String::from_utf8(run(&folder.0, &["token"]).stdout).expect("a token").trim().to_owned();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (url, token, acknowledged) = (format!("http://{}/graphql", server.address), token.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client");
                for turn in 0.. {
                    let query = format!("mutation {{ createLead(input: {{ idempotencyKey: \"stop-{task}-{turn}\", clientName: \"Stop {task} {turn}\", clientEmail: \"s@example.com\", service: \"S\" }}) {{ lead {{ id }} userErrors {{ code }} }} }}");
                    let Ok(response) = client.post(&url).bearer_auth(&token).json(&json!({"query": query})).send().await else { return };
                    assert_eq!(response.status(), 200, "none is refused midway");
                    let answer: Value = response.json().await.expect("a whole answer");
                    assert!(answer["data"]["createLead"]["lead"]["id"].is_string(), "{answer}");
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while acknowledged.load(Ordering::Relaxed) < 60 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.signal(Signal::SIGTERM);
    for task in tasks {
        task.await.expect("every answer was whole");
    }
    let mut status = None;
    eventually("it ends", || {
        status = server.child.try_wait().expect("a status");
        status.is_some()
    })
    .await;
    assert!(status.expect("a status").success());
    let again = Server::start(&folder.0);
    let found = again.ask(&token, "{ leads(filter: { search: \"Stop \" }, first: 1) { totalCount } }").await;
    assert_eq!(found["data"]["leads"]["totalCount"], json!(acknowledged.load(Ordering::Relaxed)), "{found}");
}
