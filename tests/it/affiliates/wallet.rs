//! Taking money out of a wallet, and what comes back.

use serde_json::{Value, json};

use crate::{
    live::subscriptions::settled,
    support::{
        World,
        listening::Listening,
        tokens::{staff_token, token},
        world::{ACME, Setup},
    },
};

async fn with_wallet(amount: &str) -> World {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("inv", "cus_p", amount).await;
    world
}

/// What is taken out is owed to the person's partner, is previewed and paid with its commissions, and a payout that comes back leaves it owed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_is_paid_like_everything_else() {
    let world = with_wallet("1000.00").await;
    let taken = world.take_out("owner_a", "60.00", "first").await;
    assert_eq!(
        (&taken["transaction"]["kind"], &taken["transaction"]["amount"]["amount"]),
        (&json!("TAKE_OUT"), &json!("-60.00"))
    );
    assert_eq!(
        (&taken["transaction"]["commission"]["status"], &taken["transaction"]["commission"]["eventType"]),
        (&json!("APPROVED"), &json!("WALLET"))
    );
    assert_eq!(world.take_out("owner_a", "60.00", "first").await["replayed"], true);
    assert_eq!(world.take_out("owner_a", "61.00", "first").await["userErrors"][0]["code"], "KEY_REUSED");
    assert_eq!(world.wallet("owner_a").await, ["40.00", "0.00", "40.00", "60.00"]);
    assert_eq!(world.balances(world.a).await, ["0.00", "60.00", "0.00", "0.00"]);
    let preview = "query ($id: ID!) { previewPayout(partnerId: $id, currency: \"USD\", period: { from: \"2026-01-01\", before: \"2100-01-01\" }) { total { amount } commissionCount } }";
    let previewed = world.operator(preview, json!({"id": world.a.to_string()})).await;
    assert_eq!(previewed.data()["previewPayout"], json!({"total": {"amount": "60.00"}, "commissionCount": 1}));
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    world.pay_out(&payout).await;
    assert_eq!(world.balances(world.a).await, ["0.00", "0.00", "0.00", "60.00"]);
    let shown =
        "{ me { affiliate { wallet { transactions(first: 1) { nodes { payout { id status } explanation { sentence } } } } } } }";
    let shown = world.owner_a(shown, json!({})).await.data()["me"]["affiliate"]["wallet"]["transactions"]["nodes"][0].clone();
    assert_eq!(shown["payout"], json!({"id": payout, "status": "COMPLETED"}));
    world.step("returnPayout", &payout).await;
    assert_eq!(world.balances(world.a).await, ["0.00", "60.00", "0.00", "0.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An operator who rejects what was taken out gives it back into the wallet, with the reason, once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_comes_back() {
    let world = with_wallet("1000.00").await;
    let taken = world.take_out("owner_a", "60.00", "first").await["transaction"]["commission"]["id"].clone();
    for _ in 0..2 {
        world.decide("rejectCommissions", &[&taken], true).await;
        assert_eq!(world.wallet("owner_a").await, ["100.00", "0.00", "100.00", "0.00"]);
    }
    let last = world.wallet_transactions("owner_a").await.pop().expect("a transaction");
    assert_eq!((&last["kind"], &last["balanceAfter"]["amount"]), (&json!("GIVE_BACK"), &json!("100.00")));
    assert_eq!(world.balances(world.a).await, ["0.00", "0.00", "0.00", "0.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Only what is available can be taken out, only by a user who acts for an active partner; wrong amounts name the field.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_out_says_why() {
    let world = with_wallet("100.00").await;
    for (amount, code) in [("0", "OUT_OF_RANGE"), ("-1", "OUT_OF_RANGE"), ("1.005", "INVALID"), ("10.01", "INSUFFICIENT_FUNDS")] {
        let refused = world.take_out("owner_a", amount, "key").await;
        assert_eq!(
            (&refused["userErrors"][0]["code"], &refused["userErrors"][0]["field"]),
            (&json!(code), &json!(["input", "amount"])),
            "{amount}"
        );
    }
    world.sql("UPDATE partners SET status = 'suspended' WHERE company_name = 'Partner A'").await;
    assert_eq!(world.take_out("owner_a", "1.00", "key").await["userErrors"][0]["code"], "PARTNER_INACTIVE");
    // A person without an active partner is an affiliate all the same.
    assert_eq!(world.switch_affiliate("owner_a", false).await["userErrors"], json!([]));
    assert_eq!(world.take_out("nobodys", "1.00", "key").await["userErrors"][0]["code"], "PARTNER_INACTIVE");
    assert_eq!(world.wallet("owner_a").await[0], "10.00");
}

/// An operator's adjustment goes up or down, also below zero, names its reason, and is booked once for each key; a colleague does not see it.
#[tokio::test(flavor = "multi_thread")]
async fn adjustments() {
    let world = with_wallet("100.00").await;
    let (user, _) = world.invite_code("owner_a").await;
    assert_eq!(world.adjust_wallet(&user, "-25.00").await["userErrors"], json!([]));
    assert_eq!(world.adjust_wallet(&user, "5.50").await["userErrors"], json!([]));
    assert_eq!(world.adjust_wallet(&user, "0").await["userErrors"][0]["code"], "OUT_OF_RANGE");
    assert_eq!(world.adjust_wallet("user_01h455vb4pex5vsknk084sn02q", "1.00").await["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(world.wallet("owner_a").await[0], "-9.50");
    let sentences: Vec<Value> =
        world.wallet_transactions("owner_a").await.iter().map(|row| row["explanation"]["sentence"].clone()).collect();
    assert_eq!(
        sentences[1..],
        [json!("An operator took off 25.00 USD: Goodwill"), json!("An operator added 5.50 USD: Goodwill")]
    );
    assert_eq!(world.wallet_transactions("member_a").await.len(), 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// The user who has the wallet, and staff, are sent a change when something goes into it or out of it, or is released; a colleague and other partners are not.
/// What was missed comes after `since`.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_sent_to_the_affiliate() {
    let world = World::with(Setup { is_live: true, ..Setup::default() }).await;
    world.affiliate("owner_a").await;
    world.referred("person", "owner_a", "cus_p").await;
    let since = world.owner_a("{ eventCursor }", json!({})).await.data()["eventCursor"].clone();
    let listening = Listening::start(&world).await;
    let watch = "subscription ($since: String) { changes(kinds: [WALLET], since: $since) { cursor ... on WalletChange { affiliate { wallet(currency: \"USD\") { balance { amount } } } } } }";
    let mut sockets = Vec::new();
    for bearer in [token("owner_a", ACME), staff_token("operator", ACME), token("member_a", ACME), token("owner_b", ACME)] {
        let mut socket = listening.connect(&bearer).await;
        socket.subscribe("one", watch, json!({})).await;
        sockets.push(socket);
    }
    settled(&world, 4).await;
    world.pay_now("inv", "cus_p", "100.00").await;
    for socket in &mut sockets[..2] {
        let change = socket.next("one").await["changes"].clone();
        assert_eq!(change["affiliate"]["wallet"]["balance"]["amount"], "10.00");
    }
    for socket in &mut sockets[2..] {
        assert!(socket.is_silent(std::time::Duration::from_millis(500)).await);
    }
    let mut late = listening.connect(&token("owner_a", ACME)).await;
    late.subscribe("one", watch, json!({"since": since})).await;
    assert_eq!(late.next("one").await["changes"]["affiliate"]["wallet"]["balance"]["amount"], "10.00");
}
