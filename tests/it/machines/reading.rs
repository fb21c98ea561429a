//! Servers that read from standbys: an answer includes every change that its caller has made or received by a subscription.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use partner_portal::db::standbys::State;
use serde_json::{Value, json};

use super::standbys::Primary;
use crate::{
    live::subscriptions::{LEADS, STEP, settled, step},
    support::{
        World,
        listening::Listening,
        standby::Standby,
        token,
        world::{ACME, Answer, Setup, with_fresh_keys},
    },
};

pub const SEND: &str = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id } } }";
const LEAD: &str = "query ($id: ID!) { lead(id: $id) { id status } }";
const POSITION: &str = "portal-position";

/// A server that reads from these standbys, once it does.
pub async fn reader(world: &World, standbys: &[&Standby], read_lag: Duration) -> World {
    let setup = Setup { standbys: standbys.iter().map(|standby| standby.login()).collect(), read_lag, ..Setup::default() };
    let reader = world.twin_with(setup).await;
    until(&reader, "all standbys serve", |serving| serving.iter().all(|is_serving| *is_serving)).await;
    reader
}

/// Waits until it holds of which standbys serve.
pub async fn until(world: &World, what: &str, holds: impl Fn(&[bool]) -> bool) {
    for _ in 0..600 {
        let serving: Vec<bool> = world.app.standbys.status().iter().map(|standby| standby.state == State::Serving).collect();
        if holds(&serving) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what}: {:?}", world.app.standbys.status());
}

/// How much was read from there.
pub fn reads(world: &World, from: &str) -> u64 {
    world.app.standbys.reads().into_iter().find(|(name, _)| *name == from).expect("a counter").1
}

/// Runs an operation as partner A's owner or another, with the position of an earlier answer.
pub async fn ask(world: &World, subject: &str, query: &str, variables: Value, position: Option<&HeaderValue>) -> Answer {
    let body = with_fresh_keys(&json!({"query": query, "variables": variables}).to_string());
    let mut request = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", token(subject, ACME)));
    if let Some(position) = position {
        request = request.header(POSITION, position);
    }
    world.send(request.body(Body::from(body)).expect("a request")).await
}

fn position(headers: &HeaderMap) -> &HeaderValue {
    headers.get(POSITION).expect("a position")
}

/// A caller's change is in their next answer: of the same server, and of another that gets the position of the mutation's answer. Other callers may read it later.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_answered_less_than_they_have_done() {
    let Primary { world, server, .. } = &Primary::start().await;
    world.acme("member_a", "{ me { user { id } } }", json!({})).await.data();
    // Each change is there only a moment after it was received.
    let standby = Standby::of(server, &["recovery_min_apply_delay=25ms"]).await;
    let (one, two) =
        (reader(world, &[&standby], Duration::from_secs(5)).await, reader(world, &[&standby], Duration::from_secs(5)).await);
    let (mut stale, mut missed) = (0, 0);
    for round in 0..40 {
        let created = join_all((0..4).map(|_| ask(&one, "owner_a", SEND, json!({}), None))).await;
        for answer in created {
            let id = &answer.data()["createLead"]["lead"]["id"];
            let is_there = |answer: &Answer| answer.body["data"]["lead"]["id"] == *id;
            let (again, elsewhere, other) = tokio::join!(
                ask(&one, "owner_a", LEAD, json!({"id": id}), None),
                ask(&two, "owner_a", LEAD, json!({"id": id}), Some(position(&answer.headers))),
                ask(&two, "member_a", LEAD, json!({"id": id}), None),
            );
            stale += usize::from(!is_there(&again)) + usize::from(!is_there(&elsewhere));
            missed += usize::from(!is_there(&other));
        }
        // Without a pause the standby would always be behind.
        tokio::time::sleep(Duration::from_millis(if round % 2 == 0 { 60 } else { 0 })).await;
    }
    assert_eq!(stale, 0, "of 320");
    assert!(missed > 0, "the standby is not behind: this test proves nothing");
    assert!(
        reads(&one, "standby") + reads(&two, "standby") > 0 && reads(&one, "primary_ahead") > 0,
        "{:?}",
        one.app.standbys.reads()
    );
}

