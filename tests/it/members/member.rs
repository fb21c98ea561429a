//! Members: adding, changing, deactivating, and becoming a user.

use serde_json::{Value, json};

use crate::support::{World, sign, tokens::good_claims, world::ACME};

const MEMBER: &str = "id email firstName lastName status creditsAssigned creditsAvailable user { email }";

async fn update(world: &World, input: Value) -> Value {
    let query = format!(
        "mutation ($input: UpdateMemberInput!) {{ updateMember(input: $input) {{ member {{ {MEMBER} }} userErrors {{ code message field }} }} }}"
    );
    world.owner_a(&query, json!({"input": input})).await.data()["updateMember"].clone()
}

async fn change(world: &World, mutation: &str, input: Value) -> Value {
    let kind = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let revoked = if mutation == "deactivateMember" { "revoked" } else { "" };
    let query = format!(
        "mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ member {{ status creditsAssigned creditsAvailable }} {revoked} userErrors {{ code }} }} }}"
    );
    world.owner_a(&query, json!({"input": input})).await.data()[mutation].clone()
}

/// A token of somebody with an address.
fn bearer(subject: &str, email: &str, verified: &Value) -> String {
    let mut claims = good_claims(subject, ACME);
    claims["email"] = json!(email);
    claims["email_verified"] = verified.clone();
    sign(&claims)
}

/// A member's address is the partner's only one, in upper or lower case; another partner may have it too. Every fault is named at once.
#[tokio::test(flavor = "multi_thread")]
async fn adding() {
    let world = World::new().await;
    world.member("Ann.Lee@example.com").await;
    let add = "mutation ($input: AddMemberInput!) { addMember(input: $input) { member { email status lastName } userErrors { code field } } }";
    let added = world.owner_a(add, json!({"input": {"email": "bo@example.com", "firstName": " Bo "}})).await;
    assert_eq!(
        added.data()["addMember"],
        json!({"member": {"email": "bo@example.com", "status": "INVITED", "lastName": null}, "userErrors": []})
    );
    let again = world.owner_a(add, json!({"input": {"email": "ann.lee@EXAMPLE.com", "firstName": "Ann"}})).await;
    assert_eq!(again.data()["addMember"]["userErrors"], json!([{"code": "TAKEN", "field": ["input", "email"]}]));
    let other = world.acme("owner_b", add, json!({"input": {"email": "ann.lee@example.com", "firstName": "Ann"}})).await;
    assert_eq!(other.data()["addMember"]["userErrors"], json!([]));
    let wrong = world.owner_a(add, json!({"input": {"email": "nobody", "firstName": " ", "lastName": "a\u{0}b"}})).await;
    assert_eq!(
        wrong.data()["addMember"]["userErrors"],
        json!([{"code": "INVALID", "field": ["input", "email"]}, {"code": "REQUIRED", "field": ["input", "firstName"]},
               {"code": "INVALID", "field": ["input", "lastName"]}])
    );
    let nameless = world.operator(add, json!({"input": {"email": "x@example.com", "firstName": "X"}})).await;
    assert_eq!(nameless.data()["addMember"]["userErrors"], json!([{"code": "REQUIRED", "field": ["input", "partnerId"]}]));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Lists page both ways, at the root and below the partner.
#[tokio::test(flavor = "multi_thread")]
async fn pages() {
    let world = World::new().await;
    for number in 0..5 {
        world.member(&format!("m{number}@example.com")).await;
    }
    let fields = "nodes { email } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    let query = format!(
        "query ($first: Int, $after: String, $last: Int, $before: String) {{ members(first: $first, after: $after, last: $last, before: $before) {{ {fields} }}
         me {{ partner {{ members(first: $first, after: $after, last: $last, before: $before) {{ {fields} }} }} }} }}"
    );
    let page = async |variables: Value| {
        let data = world.owner_a(&query, variables).await.data().clone();
        assert_eq!(data["members"], data["me"]["partner"]["members"]);
        let emails = data["members"]["nodes"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["email"].as_str().expect("an address")[..2].to_owned());
        (emails.collect::<Vec<_>>(), data["members"]["pageInfo"].clone())
    };
    let (first, info) = page(json!({"first": 2})).await;
    assert_eq!((first.as_slice(), &info["hasNextPage"]), (["m4", "m3"].map(str::to_owned).as_slice(), &json!(true)));
    let (second, info) = page(json!({"first": 2, "after": info["endCursor"]})).await;
    assert_eq!(second, ["m2", "m1"]);
    let (third, last) = page(json!({"first": 2, "after": info["endCursor"]})).await;
    assert_eq!((third.as_slice(), &last["hasNextPage"]), (["m0"].map(str::to_owned).as_slice(), &json!(false)));
    let (back, _) = page(json!({"last": 2, "before": info["startCursor"]})).await;
    assert_eq!(back, ["m4", "m3"]);
    assert_eq!(page(json!({"last": 1})).await.0, ["m0"]);
}

