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

/// Figures over time have every part of the period, those without anything and those below zero too, and add up to the whole; days begin where
/// the period's time zone says. Hours, weeks and months are the same sums.
#[tokio::test(flavor = "multi_thread")]
async fn figures_over_time_have_no_gaps() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().expect("an instant");
    // 23:30 in UTC is the next day in Berlin.
    world.click_at(&link, at("2026-06-01T23:30:00Z")).await;
    world.click_at(&link, at("2026-06-03T10:20:00Z")).await;
    let sign_up = json!({"customerExternalId": "c", "linkKey": link["key"], "occurredAt": "2026-06-03T11:00:00Z"});
    assert_eq!(world.sign_up(sign_up).await["outcome"], "ATTRIBUTED");
    world.pay("i", "c", "100.00", "2026-06-03T12:00:00Z").await;
    world.refund_at("i", "100.00", "2026-06-05T09:00:00Z").await;
    let over_time = async |interval: &str, from: &str, before: &str, zone: &str| {
        let query = format!(
            "query ($id: ID!) {{ link(id: $id) {{ figures(currency: \"USD\", period: {{ from: \"{from}\", before: \"{before}\", timeZone: \"{zone}\" }}) {{
                clicks earnings {{ amount }} overTime(interval: {interval}) {{ start clicks signUps sales saleAmount {{ amount }} earnings {{ amount }} }} }} }} }}"
        );
        world.owner_a(&query, json!({"id": link["id"]})).await.data()["link"]["figures"].clone()
    };
    let row = |point: &Value| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        format!(
            "{} {} {} {} {}",
            text(&point["start"]),
            point["clicks"],
            point["signUps"],
            point["sales"],
            text(&point["earnings"]["amount"])
        )
    };
    let rows = |figures: &Value| figures["overTime"].as_array().expect("points").iter().map(row).collect::<Vec<_>>();
    let days = over_time("DAY", "2026-06-01", "2026-06-06", "UTC").await;
    assert_eq!(
        rows(&days),
        [
            "2026-06-01T00:00:00Z 1 0 0 0.00",
            "2026-06-02T00:00:00Z 0 0 0 0.00",
            "2026-06-03T00:00:00Z 1 1 1 10.00",
            "2026-06-04T00:00:00Z 0 0 0 0.00",
            "2026-06-05T00:00:00Z 0 0 0 -10.00",
        ]
    );
    assert_eq!((&days["clicks"], &days["earnings"]["amount"]), (&json!(2), &json!("0.00")));
    // What was refunded is taken off the sale.
    assert_eq!(days["overTime"][2]["saleAmount"]["amount"], "0.00");
    let berlin = over_time("DAY", "2026-06-02", "2026-06-04", "Europe/Berlin").await;
    assert_eq!(rows(&berlin), ["2026-06-01T22:00:00Z 1 0 0 0.00", "2026-06-02T22:00:00Z 1 1 1 10.00"]);
    let hours = over_time("HOUR", "2026-06-03T10:00:00Z", "2026-06-03T13:00:00Z", "UTC").await;
    assert_eq!(
        rows(&hours),
        ["2026-06-03T10:00:00Z 1 0 0 0.00", "2026-06-03T11:00:00Z 0 1 0 0.00", "2026-06-03T12:00:00Z 0 0 1 10.00"]
    );
    // The first week of the period begins with the period.
    let weeks = over_time("WEEK", "2026-05-30", "2026-06-08", "UTC").await;
    assert_eq!(rows(&weeks), ["2026-05-30T00:00:00Z 0 0 0 0.00", "2026-06-01T00:00:00Z 2 1 1 0.00"]);
    let months = over_time("MONTH", "2026-05-01", "2026-07-01", "Asia/Kolkata").await;
    assert_eq!(rows(&months), ["2026-04-30T18:30:00Z 0 0 0 0.00", "2026-05-31T18:30:00Z 2 1 1 0.00"]);
    let refused = "query ($id: ID!) { link(id: $id) { figures(period: { from: \"2026-01-01\", before: \"2026-03-01\" }) { overTime(interval: HOUR) { start } } } }";
    let refused = world.owner_a(refused, json!({"id": link["id"]})).await;
    assert!(refused.body["errors"][0]["message"].as_str().expect("a message").contains("400 hours"), "{}", refused.body);
    // Without a period it is the last days.
    let recent = "query ($id: ID!) { link(id: $id) { figures { overTime { start } } } }";
    let recent = world.owner_a(recent, json!({"id": link["id"]})).await.data()["link"]["figures"]["overTime"].clone();
    assert_eq!(recent.as_array().map(Vec::len), Some(30));
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

