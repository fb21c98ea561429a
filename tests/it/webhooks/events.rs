//! What is sent, and when.

use std::collections::BTreeSet;

use partner_portal::models::webhooks::event::WebhookEventType;

use super::*;

/// A change is sent once it is made, as the API shows it: with the ids that `node` takes, amounts as texts, and a signature by the endpoint's secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_from_sending_to_paid() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let types = [
        "LEAD_CREATED",
        "LEAD_STATUS_CHANGED",
        "LEAD_UPDATED",
        "COMMISSION_CREATED",
        "COMMISSION_APPROVED",
        "COMMISSION_REJECTED",
    ];
    let (_, secret) = endpoint(&world, &receiver, &types).await;
    let id = lead(&world, "Ada").await;
    assert_eq!(send(&world).await, 1);
    let [message] = &receiver.received()[..] else { panic!("one message") };
    assert!(message.is_signed_by(&secret) && message.id.starts_with("whevent_"), "{message:?}");
    assert_eq!((&message.body["type"], &message.body["id"]), (&json!("lead.created"), &json!(message.id)));
    let data = &message.body["data"];
    assert_eq!((&data["id"], &data["partnerId"], &data["status"]), (&id, &json!(world.a.to_string()), &json!("PENDING")));
    let answer =
        world.operator("query ($id: ID!) { node(id: $id) { ... on Lead { createdAt updatedAt } } }", json!({"id": id})).await;
    assert_eq!(answer.data()["node"], json!({"createdAt": data["createdAt"], "updatedAt": data["updatedAt"]}));
    done(&world, "updateLead", json!({"id": id, "dealValue": "1250.5"}), "lead { id }").await;
    for status in ["CONTACTED", "QUALIFIED", "CONVERTED"] {
        done(&world, "updateLeadStatus", json!({"id": id, "status": status}), "lead { id }").await;
    }
    send(&world).await;
    let mut messages = receiver.received();
    messages.sort_by_key(|message| message.body["timestamp"].as_str().map(str::to_owned));
    let said: Vec<_> =
        messages.iter().map(|message| (message.body["type"].as_str().expect("a type"), &message.body["data"])).collect();
    let steps: Vec<_> = said
        .iter()
        .filter(|(kind, _)| *kind == "lead.status_changed")
        .map(|(_, data)| (&data["previousStatus"], &data["status"]))
        .collect();
    assert_eq!(
        steps,
        [
            (&json!("PENDING"), &json!("CONTACTED")),
            (&json!("CONTACTED"), &json!("QUALIFIED")),
            (&json!("QUALIFIED"), &json!("CONVERTED"))
        ]
    );
    let updated = said.iter().find(|(kind, _)| *kind == "lead.updated").expect("an update").1;
    assert_eq!((&updated["dealValue"], &updated["currency"]), (&json!("1250.50"), &json!("USD")));
    let earned = said.iter().find(|(kind, _)| *kind == "commission.created").expect("a commission").1;
    assert_eq!((&earned["amount"], &earned["eventType"], &earned["leadId"]), (&json!("125.05"), &json!("LEAD_CONVERSION"), &id));
}

/// What nobody wants to hear of is not written; what is undone is not sent; history that is moved in is no news.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent() {
    let world = World::new().await;
    lead(&world, "Before").await;
    let receiver = Receiver::start().await;
    endpoint(&world, &receiver, &["PAYOUT_CREATED", "LINK_CREATED", "COMMISSION_CREATED", "PARTNER_CREATED"]).await;
    lead(&world, "After").await;
    let row = format!(
        "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate) VALUES ('{}', gen_random_uuid(), 'N', 'active', 0.1)",
        world.acme.uuid()
    );
    world.sql(&format!("BEGIN; {row}; ROLLBACK")).await;
    crate::imports::brought_along(&world).await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 0);
    world.sql(&row).await;
    assert_eq!((send(&world).await, receiver.received().len()), (1, 1));
}

