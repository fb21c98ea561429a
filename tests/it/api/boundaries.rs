//! Exact boundaries, from both sides: of time, amount, count and cursor; and the second request wherever something is remembered.

use chrono::{DateTime, TimeDelta, Utc};
use partner_portal::{
    auth::{
        development::ISSUER,
        keys::KeySource,
        verifier::{AzpPolicy, TokenFault, TokenVerifier, TrustedIssuer},
    },
    clock::{Clock, shown},
    models::ledger::books::Books,
};
use serde_json::{Value, json};

use crate::support::{
    World, sign,
    tokens::{good_claims, issuer, now},
    world::ACME,
};

const DAY: &str = "2026-06-15T12:00:00Z";

fn verifier(parties: &[&str], clock: &Clock) -> TokenVerifier {
    TokenVerifier::new(
        vec![TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(issuer().keys()) }],
        parties.iter().map(|&party| party.to_owned()).collect(),
        AzpPolicy::WhenPresent,
        clock.clone(),
    )
}

/// A token is good up to five seconds after it ends and from five seconds before it begins, to the second.
#[tokio::test]
async fn a_tokens_life() {
    let verifier = verifier(&[], &Clock::default());
    for (claim, seconds, fault) in [
        ("exp", -4, None),
        ("exp", -5, Some(TokenFault::Expired)),
        ("nbf", 5, None),
        ("nbf", 6, Some(TokenFault::NotYet)),
        ("iat", 5, None),
        ("iat", 6, Some(TokenFault::IssuedLater)),
    ] {
        // Again where a second has passed in between: the boundary has moved then.
        loop {
            let begun = now();
            let mut claims = good_claims("owner_a", ACME);
            claims[claim] = json!(begun + seconds);
            let verdict = verifier.verify(&sign(&claims)).await.err();
            if now() == begun {
                assert_eq!(verdict, fault, "{claim} {seconds}");
                break;
            }
        }
    }
}

/// A token that was good a moment ago is judged again: once it has ended, it is refused, however well it is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_token_ends() {
    let clock = Clock::default();
    let verifier = verifier(&[], &clock);
    let mut claims = good_claims("owner_a", ACME);
    claims["exp"] = json!(now() + 60);
    let token = sign(&claims);
    for _ in 0..3 {
        assert!(verifier.verify(&token).await.is_ok());
    }
    clock.advance(TimeDelta::seconds(63));
    assert!(verifier.verify(&token).await.is_ok(), "within the leeway");
    clock.advance(TimeDelta::seconds(3));
    for _ in 0..3 {
        assert_eq!(verifier.verify(&token).await.expect_err("it has ended"), TokenFault::Expired);
    }
    let world = World::new().await;
    let me = "{ me { role } }";
    assert!(world.run(&token, me, json!({})).await.body.get("errors").is_none());
    world.app.clock.advance(TimeDelta::minutes(2));
    assert_eq!(world.run(&token, me, json!({})).await.code(), "UNAUTHENTICATED");
}

/// An authorized party is one of the list to the letter: neither its beginning nor something that begins like it.
#[tokio::test]
async fn authorized_parties_are_whole() {
    let verifier = verifier(&["https://portal.example"], &Clock::default());
    for (party, is_good) in [
        ("https://portal.example", true),
        ("https://portal.example.evil.example", false),
        ("https://portal.example:8443", false),
        ("https://portal.example/", false),
        ("https://portal.exampl", false),
        ("https://PORTAL.example", false),
        ("", false),
    ] {
        let mut claims = good_claims("owner_a", ACME);
        claims["azp"] = json!(party);
        let verdict = verifier.verify(&sign(&claims)).await;
        assert_eq!(verdict.is_ok(), is_good, "{party}");
        // The second time it is remembered.
        assert_eq!(verifier.verify(&sign(&claims)).await.is_ok(), is_good, "{party}");
    }
}

