//! Isolation in PostgreSQL itself: what each database role sees and may write.

use diesel_async::SimpleAsyncConnection;
use partner_portal::db::connect;
use serde_json::{Value, json};

use super::by_the_api::money;
use crate::support::World;

const TABLES: &[&str] =
    &["tenants", "users", "partners", "partner_users", "partner_profiles", "partner_leads", "lead_status_changes", "events"];
const MONEY: &[&str] = &[
    "customers",
    "partner_accounts",
    "partner_commissions",
    "partner_commission_tiers",
    "invoices",
    "partner_commission_events",
    "commission_totals",
    "partner_payouts",
    "partner_payout_items",
    "partner_payout_changes",
    "accounts",
    "account_days",
    "transfers",
];
/// What is about all of a tenant's partners together.
const STAFF: &[&str] = &["tenant_totals"];
pub const CREDITS: &[&str] = &[
    "partner_members",
    "member_counts",
    "member_accounts",
    "credit_grants",
    "credit_allocations",
    "partner_credits",
    "credit_redemptions",
];

/// What a database role sees of each table when it learns that it acts for someone.
pub async fn visible(world: &World, role: &str, settings: &str, tables: &[&str]) -> Value {
    let mut counts = json!({});
    for table in tables {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}; {settings}")).await.expect("a role");
        let count = diesel_async::RunQueryDsl::get_result::<i64>(
            partner_portal::db::statement::statement::<diesel::sql_types::BigInt>(
                format!(
                    "SELECT count(tenant) FROM (SELECT {} AS tenant FROM {table}) t",
                    if *table == "tenants" { "id" } else { "tenant_id" }
                ),
                vec![],
            ),
            &mut connection,
        )
        .await;
        counts[*table] = count.map_or_else(|_| json!("denied"), |count| json!(count));
    }
    counts
}

/// With no condition in the SQL at all, each database role sees its own rows and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn roles_see_their_own_rows() {
    let world = World::new().await;
    for (tenant, partner) in [(world.acme, world.a), (world.acme, world.b), (world.globex, world.g)] {
        world.add_leads(tenant, partner, 3).await;
    }
    let as_partner = |tenant: uuid::Uuid, partner: uuid::Uuid| {
        format!("SET app.tenant_id = '{tenant}'; SET app.partner_id = '{partner}'; SET app.user_id = '{}'", uuid::Uuid::nil())
    };
    let (acme, globex, a, g) = (world.acme.uuid(), world.globex.uuid(), world.a.uuid(), world.g.uuid());
    let seen = |tenants: i32, users: i32, partners: i32, members: i32, leads: i32| {
        json!({"tenants": tenants, "users": users, "partners": partners, "partner_users": members, "partner_profiles": partners,
               "partner_leads": leads, "lead_status_changes": leads, "events": leads})
    };
    assert_eq!(visible(&world, "portal_partner", &as_partner(acme, a), TABLES).await, seen(1, 2, 1, 2, 3));
    assert_eq!(visible(&world, "portal_partner", &as_partner(globex, g), TABLES).await, seen(1, 1, 1, 1, 3));
    // A partner of one tenant with the id of another: a row cannot be in both.
    assert_eq!(visible(&world, "portal_partner", &as_partner(globex, a), TABLES).await, seen(1, 0, 0, 0, 0));
    for role in ["portal_operator", "portal_service"] {
        assert_eq!(visible(&world, role, &as_partner(acme, a), TABLES).await, seen(1, 3, 2, 3, 6));
    }
    // Not knowing who is asking, a role fails rather than sees.
    let denied = json!("denied");
    for role in ["portal_partner", "portal_operator", "portal_service"] {
        let counts = visible(&world, role, "RESET ALL", &[TABLES, MONEY, STAFF, CREDITS].concat()).await;
        assert!(counts.as_object().expect("counts").values().all(|count| *count == denied), "{role}: {counts}");
    }
    // What the server logs in as may do nothing by itself.
    let counts = visible(&world, "portal_app", &as_partner(acme, a), &[TABLES, MONEY, STAFF, CREDITS].concat()).await;
    assert!(counts.as_object().expect("counts").values().all(|count| *count == denied), "{counts}");
}

