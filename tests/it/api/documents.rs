//! Documents: what they may cost, how they are known again, who learns of the schema.

use std::{fmt::Write, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use partner_portal::{
    config::{Introspection, TrustedMode, limits::Limits},
    graphql::{PortalSchema, document::Parameters},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, Answer, Setup},
};

fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

async fn post(world: &World, token: &str, body: &Value, cost: bool) -> Answer {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    if cost {
        request = request.header("graphql-cost", "1");
    }
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    world.send(request.body(Body::from(body.to_string())).expect("a request")).await
}

/// Every bomb that is made of few bytes is refused for what it would become.
#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused() {
    let world = World::new().await;
    let doubled = |depth: usize, last: &str| {
        let mut text = "{ me { ...F0 } }".to_owned();
        for n in 0..depth {
            write!(text, " fragment F{n} on Viewer {{ a{n}: role ...F{0} ...F{0} }}", n + 1).expect("text");
        }
        write!(text, " fragment F{depth} on Viewer {{ {last} }}").expect("text");
        text
    };
    for (text, code) in [
        (doubled(22, "role"), "QUERY_TOO_COMPLEX"),
        (doubled(30, "role"), "QUERY_TOO_COMPLEX"),
        (doubled(150, "role"), "QUERY_TOO_COMPLEX"),
        (doubled(3, "...F0"), "BAD_USER_INPUT"),
        (doubled(31, "...Missing"), "BAD_USER_INPUT"),
        (doubled(1, "...Missing"), "BAD_USER_INPUT"),
        (format!("{{ {} }}", "a".repeat(90_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ nodes(ids: [{}]) {{ id }} }}", "0".repeat(90_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ nodes(ids: [\"\"\"\" {}]) {{ id }} }}", "[".repeat(40_000)), "BAD_USER_INPUT"),
        (
            format!("{} fragment F on Query {{ {} }}", (0..400).fold(String::new(), |text, n| text + &format!("query Q{n} {{ ...F }} ")), "lead(id: $v) { id } ".repeat(1_500)),
            "QUERY_TOO_COMPLEX",
        ),
        (format!("{{ __schema {{ {} }} }}", (0..190).fold(String::new(), |text, n| text + &format!("a{n}: types {{ fields {{ name }} }} "))), "QUERY_TOO_COMPLEX"),
        (format!("{{ {} }}", "a: __typename ".repeat(10_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ {} }}", "__typename ".repeat(60_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ me {{ role {} }} }}", "@include(if: true) ".repeat(5_000)), "QUERY_TOO_COMPLEX"),
        ("{ ".to_owned() + &"me { ".repeat(100_000), "QUERY_TOO_COMPLEX"),
        (format!("{{ nodes(ids: {}) {{ id }} }}", "[".repeat(300_000)), "QUERY_TOO_COMPLEX"),
        (format!("query ($v: {}ID) {{ me {{ role }} }}", "[".repeat(100_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ me {{ {} }} }}", "... { ".repeat(90_000)), "QUERY_TOO_COMPLEX"),
        ("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(), "QUERY_TOO_COMPLEX"),
        ("{ partners(first: 500) { nodes { leads(first: 500) { nodes { partner { leads(first: 500) { nodes { id } } } } } } } }".to_owned(), "QUERY_TOO_COMPLEX"),
    ] {
        let answer = world.operator(&text, json!({})).await;
        let start: String = text.chars().take(80).collect();
        assert_eq!(answer.code(), code, "{start}: {}", answer.message());
        assert!(answer.text.len() < 2_000, "{start}: {} bytes", answer.text.len());
    }
}

/// What a query may cost follows from the rows that it asks for; over the limit the refusal has both numbers.
#[tokio::test(flavor = "multi_thread")]
async fn cost_is_known_before() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 12).await;
    let owner = token("owner_a", ACME);
    let query = "query ($n: Int) { leads(first: $n) { nodes { id partner { id } } } }";
    let answer = post(&world, &owner, &json!({"query": query, "variables": {"n": 10}}), true).await;
    // The operation, the connection, and ten times a lead with its partner; then what there was: the root, too.
    assert_eq!(answer.body["extensions"]["cost"], json!({"requested": 22, "actual": 22, "limit": 50_000}));
    let without = post(&world, &owner, &json!({"query": query, "variables": {"n": 10}}), false).await;
    assert!(without.body.get("extensions").is_none());
    let default = post(&world, &owner, &json!({"query": query}), true).await;
    assert_eq!(default.body["extensions"]["cost"]["requested"], 202);

    let limits = Limits { max_cost: 100, ..Limits::default() };
    let small = World::with_limits(limits).await;
    let refused = small.owner_a(query, json!({"n": 50})).await;
    assert_eq!(refused.code(), "QUERY_TOO_COMPLEX");
    assert!(refused.message().contains("102") && refused.message().contains("100"), "{}", refused.message());
    small.owner_a(query, json!({"n": 49})).await.data();
}

