//! What those who run the server see of it: metrics and traces.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::Request,
    routing::post,
};
use http_body_util::BodyExt;
use nix::sys::signal::Signal;
use partner_portal::http::metrics;
use serde_json::json;
use tower::ServiceExt;

use crate::support::{
    World,
    binary::{Folder, Server, eventually, run},
};

/// The metrics as they are scraped.
pub async fn scrape(world: &World) -> String {
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let response = metrics::router(Arc::clone(&world.app)).oneshot(request).await.expect("an answer");
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Operations are counted by name and outcome, with their statements; refusals by code; what is open now is reported.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 3).await;
    world.owner_a("query Leads { leads { nodes { partner { id } } } }", json!({})).await.data();
    world.owner_a("query Leads { lead(id: \"nonsense\") { id } }", json!({})).await;
    world.owner_a("{ me { role } }", json!({})).await.data();
    world.owner_a("{ nothing }", json!({})).await;
    let text = scrape(&world).await;
    for line in [
        "portal_operations_total{operation=\"Leads\",outcome=\"ok\",type=\"query\"} 1",
        "portal_operations_total{operation=\"Leads\",outcome=\"BAD_USER_INPUT\",type=\"query\"} 1",
        "portal_operations_total{operation=\"anonymous\",outcome=\"ok\",type=\"query\"} 1",
        "portal_operation_statements_bucket{operation=\"Leads\",le=\"2\"} 2",
        "portal_operation_seconds_count{operation=\"Leads\"} 2",
        "portal_refusals_total{code=\"BAD_USER_INPUT\"} 1",
        "portal_http_responses_total{status=\"200\"} 4",
        "portal_subscriptions 0",
        "portal_pool_connections{state=\"waiting\"} 0",
        "portal_ledger_postings 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes"));
    world.operator("mutation ($a: ID!) { grantCredits(input: { partnerId: $a, credits: 5, reason: \"r\", idempotencyKey: \"k\" }) { grant { id } } }", json!({"a": world.a.to_string()})).await.data();
    for _ in 0..100 {
        if scrape(&world).await.contains("portal_ledger_postings 1\n") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}", scrape(&world).await);
}

/// Metrics are not on the port of the API.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_elsewhere() {
    let world = World::new().await;
    let answer = world.send(Request::get("/metrics").body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.status.as_u16(), 404);
}

/// Spans go to the collector: the operation's, below the caller's, and those of its statements, without what was bound.
#[tokio::test(flavor = "multi_thread")]
async fn traces_are_sent() {
    let received = Arc::new(Mutex::new(Vec::<u8>::new()));
    let sink = Arc::clone(&received);
    let collector =
        Router::new().route("/v1/traces", post(async move |body: Bytes| sink.lock().expect("the sink").extend_from_slice(&body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let folder = Folder::new();
    let endpoint = format!("http://{address}");
    let mut server = Server::start_with(&folder.0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let token = String::from_utf8(run(&folder.0, &["token"]).stdout).expect("a token").trim().to_owned();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = reqwest::Client::new().post(format!("http://{}/graphql", server.address)).bearer_auth(&token);
    let body = json!({"query": "query TracedLeads($search: String) { leads(first: 1, filter: { search: $search }) { nodes { id } } }", "variables": {"search": "unmistakable"}});
    let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")).json(&body);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    server.signal(Signal::SIGTERM);
    eventually("it ends", || server.child.try_wait().expect("a status").is_some()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    let bytes = received.lock().expect("the sink").clone();
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let id: Vec<u8> = (0..16).map(|n| u8::from_str_radix(&trace[2 * n..2 * n + 2], 16).expect("hex")).collect();
    assert!(has(&id), "the caller's trace goes on");
    assert!(has(b"query TracedLeads") && has(b"partner_leads") && has(b"partner-portal"));
    assert!(!has(b"unmistakable"), "what is bound is left out");
}
