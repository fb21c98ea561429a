//! Links that a partner shares with others: who gets which part of a commission, how it explains itself, and what a refund takes back of it.

use futures_util::future::join_all;
use partner_portal::ids::PartnerId;
use serde_json::{Value, json};

use crate::support::{World, tokens::staff_token, world::ACME};

const PARTS: &str = "{ commissions(orderBy: { field: EVENT_DATE, direction: ASC }) { nodes { eventType status amount { amount }
    link { id } customer { id } rule: explanation { sentence amount { amount } } split { share whole { amount } of { id } } reversals { amount { amount } } } } }";

/// Another partner of Acme's, with its owner `owner_<name>`.
async fn partner(world: &World, name: &str) -> PartnerId {
    let (tenant, id) = (world.acme.uuid(), PartnerId::new());
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate, clerk_org_id) VALUES ('{tenant}', '{0}', 'Partner {name}', 'active', 0.1, 'org_{name}');
             INSERT INTO partner_profiles (tenant_id, partner_id) VALUES ('{tenant}', '{0}')",
            id.uuid()
        ))
        .await;
    world.add_user(world.acme, id, &format!("owner_{name}"), "owner").await;
    id
}

fn shared(url: &str, shares: &[(PartnerId, &str)]) -> Value {
    let split: Vec<Value> =
        shares.iter().map(|(partner, share)| json!({"partnerId": partner.to_string(), "share": share})).collect();
    json!({"url": url, "split": split})
}

async fn seen(world: &World, subject: &str) -> Value {
    world.acme(subject, PARTS, json!({})).await.data()["commissions"]["nodes"].clone()
}

/// The amounts of all commissions, by partner in the order of `of`.
async fn amounts(world: &World, of: &[PartnerId], condition: &str) -> Vec<String> {
    let mut found = Vec::new();
    for partner in of {
        let sum = format!(
            "SELECT sum(amount)::numeric(19,2) FROM partner_commission_events WHERE partner_id = '{}' AND {condition}",
            partner.uuid()
        );
        found.push(world.text(&format!("({sum})")).await);
    }
    found
}

