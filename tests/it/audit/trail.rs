//! What is recorded, for whom, and that nobody can change it.

use partner_portal::db::session::{Act, AuditActor};
use serde_json::{Value, json};

use crate::support::{
    World, sign, token,
    tokens::{good_claims, staff_token},
    world::{ACME, GLOBEX, keyed},
};

pub const LOG: &str = "query ($filter: AuditFilterInput) { auditLog(filter: $filter) { totalCount nodes { id action actorKind actor { id } impersonator reason requestId operationName
    changes { kind subject subjectId partner { companyName } count fields { name before after isSecret } } } } }";

/// The entries that a token's bearer sees, the latest first.
pub async fn seen_by(world: &World, token: &str, filter: Value) -> Vec<Value> {
    let answer = world.run(token, LOG, json!({"filter": filter})).await;
    answer.data()["auditLog"]["nodes"].as_array().expect("entries").clone()
}

pub async fn seen(world: &World, filter: Value) -> Vec<Value> {
    seen_by(world, &staff_token("operator", ACME), filter).await
}

/// The change of a kind of thing in an entry.
pub fn of<'e>(entry: &'e Value, subject: &str) -> &'e Value {
    let changes = entry["changes"].as_array().expect("changes");
    changes.iter().find(|change| change["subject"] == subject).unwrap_or_else(|| panic!("no {subject} in {entry}"))
}

/// The values of a field before and after.
pub fn field(change: &Value, name: &str) -> (Value, Value) {
    let fields = change["fields"].as_array().expect("fields");
    let found = fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no {name} in {change}"));
    (found["before"].clone(), found["after"].clone())
}

/// An entry says who has done what, in whose name, in which operation, when, and why; and of each thing that it has changed what it was and is.
#[tokio::test(flavor = "multi_thread")]
async fn who_what_and_why() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let mut claims = good_claims("operator_acme", ACME);
    claims["metadata"] = json!({"role": "operator"});
    claims["act"] = json!({"sub": "user_support"});
    let query = "mutation Move($id: ID!, $to: ID!, $why: String!) { moveLead(input: { id: $id, partnerId: $to, reason: $why }) { userErrors { message } } }";
    let why = "It's B's: '; DROP TABLE partners; --";
    let answer = world.run(&sign(&claims), query, json!({"id": lead, "to": world.b.to_string(), "why": why})).await;
    assert_eq!(answer.data()["moveLead"]["userErrors"], json!([]));
    let request = answer.headers["x-request-id"].to_str().expect("an id").to_owned();
    let [entry] = &seen(&world, json!({"subjectId": lead})).await[..] else { panic!("one entry") };
    let me = world.run(&sign(&claims), "{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    assert_eq!((&entry["action"], &entry["actorKind"], &entry["actor"]["id"]), (&json!("moveLead"), &json!("OPERATOR"), &me));
    assert_eq!((&entry["impersonator"], &entry["reason"]), (&json!("user_support"), &json!(why)));
    assert_eq!((&entry["requestId"], &entry["operationName"]), (&json!(request), &json!("Move")));
    let change = of(entry, "Lead");
    assert_eq!((&change["kind"], &change["subjectId"], &change["count"]), (&json!("UPDATED"), &json!(lead), &json!(1)));
    assert_eq!(field(change, "partnerId"), (json!(world.a.to_string()), json!(world.b.to_string())));
    // It is a change of both partners; neither's owners read which the other is.
    let partners: Vec<_> =
        entry["changes"].as_array().expect("changes").iter().map(|change| &change["partner"]["companyName"]).collect();
    assert!(partners.contains(&&json!("Partner A")) && partners.contains(&&json!("Partner B")), "{partners:?}");
    for (owner, own, seen) in [
        ("owner_a", world.a, (json!(world.a.to_string()), json!(null))),
        ("owner_b", world.b, (json!(null), json!(world.b.to_string()))),
    ] {
        let [entry] = &seen_by(&world, &token(owner, ACME), json!({"subjectId": lead})).await[..] else { panic!("one entry") };
        assert_eq!((&field(of(entry, "Lead"), "partnerId"), &entry["changes"][0]["subjectId"]), (&seen, &json!(lead)), "{own}");
        assert_eq!((&entry["actor"], &entry["impersonator"], &entry["reason"]), (&json!(null), &json!(null), &json!(why)));
    }
    // What is made has nothing before; an enumeration is written as in the API, a column that says nothing is left out.
    let input = keyed(
        json!({"partnerId": world.a.to_string(), "clientName": "Ada", "clientEmail": "a@example.com", "service": "S", "dealValue": "10"}),
    );
    let query = "mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";
    let made = world.operator(query, json!({"input": input})).await.data()["createLead"]["lead"]["id"].clone();
    let [entry] = &seen(&world, json!({"subjectId": made})).await[..] else { panic!("one entry") };
    let change = of(entry, "Lead");
    assert_eq!(field(change, "status"), (json!(null), json!("PENDING")));
    assert_eq!(field(change, "clientName"), (json!(null), json!("Ada")));
    assert!(change["fields"].as_array().expect("fields").iter().all(|field| field["name"] != "updatedAt"));
    assert_eq!((&entry["reason"], &entry["operationName"]), (&json!(null), &json!(null)));
}

