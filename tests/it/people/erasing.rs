//! Erasing a person: nothing names them any more, and the books are as they were.

mod edges;
mod exporting;
mod person;

use futures_util::future::join_all;
use partner_portal::models::webhooks::source::WebhookSourceKind;
use serde_json::{Value, json};

use self::person::{ADDRESS, NAMES, bearer, erase, everywhere, found};
use crate::{
    support::{World, tokens::staff_token, world::keyed},
    webhooks::{
        deliveries, done, endpoint,
        incoming::{Source, apply},
        receiver::Receiver,
        send, tried,
    },
};

/// Nothing that the tenant keeps names a person who was erased with all of their address: not their rows, not histories, the audit trail, what was sent and
/// received by webhooks, what waits to be sent or applied, requests, imports or invitations. Amounts stay, and the books hold.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_names_them() {
    let world = World::new().await;
    let user = everywhere(&world).await;
    let before = found(&world, NAMES).await;
    for column in [
        "partner_leads.client_name",
        "lead_status_changes.note",
        "partner_moves.reason",
        "credit_redemptions.employee_email",
        "partner_credits.employee_email",
        "audit_changes.fields",
        "audit_entries.reason",
        "idempotency_keys.request",
        "webhook_events.body",
        "webhook_events.facts",
        "webhook_receipts.body",
        "customers.external_id",
        "import_rows.facts",
        "import_findings.value",
        "partner_invitations.email",
        "partner_profiles.contact_name",
        "partners.company_name",
        "partner_applications.sales_plan",
    ] {
        assert!(before.contains(column), "{column} is not tried: {before}");
    }
    let amounts = async || {
        let (a, b) = (world.balances(world.a).await, world.balances(world.b).await);
        (
            a,
            b,
            world.credits(world.a).await,
            world.text("SELECT string_agg(amount::text, ' ' ORDER BY entry) AS text FROM transfers").await,
        )
    };
    let books = amounts().await;
    let erased = erase(&world, &user, true).await;
    assert_eq!((&erased["userErrors"], &erased["replayed"], &erased["sameAddress"]), (&json!([]), &json!(false), &json!([])));
    let mut kinds: Vec<&Value> = erased["erased"].as_array().expect("rows").iter().map(|row| &row["kind"]).collect();
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["CUSTOMER", "INVITATION", "LEAD", "MEMBER", "USER"]);
    assert_eq!(found(&world, NAMES).await, "");
    // What is made of events later, and what is sent again, names nobody either.
    send(&world).await;
    assert_eq!(found(&world, NAMES).await, "");
    assert_eq!(amounts().await, books);
    assert_eq!(world.broken_rules().await, [""; 0]);
    // The name at the sign-in service is kept in one table alone: that of those who may not come back.
    let kept = found(&world, "user_2wq").await;
    assert_eq!(kept, "directory_objects.object_id 1, directory_objects.subject 1");
    // What was reported and is still to be applied has all that it is applied by.
    let waits = world.text("SELECT body AS text FROM webhook_receipts WHERE event_id = 'evt_1'").await;
    let waits: Value = serde_json::from_str(&waits).expect("JSON");
    let invoice = &waits["data"]["object"];
    assert_eq!((&invoice["id"], &invoice["amount_paid"], &invoice["customer"]), (&json!("in_9"), &json!(1234), &json!("cus_9")));
    let note = format!("caf\u{e9} \u{1f600} \n for {}@erased.invalid", erased["pseudonym"].as_str().expect("a pseudonym"));
    assert_eq!(invoice["note"], json!(note));
    // The trail says who was erased by whom, and why, without saying what they were called.
    let log = "query ($id: ID!) { auditLog(filter: { subjectId: $id, action: [\"erasePerson\"] }) { nodes { reason changes { kind subject fields { name isSecret before } } } } }";
    let log = world.operator(log, json!({"id": user})).await.data()["auditLog"]["nodes"].clone();
    let pseudonym = erased["pseudonym"].as_str().expect("a pseudonym");
    assert_eq!(log[0]["reason"], json!(format!("{pseudonym} asked for it from {pseudonym}@erased.invalid")));
    assert_eq!(log.as_array().map(Vec::len), Some(1));
    let kinds =
        log[0]["changes"].as_array().expect("changes").iter().map(|change| (change["kind"].as_str(), change["subject"].as_str()));
    let others: Vec<_> = kinds.filter(|(kind, _)| *kind != Some("ERASED")).collect();
    assert_eq!(others, [(Some("UPDATED"), Some("PartnerUser"))], "that their access ended");
    // Once more changes nothing.
    let again = erase(&world, &user, true).await;
    assert_eq!((&again["replayed"], &again["pseudonym"], &again["userErrors"]), (&json!(true), &json!(pseudonym), &json!([])));
}

