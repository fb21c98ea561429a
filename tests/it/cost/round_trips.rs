//! What the bench's operations cost in statements and round trips: fixed, so that nobody adds one unseen.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use partner_portal::seed;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};
use tokio_postgres::{Config, config::Host};

use crate::support::{
    World, cluster,
    log::operation,
    token,
    tokens::staff_token,
    world::{ACME, Setup},
};

/// Stands between the server and PostgreSQL, and counts how often the server asks when nothing that it has asked before is still to be
/// answered: whatever is sent meanwhile costs no wait of its own.
#[derive(Default)]
struct Line {
    round_trips: AtomicU64,
    unanswered: AtomicU64,
}

/// Cuts a stream into messages (PostgreSQL's frontend/backend protocol 3.0): a type, except for the client's first, and a length.
struct Messages {
    bytes: Vec<u8>,
    is_typed: bool,
}

impl Messages {
    /// The messages that are complete with these bytes: their types and contents.
    fn take(&mut self, more: &[u8]) -> Vec<(u8, Vec<u8>)> {
        self.bytes.extend_from_slice(more);
        let mut messages = Vec::new();
        loop {
            let head = usize::from(self.is_typed);
            let Some(length) = self.bytes.get(head..head + 4) else { return messages };
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            if self.bytes.len() < head + length {
                return messages;
            }
            let message: Vec<u8> = self.bytes.drain(..head + length).collect();
            if self.is_typed {
                messages.push((message[0], message[5..].to_vec()));
            }
            self.is_typed = true;
        }
    }
}

impl Line {
    /// The way to `database` that leads over the line.
    fn to(self: &Arc<Self>, database: &Config, folder: &Path) -> Config {
        let [Host::Unix(socket)] = database.get_hosts() else { panic!("the cluster listens on a socket") };
        let port = database.get_ports().first().copied().unwrap_or(5432);
        let name = format!(".s.PGSQL.{port}");
        let (listener, target) = (UnixListener::bind(folder.join(&name)).expect("a socket"), socket.join(&name));
        let line = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&target).await.expect("PostgreSQL");
                tokio::spawn(Arc::clone(&line).carry(client, server));
            }
        });
        let mut config = Config::new();
        config
            .host_path(folder)
            .port(port)
            .user(database.get_user().expect("a user"))
            .dbname(database.get_dbname().expect("a name"));
        config
    }

    async fn carry(self: Arc<Self>, client: UnixStream, server: UnixStream) {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.into_split(), server.into_split());
        let asking = async {
            let (mut bytes, mut messages) = (vec![0; 64 * 1024], Messages { bytes: Vec::new(), is_typed: false });
            let mut is_reading = false;
            while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                for (kind, content) in messages.take(&bytes[..length]) {
                    // A query, or the end of a prepared statement's messages.
                    if !matches!(kind, b'Q' | b'S') {
                        continue;
                    }
                    if content.windows(5).any(|word| word == b"BEGIN") {
                        is_reading = content.windows(9).any(|word| word == b"READ ONLY");
                    }
                    // Nobody waits for the end of a transaction that was read in.
                    let is_end = is_reading && content == b"COMMIT\0";
                    if self.unanswered.fetch_add(1, Ordering::SeqCst) == 0 && !is_end {
                        self.round_trips.fetch_add(1, Ordering::SeqCst);
                    }
                }
                if to_server.write_all(&bytes[..length]).await.is_err() {
                    break;
                }
            }
        };
        let answering = async {
            let (mut bytes, mut messages) = (vec![0; 64 * 1024], Messages { bytes: Vec::new(), is_typed: true });
            while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                // Ready for the next query. The one after the login answers nothing.
                let ready = messages.take(&bytes[..length]).iter().filter(|(kind, _)| *kind == b'Z').count() as u64;
                let _ = self.unanswered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| Some(open.saturating_sub(ready)));
                if to_client.write_all(&bytes[..length]).await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(asking, answering);
    }
}

struct Measured {
    world: World,
    line: Arc<Line>,
}

