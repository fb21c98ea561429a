//! Commissions: payments, refunds, conversions, adjustments, decisions, holding, rules, explanations.

use chrono::TimeDelta;
use futures_util::future::join_all;
use partner_portal::jobs::{self, Done};
use serde_json::{Value, json};

use crate::support::{World, world::GLOBEX};

const DAY: &str = "2026-06-15T12:00:00Z";

fn amount(payload: &Value) -> &str {
    payload["commission"]["amount"]["amount"].as_str().unwrap_or("none")
}

fn fault(payload: &Value) -> (&str, &str) {
    let error = &payload["userErrors"][0];
    (error["code"].as_str().unwrap_or("none"), error["field"][1].as_str().unwrap_or("none"))
}

/// A paid invoice of a customer whom a partner manages makes an approved commission at the partner's rate; nothing is earned by a
/// customer whom nobody manages, and a customer who is not known is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_earns() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let paid = world.pay("inv_1", "cus_1", "250.00", DAY).await;
    assert_eq!(
        (&paid["replayed"], &paid["commission"]["status"], amount(&paid), &paid["commission"]["rate"]),
        (&json!(false), &json!("APPROVED"), "25.00", &json!("0.1000"))
    );
    assert_eq!(world.balances(world.a).await, ["0.00", "25.00", "0.00", "0.00"]);
    let early = world.pay("inv_0", "cus_1", "100.00", "2019-06-15T12:00:00Z").await;
    assert_eq!((&early["commission"], &early["userErrors"]), (&Value::Null, &json!([])));
    assert_eq!(fault(&world.pay("inv_2", "nobody", "1.00", DAY).await), ("NOT_FOUND", "customerExternalId"));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Bad reports are refused field by field, and nothing is kept of them.
#[tokio::test(flavor = "multi_thread")]
async fn bad_reports() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    for (invoice, customer, sum, currency, at, expected) in [
        ("", "cus_1", "1.00", "USD", DAY, ("REQUIRED", "invoiceId")),
        ("inv", "", "1.00", "USD", DAY, ("REQUIRED", "customerExternalId")),
        ("inv", "cus_1", "0", "USD", DAY, ("OUT_OF_RANGE", "amount")),
        ("inv", "cus_1", "-5.00", "USD", DAY, ("OUT_OF_RANGE", "amount")),
        ("inv", "cus_1", "1.001", "USD", DAY, ("INVALID", "amount")),
        ("inv", "cus_1", "1.5", "JPY", DAY, ("INVALID", "amount")),
        ("inv", "cus_1", "1.00", "USD", "2036-01-01T00:00:00Z", ("OUT_OF_RANGE", "paidAt")),
        ("inv", "cus_1", "1.00", "USD", "1999-01-01T00:00:00Z", ("OUT_OF_RANGE", "paidAt")),
    ] {
        assert_eq!(fault(&world.pay_in(invoice, customer, sum, currency, at).await), expected);
    }
    assert_eq!(world.number("SELECT count(*) FROM invoices").await, 0);
}

/// The same invoice again answers with the first result; with other content it is refused, field by field.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_counts_once() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.customer("cus_2", world.b).await;
    let first = world.pay("inv_1", "cus_1", "250.00", DAY).await;
    let again = world.pay("inv_1", "cus_1", "250.00", DAY).await;
    assert_eq!((&again["replayed"], &again["commission"]), (&json!(true), &first["commission"]));
    assert_eq!(fault(&world.pay("inv_1", "cus_1", "250.01", DAY).await), ("KEY_REUSED", "amount"));
    assert_eq!(fault(&world.pay("inv_1", "cus_2", "250.00", DAY).await), ("KEY_REUSED", "customerExternalId"));
    assert_eq!(fault(&world.pay_in("inv_1", "cus_1", "250.00", "EUR", DAY).await), ("KEY_REUSED", "currency"));
    assert_eq!(fault(&world.pay("inv_1", "cus_1", "250.00", "2026-06-15T12:00:01Z").await), ("KEY_REUSED", "paidAt"));
    let all = join_all((0..16).map(|_| world.pay("inv_2", "cus_1", "10.00", DAY))).await;
    assert_eq!(all.iter().filter(|payload| payload["replayed"] == json!(false)).count(), 1);
    assert_eq!(world.balances(world.a).await[1], "26.00");
}