/// Money is seen by its partner and by the tenant's staff, by nobody else; the guard's role sees none of it.
#[tokio::test(flavor = "multi_thread")]
async fn roles_see_their_own_money() {
    let world = World::new().await;
    money(&world).await;
    let tiers = "mutation ($id: ID!) { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, currency: \"USD\", kind: TIERED, tiers: [{ above: \"0\", rate: \"0.1\" }] }) { userErrors { message } } }";
    world.operator(tiers, json!({"id": world.a.to_string()})).await.data();
    let who = |tenant: partner_portal::ids::TenantId, partner: partner_portal::ids::PartnerId| {
        let nil = uuid::Uuid::nil();
        format!("SET app.tenant_id = '{}'; SET app.partner_id = '{}'; SET app.user_id = '{nil}'", tenant.uuid(), partner.uuid())
    };
    let (a, b, g) = (who(world.acme, world.a), who(world.acme, world.b), who(world.globex, world.g));
    let all = visible(&world, "portal_operator", &a, MONEY).await;
    assert!(all.as_object().expect("counts").values().all(|count| count.as_i64() > Some(0)), "{all}");
    assert_eq!(visible(&world, "portal_service", &b, MONEY).await, all);
    assert_eq!(visible(&world, "portal_partner", &a, MONEY).await, all);
    for (role, settings) in [("portal_partner", &b), ("portal_partner", &g), ("portal_operator", &g), ("portal_service", &g)] {
        let counts = visible(&world, role, settings, MONEY).await;
        assert!(counts.as_object().expect("counts").values().all(|count| *count == json!(0)), "{role}: {counts}");
    }
    for role in ["portal_operator", "portal_service"] {
        assert!(visible(&world, role, &a, STAFF).await["tenant_totals"].as_i64() > Some(0));
        assert_eq!(visible(&world, role, &g, STAFF).await["tenant_totals"], 0);
    }
    assert_eq!(visible(&world, "portal_partner", &a, STAFF).await["tenant_totals"], "denied");
    let gate = visible(&world, "portal_gate", "SET app.issuer = 'x'; SET app.subject = 'owner_a'", MONEY).await;
    assert!(gate.as_object().expect("counts").values().all(|count| *count == json!("denied")), "{gate}");
    // A rank is shown of one's own partner alone.
    for (role, settings, ranks) in
        [("portal_partner", &a, 1), ("portal_partner", &b, 0), ("portal_operator", &b, 1), ("portal_operator", &g, 0)]
    {
        let text =
            format!("SELECT count(*) FROM partner_ranks(ARRAY['{}', '{}']::uuid[], 'USD')", world.a.uuid(), world.b.uuid());
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}; {settings}")).await.expect("a role");
        let asked = partner_portal::db::statement::statement::<diesel::sql_types::BigInt>(text, vec![]);
        let found: i64 = diesel_async::RunQueryDsl::get_result(asked, &mut connection).await.expect("ranks");
        assert_eq!(found, ranks, "{role}");
    }
}

/// The guard's role sees the token's tenants and the subject's own rows; of partners it can only ask whom a token acts for.
#[tokio::test(flavor = "multi_thread")]
async fn the_guard_sees_one_person() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 3).await;
    let issuer = partner_portal::auth::development::ISSUER;
    let gate = |issuer: &str, subject: &str| format!("SET app.issuer = '{issuer}'; SET app.subject = '{subject}'");
    let seen = |tenants: i32, users: i32| {
        json!({"tenants": tenants, "users": users, "partner_users": users, "partners": "denied", "partner_profiles": "denied",
               "partner_leads": "denied", "lead_status_changes": "denied", "events": "denied"})
    };
    assert_eq!(visible(&world, "portal_gate", &gate(issuer, "owner_a"), TABLES).await, seen(2, 1));
    assert_eq!(visible(&world, "portal_gate", &gate(issuer, "nobody"), TABLES).await, seen(2, 0));
    assert_eq!(visible(&world, "portal_gate", &gate("https://other.example", "owner_a"), TABLES).await, seen(0, 0));
    // The login asks with a verified token in its hand, before it takes a caller's role.
    for role in ["portal_partner", "portal_operator", "portal_service", "portal_app"] {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}")).await.expect("a role");
        for asks in [
            "portal_identity('{}', 'owner_a', NULL, NULL)",
            "portal_bearer('{}', 'owner_a', NULL, NULL, 'ann@example.com')",
            "portal_caller('{}', 'owner_a', NULL, NULL, 'ann@example.com')",
            "caller_versions",
        ] {
            let asked = connection.batch_execute(&format!("SELECT * FROM {}", asks.replace("{}", issuer))).await;
            let may_ask = role == "portal_app" && !asks.starts_with("portal_identity");
            assert_eq!(asked.is_ok(), may_ask, "whether {role} may ask {asks}");
        }
    }
}

