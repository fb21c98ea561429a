//! How many SQL statements affiliates cost: that depends on the shape of an operation, never on how many people, payments or wallets there are.

use serde_json::json;

use crate::support::{World, log::operation, token, tokens::staff_token, world::ACME};

async fn statements(world: &World, bearer: &str, query: &str) -> u64 {
    let answer = world.run(bearer, query, json!({})).await;
    answer.data();
    operation(&answer)["statements"].as_u64().expect("a number")
}

/// An affiliate's page, an operator's lists of referrals and transactions, and many affiliates at once.
#[tokio::test(flavor = "multi_thread")]
async fn affiliates_are_batched() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.switch_affiliate("owner_b", true).await;
    let queries = [
        ("owner", "a page", "{ me { affiliate { isActive inviteCode formerCodes isReferred terms { share } figures { sales { amount } people clicks }
            referrals(first: 20) { totalCount nodes { initials hasPaid validUntil earnings { earned { amount } } } }
            wallet { balance { amount } available { amount } transactions(first: 20) { totalCount nodes { amount { amount } referral { initials } payout { id } explanation { sentence } } } } } } }", 16),
        ("staff", "transactions", "{ walletTransactions(first: 50) { totalCount nodes { user { name } invoiceId heldUntil referral { user { name } } commission { id } explanation { sentence steps { description } } } } }", 9),
        ("staff", "referrals", "{ referrals(first: 50) { totalCount nodes { user { name } referrer { name } validUntil earnings { sales { amount } } } } }", 5),
        ("staff", "people as affiliates", "{ partners { nodes { users { user { affiliate { inviteCode isActive referredBy { name } wallet { balance { amount } } figures { earned { amount } } referrals(first: 3) { nodes { id } } } } } } } }", 9),
    ];
    let mut first = Vec::new();
    for round in 0..2 {
        for number in 0..[1, 9][round] {
            let name = format!("{round}_{number}");
            world.referred(&format!("person_{name}"), ["owner_a", "owner_b"][number % 2], &format!("cus_{name}")).await;
            world.pay_now(&format!("inv_{name}"), &format!("cus_{name}"), "100.00").await;
            world.take_out("owner_a", "1.00", &name).await;
        }
        let mut counts = Vec::new();
        for (who, name, query, _) in queries {
            let bearer = if who == "owner" { token("owner_a", ACME) } else { staff_token("operator", ACME) };
            counts.push((name, statements(&world, &bearer, query).await));
        }
        if round == 0 {
            first = counts;
        } else {
            assert_eq!(counts, first);
        }
    }
    let expected: Vec<_> = queries.iter().map(|(_, name, _, count)| (*name, *count)).collect();
    assert_eq!(first, expected);
}
