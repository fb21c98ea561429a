//! Events that services report: who may, and what is stored of them.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use partner_portal::{
    models::webhooks::source::WebhookSourceKind,
    webhooks::receiving::{Receiver as Applying, verify::sign},
};

use super::*;

/// A secret of a source.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";

/// A source of Acme's.
pub struct Source {
    pub id: String,
    pub kind: WebhookSourceKind,
}

impl Source {
    /// One with its secret.
    pub async fn new(world: &World, kind: WebhookSourceKind) -> Self {
        let input = keyed(json!({"kind": kind.as_str().to_uppercase(), "secret": SECRET}));
        let made = done(world, "createWebhookSource", input, "source { id url kind }").await["source"].clone();
        let id = made["id"].as_str().expect("an id").to_owned();
        assert_eq!(made["url"], json!(format!("https://portal.example.com/webhooks/{id}")));
        Self { id, kind }
    }

    /// Sends an event, signed with a secret; gives the answer's status and text.
    pub async fn send_signed(&self, world: &World, secret: &str, id: &str, body: &str) -> (StatusCode, String) {
        let signed = sign(self.kind, secret, id, body.as_bytes(), now()).expect("a secret");
        let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send_with(world, &headers, body.to_owned()).await
    }

    /// The same with these headers.
    pub async fn send_with(&self, world: &World, headers: &[(&str, &str)], body: impl Into<Body>) -> (StatusCode, String) {
        let mut request = Request::post(format!("/webhooks/{}", self.id));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = world.send(request.body(body.into()).expect("a request")).await;
        (answer.status, answer.text)
    }

    /// Sends an event that must be taken.
    pub async fn send(&self, world: &World, id: &str, body: &Value) {
        assert_eq!(self.send_signed(world, SECRET, id, &body.to_string()).await, (StatusCode::NO_CONTENT, String::new()));
    }

    /// What was received, the latest first.
    pub async fn receipts(&self, world: &World) -> Vec<Value> {
        let query = "{ webhookSources { id receipts(first: 500) { totalCount nodes {
            id eventId eventType status reason attemptCount body receivedAt nextAttemptAt endedAt } } } }";
        let sources = world.operator(query, json!({})).await.data()["webhookSources"].clone();
        let own = sources.as_array().expect("sources").iter().find(|source| source["id"] == json!(self.id)).expect("the source");
        own["receipts"]["nodes"].as_array().expect("receipts").clone()
    }

    /// The status and the reason of one event's receipt.
    pub async fn outcome(&self, world: &World, event: &str) -> (String, Value) {
        let receipts = self.receipts(world).await;
        let receipt = receipts.iter().find(|receipt| receipt["eventId"] == json!(event)).expect("the receipt");
        (receipt["status"].as_str().expect("a status").to_owned(), receipt["reason"].clone())
    }
}

/// What applies a world's events.
pub fn applying(world: &World) -> Applying {
    Applying { pool: world.app.pool.clone(), clock: world.app.clock.clone(), webhooks: Arc::clone(&world.app.webhooks) }
}

/// Applies all that is due; gives how many events were decided.
pub async fn apply(world: &World) -> usize {
    apply_by(&applying(world)).await
}

/// The same a while later.
pub async fn apply_after(world: &World, time: TimeDelta) -> usize {
    let clock = Clock::default();
    clock.advance(time);
    apply_by(&Applying { clock, ..applying(world) }).await
}

async fn apply_by(applying: &Applying) -> usize {
    let mut count = 0;
    loop {
        let decided = applying.run_once().await.expect("it applies");
        if decided == 0 {
            return count;
        }
        count += decided;
    }
}

/// A user event of Clerk's, as of seconds ago.
fn user_event(name: &str) -> Value {
    json!({"type": "user.updated", "timestamp": now().timestamp_millis(), "data": {"id": "owner_a", "first_name": name,
        "updated_at": now().timestamp_millis()}})
}

