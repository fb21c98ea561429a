//! Time limits of a statement and of an operation: where they are over, the answer is TIMEOUT and what was held is free again.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use serde_json::{Value, json};

use crate::support::{World, world::Setup};

/// A statement that runs past its limit is TIMEOUT, and the connection serves the next request.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_times_out() {
    let world = World::with(Setup { pool: 1, statement_timeout: Duration::from_millis(200), ..Setup::default() }).await;
    world.add_lead(world.acme, world.a).await;
    let mut locker = world.owner().await;
    SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
    let answer = world.owner_a("{ leads { nodes { id } } }", json!({})).await;
    assert_eq!((answer.code(), &answer.body["data"]), ("TIMEOUT", &json!({"leads": null})), "{}", answer.body);
    drop(locker);
    world.owner_a("{ leads { nodes { id } } }", json!({})).await.data();
}

/// An operation past its time limit is TIMEOUT, in the answer and in the log, and what it held is free again.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_operation_times_out() {
    let world = World::with_limit(Duration::from_millis(300)).await;
    world.add_lead(world.acme, world.a).await;
    let mut locker = world.owner().await;
    SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
    let answer = world.owner_a("{ leads { nodes { id } } }", json!({})).await;
    assert_eq!((answer.code(), answer.body["data"].is_null()), ("TIMEOUT", true), "{}", answer.body);
    assert_eq!(crate::support::log::operation(&answer)["errors"], "TIMEOUT");
    drop(locker);
    world.owner_a("{ leads { nodes { id } } }", json!({})).await.data();
}

/// When one statement fails, its siblings in the transaction fail of the same cause, and say so.
#[tokio::test(flavor = "multi_thread")]
async fn siblings_share_the_cause() {
    let world = World::with(Setup { pool: 1, statement_timeout: Duration::from_millis(200), ..Setup::default() }).await;
    world.add_lead(world.acme, world.a).await;
    let mut locker = world.owner().await;
    SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
    let query = "query ($id: ID!) { a: partner(id: $id) { leads { nodes { id } } } b: node(id: $id) { id ... on Partner { users { role } } } }";
    let answer = world.owner_a(query, json!({"id": world.a.to_string()})).await;
    let codes: Vec<&Value> =
        answer.body["errors"].as_array().expect("errors").iter().map(|error| &error["extensions"]["code"]).collect();
    assert!(codes.iter().all(|code| **code == "TIMEOUT"), "{}", answer.body);
}
