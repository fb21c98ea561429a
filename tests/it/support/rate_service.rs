//! A commission-rate service that says what a test wants.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use partner_portal::{
    clock::Clock,
    outbound::Reach,
    rates::{CommissionRates, service::HttpRateService},
};
use url::Url;

/// Asks the service at a URL, on this machine.
pub fn client(url: Url, clock: &Clock) -> CommissionRates {
    let service = HttpRateService::new(url, Some("rate-token".to_owned()), Reach::Private).expect("a client");
    CommissionRates::of(service, clock.clone())
}

/// One answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and a body.
    Says(u16, String),
    /// Sends on to another address.
    SendsTo(String),
    /// Never answers.
    Hangs,
}

/// What the service has been asked: the query of each request, and the authorization that it came with.
type Asked = Vec<(String, String)>;

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    /// What it says when there is nothing else.
    always: Option<Reply>,
    asked: Asked,
}

/// A running service.
pub struct FakeRates {
    pub url: Url,
    script: Arc<Mutex<Script>>,
}

impl FakeRates {
    /// One that knows no rate until it is told otherwise.
    pub async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/rates", listener.local_addr().expect("an address")).parse().expect("a URL");
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

    /// What it has been asked since the last look.
    pub fn asked(&self) -> Asked {
        std::mem::take(&mut self.script.lock().expect("a script").asked)
    }
}

impl Reply {
    /// A share in per cent.
    pub fn percentage(value: &str) -> Self {
        Self::Says(200, format!(r#"{{"type": "PERCENTAGE", "value": "{value}", "source": "test"}}"#))
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, uri: Uri, headers: HeaderMap) -> Response {
    let reply = {
        let mut script = script.lock().expect("a script");
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        script.asked.push((uri.query().unwrap_or_default().to_owned(), authorization.to_owned()));
        script.replies.pop_front().or_else(|| script.always.clone())
    };
    match reply {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(Reply::Says(status, body)) => (StatusCode::from_u16(status).expect("a status"), body).into_response(),
        Some(Reply::SendsTo(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Reply::Hangs) => std::future::pending().await,
    }
}