/// Earnings by link, programme, customer and kind of event have everything in them: what was earned by no link, what was taken back, corrections.
/// Each adds up to the same. (An existing system leaves out what is 0 or below, and knows three kinds of events of seven.)
#[tokio::test(flavor = "multi_thread")]
async fn earnings_by_group_have_every_amount() {
    let world = World::new().await;
    let (one, two) = (world.link("https://example.com/").await, world.link("https://example.org/").await);
    for (customer, link) in [("c", &one), ("d", &two)] {
        let report = json!({"customerExternalId": customer, "linkKey": link["key"], "occurredAt": "2026-06-01T00:00:00Z"});
        assert_eq!(world.sign_up(report).await["outcome"], "ATTRIBUTED");
    }
    world.customer("e", world.a).await;
    world.pay("i1", "c", "100.00", "2026-06-02T12:00:00Z").await;
    world.refund_at("i1", "100.00", "2026-06-03T12:00:00Z").await;
    world.pay("i2", "d", "300.00", "2026-06-03T12:00:00Z").await;
    world.pay("i3", "e", "50.00", "2026-06-03T12:00:00Z").await;
    world.sql("UPDATE tenants SET commission_hold_days = 90").await;
    let pending = world.pay("i4", "d", "900.00", "2026-06-03T13:00:00Z").await["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&pending], false).await;
    let by = async |group: &str, more: &str| {
        let query = format!(
            "{{ earningsBy(group: {group}, currency: \"USD\", period: {{ from: \"2026-06-02\", before: \"2026-06-04\", timeZone: \"UTC\" }}{more}) {{
                link {{ id }} programme {{ domain }} customer {{ externalId }} eventType isRest earnings {{ amount }} points {{ start earnings {{ amount }} }} }} }}"
        );
        world.owner_a(&query, json!({})).await.data()["earningsBy"].clone()
    };
    let amounts = |series: &Value, field: &str| {
        let shown = |series: &Value| {
            let points = series["points"].as_array().expect("points").iter().map(|point| point["earnings"]["amount"].clone());
            (series[field].clone(), series["earnings"]["amount"].clone(), points.collect::<Vec<_>>())
        };
        series.as_array().expect("series").iter().map(shown).collect::<Vec<_>>()
    };
    let row = |key: Value, whole: &str, first: &str, second: &str| (key, json!(whole), vec![json!(first), json!(second)]);
    assert_eq!(
        amounts(&by("LINK", "").await, "link"),
        [
            row(json!({"id": two["id"]}), "30.00", "0.00", "30.00"),
            row(Value::Null, "5.00", "0.00", "5.00"),
            row(json!({"id": one["id"]}), "0.00", "10.00", "-10.00"),
        ]
    );
    assert_eq!(
        amounts(&by("PROGRAMME", "").await, "programme")[0],
        row(json!({"domain": "example.org"}), "30.00", "0.00", "30.00")
    );
    assert_eq!(amounts(&by("CUSTOMER", "").await, "customer")[2], row(json!({"externalId": "c"}), "0.00", "10.00", "-10.00"));
    assert_eq!(
        amounts(&by("EVENT_TYPE", "").await, "eventType"),
        [row(json!("INVOICE_PAYMENT"), "45.00", "10.00", "35.00"), row(json!("REFUND"), "-10.00", "0.00", "-10.00")]
    );
    let rest = by("CUSTOMER", ", first: 1").await;
    assert_eq!(
        (&rest[0]["isRest"], &rest[1]["isRest"], &rest[1]["earnings"]["amount"]),
        (&json!(false), &json!(true), &json!("5.00"))
    );
    // The commissions by a link, as a list below it and by filters.
    let list = "query ($id: ID!, $programme: ID!) { link(id: $id) { commissions { totalCount nodes { amount { amount } } } }
        commissions(filter: { linkId: $id }) { totalCount } inProgramme: commissions(filter: { programmeId: $programme }) { totalCount } }";
    let variables = json!({"id": one["id"], "programme": two["programme"]["id"]});
    let lists = world.owner_a(list, variables).await.data().clone();
    assert_eq!((&lists["link"]["commissions"]["totalCount"], &lists["commissions"]["totalCount"]), (&json!(2), &json!(2)));
    assert_eq!(lists["inProgramme"]["totalCount"], 2);
    // Another partner's earnings are not to be had.
    let other = world.acme("owner_b", "{ earningsBy(group: LINK, currency: \"USD\", period: { from: \"2026-06-02\", before: \"2026-06-04\" }) { earnings { amount } } }", json!({})).await;
    assert_eq!(other.data()["earningsBy"], json!([]));
}
