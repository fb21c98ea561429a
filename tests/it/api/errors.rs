//! Errors: where they appear, what they say, what they do not say.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};

use crate::support::{World, token, world::ACME};

/// An error in a non-null field nulls its nearest nullable ancestor (GraphQL specification, section 6.4.4), its siblings stay,
/// keys keep the order of the selection, and nothing internal is said.
#[tokio::test(flavor = "multi_thread")]
async fn errors_propagate_as_specified() {
    let world = World::new().await;
    let leads = world.add_leads(world.acme, world.a, 2).await;
    world.sql(&format!("UPDATE partner_leads SET currency = 'QQQ' WHERE id = '{}'", leads[0].uuid())).await;
    let (bad, good) = (leads[0].to_string(), leads[1].to_string());
    let query = "query ($bad: ID!, $ids: [ID!]!) { before: me { role } lead(id: $bad) { id commission { amount } clientName }
        nodes(ids: $ids) { id ... on Lead { commission { amount } } } after: me { role } }";
    let answer = world.owner_a(query, json!({"bad": bad, "ids": [good, bad]})).await;
    let role = json!({"role": "PARTNER_OWNER"});
    let data = &answer.body["data"];
    assert_eq!(
        data,
        &json!({"before": role, "lead": null, "nodes": [{"id": good, "commission": {"amount": "0.00"}}, null], "after": role})
    );
    let places = ["\"before\"", "\"lead\":null", "\"nodes\":[", "\"after\""].map(|key| answer.text.find(key).expect(key));
    assert!(places.is_sorted(), "{}", answer.text);
    let mut paths: Vec<String> =
        answer.body["errors"].as_array().expect("errors").iter().map(|error| error["path"].to_string()).collect();
    paths.sort();
    assert_eq!(paths, ["[\"lead\",\"commission\"]", "[\"nodes\",1,\"commission\"]"]);
    assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR");
    assert!(answer.body["errors"][0]["extensions"]["requestId"].is_string());
    assert!(!answer.body.to_string().contains("QQQ"), "{}", answer.body);

    // The nearest field that may be null is, and no more; neither by a fast way nor by the engine's own.
    let own = "me { partner { companyName leads { nodes { commission { amount } } } } }";
    for query in [
        format!("{{ leads {{ nodes {{ commission {{ amount }} }} }} {own} }}"),
        format!("{{ leads {{ nodes {{ commission {{ amount }} }} }} {own} me {{ partner {{ status }} }} }}"),
    ] {
        let whole = world.owner_a(&query, json!({})).await;
        assert_eq!(whole.body["data"]["leads"], Value::Null, "{}", whole.body);
        let partner = &whole.body["data"]["me"]["partner"];
        assert_eq!((partner["companyName"].is_string(), &partner["leads"]), (true, &Value::Null), "{}", whole.body);
    }
    // Where no ancestor may be null, the whole of data is.
    world.sql("UPDATE tenants SET default_currency = 'QQQ'").await;
    let whole = world.owner_a("{ me { role tenant { defaultCurrency } } }", json!({})).await;
    assert_eq!(whole.body["data"], Value::Null);
}

/// An argument that takes an id takes an id of its kind, as a string, from a variable declared `ID`.
#[tokio::test(flavor = "multi_thread")]
async fn ids_are_not_coerced() {
    let world = World::new().await;
    let partner = world.a.to_string();
    for (query, variables, words) in [
        (
            "query ($id: Int!) { lead(id: $id) { id } }",
            json!({"id": 5}),
            "Variable \"$id\" of type \"Int!\" used in position expecting type \"ID!\".",
        ),
        ("query ($id: String!) { lead(id: $id) { id } }", json!({"id": partner}), "Variable \"$id\" of type \"String!\""),
        ("query ($id: ID!) { lead(id: $id) { id } }", json!({"id": 5}), ""),
        (
            "query ($id: ID!) { lead(id: $id) { id } }",
            json!({"id": partner}),
            "is the id of a partner, but the id of a lead is needed here.",
        ),
        ("query ($id: ID!) { lead(id: $id) { id } }", json!({"id": "5"}), "is not an id."),
        ("query ($id: ID) { lead(id: $id) { id } }", json!({}), ""),
        ("{ lead(id: 5) { id } }", json!({}), ""),
        ("query ($id: ID!) { node(id: $id) { id } }", json!({"id": "nonsense"}), "\"nonsense\" is not an id."),
        ("query ($id: ID!) { node(id: $id) { id } }", json!({"id": "cat_01h455vb4pex5vsknk084sn02q"}), "is the id of a cat"),
    ] {
        let answer = world.owner_a(query, variables.clone()).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{query} {variables}: {}", answer.body);
        assert!(!answer.message().contains("Failed to parse"), "{}", answer.message());
        assert!(answer.message().contains(words), "{query} {variables}: {}", answer.message());
    }
}

