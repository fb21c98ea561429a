//! What is read of money: metrics, earnings over time, statistics, ranks, the ledger and its balances.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::World;

const DAY: &str = "2026-06-15T12:00:00Z";

/// Figures: metrics of a period, earnings over time, statistics and rank; one currency at a time, and a refund or rejection counts.
#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    let world = World::new().await;
    world.earn().await;
    world.customer("cus_2", world.b).await;
    world.pay("inv_b", "cus_2", "500.00", "2026-07-01T00:00:00Z").await;
    world.pay_in("inv_eur", "cus_1", "1000.00", "EUR", DAY).await;
    let rejected = world.pay("inv_r", "cus_1", "70.00", DAY).await["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&rejected], false).await;
    let payout = world.batch(world.b).await["payout"]["id"].clone();
    world.pay_out(&payout).await;
    world.refund("inv_0", "50.00").await;
    let query = "query ($period: PeriodInput, $partner: ID, $currency: CurrencyCode) {
        revenueMetrics(period: $period, partnerId: $partner, currency: $currency) { periodStart periodEnd totalCommissions { amount currency } totalCommissionCount totalPayouts { amount } pendingAmount { amount } }
        earningsOverTime(interval: MONTH, period: $period, partnerId: $partner, currency: $currency) { start earned { amount } commissionCount } }";
    let june = json!({"period": {"from": "2026-06-01", "before": "2026-07-01"}});
    let found = world.operator(query, june.clone()).await.data().clone();
    assert_eq!(
        found["revenueMetrics"],
        json!({"periodStart": "2026-06-01T00:00:00Z", "periodEnd": "2026-07-01T00:00:00Z", "totalCommissions": {"amount": "55.00", "currency": "USD"},
               "totalCommissionCount": 4, "totalPayouts": {"amount": "0.00"}, "pendingAmount": {"amount": "0.00"}})
    );
    let year = json!({"period": {"from": "2026-05-15", "before": "2026-08-01"}});
    let points = world.operator(query, year.clone()).await.data()["earningsOverTime"].clone();
    assert_eq!(
        points,
        json!([{"start": "2026-05-15", "earned": {"amount": "0.00"}, "commissionCount": 0}, {"start": "2026-06-01", "earned": {"amount": "55.00"}, "commissionCount": 4},
               {"start": "2026-07-01", "earned": {"amount": "50.00"}, "commissionCount": 1}])
    );
    let mut of_b = year.clone();
    of_b["partner"] = json!(world.b.to_string());
    assert_eq!(world.operator(query, of_b.clone()).await.data()["revenueMetrics"]["totalCommissions"]["amount"], "50.00");
    assert_eq!(world.owner_a(query, of_b).await.code(), "NOT_FOUND");
    let mut euros = year;
    euros["currency"] = json!("EUR");
    assert_eq!(
        world.owner_a(query, euros).await.data()["revenueMetrics"]["totalCommissions"],
        json!({"amount": "100.00", "currency": "EUR"})
    );
    let days = "{ dashboard { earningsOverTime(interval: DAY) { start } revenue { totalCommissions { amount } } } }";
    assert_eq!(world.owner_a(days, json!({})).await.data()["dashboard"]["earningsOverTime"].as_array().map(Vec::len), Some(30));
    let stats = "{ dashboard { partner { rank } stats { totalEarnings { amount } paidEarnings { amount } pendingEarnings { amount } } } }";
    let a = world.owner_a(stats, json!({})).await.data()["dashboard"].clone();
    assert_eq!(
        (&a["partner"]["rank"], &a["stats"]["totalEarnings"]["amount"], &a["stats"]["pendingEarnings"]["amount"]),
        (&json!(1), &json!("55.00"), &json!("55.00"))
    );
    let b = world.acme("owner_b", stats, json!({})).await.data()["dashboard"].clone();
    assert_eq!((&b["partner"]["rank"], &b["stats"]["paidEarnings"]["amount"]), (&json!(2), &json!("50.00")));
    compared(&world).await;
    let long = world.operator(query, json!({"period": {"from": "2026-02-01", "before": "2026-01-02"}})).await;
    assert_eq!(long.code(), "BAD_USER_INPUT");
}