/// Writes that no role may do are refused by PostgreSQL itself: another's rows, history, counters, a partner's own pay.
#[tokio::test(flavor = "multi_thread")]
async fn roles_cannot_write_what_is_not_theirs() {
    let world = World::new().await;
    let (lead_a, lead_b) = (world.add_lead(world.acme, world.a).await.uuid(), world.add_lead(world.acme, world.b).await.uuid());
    money(&world).await;
    world.link("https://example.com/").await;
    let (acme, a, b) = (world.acme.uuid(), world.a.uuid(), world.b.uuid());
    let who = format!("SET app.tenant_id = '{acme}'; SET app.partner_id = '{a}'; SET app.user_id = '{}'", uuid::Uuid::nil());
    let attempt = async |role: &str, sql: String| {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}; {who}")).await.expect("a role");
        connection
            .batch_execute(&format!(
                "DO $$ DECLARE n int; BEGIN {sql}; GET DIAGNOSTICS n = ROW_COUNT; IF n = 0 THEN RAISE 'no row'; END IF; END $$"
            ))
            .await
            .is_ok()
    };
    let insert = |partner: uuid::Uuid| {
        format!(
            "INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, currency) VALUES ('{acme}', gen_random_uuid(), '{partner}', 'C', 'c@example.com', 'S', 'USD')"
        )
    };
    assert!(attempt("portal_partner", insert(a)).await, "its own lead");
    assert!(
        attempt("portal_partner", format!("UPDATE partner_leads SET notes = 'x' WHERE id = '{lead_a}'")).await,
        "its own lead's notes"
    );
    let own = uuid::Uuid::now_v7();
    let sent = insert(a).replace("gen_random_uuid()", &format!("'{own}'"));
    assert!(attempt("portal_partner", sent).await, "another lead of its own");
    for (role, sql) in [
        ("portal_partner", insert(b)),
        ("portal_partner", format!("UPDATE partner_leads SET notes = 'x' WHERE id = '{lead_b}'")),
        ("portal_partner", format!("UPDATE partner_leads SET partner_id = '{b}' WHERE id = '{lead_a}'")),
        ("portal_partner", format!("UPDATE partner_leads SET commission_fixed = true WHERE id = '{lead_a}'")),
        ("portal_partner", format!("UPDATE partner_leads SET commission_rate = 1 WHERE id = '{lead_a}'")),
        ("portal_partner", format!("UPDATE partner_leads SET commission = 50 WHERE id = '{own}'")),
        ("portal_partner", format!("UPDATE partner_leads SET commission_paid = true WHERE id = '{lead_a}'")),
        ("portal_partner", format!("UPDATE partners SET commission_rate = 1 WHERE id = '{a}'")),
        ("portal_partner", format!("UPDATE partners SET total_referrals = 9 WHERE id = '{a}'")),
        ("portal_partner", "UPDATE lead_status_changes SET note = 'x'".to_owned()),
        ("portal_partner", "DELETE FROM lead_status_changes".to_owned()),
        ("portal_partner", format!("DELETE FROM partner_leads WHERE id = '{lead_a}'")),
        ("portal_partner", "UPDATE tenants SET name = 'x'".to_owned()),
        ("portal_partner", format!("UPDATE partner_users SET role = 'owner' WHERE partner_id = '{b}'")),
        ("portal_partner", format!("UPDATE partner_users SET partner_id = '{b}' WHERE partner_id = '{a}'")),
        ("portal_partner", format!("UPDATE users SET default_partner_id = '{b}' WHERE default_partner_id = '{a}'")),
        ("portal_partner", "UPDATE users SET version = 0".to_owned()),
        ("portal_partner", "UPDATE links SET coupon_code = 'FREE'".to_owned()),
        ("portal_partner", format!("UPDATE links SET partner_id = '{b}'")),
        ("portal_partner", "UPDATE programmes SET cookie_days = 700".to_owned()),
        ("portal_partner", "UPDATE enrolments SET status = 'approved'".to_owned()),
        ("portal_operator", "UPDATE enrolment_changes SET reason = 'x'".to_owned()),
        ("portal_operator", "DELETE FROM links".to_owned()),
        ("portal_operator", format!("UPDATE partners SET converted_referrals = 0 WHERE id = '{a}'")),
        ("portal_operator", "UPDATE lead_status_changes SET note = 'x'".to_owned()),
        ("portal_operator", format!("DELETE FROM partner_leads WHERE id = '{lead_a}'")),
        ("portal_operator", "DELETE FROM partners".to_owned()),
        ("portal_partner", "UPDATE partner_commission_events SET status = 'approved'".to_owned()),
        ("portal_partner", "DELETE FROM partner_commission_events".to_owned()),
        (
            "portal_partner",
            format!(
                "INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes) VALUES ('{acme}', gen_random_uuid(), '{a}', 'adjustment', 'approved', 'manual', 5, 'USD', now(), 'x')"
            ),
        ),
        (
            "portal_partner",
            "INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id) SELECT tenant_id, partner_id, 'USD', 'expense', 'paid', 5, 'pay', id FROM partner_commission_events LIMIT 1".to_owned(),
        ),
        ("portal_operator", "UPDATE transfers SET amount = 1".to_owned()),
        ("portal_operator", "DELETE FROM transfers".to_owned()),
        ("portal_operator", "UPDATE accounts SET balance = 0".to_owned()),
        ("portal_operator", "UPDATE account_days SET closing = 0".to_owned()),
        ("portal_operator", "UPDATE commission_totals SET earned = 0".to_owned()),
        ("portal_operator", "UPDATE tenant_totals SET earned = 0".to_owned()),
        ("portal_operator", "UPDATE partner_commission_events SET amount = 1".to_owned()),
        ("portal_operator", "UPDATE partner_payouts SET total_amount = 1".to_owned()),
        ("portal_operator", "DELETE FROM partner_payouts".to_owned()),
        ("portal_operator", "DELETE FROM partner_payout_items".to_owned()),
        ("portal_operator", "UPDATE partner_payout_changes SET note = 'x'".to_owned()),
        ("portal_operator", "UPDATE partner_commissions SET rate = 1".to_owned()),
        ("portal_service", "UPDATE partner_payouts SET status = 'completed'".to_owned()),
        ("portal_service", "UPDATE transfers SET amount = 1".to_owned()),
        ("portal_service", insert(a)),
        ("portal_service", format!("UPDATE partner_leads SET notes = 'x' WHERE id = '{lead_a}'")),
        ("portal_gate", format!("INSERT INTO partner_users VALUES ('{acme}', '{a}', gen_random_uuid(), 'owner', now())")),
    ] {
        assert!(!attempt(role, sql.clone()).await, "{role}: {sql}");
    }
}

/// A row cannot point into another tenant: every foreign key carries the tenant.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_carry_the_tenant() {
    let world = World::new().await;
    let unguarded =
        "SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace
        AND conrelid NOT IN ('tenants'::regclass, 'event_cursor_keys'::regclass, 'visitor_keys'::regclass, '__diesel_schema_migrations'::regclass)
        AND (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) <> 'tenant_id'";
    assert_eq!(world.number(unguarded).await, 0);
    let cascades = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confdeltype <> 'r'";
    assert_eq!(world.number(cascades).await, 0);
    let open = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND NOT relrowsecurity AND relname <> '__diesel_schema_migrations'";
    assert_eq!(world.number(open).await, 0);
}

/// The server's login can do nothing at all before its transaction has said who is asking.
#[tokio::test(flavor = "multi_thread")]
async fn the_login_owns_nothing() {
    let world = World::new().await;
    let mut connection = connect::establish(&world.database.login, None).await.expect("a connection");
    for table in TABLES.iter().chain(MONEY).chain(CREDITS) {
        assert!(connection.batch_execute(&format!("SELECT * FROM {table}")).await.is_err(), "{table}");
    }
    assert_eq!(
        world.number("SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE rolname LIKE 'portal%'").await,
        0
    );
}
