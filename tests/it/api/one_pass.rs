//! Rows are written in one pass: what that answers is what the engine itself would have answered.

use std::fmt::Write;

use partner_portal::seed;
use serde_json::{Value, json};

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, Answer},
};

/// What is selected of nothing but the viewer, in two places that are to be merged: then every row is left to the engine.
const MERGED: &str = "me { tenant { id } } me { tenant { name } }";

/// The plain fields of a type, as the schema tells them, and what is selected below them: no arguments, and a scalar, an enum, or money.
async fn fields_of(world: &World, name: &str) -> Vec<(String, &'static str)> {
    let kinds = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
    let query =
        format!("query ($name: String!) {{ __type(name: $name) {{ fields {{ name args {{ name }} type {{ {kinds} }} }} }} }}");
    let received = world.run(&staff_token("operator", ACME), &query, json!({"name": name})).await;
    let received = received.data();
    let mut fields = vec![("__typename".to_owned(), "")];
    for field in received["__type"]["fields"].as_array().expect("fields") {
        let mut kind = &field["type"];
        while !kind["ofType"].is_null() {
            kind = &kind["ofType"];
        }
        let name = field["name"].as_str().expect("a name").to_owned();
        match (field["args"] == json!([]), kind["kind"].as_str(), kind["name"].as_str()) {
            (true, Some("SCALAR" | "ENUM"), _) => fields.push((name, "")),
            (true, _, Some("Money")) => fields.push((name, "{ amount currency sum: amount __typename }")),
            _ => {}
        }
    }
    fields
}

/// All of them, and once more under other names.
async fn plain_fields(world: &World, name: &str) -> String {
    let fields = fields_of(world, name).await;
    fields.iter().fold(String::new(), |mut text, (name, below)| {
        write!(text, " {name} {below} again_{name}: {name} {below}").expect("text");
        text
    })
}

/// The answer in both ways, to the letter but for the viewer.
async fn both(world: &World, token: &str, query: &str) -> (Answer, Answer) {
    let written = world.run(token, &format!("query {{ {query} }}"), json!({})).await;
    let mut engine = world.run(token, &format!("query {{ {MERGED} {query} }}"), json!({})).await;
    let me = engine.body["data"].as_object_mut().and_then(|data| data.remove("me"));
    let me = me.unwrap_or_else(|| panic!("{}", engine.text));
    let me = format!("\"me\":{{\"tenant\":{{\"id\":{},\"name\":\"Acme\"}}}},", me["tenant"]["id"]);
    assert!(engine.text.contains(&me), "{}", engine.text);
    engine.text = engine.text.replacen(&me, "", 1);
    (written, engine)
}

/// Every plain field of every type that is listed, in all the ways of selecting it.
#[tokio::test(flavor = "multi_thread")]
async fn are_what_the_engine_answers() {
    let world = World::new().await;
    let amounts = seed::Amounts { partners: 3, leads: 40, invoices: 120, members: 12, clicks: 0, pays_monthly: true, seed: 3 };
    seed::fill(&mut world.owner().await, Some(ACME), amounts, &world.app.keyring, &world.app.clock, |_| ()).await.expect("data");
    let (owner, operator) = (token("user_acme_3_1_owner", ACME), staff_token("operator", ACME));
    for (list, kind) in [
        ("leads", "Lead"),
        ("commissions", "Commission"),
        ("payouts", "Payout"),
        ("members", "Member"),
        ("creditAllocations", "CreditAllocation"),
        ("customers", "Customer"),
        ("partners", "Partner"),
    ] {
        let fields = plain_fields(&world, kind).await;
        let query = format!(
            "{list}(first: 20) {{ __typename totalCount nodes {{ {fields} }} edges {{ cursor node {{ ... on Node {{ id }} ... on {kind} {{ {fields} }} }} }}
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}"
        );
        // Partners are listed to operators alone.
        for token in [&operator, &owner].into_iter().take(if list == "partners" { 1 } else { 2 }) {
            let (written, engine) = both(&world, token, &query).await;
            written.data();
            assert_eq!(written.text, engine.text, "{list}");
        }
    }
    let (transfers, credits) = (plain_fields(&world, "Transfer").await, plain_fields(&world, "CreditTransfer").await);
    let deep = format!(
        "dashboard {{ partner {{ stats {{ totalLeads conversionRate totalEarnings {{ amount }} }}
             ledger(first: 5) {{ nodes {{ {transfers} payout {{ id }} }} }} creditLedger(first: 5) {{ nodes {{ {credits} }} }}
             commissions(first: 30) {{ nodes {{ id lead {{ id partner {{ id companyName }} }} payout {{ id history {{ to }} }} customer {{ name }} }} }}
             creditAllocations(first: 5) {{ nodes {{ member {{ id email creditsAvailable }} }} }} }} recentLeads(first: 3) {{ id status }} }}"
    );
    let (written, engine) = both(&world, &owner, &deep).await;
    assert_eq!(written.text, engine.text);
    assert!(written.data()["dashboard"]["partner"]["commissions"]["nodes"][0]["id"].is_string());
}