/// Every column that holds a text is searched, or is named here because it cannot name a person, or must not change.
#[tokio::test(flavor = "multi_thread")]
async fn every_column_is_known() {
    // Words of ours, ids, codes and what is computed.
    const WORDS: &str = "action actor_role attribution change clerk_org_id code currency digest dimension email_key enrolment_policy \
                         event_id event_type from_status status to_status field fingerprint grain idempotency_key invite_code \
                         invoice_id key key_hash object_id operation_name organization payment_id payout_key rate_source request_id \
                         reversal_key role source step tax_id_last4 bank_account_last4 token_hash types unit url_hash";
    // Tables and columns that are about no person, or about a partner as a business; of `data_imports`, none is left unfinished.
    const ELSEWHERE: &str = "audit_changes.subject data_import_chunks. data_import_findings.file data_imports.files data_imports.options \
                         directory_objects.subject import_files. import_findings.source_id import_rows.file import_runs. invoices. \
                         link_click link_hosts. links. partner_profiles.address_ partner_profiles.bank_account_sealed \
                         partner_profiles.tax_id_sealed partner_profiles.payment_email partner_profiles.website processor_ programme_rate_answers. programmes. tenant_moves. \
                         webhook_attempts.fault webhook_attempts.url webhook_endpoints.disabled_reason webhook_endpoints.url \
                         webhook_secrets. webhook_source_secrets.";
    let world = World::new().await;
    let unknown = world
        .text(&format!(
            "SELECT string_agg(c.table_name || '.' || c.column_name, ' ' ORDER BY 1) AS text
             FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'
                AND c.data_type IN ('text', 'jsonb', 'bytea', 'ARRAY') AND c.domain_name IS NULL AND c.column_name <> ALL ('{{{}}}')
                AND EXISTS (SELECT FROM information_schema.columns o WHERE o.table_name = c.table_name AND o.column_name = 'tenant_id')
                AND (SELECT string_agg(prosrc, '') FROM pg_proc WHERE proname ~ '^(erase_|person_mentions)') !~ format('\\(''%s'', ''%s''', c.table_name, c.column_name)
                AND (SELECT string_agg(prosrc, '') FROM pg_proc WHERE proname ~ '^(erase_|person_mentions)') !~ format('UPDATE public.%s [^;]*\\m%s =', c.table_name, c.column_name)",
            WORDS.replace(' ', ",")
        ))
        .await;
    let unknown: Vec<&str> =
        unknown.split(' ').filter(|column| !ELSEWHERE.split(' ').any(|known| column.starts_with(known))).collect();
    assert_eq!(unknown, [""; 0]);
}

