//! Mutations of affiliates, and of what is moved in.

use serde_json::json;

use super::Row;
use crate::{
    imports::background::small,
    support::{World, world::keyed},
};

pub async fn rows(world: &World) -> Vec<Row> {
    let (_, code) = world.invite_code("owner_b").await;
    let person = world.add_user(world.acme, world.b, "invited", "member").await;
    for subject in ["member_a", "owner_a"] {
        let (user, _) = world.invite_code(subject).await;
        world.adjust_wallet(&user, "5.00").await;
    }
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
            "setAffiliateActive",
            "setAffiliateActive(input: { active: true }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "acceptInvite",
            format!("acceptInvite(input: {{ code: \"{code}\" }}) {{ userErrors {{ message }} }}"),
            [true, true, false, false],
        ),
        (
            "chooseInviteCode",
            "chooseInviteCode(input: { code: \"code-of-ROLE\" }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "takeOutOfWallet",
            "takeOutOfWallet(input: { amount: \"1\", idempotencyKey: \"FRESH_KEY\" }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "setAffiliateTerms",
            "setAffiliateTerms(input: { share: \"0.1\", isActive: true }) { userErrors { message } }".to_owned(),
            [false, false, true, false],
        ),
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
        (
            "correctReferrer",
            format!("correctReferrer(input: {{ userId: \"{person}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "adjustWallet",
            format!(
                "adjustWallet(input: {{ userId: \"{person}\", amount: \"1\", reason: \"R\", idempotencyKey: \"FRESH_KEY\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, false, true, false],
        ),
    ]
}
