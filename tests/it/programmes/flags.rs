//! Flags: what a person looks at before a commission by a link is paid.

use serde_json::{Value, json};

use crate::support::World;

async fn sign_up_and_pay(world: &World, customer: &str, email: &str, came: Value) -> Value {
    let mut report = json!({"customerExternalId": customer, "email": email, "occurredAt": "2026-06-01T00:00:00Z"});
    report.as_object_mut().expect("an object").extend(came.as_object().expect("an object").clone());
    assert_eq!(world.sign_up(report).await["userErrors"], json!([]));
    world.pay(&format!("inv_{customer}"), customer, "100.00", "2026-06-02T00:00:00Z").await["commission"].clone()
}

async fn flags(world: &World, commission: &Value) -> (Value, Vec<String>, Vec<String>) {
    let query = "query ($id: ID!) { commission(id: $id) { status flags { kind reason } } }";
    let found = world.operator(query, json!({"id": commission["id"]})).await.data()["commission"].clone();
    let texts = |field: &str| {
        let flags = found["flags"].as_array().expect("flags").iter();
        flags.map(|flag| flag[field].as_str().expect("a text").to_owned()).collect()
    };
    (found["status"].clone(), texts("kind"), texts("reason"))
}

/// A partner that buys by its own link, a customer that another partner has sent too, a click that was a program's: the commission waits for an operator,
/// however short the hold, who is told why and can look for such; the partner is not told. What is not suspicious is approved at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspicious_waits_for_a_person() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    let by_link = json!({"linkKey": link["key"]});
    let fine = sign_up_and_pay(&world, "fine", "ann@customer.example", by_link.clone()).await;
    assert_eq!(flags(&world, &fine).await, (json!("APPROVED"), vec![], vec![]));

    world.sql("UPDATE users SET email = 'Owner@partner.example' WHERE clerk_user_id = 'owner_a'").await;
    let own = sign_up_and_pay(&world, "own", "owner@PARTNER.example", by_link.clone()).await;
    let (status, kinds, reasons) = flags(&world, &own).await;
    assert_eq!((status, kinds), (json!("PENDING"), vec!["OWN_PURCHASE".to_owned()]));
    assert!(reasons[0].contains("owner@partner.example is that of somebody who earns by the link"), "{reasons:?}");

    let website = "mutation { updatePartnerProfile(input: { website: \"https://www.partner-site.example/shop\" }) { userErrors { code } } }";
    assert_eq!(world.owner_a(website, json!({})).await.data()["updatePartnerProfile"]["userErrors"], json!([]));
    let colleague = sign_up_and_pay(&world, "colleague", "bob@partner-site.example", by_link.clone()).await;
    assert!(
        flags(&world, &colleague).await.2[0].contains("partner-site.example, the website of a partner that earns by the link")
    );

    let lead = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"Shared@customer.example\", service: \"S\", dealValue: \"1\" }) { userErrors { code } } }";
    world.acme("owner_b", lead, json!({})).await.data();
    let shared = sign_up_and_pay(&world, "shared", "shared@customer.example", by_link.clone()).await;
    let (status, kinds, reasons) = flags(&world, &shared).await;
    assert_eq!((status, kinds), (json!("PENDING"), vec!["OTHER_PARTNER".to_owned()]));
    assert!(reasons[0].starts_with(&world.b.to_string()), "{reasons:?}");

    let at = "2026-05-31T00:00:00Z".parse().expect("an instant");
    let click = world.click_at(&link, at).await;
    world.sql("UPDATE link_clicks SET is_bot = true").await;
    let program = sign_up_and_pay(&world, "program", "carl@customer.example", json!({"clickId": click})).await;
    assert_eq!(flags(&world, &program).await.1, ["NO_PERSON"]);
    world.sql("UPDATE link_clicks SET is_bot = false").await;

    // They stay pending when the hold is over; an operator finds them and decides.
    partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    let list = "query ($flag: [CommissionFlagKind!]) { commissions(filter: { flag: $flag, status: [PENDING] }) { totalCount nodes { flags { kind } } } }";
    let all = json!({"flag": ["OWN_PURCHASE", "OTHER_PARTNER", "NO_PERSON"]});
    assert_eq!(world.operator(list, all.clone()).await.data()["commissions"]["totalCount"], 4);
    let approved = world.decide("approveCommissions", &[&own["id"]], false).await;
    assert_eq!(approved[0]["commission"]["status"], "APPROVED");
    assert_eq!(flags(&world, &own).await.0, "APPROVED");
    // The partner sees that they are pending, and not why.
    assert_eq!(world.owner_a(list, all).await.data()["commissions"]["totalCount"], 0);
    let seen =
        world.owner_a("{ commissions { nodes { status flags { kind } } } }", json!({})).await.data()["commissions"]["nodes"]
            .clone();
    assert_eq!(seen.as_array().map(Vec::len), Some(5));
    assert!(seen.as_array().expect("rows").iter().all(|row| row["flags"] == json!([])), "{seen}");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What another partner sends while a commission is held is found when it would be approved by time: it, and every part of it, waits for a person from then
