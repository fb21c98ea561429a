//! Work does not grow with what has been: many small allocations, many used credits. How long it takes is measured in `benches/history.rs`.

use serde_json::{Value, json};

use crate::support::World;

/// Gives a member of partner A so many allocations of one credit each, that expire one after the other.
async fn small_allocations(world: &World, member: &str, count: i32) {
    let uuid = member.parse::<partner_portal::ids::MemberId>().expect("a member").uuid();
    world
        .sql(&format!(
            "SET app.events = 'off';
             SELECT count(*) FROM generate_series(1, {count}) AS n CROSS JOIN LATERAL assign_partner_credits('{}', '{}', '{uuid}', 1, 1 + n % 3000,
                 gen_random_uuid(), NULL, NULL, now()) AS a",
            world.acme.uuid(),
            world.a.uuid()
        ))
        .await;
}

/// Credits of thousands of allocations are used by one call, the soonest to expire first, each allocation with a transfer of its own whose
/// running balances follow; the rest is taken back with the member.
#[tokio::test(flavor = "multi_thread")]
async fn many_small_allocations() {
    let world = World::new().await;
    world.grant(world.a, 10_000, None).await;
    let member = world.member("ann@example.com").await;
    small_allocations(&world, &member, 2_500).await;
    let redeemed = world.redeem(&member, 2_000, "r").await;
    assert_eq!((&redeemed["userErrors"], &redeemed["redemption"]["credits"]), (&json!([]), &json!(2_000)));
    assert_eq!(redeemed["redemption"]["transfers"].as_array().map(Vec::len), Some(2_000));
    assert_eq!(world.credits(world.a).await, [7_500, 500, 2_000, 0]);
    let last_used = world.number("SELECT max(valid_days) FROM credit_allocations WHERE used > 0").await;
    assert_eq!(
        world.number(&format!("SELECT count(*) FROM credit_allocations WHERE used = 0 AND valid_days < {last_used}")).await,
        0
    );
    let off = "mutation ($id: ID!) { deactivateMember(input: { id: $id }) { revoked userErrors { code } } }";
    assert_eq!(world.owner_a(off, json!({"id": member})).await.data()["deactivateMember"]["revoked"], 500);
    assert_eq!(world.credits(world.a).await, [8_000, 0, 2_000, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A new address is that of the member and of what it can still use, and no row of what has ended is written.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_changes_what_can_be_used_alone() {
    let world = World::new().await;
    world.grant(world.a, 1_000, None).await;
    let member = world.member("ann@example.com").await;
    for credits in [30, 20] {
        world.assign(&member, credits, credits, None).await;
    }
    world.redeem(&member, 25, "r").await;
    let change = "mutation ($id: ID!, $email: EmailAddress!) { updateMember(input: { id: $id, email: $email }) { member { email } userErrors { code } } }";
    let answer = world.owner_a(change, json!({"id": member, "email": "Anna@example.com"})).await;
    assert_eq!(answer.data()["updateMember"]["userErrors"], json!([]));
    let of = async |email: &str, status: &str| {
        world
            .number(&format!("SELECT count(*) FROM partner_credits WHERE employee_email = '{email}' AND status = '{status}'"))
            .await
    };
    assert_eq!((of("anna@example.com", "available").await, of("ann@example.com", "used").await), (25, 25));
    let code = |payload: &Value| payload["userErrors"][0]["code"].as_str().unwrap_or("none").to_owned();
    assert_eq!(code(&world.redeem("ann@example.com", 1, "r2").await), "MEMBER_NOT_FOUND");
    assert_eq!(code(&world.redeem("anna@example.com", 25, "r3").await), "none");
    assert_eq!(world.credits(world.a).await, [950, 0, 50, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