/// A mutation of several things costs what its results may be, one for each: none is a way around the limit.
#[tokio::test(flavor = "multi_thread")]
async fn results_of_mutations_have_their_price() {
    let world = World::new().await;
    let owner = token("owner_a", ACME);
    let links: Vec<Value> = (0..40).map(|number| json!({"url": format!("https://example.com/{number}")})).collect();
    let leads: Vec<String> = world.add_leads(world.acme, world.a, 40).await.iter().map(ToString::to_string).collect();
    for (query, input) in [
        (
            "mutation ($input: CreateLinksInput!) { createLinks(input: $input) { results { link { id } } } }",
            json!({"links": links}),
        ),
        (
            "mutation ($input: UpdateLeadStatusesInput!) { updateLeadStatuses(input: $input) { results { lead { id } } } }",
            json!({"ids": leads, "status": "CONTACTED"}),
        ),
    ] {
        let answer = post(&world, &owner, &json!({"query": query, "variables": {"input": input}}), true).await;
        let cost = &answer.body["extensions"]["cost"];
        let number = |name: &str| cost[name].as_u64().unwrap_or_else(|| panic!("{}", answer.body));
        assert!(number("actual") > 80 && number("requested") >= number("actual"), "{cost}");
    }
}

/// A document sent once is known by its hash from then on; a wrong hash, or one of a document that was refused, is not.
#[tokio::test(flavor = "multi_thread")]
async fn persisted_queries() {
    let world = World::new().await;
    let owner = token("owner_a", ACME);
    let text = "{ me { role } }";
    let by_hash = |text: &str| json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}});
    let with_text =
        |text: &str| json!({"query": text, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}});
    let unknown = post(&world, &owner, &by_hash(text), false).await;
    assert_eq!(
        (unknown.status, unknown.code(), unknown.message()),
        (StatusCode::OK, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    );
    let mut forged = with_text(text);
    forged["query"] = json!("{ me { permissions } }");
    assert_eq!(post(&world, &owner, &forged, false).await.code(), "BAD_USER_INPUT");
    assert_eq!(post(&world, &owner, &by_hash(text), false).await.code(), "PERSISTED_QUERY_NOT_FOUND");
    post(&world, &owner, &with_text(text), false).await.data();
    post(&world, &owner, &by_hash(text), false).await.data();
    post(&world, &owner, &with_text("{ nothing }"), false).await;
    assert_eq!(post(&world, &owner, &by_hash("{ nothing }"), false).await.code(), "PERSISTED_QUERY_NOT_FOUND");

    // By GET too; a mutation stays refused there.
    let step = "mutation { updateLeadStatus(input: { id: \"lead_01h455vb4pex5vsknk084sn02q\", status: LOST }) { lead { id } } }";
    post(&world, &owner, &with_text(step), false).await;
    let extensions = by_hash(step)["extensions"].to_string();
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("extensions", &extensions).finish();
    let get = Request::get(format!("/graphql?{query}")).header(header::AUTHORIZATION, format!("Bearer {owner}"));
    assert_eq!(world.send(get.body(Body::empty()).expect("a request")).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// The operations of a manifest run by their id. In the mode `only` no other does, not even one that was sent before by its hash.
#[tokio::test(flavor = "multi_thread")]
async fn trusted_documents() {
    let manifest = tempfile::NamedTempFile::new().expect("a file");
    let known = "query Role { me { role } }";
    let id = format!("sha256:{}", sha256(known));
    std::fs::write(manifest.path(), json!({&id: known}).to_string()).expect("a manifest");
    let owner = token("owner_a", ACME);
    for mode in [TrustedMode::Allow, TrustedMode::Only] {
        let world = World::with(Setup { trusted: Some((mode, manifest.path().to_owned())), ..Setup::default() }).await;
        for body in [
            json!({"documentId": id}),
            json!({"query": known}),
            json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(known)}}}),
        ] {
            post(&world, &owner, &body, false).await.data();
        }
        assert_eq!(post(&world, &owner, &json!({"documentId": "sha256:0"}), false).await.code(), "BAD_USER_INPUT");
        let other = post(&world, &owner, &json!({"query": "{ me { role } }"}), false).await;
        assert_eq!(other.code(), if mode == TrustedMode::Only { "FORBIDDEN" } else { "none" });
    }
    for (text, words) in [
        (r#"{"a": "{ nothing }"}"#, "Cannot query field"),
        ("[]", "not a JSON object"),
        (r#"{"sha256:0": "{ me { role } }"}"#, "not the hash"),
    ] {
        std::fs::write(manifest.path(), text).expect("a manifest");
        let fault = PortalSchema::new(Limits::default()).trust(TrustedMode::Only, manifest.path()).await.expect_err(text);
        assert!(fault.contains(words), "{fault}");
    }
}

/// In production the schema is shown to operators; others get neither it nor names like the one they mistyped.
#[tokio::test(flavor = "multi_thread")]
async fn introspection() {
    let asks = [
        "{ __schema { queryType { name } } }",
        "{ me { role } __type(name: \"Lead\") { name } }",
        "{ ...F } fragment F on Query { __schema { types { name } } }",
    ];
    let (owner, operator) = (token("owner_a", ACME), staff_token("operator", ACME));
    for (setting, partner_may, operator_may) in
        [(Introspection::Auto, false, true), (Introspection::On, true, true), (Introspection::Off, false, false)]
    {
        let world = World::with(Setup { introspection: setting, ..Setup::default() }).await;
        for (token, may) in [(&owner, partner_may), (&operator, operator_may)] {
            for ask in asks {
                let answer = world.run(token, ask, json!({})).await;
                assert_eq!(answer.code(), if may { "none" } else { "FORBIDDEN" }, "{setting:?} {ask}");
            }
            let mistyped = world.run(token, "{ me { rol } }", json!({})).await;
            assert_eq!(mistyped.message().contains("Did you mean"), may, "{}", mistyped.message());
            world.run(token, "{ __typename me { __typename } }", json!({})).await.data();
        }
    }
}

/// A document of brackets, names, spreads and strings in any order.
fn soup() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "query",
        "fragment A on Query",
        "fragment B on Viewer",
        "...A",
        "...B",
        "...",
        "me",
        "role",
        "__typename",
        "a:",
        "$v",
        ":",
        "@include(if: true)",
        "\"",
        "\"\"\"",
        "#",
        "\n",
        "1",
        "é",
        "!",
        "=",
        "on Query",
        "leads(first: 5)",
        "0000",
        "-1-1",
        "\"\"\"\"",
        "nodes",
        "id",
        "__schema",
    ]);
    prop::collection::vec(part, 0..400).prop_map(|parts| parts.join(" "))
}

