//! Mutations of webhooks.

use serde_json::json;

use super::Row;
use crate::support::{World, world::keyed};

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
    ]
}
