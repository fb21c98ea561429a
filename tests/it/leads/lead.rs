//! Leads: sending, changing, the pipeline, commissions, history, counters.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, world::keyed};

const CREATE: &str = "mutation ($input: CreateLeadInput!) { createLead(input: $input) {
    lead { id status clientName dealValue { amount currency } commission { amount currency } convertedAt history { from to note changedBy { name } } }
    userErrors { code field message } } }";
const UPDATE: &str = "mutation ($input: UpdateLeadInput!) { updateLead(input: $input) {
    lead { clientName clientPhone notes dealValue { amount } commission { amount } } userErrors { code field message } } }";
const STATUS: &str = "mutation ($input: UpdateLeadStatusInput!) { updateLeadStatus(input: $input) {
    lead { status convertedAt nextStatuses history { from to note } } userErrors { code field message } } }";

async fn create(world: &World, input: Value) -> Value {
    world.owner_a(CREATE, json!({"input": keyed(input)})).await.data()["createLead"].clone()
}

async fn update(world: &World, input: Value) -> Value {
    world.owner_a(UPDATE, json!({"input": input})).await.data()["updateLead"].clone()
}

async fn status(world: &World, id: &Value, status: &str) -> Value {
    world.owner_a(STATUS, json!({"input": {"id": id, "status": status}})).await.data()["updateLeadStatus"].clone()
}

fn good() -> Value {
    json!({"clientName": "Ada Lovelace", "clientEmail": "ada@example.com", "service": "Engine", "dealValue": "1200.00"})
}

/// A new lead is pending, earns the partner's share of the deal, and its history begins with who sent it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_lead() {
    let world = World::new().await;
    let payload = create(&world, good()).await;
    assert_eq!(payload["userErrors"], json!([]));
    let mut lead = payload["lead"].clone();
    lead.as_object_mut().expect("a lead").remove("id");
    assert_eq!(
        lead,
        json!({
            "status": "PENDING", "clientName": "Ada Lovelace", "dealValue": {"amount": "1200.00", "currency": "USD"},
            "commission": {"amount": "120.00", "currency": "USD"}, "convertedAt": null,
            "history": [{"from": null, "to": "PENDING", "note": null, "changedBy": {"name": "Name of owner_a"}}],
        })
    );
}

/// Every fault of an input is reported at once, each with the path of its field, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_once() {
    let world = World::new().await;
    let payload = create(
        &world,
        json!({
            "clientName": "a\u{0}b", "clientEmail": "ada@localhost", "clientPhone": "call me", "service": " ",
            "dealValue": "10.005", "notes": "x".repeat(5_001),
        }),
    )
    .await;
    assert_eq!(payload["lead"], Value::Null);
    let faults: Vec<(&str, &str)> = payload["userErrors"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| (fault["field"][1].as_str().expect("a field"), fault["code"].as_str().expect("a code")))
        .collect();
    assert_eq!(
        faults,
        [
            ("clientName", "INVALID"),
            ("clientEmail", "INVALID"),
            ("clientPhone", "INVALID"),
            ("service", "REQUIRED"),
            ("dealValue", "INVALID"),
            ("notes", "TOO_LONG"),
        ]
    );
    assert_eq!(world.number("SELECT count(*) FROM partner_leads").await, 0);
}

/// What is left out stays, what is null is cleared, and the commission follows the deal's value.
#[tokio::test(flavor = "multi_thread")]
async fn changing_a_lead() {
    let world = World::new().await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    let first =
        update(&world, json!({"id": id, "clientPhone": "+49 30 901820", "notes": "Met at the fair", "dealValue": "2000"})).await;
    assert_eq!(
        first["lead"],
        json!({"clientName": "Ada Lovelace", "clientPhone": "+49 30 901820", "notes": "Met at the fair",
               "dealValue": {"amount": "2000.00"}, "commission": {"amount": "200.00"}})
    );
    let second = update(&world, json!({"id": id, "clientPhone": null, "dealValue": null})).await;
    assert_eq!(
        second["lead"],
        json!({"clientName": "Ada Lovelace", "clientPhone": null, "notes": "Met at the fair", "dealValue": null, "commission": {"amount": "0.00"}})
    );
    let refused = update(&world, json!({"id": id, "clientEmail": "none", "dealValue": "-1"})).await;
    assert_eq!(refused["userErrors"].as_array().map(Vec::len), Some(2));
    assert_eq!(refused["lead"], Value::Null);
}

