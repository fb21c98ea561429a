//! Cursors of changes: where a client goes on, and which cursors are refused.

use std::time::Duration;

use partner_portal::models::event::Position;
use serde_json::json;

use super::subscriptions::*;
use crate::support::{World, listening::Socket, token, world::ACME};

/// A query says where the order of changes stands in it: who subscribes from there misses nothing in between.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_querys_instant_on() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let page = world.owner_a("{ eventCursor leads { nodes { status } } }", json!({})).await;
    step(&world, &lead, "CONTACTED").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({"since": page.data()["eventCursor"]})).await;
    assert_eq!(socket.next("1").await["leadChanged"]["lead"]["status"], "CONTACTED");
    assert!(socket.is_silent(Duration::from_millis(500)).await);
}

/// What is older than it is kept for is forgotten, from the beginning on; the last event stays.
#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_forgotten() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 5).await;
    world.add_lead(world.acme, world.b).await;
    world.number("SELECT publish_events(100)").await;
    world.sql("UPDATE events SET at = now() - interval '8 days' WHERE place < 6").await;
    let clock = &world.app.clock;
    let forgotten = partner_portal::jobs::forget_events(&world.app.pool, clock.now() - chrono::TimeDelta::days(7)).await;
    assert_eq!((forgotten.expect("it is done"), world.number("SELECT min(place) FROM events").await), (5, 6));
    let none = partner_portal::jobs::forget_events(&world.app.pool, clock.now() + chrono::TimeDelta::days(7)).await;
    assert_eq!(none.expect("it is done"), 0);
}

/// A cursor from before what is kept, or from elsewhere, is refused and says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn old_cursors() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&world, 1).await;
    step(&world, &lead, "CONTACTED").await;
    let cursor = socket.next("1").await["leadChanged"]["cursor"].clone();
    step(&world, &lead, "QUALIFIED").await;
    socket.next("1").await;
    step(&world, &lead, "LOST").await;
    socket.next("1").await;
    world.number("SELECT forget_events(now() + interval '1 hour', 1000)").await;
    let far = world.app.hub.cursors().encode(Position { sequence: 1_000_000, mark: [0; 8] }).expect("a cursor");
    for (since, words) in [(cursor, "not kept any more"), (json!(far), "restored, moved or replaced")] {
        socket.subscribe("2", LEADS, json!({"since": since})).await;
        let message = socket.receive().await;
        assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED");
        assert!(message["payload"][0]["message"].as_str().is_some_and(|text| text.contains(words)), "{message}");
    }
}

async fn expired(socket: &mut Socket, id: &str) {
    let message = socket.receive().await;
    assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("error")), "{message}");
    assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{message}");
}

/// The database does not know the last change that was sent, as after the promotion of a standby that had not received it: subscriptions end
/// with `CURSOR_EXPIRED`, new ones receive what comes, and a cursor from before stays refused when another change has its sequence number.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_went_back() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    socket.subscribe("2", CHANGES, json!({})).await;
    settled(&world, 2).await;
    let mut cursors = Vec::new();
    for to in ["CONTACTED", "QUALIFIED", "LOST"] {
        step(&world, &lead, to).await;
        for _ in 0..2 {
            let message = socket.receive().await;
            cursors.extend(message["payload"]["data"]["leadChanged"]["cursor"].as_str().map(str::to_owned));
        }
    }
    let last = world.number("SELECT max(place) FROM events").await;
    world.sql(&format!("DELETE FROM events WHERE place > {last} - 2; SELECT setval('event_places', {last} - 2)")).await;
    let mut ended = [socket.receive().await, socket.receive().await];
    ended.sort_by_key(|message| message["id"].to_string());
    for (message, id) in ended.iter().zip(["1", "2"]) {
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("error")), "{message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{message}");
    }
    // What both histories have is known still.
    socket.subscribe("3", LEADS, json!({"since": cursors[0]})).await;
    socket.subscribe("4", LEADS, json!({"since": cursors[2]})).await;
    expired(&mut socket, "4").await;
    settled(&world, 1).await;
    for to in ["PENDING", "CONTACTED", "LOST"] {
        step(&world, &lead, to).await;
        assert_eq!(socket.next("3").await["leadChanged"]["lead"]["status"], to);
    }
    socket.subscribe("5", LEADS, json!({"since": cursors[2]})).await;
    expired(&mut socket, "5").await;
}

/// A database that was restored from a dump is another history, though its changes are the same: cursors from before are refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&world, 1).await;
    let empty = world.owner_a("{ eventCursor }", json!({})).await.data()["eventCursor"].clone();
    step(&world, &lead, "CONTACTED").await;
    let cursor = socket.next("1").await["leadChanged"]["cursor"].clone();
    world
        .sql(
            "ALTER TABLE events RENAME TO before;
             ALTER SEQUENCE events_id_seq RENAME TO before_id_seq;
             CREATE TABLE events (LIKE before INCLUDING DEFAULTS INCLUDING IDENTITY);
             CREATE UNIQUE INDEX ON events (tenant_id, transaction, kind, subject_id) WHERE place IS NULL;
             INSERT INTO events OVERRIDING SYSTEM VALUE SELECT * FROM before;
             SELECT setval('events_id_seq', (SELECT last_value FROM before_id_seq))",
        )
        .await;
    for (id, cursor) in [("2", cursor), ("3", empty)] {
        socket.subscribe(id, LEADS, json!({"since": cursor})).await;
        expired(&mut socket, id).await;
    }
    // Who watches has missed nothing, and goes on.
    step(&world, &lead, "QUALIFIED").await;
    assert_eq!(socket.next("1").await["leadChanged"]["lead"]["status"], "QUALIFIED");
}
