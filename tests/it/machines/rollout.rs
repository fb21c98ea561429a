//! `deploy/rollout`, with real servers on one socket.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Output,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel_async::SimpleAsyncConnection;
use futures_util::{SinkExt, StreamExt, future::join_all};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::{
    production::Production,
    sql::number,
    systemd::{Ending, Systemd},
};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asks, and fails where there is no answer or an error in it.
async fn ask(client: &reqwest::Client, address: SocketAddr, token: &str, query: &str, variables: Value) -> Result<Value, String> {
    let request = client.post(format!("http://{address}/graphql")).bearer_auth(token);
    let answer =
        request.json(&json!({"query": query, "variables": variables})).send().await.map_err(|error| format!("{error:?}"))?;
    let body: Value = answer.json().await.map_err(|error| format!("{error:?}"))?;
    if body.get("errors").is_some() { Err(body.to_string()) } else { Ok(body["data"].clone()) }
}

const CREATE: &str = "mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } userErrors { message } } }";

/// A partner of the tenant `main`'s; gives the token of its owner.
async fn partner(production: &Production) -> String {
    let made = "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate) SELECT id, gen_random_uuid(), 'P', 'active', 0.1 FROM tenants;
        INSERT INTO partner_profiles (tenant_id, partner_id) SELECT tenant_id, id FROM partners;
        INSERT INTO users (tenant_id, id, clerk_user_id, name, default_partner_id) SELECT tenant_id, gen_random_uuid(), 'owner', 'Owner', id FROM partners;
        INSERT INTO partner_users (tenant_id, partner_id, user_id, role) SELECT tenant_id, default_partner_id, id, 'owner' FROM users";
    (&mut &production.administrator).batch_execute(made).await.expect("a partner");
    production.token("owner")
}

/// Watches leads over `WebSocket`s, connecting again with the last cursor whenever it is sent away; gives the ids that it was told.
async fn watch(
    address: SocketAddr,
    token: String,
    mut since: Option<String>,
    told: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let mut request = format!("ws://{address}/graphql").into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
        let (mut socket, _) = connect_async(request).await.expect("no connection is refused");
        connections.fetch_add(1, Ordering::Relaxed);
        let begin = [
            json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {token}")}}),
            json!({"type": "subscribe", "id": "1", "payload": {
                "query": "subscription ($since: String) { leadChanged(since: $since) { cursor lead { id } } }", "variables": {"since": since}}}),
        ];
        for message in begin {
            let _ = socket.send(Message::text(message.to_string())).await;
        }
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["type"] == "next" {
                let change = &message["payload"]["data"]["leadChanged"];
                since = change["cursor"].as_str().map(str::to_owned);
                told.lock().expect("told").push(change["lead"]["id"].as_str().unwrap_or("nothing").to_owned());
            }
        }
    }
}

/// Two rollouts under load: no request fails, each acknowledged change is made once, and the subscriber receives each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_stops() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    let token = partner(&systemd.production).await;
    for version in ["1.0", "1.1", "1.2"] {
        systemd.release(version, None);
    }
    let first = systemd.roll_out("1.0").await;
    assert!(first.status.success(), "{}", said(&first));
    let (address, client) = (systemd.address(), reqwest::Client::new());
    let cursor = ask(&client, address, &token, "{ eventCursor }", json!({})).await.expect("a cursor")["eventCursor"].clone();
    let (told, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let watching = tokio::spawn(watch(
        address,
        token.clone(),
        cursor.as_str().map(str::to_owned),
        Arc::clone(&told),
        Arc::clone(&connections),
    ));

    let (done, answered) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let asks = (0..6).map(|_| async {
        // Each with connections of its own, which it keeps.
        let client = reqwest::Client::new();
        let mut failures = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let key = uuid::Uuid::now_v7();
            let input = json!({"clientName": "Ada Lovelace", "clientEmail": "ada@example.com", "service": "Engine", "idempotencyKey": key});
            match ask(&client, address, &token, CREATE, json!({"input": input})).await {
                Ok(data) => answered
                    .lock()
                    .expect("answered")
                    .push(data["createLead"]["lead"]["id"].as_str().unwrap_or("nothing").to_owned()),
                Err(error) => failures.push(error),
            }
            if let Err(error) = ask(&client, address, &token, "{ leads(first: 3) { nodes { id } } }", json!({})).await {
                failures.push(error);
            }
        }
        failures
    });
    let rolling = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for version in ["1.1", "1.2"] {
            let rolled = systemd.roll_out(version).await;
            assert!(rolled.status.success(), "{}", said(&rolled));
            assert_eq!(
                (systemd.running(), systemd.version("current")),
                (vec!["current".to_owned()], PathBuf::from("releases").join(version))
            );
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        done.store(true, Ordering::Relaxed);
    };
    let (failures, ()) = tokio::join!(join_all(asks), rolling);
    assert_eq!(failures.concat(), Vec::<String>::new(), "no request fails");

    let mut answered = answered.into_inner().expect("answered");
    answered.sort_unstable();
    assert!(answered.len() > 20, "{} leads", answered.len());
    let made = number(&mut connection(&systemd).await, "SELECT count(*) FROM partner_leads").await;
    assert_eq!(usize::try_from(made), Ok(answered.len()), "each is made once");
    let mut heard = Vec::new();
    for _ in 0..400 {
        heard = told.lock().expect("told").clone();
        if heard.len() >= answered.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    heard.sort_unstable();
    assert_eq!(heard, answered, "who subscribes is told of each, once");
    assert!(!watching.is_finished(), "no connection is refused");
    // The first, and one after each of the four servers that ended; now and then one is sent away at once by the server that ends.
    let connections = connections.load(Ordering::Relaxed);
    assert!((5..=9).contains(&connections), "{connections} connections");
    watching.abort();
}