/// A commission that an operator sets by hand stays when the deal changes, until the operator lets it follow again.
#[tokio::test(flavor = "multi_thread")]
async fn a_commission_by_hand() {
    let world = World::new().await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    let operator = async |input: Value| {
        world.operator(UPDATE, json!({"input": input})).await.data()["updateLead"]["lead"]["commission"]["amount"].clone()
    };
    assert_eq!(operator(json!({"id": id, "commission": "77.70"})).await, "77.70");
    assert_eq!(update(&world, json!({"id": id, "dealValue": "5000"})).await["lead"]["commission"]["amount"], "77.70");
    assert_eq!(operator(json!({"id": id, "commission": null})).await, "500.00");
    assert_eq!(update(&world, json!({"id": id, "dealValue": "100"})).await["lead"]["commission"]["amount"], "10.00");
}

/// A partner never sets its own pay: what a lead earns follows from the rate at which it was sent, and is settled once it has
/// converted.
#[tokio::test(flavor = "multi_thread")]
async fn pay_is_settled() {
    let world = World::new().await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    world.sql("UPDATE partners SET commission_rate = 0.5").await;
    let commission = |payload: &Value| payload["lead"]["commission"]["amount"].clone();
    assert_eq!(commission(&update(&world, json!({"id": id, "dealValue": "1200.00"})).await), "120.00");
    assert_eq!(commission(&update(&world, json!({"id": id, "dealValue": "2000"})).await), "200.00");
    status(&world, &id, "CONVERTED").await;
    let refused = update(&world, json!({"id": id, "dealValue": "90000"})).await;
    assert_eq!((&refused["lead"], &refused["userErrors"][0]["code"]), (&Value::Null, &json!("INVALID_TRANSITION")));
    assert_eq!(update(&world, json!({"id": id, "dealValue": "2000", "notes": "Thanks"})).await["userErrors"], json!([]));
    for change in [json!({"id": id, "dealValue": "3000"}), json!({"id": id, "commission": "1"})] {
        let by_operator = world.operator(UPDATE, json!({"input": change})).await;
        assert_eq!(by_operator.data()["updateLead"]["userErrors"][0]["code"], "INVALID_TRANSITION");
    }
}

/// What a lead cannot be without cannot be cleared, and a lead that is not there hides no other fault.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_cleared() {
    let world = World::new().await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    let codes = |payload: &Value| -> Vec<String> {
        let faults = payload["userErrors"].as_array().expect("faults");
        faults
            .iter()
            .map(|fault| format!("{}:{}", fault["field"][1].as_str().expect("a field"), fault["code"].as_str().expect("a code")))
            .collect()
    };
    let refused = update(&world, json!({"id": id, "clientName": null, "clientEmail": null, "service": null})).await;
    assert_eq!(codes(&refused), ["clientName:REQUIRED", "clientEmail:REQUIRED", "service:REQUIRED"]);
    let elsewhere = partner_portal::ids::LeadId::new().to_string();
    let refused = update(&world, json!({"id": elsewhere, "clientEmail": "none"})).await;
    assert_eq!(codes(&refused), ["clientEmail:INVALID", "id:NOT_FOUND"]);
}

/// In a currency without minor units amounts have no digits after the point.
#[tokio::test(flavor = "multi_thread")]
async fn yen() {
    let world = World::new().await;
    let token = crate::support::token("owner_g", crate::support::world::GLOBEX);
    let mut input = good();
    input["dealValue"] = json!("1005");
    let lead = world.run(&token, CREATE, json!({"input": keyed(input.clone())})).await.data()["createLead"]["lead"].clone();
    assert_eq!((&lead["dealValue"]["amount"], &lead["commission"]["amount"]), (&json!("1005"), &json!("100")));
    input["dealValue"] = json!("10.5");
    let refused = world.run(&token, CREATE, json!({"input": keyed(input)})).await;
    assert_eq!(refused.data()["createLead"]["userErrors"][0]["field"], json!(["input", "dealValue"]));
}

