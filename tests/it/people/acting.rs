//! For whom a person acts, and how soon a change of that counts.

use std::time::Duration;

use partner_portal::ids::PartnerId;
use serde_json::{Value, json};

use super::memberships::*;
use crate::support::{
    World, sign,
    tokens::good_claims,
    world::{ACME, GLOBEX, Setup},
};

/// A person of several partners sees them all, acts for the one that they choose, and learns that another's rows are not read meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_two_partners() {
    let world = World::new().await;
    let person = world.add_user(world.acme, world.a, "both", "member").await;
    world
        .sql(&format!(
            "INSERT INTO partner_users (tenant_id, partner_id, user_id, role, created_at) VALUES ('{}', '{}', '{}', 'owner', now() + interval '1 second')",
            world.acme.uuid(),
            world.b.uuid(),
            person.uuid()
        ))
        .await;
    world.add_leads(world.acme, world.a, 2).await;
    world.add_leads(world.acme, world.b, 3).await;
    let choose = async |subject: &str, partner: PartnerId| {
        let query =
            "mutation ($id: ID!) { setDefaultPartner(input: { partnerId: $id }) { user { id } userErrors { code field } } }";
        let answer = world.acme(subject, query, json!({"id": partner.to_string()})).await;
        answer.data()["setDefaultPartner"]["userErrors"].clone()
    };
    let query = "{ me { partner { companyName } user { partners { id companyName status } } } leads { totalCount } }";
    let partners: Vec<Value> = [(world.a, "Partner A"), (world.b, "Partner B")]
        .map(|(id, name)| json!({"id": id.to_string(), "companyName": name, "status": "ACTIVE"}))
        .into();
    for (partner, name, leads) in [(world.b, "Partner B", 3), (world.a, "Partner A", 2), (world.b, "Partner B", 3)] {
        assert_eq!(choose("both", partner).await, json!([]));
        let me = world.acme("both", query, json!({})).await;
        assert_eq!(
            *me.data(),
            json!({"me": {"partner": {"companyName": name}, "user": {"partners": partners}}, "leads": {"totalCount": leads}})
        );
    }
    for field in [
        "stats { totalLeads }",
        "profile { contactName }",
        "application { salesPlan }",
        "users { role }",
        "leads { totalCount }",
        "commissions { totalCount }",
        "payouts { totalCount }",
        "ledger { totalCount }",
        "balances { payable { amount } }",
        "balanceAt(date: \"2026-01-01\") { payable { amount } }",
        "creditBalance",
        "credits { assigned }",
        "creditLedger { totalCount }",
        "creditAllocations { totalCount }",
        "members { totalCount }",
        "memberCounts { active }",
        "rank",
    ] {
        let answer = world.acme("both", &format!("{{ me {{ user {{ partners {{ {field} }} }} }} }}"), json!({})).await;
        assert_eq!(answer.code(), "FORBIDDEN", "{field}: {}", answer.body);
        assert!(answer.message().starts_with("You are not acting for this partner."), "{field}");
    }
    // Of a colleague they see the partner that they act for, and no other.
    let colleagues = world.acme("owner_b", "{ me { partner { users { user { partners { companyName } } } } } }", json!({})).await;
    for person in colleagues.data()["me"]["partner"]["users"].as_array().expect("people") {
        assert_eq!(person["user"]["partners"], json!([{"companyName": "Partner B"}]));
    }
    // For a partner that they do not belong to, or no more, or by an organisation only, nobody can choose to act.
    let refused = json!([{"code": "NOT_FOUND", "field": ["input", "partnerId"]}]);
    assert_eq!(choose("owner_a", world.b).await, refused);
    assert_eq!(choose("both", world.g).await, refused);
    acts(&world, &in_organization("owner_a", "org_b", "admin")).await;
    assert_eq!(choose("owner_a", world.b).await, refused);
    world.sql("UPDATE partner_users SET removed_at = now() WHERE user_id = (SELECT id FROM users WHERE clerk_user_id = 'both') AND role = 'member'").await;
    assert_eq!(choose("both", world.a).await, refused);
    // Also out of a partner that is closed.
    world
        .sql("UPDATE partner_users SET removed_at = NULL; UPDATE partners SET status = 'closed' WHERE company_name = 'Partner B'")
        .await;
    assert_eq!(choose("both", world.a).await, json!([]));
    assert_eq!(acts(&world, &sign(&good_claims("both", ACME))).await.0, "Partner A");
    let query = format!("mutation {{ setDefaultPartner(input: {{ partnerId: \"{}\" }}) {{ userErrors {{ code }} }} }}", world.a);
    assert_eq!(world.operator(&query, json!({})).await.code(), "FORBIDDEN");
}