/// Where little is selected of the rows, little is read of them: every field alone is what it is among all the others.
#[tokio::test(flavor = "multi_thread")]
async fn are_the_same_however_little_is_selected() {
    let world = World::new().await;
    let amounts = seed::Amounts { partners: 3, leads: 40, invoices: 120, members: 12, clicks: 0, pays_monthly: true, seed: 3 };
    seed::fill(&mut world.owner().await, Some(ACME), amounts, &world.app.keyring, &world.app.clock, |_| ()).await.expect("data");
    let operator = staff_token("operator", ACME);
    let lead = ("leads", "Lead", &["partner", "history"][..]);
    let commission = ("commissions", "Commission", &["partner", "lead", "customer", "payout", "reverses", "explanation"][..]);
    for (list, kind, relations) in [lead, commission] {
        let mut fields = fields_of(&world, kind).await;
        fields.extend(relations.iter().map(|name| {
            let below = match *name {
                "history" => "{ to at }",
                "explanation" => "{ sentence }",
                _ => "{ id }",
            };
            ((*name).to_owned(), below)
        }));
        let all: Vec<String> = fields.iter().map(|(name, below)| format!("{name} {below}")).collect();
        let lists = |selected: &str| {
            let list =
                format!("{list}(first: 12) {{ nodes {{ {selected} }} edges {{ node {{ ... on {kind} {{ {selected} }} }} }} }}");
            format!("{{ {list} partners(first: 5) {{ nodes {{ {list} }} }} }}")
        };
        let whole = world.run(&operator, &lists(&all.join(" ")), json!({})).await;
        if list == "leads" {
            // A list without pages, of the same rows.
            let owner = token("user_acme_3_1_owner", ACME);
            let recent = |selected: &str| format!("{{ dashboard {{ recentLeads(first: 40) {{ {selected} }} }} }}");
            let whole = world.run(&owner, &recent(&all.join(" ")), json!({})).await;
            let rows = whole.data()["dashboard"]["recentLeads"].as_array().expect("leads");
            assert!(rows.iter().any(|lead| !lead["convertedAt"].is_null()), "{}", whole.text);
            for (name, below) in &fields {
                let alone = world.run(&owner, &recent(&format!("{name} {below}")), json!({})).await;
                assert_eq!(*alone.data(), only(whole.data(), name), "recentLeads: {name}");
            }
        }
        for (name, below) in &fields {
            let alone = world.run(&operator, &lists(&format!("{name} {below}")), json!({})).await;
            assert_eq!(*alone.data(), only(whole.data(), name), "{list}: {name}");
        }
    }
}

/// An answer of lists, with no more than that field of their rows.
fn only(answer: &Value, field: &str) -> Value {
    match answer {
        Value::Array(items) => items.iter().map(|item| only(item, field)).collect(),
        Value::Object(row) if row.contains_key("__typename") => json!({field: row[field]}),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), only(value, field))).collect(),
        other => other.clone(),
    }
}

/// A field that fails is null where it may be, with its error in its place; where it may not, its row is gone in both ways.
#[tokio::test(flavor = "multi_thread")]
async fn fail_as_the_engine_does() {
    let world = World::new().await;
    let ids = world.add_leads(world.acme, world.a, 3).await;
    // No currency of ISO 4217, in what the API would never write.
    let broken = ids[1].uuid();
    world.sql(&format!("UPDATE partner_leads SET deal_value = 5, currency = 'QQQ' WHERE id = '{broken}'")).await;
    let owner = token("owner_a", ACME);
    let (written, engine) = both(&world, &owner, "leads { nodes { id worth: dealValue { amount } clientName } }").await;
    assert_eq!(written.body["data"], engine.body["data"]);
    assert_eq!(written.body["errors"].as_array().map(Vec::len), Some(1), "{}", written.text);
    assert_eq!(written.body["errors"][0]["path"], json!(["leads", "nodes", 1, "worth"]), "{}", written.text);
    let (written, engine) =
        both(&world, &owner, "lead(id: \"LEAD\") { id commission { amount } }".replace("LEAD", &ids[1].to_string()).as_str())
            .await;
    assert_eq!((&written.body["data"], &written.body["data"]["lead"]), (&engine.body["data"], &Value::Null));
    assert_eq!(written.body["errors"][0]["path"], json!(["lead", "commission"]), "{}", written.text);
}