/// A lead goes through the pipeline to the end; `convertedAt` is set once, and a converted lead goes nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline() {
    let world = World::new().await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    for step in ["CONTACTED", "LOST", "PENDING", "QUALIFIED"] {
        assert_eq!(status(&world, &id, step).await["userErrors"], json!([]), "{step}");
    }
    let back = status(&world, &id, "CONTACTED").await;
    assert_eq!(back["userErrors"][0]["code"], "INVALID_TRANSITION");
    assert_eq!(
        back["userErrors"][0]["message"],
        "A lead that is QUALIFIED cannot become CONTACTED; it can become CONVERTED, LOST."
    );
    let converted = status(&world, &id, "CONVERTED").await["lead"].clone();
    assert!(converted["convertedAt"].is_string());
    assert_eq!(converted["nextStatuses"], json!([]));
    let again = status(&world, &id, "CONVERTED").await;
    assert_eq!((&again["userErrors"], &again["lead"]["convertedAt"]), (&json!([]), &converted["convertedAt"]));
    assert_eq!(status(&world, &id, "LOST").await["userErrors"][0]["message"], "The lead is CONVERTED, which is final.");
    let steps: Vec<&str> =
        converted["history"].as_array().expect("steps").iter().map(|step| step["to"].as_str().expect("a status")).collect();
    assert_eq!(steps, ["PENDING", "CONTACTED", "LOST", "PENDING", "QUALIFIED", "CONVERTED"]);
}

/// Setting the status that a lead has already succeeds and records nothing: a phone that retries does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_changes_nothing() {
    let world = World::new().await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    status(&world, &id, "CONTACTED").await;
    let updated = "SELECT extract(epoch FROM updated_at) * 1000000 FROM partner_leads";
    let before = world.number(updated).await;
    let retried = status(&world, &id, "CONTACTED").await;
    assert_eq!(retried["userErrors"], json!([]));
    assert_eq!(retried["lead"]["history"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.number(updated).await, before);
}

/// Of simultaneous steps each is taken once: the history is a walk through the pipeline, whatever the order.
#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_steps() {
    let world = World::with_pool(12).await;
    let id = create(&world, good()).await["lead"]["id"].clone();
    let steps = ["CONTACTED", "QUALIFIED", "CONVERTED", "LOST"];
    let answers = join_all((0..24).map(|n| status(&world, &id, steps[n % 4]))).await;
    let succeeded = answers.iter().filter(|answer| answer["userErrors"] == json!([])).count();
    assert!(succeeded >= 6, "at least all that ask for the last status");
    let history = world.owner_a("query ($id: ID!) { lead(id: $id) { status history { from to } } }", json!({"id": id})).await;
    let history = history.data()["lead"].clone();
    let walk = history["history"].as_array().expect("steps");
    for pair in walk.windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"], "{history}");
    }
    assert_eq!(walk.last().expect("a step")["to"], history["status"]);
    assert!(walk.iter().filter(|step| step["to"] == "CONVERTED").count() <= 1);
}

/// The partner's counters follow its leads, also through conversions, bulk changes and removal.
#[tokio::test(flavor = "multi_thread")]
async fn counters_follow() {
    let world = World::new().await;
    let stats = async || {
        let answer = world.owner_a("{ dashboard { stats { totalLeads convertedLeads conversionRate } } }", json!({})).await;
        answer.data()["dashboard"]["stats"].clone()
    };
    assert_eq!(stats().await, json!({"totalLeads": 0, "convertedLeads": 0, "conversionRate": "0.0000"}));
    let leads = world.add_leads(world.acme, world.a, 6).await;
    status(&world, &json!(leads[0].to_string()), "CONVERTED").await;
    assert_eq!(stats().await, json!({"totalLeads": 6, "convertedLeads": 1, "conversionRate": "0.1667"}));
    world.sql("UPDATE partner_leads SET status = 'converted', converted_at = now() WHERE deal_value >= 50").await;
    assert_eq!(stats().await, json!({"totalLeads": 6, "convertedLeads": 3, "conversionRate": "0.5000"}));
    world.sql("DELETE FROM lead_status_changes; DELETE FROM partner_leads WHERE deal_value = 60").await;
    assert_eq!(stats().await, json!({"totalLeads": 5, "convertedLeads": 2, "conversionRate": "0.4000"}));
    let wrong = "SELECT count(*) FROM partners p WHERE total_referrals <> (SELECT count(*) FROM partner_leads l WHERE l.partner_id = p.id)";
    assert_eq!(world.number(wrong).await, 0);
}

