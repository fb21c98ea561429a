//! A person of whom everything is written that the portal writes of anybody.

use partner_portal::models::webhooks::{event::WebhookEventType, source::WebhookSourceKind};
use serde_json::{Value, json};

use crate::{
    support::{
        World, sign,
        tokens::good_claims,
        world::{ACME, keyed},
    },
    webhooks::{
        done, endpoint,
        incoming::{Source, apply},
        receiver::Receiver,
        send, tried,
    },
};

/// What names the person of these tests, and no other word of the world contains.
pub const NAMES: &str = "wilhelmina|quackenbush|duckworth|w\\.quackenbush|old\\.quack|98765432|9876 5432";
pub const ADDRESS: &str = "W.Quackenbush@Example.com";
const ERASED: &str = "pseudonym erased { kind recordId erasedAt } sameAddress { kind recordId }";

/// The person's session token.
pub fn bearer() -> String {
    let mut claims = good_claims("user_2wq", ACME);
    (claims["email"], claims["email_verified"]) = (json!(ADDRESS), json!(true));
    claims["name"] = json!("Wilhelmina Quackenbush");
    sign(&claims)
}

/// Erases a person, for a reason that names them.
pub async fn erase(world: &World, id: &Value, with_same_address: bool) -> Value {
    let reason = "Wilhelmina Quackenbush asked for it from w.quackenbush@example.com";
    tried(world, "erasePerson", json!({"id": id, "reason": reason, "withSameAddress": with_same_address}), ERASED).await
}

/// Every column of every table that holds a text, and how often a regular expression is found there, where it is.
pub async fn found(world: &World, names: &str) -> String {
    world
        .text(&format!(
            "SELECT string_agg(c.table_name || '.' || c.column_name || ' ' || n.count, ', ' ORDER BY 1) AS text
             FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
             CROSS JOIN LATERAL (SELECT (xpath('/row/n/text()', query_to_xml(format(
                'SELECT count(*) AS n FROM %I WHERE %s ~* %L', c.table_name,
                CASE c.data_type WHEN 'bytea' THEN format('encode(%I, ''escape'')', c.column_name) ELSE format('%I::text', c.column_name) END,
                '{names}'), false, true, '')))[1]::text::bigint AS count) AS n
             WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND n.count > 0
                AND c.data_type IN ('text', 'jsonb', 'bytea', 'ARRAY', 'character varying')"
        ))
        .await
}