impl Measured {
    /// The statements and round trips of an operation that the connection has seen before.
    async fn cost(&self, token: &str, query: &str, variables: [Value; 2]) -> (u64, u64) {
        let [before, variables] = variables;
        self.world.run(token, query, before).await.data();
        let begin = self.line.round_trips.load(Ordering::SeqCst);
        let answer = self.world.run(token, query, variables).await;
        let round_trips = self.line.round_trips.load(Ordering::SeqCst) - begin;
        answer.data();
        (operation(&answer)["statements"].as_u64().expect("a number"), round_trips)
    }
}

/// Each operation of the bench, of somebody who has asked before: so many statements besides the session's own, in so many round trips, the
/// session's start included.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn of_the_bench() {
    // On the one thread of the runtime: what a request sends without waiting is sent before anything is answered.
    tokio::spawn(measure()).await.expect("measured");
}

async fn measure() {
    let database = cluster::migrated_database().await;
    let (line, folder) = (Arc::new(Line::default()), tempfile::tempdir().expect("a folder"));
    let login = line.to(&database.login, folder.path());
    let database = database.with_login(login);
    let world = World::with(Setup { pool: 1, database: Some(database), ..Setup::default() }).await;
    let amounts = seed::Amounts { partners: 3, leads: 60, invoices: 150, members: 20, clicks: 0, pays_monthly: true, seed: 3 };
    let mut connection = world.owner().await;
    seed::fill(&mut connection, Some(ACME), amounts, &world.app.keyring, &world.app.clock, |_| ()).await.expect("data");
    let (owner, operator, service) =
        (token("user_acme_3_1_owner", ACME), staff_token("operator", ACME), staff_token("service", ACME));
    let measured = Measured { world, line };
    let lead = measured.world.run(&owner, "{ leads(first: 1, filter: { status: [PENDING] }) { nodes { id } } }", json!({})).await;
    let lead = lead.data()["leads"]["nodes"][0]["id"].clone();
    let member = measured.world.run(&owner, "{ members(first: 1) { nodes { id partner { id } } } }", json!({})).await;
    let member = member.data()["members"]["nodes"][0].clone();
    let grant = "mutation ($id: ID!) { grantCredits(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, credits: 100, reason: \"More\" }) { grant { id } } }";
    measured.world.run(&service, grant, json!({"id": member["partner"]["id"]})).await.data();

    let both = |variables: Value| [variables.clone(), variables];
    let year = json!({"from": "2025-11-01", "before": "2026-11-01"});
    let paid = |number: u32| json!({"invoice": format!("bench-{number}"), "customer": "cus_3_1_1", "at": "2026-11-01T09:00:00Z"});
    let steps = ["CONTACTED", "QUALIFIED"].map(|status| json!({"id": lead, "status": status}));
    // Far enough back for payouts.
    let many =
        include_str!("../../../bench/queries/Q2.portal.graphql").replace("commissions(first: 5)", "commissions(first: 50)");
    let operations = [
        ("Q1", include_str!("../../../bench/queries/Q1.portal.graphql"), &owner, both(json!({})), (8, 3)),
        ("Q2", &*many, &operator, both(json!({})), (4, 3)),
        ("Q3", include_str!("../../../bench/queries/Q3.portal.graphql"), &owner, both(json!({"id": lead})), (1, 1)),
        ("Q4", include_str!("../../../bench/queries/Q4.portal.graphql"), &operator, both(json!({})), (1, 1)),
        ("Q5", include_str!("../../../bench/queries/Q5.portal.graphql"), &operator, both(year), (2, 1)),
        ("M1", include_str!("../../../bench/queries/M1.portal.graphql"), &owner, steps, (2, 3)),
        (
            "M2",
            include_str!("../../../bench/queries/M2.portal.graphql"),
            &owner,
            ["1", "2"].map(|key| json!({"member": member["id"], "key": key})),
            (4, 4),
        ),
        ("M3", include_str!("../../../bench/queries/M3.portal.graphql"), &service, [paid(1), paid(2)], (11, 13)),
    ];
    let mut found = Vec::new();
    for (name, query, token, variables, expected) in operations {
        found.push((name, measured.cost(token, query, variables).await, expected));
    }
    let wrong: Vec<_> = found.iter().filter(|(_, cost, expected)| cost != expected).collect();
    assert!(wrong.is_empty(), "(statements, round trips) found and expected: {wrong:?}");
}
