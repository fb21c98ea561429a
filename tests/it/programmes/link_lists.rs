//! Lists of links by their figures, what has come of links as one list, and programmes by their shop.

use serde_json::{Value, json};

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, GLOBEX},
};

/// The texts of a field in a list's rows.
fn texts(rows: &Value, field: &str) -> Vec<String> {
    let rows = rows["nodes"].as_array().expect("rows").iter();
    rows.map(|row| row[field].as_str().expect("a text").to_owned()).collect()
}

/// Three links: the first with most clicks, the second with most sales in the tenant's currency, the third with most sign-ups; beside them one that
/// nothing has come of.
async fn four_links(world: &World) -> Vec<Value> {
    let mut links = Vec::new();
    for key in ["clicked", "sold", "signed-up", "nothing"] {
        links.push(world.create_link("owner_a", json!({"url": "https://example.com/", "key": key})).await["link"].clone());
    }
    world.clicks(&links[0], 3).await;
    world.clicks(&links[1], 1).await;
    for (customer, link) in [("a", 1), ("b", 2), ("c", 2), ("d", 0)] {
        let report = json!({"customerExternalId": customer, "linkKey": links[link]["key"], "occurredAt": "2026-06-01T00:00:00Z"});
        assert_eq!(world.sign_up(report).await["outcome"], "ATTRIBUTED");
    }
    world.pay("i1", "a", "60.00", "2026-06-02T00:00:00Z").await;
    world.pay("i2", "a", "60.00", "2026-06-03T00:00:00Z").await;
    world.pay("i3", "b", "100.00", "2026-06-03T00:00:00Z").await;
    world.pay_in("i4", "d", "900.00", "EUR", "2026-06-03T00:00:00Z").await;
    links
}

/// Links are listed by clicks, sign-ups, sales and earnings, upwards and downwards, page by page; a link that nothing has come of is among them. A sale,
/// a refund and another default currency move them at once. What is counted beside them is the same.
#[tokio::test(flavor = "multi_thread")]
async fn links_are_listed_by_their_figures() {
    let world = World::new().await;
    four_links(&world).await;
    let list = async |field: &str, direction: &str| {
        let query = "query ($order: LinkOrder, $after: String) { links(first: 2, after: $after, orderBy: $order) {
            totalCount pageInfo { endCursor hasNextPage } nodes { key } } }";
        let (mut all, mut after) = (Vec::new(), Value::Null);
        loop {
            let variables = json!({"order": {"field": field, "direction": direction}, "after": after});
            let page = world.owner_a(query, variables).await.data()["links"].clone();
            assert_eq!(page["totalCount"], 4);
            all.extend(texts(&page, "key"));
            if page["pageInfo"]["hasNextPage"] == false {
                return all;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    };
    for (field, first, second) in [
        ("CLICKS", "clicked", "sold"),
        ("SIGN_UPS", "signed-up", ""),
        ("SALES", "sold", "signed-up"),
        ("EARNINGS", "sold", "signed-up"),
    ] {
        let downwards = list(field, "DESC").await;
        assert_eq!((downwards.len(), &*downwards[0]), (4, first), "{field}: {downwards:?}");
        assert!(second.is_empty() || downwards[1] == second, "{field}: {downwards:?}");
        let upwards: Vec<String> = list(field, "ASC").await.into_iter().rev().collect();
        assert_eq!(upwards, downwards, "{field}");
    }
    assert!(list("SIGN_UPS", "ASC").await[0] == "nothing");
    world.refund_at("i2", "60.00", "2026-06-04T00:00:00Z").await;
    let earned = list("EARNINGS", "DESC").await;
    assert_eq!(earned[..2], ["signed-up", "sold"]);
    assert_eq!(list("SALES", "DESC").await[0], "sold");
    world.sql("UPDATE tenants SET default_currency = 'EUR'").await;
    assert_eq!(list("EARNINGS", "DESC").await[0], "clicked");
    assert_eq!(list("SALES", "DESC").await[0], "clicked");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A link is the same in a list as by its id, each value in its own field.
#[tokio::test(flavor = "multi_thread")]
async fn a_listed_link_has_its_own_values() {
    let world = World::new().await;
    let input = json!({"url": "https://example.com/a", "key": "own-key", "title": "T", "externalId": "E", "couponCode": "C", "partnerId": world.a.to_string(),
        "utm": {"source": "1", "medium": "2", "campaign": "3", "term": "4", "content": "5"},
        "expiresAt": "2030-01-01T00:00:00Z", "expiredUrl": "https://example.com/expired"});
    let made = world.create_link_as_operator(input).await;
    assert_eq!(made["userErrors"], json!([]));
    let fields = "id key url shortUrl title externalId couponCode utm { source medium campaign term content } expiresAt expiredUrl archivedAt
        createdAt updatedAt partner { id } programme { id } user { id }";
    let query = format!("query ($id: ID!) {{ link(id: $id) {{ {fields} }} links {{ nodes {{ {fields} }} }} }}");
    let seen = world.operator(&query, json!({"id": made["link"]["id"]})).await.data().clone();
    assert_eq!(seen["links"]["nodes"], json!([seen["link"]]));
    assert_eq!(seen["link"]["utm"], json!({"source": "1", "medium": "2", "campaign": "3", "term": "4", "content": "5"}));
}

/// A sale whose commission was moved is an event of the partner that has it now, who does not see whose link it came by.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_sale_is_the_other_partners_event() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    let report = json!({"customerExternalId": "c", "linkKey": link["key"], "occurredAt": "2026-06-01T10:00:00Z"});
    assert_eq!(world.sign_up(report).await["outcome"], "ATTRIBUTED");
    let paid = world.pay("i1", "c", "60.00", "2026-06-01T11:00:00Z").await["commission"]["id"].clone();
    let move_it = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { code } } }";
    world.operator(move_it, json!({"id": paid, "to": world.b.to_string()})).await.data();
    let sales = "{ linkEvents(filter: { kind: [SALE] }) { nodes { isCounted link { id } commission { id } } } }";
    assert_eq!(world.owner_a(sales, json!({})).await.data()["linkEvents"]["nodes"], json!([]));
    let seen = world.acme("owner_b", sales, json!({})).await.data()["linkEvents"]["nodes"].clone();
    assert_eq!(seen, json!([{"isCounted": true, "link": null, "commission": {"id": paid}}]));
    let request = axum::http::Request::get("/export/link-events.csv?kind=SALE")
        .header("authorization", format!("Bearer {}", token("owner_b", ACME)))
        .body(axum::body::Body::empty())
        .expect("a request");
    let file = world.send(request).await.text;
    assert!(file.contains("SALE") && !file.contains(link["id"].as_str().expect("an id")), "{file}");
}

