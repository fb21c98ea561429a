//! People in partners: where a membership comes from, how long it holds, who ends it, and for whom a person acts.

use std::time::Duration;

use futures_util::future::join;
use partner_portal::ids::UserId;
use serde_json::{Value, json};

use crate::support::{
    World, sign,
    tokens::good_claims,
    world::{ACME, Setup},
};

pub const ME: &str = "{ me { role partner { companyName } } }";
pub const PEOPLE: &str = "{ me { partner { users(includeRemoved: true) { role clerkOrgId removedAt user { id name } } } } }";

/// A token of a person in an organisation.
pub fn in_organization(subject: &str, organization: &str, role: &str) -> String {
    let mut claims = good_claims(subject, ACME);
    claims["v"] = json!(2);
    claims["o"] = json!({"id": organization, "rol": role});
    sign(&claims)
}

/// For whom a token acts, and as what.
pub async fn acts(world: &World, token: &str) -> (Value, Value) {
    let me = world.run(token, ME, json!({})).await;
    (me.data()["me"]["partner"]["companyName"].clone(), me.data()["me"]["role"].clone())
}

pub async fn user(world: &World, subject: &str) -> String {
    let id = world.text(&format!("SELECT id FROM users WHERE clerk_user_id = '{subject}'")).await;
    UserId::from(id.parse::<uuid::Uuid>().expect("an id")).to_string()
}

pub async fn when_registered(world: &World, subject: &str) -> String {
    world.text(&format!("SELECT updated_at || ' ' || version FROM users WHERE clerk_user_id = '{subject}'")).await
}

/// A mutation about a person of partner A, by an owner of it or an operator; gives what was wrong.
pub async fn change(world: &World, by: &str, name: &str, input: Value) -> Value {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query = format!("mutation ($input: {kind}!) {{ {name}(input: $input) {{ userErrors {{ code message field }} }} }}");
    let answer = if by == "operator" {
        world.operator(&query, json!({"input": input})).await
    } else {
        world.acme(by, &query, json!({"input": input})).await
    };
    answer.data()[name]["userErrors"].clone()
}

pub fn fault(code: &str, message: &str) -> Value {
    json!([{"code": code, "message": message, "field": ["input", "userId"]}])
}

/// A membership that came from an organisation holds only while the token names it, and its role is what the token says, up and down.
#[tokio::test(flavor = "multi_thread")]
async fn an_organisations_member_follows_the_token() {
    let world = World::new().await;
    let (owner, member, nobody) = (json!("PARTNER_OWNER"), json!("PARTNER_MEMBER"), json!(null));
    for (role, expected) in [("member", &member), ("admin", &owner), ("member", &member), ("admin", &owner)] {
        assert_eq!(acts(&world, &in_organization("colleague", "org_a", role)).await, (json!("Partner A"), expected.clone()));
    }
    let without = sign(&good_claims("colleague", ACME));
    assert_eq!(acts(&world, &without).await, (nobody.clone(), member.clone()));
    let answer = world
        .run(&without, "mutation { updatePartnerProfile(input: { contactName: \"X\" }) { userErrors { code } } }", json!({}))
        .await;
    assert_eq!(answer.code(), "FORBIDDEN");
    assert_eq!(world.run(&without, "{ leads { totalCount } }", json!({})).await.data()["leads"]["totalCount"], 0);
    // An organisation of which nobody has heard gives nothing either.
    assert_eq!(acts(&world, &in_organization("colleague", "org_z", "admin")).await, (nobody.clone(), member.clone()));
    // Where the partner's organisation becomes another, the old one vouches for nobody.
    world.sql("UPDATE partners SET clerk_org_id = 'org_new' WHERE company_name = 'Partner A'").await;
    assert_eq!(acts(&world, &in_organization("colleague", "org_a", "admin")).await, (nobody, member));
    assert_eq!(acts(&world, &in_organization("colleague", "org_new", "admin")).await, (json!("Partner A"), owner));
    let people = world.owner_a(PEOPLE, json!({})).await;
    let origins: Vec<&Value> =
        people.data()["me"]["partner"]["users"].as_array().expect("people").iter().map(|user| &user["clerkOrgId"]).collect();
    assert_eq!(origins, [&json!(null), &json!(null), &json!("org_new")]);
}

/// Two tokens of one person at the same time, of before and after a change at the issuer: each acts as what it says.
#[tokio::test(flavor = "multi_thread")]
async fn each_token_says_what_it_may() {
    let world = World::new().await;
    let (before, after) = (in_organization("colleague", "org_a", "admin"), in_organization("colleague", "org_a", "member"));
    for _ in 0..3 {
        assert_eq!(acts(&world, &before).await.1, "PARTNER_OWNER");
        assert_eq!(acts(&world, &after).await.1, "PARTNER_MEMBER");
    }
}

