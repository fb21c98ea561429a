//! What an erasure meets at its edges: other operators, what comes late, and how people write.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use futures_util::future::{join, join_all};
use partner_portal::models::webhooks::source::WebhookSourceKind;
use serde_json::{Value, json};

use super::person::{ADDRESS, NAMES, bearer, erase, found};
use crate::{
    support::{
        World, sign,
        tokens::good_claims,
        world::{ACME, keyed},
    },
    webhooks::{
        done,
        incoming::{Source, apply},
        tried,
    },
};

async fn lead(world: &World, name: &str, email: &str) -> Value {
    let input = keyed(
        json!({"partnerId": world.a.to_string(), "clientName": name, "clientEmail": email, "service": "Plan", "dealValue": "100.00"}),
    );
    done(world, "createLead", input, "lead { id }").await["lead"]["id"].clone()
}

/// An operator's session token.
fn operator(subject: &str) -> String {
    let mut claims = good_claims(subject, ACME);
    claims["metadata"] = json!({"role": "operator"});
    sign(&claims)
}

/// Of two operators who erase each other at once, one stays.
#[tokio::test(flavor = "multi_thread")]
async fn operators_erase_each_other() {
    let world = World::with_pool(4).await;
    for turn in 0..5 {
        let tokens = [operator(&format!("one_{turn}")), operator(&format!("two_{turn}"))];
        let mut ids = Vec::new();
        for token in &tokens {
            ids.push(world.run(token, "{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone());
        }
        let query = "mutation ($id: ID!) { erasePerson(input: { id: $id, reason: \"R\" }) { pseudonym userErrors { message } } }";
        let (one, two) =
            join(world.run(&tokens[0], query, json!({"id": ids[1]})), world.run(&tokens[1], query, json!({"id": ids[0]}))).await;
        let done = [&one, &two].iter().filter(|answer| answer.body["data"]["erasePerson"]["pseudonym"].is_string()).count();
        assert_eq!(done, 1, "{} {}", one.body, two.body);
    }
}

/// However many are to be erased at once, others are answered: who waits for their turn takes no connection.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_takes_no_connection() {
    let world = World::with_pool(4).await;
    let leads: Vec<Value> = world.add_leads(world.acme, world.a, 8).await.iter().map(|lead| json!(lead.to_string())).collect();
    let mut elsewhere = world.owner().await;
    let turn = format!("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('erase_person {}', 0))", world.acme);
    elsewhere.batch_execute(&turn).await.expect("another server's turn");
    let erasing = join_all(leads.iter().map(|lead| erase(&world, lead, false)));
    let beside = async {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        for _ in 0..200 {
            if world.number(count).await > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Time for others to come to wait too, if they could.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let waiting = world.number(count).await;
        let answer = world.owner_a("{ me { user { id } } }", json!({})).await;
        elsewhere.batch_execute("ROLLBACK").await.expect("its end");
        (waiting, answer.data()["me"]["user"]["id"].is_string())
    };
    let (erased, beside) = join(erasing, beside).await;
    assert_eq!(beside, (1, true));
    assert!(erased.iter().all(|one| one["userErrors"] == json!([])), "{erased:?}");
}

/// Somebody who was erased is not let in again, and nobody comes in by an invitation of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_partner() {
    let world = World::new().await;
    let owner = world.add_user(world.acme, world.a, "owner_too", "owner").await.to_string();
    let query = "mutation { inviteUser(input: { email: \"new@example.com\", role: OWNER, idempotencyKey: \"FRESH_KEY\" }) { link { token } userErrors { message } } }";
    let token = world.acme("owner_too", query, json!({})).await.data()["inviteUser"]["link"]["token"].clone();
    assert_eq!(erase(&world, &json!(owner), false).await["userErrors"], json!([]));
    let restored = tried(&world, "restorePartnerUser", json!({"partnerId": world.a.to_string(), "userId": owner}), "").await;
    assert_eq!(
        (&restored["userErrors"][0]["code"], &restored["userErrors"][0]["field"]),
        (&json!("ERASED"), &json!(["input", "userId"]))
    );
    let query = "mutation ($token: String!) { acceptInvitation(input: { token: $token }) { partnerId userErrors { code } } }";
    let accepted = world.acme("stranger", query, json!({"token": token})).await.data()["acceptInvitation"].clone();
    assert_eq!(accepted["partnerId"], json!(null), "{accepted}");
}

/// What was used by address and reversed is about the member as well.
#[tokio::test(flavor = "multi_thread")]
async fn reversed_redemptions() {
    let world = World::new().await;
    let member = world.member(ADDRESS).await;
    done(&world, "updateMember", json!({"id": member, "firstName": "Wilhelmina", "lastName": "Quackenbush"}), "member { id }")
        .await;
    world.grant(world.a, 10, None).await;
    world.assign(&member, 4, 30, None).await;
    let redeemed = world.redeem("w.quackenbush@example.com", 1, "r1").await["redemption"]["id"].clone();
    let query = "mutation ($input: ReverseRedemptionInput!) { reverseRedemption(input: $input) { userErrors { message } } }";
    let input = keyed(json!({"redemptionId": redeemed, "reason": "Mrs. Quackenbush complained"}));
    assert_eq!(world.service(query, json!({"input": input})).await.data()["reverseRedemption"]["userErrors"], json!([]));
    let query = "query ($id: ID!) { exportPerson(id: $id) { rows { type recordId } } }";
    let export = world.operator(query, json!({"id": member})).await.data()["exportPerson"]["rows"].clone();
    assert!(export.as_array().expect("rows").contains(&json!({"type": "CreditRedemption", "recordId": redeemed})), "{export}");
    erase(&world, &json!(member), false).await;
    assert_eq!(found(&world, NAMES).await, "");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// However people write: with a surname alone, with signs around an address, in another form of Unicode, or without spaces.
#[tokio::test(flavor = "multi_thread")]
async fn as_people_write() {
    let world = World::new().await;
    let own = lead(&world, "Wilhelmina Quackenbush", ADDRESS).await;
    let other = lead(&world, "Somebody Else", "else@example.com").await;
    let notes = "...w.quackenbush@example.com, _w.quackenbush@example.com_, -w.quackenbush@example.com- <W.QUACKENBUSH@EXAMPLE.COM>. https://x/?m%3Aw.quackenbush%40example.com";
    done(&world, "updateLead", json!({"id": other, "notes": notes}), "lead { id }").await;
    done(&world, "updateLeadStatus", json!({"id": own, "status": "CONVERTED"}), "lead { id }").await;
    let commission = world.text("SELECT id::text AS text FROM partner_commission_events").await;
    let commission = partner_portal::ids::CommissionId::from(commission.parse::<uuid::Uuid>().expect("a UUID")).to_string();
    let query = "mutation ($id: ID!) { rejectCommissions(input: { ids: [$id], reason: \"Quackenbush cancelled, says WILHELMINA\" }) { userErrors { message } } }";
    assert_eq!(world.operator(query, json!({"id": commission})).await.data()["rejectCommissions"]["userErrors"], json!([]));
    done(
        &world,
        "moveLead",
        json!({"id": own, "partnerId": world.b.to_string(), "reason": "Quackenbush asked for it"}),
        "lead { id }",
    )
    .await;
    erase(&world, &own, false).await;
    assert_eq!(found(&world, NAMES).await, "");

    for (name, note) in [
        ("客户山田太郎", "和客户山田太郎说"),
        ("M\u{fc}ller-Stra\u{df}e", "Mu\u{308}ller-Stra\u{df}e, also MU\u{308}LLER-STRASSE"),
        ("\u{674e} \u{660e}", "\u{674e} \u{660e} said"),
    ] {
        let own = lead(&world, name, "n@example.com").await;
        done(&world, "updateLeadStatus", json!({"id": own, "status": "CONTACTED", "note": note}), "lead { id }").await;
        let erased = erase(&world, &own, false).await;
        let pseudonym = erased["pseudonym"].as_str().expect("a pseudonym").to_owned();
        let written = world
            .text("SELECT note AS text FROM lead_status_changes WHERE to_status = 'contacted' ORDER BY created_at DESC LIMIT 1")
            .await;
        assert!(
            written.contains(&pseudonym)
                && !written.contains("\u{308}")
                && !written.contains('\u{660e}')
                && !written.contains("山田"),
            "{name}: {written}"
        );
    }
}

/// What other services report of somebody after they were erased is kept no longer than until it is done with.
#[tokio::test(flavor = "multi_thread")]
async fn late_reports_are_forgotten() {
    let world = World::new().await;
    world.invited(ADDRESS).await;
    let user = world.run(&bearer(), "{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    let customer = world.customer("cus_1", world.a).await;
    let query = "mutation { upsertCustomer(input: { externalId: \"cus_1\", name: \"Wilhelmina Quackenbush\" }) { userErrors { message } } }";
    assert_eq!(world.service(query, json!({})).await.data()["upsertCustomer"]["userErrors"], json!([]));
    for id in [&user, &json!(customer)] {
        erase(&world, id, true).await;
    }
    let clerk = Source::new(&world, WebhookSourceKind::Clerk).await;
    let stripe = Source::new(&world, WebhookSourceKind::Stripe).await;
    let at = 1_790_000_000_000_i64;
    let said = json!({"id": "user_2wq", "first_name": "Wilhelmina", "updated_at": at, "email_addresses": [{"id": "e1", "email_address": "w.quackenbush@example.com"}]});
    clerk.send(&world, "msg_1", &json!({"type": "user.updated", "timestamp": at, "data": said})).await;
    let said =
        json!({"id": "cus_1", "object": "customer", "name": "Wilhelmina Quackenbush", "email": "w.quackenbush@example.com"});
    stripe
        .send(
            &world,
            "evt_1",
            &json!({"id": "evt_1", "type": "customer.updated", "created": 1_790_000_000, "data": {"object": said}}),
        )
        .await;
    apply(&world).await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_receipts WHERE status IN ('applied', 'ignored')").await, 2);
    assert_eq!(found(&world, NAMES).await, "");
}
