//! Machines are lost under load, and what became of each acknowledged change is counted. Briefly here; `tests/drill` does the same for longer and prints the
//! table.

use std::time::Duration;

use axum::http::HeaderValue;
use diesel_async::SimpleAsyncConnection;
use nix::sys::signal::Signal;
use partner_portal::db::connect;
use serde_json::{Value, json};

use crate::support::{
    balancer::Balancer,
    processes::{parent, signal_all},
    production::{Production, Running, url_of},
    sql::number,
    standby::{Standby, sockets},
    traffic::{Counts, Traffic, partner},
};

/// How many people send leads.
const WRITERS: usize = 6;

/// How long the traffic goes on before something is lost, and again afterwards.
pub fn half() -> Duration {
    let seconds = std::env::var("DRILL_SECONDS").map_or(4.0, |text| text.parse().expect("DRILL_SECONDS: a number"));
    Duration::from_secs_f64(seconds / 2.0)
}

/// A row of the table.
pub fn print(what: &str, counts: &Counts) {
    let Counts { acknowledged, unanswered, lost, doubled, missed, twice, expired, gap, .. } = counts;
    let (unanswered, gap) = (unanswered.len(), gap.as_secs_f64());
    println!("| {what} | {acknowledged} | {unanswered} | {lost} | {doubled} | {missed} | {twice} | {expired} | {gap:.2} |");
}

/// What is never to happen: an acknowledged change that is lost, one that is made twice, an event that is missed or comes twice.
fn nothing_lost(counts: &Counts) {
    assert!(counts.acknowledged > 20, "{counts:?}");
    assert_eq!(
        (counts.lost, counts.doubled, counts.missed, counts.twice, counts.expired),
        (0, 0, 0, 0, 0),
        "lost, doubled, missed, twice, expired: {counts:?}"
    );
}

/// Two servers behind a balancer.
struct Portal {
    production: Production,
    servers: Vec<Running>,
    balancer: Balancer,
    token: String,
}

impl Portal {
    async fn start() -> Self {
        let production = Production::start().await;
        Self::on(production, &[]).await
    }

    /// With settings of their own.
    async fn on(production: Production, settings: &[(&str, &str)]) -> Self {
        let token = partner(&production).await;
        let servers = vec![production.serve(settings).await, production.serve(settings).await];
        let balancer = Balancer::of(servers.iter().map(|server| server.address).collect()).await;
        Self { production, servers, balancer, token }
    }

    async fn traffic(&self) -> Traffic {
        Traffic::start(self.balancer.address, &self.token, WRITERS).await
    }
}

/// A server is killed: what it had not answered is sent again, and is made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed() {
    let mut portal = Portal::start().await;
    let traffic = portal.traffic().await;
    tokio::time::sleep(half()).await;
    portal.servers.remove(0).kill();
    tokio::time::sleep(half()).await;
    let counts = traffic.end(&mut portal.production.administrator).await;
    print("a server is killed", &counts);
    nothing_lost(&counts);
}

/// A server is asked to end: no request fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_drained() {
    let mut portal = Portal::start().await;
    let traffic = portal.traffic().await;
    tokio::time::sleep(half()).await;
    portal.servers.remove(0).end().await;
    tokio::time::sleep(half()).await;
    let counts = traffic.end(&mut portal.production.administrator).await;
    print("a server is drained", &counts);
    nothing_lost(&counts);
    assert_eq!(counts.unanswered, Vec::<String>::new());
}

/// A primary with a standby, and two servers that know of both.
struct Pair {
    portal: Portal,
    standby: Standby,
}

