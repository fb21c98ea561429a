//! What is uploaded to be imported: what is wrong with it, how much it may be, and where it came from afterwards.

use std::future::pending;

use super::{
    background::{import, run_waiting, runner, small},
    generator::Business,
    *,
};
use crate::support::{tokens::staff_token, world::ACME};

/// What is here says which row it was, and a row says what it is here; operators alone see it.
#[tokio::test(flavor = "multi_thread")]
async fn where_it_came_from() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(6, 3, 20, &["USD"], false).write("legacy", &folder.0);
    Given::new("legacy", &folder.0).run(&world, world.acme).await.expect("an import");
    let of = "importedFrom { source kind sourceId file line }";
    let query = format!(
        "{{ commissions(first: 20) {{ nodes {{ id {of} }} }} links(first: 5) {{ nodes {{ id {of} partner {{ id {of} }} programme {{ {of} }} }} }} payouts(first: 5) {{ nodes {{ id {of} }} }} }}"
    );
    let answer = world.operator(&query, json!({})).await;
    let data = answer.data();
    for (list, kind) in [("commissions", "COMMISSION"), ("links", "LINK"), ("payouts", "PAYOUT")] {
        let nodes = data[list]["nodes"].as_array().expect("nodes");
        assert!(!nodes.is_empty(), "{list}");
        for node in nodes {
            let from = &node["importedFrom"];
            assert_eq!((&from["source"], &from["kind"]), (&json!("LEGACY"), &json!(kind)), "{node}");
            let query =
                "query ($kind: ImportKind!, $id: String!) { imported(source: LEGACY, kind: $kind, sourceId: $id) { id } }";
            let found = world.operator(query, json!({"kind": kind, "id": from["sourceId"]})).await;
            assert_eq!(found.data()["imported"]["id"], node["id"]);
        }
    }
    let link = &data["links"]["nodes"][0];
    assert_eq!(link["importedFrom"]["file"], "links.csv");
    assert_eq!(link["partner"]["importedFrom"]["kind"], "PARTNER", "{link}");
    let unknown = "{ imported(source: DUB, kind: LINK, sourceId: \"l_1\") { id } }";
    assert_eq!(world.operator(unknown, json!({})).await.data()["imported"], json!(null));
    // Others see that it is there, and not whence.
    let query = format!("query ($id: ID!) {{ commission(id: $id) {{ id {of} }} }}");
    let seen = world.service(&query, json!({"id": data["commissions"]["nodes"][0]["id"]})).await;
    assert_eq!(seen.data()["commission"]["importedFrom"], json!(null));
    assert_eq!(world.service(unknown, json!({})).await.code(), "FORBIDDEN");
}

/// Operators send up to 100 MB, others what members' files may have.
#[tokio::test(flavor = "multi_thread")]
async fn how_much_may_be_sent() {
    let world = World::new().await;
    let query = "mutation ($input: ImportDataInput!) { importData(input: $input) { userErrors { message } } }";
    let input = json!({"source": "LEGACY", "idempotencyKey": "k", "files": [{"name": "links.csv", "file": null}, {"name": "users.csv", "file": null}]});
    let operations = json!({"query": query, "variables": {"input": input}}).to_string();
    let map: &[u8] = br#"{"0": ["variables.input.files.0.file"], "1": ["variables.input.files.1.file"]}"#;
    let sent = async |bearer: String, bytes: [usize; 2]| {
        let files = bytes.map(|bytes| vec![b'x'; bytes]);
        let parts: [(&str, &[u8]); 4] = [("operations", operations.as_bytes()), ("map", map), ("0", &files[0]), ("1", &files[1])];
        world.upload_as(&bearer, &parts, true).await.status.as_u16()
    };
    let mb = 1024 * 1024;
    let (operator, owner) = (staff_token("operator", ACME), crate::support::token("owner_a", ACME));
    assert_eq!(sent(operator.clone(), [50 * mb, 49 * mb]).await, 200);
    assert_eq!(sent(operator.clone(), [100 * mb + 1, 0]).await, 413);
    assert_eq!(sent(operator, [60 * mb, 60 * mb]).await, 413);
    assert_eq!(sent(owner, [6 * mb, 6 * mb]).await, 413);
}