/// A decimal is a string: a number, whose digits JSON does not keep, is refused.
#[tokio::test(flavor = "multi_thread")]
async fn decimals_are_strings() {
    let world = World::new().await;
    let query = "mutation ($value: Decimal) { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", dealValue: $value }) { lead { dealValue { amount } } } }";
    for bad in [json!(250.5), json!(250), json!("1e3"), json!(true), json!("")] {
        let answer = world.owner_a(query, json!({"value": bad})).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{bad}");
    }
    let exact = world.owner_a(query, json!({"value": "12345678901234.56"})).await;
    assert_eq!(exact.data()["createLead"]["lead"]["dealValue"]["amount"], "12345678901234.56");
}

/// Requests that are no operation learn what is wrong, in the form of an answer.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_operation() {
    let world = World::new().await;
    let post = |body: String| {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        request
            .header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)))
            .body(Body::from(body))
            .expect("a request")
    };
    for (body, status) in [
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("[]".to_owned(), StatusCode::BAD_REQUEST),
        (r#"[{"query":"{ me { role } }"},{"query":"{ me { role } }"}]"#.to_owned(), StatusCode::BAD_REQUEST),
        (r#"{"query":5}"#.to_owned(), StatusCode::BAD_REQUEST),
        (format!(r#"{{"query":"{}"}}"#, " ".repeat(1_100_000)), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = world.send(post(body)).await;
        assert_eq!((answer.status, answer.code()), (status, "BAD_USER_INPUT"), "{}", answer.body);
    }
    for query in ["{", "{ nothing }", "{ me }", "query A { me { role } } query B { me { role } }", "", "subscription { x }"] {
        assert_eq!(world.owner_a(query, json!({})).await.code(), "BAD_USER_INPUT", "{query:?}");
    }
    let elsewhere = world.send(Request::get("/wp-admin").body(Body::empty()).expect("a request")).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
}

/// Documents that nest or select without end are refused before they run.
#[tokio::test(flavor = "multi_thread")]
async fn endless_documents_are_refused() {
    let world = World::new().await;
    let deep = format!("{{ me {{ partner {{ {} id {} }} }} }}", "leads { nodes { partner { ".repeat(10), "} } }".repeat(10));
    assert_eq!(world.owner_a(&deep, json!({})).await.code(), "QUERY_TOO_COMPLEX");
    let wide = format!("{{ me {{ {} }} }}", "role ".repeat(2_001));
    assert_eq!(world.owner_a(&wide, json!({})).await.code(), "QUERY_TOO_COMPLEX");
}

/// A client that leaves midway gives its connection back, with nothing half done.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves() {
    let world = World::with_pool(1).await;
    let id = world.add_lead(world.acme, world.a).await.to_string();
    let step = format!("mutation {{ updateLeadStatus(input: {{ id: \"{id}\", status: CONTACTED }}) {{ lead {{ status }} }} }}");
    for milliseconds in 0..12 {
        let request = world.owner_a(&step, json!({}));
        let _ = tokio::time::timeout(std::time::Duration::from_millis(milliseconds), request).await;
        let status = world.owner_a("query ($id: ID!) { lead(id: $id) { status history { to } } }", json!({"id": id})).await;
        let lead = status.data()["lead"].clone();
        assert_eq!(lead["history"].as_array().and_then(|steps| steps.last()).map(|step| &step["to"]), Some(&lead["status"]));
    }
}

/// While the database cannot be reached the answer is `SERVICE_UNAVAILABLE`, and says nothing of why.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_database() {
    let world = World::new().await;
    let name = world.database.owner.get_dbname().expect("a name").to_owned();
    let mut admin = world.database.owner.clone();
    admin.dbname("postgres");
    let mut admin = partner_portal::db::connect::establish(&admin, None).await.expect("a connection");
    world.owner_a("{ me { role } }", json!({})).await.data();
    diesel_async::SimpleAsyncConnection::batch_execute(
        &mut admin,
        &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    )
    .await
    .expect("the database is closed");
    for _ in 0..6 {
        let answer = world.owner_a("{ me { role } }", json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"), "{}", answer.body);
        assert!(!answer.body.to_string().contains(&name));
    }
    let ready = world.send(Request::get("/readyz").body(Body::empty()).expect("a request")).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    let alive = world.send(Request::get("/healthz").body(Body::empty()).expect("a request")).await;
    assert_eq!(alive.status, StatusCode::OK);
    diesel_async::SimpleAsyncConnection::batch_execute(&mut admin, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        .await
        .expect("open again");
    world.owner_a("{ me { role } }", json!({})).await.data();
}
