//! Subscriptions over Server-Sent Events: the graphql-sse protocol's distinct connections.

use std::time::Duration;

use futures_util::StreamExt;
use partner_portal::models::event::Position;
use serde_json::{Value, json};

use crate::support::{
    World,
    listening::Listening,
    sign, token,
    tokens::{good_claims, now},
    world::{ACME, Setup},
};

const WATCH: &str = "subscription ($since: String) { leadChanged(since: $since) { cursor lead { status } } }";

/// What comes on a stream of events.
struct Events {
    stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = String> + Send>>,
    text: String,
    /// The id of the last event.
    id: String,
}

impl Events {
    async fn open(server: &Listening, token: &str, query: &str, variables: Value) -> Self {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", server.address)).bearer_auth(token);
        Self::read(request.json(&json!({"query": query, "variables": variables}))).await
    }

    async fn read(request: reqwest::RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        let stream = futures_util::stream::unfold(response, async |mut response| {
            let chunk = response.chunk().await.ok()??;
            Some((String::from_utf8_lossy(&chunk).into_owned(), response))
        });
        Self { stream: stream.boxed(), text: String::new(), id: String::new() }
    }

    /// Whether the stream ends without another event.
    async fn breaks_off(&mut self) -> bool {
        loop {
            let more = tokio::time::timeout(Duration::from_secs(20), self.stream.next()).await.expect("an end in time");
            match more {
                Some(more) if more.starts_with(':') || !more.contains("event:") => {}
                Some(_) => return false,
                None => return self.text.is_empty(),
            }
        }
    }

    /// The id that comes before any event.
    async fn opened_at(&mut self) -> String {
        let first =
            tokio::time::timeout(Duration::from_secs(20), self.stream.next()).await.expect("an id in time").expect("an id");
        first.strip_prefix("id: ").expect("an id").trim().to_owned()
    }

    /// The next event, as its name and data; comments and ids alone are passed over.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned())) {
                self.text = rest;
                if event.starts_with(':') || !event.contains("event:") {
                    continue;
                }
                let field = |name: &str| {
                    event.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned())).unwrap_or_default()
                };
                self.id = field("id:");
                return (field("event:"), serde_json::from_str(&field("data:")).unwrap_or_default());
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.stream.next()).await.expect("an event in time");
            self.text.push_str(&more.expect("the stream goes on"));
        }
    }
}

async fn live() -> (World, Listening) {
    let world = World::with(Setup { is_live: true, ..Setup::default() }).await;
    let server = Listening::start(&world).await;
    (world, server)
}

/// Events come as they happen; a cursor brings what was missed; the stream breaks off when the token ends, or the server:
/// to `complete` no client would come back.
#[tokio::test(flavor = "multi_thread")]
async fn events_come() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut claims = good_claims("owner_a", ACME);
    claims["exp"] = json!(now() + 15);
    let mut events = Events::open(&server, &sign(&claims), WATCH, json!({})).await;
    let step =
        |to: &str| format!("mutation {{ updateLeadStatus(input: {{ id: \"{lead}\", status: {to} }}) {{ lead {{ status }} }} }}");
    world.owner_a(&step("CONTACTED"), json!({})).await.data();
    let (name, received) = events.next().await;
    assert_eq!((name.as_str(), &received["data"]["leadChanged"]["lead"]["status"]), ("next", &json!("CONTACTED")));
    world.owner_a(&step("QUALIFIED"), json!({})).await.data();
    let since = received["data"]["leadChanged"]["cursor"].clone();
    let mut later = Events::open(&server, &token("owner_a", ACME), WATCH, json!({"since": since})).await;
    for events in [&mut events, &mut later] {
        assert_eq!(events.next().await.1["data"]["leadChanged"]["lead"]["status"], "QUALIFIED");
    }
    assert!(events.breaks_off().await);
    // So it does where the server stops.
    world.app.edge.stop();
    assert!(later.breaks_off().await);
}

