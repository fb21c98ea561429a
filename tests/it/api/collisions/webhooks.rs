//! Calls about webhooks.

use serde_json::{Value, json};

use super::{As, Few, id, key, of, text, with};
use crate::support::World;

/// What the mutations of webhooks are about.
#[derive(Default)]
pub(super) struct Hooks {
    endpoints: Vec<String>,
    deliveries: Vec<String>,
    sources: Vec<String>,
    receipts: Vec<String>,
}

/// Lets each source have reported something that has failed, and some deliveries have failed.
pub(super) async fn report(world: &World) {
    world
        .sql(
            "INSERT INTO webhook_receipts (tenant_id, id, source_id, event_id, event_type, body, status, received_at, tried_since, ended_at)
             SELECT tenant_id, gen_random_uuid(), id, gen_random_uuid()::text, 'session.created', '{}', 'failed', now(), now(), now()
             FROM webhook_sources WHERE removed_at IS NULL;
             UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, ended_at = now() WHERE status = 'waiting' AND random() < 0.5",
        )
        .await;
}

impl Few {
    /// Takes up the endpoints and deliveries that there are.
    pub(super) fn look_at_webhooks(&mut self, found: &Value) {
        let ids = |nodes: &Value| -> Vec<String> {
            nodes.as_array().into_iter().flatten().filter_map(|node| node["id"].as_str().map(str::to_owned)).collect()
        };
        let endpoints = found["webhookEndpoints"]["nodes"].as_array().expect("endpoints");
        self.hooks.endpoints = ids(&found["webhookEndpoints"]["nodes"]);
        let sources = found["webhookSources"].as_array().expect("sources");
        self.hooks.sources = ids(&found["webhookSources"]);
        self.hooks.receipts = sources.iter().flat_map(|source| ids(&source["receipts"]["nodes"])).collect();
        self.hooks.deliveries = endpoints.iter().flat_map(|endpoint| ids(&endpoint["deliveries"]["nodes"])).collect();
    }

    pub(super) fn call_about_webhooks(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::Operator;
        let types = [json!(["LEAD_STATUS_CHANGED", "COMMISSION_CREATED"]), json!(["PAYOUT_CREATED"])][random.usize(..2)].clone();
        // Some are sent again with their key, but never so many that nothing new is made.
        let key = json!({"idempotencyKey": key(random)});
        Some(match name {
            "createWebhookEndpoint" => {
                (Operator, with(json!({"url": format!("https://hooks.example.com/{}", text(random)), "eventTypes": types}), key))
            }
            "updateWebhookEndpoint" => {
                let changes = json!({"eventTypes": types, "enabled": random.u8(..4) > 0, "description": text(random)});
                (Operator, with(id(&self.hooks.endpoints, random)?, changes))
            }
            // Seldom: it is final, and the others have nothing to do without one.
            "removeWebhookEndpoint" => (Operator, id(&self.hooks.endpoints, random).filter(|_| random.u8(..4) == 0)?),
            "rotateWebhookSecret" => {
                (Operator, with(with(id(&self.hooks.endpoints, random)?, key), json!({"expireOldAfterHours": 0})))
            }
            "sendTestWebhook" => (Operator, with(id(&self.hooks.endpoints, random)?, key)),
            "redeliverWebhook" => (Operator, id(&self.hooks.deliveries, random)?),
            "recoverWebhooks" => {
                (Operator, json!({"endpointId": of(random, &self.hooks.endpoints)?, "since": "2026-01-01T00:00:00Z"}))
            }
            "createWebhookSource" => (Operator, with(json!({"kind": "CLERK"}), key)),
            "removeWebhookSource" => (Operator, id(&self.hooks.sources, random).filter(|_| random.u8(..4) == 0)?),
            "rotateWebhookSourceSecret" => {
                let secret = json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "expireOldAfterHours": 0});
                (Operator, with(with(id(&self.hooks.sources, random)?, key), secret))
            }
            "applyWebhookReceipts" => (Operator, json!({"ids": [of(random, &self.hooks.receipts)?]})),
            other => return self.call_about_people(other, random),
        })
    }
}
