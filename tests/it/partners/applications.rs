//! From a sign-up to an approved partner: what the newcomer says of itself, and what it hears.

use futures_util::future::join;
use serde_json::{Value, json};

use crate::support::World;

const APPLY: &str = "mutation ($input: SubmitPartnerApplicationInput!) { submitPartnerApplication(input: $input) {
    partner { companyName status application { salesPlan } profile { website taxIdMasked bankAccountMasked address { country } } }
    userErrors { code message field } } }";

async fn apply(world: &World, input: Value) -> Value {
    let answer = world.acme("newcomer", APPLY, json!({"input": input})).await;
    answer.data()["submitPartnerApplication"].clone()
}

fn whole() -> Value {
    json!({
        "companyName": "Nova Ltd", "country": "de", "salesPlan": "Our newsletter.\nThen calls.", "website": "https://nova.example",
        "taxId": "DE123456789", "bankAccount": "DE89 3704 0044 0532 0130 00",
    })
}

/// Someone who signed up says who they are; operators read it and decide with a reason, which the newcomer reads.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_sign_up_to_a_decision() {
    let world = World::new().await;
    let applied = apply(&world, whole()).await;
    assert_eq!(
        applied,
        json!({"userErrors": [], "partner": {
            "companyName": "Nova Ltd", "status": "PENDING", "application": {"salesPlan": "Our newsletter.\nThen calls."},
            "profile": {"website": "https://nova.example/", "taxIdMasked": "•••• 6789", "bankAccountMasked": "•••• 3000", "address": {"country": "DE"}},
        }})
    );
    let inbox = "{ partners(filter: { status: [PENDING] }) { nodes { id companyName statusReason application { salesPlan submittedAt updatedAt submittedBy { id } } profile { address { country } } } } }";
    let inbox = world.operator(inbox, json!({})).await;
    let waiting = inbox.data()["partners"]["nodes"].as_array().expect("rows").clone();
    let [partner] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!((&partner["companyName"], &partner["statusReason"]), (&json!("Nova Ltd"), &json!(null)));
    assert_eq!(partner["application"]["submittedAt"], partner["application"]["updatedAt"]);
    assert!(partner["application"]["submittedBy"]["id"].is_string());

    let decide = "mutation ($id: ID!, $status: PartnerStatus!, $reason: String) { changePartnerStatus(input: { id: $id, status: $status, reason: $reason }) { partner { status statusReason } userErrors { code field } } }";
    let long = world.operator(decide, json!({"id": partner["id"], "status": "ACTIVE", "reason": "x".repeat(1_001)})).await;
    assert_eq!(long.data()["changePartnerStatus"]["userErrors"], json!([{"code": "TOO_LONG", "field": ["input", "reason"]}]));
    let decided = world.operator(decide, json!({"id": partner["id"], "status": "ACTIVE", "reason": "Welcome."})).await;
    assert_eq!(decided.data()["changePartnerStatus"]["partner"], json!({"status": "ACTIVE", "statusReason": "Welcome."}));
    let me = world.acme("newcomer", "{ me { partner { status statusReason } permissions } }", json!({})).await;
    assert_eq!(me.data()["me"]["partner"], json!({"status": "ACTIVE", "statusReason": "Welcome."}));
    // It can be put right without another decision.
    for reason in ["Welcome, and thank you.", "Welcome."] {
        let again = world.operator(decide, json!({"id": partner["id"], "status": "ACTIVE", "reason": reason})).await;
        assert_eq!(again.data()["changePartnerStatus"]["partner"], json!({"status": "ACTIVE", "statusReason": reason}));
    }
    // A reason is that of the last decision.
    let stopped = world.operator(decide, json!({"id": partner["id"], "status": "SUSPENDED"})).await;
    assert_eq!(stopped.data()["changePartnerStatus"]["partner"], json!({"status": "SUSPENDED", "statusReason": null}));
}

/// Until it is decided an owner may put right what was said; what is left out stays. After that it is for the operators.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_put_right_until_it_is_decided() {
    let world = World::new().await;
    apply(&world, whole()).await;
    let renamed = apply(&world, json!({"companyName": "Nova GmbH", "website": null})).await;
    assert_eq!(
        renamed["partner"],
        json!({
            "companyName": "Nova GmbH", "status": "PENDING", "application": {"salesPlan": "Our newsletter.\nThen calls."},
            "profile": {"website": null, "taxIdMasked": "•••• 6789", "bankAccountMasked": "•••• 3000", "address": {"country": "DE"}},
        })
    );
    assert_eq!(world.number("SELECT count(*) FROM partner_applications WHERE updated_at > submitted_at").await, 1);
    for status in ["active", "suspended", "closed"] {
        world.sql(&format!("UPDATE partners SET status = '{status}' WHERE company_name = 'Nova GmbH'")).await;
        let refused = apply(&world, json!({"companyName": "Other"})).await;
        assert_eq!((&refused["partner"], &refused["userErrors"][0]["code"]), (&json!(null), &json!("INVALID_TRANSITION")));
        assert!(refused["userErrors"][0]["message"].as_str().expect("text").contains(&status.to_uppercase()));
    }
    assert_eq!(world.number("SELECT count(*) FROM partners WHERE company_name = 'Other'").await, 0);
}

