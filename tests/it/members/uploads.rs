//! Files in multipart requests.

use serde_json::json;

use super::imports::*;
use crate::support::World;

/// The parts of a request, each with its name.
type Parts<'a> = &'a [(&'a str, &'a [u8])];

/// A file comes by a multipart request, as the GraphQL multipart request specification says, and is read from disk.
#[tokio::test(flavor = "multi_thread")]
async fn uploads() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let report = world.upload_members(FILE.as_bytes(), true).await;
    assert_eq!((&report["import"]["imported"], &report["import"]["dryRun"]), (&json!(3), &json!(true)));
    let report = world.upload_members(FILE.as_bytes(), false).await;
    assert_eq!(
        (&report["import"]["imported"], &report["import"]["failed"], &report["userErrors"]),
        (&json!(3), &json!(3), &json!([]))
    );
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What is no such request is refused in the form of an answer, and a client cannot name a file that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_fault() {
    let world = World::new().await;
    let query = "mutation ($input: ImportMembersInput!) { importMembers(input: $input) { import { rowCount } userErrors { code field } } }";
    let operations = json!({"query": query, "variables": {"input": {"file": null}}}).to_string();
    let operations = operations.as_bytes();
    let map: &[u8] = br#"{"0": ["variables.input.file"]}"#;
    let file: &[u8] = b"email,first name\n";
    let large = vec![b'x'; 10 * 1024 * 1024 + 1];
    let without = br#"{"query": "{ me { role } }"}"#;
    let cases: [(Parts<'_>, u16); 13] = [
        (&[("operations", without), ("map", b"{}")], 200),
        (&[("operations", without), ("map", b"{}"), ("0", file)], 400),
        (&[("operations", operations), ("map", map), ("0", file)], 200),
        (&[("map", map), ("operations", operations), ("0", file)], 400),
        (&[("operations", operations), ("0", file)], 400),
        (&[("operations", operations), ("map", map)], 400),
        (&[("operations", operations), ("map", map), ("1", file)], 400),
        (&[("operations", operations), ("map", map), ("0", file), ("1", file)], 400),
        (&[("operations", b"[]"), ("map", map), ("0", file)], 400),
        (&[("operations", operations), ("map", br#"{"0": ["variables.input.csv.x"]}"#), ("0", file)], 400),
        (&[("operations", operations), ("map", br#"{"0": ["variables.input.file", "variables.input.file"]}"#), ("0", file)], 400),
        (&[("operations", operations), ("map", br#"{"0": ["variables.input.file"], "1": ["variables.x"]}"#), ("0", file)], 400),
        (&[("operations", operations), ("map", map), ("0", &large)], 413),
    ];
    for (place, (parts, status)) in cases.into_iter().enumerate() {
        let answer = world.upload(parts, true).await;
        assert_eq!(answer.status.as_u16(), status, "{place}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.code(), "BAD_USER_INPUT", "{place}");
        }
    }
    assert_eq!(world.upload(&[("operations", operations), ("map", map), ("0", file)], false).await.status.as_u16(), 415);
    // Each upload keeps a connection: where no permit is free, the client is asked to come again.
    let places = world.app.files.available_permits();
    let taken = world.app.files.acquire_many(u32::try_from(places).expect("few")).await.expect("places");
    let answer = world.upload(&[("operations", operations), ("map", map), ("0", file)], true).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(answer.headers["retry-after"], "60");
    drop(taken);
    assert_eq!(world.app.files.available_permits(), places);
    for named in ["uploaded file 0", "uploaded file 7"] {
        let answer = world.owner_a(query, json!({"input": {"file": named}})).await;
        assert_eq!(answer.data()["importMembers"]["userErrors"][0]["code"], "REQUIRED", "{named}");
    }
    for named in ["#__graphql_file__:0", "uploaded file x", ""] {
        assert_eq!(world.owner_a(query, json!({"input": {"file": named}})).await.code(), "BAD_USER_INPUT", "{named}");
    }
    // One file for two imports: the second finds it used.
    let twice = "mutation ($file: Upload!) { a: importMembers(input: { file: $file }) { userErrors { code } } b: importMembers(input: { file: $file }) { userErrors { code } } }";
    let operations = json!({"query": twice, "variables": {"file": null}}).to_string();
    let answer =
        world.upload(&[("operations", operations.as_bytes()), ("map", br#"{"0": ["variables.file"]}"#), ("0", file)], true).await;
    assert_eq!(answer.data(), &json!({"a": {"userErrors": []}, "b": {"userErrors": [{"code": "REQUIRED"}]}}));
}
