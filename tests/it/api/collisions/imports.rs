//! Calls about what is moved in. Nothing runs the imports here.

use serde_json::{Value, json};

use super::{As, Few, of, text, with};
use crate::imports::background::small;

impl Few {
    pub(super) fn call_about_imports(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::Operator;
        Some(match name {
            "importData" => (Operator, with(small(), json!({"idempotencyKey": text(random), "dryRun": random.bool()}))),
            "cancelDataImport" => (Operator, json!({"id": of(random, &self.imports)?})),
            _ => return self.call_about_webhooks(name, random),
        })
    }
}
