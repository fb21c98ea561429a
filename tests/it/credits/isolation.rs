//! Isolation of members and credits in PostgreSQL, under each database role.

use diesel_async::SimpleAsyncConnection;
use serde_json::json;

use crate::{
    isolation::{
        by_the_api::credits,
        database_roles::{CREDITS, visible},
    },
    support::World,
};

fn who(tenant: partner_portal::ids::TenantId, partner: partner_portal::ids::PartnerId) -> String {
    let nil = uuid::Uuid::nil();
    format!("SET app.tenant_id = '{}'; SET app.partner_id = '{}'; SET app.user_id = '{nil}'", tenant.uuid(), partner.uuid())
}

/// Members and credits are seen by their partner and by the tenant's staff, by nobody else; redemptions by staff and machines alone.
#[tokio::test(flavor = "multi_thread")]
async fn roles_see_their_own_credits() {
    let world = World::new().await;
    credits(&world).await;
    let (a, b, g) = (who(world.acme, world.a), who(world.acme, world.b), who(world.globex, world.g));
    let all = visible(&world, "portal_operator", &b, CREDITS).await;
    assert!(all.as_object().expect("counts").values().all(|count| count.as_i64() > Some(0)), "{all}");
    assert_eq!(visible(&world, "portal_service", &b, CREDITS).await, all);
    let mut own = all;
    own["credit_redemptions"] = json!("denied");
    assert_eq!(visible(&world, "portal_partner", &a, CREDITS).await, own);
    for (role, settings) in [("portal_partner", &b), ("portal_partner", &g), ("portal_operator", &g), ("portal_service", &g)] {
        let counts = visible(&world, role, settings, CREDITS).await;
        let nothing = |(table, count): (&String, &serde_json::Value)| {
            *count == json!(0) || (role == "portal_partner" && table == "credit_redemptions" && *count == json!("denied"))
        };
        assert!(counts.as_object().expect("counts").iter().all(nothing), "{role}: {counts}");
    }
    // The guard sees who is invited to a tenant of the token's issuer, and whom its subject has become.
    let gate = |issuer: &str| format!("SET app.issuer = '{issuer}'; SET app.subject = 'owner_a'");
    for (issuer, members) in [(partner_portal::auth::development::ISSUER, 1), ("https://other.example", 0)] {
        let counts = visible(&world, "portal_gate", &gate(issuer), CREDITS).await;
        for (table, count) in counts.as_object().expect("counts") {
            assert_eq!(*count, if table == "partner_members" { json!(members) } else { json!("denied") }, "{table}");
        }
    }
}

/// Writes that no role may do are refused by PostgreSQL itself: balances, counters, units that come or go, another's members.
#[tokio::test(flavor = "multi_thread")]
async fn roles_cannot_write_credits() {
    let world = World::new().await;
    credits(&world).await;
    let (acme, a, b) = (world.acme.uuid(), world.a.uuid(), world.b.uuid());
    let attempt = async |role: &str, sql: String| {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}; {}", who(world.acme, world.a))).await.expect("a role");
        let checked = format!(
            "DO $$ DECLARE n int; BEGIN {sql}; GET DIAGNOSTICS n = ROW_COUNT; IF n = 0 THEN RAISE 'no row'; END IF; END $$"
        );
        connection.batch_execute(&checked).await.is_ok()
    };
    let member = |partner: uuid::Uuid| {
        format!(
            "INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name) VALUES ('{acme}', gen_random_uuid(), '{partner}', 'new@example.com', 'N')"
        )
    };
    assert!(attempt("portal_partner", member(a)).await, "its own member");
    assert!(attempt("portal_partner", "UPDATE partner_members SET first_name = 'N'".to_owned()).await, "its own members' names");
    let grant = |role: &str| {
        (
            role.to_owned(),
            format!(
                "INSERT INTO credit_grants (tenant_id, id, partner_id, credits, reason) VALUES ('{acme}', gen_random_uuid(), '{a}', 5, 'R')"
            ),
        )
    };
    let (granting, granted) = grant("portal_service");
    assert!(attempt(&granting, granted).await, "a grant by a machine");
    for (role, sql) in [
        grant("portal_partner"),
        ("portal_partner".to_owned(), member(b)),
    ]
    .into_iter()
    .chain(
        [
            ("portal_partner", "UPDATE partner_members SET credits_assigned = 0"),
            ("portal_partner", "UPDATE partner_members SET user_id = NULL"),
            ("portal_partner", "DELETE FROM partner_members"),
            ("portal_partner", "UPDATE partner_credits SET status = 'revoked', ended_at = now()"),
            ("portal_partner", "UPDATE credit_allocations SET revoked = 1"),
            ("portal_partner", "UPDATE member_accounts SET balance = 0"),
            ("portal_partner", "UPDATE member_counts SET active = 9"),
            ("portal_partner", "PERFORM lock_partner_credits(tenant_id, id) FROM partners"),
            ("portal_partner", "PERFORM assign_partner_credits(tenant_id, partner_id, id, 1, 1, gen_random_uuid(), NULL, NULL, now()) FROM partner_members"),
            ("portal_operator", "PERFORM assign_partner_credits(tenant_id, partner_id, id, 1, 1, gen_random_uuid(), NULL, NULL, now()) FROM partner_members"),
            ("portal_operator", "UPDATE partner_credits SET status = 'used', ended_at = now(), redemption_id = (SELECT id FROM credit_redemptions LIMIT 1)"),
            ("portal_operator", "UPDATE credit_grants SET credits = 9"),
            ("portal_operator", "DELETE FROM partner_credits"),
            ("portal_service", "UPDATE partner_credits SET expires_at = now() + interval '9 years'"),
            ("portal_service", "UPDATE credit_allocations SET credits = 9"),
            ("portal_service", "UPDATE credit_redemptions SET credits = 9"),
            ("portal_service", "UPDATE accounts SET balance = 9 WHERE kind = 'available'"),
            ("portal_service", "DELETE FROM credit_allocations"),
            ("portal_service", "DELETE FROM member_accounts"),
            ("portal_gate", "UPDATE partner_members SET user_id = gen_random_uuid(), status = 'active'"),
            ("portal_gate", "UPDATE partner_members SET email = 'eve@example.com'"),
        ]
        .map(|(role, sql)| (role.to_owned(), sql.to_owned())),
    ) {
        assert!(!attempt(&role, sql.clone()).await, "{role}: {sql}");
    }
    // A unit cannot say anything else than its allocation, nor be used past its time, no matter which role writes it.
    for sql in [
        "UPDATE partner_credits SET employee_email = 'eve@example.com'",
        "UPDATE partner_credits SET expires_at = expires_at + interval '1 day'",
        "UPDATE partner_credits SET ended_at = expires_at WHERE status = 'used'",
        "UPDATE accounts SET balance = -1 WHERE kind = 'available'",
        "UPDATE transfers SET amount = 0.5 WHERE unit = 'CREDIT'",
    ] {
        assert!(world.owner().await.batch_execute(sql).await.is_err(), "{sql}");
    }
}
