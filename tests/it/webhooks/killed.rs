//! A server that is killed while events come in.

use std::time::Duration;

use nix::sys::signal::Signal;
use partner_portal::{
    models::webhooks::source::WebhookSourceKind,
    webhooks::receiving::{
        samples::{Feed, Sample, disordered},
        verify::sign,
    },
};

use super::{incoming::SECRET, *};
use crate::support::binary::{Folder, Server, run};

/// Sends an event as a service does: again until it is taken.
async fn send(server: &Server, source: &str, kind: WebhookSourceKind, event: &Sample) -> bool {
    let client = reqwest::Client::new();
    let mut request = client.post(format!("http://{}/webhooks/{source}", server.address)).body(event.body.clone());
    for (name, value) in sign(kind, SECRET, &event.id, event.body.as_bytes(), now()).expect("a secret") {
        request = request.header(name, value);
    }
    request.send().await.is_ok_and(|answer| answer.status().as_u16() == 204)
}

/// What came in before a server was killed is applied by the next one, once: two feeds in disorder, with three kills in between, end in the figures of the
/// feeds in order, and the books hold.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice() {
    let folder = Folder::new();
    let mut server = Server::start(&folder.0);
    let token = String::from_utf8(run(&folder.0, &["token", "--role", "operator"]).stdout).expect("a token").trim().to_owned();
    let mut sources = Vec::new();
    for kind in [WebhookSourceKind::Stripe, WebhookSourceKind::Clerk] {
        let made = format!(
            "mutation {{ createWebhookSource(input: {{ kind: {}, secret: \"{SECRET}\", idempotencyKey: \"FRESH_KEY\" }}) {{ source {{ id }} }} }}",
            kind.as_str().to_uppercase()
        );
        let made = server.ask(&token, &made).await;
        let id = made["data"]["createWebhookSource"]["source"]["id"].as_str().expect("an id").to_owned();
        let feed = Feed { name: "feed".to_owned(), ends_at: now(), click: None, organization: "org_sample".to_owned() };
        sources.push((id, kind, disordered(&feed.events(kind), 7)));
    }
    let mut events: Vec<_> =
        sources.iter().flat_map(|(id, kind, feed)| feed.iter().map(move |event| (id.clone(), *kind, event.clone()))).collect();
    let count = events.len();
    // Both at once.
    events.sort_by_key(|(_, _, event)| event.id.len() % 3);
    for (number, (source, kind, event)) in events.iter().enumerate() {
        while !send(&server, source, *kind, event).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if number % (count / 4) == count / 4 - 1 && number + 1 < count {
            server.signal(Signal::SIGKILL);
            drop(server);
            server = Server::start(&folder.0);
        }
    }
    let open =
        "{ webhookSources { receipts(filter: { status: [RECEIVED, PARKED, FAILED] }) { nodes { eventType status reason } } } }";
    let mut left = Value::Null;
    for _ in 0..600 {
        let found = server.ask(&token, open).await["data"]["webhookSources"].clone();
        let lists = found.as_array().expect("sources").clone();
        left =
            json!(lists.iter().flat_map(|source| source["receipts"]["nodes"].as_array().expect("receipts")).collect::<Vec<_>>());
        if left == json!([]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, json!([]), "all are applied");
    let revenue = "{ customers(first: 10, filter: { search: \"feed.example\" }) { nodes { externalId name revenue { amount currency } } } }";
    let answer = server.ask(&token, revenue).await;
    let mut customers = answer["data"]["customers"]["nodes"].as_array().expect("customers").clone();
    customers.sort_by_key(|customer| customer["externalId"].to_string());
    let of = |id: &str, name: &str, sums: &[(&str, &str)]| {
        let revenue: Vec<Value> = sums.iter().map(|(amount, currency)| json!({"amount": amount, "currency": currency})).collect();
        json!({"externalId": id, "name": name, "revenue": revenue})
    };
    let expected = [
        of("cus_feed_1", "First Buyer Ltd", &[("200.00", "EUR")]),
        of("cus_feed_2", "Second Buyer", &[("75.00", "EUR"), ("4000", "ISK")]),
    ];
    assert_eq!(customers, expected);
    server.signal(Signal::SIGTERM);
    drop(server);
    let verified = run(&folder.0, &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// `webhook listen-test` says what a source answers to each sample, and fails where one was not taken.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_for_trials() {
    let folder = Folder::new();
    let server = Server::start(&folder.0);
    let token = String::from_utf8(run(&folder.0, &["token", "--role", "operator"]).stdout).expect("a token").trim().to_owned();
    let made = format!(
        "mutation {{ createWebhookSource(input: {{ kind: CLERK, secret: \"{SECRET}\", idempotencyKey: \"FRESH_KEY\" }}) {{ source {{ id }} }} }}"
    );
    let made = server.ask(&token, &made).await;
    let id = made["data"]["createWebhookSource"]["source"]["id"].as_str().expect("an id").to_owned();
    let url = format!("http://{}/webhooks/{id}", server.address);
    let listen = |more: &[&str]| {
        let output = run(&folder.0, &[&["webhook", "listen-test", &url], more].concat());
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    };
    let (is_success, text) = listen(&["--kind", "clerk", "--secret", SECRET]);
    assert!(is_success && text.contains("user.deleted") && text.contains("were taken"), "{text}");
    let (is_success, text) = listen(&["--kind", "clerk", "--secret", "whsec_plJ3nmyCDGBKInavdOK15jsl"]);
    assert!(!is_success && text.contains("not one of this source's secrets"), "{text}");
    for (kind, name, part) in [("clerk", "a b", "--name"), ("paypal", "a", "clerk or stripe")] {
        let (is_success, text) = listen(&["--kind", kind, "--name", name, "--secret", SECRET]);
        assert!(!is_success && text.contains(part), "{text}");
    }
}