/// A change that was made by one server and is sent again to another is found by that one too, although nothing is made there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_that_is_sent_again_elsewhere() {
    let Primary { world, server, .. } = &Primary::start().await;
    let standby = Standby::of(server, &["recovery_min_apply_delay=100ms"]).await;
    let lag = Duration::from_secs(5);
    let (one, two) = (reader(world, &[&standby], lag).await, reader(world, &[&standby], lag).await);
    for _ in 0..10 {
        let send = SEND.replace("FRESH_KEY", &uuid::Uuid::now_v7().to_string());
        let first = ask(&one, "owner_a", &send, json!({}), None).await;
        let again = ask(&two, "owner_a", &send, json!({}), None).await;
        let id = &again.data()["createLead"]["lead"]["id"];
        assert_eq!(first.data()["createLead"]["lead"]["id"], *id);
        assert_eq!(ask(&two, "owner_a", LEAD, json!({"id": id}), None).await.data()["lead"]["id"], *id);
        let elsewhere = ask(&one, "member_a", LEAD, json!({"id": id}), Some(position(&again.headers))).await;
        assert_eq!(elsewhere.data()["lead"]["id"], *id);
    }
}

/// A standby that is a little behind is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_that_comes_a_moment_later() {
    let Primary { world, server, .. } = &Primary::start().await;
    // As it is in production: a standby receives nothing that is not written yet.
    world.sql("ALTER ROLE portal SET synchronous_commit = on").await;
    let standby = Standby::of(server, &[]).await;
    let reader = reader(world, &[&standby], Duration::from_secs(5)).await;
    for _ in 0..100 {
        let answer = ask(&reader, "owner_a", SEND, json!({}), None).await;
        let id = &answer.data()["createLead"]["lead"]["id"];
        assert_eq!(ask(&reader, "owner_a", LEAD, json!({"id": id}), None).await.data()["lead"]["id"], *id);
    }
    let (by_standby, ahead) = (reads(&reader, "standby"), reads(&reader, "primary_ahead"));
    assert!(by_standby > 50, "the standby answers most of them: {by_standby}, and {ahead} by the primary");
}

/// An event is resolved with the change that it is about, even while a standby has not replayed it, and so is the subscriber's next query.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribers_are_not_answered_less_than_they_were_told() {
    let Primary { world, server, .. } = &Primary::start().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    for subject in ["owner_a", "member_a"] {
        world.acme(subject, "{ me { user { id } } }", json!({})).await.data();
    }
    let standby = Standby::of(server, &["recovery_min_apply_delay=400ms"]).await;
    let (one, two) =
        (reader(world, &[&standby], Duration::from_secs(5)).await, reader(world, &[&standby], Duration::from_secs(5)).await);
    let listening = Listening::start(&one).await;
    let mut socket = listening.connect(&token("member_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&one, 1).await;
    for to in ["CONTACTED", "QUALIFIED"] {
        step(world, &lead, to).await;
        let told = socket.receive().await;
        assert_eq!(told["payload"]["data"]["leadChanged"]["lead"]["status"], to);
        let position =
            HeaderValue::from_str(told["payload"]["extensions"]["position"].as_str().expect("a position")).expect("a header");
        let (again, elsewhere) = tokio::join!(
            ask(&one, "member_a", LEAD, json!({"id": lead}), None),
            ask(&two, "member_a", LEAD, json!({"id": lead}), Some(&position)),
        );
        for answer in [again, elsewhere] {
            assert_eq!(answer.data()["lead"]["status"], to);
        }
    }
}

/// A mutation over a socket says its position in the extensions of its answer, and a query takes it from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn positions_over_sockets() {
    let Primary { world, server, .. } = &Primary::start().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(server, &["recovery_min_apply_delay=400ms"]).await;
    let (one, two) =
        (reader(world, &[&standby], Duration::from_secs(5)).await, reader(world, &[&standby], Duration::from_secs(5)).await);
    let (there, elsewhere) = (Listening::start(&one).await, Listening::start(&two).await);
    let mut socket = there.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", STEP, json!({"id": lead, "to": "CONTACTED"})).await;
    let answer = socket.receive().await;
    let position = answer["payload"]["extensions"]["position"].clone();
    assert!(position.is_string(), "{answer}");
    let mut socket = elsewhere.connect(&token("owner_a", ACME)).await;
    let payload = json!({"query": LEAD, "variables": {"id": lead}, "extensions": {"position": position}});
    socket.send(json!({"type": "subscribe", "id": "2", "payload": payload})).await;
    assert_eq!(socket.receive().await["payload"]["data"]["lead"]["status"], "CONTACTED");
    let payload = json!({"query": LEAD, "variables": {"id": lead}, "extensions": {"position": "16/B374D848"}});
    socket.send(json!({"type": "subscribe", "id": "3", "payload": payload})).await;
    let mut refused = socket.receive().await;
    while refused["id"] != "3" {
        refused = socket.receive().await;
    }
    let message = refused["payload"][0]["message"].as_str().expect("a message");
    assert!(message.starts_with("extensions.position: \"16/B374D848\""), "{refused}");
}

