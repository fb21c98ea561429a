//! GraphQL over HTTP: methods, media types, parameters, statuses. The official audit of it runs against the program in `tests/clients`.

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use serde_json::{Value, json};

use crate::support::{
    World,
    log::lines_of,
    token,
    world::{ACME, Answer},
};

const MODERN: &str = "application/graphql-response+json";
const CLASSIC: &str = "application/json";

async fn post(world: &World, accept: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)));
    world.send(request.body(Body::from(body.to_string())).expect("a request")).await
}

async fn get(world: &World, accept: &str, parameters: &[(&str, &str)]) -> Answer {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = Request::get(format!("/graphql?{query}")).header(header::ACCEPT, accept);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)));
    world.send(request.body(Body::empty()).expect("a request")).await
}

fn content_type(headers: &HeaderMap) -> &str {
    headers[header::CONTENT_TYPE].to_str().expect("text")
}

/// The answer comes in the form that was asked for, JSON where none was; what is not to be had is 406.
#[tokio::test(flavor = "multi_thread")]
async fn forms_of_answers() {
    let world = World::new().await;
    let body = json!({"query": "{ __typename }"});
    for (accept, expected) in [
        (None, "application/json; charset=utf-8"),
        (Some("*/*"), "application/json; charset=utf-8"),
        (Some(CLASSIC), "application/json; charset=utf-8"),
        (Some(MODERN), "application/graphql-response+json; charset=utf-8"),
        (Some("application/graphql-response+json, application/json;q=0.9"), "application/graphql-response+json; charset=utf-8"),
    ] {
        let answer = post(&world, accept, &body).await;
        assert_eq!((answer.status, content_type(&answer.headers)), (StatusCode::OK, expected), "{accept:?}");
    }
    let refused = post(&world, Some("text/html"), &body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::NOT_ACCEPTABLE, "BAD_USER_INPUT"));
}

/// A document that cannot run has no `data`; it is 400 in the modern form and 200 in the classic one. What ran is 200 in both.
#[tokio::test(flavor = "multi_thread")]
async fn statuses() {
    let world = World::new().await;
    for (body, words) in [
        (json!({"query": "{"}), "does not parse"),
        (json!({"query": "{ nothing }"}), "Cannot query field"),
        (json!({"query": "query ($id: ID!) { lead(id: $id) { id } }", "variables": {"id": null}}), "null is none"),
        (json!({"query": "query ($id: ID!) { lead(id: $id) { id } }"}), "is needed and was not sent"),
        (
            json!({"query": "query ($s: [LeadStatus!]) { leads(filter: {status: $s}) { totalCount } }", "variables": {"s": ["LOST", "X"]}}),
            "X\" is no value of LeadStatus",
        ),
        (
            json!({"query": "mutation ($i: UpdateLeadStatusInput!) { updateLeadStatus(input: $i) { lead { id } } }", "variables": {"i": {"id": "lead_x", "status": "LOST", "more": 1}}}),
            "has no field \"more\"",
        ),
        (json!({"query": "query A { __typename } query B { __typename }"}), "`operationName` must say which"),
        (json!({"query": "query A { __typename }", "operationName": "B"}), "no operation of the name \"B\""),
        (json!({"query": "subscription { leadChanged { cursor } }"}), ""),
    ] {
        for (accept, status) in [(CLASSIC, StatusCode::OK), (MODERN, StatusCode::BAD_REQUEST)] {
            let answer = post(&world, Some(accept), &body).await;
            assert_eq!((answer.status, answer.code()), (status, "BAD_USER_INPUT"), "{body}: {}", answer.body);
            assert!(answer.body.get("data").is_none() && answer.message().contains(words), "{body}: {}", answer.body);
        }
    }
    for accept in [CLASSIC, MODERN] {
        let failed = post(&world, Some(accept), &json!({"query": "{ lead(id: \"nonsense\") { id } }"})).await;
        assert_eq!((failed.status, failed.code()), (StatusCode::OK, "BAD_USER_INPUT"));
        assert!(failed.body.get("data").is_some(), "{}", failed.body);
    }
}

