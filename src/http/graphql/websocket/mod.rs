//! Operations over WebSocket: the graphql-transport-ws protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), with its codes.
//!
//! The token comes in the payload of `connection_init`, never from a cookie: another site's page may open a socket, but has no token. A
//! connection ends with its token, by a code that clients take as a reason to connect again with a newer one; a `ping` whose payload has one
//! of the same person lets it go on.

mod message;
mod running;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    response::Response,
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use self::{
    message::{ClientMessage, token_of},
    running::{Outgoing, Running, Sender},
};
use super::operation::Call;
use crate::{
    app::App,
    auth::claims::Claims,
    db::wal::WalPosition,
    edge::UserPermit,
    error::Error,
    graphql::document::Parameters,
    http::{MAX_BODY, Refused, server::SocketPermit},
};

/// The subprotocol's name.
const PROTOCOL: &str = "graphql-transport-ws";
/// How often the client is pinged, and for how long it may be silent.
const HEARTBEAT: Duration = Duration::from_secs(25);
const SILENCE: Duration = Duration::from_mins(1);
/// How many messages are buffered for a client. An operation with one more waits.
const AHEAD: usize = 16;
/// The longest reason that a close frame has room for (RFC 6455, section 5.5), in bytes.
const MAX_REASON: usize = 123;
/// How long a name of an operation may be.
const MAX_ID: usize = 128;

/// Why a connection is closed.
struct Closing {
    code: u16,
    reason: String,
}

impl Closing {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn invalid(what: &str) -> Self {
        Self::new(4400, format!("Invalid message: {what}"))
    }

    fn frame(self) -> CloseFrame {
        let mut end = self.reason.len().min(MAX_REASON);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        CloseFrame { code: self.code, reason: self.reason[..end].into() }
    }
}

/// Opens a connection.
/// Its permit among the sockets goes with it.
pub fn open(app: Arc<App>, id: String, upgrade: WebSocketUpgrade, permit: Option<SocketPermit>) -> Response {
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MAX_BODY).max_frame_size(MAX_BODY);
    upgrade.on_upgrade(async move |mut socket| {
        let _permit = permit;
        let closing = match socket.protocol() {
            Some(_) => {
                let (outgoing, made) = mpsc::channel(AHEAD);
                Connection {
                    app: Arc::clone(&app),
                    id: id.clone(),
                    outgoing,
                    session: None,
                    operations: HashMap::new(),
                    is_initialised: false,
                    is_stopping: false,
                    count: 0,
                }
                .run(&mut socket, made)
                .await
            }
            None => Some(Closing::new(4406, "Subprotocol not acceptable: it is graphql-transport-ws")),
        };
        if let Some(closing) = closing {
            tracing::debug!(request_id = id, code = closing.code, reason = closing.reason, "a WebSocket is closed");
            let _ = timeout(app.edge.limits.send_timeout, socket.send(Message::Close(Some(closing.frame())))).await;
            // The other end may close too.
            drain(&mut socket).await;
        }
    })
}

/// Who is connected.
struct Session {
    claims: watch::Sender<Arc<Claims>>,
    _permit: UserPermit,
}

struct Connection {
    app: Arc<App>,
    id: String,
    outgoing: mpsc::Sender<Outgoing>,
    is_initialised: bool,
    is_stopping: bool,
    session: Option<Session>,
    operations: HashMap<String, Running>,
    /// How many operations there have been.
    count: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.operations.values().for_each(|running| running.task.abort());
    }
}

/// What a connection does next.
enum Next {
    /// It answers.
    Send(Value),
    /// It waits for more.
    Wait,
    /// It closes; for this reason, where the client is to be told one.
    Close(Option<Closing>),
}

