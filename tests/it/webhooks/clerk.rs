//! What Clerk reports: who may sign in, what they are called, and which organisations they belong to.

use axum::http::StatusCode;
use partner_portal::models::webhooks::source::WebhookSourceKind;

use super::{
    incoming::{Source, apply},
    *,
};

/// A source with a number for each event.
struct Clerk<'w> {
    world: &'w World,
    source: Source,
    sent: std::cell::Cell<i64>,
}

impl<'w> Clerk<'w> {
    async fn new(world: &'w World) -> Self {
        Self { world, source: Source::new(world, WebhookSourceKind::Clerk).await, sent: std::cell::Cell::new(0) }
    }

    /// Sends an event as of so many seconds from now, and applies it; gives what became of it.
    async fn says(&self, name: &str, seconds: i64, mut data: Value) -> String {
        let (number, at) = (self.sent.get() + 1, now().timestamp_millis() + seconds * 1_000);
        self.sent.set(number);
        if data["deleted"] != json!(true) {
            data["updated_at"] = json!(at);
        }
        let id = format!("msg_{number}");
        self.source.send(self.world, &id, &json!({"type": name, "timestamp": at, "data": data})).await;
        assert_eq!(apply(self.world).await, 1);
        self.source.outcome(self.world, &id).await.0
    }

    /// The people of partner A: subject, role, and whether they were removed.
    async fn people(&self) -> String {
        self.world
            .text(&format!(
                "SELECT string_agg(u.clerk_user_id || ' ' || pu.role || CASE WHEN pu.removed_at IS NULL THEN '' ELSE ' removed' END, ', ' ORDER BY u.clerk_user_id)
                 AS text FROM partner_users pu JOIN users u ON u.tenant_id = pu.tenant_id AND u.id = pu.user_id WHERE pu.partner_id = '{}'",
                self.world.a.uuid()
            ))
            .await
    }
}

/// Somebody who has signed in here, and belongs to no partner.
async fn add_user(world: &World, subject: &str) {
    let tenant = world.acme.uuid();
    let sql = format!(
        "INSERT INTO users (tenant_id, id, clerk_user_id, name) VALUES ('{tenant}', gen_random_uuid(), '{subject}', 'A. B.')"
    );
    world.sql(&sql).await;
}

async fn status_of(world: &World, subject: &str) -> StatusCode {
    world.acme(subject, "{ me { role } }", json!({})).await.status
}

fn membership(id: &str, subject: &str, role: &str) -> Value {
    json!({"id": id, "role": role, "organization": {"id": "org_a"},
        "public_user_data": {"user_id": subject, "first_name": "Grace", "last_name": "Hopper"}})
}

fn gone(id: &str) -> Value {
    json!({"id": id, "deleted": true})
}

/// A user who is deleted is nobody from then on, whatever their token says, and in no tenant but this one; what they did stays. A report that comes late
/// does not revive them, and neither does their next request.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_users() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    lead(&world, "Ada").await;
    for _ in 0..2 {
        assert_eq!(status_of(&world, "owner_a").await, StatusCode::OK);
    }
    assert_eq!(clerk.says("user.deleted", 0, gone("owner_a")).await, "APPLIED");
    for _ in 0..2 {
        assert_eq!(status_of(&world, "owner_a").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(clerk.says("user.updated", 60, json!({"id": "owner_a", "first_name": "Late"})).await, "IGNORED");
    assert_eq!(clerk.says("organizationMembership.created", 60, membership("orgmem_1", "owner_a", "org:admin")).await, "IGNORED");
    assert_eq!(clerk.says("user.deleted", 60, gone("owner_a")).await, "IGNORED");
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::UNAUTHORIZED);
    assert_eq!(clerk.people().await, "member_a member, owner_a owner removed");
    assert_eq!(world.number("SELECT count(*) FROM partner_leads").await, 1);
    // One who was never here, and one of the same id elsewhere.
    assert_eq!(clerk.says("user.deleted", 0, gone("stranger")).await, "APPLIED");
    assert_eq!(status_of(&world, "stranger").await, StatusCode::UNAUTHORIZED);
    assert_eq!(clerk.says("user.deleted", 0, gone("owner_g")).await, "APPLIED");
    let elsewhere = world.run(&crate::support::tokens::token("owner_g", "globex"), "{ me { role } }", json!({})).await;
    assert_eq!(elsewhere.status, StatusCode::OK);
    assert!(world.broken_rules().await.is_empty());
}

