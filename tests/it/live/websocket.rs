//! The graphql-transport-ws protocol, message by message and code by code.

use std::time::Duration;

use partner_portal::config::limits::Limits;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    World,
    listening::Listening,
    sign, token,
    tokens::{good_claims, now, staff_token},
    world::{ACME, Setup},
};

const WATCH: &str = "subscription { leadChanged { lead { id status } } }";

async fn live(limits: Limits) -> (World, Listening) {
    let world = World::with(Setup { is_live: true, limits, ..Setup::default() }).await;
    let server = Listening::start(&world).await;
    (world, server)
}

fn limits() -> Limits {
    Setup::default().limits
}

/// Someone who does not speak the protocol learns so with its code and a reason, and nothing else happens.
#[tokio::test(flavor = "multi_thread")]
async fn close_codes() {
    let (_world, server) = live(Limits { init_timeout: Duration::from_secs(3), ..limits() }).await;
    let owner = token("owner_a", ACME);

    for text in [
        "",
        "{",
        "5",
        "[]",
        "{}",
        r#"{"type":"unknown"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"connection_init","payload":5}"#,
    ] {
        let mut socket = server.socket().await;
        socket.send_text(text).await;
        let (code, reason) = socket.closing().await;
        assert_eq!(code, 4400, "{text}: {reason}");
        assert!(reason.starts_with("Invalid message") && reason.len() <= 123, "{text}: {reason}");
    }
    let mut binary = server.socket().await;
    binary.send_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.closing().await.0, 4400);
    let mut huge = server.socket().await;
    huge.send_raw(Message::text("x".repeat(1_100_000))).await;
    assert!(matches!(huge.closing().await.0, 1009 | 1006));

    assert_eq!(server.socket_of(None).await.closing().await.0, 4406);
    assert_eq!(server.socket().await.closing().await, (4408, "Connection initialisation timeout".to_owned()));

    let mut early = server.socket().await;
    early.subscribe("1", WATCH, json!({})).await;
    assert_eq!(early.closing().await.0, 4401);

    for payload in [json!({}), json!({"authorization": "Bearer nonsense"}), json!({"authorization": format!("Basic {owner}")})] {
        let mut stranger = server.socket().await;
        stranger.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(stranger.closing().await.0, 4403, "{payload}");
    }

    let mut twice = server.connect(&owner).await;
    twice.send(json!({"type": "connection_init"})).await;
    assert_eq!(twice.closing().await.0, 4429);

    let mut same = server.connect(&owner).await;
    let id = "é".repeat(60);
    same.subscribe(&id, WATCH, json!({})).await;
    same.subscribe(&id, WATCH, json!({})).await;
    let (code, reason) = same.closing().await;
    assert_eq!((code, reason.starts_with("Subscriber for é"), reason.len() <= 123), (4409, true, true), "{reason}");
}

/// Queries and mutations run over the socket too, several at once; what is wrong with one is reported for that one.
#[tokio::test(flavor = "multi_thread")]
async fn operations() {
    let (world, server) = live(limits()).await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.receive().await, json!({"type": "pong"}));
    socket.send(json!({"type": "pong"})).await;

    socket.subscribe("q", "{ me { role } }", json!({})).await;
    assert_eq!(socket.next("q").await, json!({"me": {"role": "PARTNER_OWNER"}}));
    assert_eq!(socket.receive().await, json!({"type": "complete", "id": "q"}));
    let step = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: LOST }) { lead { status } } }";
    socket.subscribe("q", step, json!({"id": lead})).await;
    assert_eq!(socket.next("q").await["updateLeadStatus"]["lead"]["status"], "LOST");
    assert_eq!(socket.receive().await["type"], "complete");

    for (query, code) in [
        ("{", "BAD_USER_INPUT"),
        ("subscription { leadChanged { cursor } payoutChanged { cursor } }", "BAD_USER_INPUT"),
        (
            "subscription { ...F } fragment F on Subscription { a: leadChanged { cursor } b: leadChanged { cursor } }",
            "BAD_USER_INPUT",
        ),
        ("subscription { leadChanged(since: \"nonsense\") { cursor } }", "BAD_USER_INPUT"),
        ("subscription { leadChanged(id: \"payout_x\") { cursor } }", "BAD_USER_INPUT"),
    ] {
        socket.subscribe("e", query, json!({})).await;
        let message = socket.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("e")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}: {message}");
    }
}

/// A user has so many connections and subscriptions, and no more; what is completed makes room.
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_user() {
    let (_world, server) = live(Limits { user_connections: 2, user_subscriptions: 2, ..limits() }).await;
    let owner = token("owner_a", ACME);
    let mut first = server.connect(&owner).await;
    let second = server.connect(&owner).await;
    let mut third = server.socket().await;
    third.send(json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {owner}")}})).await;
    assert_eq!(third.closing().await.0, 1013);
    server.connect(&token("owner_b", ACME)).await;
    drop(second);

    first.subscribe("1", WATCH, json!({})).await;
    first.subscribe("2", WATCH, json!({})).await;
    first.subscribe("3", WATCH, json!({})).await;
    let refused = first.receive().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("3")), "{refused}");
    first.send(json!({"type": "complete", "id": "1"})).await;
    first.subscribe("4", "{ me { role } }", json!({})).await;
    first.next("4").await;
}

