//! Live updates: who learns of what, in which order, and that nothing is lost and nothing comes twice.

use std::time::Duration;

use partner_portal::config::limits::Limits;
use serde_json::{Value, json};

use crate::support::{
    World,
    listening::{Listening, Socket},
    token,
    tokens::staff_token,
    world::{ACME, GLOBEX, Setup},
};

pub const LEADS: &str =
    "subscription ($since: String, $id: ID) { leadChanged(since: $since, id: $id) { cursor lead { id status } } }";
pub const STEP: &str = "mutation ($id: ID!, $to: LeadStatus!) { updateLeadStatus(input: { id: $id, status: $to }) { lead { status } userErrors { message } } }";

pub async fn live() -> (World, Listening) {
    let world = World::with(Setup { is_live: true, ..Setup::default() }).await;
    let server = Listening::start(&world).await;
    (world, server)
}

/// Waits until a subscription is open: an operation sent after it is answered after it is.
pub async fn settled(world: &World, subscriptions: usize) {
    for _ in 0..400 {
        if world.app.edge.subscriptions.count() == subscriptions {
            // It counts from its beginning; what it reads then takes a moment more.
            tokio::time::sleep(Duration::from_millis(600)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{} subscriptions are open", world.app.edge.subscriptions.count());
}

pub async fn step(world: &World, lead: &str, to: &str) {
    let answer = world.owner_a(STEP, json!({"id": lead, "to": to})).await;
    assert_eq!(answer.data()["updateLeadStatus"]["userErrors"], json!([]));
}

/// A change is sent to the partner's people and the tenant's staff, and to nobody of another partner or tenant.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut sockets: Vec<Socket> = Vec::new();
    for token in [
        token("owner_a", ACME),
        token("member_a", ACME),
        staff_token("operator", ACME),
        token("owner_b", ACME),
        token("owner_g", GLOBEX),
        staff_token("operator", GLOBEX),
    ] {
        let mut socket = server.connect(&token).await;
        socket.subscribe("1", LEADS, json!({})).await;
        sockets.push(socket);
    }
    settled(&world, 6).await;
    step(&world, &lead, "CONTACTED").await;
    for socket in &mut sockets[..3] {
        assert_eq!(socket.next("1").await["leadChanged"]["lead"], json!({"id": lead, "status": "CONTACTED"}));
    }
    for socket in &mut sockets[3..] {
        assert!(socket.is_silent(Duration::from_millis(700)).await);
    }
}

/// Every kind of change has its subscription: commissions, payouts and credits too, each with what is true when it is reported.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind() {
    let (world, server) = live().await;
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    for (id, query) in [
        ("c", "subscription { commissionChanged { commission { status amount { amount } } } }"),
        ("p", "subscription { payoutChanged { payout { status } } }"),
        ("b", "subscription { creditBalanceChanged { partner { creditBalance } } }"),
    ] {
        socket.subscribe(id, query, json!({})).await;
    }
    settled(&world, 3).await;
    let a = world.a.to_string();
    world.operator("mutation ($a: ID!) { grantCredits(input: { partnerId: $a, credits: 70, reason: \"r\", idempotencyKey: \"k\" }) { grant { id } } }", json!({"a": a})).await.data();
    assert_eq!(socket.next("b").await["creditBalanceChanged"]["partner"]["creditBalance"], 70);
    world
        .sql(&format!(
            "INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
                VALUES ('{tenant}', gen_random_uuid(), '{a}', 'adjustment', 'pending', 'manual', 12.5, 'USD', now(), 'n');
             INSERT INTO partner_payouts (tenant_id, id, partner_id, total_amount, currency, commission_count, fingerprint, payout_date, period_start, period_end)
                VALUES ('{tenant}', gen_random_uuid(), '{a}', 5, 'USD', 1, 'x', now(), now() - interval '1 day', now())",
            tenant = world.acme.uuid(),
            a = world.a.uuid()
        ))
        .await;
    let mut received = [socket.receive().await, socket.receive().await];
    received.sort_by_key(|message| message["id"].to_string());
    assert_eq!(
        received[0]["payload"]["data"]["commissionChanged"]["commission"],
        json!({"status": "PENDING", "amount": {"amount": "12.50"}})
    );
    assert_eq!(received[1]["payload"]["data"]["payoutChanged"]["payout"], json!({"status": "PENDING"}));
}

/// A phone that slept receives, by the cursor that it kept, everything that it missed, in order, and then of what comes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed() {
    let (world, server) = live().await;
    let leads: Vec<String> = world.add_leads(world.acme, world.a, 300).await.iter().map(ToString::to_string).collect();
    let owner = token("owner_a", ACME);
    let mut awake = server.connect(&owner).await;
    awake.subscribe("1", LEADS, json!({})).await;
    settled(&world, 1).await;
    step(&world, &leads[0], "CONTACTED").await;
    let cursor = awake.next("1").await["leadChanged"]["cursor"].clone();
    drop(awake);

    // While it sleeps: more than one page of what is missed.
    world.sql("UPDATE partner_leads SET status = 'lost' WHERE status = 'pending'").await;
    let mut woken = server.connect(&owner).await;
    woken.subscribe("2", LEADS, json!({"since": cursor})).await;
    let mut received = Vec::new();
    for _ in 0..299 {
        received.push(woken.next("2").await["leadChanged"]["lead"]["id"].as_str().expect("an id").to_owned());
    }
    step(&world, &leads[0], "QUALIFIED").await;
    assert_eq!(woken.next("2").await["leadChanged"]["lead"], json!({"id": leads[0], "status": "QUALIFIED"}));
    received.sort();
    let mut expected = leads[1..].to_vec();
    expected.sort();
    assert_eq!(received, expected);

    let other = woken_only(&server, &owner, json!({"since": cursor, "id": leads[7]})).await;
    assert_eq!(other["leadChanged"]["lead"]["id"], json!(leads[7]));
}

