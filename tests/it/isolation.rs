//! Isolation, twice: by the API's own conditions, and by PostgreSQL under each database role.

use diesel_async::SimpleAsyncConnection;
use partner_portal::db::connect;
use serde_json::{Value, json};

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, GLOBEX},
};

/// A customer, a rule, a commission and a payout of partner A's: their ids.
async fn money(world: &World) -> [String; 4] {
    let customer = world.customer("cus_1", world.a).await;
    let query =
        "mutation ($id: ID!) { setCommissionRule(input: { partnerId: $id, kind: PERCENTAGE, rate: \"0.1\" }) { rule { id } } }";
    let rule = world.operator(query, json!({"id": world.a.to_string()})).await.data()["setCommissionRule"]["rule"]["id"].clone();
    let commission = world.pay("inv_1", "cus_1", "100.00", "2026-06-15T12:00:00Z").await["commission"]["id"].clone();
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    let text = |value: Value| value.as_str().expect("an id").to_owned();
    [customer, text(rule), text(commission), text(payout)]
}

/// A member, an allocation and a grant of partner A's: their ids.
pub async fn credits(world: &World) -> [String; 3] {
    let grant = world.grant(world.a, 100, None).await["grant"]["id"].clone();
    let member = world.member("ann@example.com").await;
    let allocation = world.assign(&member, 10, 90, None).await["allocation"]["id"].clone();
    let redemption = world.redeem(&member, 3, "r").await["redemption"]["id"].clone();
    let seen = "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }";
    for (who, token, sees) in [
        ("the tenant's machine", staff_token("service", ACME), true),
        ("its operator", staff_token("operator", ACME), true),
        ("the partner", token("owner_a", ACME), false),
        ("another tenant's machine", staff_token("service", GLOBEX), false),
    ] {
        let answer = world.run(&token, seen, json!({"id": redemption})).await;
        let shown = if sees { json!({"id": redemption}) } else { Value::Null };
        assert_eq!(answer.data(), &json!({"node": shown, "nodes": [shown]}), "{who}");
    }
    let text = |value: Value| value.as_str().expect("an id").to_owned();
    [member, text(allocation), text(grant)]
}