/// A user who is banned is nobody until they are not banned any more.
#[tokio::test(flavor = "multi_thread")]
async fn banned_users() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::OK);
    assert_eq!(clerk.says("user.updated", 0, json!({"id": "owner_a", "banned": true})).await, "APPLIED");
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::UNAUTHORIZED);
    assert_eq!(clerk.says("user.updated", -60, json!({"id": "owner_a", "banned": false})).await, "IGNORED");
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::UNAUTHORIZED);
    assert_eq!(clerk.says("user.updated", 60, json!({"id": "owner_a", "banned": false})).await, "APPLIED");
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::OK);
    assert_eq!(clerk.people().await, "member_a member, owner_a owner");
}

/// A name and the verified primary address are taken up, by the latest report; an address that is not verified, and what a user can write, are not.
#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    let user = |first: &str, address: &str, status: &str| {
        json!({"id": "owner_a", "first_name": first, "last_name": "Lovelace", "primary_email_address_id": "idn_1",
            "unsafe_metadata": {"role": "operator"}, "email_addresses": [{"id": "idn_1", "email_address": address, "verification": {"status": status}}]})
    };
    let known = async || {
        world.text("SELECT name || ' ' || coalesce(email, '-') AS text FROM users WHERE clerk_user_id = 'owner_a'").await
    };
    assert_eq!(clerk.says("user.created", 0, user("Ada", "ada@example.com", "verified")).await, "APPLIED");
    assert_eq!(known().await, "Ada Lovelace ada@example.com");
    assert_eq!(clerk.says("user.updated", 60, user("Adele", "evil@example.com", "unverified")).await, "APPLIED");
    assert_eq!(known().await, "Adele Lovelace ada@example.com");
    assert_eq!(clerk.says("user.updated", 30, user("Old", "old@example.com", "verified")).await, "IGNORED");
    assert_eq!(known().await, "Adele Lovelace ada@example.com");
    assert_eq!(clerk.says("user.created", 0, json!({"id": "stranger", "first_name": "New"})).await, "IGNORED");
    let me = world.acme("owner_a", "{ me { role } }", json!({})).await;
    assert_eq!(me.data()["me"]["role"], json!("PARTNER_OWNER"));
    assert_eq!(clerk.says("user.created", 0, json!({"first_name": "No id"})).await, "FAILED");
}

