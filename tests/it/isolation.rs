//! Isolation, twice: by the API's own conditions, and by PostgreSQL under each database role.

use diesel_async::SimpleAsyncConnection;
use partner_portal::db::connect;
use serde_json::{Value, json};

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, GLOBEX},
};

/// For every type: another partner, another tenant's partner, operator and machine see nothing, by `node` or by its own field.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_anything() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await;
    let me = world.owner_a("{ me { user { id } tenant { id } } }", json!({})).await;
    let (user, tenant) = (me.data()["me"]["user"]["id"].clone(), me.data()["me"]["tenant"]["id"].clone());
    let ids = json!({"lead": lead.to_string(), "partner": world.a.to_string(), "user": user, "tenant": tenant});
    let query = "query ($lead: ID!, $partner: ID!, $user: ID!, $tenant: ID!) {
        lead(id: $lead) { id } partner(id: $partner) { id }
        a: node(id: $lead) { id } b: node(id: $partner) { id } c: node(id: $user) { id } d: node(id: $tenant) { id }
        nodes(ids: [$lead, $partner, $user, $tenant]) { id }
        leads { totalCount nodes { id partner { id } } }
    }";
    let own = world.owner_a(query, ids.clone()).await;
    assert!(own.data().as_object().expect("data").values().all(|value| !value.is_null()), "{}", own.body);

    let nothing = json!({
        "lead": null, "partner": null, "a": null, "b": null, "c": null, "d": null, "nodes": [null, null, null, null],
        "leads": {"totalCount": 0, "nodes": []},
    });
    for (who, token) in [
        ("another tenant's partner", token("owner_g", GLOBEX)),
        ("another tenant's operator", staff_token("operator", GLOBEX)),
        ("another tenant's machine", staff_token("service", GLOBEX)),
    ] {
        assert_eq!(world.run(&token, query, ids.clone()).await.data(), &nothing, "{who}");
    }
    // Another partner of the same tenant shares the tenant, and nothing else.
    let mut shared = nothing;
    shared["d"] = json!({"id": tenant});
    shared["nodes"][3] = json!({"id": tenant});
    assert_eq!(world.run(&token("owner_b", ACME), query, ids).await.data(), &shared);
}

/// A mutation of what is another's finds nothing, says just that, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_changes_anything() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let a = world.a.to_string();
    let fingerprint = "SELECT hashtext((SELECT string_agg(l::text, '' ORDER BY id) FROM partner_leads l) ||
        (SELECT string_agg(p::text, '' ORDER BY id) FROM partners p) ||
        (SELECT string_agg(f::text, '' ORDER BY partner_id) FROM partner_profiles f))";
    let before = world.number(fingerprint).await;
    let mutations = [
        (
            "updateLead",
            format!("updateLead(input: {{ id: \"{lead}\", service: \"X\" }}) {{ lead {{ id }} userErrors {{ code field }} }}"),
        ),
        (
            "updateLeadStatus",
            format!(
                "updateLeadStatus(input: {{ id: \"{lead}\", status: LOST }}) {{ lead {{ id }} userErrors {{ code field }} }}"
            ),
        ),
        (
            "createLead",
            format!(
                "createLead(input: {{ partnerId: \"{a}\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }}) {{ lead {{ id }} userErrors {{ code field }} }}"
            ),
        ),
        (
            "updatePartnerProfile",
            format!(
                "updatePartnerProfile(input: {{ partnerId: \"{a}\", website: \"https://evil.example\" }}) {{ partner {{ id }} userErrors {{ code field }} }}"
            ),
        ),
        (
            "updatePartner",
            format!(
                "updatePartner(input: {{ id: \"{a}\", companyName: \"Evil\" }}) {{ partner {{ id }} userErrors {{ code field }} }}"
            ),
        ),
        (
            "changePartnerStatus",
            format!(
                "changePartnerStatus(input: {{ id: \"{a}\", status: CLOSED }}) {{ partner {{ id }} userErrors {{ code field }} }}"
            ),
        ),
    ];
    for (name, mutation) in mutations {
        let operation = format!("mutation {{ {mutation} }}");
        for (who, token) in [
            ("another partner", token("owner_b", ACME)),
            ("another tenant's partner", token("owner_g", GLOBEX)),
            ("another tenant's operator", staff_token("operator", GLOBEX)),
        ] {
            let answer = world.run(&token, &operation, json!({})).await;
            if answer.code() == "FORBIDDEN" {
                continue;
            }
            assert_eq!(answer.data()[name]["userErrors"][0]["code"], "NOT_FOUND", "{name} by {who}");
        }
    }
    assert_eq!(world.number(fingerprint).await, before);
}

