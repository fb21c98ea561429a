//! Credits: granting, assigning, taking back, using, expiring; each once, never more than there are.

use chrono::TimeDelta;
use partner_portal::jobs;
use serde_json::{Value, json};

use crate::support::World;

pub fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or("none")
}

/// A grant happens once for its key, is refused with other content, and can be taken back as far as it is unassigned.
#[tokio::test(flavor = "multi_thread")]
async fn granting() {
    let world = World::new().await;
    let first = world.grant(world.a, 100, Some("g1")).await;
    assert_eq!((&first["partner"]["creditBalance"], &first["replayed"]), (&json!(100), &json!(false)));
    let again = world.grant(world.a, 100, Some("g1")).await;
    assert_eq!(
        (&again["grant"]["id"], &again["partner"]["creditBalance"], &again["replayed"]),
        (&first["grant"]["id"], &json!(100), &json!(true))
    );
    assert_eq!(code(&world.grant(world.a, 101, Some("g1")).await), "KEY_REUSED");
    assert_eq!(code(&world.grant(world.b, 100, Some("g1")).await), "KEY_REUSED");
    assert_eq!(world.grant(world.a, -30, None).await["partner"]["creditBalance"], 70);
    let more = world.grant(world.a, -71, None).await;
    assert_eq!(
        more["userErrors"],
        json!([{"code": "INSUFFICIENT_CREDITS", "message": "The partner has 70 unassigned credits; no more can be taken back.", "field": ["input", "credits"]}])
    );
    for wrong in [0, 100_000_001, -100_000_001, i64::from(i32::MIN)] {
        assert_eq!(code(&world.grant(world.a, wrong, None).await), "INVALID_AMOUNT", "{wrong}");
    }
    for _ in 0..20 {
        world.grant(world.b, 100_000_000, None).await;
    }
    assert_eq!(code(&world.grant(world.b, 1, None).await), "OUT_OF_RANGE");
    assert_eq!(code(&world.grant(world.g, 1, None).await), "NOT_FOUND");
    world.sql("UPDATE partners SET status = 'closed' WHERE company_name = 'Partner A'").await;
    assert_eq!(code(&world.grant(world.a, 1, None).await), "PARTNER_INACTIVE");
    assert_eq!(world.grant(world.a, -70, None).await["partner"]["creditBalance"], 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An assignment lowers the balance and raises what the member has, once for its key; every refusal says why and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn assigning() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    let first = world.assign(&member, 60, 90, Some("k")).await;
    assert_eq!(
        (&first["allocation"]["available"], &first["partner"]["creditBalance"], &first["member"]["creditsAssigned"]),
        (&json!(60), &json!(40), &json!(60))
    );
    let again = world.assign(&member, 60, 90, Some("k")).await;
    assert_eq!((&again["replayed"], &again["allocation"]), (&json!(true), &first["allocation"]));
    assert_eq!(code(&world.assign(&member, 61, 90, Some("k")).await), "KEY_REUSED");
    assert_eq!(code(&world.assign(&member, 60, 91, Some("k")).await), "KEY_REUSED");
    let short = world.assign(&member, 41, 90, None).await;
    assert_eq!((&short["allocation"], &short["partner"]["creditBalance"]), (&Value::Null, &json!(40)));
    assert_eq!(
        short["userErrors"],
        json!([{"code": "INSUFFICIENT_CREDITS", "message": "Your partner has 40 credits to assign, and 41 are asked for.", "field": ["input", "credits"]}])
    );
    for wrong in [0, -1, 100_001] {
        assert_eq!(code(&world.assign(&member, wrong, 90, None).await), "INVALID_AMOUNT", "{wrong}");
    }
    for wrong in [0, 3_651] {
        assert_eq!(code(&world.assign(&member, 1, wrong, None).await), "OUT_OF_RANGE", "{wrong}");
    }
    let add = "mutation { addMember(input: { email: \"b@example.com\", firstName: \"B\" }) { member { id } } }";
    let of_b = world.acme("owner_b", add, json!({})).await.data()["addMember"]["member"]["id"].clone();
    assert_eq!(code(&world.assign(of_b.as_str().expect("an id"), 1, 90, None).await), "MEMBER_NOT_FOUND");
    assert_eq!(world.credits(world.a).await, [40, 60, 0, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Only what is unused goes back, once; what is past its time does not.
#[tokio::test(flavor = "multi_thread")]
async fn revoking() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    let allocation = world.assign(&member, 60, 90, None).await["allocation"]["id"].clone();
    world.redeem(&member, 25, "r").await;
    let revoked = world.revoke(&allocation).await;
    assert_eq!(
        (&revoked["revoked"], &revoked["allocation"]["revoked"], &revoked["allocation"]["used"]),
        (&json!(35), &json!(35), &json!(25))
    );
    assert_eq!(revoked["allocation"]["member"], json!({"id": member, "creditsAssigned": 25, "creditsAvailable": 0}));
    assert_eq!(world.revoke(&allocation).await["revoked"], 0);
    assert_eq!(world.credits(world.a).await, [75, 0, 25, 0]);
    let unknown = json!(partner_portal::ids::AllocationId::new().to_string());
    assert_eq!(code(&world.revoke(&unknown).await), "NOT_FOUND");
    let late = world.assign(&member, 10, 1, None).await["allocation"]["id"].clone();
    world.sql("UPDATE credit_allocations SET expires_at = now() - interval '1 second' WHERE valid_days = 1").await;
    assert_eq!(world.revoke(&late).await["revoked"], 0);
    assert_eq!(world.credits(world.a).await, [65, 0, 25, 10]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// The soonest to expire go first, over several allocations; the same key answers with the first result.
#[tokio::test(flavor = "multi_thread")]
async fn redeeming() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("Ann@example.com").await;
    let late = world.assign(&member, 5, 90, None).await["allocation"]["id"].clone();
    let soon = world.assign(&member, 5, 30, None).await["allocation"]["id"].clone();
    let first = world.redeem("ANN@example.com", 7, "r1").await;
    assert_eq!(
        first["redemption"]["transfers"],
        json!([{"kind": "REDEEM", "credits": 2, "allocation": {"id": late}}, {"kind": "REDEEM", "credits": 5, "allocation": {"id": soon}}])
    );
    let again = world.redeem("ann@example.com", 7, "r1").await;
    assert_eq!((&again["replayed"], &again["redemption"]["id"]), (&json!(true), &first["redemption"]["id"]));
    assert_eq!(code(&world.redeem("ann@example.com", 6, "r1").await), "KEY_REUSED");
    assert_eq!(code(&world.redeem(&member, 7, "r1").await), "KEY_REUSED");
    let short = world.redeem(&member, 4, "r2").await;
    assert_eq!(short["available"], 3);
    assert_eq!(
        short["userErrors"],
        json!([{"code": "INSUFFICIENT_CREDITS", "message": "There are 3 credits to use, and 4 are asked for.", "field": ["input", "count"]}])
    );
    assert_eq!(code(&world.redeem(&member, 0, "r3").await), "INVALID_AMOUNT");
    assert_eq!(code(&world.redeem("nobody@example.com", 1, "r4").await), "MEMBER_NOT_FOUND");
    let both = "mutation ($id: ID!) { redeemCredit(input: { memberId: $id, email: \"ann@example.com\", idempotencyKey: \"b\" }) { userErrors { code field } } }";
    assert_eq!(
        world.service(both, json!({"id": member})).await.data()["redeemCredit"]["userErrors"],
        json!([{"code": "REQUIRED", "field": ["input", "memberId"]}])
    );
    world.sql("UPDATE partners SET status = 'suspended' WHERE company_name = 'Partner A'").await;
    assert_eq!(code(&world.redeem(&member, 1, "r5").await), "PARTNER_INACTIVE");
    assert_eq!(world.credits(world.a).await, [90, 3, 7, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// An address that is that of members of two partners uses what expires soonest of both.
#[tokio::test(flavor = "multi_thread")]
async fn redeeming_by_address() {
    let world = World::new().await;
    world.grant(world.a, 10, None).await;
    world.grant(world.b, 10, None).await;
    let member = world.member("ann@example.com").await;
    world.assign(&member, 5, 60, None).await;
    let add = "mutation { addMember(input: { email: \"ANN@example.com\", firstName: \"A\" }) { member { id } } }";
    let of_b = world.acme("owner_b", add, json!({})).await.data()["addMember"]["member"]["id"].clone();
    let assign = "mutation ($id: ID!) { assignCredits(input: { idempotencyKey: \"FRESH_KEY\", memberId: $id, credits: 5, validDays: 30 }) { userErrors { code } } }";
    world.acme("owner_b", assign, json!({"id": of_b})).await.data();
    assert_eq!(world.redeem("ann@example.com", 6, "r").await["userErrors"], json!([]));
    assert_eq!((world.credits(world.a).await, world.credits(world.b).await), ([5, 4, 1, 0], [5, 0, 5, 0]));
    // Each partner sees its own share of it.
    let ledger = "{ me { partner { creditLedger(first: 1) { nodes { kind credits redemption { id } allocation { used } } } } } }";
    let seen = world.owner_a(ledger, json!({})).await.data()["me"]["partner"]["creditLedger"]["nodes"][0].clone();
    assert_eq!(seen, json!({"kind": "REDEEM", "credits": 1, "redemption": null, "allocation": {"used": 1}}));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What is past its time is expired for readers from that second on, whether or not maintenance has run, and is never used; maintenance
/// books it once.
#[tokio::test(flavor = "multi_thread")]
async fn expiring() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    let soon = world.assign(&member, 10, 1, None).await["allocation"].clone();
    world.assign(&member, 20, 3, None).await;
    world.redeem(&member, 4, "r1").await;
    let expires = chrono::DateTime::parse_from_rfc3339(soon["expiresAt"].as_str().expect("an instant")).expect("an instant");
    // The API's clock runs ahead; its tokens would not last, so the books are asked as the API asks them.
    let seen = async |at: chrono::DateTime<chrono::Utc>| {
        use partner_portal::models::{
            credits::ledger::{credits_by_members, figures},
            scope::Scope,
        };
        let owner = world.owner().await;
        let scope = Scope::tenant(world.acme);
        let figures = figures(&owner, scope, &[world.a], at).await.expect("figures")[&world.a];
        let id = member.parse().expect("an id");
        let member = credits_by_members(&owner, scope, &[id], at).await.expect("credits")[&id];
        assert_eq!((member.used, member.expired), (figures.used, figures.expired));
        (figures.balance, figures.assigned, figures.used, figures.expired, member.available)
    };
    let moment = TimeDelta::microseconds(1);
    assert_eq!(seen(expires.to_utc() - moment).await, (70, 26, 4, 0, 26));
    assert_eq!(seen(expires.to_utc()).await, (70, 20, 4, 6, 20));
    world.app.clock.advance(TimeDelta::days(1) + TimeDelta::minutes(1));
    let done = jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance").expect("nobody else does it");
    assert_eq!(done.expired, 6);
    assert_eq!(jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance").expect("done").expired, 0);
    assert_eq!(seen(expires.to_utc()).await, (70, 20, 4, 6, 20));
    assert_eq!(world.number("SELECT expired FROM credit_allocations WHERE valid_days = 1").await, 6);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What the API shows of an allocation is of now: past its time nothing is available, before maintenance has run.
#[tokio::test(flavor = "multi_thread")]
async fn allocations_are_of_now() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    world.assign(&member, 10, 1, None).await;
    world.assign(&member, 20, 2, None).await;
    world.sql("UPDATE credit_allocations SET expires_at = now() - interval '1 second' WHERE valid_days = 1").await;
    assert_eq!(code(&world.redeem(&member, 21, "r").await), "INSUFFICIENT_CREDITS");
    let query = "query ($usable: Boolean) { creditAllocations(filter: { usable: $usable }) { totalCount nodes { credits available expired member { creditsAvailable } transfers { kind } } }
        dashboard { credits { balance assigned used expired } memberCounts { total } } me { partner { creditBalance creditAllocations { totalCount } members { nodes { creditAllocations(first: 1) { totalCount nodes { credits } } } } } } }";
    let all = world.owner_a(query, json!({"usable": null})).await.data().clone();
    assert_eq!(
        all["creditAllocations"],
        json!({"totalCount": 2, "nodes": [
            {"credits": 20, "available": 20, "expired": 0, "member": {"creditsAvailable": 20}, "transfers": [{"kind": "ASSIGN"}]},
            {"credits": 10, "available": 0, "expired": 10, "member": {"creditsAvailable": 20}, "transfers": [{"kind": "ASSIGN"}]}]})
    );
    assert_eq!(
        all["dashboard"],
        json!({"credits": {"balance": 70, "assigned": 20, "used": 0, "expired": 10}, "memberCounts": {"total": 1}})
    );
    assert_eq!(
        all["me"]["partner"],
        json!({"creditBalance": 70, "creditAllocations": {"totalCount": 2}, "members": {"nodes": [{"creditAllocations": {"totalCount": 2, "nodes": [{"credits": 20}]}}]}})
    );
    for (usable, credits) in [(true, 20), (false, 10)] {
        let found = world.owner_a(query, json!({"usable": usable})).await.data()["creditAllocations"].clone();
        assert_eq!((&found["totalCount"], &found["nodes"][0]["credits"]), (&json!(1), &json!(credits)), "{usable}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A ledger of credits shows every transfer with the balances after it to the partner's owner and to operators; members of the partner see
/// what moved, and not what it left; pages walk it both ways.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    world.assign(&member, 30, 90, None).await;
    world.redeem(&member, 10, "r").await;
    let query = "query ($first: Int, $after: String, $last: Int, $before: String) { me { partner { creditLedger(first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { kind credits from fromBalance to toBalance grant { reason } allocation { credits } } pageInfo { hasNextPage endCursor startCursor } } } } }";
    let page = async |variables: Value| world.owner_a(query, variables).await.data()["me"]["partner"]["creditLedger"].clone();
    let first = page(json!({"first": 2})).await;
    assert_eq!(
        first["nodes"],
        json!([
            {"kind": "REDEEM", "credits": 10, "from": "ASSIGNED", "fromBalance": 20, "to": "USED", "toBalance": 10, "grant": null, "allocation": {"credits": 30}},
            {"kind": "ASSIGN", "credits": 30, "from": "AVAILABLE", "fromBalance": 70, "to": "ASSIGNED", "toBalance": 30, "grant": null, "allocation": {"credits": 30}}])
    );
    assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
    let next = page(json!({"first": 2, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!(
        next["nodes"],
        json!([{"kind": "GRANT", "credits": 100, "from": "ISSUED", "fromBalance": -100, "to": "AVAILABLE", "toBalance": 100, "grant": {"reason": "Plan"}, "allocation": null}])
    );
    let back = page(json!({"last": 2, "before": next["pageInfo"]["startCursor"]})).await;
    assert_eq!(back["nodes"], first["nodes"]);
    assert_eq!(world.acme("member_a", query, json!({"first": 2})).await.data()["me"]["partner"]["creditLedger"], Value::Null);
    let transfers = "{ creditAllocations { nodes { transfers { credits fromBalance toBalance redemption { id } } } } }";
    for (who, balance) in [("member_a", Value::Null), ("owner_a", json!(70))] {
        let seen = world.acme(who, transfers, json!({})).await.data()["creditAllocations"]["nodes"][0]["transfers"][0].clone();
        assert_eq!(seen["fromBalance"], balance, "{who}");
    }
}

/// Allocations are filtered by member, by partner and by time, and paged.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_allocations() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let (ann, bo) = (world.member("ann@example.com").await, world.member("bo@example.com").await);
    for (member, days) in [(&ann, 10), (&bo, 20), (&ann, 30), (&ann, 40)] {
        world.assign(member, days, days, None).await;
    }
    world.sql("UPDATE credit_allocations SET created_at = now() - interval '50 days' WHERE valid_days = 10").await;
    let query = "query ($filter: CreditAllocationFilter, $first: Int, $after: String) { creditAllocations(filter: $filter, first: $first, after: $after) { totalCount nodes { validDays } pageInfo { endCursor hasNextPage } } }";
    let list = async |variables: Value| world.operator(query, variables).await.data()["creditAllocations"].clone();
    let days = |list: &Value| {
        list["nodes"].as_array().expect("rows").iter().map(|row| row["validDays"].as_i64().expect("a number")).collect::<Vec<_>>()
    };
    let at = |days: i64| (world.app.clock.now() + TimeDelta::days(days)).to_rfc3339();
    for (filter, expected) in [
        (json!({}), vec![40, 30, 20, 10]),
        (json!({"memberId": ann}), vec![40, 30, 10]),
        (json!({"partnerId": world.a.to_string(), "memberId": bo}), vec![20]),
        (json!({"partnerId": world.b.to_string()}), vec![]),
        (json!({"created": {"from": at(-1)}}), vec![40, 30, 20]),
        (json!({"created": {"before": at(-1)}}), vec![10]),
        (json!({"expires": {"before": at(25)}}), vec![20, 10]),
    ] {
        let found = list(json!({"filter": filter})).await;
        assert_eq!((days(&found), &found["totalCount"]), (expected.clone(), &json!(expected.len())), "{filter}");
    }
    let first = list(json!({"first": 3})).await;
    let rest = list(json!({"first": 3, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!((days(&first), days(&rest), &rest["pageInfo"]["hasNextPage"]), (vec![40, 30, 20], vec![10], &json!(false)));
}

/// The first change of a connection is of one credit, the next of very many: the plans of the first do for both.
#[tokio::test(flavor = "multi_thread")]
async fn few_then_many() {
    let world = World::with_pool(1).await;
    world.grant(world.a, 100_000, None).await;
    let member = world.member("ann@example.com").await;
    let many = world.assign(&member, 60_000, 90, None).await["allocation"]["id"].clone();
    assert_eq!(world.redeem(&member, 1, "one").await["userErrors"], json!([]));
    assert_eq!(world.revoke(&many).await["revoked"], 59_999);
    assert_eq!(world.credits(world.a).await, [99_999, 0, 1, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A hundred thousand credits are assigned by one call.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_at_once() {
    let world = World::new().await;
    world.grant(world.a, 100_000, None).await;
    let member = world.member("ann@example.com").await;
    assert_eq!(world.assign(&member, 100_000, 90, None).await["partner"]["creditBalance"], 0);
    assert_eq!(world.redeem(&member, 100_000, "all").await["userErrors"], json!([]));
    assert_eq!(world.credits(world.a).await, [0, 0, 100_000, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
