//! Invitations: who lets whom act for a partner, and for how long that is open.

use futures_util::future::join;
use serde_json::{Value, json};

use super::memberships::{acts, in_organization, user};
use crate::support::{
    World, sign, token,
    tokens::good_claims,
    world::{ACME, keyed},
};

const INVITATION: &str =
    "invitation { id email role status partner { companyName } createdBy { id } acceptedBy { id } sentAt expiresAt }";
const INVITATIONS: &str = "{ me { partner { invitations { totalCount nodes { id email role status acceptedBy { name } } } } } }";

/// A mutation of invitations by a token's bearer; gives its payload.
async fn by(world: &World, token: &str, name: &str, input: Value, fields: &str) -> Value {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query = format!(
        "mutation ($input: {kind}!) {{ {name}(input: $input) {{ {fields} replayed userErrors {{ code field message }} }} }}"
    );
    world.run(token, &query, json!({"input": input})).await.data()[name].clone()
}

/// A world in which nobody who is new gets a partner of their own.
async fn world() -> World {
    let world = World::with_pool(4).await;
    world.sql("UPDATE tenants SET partner_on_signup = 'none'").await;
    world
}

async fn invite(world: &World, input: Value) -> Value {
    by(world, &token("owner_a", ACME), "inviteUser", keyed(input), &format!("{INVITATION} link {{ token url }}")).await
}

async fn accept(world: &World, token: &str, secret: &Value) -> Value {
    by(world, token, "acceptInvitation", json!({"token": secret}), "partnerId").await
}

/// A token of a person with an address.
fn bearer(subject: &str, email: &str, verified: bool) -> String {
    let mut claims = good_claims(subject, ACME);
    (claims["email"], claims["email_verified"]) = (json!(email), json!(verified));
    sign(&claims)
}

async fn listed(world: &World) -> Value {
    world.owner_a(INVITATIONS, json!({})).await.data()["me"]["partner"]["invitations"].clone()
}

/// Somebody who is invited acts for the partner from their first request on that carries the address as verified, in upper or lower case, as what
/// they were invited; an address that nobody has verified, or another's, lets nobody in.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_by_address() {
    let world = world().await;
    let made = invite(&world, json!({"email": "Ann@Example.com", "role": "OWNER"})).await;
    let invitation = &made["invitation"];
    assert_eq!((&invitation["status"], &invitation["partner"]["companyName"]), (&json!("OPEN"), &json!("Partner A")));
    assert_eq!((&made["replayed"], &made["userErrors"], &made["link"]["url"]), (&json!(false), &json!([]), &json!(null)));
    assert_eq!(made["link"]["token"].as_str().map(str::len), Some(43));
    let nobody = json!(null);
    assert_eq!(acts(&world, &bearer("guesser", "ann@example.com", false)).await.0, nobody);
    assert_eq!(acts(&world, &bearer("stranger", "bob@example.com", true)).await.0, nobody);
    assert_eq!(listed(&world).await["nodes"][0]["status"], "OPEN");
    assert_eq!(acts(&world, &bearer("ann", "ann@EXAMPLE.com", true)).await, (json!("Partner A"), json!("PARTNER_OWNER")));
    // From then on no token needs to carry the address.
    assert_eq!(acts(&world, &token("ann", ACME)).await, (json!("Partner A"), json!("PARTNER_OWNER")));
    let list = listed(&world).await;
    assert_eq!((&list["totalCount"], &list["nodes"][0]["status"]), (&json!(1), &json!("ACCEPTED")));
    // Who comes second with the same address finds it accepted.
    assert_eq!(acts(&world, &bearer("second", "ann@example.com", true)).await.0, nobody);
    assert_eq!(accept(&world, &token("second", ACME), &made["link"]["token"]).await["userErrors"][0]["code"], "TAKEN");
}

/// Where people who are new get a partner of their own, those who are invited get none.
#[tokio::test(flavor = "multi_thread")]
async fn no_partner_of_their_own() {
    let world = world().await;
    world.sql("UPDATE tenants SET partner_on_signup = 'active' WHERE slug = 'acme'").await;
    invite(&world, json!({"email": "ann@example.com", "role": "MEMBER"})).await;
    let before = world.number("SELECT count(*) FROM partners").await;
    assert_eq!(acts(&world, &bearer("ann", "ann@example.com", true)).await, (json!("Partner A"), json!("PARTNER_MEMBER")));
    assert_eq!(world.number("SELECT count(*) FROM partners").await, before);
}

