//! A world's server on a real socket, and clients of its subscriptions.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use partner_portal::http::server;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::World;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of its own, until it is dropped.
pub struct Listening {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listening {
    pub async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (router, limits) = (world.router.clone(), world.app.edge.limits.clone());
        let task = tokio::spawn(async move {
            server::serve(listener, router, &limits, server::Ending::default(), std::future::pending()).await;
        });
        Self { address, task }
    }

    /// A WebSocket that has said nothing yet.
    pub async fn socket(&self) -> Socket {
        self.socket_of(Some("graphql-transport-ws")).await
    }

    /// The same with another subprotocol, or none.
    pub async fn socket_of(&self, protocol: Option<&str>) -> Socket {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().expect("a request");
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().expect("a header"));
        }
        let stream = MaybeTlsStream::Plain(TcpStream::connect(self.address).await.expect("a connection"));
        match client_async(request, stream).await {
            Ok((socket, _)) => Socket(socket),
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    /// A WebSocket that has said who it is.
    pub async fn connect(&self, token: &str) -> Socket {
        let mut socket = self.socket().await;
        socket.send(json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {token}")}})).await;
        assert_eq!(socket.receive().await, json!({"type": "connection_ack"}));
        socket
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The client's end of a WebSocket.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("it is sent");
    }

    pub async fn send_raw(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// Begins an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        self.send(json!({"type": "subscribe", "id": id, "payload": {"query": query, "variables": variables}})).await;
    }

    /// The next message.
    pub async fn receive(&mut self) -> Value {
        loop {
            let message =
                timeout(PATIENCE, self.0.next()).await.expect("a message in time").expect("an open socket").expect("a message");
            match message {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The data of the next answer of that operation.
    pub async fn next(&mut self, id: &str) -> Value {
        let message = self.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"].clone()
    }

    /// The next message, or the code with which the server closes instead.
    pub async fn next_or_closing(&mut self) -> Result<Value, u16> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// Whether the server answers a close frame with one, and the connection ends in order.
    pub async fn is_closed(&mut self) -> bool {
        let mut answered = false;
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("it is closed in time") {
                Some(Ok(Message::Close(_))) => answered = true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return answered,
            }
        }
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self, for_long: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + for_long;
        loop {
            match tokio::time::timeout_at(deadline, self.0.next()).await {
                Err(_) => return true,
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(other) => {
                    eprintln!("not silent: {other:?}");
                    return false;
                }
            }
        }
    }

    /// The code and reason with which the server closes, whatever it says before.
    pub async fn closing(&mut self) -> (u16, String) {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("it is closed in time") {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return (1006, String::new()),
                Some(Ok(_)) => {}
            }
        }
    }
}
