//! Relay's global objects: whatever has an id is fetched again by it, by those who may see it and by nobody else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    imports::background::{run_waiting, small},
    isolation::by_the_api,
    support::{
        World, token,
        tokens::staff_token,
        world::{ACME, GLOBEX, keyed},
    },
};

/// Everything of partner A's that implements `Node`, with its type and id.
const EVERYTHING: &str = "{ auditLog(first: 3) { nodes { __typename id } } affiliateTerms { __typename id } referrals { nodes { __typename id } } walletTransactions { nodes { __typename id } } me { tenant { __typename id } user { __typename id } }
    partners { nodes { __typename id invitations(first: 5) { nodes { __typename id } }
        ledger { nodes { __typename id } } creditLedger { nodes { __typename id grant { __typename id } redemption { __typename id } } } } }
    leads { nodes { __typename id history { __typename id } moves { __typename id } } }
    customers { nodes { __typename id accounts { __typename id } } }
    commissionRules(validity: ALL) { __typename id }
    commissions { nodes { __typename id } }
    payouts { nodes { __typename id history { __typename id } transfers { __typename id } } }
    members { nodes { __typename id } } creditAllocations { nodes { __typename id } }
    links(first: 20) { nodes { __typename id clicks(first: 5) { nodes { __typename id } } } } linkSignUps { nodes { __typename id } } linkEvents(filter: { kind: [SIGN_UP, SALE] }) { nodes { __typename id } } programmes { nodes { __typename id } } enrolments { nodes { __typename id history { __typename id } } } }";

/// Gathers what has a type and an id.
fn gather(value: &Value, found: &mut BTreeMap<String, String>) {
    if let (Some(kind), Some(id)) = (value["__typename"].as_str(), value["id"].as_str()) {
        found.insert(id.to_owned(), kind.to_owned());
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|value| gather(value, found)),
        Value::Array(items) => items.iter().for_each(|value| gather(value, found)),
        _ => {}
    }
}

/// Whatever implements `Node` is fetched again by its id as what it is; others, who may not see it, get nothing.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_an_id_is_fetched_again() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.b).await;
    let query = "mutation ($id: ID!, $to: ID!) { moveLead(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { message } } }";
    world.operator(query, json!({"id": lead.to_string(), "to": world.a.to_string()})).await;
    // The world's own leads have no history: this one has.
    let query = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONTACTED }) { userErrors { message } } }";
    world.operator(query, json!({"id": lead.to_string()})).await;
    by_the_api::money(&world).await;
    by_the_api::credits(&world).await;
    world.invited("ann@example.com").await;
    let link = world.link("https://example.com/").await;
    world.clicks(&link, 1).await;
    world.sign_up(json!({"customerExternalId": "new", "linkKey": link["key"]})).await;
    world.affiliate("owner_a").await;
    world.referred("friend", "owner_a", "cus_friend").await;
    world.pay_now("inv_friend", "cus_friend", "10.00").await;
    let import = "mutation ($input: ImportDataInput!) { importData(input: $input) { userErrors { message } } }";
    let asked = world.operator(import, json!({"input": keyed(small())})).await;
    assert_eq!(asked.data()["importData"]["userErrors"], json!([]));
    run_waiting(&world).await;
    let sent = crate::webhooks::one_of_each(&world).await;
    let mut found = BTreeMap::new();
    gather(&sent, &mut found);
    let imports = "{ dataImports { nodes { __typename id findings(first: 5) { nodes { __typename id } } } } }";
    gather(world.operator(imports, json!({})).await.data(), &mut found);
    gather(world.operator(EVERYTHING, json!({})).await.data(), &mut found);

    let known = "{ __type(name: \"Node\") { possibleTypes { name } } }";
    let known = world.operator(known, json!({})).await;
    let known: BTreeSet<&str> = known.data()["__type"]["possibleTypes"]
        .as_array()
        .expect("types")
        .iter()
        .filter_map(|kind| kind["name"].as_str())
        .collect();
    assert_eq!(found.values().map(String::as_str).collect::<BTreeSet<_>>(), known);

    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let ids: Vec<&String> = found.keys().collect();
    let expected: Vec<Value> = found.iter().map(|(id, kind)| json!({"__typename": kind, "id": id})).collect();
    for (ids, expected) in ids.chunks(100).zip(expected.chunks(100)) {
        assert_eq!(world.operator(query, json!({"ids": ids})).await.data()["nodes"], json!(expected));
    }
    let not_of_others = |seen: &Value, owned: &[&str]| {
        let mut found = BTreeMap::new();
        gather(seen, &mut found);
        found.retain(|_, kind| !owned.contains(&kind.as_str()));
        found
    };
    // What is partner B's own is its ledger's and its people's, of which there is none here but the partner.
    let mine = world.acme("owner_b", "{ me { partner { id } user { id } } }", json!({})).await.data()["me"].clone();
    for ids in ids.chunks(100) {
        let seen = world.run(&token("owner_b", ACME), query, json!({"ids": ids})).await;
        let mut others = not_of_others(seen.data(), &["Tenant", "AffiliateTerms"]);
        others.remove(mine["partner"]["id"].as_str().expect("an id"));
        others.remove(mine["user"]["id"].as_str().expect("an id"));
        assert_eq!(others, BTreeMap::new());
        for token in [token("owner_g", GLOBEX), staff_token("operator", GLOBEX), staff_token("service", GLOBEX)] {
            let seen = world.run(&token, query, json!({"ids": ids})).await;
            assert_eq!(not_of_others(seen.data(), &[]), BTreeMap::new());
        }
    }
}

/// A number is no transfer's but its own: an id of money is none of credits, and one beyond all numbers is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_of_their_kind() {
    let world = World::new().await;
    by_the_api::money(&world).await;
    by_the_api::credits(&world).await;
    let query = "{ partners { nodes { ledger { nodes { id kind amount { amount } } } creditLedger { nodes { id why: kind credits } } } } }";
    let answer = world.operator(query, json!({})).await;
    let rows = |list: &str| -> Vec<Value> {
        let partners = answer.data()["partners"]["nodes"].as_array().expect("partners").clone();
        partners.iter().flat_map(|partner| partner[list]["nodes"].as_array().cloned().unwrap_or_default()).collect()
    };
    let by_id = "query ($id: ID!) { node(id: $id) { id ... on Transfer { kind amount { amount } } ... on CreditTransfer { why: kind credits } } }";
    for (list, prefix, other) in [("ledger", "transfer_", "credittransfer_"), ("creditLedger", "credittransfer_", "transfer_")] {
        assert!(!rows(list).is_empty());
        for row in rows(list) {
            let id = row["id"].as_str().expect("an id");
            assert_eq!(world.operator(by_id, json!({"id": id})).await.data()["node"], row);
            let number = id.strip_prefix(prefix).expect("the kind's prefix");
            let swapped = world.operator(by_id, json!({"id": format!("{other}{number}")})).await;
            assert_eq!(swapped.body, json!({"data": {"node": null}}));
        }
        let beyond = world.operator(by_id, json!({"id": format!("{prefix}7zzzzzzzzzzzzzzzzzzzzzzzzz")})).await;
        assert_eq!(beyond.body, json!({"data": {"node": null}}));
    }
}
