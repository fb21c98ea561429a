//! Rewards: what payments of referred people earn.

use partner_portal::money::Money;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::World;

/// The wallet grows with the payment, beside what a partner earns by it; the same report again changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_earns_once_beside_the_partners_commission() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    world.customer("cus_p", world.b).await;
    let paid = world.now_in_seconds();
    for replayed in [false, true] {
        let booked = world.pay("inv", "cus_p", "99.99", &paid).await;
        assert_eq!((&booked["commission"]["amount"]["amount"], &booked["replayed"]), (&json!("10.00"), &json!(replayed)));
    }
    assert_eq!(world.wallet("owner_a").await, ["10.00", "0.00", "10.00", "0.00"]);
    assert_eq!(world.wallet_transactions("owner_a").await.len(), 1);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A refund takes back exactly its share, one that fails gives it back, and a full one ends at zero, also below what was taken out; whatever the order of
/// the reports, it ends the same.
#[tokio::test(flavor = "multi_thread")]
async fn refunds_take_back_exactly_their_share() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    let paid = world.now_in_seconds();
    let at = |seconds: i64| (world.app.clock.now() - chrono::TimeDelta::seconds(100 - seconds)).to_rfc3339();
    let reports: [(Option<&str>, i64); 4] = [(None, 0), (Some("33.33"), 1), (Some("99.99"), 2), (Some("66.66"), 3)];
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..12 {
        let invoice = format!("inv_{number}");
        let mut order: Vec<_> = reports.iter().chain(&reports[..2]).collect();
        random.shuffle(&mut order);
        for (refunded, time) in order {
            match refunded {
                None => assert_eq!(world.pay(&invoice, "cus_p", "99.99", &paid).await["userErrors"], json!([])),
                Some(refunded) => {
                    assert_eq!(world.refund_at(&invoice, refunded, &at(*time)).await["userErrors"], json!([]));
                }
            }
        }
        // A third of ten per cent: 3.333, rounded once.
        let earned = Decimal::new(333 * (number + 1), 2);
        assert_eq!(
            world.wallet("owner_a").await[0],
            Money::rounded(earned, iso_currency::Currency::USD).amount.to_string(),
            "{number}"
        );
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
    assert_eq!(world.take_out("owner_a", "39.96", "all").await["userErrors"], json!([]));
    for number in 0..12 {
        world.refund_at(&format!("inv_{number}"), "99.99", &at(50)).await;
    }
    assert_eq!(world.wallet("owner_a").await, ["-39.96", "0.00", "-39.96", "39.96"]);
    let refused = world.take_out("owner_a", "0.01", "more").await;
    assert_eq!(refused["userErrors"][0]["code"], "INSUFFICIENT_FUNDS");
    world.pay_now("next", "cus_p", "500.00").await;
    assert_eq!(world.wallet("owner_a").await[0], "10.04");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A share that rounds to nothing earns nothing, and keeps no payment and no refund from being recorded; nor do terms of 0 per cent. Yen have no cents.
#[tokio::test(flavor = "multi_thread")]
async fn what_rounds_to_nothing_earns_nothing() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("cents", "cus_p", "0.04").await;
    world.pay_now("whole", "cus_p", "100.00").await;
    assert_eq!(world.refund_at("whole", "0.01", &world.now_in_seconds()).await["userErrors"], json!([]));
    assert_eq!(world.wallet("owner_a").await[0], "10.00");
    assert_eq!(world.pay_in("yen", "cus_p", "15", "JPY", &world.now_in_seconds()).await["userErrors"], json!([]));
    let wallets = "{ me { affiliate { wallets { currency balance { amount } } figures { sales { amount } } } } }";
    let seen = world.owner_a(wallets, json!({})).await.data()["me"]["affiliate"].clone();
    // Half a yen more than one: to even.
    assert_eq!(seen["wallets"][0], json!({"currency": "JPY", "balance": {"amount": "2"}}));
    assert_eq!(seen["figures"]["sales"]["amount"], "100.03");
    world.affiliate_terms("0", Some(365), true).await;
    world.pay_now("nothing", "cus_p", "100.00").await;
    assert_eq!(world.wallet("owner_a").await[0], "10.00");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What the tenant holds back for refunds is in the wallet and cannot be taken out; a refund meanwhile takes it from there, and maintenance sets the rest
/// free.
#[tokio::test(flavor = "multi_thread")]
async fn rewards_are_held_like_commissions() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    world.sql("UPDATE tenants SET commission_hold_days = 7 WHERE slug = 'acme'").await;
    world.pay_now("one", "cus_p", "100.00").await;
    world.pay_now("two", "cus_p", "100.00").await;
    world.refund_at("one", "40.00", &world.now_in_seconds()).await;
    assert_eq!(world.wallet("owner_a").await, ["16.00", "16.00", "0.00", "0.00"]);
    let refused = world.take_out("owner_a", "1.00", "early").await;
    assert_eq!(refused["userErrors"][0]["message"], "0.00 USD can be taken out; 16.00 USD more is held back.");
    assert_eq!(world.broken_rules().await, [""; 0]);
    world.sql("UPDATE affiliate_rewards SET due_at = now() - interval '1 second'").await;
    partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    assert_eq!(world.wallet("owner_a").await, ["16.00", "0.00", "16.00", "0.00"]);
    world.refund_at("two", "100.00", &world.now_in_seconds()).await;
    assert_eq!(world.wallet("owner_a").await, ["6.00", "0.00", "6.00", "0.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An affiliate sees initials and months of whom they referred: no name, no address, no id, neither by lists, nor by texts, nor by `node`.
#[tokio::test(flavor = "multi_thread")]
async fn an_affiliate_sees_no_more_than_initials() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    let person = world.referred("person", "owner_a", "cus_p").await;
    world.sql("UPDATE users SET email = 'secret@example.com' WHERE clerk_user_id = 'person'").await;
    world.pay_now("inv_secret", "cus_p", "10.00").await;
    let all = "query ($id: ID!) { node(id: $id) { id } me { affiliate { referredBy { id } referralHistory { id } referrals { nodes { id initials joinedMonth means isCurrent hasPaid validUntil
        earnings { sales { amount } } user { id } referrer { id } code reason validFrom validTo decidedBy { id } impersonator } }
        wallet { transactions { nodes { user { id } invoiceId referral { initials user { id } } createdBy { id } explanation { sentence } } } } } } }";
    let answer = world.owner_a(all, json!({"id": person})).await;
    let (data, text) = (answer.data(), answer.data().to_string());
    assert_eq!((&data["node"], &data["me"]["affiliate"]["referrals"]["nodes"][0]["initials"]), (&Value::Null, &json!("A. L.")));
    for secret in ["secret", "Ada", "Lovelace", &person, "cus_p"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // Everyone else sees nothing of it.
    let node = answer.data()["me"]["affiliate"]["referrals"]["nodes"][0]["id"].clone();
    for other in ["owner_b", "member_a", "person"] {
        let seen = world
            .acme(
                other,
                "query ($id: ID!) { node(id: $id) { id } referrals { totalCount } walletTransactions { totalCount } }",
                json!({"id": node}),
            )
            .await;
        assert_eq!(
            *seen.data(),
            json!({"node": null, "referrals": {"totalCount": 0}, "walletTransactions": {"totalCount": 0}}),
            "{other}"
        );
    }
    let staff = world.operator(all, json!({"id": person})).await;
    assert_eq!((&staff.data()["node"]["id"], &staff.data()["me"]["affiliate"]), (&json!(person), &Value::Null));
}

