//! Partners, as operators manage them.

use serde_json::{Value, json};

use crate::support::World;

const CREATE: &str = "mutation ($input: CreatePartnerInput!) { createPartner(input: $input) {
    partner { id companyName status commissionRate profile { paymentMethod } users { role } } userErrors { code field } } }";
const UPDATE: &str = "mutation ($input: UpdatePartnerInput!) { updatePartner(input: $input) {
    partner { companyName commissionRate } userErrors { code field } } }";
const STATUS: &str = "mutation ($input: ChangePartnerStatusInput!) { changePartnerStatus(input: $input) {
    partner { status } userErrors { code field message } } }";

/// A new partner is active, has the tenant's rate unless another is given, an empty profile and nobody yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_partner() {
    let world = World::new().await;
    let payload = world
        .operator(CREATE, json!({"input": {"idempotencyKey": "FRESH_KEY", "companyName": "  New Ltd ", "clerkOrgId": "org_new"}}))
        .await;
    let mut partner = payload.data()["createPartner"]["partner"].clone();
    partner.as_object_mut().expect("a partner").remove("id");
    assert_eq!(
        partner,
        json!({"companyName": "New Ltd", "status": "ACTIVE", "commissionRate": "0.1000", "profile": {"paymentMethod": "MANUAL"}, "users": []})
    );
}

/// An organisation acts for one partner: a second one is refused at its field, and nothing is left of the attempt.
#[tokio::test(flavor = "multi_thread")]
async fn organisations_are_unique() {
    let world = World::new().await;
    let before = world.number("SELECT count(*) FROM partners").await;
    let taken = json!([{"code": "TAKEN", "field": ["input", "clerkOrgId"]}]);
    let created = world
        .operator(CREATE, json!({"input": {"idempotencyKey": "FRESH_KEY", "companyName": "Copy", "clerkOrgId": "org_a"}}))
        .await;
    assert_eq!(created.data()["createPartner"], json!({"partner": null, "userErrors": taken}));
    let updated = world.operator(UPDATE, json!({"input": {"id": world.b.to_string(), "clerkOrgId": "org_a"}})).await;
    assert_eq!(updated.data()["updatePartner"]["userErrors"], taken);
    assert_eq!(world.number("SELECT count(*) FROM partners").await, before);
    // Another tenant's organisations are its own.
    let elsewhere = world
        .operator(CREATE, json!({"input": {"idempotencyKey": "FRESH_KEY", "companyName": "Same", "clerkOrgId": "org_g"}}))
        .await;
    assert_eq!(elsewhere.data()["createPartner"]["userErrors"], json!([]));
}

/// A rate is a fraction of at most four digits; faults are named with their fields.
#[tokio::test(flavor = "multi_thread")]
async fn input_is_checked() {
    let world = World::new().await;
    for rate in ["1.1", "-0.1", "0.12345"] {
        let refused = world
            .operator(CREATE, json!({"input": {"idempotencyKey": "FRESH_KEY", "companyName": "", "commissionRate": rate}}))
            .await;
        let fields: Vec<Value> = refused.data()["createPartner"]["userErrors"]
            .as_array()
            .expect("faults")
            .iter()
            .map(|fault| fault["field"][1].clone())
            .collect();
        assert_eq!(fields, ["companyName", "commissionRate"], "{rate}");
    }
    let changed = world.operator(UPDATE, json!({"input": {"id": world.a.to_string(), "commissionRate": "0.25"}})).await;
    assert_eq!(changed.data()["updatePartner"]["partner"], json!({"companyName": "Partner A", "commissionRate": "0.2500"}));
}

/// A new rate is for new leads: those that are there keep their commission.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_rate_is_for_new_leads() {
    let world = World::new().await;
    let send = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", dealValue: \"100\" }) { lead { commission { amount } } } }";
    world.owner_a(send, json!({})).await;
    world.operator(UPDATE, json!({"input": {"id": world.a.to_string(), "commissionRate": "0.5"}})).await;
    world.owner_a(send, json!({})).await;
    let leads = world
        .owner_a("{ leads(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { commission { amount } } } }", json!({}))
        .await;
    assert_eq!(leads.data()["leads"]["nodes"], json!([{"commission": {"amount": "10.00"}}, {"commission": {"amount": "50.00"}}]));
}

/// While a rate is changed again and again, every lead pins one of the rates, and earns what follows from it.
#[tokio::test(flavor = "multi_thread")]
async fn rates_change_while_leads_come() {
    let world = World::with_pool(8).await;
    let send = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", dealValue: \"1000\" }) { lead { id } } }";
    let changes = async {
        for n in 0..40 {
            let rate = if n % 2 == 0 { "0.5" } else { "0.1" };
            world.operator(UPDATE, json!({"input": {"id": world.a.to_string(), "commissionRate": rate}})).await.data();
        }
    };
    let leads = futures_util::future::join_all((0..4).map(async |_| {
        for _ in 0..15 {
            world.owner_a(send, json!({})).await.data();
        }
    }));
    futures_util::join!(changes, leads);
    assert_eq!(world.number("SELECT count(*) FROM partner_leads WHERE commission = deal_value * commission_rate").await, 60);
}

/// A partner's status goes along its steps; what it has already is no step; closed is the end.
#[tokio::test(flavor = "multi_thread")]
async fn statuses() {
    let world = World::new().await;
    let change = async |status: &str| {
        let answer = world.operator(STATUS, json!({"input": {"id": world.a.to_string(), "status": status}})).await;
        answer.data()["changePartnerStatus"].clone()
    };
    for status in ["SUSPENDED", "SUSPENDED", "ACTIVE", "CLOSED"] {
        assert_eq!(change(status).await, json!({"partner": {"status": status}, "userErrors": []}));
    }
    let reopened = change("ACTIVE").await;
    assert_eq!(reopened["userErrors"][0]["code"], "INVALID_TRANSITION");
    assert_eq!(reopened["userErrors"][0]["message"], "A partner that is CLOSED cannot become ACTIVE.");
}

/// The list of partners: filters, orders and total; a person's partners and a partner's people.
#[tokio::test(flavor = "multi_thread")]
async fn lists() {
    let world = World::new().await;
    let query = "query ($filter: PartnerFilter, $order: PartnerOrder) { partners(filter: $filter, orderBy: $order) {
        totalCount nodes { companyName users { role user { name partners { companyName } } } } } }";
    let all =
        world.operator(query, json!({"order": {"field": "COMPANY_NAME", "direction": "ASC"}})).await.data()["partners"].clone();
    let person = |name: &str, role: &str, partner: &str| json!({"role": role, "user": {"name": format!("Name of {name}"), "partners": [{"companyName": partner}]}});
    assert_eq!(
        all,
        json!({"totalCount": 2, "nodes": [
            {"companyName": "Partner A", "users": [person("owner_a", "OWNER", "Partner A"), person("member_a", "MEMBER", "Partner A")]},
            {"companyName": "Partner B", "users": [person("owner_b", "OWNER", "Partner B")]},
        ]})
    );
    for (filter, count) in
        [(json!({"search": "ner b"}), 1), (json!({"status": ["ACTIVE"]}), 2), (json!({"status": ["PENDING", "CLOSED"]}), 0)]
    {
        assert_eq!(
            world.operator(query, json!({"filter": filter})).await.data()["partners"]["totalCount"],
            json!(count),
            "{filter}"
        );
    }
    assert_eq!(world.service("{ partners { totalCount } }", json!({})).await.data()["partners"]["totalCount"], 2);
}
