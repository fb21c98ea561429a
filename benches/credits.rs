//! Credits in large numbers: how long it takes to assign and use one and a hundred thousand at once, and what a file of 5,000 and of
//! 50,000 members needs of time and memory. `cargo bench --bench credits` prints it; nothing here judges it.

#[path = "portal/memory.rs"]
mod memory;
mod portal;

use std::time::Instant;

use axum::{
    body::Body,
    http::{Request, header},
};
use diesel_async::SimpleAsyncConnection;
use http_body_util::BodyExt;
use memory::memory;
use partner_portal::seed::{Amounts, demo};
use portal::Portal;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Besides the demo data.
const AMOUNTS: Amounts = Amounts { partners: 10, leads: 0, invoices: 0, members: 100, clicks: 0, pays_monthly: false, seed: 7 };

fn main() {
    // `cargo test` runs benches once, and has no use for this one.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let portal = Portal::start(AMOUNTS).await;
    portal.connect().await.batch_execute("VACUUM ANALYZE").await.expect("statistics");
    let me = portal.data(&portal.owner, "{ me { partner { id } } members(first: 1) { nodes { id } } }").await;
    let service = portal.token(demo::service(demo::FIRST_TENANT), Some("service"));
    let (partner, member) = (me["me"]["partner"]["id"].clone(), me["members"]["nodes"][0]["id"].clone());
    let grant = format!(
        "mutation {{ grantCredits(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: {partner}, credits: 50000000, reason: \"R\" }}) {{ grant {{ id }} }} }}"
    );
    portal.data(&portal.operator, &grant).await;
    for credits in [1, 1_000, 100_000] {
        let assign = format!(
            "mutation {{ assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: {member}, credits: {credits}, validDays: 9 }}) {{ allocation {{ available }} }} }}"
        );
        time(&portal, &portal.owner, &format!("assign {credits}"), |_| assign.clone()).await;
    }
    for count in [1, 1_000, 100_000] {
        let redeem = |turn: usize| {
            format!(
                "mutation {{ redeemCredit(input: {{ memberId: {member}, count: {count}, idempotencyKey: \"b{count}_{turn}\" }}) {{ redemption {{ credits }} }} }}"
            )
        };
        time(&portal, &service, &format!("use {count}"), redeem).await;
    }
    for rows in [5_000, 50_000] {
        import(&portal, rows).await;
    }
}

/// The median of five.
async fn time(portal: &Portal, token: &str, name: &str, query: impl Fn(usize) -> String) {
    let mut times = Vec::new();
    for turn in 0..5 {
        let started = Instant::now();
        portal.data(token, &query(turn)).await;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    println!("{name}: median {:.1} ms", times[2].as_secs_f64() * 1_000.0);
}

/// A multipart request with a file of new members, every other with a credit.
fn upload(rows: u32) -> Vec<u8> {
    let query = "mutation ($file: Upload) { importMembers(input: { file: $file }) { import { imported creditsAssigned rows(first: 1, outcome: [FAILED]) { row } } } }";
    let operations = json!({"query": query, "variables": {"file": null}}).to_string();
    let mut text = format!(
        "--x\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{operations}\r\n\
         --x\r\ncontent-disposition: form-data; name=\"map\"\r\n\r\n{{\"0\": [\"variables.file\"]}}\r\n\
         --x\r\ncontent-disposition: form-data; name=\"0\"; filename=\"m.csv\"\r\n\r\nemail,first name,last name,credits\n"
    );
    for row in 0..rows {
        let credits = if row % 2 == 0 { "1" } else { "" };
        text += &["m", &row.to_string(), "@of-", &rows.to_string(), ".example,First,Last,", credits, "\n"].concat();
    }
    text += "\r\n--x--\r\n";
    text.into_bytes()
}

async fn import(portal: &Portal, rows: u32) {
    let request = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .header("graphql-require-preflight", "1")
        .header(header::AUTHORIZATION, format!("Bearer {}", portal.owner));
    let request = request.body(Body::from(upload(rows))).expect("a request");
    let ((before, _), started) = (memory(), Instant::now());
    let response = portal.router.clone().oneshot(request).await.expect("an answer");
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(answer["data"]["importMembers"]["import"]["imported"], rows, "{answer}");
    let seconds = started.elapsed().as_secs_f64();
    println!("import of {rows} members: {seconds:.1} s, peak memory {before} MB before and {} MB after", memory().0);
}