/// The bearer of a link's token acts for the partner, whatever their address, once; the token of a newer link replaces the one before.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_by_token() {
    let world = world().await;
    world.sql("UPDATE tenants SET sign_up_url = 'https://www.example.com/join?by=us' WHERE slug = 'acme'").await;
    let made = invite(&world, json!({"email": "ann@example.com", "role": "MEMBER"})).await;
    let first = made["link"]["token"].clone();
    let url = format!("https://www.example.com/join?by=us&invitation={}", first.as_str().expect("a token"));
    assert_eq!(made["link"]["url"], json!(url));
    let again = keyed(json!({"id": made["invitation"]["id"], "idempotencyKey": "once"}));
    let owner = token("owner_a", ACME);
    let resent = by(&world, &owner, "resendInvitation", again.clone(), "invitation { id status } link { token }").await;
    let second = resent["link"]["token"].clone();
    assert_ne!(first, second);
    let replayed = by(&world, &owner, "resendInvitation", again, "invitation { id status } link { token }").await;
    assert_eq!((&replayed["link"], &replayed["replayed"], &replayed["userErrors"]), (&json!(null), &json!(true), &json!([])));
    let newcomer = bearer("newcomer", "elsewhere@example.com", true);
    assert_eq!(accept(&world, &newcomer, &first).await["userErrors"][0]["code"], "NOT_FOUND");
    let joined = accept(&world, &newcomer, &second).await;
    assert_eq!(joined, json!({"partnerId": world.a.to_string(), "replayed": false, "userErrors": []}));
    assert_eq!(acts(&world, &newcomer).await, (json!("Partner A"), json!("PARTNER_MEMBER")));
    assert_eq!(accept(&world, &newcomer, &second).await["replayed"], true);
    assert_eq!(accept(&world, &token("other", ACME), &second).await["userErrors"][0]["code"], "TAKEN");
    // Nothing of a token is in the table as it is.
    let kept = format!("SELECT count(*) FROM partner_invitations i WHERE i::text LIKE '%{}%'", second.as_str().expect("a token"));
    assert_eq!(world.number(&kept).await, 0);
    // Staff and machines are nobody's people, and another tenant's people find nothing.
    for role in ["operator", "service"] {
        let query = "mutation { acceptInvitation(input: { token: \"x\" }) { partnerId } }";
        assert_eq!(world.run(&crate::support::tokens::staff_token(role, ACME), query, json!({})).await.code(), "FORBIDDEN");
    }
    let elsewhere = token("owner_g", crate::support::world::GLOBEX);
    assert_eq!(accept(&world, &elsewhere, &second).await["userErrors"][0]["code"], "NOT_FOUND");
}