/// Cells that PostgreSQL could not hold are read as they can be, or reported; none of them ends the import.
#[tokio::test(flavor = "multi_thread")]
async fn cells_that_cannot_be_held() {
    let world = World::new().await;
    let long = "x".repeat(600);
    let mut files = small();
    files["files"] = json!([
        {"name": "users.jsonl", "text": format!("{{\"id\": \"u_1\", \"name\": \"A\\u0000nn\", \"email\": \"ann@shop.example\"}}\n{{\"id\": \"u_2\", \"email\": \"{long}@shop.example\"}}\n")},
        {"name": "links.csv", "text": "id,userId,url,key,clicks,leads\nl_1,u_1,https://shop0.com/a,k-1,9000000000000000000,1\nl_2,u_1,https://shop0.com/b,k\0-2,5,9000000000000000000\n"},
        {"name": "decisions.jsonl", "text": "{\"kind\": \"link\", \"id\": \"l_2\", \"set\": {\"title\": \"a\\u0000\"}}\n"},
        {"name": "rewards.csv", "text": "id,programId,type,amount,no\0te\nr_1,p_1,percentage,999999999999999999999999999,x\n"},
        {"name": "commissions.csv", "text": format!("id,linkId,partnerId,earnings,currency,status,createdAt,customerId\ncm_1,l_1,,100,USD,pending,2024-01-01T00:00:00Z,{long}\n")},
    ]);
    let query = "mutation ($input: ImportDataInput!) { importData(input: $input) { import { id } userErrors { message } } }";
    files["idempotencyKey"] = json!("k");
    files["rateUnit"] = json!("FRACTION");
    let answer = world.operator(query, json!({"input": files})).await;
    assert_eq!(answer.data()["importData"]["userErrors"], json!([]));
    run_waiting(&world).await;
    let done = import(&world, &answer.data()["importData"]["import"]["id"]).await;
    assert_eq!(done["status"], "COMPLETED", "{done}");
    let found: Vec<(String, String)> = done["findings"]["nodes"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["isLeft"] == true)
        .map(|finding| {
            (finding["sourceId"].as_str().unwrap_or_default().to_owned(), finding["code"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    for expected in [
        ("u_2", "VALUE_TOO_LONG"),
        ("l_1", "NUMBER_INVALID"),
        ("l_2", "NUMBER_INVALID"),
        ("r_1", "RATE_TOO_HIGH"),
        ("cm_1", "VALUE_TOO_LONG"),
    ] {
        assert!(found.iter().any(|(id, code)| (id.as_str(), code.as_str()) == expected), "{expected:?}: {found:?}");
    }
    let nobody = "query ($id: String!) { imported(source: LEGACY, kind: USER, sourceId: $id) { id } }";
    assert_eq!(world.operator(nobody, json!({"id": "u\0_1"})).await.data()["imported"], json!(null));
    assert_eq!(world.text("SELECT name FROM users WHERE email = 'ann@shop.example'").await, "A\u{fffd}nn");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What is wrong with the input or lacking in the files is said at once, with the name of the file, and nothing waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_once() {
    let world = World::new().await;
    let good = json!([{"name": "users.csv", "text": "id,name\n"}, {"name": "links.csv", "text": "id,url\n"}, {"name": "commissions.csv", "text": "id\n"}]);
    let (large, small) = ("x".repeat(60), small());
    let cases = [
        (json!({"files": []}), "OUT_OF_RANGE", "Must be 1 to 100 files; there are 0."),
        (json!({"files": good}), "INVALID", "links.csv has no key"),
        (
            json!({"files": [{"name": "links.csv", "text": "id"}]}),
            "INVALID",
            "there is no file users.csv, users.jsonl or users.json",
        ),
        (json!({"files": [{"name": "../links.csv", "text": "id"}]}), "INVALID", "cannot be a file's name"),
        (json!({"files": [{"name": "links.exe", "text": "id"}]}), "INVALID", "is no .csv"),
        (
            json!({"files": [{"name": "a.csv", "text": "id"}, {"name": "A.csv", "text": "id"}]}),
            "TAKEN",
            "Two files are called \"A.csv\".",
        ),
        (
            json!({"files": [small["files"][0], small["files"][1], small["files"][2], {"name": "payout-2025-final.csv", "text": "id"}]}),
            "INVALID",
            "\"payout-2025-final.csv\" is none of the files of legacy",
        ),
        (json!({"files": [{"name": "links.csv"}]}), "REQUIRED", "Give the file \"links.csv\" or its text"),
        (json!({"files": [{"name": "decisions.jsonl", "text": large}]}), "INVALID", "decisions.jsonl, line 1"),
        (json!({"timeZone": "Mars/Olympus"}), "INVALID", "is no time zone"),
        (json!({"linkUrl": "https://example.com"}), "INVALID", "with {key} for the link's key"),
        (json!({"linkUrl": "javascript:{key}"}), "INVALID", "with {key} for the link's key"),
        (json!({"idempotencyKey": " "}), "REQUIRED", "Must not be empty."),
    ];
    let query = "mutation ($input: ImportDataInput!) { importData(input: $input) { import { id } userErrors { code message } } }";
    for (change, code, message) in cases {
        let mut input = json!({"source": "LEGACY", "files": good, "idempotencyKey": "k"});
        input.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = world.operator(query, json!({"input": input})).await;
        let errors = answer.data()["importData"]["userErrors"].as_array().expect("errors").clone();
        let is_said = errors
            .iter()
            .any(|error| error["code"] == code && error["message"].as_str().is_some_and(|text| text.contains(message)));
        assert!(is_said, "{change}: {errors:?}");
        assert!(!answer.text.contains("/tmp"), "{}", answer.text);
    }
    assert_eq!(world.number("SELECT count(*) FROM data_imports").await, 0);
    // A file that turns out to be broken further on ends the import, and says where.
    let broken = json!([
        {"name": "users.jsonl", "text": "{\"id\": \"u_1\"}\n{\"id\": \n"},
        {"name": "links.jsonl", "text": ""}, {"name": "commissions.jsonl", "text": ""},
    ]);
    let answer = world.operator(query, json!({"input": {"source": "LEGACY", "files": broken, "idempotencyKey": "k"}})).await;
    assert_eq!(answer.data()["importData"]["userErrors"], json!([]));
    assert!(runner(&world).run_next(pending()).await.expect("it runs"));
    let failed = import(&world, &answer.data()["importData"]["import"]["id"]).await;
    assert_eq!(failed["status"], "FAILED");
    assert!(failed["failure"].as_str().is_some_and(|text| text.starts_with("users.jsonl: line 2 is no JSON")), "{failed}");
}
