//! Pages: nothing lost, nothing doubled, forwards and backwards, in every order, while rows come in.

use serde_json::{Value, json};

use crate::support::World;

const PAGE: &str = "query ($first: Int, $after: String, $last: Int, $before: String, $order: LeadOrder, $filter: LeadFilter) {
    leads(first: $first, after: $after, last: $last, before: $before, orderBy: $order, filter: $filter) {
        nodes { id clientName createdAt dealValue { amount } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

fn ids(connection: &Value) -> Vec<String> {
    connection["nodes"].as_array().expect("nodes").iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
}

/// Walks the whole list in pages of `length`, running `between` after each page.
async fn walk(world: &World, order: &Value, forwards: bool, length: i32, between: impl AsyncFn(usize)) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    for page in 0.. {
        let variables = if forwards {
            json!({"first": length, "after": cursor, "order": order})
        } else {
            json!({"last": length, "before": cursor, "order": order})
        };
        let answer = world.owner_a(PAGE, variables).await;
        let leads = &answer.data()["leads"];
        let (more, edge) = if forwards { ("hasNextPage", "endCursor") } else { ("hasPreviousPage", "startCursor") };
        let mut page_ids = ids(leads);
        if !forwards {
            page_ids.reverse();
        }
        all.extend(page_ids);
        between(page).await;
        if leads["pageInfo"][more] == json!(false) {
            break;
        }
        cursor = leads["pageInfo"][edge].clone();
    }
    all
}

/// A thousand leads with the same sort keys, in every order and both ways: every lead once, and both ways the same sequence.
#[tokio::test(flavor = "multi_thread")]
async fn equal_keys() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 1_000).await;
    world
        .sql(
            "UPDATE partner_leads SET created_at = '2026-01-01', updated_at = '2026-01-01', client_name = 'Same', deal_value = 5",
        )
        .await;
    for field in ["CREATED_AT", "UPDATED_AT", "CLIENT_NAME", "DEAL_VALUE"] {
        for direction in ["ASC", "DESC"] {
            let order = json!({"field": field, "direction": direction});
            let forwards = walk(&world, &order, true, 137, async |_| ()).await;
            let mut backwards = walk(&world, &order, false, 211, async |_| ()).await;
            backwards.reverse();
            assert_eq!(forwards, backwards, "{order}");
            let mut distinct = forwards.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!((forwards.len(), distinct.len()), (1_000, 1_000), "{order}");
        }
    }
}

/// While leads come in between the pages, those that were there are all seen, each once.
#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in() {
    let world = World::new().await;
    let there = world.add_leads(world.acme, world.a, 300).await;
    world.sql("UPDATE partner_leads SET created_at = '2026-01-01'").await;
    for (direction, forwards) in [("ASC", true), ("DESC", true), ("ASC", false)] {
        let order = json!({"field": "CREATED_AT", "direction": direction});
        let seen = walk(&world, &order, forwards, 40, async |_| {
            world.add_leads(world.acme, world.a, 5).await;
            world
                .sql("UPDATE partner_leads SET created_at = '2025-12-31' WHERE created_at > '2026-01-01' AND random() < 0.5")
                .await;
        })
        .await;
        for lead in &there {
            assert_eq!(seen.iter().filter(|id| **id == lead.to_string()).count(), 1, "{direction}");
        }
    }
}

/// Each order is the one that it says: by time, by name as people order names, by value with none as nothing.
#[tokio::test(flavor = "multi_thread")]
async fn orders() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 4).await;
    for (n, name, value) in [(1, "beta", "NULL"), (2, "Alpha", "30"), (3, "alpha", "20"), (4, "Ärger", "100")] {
        world
            .sql(&format!(
                "UPDATE partner_leads SET client_name = '{name}', deal_value = {value} WHERE client_name = 'Client {n}'"
            ))
            .await;
    }
    let names = async |field: &str, direction: &str| -> Vec<String> {
        let answer = world.owner_a(PAGE, json!({"order": {"field": field, "direction": direction}})).await;
        let nodes = answer.data()["leads"]["nodes"].as_array().expect("nodes").clone();
        nodes.iter().map(|node| node["clientName"].as_str().expect("a name").to_lowercase()).collect()
    };
    assert_eq!(names("CLIENT_NAME", "ASC").await, ["alpha", "alpha", "ärger", "beta"]);
    assert_eq!(names("CREATED_AT", "DESC").await, ["ärger", "alpha", "alpha", "beta"]);
    assert_eq!(names("DEAL_VALUE", "DESC").await, ["ärger", "alpha", "alpha", "beta"]);
    assert_eq!(world.owner_a(PAGE, json!({})).await.data()["leads"]["nodes"][0]["clientName"], "Ärger");
}

