//! What goes over the wire: compressed answers, and answers that are still so.

use std::{fmt::Write, io::Read};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, Bytes},
    http::{Request, Response, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, Answer},
};

const LEADS: &str = "{ leads(first: 20) { nodes { id clientName clientEmail service status createdAt updatedAt } } }";

async fn raw(world: &World, request: Request<Body>) -> (Response<()>, Bytes) {
    let (parts, body) = world.router.clone().oneshot(request).await.expect("an answer").into_parts();
    (Response::from_parts(parts, ()), body.collect().await.expect("a body").to_bytes())
}

fn operation(query: &str, coding: &str) -> Request<Body> {
    Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)))
        .header(header::ACCEPT_ENCODING, coding)
        .body(Body::from(json!({"query": query}).to_string()))
        .expect("a request")
}

/// An answer above 1 kB comes in the coding that the client accepts, and says so; a small one comes as it is, and so does what is asked for
/// without a coding.
#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 20).await;
    let plain = raw(&world, operation(LEADS, "identity")).await;
    assert_eq!(plain.0.headers().get(header::CONTENT_ENCODING), None);
    for (accepted, coding) in
        [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1, br;q=0", "gzip")]
    {
        let (head, body) = raw(&world, operation(LEADS, accepted)).await;
        assert_eq!(head.headers()[header::CONTENT_ENCODING], coding, "{accepted}");
        let varies: Vec<&str> = head.headers().get_all(header::VARY).iter().filter_map(|value| value.to_str().ok()).collect();
        assert!(varies.iter().any(|value| value.eq_ignore_ascii_case("accept-encoding")), "{varies:?}");
        assert!(body.len() * 2 < plain.1.len(), "{coding}: {} of {}", body.len(), plain.1.len());
        match coding {
            "gzip" => {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(&*body).read_to_end(&mut text).expect("gzip");
                assert_eq!(text, plain.1);
            }
            // RFC 8878, section 3.1.1.
            "zstd" => assert_eq!(body[..4], [0x28, 0xb5, 0x2f, 0xfd]),
            _ => {}
        }
    }
    let (head, body) = raw(&world, operation("{ __typename }", "gzip, br, zstd")).await;
    assert_eq!((head.headers().get(header::CONTENT_ENCODING), &*body), (None, br#"{"data":{"__typename":"Query"}}"#.as_slice()));
}

/// Files are compressed on their way, and events are not: each arrives when it happens.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_not_compressed() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 60).await;
    let file = Request::get("/export/leads.csv")
        .header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)))
        .header(header::ACCEPT_ENCODING, "gzip");
    let (head, body) = raw(&world, file.body(Body::empty()).expect("a request")).await;
    assert_eq!(head.headers()[header::CONTENT_ENCODING], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).expect("gzip");
    assert_eq!(text.lines().count(), 61);
    let mut request = operation("subscription { leadChanged { cursor } }", "gzip, br, zstd");
    request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().expect("a header"));
    let stream = world.router.clone().oneshot(request).await.expect("a stream");
    assert_eq!((stream.status(), stream.headers().get(header::CONTENT_ENCODING)), (StatusCode::OK, None));
}

/// A compressed request is refused, and says what is taken.
#[tokio::test(flavor = "multi_thread")]
async fn requests_come_as_they_are() {
    let world = World::new().await;
    for (coding, expected) in [("gzip", 415), ("identity, br", 415), ("zstd", 415), ("identity", 200)] {
        let mut request = operation("{ __typename }", "identity");
        request.headers_mut().insert(header::CONTENT_ENCODING, coding.parse().expect("a header"));
        let answer = world.send(request).await;
        assert_eq!(answer.status.as_u16(), expected, "{coding}");
        if expected == 415 {
            assert!(answer.message().contains("without Content-Encoding"), "{}", answer.body);
        }
    }
}

/// Asks by the hash of a document.
async fn ask(world: &World, bearer: &str, document: &str, query: Option<&str>, tag: Option<&str>) -> Answer {
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    let mut hash = String::new();
    for byte in digest(&SHA256, document.as_bytes()).as_ref() {
        write!(hash, "{byte:02x}").expect("memory can be written to");
    }
    address.append_pair("extensions", &json!({"persistedQuery": {"version": 1, "sha256Hash": hash}}).to_string());
    if let Some(query) = query {
        address.append_pair("query", query);
    }
    let mut request = Request::get(format!("/graphql?{}", address.finish()))
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    if let Some(tag) = tag {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    world.send(request.body(Body::empty()).expect("a request")).await
}

/// A persisted query by GET has a tag. Asked again with it, the answer is that it is still so; a change, or another caller, has another one.
/// Errors, and documents that are sent, are not kept by anybody.
#[tokio::test(flavor = "multi_thread")]
async fn persisted_queries_have_tags() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await;
    let text = |answer: &Answer, name: header::HeaderName| {
        answer.headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    };
    let owner = token("owner_a", ACME);
    let sent = ask(&world, &owner, LEADS, Some(LEADS), None).await;
    assert_eq!((text(&sent, header::ETAG), text(&sent, header::CACHE_CONTROL).as_deref()), (None, Some("no-store")));
    let first = ask(&world, &owner, LEADS, None, None).await;
    let tag = text(&first, header::ETAG).expect("a tag");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(text(&first, header::CACHE_CONTROL).as_deref(), Some("private, no-cache"));
    for known in [tag.clone(), format!("\"x\", {tag}"), "*".to_owned()] {
        let same = ask(&world, &owner, LEADS, None, Some(&known)).await;
        assert_eq!((same.status, same.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
        assert_eq!(text(&same, header::ETAG), Some(tag.clone()));
        assert_eq!(text(&same, header::CACHE_CONTROL).as_deref(), Some("private, no-cache"));
    }
    let other = ask(&world, &token("owner_b", ACME), LEADS, None, Some(&tag)).await;
    assert_eq!((other.status, &other.data()["leads"]["nodes"]), (StatusCode::OK, &json!([])));
    let note = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONTACTED }) { userErrors { code } } }";
    world.operator(note, json!({"id": lead.to_string()})).await;
    let changed = ask(&world, &owner, LEADS, None, Some(&tag)).await;
    assert_eq!((changed.status, &changed.data()["leads"]["nodes"][0]["status"]), (StatusCode::OK, &json!("CONTACTED")));
    assert_ne!(text(&changed, header::ETAG), Some(tag));
    let faulty = "{ leads(after: \"foo\") { totalCount } }";
    ask(&world, &owner, faulty, Some(faulty), None).await;
    let fault = ask(&world, &owner, faulty, None, None).await;
    assert_eq!((fault.body["data"]["leads"].clone(), text(&fault, header::ETAG)), (Value::Null, None));
    assert_eq!(text(&fault, header::CACHE_CONTROL).as_deref(), Some("no-store"));
    let nobody = ask(&world, "nonsense", LEADS, None, Some("*")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&world, &staff_token("operator", ACME), LEADS, None, None).await.status, StatusCode::OK);
}