/// An invitation that was taken back, has expired, or is to a partner that is closed lets nobody in, by address or token; one that has expired is
/// open again when it is sent again, or the person invited again.
#[tokio::test(flavor = "multi_thread")]
async fn what_lets_nobody_in() {
    let world = world().await;
    let owner = token("owner_a", ACME);
    let ends = [
        ("revoked@example.com", "The invitation was taken back."),
        ("expired@example.com", "The invitation has expired. Ask to be invited again."),
        ("closed@example.com", "The partner is CLOSED."),
    ];
    let mut links = Vec::new();
    for (email, _) in ends {
        let made = invite(&world, json!({"email": email, "role": "MEMBER"})).await;
        links.push((made["invitation"]["id"].clone(), made["link"]["token"].clone()));
    }
    let revoke = async || by(&world, &owner, "revokeInvitation", json!({"id": links[0].0}), "invitation { status }").await;
    assert_eq!(revoke().await, json!({"invitation": {"status": "REVOKED"}, "replayed": false, "userErrors": []}));
    assert_eq!(revoke().await["replayed"], true);
    let resent = by(&world, &owner, "resendInvitation", keyed(json!({"id": links[0].0})), "link { token }").await;
    assert_eq!(resent["userErrors"][0]["code"], "INVALID_TRANSITION");
    world
        .sql("UPDATE partner_invitations SET expires_at = now() - interval '1 second' WHERE email = 'expired@example.com'")
        .await;
    assert_eq!(listed(&world).await["nodes"][1]["status"], "EXPIRED");
    for (index, (email, message)) in ends.into_iter().enumerate() {
        if index == 2 {
            world.sql("UPDATE partners SET status = 'closed' WHERE company_name = 'Partner A'").await;
        }
        let person = bearer(&format!("person{index}"), email, true);
        assert_eq!(acts(&world, &person).await.0, json!(null), "{email}");
        let refused = accept(&world, &person, &links[index].1).await;
        let expected = json!([{"code": "INVALID_TRANSITION", "field": ["input", "token"], "message": message}]);
        assert_eq!(refused["userErrors"], expected);
    }
    let closed = by(
        &world,
        &crate::support::tokens::staff_token("operator", ACME),
        "inviteUser",
        keyed(json!({"partnerId": world.a.to_string(), "email": "new@example.com", "role": "MEMBER"})),
        "link { token }",
    )
    .await;
    assert_eq!(closed["userErrors"][0]["message"], "The partner is CLOSED.");
    world.sql("UPDATE partners SET status = 'active' WHERE company_name = 'Partner A'").await;
    // Invited anew, as something else as well, it is the same invitation, with another link and other fourteen days.
    let anew = invite(&world, json!({"email": "expired@example.com", "role": "OWNER"})).await;
    let invitation = &anew["invitation"];
    assert_eq!((&invitation["id"], &invitation["status"], &invitation["role"]), (&links[1].0, &json!("OPEN"), &json!("OWNER")));
    assert_eq!(acts(&world, &bearer("person1", "expired@example.com", true)).await.1, "PARTNER_OWNER");
    // After one that was taken back there is another.
    let other = invite(&world, json!({"email": "revoked@example.com", "role": "MEMBER"})).await;
    assert_ne!(other["invitation"]["id"], links[0].0);
}

/// An owner invites to their own partner, an operator to any; sent twice it is one invitation, and what is wrong is said at its field.
#[tokio::test(flavor = "multi_thread")]
async fn who_invites_whom() {
    let world = world().await;
    let owner = token("owner_a", ACME);
    let made = invite(&world, json!({"email": "ann@example.com", "role": "MEMBER"})).await;
    let again = invite(&world, json!({"email": "ANN@example.com", "role": "MEMBER"})).await;
    assert_eq!((&again["invitation"], &again["link"]), (&made["invitation"], &json!(null)));
    assert_eq!((&again["replayed"], &again["userErrors"]), (&json!(true), &json!([])));
    let other = invite(&world, json!({"email": "ann@example.com", "role": "OWNER"})).await;
    assert_eq!((&other["invitation"], &other["userErrors"][0]["field"]), (&json!(null), &json!(["input", "role"])));
    // With the address of one who acts for the partner there is nobody to invite.
    acts(&world, &bearer("ann", "ann@example.com", true)).await;
    let there = invite(&world, json!({"email": "ann@example.com", "role": "MEMBER"})).await;
    assert_eq!(
        (&there["userErrors"][0]["code"], &there["userErrors"][0]["field"]),
        (&json!("TAKEN"), &json!(["input", "email"]))
    );
    // Operators name the partner; partners are named no other.
    let staff = crate::support::tokens::staff_token("operator", ACME);
    let unnamed =
        by(&world, &staff, "inviteUser", keyed(json!({"email": "bo@example.com", "role": "MEMBER"})), "link { token }").await;
    assert_eq!(unnamed["userErrors"][0]["field"], json!(["input", "partnerId"]));
    let of_b = keyed(json!({"partnerId": world.b.to_string(), "email": "bo@example.com", "role": "MEMBER"}));
    assert_eq!(
        by(&world, &owner, "inviteUser", of_b.clone(), "link { token }").await["userErrors"][0]["field"],
        json!(["input", "partnerId"])
    );
    let of_b = by(&world, &staff, "inviteUser", of_b, "invitation { id }").await;
    // What is partner B's is not there for others.
    for (name, input) in [
        ("revokeInvitation", json!({"id": of_b["invitation"]["id"]})),
        ("resendInvitation", keyed(json!({"id": of_b["invitation"]["id"]}))),
    ] {
        assert_eq!(by(&world, &owner, name, input, "invitation { id }").await["userErrors"][0]["code"], "NOT_FOUND");
    }
    let accepted = by(&world, &owner, "revokeInvitation", json!({"id": made["invitation"]["id"]}), "invitation { id }").await;
    assert_eq!(accepted["userErrors"][0]["code"], "INVALID_TRANSITION");
    let members = world.acme(
        "member_a",
        "mutation { inviteUser(input: { email: \"x@example.com\", role: OWNER, idempotencyKey: \"FRESH_KEY\" }) { replayed } }",
        json!({}),
    );
    assert_eq!(members.await.code(), "FORBIDDEN");
    // At most fifty are open at once.
    for index in 0..50 {
        let one = invite(&world, json!({"email": format!("n{index}@example.com"), "role": "MEMBER"})).await;
        assert_eq!(one["userErrors"], json!([]), "{index}");
    }
    let beyond = invite(&world, json!({"email": "beyond@example.com", "role": "MEMBER"})).await;
    assert_eq!(beyond["userErrors"][0]["field"], json!(["input"]));
}