/// Filters narrow the list and its total alike; a search takes its wildcards to the letter.
#[tokio::test(flavor = "multi_thread")]
async fn filters() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 10).await;
    world.sql("UPDATE partner_leads SET status = 'lost' WHERE deal_value > 70").await;
    world.sql("UPDATE partner_leads SET client_name = '100% sure_thing' WHERE deal_value = 10").await;
    let found = async |filter: Value| {
        let query = "query ($filter: LeadFilter) { leads(filter: $filter, first: 2) { totalCount } }";
        world.owner_a(query, json!({"filter": filter})).await.data()["leads"]["totalCount"].as_i64().expect("a number")
    };
    assert_eq!(found(json!({})).await, 10);
    assert_eq!(found(json!({"status": ["LOST"]})).await, 3);
    assert_eq!(found(json!({"status": ["LOST", "PENDING"]})).await, 10);
    assert_eq!(found(json!({"status": ["CONVERTED"]})).await, 0);
    assert_eq!(found(json!({"search": "CLIENT"})).await, 10);
    assert_eq!(found(json!({"search": "client10@"})).await, 1);
    assert_eq!(found(json!({"search": "100%"})).await, 1);
    assert_eq!(found(json!({"search": "%"})).await, 1);
    assert_eq!(found(json!({"search": "e_t"})).await, 1);
    assert_eq!(found(json!({"search": "x_t"})).await, 0);
    assert_eq!(found(json!({"search": "\\"})).await, 0);
    assert_eq!(found(json!({"search": "  "})).await, 10);
    assert_eq!(found(json!({"created": {"from": "2026-01-01T00:00:04Z", "before": "2026-01-01T00:00:07Z"}})).await, 3);
    assert_eq!(found(json!({"created": {"from": "2026-01-01T02:00:04+02:00"}, "status": ["LOST"]})).await, 3);
}

/// Pages are 1 to 500 long; another length, a foreign cursor, `first` with `last` are errors that say what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_checked() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 120).await;
    assert_eq!(ids(&world.owner_a(PAGE, json!({})).await.data()["leads"]).len(), 100);
    assert_eq!(ids(&world.owner_a(PAGE, json!({"first": 500})).await.data()["leads"]).len(), 120);
    let by_name = world.owner_a(PAGE, json!({"first": 1, "order": {"field": "CLIENT_NAME"}})).await;
    let foreign = by_name.data()["leads"]["pageInfo"]["endCursor"].clone();
    for (variables, words) in [
        (json!({"first": 501}), "`first` must be from 1 to 500; it is 501."),
        (json!({"first": 0}), "`first` must be from 1 to 500; it is 0."),
        (json!({"last": -3}), "`last` must be from 1 to 500; it is -3."),
        (json!({"first": 1, "last": 1}), "Give `first` or `last`, not both."),
        (json!({"after": "nonsense"}), "`after` is not a cursor. Use `endCursor` or `startCursor` of `pageInfo`."),
        (json!({"after": foreign}), "`after` is the cursor of a list in another order."),
        (json!({"filter": {"search": "x".repeat(201)}}), "`search` takes at most 200 characters, none of them NUL."),
    ] {
        let answer = world.owner_a(PAGE, variables.clone()).await;
        assert_eq!((answer.code(), answer.message()), ("BAD_USER_INPUT", words), "{variables}");
    }
}

/// A list between two cursors, and what the page says of what lies around it.
#[tokio::test(flavor = "multi_thread")]
async fn between_two_cursors() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 10).await;
    let order = json!({"field": "CREATED_AT", "direction": "ASC"});
    let info = async |variables: Value| world.owner_a(PAGE, variables).await.data()["leads"].clone();
    let third = info(json!({"first": 3, "order": order})).await["pageInfo"]["endCursor"].clone();
    let eighth = info(json!({"last": 3, "order": order})).await["pageInfo"]["startCursor"].clone();
    let between = info(json!({"after": third, "before": eighth, "order": order})).await;
    assert_eq!(ids(&between).len(), 4);
    let page = info(json!({"first": 2, "after": third, "order": order})).await["pageInfo"].clone();
    assert_eq!((&page["hasNextPage"], &page["hasPreviousPage"]), (&json!(true), &json!(true)));
    let empty = info(json!({"first": 2, "filter": {"search": "nobody"}})).await;
    assert_eq!(
        empty["pageInfo"],
        json!({"hasNextPage": false, "hasPreviousPage": false, "startCursor": null, "endCursor": null})
    );
}

/// The same list below many partners gives each its own page and total.
#[tokio::test(flavor = "multi_thread")]
async fn nested_pages() {
    let world = World::new().await;
    world.add_leads(world.acme, world.a, 7).await;
    world.add_leads(world.acme, world.b, 2).await;
    let query = "query ($after: String) { partners(orderBy: { field: COMPANY_NAME, direction: ASC }) { nodes {
        companyName leads(first: 3, after: $after, orderBy: { field: DEAL_VALUE, direction: ASC }) {
            totalCount nodes { dealValue { amount } } pageInfo { hasNextPage hasPreviousPage endCursor } } } } }";
    let first = world.operator(query, json!({})).await.data()["partners"]["nodes"].clone();
    let amounts = |partner: &Value| -> Vec<String> {
        partner["leads"]["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .map(|lead| lead["dealValue"]["amount"].as_str().expect("an amount").to_owned())
            .collect()
    };
    assert_eq!(
        (amounts(&first[0]), amounts(&first[1])),
        (vec!["10.00".into(), "20.00".into(), "30.00".into()], vec!["10.00".into(), "20.00".into()])
    );
    assert_eq!((&first[0]["leads"]["totalCount"], &first[1]["leads"]["totalCount"]), (&json!(7), &json!(2)));
    let cursor = first[0]["leads"]["pageInfo"]["endCursor"].clone();
    let second = world.operator(query, json!({"after": cursor})).await.data()["partners"]["nodes"].clone();
    assert_eq!(amounts(&second[0]), ["40.00", "50.00", "60.00"]);
    assert_eq!(amounts(&second[1]), Vec::<String>::new());
}