/// A page of our own site opens a stream with its browser's `EventSource` and the session cookie; where it breaks off, the browser opens it
/// again with the id of the last event, and learns of what it missed. Pages of other sites are refused, and so is anyone who cannot say.
#[tokio::test(flavor = "multi_thread")]
async fn event_source() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let address = reqwest::Url::parse_with_params(
        &format!("http://{}/graphql", server.address),
        [("query", "subscription { changes { cursor ... on LeadChange { lead { status } } } }")],
    )
    .expect("an address");
    let ask = |site: &'static str| {
        let request = reqwest::Client::new().get(address.clone()).header("sec-fetch-site", site);
        request.header("cookie", format!("__session={}", token("owner_a", ACME)))
    };
    let step = async |to: &str| {
        let step = format!("mutation {{ updateLeadStatus(input: {{ id: \"{lead}\", status: {to} }}) {{ lead {{ status }} }} }}");
        world.owner_a(&step, json!({})).await.data();
    };
    let mut events = Events::read(ask("same-origin")).await;
    step("CONTACTED").await;
    let (_, received) = events.next().await;
    assert_eq!(received["data"]["changes"]["lead"]["status"], "CONTACTED");
    assert_eq!(received["data"]["changes"]["cursor"], json!(events.id));
    let id = std::mem::take(&mut events.id);
    drop(events);
    step("QUALIFIED").await;
    let mut again = Events::read(ask("same-origin").header("last-event-id", id)).await;
    assert_eq!(again.next().await.1["data"]["changes"]["lead"]["status"], "QUALIFIED");
    step("LOST").await;
    assert_eq!(again.next().await.1["data"]["changes"]["lead"]["status"], "LOST");
    for site in ["same-site", "cross-site", "none"] {
        let refused = ask(site).header("accept", "text/event-stream").send().await.expect("an answer");
        assert_eq!(refused.status(), 403, "{site}");
    }
    let refused = ask("same-origin").header("accept", "application/json, text/event-stream").send().await.expect("an answer");
    assert_eq!(refused.status(), 403, "no EventSource asks like this");
    // Broken off before anything was reported: where it was opened is known all the same.
    let mut quiet = Events::read(ask("same-origin")).await;
    let opened_at = quiet.opened_at().await;
    drop(quiet);
    step("PENDING").await;
    let mut again = Events::read(ask("same-origin").header("last-event-id", opened_at)).await;
    assert_eq!(again.next().await.1["data"]["changes"]["lead"]["status"], "PENDING");
    // What the database does not know any more is reported as an event, by which every client knows that it must read anew.
    let far = world.app.hub.cursors().encode(Position { sequence: 1_000_000, mark: [0; 8] }).expect("a cursor");
    let mut expired = Events::read(ask("same-origin").header("last-event-id", far)).await;
    assert_eq!(expired.next().await.1["errors"][0]["extensions"]["code"], "CURSOR_EXPIRED");
    assert_eq!(expired.next().await.0, "complete");
    let wrong = ask("same-origin").header("accept", "text/event-stream").header("last-event-id", "17");
    let body: Value = wrong.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{body}");
}

/// A query is answered as a stream of one; what cannot run is an answer in JSON with its status, and no stream.
#[tokio::test(flavor = "multi_thread")]
async fn other_operations() {
    let (_world, server) = live().await;
    let owner = token("owner_a", ACME);
    let mut events = Events::open(&server, &owner, "{ me { role } }", json!({})).await;
    assert_eq!(events.next().await, ("next".to_owned(), json!({"data": {"me": {"role": "PARTNER_OWNER"}}})));
    assert_eq!(events.next().await.0, "complete");
    for (query, accept, status) in [
        ("{ nothing }", "text/event-stream", 400),
        ("subscription { leadChanged(since: \"x\") { cursor } }", "text/event-stream", 400),
        ("subscription { leadChanged { cursor } }", "application/graphql-response+json", 400),
        ("subscription { leadChanged { cursor } }", "application/json", 200),
    ] {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", server.address)).bearer_auth(&owner);
        let response = request.header("accept", accept).json(&json!({"query": query})).send().await.expect("an answer");
        assert_eq!(response.status(), status, "{query} {accept}");
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{query} {accept}: {body}");
    }
}

/// A stream whose client has gone is over, and its place is free.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave() {
    let (world, server) = live().await;
    let events = Events::open(&server, &token("owner_a", ACME), WATCH, json!({})).await;
    assert_eq!(world.app.edge.subscriptions.count(), 1);
    drop(events);
    for _ in 0..200 {
        if world.app.edge.subscriptions.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("its place is still taken");
}
