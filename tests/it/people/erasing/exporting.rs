//! What is kept of somebody, as they may ask to have it.

use partner_portal::db::session::{Act, AuditActor};
use serde_json::json;

use super::{erase, everywhere};
use crate::{
    support::{World, token, tokens::staff_token, world::ACME},
    webhooks::done,
};

/// What is kept of somebody is given to operators whole, and what was erased is in it no more.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept() {
    let world = World::new().await;
    let user = everywhere(&world).await;
    let query = "query ($id: ID!, $all: Boolean!) { exportPerson(id: $id, withSameAddress: $all) { people { kind recordId } sameAddress { kind recordId } isComplete
        rows { type recordId fields { name value } } } }";
    let export = async |all: bool| world.operator(query, json!({"id": user, "all": all})).await.data()["exportPerson"].clone();
    let alone = export(false).await;
    assert_eq!(alone["people"].as_array().map(Vec::len), Some(4), "{alone}");
    assert_eq!(alone["sameAddress"].as_array().map(Vec::len), Some(1));
    let whole = export(true).await;
    assert_eq!((whole["people"].as_array().map(Vec::len), &whole["isComplete"]), (Some(5), &json!(true)));
    let rows = whole["rows"].as_array().expect("rows");
    for kind in [
        "Lead",
        "LeadStatusChange",
        "PartnerMove",
        "Commission",
        "Member",
        "CreditAllocation",
        "CreditRedemption",
        "Customer",
        "CustomerAccount",
        "Sale",
        "User",
        "PartnerUser",
        "SignInRecord",
        "PartnerApplication",
        "PartnerProfile",
        "Invitation",
        "InviteCode",
        "ImportedRow",
        "AuditChange",
    ] {
        assert!(rows.iter().any(|row| row["type"] == kind), "no {kind}");
    }
    let lead = rows.iter().find(|row| row["type"] == "Lead").expect("a lead");
    let field = |name: &str| {
        lead["fields"].as_array().expect("fields").iter().find(|field| field["name"] == name).map(|field| field["value"].clone())
    };
    assert_eq!((field("clientName"), field("status")), (Some(json!("Wilhelmina Quackenbush")), Some(json!("CONVERTED"))));
    assert_eq!(field("partnerId"), Some(json!(world.b.to_string())));
    // Changes are in the words of the API.
    let changes: Vec<String> = rows.iter().filter(|row| row["type"] == "AuditChange").map(ToString::to_string).collect();
    assert!(changes.iter().any(|change| change.contains("clientEmail")), "{changes:?}");
    assert!(!changes.iter().any(|change| change.contains("client_email") || change.contains("_hash")), "{changes:?}");
    erase(&world, &user, true).await;
    let text = export(true).await.to_string().to_lowercase();
    assert!(!text.contains("quackenbush") && !text.contains("wilhelmina"), "{text}");
    // For operators alone.
    for (bearer, code) in [(token("owner_a", ACME), "FORBIDDEN"), (staff_token("service", ACME), "FORBIDDEN")] {
        assert_eq!(world.run(&bearer, query, json!({"id": user, "all": true})).await.code(), code);
    }
    assert_eq!(world.operator(query, json!({"id": "lead_x", "all": true})).await.data()["exportPerson"], json!(null));
}

/// As whom a partner is reached is about the person whose name or address it is: by the name alone, nothing but the name is given; and nothing of a colleague's.
#[tokio::test(flavor = "multi_thread")]
async fn contacts_of_partners() {
    let world = World::new().await;
    let user = world.text("SELECT id FROM users WHERE clerk_user_id = 'owner_a'").await;
    let colleague = world.text("SELECT id FROM users WHERE clerk_user_id = 'member_a'").await;
    world.sql(&format!("UPDATE users SET name = 'Ada Lovelace', email = 'ada@example.com' WHERE id = '{user}'")).await;
    let contact = async |name: &str, email: &str| {
        let input =
            json!({"partnerId": world.a.to_string(), "contactName": name, "contactEmail": email, "contactPhone": "030 123456"});
        done(&world, "updatePartnerProfile", input, "partner { id }").await;
    };
    let query = "query ($id: ID!) { exportPerson(id: $id) { rows { type fields { name value } } } }";
    let kept = async |user: &str| {
        let id = partner_portal::ids::UserId::from(user.parse::<uuid::Uuid>().expect("a UUID")).to_string();
        let rows = world.operator(query, json!({"id": id})).await.data()["exportPerson"]["rows"].clone();
        let profiles = rows.as_array().expect("rows").iter().filter(|row| row["type"] == "PartnerProfile");
        let fields = profiles.flat_map(|row| row["fields"].as_array().expect("fields").clone());
        fields.map(|field| format!("{}={}", field["name"], field["value"]).replace('"', "")).collect::<Vec<_>>()
    };
    let partner = format!("partnerId={}", world.a);
    contact("Dr. Ada Lovelace, Sales", "sales@example.com").await;
    assert_eq!(kept(&user).await, ["contactName=Dr. Ada Lovelace, Sales", &partner]);
    contact("Sales", "Ada@Example.com").await;
    assert_eq!(kept(&user).await, ["contactEmail=Ada@Example.com", "contactName=Sales", "contactPhone=030 123456", &partner]);
    assert_eq!(kept(&colleague).await, [""; 0]);
    // The same by an address that they had before, however it is written.
    let mut owner = world.owner().await;
    Act::new(AuditActor::Command, "tenant set").announce_for_connection(&owner).await.expect("announced");
    let moves = format!("UPDATE users SET email = 'lovelace@example.org' WHERE id = '{user}'");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut owner, &moves).await.expect("done");
    assert_eq!(kept(&user).await.len(), 4);
    contact("Sales", "sales@example.com").await;
    assert_eq!(kept(&user).await, [""; 0]);
}