/// A connection does not outlive its token, unless a newer one of the same person comes in a ping.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_end() {
    let (_world, server) = live(limits()).await;
    let ending = |subject: &str, seconds: i64| {
        let mut claims = good_claims(subject, ACME);
        claims["exp"] = json!(now() + seconds);
        sign(&claims)
    };
    let mut short = server.connect(&ending("owner_a", 4)).await;
    let (code, reason) = short.closing().await;
    // Of the codes of the protocol 4401 is one after which clients do not connect again.
    assert_eq!((code, reason.contains("expired")), (4403, true), "{reason}");

    let mut renewed = server.connect(&ending("owner_a", 5)).await;
    renewed.send(json!({"type": "ping", "payload": {"authorization": format!("Bearer {}", ending("owner_a", 600))}})).await;
    assert_eq!(renewed.receive().await["type"], "pong");
    assert!(renewed.is_silent(Duration::from_secs(7)).await);

    for other in [ending("owner_b", 600), token("owner_a", "globex"), "nonsense".to_owned()] {
        let mut socket = server.connect(&ending("owner_a", 600)).await;
        socket.send(json!({"type": "ping", "payload": {"authorization": format!("Bearer {other}")}})).await;
        assert_eq!(socket.closing().await.0, 4403);
    }
}

/// When the server stops, those who watch are asked to come back, and not that there is no more to come; a client's close is answered.
#[tokio::test(flavor = "multi_thread")]
async fn stopping() {
    let (world, server) = live(limits()).await;
    let mut socket = server.connect(&staff_token("operator", ACME)).await;
    socket.subscribe("1", WATCH, json!({})).await;
    socket.subscribe("2", "{ me { role } }", json!({})).await;
    socket.next("2").await;
    world.app.edge.stop();
    assert_eq!(socket.receive().await, json!({"type": "complete", "id": "2"}));
    assert_eq!(socket.next_or_closing().await, Err(1001));
    let (_world, server) = live(limits()).await;
    let mut leaving = server.connect(&staff_token("operator", ACME)).await;
    leaving.subscribe("1", WATCH, json!({})).await;
    leaving.send_raw(Message::Close(None)).await;
    assert!(leaving.is_closed().await);
}

/// A mutation that is under way when the server stops is finished, and its answer sent.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_midway() {
    let (world, server) = live(limits()).await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    let mut locker = world.owner().await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE lead_status_changes")
        .await
        .expect("a lock");
    let step = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: LOST }) { lead { status } } }";
    socket.subscribe("m", step, json!({"id": lead})).await;
    world.until_locked(1).await;
    world.app.edge.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(locker);
    assert_eq!(socket.next("m").await["updateLeadStatus"]["lead"]["status"], "LOST");
    assert_eq!(socket.receive().await["type"], "complete");
    assert_eq!(socket.closing().await.0, 1001);
}

/// An id that is used again at once is the newer operation's alone, and nothing is left over when the socket is gone.
#[tokio::test(flavor = "multi_thread")]
async fn ids_are_used_again() {
    let (world, server) = live(limits()).await;
    for round in 0..20 {
        let mut socket = server.connect(&token("owner_a", ACME)).await;
        for _ in 0..10 {
            socket.subscribe("1", "{ me { role } }", json!({})).await;
            tokio::time::sleep(Duration::from_millis(round % 7)).await;
            socket.send(json!({"type": "complete", "id": "1"})).await;
            socket.subscribe("1", WATCH, json!({})).await;
            socket.send(json!({"type": "complete", "id": "1"})).await;
        }
        socket.subscribe("1", WATCH, json!({})).await;
    }
    for _ in 0..400 {
        if world.app.edge.subscriptions.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{} subscriptions of nobody are open", world.app.edge.subscriptions.count());
}

/// The root of a subscription may stand in fragments, and in several places: it is one field all the same.
#[tokio::test(flavor = "multi_thread")]
async fn roots_in_fragments() {
    let (world, server) = live(limits()).await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    let query =
        "subscription { ...F leadChanged { lead { status } } } fragment F on Subscription { leadChanged { lead { id } } }";
    socket.subscribe("1", query, json!({})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let step = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: LOST }) { lead { status } } }";
    world.owner_a(step, json!({"id": lead})).await.data();
    assert_eq!(socket.next("1").await, json!({"leadChanged": {"lead": {"id": lead, "status": "LOST"}}}));
    socket.subscribe("2", "subscription { leadChanged @skip(if: true) { cursor } }", json!({})).await;
    let refused = socket.receive().await;
    assert!(refused["payload"][0]["message"].as_str().is_some_and(|text| text.contains("skip")), "{refused}");
}