/// Figures are read from totals: people by sign-up, those who paid by their first payment, amounts less refunds; by month without gaps, below zero kept.
#[tokio::test(flavor = "multi_thread")]
async fn figures_count_who_paid() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    for number in 0..3 {
        world.referred(&format!("person_{number}"), "owner_a", &format!("cus_{number}")).await;
    }
    world.pay_now("one", "cus_0", "100.00").await;
    world.pay_now("two", "cus_0", "100.00").await;
    world.pay_now("three", "cus_1", "100.00").await;
    world.refund_at("three", "100.00", &world.now_in_seconds()).await;
    world.take_out("owner_a", "5.00", "some").await;
    let query = "{ me { affiliate { figures { sales { amount } earned { amount } takenOut { amount } people payingPeople overTime(interval: MONTH) { start earned { amount } people } }
        other: figures(period: { from: \"2020-01-01\", before: \"2020-02-01\" }) { people sales { amount } overTime(interval: DAY) { start } }
        euros: figures(currency: \"EUR\") { sales { amount } people } } } }";
    let answer = world.owner_a(query, json!({})).await;
    let affiliate = &answer.data()["me"]["affiliate"];
    let figures = &affiliate["figures"];
    assert_eq!(
        (&figures["sales"]["amount"], &figures["earned"]["amount"], &figures["takenOut"]["amount"]),
        (&json!("200.00"), &json!("20.00"), &json!("5.00"))
    );
    assert_eq!((&figures["people"], &figures["payingPeople"]), (&json!(3), &json!(2)));
    let months = figures["overTime"].as_array().expect("points");
    assert_eq!((months.len(), &months[11]["earned"]["amount"], &months[11]["people"]), (12, &json!("20.00"), &json!(3)));
    assert_eq!((&affiliate["other"]["people"], affiliate["other"]["overTime"].as_array().map(Vec::len)), (&json!(0), Some(31)));
    assert_eq!(affiliate["euros"], json!({"sales": {"amount": "0.00"}, "people": 3}));
    let zone = "Pacific/Kiritimati".parse().expect("a zone");
    let owner = world.owner().await;
    partner_portal::models::totals::change_time_zone(&owner, world.acme, zone, |_, _| ()).await.expect("another zone");
    assert_eq!(world.owner_a(query, json!({})).await.data()["me"]["affiliate"]["figures"]["sales"]["amount"], "200.00");
    assert_eq!(world.broken_rules().await, [""; 0]);
}