/// Each field of an operation is an entry of its own, by its own name and with its own reason, wherever it stands in the document; one that was refused,
/// undone or done before leaves none.
#[tokio::test(flavor = "multi_thread")]
async fn one_entry_for_each_field() {
    let world = World::new().await;
    let leads = world.add_leads(world.acme, world.a, 3).await;
    let [x, y, z] = &leads.iter().map(ToString::to_string).collect::<Vec<_>>()[..] else { panic!("three") };
    let to = world.b.to_string();
    let document = format!(
        "mutation Several($input: MoveLeadInput!) {{ ... Moves late: updateLead(input: {{ id: \"{z}\", notes: \"N\" }}) {{ userErrors {{ code }} }} }}
         fragment Moves on Mutation {{ first: moveLead(input: $input) {{ userErrors {{ code }} }}
            second: moveLead(input: {{ id: \"{y}\", partnerId: \"{to}\", reason: \"two\" }}) {{ userErrors {{ code }} }} }}"
    );
    let input = json!({"id": x, "partnerId": to, "reason": "one"});
    world.operator(&document, json!({"input": input})).await.data();
    let actions = async || {
        let entries = seen(&world, json!({"actorKind": ["OPERATOR"]})).await;
        entries.iter().rev().map(|entry| (entry["action"].clone(), entry["reason"].clone())).collect::<Vec<_>>()
    };
    let expected = [("moveLead", json!("one")), ("moveLead", json!("two")), ("updateLead", json!(null))]
        .map(|(name, why)| (json!(name), why));
    assert_eq!(actions().await, expected);
    for entry in seen(&world, json!({"actorKind": ["OPERATOR"]})).await {
        assert_eq!(entry["operationName"], "Several");
    }
    // Done before, refused, and undone.
    world.operator(&document, json!({"input": input})).await.data();
    let refused = format!(
        "mutation {{ moveLead(input: {{ id: \"{x}\", partnerId: \"{to}\", reason: \"\" }}) {{ userErrors {{ code }} }} }}"
    );
    assert_ne!(world.operator(&refused, json!({})).await.data()["moveLead"]["userErrors"], json!([]));
    assert_eq!(actions().await, expected);
    // The first field is skipped: what is done is the second's.
    let skipped =
        "mutation ($x: ID!, $y: ID!) { a: updateLead(input: { id: $x, notes: \"A\" }) @skip(if: true) { userErrors { code } }
        updateLeadStatus(input: { id: $y, status: CONTACTED }) { userErrors { code } } }";
    world.operator(skipped, json!({"x": z, "y": z})).await.data();
    assert_eq!(actions().await.last().expect("an entry").0, "updateLeadStatus");
}

/// Of tax ids, accounts, webhooks' secrets and tokens it is kept that they were changed, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_kept() {
    let world = World::new().await;
    let query = "mutation { updatePartnerProfile(input: { contactName: \"Ann\", paymentEmail: \"pay@example.com\", taxId: \"DE123456789\", bankAccount: \"DE89370400440532013000\" }) { userErrors { code } } }";
    world.owner_a(query, json!({})).await.data();
    let query = "mutation { createWebhookEndpoint(input: { url: \"https://hooks.example.com/\", eventTypes: [LEAD_CREATED], idempotencyKey: \"k\" }) { secret } }";
    let secret =
        world.operator(query, json!({})).await.data()["createWebhookEndpoint"]["secret"].as_str().expect("one").to_owned();
    world.invited("ann@example.com").await;
    let [entry] = &seen(&world, json!({"action": ["updatePartnerProfile"]})).await[..] else { panic!("one entry") };
    let change = of(entry, "PartnerProfile");
    assert_eq!(field(change, "contactName").1, "Ann");
    let secrets: Vec<&Value> =
        change["fields"].as_array().expect("fields").iter().filter(|field| field["isSecret"] == true).collect();
    let names: Vec<&str> = secrets.iter().map(|field| field["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["bankAccount", "paymentEmail", "taxId"]);
    assert!(secrets.iter().all(|field| field["before"].is_null() && field["after"].is_null()));
    for known in ["123456789", "6789", "3000", "pay@example", &secret[6..]] {
        let kept = format!("SELECT count(*) FROM audit_changes c WHERE c.fields::text LIKE '%{known}%'");
        assert_eq!(world.number(&kept).await, 0, "{known}");
    }
    let columns = "SELECT count(*) FROM audit_changes c, jsonb_each(c.fields) AS f WHERE (f.key LIKE '%sealed%' OR f.key LIKE '%hash%') AND f.value <> 'true'";
    assert_eq!(world.number(columns).await, 0);
}

/// Operators see all of their tenant's; a partner's owner sees what is their partner's, and of an entry that has changed something of others' as well
/// only that; nobody else sees anything.
#[tokio::test(flavor = "multi_thread")]
async fn who_sees_what() {
    let world = World::new().await;
    let ids = [world.adjust(world.a, "5.00", None).await, world.adjust(world.b, "7.00", None).await]
        .map(|made| made["commission"]["id"].as_str().expect("an id").to_owned());
    let query = "mutation ($ids: [ID!]!) { rejectCommissions(input: { ids: $ids, reason: \"R\" }) { userErrors { code } } }";
    world.operator(query, json!({"ids": ids})).await.data();
    let [entry] = &seen(&world, json!({"action": ["rejectCommissions"]})).await[..] else { panic!("one entry") };
    assert!(entry["changes"].as_array().expect("changes").iter().filter(|change| change["subject"] == "Commission").count() >= 2);
    let own = seen_by(&world, &token("owner_a", ACME), json!({"action": ["rejectCommissions"]})).await;
    assert_eq!(own.len(), 1);
    for change in own[0]["changes"].as_array().expect("changes") {
        assert_eq!(change["partner"]["companyName"], "Partner A");
    }
    // An operator is nobody that a partner's people see.
    assert_eq!((&own[0]["actor"], &own[0]["actorKind"], &own[0]["reason"]), (&json!(null), &json!("OPERATOR"), &json!("R")));
    let of_b = seen_by(&world, &token("owner_a", ACME), json!({"partnerId": world.b.to_string()})).await;
    assert!(of_b.iter().all(|entry| entry["id"] == own[0]["id"]), "{of_b:?}");
    let b_alone = seen(&world, json!({"action": ["adjustCommission"], "partnerId": world.b.to_string()})).await;
    assert_eq!(b_alone.len(), 1);
    let node = "query ($id: ID!) { node(id: $id) { ... on AuditEntry { changes { subjectId } } } }";
    for (bearer, sees) in [
        (token("owner_b", ACME), true),
        (token("owner_a", ACME), false),
        (token("member_b", ACME), false),
        (staff_token("service", ACME), false),
        (staff_token("operator", GLOBEX), false),
    ] {
        let found = world.run(&bearer, node, json!({"id": b_alone[0]["id"]})).await;
        assert_eq!(found.data()["node"].is_object(), sees);
    }
    for bearer in [token("member_a", ACME), staff_token("service", ACME)] {
        assert_eq!(world.run(&bearer, LOG, json!({})).await.code(), "FORBIDDEN");
    }
    assert_eq!(seen_by(&world, &staff_token("operator", GLOBEX), json!({"subjectId": ids[0]})).await, Vec::<Value>::new());
    // Who of the staff it was is not found out by a filter either, and no field of it says so.
    let me = world.operator("{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    assert_eq!(seen_by(&world, &token("owner_a", ACME), json!({"actorId": me})).await, Vec::<Value>::new());
    assert!(!seen_by(&world, &staff_token("operator", ACME), json!({"actorId": me})).await.is_empty());
    assert!(!own[0].to_string().contains(me.as_str().expect("an id")));
    for action in ["a\u{0}b", "", "x'y"] {
        assert_eq!(world.operator(LOG, json!({"filter": {"action": [action]}})).await.code(), "BAD_USER_INPUT", "{action:?}");
    }
    // A sign-in is its person's.
    let newcomer = world.acme("newcomer_c", "{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    let [entry] = &seen(&world, json!({"actorId": newcomer})).await[..] else { panic!("one entry") };
    assert_eq!((&entry["action"], &entry["actorKind"]), (&json!("signIn"), &json!("SIGN_IN")));
}

/// No role of the server's may write the audit trail or change it, not even in a transaction of its own.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_it() {
    let world = World::new().await;
    world.adjust(world.a, "5.00", None).await;
    let before = world.number("SELECT count(*) FROM audit_entries").await;
    assert!(before > 0);
    for role in ["portal_operator", "portal_partner", "portal_service", "portal_gate", "portal_app"] {
        for statement in [
            "INSERT INTO audit_entries (tenant_id, id, action, actor_role) SELECT tenant_id, gen_random_uuid(), 'a', 'operator' FROM audit_entries",
            "UPDATE audit_entries SET reason = 'another'",
            "DELETE FROM audit_entries",
            "UPDATE audit_changes SET fields = '{}'",
            "DELETE FROM audit_changes",
            "SELECT audit_entry(gen_random_uuid())",
        ] {
            let sql = format!(
                "DO $$ BEGIN SET LOCAL ROLE {role}; {statement}; RAISE 'it was done';
                 EXCEPTION WHEN insufficient_privilege THEN NULL; END $$",
                statement = statement.replace("SELECT audit_entry", "PERFORM audit_entry")
            );
            world.sql(&sql).await;
        }
    }
    assert_eq!(world.number("SELECT count(*) FROM audit_entries").await, before);
}

/// Of a step that changes more than two hundred of a kind they are counted for each partner; of fewer each is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn many_are_counted() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 200).await;
    world.add_leads(world.acme, world.b, 10).await;
    let members = "INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, status)
        SELECT tenant_id, gen_random_uuid(), partner_id, 'm' || row_number() OVER () || '@example.com', 'M', 'active' FROM partner_leads";
    world.sql(members).await;
    let mut connection = world.owner().await;
    Act::new(AuditActor::Command, "tenant set").announce_for_connection(&connection).await.expect("announced");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, "UPDATE partner_members SET last_name = 'N'")
        .await
        .expect("done");
    let [entry] = &seen(&world, json!({"actorKind": ["COMMAND"]})).await[..] else { panic!("one entry") };
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("tenant set"), &json!(null)));
    let mut counts: Vec<_> = entry["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| (change["partner"]["companyName"].as_str(), change["count"].as_i64(), change["subjectId"].is_null()))
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [(Some("Partner A"), Some(200), true), (Some("Partner B"), Some(10), true)]);
    let of_a = format!("UPDATE partner_members SET last_name = 'O' WHERE partner_id = '{}'", world.a.uuid());
    diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, &of_a).await.expect("done");
    let each = "SELECT count(*) FROM audit_changes WHERE row_count = 1 AND subject_id IS NOT NULL AND fields = '{\"last_name\": [\"N\", \"O\"]}'";
    assert_eq!(world.number(each).await, 200);
}

/// Of an entry with very many changes the first are shown, and how many there are; each caller has their own.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_bounded() {
    let world = World::new().await;
    let leads = world.add_leads(world.acme, world.a, 5).await;
    world.add_leads(world.acme, world.b, 3).await;
    let mut owner = world.owner().await;
    Act::new(AuditActor::Command, "tenant set").announce_for_connection(&owner).await.expect("announced");
    let sql = "UPDATE partner_leads SET notes = 'N'";
    diesel_async::SimpleAsyncConnection::batch_execute(&mut owner, sql).await.expect("done");
    let query = "{ auditLog(filter: { actorKind: [COMMAND] }) { nodes { changeCount one: changes(first: 1) { subjectId } two: changes(first: 2) { subjectId } changes { subjectId } } } }";
    for (bearer, count) in [(staff_token("operator", ACME), 8), (token("owner_a", ACME), 5)] {
        let entry = world.run(&bearer, query, json!({})).await.data()["auditLog"]["nodes"][0].clone();
        let shown = |name: &str| entry[name].as_array().map(Vec::len);
        assert_eq!(
            (&entry["changeCount"], shown("one"), shown("two"), shown("changes")),
            (&json!(count), Some(1), Some(2), Some(count))
        );
        assert!(entry["one"][0] == entry["changes"][0] && leads.len() == 5);
    }
    for first in [0, 501, -1] {
        let answer = world
            .operator(
                "query ($first: Int!) { auditLog(first: 1) { nodes { changes(first: $first) { kind } } } }",
                json!({"first": first}),
            )
            .await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{first}");
    }
}

