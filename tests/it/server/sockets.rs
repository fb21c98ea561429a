//! Sockets that say nothing, or say it slowly, on the real server.

use std::time::{Duration, Instant};

use partner_portal::{config::limits::Limits, http::server};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::support::{
    World,
    listening::Listening,
    token,
    world::{ACME, Setup},
};

fn impatient() -> Limits {
    let patience = Duration::from_secs(1);
    Limits { header_timeout: patience, body_timeout: patience, ..Setup::default().limits }
}

/// Everything that comes until the server closes.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
    read.expect("the server closes").ok();
    (String::from_utf8_lossy(&text).into_owned(), started.elapsed())
}

/// A connection that says nothing, half a header, or nothing after an answer, is closed; a slow body is 408.
#[tokio::test(flavor = "multi_thread")]
async fn slow_sockets_are_closed() {
    let world = World::with_limits(impatient()).await;
    let server = Listening::start(&world).await;
    let address = server.address;
    let body = json!({"query": "{ me { role } }"}).to_string();
    let head = |length: usize| {
        format!(
            "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\n\r\n",
            token("owner_a", ACME)
        )
    };
    for (sent, expected) in [
        (String::new(), ""),
        ("P".to_owned(), ""),
        ("PRI * HTTP/2.0\r\n".to_owned(), ""),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".to_owned(), ""),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nx-a".to_owned(), ""),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "HTTP/1.1 200 OK"),
        (head(body.len()) + &body, "HTTP/1.1 200 OK"),
        (head(500) + &body, "HTTP/1.1 408 Request Timeout"),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("it is sent");
        let (answer, took) = until_closed(stream).await;
        assert!(answer.starts_with(expected), "{sent:?}: {answer}");
        // No other version is spoken.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{sent:?}: {answer:?}");
        assert!(took < Duration::from_secs(10), "{sent:?}: {took:?}");
    }
}

/// When all sockets are taken by those who say nothing, the next caller is served as soon as they are closed.
#[tokio::test(flavor = "multi_thread")]
async fn silence_does_not_last() {
    let world = World::with_limits(Limits { max_sockets: 20, ..impatient() }).await;
    let server = Listening::start(&world).await;
    let address = server.address;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.expect("a connection"));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), reqwest::get(format!("http://{address}/healthz")))
        .await
        .expect("in time")
        .expect("an answer")
        .text()
        .await
        .expect("text");
    assert_eq!(answer, "alive\n");
}

/// A client that asks and does not read is closed, and a WebSocket counts among the sockets for as long as it is open.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read() {
    let world =
        World::with_limits(Limits { max_sockets: 2, send_timeout: Duration::from_secs(1), ..Setup::default().limits }).await;
    let server = Listening::start(&world).await;
    let mut deaf = TcpStream::connect(server.address).await.expect("a connection");
    let asks = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20_000);
    for _ in 0..20 {
        let sent = tokio::time::timeout(Duration::from_millis(500), deaf.write_all(asks.as_bytes())).await;
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    let socket = server.connect(&token("owner_a", ACME)).await;
    let ask = || tokio::time::timeout(Duration::from_secs(10), reqwest::get(format!("http://{}/healthz", server.address)));
    ask().await.expect("the one that does not read is closed").expect("an answer");
    let third = TcpStream::connect(server.address).await.expect("a connection");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waits = tokio::time::timeout(Duration::from_secs(1), reqwest::get(format!("http://{}/healthz", server.address))).await;
    assert!(waits.is_err(), "a WebSocket and another connection are all that may be open");
    drop((third, socket));
    ask().await.expect("there is room again").expect("an answer");
}

/// A request that comes over a connection that was idle when the server was asked to stop is answered, and told that the connection closes; one over which
/// nothing comes is closed a moment later, and then the server has ended.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_a_server_that_stops() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let (router, limits) = (world.router.clone(), world.app.edge.limits.clone());
    let serving = tokio::spawn(async move {
        server::serve(listener, router, &limits, server::Ending { grace: Duration::from_secs(1), accepts: false }, async {
            let _ = stopped.await;
        })
        .await;
    });
    let asked = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(asked).await.expect("it is sent");
        let mut answer = [0; 1_024];
        let length = stream.read(&mut answer).await.expect("an answer");
        assert!(!String::from_utf8_lossy(&answer[..length]).contains("connection: close"));
        idle.push(stream);
    }
    stop.send(()).expect("it serves");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut late = idle.remove(0);
    late.write_all(asked).await.expect("it is sent");
    let (answer, _) = until_closed(late).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("connection: close"), "{answer}");
    let (answer, took) = until_closed(idle.remove(0)).await;
    assert!(answer.is_empty() && took < Duration::from_secs(3), "{answer} after {took:?}");
    tokio::time::timeout(Duration::from_secs(3), serving).await.expect("it ends").expect("without a panic");
}