async fn woken_only(server: &Listening, token: &str, variables: Value) -> Value {
    let mut socket = server.connect(token).await;
    socket.subscribe("1", LEADS, variables).await;
    let first = socket.next("1").await;
    assert!(socket.is_silent(Duration::from_millis(500)).await);
    first
}

/// More happens at once than is kept for a watcher: it reads what it has not been given from the table, and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_far_behind() {
    const COUNT: usize = 1_300;
    let (world, server) = live().await;
    let leads = world.add_leads(world.acme, world.a, COUNT).await;
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&world, 1).await;
    world.sql("UPDATE partner_leads SET status = 'lost'").await;
    let mut received = std::collections::HashSet::new();
    for _ in 0..COUNT {
        received.insert(socket.next("1").await["leadChanged"]["lead"]["id"].to_string());
    }
    assert_eq!(received.len(), leads.len());
    assert!(socket.is_silent(Duration::from_millis(500)).await, "nothing comes twice");
}

/// Transactions that overlap, some of them rolled back, while a watcher comes and goes with its cursor: each change is reported, none twice.
#[tokio::test(flavor = "multi_thread")]
async fn each_change_once() {
    let (world, server) = live().await;
    let leads: Vec<String> = world.add_leads(world.acme, world.a, 60).await.iter().map(ToString::to_string).collect();
    let owner = token("owner_a", ACME);
    let mut socket = server.connect(&owner).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&world, 1).await;
    let writers = leads.chunks(15).map(|leads| {
        let (world, leads) = (&world, leads.to_vec());
        async move {
            for (n, lead) in leads.iter().enumerate() {
                let uuid = partner_portal::ids::parse_any(lead).expect("an id").1;
                let end = if n % 5 == 4 { "ROLLBACK" } else { "COMMIT" };
                world.sql(&format!("BEGIN; UPDATE partner_leads SET notes = 'x', updated_at = now() WHERE id = '{uuid}'; SELECT pg_sleep({}); {end}", f64::from(u8::try_from(n % 4).expect("small")) * 0.02)).await;
            }
        }
    });
    let watcher = async {
        let mut received = Vec::new();
        while received.len() < 48 {
            let event = socket.next("1").await["leadChanged"].clone();
            let cursor = event["cursor"].clone();
            received.push(event["lead"]["id"].as_str().expect("an id").to_owned());
            if received.len() % 10 == 0 {
                // Away for a moment, with what is on its way lost.
                socket = server.connect(&owner).await;
                tokio::time::sleep(Duration::from_millis(60)).await;
                socket.subscribe("1", LEADS, json!({"since": cursor})).await;
            }
        }
        assert!(socket.is_silent(Duration::from_millis(700)).await, "nothing comes twice");
        received
    };
    let (_, mut received) = tokio::join!(futures_util::future::join_all(writers), watcher);
    received.sort();
    let mut expected: Vec<String> =
        leads.iter().enumerate().filter(|(n, _)| n % 15 % 5 != 4).map(|(_, lead)| lead.clone()).collect();
    expected.sort();
    assert_eq!(received, expected);
}