/// A payout's account is shown in full to operators alone, while it is to be paid, with a reason; that leaves an entry, which the partner's owners read.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_payout_goes() {
    let world = World::new().await;
    world.adjust(world.a, "9.00", None).await;
    let payout = world.batch(world.a).await["payout"]["id"].clone();
    let query = "mutation ($input: RevealPayoutDestinationInput!) { revealPayoutDestination(input: $input) { payout { id } bankAccount replayed userErrors { code field message } } }";
    let input = keyed(json!({"payoutId": payout, "reason": "The bank asks", "idempotencyKey": "once"}));
    let reveal =
        async |input: &Value| world.operator(query, json!({"input": input})).await.data()["revealPayoutDestination"].clone();
    assert_eq!(reveal(&input).await["userErrors"][0]["message"], "The partner's profile has no bank account.");
    let profile = "mutation { updatePartnerProfile(input: { bankAccount: \"DE89370400440532013000\" }) { userErrors { code } } }";
    world.owner_a(profile, json!({})).await.data();
    let shown = reveal(&input).await;
    assert_eq!(
        shown,
        json!({"payout": {"id": payout}, "bankAccount": "DE89 3704 0044 0532 0130 00", "replayed": false, "userErrors": []})
    );
    let again = reveal(&input).await;
    assert_eq!((&again["bankAccount"], &again["replayed"]), (&shown["bankAccount"], &json!(true)));
    // By the same key no other number is shown.
    let other =
        "mutation { updatePartnerProfile(input: { bankAccount: \"GB82 WEST 1234 5698 7654 32\" }) { userErrors { code } } }";
    world.owner_a(other, json!({})).await.data();
    let changed = reveal(&input).await;
    assert_eq!((&changed["userErrors"][0]["code"], &changed["bankAccount"]), (&json!("KEY_REUSED"), &json!(null)));
    let own = seen_by(&world, &token("owner_a", ACME), json!({"action": ["revealPayoutDestination"]})).await;
    let [entry] = &own[..] else { panic!("one entry") };
    let change = of(entry, "Payout");
    assert_eq!((&entry["reason"], &change["kind"], &change["subjectId"]), (&json!("The bank asks"), &json!("REVEALED"), &payout));
    assert_eq!(change["fields"], json!([{"name": "bankAccount", "before": null, "after": null, "isSecret": true}]));
    let no_reason = reveal(&keyed(json!({"payoutId": payout, "reason": " "}))).await;
    assert_eq!((&no_reason["userErrors"][0]["field"], &no_reason["bankAccount"]), (&json!(["input", "reason"]), &json!(null)));
    for bearer in [token("owner_a", ACME), staff_token("service", ACME)] {
        assert_eq!(world.run(&bearer, query, json!({"input": input})).await.code(), "FORBIDDEN");
    }
    world.step("cancelPayout", &payout).await;
    let over = reveal(&keyed(json!({"payoutId": payout, "reason": "R"}))).await;
    assert_eq!((&over["userErrors"][0]["code"], &over["bankAccount"]), (&json!("INVALID_TRANSITION"), &json!(null)));
}