/// What a period has is compared with the one before it: whole months with whole months, days with as many days.
async fn compared(world: &World) {
    let query = "query ($period: PeriodInput!) { revenueMetrics(period: $period) { totalCommissions { amount } previous { periodStart periodEnd totalCommissions { amount } }
        change { totalCommissions totalCommissionCount totalPayouts } } }";
    for (from, before, start, earned, change) in [
        ("2026-07-01", "2026-08-01", "2026-06-01", "55.00", json!(["-0.0909", "-0.75", null])),
        ("2026-06-01", "2026-07-01", "2026-05-01", "0.00", json!([null, null, null])),
        ("2026-06-01", "2026-08-01", "2026-04-01", "0.00", json!([null, null, null])),
        ("2026-07-01", "2026-07-31", "2026-06-01", "55.00", json!(["-0.0909", "-0.75", null])),
        ("2026-07-01T00:00:00Z", "2026-07-01T12:00:00Z", "2026-06-30T12:00:00Z", "0.00", json!([null, null, null])),
    ] {
        let found =
            world.operator(query, json!({"period": {"from": from, "before": before}})).await.data()["revenueMetrics"].clone();
        let midnight = if start.contains('T') { start.to_owned() } else { format!("{start}T00:00:00Z") };
        assert_eq!(
            (found["previous"]["periodStart"].as_str(), &found["previous"]["totalCommissions"]["amount"]),
            (Some(midnight.as_str()), &json!(earned))
        );
        let of = |name: &str| found["change"][name].clone();
        assert_eq!(json!([of("totalCommissions"), of("totalCommissionCount"), of("totalPayouts")]), change, "{from} to {before}");
    }
}

/// A ledger shows every transfer with the balances after it, for the partner's owner and operators; the balance at a day's end is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger() {
    let world = World::new().await;
    world.earn().await;
    world.pay_out(&world.batch(world.a).await["payout"]["id"].clone()).await;
    let query = "query ($today: Date!, $before: Date!) { me { partner { ledger(first: 2) { totalCount nodes { kind amount { amount } from fromBalance { amount } to toBalance { amount } commission { id } payout { status } postedBy { id } } pageInfo { hasNextPage } }
        balanceAt(date: $today) { paid { amount } earned { amount } } earlier: balanceAt(date: $before) { paid { amount } earned { amount } } } } }";
    let today = world.app.clock.now().date_naive();
    let variables = json!({"today": today.to_string(), "before": (today - chrono::Days::new(1)).to_string()});
    let partner = world.owner_a(query, variables.clone()).await.data()["me"]["partner"].clone();
    assert_eq!(partner["ledger"]["totalCount"], 5);
    assert_eq!(
        partner["ledger"]["nodes"],
        json!([
            {"kind": "PAY", "amount": {"amount": "60.00"}, "from": "IN_PAYOUT", "fromBalance": {"amount": "0.00"}, "to": "PAID", "toBalance": {"amount": "60.00"},
             "commission": null, "payout": {"status": "COMPLETED"}, "postedBy": null},
            {"kind": "HOLD", "amount": {"amount": "60.00"}, "from": "PAYABLE", "fromBalance": {"amount": "0.00"}, "to": "IN_PAYOUT", "toBalance": {"amount": "60.00"},
             "commission": null, "payout": {"status": "COMPLETED"}, "postedBy": null},
        ])
    );
    assert_eq!(
        (&partner["balanceAt"]["paid"]["amount"], &partner["earlier"]["earned"]["amount"]),
        (&json!("60.00"), &json!("0.00"))
    );
    let member = world.acme("member_a", query, variables).await.data()["me"]["partner"].clone();
    assert_eq!((&member["ledger"], &member["balanceAt"]), (&Value::Null, &Value::Null));
    let transfers =
        "{ commissions(first: 1) { nodes { transfers { amount { amount } fromBalance { amount } toBalance { amount } } } } }";
    let seen = world.acme("member_a", transfers, json!({})).await.data()["commissions"]["nodes"][0]["transfers"][0].clone();
    assert!(seen["amount"].is_object() && seen["fromBalance"].is_null() && seen["toBalance"].is_null(), "{seen}");
}