/// What is signed with a secret of the source, within five minutes, is stored once by the sender's id, and answered 204; anything else is refused with a
/// sentence, and nothing of it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_report() {
    let world = World::new().await;
    for kind in [WebhookSourceKind::Clerk, WebhookSourceKind::Stripe] {
        let source = Source::new(&world, kind).await;
        let body = json!({"id": "evt_1", "type": "thing.happened", "created": 1_790_000_000}).to_string();
        let refused = |(status, text): (StatusCode, String), part: &str| {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
            assert!(text.contains(part), "{text}");
        };
        refused(source.send_with(&world, &[], body.clone()).await, "header");
        refused(source.send_signed(&world, OTHER_SECRET, "evt_1", &body).await, "not one of this source's secrets");
        let stale = |seconds: i64| {
            let at = now() + TimeDelta::seconds(seconds);
            sign(kind, SECRET, "evt_1", body.as_bytes(), at).expect("a secret")
        };
        for seconds in [-310, 310] {
            let signed = stale(seconds);
            let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
            refused(source.send_with(&world, &headers, body.clone()).await, "five minutes");
        }
        let signed = stale(0);
        let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let changed = body.replace("happened", "happenee");
        refused(source.send_with(&world, &headers, changed).await, "not one of this source's secrets");
        for text in ["not json", "[]", "{}", "{\"id\": \"evt_1\", \"type\": 5}"] {
            refused(source.send_signed(&world, SECRET, "evt_1", text).await, "JSON object");
        }
        let bytes = [0xff_u8, 0xfe];
        let signed = sign(kind, SECRET, "evt_1", &bytes, now()).expect("a secret");
        let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        refused(source.send_with(&world, &headers, bytes.to_vec()).await, "JSON object");
        assert_eq!(source.send_with(&world, &headers, vec![b' '; 256 * 1024 + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(source.receipts(&world).await.is_empty());
        for _ in 0..3 {
            assert_eq!(source.send_signed(&world, SECRET, "evt_1", &body).await.0, StatusCode::NO_CONTENT);
        }
        let receipts = source.receipts(&world).await;
        assert_eq!((receipts.len(), &receipts[0]["status"], &receipts[0]["body"]), (1, &json!("RECEIVED"), &json!(body)));
        assert_eq!(apply(&world).await, 1);
        let ignored = ("IGNORED".to_owned(), json!("Nothing is kept of events of this type."));
        assert_eq!(source.outcome(&world, "evt_1").await, ignored);
    }
}

/// Where the database is away nothing is taken, and the sender hears when to send again.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_database() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Clerk).await;
    world.app.pool.close();
    let body = user_event("Ada").to_string();
    let mut request = Request::post(format!("/webhooks/{}", source.id));
    for (name, value) in sign(source.kind, SECRET, "msg_1", body.as_bytes(), now()).expect("a secret") {
        request = request.header(name, value);
    }
    let answer = world.send(request.body(Body::from(body)).expect("a request")).await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"5"[..]));
}

/// The headers of Standard Webhooks are as good as Svix's, and each of several signatures counts.
#[tokio::test(flavor = "multi_thread")]
async fn standard_headers() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Clerk).await;
    let body = user_event("Ada").to_string();
    let signed = sign(source.kind, SECRET, "msg_1", body.as_bytes(), now()).expect("a secret");
    let wrong = sign(source.kind, OTHER_SECRET, "msg_1", body.as_bytes(), now()).expect("a secret");
    let both = format!("v1a,abc {} {}", wrong[2].1, signed[2].1);
    let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", signed[1].1.as_str()), ("webhook-signature", both.as_str())];
    assert_eq!(source.send_with(&world, &headers, body).await.0, StatusCode::NO_CONTENT);
}

/// There is nothing at the address of a source that is not there or was removed, and nothing is taken before a secret is known.
#[tokio::test(flavor = "multi_thread")]
async fn where_to_report() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Clerk).await;
    for id in ["whsource_01h455vb4pex5vsknk084sn02q", "webhook_01h455vb4pex5vsknk084sn02q", "x", "%00", "%ff"] {
        let elsewhere = Source { id: id.to_owned(), kind: source.kind };
        assert_eq!(elsewhere.send_signed(&world, SECRET, "msg_1", "{}").await.0, StatusCode::NOT_FOUND, "{id}");
    }
    let made = done(&world, "createWebhookSource", keyed(json!({"kind": "CLERK"})), "source { id }").await;
    let bare = Source { id: made["source"]["id"].as_str().expect("an id").to_owned(), kind: source.kind };
    let body = user_event("Ada").to_string();
    let (status, text) = bare.send_signed(&world, SECRET, "msg_1", &body).await;
    assert_eq!((status, text.contains("No secret")), (StatusCode::BAD_REQUEST, true), "{text}");
    let rotated = keyed(json!({"id": bare.id, "secret": SECRET}));
    done(&world, "rotateWebhookSourceSecret", rotated, "source { secrets { expiresAt } }").await;
    bare.send(&world, "msg_1", &user_event("Ada")).await;
    let gone = done(&world, "removeWebhookSource", json!({"id": bare.id}), "sourceId").await;
    assert_eq!(gone["replayed"], json!(false));
    assert_eq!(bare.send_signed(&world, SECRET, "msg_2", &body).await.0, StatusCode::NOT_FOUND);
    assert_eq!(done(&world, "removeWebhookSource", json!({"id": bare.id}), "sourceId").await["replayed"], json!(true));
    assert_eq!(apply(&world).await, 1, "what was received before is applied");
}

