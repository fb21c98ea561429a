//! Programmes: one for each shop of a tenant's, and who takes part.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{
    World,
    programmes::CREATE_LINK,
    token,
    world::{ACME, GLOBEX},
};

/// However many first links to a shop come at once, from partners of two tenants, each tenant has one programme for it, and each partner one
/// part in that. (Existing systems look first and insert then, and make twins; or take the shop away from the second tenant.)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_programme_however_many_first_links_come_at_once() {
    let world = World::with_pool(8).await;
    let tokens = [token("owner_a", ACME), token("owner_b", ACME), token("member_a", ACME), token("owner_g", GLOBEX)];
    let answers = join_all((0..64).map(|number| {
        let (world, token) = (&world, &tokens[number % 4]);
        // Some of them are the same link.
        let url = format!("https://{}cultgaia.com/p/{}", ["", "www.", "shop."][number % 3], number % 7);
        async move { world.run(token, CREATE_LINK, json!({"input": {"url": url}})).await }
    }))
    .await;
    let mut keys = BTreeSet::new();
    for answer in &answers {
        let made = &answer.data()["createLink"];
        assert_eq!(made["userErrors"], json!([]));
        keys.insert((made["link"]["programme"]["id"].to_string(), made["link"]["programme"]["domain"].to_string()));
    }
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(world.number("SELECT count(*) FROM programmes").await, 2);
    assert_eq!(world.number("SELECT count(*) FROM enrolments").await, 3);
    assert_eq!(world.number("SELECT count(*) FROM enrolment_changes").await, 3);
    let twins = "SELECT count(*) FROM (SELECT FROM links GROUP BY tenant_id, partner_id, url HAVING count(*) > 1) AS twins";
    assert_eq!(world.number(twins).await, 0);
}

/// A programme's key is computed, not drawn: the same tenant and shop have the same one wherever that is done. Where another shop's programme
/// has it already, the next one is taken, and the two are not merged.
#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_from_tenant_and_domain() {
    let world = World::new().await;
    let key = async |url: &str| world.link(url).await["programme"]["key"].as_str().expect("a key").to_owned();
    let expected = partner_portal::models::programmes::address::programme_key;
    assert_eq!(key("https://shop.cultgaia.co.uk/x?y=1").await, expected(world.acme, "cultgaia.co.uk", 0));
    let taken = expected(world.acme, "nova.de", 0);
    world.sql(&format!("UPDATE programmes SET key = '{taken}'")).await;
    assert_eq!(key("https://nova.de/").await, expected(world.acme, "nova.de", 1));
    assert_eq!(world.number("SELECT count(*) FROM programmes").await, 2);
}

/// A programme keeps its domain though the list of public suffixes may say otherwise by now: addresses below it are still its own.
#[tokio::test(flavor = "multi_thread")]
async fn domains_are_never_derived_again() {
    let world = World::new().await;
    let first = world.link("https://example.com/").await;
    // As one made before `github.io` was in the list.
    world.sql("UPDATE programmes SET domain = 'github.io'").await;
    let second = world.link("https://shop.github.io/x").await;
    assert_eq!(second["programme"]["id"], first["programme"]["id"]);
}