/// What a database role sees of each table when it is told that it acts for someone.
async fn visible(world: &World, role: &str, settings: &str) -> Value {
    let mut counts = json!({});
    for table in ["tenants", "users", "partners", "partner_users", "partner_profiles", "partner_leads", "lead_status_changes"] {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}; {settings}")).await.expect("a role");
        let count = diesel_async::RunQueryDsl::get_result::<i64>(
            partner_portal::db::statement::statement::<diesel::sql_types::BigInt>(
                format!(
                    "SELECT count(tenant) FROM (SELECT {} AS tenant FROM {table}) t",
                    if table == "tenants" { "id" } else { "tenant_id" }
                ),
                vec![],
            ),
            &mut connection,
        )
        .await;
        counts[table] = count.map_or_else(|_| json!("denied"), |count| json!(count));
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
               "partner_leads": leads, "lead_status_changes": leads})
    };
    assert_eq!(visible(&world, "portal_partner", &as_partner(acme, a)).await, seen(1, 2, 1, 2, 3));
    assert_eq!(visible(&world, "portal_partner", &as_partner(globex, g)).await, seen(1, 1, 1, 1, 3));
    // A partner of one tenant with the id of another: a row cannot be in both.
    assert_eq!(visible(&world, "portal_partner", &as_partner(globex, a)).await, seen(1, 0, 0, 0, 0));
    for role in ["portal_operator", "portal_service"] {
        assert_eq!(visible(&world, role, &as_partner(acme, a)).await, seen(1, 3, 2, 3, 6));
    }
    // Not told who is asking, a role fails rather than sees.
    let denied = json!("denied");
    for role in ["portal_partner", "portal_operator", "portal_service"] {
        let counts = visible(&world, role, "RESET ALL").await;
        assert!(counts.as_object().expect("counts").values().all(|count| *count == denied), "{role}: {counts}");
    }
    // What the server logs in as may do nothing by itself.
    let counts = visible(&world, "portal_app", &as_partner(acme, a)).await;
    assert!(counts.as_object().expect("counts").values().all(|count| *count == denied), "{counts}");
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
               "partner_leads": "denied", "lead_status_changes": "denied"})
    };
    assert_eq!(visible(&world, "portal_gate", &gate(issuer, "owner_a")).await, seen(2, 1));
    assert_eq!(visible(&world, "portal_gate", &gate(issuer, "nobody")).await, seen(2, 0));
    assert_eq!(visible(&world, "portal_gate", &gate("https://other.example", "owner_a")).await, seen(0, 0));
    for role in ["portal_partner", "portal_operator", "portal_service", "portal_app"] {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}")).await.expect("a role");
        let asked = connection.batch_execute(&format!("SELECT * FROM portal_identity('{issuer}', 'owner_a', NULL, NULL)")).await;
        assert!(asked.is_err(), "{role} may not ask who somebody is");
    }
}

/// Writes that no role may do are refused by PostgreSQL itself: another's rows, history, counters, a partner's own pay.
#[tokio::test(flavor = "multi_thread")]
async fn roles_cannot_write_what_is_not_theirs() {
    let world = World::new().await;
    let (lead_a, lead_b) = (world.add_lead(world.acme, world.a).await.uuid(), world.add_lead(world.acme, world.b).await.uuid());
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
        ("portal_operator", format!("UPDATE partners SET converted_referrals = 0 WHERE id = '{a}'")),
        ("portal_operator", "UPDATE lead_status_changes SET note = 'x'".to_owned()),
        ("portal_operator", format!("DELETE FROM partner_leads WHERE id = '{lead_a}'")),
        ("portal_operator", "DELETE FROM partners".to_owned()),
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
        AND conrelid NOT IN ('tenants'::regclass, '__diesel_schema_migrations'::regclass)
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
    for table in ["tenants", "users", "partners", "partner_leads"] {
        assert!(connection.batch_execute(&format!("SELECT * FROM {table}")).await.is_err(), "{table}");
    }
    assert_eq!(
        world.number("SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE rolname LIKE 'portal%'").await,
        0
    );
}