impl Connection {
    /// Serves until either end closes; gives the reason, where the client is to be told it.
    async fn run(mut self, socket: &mut WebSocket, mut made: mpsc::Receiver<Outgoing>) -> Option<Closing> {
        let app = Arc::clone(&self.app);
        let patience = app.edge.limits.send_timeout;
        let deadline = Instant::now() + app.edge.limits.init_timeout;
        let mut heard = Instant::now();
        let mut beat = tokio::time::interval(HEARTBEAT);
        let stopped = app.edge.stopped();
        tokio::pin!(stopped);
        loop {
            if self.is_stopping && self.operations.is_empty() {
                return Some(Closing::new(1001, "The server is stopping; connect again"));
            }
            let expires_at = self.session.as_ref().map(|session| session.claims.borrow().expires_at);
            let message = tokio::select! {
                received = socket.recv() => {
                    heard = Instant::now();
                    match self.receive(socket, received?).await {
                        Next::Send(answer) => Message::Text(answer.to_string().into()),
                        Next::Wait => continue,
                        Next::Close(closing) => return closing,
                    }
                }
                Some(outgoing) = made.recv() => match self.hand_on(outgoing) {
                    Some(message) => Message::Text(message.into()),
                    None => continue,
                },
                () = sleep_until(deadline), if !self.is_initialised => return Some(Closing::new(4408, "Connection initialisation timeout")),
                () = expiry(&app, expires_at) => return Some(Closing::new(4403, "Forbidden: the token has expired; connect again with a new one")),
                // What is under way is finished; subscriptions end by themselves.
                () = &mut stopped, if !self.is_stopping => {
                    self.is_stopping = true;
                    continue;
                }
                _ = beat.tick() => {
                    if heard.elapsed() > SILENCE {
                        return None;
                    }
                    Message::Ping(Vec::new().into())
                }
            };
            match timeout(patience, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => {
                    tracing::debug!(request_id = self.id, "a subscriber does not read on, and is dropped");
                    return None;
                }
            }
        }
    }

    /// What follows from what the client has sent.
    async fn receive(&mut self, socket: &mut WebSocket, received: Result<Message, axum::Error>) -> Next {
        match received {
            Ok(Message::Text(text)) => match self.take(&text).await {
                Ok(Some(answer)) => Next::Send(answer),
                Ok(None) => Next::Wait,
                Err(closing) => Next::Close(Some(closing)),
            },
            Ok(Message::Binary(_)) => Next::Close(Some(Closing::invalid("it is not text"))),
            Ok(Message::Ping(_) | Message::Pong(_)) => Next::Wait,
            Ok(Message::Close(_)) => {
                drain(socket).await;
                Next::Close(None)
            }
            Err(error) => Next::Close(broken(error)),
        }
    }

