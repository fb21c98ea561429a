//! Webhooks: what happens is sent to other systems, and what happens there is taken up.

mod clerk;
mod endpoints;
mod events;
mod feeds;
pub mod incoming;
mod killed;
pub mod receiver;
mod sending;
mod stripe;

use std::sync::Arc;

use chrono::TimeDelta;
use partner_portal::{
    clock::Clock,
    models::webhooks::source::WebhookSourceKind,
    outbound::Reach,
    webhooks::{PATIENCE, Sender, Webhooks},
};
use serde_json::{Value, json};

use self::{incoming::Source, receiver::Receiver};
use crate::support::{World, world::keyed};

const ENDPOINT: &str = "endpoint { id url description eventTypes isEnabled disabledAt disabledReason failingSince lastSuccessAt secrets { createdAt expiresAt } }";
const DELIVERIES: &str = "query ($id: ID!) { webhookEndpoint(id: $id) { id isEnabled disabledReason failingSince lastSuccessAt
    deliveries(first: 100) { totalCount nodes { id eventId eventType happenedAt body status attemptCount nextAttemptAt endedAt
        attempts(first: 20) { totalCount nodes { number status response fault url milliseconds } } } } } }";

/// Now, by a clock of this file's own.
fn now() -> chrono::DateTime<chrono::Utc> {
    Clock::default().now()
}

/// Where webhooks may go in tests: also to this machine.
pub fn anywhere() -> Arc<Webhooks> {
    Arc::new(Webhooks::new(Reach::Private))
}

/// What sends a world's webhooks.
fn sender(world: &World) -> Sender {
    let app = &world.app;
    let webhooks = Arc::clone(&app.webhooks);
    Sender { pool: app.pool.clone(), clock: app.clock.clone(), keyring: Arc::clone(&app.keyring), webhooks, patience: PATIENCE }
}

/// Sends all that is due; gives how many attempts that took.
pub async fn send(world: &World) -> usize {
    sender(world).run_once().await.expect("it sends")
}

/// The same a while later.
async fn send_after(world: &World, time: TimeDelta) -> usize {
    let clock = Clock::default();
    clock.advance(time);
    Sender { clock, ..sender(world) }.run_once().await.expect("it sends")
}

/// Runs a mutation of an operator's that is expected to succeed; gives its payload.
pub async fn done(world: &World, name: &str, input: Value, fields: &str) -> Value {
    let payload = tried(world, name, input, fields).await;
    assert_eq!(payload["userErrors"], json!([]), "{name}");
    payload
}

/// Runs a mutation of an operator's; gives its payload.
pub async fn tried(world: &World, name: &str, input: Value, fields: &str) -> Value {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query = format!(
        "mutation ($input: {kind}!) {{ {name}(input: $input) {{ {fields} replayed userErrors {{ code message field }} }} }}"
    );
    world.operator(&query, json!({"input": input})).await.data()[name].clone()
}

/// An endpoint at a receiver; gives its id and secret.
pub async fn endpoint(world: &World, receiver: &Receiver, types: &[&str]) -> (String, String) {
    let input = keyed(json!({"url": receiver.url, "eventTypes": types}));
    let made = done(world, "createWebhookEndpoint", input, &format!("secret {ENDPOINT}")).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["endpoint"]["id"]), text(&made["secret"]))
}

/// An endpoint with its deliveries, the latest first.
async fn seen(world: &World, id: &str) -> Value {
    world.operator(DELIVERIES, json!({"id": id})).await.data()["webhookEndpoint"].clone()
}

/// The deliveries of an endpoint, the latest first.
pub async fn deliveries(world: &World, id: &str) -> Vec<Value> {
    seen(world, id).await["deliveries"]["nodes"].as_array().expect("deliveries").clone()
}

/// Makes a lead of partner A.
async fn lead(world: &World, name: &str) -> Value {
    let input =
        keyed(json!({"partnerId": world.a.to_string(), "clientName": name, "clientEmail": "c@example.com", "service": "Plan"}));
    done(world, "createLead", input, "lead { id }").await["lead"]["id"].clone()
}

/// What sends to public addresses alone.
fn public_sender(world: &World) -> Sender {
    Sender { webhooks: Arc::new(Webhooks::new(Reach::Public)), ..sender(world) }
}

/// An endpoint with a delivery and an attempt, and a source with a receipt, as the API shows them.
pub async fn one_of_each(world: &World) -> Value {
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(world, &receiver, &["LEAD_CREATED"]).await;
    done(world, "sendTestWebhook", keyed(json!({"id": id})), "delivery { id }").await;
    send(world).await;
    let source = Source::new(world, WebhookSourceKind::Stripe).await;
    source.send(world, "evt_1", &json!({"id": "evt_1", "type": "ping", "created": 1_790_000_000})).await;
    let query = "query ($id: ID!) { webhookEndpoint(id: $id) { __typename id deliveries { nodes { __typename id attempts { nodes { __typename id } } } } }
        webhookSources { __typename id receipts { nodes { __typename id } } } }";
    world.operator(query, json!({"id": id})).await.data().clone()
}

/// The ids of two endpoints.
pub async fn two_endpoints(world: &World) -> Vec<String> {
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for types in [["LEAD_CREATED"], ["LEAD_UPDATED"]] {
        ids.push(endpoint(world, &receiver, &types).await.0);
    }
    ids
}

/// The ids of two sources.
pub async fn two_sources(world: &World) -> Vec<String> {
    vec![Source::new(world, WebhookSourceKind::Clerk).await.id, Source::new(world, WebhookSourceKind::Clerk).await.id]
}