/// A page says that there is more exactly as long as there is: not when it ends with the last row, in either direction, at the root and nested.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_list() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 4).await;
    let info = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    for count in 1..=6 {
        let query = format!(
            "{{ forward: leads(first: {count}) {{ nodes {{ id }} {info} }} backward: leads(last: {count}) {{ nodes {{ id }} {info} }}
                me {{ partner {{ forward: leads(first: {count}) {{ nodes {{ id }} {info} }} backward: leads(last: {count}) {{ nodes {{ id }} {info} }} }} }} }}"
        );
        let found = world.owner_a(&query, json!({})).await.data().clone();
        for lists in [&found, &found["me"]["partner"]] {
            let is_more = count < 4;
            assert_eq!(lists["forward"]["nodes"].as_array().map(Vec::len), Some(count.min(4)));
            assert_eq!(
                (&lists["forward"]["pageInfo"]["hasNextPage"], &lists["forward"]["pageInfo"]["hasPreviousPage"]),
                (&json!(is_more), &json!(false)),
                "{count}"
            );
            assert_eq!(
                (&lists["backward"]["pageInfo"]["hasPreviousPage"], &lists["backward"]["pageInfo"]["hasNextPage"]),
                (&json!(is_more), &json!(false)),
                "{count}"
            );
        }
    }
    // A second page that ends with the last row.
    let first = world.owner_a(&format!("{{ leads(first: 2) {{ {info} }} }}"), json!({})).await;
    let after = first.data()["leads"]["pageInfo"]["endCursor"].clone();
    let rest = format!("query ($after: String) {{ leads(first: 2, after: $after) {{ nodes {{ id }} {info} }} }}");
    let rest = world.owner_a(&rest, json!({"after": after})).await;
    assert_eq!(
        (rest.data()["leads"]["nodes"].as_array().map(Vec::len), &rest.data()["leads"]["pageInfo"]["hasNextPage"]),
        (Some(2), &json!(false))
    );
}

/// A rule's last instant is the next one's first: each payment is under one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_rules_last_instant() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let set = "mutation ($id: ID!, $rate: Decimal!, $from: DateTime!) { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, currency: \"USD\", kind: PERCENTAGE, rate: $rate, validFrom: $from }) { userErrors { message } } }";
    for (rate, from) in [("0.2", "2026-03-01T00:00:00Z"), ("0.3", DAY)] {
        let set = world.operator(set, json!({"id": world.a.to_string(), "rate": rate, "from": from})).await;
        assert_eq!(set.data()["setCommissionRule"]["userErrors"], json!([]));
    }
    let earned =
        async |invoice: &str, at: &str| world.pay(invoice, "cus_1", "100.00", at).await["commission"]["amount"]["amount"].clone();
    for (invoice, at, amount) in [
        ("inv_1", "2026-02-28T23:59:59.999999Z", "10.00"),
        ("inv_2", "2026-03-01T00:00:00Z", "20.00"),
        ("inv_3", "2026-06-15T11:59:59.999999Z", "20.00"),
        ("inv_4", "2026-06-15T12:00:00Z", "30.00"),
        ("inv_5", "2026-06-15T12:00:00.000001Z", "30.00"),
    ] {
        assert_eq!(earned(invoice, at).await, amount, "{at}");
    }
    // Someone who asks which rules hold at that instant learns of one.
    let rules = "query ($at: DateTime!, $id: ID!) { commissionRules(partnerId: $id, at: $at) { formula { description } } }";
    let at = world.operator(rules, json!({"at": DAY, "id": world.a.to_string()})).await;
    if at.body.get("errors").is_none() {
        assert_eq!(at.data()["commissionRules"].as_array().map(Vec::len), Some(1));
    }
}

