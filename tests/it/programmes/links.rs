//! Links: who makes them, when two are one, and what can be said of them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, token, world::GLOBEX};

/// A link belongs to the partner and the person who made it, leads to the address in the form of the URL standard, and has a short address
/// and a picture of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_its_partners() {
    let world = World::new().await;
    let link = world.link("HTTPS://WWW.Example.COM./Shoe?size=9#top").await;
    assert_eq!(link["url"], "https://www.example.com/Shoe?size=9#top");
    assert_eq!(link["partner"]["id"], world.a.to_string());
    let me = world.owner_a("{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    assert_eq!(link["user"]["id"], me);
    let key = link["key"].as_str().expect("a key");
    assert_eq!(key.len(), 8);
    assert_eq!(link["shortUrl"], format!("https://portal.example.com/l/{key}"));
    assert_eq!(link["qrCode"], format!("https://portal.example.com/l/{key}/qr.svg"));
    // A host of the tenant's own takes over for new links; those that were shared stay where they are.
    world.sql(&format!("INSERT INTO link_hosts (tenant_id, host) VALUES ('{}', 'go.example.com')", world.acme.uuid())).await;
    let hosted = world.link("https://www.example.com/boot").await;
    assert_eq!(hosted["shortUrl"], format!("https://go.example.com/{}", hosted["key"].as_str().expect("a key")));
    let again = world.create_link("owner_a", json!({"url": "https://www.example.com/Shoe?size=9#top"})).await;
    assert_eq!((&again["replayed"], &again["link"]["shortUrl"]), (&json!(true), &link["shortUrl"]));
}

/// The same partner and the same address are the same link, however often and at the same time it is made; another partner's is another. What
/// is said differently of it the second time is refused by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_link_is_made_once() {
    let world = World::with_pool(8).await;
    let answers = join_all((0..16).map(|number| {
        let (world, subject) = (&world, if number % 4 == 3 { "owner_b" } else { "owner_a" });
        async move { world.create_link(subject, json!({"url": "https://example.com/x", "title": "X"})).await }
    }))
    .await;
    let ids: BTreeSet<&str> = answers.iter().map(|made| made["link"]["id"].as_str().expect("a link")).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(answers.iter().filter(|made| made["replayed"] == false).count(), 2);
    let differs = world.create_link("owner_a", json!({"url": "https://example.com/x", "title": "Y"})).await;
    assert_eq!(differs["userErrors"][0]["field"], json!(["input", "title"]));
    assert!(differs["userErrors"][0]["message"].as_str().expect("a message").contains("“X”"), "{differs}");
    // With nothing more said of it, it is the same link.
    assert_eq!(world.create_link("owner_a", json!({"url": "https://EXAMPLE.com:443/x"})).await["replayed"], true);
}

/// Another link to the same address is asked for by a key of one's own choice or by an idempotency key, each of which names one link.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_link_to_the_same_address() {
    let world = World::with_pool(8).await;
    let first = world.link("https://example.com/x").await;
    for more in [json!({"key": "Summer"}), json!({"idempotencyKey": "k"})] {
        let mut input = json!({"url": "https://example.com/x"});
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answers = join_all((0..8).map(|_| world.create_link("owner_a", input.clone()))).await;
        let ids: BTreeSet<&str> =
            answers.iter().map(|made| made["link"]["id"].as_str().unwrap_or_else(|| panic!("{made}"))).collect();
        assert_eq!(ids.len(), 1, "{input}");
        assert!(!ids.contains(first["id"].as_str().expect("an id")));
        assert_eq!(answers.iter().filter(|made| made["replayed"] == false).count(), 1, "{input}");
    }
    // Both at once are the link of the key, also where it is restored by that.
    let summer = json!({"url": "https://example.com/x", "key": "summer", "idempotencyKey": "again"});
    let id = world.owner_a("{ link(key: \"summer\") { id } }", json!({})).await.data()["link"]["id"].clone();
    world.decide_on("archiveLink", json!({"id": id}), "link { id }").await;
    for replayed in [false, true] {
        let made = world.create_link("owner_a", summer.clone()).await;
        assert_eq!((&made["link"]["id"], &made["replayed"]), (&id, &json!(replayed)), "{made}");
    }
    let reused = world.create_link("owner_a", json!({"url": "https://example.com/y", "idempotencyKey": "k"})).await;
    assert_eq!(reused["userErrors"][0]["code"], "KEY_REUSED");
    // Keys are compared without case, across all tenants: the short address names none.
    let other = json!({"url": "https://example.com/z", "key": "SUMMER"});
    for taken in [
        world.create_link("owner_a", other.clone()).await,
        world.create_link("owner_b", other.clone()).await,
        world.run(&token("owner_g", GLOBEX), crate::support::programmes::CREATE_LINK, json!({"input": other})).await.data()["createLink"].clone(),
    ] {
        assert_eq!((&taken["userErrors"][0]["code"], &taken["userErrors"][0]["field"]), (&json!("TAKEN"), &json!(["input", "key"])));
    }
    let found = world.owner_a("{ link(key: \"sUMMER\") { key } none: link(key: \"a b\\u0000\") { key } }", json!({})).await;
    assert_eq!(found.data(), &json!({"link": {"key": "Summer"}, "none": null}));
}