/// Somebody who was removed is not let in again by an invitation from before: only a new one does it.
#[tokio::test(flavor = "multi_thread")]
async fn removal_takes_invitations_back() {
    let world = world().await;
    let owner = token("owner_a", ACME);
    let made = invite(&world, json!({"email": "ann@example.com", "role": "OWNER"})).await;
    // They come by the partner's organisation, with the address that nobody has verified yet.
    let mut claims = good_claims("ann", ACME);
    (claims["email"], claims["v"], claims["o"]) = (json!("ann@example.com"), json!(2), json!({"id": "org_a", "rol": "member"}));
    assert_eq!(acts(&world, &sign(&claims)).await.0, "Partner A");
    let person = user(&world, "ann").await;
    by(&world, &owner, "removePartnerUser", json!({"userId": person}), "partner { id }").await;
    assert_eq!(listed(&world).await["nodes"][0]["status"], "REVOKED");
    assert_eq!(acts(&world, &bearer("ann", "ann@example.com", true)).await.0, json!(null));
    assert_eq!(
        accept(&world, &bearer("ann", "ann@example.com", true), &made["link"]["token"]).await["userErrors"][0]["code"],
        "INVALID_TRANSITION"
    );
    assert_eq!(acts(&world, &in_organization("ann", "org_a", "admin")).await.0, json!(null));
    invite(&world, json!({"email": "ann@example.com", "role": "MEMBER"})).await;
    assert_eq!(acts(&world, &bearer("ann", "ann@example.com", true)).await, (json!("Partner A"), json!("PARTNER_MEMBER")));
}

/// Of two who invite one address at once, or accept one invitation, one does it; and one who is invited by an owner is not made a member by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_at_once() {
    let world = world().await;
    for turn in 0..8 {
        let input = json!({"email": format!("t{turn}@example.com"), "role": "OWNER"});
        let (one, two) = join(invite(&world, input.clone()), invite(&world, input)).await;
        assert_eq!(one["invitation"]["id"], two["invitation"]["id"]);
        assert_ne!(one["replayed"], two["replayed"]);
        let secret = [&one, &two].into_iter().find_map(|made| made["link"].get("token")).expect("a token").clone();
        let (x, y) = (token(&format!("x{turn}"), ACME), token(&format!("y{turn}"), ACME));
        acts(&world, &x).await;
        acts(&world, &y).await;
        let (one, two) = join(accept(&world, &x, &secret), accept(&world, &y, &secret)).await;
        let joined = [&one, &two].into_iter().filter(|answer| answer["partnerId"].is_string()).count();
        let taken = [&one, &two].into_iter().filter(|answer| answer["userErrors"][0]["code"] == "TAKEN").count();
        assert_eq!((joined, taken), (1, 1));
    }
    let query = "SELECT count(*) FROM partner_users WHERE role = 'owner' AND user_id IN (SELECT id FROM users WHERE clerk_user_id ~ '^[xy][0-7]$')";
    assert_eq!(world.number(query).await, 8);
}