/// However many book at once, a tenant's figures are the sum of its partners', and nobody waits for anybody: also when more write than
/// there are parts of the figures to write to.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_figures_miss_nothing() {
    let world = World::with_pool(8).await;
    let customers: Vec<String> = (0..12).map(|number| format!("cus_{number}")).collect();
    for (number, customer) in customers.iter().enumerate() {
        world.customer(customer, if number % 2 == 0 { world.a } else { world.b }).await;
    }
    let book = |round: usize| {
        let world = &world;
        join_all(
            customers
                .iter()
                .map(move |customer| async move { world.pay(&format!("inv_{customer}_{round}"), customer, "100.00", DAY).await }),
        )
    };
    book(0).await;
    // All of the parts are others'.
    let mut others = world.owner().await;
    others.batch_execute("SELECT pg_advisory_lock(1953391220, n) FROM generate_series(0, 63) AS n").await.expect("locks");
    book(1).await;
    assert!(world.number("SELECT count(*) FROM tenant_totals WHERE shard >= 64").await > 0);
    drop(others);
    book(2).await;
    let query = "{ revenueMetrics(period: { from: \"2026-06-01\", before: \"2026-07-01\" }) { totalCommissions { amount } totalCommissionCount } }";
    let found = world.operator(query, json!({})).await.data()["revenueMetrics"].clone();
    assert_eq!(found, json!({"totalCommissions": {"amount": "360.00"}, "totalCommissionCount": 36}));
    assert_eq!(world.broken_rules().await, Vec::<&str>::new());
}

/// A day is written `YYYY-MM-DD` and no other way.
#[tokio::test(flavor = "multi_thread")]
async fn days_are_written_in_full() {
    let world = World::new().await;
    let query = "query ($from: DateOrDateTime!) { revenueMetrics(period: { from: $from, before: \"2026-07-01\" }) { totalCommissionCount } }";
    let ask = async |from: &str| world.operator(query, json!({"from": from})).await;
    assert_eq!(ask("2026-06-01").await.data()["revenueMetrics"]["totalCommissionCount"], json!(0));
    for from in ["2026-6-1", "02026-06-01", "+2026-06-01", " 2026-06-01", "2026-06-01T00:00:00", "20260601", "2026-06-31"] {
        let answer = ask(from).await;
        assert!(
            answer.message().contains("is no DateOrDateTime: it must be a day from 1900 on, such as \"2026-11-20\""),
            "{from}: {}",
            answer.message()
        );
    }
}