/// Several mutations in one document are done one after the other, and each payload shows its own effect.
#[tokio::test(flavor = "multi_thread")]
async fn mutations_in_one_document() {
    let world = World::new().await;
    let id = world.add_lead(world.acme, world.a).await.to_string();
    let step = |alias: &str, status: &str| {
        format!(
            "{alias}: updateLeadStatus(input: {{ id: \"{id}\", status: {status} }}) {{ lead {{ status }} userErrors {{ code }} }}"
        )
    };
    let document = format!("mutation {{ {} {} {} }}", step("a", "CONTACTED"), step("b", "QUALIFIED"), step("c", "CONTACTED"));
    let answer = world.owner_a(&document, json!({})).await;
    assert_eq!(
        answer.data(),
        &json!({
            "a": {"lead": {"status": "CONTACTED"}, "userErrors": []}, "b": {"lead": {"status": "QUALIFIED"}, "userErrors": []},
            "c": {"lead": null, "userErrors": [{"code": "INVALID_TRANSITION"}]},
        })
    );
}

/// What a lead has come to is one step away: who sent it, and the commission that was booked, with what became of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_leads_to_its_commission() {
    let world = World::new().await;
    let shown =
        "lead(id: $id) { createdBy { name } commission { amount } commissionEntry { status amount { amount } rejectionReason } }";
    let query = format!("query ($id: ID!) {{ {shown} }}");
    let mut input = good();
    input["dealValue"] = json!("100.00");
    let created = world.owner_a(CREATE, json!({"input": keyed(input)})).await.data()["createLead"]["lead"].clone();
    let look = async || world.owner_a(&query, json!({"id": created["id"]})).await.data()["lead"].clone();
    let sent = look().await;
    assert_eq!(
        sent,
        json!({"createdBy": {"name": "Name of owner_a"}, "commission": {"amount": "10.00"}, "commissionEntry": null})
    );
    status(&world, &created["id"], "CONVERTED").await;
    let entry = look().await["commissionEntry"].clone();
    assert_eq!(entry, json!({"status": "PENDING", "amount": {"amount": "10.00"}, "rejectionReason": null}));
    let find = "query ($id: ID!) { commissions(filter: { leadId: $id }) { totalCount nodes { id eventType } } }";
    let found = world.owner_a(find, json!({"id": created["id"]})).await.data()["commissions"].clone();
    assert_eq!((&found["totalCount"], &found["nodes"][0]["eventType"]), (&json!(1), &json!("LEAD_CONVERSION")));
    world.decide("rejectCommissions", &[&found["nodes"][0]["id"]], false).await;
    assert_eq!(
        look().await["commissionEntry"],
        json!({"status": "REJECTED", "amount": {"amount": "10.00"}, "rejectionReason": "Fraud"})
    );
    // Many at once are one statement, and nobody else hears of them.
    let list = "{ leads { nodes { commissionEntry { id } createdBy { id } } } }";
    assert_eq!(world.acme("owner_b", list, json!({})).await.data()["leads"]["nodes"], json!([]));
}

/// Leads are narrowed down by partner, service and the deal's value, at the boundary itself too; another's partner has none.
#[tokio::test(flavor = "multi_thread")]
async fn leads_are_narrowed_down() {
    let world = World::new().await;
    for (service, value) in
        [("Solar", json!("99.99")), ("Solar", json!("100.00")), ("Wind", json!("250.00")), ("Wind", Value::Null)]
    {
        let mut input = good();
        (input["service"], input["dealValue"]) = (json!(service), value);
        assert_eq!(create(&world, input).await["userErrors"], json!([]));
    }
    world.add_lead(world.acme, world.b).await;
    let query = "query ($filter: LeadFilter) { leads(filter: $filter) { totalCount nodes { dealValue { amount } } } }";
    let (a, b) = (world.a.to_string(), world.b.to_string());
    for (filter, owners, operators) in [
        (json!({"service": "Solar"}), 2, 2),
        (json!({"service": "solar"}), 0, 0),
        (json!({"minDealValue": "100"}), 2, 2),
        (json!({"minDealValue": "100.01"}), 1, 1),
        (json!({"maxDealValue": "100"}), 3, 4),
        (json!({"maxDealValue": "99.98"}), 1, 2),
        (json!({"minDealValue": "99.99", "maxDealValue": "100.00", "service": "Solar"}), 2, 2),
        (json!({"partnerId": a}), 4, 4),
        (json!({"partnerId": b}), 0, 1),
    ] {
        let counted = |answer: &crate::support::world::Answer| {
            let leads = answer.data()["leads"].clone();
            assert_eq!(leads["totalCount"], json!(leads["nodes"].as_array().expect("rows").len()));
            leads["totalCount"].clone()
        };
        assert_eq!(counted(&world.owner_a(query, json!({"filter": filter})).await), owners, "{filter}");
        assert_eq!(counted(&world.operator(query, json!({"filter": filter})).await), operators, "{filter}");
    }
}