/// Each fault of the input names its field and says what would be right; nothing is made then.
#[tokio::test(flavor = "multi_thread")]
async fn faults_are_named() {
    let world = World::new().await;
    world.sql(&format!("INSERT INTO link_hosts (tenant_id, host) VALUES ('{}', 'go.example.com')", world.acme.uuid())).await;
    let url = "https://example.com/";
    for (input, field, code, says) in [
        (json!({"url": "example.com/x"}), "url", "INVALID", "Do you mean https://example.com/x?"),
        (json!({"url": "https://co.uk/x"}), "url", "INVALID", "co.uk is a public suffix"),
        (json!({"url": "http://127.0.0.1/"}), "url", "INVALID", "127.0.0.1 is an IP address"),
        (json!({"url": "http://localhost/"}), "url", "INVALID", "localhost is no domain"),
        (json!({"url": "javascript:alert(1)"}), "url", "INVALID", "it begins with javascript:"),
        (json!({"url": url, "key": "a b"}), "key", "INVALID", "letters (a to z)"),
        (json!({"url": url, "key": "GraphQL"}), "key", "TAKEN", "the server's own pages"),
        (json!({"url": url, "expiredUrl": "x"}), "expiredUrl", "INVALID", "web address"),
        (json!({"url": url, "expiredUrl": "https://evil.com/"}), "expiredUrl", "INVALID", "another shop"),
        (json!({"url": "https://portal.example.com/l/other"}), "url", "INVALID", "Links are on portal.example.com"),
        (json!({"url": "https://go.example.com/other"}), "url", "INVALID", "Links are on go.example.com"),
        (json!({"url": url, "title": "\u{202e}x"}), "title", "INVALID", "U+202E"),
        (json!({"url": url, "couponCode": "SAVE"}), "couponCode", "INVALID", "Only an operator"),
        (json!({"url": url, "partnerId": world.b.to_string()}), "partnerId", "NOT_FOUND", "no partner"),
    ] {
        let refused = world.create_link("owner_a", input.clone()).await;
        let error = &refused["userErrors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(["input", field]), &json!(code)), "{input}: {refused}");
        assert!(error["message"].as_str().expect("a message").contains(says), "{input}: {error}");
    }
    let unnamed = world.create_link_as_operator(json!({"url": url})).await;
    assert_eq!(unnamed["userErrors"][0]["field"], json!(["input", "partnerId"]));
    let utm = world.create_link("owner_a", json!({"url": url, "utm": {"source": ""}})).await;
    assert_eq!(utm["userErrors"][0]["field"], json!(["input", "utm", "source"]));
    assert_eq!(world.number("SELECT count(*) FROM links").await + world.number("SELECT count(*) FROM programmes").await, 0);
}

/// Of many links each is made by itself, in the order of the input, and each has its own faults.
#[tokio::test(flavor = "multi_thread")]
async fn many_links_at_once() {
    let world = World::new().await;
    let query = "mutation ($input: CreateLinksInput!) { createLinks(input: $input) { replayed results { link { url } replayed userErrors { code } } userErrors { field code } } }";
    let create =
        async |links: Value| world.owner_a(query, json!({"input": {"links": links}})).await.data()["createLinks"].clone();
    let made = create(json!([{"url": "https://example.com/1"}, {"url": "nothing"}, {"url": "https://example.com/1"}])).await;
    assert_eq!(
        made["results"],
        json!([
            {"link": {"url": "https://example.com/1"}, "replayed": false, "userErrors": []},
            {"link": null, "replayed": false, "userErrors": [{"code": "INVALID"}]},
            {"link": {"url": "https://example.com/1"}, "replayed": true, "userErrors": []},
        ])
    );
    for count in [0, 101] {
        let links: Vec<Value> = (0..count).map(|number| json!({"url": format!("https://example.com/{number}")})).collect();
        assert_eq!(create(json!(links)).await["userErrors"], json!([{"field": ["input", "links"], "code": "OUT_OF_RANGE"}]));
    }
}

/// What is said of a link changes; its key does not, and it stays within its shop. Ids of other systems and coupon codes are one link's.
#[tokio::test(flavor = "multi_thread")]
async fn links_change() {
    let world = World::new().await;
    let (one, other) = (world.link("https://example.com/1").await, world.link("https://example.com/2").await);
    let query = "mutation ($input: UpdateLinkInput!) { updateLink(input: $input) { link { url title externalId couponCode utm { source campaign } } replayed userErrors { code field message } } }";
    let update = async |subject: &str, input: Value| {
        let mut all = json!({"id": one["id"]});
        all.as_object_mut().expect("an object").extend(input.as_object().expect("an object").clone());
        let answer = match subject {
            "operator" => world.operator(query, json!({"input": all})).await,
            subject => world.acme(subject, query, json!({"input": all})).await,
        };
        answer.data()["updateLink"].clone()
    };
    let changed = update(
        "owner_a",
        json!({"url": "https://www.example.com/3", "title": "T", "externalId": "x", "utm": {"source": "mail", "campaign": "c"}}),
    )
    .await;
    assert_eq!(
        changed["link"],
        json!({"url": "https://www.example.com/3", "title": "T", "externalId": "x", "couponCode": null, "utm": {"source": "mail", "campaign": "c"}})
    );
    let changed = update("operator", json!({"couponCode": "SAVE10", "title": null, "utm": {"source": null}})).await;
    assert_eq!(
        changed["link"],
        json!({"url": "https://www.example.com/3", "title": null, "externalId": "x", "couponCode": "SAVE10", "utm": {"source": null, "campaign": "c"}})
    );
    for (subject, input, code) in [
        ("owner_a", json!({"couponCode": "MINE"}), "INVALID"),
        ("owner_a", json!({"url": "https://other.com/"}), "INVALID"),
        ("owner_a", json!({"url": "https://example.com/2"}), "TAKEN"),
        ("owner_a", json!({"url": null}), "REQUIRED"),
        ("owner_a", json!({"expiredUrl": "https://other.com/"}), "INVALID"),
    ] {
        let refused = update(subject, input.clone()).await;
        assert_eq!(refused["userErrors"][0]["code"], code, "{input}: {refused}");
    }
    for (field, value) in [("couponCode", "save10"), ("externalId", "x")] {
        let taken = world.decide_on("updateLink", json!({"id": other["id"], field: value}), "link { id }").await;
        assert_eq!(
            (&taken["userErrors"][0]["code"], &taken["userErrors"][0]["field"]),
            (&json!("TAKEN"), &json!(["input", field]))
        );
    }
    // The address that it led to is free again.
    assert_eq!(world.create_link("owner_a", json!({"url": "https://example.com/1"})).await["replayed"], false);
}

/// An archived link is listed as one and restored by its own mutation or by making it again; its key stays its own.
#[tokio::test(flavor = "multi_thread")]
async fn links_are_archived_and_restored() {
    let world = World::new().await;
    let link = world.link("https://example.com/1").await;
    let kept = world.link("https://example.com/2").await;
    let lists = "{ links(filter: { archived: false }) { nodes { id } } gone: links(filter: { archived: true, search: \"EXAMPLE 1\" }) { totalCount nodes { id } } }";
    let archived = world.decide_on("archiveLink", json!({"id": link["id"]}), "link { archivedAt }").await;
    assert!(archived["link"]["archivedAt"].is_string());
    let seen = world.owner_a(lists, json!({})).await;
    assert_eq!(
        seen.data(),
        &json!({"links": {"nodes": [{"id": kept["id"]}]}, "gone": {"totalCount": 1, "nodes": [{"id": link["id"]}]}})
    );
    let key = json!({"url": "https://example.com/3", "key": link["key"]});
    assert_eq!(world.create_link("owner_b", key).await["userErrors"][0]["code"], "TAKEN");
    let again = world.create_link("owner_a", json!({"url": "https://example.com/1"})).await;
    assert_eq!(
        (&again["replayed"], &again["link"]["id"], &again["link"]["archivedAt"]),
        (&json!(false), &link["id"], &json!(null))
    );
    assert_eq!(world.decide_on("restoreLink", json!({"id": link["id"]}), "link { id }").await["replayed"], true);
}

/// A closed partner makes no links, not even by an operator.
#[tokio::test(flavor = "multi_thread")]
async fn closed_partners_make_no_links() {
    let world = World::new().await;
    world
        .decide_on("changePartnerStatus", json!({"id": world.b.to_string(), "status": "CLOSED", "reason": "R"}), "partner { id }")
        .await;
    let refused = world.create_link_as_operator(json!({"partnerId": world.b.to_string(), "url": "https://example.com/"})).await;
    assert_eq!(refused["userErrors"][0]["code"], "PARTNER_INACTIVE");
}

/// Lists of links below partners and programmes take one statement each, however many rows there are.
#[tokio::test(flavor = "multi_thread")]
async fn nested_lists_are_one_statement() {
    let world = World::new().await;
    let query = "{ partners { nodes { id links(first: 2) { totalCount nodes { key programme { name } } } enrolments { nodes { status } } } }
        programmes { nodes { links(first: 2) { nodes { key } } enrolments { nodes { partner { id } } } } } }";
    world.link("https://example.com/1").await;
    let few = world.operator(query, json!({})).await;
    for number in 0..6 {
        world.link(&format!("https://shop{number}.com/")).await;
        world.create_link("owner_b", json!({"url": format!("https://shop{number}.com/")})).await;
    }
    let many = world.operator(query, json!({})).await;
    assert_eq!(many.data()["partners"]["nodes"][0]["links"]["nodes"].as_array().map(Vec::len), Some(2));
    assert_eq!(crate::support::log::operation(&many)["statements"], crate::support::log::operation(&few)["statements"]);
}