/// An owner by an organisation that the partner has no longer is none who stays, and can be removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_cannot_act_is_none() {
    let world = World::new().await;
    acts(&world, &in_organization("colleague", "org_a", "admin")).await;
    world.sql("UPDATE partners SET clerk_org_id = NULL WHERE company_name = 'Partner A'").await;
    let (owner, colleague) = (user(&world, "owner_a").await, user(&world, "colleague").await);
    let last = fault("LAST_OWNER", "They are the partner's only owner. Make somebody else an owner first.");
    assert_eq!(change(&world, "owner_a", "removePartnerUser", json!({"userId": owner})).await, last);
    assert_eq!(change(&world, "owner_a", "removePartnerUser", json!({"userId": colleague})).await, json!([]));
    // Neither does a token that does not name the organisation show the partner to them.
    world.sql("UPDATE partner_users SET removed_at = NULL, removed_by = NULL").await;
    let partners = "{ me { user { partners { companyName } } } }";
    for token in [sign(&good_claims("colleague", ACME)), in_organization("colleague", "org_a", "admin")] {
        assert_eq!(world.run(&token, partners, json!({})).await.data()["me"]["user"]["partners"], json!([]));
    }
}

/// An organisation that becomes a partner's, and an issuer that becomes a second tenant's, count from the next request on.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_tokens_say_counts_at_once() {
    let world = World::with(Setup { pool: 1, linger: Duration::from_mins(1), ..Setup::default() }).await;
    let token = in_organization("member_a", "org_z", "member");
    for _ in 0..3 {
        assert_eq!(acts(&world, &token).await.0, "Partner A");
    }
    world.sql("UPDATE partners SET clerk_org_id = 'org_z' WHERE company_name = 'Partner B'").await;
    assert_eq!(acts(&world, &token).await.0, "Partner B");
    world.sql("UPDATE tenants SET issuer = 'https://elsewhere.example' WHERE slug = 'globex'").await;
    let mut claims = good_claims("owner_a", ACME);
    claims.as_object_mut().expect("claims").remove("tenant");
    let unnamed = sign(&claims);
    for _ in 0..3 {
        assert_eq!(acts(&world, &unnamed).await.0, "Partner A");
    }
    world.sql("UPDATE tenants SET issuer = (SELECT issuer FROM tenants WHERE slug = 'acme') WHERE slug = 'globex'").await;
    assert_eq!(world.run(&unnamed, ME, json!({})).await.code(), "UNAUTHENTICATED");
}

/// What was given here is not changed by an organisation that the person belongs to as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_here_stays() {
    let world = World::new().await;
    let owner = (json!("Partner A"), json!("PARTNER_OWNER"));
    acts(&world, &sign(&good_claims("owner_a", ACME))).await;
    let registered = when_registered(&world, "owner_a").await;
    assert_eq!(acts(&world, &in_organization("owner_a", "org_a", "member")).await, owner);
    assert_eq!(acts(&world, &sign(&good_claims("owner_a", ACME))).await, owner);
    assert_eq!(when_registered(&world, "owner_a").await, registered, "nobody is registered anew at every request");
}

/// A person who is removed acts for the partner no more from that moment on, whatever their token says. Tried again, it says so; they can be let in
/// again as what they were.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_is_out() {
    let world = World::new().await;
    let colleague = in_organization("colleague", "org_a", "admin");
    acts(&world, &colleague).await;
    let plain = sign(&good_claims("member_a", ACME));
    acts(&world, &plain).await;
    for (by, subject, token, role) in
        [("owner_a", "member_a", &plain, "PARTNER_MEMBER"), ("operator", "colleague", &colleague, "PARTNER_OWNER")]
    {
        let mut input = json!({"userId": user(&world, subject).await});
        if by == "operator" {
            input["partnerId"] = json!(world.a.to_string());
        }
        assert_eq!(change(&world, by, "restorePartnerUser", input.clone()).await, json!([]), "they were not removed");
        assert_eq!(change(&world, by, "removePartnerUser", input.clone()).await, json!([]));
        assert_eq!(acts(&world, token).await, (json!(null), json!("PARTNER_MEMBER")), "{subject}");
        let registered = when_registered(&world, subject).await;
        assert_eq!(acts(&world, &in_organization(subject, "org_a", "admin")).await.0, json!(null));
        assert_eq!(when_registered(&world, subject).await, registered, "a token that cannot bring them back changes nothing");
        assert_eq!(change(&world, by, "removePartnerUser", input.clone()).await, json!([]), "a second time");
        let mut with_role = input.clone();
        with_role["role"] = json!("MEMBER");
        let refused = change(&world, by, "changePartnerUserRole", with_role).await;
        assert_eq!(refused[0]["code"], "INVALID_TRANSITION");
        assert!(refused[0]["message"].as_str().expect("text").starts_with("They were removed at 20"), "{refused}");
        let people = world
            .owner_a("{ me { partner { users { user { id } } all: users(includeRemoved: true) { removedAt } } } }", json!({}))
            .await;
        let partner = &people.data()["me"]["partner"];
        assert!(partner["users"].as_array().expect("people").iter().all(|person| person["user"]["id"] != input["userId"]));
        assert_eq!(partner["all"].as_array().expect("people").iter().filter(|person| person["removedAt"].is_string()).count(), 1);
        assert_eq!(change(&world, by, "restorePartnerUser", input).await, json!([]));
        assert_eq!(acts(&world, token).await, (json!("Partner A"), json!(role)));
    }
    let members: i64 = world.number("SELECT count(*) FROM partner_users WHERE removed_by IS NOT NULL").await;
    assert_eq!(members, 0);
}

