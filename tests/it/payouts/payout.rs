//! Payouts: previews, batches, every step, races, statistics, closing a partner.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, log};

const DAY: &str = "2026-06-15T12:00:00Z";
const PREVIEW: &str = "query ($id: ID!) { previewPayout(partnerId: $id, currency: \"USD\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" }) {
    total { amount } commissionCount fingerprint previewedAt isPayable minimum { amount } lines { totalCount nodes { id amount { amount } } } } }";

async fn preview(world: &World) -> Value {
    world.operator(PREVIEW, json!({"id": world.a.to_string()})).await.data()["previewPayout"].clone()
}

/// A payout holds exactly what was previewed, or is refused with what has changed since.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_previewed_is_paid() {
    let world = World::new().await;
    world.earn().await;
    let seen = preview(&world).await;
    assert_eq!(
        (&seen["total"]["amount"], &seen["commissionCount"], &seen["lines"]["totalCount"]),
        (&json!("60.00"), &json!(3), &json!(3))
    );
    assert_eq!(preview(&world).await["fingerprint"], seen["fingerprint"]);
    world.adjust(world.a, "5.00", None).await;
    world.decide("rejectCommissions", &[&seen["lines"]["nodes"][0]["id"]], false).await;
    let with = |fingerprint: &Value| json!({"partnerId": world.a.to_string(), "expectedFingerprint": fingerprint});
    let mut expected = with(&seen["fingerprint"]);
    expected["previewedAt"] = seen["previewedAt"].clone();
    let refused = world.batch_with(expected).await;
    assert_eq!((&refused["payout"], &refused["userErrors"][0]["code"]), (&Value::Null, &json!("PREVIEW_CHANGED")));
    let message = refused["userErrors"][0]["message"].as_str().expect("a message");
    assert!(
        message.starts_with("The preview no longer holds: now there are 3 commissions of 55.00 USD in all. Since 20"),
        "{message}"
    );
    assert!(message.ends_with("1 came and 1 went. Preview it again."), "{message}");
    let now = preview(&world).await;
    let made = world.batch_with(with(&now["fingerprint"])).await;
    assert_eq!((&made["payout"]["total"]["amount"], &made["payout"]["commissionCount"]), (&json!("55.00"), &json!(3)));
    let query = "query ($id: ID!) { payout(id: $id) { fingerprint commissions { totalCount nodes { id payout { id } } } } }";
    let payout = world.operator(query, json!({"id": made["payout"]["id"]})).await.data()["payout"].clone();
    let lines: Vec<&Value> = now["lines"]["nodes"].as_array().expect("lines").iter().map(|line| &line["id"]).collect();
    let held: Vec<&Value> = payout["commissions"]["nodes"].as_array().expect("rows").iter().map(|row| &row["id"]).collect();
    assert_eq!(held, lines);
    assert_eq!(now["fingerprint"], payout["fingerprint"]);
    let garbled = world.batch_with(with(&json!("abc"))).await;
    assert_eq!(garbled["userErrors"][0]["field"], json!(["input", "expectedFingerprint"]));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Below the tenant's minimum, or not above zero, there is nothing to pay and it is carried forward; only what was earned before the
