//! Isolation by the API's own conditions. That of PostgreSQL, under each database role, is in [`super::database_roles`].

use serde_json::{Value, json};

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, GLOBEX},
};

/// A customer, a rule, a commission and a payout of partner A's: their ids.
pub async fn money(world: &World) -> [String; 4] {
    let customer = world.customer("cus_1", world.a).await;
    let query = "mutation ($id: ID!) { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, kind: PERCENTAGE, rate: \"0.1\" }) { rule { id } } }";
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
    others_see_nothing(&World::new().await).await;
}

/// So it is without any of PostgreSQL's policies: the conditions of the queries alone keep everyone to their own. Only colleagues are kept
/// apart by a policy, over memberships: so those two stay.
#[tokio::test(flavor = "multi_thread")]
async fn nor_without_the_policies() {
    let world = World::new().await;
    without_policies(&world).await;
    others_see_nothing(&world).await;
    for list in ["leads", "members", "commissions", "payouts", "ledger"] {
        let request = axum::http::Request::get(format!("/export/{list}.csv?partnerId={}", world.a))
            .header("authorization", format!("Bearer {}", token("owner_b", ACME)));
        let file = world.send(request.body(axum::body::Body::empty()).expect("a request")).await;
        assert_eq!(file.text.lines().count(), 1, "{list}: {}", file.text);
    }
}

/// Nor does anybody else change anything without them.
#[tokio::test(flavor = "multi_thread")]
async fn nor_change_without_the_policies() {
    let world = World::new().await;
    without_policies(&world).await;
    others_change_nothing(&world).await;
}

async fn without_policies(world: &World) {
    let off = "DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND relname NOT IN ('users', 'partner_users') LOOP
            EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', name);
        END LOOP; END $$";
    world.sql(off).await;
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity";
    assert_eq!(world.number(left).await, 2);
}