/// A period is said one way everywhere: half-open, from and before days or instants, whose days begin in the tenant's time zone or in another.
#[tokio::test(flavor = "multi_thread")]
async fn periods() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    for (invoice, amount, at) in [
        ("inv_1", "10.00", "2026-03-28T22:59:59Z"),
        ("inv_2", "20.00", "2026-03-28T23:00:00Z"),
        ("inv_3", "40.00", "2026-03-29T21:59:59Z"),
        ("inv_4", "80.00", "2026-03-29T22:00:00Z"),
    ] {
        world.pay(invoice, "cus_1", amount, at).await;
    }
    let query = "query ($period: PeriodInput!) {
        revenueMetrics(period: $period) { periodStart periodEnd totalCommissions { amount } totalCommissionCount pendingAmount { amount } }
        earningsOverTime(interval: DAY, period: $period) { start earned { amount } commissionCount }
        commissions(filter: { earned: $period }) { totalCount } }";
    let ask = async |period: Value| {
        let found = world.owner_a(query, json!({"period": period})).await.data().clone();
        let metrics = &found["revenueMetrics"];
        assert_eq!(metrics["totalCommissionCount"], found["commissions"]["totalCount"], "{period}");
        let days: Vec<String> = found["earningsOverTime"]
            .as_array()
            .expect("points")
            .iter()
            .map(|point| format!("{} {}", point["start"], point["earned"]["amount"]).replace('"', ""))
            .collect();
        (metrics["totalCommissions"]["amount"].as_str().expect("an amount").to_owned(), days.join(", "))
    };
    // By the totals of the tenant's days, in UTC.
    let days = ask(json!({"from": "2026-03-28", "before": "2026-03-30"})).await;
    assert_eq!(days, ("15.00".to_owned(), "2026-03-28 3.00, 2026-03-29 12.00".to_owned()));
    // In Berlin the clocks were put forward on that Sunday, which had 23 hours.
    let sunday = ask(json!({"from": "2026-03-29", "before": "2026-03-30", "timeZone": "Europe/Berlin"})).await;
    assert_eq!(sunday, ("6.00".to_owned(), "2026-03-29 6.00".to_owned()));
    let weekend = ask(json!({"from": "2026-03-28", "before": "2026-03-31", "timeZone": "Europe/Berlin"})).await;
    assert_eq!(weekend, ("15.00".to_owned(), "2026-03-28 1.00, 2026-03-29 6.00, 2026-03-30 8.00".to_owned()));
    // Instants, and a day and an instant.
    let hours = ask(json!({"from": "2026-03-28T23:00:00Z", "before": "2026-03-29T22:00:00Z"})).await;
    assert_eq!(hours, ("6.00".to_owned(), "2026-03-28 2.00, 2026-03-29 4.00".to_owned()));
    assert_eq!(ask(json!({"from": "2026-03-29", "before": "2026-03-29T22:00:00.000001Z"})).await.0, "12.00");
    // The same days by another name of the same zone are added up one by one, to the same.
    let same = json!({"from": "2026-03-28", "before": "2026-03-30", "timeZone": "Etc/UTC"});
    assert_eq!(ask(same).await, days);
    // A leap second is the beginning of the next one.
    let leap = json!({"period": {"from": "2026-03-28T22:59:60Z", "before": "2026-03-29"}});
    let metrics = world.owner_a(query, leap).await.data()["revenueMetrics"].clone();
    assert_eq!((&metrics["periodStart"], &metrics["totalCommissionCount"]), (&json!("2026-03-28T23:00:00Z"), &json!(1)));
    for (period, words) in [
        (json!({"from": "2026-03-28"}), "period: Both `from` and `before` are needed"),
        (json!({"from": "2026-03-28", "before": "2026-03-28"}), "period: `before` must be later"),
        (json!({"from": "2026-03-28", "before": "2026-03-27"}), "period: `before` must not be earlier"),
        (json!({"from": "2000-01-01", "before": "2026-03-27"}), "period: It has 9582 days"),
    ] {
        let refused = world.owner_a(query, json!({"period": period})).await;
        let message = refused.body["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(words), "{period}: {}", refused.body);
    }
    for (period, words) in [
        (json!({"from": "28.3.2026", "before": "2026-03-28"}), "is no DateOrDateTime"),
        // In UTC the year is 10000.
        (json!({"from": "2026-03-28", "before": "9999-12-31T23:59:59-12:00"}), "is no DateOrDateTime"),
        (json!({"from": "2026-03-28", "before": "2026-03-29", "timeZone": "Berlin"}), "is no TimeZone"),
    ] {
        let refused = world.owner_a(query, json!({"period": period})).await;
        assert!(refused.body["errors"][0]["message"].as_str().is_some_and(|text| text.contains(words)), "{}", refused.body);
    }
    let backwards = "{ leads(filter: { created: { from: \"2026-03-28\", before: \"2026-03-27\" } }) { totalCount } }";
    let refused = world.owner_a(backwards, json!({})).await;
    assert!(
        refused.body["errors"][0]["message"].as_str().is_some_and(|text| text.starts_with("created: `before`")),
        "{}",
        refused.body
    );
}