/// A partner keeps an owner, no matter who asks; roles that an organisation gives are changed there.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays() {
    let world = World::new().await;
    let (owner, member) = (user(&world, "owner_a").await, user(&world, "member_a").await);
    let a = world.a.to_string();
    let last = fault("LAST_OWNER", "They are the partner's only owner. Make somebody else an owner first.");
    for by in ["owner_a", "operator"] {
        let input = json!({"partnerId": a, "userId": owner});
        assert_eq!(change(&world, by, "removePartnerUser", input.clone()).await, last, "{by}");
        let mut demoted = input.clone();
        demoted["role"] = json!("MEMBER");
        assert_eq!(change(&world, by, "changePartnerUserRole", demoted.clone()).await, last, "{by}");
        demoted["role"] = json!("OWNER");
        assert_eq!(change(&world, by, "changePartnerUserRole", demoted).await, json!([]));
    }
    // Somebody who was removed is no owner who stays.
    let promoted = json!({"userId": member, "role": "OWNER"});
    assert_eq!(change(&world, "owner_a", "changePartnerUserRole", promoted.clone()).await, json!([]));
    assert_eq!(acts(&world, &sign(&good_claims("member_a", ACME))).await.1, "PARTNER_OWNER");
    assert_eq!(change(&world, "owner_a", "removePartnerUser", json!({"userId": member})).await, json!([]));
    assert_eq!(change(&world, "owner_a", "removePartnerUser", json!({"userId": owner})).await, last);
    assert_eq!(change(&world, "owner_a", "restorePartnerUser", json!({"userId": member})).await, json!([]));
    assert_eq!(change(&world, "owner_a", "removePartnerUser", json!({"userId": owner})).await, json!([]));
    assert_eq!(acts(&world, &sign(&good_claims("owner_a", ACME))).await.0, json!(null));

    acts(&world, &in_organization("colleague", "org_a", "member")).await;
    let input = json!({"userId": user(&world, "colleague").await, "role": "OWNER"});
    let message = "Their role comes from the organisation org_a. Change it there: it is taken up with their next token.";
    assert_eq!(change(&world, "member_a", "changePartnerUserRole", input).await, fault("FROM_ORGANIZATION", message));
    // Another partner's people, and nobody's, are unknown.
    let unknown = fault("NOT_FOUND", "There is no person in the partner of this id.");
    for subject in ["owner_b", "owner_g"] {
        let input = json!({"userId": user(&world, subject).await});
        assert_eq!(change(&world, "member_a", "removePartnerUser", input).await, unknown, "{subject}");
    }
    let elsewhere = json!({"partnerId": world.b.to_string(), "userId": user(&world, "owner_b").await});
    assert_eq!(change(&world, "member_a", "removePartnerUser", elsewhere).await[0]["field"], json!(["input", "partnerId"]));
}

/// Two owners who remove each other at the same moment do not leave the partner without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_who_remove_each_other() {
    let world = World::with_pool(4).await;
    for turn in 0..10 {
        let subjects = [format!("x{turn}"), format!("y{turn}")];
        world.sql("UPDATE partner_users SET role = 'member' WHERE partner_id = (SELECT id FROM partners WHERE company_name = 'Partner B')").await;
        let mut ids = Vec::new();
        for subject in &subjects {
            ids.push(world.add_user(world.acme, world.b, subject, "owner").await.to_string());
        }
        let remove = async |by: &str, whom: &String| {
            let query = "mutation ($id: ID!) { removePartnerUser(input: { userId: $id }) { userErrors { code } } }";
            world.acme(by, query, json!({"id": whom})).await
        };
        join(remove(&subjects[0], &ids[1]), remove(&subjects[1], &ids[0])).await;
        let owners = "SELECT count(*) FROM partner_users pu JOIN partners p ON p.id = pu.partner_id WHERE company_name = 'Partner B' AND role = 'owner' AND removed_at IS NULL";
        assert_eq!(world.number(owners).await, 1);
    }
}
