//! Another system that receives webhooks, and answers as a test wants.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use partner_portal::webhooks::signature::Secret;
use serde_json::Value;

/// One answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status.
    Status(u16),
    /// A status with the header Retry-After.
    RetryAfter(u16, &'static str),
    /// Another address.
    SendsTo(String),
    /// A body without end.
    Endless,
}

/// A message as it was received.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub timestamp: i64,
    pub signatures: Vec<String>,
    pub text: Vec<u8>,
    pub body: Value,
}

impl Message {
    /// Whether one of its signatures is by that secret.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let signature = Secret::of(secret).expect("a secret").sign(&self.id, self.timestamp, &self.text);
        self.signatures.contains(&signature)
    }
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    always: Option<Reply>,
    received: Vec<Message>,
    at_once: usize,
    most_at_once: usize,
    pause: Duration,
}

/// A running one.
pub struct Receiver {
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    /// It answers so from now on.
    pub fn always(&self, reply: Reply) {
        self.script.lock().expect("a script").always = Some(reply);
    }

    /// It answers so next.
    pub fn then(&self, reply: Reply) {
        self.script.lock().expect("a script").replies.push_back(reply);
    }

    /// It takes so long for each answer.
    pub fn takes(&self, pause: Duration) {
        self.script.lock().expect("a script").pause = pause;
    }

    /// What it has received since the last look.
    pub fn received(&self) -> Vec<Message> {
        std::mem::take(&mut self.script.lock().expect("a script").received)
    }

    /// How many it was answering at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.script.lock().expect("a script").most_at_once
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, headers: HeaderMap, text: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let message = Message {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().expect("seconds"),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        body: serde_json::from_slice(&text).expect("JSON"),
        text: text.to_vec(),
    };
    let (reply, pause) = {
        let mut script = script.lock().expect("a script");
        script.received.push(message);
        script.at_once += 1;
        script.most_at_once = script.most_at_once.max(script.at_once);
        let reply = script.replies.pop_front().or_else(|| script.always.clone()).unwrap_or(Reply::Status(204));
        (reply, script.pause)
    };
    tokio::time::sleep(pause).await;
    script.lock().expect("a script").at_once -= 1;
    let status = |status: u16| StatusCode::from_u16(status).expect("a status");
    match reply {
        Reply::Status(code) => (status(code), "noted").into_response(),
        Reply::RetryAfter(code, after) => (status(code), [(header::RETRY_AFTER, after)], "later").into_response(),
        Reply::SendsTo(url) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        Reply::Endless => {
            let chunks = stream::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 1024])));
            Response::new(Body::from_stream(chunks))
        }
    }
}