/// period's end is taken; other currencies are left for payouts of their own.
#[tokio::test(flavor = "multi_thread")]
async fn minimum_period_and_currency() {
    let world = World::new().await;
    world.earn().await;
    let set = "mutation { updateTenantSettings(input: { minimumPayout: \"60.01\" }) { tenant { minimumPayout { amount } } userErrors { code } } }";
    world.operator(set, json!({})).await.data();
    let refused = world.batch(world.a).await;
    assert_eq!(refused["userErrors"][0]["code"], "NOTHING_TO_PAY");
    assert_eq!(
        refused["userErrors"][0]["message"],
        "60.00 USD is less than the 60.01 USD that is paid out at least; it is carried forward."
    );
    world.pay_in("inv_eur", "cus_1", "50.00", "EUR", DAY).await;
    let early =
        world.batch_with(json!({"partnerId": world.a.to_string(), "currency": "EUR", "period": {"from": "2026-01-01T00:00:00Z", "before": "2026-06-15T12:00:00Z"}})).await;
    assert_eq!(early["userErrors"][0]["code"], "NOTHING_TO_PAY");
    let euros = world.batch_with(json!({"partnerId": world.a.to_string(), "currency": "EUR"})).await;
    assert_eq!(euros["payout"]["total"], json!({"amount": "5.00", "currency": "EUR"}));
    world.sql("UPDATE tenants SET minimum_payout = 60").await;
    assert_eq!(world.batch(world.a).await["payout"]["total"]["amount"], "60.00");
    assert_eq!(world.batch(world.a).await["userErrors"][0]["message"], "There is nothing to pay.");
    let backwards =
        json!({"partnerId": world.a.to_string(), "period": {"from": "2100-01-02T00:00:00Z", "before": "2100-01-01T00:00:00Z"}});
    assert_eq!(world.batch_with(backwards).await["userErrors"][0]["field"], json!(["input", "period"]));
    assert_eq!(world.batch(world.g).await["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Every step moves the money with it: completed is paid, failed and cancelled give the commissions back, returned too; a step that was
/// just taken may be taken again, any other is refused with what is possible.
#[tokio::test(flavor = "multi_thread")]
async fn every_step() {
    let world = World::new().await;
    world.earn().await;
    let id = world.batch(world.a).await["payout"]["id"].clone();
    assert_eq!(world.balances(world.a).await, ["0.00", "0.00", "60.00", "0.00"]);
    let refused = world.step("completePayout", &id).await;
    assert_eq!(refused["userErrors"][0]["message"], "The payout is PENDING; from there it can become READY, CANCELLED.");
    for step in ["releasePayout", "releasePayout", "startPayout", "failPayout", "failPayout"] {
        assert_eq!(world.step(step, &id).await["userErrors"], json!([]), "{step}");
    }
    assert_eq!(world.balances(world.a).await, ["0.00", "60.00", "0.00", "0.00"]);
    let again = world.step("retryPayout", &id).await;
    assert_eq!((&again["payout"]["status"], &again["payout"]["attempt"]), (&json!("READY"), &json!(2)));
    for step in ["startPayout", "completePayout", "completePayout"] {
        assert_eq!(world.step(step, &id).await["userErrors"], json!([]), "{step}");
    }
    assert_eq!(world.balances(world.a).await, ["0.00", "0.00", "0.00", "60.00"]);
    let other = "mutation ($id: ID!) { completePayout(input: { id: $id, reference: \"WIRE-2\" }) { userErrors { code field } } }";
    assert_eq!(world.operator(other, json!({"id": id})).await.data()["completePayout"]["userErrors"][0]["code"], "KEY_REUSED");
    assert_eq!(world.step("cancelPayout", &id).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    let back = world.step("returnPayout", &id).await;
    assert_eq!((&back["payout"]["status"], &back["payout"]["completedAt"]), (&json!("FAILED"), &Value::Null));
    assert_eq!(world.balances(world.a).await, ["0.00", "60.00", "0.00", "0.00"]);
    // Its commissions are free, so another payout may take them; then there is nothing to retry.
    let next = world.batch(world.a).await["payout"]["id"].clone();
    let gone = world.step("retryPayout", &id).await;
    assert!(
        gone["userErrors"][0]["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("3 of its commissions are rejected, refunded or in another payout"))
    );
    assert_eq!(world.step("cancelPayout", &id).await["payout"]["status"], "CANCELLED");
    assert_eq!(world.step("cancelPayout", &next).await["payout"]["status"], "CANCELLED");
    assert_eq!(world.balances(world.a).await, ["0.00", "60.00", "0.00", "0.00"]);
    let query = "query ($id: ID!) { payout(id: $id) { nextStatuses commissions { totalCount } history { from to note } transfers { kind from to amount { amount } } } }";
    let received = world.owner_a(query, json!({"id": id})).await.data()["payout"].clone();
    let kinds: Vec<&str> =
        received["transfers"].as_array().expect("rows").iter().map(|row| row["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["HOLD", "RELEASE", "HOLD", "PAY", "RETURN"]);
    assert_eq!((&received["commissions"]["totalCount"], &received["nextStatuses"]), (&json!(3), &json!([])));
    assert_eq!(received["history"].as_array().map(Vec::len), Some(9));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Nobody is paid for what is known to be refunded: a reversal that came after the period's end goes along with its original, and a
/// failed payout is not tried again once what it held is refunded or no longer owed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refunded_is_not_paid() {
    let world = World::new().await;
    world.earn().await;
    world.refund("inv_2", "300.00").await;
    let june =
        json!({"partnerId": world.a.to_string(), "period": {"from": "2026-01-01T00:00:00Z", "before": "2026-06-16T00:00:00Z"}});
    let made = world.batch_with(june).await["payout"].clone();
    assert_eq!((&made["total"]["amount"], &made["commissionCount"]), (&json!("30.00"), &json!(4)));
    for step in ["releasePayout", "startPayout", "failPayout"] {
        world.step(step, &made["id"]).await;
    }
    assert_eq!(world.step("retryPayout", &made["id"]).await["userErrors"], json!([]));
    world.step("startPayout", &made["id"]).await;
    world.step("failPayout", &made["id"]).await;
    world.adjust(world.a, "-0.01", None).await;
    let refused = world.step("retryPayout", &made["id"]).await;
    assert_eq!(refused["userErrors"][0]["message"], "Only 29.99 is owed to the partner by now. Cancel it, and make a new one.");
    world.refund("inv_0", "1.00").await;
    let refused = world.step("retryPayout", &made["id"]).await;
    assert!(
        refused["userErrors"][0]["message"].as_str().is_some_and(|text| text.starts_with("1 of its commissions")),
        "{refused}"
    );
    // What was taken off after the period goes along too, so that no more is paid than is owed.
    world.step("cancelPayout", &made["id"]).await;
    let june =
        json!({"partnerId": world.a.to_string(), "period": {"from": "2026-01-01T00:00:00Z", "before": "2026-06-16T00:00:00Z"}});
    let again = world.batch_with(june).await["payout"].clone();
    assert_eq!((&again["total"]["amount"], &again["commissionCount"]), (&json!("29.89"), &json!(6)));
    // Refunded before it is sent off, it is not sent off.
    world.step("releasePayout", &again["id"]).await;
    world.refund("inv_1", "200.00").await;
    assert_eq!(world.step("startPayout", &again["id"]).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    world.step("cancelPayout", &again["id"]).await;
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A key makes one payout; used for another it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_payout() {
    let world = World::new().await;
    world.earn().await;
    let input = json!({"partnerId": world.a.to_string(), "idempotencyKey": "june"});
    let first = world.batch_with(input.clone()).await;
    let again = world.batch_with(input).await;
    assert_eq!((&again["replayed"], &again["payout"]["id"]), (&json!(true), &first["payout"]["id"]));
    for other in [
        json!({"partnerId": world.b.to_string(), "idempotencyKey": "june"}),
        json!({"partnerId": world.a.to_string(), "idempotencyKey": "june", "notes": "N"}),
        json!({"partnerId": world.a.to_string(), "idempotencyKey": "june", "expectedFingerprint": "0".repeat(64)}),
    ] {
        assert_eq!(world.batch_with(other).await["userErrors"][0]["code"], "KEY_REUSED");
    }
    // Two partners at the same moment: one payout, and a sentence for the other.
    world.adjust(world.a, "5.00", None).await;
    world.adjust(world.b, "5.00", None).await;
    let both = [world.a, world.b].map(|partner| json!({"partnerId": partner.to_string(), "idempotencyKey": "july"}));
    let answers = join_all(both.map(|input| world.batch_with(input))).await;
    let codes: Vec<&Value> = answers.iter().map(|answer| &answer["userErrors"]).collect();
    assert_eq!(codes.iter().filter(|errors| ***errors == json!([])).count(), 1, "{codes:?}");
}

/// 32 tasks that pay invoices, each several times, and make payouts all the while: every commission is in exactly one payout, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_payouts_pay_once() {
    let world = Arc::new(World::with_pool(8).await);
    world.customer("cus_1", world.a).await;
    world.customer("cus_2", world.b).await;
    let tasks = (0..32_usize).map(|task| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for turn in 0..6 {
                let number: usize = (task * 7 + turn * 5) % 48;
                let customer = if number.is_multiple_of(2) { "cus_1" } else { "cus_2" };
                let paid = world.pay(&format!("inv_{number}"), customer, "100.00", DAY).await;
                assert_eq!(paid["userErrors"], json!([]));
                if turn % 2 == 0 {
                    let partner = if task.is_multiple_of(2) { world.a } else { world.b };
                    let made = world.batch(partner).await;
                    if let Some(id) = made["payout"].get("id")
                        && task.is_multiple_of(3)
                    {
                        world.pay_out(id).await;
                    }
                }
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("a task");
    }
    for partner in [world.a, world.b] {
        world.batch(partner).await;
    }
    let invoices = world.number("SELECT count(*) FROM invoices").await;
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, invoices);
    assert_eq!(world.number("SELECT count(*) FROM partner_payout_items").await, invoices);
    assert_eq!(world.number("SELECT sum(total_amount)::bigint FROM partner_payouts").await, invoices * 10);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Payouts for everybody who is due: a result for each, what is below the minimum carried forward, and a second call finds nobody left.
#[tokio::test(flavor = "multi_thread")]
async fn batches_for_all() {
    let world = World::new().await;
    world.earn().await;
    world.adjust(world.b, "3.00", None).await;
    world.sql("UPDATE tenants SET minimum_payout = 5").await;
    let all =
        "mutation { createPayoutBatches(input: { idempotencyKey: \"FRESH_KEY\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" } }) {
        results { partner { id } payout { total { amount } } userError { code } } nextPartnerId userErrors { code } } }";
    let first = world.operator(all, json!({})).await.data()["createPayoutBatches"].clone();
    let of = |payload: &Value, partner: partner_portal::ids::PartnerId| -> Value {
        let rows = payload["results"].as_array().expect("results").clone();
        rows.into_iter().find(|row| row["partner"]["id"] == partner.to_string()).unwrap_or(Value::Null)
    };
    assert_eq!(of(&first, world.a)["payout"]["total"]["amount"], "60.00");
    assert_eq!(of(&first, world.b)["userError"]["code"], "NOTHING_TO_PAY");
    assert_eq!(first["nextPartnerId"], Value::Null);
    let second = world.operator(all, json!({})).await.data()["createPayoutBatches"].clone();
    assert_eq!(of(&second, world.a), Value::Null);
    // A partner that is suspended waits, and that is said.
    world.adjust(world.a, "50.00", None).await;
    world.sql("UPDATE partners SET status = 'suspended'").await;
    let third = world.operator(all, json!({})).await.data()["createPayoutBatches"].clone();
    assert_eq!(
        (&of(&third, world.a)["payout"], &of(&third, world.a)["userError"]["code"]),
        (&Value::Null, &json!("INVALID_TRANSITION"))
    );
}

/// One payout that fails keeps no other from being made; the log says why, with the request's id, and the answer nothing internal.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_all_fails() {
    let world = World::new().await;
    for partner in [world.a, world.b] {
        world.adjust(partner, "50.00", None).await;
    }
    world
        .sql(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON partner_payouts FOR EACH ROW WHEN (NEW.partner_id = '{}') EXECUTE FUNCTION refuse()",
            world.a.uuid()
        ))
        .await;
    let answer = world
        .operator(
            "mutation { createPayoutBatches(input: { idempotencyKey: \"FRESH_KEY\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" } }) {
                results { partner { id } payout { total { amount } } userError { code message } } } }",
            json!({}),
        )
        .await;
    let results = answer.data()["createPayoutBatches"]["results"].as_array().expect("results").clone();
    assert_eq!(results.len(), 2, "{results:?}");
    for row in results {
        if row["partner"]["id"] == world.a.to_string() {
            assert_eq!((&row["payout"], &row["userError"]["code"]), (&Value::Null, &json!("FAILED")));
        } else {
            assert_eq!((&row["payout"]["total"]["amount"], &row["userError"]), (&json!("50.00"), &Value::Null));
        }
    }
    let causes = log::causes(&answer);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(
        (&causes[0]["message"], &causes[0]["partner"]),
        (&json!("a payout could not be made"), &json!(world.a.to_string()))
    );
    assert!(causes[0]["error"].as_str().is_some_and(|error| error.contains("no")), "{causes:?}");
}

