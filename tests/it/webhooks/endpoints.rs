//! Endpoints by the API.

use super::*;
use crate::support::tokens;

/// An endpoint's secret is shown once; what was asked for before is not made again; what is changed, switched off, rotated and removed is so.
#[tokio::test(flavor = "multi_thread")]
async fn from_making_to_removing() {
    let world = World::new().await;
    let input = json!({"url": "https://hooks.example.com/in", "eventTypes": ["LEAD_CREATED", "LEAD_CREATED", "PING"], "description": " CRM ", "idempotencyKey": "k"});
    let first = done(&world, "createWebhookEndpoint", input.clone(), &format!("secret {ENDPOINT}")).await;
    let secret = first["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!(first["endpoint"]["eventTypes"], json!(["LEAD_CREATED"]));
    assert_eq!((&first["endpoint"]["description"], &first["endpoint"]["isEnabled"]), (&json!("CRM"), &json!(true)));
    let again = done(&world, "createWebhookEndpoint", input.clone(), &format!("secret {ENDPOINT}")).await;
    assert_eq!((&again["secret"], &again["replayed"], &again["endpoint"]), (&json!(null), &json!(true), &first["endpoint"]));
    let mut other = input;
    other["url"] = json!("https://hooks.example.com/other");
    let refused = tried(&world, "createWebhookEndpoint", other, "secret").await;
    assert_eq!((&refused["userErrors"][0]["code"], &refused["secret"]), (&json!("KEY_REUSED"), &json!(null)));
    // Nothing of the secret is in the database as it is.
    assert_eq!(
        world
            .number(&format!(
                "SELECT count(*) FROM webhook_secrets WHERE position(decode('{}', 'escape') IN sealed) > 0",
                &secret[6..]
            ))
            .await,
        0
    );
    let id = first["endpoint"]["id"].clone();
    let switch = json!({"id": id, "eventTypes": ["PAYOUT_FAILED"], "description": null, "enabled": false});
    let changed = done(&world, "updateWebhookEndpoint", switch.clone(), ENDPOINT).await;
    assert_eq!((&changed["endpoint"]["isEnabled"], &changed["endpoint"]["description"]), (&json!(false), &json!(null)));
    assert_eq!(changed["endpoint"]["disabledReason"], json!("Somebody has switched it off."));
    assert_eq!(done(&world, "updateWebhookEndpoint", switch, ENDPOINT).await["replayed"], json!(true));
    let tested = tried(&world, "sendTestWebhook", keyed(json!({"id": id})), "delivery { id }").await;
    assert_eq!(tested["userErrors"][0]["code"], json!("INVALID_TRANSITION"));
    let removed = done(&world, "removeWebhookEndpoint", json!({"id": id}), "endpointId").await;
    assert_eq!((&removed["endpointId"], &removed["replayed"]), (&id, &json!(false)));
    assert_eq!(done(&world, "removeWebhookEndpoint", json!({"id": id}), "endpointId").await["replayed"], json!(true));
    let listed = world.operator("{ webhookEndpoints { totalCount nodes { id } } }", json!({})).await;
    assert_eq!(listed.data()["webhookEndpoints"], json!({"totalCount": 0, "nodes": []}));
    assert_eq!(
        tried(&world, "updateWebhookEndpoint", json!({"id": id, "enabled": true}), "endpoint { id }").await["userErrors"][0]["code"],
        json!("NOT_FOUND")
    );
}

/// An address is one of the public internet's, by TLS, without a password in it; a type is named; there are twenty endpoints at most, and three secrets.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused() {
    let world = World::new().await;
    for (url, words) in [
        ("", "Must"),
        ("hooks.example.com", "is no address"),
        ("ftp://hooks.example.com/", "does not begin with https"),
        ("https://user:password@hooks.example.com/", "has a user or password"),
        ("javascript:alert(1)", "does not begin with https"),
    ] {
        let input = keyed(json!({"url": url, "eventTypes": ["LEAD_CREATED"]}));
        let refused = tried(&world, "createWebhookEndpoint", input, "secret").await;
        let error = &refused["userErrors"][0];
        assert_eq!(error["field"], json!(["input", "url"]), "{url}: {refused}");
        assert!(error["message"].as_str().expect("a sentence").contains(words), "{url}: {error}");
    }
    for types in [json!([]), json!(["PING"])] {
        let input = keyed(json!({"url": "https://hooks.example.com/", "eventTypes": types}));
        let refused = tried(&world, "createWebhookEndpoint", input, "secret").await;
        assert_eq!(refused["userErrors"][0]["field"], json!(["input", "eventTypes"]));
    }
    let mut id = json!(null);
    for number in 0..20 {
        let input = keyed(json!({"url": format!("https://hooks.example.com/{number}"), "eventTypes": ["LEAD_CREATED"]}));
        id = done(&world, "createWebhookEndpoint", input, "endpoint { id }").await["endpoint"]["id"].clone();
    }
    let input = keyed(json!({"url": "https://hooks.example.com/20", "eventTypes": ["LEAD_CREATED"]}));
    assert_eq!(tried(&world, "createWebhookEndpoint", input, "secret").await["userErrors"][0]["code"], json!("OUT_OF_RANGE"));
    for _ in 0..2 {
        done(&world, "rotateWebhookSecret", keyed(json!({"id": id})), "secret").await;
    }
    let refused = tried(&world, "rotateWebhookSecret", keyed(json!({"id": id})), "secret").await;
    assert_eq!((&refused["userErrors"][0]["code"], &refused["secret"]), (&json!("OUT_OF_RANGE"), &json!(null)));
    let refused = tried(&world, "rotateWebhookSecret", keyed(json!({"id": id, "expireOldAfterHours": 169})), "secret").await;
    assert_eq!(refused["userErrors"][0]["field"], json!(["input", "expireOldAfterHours"]));
    done(&world, "rotateWebhookSecret", keyed(json!({"id": id, "expireOldAfterHours": 0})), "secret").await;
}

/// Only operators see endpoints and what was sent, and each those of their tenant; events go to the endpoints of their tenant alone.
#[tokio::test(flavor = "multi_thread")]
async fn whose_they_are() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    lead(&world, "Ada").await;
    send(&world).await;
    let delivery = deliveries(&world, &id).await[0]["id"].clone();
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } webhookEndpoints { nodes { id } } }";
    let ids = json!({"ids": [id, delivery]});
    let globex = tokens::staff_token("operator", crate::support::world::GLOBEX);
    let answer = world.run(&globex, query, ids.clone()).await;
    assert_eq!(answer.data(), &json!({"nodes": [null, null], "webhookEndpoints": {"nodes": []}}));
    for token in
        [tokens::token("owner_a", crate::support::world::ACME), tokens::staff_token("service", crate::support::world::ACME)]
    {
        let answer = world.run(&token, query, ids.clone()).await;
        assert_eq!(answer.body["data"]["nodes"], json!([null, null]));
        assert_eq!(answer.body["errors"][0]["extensions"]["code"], json!("FORBIDDEN"));
    }
    receiver.received();
    world
        .sql(&format!(
            "INSERT INTO partner_leads (tenant_id, id, partner_id, client_name, client_email, service, commission_fixed, currency)
             VALUES ('{}', gen_random_uuid(), '{}', 'X', 'x@example.com', 'S', true, 'JPY')",
            world.globex.uuid(),
            world.g.uuid()
        ))
        .await;
    assert_eq!((send(&world).await, receiver.received().len()), (0, 0));
}
