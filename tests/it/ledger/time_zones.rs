//! Days and months begin in the tenant's time zone: of figures, tiers, balances; and totals follow when the zone changes.

use std::sync::Arc;

use chrono::Days;
use partner_portal::{
    ids::TenantId,
    models::{calendar::TimeZone, totals::change_time_zone},
};
use serde_json::{Value, json};

use crate::support::World;

const EARNED: &str = "query ($period: PeriodInput!) { revenueMetrics(period: $period) { periodStart periodEnd totalCommissions { amount } totalPayouts { amount } }
    earningsOverTime(interval: MONTH, period: $period) { start earned { amount } } }";

async fn set_zone(world: &World, tenant: TenantId, zone: &str) -> Vec<(usize, usize)> {
    let zone: TimeZone = zone.parse().expect("a zone");
    let mut received = Vec::new();
    let connection = world.owner().await;
    change_time_zone(&connection, tenant, zone, |done, all| received.push((done, all))).await.expect("changed");
    received
}

/// What a month has brought, to the tenant and to a partner, and when it begins and ends.
async fn month(world: &World, from: &str, before: &str) -> (String, Value, Value) {
    let period = json!({"period": {"from": from, "before": before}});
    let tenant = world.operator(EARNED, period.clone()).await.data().clone();
    let partner = world.owner_a(EARNED, period).await.data().clone();
    assert_eq!(tenant["revenueMetrics"]["totalCommissions"], partner["revenueMetrics"]["totalCommissions"]);
    assert_eq!(tenant["earningsOverTime"][0]["earned"], tenant["revenueMetrics"]["totalCommissions"]);
    let metrics = &tenant["revenueMetrics"];
    (
        metrics["totalCommissions"]["amount"].as_str().expect("an amount").to_owned(),
        metrics["periodStart"].clone(),
        metrics["periodEnd"].clone(),
    )
}

/// A payment in the last half hour of October there is October's, and one in the first is November's; when the zone changes, what is there
/// follows, and `verify` agrees each time.
#[tokio::test(flavor = "multi_thread")]
async fn months_begin_there() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", "2026-10-31T23:30:00-05:00").await;
    world.pay("inv_2", "cus_1", "500.00", "2026-11-01T00:00:00-05:00").await;
    world.pay("inv_3", "cus_1", "30.00", "2026-10-31T23:59:59.999999-05:00").await;
    let october = async || month(&world, "2026-10-01", "2026-11-01").await;
    let november = async || month(&world, "2026-11-01", "2026-12-01").await;
    assert_eq!((october().await.0, november().await.0), ("0.00".to_owned(), "63.00".to_owned()));
    let received = set_zone(&world, world.acme, "America/Bogota").await;
    assert_eq!(received, [(0, 2), (2, 2)]);
    assert_eq!(october().await, ("13.00".to_owned(), json!("2026-10-01T05:00:00Z"), json!("2026-11-01T05:00:00Z")));
    assert_eq!(november().await.0, "50.00");
    assert_eq!(world.broken_rules().await, [""; 0]);
    // What is booked and given back from now on goes there, too.
    world.pay("inv_4", "cus_1", "10.00", "2026-11-01T03:00:00Z").await;
    world.refund("inv_2", "100.00").await;
    assert_eq!(october().await.0, "14.00");
    set_zone(&world, world.acme, "UTC").await;
    assert_eq!(october().await.0, "0.00");
    assert_eq!(world.broken_rules().await, [""; 0]);
    set_zone(&world, world.acme, "America/Bogota").await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    world.pay_out(&payout).await;
    assert_eq!(world.broken_rules().await, [""; 0]);
    assert_eq!(
        world.operator("{ me { tenant { timeZone } } }", json!({})).await.data()["me"]["tenant"]["timeZone"],
        "America/Bogota"
    );
    // The other tenant's stay where they were.
    assert_eq!(world.text("SELECT time_zone FROM tenants WHERE slug = 'globex'").await, "UTC");
}