/// A commission of a shared link is in parts that sum to the whole, by the largest remainder, and a refund takes back its share of each: all of all
/// at the end. Each partner sees its own part, with what it is a part of.
#[tokio::test(flavor = "multi_thread")]
async fn parts_sum_to_the_whole_and_go_back_in_proportion() {
    let world = World::new().await;
    let (c, d) = (partner(&world, "c").await, partner(&world, "d").await);
    let all = [world.a, world.b, c, d];
    let link =
        world.create_link("owner_a", shared("https://example.com/", &[(d, "0.3333"), (world.b, "0.3333"), (c, "0.0001")])).await;
    let link = link["link"].clone();
    let query = "query ($id: ID!) { link(id: $id) { split { partnerId partner { id } share } } }";
    let own = world.owner_a(query, json!({"id": link["id"]})).await.data()["link"]["split"].clone();
    let mut expected = vec![(world.b, "0.3333"), (c, "0.0001"), (d, "0.3333")];
    expected.sort_by_key(|(partner, _)| *partner);
    let share = |(partner, share): (PartnerId, &str)| json!({"partnerId": partner.to_string(), "partner": null, "share": share});
    assert_eq!(own, json!(expected.into_iter().map(share).collect::<Vec<_>>()));
    assert_eq!(world.acme("owner_b", query, json!({"id": link["id"]})).await.data()["link"], Value::Null);

    world.sign_up(json!({"customerExternalId": "cus", "linkKey": link["key"], "occurredAt": "2026-11-01T00:00:00Z"})).await;
    // A tenth is 10.01: 3.336333 and 3.336333 are cut off by more than 0.001001 and 3.336333 of the owner's are.
    let booked = world.pay("inv", "cus", "100.10", "2026-11-02T00:00:00Z").await;
    assert_eq!(booked["commission"]["amount"]["amount"], "3.34");
    assert_eq!(amounts(&world, &all, "event_type IN ('invoice_payment', 'split')").await, ["3.34", "3.34", "0.00", "3.33"]);
    let of_b = seen(&world, "owner_b").await;
    let sentence = "10% of 100.1, by the partner's default rate, for a payment of 100.10 USD: 10.01 USD. Of that, 33.33%, as the link is shared: 3.34 USD.";
    assert_eq!(
        of_b,
        json!([{"eventType": "SPLIT", "status": "APPROVED", "amount": {"amount": "3.34"}, "link": null, "customer": null,
            "rule": {"sentence": sentence, "amount": {"amount": "3.34"}},
            "split": {"share": "0.3333", "whole": {"amount": "10.01"}, "of": null}, "reversals": []}])
    );
    let of_a = seen(&world, "owner_a").await;
    assert_eq!(
        of_a[0]["split"],
        json!({"share": "0.3333", "whole": {"amount": "10.01"}, "of": {"id": booked["commission"]["id"]}})
    );
    assert_eq!(of_a.as_array().map(Vec::len), Some(1));
    // What is earned by the link is what its partner earns.
    let figures = "query ($id: ID!) { link(id: $id) { figures { sales earnings { amount } saleAmount { amount } } } }";
    let figures = world.owner_a(figures, json!({"id": link["id"]})).await.data()["link"]["figures"].clone();
    assert_eq!(figures, json!({"sales": 1, "earnings": {"amount": "3.34"}, "saleAmount": {"amount": "100.10"}}));

    world.refund_at("inv", "50.05", "2026-11-03T00:00:00Z").await;
    assert_eq!(amounts(&world, &all, "event_type = 'refund'").await, ["-1.67", "-1.67", "", "-1.66"]);
    assert_eq!(seen(&world, "owner_b").await[0]["reversals"], json!([{"amount": {"amount": "-1.67"}}]));
    assert_eq!(world.broken_rules().await, [""; 0]);
    world.refund_at("inv", "100.10", "2026-11-04T00:00:00Z").await;
    assert_eq!(amounts(&world, &all, "true").await, ["0.00", "0.00", "0.00", "0.00"]);
    // A refund that is reported before its payment is taken off each part at once.
    world.refund_at("early", "100.10", "2026-11-04T00:00:00Z").await;
    world.pay("early", "cus", "100.10", "2026-11-03T00:00:00Z").await;
    assert_eq!(amounts(&world, &all, "true").await, ["0.00", "0.00", "0.00", "0.00"]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// The part of a partner that is not at work waits for an operator; a closed one has none, and the link's partner has it. Flags are on all parts,
/// and each is decided by itself.
#[tokio::test(flavor = "multi_thread")]
async fn parts_follow_their_partners() {
    let world = World::new().await;
    let (c, d) = (partner(&world, "c").await, partner(&world, "d").await);
    let link =
        world.create_link("owner_a", shared("https://example.com/", &[(world.b, "0.5"), (c, "0.2"), (d, "0.1")])).await["link"]
            .clone();
    world.sign_up(json!({"customerExternalId": "cus", "linkKey": link["key"], "occurredAt": "2026-11-01T00:00:00Z"})).await;
    for (partner, status) in [(c, "SUSPENDED"), (d, "CLOSED")] {
        let query = "mutation ($id: ID!, $status: PartnerStatus!) { changePartnerStatus(input: { id: $id, status: $status }) { userErrors { message } } }";
        let done = world.operator(query, json!({"id": partner.to_string(), "status": status})).await;
        assert_eq!(done.data()["changePartnerStatus"]["userErrors"], json!([]));
    }
    world.pay("inv", "cus", "100.00", "2026-11-02T00:00:00Z").await;
    assert_eq!(amounts(&world, &[world.a, world.b, c, d], "status = 'approved'").await, ["3.00", "5.00", "", ""]);
    assert_eq!(amounts(&world, &[world.a, world.b, c, d], "status = 'pending'").await, ["", "", "2.00", ""]);
    world.sql("UPDATE users SET email = 'me@own.example' WHERE clerk_user_id = 'owner_a'").await;
    world.sign_up(json!({"customerExternalId": "own", "linkKey": link["key"], "email": "me@own.example", "occurredAt": "2026-11-01T00:00:00Z"})).await;
    world.pay("own", "own", "100.00", "2026-11-02T00:00:00Z").await;
    let flagged = "{ commissions(filter: { flag: [OWN_PURCHASE] }) { nodes { id eventType status } } }";
    let flagged = world.operator(flagged, json!({})).await.data()["commissions"]["nodes"].clone();
    let flagged = flagged.as_array().expect("a list");
    assert_eq!(flagged.len(), 3);
    assert!(flagged.iter().all(|row| row["status"] == "PENDING"));
    let ids: Vec<&Value> = flagged.iter().filter(|row| row["eventType"] == "SPLIT").map(|row| &row["id"]).collect();
    world.decide("rejectCommissions", &ids, false).await;
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What cannot be a split is told, and nothing is made; a split is of the link for good.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shared() {
    let world = World::new().await;
    let c = partner(&world, "c").await;
    let many: Vec<(PartnerId, &str)> = (0..6).map(|_| (PartnerId::new(), "0.1")).collect();
    for (shares, code) in [
        (vec![(world.a, "0.5")], "INVALID"),
        (vec![(world.b, "0.5"), (world.b, "0.1")], "INVALID"),
        (vec![(world.b, "0.5"), (c, "0.5")], "OUT_OF_RANGE"),
        (vec![(world.b, "0")], "OUT_OF_RANGE"),
        (vec![(world.b, "-0.1")], "OUT_OF_RANGE"),
        (vec![(world.b, "1.5")], "OUT_OF_RANGE"),
        (vec![(world.b, "0.00001")], "INVALID"),
        (vec![(PartnerId::new(), "0.5")], "NOT_FOUND"),
        // Of another tenant.
        (vec![(world.g, "0.5")], "NOT_FOUND"),
        (many, "OUT_OF_RANGE"),
    ] {
        let made = world.create_link("owner_a", shared("https://example.com/", &shares)).await;
        assert_eq!((&made["link"], &made["userErrors"][0]["code"]), (&Value::Null, &json!(code)), "{shares:?}");
        assert_eq!(made["userErrors"][0]["field"], json!(["input", "split"]));
    }
    assert_eq!(world.number("SELECT count(*) FROM links").await + world.number("SELECT count(*) FROM link_shares").await, 0);
    let made = world.create_link("owner_a", shared("https://example.com/", &[(world.b, "0.5")])).await;
    let again = world.create_link("owner_a", shared("https://example.com/", &[(world.b, "0.50")])).await;
    assert_eq!((&again["link"]["id"], &again["replayed"]), (&made["link"]["id"], &json!(true)));
    let plain = world.create_link("owner_a", json!({"url": "https://example.com/"})).await;
    assert_eq!(plain["replayed"], true);
    for other in [shared("https://example.com/", &[(world.b, "0.4")]), shared("https://example.com/", &[])] {
        let refused = world.create_link("owner_a", other).await["userErrors"][0].clone();
        assert_eq!((&refused["code"], &refused["field"]), (&json!("TAKEN"), &json!(["input", "split"])));
        assert!(
            refused["message"].as_str().is_some_and(|message| message.contains(&format!("“0.5 of {}”", world.b))),
            "{refused}"
        );
    }
}

/// Links that two partners share with each other, paid and refunded by many at once: nobody waits in a circle, and the books are right.
#[tokio::test(flavor = "multi_thread")]
async fn shared_both_ways_at_once() {
    let world = World::new().await;
    let (of_a, of_b) = (
        world.create_link("owner_a", shared("https://example.com/", &[(world.b, "0.4")])).await["link"].clone(),
        world.create_link("owner_b", shared("https://example.com/", &[(world.a, "0.7")])).await["link"].clone(),
    );
    for (customer, link) in [("ca", &of_a), ("cb", &of_b)] {
        world
            .sign_up(json!({"customerExternalId": customer, "linkKey": link["key"], "occurredAt": "2026-11-01T00:00:00Z"}))
            .await;
    }
    let service = staff_token("service", ACME);
    let pay = "mutation ($input: RecordInvoicePaymentInput!) { recordInvoicePayment(input: $input) { userErrors { code } } }";
    let refund = "mutation ($input: RecordRefundInput!) { recordRefund(input: $input) { userErrors { code } } }";
    let all = (0..24).map(async |number: i32| {
        let (invoice, customer) = (format!("inv_{}", number / 2), if number / 2 % 2 == 0 { "ca" } else { "cb" });
        let answer = if number % 2 == 0 {
            let input = json!({"invoiceId": invoice, "customerExternalId": customer, "amount": "33.33", "currency": "USD", "paidAt": "2026-11-02T00:00:00Z"});
            world.run(&service, pay, json!({"input": input})).await
        } else {
            let input = json!({"invoiceId": invoice, "refundedAmount": "11.11", "currency": "USD", "refundedAt": "2026-11-03T00:00:00Z"});
            world.run(&service, refund, json!({"input": input})).await
        };
        assert!(answer.body.get("errors").is_none(), "{}", answer.body);
    });
    join_all(all).await;
    assert_eq!(world.broken_rules().await, [""; 0]);
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events WHERE event_type = 'split'").await, 12);
}