/// All faults are reported at once, by field, and nothing is stored then.
#[tokio::test(flavor = "multi_thread")]
async fn faults_are_told_by_field() {
    let world = World::new().await;
    let fields = |answer: &Value| -> Vec<(String, String)> {
        let errors = answer["userErrors"].as_array().expect("errors");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        errors.iter().map(|error| (text(&error["code"]), text(&error["field"][1]))).collect()
    };
    let pair = |code: &str, field: &str| (code.to_owned(), field.to_owned());
    let needed = |field| pair("REQUIRED", field);
    assert_eq!(fields(&apply(&world, json!({})).await), [needed("companyName"), needed("country"), needed("salesPlan")]);
    assert_eq!(
        fields(&apply(&world, json!({"companyName": "N", "country": "Germany", "salesPlan": " ", "website": "nova", "taxId": "1", "bankAccount": "DE89 3704 0044 0532 0130 01"})).await),
        [pair("TOO_SHORT", "taxId"), pair("INVALID", "bankAccount"), pair("INVALID", "country"), needed("salesPlan"), pair("INVALID", "website")]
    );
    assert_eq!(fields(&apply(&world, json!({"companyName": null, "country": null, "salesPlan": null})).await).len(), 3);
    assert_eq!(world.number("SELECT count(*) FROM partner_applications").await, 0);
    apply(&world, whole()).await;
    assert_eq!(fields(&apply(&world, json!({"companyName": null})).await), [needed("companyName")]);
}

/// Only owners apply, and only for their own partner; applications are read by owners and operators.
#[tokio::test(flavor = "multi_thread")]
async fn who_applies_and_who_reads() {
    let world = World::new().await;
    for answer in [
        world.acme("member_a", APPLY, json!({"input": whole()})).await,
        world.operator(APPLY, json!({"input": whole()})).await,
        world.service(APPLY, json!({"input": whole()})).await,
    ] {
        assert_eq!(answer.code(), "FORBIDDEN");
    }
    apply(&world, whole()).await;
    let partner = world.text("SELECT partner_id FROM partner_applications").await;
    let query = "{ me { partner { application { salesPlan } } } }";
    assert_eq!(
        world.acme("newcomer", query, json!({})).await.data()["me"]["partner"]["application"]["salesPlan"],
        "Our newsletter.\nThen calls."
    );
    let second = world.add_user(world.acme, partner.parse::<uuid::Uuid>().expect("an id").into(), "second", "member").await;
    assert_eq!(world.acme("second", query, json!({})).await.data()["me"]["partner"]["application"], json!(null), "{second}");
    let read = world.service("{ partners { nodes { application { salesPlan } } } }", json!({})).await;
    assert!(read.data()["partners"]["nodes"].as_array().expect("rows").iter().all(|row| row["application"].is_null()));
    // In PostgreSQL itself: another's application, and a name that has been decided about.
    let attempt = async |sql: &str| {
        let who = format!(
            "SET ROLE portal_partner; SET app.tenant_id = '{}'; SET app.partner_id = '{}'; SET app.user_id = '{}'",
            world.acme.uuid(),
            world.a.uuid(),
            uuid::Uuid::nil()
        );
        let mut connection = world.owner().await;
        diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, &who).await.expect("a role");
        let counted = format!(
            "DO $$ DECLARE n int; BEGIN {sql}; GET DIAGNOSTICS n = ROW_COUNT; IF n = 0 THEN RAISE 'no row'; END IF; END $$"
        );
        diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, &counted).await.is_ok()
    };
    assert!(!attempt("UPDATE partner_applications SET sales_plan = 'x'").await);
    assert!(!attempt("UPDATE partners SET company_name = 'x'").await);
    world.sql("UPDATE partners SET status = 'pending' WHERE company_name = 'Partner A'").await;
    assert!(attempt("UPDATE partners SET company_name = 'x'").await);
    assert!(!attempt("UPDATE partners SET status = 'active'").await);
}

/// An application and the decision about it at the same moment: either came first, and a name is never changed after the decision.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn applying_while_it_is_decided() {
    let world = World::with_pool(4).await;
    apply(&world, whole()).await;
    let id = world.operator("{ partners(filter: { status: [PENDING] }) { nodes { id } } }", json!({})).await;
    let id = id.data()["partners"]["nodes"][0]["id"].clone();
    let decide = "mutation ($id: ID!) { changePartnerStatus(input: { id: $id, status: ACTIVE }) { partner { companyName } userErrors { code } } }";
    for turn in 0..10 {
        world.sql("UPDATE partners SET status = 'pending', company_name = 'Before' WHERE id IN (SELECT partner_id FROM partner_applications)").await;
        let name = format!("Name {turn}");
        let (applied, decided) =
            join(apply(&world, json!({"companyName": name})), world.operator(decide, json!({"id": id}))).await;
        let at_decision = decided.data()["changePartnerStatus"]["partner"]["companyName"].clone();
        let after =
            world.text("SELECT company_name FROM partners WHERE id IN (SELECT partner_id FROM partner_applications)").await;
        assert_eq!(at_decision, after, "{applied}");
        assert_eq!(applied["userErrors"] == json!([]), after == name, "{applied}");
    }
}
