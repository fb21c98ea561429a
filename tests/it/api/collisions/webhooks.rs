//! Calls about webhooks.

use serde_json::{Value, json};

use super::{As, Few, id, of, text, with};

impl Few {
    /// Takes up the endpoints and deliveries that there are.
    pub(super) fn look_at_webhooks(&mut self, found: &Value) {
        let ids = |nodes: &Value| -> Vec<String> {
            nodes.as_array().into_iter().flatten().filter_map(|node| node["id"].as_str().map(str::to_owned)).collect()
        };
        let endpoints = found["webhookEndpoints"]["nodes"].as_array().expect("endpoints");
        self.endpoints = ids(&found["webhookEndpoints"]["nodes"]);
        self.deliveries = endpoints.iter().flat_map(|endpoint| ids(&endpoint["deliveries"]["nodes"])).collect();
    }

    pub(super) fn call_about_webhooks(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::Operator;
        let types = [json!(["LEAD_STATUS_CHANGED", "COMMISSION_CREATED"]), json!(["PAYOUT_CREATED"])][random.usize(..2)].clone();
        let key = json!({"idempotencyKey": text(random)});
        Some(match name {
            "createWebhookEndpoint" => {
                (Operator, with(json!({"url": format!("https://hooks.example.com/{}", text(random)), "eventTypes": types}), key))
            }
            "updateWebhookEndpoint" => {
                let changes = json!({"eventTypes": types, "enabled": random.u8(..4) > 0, "description": text(random)});
                (Operator, with(id(&self.endpoints, random)?, changes))
            }
            "removeWebhookEndpoint" => (Operator, id(&self.endpoints, random)?),
            "rotateWebhookSecret" => (Operator, with(with(id(&self.endpoints, random)?, key), json!({"expireOldAfterHours": 0}))),
            "sendTestWebhook" => (Operator, with(id(&self.endpoints, random)?, key)),
            "redeliverWebhook" => (Operator, id(&self.deliveries, random)?),
            "recoverWebhooks" => (Operator, json!({"endpointId": of(random, &self.endpoints)?, "since": "2026-01-01T00:00:00Z"})),
            other => panic!("no call of {other}: every mutation is thrown at every other"),
        })
    }
}
