//! What has come of links: sign-ups, customers, sales and earnings, from totals that follow every change.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::World;

const FIGURES: &str = "clicks signUps customers sales saleAmount { amount currency } earnings { amount } clickToSignUpRate signUpToCustomerRate earningsPerClick { amount }";

async fn figures(world: &World, link: &Value, arguments: &str) -> Value {
    let query = format!("query ($id: ID!) {{ link(id: $id) {{ figures{arguments} {{ {FIGURES} }} }} }}");
    world.owner_a(&query, json!({"id": link["id"]})).await.data()["link"]["figures"].clone()
}

/// The figures of a link count sign-ups, customers and sales, and its earnings less what was taken back, by the day on which it happened and in
/// the currency that is asked for; those of the enrolment, the programme and the partner are the same sums. A commission that is rejected earns
/// nothing, and one that is moved earns this link nothing. (The totals of existing systems leave clawbacks out.)
#[tokio::test(flavor = "multi_thread")]
async fn figures_follow_every_change() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    world.clicks(&link, 4).await;
    let days = |days: i64| (world.app.clock.now() - TimeDelta::days(days)).to_rfc3339();
    world.sign_up(json!({"customerExternalId": "c", "linkKey": link["key"], "occurredAt": days(9)})).await;
    world.sign_up(json!({"customerExternalId": "d", "linkKey": link["key"], "occurredAt": days(9)})).await;
    // The later payment is reported first.
    world.pay("i2", "c", "60.00", &days(3)).await;
    let first = world.pay("i1", "c", "40.00", &days(5)).await["commission"]["id"].clone();
    world.pay_in("i3", "c", "70.00", "EUR", &days(3)).await;
    world.refund_at("i2", "45.00", &days(1)).await;
    let all = figures(&world, &link, "(currency: \"USD\")").await;
    let expected = json!({"clicks": 4, "signUps": 2, "customers": 1, "sales": 2, "saleAmount": {"amount": "55.00", "currency": "USD"},
        "earnings": {"amount": "5.50"}, "clickToSignUpRate": "0.50", "signUpToCustomerRate": "0.50", "earningsPerClick": {"amount": "1.38"}});
    assert_eq!(all, expected);
    let euros = figures(&world, &link, "(currency: \"EUR\")").await;
    assert_eq!((&euros["sales"], &euros["signUps"], &euros["earnings"]["amount"]), (&json!(1), &json!(2), &json!("7.00")));
    // Everywhere the same.
    let query = format!(
        "query ($id: ID!) {{ link(id: $id) {{ programme {{ figures(currency: \"USD\") {{ {FIGURES} }} enrolments {{ nodes {{ figures(currency: \"USD\") {{ {FIGURES} }} }} }} }}
             partner {{ linkFigures(currency: \"USD\") {{ {FIGURES} }} }} }} }}"
    );
    let above = world.owner_a(&query, json!({"id": link["id"]})).await.data()["link"].clone();
    for figures in [
        &above["programme"]["figures"],
        &above["programme"]["enrolments"]["nodes"][0]["figures"],
        &above["partner"]["linkFigures"],
    ] {
        assert_eq!(*figures, expected);
    }
    // A day on which more was taken back than earned is below zero; the customer came on the day of the first payment.
    let on = async |from: i64, before: i64| {
        figures(
            &world,
            &link,
            &format!("(currency: \"USD\", period: {{ from: \"{}\", before: \"{}\" }})", days(from), days(before)),
        )
        .await
    };
    let taken_back = on(2, 0).await;
    assert_eq!((&taken_back["sales"], &taken_back["earnings"]["amount"]), (&json!(0), &json!("-4.50")));
    assert_eq!((on(6, 4).await["customers"].clone(), on(4, 2).await["customers"].clone()), (json!(1), json!(0)));
    assert_eq!(on(4, 2).await["saleAmount"]["amount"], "15.00");
    let move_it = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { code } } }";
    world.operator(move_it, json!({"id": first, "to": world.b.to_string()})).await.data();
    assert_eq!(figures(&world, &link, "(currency: \"USD\")").await["earnings"]["amount"], "1.50");
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    let pending = world.pay("i4", "c", "100.00", &days(1)).await["commission"]["id"].clone();
    assert_eq!(figures(&world, &link, "(currency: \"USD\")").await["earnings"]["amount"], "11.50");
    world.decide("rejectCommissions", &[&pending], false).await;
    let rejected = figures(&world, &link, "(currency: \"USD\")").await;
    assert_eq!((&rejected["earnings"]["amount"], &rejected["sales"]), (&json!("1.50"), &json!(3)));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Fifty links with all their figures are three statements, whatever the links have seen: one of the links, one of their clicks, one of their sales.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_links_with_figures_is_three_statements() {
    let world = World::new().await;
    for number in 0..5 {
        world.link(&format!("https://example.com/{number}")).await;
    }
    let query = format!("{{ links(first: 50) {{ nodes {{ key figures {{ {FIGURES} }} }} }} }}");
    let answer = world.owner_a(&query, json!({})).await;
    assert_eq!(answer.data()["links"]["nodes"].as_array().map(Vec::len), Some(5));
    assert_eq!(crate::support::log::operation(&answer)["statements"], 3);
}