/// A person with a similar address or the same name is somebody else, and stays.
#[tokio::test(flavor = "multi_thread")]
async fn others_stay() {
    let world = World::new().await;
    let lead = async |name: &str, address: &str| {
        let input = keyed(
            json!({"partnerId": world.a.to_string(), "clientName": name, "clientEmail": address, "service": "Plan", "notes": "Ask Ann, at ann@example.com."}),
        );
        done(&world, "createLead", input, "lead { id }").await["lead"]["id"].clone()
    };
    let ann = lead("Ann", "ann@example.com").await;
    let mut others = Vec::new();
    for address in
        ["joann@example.com", "x.ann@example.com", "ann@example.com.au", "ann@example.community", "ann@sub.example.com"]
    {
        others.push((lead("Ann", address).await, address));
    }
    let same = lead("Annette", "ANN@example.com").await;
    let erased = erase(&world, &ann, false).await;
    assert_eq!(erased["sameAddress"], json!([{"kind": "LEAD", "recordId": same}]));
    let pseudonym = erased["pseudonym"].as_str().expect("a pseudonym").to_owned();
    let query = "query ($id: ID!) { lead(id: $id) { clientName clientEmail notes erasedAt } }";
    for (other, address) in &others {
        let lead = world.operator(query, json!({"id": other})).await.data()["lead"].clone();
        assert_eq!(
            (&lead["clientName"], &lead["clientEmail"], &lead["erasedAt"]),
            (&json!("Ann"), &json!(*address), &json!(null))
        );
        // Somebody else has her address too, and so it is not hers alone.
        assert_eq!(lead["notes"], json!("Ask Ann, at ann@example.com."));
    }
    let lead = world.operator(query, json!({"id": ann})).await.data()["lead"].clone();
    assert_eq!((&lead["clientName"], &lead["notes"]), (&json!(pseudonym), &json!(null)));
    assert!(lead["erasedAt"].is_string());
    let lead = world.operator(query, json!({"id": same})).await.data()["lead"].clone();
    assert_eq!((&lead["clientName"], &lead["clientEmail"]), (&json!("Annette"), &json!("ANN@example.com")));
    // What is written of her stays whole.
    let audited = "SELECT string_agg(c.fields #>> '{client_email,1}', '') AS text FROM audit_changes c WHERE c.fields #>> '{client_name,1}' = 'Annette'";
    assert_eq!(world.text(audited).await, "ANN@example.com");
    // Once nobody has it any more, it is replaced wherever it stands.
    let pseudonym = erase(&world, &same, false).await["pseudonym"].as_str().expect("a pseudonym").to_owned();
    for (other, _) in &others {
        let lead = world.operator(query, json!({"id": other})).await.data()["lead"].clone();
        assert_eq!(lead["notes"], json!(format!("Ask Ann, at {pseudonym}@erased.invalid.")));
    }
}

