//! People at work: they send leads, read and subscribe, over any number of servers, and count what became of all that.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{
    production::Production,
    sql::{number, text},
};

const CREATE: &str = "mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } userErrors { message } } }";
const WATCH: &str = "subscription ($since: String) { leadChanged(since: $since) { cursor lead { id } } }";
/// How long to wait before a request is sent again that was not answered.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a request may take to be answered.
const LIMIT: Duration = Duration::from_secs(20);
/// How long the last events may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks, and fails where there is no answer or an error in it.
pub async fn ask(
    client: &reqwest::Client,
    address: SocketAddr,
    token: &str,
    query: &str,
    variables: Value,
) -> Result<Value, String> {
    let request = client.post(format!("http://{address}/graphql")).bearer_auth(token).timeout(LIMIT);
    let answer =
        request.json(&json!({"query": query, "variables": variables})).send().await.map_err(|error| format!("{error:?}"))?;
    let body: Value = answer.json().await.map_err(|error| format!("{error:?}"))?;
    if body.get("errors").is_some() { Err(body.to_string()) } else { Ok(body["data"].clone()) }
}

/// A partner of the tenant `main`'s; gives the token of its owner.
pub async fn partner(production: &Production) -> String {
    let made = "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate) SELECT id, gen_random_uuid(), 'P', 'active', 0.1 FROM tenants;
        INSERT INTO partner_profiles (tenant_id, partner_id) SELECT tenant_id, id FROM partners;
        INSERT INTO users (tenant_id, id, clerk_user_id, name, default_partner_id) SELECT tenant_id, gen_random_uuid(), 'owner', 'Owner', id FROM partners;
        INSERT INTO partner_users (tenant_id, partner_id, user_id, role) SELECT tenant_id, default_partner_id, id, 'owner' FROM users";
    (&mut &production.administrator).batch_execute(made).await.expect("a partner");
    production.token("owner")
}

/// What has become of it all.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Leads whose sending was acknowledged.
    pub acknowledged: usize,
    /// Requests that were not answered, or with an error, and were sent again: with why.
    pub unanswered: Vec<String>,
    /// Leads that were acknowledged and are not there.
    pub lost: usize,
    /// Leads that are there more than once.
    pub doubled: usize,
    /// Leads that were acknowledged and kept, and of which the subscriber received no event.
    pub missed: usize,
    /// Leads of which the subscriber received more than one event.
    pub twice: usize,
    /// How often the subscriber received `CURSOR_EXPIRED`.
    pub expired: usize,
    /// How often the subscriber has connected.
    pub connections: usize,
    /// How often it was refused a connection, and has tried again.
    pub refused: usize,
    /// The longest time between two acknowledgements.
    pub gap: Duration,
}

#[derive(Default)]
struct Log {
    /// Each acknowledged lead's id, and when it was acknowledged.
    acknowledged: Vec<(String, Instant)>,
    unanswered: Vec<String>,
    told: Vec<String>,
    expired: usize,
    connections: usize,
    refused: usize,
}

/// Traffic that goes on until it is ended.
pub struct Traffic {
    log: Arc<Mutex<Log>>,
    is_over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
    watcher: JoinHandle<()>,
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().expect("the log")
}

impl Traffic {
    /// So many people who send leads and read them, and one who subscribes. The subscription is open when it has answered.
    pub async fn start(address: SocketAddr, token: &str, writers: usize) -> Self {
        let (log, is_over) = (Arc::new(Mutex::new(Log::default())), Arc::new(AtomicBool::new(false)));
        let cursor = ask(&reqwest::Client::new(), address, token, "{ eventCursor }", json!({})).await.expect("a cursor");
        let since = cursor["eventCursor"].as_str().map(str::to_owned);
        let watcher = tokio::spawn(watch(address, token.to_owned(), since, Arc::clone(&log)));
        let writers = (0..writers)
            .map(|_| tokio::spawn(write(address, token.to_owned(), Arc::clone(&log), Arc::clone(&is_over))))
            .collect();
        Self { log, is_over, writers, watcher }
    }