/// More partners than one operation pays are paid by as many operations as it takes, each going on where the one before ended.
#[tokio::test(flavor = "multi_thread")]
async fn batches_go_on() {
    let world = World::new().await;
    let acme = world.acme.uuid();
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate)
                 SELECT '{acme}', gen_random_uuid(), 'Company ' || n, 'active', 0.1 FROM generate_series(1, 130) n;
             INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
                 SELECT tenant_id, gen_random_uuid(), id, 'adjustment', 'approved', 'manual', 5, 'USD', now(), 'n' FROM partners WHERE tenant_id = '{acme}';
             INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id)
                 SELECT tenant_id, partner_id, 'USD', 'expense', 'payable', amount, 'earn', id FROM partner_commission_events"
        ))
        .await;
    let query = "mutation ($from: ID) { createPayoutBatches(input: { idempotencyKey: \"FRESH_KEY\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" }, fromPartnerId: $from }) {
        results { payout { id } } nextPartnerId } }";
    let (mut from, mut made) = (Value::Null, Vec::new());
    for _ in 0..2 {
        let answer = world.operator(query, json!({"from": from})).await.data()["createPayoutBatches"].clone();
        made.push(answer["results"].as_array().map_or(0, Vec::len));
        from = answer["nextPartnerId"].clone();
    }
    assert_eq!((made, from), (vec![100, 32], Value::Null));
    assert_eq!(world.number("SELECT count(*) FROM partner_payouts").await, 132);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A partner with an open balance is not closed, and learns why; a settled one is, releases its customers, and earns no more.