/// For every type: another partner, another tenant's partner, operator and machine see nothing, by `node` or by its own field.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_anything() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await;
    let me = world.owner_a("{ me { user { id } tenant { id } } }", json!({})).await;
    let (user, tenant) = (me.data()["me"]["user"]["id"].clone(), me.data()["me"]["tenant"]["id"].clone());
    let (money, credits) = (money(&world).await, credits(&world).await);
    let ([customer, rule, commission, payout], [member, allocation, grant]) = (&money, &credits);
    let ids = json!({"lead": lead.to_string(), "partner": world.a.to_string(), "user": user, "tenant": tenant,
                     "customer": customer, "rule": rule, "commission": commission, "payout": payout,
                     "member": member, "allocation": allocation, "grant": grant});
    let query = "query ($lead: ID!, $partner: ID!, $user: ID!, $tenant: ID!, $customer: ID!, $rule: ID!, $commission: ID!, $payout: ID!, $member: ID!, $allocation: ID!, $grant: ID!) {
        member(id: $member) { id } creditAllocation(id: $allocation) { id } i: node(id: $member) { id } j: node(id: $allocation) { id } k: node(id: $grant) { id }
        members { totalCount nodes { id partner { id } } }
        creditAllocations { totalCount nodes { id member { id } transfers { kind } } }
        lead(id: $lead) { id } partner(id: $partner) { id } customer(id: $customer) { id } commission(id: $commission) { id } payout(id: $payout) { id }
        a: node(id: $lead) { id } b: node(id: $partner) { id } c: node(id: $user) { id } d: node(id: $tenant) { id }
        e: node(id: $customer) { id } f: node(id: $rule) { id } g: node(id: $commission) { id } h: node(id: $payout) { id }
        nodes(ids: [$lead, $partner, $user, $tenant, $customer, $rule, $commission, $payout]) { id }
        leads { totalCount nodes { id partner { id } } }
        customers { totalCount nodes { id } } commissionRules(validity: ALL) { id }
        commissions { totalCount nodes { id partner { id } customer { id } transfers { kind } } }
        payouts { totalCount nodes { id commissions { nodes { id } } history { to } transfers { kind } } }
        previewPayout(partnerId: $partner, periodStart: \"2026-01-01T00:00:00Z\", periodEnd: \"2027-01-01T00:00:00Z\") { commissionCount }
        calculateCommission(partnerId: $partner, customerId: $customer, amount: \"5\") { sentence }
        revenueMetrics(period: { from: \"2026-01-01\", to: \"2026-12-31\" }, currency: \"USD\") { totalCommissionCount }
    }";
    let own = world.owner_a(query, ids.clone()).await;
    assert!(own.data().as_object().expect("data").values().all(|value| !value.is_null()), "{}", own.body);

    let nothing = json!({
        "lead": null, "partner": null, "customer": null, "commission": null, "payout": null,
        "a": null, "b": null, "c": null, "d": null, "e": null, "f": null, "g": null, "h": null, "i": null, "j": null, "k": null,
        "member": null, "creditAllocation": null, "members": {"totalCount": 0, "nodes": []}, "creditAllocations": {"totalCount": 0, "nodes": []},
        "nodes": [null, null, null, null, null, null, null, null],
        "leads": {"totalCount": 0, "nodes": []}, "customers": {"totalCount": 0, "nodes": []}, "commissionRules": [],
        "commissions": {"totalCount": 0, "nodes": []}, "payouts": {"totalCount": 0, "nodes": []},
        "previewPayout": null, "calculateCommission": null, "revenueMetrics": {"totalCommissionCount": 0},
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

/// Mutations of what is partner A's.
fn attempts_on_credits(a: &str, [member, allocation, _]: &[String; 3]) -> Vec<(&'static str, String)> {
    let of_member = |name: &'static str, more: &str| {
        (name, format!("{name}(input: {{ id: \"{member}\"{more} }}) {{ userErrors {{ code field }} }}"))
    };
    vec![
        of_member("updateMember", ", firstName: \"Eve\""),
        of_member("updateMember", ", email: \"eve@example.com\""),
        of_member("deactivateMember", ""),
        of_member("reactivateMember", ""),
        (
            "addMember",
            format!(
                "addMember(input: {{ partnerId: \"{a}\", email: \"eve@example.com\", firstName: \"E\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        (
            "importMembers",
            format!(
                "importMembers(input: {{ partnerId: \"{a}\", csv: \"email,first name\\neve@example.com,E\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        ("assignCredits", format!("assignCredits(input: {{ memberId: \"{member}\", credits: 1 }}) {{ userErrors {{ code }} }}")),
        ("revokeCredits", format!("revokeCredits(input: {{ allocationId: \"{allocation}\" }}) {{ userErrors {{ code }} }}")),
        (
            "grantCredits",
            format!("grantCredits(input: {{ partnerId: \"{a}\", credits: 5, reason: \"R\" }}) {{ userErrors {{ code }} }}"),
        ),
        (
            "redeemCredit",
            format!("redeemCredit(input: {{ memberId: \"{member}\", idempotencyKey: \"k\" }}) {{ userErrors {{ code }} }}"),
        ),
        (
            "redeemCredit",
            "redeemCredit(input: { email: \"ann@example.com\", idempotencyKey: \"k\" }) { userErrors { code } }".to_owned(),
        ),
    ]
}

fn attempts(lead: &str, a: &str, [customer, rule, commission, payout]: &[String; 4]) -> Vec<(&'static str, String)> {
    vec![
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
        (
            "assignCustomer",
            format!("assignCustomer(input: {{ customerId: \"{customer}\", partnerId: \"{a}\" }}) {{ userErrors {{ code }} }}"),
        ),
        ("releaseCustomer", format!("releaseCustomer(input: {{ customerId: \"{customer}\" }}) {{ userErrors {{ code }} }}")),
        (
            "setCommissionRule",
            format!(
                "setCommissionRule(input: {{ partnerId: \"{a}\", kind: PERCENTAGE, rate: \"1\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        ("endCommissionRule", format!("endCommissionRule(input: {{ id: \"{rule}\" }}) {{ userErrors {{ code }} }}")),
        (
            "adjustCommission",
            format!(
                "adjustCommission(input: {{ partnerId: \"{a}\", amount: \"5\", reason: \"R\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        (
            "createPayoutBatch",
            format!(
                "createPayoutBatch(input: {{ partnerId: \"{a}\", periodStart: \"2026-01-01T00:00:00Z\", periodEnd: \"2027-01-01T00:00:00Z\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        ("startPayout", format!("startPayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ code }} }}")),
        ("retryPayout", format!("retryPayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ code }} }}")),
        (
            "completePayout",
            format!("completePayout(input: {{ id: \"{payout}\", reference: \"W\" }}) {{ userErrors {{ code }} }}"),
        ),
        ("failPayout", format!("failPayout(input: {{ id: \"{payout}\", reason: \"R\" }}) {{ userErrors {{ code }} }}")),
        ("returnPayout", format!("returnPayout(input: {{ id: \"{payout}\", reason: \"R\" }}) {{ userErrors {{ code }} }}")),
        (
            "approveCommissions",
            format!(
                "approveCommissions(input: {{ ids: [\"{commission}\"] }}) {{ userErrors: results {{ userError {{ code }} }} }}"
            ),
        ),
        ("releasePayout", format!("releasePayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ code }} }}")),
        ("cancelPayout", format!("cancelPayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ code }} }}")),
        (
            "rejectCommissions",
            format!(
                "rejectCommissions(input: {{ ids: [\"{commission}\"], reason: \"R\" }}) {{ userErrors: results {{ userError {{ code }} }} }}"
            ),
        ),
    ]
}

/// A mutation of what is another's finds nothing, says just that, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_changes_anything() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let a = world.a.to_string();
    let mut mutations = attempts(&lead, &a, &money(&world).await);
    mutations.extend(attempts_on_credits(&a, &credits(&world).await));
    let fingerprint = "SELECT hashtext((SELECT string_agg(l::text, '' ORDER BY id) FROM partner_leads l) ||
        (SELECT string_agg(e::text, '' ORDER BY id) FROM partner_commission_events e) ||
        (SELECT string_agg(o::text, '' ORDER BY id) FROM partner_payouts o) ||
        (SELECT string_agg(r::text, '' ORDER BY id) FROM partner_commissions r) ||
        (SELECT string_agg(m::text, '' ORDER BY id) FROM partner_accounts m) ||
        (SELECT string_agg(x::text, '' ORDER BY id) FROM partner_members x) ||
        (SELECT string_agg(y::text, '' ORDER BY number) FROM partner_credits y) ||
        (SELECT string_agg(z::text, '' ORDER BY entry) FROM transfers z) ||
        (SELECT string_agg(u::text, '' ORDER BY id) FROM credit_allocations u) ||
        (SELECT count(*)::text FROM credit_grants) || (SELECT count(*)::text FROM credit_redemptions) ||
        (SELECT string_agg(p::text, '' ORDER BY id) FROM partners p) ||
        (SELECT string_agg(f::text, '' ORDER BY partner_id) FROM partner_profiles f))";
    let before = world.number(fingerprint).await;
    for (name, mutation) in mutations {
        let operation = format!("mutation {{ {mutation} }}");
        for (who, token) in [
            ("another partner", token("owner_b", ACME)),
            ("another tenant's partner", token("owner_g", GLOBEX)),
            ("another tenant's operator", staff_token("operator", GLOBEX)),
            ("another tenant's machine", staff_token("service", GLOBEX)),
        ] {
            let answer = world.run(&token, &operation, json!({})).await;
            if answer.code() == "FORBIDDEN" {
                continue;
            }
            let error = &answer.data()[name]["userErrors"][0];
            let code = if error["userError"].is_null() { &error["code"] } else { &error["userError"]["code"] };
            assert!(code == "NOT_FOUND" || code == "MEMBER_NOT_FOUND", "{name} by {who}: {code}");
        }
    }
    assert_eq!(world.number(fingerprint).await, before);
}

const TABLES: &[&str] =
    &["tenants", "users", "partners", "partner_users", "partner_profiles", "partner_leads", "lead_status_changes"];
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
pub const CREDITS: &[&str] = &[
    "partner_members",
    "member_counts",
    "member_accounts",
    "credit_grants",
    "credit_allocations",
    "partner_credits",
    "credit_redemptions",
];

/// What a database role sees of each table when it is told that it acts for someone.
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
               "partner_leads": leads, "lead_status_changes": leads})
    };
    assert_eq!(visible(&world, "portal_partner", &as_partner(acme, a), TABLES).await, seen(1, 2, 1, 2, 3));
    assert_eq!(visible(&world, "portal_partner", &as_partner(globex, g), TABLES).await, seen(1, 1, 1, 1, 3));
    // A partner of one tenant with the id of another: a row cannot be in both.
    assert_eq!(visible(&world, "portal_partner", &as_partner(globex, a), TABLES).await, seen(1, 0, 0, 0, 0));
    for role in ["portal_operator", "portal_service"] {
        assert_eq!(visible(&world, role, &as_partner(acme, a), TABLES).await, seen(1, 3, 2, 3, 6));
    }
    // Not told who is asking, a role fails rather than sees.
    let denied = json!("denied");
    for role in ["portal_partner", "portal_operator", "portal_service"] {
        let counts = visible(&world, role, "RESET ALL", &[TABLES, MONEY, CREDITS].concat()).await;
        assert!(counts.as_object().expect("counts").values().all(|count| *count == denied), "{role}: {counts}");
    }
    // What the server logs in as may do nothing by itself.
    let counts = visible(&world, "portal_app", &as_partner(acme, a), &[TABLES, MONEY, CREDITS].concat()).await;
    assert!(counts.as_object().expect("counts").values().all(|count| *count == denied), "{counts}");
}

/// Money is seen by its partner and by the tenant's staff, by nobody else; the guard's role sees none of it.
#[tokio::test(flavor = "multi_thread")]
async fn roles_see_their_own_money() {
    let world = World::new().await;
    money(&world).await;
    let tiers = "mutation ($id: ID!) { setCommissionRule(input: { partnerId: $id, currency: \"USD\", kind: TIERED, tiers: [{ above: \"0\", rate: \"0.1\" }] }) { userErrors { message } } }";
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
    let gate = visible(&world, "portal_gate", "SET app.issuer = 'x'; SET app.subject = 'owner_a'", MONEY).await;
    assert!(gate.as_object().expect("counts").values().all(|count| *count == json!("denied")), "{gate}");
    // A rank is told of one's own partner alone.
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
               "partner_leads": "denied", "lead_status_changes": "denied"})
    };
    assert_eq!(visible(&world, "portal_gate", &gate(issuer, "owner_a"), TABLES).await, seen(2, 1));
    assert_eq!(visible(&world, "portal_gate", &gate(issuer, "nobody"), TABLES).await, seen(2, 0));
    assert_eq!(visible(&world, "portal_gate", &gate("https://other.example", "owner_a"), TABLES).await, seen(0, 0));
    for role in ["portal_partner", "portal_operator", "portal_service", "portal_app"] {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}")).await.expect("a role");
        for asks in
            ["portal_identity('{}', 'owner_a', NULL, NULL)", "portal_bearer('{}', 'owner_a', NULL, NULL, 'ann@example.com')"]
        {
            let asked = connection.batch_execute(&format!("SELECT * FROM {}", asks.replace("{}", issuer))).await;
            assert!(asked.is_err(), "{role} may not ask who somebody is");
        }
    }
}

/// Writes that no role may do are refused by PostgreSQL itself: another's rows, history, counters, a partner's own pay.
#[tokio::test(flavor = "multi_thread")]
async fn roles_cannot_write_what_is_not_theirs() {
    let world = World::new().await;
    let (lead_a, lead_b) = (world.add_lead(world.acme, world.a).await.uuid(), world.add_lead(world.acme, world.b).await.uuid());
    money(&world).await;
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
    for table in TABLES.iter().chain(MONEY).chain(CREDITS) {
        assert!(connection.batch_execute(&format!("SELECT * FROM {table}")).await.is_err(), "{table}");
    }
    assert_eq!(
        world.number("SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE rolname LIKE 'portal%'").await,
        0
    );
}