/// An operator names a programme, pauses it and says how partners come in; each is in force for the next link.
#[tokio::test(flavor = "multi_thread")]
async fn operators_change_programmes() {
    let world = World::new().await;
    let programme = world.link("https://example.com/").await["programme"].clone();
    assert_eq!(
        (&programme["name"], &programme["status"], &programme["rateSource"], &programme["cookieDays"], &programme["attribution"]),
        (&json!("example.com"), &json!("ACTIVE"), &json!("DEFAULT"), &json!(90), &json!("LAST_CLICK"))
    );
    let change = async |input| {
        let mut all = json!({"id": programme["id"]});
        all.as_object_mut().expect("an object").extend(serde_json::Value::as_object(&input).expect("an object").clone());
        world.decide_on("updateProgramme", all, "programme { name status cookieDays enrolmentPolicy }").await
    };
    let paused = change(json!({"name": "Nova", "status": "PAUSED"})).await;
    assert_eq!((&paused["programme"]["name"], &paused["programme"]["status"]), (&json!("Nova"), &json!("PAUSED")));
    for (subject, url) in [("owner_a", "https://example.com/2"), ("owner_b", "https://example.com/")] {
        let refused = world.create_link(subject, json!({"url": url})).await;
        assert_eq!((&refused["link"], &refused["userErrors"][0]["code"]), (&json!(null), &json!("PROGRAMME_PAUSED")));
        assert_eq!(refused["userErrors"][0]["message"], "The programme Nova takes no new links for now.");
    }
    assert_eq!(world.number("SELECT count(*) FROM enrolments").await, 1);
    // The link that there was is still the same link.
    assert_eq!(world.create_link("owner_a", json!({"url": "https://example.com/"})).await["replayed"], true);

    change(json!({"status": "ACTIVE", "enrolmentPolicy": "BY_APPROVAL", "cookieDays": 30})).await;
    world.create_link("owner_b", json!({"url": "https://example.com/"})).await;
    let status = "{ enrolments(first: 1) { nodes { status } } }";
    assert_eq!(world.acme("owner_b", status, json!({})).await.data()["enrolments"]["nodes"][0]["status"], "PENDING");
    for (input, code) in
        [(json!({"cookieDays": 0}), "OUT_OF_RANGE"), (json!({"name": null}), "REQUIRED"), (json!({"name": " "}), "REQUIRED")]
    {
        let refused = change(input.clone()).await;
        assert_eq!(refused["userErrors"][0]["code"], code, "{input}");
    }
}

/// Operators decide with a reason, which the partner reads in the enrolment's history; one that is rejected or suspended makes no links until
/// it is approved.
#[tokio::test(flavor = "multi_thread")]
async fn operators_decide_about_enrolments() {
    let world = World::new().await;
    let programme = world.link("https://example.com/").await["programme"]["id"].clone();
    let seen = "{ enrolments { nodes { id status reason decidedAt partner { id } programme { id } history { from to reason changedBy { id } } } } }";
    let enrolment = async || world.owner_a(seen, json!({})).await.data()["enrolments"]["nodes"][0].clone();
    let id = enrolment().await["id"].clone();
    let decide = async |status: &str, reason: Option<&str>| {
        world
            .decide_on("decideEnrolment", json!({"id": id, "status": status, "reason": reason}), "enrolment { status reason }")
            .await
    };
    for (status, field) in [("REJECTED", "reason"), ("PENDING", "status")] {
        let refused = decide(status, None).await;
        assert_eq!(refused["userErrors"][0]["field"], json!(["input", field]), "{refused}");
    }
    assert_eq!(decide("SUSPENDED", Some("Spam")).await["enrolment"], json!({"status": "SUSPENDED", "reason": "Spam"}));
    let refused = world.create_link("owner_a", json!({"url": "https://example.com/new"})).await;
    assert_eq!(refused["userErrors"][0]["code"], "NOT_ENROLLED");
    let back = world.decide_on(
        "enrolPartner",
        json!({"partnerId": world.a.to_string(), "programmeId": programme}),
        "enrolment { id status reason }",
    );
    assert_eq!(back.await["enrolment"], json!({"id": id, "status": "APPROVED", "reason": null}));
    world.link("https://example.com/new").await;
    let history: Vec<_> = enrolment().await["history"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| (entry["from"].clone(), entry["to"].clone(), entry["reason"].clone()))
        .collect();
    assert_eq!(
        history,
        [
            (json!(null), json!("APPROVED"), json!(null)),
            (json!("APPROVED"), json!("SUSPENDED"), json!("Spam")),
            (json!("SUSPENDED"), json!("APPROVED"), json!(null)),
        ]
    );
    // Another partner neither sees the programme nor that A takes part.
    let others = "{ programmes { totalCount } enrolments { totalCount } }";
    let others = world.acme("owner_b", others, json!({})).await;
    assert_eq!(others.data(), &json!({"programmes": {"totalCount": 0}, "enrolments": {"totalCount": 0}}));
}