/// What begins at an instant has it, and what ends before one has it not; amounts are from the least to the most, both included.
#[tokio::test(flavor = "multi_thread")]
async fn filters_at_their_ends() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let leads = world.add_leads(world.acme, world.a, 1).await;
    world.sql(&format!("UPDATE partner_leads SET created_at = '{DAY}' WHERE id = '{}'", leads[0].uuid())).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    world.sql(&format!("UPDATE partner_payouts SET created_at = '{DAY}', payout_date = '{DAY}'")).await;
    assert!(payout.is_string());
    let at: DateTime<Utc> = DAY.parse().expect("an instant");
    let micro = TimeDelta::microseconds(1);
    let count = async |list: &str, filter: Value| {
        let kind = match list {
            "leads" => "LeadFilter",
            "commissions" => "CommissionFilter",
            _ => "PayoutFilter",
        };
        let query = format!("query ($filter: {kind}) {{ {list}(filter: $filter) {{ totalCount nodes {{ id }} }} }}");
        let found = world.operator(&query, json!({"filter": filter})).await.data()[list].clone();
        assert_eq!(found["totalCount"], found["nodes"].as_array().map_or(0, Vec::len), "{list}");
        found["totalCount"].clone()
    };
    for (list, field) in [("leads", "created"), ("commissions", "earned"), ("payouts", "created"), ("payouts", "payoutDate")] {
        assert_eq!(count(list, json!({field: {"from": shown(at)}})).await, 1, "{list} {field}");
        assert_eq!(count(list, json!({field: {"from": shown(at + micro)}})).await, 0, "{list} {field}");
        assert_eq!(count(list, json!({field: {"before": shown(at)}})).await, 0, "{list} {field}");
        assert_eq!(count(list, json!({field: {"before": shown(at + micro)}})).await, 1, "{list} {field}");
        // No time at all.
        assert_eq!(count(list, json!({field: {"from": shown(at), "before": shown(at)}})).await, 0, "{list} {field}");
    }
    for list in ["commissions", "payouts"] {
        for (amount, least, most) in [("10.00", 1, 1), ("10.01", 0, 1), ("9.99", 1, 0)] {
            assert_eq!(count(list, json!({"minAmount": amount})).await, least, "{list} {amount}");
            assert_eq!(count(list, json!({"maxAmount": amount})).await, most, "{list} {amount}");
        }
    }
}

/// A payout takes what was earned before its period's end and is not paid yet, also from before its beginning; the tenant's minimum is enough, and
/// a cent less is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_payouts_period_and_minimum() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let minimum =
        "mutation ($least: Decimal!) { updateTenantSettings(input: { minimumPayout: $least }) { userErrors { message } } }";
    world.operator(minimum, json!({"least": "40.01"})).await.data();
    for (invoice, at) in [
        ("inv_0", "2026-05-31T23:59:59.999999Z"),
        ("inv_1", "2026-06-01T00:00:00Z"),
        ("inv_2", DAY),
        ("inv_3", "2026-06-30T23:59:59.999999Z"),
        ("inv_4", "2026-07-01T00:00:00Z"),
    ] {
        world.pay(invoice, "cus_1", "100.00", at).await;
    }
    let june =
        json!({"partnerId": world.a.to_string(), "period": {"from": "2026-06-01T00:00:00Z", "before": "2026-07-01T00:00:00Z"}});
    let preview = "query ($id: ID!) { previewPayout(partnerId: $id, period: { from: \"2026-06-01T00:00:00Z\", before: \"2026-07-01T00:00:00Z\" }) { commissionCount total { amount } isPayable } }";
    let preview = async || world.operator(preview, json!({"id": world.a.to_string()})).await.data()["previewPayout"].clone();
    assert_eq!(preview().await, json!({"commissionCount": 4, "total": {"amount": "40.00"}, "isPayable": false}));
    assert_eq!(world.batch_with(june.clone()).await["userErrors"][0]["code"], "NOTHING_TO_PAY");
    world.operator(minimum, json!({"least": "40.00"})).await.data();
    assert_eq!(preview().await["isPayable"], true);
    let made = world.batch_with(june).await;
    assert_eq!(made["userErrors"], json!([]));
    assert_eq!(world.number("SELECT count(*) FROM partner_payout_items").await, 4);
}

