//! The books against a simple model: thousands of random operations, repeated and reordered, from many tasks at once; and a server that
//! is killed in the middle of its work.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use partner_portal::ids::PartnerId;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::support::{
    World,
    binary::{Folder, Server, run},
};

const DAY: &str = "2026-06-15T12:00:00Z";
/// Tasks at once, and operations of each.
const TASKS: u64 = 24;
const OPERATIONS: usize = 90;
/// Invoices and adjustments that the operations are about: few, so that most are hit again and again.
const INVOICES: u64 = 80;
const KEYS: u64 = 30;

/// What an invoice's number says of it; every report of it is the same.
fn invoice(number: u64) -> (String, Decimal, usize) {
    let cents = 1_000 + (number * 7_919) % 90_000;
    (format!("inv_{number}"), Decimal::new(i64::try_from(cents).expect("small"), 2), usize::try_from(number % 2).expect("small"))
}

fn adjustment(number: u64) -> (String, Decimal, usize) {
    let cents = i64::try_from(1 + (number * 131) % 500).expect("small") * if number.is_multiple_of(3) { -1 } else { 1 };
    (format!("key_{number}"), Decimal::new(cents, 2), usize::try_from(number % 2).expect("small"))
}

fn round(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven)
}

/// What has been acknowledged, in memory: the whole of the model.
#[derive(Default)]
struct Model {
    paid: BTreeSet<u64>,
    /// The latest report of each: its time, and how much in all.
    refunded: BTreeMap<u64, (String, Decimal)>,
    adjusted: BTreeSet<u64>,
    rejected: BTreeSet<u64>,
}

impl Model {
    /// What a partner has earned at ten per cent.
    fn earned(&self, partner: usize) -> Decimal {
        let payments = self.paid.iter().filter(|number| !self.rejected.contains(number)).map(|&number| (number, invoice(number)));
        let payments = payments.filter(|(_, (.., of))| *of == partner).map(|(number, (_, amount, _))| {
            let commission = round(amount / Decimal::TEN);
            let refunded = self.refunded.get(&number).map_or(Decimal::ZERO, |(_, refunded)| *refunded);
            commission - round(commission * refunded / amount)
        });
        let adjustments = self.adjusted.iter().map(|&number| adjustment(number)).filter(|(.., of)| *of == partner);
        payments.sum::<Decimal>() + adjustments.map(|(_, amount, _)| amount).sum::<Decimal>()
    }
}