/// What is changed through one server is reported by every other on the same database, once.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers() {
    let (world, here) = live().await;
    let twin = world.twin().await;
    let there = Listening::start(&twin).await;
    let leads = world.add_leads(world.acme, world.a, 4).await;
    let owner = token("owner_a", ACME);
    let (mut near, mut far) = (here.connect(&owner).await, there.connect(&owner).await);
    for socket in [&mut near, &mut far] {
        socket.subscribe("1", LEADS, json!({})).await;
    }
    settled(&world, 1).await;
    settled(&twin, 1).await;
    for (n, lead) in leads.iter().enumerate() {
        step(if n % 2 == 0 { &world } else { &twin }, &lead.to_string(), "CONTACTED").await;
    }
    for socket in [&mut near, &mut far] {
        let mut received = Vec::new();
        for _ in &leads {
            received.push(socket.next("1").await["leadChanged"]["lead"]["id"].as_str().expect("an id").to_owned());
        }
        received.sort();
        assert_eq!(received, leads.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(socket.is_silent(Duration::from_millis(500)).await);
    }
}

/// The listener's connection is cut: what happens meanwhile is reported once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn the_listener_comes_back() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut socket = server.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&world, 1).await;
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    step_until_it_works(&world, &lead).await;
    assert_eq!(socket.next("1").await["leadChanged"]["lead"]["status"], "CONTACTED");
}

/// The pool's connections were cut as well: each is found out by one request.
async fn step_until_it_works(world: &World, lead: &str) {
    for _ in 0..20 {
        let answer = world.owner_a(STEP, json!({"id": lead, "to": "CONTACTED"})).await;
        if answer.body.get("errors").is_none() {
            return;
        }
        assert_eq!(answer.code(), "SERVICE_UNAVAILABLE");
    }
    panic!("the pool does not recover");
}

/// Someone who has lost the right to see something does not learn of it, though the subscription is older than that.
#[tokio::test(flavor = "multi_thread")]
async fn rights_are_those_of_the_moment() {
    let (world, server) = live().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut member = server.connect(&token("member_a", ACME)).await;
    let mut owner = server.connect(&token("owner_a", ACME)).await;
    for socket in [&mut member, &mut owner] {
        socket.subscribe("1", LEADS, json!({})).await;
    }
    settled(&world, 2).await;
    world.sql("DELETE FROM partner_users WHERE user_id = (SELECT id FROM users WHERE clerk_user_id = 'member_a')").await;
    step(&world, &lead, "CONTACTED").await;
    owner.next("1").await;
    assert!(member.is_silent(Duration::from_millis(700)).await);
}

pub const CHANGES: &str = "subscription ($since: String, $kinds: [ChangeKind!], $partner: ID) {
    changes(since: $since, kinds: $kinds, partnerId: $partner) {
        __typename cursor at
        ... on LeadChange { lead { id status } } ... on CommissionChange { commission { status } }
        ... on PayoutChange { payout { status } } ... on CreditBalanceChange { partner { creditBalance } }
    }
}";