/// The same below partners and programmes, with a filter beside it; a cursor of one order is refused in another; partners see their own.
#[tokio::test(flavor = "multi_thread")]
async fn links_by_figures_below_others() {
    let world = World::new().await;
    let links = four_links(&world).await;
    let other = world.create_link("owner_b", json!({"url": "https://example.com/", "key": "of-b"})).await["link"].clone();
    world.clicks(&other, 9).await;
    let below = "{ partners { nodes { links(first: 2, orderBy: { field: CLICKS }) { totalCount nodes { key } } } }
        programmes { nodes { links(first: 3, filter: { search: \"s\" }, orderBy: { field: CLICKS }) { nodes { key } } } } }";
    let seen = world.operator(below, json!({})).await.data().clone();
    let partners: Vec<_> =
        seen["partners"]["nodes"].as_array().expect("rows").iter().map(|row| texts(&row["links"], "key")).collect();
    assert!(partners.contains(&vec!["clicked".to_owned(), "sold".to_owned()]), "{partners:?}");
    assert!(partners.contains(&vec!["of-b".to_owned()]), "{partners:?}");
    let of_programme = texts(&seen["programmes"]["nodes"][0]["links"], "key");
    assert_eq!(of_programme.len(), 3, "every address has an s: {of_programme:?}");
    assert_eq!(of_programme[0], "of-b");
    let mine = world.owner_a("{ links(orderBy: { field: CLICKS }) { pageInfo { endCursor } nodes { key } } }", json!({})).await;
    assert_eq!(texts(&mine.data()["links"], "key").len(), links.len());
    let after = mine.data()["links"]["pageInfo"]["endCursor"].clone();
    let query = "query ($after: String) { links(after: $after, orderBy: { field: SALES }) { nodes { key } } }";
    let refused = world.owner_a(query, json!({"after": after})).await;
    assert!(refused.body["errors"][0]["message"].as_str().expect("a message").contains("another order"), "{}", refused.body);
}

const EVENTS: &str = "query ($first: Int, $after: String, $filter: LinkEventFilter) { linkEvents(first: $first, after: $after, filter: $filter) {
    totalCount pageInfo { endCursor hasNextPage } nodes { id kind at isCounted link { key } partner { id } click { id } signUp { name } commission { id amount { amount } } } } }";

/// What has come of links is one list, the latest first, page by page: clicks, sign-ups and sales, each with what there is to it; by kind, link, partner and
/// period, and with what counts alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_come_of_links_is_one_list() {
    let world = World::new().await;
    let at = |text: &str| text.parse().expect("an instant");
    let link = world.link("https://example.com/").await;
    let other = world.link("https://example.com/other").await;
    let click = world.click_at(&link, at("2026-06-01T08:00:00Z")).await;
    world.click_at(&other, at("2026-06-01T09:00:00Z")).await;
    let report = json!({"customerExternalId": "c", "clickId": click, "occurredAt": "2026-06-01T10:00:00Z"});
    assert_eq!(world.sign_up(report).await["outcome"], "ATTRIBUTED");
    let paid = world.pay("i1", "c", "60.00", "2026-06-01T11:00:00Z").await["commission"].clone();
    world.sql("UPDATE link_clicks SET is_bot = true WHERE at = '2026-06-01T09:00:00Z'").await;
    let list = async |variables: Value| world.owner_a(EVENTS, variables).await.data()["linkEvents"].clone();

    let first = list(json!({"first": 3})).await;
    assert_eq!(
        (&first["totalCount"], texts(&first, "kind")),
        (&json!(4), ["SALE", "SIGN_UP", "CLICK"].map(str::to_owned).to_vec())
    );
    let [sale, sign_up, robot] = &first["nodes"].as_array().expect("rows")[..] else { panic!("three") };
    assert_eq!(sale["commission"], json!({"id": paid["id"], "amount": {"amount": "6.00"}}));
    assert_eq!((&sale["click"], &sale["signUp"], &sale["link"]["key"]), (&Value::Null, &Value::Null, &link["key"]));
    assert_eq!((&sign_up["signUp"]["name"], &sign_up["partner"]["id"]), (&json!("Sign-up"), &json!(world.a.to_string())));
    assert_eq!((&robot["isCounted"], &robot["link"]["key"]), (&json!(false), &other["key"]));
    let rest = list(json!({"first": 3, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!((&rest["nodes"][0]["click"]["id"], &rest["pageInfo"]["hasNextPage"]), (&json!(click), &json!(false)));

    for (filter, kinds) in [
        (json!({"kind": ["CLICK", "SALE"]}), vec!["SALE", "CLICK", "CLICK"]),
        (json!({"kind": []}), vec![]),
        (json!({"counted": true, "kind": ["CLICK"]}), vec!["CLICK"]),
        (json!({"linkId": other["id"]}), vec!["CLICK"]),
        (json!({"at": {"from": "2026-06-01T09:30:00Z", "before": "2026-06-01T10:30:00Z"}}), vec!["SIGN_UP"]),
        (json!({"partnerId": world.b.to_string()}), vec![]),
    ] {
        assert_eq!(texts(&list(json!({"filter": filter})).await, "kind"), kinds, "{filter}");
    }
    // Operators say of which partner or link, or leave the clicks out.
    let operator = async |filter: Value| world.operator(EVENTS, json!({"filter": filter})).await;
    assert_eq!(texts(&operator(json!({"partnerId": world.a.to_string()})).await.data()["linkEvents"], "kind").len(), 4);
    assert_eq!(texts(&operator(json!({"linkId": link["id"]})).await.data()["linkEvents"], "kind").len(), 3);
    assert_eq!(texts(&operator(json!({"kind": ["SALE", "SIGN_UP"]})).await.data()["linkEvents"], "kind").len(), 2);
    for filter in [json!({}), json!({"kind": ["CLICK"]})] {
        let message = operator(filter).await.body["errors"][0]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains("filter.partnerId") && message.contains("CLICK"), "{message}");
    }
    // Nobody else sees any of it.
    assert_eq!(world.acme("owner_b", EVENTS, json!({})).await.data()["linkEvents"]["totalCount"], 0);
    let elsewhere = world.run(&staff_token("operator", GLOBEX), EVENTS, json!({"filter": {"linkId": link["id"]}})).await;
    assert_eq!(elsewhere.data()["linkEvents"]["totalCount"], 0);
}

/// A programme is found by its shop's domain, in whichever case, and by a host below it; a text that is no shop's is refused with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn programmes_are_found_by_their_shop() {
    let world = World::new().await;
    let link = world.link("https://www.example.co.uk/plans").await;
    let query = "query ($id: ID, $domain: String) { programme(id: $id, domain: $domain) { id } }";
    let id = world.owner_a(query, json!({"domain": "example.co.uk"})).await.data()["programme"]["id"].clone();
    assert_eq!(id, link["programme"]["id"]);
    for domain in ["WWW.Example.CO.UK", " shop.example.co.uk ", "https://www.example.co.uk/plans?a=b"] {
        assert_eq!(world.owner_a(query, json!({"domain": domain})).await.data()["programme"]["id"], id, "{domain}");
    }
    assert_eq!(world.owner_a(query, json!({"domain": "example.org"})).await.data()["programme"], Value::Null);
    assert_eq!(world.acme("owner_b", query, json!({"domain": "example.co.uk"})).await.data()["programme"], Value::Null);
    for (variables, said) in [
        (json!({"domain": "co.uk"}), "`domain` must be that of a shop"),
        (json!({"domain": ""}), "`domain` must be that of a shop"),
        (json!({}), "one of the two"),
        (json!({"id": id, "domain": "example.co.uk"}), "one of the two"),
    ] {
        let message = world.owner_a(query, variables).await.body["errors"][0]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(said), "{message}");
    }
}