impl Pair {
    async fn start(settings: impl Fn(&str) -> Vec<(&'static str, String)>) -> Self {
        let production = Production::start().await;
        let standby = Standby::of(&production.cluster, &[]).await;
        let primary = sockets(&production.cluster.owner());
        let both = format!("{}?target_session_attrs=read-write", url_of("portal", &[&primary, standby.folder()]));
        let own = url_of("portal", &[standby.folder()]);
        let mut settings = settings(&own);
        settings.push(("DATABASE_URL", both));
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let portal = Portal::on(production, &settings).await;
        Self { portal, standby }
    }

    async fn primary(&mut self, sql: &str) {
        self.portal.production.administrator.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Kills the primary under this traffic, promotes the standby, and counts once the traffic has gone on.
    async fn fail_over(&mut self, traffic: Traffic) -> Counts {
        self.kill_primary().await;
        let before = traffic.acknowledged();
        self.standby.promote().await;
        tokio::time::sleep(half() + Duration::from_secs(1)).await;
        assert!(traffic.acknowledged() > before, "nothing is taken after the promotion");
        traffic.end(&mut self.standby.owner().await).await
    }

    /// Kills all processes of the primary.
    async fn kill_primary(&mut self) {
        let backend = number(&mut self.portal.production.administrator, "SELECT pg_backend_pid()::bigint").await;
        let postmaster = parent(i32::try_from(backend).expect("a process")).expect("the server");
        signal_all(postmaster.unsigned_abs(), Signal::SIGKILL);
    }
}

/// The primary is killed, and a synchronous standby is promoted while the servers run: no acknowledged change is lost, and the same subscriptions go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_synchronous_standby_takes_over() {
    let mut pair = Pair::start(|_| Vec::new()).await;
    pair.primary("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    pair.primary("SELECT pg_reload_conf()").await;
    let traffic = pair.portal.traffic().await;
    tokio::time::sleep(half()).await;
    let counts = pair.fail_over(traffic).await;
    print("primary killed, synchronous standby promoted", &counts);
    nothing_lost(&counts);
}

/// The same with a standby that had not received everything: what it did not have is lost, as it must be; the subscriber gets `CURSOR_EXPIRED`,
/// and each event from then on, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lagging_standby_takes_over() {
    let mut pair = Pair::start(|_| Vec::new()).await;
    let traffic = pair.portal.traffic().await;
    tokio::time::sleep(half()).await;
    let sender = number(&mut pair.portal.production.administrator, "SELECT pid::bigint FROM pg_stat_replication").await;
    signal_all(u32::try_from(sender).expect("a process"), Signal::SIGSTOP);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counts = pair.fail_over(traffic).await;
    print("primary killed, lagging standby promoted", &counts);
    assert!(counts.lost > 0 && counts.lost < counts.acknowledged, "it did not lag: this test proves nothing: {counts:?}");
    assert_eq!((counts.doubled, counts.twice), (0, 0), "{counts:?}");
    assert!(counts.expired > 0, "the subscriber gets CURSOR_EXPIRED: {counts:?}");
    // Between its last event and the new subscription there are some that it reads anew.
    assert!(counts.missed < counts.acknowledged - counts.lost, "and receives later events: {counts:?}");
}

/// A caller's change is in their next answer, of every server, while a standby answers queries and others write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_first_read_is_stale() {
    let pair = Pair::start(|standby| vec![("PORTAL_READ_URL", standby.to_owned())]).await;
    let tries: usize = std::env::var("DRILL_TRIES").map_or(400, |text| text.parse().expect("DRILL_TRIES: a number"));
    let traffic = pair.portal.traffic().await;
    let servers: Vec<_> = pair.portal.servers.iter().map(|server| server.address).collect();
    let token = &pair.portal.token;
    let readers = (0..4).map(|reader| {
        let servers = servers.clone();
        async move {
            let client = reqwest::Client::new();
            let (mut stale, mut without) = (0, 0);
            for turn in 0..tries / 4 {
                let key = uuid::Uuid::now_v7();
                let input = json!({"clientName": "A", "clientEmail": format!("{key}@example.com"), "service": "S", "idempotencyKey": key});
                let create = "mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";
                let (changed, position) = post(&client, servers[turn % 2], token, create, json!({"input": input}), None).await;
                let id = &changed["data"]["createLead"]["lead"]["id"];
                assert!(id.is_string(), "{changed}");
                // By the same server from its memory, by the other by the position.
                let read = "query ($id: ID!) { lead(id: $id) { id } }";
                let (server, position) = if reader % 2 == 0 { (servers[turn % 2], None) } else { (servers[(turn + 1) % 2], position) };
                let (found, _) = post(&client, server, token, read, json!({"id": id}), position.as_ref()).await;
                stale += usize::from(found["data"]["lead"]["id"] != *id);
                without += usize::from(found.get("errors").is_some());
            }
            (stale, without)
        }
    });
    let outcomes = futures_util::future::join_all(readers).await;
    let (stale, failed) = outcomes.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let mut primary = connect::establish(&pair.portal.production.cluster.owner(), None).await.expect("a connection");
    let counts = traffic.end(&mut primary).await;
    print(&format!("a standby answers queries: {tries} first reads after a change, {stale} stale"), &counts);
    nothing_lost(&counts);
    assert_eq!((stale, failed, counts.unanswered), (0, 0, Vec::new()));
}

/// Runs an operation with a position, and gives the answer with its own.
async fn post(
    client: &reqwest::Client,
    server: std::net::SocketAddr,
    token: &str,
    query: &str,
    variables: Value,
    position: Option<&HeaderValue>,
) -> (Value, Option<HeaderValue>) {
    let mut request = client.post(format!("http://{server}/graphql")).bearer_auth(token);
    if let Some(position) = position {
        request = request.header("portal-position", position);
    }
    let answer = request.json(&json!({"query": query, "variables": variables})).send().await.expect("an answer");
    let position = answer.headers().get("portal-position").cloned();
    (answer.json().await.expect("JSON"), position)
}
