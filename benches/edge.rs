//! What the edge costs: refusing documents, and what those who wait (slow sockets, subscribers) take from those who ask.
//!
//! `cargo bench --bench edge`. Refusals are timed on one thread, without a database, over documents of growing size; the rest runs
//! against the program itself, quiet and busy in turn.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use partner_portal::{
    config::limits::Limits,
    graphql::{PortalSchema, document::Parameters},
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

/// How many sockets dribble, and how many subscriptions are open.
const SLOW_SOCKETS: usize = 200;
const SUBSCRIPTIONS: usize = 1_000;
/// How many ask at once, how long each turn is, and how many turns of each kind there are.
const CLIENTS: usize = 8;
const TURN: Duration = Duration::from_secs(4);
const TURNS: usize = 3;

fn main() {
    // `cargo test --benches` runs this to see that it runs.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    refusals(if is_test { 1 } else { 21 });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(bystanders(if is_test { Duration::from_millis(300) } else { TURN }, if is_test { 1 } else { TURNS }));
}

/// A document of about that many bytes, of a kind that is refused.
fn bomb(kind: &str, bytes: usize) -> String {
    let repeat = |part: &str| part.repeat(bytes / part.len());
    match kind {
        "doubled fragments" => {
            let mut text = "{ me { ...F0 } }".to_owned();
            let mut n = 0;
            while text.len() < bytes {
                let _ = write!(text, " fragment F{n} on Viewer {{ a: role ...F{0} ...F{0} }}", n + 1);
                n += 1;
            }
            text
        }
        "aliases" => format!("{{ {} }}", repeat("a: __typename ")),
        "one field" => format!("{{ me {{ {} }} }}", repeat("role ")),
        "unknown fields" => format!("{{ me {{ {} }} }}", repeat("rolf ")),
        "open braces" => repeat("{ me "),
        "open brackets" => format!("{{ node(id: {}", repeat("[")),
        "directives" => format!("{{ me {{ role {} }} }}", repeat("@skip(if: false) ")),
        "comments" => format!("{{ me {{ rolf {} }} }}", repeat("# x\n")),
        "one string" => format!("{{ node(id: \"{}\") {{ nothing }} }}", repeat("x")),
        "variables" => {
            let mut text = "query (".to_owned();
            let mut n = 0;
            while text.len() < bytes {
                let _ = write!(text, "$v{n}: Int ");
                n += 1;
            }
            text + ") { me { role } }"
        }
        _ => unreachable!("{kind}"),
    }
}

/// Prints what refusing costs, by the document's size.
fn refusals(times: usize) {
    let schema = PortalSchema::new(Limits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    println!(
        "Refusing a document, median in milliseconds:\n{:<20} {:>9} {:>9} {:>9} {:>9}",
        "bytes", "1,250", "12,500", "49,000", "1,000,000"
    );
    for kind in [
        "doubled fragments",
        "aliases",
        "one field",
        "unknown fields",
        "open braces",
        "open brackets",
        "directives",
        "comments",
        "one string",
        "variables",
    ] {
        let mut row = format!("{kind:<20}");
        for bytes in [1_250, 12_500, 49_000, 1_000_000] {
            let text = bomb(kind, bytes);
            let mut taken: Vec<Duration> = (0..times)
                .map(|_| {
                    let parameters = Parameters { query: Some(text.clone()), ..Parameters::default() };
                    let started = Instant::now();
                    let prepared = runtime.block_on(schema.prepare(parameters, true));
                    let taken = started.elapsed();
                    assert!(prepared.is_err() || bytes < 100_000, "{kind} of {bytes} bytes is let through");
                    taken
                })
                .collect();
            taken.sort();
            let _ = write!(row, " {:>9.3}", taken[taken.len() / 2].as_secs_f64() * 1_000.0);
        }
        println!("{row}");
    }
}

/// The program on a port of its own.
struct Server {
    child: Child,
    address: String,
    token: String,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_partner-portal"));
            command.env("PORTAL_DATA_DIR", folder.path().join("data")).env("PORTAL_LOG", "off").env_remove("DATABASE_URL");
            for (name, value) in [
                ("USER_RATE", "1000000000"),
                ("USER_BURST", "1000000000"),
                ("TENANT_RATE", "1000000000"),
                ("TENANT_BURST", "1000000000"),
                ("USER_SUBSCRIPTIONS", "5000"),
                ("BODY_TIMEOUT", "120"),
                ("HEADER_TIMEOUT", "120"),
            ] {
                command.env(format!("PORTAL_{name}"), value);
            }
            command
        };
        let mut child = command()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("POST http://")?.1.split('/').next()?.to_owned())).expect("an address");
        let token = String::from_utf8(command().arg("token").output().expect("a token").stdout).expect("text").trim().to_owned();
        Self { child, address, token, folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.folder.path();
    }
}