#[tokio::test(flavor = "multi_thread")]
async fn closing_a_partner() {
    let world = World::new().await;
    world.earn().await;
    let close = "mutation ($id: ID!) { changePartnerStatus(input: { id: $id, status: CLOSED }) { partner { status } userErrors { code field message } } }";
    let closing = async || world.operator(close, json!({"id": world.a.to_string()})).await.data()["changePartnerStatus"].clone();
    let refused = closing().await;
    assert_eq!(refused["userErrors"][0]["code"], "OPEN_BALANCE");
    assert_eq!(
        refused["userErrors"][0]["message"],
        "The partner has an open balance: 60.00 USD payable. Pay it out, or reject or adjust it, first."
    );
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    assert_eq!(closing().await["userErrors"][0]["code"], "OPEN_BALANCE");
    world.pay_out(&payout).await;
    assert_eq!(closing().await["partner"]["status"], "CLOSED");
    assert_eq!(world.pay("inv_9", "cus_1", "100.00", DAY).await["commission"], Value::Null);
    assert_eq!(world.adjust(world.a, "1.00", None).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    // A refund after the end is a debt, and can be settled: what brings the balance nearer to zero can be booked.
    world.refund("inv_0", "100.00").await;
    for (sum, errors) in [("-1.00", 1), ("10.01", 1), ("10.00", 0), ("1.00", 1)] {
        assert_eq!(world.adjust(world.a, sum, None).await["userErrors"].as_array().map(Vec::len), Some(errors), "{sum}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
    let deletion = format!("DELETE FROM partners WHERE id = '{}'", world.a.uuid());
    assert!(diesel_async::SimpleAsyncConnection::batch_execute(&mut world.owner().await, &deletion).await.is_err());
}