/// A user who was erased is nobody at once, whatever their token says; and nothing that is reported late, or that anybody writes, names them again.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_revives_them() {
    let world = World::new().await;
    world.invited(ADDRESS).await;
    let query = "{ me { user { id } partner { id } } }";
    let me = world.run(&bearer(), query, json!({})).await.data()["me"].clone();
    assert_eq!(me["partner"]["id"], json!(world.a.to_string()));
    let customer = world.customer("cus_1", world.a).await;
    let member = world.member("someone@example.com").await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    for id in [&me["user"]["id"], &json!(customer), &json!(member), &json!(lead)] {
        assert_eq!(erase(&world, id, false).await["userErrors"], json!([]), "{id}");
    }
    assert_eq!(world.run(&bearer(), query, json!({})).await.status, 401);
    // The services that know them report them once more.
    let clerk = Source::new(&world, WebhookSourceKind::Clerk).await;
    let at = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp_millis() + 60_000;
    let said = json!({"id": "user_2wq", "first_name": "Wilhelmina", "updated_at": at, "email_addresses": []});
    clerk.send(&world, "msg_1", &json!({"type": "user.updated", "timestamp": at, "data": said})).await;
    apply(&world).await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", "2026-06-15T12:00:00Z").await;
    let state =
        "SELECT (SELECT count(*) FROM users WHERE name LIKE 'erased-%' AND email IS NULL AND clerk_user_id LIKE 'erased-%') * 10
        + (SELECT count(*) FROM customers WHERE name LIKE 'erased-%' AND email IS NULL AND external_id = 'cus_1')";
    assert_eq!(world.number(state).await, 11);
    // People who try it are told.
    for (name, input) in [
        ("updateLead", json!({"id": lead, "clientName": "Ann"})),
        ("updateMember", json!({"id": member, "firstName": "Ann"})),
        ("reactivateMember", json!({"id": member})),
    ] {
        let refused = tried(&world, name, input, "").await;
        assert_eq!(refused["userErrors"][0]["code"], json!("ERASED"), "{name}");
    }
    // What is not about the person can change.
    done(&world, "updateLead", json!({"id": lead, "service": "Other", "dealValue": "5.00"}), "lead { id }").await;
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Nobody is erased by mistake: not what belongs to a user without the user, not oneself, and not while an import may still bring them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused() {
    let world = World::new().await;
    let member = world.member(ADDRESS).await;
    world.invited(ADDRESS).await;
    let user = world.run(&bearer(), "{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    let me = world.operator("{ me { user { id } } }", json!({})).await.data()["me"]["user"]["id"].clone();
    let error = async |id: &Value| erase(&world, id, false).await["userErrors"][0].clone();
    let refused = error(&json!(member)).await;
    assert_eq!((&refused["code"], &refused["field"]), (&json!("INVALID"), &json!(["input", "id"])));
    assert!(refused["message"].as_str().expect("a message").contains(user.as_str().expect("an id")), "{refused}");
    assert_eq!(error(&me).await["code"], json!("INVALID"));
    for id in [json!(world.a.to_string()), json!("lead_00000000000000000000000000"), json!("x")] {
        assert_eq!(error(&id).await["code"], json!("NOT_FOUND"), "{id}");
    }
    world
        .sql(
            "INSERT INTO data_imports (tenant_id, id, source, is_dry_run, options, files, status, rows_done, rows_total, attempts, created_by, created_at)
             SELECT tenant_id, gen_random_uuid(), 'csv', false, '{}', '[]', 'waiting', 0, 0, 0, id, now() FROM users WHERE clerk_user_id = 'owner_a'",
        )
        .await;
    assert_eq!(error(&user).await["code"], json!("INVALID_TRANSITION"));
    world.sql("DELETE FROM data_imports").await;
    // The user goes with the member.
    let erased = erase(&world, &user, false).await;
    let kinds: Vec<&Value> = erased["erased"].as_array().expect("rows").iter().map(|row| &row["kind"]).collect();
    assert_eq!((kinds.len(), kinds[0]), (3, &json!("USER")));
    assert_eq!(erase(&world, &json!(member), false).await["replayed"], json!(true));
    // Of another tenant there is nobody.
    let query = "mutation ($id: ID!) { erasePerson(input: { id: $id, reason: \"R\" }) { userErrors { code } } }";
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let answer = world.run(&staff_token("operator", "globex"), query, json!({"id": lead})).await;
    assert_eq!(answer.data()["erasePerson"]["userErrors"][0]["code"], json!("NOT_FOUND"));
}

/// One who is erased by several at once, while others change what is about them, is erased once; nothing of it is lost or half done.
#[tokio::test(flavor = "multi_thread")]
async fn at_once() {
    let world = World::with_pool(8).await;
    let user = everywhere(&world).await;
    let leads = world.add_leads(world.acme, world.a, 5).await;
    let erasing = (0..4).map(|_| erase(&world, &user, true));
    let notes = leads.iter().map(|lead| async {
        let input = json!({"id": lead.to_string(), "notes": "w.quackenbush@example.com"});
        tried(&world, "updateLead", input, "lead { id }").await
    });
    let (erased, _) = futures_util::future::join(join_all(erasing), join_all(notes)).await;
    let pseudonyms: std::collections::BTreeSet<String> = erased.iter().map(|one| one["pseudonym"].to_string()).collect();
    assert_eq!(pseudonyms.len(), 1, "{erased:?}");
    assert_eq!(erased.iter().filter(|one| one["replayed"] == json!(false)).count(), 1);
    assert_eq!(world.number("SELECT count(*) FROM audit_entries WHERE action = 'erasePerson'").await, 1);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A word of ours, an amount or an id is no name, whatever somebody is called; and a reason that becomes longer still fits.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_ours_stay() {
    let world = World::new().await;
    for name in ["Lost", "USD", "a", "true", "null", "O'Neil (\\d+) \"Bo\" [x]", "%s", "Lead", "100.00", "\u{674e}"] {
        let input = keyed(
            json!({"partnerId": world.a.to_string(), "clientName": name, "clientEmail": "n@example.com", "service": "Plan", "dealValue": "100.00"}),
        );
        let lead = done(&world, "createLead", input, "lead { id }").await["lead"]["id"].clone();
        done(
            &world,
            "updateLeadStatus",
            json!({"id": lead, "status": "LOST", "note": format!("{name} said {name}. ").repeat(20)}),
            "lead { id }",
        )
        .await;
        let why: String = format!("{name} ").repeat(100).chars().take(990).collect();
        done(&world, "moveLead", json!({"id": lead, "partnerId": world.b.to_string(), "reason": why.trim()}), "lead { id }")
            .await;
        let erased = erase(&world, &lead, false).await;
        assert_eq!(erased["userErrors"], json!([]), "{name}");
        let query = "query ($id: ID!) { lead(id: $id) { clientName status dealValue { amount } service }
            auditLog(filter: { subjectId: $id }) { nodes { changes { fields { name after } } } } }";
        let data = world.operator(query, json!({"id": lead})).await.data().clone();
        let seen = &data["lead"];
        assert_eq!(
            (&seen["clientName"], &seen["status"], &seen["dealValue"]["amount"]),
            (&erased["pseudonym"], &json!("LOST"), &json!("100.00")),
            "{name}"
        );
        for known in ["{\"after\":\"LOST\",\"name\":\"status\"}", "{\"after\":\"USD\",\"name\":\"currency\"}"] {
            assert!(data["auditLog"].to_string().contains(known), "{name}: {}", data["auditLog"]);
        }
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A report about somebody else that mentions the person is applied as it is to them.
#[tokio::test(flavor = "multi_thread")]
async fn reports_about_others_stay() {
    let world = World::new().await;
    let lead = {
        let input = keyed(
            json!({"partnerId": world.a.to_string(), "clientName": "Wilhelmina Quackenbush", "clientEmail": ADDRESS, "service": "Plan"}),
        );
        done(&world, "createLead", input, "lead { id }").await["lead"]["id"].clone()
    };
    let clerk = Source::new(&world, WebhookSourceKind::Clerk).await;
    let said = json!({"id": "owner_a", "first_name": "Grace", "last_name": "Hopper", "updated_at": 1_790_000_000_000_i64, "primary_email_address_id": "e1", "email_addresses": [
        {"id": "e1", "email_address": "grace@example.com", "verification": {"status": "verified"}}, {"id": "e2", "email_address": "w.quackenbush@example.com"}]});
    clerk.send(&world, "msg_1", &json!({"type": "user.updated", "timestamp": 1_790_000_000_000_i64, "data": said})).await;
    erase(&world, &lead, false).await;
    assert_eq!(found(&world, NAMES).await, "");
    apply(&world).await;
    assert_eq!(
        world.text("SELECT name || ' ' || email AS text FROM users WHERE clerk_user_id = 'owner_a'").await,
        "Grace Hopper grace@example.com"
    );
}

/// A delivery that waits is sent without what named the person.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_without() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED", "LEAD_UPDATED"]).await;
    let input = keyed(
        json!({"partnerId": world.a.to_string(), "clientName": "Wilhelmina", "clientEmail": ADDRESS, "service": "Plan", "dealValue": "1.10"}),
    );
    let lead = done(&world, "createLead", input, "lead { id }").await["lead"]["id"].clone();
    let erased = erase(&world, &lead, false).await;
    send(&world).await;
    let sent = deliveries(&world, &id).await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    for one in sent {
        let body: Value = serde_json::from_str(one["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!((&body["data"]["clientName"], &body["data"]["dealValue"]), (&erased["pseudonym"], &json!("1.10")));
    }
}
