//! Programmes, enrolments, links and clicks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;

mod attribution;
mod clicks;
mod links;
mod lost_clicks;
mod programme;
mod rewards;
mod sales;

/// Waits until so many clicks are in the database.
async fn until_written(world: &World, count: i64) {
    for _ in 0..500 {
        if world.number("SELECT count(*) FROM link_clicks").await >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.number("SELECT count(*) FROM link_clicks").await, count);
}

/// The path of a link's short address.
fn path(link: &Value) -> String {
    format!("/l/{}", link["key"].as_str().expect("a key"))
}

/// What has come of a link.
async fn figures(world: &World, link: &Value) -> Value {
    let query = "query ($id: ID!) { link(id: $id) { figures { clicks visitors } } }";
    world.owner_a(query, json!({"id": link["id"]})).await.data()["link"]["figures"].clone()
}