/// What a refund takes back depends on the largest cumulative amount alone: repeats, gaps and disorder end the same, to the cent,
/// and a full refund ends at exactly zero.
#[tokio::test(flavor = "multi_thread")]
async fn refunds_converge() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let orders: [&[&str]; 6] = [
        &["33.33", "66.66", "99.99"],
        &["99.99"],
        &["66.66", "33.33", "99.99", "99.99"],
        &["99.99", "33.33"],
        &["0.01", "99.98", "99.99"],
        &["33.33"],
    ];
    for (number, order) in orders.iter().enumerate() {
        let invoice = format!("inv_{number}");
        // The fourth is refunded before its payment is reported.
        if number == 3 {
            for refunded in *order {
                world.refund(&invoice, refunded).await;
            }
        }
        assert_eq!(amount(&world.pay(&invoice, "cus_1", "99.99", DAY).await), "10.00");
        for refunded in *order {
            assert_eq!(world.refund(&invoice, refunded).await["userErrors"], json!([]));
        }
        let left = format!("SELECT (sum(amount) * 100)::bigint FROM partner_commission_events WHERE invoice_id = '{invoice}'");
        assert_eq!(world.number(&left).await, if number == 5 { 667 } else { 0 }, "{order:?}");
    }
    assert_eq!(world.balances(world.a).await[1], "6.67");
    let first = world.refund("inv_5", "50.00").await;
    assert_eq!((amount(&first), &first["commission"]["eventType"]), ("-1.67", &json!("REFUND")));
    let late = world.refund("inv_5", "33.33").await;
    assert_eq!((&late["replayed"], amount(&late)), (&json!(true), "-3.33"));
    assert_eq!(fault(&world.refund("inv_5", "100.00").await), ("OUT_OF_RANGE", "refundedAmount"));
    // More than was paid, reported before the payment, is all of it.
    world.refund("inv_9", "50.00").await;
    assert_eq!(amount(&world.pay("inv_9", "cus_1", "40.00", DAY).await), "4.00");
    assert_eq!(world.number("SELECT sum(amount)::bigint FROM partner_commission_events WHERE invoice_id = 'inv_9'").await, 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A reversal follows its original while that is unpaid: approved and rejected with it, and never on its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_follows_its_original() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    let now = world.app.clock.now().to_rfc3339();
    let kept = world.pay("inv_1", "cus_1", "100.00", &now).await;
    let thrown = world.pay("inv_2", "cus_1", "100.00", &now).await;
    assert_eq!(kept["commission"]["status"], "PENDING");
    let reversal = world.refund("inv_1", "40.00").await;
    world.refund("inv_2", "40.00").await;
    assert_eq!((&reversal["commission"]["status"], amount(&reversal)), (&json!("PENDING"), "-4.00"));
    assert_eq!(world.balances(world.a).await, ["12.00", "0.00", "0.00", "0.00"]);
    let alone = world.decide("approveCommissions", &[&reversal["commission"]["id"]], false).await;
    assert_eq!(alone[0]["userError"]["code"], "INVALID_TRANSITION");
    world.decide("approveCommissions", &[&kept["commission"]["id"]], false).await;
    assert_eq!(world.balances(world.a).await, ["6.00", "6.00", "0.00", "0.00"]);
    world.decide("rejectCommissions", &[&thrown["commission"]["id"]], false).await;
    assert_eq!(world.balances(world.a).await, ["0.00", "6.00", "0.00", "0.00"]);
    assert_eq!(world.refund("inv_2", "100.00").await["commission"], Value::Null);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What was paid and is refunded becomes a debt that the next payout makes up for.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_after_payment() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    world.pay_out(&payout).await;
    world.refund("inv_1", "100.00").await;
    assert_eq!(world.balances(world.a).await, ["0.00", "-10.00", "0.00", "10.00"]);
    assert_eq!(fault(&world.batch(world.a).await).0, "NOTHING_TO_PAY");
    world.pay("inv_2", "cus_1", "150.00", DAY).await;
    let next = world.batch(world.a).await;
    assert_eq!((&next["payout"]["total"]["amount"], &next["payout"]["commissionCount"]), (&json!("5.00"), &json!(2)));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A lead that converts is owed once, pending until an operator approves; what it earns is then settled, and paid with its payout.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_earns() {
    let world = World::new().await;
    let create = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", dealValue: \"1000\" }) { lead { id } } }";
    let lead = world.owner_a(create, json!({})).await.data()["createLead"]["lead"]["id"].clone();
    let convert =
        "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONVERTED }) { lead { status } userErrors { code } } }";
    for _ in 0..2 {
        world.owner_a(convert, json!({"id": lead})).await.data();
    }
    let list = "{ commissions { nodes { id status eventType amount { amount } lead { id commissionPaid } explanation { sentence source } } } }";
    let found = world.owner_a(list, json!({})).await.data()["commissions"]["nodes"].clone();
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!((&found[0]["status"], &found[0]["amount"]["amount"]), (&json!("PENDING"), &json!("100.00")));
    assert_eq!(
        found[0]["explanation"]["sentence"],
        "10% of 1000, by the rate at which the lead was sent, for a deal of 1000.00 USD: 100.00 USD."
    );
    let change = "mutation ($id: ID!) { updateLead(input: { id: $id, commission: \"5\" }) { userErrors { code message } } }";
    assert_eq!(
        world.operator(change, json!({"id": lead})).await.data()["updateLead"]["userErrors"][0]["code"],
        "INVALID_TRANSITION"
    );
    world.decide("approveCommissions", &[&found[0]["id"]], false).await;
    world.pay_out(&world.batch(world.a).await["payout"]["id"].clone()).await;
    assert_eq!(world.owner_a(list, json!({})).await.data()["commissions"]["nodes"][0]["lead"]["commissionPaid"], true);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A lead that converts before anybody knows what it is worth is owed once an operator says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_of_unknown_worth() {
    let world = World::new().await;
    let create = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id } } }";
    let lead = world.owner_a(create, json!({})).await.data()["createLead"]["lead"]["id"].clone();
    let convert = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONVERTED }) { userErrors { code } } }";
    world.owner_a(convert, json!({"id": lead})).await.data();
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, 0);
    let value =
        "mutation ($id: ID!, $value: Decimal) { updateLead(input: { id: $id, dealValue: $value }) { userErrors { code } } }";
    assert_eq!(
        world.owner_a(value, json!({"id": lead, "value": "900"})).await.data()["updateLead"]["userErrors"][0]["code"],
        "INVALID_TRANSITION"
    );
    for (value_given, errors) in [("500", 0), ("900", 1)] {
        let answer = world.operator(value, json!({"id": lead, "value": value_given})).await;
        assert_eq!(answer.data()["updateLead"]["userErrors"].as_array().map(Vec::len), Some(errors));
    }
    assert_eq!(world.balances(world.a).await, ["50.00", "0.00", "0.00", "0.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An operator corrects in either direction, with a reason; a key makes it once, and means one thing only.
#[tokio::test(flavor = "multi_thread")]
async fn adjustments() {
    let world = World::new().await;
    let first = world.adjust(world.a, "20.00", Some("k1")).await;
    assert_eq!(
        (amount(&first), &first["commission"]["status"], &first["commission"]["notes"]),
        ("20.00", &json!("APPROVED"), &json!("Goodwill"))
    );
    let again = world.adjust(world.a, "20.00", Some("k1")).await;
    assert_eq!((&again["replayed"], &again["commission"]["id"]), (&json!(true), &first["commission"]["id"]));
    assert_eq!(fault(&world.adjust(world.a, "21.00", Some("k1")).await), ("KEY_REUSED", "amount"));
    assert_eq!(fault(&world.adjust(world.b, "20.00", Some("k1")).await), ("KEY_REUSED", "partnerId"));
    assert_eq!(amount(&world.adjust(world.a, "-25.00", None).await), "-25.00");
    assert_eq!(fault(&world.adjust(world.a, "0", None).await), ("OUT_OF_RANGE", "amount"));
    assert_eq!(fault(&world.adjust(world.g, "1.00", None).await), ("NOT_FOUND", "partnerId"));
    assert_eq!(world.balances(world.a).await[1], "-5.00");
    let at_once = join_all((0..12).map(|_| world.adjust(world.b, "1.00", Some("k2")))).await;
    assert_eq!(at_once.iter().filter(|payload| payload["replayed"] == json!(false)).count(), 1);
    let both = join_all([world.a, world.b].map(|partner| world.adjust(partner, "2.00", Some("k3")))).await;
    assert_eq!(both.iter().filter(|payload| payload["userErrors"] == json!([])).count(), 1, "{both:?}");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Decisions are taken for each id on its own, or for all or none where that is asked; a repeated one changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn decisions() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    let now = world.app.clock.now().to_rfc3339();
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(world.pay(&format!("inv_{number}"), "cus_1", "100.00", &now).await["commission"]["id"].clone());
    }
    let missing = json!(partner_portal::ids::CommissionId::new().to_string());
    let none = world.decide("approveCommissions", &[&ids[0], &missing], true).await;
    assert_eq!((&none[0]["commission"]["status"], &none[1]["userError"]["code"]), (&json!("PENDING"), &json!("NOT_FOUND")));
    assert_eq!(none[0]["userError"]["code"], "INVALID_TRANSITION");
    let each = world.decide("approveCommissions", &[&ids[0], &missing], false).await;
    assert_eq!((&each[0]["commission"]["status"], &each[1]["userError"]["code"]), (&json!("APPROVED"), &json!("NOT_FOUND")));
    let again = world.decide("approveCommissions", &[&ids[0], &ids[0]], false).await;
    assert_eq!((&again[0]["userError"], &again[1]["userError"]), (&Value::Null, &Value::Null));
    world.decide("rejectCommissions", &[&ids[0], &ids[1]], true).await;
    assert_eq!(world.balances(world.a).await, ["10.00", "0.00", "0.00", "0.00"]);
    let late = world.decide("approveCommissions", &[&ids[1]], false).await;
    assert_eq!(late[0]["userError"]["message"], "It is REJECTED, which is final.");
    let answer =
        world.operator("mutation { approveCommissions(input: { ids: [] }) { userErrors { code field } } }", json!({})).await;
    assert_eq!(answer.data()["approveCommissions"]["userErrors"][0], json!({"code": "OUT_OF_RANGE", "field": ["input", "ids"]}));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A tenant whose work fails keeps no other from its own, and nothing of the failed work stays.
#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_does_not_hinder_another() {
    let world = World::new().await;
    world.sql("UPDATE tenants SET commission_hold_days = 7").await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", &world.app.clock.now().to_rfc3339()).await;
    let service = crate::support::tokens::staff_token("service", GLOBEX);
    for mutation in [
        "upsertCustomer(input: { externalId: \"cus_g\", name: \"G\" }) { userErrors { message } }".to_owned(),
        format!(
            "recordInvoicePayment(input: {{ invoiceId: \"inv_g\", customerExternalId: \"cus_g\", amount: \"5000\", paidAt: \"{}\" }}) {{ userErrors {{ message }} }}",
            world.app.clock.now().to_rfc3339()
        ),
    ] {
        if mutation.starts_with("record") {
            world
                .sql(&format!(
                    "INSERT INTO partner_accounts (tenant_id, id, partner_id, customer_id, managed_from)
                     SELECT tenant_id, gen_random_uuid(), '{}', id, '2020-01-01' FROM customers WHERE external_id = 'cus_g'",
                    world.g.uuid()
                ))
                .await;
        }
        world.run(&service, &format!("mutation {{ {mutation} }}"), json!({})).await.data();
    }
    world.app.clock.advance(TimeDelta::days(7) + TimeDelta::seconds(1));
    // Whichever comes first: one of them fails, after its commission was approved and before that was posted.
    for (failing, working) in [(world.acme, world.globex), (world.globex, world.acme)] {
        let pending = |tenant: partner_portal::ids::TenantId| {
            format!("SELECT count(*) FROM partner_commission_events WHERE status = 'pending' AND tenant_id = '{}'", tenant.uuid())
        };
        world
            .sql(&format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
                 CREATE TRIGGER refuse BEFORE INSERT ON transfers FOR EACH ROW WHEN (NEW.tenant_id = '{}') EXECUTE FUNCTION refuse()",
                failing.uuid()
            ))
            .await;
        let before = world.number(&pending(failing)).await;
        let _ = jobs::run(&world.app.pool, &world.app.clock).await;
        assert_eq!((world.number(&pending(failing)).await, world.number(&pending(working)).await), (before, 0));
        world.sql("DROP TRIGGER refuse ON transfers; DROP FUNCTION refuse").await;
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A held commission is approved by itself when its time has come, with what takes it back, by one server at a time.
#[tokio::test(flavor = "multi_thread")]
async fn holding() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    let set = "mutation { updateTenantSettings(input: { commissionHoldDays: 14 }) { tenant { commissionHoldDays } userErrors { code } } }";
    assert_eq!(world.operator(set, json!({})).await.data()["updateTenantSettings"]["tenant"]["commissionHoldDays"], 14);
    let wrong = "mutation { updateTenantSettings(input: { commissionHoldDays: 15 }) { userErrors { code field } } }";
    assert_eq!(world.operator(wrong, json!({})).await.data()["updateTenantSettings"]["userErrors"][0]["code"], "OUT_OF_RANGE");
    let now = world.app.clock.now();
    assert_eq!(world.pay("inv_0", "cus_1", "50.00", "2026-01-01T00:00:00Z").await["commission"]["status"], "APPROVED");
    assert!(world.pay("inv_1", "cus_1", "100.00", &now.to_rfc3339()).await["commission"]["dueAt"].is_string());
    world.refund("inv_1", "30.00").await;
    assert_eq!(jobs::run(&world.app.pool, &world.app.clock).await.expect("nothing due"), Some(Done::default()));
    world.app.clock.advance(TimeDelta::days(14) + TimeDelta::seconds(1));
    let runs = join_all((0..4).map(|_| jobs::run(&world.app.pool, &world.app.clock))).await;
    assert_eq!(runs.into_iter().filter_map(|run| run.expect("done")).map(|done| done.approved).sum::<usize>(), 2);
    // The clock is ahead of every token by now.
    let payable = "SELECT (balance * 100)::bigint FROM accounts WHERE kind = 'payable'";
    assert_eq!(world.number(payable).await, 1_200);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A customer has one partner at a time, by the API and by PostgreSQL itself; releasing and assigning again is kept in its accounts.
#[tokio::test(flavor = "multi_thread")]
async fn one_partner_at_a_time() {
    let world = World::new().await;
    let customer = world.customer("cus_1", world.a).await;
    let assign = "mutation ($id: ID!, $partner: ID!, $from: DateTime) { assignCustomer(input: { customerId: $id, partnerId: $partner, from: $from }) { customer { partner { id } } userErrors { code field } } }";
    let to_b = |from: &str| json!({"id": customer, "partner": world.b.to_string(), "from": from});
    let taken = world.operator(assign, to_b("2026-05-01T00:00:00Z")).await;
    assert_eq!(taken.data()["assignCustomer"]["userErrors"][0], json!({"code": "TAKEN", "field": ["input", "customerId"]}));
    let release = "mutation ($id: ID!) { releaseCustomer(input: { customerId: $id, at: \"2026-05-01T00:00:00Z\" }) { customer { partner { id } accounts { managedTo } } userErrors { code } } }";
    for _ in 0..2 {
        let answer = world.service(release, json!({"id": customer})).await;
        assert_eq!(answer.data()["releaseCustomer"]["customer"]["accounts"], json!([{"managedTo": "2026-05-01T00:00:00Z"}]));
    }
    let early = world.operator(assign, to_b("2026-04-01T00:00:00Z")).await;
    assert_eq!(early.data()["assignCustomer"]["userErrors"][0]["code"], "OUT_OF_RANGE");
    let answers = join_all((0..6).map(|_| world.operator(assign, to_b("2026-05-01T00:00:00Z")))).await;
    assert!(answers.iter().any(|answer| answer.data()["assignCustomer"]["customer"]["partner"]["id"] == world.b.to_string()));
    assert_eq!(world.number("SELECT count(*) FROM partner_accounts").await, 2);
    world.pay("inv_1", "cus_1", "100.00", "2026-04-30T23:59:59Z").await;
    world.pay("inv_2", "cus_1", "100.00", "2026-05-01T00:00:00Z").await;
    assert_eq!((world.balances(world.a).await[1].as_str(), world.balances(world.b).await[1].as_str()), ("10.00", "10.00"));
    let gone = world.owner_a("{ customers { nodes { externalId partner { id } accounts { managedTo } } } }", json!({})).await;
    assert_eq!(
        gone.data()["customers"]["nodes"],
        json!([{"externalId": "cus_1", "partner": null, "accounts": [{"managedTo": "2026-05-01T00:00:00Z"}]}])
    );
    let overlap = format!(
        "INSERT INTO partner_accounts (tenant_id, id, partner_id, customer_id, managed_from) SELECT tenant_id, gen_random_uuid(), '{}', customer_id, '2026-05-02' FROM partner_accounts LIMIT 1",
        world.a.uuid()
    );
    assert!(diesel_async::SimpleAsyncConnection::batch_execute(&mut world.owner().await, &overlap).await.is_err());
}

/// Commissions are found by the customer who paid, by the invoice and by the payout that holds them.
#[tokio::test(flavor = "multi_thread")]
async fn commissions_are_found_by_what_made_them() {
    let world = World::new().await;
    let first = world.customer("cus_1", world.a).await;
    let other = world.customer("cus_2", world.b).await;
    for (invoice, customer) in [("inv_1", "cus_1"), ("inv_2", "cus_1"), ("inv_3", "cus_2")] {
        world.pay(invoice, customer, "100.00", "2026-06-15T12:00:00Z").await;
    }
    world.refund("inv_1", "10.00").await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    let query = "query ($filter: CommissionFilter) { commissions(filter: $filter) { totalCount nodes { invoiceId eventType } } }";
    for (filter, operators, owners) in [
        (json!({"customerId": first}), 3, 3),
        (json!({"customerId": other}), 1, 0),
        (json!({"invoiceId": "inv_1"}), 1, 1),
        (json!({"invoiceId": "inv_3"}), 1, 0),
        (json!({"payoutId": payout}), 3, 3),
        (json!({"payoutId": payout, "invoiceId": "inv_2"}), 1, 1),
    ] {
        for (answer, expected) in [
            (world.operator(query, json!({"filter": filter})).await, operators),
            (world.owner_a(query, json!({"filter": filter})).await, owners),
        ] {
            let found = &answer.data()["commissions"];
            assert_eq!(found["totalCount"], expected, "{filter}: {found}");
            assert_eq!(found["nodes"].as_array().map(Vec::len), Some(expected), "{filter}");
        }
    }
}