/// Nobody who was removed, or is an owner no more, has their rights again by a token from before, be it one that they made themselves; and an
/// invitation as a member gives no role that an organisation's token gave.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_from_before() {
    let world = world().await;
    let (owner, rogue) = (token("owner_a", ACME), token("rogue", ACME));
    world.add_user(world.acme, world.a, "rogue", "owner").await;
    let person = user(&world, "rogue").await;
    let own = async |email: &str| {
        let input = keyed(json!({"email": email, "role": "OWNER"}));
        by(&world, &rogue, "inviteUser", input, "link { token }").await["link"]["token"].clone()
    };
    let kept = own("sock@example.com").await;
    by(&world, &owner, "changePartnerUserRole", json!({"userId": person, "role": "MEMBER"}), "partner { id }").await;
    assert_eq!(accept(&world, &rogue, &kept).await["userErrors"][0]["message"], "The invitation was taken back.");
    assert_eq!(acts(&world, &rogue).await.1, "PARTNER_MEMBER");
    // One that another owner made, for another address, before the removal.
    let made = invite(&world, json!({"email": "another@example.com", "role": "OWNER"})).await;
    by(&world, &owner, "removePartnerUser", json!({"userId": person}), "partner { id }").await;
    let refused = accept(&world, &rogue, &made["link"]["token"]).await;
    assert_eq!(refused["userErrors"][0]["message"], "You were removed from the partner since. Ask to be invited again.");
    assert_eq!(acts(&world, &rogue).await.0, json!(null));
    // An owner by the organisation alone, whose token names it no more.
    assert_eq!(acts(&world, &in_organization("former", "org_a", "admin")).await.1, "PARTNER_OWNER");
    let invited = invite(&world, json!({"email": "former@example.com", "role": "MEMBER"})).await;
    accept(&world, &token("former", ACME), &invited["link"]["token"]).await;
    assert_eq!(acts(&world, &token("former", ACME)).await, (json!("Partner A"), json!("PARTNER_MEMBER")));
}

/// Somebody who acts for a partner joins another by the token alone, not by signing in. Somebody who was removed from the partner that they acted for acts
/// for the one whose invitation they accept.
#[tokio::test(flavor = "multi_thread")]
async fn who_acts_already_is_asked() {
    let world = world().await;
    let busy = bearer("owner_b", "busy@example.com", true);
    let made = invite(&world, json!({"email": "busy@example.com", "role": "MEMBER"})).await;
    for _ in 0..2 {
        assert_eq!(acts(&world, &busy).await.0, "Partner B");
    }
    assert_eq!(listed(&world).await["nodes"][0]["status"], "OPEN");
    world
        .sql("UPDATE partner_users SET removed_at = now() WHERE user_id = (SELECT id FROM users WHERE clerk_user_id = 'owner_b')")
        .await;
    assert_eq!(accept(&world, &token("owner_b", ACME), &made["link"]["token"]).await["partnerId"], world.a.to_string());
    assert_eq!(acts(&world, &token("owner_b", ACME)).await.0, "Partner A");
    // Accepted once, it says nothing of a membership that has ended since.
    world
        .sql("UPDATE partner_users SET removed_at = now() WHERE user_id = (SELECT id FROM users WHERE clerk_user_id = 'owner_b')")
        .await;
    let again = accept(&world, &token("owner_b", ACME), &made["link"]["token"]).await;
    assert_eq!(again["userErrors"][0]["code"], "INVALID_TRANSITION");
}

/// Another mailbox's address is not the one that was invited, however alike they are written.
#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_that_are_alike() {
    let world = world().await;
    for (index, (invited, alike)) in
        [("strasse@e.com", "stra\u{df}e@e.com"), ("mark@e.com", "mar\u{212a}@e.com"), ("office@e.com", "o\u{fb03}ce@e.com")]
            .into_iter()
            .enumerate()
    {
        invite(&world, json!({"email": invited, "role": "OWNER"})).await;
        assert_eq!(acts(&world, &bearer(&format!("alike{index}"), alike, true)).await.0, json!(null), "{alike}");
        assert_eq!(acts(&world, &bearer(&format!("same{index}"), &invited.to_uppercase(), true)).await.0, "Partner A");
    }
}
