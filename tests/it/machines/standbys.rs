//! Servers on a standby: they read, and go on as servers of a primary once it is promoted.

use std::time::Duration;

use axum::http::StatusCode;
use diesel_async::SimpleAsyncConnection;
use partner_portal::{
    db::{embedded::Embedded, migrations},
    error::Error,
};
use serde_json::json;

use crate::{
    live::subscriptions::{LEADS, STEP, settled, step},
    support::{
        World,
        binary::Folder,
        cluster::{self, Database},
        listening::Listening,
        standby::Standby,
        token,
        world::{ACME, Setup},
    },
};

/// A PostgreSQL server of the test's own, with a world on it.
pub struct Primary {
    pub world: World,
    pub server: Embedded,
    pub _folder: Folder,
}

impl Primary {
    pub async fn start() -> Self {
        let folder = Folder::new();
        let server = Embedded::start(&folder.0, &cluster::options()).await.expect("PostgreSQL");
        migrations::run(&server.owner()).await.expect("migrations");
        server.grant_roles().await.expect("grants");
        let setup = Setup { database: Some(Database::of(&server)), is_live: true, ..Setup::default() };
        Self { world: World::with(setup).await, server, _folder: folder }
    }
}

const NOT_NOW: &str = "The service is not available at the moment. Try again in a few seconds.";

/// A server on a standby answers queries, leads links on, and tells subscribers what changes on the primary. What it cannot do it says: nothing is done,
/// and it may be asked again. Once the standby is promoted it does all of that, and the same subscription goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_reads_until_it_is_promoted() {
    let Primary { world, server, .. } = &Primary::start().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let link = world.link("https://www.globex-shop.com/p").await;
    // Who has signed in already is known there.
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(server, &[]).await;
    let reader = world.twin_on(standby.database()).await;
    let _following = reader.follow_links().await;

    let answer = reader.owner_a("{ leads { nodes { id status } } }", json!({})).await;
    assert_eq!(answer.data()["leads"]["nodes"], json!([{"id": lead, "status": "PENDING"}]));
    let path = format!("/l/{}", link["key"].as_str().expect("a key"));
    assert_eq!(reader.follow(&path, "203.0.113.7").await.split('?').next(), Some("https://www.globex-shop.com/p"));
    assert_eq!(reader.visit("GET", "/readyz", &[]).await.status(), StatusCode::OK);

    // A change, and a person who is seen for the first time.
    let step_there = || reader.owner_a(STEP, json!({"id": lead, "to": "CONTACTED"}));
    for answer in [step_there().await, reader.acme("somebody_new", "{ me { user { id } } }", json!({})).await] {
        assert_eq!((answer.code(), answer.message()), ("SERVICE_UNAVAILABLE", NOT_NOW), "{}", answer.body);
        assert_eq!(answer.headers.get("retry-after").map(axum::http::HeaderValue::as_bytes), Some(&b"1"[..]));
    }

    let listening = Listening::start(&reader).await;
    let mut socket = listening.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&reader, 1).await;
    step(world, &lead, "CONTACTED").await;
    assert_eq!(socket.next("1").await["leadChanged"]["lead"]["status"], "CONTACTED");
    assert!(
        tokio::time::timeout(Duration::from_millis(300), reader.app.hub.until_writable()).await.is_err(),
        "what writes by itself waits"
    );

    standby.catch_up(server).await;
    standby.promote().await;
    tokio::time::timeout(Duration::from_secs(10), reader.app.hub.until_writable()).await.expect("it writes now");
    step(&reader, &lead, "QUALIFIED").await;
    assert_eq!(socket.next("1").await["leadChanged"]["lead"]["status"], "QUALIFIED", "the subscription goes on");
    reader.acme("somebody_new", "{ me { user { id } } }", json!({})).await.data();
    // What was clicked on the standby has waited for this.
    for _ in 0..400 {
        if reader.number("SELECT count(*) FROM link_clicks").await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the click that came while it was a standby is not written");
}

/// A read that stands in the way of what a standby replays is not a fault of ours: it may be asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_conflict_with_recovery() {
    let Primary { world, server, .. } = &Primary::start().await;
    world.add_leads(world.acme, world.a, 50).await;
    let standby = Standby::of(server, &["max_standby_streaming_delay=0", "hot_standby_feedback=off"]).await;
    let mut reading = standby.owner().await;
    reading.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events").await.expect("a snapshot");
    world.sql("DELETE FROM events").await;
    world.sql("VACUUM events").await;
    let mut error = None;
    for _ in 0..400 {
        match reading.batch_execute("SELECT count(*) FROM events").await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(25)).await,
            Err(found) => {
                error = Some(Error::from(found));
                break;
            }
        }
    }
    let error = error.expect("what is replayed ends the read");
    assert_eq!((error.code(), error.public_message().as_str()), ("SERVICE_UNAVAILABLE", NOT_NOW), "{error}");
}

/// A client whose cursor comes from the primary goes on at a server on a standby that has not replayed so far yet: it may be asked again, and is not told that
/// the cursor has expired.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_that_lags() {
    let Primary { world, server, .. } = &Primary::start().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(server, &[]).await;
    let reader = world.twin_on(standby.database()).await;
    let listening = Listening::start(&reader).await;
    let mut early = listening.connect(&token("owner_a", ACME)).await;
    early.subscribe("early", LEADS, json!({})).await;
    settled(&reader, 1).await;
    standby.owner().await.batch_execute("SELECT pg_wal_replay_pause()").await.expect("it pauses");
    step(world, &lead, "CONTACTED").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cursor = world.owner_a("{ eventCursor }", json!({})).await.data()["eventCursor"].clone();
    let mut socket = listening.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({"since": cursor})).await;
    let refused = socket.receive().await;
    assert_eq!(refused["payload"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE", "{refused}");
    standby.owner().await.batch_execute("SELECT pg_wal_replay_resume()").await.expect("it goes on");
    assert_eq!(early.next("early").await["leadChanged"]["lead"]["status"], "CONTACTED", "nobody is sent away");
    socket.subscribe("2", LEADS, json!({"since": cursor})).await;
    settled(&reader, 2).await;
    step(world, &lead, "QUALIFIED").await;
    assert_eq!(socket.next("2").await["leadChanged"]["lead"]["status"], "QUALIFIED");
}
