//! Mutations of webhooks.

use serde_json::{Value, json};

use super::Twice;

pub async fn webhooks(twice: &mut Twice<'_>) {
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    let input = json!({"url": "https://hooks.example.com/", "eventTypes": ["LEAD_CREATED"]});
    let endpoint =
        id(&twice.send("operator", "createWebhookEndpoint", input, "endpoint { id secrets { createdAt } }").await["endpoint"]);
    let changes = json!({"id": endpoint, "eventTypes": ["PAYOUT_CREATED"], "description": "D"});
    twice.send("operator", "updateWebhookEndpoint", changes, "endpoint { id updatedAt }").await;
    twice
        .send("operator", "rotateWebhookSecret", json!({"id": endpoint}), "endpoint { id secrets { createdAt expiresAt } }")
        .await;
    let test = twice.send("operator", "sendTestWebhook", json!({"id": endpoint}), "delivery { id }").await;
    twice.world.sql("UPDATE webhook_deliveries SET tries = 1, next_at = next_at + interval '1 hour'").await;
    let delivery = json!({"id": id(&test["delivery"])});
    twice.send("operator", "redeliverWebhook", delivery, "delivery { id nextAttemptAt }").await;
    twice.world.sql("UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, ended_at = now()").await;
    twice.world.sql("UPDATE webhook_events SET event_type = 'payout.created'").await;
    let since = json!({"endpointId": endpoint, "since": "2026-01-01T00:00:00Z"});
    twice.send("operator", "recoverWebhooks", since, "endpoint { id }").await;
    twice.send("operator", "removeWebhookEndpoint", json!({"id": endpoint}), "endpointId").await;
    sources(twice).await;
}

async fn sources(twice: &mut Twice<'_>) {
    let secrets = "source { id secrets { createdAt expiresAt } }";
    let input = json!({"kind": "CLERK", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let source = twice.send("operator", "createWebhookSource", input, secrets).await["source"]["id"].clone();
    let input = json!({"id": source, "secret": "whsec_plJ3nmyCDGBKInavdOK15jsl"});
    twice.send("operator", "rotateWebhookSourceSecret", input, secrets).await;
    let uuid = "SELECT id::text AS text FROM webhook_sources";
    let uuid = twice.world.text(uuid).await;
    let receipt = format!("SELECT receive_webhook('{uuid}', gen_random_uuid(), 'msg_1', 'session.created', '{{}}', now())");
    twice.world.sql(&receipt).await;
    twice.world.sql("UPDATE webhook_receipts SET status = 'failed', next_at = NULL, ended_at = now()").await;
    let receipts = "{ webhookSources { receipts { nodes { id } } } }";
    let found = twice.world.operator(receipts, json!({})).await.data()["webhookSources"][0]["receipts"]["nodes"][0]["id"].clone();
    twice.send("operator", "applyWebhookReceipts", json!({"ids": [found]}), "userErrors { code }").await;
    twice.send("operator", "removeWebhookSource", json!({"id": source}), "sourceId").await;
}
