//! Budgets of callers, and the bound on work under way.

use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use partner_portal::config::limits::Limits;
use serde_json::json;

use super::telemetry;
use crate::support::{World, token, tokens::staff_token, world::ACME};

const CHEAP: &str = "{ me { role } }";

/// A user who has spent what they may learns when to come back; others, and those of other tenants, are not affected.
#[tokio::test(flavor = "multi_thread")]
async fn a_users_budget() {
    let limits = Limits { user_rate: 1, user_burst: 30, max_cost: 30, ..Limits::default() };
    let world = World::with_limits(limits).await;
    let mut refused = None;
    for _ in 0..12 {
        let answer = world.owner_a(CHEAP, json!({})).await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the budget ends");
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    let wait: u64 = refused.headers[header::RETRY_AFTER].to_str().expect("text").parse().expect("seconds");
    assert!((1..=4).contains(&wait) && refused.message().contains(&format!("{wait} second")), "{}", refused.message());
    world.acme("owner_b", CHEAP, json!({})).await.data();
    // What it waits for is the price of looking at a document; the operation's own comes to it.
    tokio::time::sleep(Duration::from_secs(wait + 2)).await;
    world.owner_a(CHEAP, json!({})).await.data();
}

/// The tenant's budget is for all of its callers together, and for no one else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_budget() {
    let limits = Limits { tenant_rate: 1, tenant_burst: 30, max_cost: 30, ..Limits::default() };
    let world = World::with_limits(limits).await;
    let mut codes = Vec::new();
    for n in 0..30 {
        let subject = ["owner_a", "owner_b", "member_a"][n % 3];
        codes.push(world.acme(subject, CHEAP, json!({})).await.code().to_owned());
    }
    assert_eq!((codes[0].as_str(), codes[29].as_str()), ("none", "RATE_LIMITED"));
    world.run(&token("owner_g", "globex"), CHEAP, json!({})).await.data();
}

/// Looking at a document that is refused has a price, so that guessing is not for free.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_a_price() {
    let limits = Limits { user_rate: 1, user_burst: 30, max_cost: 30, ..Limits::default() };
    let world = World::with_limits(limits).await;
    for _ in 0..30 {
        world.owner_a("{ nothing }", json!({})).await;
    }
    assert_eq!(world.owner_a(CHEAP, json!({})).await.code(), "RATE_LIMITED");
}

/// When as much is under way as may be, one more is turned away at once, and the process still says that it lives.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_shed() {
    let limits = Limits { max_in_flight: 2, ..Limits::default() };
    let world = World::with_limits(limits).await;
    world.add_lead(world.acme, world.a).await;
    let mut locker = world.owner().await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut locker, "BEGIN; LOCK TABLE partner_leads").await.expect("a lock");
    let waiting = || world.owner_a("{ leads { nodes { id } } }", json!({}));
    let (first, second) = (waiting(), waiting());
    let one_more = async {
        world.until_locked(2).await;
        let started = std::time::Instant::now();
        // Nobody looks at what it says.
        let answer = world.run(&staff_token("operator", ACME), "{", json!({})).await;
        let alive = world.send(Request::get("/healthz").body(axum::body::Body::empty()).expect("a request")).await;
        assert!(started.elapsed() < Duration::from_secs(5), "it does not wait for the others");
        drop(locker);
        (answer, alive)
    };
    let (first, second, (shed, alive)) = tokio::join!(first, second, one_more);
    assert_eq!((shed.status, shed.code()), (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"));
    assert_eq!(shed.headers[header::RETRY_AFTER], "1");
    let received = telemetry::scrape(&world).await;
    assert!(received.contains("portal_refusals_total{code=\"SERVICE_UNAVAILABLE\"} 1\n"), "{received}");
    assert_eq!(alive.status, StatusCode::OK);
    first.data();
    second.data();
    world.owner_a(CHEAP, json!({})).await.data();
}