async fn connection(systemd: &Systemd) -> partner_portal::db::Connection {
    partner_portal::db::connect::establish(&systemd.production.cluster.owner(), None).await.expect("a connection")
}

/// A version whose migration fails, one that ends at its start, one that never becomes ready, and one that is not there: the old one serves on, and the
/// exit status and the last line say which it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_old_one_serves_on() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    let token = partner(&systemd.production).await;
    systemd.release("1.0", None);
    let first = systemd.roll_out("1.0").await;
    assert!(first.status.success(), "{}", said(&first));
    let before = systemd.process();
    systemd.release("2.0", Some("#!/bin/sh\n[ \"$1\" = migrate ] && exit 1\nexec PROGRAM \"$@\"\n"));
    systemd.release("2.1", Some("#!/bin/sh\n[ \"$1\" = serve ] && exit 1\nexec PROGRAM \"$@\"\n"));
    systemd.release("2.2", Some("#!/bin/sh\n[ \"$1\" = serve ] && exec sleep 30\nexec PROGRAM \"$@\"\n"));
    systemd.release("2.3", Some("#!/bin/sh\nexit 126\n"));
    for (version, status, words) in [
        ("2.0", 2, "a migration of 2.0 failed, and 1.0 serves"),
        ("2.1", 3, "2.1 did not become ready, and 1.0 serves"),
        ("2.2", 3, "2.2 did not become ready, and 1.0 serves"),
        ("2.3", 1, "does not run on this machine"),
        ("2.4", 1, "there is no program"),
        ("../2.0", 1, "is not a valid version name"),
    ] {
        let rolled = systemd.roll_out(version).await;
        let text = said(&rolled);
        assert_eq!(rolled.status.code(), Some(status), "{version}: {text}");
        assert!(text.trim_end().lines().last().is_some_and(|line| line.contains(words)), "{version}: {text}");
        let after = systemd.process();
        assert_eq!(
            (after, systemd.running(), systemd.version("current")),
            (before, vec!["current".to_owned()], PathBuf::from("releases/1.0"))
        );
        ask(&reqwest::Client::new(), systemd.address(), &token, "{ me { user { id } } }", json!({})).await.expect("it serves");
    }
    // A fixed version is rolled out.
    systemd.release("2.5", None);
    let rolled = systemd.roll_out("2.5").await;
    assert!(rolled.status.success(), "{}", said(&rolled));
    assert_eq!((systemd.running(), systemd.version("current")), (vec!["current".to_owned()], PathBuf::from("releases/2.5")));
}

/// A version that serves beside the old one and does not start under its name: it goes on serving beside, the exit status says so, and once it is fixed the
/// same rollout ends well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_was_cut_off() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    let token = partner(&systemd.production).await;
    systemd.release("1.0", None);
    assert!(systemd.roll_out("1.0").await.status.success());
    let fixed = systemd.root.0.join("fixed");
    let script = "#!/bin/sh\ncase \"$1 $0\" in 'serve '*/current/*) [ -e FIXED ] || exit 1 ;; esac\nexec PROGRAM \"$@\"\n";
    systemd.release("3.0", Some(&script.replace("FIXED", &fixed.display().to_string())));
    let serves = || async {
        ask(&reqwest::Client::new(), systemd.address(), &token, "{ me { user { id } } }", json!({})).await.expect("it serves");
    };
    for _ in 0..2 {
        let rolled = systemd.roll_out("3.0").await;
        let text = said(&rolled);
        assert_eq!((rolled.status.code(), systemd.running()), (Some(4), vec!["next".to_owned()]), "{text}");
        assert!(text.contains("partner-portal@next serves"), "{text}");
        serves().await;
    }
    std::fs::write(&fixed, "").expect("it is fixed");
    let rolled = systemd.roll_out("3.0").await;
    assert!(rolled.status.success(), "{}", said(&rolled));
    assert_eq!(systemd.running(), ["current"]);
    serves().await;
}

/// Of two rollouts at once one is refused, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_at_a_time() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    for version in ["1.0", "1.1"] {
        systemd.release(version, None);
    }
    let (one, other) = tokio::join!(systemd.roll_out("1.0"), systemd.roll_out("1.1"));
    let mut statuses = [one.status.code(), other.status.code()];
    statuses.sort_unstable();
    assert_eq!(statuses, [Some(0), Some(1)], "{}{}", said(&one), said(&other));
    assert!(format!("{}{}", said(&one), said(&other)).contains("another rollout is running"));
    assert_eq!(systemd.running(), ["current"]);
}