/// Another secret is taken at once, and the former one until it expires; of what is in them nothing is shown, and what is no secret is refused.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_replaced() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Stripe).await;
    let body = |id: &str| json!({"id": id, "type": "ping", "created": 1_790_000_000}).to_string();
    let rotate = async |secret: &str, hours: i64| {
        let input = keyed(json!({"id": source.id, "secret": secret, "expireOldAfterHours": hours}));
        tried(&world, "rotateWebhookSourceSecret", input, "source { secrets { createdAt expiresAt } }").await
    };
    for wrong in ["", "sk_live_123456789012345678901234", "whsec_short", "whsec_with a blank in the middle"] {
        assert_eq!(rotate(wrong, 1).await["userErrors"][0]["field"], json!(["input", "secret"]), "{wrong:?}");
    }
    let rotated = rotate(OTHER_SECRET, 1).await;
    let secrets = rotated["source"]["secrets"].as_array().expect("secrets");
    assert_eq!((secrets.len(), secrets[0]["expiresAt"].is_null(), secrets[1]["expiresAt"].is_string()), (2, true, true));
    for (secret, id) in [(SECRET, "evt_1"), (OTHER_SECRET, "evt_2")] {
        assert_eq!(source.send_signed(&world, secret, id, &body(id)).await.0, StatusCode::NO_CONTENT);
    }
    world.sql("UPDATE webhook_source_secrets SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL").await;
    assert_eq!(source.send_signed(&world, SECRET, "evt_3", &body("evt_3")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(source.send_signed(&world, OTHER_SECRET, "evt_3", &body("evt_3")).await.0, StatusCode::NO_CONTENT);
    let texts = world.number("SELECT count(*) FROM webhook_source_secrets WHERE encode(sealed, 'escape') LIKE '%MfKQ9r8%'").await;
    assert_eq!(texts, 0, "they are sealed");
}

/// What cannot be applied has failed with its reason, and is applied again when somebody says so; after thirty days nothing of it is left to apply.
#[tokio::test(flavor = "multi_thread")]
async fn applied_again() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Stripe).await;
    let refund = json!({"id": "evt_1", "type": "refund.created", "created": now().timestamp(), "data": {"object": {
        "id": "re_1", "amount": 500, "currency": "usd", "payment_intent": "pi_1", "status": "succeeded", "created": now().timestamp()}}});
    source.send(&world, "evt_1", &refund).await;
    apply(&world).await;
    let (status, reason) = source.outcome(&world, "evt_1").await;
    assert_eq!((status.as_str(), reason), ("PARKED", json!("No invoice is known that pi_1 has paid.")));
    assert_eq!(apply_after(&world, TimeDelta::seconds(4)).await, 0, "after five seconds");
    assert_eq!(apply_after(&world, TimeDelta::seconds(6)).await, 1);
    assert_eq!(apply_after(&world, TimeDelta::days(3) + TimeDelta::hours(1)).await, 1);
    assert_eq!(source.outcome(&world, "evt_1").await.0, "FAILED", "it was tried for three days");
    let receipt = source.receipts(&world).await[0].clone();
    let ids = json!({"ids": [receipt["id"]]});
    let again = done(&world, "applyWebhookReceipts", ids.clone(), "count").await;
    assert_eq!((&again["count"], &again["replayed"]), (&json!(1), &json!(false)));
    assert_eq!(apply(&world).await, 1);
    assert_eq!(source.outcome(&world, "evt_1").await.0, "PARKED");
    let strange = json!({"ids": ["whreceipt_01h455vb4pex5vsknk084sn02q"]});
    assert_eq!(tried(&world, "applyWebhookReceipts", strange, "count").await["userErrors"][0]["code"], json!("NOT_FOUND"));
    world.sql("UPDATE webhook_receipts SET received_at = now() - interval '31 days'").await;
    partner_portal::jobs::forget_webhooks(&world.app.pool, now()).await.expect("forgotten");
    let receipt = source.receipts(&world).await[0].clone();
    assert_eq!((&receipt["status"], &receipt["body"]), (&json!("FAILED"), &json!(null)));
    assert_eq!(tried(&world, "applyWebhookReceipts", ids, "count").await["userErrors"][0]["code"], json!("INVALID_TRANSITION"));
}

/// Of two servers that apply at once, one applies each event.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Stripe).await;
    for number in 0..40 {
        let id = format!("evt_{number}");
        let object = json!({"id": format!("cus_{}", number % 8), "name": format!("Name {number}"), "email": null});
        let event =
            json!({"id": id, "type": "customer.updated", "created": now().timestamp() + number, "data": {"object": object}});
        source.send(&world, &id, &event).await;
    }
    let (one, other) = (applying(&world), applying(&world.twin().await));
    let (first, second) = tokio::join!(apply_by(&one), apply_by(&other));
    assert_eq!(first + second, 40);
    assert_eq!(world.number("SELECT count(*) FROM webhook_receipts WHERE attempts <> 1").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE external_id LIKE 'cus_%' AND name LIKE 'Name 3_'").await, 8);
}