/// Lets everything be written of the person that the portal writes of anybody; gives the user's id.
pub async fn everywhere(world: &World) -> Value {
    // Everything is told to another system, and some of it only later.
    let receiver = Receiver::start().await;
    let types: Vec<String> = WebhookEventType::ALL
        .iter()
        .filter(|kind| !matches!(kind, WebhookEventType::Ping | WebhookEventType::LinkClicked))
        .map(|kind| kind.as_str().replace('.', "_").to_uppercase())
        .collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    endpoint(world, &receiver, &types).await;
    // A lead's client, under two names; with a history, a commission and a move.
    let input = keyed(
        json!({"partnerId": world.a.to_string(), "clientName": "Wilhelmina Duckworth", "clientEmail": "old.quack@example.com", "clientPhone": "+49 30 9876 5432",
        "service": "Plan", "dealValue": "100.00", "notes": "Wilhelmina, call +49 (30) 98765432"}),
    );
    let lead = done(world, "createLead", input, "lead { id }").await["lead"]["id"].clone();
    done(world, "updateLead", json!({"id": lead, "clientName": "Wilhelmina Quackenbush", "clientEmail": ADDRESS}), "lead { id }")
        .await;
    for (status, note) in [
        ("CONTACTED", "Wilhelmina said yes"),
        ("QUALIFIED", "and Mrs. Quackenbush too, 0049 30/9876-5432"),
        ("CONVERTED", "done"),
    ] {
        done(world, "updateLeadStatus", json!({"id": lead, "status": status, "note": note}), "lead { id }").await;
    }
    let why = "W.QUACKENBUSH@example.com is B's, says Duckworth";
    done(world, "moveLead", json!({"id": lead, "partnerId": world.b.to_string(), "reason": why}), "lead { id }").await;
    send(world).await;
    // A member, whose address has changed after a credit was used with the first.
    let member = world.member("old.quack@example.com").await;
    world.grant(world.a, 10, None).await;
    let allocation = world.assign(&member, 4, 30, None).await["allocation"]["id"].clone();
    let redeemed = world.redeem("old.quack@example.com", 1, "r1").await["redemption"]["id"].clone();
    done(
        world,
        "updateMember",
        json!({"id": member, "email": ADDRESS, "firstName": "Wilhelmina", "lastName": "Quackenbush"}),
        "member { id }",
    )
    .await;
    world.redeem("w.quackenbush@example.com", 1, "r2").await;
    let input = keyed(json!({"redemptionId": redeemed, "reason": "w.quackenbush@example.com was ill"}));
    let query = "mutation ($input: ReverseRedemptionInput!) { reverseRedemption(input: $input) { userErrors { message } } }";
    assert_eq!(world.service(query, json!({"input": input})).await.data()["reverseRedemption"]["userErrors"], json!([]));
    assert!(allocation.is_string());
    // A customer whose id elsewhere is the address, with a payment, a refund, a sign-up and what a partner noted.
    let link = world.link("https://shop.example.com/").await;
    let came = json!({"customerExternalId": "w.quackenbush@example.com", "customerName": "Wilhelmina Quackenbush", "linkKey": link["key"], "name": "Trial",
        "metadata": "{\"who\": \"Wilhelmina Quackenbush\", \"mail\": \"w.quackenbush@example.com\"}"});
    assert_eq!(world.sign_up(came).await["userErrors"], json!([]));
    let query = "mutation ($input: UpsertCustomerInput!) { upsertCustomer(input: $input) { userErrors { message } } }";
    let input = json!({"externalId": "w.quackenbush@example.com", "name": "Wilhelmina Quackenbush", "email": ADDRESS});
    assert_eq!(world.service(query, json!({"input": input})).await.data()["upsertCustomer"]["userErrors"], json!([]));
    world.pay("inv_1", "w.quackenbush@example.com", "100.00", "2026-06-15T12:00:00Z").await;
    world.refund("inv_1", "40.00").await;
    let adjusted = world.adjust(world.a, "5.00", None).await;
    assert_eq!(adjusted["userErrors"], json!([]));
    // Somebody who was invited, and is a user; who acts for a partner that is called like them, and has done things.
    world.invited("w.quackenbush@example.com").await;
    assert_eq!(world.run(&bearer(), "{ me { user { id } } }", json!({})).await.status, 200);
    let user = world.run(&bearer(), "{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    world
        .sql(&format!(
            "UPDATE partners SET company_name = 'wilhelmina quackenbush' WHERE id = '{}';
             UPDATE lead_status_changes SET impersonator = 'user_2wq' WHERE note = 'done'",
            world.a.uuid()
        ))
        .await;
    let reached = json!({"partnerId": world.a.to_string(), "contactName": "Wilhelmina Quackenbush", "contactEmail": ADDRESS, "contactPhone": "030/98765432"});
    done(world, "updatePartnerProfile", reached, "partner { id }").await;
    let applied = format!(
        "INSERT INTO partner_applications (tenant_id, partner_id, sales_plan, submitted_by, submitted_at, updated_at) SELECT tenant_id, '{}', 'Wilhelmina sells', id, now(), now() FROM users WHERE clerk_user_id = 'user_2wq'
         ON CONFLICT (tenant_id, partner_id) DO UPDATE SET sales_plan = EXCLUDED.sales_plan, submitted_by = EXCLUDED.submitted_by",
        world.a.uuid()
    );
    world.sql(&applied).await;
    // A member who came in a file, whose key has the address in it.
    world.upload_members(b"email,first name,credits\nw.quackenbush@example.com,Wilhelmina,1\n", false).await;
    reported(world).await;
    user
}

/// Lets other services report the person, and an import have brought them.
async fn reported(world: &World) {
    // What other services have reported: what is done with, what waits, and what has failed.
    let (clerk, stripe) =
        (Source::new(world, WebhookSourceKind::Clerk).await, Source::new(world, WebhookSourceKind::Stripe).await);
    let said = json!({"id": "user_2wq", "first_name": "Wilhelmina", "last_name": "Quackenbush", "updated_at": 1_790_000_000_000_i64, "primary_email_address_id": "e1",
        "email_addresses": [{"id": "e1", "email_address": "w.quackenbush@example.com", "verification": {"status": "verified"}}]});
    clerk.send(world, "msg_1", &json!({"type": "user.updated", "timestamp": 1_790_000_000_000_i64, "data": said})).await;
    apply(world).await;
    let member = json!({"id": "orgmem_1", "role": "org:member", "organization": {"id": "org_unknown", "name": "Ducks"},
        "public_user_data": {"user_id": "user_2wq", "first_name": "Wilhelmina", "last_name": "Quackenbush", "identifier": "w.quackenbush@example.com"}});
    clerk
        .send(
            world,
            "msg_2",
            &json!({"type": "organizationMembership.created", "timestamp": 1_790_000_000_000_i64, "data": member}),
        )
        .await;
    apply(world).await;
    let invoice = json!({"id": "evt_1", "type": "invoice.paid", "created": 1_790_000_000, "data": {"object": {"id": "in_9", "object": "invoice", "customer": "cus_9",
        "customer_name": "Wilhelmina Quackenbush", "customer_email": "w.quackenbush@example.com", "customer_phone": "+493098765432", "amount_paid": 1234, "currency": "usd",
        "customer_address": {"line1": "Quackenbush Lane 1"}, "note": "caf\u{e9} \u{1f600} \n for w.quackenbush@example.com"}}});
    stripe.send(world, "evt_1", &invoice).await;
    world
        .sql(
            "INSERT INTO import_runs (tenant_id, source, run, request, started_at) SELECT tenant_id, 'csv', 1, '', now() FROM customers WHERE external_id LIKE 'w.quack%';
             INSERT INTO import_rows (tenant_id, source, kind, source_id, file, line, run, digest, state, target_id, facts)
                SELECT tenant_id, 'csv', 'customer', 'w.quackenbush@example.com', 'customers.csv', 2, 1, 'd', 'in', id,
                    '{\"name\": \"Wilhelmina Quackenbush\", \"email\": \"w.quackenbush@example.com\"}' FROM customers WHERE external_id LIKE 'w.quack%';
             INSERT INTO import_rows (tenant_id, source, kind, source_id, file, line, run, digest, state, facts, raw)
                SELECT tenant_id, 'csv', 'customer', 'W.QUACKENBUSH@example.com', 'customers.csv', 3, 1, 'd', 'read', '{\"name\": \"W. Quackenbush\", \"email\": \"w.quackenbush@example.com\"}',
                    '{\"Full Name\": \"Wilhelmina Quackenbush\"}' FROM customers WHERE external_id LIKE 'w.quack%';
             INSERT INTO import_findings (tenant_id, source, kind, source_id, code, field, value, message, is_left, run)
                SELECT tenant_id, 'csv', 'customer', 'w.quackenbush@example.com', 'INVALID', 'email', 'w.quackenbush@example.com', 'About w.quackenbush@example.com.', false, 1
                FROM customers WHERE external_id LIKE 'w.quack%'",
        )
        .await;
}