/// on. What has nothing to be looked at is approved.
#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_while_it_is_held() {
    let world = World::new().await;
    world.sql("UPDATE tenants SET commission_hold_days = 90").await;
    let shared = json!({"url": "https://example.com/", "split": [{"partnerId": world.b.to_string(), "share": "0.5"}]});
    let shared = world.create_link("owner_a", shared).await["link"].clone();
    let plain = world.link("https://example.com/plain").await;
    let now = world.app.clock.now().to_rfc3339();
    let mut paid = Vec::new();
    for (customer, link) in [("late", &shared), ("fine", &plain)] {
        let email = format!("{customer}@customer.example");
        let report = json!({"customerExternalId": customer, "email": email, "occurredAt": now, "linkKey": link["key"]});
        assert_eq!(world.sign_up(report).await["outcome"], "ATTRIBUTED");
        paid.push(world.pay(&format!("inv_{customer}"), customer, "100.00", &now).await["commission"].clone());
    }
    let [late, fine] = &paid[..] else { unreachable!("two payments") };
    assert_eq!(flags(&world, late).await, (json!("PENDING"), vec![], vec![]));
    let lead = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"late@customer.example\", service: \"S\", dealValue: \"1\" }) { userErrors { code } } }";
    world.acme("owner_b", lead, json!({})).await.data();
    world.sql("UPDATE partner_commission_events SET due_at = now() - interval '1 minute'").await;
    for _ in 0..2 {
        partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    }
    assert_eq!(flags(&world, fine).await.0, "APPROVED");
    let (status, kinds, _) = flags(&world, late).await;
    assert_eq!((status, kinds), (json!("PENDING"), vec!["OTHER_PARTNER".to_owned()]));
    let parts = "(SELECT count(*) FROM partner_commission_events e JOIN commission_flags f ON f.commission_id = e.id WHERE e.status = 'pending' AND e.due_at IS NULL)";
    assert_eq!(world.number(parts).await, 2);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A sale by a click that was one of a burst without people waits for a person, who is told how many clicks there were and how many people; a sale out
/// of a crowd of people does not. So does a sale to somebody who has a share of the link.
#[tokio::test(flavor = "multi_thread")]
async fn bursts_without_people_and_sharers_who_buy() {
    let world = World::new().await;
    let at = "2026-05-31T00:00:00Z".parse().expect("an instant");
    for (name, others_are_people) in [("burst", false), ("crowd", true)] {
        let link = world.link(&format!("https://example.com/{name}")).await;
        for _ in 0..49 {
            world.click_at(&link, at).await;
        }
        let id = link["id"].as_str().expect("an id").parse::<partner_portal::ids::LinkId>().expect("an id").uuid();
        let repeats = if others_are_people { 0 } else { 46 };
        world.sql(&format!("UPDATE link_clicks SET is_repeat = true WHERE id IN (SELECT id FROM link_clicks WHERE link_id = '{id}' ORDER BY id LIMIT {repeats})")).await;
        let click = world.click_at(&link, at + chrono::TimeDelta::minutes(29)).await;
        let paid = sign_up_and_pay(&world, name, &format!("{name}@customer.example"), json!({"clickId": click})).await;
        let (status, kinds, reasons) = flags(&world, &paid).await;
        if others_are_people {
            assert_eq!((status, kinds), (json!("APPROVED"), vec![]));
        } else {
            assert_eq!((status, kinds), (json!("PENDING"), vec!["NO_PERSON".to_owned()]));
            assert_eq!(
                reasons,
                [
                    "Of the 50 clicks on the link around the customer's, figures count 4: the others are those of programs, prefetches and repeats."
                ]
            );
        }
    }
    world.sql("UPDATE users SET email = 'sharer@partner.example' WHERE clerk_user_id = 'owner_b'").await;
    let shared = json!({"url": "https://example.com/shared", "split": [{"partnerId": world.b.to_string(), "share": "0.5"}]});
    let shared = world.create_link("owner_a", shared).await["link"].clone();
    let own = sign_up_and_pay(&world, "own", "sharer@partner.example", json!({"linkKey": shared["key"]})).await;
    assert_eq!(flags(&world, &own).await.1, ["OWN_PURCHASE"]);
    let waiting = "(SELECT count(*) FROM partner_commission_events e JOIN commission_flags f ON f.commission_id = e.id WHERE f.kind = 'own_purchase' AND e.status = 'pending')";
    assert_eq!(world.number(waiting).await, 2, "the commission and the other's part of it");
}