async fn others_see_nothing(world: &World) {
    let lead = world.add_lead(world.acme, world.a).await;
    let me = world.owner_a("{ me { user { id } tenant { id } } }", json!({})).await;
    let (user, tenant) = (me.data()["me"]["user"]["id"].clone(), me.data()["me"]["tenant"]["id"].clone());
    let (money, credits) = (money(world).await, credits(world).await);
    let link = world.link("https://example.com/").await;
    let enrolments = world.owner_a("{ enrolments { nodes { id } } }", json!({})).await;
    let enrolment = &enrolments.data()["enrolments"]["nodes"][0]["id"];
    let ([customer, rule, commission, payout], [member, allocation, grant]) = (&money, &credits);
    let ids = json!({"lead": lead.to_string(), "partner": world.a.to_string(), "user": user, "tenant": tenant,
                     "customer": customer, "rule": rule, "commission": commission, "payout": payout,
                     "member": member, "allocation": allocation, "grant": grant,
                     "link": link["id"], "key": link["key"], "programme": link["programme"]["id"], "enrolment": enrolment});
    let query = "query ($lead: ID!, $partner: ID!, $user: ID!, $tenant: ID!, $customer: ID!, $rule: ID!, $commission: ID!, $payout: ID!, $member: ID!, $allocation: ID!, $grant: ID!, $link: ID!, $key: String!, $programme: ID!, $enrolment: ID!) {
        link(id: $link) { id } byKey: link(key: $key) { id } programme(id: $programme) { id }
        l: node(id: $link) { id } m: node(id: $programme) { id } n: node(id: $enrolment) { id }
        links { totalCount nodes { id } } programmes { totalCount nodes { id links { nodes { id } } } } enrolments { totalCount nodes { id } }
        member(id: $member) { id } creditAllocation(id: $allocation) { id } i: node(id: $member) { id } j: node(id: $allocation) { id } k: node(id: $grant) { id }
        members { totalCount nodes { id partner { id } } }
        creditAllocations { totalCount nodes { id member { id } transfers { kind } } }
        lead(id: $lead) { id } partner(id: $partner) { id } customer(id: $customer) { id } commission(id: $commission) { id } payout(id: $payout) { id }
        a: node(id: $lead) { id } b: node(id: $partner) { id } c: node(id: $user) { id } d: node(id: $tenant) { id }
        e: node(id: $customer) { id } f: node(id: $rule) { id } g: node(id: $commission) { id } h: node(id: $payout) { id }
        nodes(ids: [$lead, $partner, $user, $tenant, $customer, $rule, $commission, $payout]) { id }
        leads { totalCount totals { count } nodes { id partner { id } } }
        leadsOverTime(interval: MONTH, period: { from: \"2026-01-01\", before: \"2026-02-01\" }) { count }
        customers { totalCount nodes { id } } commissionRules(validity: ALL) { id }
        commissions { totalCount totals { count } nodes { id partner { id } customer { id } transfers { kind } } }
        payouts { totalCount totals { count } nodes { id commissions { nodes { id } } history { to } transfers { kind } } }
        previewPayout(partnerId: $partner, period: { from: \"2026-01-01T00:00:00Z\", before: \"2027-01-01T00:00:00Z\" }) { commissionCount }
        calculateCommission(partnerId: $partner, customerId: $customer, amount: \"5\") { sentence }
        revenueMetrics(period: { from: \"2026-01-01\", before: \"2027-01-01\" }, currency: \"USD\") { totalCommissionCount }
    }";
    let own = world.owner_a(query, ids.clone()).await;
    assert!(own.data().as_object().expect("data").values().all(|value| !value.is_null()), "{}", own.body);

    let nothing = json!({
        "lead": null, "partner": null, "customer": null, "commission": null, "payout": null,
        "link": null, "byKey": null, "programme": null, "l": null, "m": null, "n": null,
        "links": {"totalCount": 0, "nodes": []}, "programmes": {"totalCount": 0, "nodes": []}, "enrolments": {"totalCount": 0, "nodes": []},
        "a": null, "b": null, "c": null, "d": null, "e": null, "f": null, "g": null, "h": null, "i": null, "j": null, "k": null,
        "member": null, "creditAllocation": null, "members": {"totalCount": 0, "nodes": []}, "creditAllocations": {"totalCount": 0, "nodes": []},
        "nodes": [null, null, null, null, null, null, null, null],
        "leads": {"totalCount": 0, "totals": [], "nodes": []}, "leadsOverTime": [{"count": 0}], "customers": {"totalCount": 0, "nodes": []}, "commissionRules": [],
        "commissions": {"totalCount": 0, "totals": [], "nodes": []}, "payouts": {"totalCount": 0, "totals": [], "nodes": []},
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
        (
            "assignCredits",
            format!(
                "assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\", credits: 1 }}) {{ userErrors {{ code }} }}"
            ),
        ),
        ("revokeCredits", format!("revokeCredits(input: {{ allocationId: \"{allocation}\" }}) {{ userErrors {{ code }} }}")),
        (
            "grantCredits",
            format!(
                "grantCredits(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", credits: 5, reason: \"R\" }}) {{ userErrors {{ code }} }}"
            ),
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
                "createLead(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }}) {{ lead {{ id }} userErrors {{ code field }} }}"
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
                "setCommissionRule(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", kind: PERCENTAGE, rate: \"1\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        ("endCommissionRule", format!("endCommissionRule(input: {{ id: \"{rule}\" }}) {{ userErrors {{ code }} }}")),
        (
            "adjustCommission",
            format!(
                "adjustCommission(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", amount: \"5\", reason: \"R\" }}) {{ userErrors {{ code }} }}"
            ),
        ),
        (
            "createPayoutBatch",
            format!(
                "createPayoutBatch(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", period: {{ from: \"2026-01-01T00:00:00Z\", before: \"2027-01-01T00:00:00Z\" }} }}) {{ userErrors {{ code }} }}"
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

fn attempts_on_links(a: &str, link: &Value) -> Vec<(&'static str, String)> {
    let (id, programme) = (&link["id"], &link["programme"]["id"]);
    vec![
        (
            "createLink",
            format!("createLink(input: {{ partnerId: \"{a}\", url: \"https://example.com/x\" }}) {{ userErrors {{ code }} }}"),
        ),
        ("updateLink", format!("updateLink(input: {{ id: {id}, title: \"X\" }}) {{ userErrors {{ code }} }}")),
        ("archiveLink", format!("archiveLink(input: {{ id: {id} }}) {{ userErrors {{ code }} }}")),
        ("restoreLink", format!("restoreLink(input: {{ id: {id} }}) {{ userErrors {{ code }} }}")),
        ("updateProgramme", format!("updateProgramme(input: {{ id: {programme}, name: \"X\" }}) {{ userErrors {{ code }} }}")),
        (
            "enrolPartner",
            format!("enrolPartner(input: {{ partnerId: \"{a}\", programmeId: {programme} }}) {{ userErrors {{ code }} }}"),
        ),
    ]
}

/// A mutation of what is another's finds nothing, says just that, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_changes_anything() {
    others_change_nothing(&World::new().await).await;
}

async fn others_change_nothing(world: &World) {
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let a = world.a.to_string();
    let mut mutations = attempts(&lead, &a, &money(world).await);
    mutations.extend(attempts_on_credits(&a, &credits(world).await));
    mutations.extend(attempts_on_links(&a, &world.link("https://example.com/").await));
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
        (SELECT string_agg(k::text, '' ORDER BY id) FROM links k) || (SELECT string_agg(n::text, '' ORDER BY id) FROM enrolments n) ||
        (SELECT string_agg(g::text, '' ORDER BY id) FROM programmes g) || (SELECT string_agg(p::text, '' ORDER BY id) FROM partners p) ||
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