/// Lists filter by status and search, and count.
#[tokio::test(flavor = "multi_thread")]
async fn lists() {
    let world = World::new().await;
    for number in 0..5 {
        world.member(&format!("m{number}@example.com")).await;
    }
    let id = world.member("zoe_100%@example.com").await;
    change(&world, "deactivateMember", json!({"id": id})).await;
    let query = "query ($filter: MemberFilter) { members(first: 2, filter: $filter) { totalCount nodes { email } pageInfo { hasNextPage } } me { partner { members(first: 2, filter: $filter) { totalCount nodes { email } } memberCounts { total invited active inactive } } } }";
    for (filter, total, first) in [
        (json!({}), 6, "zoe_100%@example.com"),
        (json!({"status": ["INVITED"]}), 5, "m4@example.com"),
        (json!({"status": ["INVITED", "INACTIVE"], "search": "M3@"}), 1, "m3@example.com"),
        (json!({"search": "ann lee"}), 6, "zoe_100%@example.com"),
        (json!({"search": "_100%"}), 1, "zoe_100%@example.com"),
    ] {
        let data = world.owner_a(query, json!({"filter": filter})).await.data().clone();
        assert_eq!(
            (&data["members"]["totalCount"], &data["members"]["nodes"][0]["email"]),
            (&json!(total), &json!(first)),
            "{filter}"
        );
        assert_eq!(data["me"]["partner"]["members"]["totalCount"], total, "{filter}");
        assert_eq!(data["me"]["partner"]["members"]["nodes"], data["members"]["nodes"], "{filter}");
        assert_eq!(data["me"]["partner"]["memberCounts"], json!({"total": 6, "invited": 5, "active": 0, "inactive": 1}));
    }
}

