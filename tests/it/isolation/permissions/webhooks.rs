//! Mutations of webhooks.

use serde_json::{Value, json};

use super::Row;
use crate::support::{World, world::keyed};

/// A source, and something that it has reported.
async fn source(world: &World) -> (Value, Value) {
    let query = "mutation ($input: CreateWebhookSourceInput!) { createWebhookSource(input: $input) { source { id } } }";
    world.operator(query, json!({"input": keyed(json!({"kind": "CLERK"}))})).await.data();
    let uuid = world.text("SELECT id::text AS text FROM webhook_sources").await;
    world.sql(&format!("SELECT receive_webhook('{uuid}', gen_random_uuid(), 'msg_1', 'session.created', '{{}}', now())")).await;
    let found = world.operator("{ webhookSources { id receipts { nodes { id } } } }", json!({})).await;
    let source = &found.data()["webhookSources"][0];
    (source["id"].clone(), source["receipts"]["nodes"][0]["id"].clone())
}

pub async fn rows(world: &World) -> Vec<Row> {
    let query = "mutation ($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { endpoint { id } } }";
    let mut ids = Vec::new();
    for _ in 0..2 {
        let input = keyed(json!({"url": "https://hooks.example.com/", "eventTypes": ["LEAD_CREATED"]}));
        ids.push(world.operator(query, json!({"input": input})).await.data()["createWebhookEndpoint"]["endpoint"]["id"].clone());
    }
    let (kept, removed) = (&ids[0], &ids[1]);
    let query = "mutation ($input: SendTestWebhookInput!) { sendTestWebhook(input: $input) { delivery { id } } }";
    let test = world.operator(query, json!({"input": keyed(json!({"id": kept}))})).await;
    let delivery = &test.data()["sendTestWebhook"]["delivery"]["id"];
    let (source, receipt) = source(world).await;
    let operators = [false, false, true, false];
    let row = |name: &'static str, input: String| {
        (name, format!("{name}(input: {{ {input} }}) {{ userErrors {{ message }} }}"), operators)
    };
    vec![
        row(
            "createWebhookEndpoint",
            "url: \"https://hooks.example.com/new\", eventTypes: [LEAD_CREATED], idempotencyKey: \"FRESH_KEY\"".to_owned(),
        ),
        row("updateWebhookEndpoint", format!("id: {kept}, description: \"D\"")),
        row("rotateWebhookSecret", format!("id: {kept}, idempotencyKey: \"FRESH_KEY\"")),
        row("sendTestWebhook", format!("id: {kept}, idempotencyKey: \"FRESH_KEY\"")),
        row("redeliverWebhook", format!("id: {delivery}")),
        row("recoverWebhooks", format!("endpointId: {kept}, since: \"2026-01-01T00:00:00Z\"")),
        row("removeWebhookEndpoint", format!("id: {removed}")),
        row("createWebhookSource", "kind: STRIPE, idempotencyKey: \"FRESH_KEY\"".to_owned()),
        row(
            "rotateWebhookSourceSecret",
            format!("id: {source}, secret: \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\", idempotencyKey: \"FRESH_KEY\""),
        ),
        row("applyWebhookReceipts", format!("ids: [{receipt}]")),
        row("removeWebhookSource", format!("id: {source}")),
    ]
}
