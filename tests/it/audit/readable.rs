//! What is recorded can be understood by somebody who reads it.

use futures_util::future::join_all;
use serde_json::json;

use super::trail::{field, of, seen, seen_by};
use crate::{
    support::{World, token, world::ACME},
    webhooks::done,
};

/// Each field of a change is named once, and what follows from others is not named.
#[tokio::test(flavor = "multi_thread")]
async fn each_field_once() {
    let world = World::new().await;
    world.link("https://shop.example.com/p").await;
    let entries = seen(&world, json!({})).await;
    let mut links = 0;
    for change in entries.iter().flat_map(|entry| entry["changes"].as_array().expect("changes")) {
        let names = change["fields"].as_array().expect("fields").iter().map(|field| field["name"].to_string());
        let mut names: Vec<String> = names.collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{change}");
        if change["subject"] == "Link" {
            links += 1;
            assert_eq!(field(change, "url").1, json!("https://shop.example.com/p"));
        }
    }
    assert_eq!(links, 1);
}

/// What has no id is named by its key, also where the key stays: a refund says of which sale it is.
#[tokio::test(flavor = "multi_thread")]
async fn named_by_its_key() {
    let world = World::new().await;
    let query = "mutation { upsertCustomer(input: { externalId: \"cus_1\", name: \"Buyer\" }) { userErrors { message } } }";
    world.service(query, json!({})).await.data();
    world.pay("inv_1", "cus_1", "100.00", "2026-06-15T12:00:00Z").await;
    world.refund("inv_1", "40.00").await;
    let [entry] = &seen(&world, json!({"action": ["recordRefund"]})).await[..] else { panic!("one entry") };
    let sale = of(entry, "Sale");
    assert_eq!(field(sale, "externalId"), (json!("inv_1"), json!("inv_1")));
    assert_eq!(field(sale, "refunded").1, json!("40.0000"));
}

/// Of changes that waited for one another the later comes later: each begins with what the one before it has left.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_order_of_changes() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let note = async |number: usize| {
        let input = json!({"id": lead, "notes": format!("note {number}")});
        done(&world, "updateLead", input, "lead { id }").await;
    };
    join_all((0..12).map(note)).await;
    let entries = seen(&world, json!({"subjectId": lead, "action": ["updateLead"]})).await;
    assert_eq!(entries.len(), 12);
    for pair in entries.windows(2) {
        let [later, earlier] = pair else { panic!("two") };
        assert_eq!(field(of(later, "Lead"), "notes").0, field(of(earlier, "Lead"), "notes").1);
    }
}

/// A partner's owner reads that somebody's access ended and that an invitation was revoked, also where that is because a person was erased.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_with_a_person() {
    let world = World::new().await;
    let user = world.text("SELECT id FROM users WHERE clerk_user_id = 'member_a'").await;
    let invitation = world.invited("friend@example.com").await;
    world.sql(&format!("UPDATE partner_invitations SET created_by = '{user}'")).await;
    let user = partner_portal::ids::UserId::from(user.parse::<uuid::Uuid>().expect("a UUID")).to_string();
    let input = json!({"id": user, "reason": "They asked for it"});
    done(&world, "erasePerson", input, "pseudonym").await;
    let [entry] = &seen_by(&world, &token("owner_a", ACME), json!({"action": ["erasePerson"]})).await[..] else {
        panic!("one entry")
    };
    let left = of(entry, "PartnerUser");
    assert_eq!((&left["subjectId"], field(left, "removedAt").0), (&json!(user), json!(null)));
    let revoked = of(entry, "Invitation");
    assert_eq!((&revoked["subjectId"], field(revoked, "revokedAt").0), (&json!(invitation), json!(null)));
}