/// Where the server remembers who somebody is, each change of what it remembers holds with the next request.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_is_noticed_at_once() {
    let world = World::with(Setup { pool: 1, linger: Duration::from_mins(1), ..Setup::default() }).await;
    let query = "{ me { role user { name } tenant { name } partner { companyName status } } }";
    let me = async || {
        let answer = world.acme("member_a", query, json!({})).await;
        answer.data()["me"].clone()
    };
    let send = async || {
        let query = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { userErrors { code } } }";
        world.acme("member_a", query, json!({})).await.body["errors"][0]["extensions"]["code"].clone()
    };
    me().await;
    let person = "user_id = (SELECT id FROM users WHERE clerk_user_id = 'member_a')";
    for (sql, path, value) in [
        (format!("UPDATE partner_users SET role = 'owner' WHERE {person}"), "/role", json!("PARTNER_OWNER")),
        ("UPDATE users SET name = 'Other' WHERE clerk_user_id = 'member_a'".to_owned(), "/user/name", json!("Other")),
        ("UPDATE tenants SET name = 'Acme 2' WHERE slug = 'acme'".to_owned(), "/tenant/name", json!("Acme 2")),
        (
            "UPDATE partners SET status = 'suspended' WHERE company_name = 'Partner A'".to_owned(),
            "/partner/status",
            json!("SUSPENDED"),
        ),
        ("UPDATE partners SET status = 'active' WHERE company_name = 'Partner A'".to_owned(), "/partner/status", json!("ACTIVE")),
        (format!("UPDATE partner_users SET removed_at = now() WHERE {person}"), "/partner", json!(null)),
        (format!("UPDATE partner_users SET removed_at = NULL WHERE {person}"), "/partner/status", json!("ACTIVE")),
        (format!("UPDATE partner_users SET clerk_org_id = 'org_a' WHERE {person}"), "/partner", json!(null)),
        (format!("DELETE FROM partner_users WHERE {person}"), "/partner", json!(null)),
    ] {
        // Another's request, so that theirs is predicted the next time.
        world.run(&sign(&good_claims("owner_g", GLOBEX)), ME, json!({})).await.data();
        let before = me().await;
        assert_eq!(me().await, before);
        world.sql(&sql).await;
        assert_eq!(me().await.pointer(path), Some(&value), "{sql}");
    }
    // And with the next mutation, where nothing was read in between.
    world.sql("INSERT INTO partner_users (tenant_id, partner_id, user_id, role) SELECT tenant_id, default_partner_id, id, 'member' FROM users WHERE clerk_user_id = 'member_a'").await;
    assert_eq!(send().await, json!(null));
    world.sql("UPDATE partners SET status = 'suspended' WHERE company_name = 'Partner A'").await;
    assert_eq!(send().await, json!("FORBIDDEN"));
}

/// The histories of leads, payouts and moves name the person who acted in another's name.
#[tokio::test(flavor = "multi_thread")]
async fn histories_name_the_impersonator() {
    let world = World::new().await;
    let acting = |subject: &str, role: Option<&str>| {
        let mut claims = good_claims(subject, ACME);
        claims["act"] = json!({"sub": "user_support"});
        if let Some(role) = role {
            claims["metadata"] = json!({"role": role});
        }
        sign(&claims)
    };
    let send = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id history { to impersonator } } } }";
    let first = world.run(&acting("owner_a", None), send, json!({})).await;
    let lead = &first.data()["createLead"]["lead"];
    assert_eq!(lead["history"], json!([{"to": "PENDING", "impersonator": "user_support"}]));
    let step = "mutation ($id: ID!, $to: LeadStatus!) { updateLeadStatus(input: { id: $id, status: $to }) { lead { history { to impersonator } } } }";
    let operator = acting("operator", Some("operator"));
    world.owner_a(step, json!({"id": lead["id"], "to": "CONTACTED"})).await.data();
    let stepped = world.run(&operator, step, json!({"id": lead["id"], "to": "QUALIFIED"})).await;
    assert_eq!(
        stepped.data()["updateLeadStatus"]["lead"]["history"],
        json!([{"to": "PENDING", "impersonator": "user_support"}, {"to": "CONTACTED", "impersonator": null}, {"to": "QUALIFIED", "impersonator": "user_support"}])
    );
    let moved = "mutation ($id: ID!, $to: ID!) { moveLead(input: { id: $id, partnerId: $to, reason: \"R\" }) { lead { moves { impersonator } } } }";
    let moved = world.run(&operator, moved, json!({"id": lead["id"], "to": world.b.to_string()})).await;
    assert_eq!(moved.data()["moveLead"]["lead"]["moves"], json!([{"impersonator": "user_support"}]));

    world.adjust(world.a, "90.00", None).await;
    let pay = "mutation ($id: ID!) { createPayoutBatch(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" } }) { payout { id history { impersonator } } userErrors { message } } }";
    let paid = world.run(&operator, pay, json!({"id": world.a.to_string()})).await;
    let payout = &paid.data()["createPayoutBatch"]["payout"];
    assert_eq!(payout["history"], json!([{"impersonator": "user_support"}]));
    let release = "mutation ($id: ID!) { releasePayout(input: { id: $id }) { payout { history { impersonator } } } }";
    let released = world.operator(release, json!({"id": payout["id"]})).await;
    assert_eq!(
        released.data()["releasePayout"]["payout"]["history"],
        json!([{"impersonator": "user_support"}, {"impersonator": null}])
    );
}