    /// Ends it, and counts by the database that is connected.
    pub async fn end(self, database: &mut AsyncPgConnection) -> Counts {
        self.is_over.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.expect("a writer ends");
        }
        let kept = text(database, "SELECT coalesce(string_agg(id::text, ' '), '') FROM partner_leads").await;
        let kept: HashSet<String> = kept.split_whitespace().map(|id| id.parse().map(lead_id).expect("an id")).collect();
        let acknowledged = std::mem::take(&mut lock(&self.log).acknowledged);
        let to_be_told: HashSet<&str> = acknowledged.iter().map(|(id, _)| id.as_str()).filter(|id| kept.contains(*id)).collect();
        let began = Instant::now();
        let missing = || {
            let told: HashSet<String> = lock(&self.log).told.iter().cloned().collect();
            to_be_told.iter().filter(|id| !told.contains(**id)).count()
        };
        while missing() > 0 && began.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
        }
        let missed = missing();
        self.watcher.abort();
        let doubled = number(database, "SELECT count(*) - count(DISTINCT client_email) FROM partner_leads").await;
        let log = lock(&self.log);
        let mut times = HashMap::<&str, usize>::new();
        for id in &log.told {
            *times.entry(id).or_default() += 1;
        }
        Counts {
            acknowledged: acknowledged.len(),
            unanswered: log.unanswered.clone(),
            lost: acknowledged.len() - to_be_told.len(),
            doubled: usize::try_from(doubled).expect("a count"),
            missed,
            twice: times.values().filter(|times| **times > 1).count(),
            expired: log.expired,
            connections: log.connections,
            refused: log.refused,
            gap: longest_gap(acknowledged.iter().map(|(_, at)| *at)),
        }
    }

    /// How many leads have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        lock(&self.log).acknowledged.len()
    }
}

fn lead_id(uuid: uuid::Uuid) -> String {
    partner_portal::ids::LeadId::from(uuid).to_string()
}

fn longest_gap(times: impl Iterator<Item = Instant>) -> Duration {
    let mut times: Vec<Instant> = times.collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// Sends a lead, the same one until it is acknowledged, then reads; again and again.
async fn write(address: SocketAddr, token: String, log: Arc<Mutex<Log>>, is_over: Arc<AtomicBool>) {
    // Its own connections, which it keeps.
    let client = reqwest::Client::new();
    while !is_over.load(Ordering::Relaxed) {
        let key = uuid::Uuid::now_v7();
        let input = json!({"clientName": "Ada Lovelace", "clientEmail": format!("{key}@example.com"), "service": "Engine", "idempotencyKey": key});
        loop {
            match ask(&client, address, &token, CREATE, json!({"input": input})).await {
                Ok(data) => {
                    let id = data["createLead"]["lead"]["id"].as_str().unwrap_or("nothing").to_owned();
                    lock(&log).acknowledged.push((id, Instant::now()));
                    break;
                }
                Err(error) => lock(&log).unanswered.push(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let Err(error) = ask(&client, address, &token, "{ leads(first: 3) { nodes { id } } }", json!({})).await {
            lock(&log).unanswered.push(error);
        }
    }
}

/// Watches leads over `WebSocket`s, connecting again with the last cursor whenever it is sent away, and without one where that has expired.
async fn watch(address: SocketAddr, token: String, mut since: Option<String>, log: Arc<Mutex<Log>>) {
    loop {
        let mut request = format!("ws://{address}/graphql").into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
        let Ok((mut socket, _)) = connect_async(request).await else {
            lock(&log).refused += 1;
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        lock(&log).connections += 1;
        let begin = [
            json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {token}")}}),
            json!({"type": "subscribe", "id": "1", "payload": {"query": WATCH, "variables": {"since": since}}}),
        ];
        for message in begin {
            let _ = socket.send(Message::text(message.to_string())).await;
        }
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            match message["type"].as_str() {
                Some("next") => {
                    let change = &message["payload"]["data"]["leadChanged"];
                    since = change["cursor"].as_str().map(str::to_owned);
                    lock(&log).told.push(change["lead"]["id"].as_str().unwrap_or("nothing").to_owned());
                }
                Some("error") => {
                    if message["payload"][0]["extensions"]["code"] == "CURSOR_EXPIRED" {
                        lock(&log).expired += 1;
                        since = None;
                    }
                    // With what has come meanwhile, as a client that reads its page anew.
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
                _ => {}
            }
        }
    }
}