    /// Takes a message; gives the answer where it has one of its own.
    async fn take(&mut self, text: &str) -> Result<Option<Value>, Closing> {
        match message::parse(text).map_err(|what| Closing::invalid(&what))? {
            ClientMessage::ConnectionInit { payload } => self.initialise(payload.as_ref()).await.map(Some),
            ClientMessage::Ping { payload } => {
                self.renew(payload.as_ref()).await?;
                Ok(Some(payload.map_or_else(|| json!({"type": "pong"}), |_| json!({"type": "pong", "payload": {}}))))
            }
            ClientMessage::Pong {} => Ok(None),
            ClientMessage::Complete { id } => {
                if let Some(operation) = self.operations.remove(&id) {
                    operation.task.abort();
                }
                Ok(None)
            }
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, *payload),
        }
    }

    async fn initialise(&mut self, payload: Option<&Value>) -> Result<Value, Closing> {
        if std::mem::replace(&mut self.is_initialised, true) {
            return Err(Closing::new(4429, "Too many initialisation requests"));
        }
        let claims = self.verify(payload).await?;
        let permit = self.app.edge.connections.enter(&claims, "connections");
        let permit = permit.map_err(|error| Closing::new(1013, error.public_message()))?;
        self.session = Some(Session { claims: watch::Sender::new(claims), _permit: permit });
        Ok(json!({"type": "connection_ack"}))
    }

    /// Goes on with a newer token, where the payload has one. It is of the same person, for the same company and organisation.
    async fn renew(&self, payload: Option<&Value>) -> Result<(), Closing> {
        let Some(session) = self.session.as_ref().filter(|_| token_of(payload).is_some()) else { return Ok(()) };
        let newer = self.verify(payload).await?;
        let of = |claims: &Claims| {
            (
                claims.issuer.clone(),
                claims.subject.clone(),
                claims.tenant.clone(),
                claims.organization.as_ref().map(|organization| organization.id.clone()),
            )
        };
        if of(&newer) != of(&session.claims.borrow()) {
            return Err(Closing::new(4403, "Forbidden: the token is of somebody else, or for another organisation"));
        }
        session.claims.send_replace(newer);
        Ok(())
    }

    async fn verify(&self, payload: Option<&Value>) -> Result<Arc<Claims>, Closing> {
        let forbidden = || Closing::new(4403, "Forbidden: the payload needs a valid session token in `authorization`");
        let token = token_of(payload).ok_or_else(forbidden)?;
        self.app.verifier.verify(token).await.map_err(|fault| {
            tracing::info!(request_id = self.id, reason = %fault, "token refused");
            forbidden()
        })
    }

    /// Begins an operation; gives the answer where it does not begin.
    fn subscribe(&mut self, id: String, parameters: Parameters) -> Result<Option<Value>, Closing> {
        let Some(session) = &self.session else { return Err(Closing::new(4401, "Unauthorized: send connection_init first")) };
        if id.is_empty() || id.len() > MAX_ID {
            return Err(Closing::invalid("its id is empty or longer than 128 bytes"));
        }
        if self.operations.contains_key(&id) {
            return Err(Closing::new(4409, format!("Subscriber for {id} already exists")));
        }
        let most = self.app.edge.limits.user_subscriptions;
        // Not begun, and not answered: to a client an error would be the operation's end, and it asks again when it is connected again.
        if self.is_stopping {
            return Ok(None);
        }
        if self.operations.len() >= most {
            let error = Error::TooManyOpen { what: "operations", most };
            let message = json!({"type": "error", "id": id, "payload": Refused::Fault(error).body(&self.id)["errors"]});
            return Ok(Some(message));
        }
        let claims = session.claims.subscribe();
        let call = Call {
            id: self.id.clone(),
            claims: Arc::clone(&claims.borrow()),
            is_safe: false,
            tells_cost: false,
            last_event_id: None,
            caller: None,
            position: WalPosition::default(),
        };
        self.count += 1;
        let sender = Sender { id: id.clone(), number: self.count, outgoing: self.outgoing.clone() };
        self.operations.insert(id, running::start(&self.app, call, parameters, claims, sender));
        Ok(None)
    }

    /// The message, if its operation is still wanted.
    fn hand_on(&mut self, outgoing: Outgoing) -> Option<String> {
        let Outgoing { id, number, is_last, message } = outgoing;
        if self.operations.get(&id).is_none_or(|running| running.number != number) {
            return None;
        }
        if is_last {
            self.operations.remove(&id);
        }
        message
    }
}

/// Reads to the end; what is to be said to the other end's close frame is said thereby.
async fn drain(socket: &mut WebSocket) {
    let _ = timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = socket.recv().await {} }).await;
}

async fn expiry(app: &App, expires_at: Option<i64>) {
    match expires_at {
        Some(expires_at) => crate::http::until(app, expires_at).await,
        None => std::future::pending().await,
    }
}

/// What to say to an end that does not speak WebSocket as it should.
fn broken(error: axum::Error) -> Option<Closing> {
    use axum::extract::ws::close_code;
    let text = error.to_string();
    if text.contains("too long") {
        return Some(Closing::new(close_code::SIZE, "The message is larger than 1 MB"));
    }
    text.to_ascii_lowercase().contains("utf-8").then(|| Closing::invalid("it is not UTF-8"))
}