async fn operation(world: &World, random: &mut fastrand::Rng, partners: [PartnerId; 2], model: &Mutex<Model>) {
    let known = |model: &Mutex<Model>, change: &dyn Fn(&mut Model)| change(&mut model.lock().expect("the model"));
    let number = random.u64(..INVOICES);
    let (id, amount, of) = invoice(number);
    let partner = partners[random.usize(..2)];
    match random.u8(..20) {
        0..8 => {
            let answer = world.pay(&id, ["cus_a", "cus_b"][of], &amount.to_string(), DAY).await;
            assert_eq!(answer["userErrors"], json!([]));
            known(model, &|model| _ = model.paid.insert(number));
        }
        8..12 => {
            // Thirds of the amount, up and down again as refunds fail, in any order, also before the payment.
            let refunded = round(amount * Decimal::from(random.u8(..=3)) / Decimal::from(3));
            let at = format!("2026-06-2{}T{:02}:00:00Z", random.u8(..3), random.u8(..4));
            let answer = world.refund_at(&id, &refunded.to_string(), &at).await;
            assert_eq!(answer["userErrors"], json!([]));
            known(model, &|model| {
                let latest = model.refunded.entry(number).or_default();
                *latest = (at.clone(), refunded).max(latest.clone());
            });
        }
        12..15 => {
            let number = random.u64(..KEYS);
            let (key, amount, of) = adjustment(number);
            let answer = world.adjust(partners[of], &amount.to_string(), Some(&key)).await;
            assert_eq!(answer["userErrors"], json!([]));
            known(model, &|model| _ = model.adjusted.insert(number));
        }
        15 => {
            let answer = world.pay(&id, ["cus_a", "cus_b"][of], &amount.to_string(), DAY).await;
            known(model, &|model| _ = model.paid.insert(number));
            let results = world.decide("rejectCommissions", &[&answer["commission"]["id"]], false).await;
            if results[0]["userError"].is_null() {
                known(model, &|model| _ = model.rejected.insert(number));
            }
        }
        16..18 => {
            // Just with the payments, without them, or with everything.
            let end = ["2026-06-15T12:00:01Z", "2026-06-15T12:00:00Z", "2100-01-01T00:00:00Z"][random.usize(..3)];
            let made = world
                .batch_with(json!({"partnerId": partner.to_string(), "period": {"from": "2026-01-01T00:00:00Z", "before": end}}))
                .await;
            if let Some(id) = made["payout"].get("id") {
                walk(world, random, id).await;
            }
        }
        _ => {
            let list = "{ payouts(first: 20) { nodes { id } } }";
            let answer = world.operator(list, json!({})).await;
            let ids: Vec<Value> =
                answer.data()["payouts"]["nodes"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
            if let Some(id) = random.choice(ids.iter()) {
                walk(world, random, id).await;
            }
        }
    }
}

/// A few steps of a payout, right or wrong.
async fn walk(world: &World, random: &mut fastrand::Rng, id: &Value) {
    let steps = ["releasePayout", "startPayout", "completePayout", "failPayout", "retryPayout", "cancelPayout", "returnPayout"];
    for _ in 0..3 {
        let step = steps[random.usize(..steps.len())];
        let refused = world.step(step, id).await["userErrors"].clone();
        assert!(refused == json!([]) || refused[0]["code"] == "INVALID_TRANSITION", "{step}: {refused}");
    }
}

/// Whatever the order and however often: the books hold, and say what the model says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_operations_agree_with_the_model() {
    let world = Arc::new(World::with_pool(6).await);
    world.customer("cus_a", world.a).await;
    world.customer("cus_b", world.b).await;
    let partners = [world.a, world.b];
    let model = Arc::new(Mutex::new(Model::default()));
    let tasks = (0..TASKS).map(|task| {
        let (world, model) = (Arc::clone(&world), Arc::clone(&model));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(task);
            for _ in 0..OPERATIONS {
                operation(&world, &mut random, partners, &model).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("a task");
    }
    let (earned, rejected, paid) = {
        let model = model.lock().expect("the model");
        ([model.earned(0), model.earned(1)], model.rejected.len(), model.paid.len())
    };
    // A refund of an invoice that was never paid takes nothing back.
    for (place, partner) in partners.into_iter().enumerate() {
        let query = "query ($id: ID!) { partner(id: $id) { balances { earned { amount } pending { amount } payable { amount } inPayout { amount } paid { amount } } } }";
        let answer = world.operator(query, json!({"id": partner.to_string()})).await;
        let balances = answer.data()["partner"]["balances"].clone();
        let of = |kind: &str| balances[kind]["amount"].as_str().expect("an amount").parse::<Decimal>().expect("a decimal");
        assert_eq!(of("earned"), earned[place], "partner {place}");
        assert_eq!(of("earned"), of("pending") + of("payable") + of("inPayout") + of("paid"));
    }
    assert!(rejected > 3 && paid > 60, "the operations were of all kinds");
    assert!(world.number("SELECT count(*) FROM partner_payouts").await > 3);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A server that is killed with SIGKILL in the middle of its work has lost nothing that it acknowledged, and its books hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_loses_nothing() {
    let folder = Folder::new();
    let server = Arc::new(Server::start(&folder.0));
    let token = |role: &str| {
        let printed = run(&folder.0, &["token", "--role", role]).stdout;
        String::from_utf8(printed).expect("a token").trim().to_owned()
    };
    let (service, operator) = (token("service"), token("operator"));
    // The demo's customers are managed from a year and some days ago.
    let day = (partner_portal::clock::Clock::default().now() - chrono::TimeDelta::days(1)).to_rfc3339();
    let pay = move |number: usize| {
        format!(
            "mutation {{ recordInvoicePayment(input: {{ invoiceId: \"kill_{number}\", customerExternalId: \"cus_1_1_1\", amount: \"120.00\", paidAt: \"{day}\" }}) {{ replayed commission {{ id }} userErrors {{ code }} }} }}"
        )
    };
    let partner = "{ partners(last: 1) { nodes { id } } customers(first: 500) { nodes { externalId partner { id } } } }";
    let found = server.ask(&operator, partner).await;
    let customers = found["data"]["customers"]["nodes"].as_array().expect("customers").clone();
    let of_first = customers.iter().find(|row| row["externalId"] == "cus_1_1_1").expect("the customer")["partner"]["id"].clone();
    let batch = format!(
        "mutation {{ createPayoutBatch(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: {of_first}, period: {{ from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" }} }}) {{ payout {{ id }} userErrors {{ code }} }} }}"
    );
    let acknowledged = Arc::new(Mutex::new(Vec::<(usize, Value)>::new()));
    let stopped = Arc::new(AtomicBool::new(false));
    let client = reqwest::Client::new();
    let url = format!("http://{}/graphql", server.address);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (client, url, service, operator) = (client.clone(), url.clone(), service.clone(), operator.clone());
            let (acknowledged, stopped, batch) = (Arc::clone(&acknowledged), Arc::clone(&stopped), batch.clone());
            let pay = pay.clone();
            tokio::spawn(async move {
                for turn in 0.. {
                    let number = task * 100_000 + turn;
                    let post =
                        |token: &str, query: String| client.post(&url).bearer_auth(token).json(&json!({"query": query})).send();
                    let Ok(response) = post(&service, pay(number)).await else { break };
                    let Ok(answer) = response.json::<Value>().await else { break };
                    let payload = &answer["data"]["recordInvoicePayment"];
                    if payload["userErrors"] == json!([]) {
                        acknowledged.lock().expect("the list").push((number, payload["commission"]["id"].clone()));
                    }
                    if turn % 5 == 0 {
                        let _ = post(&operator, batch.clone()).await;
                    }
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                }
            })
        })
        .collect();
    while acknowledged.lock().expect("the list").len() < 150 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.signal(nix::sys::signal::Signal::SIGKILL);
    stopped.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a task");
    }
    drop(server);

    let server = Server::start(&folder.0);
    let acknowledged = acknowledged.lock().expect("the list").clone();
    for (number, commission) in &acknowledged {
        let again = server.ask(&service, &pay(*number)).await["data"]["recordInvoicePayment"].clone();
        assert_eq!((&again["replayed"], &again["commission"]["id"]), (&json!(true), commission), "invoice {number}");
    }
    let verified = run(&folder.0, &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
