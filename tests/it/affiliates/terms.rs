//! The terms, and the switches.

use serde_json::json;

use crate::support::World;

/// A share is a fraction from 0 to 1 with four digits, a validity is from a day to a hundred years.
#[tokio::test(flavor = "multi_thread")]
async fn shares_are_from_0_to_1() {
    let world = World::new().await;
    for (share, days, field) in [
        ("9.9999", None, "share"),
        ("-0.1", None, "share"),
        ("0.12345", None, "share"),
        ("0.1", Some(0), "validityDays"),
        ("0.1", Some(40_000), "validityDays"),
    ] {
        let refused = world.affiliate_terms(share, days, true).await;
        assert_eq!(refused["userErrors"][0]["field"], json!(["input", field]), "{share} {days:?}");
    }
    for share in ["0", "1", "0.1234"] {
        assert_eq!(world.affiliate_terms(share, None, true).await["userErrors"], json!([]));
    }
}

/// Each change is a version, the same again is none; a payment earns by the version that was in force when it was made.
#[tokio::test(flavor = "multi_thread")]
async fn versions() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    let before = world.now_in_seconds();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let second = world.affiliate_terms("0.25", Some(365), true).await;
    assert_eq!((&second["terms"]["version"], &second["replayed"]), (&json!(2), &json!(false)));
    assert_eq!(world.affiliate_terms("0.25", Some(365), true).await["replayed"], true);
    world.pay_now("new", "cus_p", "10.00").await;
    assert_eq!(world.pay("late", "cus_p", "10.00", &before).await["userErrors"], json!([]));
    let amounts: Vec<_> = world.wallet_transactions("owner_a").await.iter().map(|row| row["amount"]["amount"].clone()).collect();
    assert_eq!(amounts, ["2.50", "1.00"]);
    let sentence = world.wallet_transactions("owner_a").await[1]["explanation"]["sentence"].clone();
    assert_eq!(sentence, "10% of 10.00 USD that A. L. paid, by version 1 of the terms: 1.00 USD.");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// While the terms are off nobody earns anything, active or not; what was earned stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_switch_for_everyone_beats_every_other() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("one", "cus_p", "10.00").await;
    world.affiliate_terms("0.1", Some(365), false).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.pay_now("two", "cus_p", "10.00").await;
    assert_eq!(world.wallet("owner_a").await, ["1.00", "0.00", "1.00", "0.00"]);
    world.affiliate_terms("0.1", Some(365), true).await;
    world.pay_now("three", "cus_p", "10.00").await;
    assert_eq!(world.wallet("owner_a").await[0], "2.00");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Switching on or off again changes nothing; off ends new rewards alone, and refunds still take back theirs.
#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_repeatable() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    assert_eq!(world.switch_affiliate("owner_a", true).await["replayed"], true);
    world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("one", "cus_p", "10.00").await;
    for replayed in [false, true] {
        assert_eq!(world.switch_affiliate("owner_a", false).await["replayed"], replayed);
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.pay_now("two", "cus_p", "10.00").await;
    assert_eq!(world.wallet("owner_a").await[0], "1.00");
    world.refund_at("one", "5.00", &world.now_in_seconds()).await;
    assert_eq!(world.wallet("owner_a").await[0], "0.50");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// For how long a person's payments earn is counted from their sign-up: a day before the end one does, at the end none does.
#[tokio::test(flavor = "multi_thread")]
async fn payments_earn_for_as_long_as_the_terms_say() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.affiliate_terms("0.1", Some(30), true).await;
    world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("first", "cus_p", "10.00").await;
    // As if all of it had been so long ago.
    for (days, earned) in [(29, "2.00"), (30, "2.00")] {
        world.sql(&format!("UPDATE referrals SET signed_up_at = now() - interval '{days} days 2 seconds'")).await;
        world.pay_now(&format!("after-{days}"), "cus_p", "10.00").await;
        assert_eq!(world.wallet("owner_a").await[0], earned, "{days}");
    }
}