/// Who signs in with an invited address becomes the member, everywhere where it was invited, if the issuer says that it has verified the
/// address; somebody who has signed in before too. Then the address is settled.
#[tokio::test(flavor = "multi_thread")]
async fn invited_members_become_users() {
    let world = World::new().await;
    let id = world.member("Ann@example.com").await;
    let member = format!("query ($id: ID!) {{ member(id: $id) {{ {MEMBER} }} }}");
    let me = "{ me { user { email } } }";
    for verified in [json!(false), Value::Null, json!("true")] {
        world.run(&bearer("user_ann", "ann@example.com", &verified), me, json!({})).await.data();
        let found = world.owner_a(&member, json!({"id": id})).await.data()["member"].clone();
        assert_eq!((&found["status"], &found["user"]), (&json!("INVITED"), &Value::Null), "{verified}");
    }
    let token = bearer("user_ann", "ann@EXAMPLE.com", &json!(true));
    world.run(&token, me, json!({})).await.data();
    let found = world.operator(&member, json!({"id": id})).await.data()["member"].clone();
    assert_eq!((&found["status"], &found["user"]["email"]), (&json!("ACTIVE"), &json!("ann@EXAMPLE.com")));
    // Someone who names an address learns that somebody has signed in with it, and not who that is.
    let found = world.owner_a(&member, json!({"id": id})).await.data()["member"].clone();
    assert_eq!((&found["status"], &found["user"]), (&json!("ACTIVE"), &Value::Null));
    // Invited by another partner later on: linked with the next request.
    let add = "mutation { addMember(input: { email: \"ANN@example.com\", firstName: \"A\" }) { member { id status } } }";
    assert_eq!(world.acme("owner_b", add, json!({})).await.data()["addMember"]["member"]["status"], "INVITED");
    world.run(&token, me, json!({})).await.data();
    assert_eq!(world.number("SELECT count(*) FROM partner_members WHERE status = 'active' AND user_id IS NOT NULL").await, 2);
    // Somebody else with that address is nobody's member, and a tenant of the same issuer has its own.
    world.run(&bearer("user_eve", "ann@example.com", &json!(true)), me, json!({})).await.data();
    assert_eq!(world.number("SELECT count(DISTINCT user_id) FROM partner_members").await, 1);
    let settled = update(&world, json!({"id": id, "email": "other@example.com"})).await;
    assert_eq!((&settled["userErrors"][0]["code"], &settled["member"]), (&json!("INVALID_TRANSITION"), &Value::Null));
    let spelled = update(&world, json!({"id": id, "email": "ANN@example.com", "lastName": null})).await;
    assert_eq!((&spelled["member"]["email"], &spelled["member"]["lastName"]), (&json!("ANN@example.com"), &Value::Null));
    let gone = change(&world, "deactivateMember", json!({"id": id})).await;
    assert_eq!(gone["member"]["status"], "INACTIVE");
    assert_eq!(change(&world, "reactivateMember", json!({"id": id})).await["member"]["status"], "ACTIVE");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Many who sign in at once, each invited by several partners, are linked everywhere: nobody waits for another who waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sign_in_at_once() {
    let world = std::sync::Arc::new(World::with_pool(8).await);
    let (acme, a, b) = (world.acme.uuid(), world.a.uuid(), world.b.uuid());
    world
        .sql(&format!(
            "INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name)
                SELECT '{acme}', gen_random_uuid(), CASE WHEN (n + p) % 2 = 0 THEN '{a}'::uuid ELSE '{b}'::uuid END, 'm' || n || '@example.com', 'M'
                FROM generate_series(1, 24) n, generate_series(0, 1) p ORDER BY p, n"
        ))
        .await;
    let tasks = (1..=24).map(|number| {
        let world = std::sync::Arc::clone(&world);
        let token = bearer(&format!("user_{number}"), &format!("m{number}@example.com"), &json!(true));
        tokio::spawn(async move { world.run(&token, "{ me { role } }", json!({})).await.data().clone() })
    });
    for task in futures_util::future::join_all(tasks).await {
        task.expect("an answer");
    }
    assert_eq!(world.number("SELECT count(*) FROM partner_members WHERE status = 'active' AND user_id IS NOT NULL").await, 48);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An inactive member is not linked, nor is an operator.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_linked() {
    let world = World::new().await;
    let (gone, staff) = (world.member("gone@example.com").await, world.member("staff@example.com").await);
    change(&world, "deactivateMember", json!({"id": gone})).await;
    world.run(&bearer("user_gone", "gone@example.com", &json!(true)), "{ me { role } }", json!({})).await.data();
    let mut claims = good_claims("operator_x", ACME);
    claims["email"] = json!("staff@example.com");
    claims["email_verified"] = json!(true);
    claims["metadata"] = json!({"role": "operator"});
    world.run(&sign(&claims), "{ me { role } }", json!({})).await.data();
    assert_eq!(world.number("SELECT count(*) FROM partner_members WHERE user_id IS NOT NULL").await, 0);
    assert_eq!(change(&world, "reactivateMember", json!({"id": staff})).await["member"]["status"], "INVITED");
    assert_eq!(change(&world, "reactivateMember", json!({"id": gone})).await["member"]["status"], "INVITED");
}

/// A member's credits follow its new address, and can be used by it alone.
#[tokio::test(flavor = "multi_thread")]
async fn credits_follow_the_address() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let id = world.member("old@example.com").await;
    world.member("taken@example.com").await;
    world.assign(&id, 10, 90, None).await;
    world.redeem("old@example.com", 3, "r1").await;
    let taken = update(&world, json!({"id": id, "email": "TAKEN@example.com"})).await;
    assert_eq!(
        taken["userErrors"],
        json!([{"code": "TAKEN", "message": "The partner has a member with this address already.", "field": ["input", "email"]}])
    );
    let moved = update(&world, json!({"id": id, "email": "New@example.com", "firstName": "Anna"})).await;
    assert_eq!(
        (&moved["member"]["email"], &moved["member"]["firstName"], &moved["member"]["creditsAvailable"]),
        (&json!("New@example.com"), &json!("Anna"), &json!(7))
    );
    assert_eq!(world.redeem("old@example.com", 1, "r2").await["userErrors"][0]["code"], "MEMBER_NOT_FOUND");
    assert_eq!(world.redeem("NEW@example.com", 7, "r3").await["userErrors"], json!([]));
    // Those that were used under the old address stay with it.
    assert_eq!(world.number("SELECT count(*) FROM partner_credits WHERE employee_email = 'new@example.com'").await, 7);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Deactivating takes back what is unused, or leaves it where it cannot be used; both can be undone, and doing either again changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn deactivating() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let (one, two) = (world.member("one@example.com").await, world.member("two@example.com").await);
    for member in [&one, &two] {
        world.assign(member, 10, 90, None).await;
        world.assign(member, 5, 30, None).await;
        world.redeem(member, 4, member).await;
    }
    let gone = change(&world, "deactivateMember", json!({"id": one})).await;
    assert_eq!(
        gone,
        json!({"member": {"status": "INACTIVE", "creditsAssigned": 4, "creditsAvailable": 0}, "revoked": 11, "userErrors": []})
    );
    assert_eq!(world.credits(world.a).await, [81, 11, 8, 0]);
    assert_eq!(change(&world, "deactivateMember", json!({"id": one})).await["revoked"], 0);
    let kept = change(&world, "deactivateMember", json!({"id": two, "revokeCredits": false})).await;
    assert_eq!(
        kept,
        json!({"member": {"status": "INACTIVE", "creditsAssigned": 15, "creditsAvailable": 11}, "revoked": 0, "userErrors": []})
    );
    assert_eq!(world.redeem(&two, 1, "no").await["userErrors"][0]["code"], "MEMBER_INACTIVE");
    assert_eq!(world.assign(&two, 1, 90, None).await["userErrors"][0]["code"], "MEMBER_INACTIVE");
    change(&world, "reactivateMember", json!({"id": two})).await;
    assert_eq!(world.redeem(&two, 11, "yes").await["userErrors"], json!([]));
    for mutation in ["deactivateMember", "reactivateMember"] {
        let unknown = partner_portal::ids::MemberId::new().to_string();
        assert_eq!(change(&world, mutation, json!({"id": unknown})).await["userErrors"], json!([{"code": "MEMBER_NOT_FOUND"}]));
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}