/// A position that no answer has had is named; of several the furthest counts. An answer that changed nothing has none, and neither has that of a server without standbys.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_position_may_be() {
    let Primary { world, server, .. } = &Primary::start().await;
    let standby = Standby::of(server, &[]).await;
    let reader = reader(world, &[&standby], Duration::from_secs(5)).await;
    let answer = ask(&reader, "owner_a", SEND, json!({}), None).await;
    let good = position(&answer.headers).to_str().expect("text").to_owned();
    let me = "{ me { role } }";
    for (text, is_good) in [
        (good.clone(), true),
        (format!("{good}, {good} ,"), true),
        (vec![good.as_str(); 100].join(","), true),
        ("0/1".to_owned(), false),
        (good[1..].to_owned(), false),
    ] {
        let answer = ask(&reader, "owner_a", me, json!({}), Some(&HeaderValue::from_str(&text).expect("a header"))).await;
        if is_good {
            answer.data();
            assert_eq!(answer.headers.get(POSITION), None, "nothing was changed");
        } else {
            assert_eq!(answer.code(), "BAD_USER_INPUT", "{text}");
            assert!(answer.message().starts_with("portal-position: "), "{}", answer.message());
        }
        // Where every answer is the primary's, none is needed.
        let answer = ask(world, "owner_a", SEND, json!({}), Some(&HeaderValue::from_str(&text).expect("a header"))).await;
        answer.data();
        assert_eq!(answer.headers.get(POSITION), None);
    }
    let link = Request::get(format!("/export/leads.csv?position={good}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)));
    assert_eq!(reader.send(link.body(Body::empty()).expect("a request")).await.status, StatusCode::OK);
    let link =
        Request::get("/export/leads.csv?position=16").header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)));
    let refused = reader.send(link.body(Body::empty()).expect("a request")).await;
    assert!(refused.message().starts_with("position: "), "{}", refused.body);
}

/// Who signs in for the first time is registered by the primary, whichever database their query would have been answered by, and is known from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_first_sign_in() {
    let Primary { world, server, .. } = &Primary::start().await;
    let standby = Standby::of(server, &["recovery_min_apply_delay=50ms"]).await;
    let reader = reader(world, &[&standby], Duration::from_secs(5)).await;
    for n in 0..10 {
        let subject = format!("somebody_{n}");
        let first = ask(&reader, &subject, "{ me { user { id } } }", json!({}), None).await;
        let again = ask(&reader, &subject, "{ me { user { id } } }", json!({}), None).await;
        assert_eq!(first.data(), again.data());
        assert!(first.headers.contains_key(POSITION), "another server is to know them, too");
    }
    assert_eq!(world.number("SELECT count(*) FROM users WHERE clerk_user_id LIKE 'somebody%'").await, 10);
    standby.catch_up(server).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = reads(&reader, "standby");
    ask(&reader, "somebody_0", "{ me { user { id } } }", json!({}), None).await.data();
    assert_eq!(reads(&reader, "standby"), before + 1);
}

/// A standby that is too far behind is left out, and answers again once it has caught up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standby_that_is_too_far_behind() {
    let Primary { world, server, .. } = &Primary::start().await;
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(server, &[]).await;
    let reader = reader(world, &[&standby], Duration::from_millis(300)).await;
    standby.owner().await.batch_execute("SELECT pg_wal_replay_pause()").await.expect("it pauses");
    world.add_leads(world.acme, world.a, 100).await;
    until(&reader, "it is left out", |serving| serving == [false]).await;
    assert!(reader.app.standbys.status()[0].behind > Some(1_000), "{:?}", reader.app.standbys.status());
    let leads = reader.owner_a("{ leads(first: 1) { totalCount } }", json!({})).await;
    assert_eq!(leads.data()["leads"]["totalCount"], 100);
    standby.owner().await.batch_execute("SELECT pg_wal_replay_resume()").await.expect("it goes on");
    until(&reader, "it is there again", |serving| serving == [true]).await;
    let before = reads(&reader, "standby");
    assert_eq!(reader.owner_a("{ leads(first: 1) { totalCount } }", json!({})).await.data()["leads"]["totalCount"], 100);
    assert_eq!(reads(&reader, "standby"), before + 1);
}