/// What is to be mailed to somebody who is invited is sent, with the token that the table does not keep; and again, when there is another link.
#[tokio::test(flavor = "multi_thread")]
async fn invitations_are_mailed_by_others() {
    let world = World::new().await;
    world.sql("UPDATE tenants SET sign_up_url = 'https://www.example.com/app?by=us#/sign-up'").await;
    let receiver = Receiver::start().await;
    let person = json!({"partnerId": world.a.to_string(), "email": "ann@example.com", "role": "OWNER"});
    done(&world, "inviteUser", keyed(person.clone()), "invitation { id }").await;
    endpoint(&world, &receiver, &["INVITATION_CREATED"]).await;
    assert_eq!(done(&world, "inviteUser", keyed(person), "invitation { id }").await["replayed"], true);
    let other = json!({"partnerId": world.a.to_string(), "email": "bo@example.com", "role": "MEMBER"});
    let made = done(&world, "inviteUser", keyed(other), "invitation { id expiresAt } link { token url }").await;
    let again = keyed(json!({"id": made["invitation"]["id"]}));
    let resent = done(&world, "resendInvitation", again, "link { token }").await;
    send(&world).await;
    let messages = receiver.received();
    let tokens: BTreeSet<_> = messages.iter().map(|message| message.body["data"]["token"].as_str()).collect();
    assert_eq!(tokens, BTreeSet::from([made["link"]["token"].as_str(), resent["link"]["token"].as_str()]));
    let data = &messages[0].body["data"];
    assert_eq!(
        (&data["id"], &data["email"], &data["role"]),
        (&made["invitation"]["id"], &json!("bo@example.com"), &json!("MEMBER"))
    );
    assert!(data.get("tokenHash").is_none(), "{data}");
    let first = messages.iter().find(|message| message.body["data"]["token"] == made["link"]["token"]).expect("the first");
    assert_eq!(first.body["data"]["url"], made["link"]["url"]);
    assert!(made["link"]["url"].as_str().is_some_and(|url| url.ends_with("#/sign-up") && url.contains("?by=us&invitation=")));
}

/// Each type is raised by a trigger of the database's, apart from tests; and none is raised that is not in the schema.
#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_its_trigger() {
    let world = World::new().await;
    let raised = world
        .text(
            "SELECT string_agg(DISTINCT split_part(encode(tgargs, 'escape'), '\\000', 1), ' ')
             FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.proname = 'webhook_raise'",
        )
        .await;
    let raised: BTreeSet<&str> = raised.split_whitespace().collect();
    let known: BTreeSet<&str> = WebhookEventType::ALL.iter().map(|event| event.as_str()).collect();
    let others: Vec<_> = known.difference(&raised).copied().collect();
    assert_eq!(
        (others, raised.difference(&known).count()),
        (vec!["invitation.created", "link.clicked", "ping"], 0),
        "{raised:?}"
    );
}

/// The fields of what is sent are those of the schema's types: `partnerId` is the id of `partner`.
#[test]
fn fields_are_the_schemas() {
    let sdl = partner_portal::graphql::sdl();
    let mut strangers = Vec::new();
    for event in WebhookEventType::ALL {
        let Some(subject) = event.subject() else { continue };
        let start = sdl.find(&format!("\ntype {subject} ")).unwrap_or_else(|| panic!("{subject}"));
        let fields = sdl[start..].split("\n}").next().expect("a type");
        for name in event.field_names() {
            let has = |name: &str| fields.contains(&format!("\n\t{name}: ")) || fields.contains(&format!("\n\t{name}("));
            let thing = name.strip_suffix("Id").unwrap_or(name);
            if !has(name) && !has(thing) {
                strangers.push(format!("{subject}.{name}"));
            }
        }
    }
    strangers.sort_unstable();
    strangers.dedup();
    // What only events have: the amounts' currency beside them, the former status, what the API shows in another type.
    let allowed = [
        "Commission.currency",
        "Commission.previousPartnerId",
        "Commission.previousStatus",
        "CustomerAccount.createdAt",
        "CustomerAccount.customerId",
        "CustomerAccount.linkId",
        "CustomerAccount.programmeId",
        "Enrolment.previousStatus",
        "Invitation.token",
        "Invitation.url",
        "Lead.currency",
        "Lead.previousStatus",
        "LinkClick.partnerId",
        "LinkClick.programmeId",
        "LinkSignUp.createdAt",
        "LinkSignUp.programmeId",
        "Member.previousStatus",
        "Partner.clerkOrgId",
        "Partner.previousStatus",
        "PartnerApplication.partnerId",
        "PartnerUser.createdAt",
        "PartnerUser.partnerId",
        "PartnerUser.previousRole",
        "Payout.currency",
        "Payout.previousStatus",
        "WalletTransaction.currency",
    ];
    assert_eq!(strangers, allowed);
}