/// GET runs queries, with all parameters; a mutation is 405 and nothing has changed; parameters are read strictly.
#[tokio::test(flavor = "multi_thread")]
async fn queries_by_get() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let text = "query A($id: ID!) { lead(id: $id) { status } } query B { me { role } }";
    let variables = json!({"id": lead}).to_string();
    let answer =
        get(&world, MODERN, &[("query", text), ("operationName", "A"), ("variables", &variables), ("extensions", "{}")]).await;
    assert_eq!(answer.data(), &json!({"lead": {"status": "PENDING"}}));
    let other = get(&world, MODERN, &[("query", text), ("operationName", "B")]).await;
    assert_eq!(other.data(), &json!({"me": {"role": "PARTNER_OWNER"}}));
    let step = format!("mutation {{ updateLeadStatus(input: {{ id: \"{lead}\", status: LOST }}) {{ lead {{ status }} }} }}");
    for accept in [CLASSIC, MODERN] {
        let refused = get(&world, accept, &[("query", &step)]).await;
        assert_eq!(
            (refused.status, refused.headers[header::ALLOW].to_str().ok()),
            (StatusCode::METHOD_NOT_ALLOWED, Some("POST"))
        );
    }
    assert_eq!(world.number("SELECT count(*) FROM partner_leads WHERE status = 'pending'").await, 1);
    for bad in [
        &[("variables", "{}")][..],
        &[("query", text), ("operationName", "B"), ("variables", "[1]")],
        &[("query", text), ("operationName", "B"), ("variables", "{")],
        &[("query", text), ("operationName", "B"), ("extensions", "5")],
        &[("query", text), ("query", text)],
    ] {
        assert_eq!(get(&world, MODERN, bad).await.status, StatusCode::BAD_REQUEST, "{bad:?}");
    }
}

/// Every rejection, whatever is wrong, is JSON with a message and a code.
#[tokio::test(flavor = "multi_thread")]
async fn rejections_are_answers() {
    let world = World::new().await;
    let request = |method: Method, path: &str, content_type: &str, body: Body| {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, content_type);
        request.header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME))).body(body).expect("a request")
    };
    for (request, status) in [
        (request(Method::PUT, "/graphql", "application/json", Body::empty()), StatusCode::METHOD_NOT_ALLOWED),
        (request(Method::GET, "/nothing", "application/json", Body::empty()), StatusCode::NOT_FOUND),
        (request(Method::POST, "/graphql", "text/plain", Body::from("{}")), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            request(Method::POST, "/graphql", "application/json; charset=latin1", Body::from("{}")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (request(Method::POST, "/graphql", "application/json", Body::from(vec![b' '; 1_100_000])), StatusCode::PAYLOAD_TOO_LARGE),
        (request(Method::POST, "/graphql", "application/json", Body::from(vec![0xff, 0xfe])), StatusCode::BAD_REQUEST),
        (request(Method::POST, "/graphql", "application/json", Body::empty()), StatusCode::BAD_REQUEST),
        (request(Method::GET, "/graphql", "application/json", Body::empty()), StatusCode::BAD_REQUEST),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = world.send(request).await;
        assert_eq!(answer.status, status, "{what}");
        assert!(content_type(&answer.headers).starts_with("application/json"), "{what}");
        assert!(answer.message() != "none" && answer.code() != "none", "{what}: {}", answer.body);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let stranger = world
        .send(
            Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).expect("a request"),
        )
        .await;
    assert_eq!((stranger.status, stranger.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
}

/// Batches are off unless a setting allows them; then each operation has its own answer, in order, and there may be so many.
#[tokio::test(flavor = "multi_thread")]
async fn batches() {
    let world = World::new().await;
    let two = json!([{"query": "{ me { role } }"}, {"query": "{ nothing }"}]);
    assert_eq!(post(&world, None, &two).await.status, StatusCode::BAD_REQUEST);
    let limits = partner_portal::config::limits::Limits { max_batch: 3, ..Default::default() };
    let world = World::with_limits(limits).await;
    let answer = post(&world, None, &two).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body[0], json!({"data": {"me": {"role": "PARTNER_OWNER"}}}));
    assert!(answer.body[1].get("data").is_none() && answer.body[1]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT");
    let many = json!([{"query": "{ __typename }"}, {"query": "{ __typename }"}, {"query": "{ __typename }"}, {"query": "{ __typename }"}]);
    for bad in [many, json!([]), json!([5]), json!([[]])] {
        assert_eq!(post(&world, None, &bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

/// The log says of every request what became of it, with the id that its answer has: also where there is nothing, or not by that method.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_turned_away_is_logged() {
    let world = World::new().await;
    for (request, status) in [
        (Request::get("/nowhere"), StatusCode::NOT_FOUND),
        (Request::delete("/graphql"), StatusCode::METHOD_NOT_ALLOWED),
        (Request::post("/export/payouts.csv"), StatusCode::METHOD_NOT_ALLOWED),
        (Request::post("/graphql"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let answer = world.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.status, status);
        let log = lines_of(&answer);
        assert!(
            log.iter().any(|line| line["message"] == "turned away" && line["errors"] == "BAD_USER_INPUT"),
            "{status}: {log:?}"
        );
    }
}
