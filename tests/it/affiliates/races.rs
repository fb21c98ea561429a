//! Affiliates with real concurrency.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::World;

/// Two people who accept each other's codes at the same instant: one of them was first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_accept_each_other_at_once() {
    let world = World::new().await;
    for round in 0..10 {
        let people = [format!("left_{round}"), format!("right_{round}")];
        let codes = [world.invite_code(&people[0]).await.1, world.invite_code(&people[1]).await.1];
        let (one, two) = tokio::join!(world.accept_invite(&people[0], &codes[1]), world.accept_invite(&people[1], &codes[0]));
        let accepted = [&one, &two].iter().filter(|answer| answer["userErrors"] == json!([])).count();
        assert_eq!(accepted, 1, "{one} {two}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// 64 tasks record, repeat and refund payments of the people of one referrer, while that takes money out: what is left is exactly what arithmetic says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payments_refunds_and_repeats_of_many_people_at_once() {
    const PEOPLE: usize = 8;
    const INVOICES: usize = 64;
    let world = Arc::new(World::new().await);
    world.affiliate("owner_a").await;
    for number in 0..PEOPLE {
        world.referred(&format!("person_{number}"), "owner_a", &format!("cus_{number}")).await;
        if number % 2 == 0 {
            world.customer(&format!("cus_{number}"), [world.a, world.b][number / 2 % 2]).await;
        }
    }
    let paid = world.now_in_seconds();
    let refunded_at = world.app.clock.now().to_rfc3339();
    let tasks = (0..64_usize).map(|task| {
        let (world, paid, refunded_at) = (Arc::clone(&world), paid.clone(), refunded_at.clone());
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(task as u64);
            let mut numbers: Vec<usize> = (0..INVOICES).filter(|number| (number + task) % 4 == 0).collect();
            random.shuffle(&mut numbers);
            for number in numbers {
                let (invoice, customer) = (format!("inv_{number}"), format!("cus_{}", number % PEOPLE));
                let pay = async || assert_eq!(world.pay(&invoice, &customer, "37.77", &paid).await["userErrors"], json!([]));
                let refund = async || {
                    if number % 3 == 0 {
                        assert_eq!(world.refund_at(&invoice, "12.34", &refunded_at).await["userErrors"], json!([]));
                    }
                };
                if random.bool() {
                    pay().await;
                    refund().await;
                } else {
                    refund().await;
                    pay().await;
                }
            }
            if task % 8 == 0 {
                // Most of these find too little yet.
                world.take_out("owner_a", "1.00", &format!("task-{task}")).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("a task ends well");
    }
    // 10 % of 37.77 is 3.78; of the 25.43 that are left after the refund it is 2.54.
    let cents = (0..INVOICES).map(|number| if number % 3 == 0 { 254 } else { 378 }).sum::<i64>();
    let [balance, _, _, taken_out] = world.wallet("owner_a").await;
    let cents_of = |text: &str| text.replace('.', "").parse::<i64>().expect("an amount");
    assert_eq!(cents_of(&balance) + cents_of(&taken_out), cents);
    assert_eq!(world.number("SELECT count(*) FROM affiliate_rewards").await, i64::try_from(INVOICES).expect("few"));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Ten requests at once for all that there is: one takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_is_taken_out_than_there_is() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("inv", "cus_p", "100.00").await;
    let keys: Vec<String> = (0..10).map(|number| format!("key-{number}")).collect();
    let answers = join_all(keys.iter().map(|key| world.take_out("owner_a", "10.00", key))).await;
    assert_eq!(answers.iter().filter(|answer| answer["userErrors"] == json!([])).count(), 1);
    let answers = join_all((0..10).map(|_| world.take_out("owner_a", "10.00", "same"))).await;
    assert!(answers.iter().all(|answer| answer["userErrors"][0]["code"] == "INSUFFICIENT_FUNDS"));
    assert_eq!(world.wallet("owner_a").await, ["0.00", "0.00", "0.00", "10.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
