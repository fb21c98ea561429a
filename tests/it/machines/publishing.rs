//! Several servers on one database publish as much as one does.

use std::{sync::Arc, time::Duration};

use diesel_async::SimpleAsyncConnection;
use partner_portal::live::{Hub, Item};
use serde_json::json;

use crate::{
    live::subscriptions::{LEADS, live, settled, step},
    support::{World, listening::Listening, token, world::ACME},
};

/// How often the database has been asked to publish.
const ASKED: &str = "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'publish_events'";

/// How often it is asked to in this time, once what was counted before is in.
async fn asked(world: &World, time: Duration) -> i64 {
    // Each connection reports what it has counted once a second at most.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let before = world.number(ASKED).await;
    tokio::time::sleep(time).await;
    world.number(ASKED).await - before
}

/// Of six idle servers one publishes, and each hears of every change; so it is while there are changes.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_six_publishes() {
    let (world, _) = live().await;
    world.sql(&format!("ALTER DATABASE {} SET track_functions = 'pl'", world.text("SELECT current_database()").await)).await;
    let mut twins = Vec::new();
    for _ in 0..6 {
        twins.push(world.twin().await);
    }
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut sockets = Vec::new();
    let mut servers = Vec::new();
    for twin in &twins {
        let server = Listening::start(twin).await;
        let mut socket = server.connect(&token("owner_a", ACME)).await;
        socket.subscribe("1", LEADS, json!({})).await;
        settled(twin, 1).await;
        sockets.push(socket);
        servers.push(server);
    }
    for status in ["CONTACTED", "QUALIFIED"] {
        step(&world, &lead, status).await;
        for socket in &mut sockets {
            assert_eq!(socket.next("1").await["leadChanged"]["lead"]["status"], status);
        }
    }
    let seconds = 6;
    let idle = asked(&world, Duration::from_secs(seconds)).await;
    // One looks four times a second; each of the others every other second.
    let most = i64::try_from(seconds).expect("a few") * (4 + 3) + 4;
    assert!(idle <= most, "{idle} times in {seconds} s while nothing changes, where {most} are expected of six servers");
}

/// Servers end one after another, whichever of them publishes: those that are left hear of each change within a moment, once.
#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_publishes_ends() {
    let world = World::new().await;
    let mut servers = Vec::new();
    for _ in 0..4 {
        let hub = Arc::new(Hub::of(&world.database.login, partner_portal::db::DatabaseKind::Single).await.expect("a hub"));
        let task = hub.listen(world.database.login.clone()).await.expect("a listener");
        servers.push((hub.watch(), task, hub));
    }
    // Which of them publishes is decided by then.
    world.add_lead(world.acme, world.a).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for left in (1..4).rev() {
        let (_, task, _) = servers.remove(0);
        task.abort();
        let lead = world.add_lead(world.acme, world.a).await;
        for (events, ..) in &mut servers {
            let told = async {
                while !matches!(events.recv().await.expect("an event"), Item::Event(event) if event.subject_id == lead.uuid()) {}
            };
            tokio::time::timeout(Duration::from_millis(1_500), told)
                .await
                .unwrap_or_else(|_| panic!("{left} are left, and one hears nothing"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        for (events, ..) in &mut servers {
            assert!(events.try_recv().is_err(), "nothing comes twice");
        }
    }
}

/// A server to which nothing happens is cut off from the database again and again: after a quiet while it hears of a change within a moment, also where
/// transactions read only by default.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_connections_are_cut() {
    let world = World::new().await;
    let database = world.text("SELECT current_database()").await;
    world.sql(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on")).await;
    let hub = Arc::new(Hub::of(&world.database.login, partner_portal::db::DatabaseKind::Single).await.expect("a hub"));
    let task = hub.listen(world.database.login.clone()).await.expect("a listener");
    let mut events = hub.watch();
    // Cuts the listener off once it has been connected for so long.
    let cut_off = async |seconds: f64| {
        let cut = format!(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND (query LIKE '%events_of_all_kinds_from%' OR query LIKE '%publish_events%')
                 AND backend_start < clock_timestamp() - interval '{seconds} s'"
        );
        for _ in 0..800 {
            if world.number(&cut).await == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it does not connect again");
    };
    for _ in 0..6 {
        cut_off(0.0).await;
    }
    cut_off(1.5).await;
    let mut owner = world.owner().await;
    owner.batch_execute("SET default_transaction_read_only = off").await.expect("a setting");
    owner
        .batch_execute(&format!(
            "INSERT INTO events (tenant_id, partner_id, kind, subject_id) VALUES ('{}', '{}', 'lead', gen_random_uuid())",
            world.acme.uuid(),
            world.a.uuid()
        ))
        .await
        .expect("an event");
    let told = tokio::time::timeout(Duration::from_secs(2), events.recv()).await;
    told.expect("it hears of it within a moment").expect("an event");
    task.abort();
}