/// A tier's month is the tenant's: what was paid in the evening there counts to the month that ends.
#[tokio::test(flavor = "multi_thread")]
async fn tiers_follow() {
    let world = World::new().await;
    set_zone(&world, world.acme, "America/Bogota").await;
    let tiers = "mutation ($id: ID!) { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, currency: \"USD\", kind: TIERED, validFrom: \"2026-01-01T00:00:00Z\", tiers: [{ above: \"0\", rate: \"0.1\" }, { above: \"100\", rate: \"0.2\" }] }) { userErrors { message } } }";
    let set = world.operator(tiers, json!({"id": world.a.to_string()})).await;
    assert_eq!(set.data()["setCommissionRule"]["userErrors"], json!([]));
    world.customer("cus_1", world.a).await;
    let amount =
        async |invoice: &str, at: &str| world.pay(invoice, "cus_1", "100.00", at).await["commission"]["amount"]["amount"].clone();
    assert_eq!(amount("inv_1", "2026-10-15T12:00:00Z").await, "10.00");
    // Still October there.
    assert_eq!(amount("inv_2", "2026-11-01T04:59:59Z").await, "20.00");
    assert_eq!(amount("inv_3", "2026-11-01T05:00:00Z").await, "10.00");
    // Replayed, it comes to the same.
    let replay = "query ($rule: CommissionRuleInput!) { simulateCommissionRule(rule: $rule, period: { from: \"2026-10-31\", before: \"2026-11-01\" }) { totals { payments actual { amount } simulated { amount } } } }";
    let rule = json!({"partnerId": world.a.to_string(), "currency": "USD", "kind": "TIERED", "tiers": [{"above": "0", "rate": "0.1"}, {"above": "100", "rate": "0.2"}]});
    let replayed = world.operator(replay, json!({"rule": rule})).await;
    assert_eq!(
        replayed.data()["simulateCommissionRule"]["totals"],
        json!([{"payments": 1, "actual": {"amount": "20.00"}, "simulated": {"amount": "20.00"}}])
    );
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Balances are reported at the end of the day there, and the days of a chart end today there.
#[tokio::test(flavor = "multi_thread")]
async fn days_end_there() {
    let world = World::new().await;
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu"] {
        set_zone(&world, world.acme, zone).await;
        world.adjust(world.a, "5.00", None).await;
        let zone: TimeZone = zone.parse().expect("a zone");
        let today = zone.day_of(world.app.clock.now());
        let query = "query ($today: Date!, $before: Date!) { me { partner { now: balances { earned { amount } } today: balanceAt(date: $today) { earned { amount } } before: balanceAt(date: $before) { earned { amount } } } }
            earningsOverTime(interval: DAY) { start } }";
        let variables = json!({"today": today.to_string(), "before": (today - Days::new(1)).to_string()});
        let found = world.owner_a(query, variables).await.data().clone();
        let partner = &found["me"]["partner"];
        assert_eq!(partner["today"], partner["now"], "{zone}");
        assert_eq!(partner["before"]["earned"]["amount"], "0.00", "{zone}");
        let days = found["earningsOverTime"].as_array().expect("days").clone();
        assert_eq!(days[days.len() - 1]["start"], today.to_string(), "{zone}");
        assert_eq!(days.len(), 30);
        assert_eq!(world.broken_rules().await, [""; 0]);
    }
}

/// While the zone changes again and again, bookings go on: nothing is lost, nothing counted twice, nobody waits in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bookings_go_on_meanwhile() {
    let world = Arc::new(World::with_pool(8).await);
    world.customer("cus_1", world.a).await;
    world.customer("cus_2", world.b).await;
    let booking = (0..4).map(|task: usize| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for turn in 0..15 {
                let customer = ["cus_1", "cus_2"][task % 2];
                world.pay(&format!("inv_{task}_{turn}"), customer, "100.00", "2026-11-01T02:00:00Z").await;
                world.adjust(world.a, "1.00", None).await;
            }
        })
    });
    let booking: Vec<_> = booking.collect();
    for turn in 0..12 {
        set_zone(&world, world.acme, ["America/Bogota", "Asia/Tokyo", "UTC"][turn % 3]).await;
    }
    for task in booking {
        task.await.expect("a task");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
    set_zone(&world, world.acme, "America/Bogota").await;
    assert_eq!(world.broken_rules().await, [""; 0]);
    let metrics = world.operator(EARNED, json!({"period": {"from": "2026-10-31", "before": "2026-11-01"}})).await;
    assert_eq!(metrics.data()["revenueMetrics"]["totalCommissions"]["amount"], "600.00");
}
