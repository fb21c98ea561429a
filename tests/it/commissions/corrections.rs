//! What operators and services put right: leads and commissions of another partner, payments of before, redemptions that were mistakes,
//! allocations that need more time.

use std::time::Duration;

use chrono::TimeDelta;
use partner_portal::jobs;
use serde_json::{Value, json};

use crate::support::{World, money::COMMISSION};

const DAY: &str = "2026-06-15T12:00:00Z";

fn refusal(payload: &Value) -> (&str, &str) {
    let error = &payload["userErrors"][0];
    (error["code"].as_str().unwrap_or("none"), error["field"][1].as_str().unwrap_or("none"))
}

/// Lets the allocations that were assigned for so many days be past their time.
async fn expire_soon(world: &World, days: i32) {
    let soon = format!(
        "UPDATE credit_allocations SET expires_at = clock_timestamp() + interval '1 second' WHERE valid_days = {days};
         UPDATE credit_extensions x SET from_expires_at = a.created_at, to_expires_at = a.expires_at FROM credit_allocations a WHERE a.id = x.allocation_id"
    );
    world.sql(&soon).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

async fn move_commission(world: &World, id: &Value, partner: partner_portal::ids::PartnerId) -> Value {
    let query = "mutation ($input: MoveCommissionInput!) { moveCommission(input: $input) { commission { id partner { id } status moves { from { id } to { id } reason movedBy { id } at } transfers { kind } } userErrors { code message field } } }";
    let input = json!({"id": id, "partnerId": partner.to_string(), "reason": "Wrong partner"});
    world.operator(query, json!({"input": input})).await.data()["moveCommission"].clone()
}

/// What comes for a partner that is suspended is booked pending and waits for an operator, and what is held for it is not approved by time
/// until it is at work again.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_partner_waits() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    let yesterday = (world.app.clock.now() - TimeDelta::days(1)).to_rfc3339();
    world.pay("inv_0", "cus_1", "50.00", &yesterday).await;
    let status = "mutation ($id: ID!, $status: PartnerStatus!) { changePartnerStatus(input: { id: $id, status: $status }) { partner { status } userErrors { code } } }";
    let set = async |status_now: &str| {
        world.operator(status, json!({"id": world.a.to_string(), "status": status_now})).await.data();
    };
    set("SUSPENDED").await;
    let paid = world.pay("inv_1", "cus_1", "100.00", DAY).await;
    assert_eq!((&paid["commission"]["status"], &paid["commission"]["dueAt"]), (&json!("PENDING"), &Value::Null));
    world.sql("UPDATE partner_commission_events SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL").await;
    let run = async || jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    run().await;
    assert_eq!(world.balances(world.a).await[..2], ["15.00", "0.00"]);
    set("ACTIVE").await;
    run().await;
    assert_eq!(world.balances(world.a).await[..2], ["10.00", "5.00"]);
    world.decide("approveCommissions", &[&paid["commission"]["id"]], false).await;
    assert_eq!(world.balances(world.a).await[..2], ["0.00", "15.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A partner that managed a customer from the past on earns by the payments since then that earned nothing, each by the rule that held and less
/// what was refunded; not by those before, and not where it is not wanted.
#[tokio::test(flavor = "multi_thread")]
async fn past_payments_are_booked() {
    let world = World::new().await;
    let report = "mutation ($id: String!) { upsertCustomer(input: { externalId: $id, name: $id }) { customer { id } } }";
    let assign = "mutation ($input: AssignCustomerInput!) { assignCustomer(input: $input) { bookedPayments userErrors { code field message } } }";
    for (number, wanted) in [json!(null), json!(false), json!(true)].into_iter().enumerate() {
        let external = format!("cus_{number}");
        let id = world.service(report, json!({"id": external})).await.data()["upsertCustomer"]["customer"]["id"].clone();
        for (invoice, amount, at) in
            [("before", "100.00", "2026-05-31T23:59:59Z"), ("first", "200.00", "2026-06-01T00:00:00Z"), ("last", "300.00", DAY)]
        {
            let paid = world.pay(&format!("{invoice}_{number}"), &external, amount, at).await;
            assert_eq!(paid["commission"], Value::Null);
        }
        world.refund(&format!("last_{number}"), "150.00").await;
        let mut input = json!({"customerId": id, "partnerId": world.a.to_string(), "from": "2026-06-01T00:00:00Z"});
        if !wanted.is_null() {
            input["bookPastPayments"] = wanted.clone();
        }
        let done = world.service(assign, json!({"input": input})).await.data()["assignCustomer"].clone();
        let expected = if wanted == json!(false) { 0 } else { 2 };
        assert_eq!(done, json!({"bookedPayments": expected, "userErrors": []}));
        // Asked again it changes nothing.
        let again = world.service(assign, json!({"input": input})).await.data()["assignCustomer"].clone();
        assert_eq!(again["bookedPayments"], 0);
        // And the report, sent again, finds what was booked.
        let again = world.pay(&format!("first_{number}"), &external, "200.00", "2026-06-01T00:00:00Z").await;
        assert_eq!(again["commission"]["amount"]["amount"].as_str(), (expected > 0).then_some("20.00"));
    }
    assert_eq!(world.balances(world.a).await[1], "70.00");
    let query = "{ commissions(filter: { partnerId: ID }, orderBy: { field: AMOUNT }) { nodes { amount { amount } explanation { sentence } } } }"
        .replace("ID", &format!("\"{}\"", world.a));
    let answer = world.operator(&query, json!({})).await;
    let rows = answer.data()["commissions"]["nodes"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row["explanation"]["sentence"].as_str().is_some_and(|text| text.len() > 20)), "{rows:?}");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A payment that the billing system dates a little ahead earns too where the partner manages the customer from now on.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_dated_ahead_is_booked() {
    let world = World::new().await;
    let report = "mutation { upsertCustomer(input: { externalId: \"cus_1\", name: \"cus_1\" }) { customer { id } } }";
    let id = world.service(report, json!({})).await.data()["upsertCustomer"]["customer"]["id"].clone();
    let ahead = partner_portal::clock::shown(world.app.clock.now() + TimeDelta::hours(1));
    assert_eq!(world.pay("inv_1", "cus_1", "200.00", &ahead).await["commission"], Value::Null);
    let assign =
        "mutation ($input: AssignCustomerInput!) { assignCustomer(input: $input) { bookedPayments userErrors { message } } }";
    let input = json!({"customerId": id, "partnerId": world.a.to_string()});
    let done = world.service(assign, json!({"input": input})).await.data()["assignCustomer"].clone();
    assert_eq!(done, json!({"bookedPayments": 1, "userErrors": []}));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A commission that is not paid moves to another partner with its reversals: in the accounts of both, in the totals, in the history with the
/// reason; again it changes nothing, and back it can go too.
#[tokio::test(flavor = "multi_thread")]
async fn a_commission_moves() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let id = world.pay("inv_1", "cus_1", "100.00", DAY).await["commission"]["id"].clone();
    let reversal = world.refund("inv_1", "40.00").await["commission"]["id"].clone();
    for _ in 0..2 {
        let moved = move_commission(&world, &id, world.b).await;
        assert_eq!(moved["userErrors"], json!([]));
        assert_eq!(moved["commission"]["partner"]["id"], world.b.to_string());
        let history = moved["commission"]["moves"].as_array().expect("moves");
        assert_eq!(history.len(), 1);
        assert_eq!((&history[0]["reason"], &history[0]["from"]["id"]), (&json!("Wrong partner"), &json!(world.a.to_string())));
        let kinds: Vec<&Value> =
            moved["commission"]["transfers"].as_array().expect("rows").iter().map(|row| &row["kind"]).collect();
        assert_eq!(kinds, ["EARN", "MOVE_OUT", "MOVE_IN"]);
    }
    assert_eq!(world.balances(world.a).await[1], "0.00");
    assert_eq!(world.balances(world.b).await[1], "6.00");
    assert_eq!(world.broken_rules().await, [""; 0]);
    // The one sees it with the reason, and does not learn whose it was; the other sees it no more.
    let query =
        format!("query ($id: ID!) {{ commission(id: $id) {{ {COMMISSION} moves {{ from {{ id }} to {{ id }} reason }} }} }}");
    let own = world.acme("owner_b", &query, json!({"id": id})).await.data()["commission"].clone();
    assert_eq!(own["moves"], json!([{"from": null, "to": {"id": world.b.to_string()}, "reason": "Wrong partner"}]));
    assert_eq!(world.owner_a(&query, json!({"id": id})).await.data()["commission"], Value::Null);
    // A later refund is the new partner's.
    world.refund_at("inv_1", "100.00", "2026-06-21T00:00:00Z").await;
    assert_eq!(world.balances(world.b).await[1], "0.00");
    for partner in [world.a, world.b, world.a] {
        assert_eq!(move_commission(&world, &id, partner).await["userErrors"], json!([]));
    }
    assert_eq!(refusal(&move_commission(&world, &reversal, world.b).await), ("INVALID_TRANSITION", "id"));
    assert_eq!(refusal(&move_commission(&world, &id, world.g).await), ("NOT_FOUND", "partnerId"));
    // In a payout, paid, or for a closed partner, it stays.
    let paid = world.pay("inv_2", "cus_1", "100.00", DAY).await["commission"]["id"].clone();
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    assert_eq!(refusal(&move_commission(&world, &paid, world.b).await), ("INVALID_TRANSITION", "id"));
    for step in ["releasePayout", "startPayout", "failPayout"] {
        world.step(step, &payout).await;
    }
    assert_eq!(move_commission(&world, &paid, world.b).await["userErrors"], json!([]));
    assert_eq!(world.step("retryPayout", &payout).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    let next = world.batch(world.b).await["payout"]["id"].clone();
    world.pay_out(&next).await;
    assert_eq!(refusal(&move_commission(&world, &paid, world.a).await), ("INVALID_TRANSITION", "id"));
    world.sql(&format!("UPDATE partners SET status = 'closed' WHERE id = '{}'", world.b.uuid())).await;
    let other = world.adjust(world.a, "3.00", None).await["commission"]["id"].clone();
    assert_eq!(refusal(&move_commission(&world, &other, world.b).await), ("PARTNER_INACTIVE", "partnerId"));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A lead moves with its history and what it has earned, and both partners' counters follow; once that is paid it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_moves() {
    let world = World::new().await;
    let send = "mutation ($id: ID!) { createLead(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", dealValue: \"100.00\" }) { lead { id } } }";
    let lead = world.operator(send, json!({"id": world.a.to_string()})).await.data()["createLead"]["lead"]["id"].clone();
    let convert = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONVERTED, note: \"Won\" }) { lead { status } userErrors { message } } }";
    world.operator(convert, json!({"id": lead})).await.data();
    let query = "mutation ($input: MoveLeadInput!) { moveLead(input: $input) { lead { partner { id } history { to } moves { reason to { id } } } userErrors { code message field } } }";
    let go = async |partner: partner_portal::ids::PartnerId| {
        let input = json!({"id": lead, "partnerId": partner.to_string(), "reason": "B sent it first"});
        world.operator(query, json!({"input": input})).await.data()["moveLead"].clone()
    };
    for _ in 0..2 {
        let moved = go(world.b).await;
        assert_eq!(
            moved["lead"],
            json!({"partner": {"id": world.b.to_string()}, "history": [{"to": "PENDING"}, {"to": "CONVERTED"}], "moves": [{"reason": "B sent it first", "to": {"id": world.b.to_string()}}]})
        );
    }
    assert_eq!((world.balances(world.a).await[0].as_str(), world.balances(world.b).await[0].as_str()), ("0.00", "10.00"));
    let counters = "SELECT total_referrals * 10 + converted_referrals FROM partners WHERE id = ";
    assert_eq!(world.number(&format!("{counters}'{}'", world.a.uuid())).await, 0);
    assert_eq!(world.number(&format!("{counters}'{}'", world.b.uuid())).await, 11);
    let mine = "{ leads { nodes { id } } commissions { nodes { id lead { id } } } }";
    let seen = world.acme("owner_b", mine, json!({})).await;
    assert_eq!(seen.data()["commissions"]["nodes"][0]["lead"]["id"], lead);
    let commission = seen.data()["commissions"]["nodes"][0]["id"].clone();
    assert_eq!(world.owner_a(mine, json!({})).await.data()["leads"]["nodes"], json!([]));
    assert_eq!(refusal(&move_commission(&world, &commission, world.a).await), ("INVALID_TRANSITION", "id"));
    world.decide("approveCommissions", &[&commission], false).await;
    assert_eq!(go(world.a).await["userErrors"], json!([]));
    assert_eq!(world.balances(world.a).await[1], "10.00");
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    assert_eq!(refusal(&go(world.b).await), ("INVALID_TRANSITION", "id"));
    world.pay_out(&payout).await;
    assert_eq!(refusal(&go(world.b).await), ("INVALID_TRANSITION", "id"));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A redemption is reversed whole and once: its members have the credits again, under the address that they have by now, and what is past its
/// time expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_is_reversed() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    world.assign(&member, 10, 5, None).await;
    world.assign(&member, 10, 50, None).await;
    let redeemed = world.redeem(&member, 15, "r").await["redemption"]["id"].clone();
    let change = "mutation ($id: ID!) { updateMember(input: { id: $id, email: \"anna@example.com\" }) { userErrors { code } } }";
    world.owner_a(change, json!({"id": member})).await.data();
    let query = "mutation ($input: ReverseRedemptionInput!) { reverseRedemption(input: $input) { replayed redemption { credits reversedAt reversalReason transfers { kind credits } } userErrors { code message field } } }";
    let reverse = async |key: &str, reason: &str| {
        let input = json!({"redemptionId": redeemed, "reason": reason, "idempotencyKey": key});
        world.service(query, json!({"input": input})).await.data()["reverseRedemption"].clone()
    };
    let reversed = reverse("k", "Booked twice").await;
    assert_eq!((&reversed["replayed"], &reversed["userErrors"]), (&json!(false), &json!([])));
    assert_eq!(reversed["redemption"]["reversalReason"], "Booked twice");
    let kinds: Vec<&Value> =
        reversed["redemption"]["transfers"].as_array().expect("rows").iter().map(|row| &row["kind"]).collect();
    assert_eq!(kinds, ["REDEEM", "REDEEM", "RESTORE", "RESTORE"]);
    assert_eq!(world.credits(world.a).await, [80, 20, 0, 0]);
    assert_eq!(reverse("k", "Booked twice").await["replayed"], true);
    assert_eq!(refusal(&reverse("k", "Another").await), ("KEY_REUSED", "reason"));
    assert_eq!(refusal(&reverse("k2", "Booked twice").await), ("INVALID_TRANSITION", "redemptionId"));
    assert_eq!(world.redeem("anna@example.com", 20, "r2").await["userErrors"], json!([]));
    assert_eq!(world.broken_rules().await, [""; 0]);
    // What the first allocation held is past its time when it comes back.
    expire_soon(&world, 5).await;
    let last = world.text("SELECT id FROM credit_redemptions WHERE reversed_at IS NULL").await;
    let last = partner_portal::ids::RedemptionId::from(last.parse::<uuid::Uuid>().expect("an id"));
    let input = json!({"redemptionId": last.to_string(), "reason": "R", "idempotencyKey": "k3"});
    assert_eq!(world.service(query, json!({"input": input})).await.data()["reverseRedemption"]["userErrors"], json!([]));
    assert_eq!(world.credits(world.a).await, [80, 10, 0, 10]);
    jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    assert_eq!(world.credits(world.a).await, [80, 10, 0, 10]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An allocation is given more time while it has some; never less, never more than credits can have.
#[tokio::test(flavor = "multi_thread")]
async fn an_allocation_is_extended() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    let allocation = world.assign(&member, 10, 5, None).await["allocation"].clone();
    world.redeem(&member, 4, "r").await;
    let query = "mutation ($input: ExtendCreditsInput!) { extendCredits(input: $input) { allocation { expiresAt available extensions { from to extendedBy { id } } } userErrors { code message field } } }";
    let extend = async |days: i64| {
        let at = world.app.clock.now() + TimeDelta::days(days);
        let input = json!({"allocationId": allocation["id"], "expiresAt": at.format("%Y-%m-%dT00:00:00Z").to_string()});
        world.owner_a(query, json!({"input": input})).await.data()["extendCredits"].clone()
    };
    for _ in 0..2 {
        let extended = extend(30).await;
        assert_eq!(extended["userErrors"], json!([]));
        let extensions = extended["allocation"]["extensions"].as_array().expect("rows");
        assert_eq!(extensions.len(), 1);
        assert_eq!(
            (&extensions[0]["from"], &extensions[0]["to"]),
            (&allocation["expiresAt"], &extended["allocation"]["expiresAt"])
        );
    }
    assert_eq!(refusal(&extend(29).await), ("OUT_OF_RANGE", "expiresAt"));
    assert_eq!(refusal(&extend(3_652).await), ("OUT_OF_RANGE", "expiresAt"));
    assert_eq!(world.redeem(&member, 5, "r2").await["userErrors"], json!([]));
    expire_soon(&world, 5).await;
    assert_eq!(world.redeem(&member, 1, "r3").await["userErrors"][0]["code"], "INSUFFICIENT_CREDITS");
    assert_eq!(refusal(&extend(30).await), ("INVALID_TRANSITION", "allocationId"));
    let other = "mutation ($input: ExtendCreditsInput!) { extendCredits(input: $input) { userErrors { code } } }";
    let input = json!({"allocationId": allocation["id"], "expiresAt": "2030-01-01T00:00:00Z"});
    let foreign = world.acme("owner_b", other, json!({"input": input})).await;
    assert_eq!(foreign.data()["extendCredits"]["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(world.broken_rules().await, [""; 0]);
}