/// A page has one stream: changes of every kind, or of those that it shows, in the order in which they were made, live and from a cursor on.
#[tokio::test(flavor = "multi_thread")]
async fn one_stream_for_a_page() {
    let (world, server) = live().await;
    let mut staff = server.connect(&staff_token("operator", ACME)).await;
    staff.subscribe("all", CHANGES, json!({})).await;
    staff.subscribe("b", CHANGES, json!({"partner": world.b.to_string()})).await;
    staff.subscribe("two", CHANGES, json!({"kinds": ["CREDIT_BALANCE", "PAYOUT", "PAYOUT"]})).await;
    settled(&world, 3).await;
    let grant = "mutation ($a: ID!) { grantCredits(input: { partnerId: $a, credits: 7, reason: \"r\", idempotencyKey: \"FRESH_KEY\" }) { grant { id } } }";
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let first = staff.next("all").await["changes"].clone();
    assert_eq!((&first["__typename"], &first["lead"]["id"]), (&json!("LeadChange"), &json!(lead)));
    world.operator(grant, json!({"a": world.a.to_string()})).await.data();
    let mut received = [staff.receive().await, staff.receive().await];
    received.sort_by_key(|message| message["id"].to_string());
    for message in &received {
        assert_eq!(message["payload"]["data"]["changes"]["partner"]["creditBalance"], 7, "{message}");
    }
    assert_eq!((&received[0]["id"], &received[1]["id"]), (&json!("all"), &json!("two")));
    step(&world, &lead, "CONTACTED").await;
    assert_eq!(staff.next("all").await["changes"]["lead"]["status"], "CONTACTED");
    world.add_lead(world.acme, world.b).await;
    let mut received = [staff.receive().await, staff.receive().await];
    received.sort_by_key(|message| message["id"].to_string());
    assert_eq!((&received[0]["id"], &received[1]["id"]), (&json!("all"), &json!("b")));

    // The owner of A was away: the table tells of all kinds in their order, of A alone.
    let mut owner = server.connect(&token("owner_a", ACME)).await;
    owner.subscribe("1", CHANGES, json!({"since": first["cursor"]})).await;
    assert_eq!(owner.next("1").await["changes"]["__typename"], "CreditBalanceChange");
    assert_eq!(owner.next("1").await["changes"]["lead"]["status"], "CONTACTED");
    assert!(owner.is_silent(Duration::from_millis(500)).await);
    owner.subscribe("2", CHANGES, json!({"kinds": []})).await;
    let refused = owner.receive().await;
    assert!(refused["payload"][0]["message"].as_str().is_some_and(|text| text.contains("kinds: an empty list")), "{refused}");
}

/// A watcher that does not read is dropped, and what is made for it does not grow without end; others are served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_dropped() {
    let limits = Limits { send_timeout: Duration::from_secs(1), ..Setup::default().limits };
    let world = World::with(Setup { is_live: true, limits, ..Setup::default() }).await;
    let server = Listening::start(&world).await;
    world.add_leads(world.acme, world.a, 400).await;
    let notes = "n".repeat(2_000);
    world.sql(&format!("UPDATE partner_leads SET notes = '{notes}'")).await;
    let heavy = format!(
        "subscription {{ leadChanged {{ lead {{ {} }} }} }}",
        (0..150).map(|n| format!("n{n}: notes")).collect::<Vec<_>>().join(" ")
    );
    let mut lazy = server.connect(&token("owner_a", ACME)).await;
    lazy.subscribe("1", &heavy, json!({})).await;
    let mut eager = server.connect(&token("member_a", ACME)).await;
    eager.subscribe("1", LEADS, json!({})).await;
    settled(&world, 2).await;
    // Some 300 kB for each of 400 events: more than the sockets hold.
    world.sql("UPDATE partner_leads SET service = 'T'").await;
    for _ in 0..400 {
        eager.next("1").await;
    }
    for _ in 0..400 {
        if world.app.edge.subscriptions.count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the one that does not read is still there");
}