/// A document that parses: fragments that spread each other as they like, used anywhere.
fn tangle() -> impl Strategy<Value = String> {
    let body = || prop::collection::vec((0..4_u8, 0..12_u8), 1..12);
    (body(), prop::collection::vec(body(), 0..12)).prop_map(|(root, fragments)| {
        let write_out = |items: &[(u8, u8)]| {
            items.iter().fold(String::new(), |mut text, (kind, n)| {
                let _ = match kind {
                    0 => write!(text, " ...F{n}"),
                    1 => write!(text, " me {{ role ...G{n} }}"),
                    2 => write!(text, " ... on Query {{ ...F{n} ...F{n} }}"),
                    _ => write!(text, " a{n}: __typename"),
                };
                text
            })
        };
        let mut text = format!("{{{}}}", write_out(&root));
        for (n, items) in fragments.iter().enumerate() {
            let _ = write!(text, " fragment F{n} on Query {{{}}} fragment G{n} on Viewer {{ role }}", write_out(items));
        }
        text
    })
}

/// Whatever a document says, it is taken or refused, and both at once: what the engine then works on is within the budget.
#[test]
fn any_document_is_judged() {
    let schema = Arc::new(PortalSchema::new(Limits::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let judge = |text: String| {
        let parameters = Parameters { query: Some(text), ..Parameters::default() };
        match runtime.block_on(schema.prepare(parameters, true)) {
            Ok(prepared) => assert!(prepared.cost <= 50_000),
            Err(errors) => assert!(!errors.is_empty()),
        }
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&soup(), |text| {
            judge(text);
            Ok(())
        })
        .expect("every soup is judged");
    runner
        .run(&tangle(), |text| {
            judge(text);
            Ok(())
        })
        .expect("every tangle is judged");
}

/// The defaults of variables hold in `@skip` and `@include` too; a list of thousands of values is refused before it is looked at for each row.
#[tokio::test(flavor = "multi_thread")]
async fn variables_are_complete_and_bounded() {
    let world = World::new().await;
    let query = "query ($x: Boolean = true, $y: Boolean = false) { me { role @include(if: $x) permissions @include(if: $y) } }";
    assert_eq!(world.owner_a(query, json!({})).await.data(), &json!({"me": {"role": "PARTNER_OWNER"}}));
    assert_eq!(world.owner_a(query, json!({"x": false})).await.data(), &json!({"me": {}}));
    let many = vec!["LOST"; 3_000];
    let refused =
        world.owner_a("query ($s: [LeadStatus!]) { leads(filter: { status: $s }) { totalCount } }", json!({"s": many})).await;
    assert_eq!((refused.code(), refused.message().contains("2000")), ("BAD_USER_INPUT", true), "{}", refused.message());
}