/// All credits can be used and not one more; what is given back is as much as was paid, and not a cent more.
#[tokio::test(flavor = "multi_thread")]
async fn all_and_no_more() {
    let world = World::new().await;
    world.grant(world.a, 10, None).await;
    let member = world.member("ann@example.com").await;
    let assign = async |credits: i64| world.assign(&member, credits, 30, None).await;
    assert_eq!(assign(11).await["userErrors"][0]["code"], "INSUFFICIENT_CREDITS");
    assert_eq!(assign(10).await["userErrors"], json!([]));
    assert_eq!(world.redeem(&member, 11, "more").await["userErrors"][0]["code"], "INSUFFICIENT_CREDITS");
    assert_eq!(world.redeem(&member, 10, "all").await["userErrors"], json!([]));
    assert_eq!(world.redeem(&member, 1, "one").await["userErrors"][0]["code"], "INSUFFICIENT_CREDITS");

    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    assert_eq!(world.refund("inv_1", "100.01").await["userErrors"][0]["code"], "OUT_OF_RANGE");
    assert_eq!(world.refund("inv_1", "100.00").await["userErrors"], json!([]));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What is held is approved at the instant at which it is due, and a credit ends at the instant at which it expires; not a microsecond before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_at_that_instant() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.sql("UPDATE tenants SET commission_hold_days = 14 WHERE slug = 'acme'").await;
    world.pay("inv_1", "cus_1", "100.00", &shown(world.app.clock.now() - TimeDelta::hours(1))).await;
    world.grant(world.a, 10, None).await;
    let member = world.member("ann@example.com").await;
    world.assign(&member, 5, 30, None).await;
    let instant = async |sql: &str| -> DateTime<Utc> {
        let text = world.text(&format!("SELECT to_char(({sql}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")).await;
        text.parse().expect("an instant")
    };
    let due = instant("SELECT due_at FROM partner_commission_events").await;
    let expires = instant("SELECT expires_at FROM credit_allocations").await;
    let connection = world.owner().await;
    let books = |at| Books { connection: &connection, tenant: world.acme, by: None, at, writing: None, clock: None };
    let micro = TimeDelta::microseconds(1);
    assert_eq!(books(due - micro).approve_due().await.expect("asked"), None);
    assert_eq!(books(due).approve_due().await.expect("asked"), Some(1));
    assert_eq!(books(expires - micro).expire_due().await.expect("asked"), 0);
    assert_eq!(books(expires).expire_due().await.expect("asked"), 5);
}

/// From each status a payout goes by the steps that lead out of it and by no others; what it is already, it is reported as once more.
#[tokio::test(flavor = "multi_thread")]
async fn every_step_from_every_status() {
    let world = World::new().await;
    let way: [(&str, &[&str]); 6] = [
        ("PENDING", &[]),
        ("READY", &["releasePayout"]),
        ("PROCESSING", &["releasePayout", "startPayout"]),
        ("COMPLETED", &["releasePayout", "startPayout", "completePayout"]),
        ("FAILED", &["releasePayout", "startPayout", "failPayout"]),
        ("CANCELLED", &["cancelPayout"]),
    ];
    let steps: [(&str, &str, &[&str]); 7] = [
        ("releasePayout", "READY", &["PENDING", "READY"]),
        ("startPayout", "PROCESSING", &["READY", "PROCESSING"]),
        ("completePayout", "COMPLETED", &["PROCESSING", "COMPLETED"]),
        ("failPayout", "FAILED", &["PROCESSING", "FAILED"]),
        ("retryPayout", "READY", &["FAILED"]),
        ("returnPayout", "FAILED", &["COMPLETED"]),
        ("cancelPayout", "CANCELLED", &["PENDING", "READY", "FAILED", "CANCELLED"]),
    ];
    for (status, way) in way {
        for (step, target, allowed) in steps {
            world.adjust(world.a, "1.00", None).await;
            let payout = world.batch(world.a).await["payout"]["id"].clone();
            for step in way {
                world.step(step, &payout).await;
            }
            let outcome = world.step(step, &payout).await;
            if allowed.contains(&status) {
                assert_eq!(
                    (&outcome["userErrors"], &outcome["payout"]["status"]),
                    (&json!([]), &json!(target)),
                    "{step} from {status}"
                );
            } else {
                assert_eq!(outcome["userErrors"][0]["code"], "INVALID_TRANSITION", "{step} from {status}: {outcome}");
                let stays = world.operator("query ($id: ID!) { payout(id: $id) { status } }", json!({"id": payout})).await;
                assert_eq!(stays.data()["payout"]["status"], status, "{step}");
            }
        }
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}
