//! Mutations of what is moved in.

use serde_json::json;

use super::Row;
use crate::{
    imports::background::small,
    support::{World, world::keyed},
};

pub async fn rows(world: &World) -> Vec<Row> {
    let files: Vec<String> = small()["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| format!("{{ name: {}, text: {} }}", file["name"], file["text"]))
        .collect();
    let files = files.join(" ");
    let query = "mutation ($input: ImportDataInput!) { importData(input: $input) { import { id } } }";
    let import = world.operator(query, json!({"input": keyed(small())})).await.data()["importData"]["import"]["id"].clone();
    vec![
        (
            "importData",
            format!(
                "importData(input: {{ source: LEGACY, idempotencyKey: \"FRESH_KEY\", files: [{files}] }}) {{ userErrors {{ message }} }}"
            ),
            [false, false, true, false],
        ),
        (
            "cancelDataImport",
            format!("cancelDataImport(input: {{ id: {import} }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
    ]
}