/// A member of a partner's organisation who has signed in here is one of its people; their role follows, and they leave with their membership. One who is
/// added anew is let in again, unless a person has removed them.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_organizations() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    let joined = || membership("orgmem_1", "grace", "org:member");
    assert_eq!(clerk.says("organizationMembership.created", 0, joined()).await, "IGNORED", "she has not signed in here");
    add_user(&world, "grace").await;
    assert_eq!(clerk.says("organizationMembership.updated", 0, joined()).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace member, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.updated", 20, membership("orgmem_1", "grace", "org:admin")).await, "APPLIED");
    assert_eq!(clerk.says("organizationMembership.updated", 10, membership("orgmem_1", "grace", "org:member")).await, "IGNORED");
    assert_eq!(clerk.people().await, "grace owner, member_a member, owner_a owner");
    // Her next membership is reported before the end of the first.
    assert_eq!(clerk.says("organizationMembership.created", 40, membership("orgmem_2", "grace", "org:member")).await, "APPLIED");
    assert_eq!(clerk.says("organizationMembership.deleted", 30, gone("orgmem_1")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace member, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.deleted", 50, gone("orgmem_2")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace member removed, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.updated", 60, membership("orgmem_2", "grace", "org:admin")).await, "IGNORED");
    assert_eq!(clerk.says("organizationMembership.created", 70, membership("orgmem_3", "grace", "org:member")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace member, member_a member, owner_a owner");
    let grace = world.text("SELECT id::text AS text FROM users WHERE clerk_user_id = 'grace'").await;
    let grace = partner_portal::ids::UserId::from(grace.parse::<uuid::Uuid>().expect("an id"));
    let input = json!({"partnerId": world.a.to_string(), "userId": grace.to_string()});
    done(&world, "removePartnerUser", input, "partner { id }").await;
    assert_eq!(clerk.says("organizationMembership.updated", 80, membership("orgmem_3", "grace", "org:admin")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace member removed, member_a member, owner_a owner");
    // What was given here does not follow an organisation.
    assert_eq!(clerk.says("organizationMembership.created", 0, membership("orgmem_4", "member_a", "org:admin")).await, "APPLIED");
    assert_eq!(clerk.says("organizationMembership.deleted", 10, gone("orgmem_4")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace member removed, member_a member, owner_a owner");
    let strange = json!({"id": "orgmem_5", "organization": {"id": "org_staff"}, "public_user_data": {"user_id": "clerk"}});
    assert_eq!(clerk.says("organizationMembership.created", 0, strange).await, "IGNORED");
    assert!(world.broken_rules().await.is_empty());
}

/// With an organisation that is deleted go its members, and the partner has none from then on.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_organizations() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    add_user(&world, "grace").await;
    assert_eq!(clerk.says("organizationMembership.created", 0, membership("orgmem_1", "grace", "org:admin")).await, "APPLIED");
    assert_eq!(clerk.says("organization.deleted", 10, gone("org_a")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace owner removed, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.created", 20, membership("orgmem_2", "grace", "org:admin")).await, "IGNORED");
    let organization = format!("SELECT coalesce(clerk_org_id, '-') AS text FROM partners WHERE id = '{}'", world.a.uuid());
    assert_eq!(world.text(&organization).await, "-");
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::OK);
    assert_eq!(clerk.says("organization.deleted", 10, gone("org_nobodys")).await, "IGNORED");
}

/// That a membership has ended may be reported by its id alone, and before the membership itself; the order does not matter. Who was never one of the
/// partner's people does not become one by a token from before.
#[tokio::test(flavor = "multi_thread")]
async fn memberships_that_ended_before() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    add_user(&world, "grace").await;
    let by_token = async |subject: &str| {
        let mut claims = crate::support::tokens::good_claims(subject, "acme");
        (claims["org_id"], claims["org_role"]) = (json!("org_a"), json!("org:admin"));
        world.run(&crate::support::tokens::sign(&claims), "{ me { partner { id } } }", json!({})).await.data()["me"]["partner"]
            .clone()
    };
    assert_eq!(
        clerk.says("organizationMembership.deleted", 10, gone("orgmem_1")).await,
        "IGNORED",
        "it is not known whose it was"
    );
    assert!(by_token("grace").await["id"].is_string(), "nothing is known of her");
    assert_eq!(clerk.people().await, "grace owner, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.created", 0, membership("orgmem_1", "grace", "org:admin")).await, "IGNORED");
    assert_eq!(clerk.people().await, "grace owner removed, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.deleted", 0, membership("orgmem_2", "ida", "org:admin")).await, "APPLIED");
    for _ in 0..2 {
        assert_eq!(by_token("ida").await, json!(null));
    }
    assert_eq!(clerk.people().await, "grace owner removed, member_a member, owner_a owner");
    assert_eq!(clerk.says("organizationMembership.created", 20, membership("orgmem_3", "ida", "org:member")).await, "APPLIED");
    assert_eq!(clerk.people().await, "grace owner removed, ida member, member_a member, owner_a owner");
}

/// Of two reports of one state's time the one that was sent later counts.
#[tokio::test(flavor = "multi_thread")]
async fn reports_of_one_moment() {
    let world = World::new().await;
    let source = Source::new(&world, WebhookSourceKind::Clerk).await;
    let at = now().timestamp_millis();
    for (id, sent_at, banned, outcome) in [("msg_1", at + 2, true, "APPLIED"), ("msg_2", at + 1, false, "IGNORED")] {
        let data = json!({"id": "owner_a", "banned": banned, "updated_at": at});
        source.send(&world, id, &json!({"type": "user.updated", "timestamp": sent_at, "data": data})).await;
        apply(&world).await;
        assert_eq!(source.outcome(&world, id).await.0, outcome);
    }
    assert_eq!(status_of(&world, "owner_a").await, StatusCode::UNAUTHORIZED);
}

/// A token that does not say which of an issuer's tenants it is for is for none of them, also where its bearer was deleted in all but one.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_in_one_of_two_tenants() {
    let world = World::new().await;
    let clerk = Clerk::new(&world).await;
    let mut claims = crate::support::tokens::good_claims("roamer", "acme");
    claims.as_object_mut().expect("claims").remove("tenant");
    claims["metadata"] = json!({"role": "operator"});
    let token = crate::support::tokens::sign(&claims);
    let status = async || world.run(&token, "{ me { role } }", json!({})).await.status;
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
    assert_eq!(clerk.says("user.deleted", 0, gone("roamer")).await, "APPLIED");
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
}