/// Prints how long others wait, quiet and with those around who only wait.
async fn bystanders(turn: Duration, turns: usize) {
    let server = Server::start();
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    ask(&server, turn).await;
    for _ in 0..turns {
        quiet.push(ask(&server, turn).await);
        let over = Arc::new(AtomicBool::new(false));
        let slow: Vec<_> =
            (0..SLOW_SOCKETS).map(|n| tokio::spawn(dribble(server.address.clone(), n, Arc::clone(&over)))).collect();
        let received = Arc::new(AtomicUsize::new(0));
        let watching = watch(&server, &received).await;
        busy.push(ask(&server, turn).await);
        over.store(true, Ordering::Relaxed);
        watching.abort();
        for task in slow {
            task.abort();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (name, all) in [("quiet", &mut quiet), ("busy", &mut busy)] {
        all.sort_by_key(|(_, p99, _)| *p99);
        let (p50, p99, count) = all[all.len() / 2];
        println!(
            "{name:<6} p50 {:>7.2} ms, p99 {:>7.2} ms, {count} answers",
            p50.as_secs_f64() * 1_000.0,
            p99.as_secs_f64() * 1_000.0
        );
    }
    let ratio = busy[busy.len() / 2].1.as_secs_f64() / quiet[quiet.len() / 2].1.as_secs_f64();
    println!("with {SLOW_SOCKETS} slow sockets and {SUBSCRIPTIONS} subscriptions others' p99 is {ratio:.2} times the quiet one");
}

/// Asks as fast as answers come, and gives the median, the 99th percentile, and how many there were.
async fn ask(server: &Server, turn: Duration) -> (Duration, Duration, usize) {
    let body = json!({"query": "{ dashboard { stats { totalLeads } recentLeads(first: 5) { id clientName } } }"});
    let tasks = (0..CLIENTS).map(|_| {
        let request =
            reqwest::Client::new().post(format!("http://{}/graphql", server.address)).bearer_auth(&server.token).json(&body);
        tokio::spawn(async move {
            let (end, mut taken) = (Instant::now() + turn, Vec::new());
            while Instant::now() < end {
                let started = Instant::now();
                let answer = request.try_clone().expect("a copy").send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
                answer.bytes().await.expect("a body");
                taken.push(started.elapsed());
            }
            taken
        })
    });
    let mut taken: Vec<Duration> = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        taken.extend(task.await.expect("a client"));
    }
    taken.sort();
    (taken[taken.len() / 2], taken[taken.len() * 99 / 100], taken.len())
}

/// Sends a header or a body, a byte at a time.
async fn dribble(address: String, n: usize, over: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n";
    let _ = stream.write_all(if n.is_multiple_of(2) { head.to_owned() } else { format!("{head}\r\n{{") }.as_bytes()).await;
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if stream.write_all(b"x").await.is_err() {
            return;
        }
    }
}

/// Opens the subscriptions, on a few connections, and reads what comes.
async fn watch(server: &Server, received: &Arc<AtomicUsize>) -> tokio::task::JoinHandle<()> {
    const SOCKETS: usize = 10;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..SOCKETS {
        let mut request = format!("ws://{}/graphql", server.address).into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
        let stream = MaybeTlsStream::Plain(TcpStream::connect(&server.address).await.expect("a connection"));
        let (mut socket, _) = client_async(request, stream).await.expect("a WebSocket");
        let init = json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {}", server.token)}});
        socket.send(Message::text(init.to_string())).await.expect("it is sent");
        for n in 0..SUBSCRIPTIONS / SOCKETS {
            let subscribe = json!({"type": "subscribe", "id": n.to_string(), "payload": {"query": "subscription { leadChanged { lead { id } } }"}});
            socket.send(Message::text(subscribe.to_string())).await.expect("it is sent");
        }
        let received = Arc::clone(received);
        readers.spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Text(text) = message {
                    assert!(!text.contains("\"error\""), "{text}");
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    // Until all are open.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(readers.try_join_next().is_none(), "a subscription was refused");
    tokio::spawn(async move { while readers.join_next().await.is_some() {} })
}
