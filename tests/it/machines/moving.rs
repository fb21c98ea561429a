//! Moves of tenants that are interrupted, refused or undone, and what a tenant that is held is answered.

use std::{net::SocketAddr, time::Duration};

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    World,
    sql::{number, text},
    traffic::{Traffic, partner},
    two_clusters::{TwoClusters, rows_of},
};

const SEND: &str = "mutation ($key: String!) { createLead(input: { idempotencyKey: $key, clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id } userErrors { message } } }";
const READ: &str = "{ leads(first: 1) { totalCount } }";
const CURSOR: &str = "{ eventCursor }";

/// The status, whether it is said when to try again, and the body.
async fn post(address: SocketAddr, token: &str, query: &str) -> (StatusCode, bool, Value) {
    let key = uuid::Uuid::now_v7().to_string();
    let body = json!({"query": query, "variables": if query == SEND { json!({"key": key}) } else { json!({}) }});
    let answer = reqwest::Client::new()
        .post(format!("http://{address}/graphql"))
        .bearer_auth(token)
        .json(&body)
        .send()
        .await
        .expect("an answer");
    let (status, retries) = (answer.status(), answer.headers().contains_key("retry-after"));
    (status, retries, answer.json().await.expect("JSON"))
}

/// What a subscription since a cursor sends within a moment.
async fn stream(address: SocketAddr, token: &str, since: &str) -> String {
    let body = json!({"query": "subscription ($since: String) { leadChanged(since: $since) { lead { id } } }", "variables": {"since": since}});
    let request =
        reqwest::Client::new().post(format!("http://{address}/graphql")).bearer_auth(token).header("accept", "text/event-stream");
    let mut answer = request.json(&body).send().await.expect("an answer");
    let mut text = String::new();
    while let Ok(Ok(Some(part))) = tokio::time::timeout(Duration::from_millis(700), answer.chunk()).await {
        text += &String::from_utf8_lossy(&part);
    }
    text
}

/// A second tenant on `main`, with a partner; gives the token of its owner.
async fn other_tenant(both: &mut TwoClusters) -> String {
    both.said(&["tenant", "add", "other", "--name", "Other", "--partner-on-signup", "active"]);
    both.main.token_of("owner_2", "other")
}

/// Waits until it holds in a database.
async fn until(database: &mut AsyncPgConnection, what: &str, sql: &str) {
    for _ in 0..1_200 {
        if number(database, sql).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what}");
}

/// A command that is killed, at whatever moment, leaves a tenant that works, and the same command resumes it: nothing is lost or made twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_that_is_killed_is_resumed() {
    let mut both = TwoClusters::start().await;
    let token = partner(&both.main).await;
    both.said(&["seed", "--partners", "5", "--leads", "200", "--invoices", "50", "--clicks", "500", "--members", "20"]);
    let tenant = both.tenant().await;
    let (_servers, balancer) = both.servers().await;
    let traffic = Traffic::start(balancer.address, &token, 3).await;
    // Later each time: in the end after the tenant has left, and while its rows are deleted.
    for milliseconds in [100, 200, 300, 500, 700, 900, 1_200, 1_600, 2_100, 2_800, 4_000, 8_000] {
        let mut moving = both.spawn(&["tenant", "move", "main", "b"]);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        moving.kill().expect("it is killed");
        moving.wait().expect("it has ended");
        let before = traffic.acknowledged();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(traffic.acknowledged() > before, "nothing is taken after {milliseconds} ms");
        // PostgreSQL notices that it was killed.
        let waits =
            "SELECT (NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1953391225))::integer::bigint";
        until(&mut both.main.administrator, "its lock is given back", waits).await;
    }
    both.said(&["tenant", "move", "main", "b"]);
    assert!(both.refused(&["tenant", "move", "main", "b"]).contains("main is on b already"));
    let counts = traffic.end(&mut both.on_b).await;
    assert_eq!((counts.lost, counts.doubled, counts.twice), (0, 0, 0), "{counts:?}");
    assert_eq!(rows_of(&mut both.main.administrator, &tenant).await, 0);
    both.nothing_is_left().await;
    assert!(both.said(&["verify", "--tenant", "main"]).contains("b:\n"));
    // And back.
    both.said(&["tenant", "move", "main", "main"]);
    assert_eq!(rows_of(&mut both.on_b, &tenant).await, 0);
    both.nothing_is_left().await;
    let (status, _, body) = post(balancer.address, &token, READ).await;
    assert_eq!((status, body["errors"].clone()), (StatusCode::OK, Value::Null), "{body}");
}

/// A tenant that is held is read, and changed by nobody: 503 with Retry-After, and nothing was done. Between two clusters it is not read either. Another tenant does not
/// notice, and what is done for all is done for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_held_is_said_so() {
    let mut both = TwoClusters::start().await;
    let token = partner(&both.main).await;
    let other = other_tenant(&mut both).await;
    let tenant = text(&mut both.main.administrator, "SELECT id::text FROM tenants WHERE slug = 'main'").await;
    let server = both.main.serve(&[]).await;
    for (token, who) in [(&token, "main"), (&other, "other")] {
        let (status, _, body) = post(server.address, token, SEND).await;
        assert!(status == StatusCode::OK && body["data"]["createLead"]["lead"]["id"].is_string(), "{who}: {body}");
    }
    // The last event is of the tenant that goes.
    let (_, _, body) = post(server.address, &other, CURSOR).await;
    let cursor_of_other = body["data"]["eventCursor"].as_str().expect("a cursor").to_owned();
    let (_, _, body) = post(server.address, &token, CURSOR).await;
    let cursor = body["data"]["eventCursor"].as_str().expect("a cursor").to_owned();
    // The target cannot take the tenant's row.
    let cannot = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION refuse(); ALTER TABLE tenants ENABLE ALWAYS TRIGGER refuse";
    both.on_b.batch_execute(cannot).await.expect("a trigger");
    let mut moving = both.spawn(&["tenant", "move", "main", "b"]);
    until(&mut both.on_b, "it subscribes", "SELECT count(*) FROM pg_subscription").await;
    moving.kill().expect("it is killed");
    moving.wait().expect("it has ended");
    let lock = format!("1953391224, hashtext('{tenant}')");
    both.main.administrator.batch_execute(&format!("SELECT pg_advisory_lock({lock})")).await.expect("it is held");
    let (status, retries, body) = post(server.address, &token, SEND).await;
    assert_eq!(
        (status, retries, &body["errors"][0]["extensions"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, true, &json!("SERVICE_UNAVAILABLE")),
        "{body}"
    );
    assert!(body["errors"][0]["message"].as_str().is_some_and(|said| said.starts_with("The tenant is being moved")), "{body}");
    let (status, _, body) = post(server.address, &token, READ).await;
    assert!(status == StatusCode::OK && body["data"]["leads"]["totalCount"] == 1, "{body}");
    let (status, _, body) = post(server.address, &other, SEND).await;
    assert!(status == StatusCode::OK && body["data"]["createLead"]["lead"]["id"].is_string(), "{body}");
    both.said(&["maintain"]);
    let set = both.refused(&["tenant", "set", "main", "--name", "X"]);
    assert!(set.contains("the tenant is being moved to another cluster"), "{set}");
    both.main.administrator.batch_execute(&format!("SELECT pg_advisory_unlock({lock})")).await.expect("it goes on");
    let (_, _, body) = post(server.address, &token, SEND).await;
    assert!(body["data"]["createLead"]["lead"]["id"].is_string(), "{body}");
    // From here on it is on neither.
    let failed = both.refused(&["tenant", "move", "main", "b"]);
    assert!(failed.contains("not now"), "{failed}");
    for query in [SEND, READ] {
        let (status, retries, body) = post(server.address, &token, query).await;
        assert_eq!((status, retries), (StatusCode::SERVICE_UNAVAILABLE, true), "{body}");
    }
    let (status, ..) = post(server.address, &other, SEND).await;
    assert_eq!(status, StatusCode::OK);
    for cluster in ["main", "b"] {
        let refusal = both.refused(&["tenant", "add", "main", "--name", "M", "--cluster", cluster]);
        assert!(refusal.contains("\"main\""), "{refusal}");
    }
    let elsewhere = both.refused(&["tenant", "move", "main", "main"]);
    assert!(
        elsewhere.contains("a move of main from main to b was not finished: resume it first, by `tenant move main b`"),
        "{elsewhere}"
    );
    assert!(both.refused(&["tenant", "move", "main", "b", "--cancel"]).contains("main is on b by now"));
    both.on_b.batch_execute("DROP TRIGGER refuse ON tenants").await.expect("it may come");
    both.said(&["tenant", "move", "main", "b"]);
    let (status, _, body) = post(server.address, &token, READ).await;
    assert!(status == StatusCode::OK && body["data"]["leads"]["totalCount"] == 2, "{body}");
    both.nothing_is_left().await;
    // Nobody else's subscriptions end by it, and back again its own do not go on as if nothing had happened meanwhile.
    let stream = stream(server.address, &other, &cursor_of_other).await;
    assert!(stream.starts_with("id: ") && !stream.contains("CURSOR_EXPIRED"), "{stream}");
    post(server.address, &token, SEND).await;
    both.said(&["tenant", "move", "main", "main"]);
    let (_, _, body) = post(server.address, &token, READ).await;
    assert_eq!(body["data"]["leads"]["totalCount"], 3, "{body}");
    let old = self::stream(server.address, &token, &cursor).await;
    assert!(old.contains("CURSOR_EXPIRED"), "{old}");
    let (_, _, body) = post(server.address, &token, CURSOR).await;
    let fresh = self::stream(server.address, &token, body["data"]["eventCursor"].as_str().expect("a cursor")).await;
    assert!(fresh.starts_with("id: ") && !fresh.contains("CURSOR_EXPIRED"), "{fresh}");
}

/// What cannot be moved is refused before anything is changed, with what to do; a move that has begun can be undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_moved_is_refused() {
    let mut both = TwoClusters::start().await;
    partner(&both.main).await;
    let tenant = both.tenant().await;
    for (arguments, said) in [
        (["main", "c"], "there is no cluster \"c\"; there are main, b"),
        (["nobody", "b"], "there is no tenant \"nobody\""),
        (["main", "main"], "main is on main already"),
    ] {
        let refused = both.refused(&["tenant", "move", arguments[0], arguments[1]]);
        assert!(refused.contains(said), "{refused}");
    }
    both.name_owner("portal_owner");
    let refused = both.refused(&["tenant", "move", "main", "b"]);
    assert!(refused.contains("b: its owner_url (of main, PORTAL_OWNER_URL) must be a superuser's"), "{refused}");
    both.name_owner("postgres");
    // A tenant of the same name, and a link of the same key.
    both.on_b.batch_execute("INSERT INTO tenants (id, slug, name, issuer, default_currency) VALUES (gen_random_uuid(), 'main', 'M', 'https://i.example.com', 'USD')").await.expect("a tenant");
    assert!(both.refused(&["tenant", "move", "main", "b"]).contains("b has another tenant \"main\""));
    assert!(both.refused(&["tenant", "add", "main", "--name", "M", "--cluster", "b"]).contains("on main already"));
    both.on_b.batch_execute("UPDATE tenants SET slug = 'second'; INSERT INTO link_hosts (tenant_id, host, created_at) SELECT id, 'go.example.org', now() FROM tenants").await.expect("a host");
    let refused = both.refused(&["tenant", "host", "add", "main", "go.example.org"]);
    assert!(refused.contains("the host go.example.org is on b already"), "{refused}");
    let host = "INSERT INTO link_hosts (tenant_id, host, created_at) SELECT id, 'go.example.org', now() FROM tenants";
    both.main.administrator.batch_execute(host).await.expect("a host");
    let refused = both.refused(&["tenant", "move", "main", "b"]);
    assert!(refused.contains("b: the host of links \"go.example.org\" is another tenant's there"), "{refused}");
    both.said(&["tenant", "host", "remove", "main", "go.example.org"]);
    both.nothing_is_left().await;
    // One that has begun.
    let mut moving = both.spawn(&["tenant", "move", "main", "b"]);
    until(&mut both.on_b, "it subscribes", "SELECT count(*) FROM pg_subscription").await;
    moving.kill().expect("it is killed");
    moving.wait().expect("it has ended");
    // Its slot is lost, as by a failover of the source, and a key is taken meanwhile: it can still be undone.
    both.on_b
        .batch_execute(&format!("ALTER SUBSCRIPTION portal_move_{} DISABLE", tenant.replace('-', "")))
        .await
        .expect("it is disabled");
    until(
        &mut both.main.administrator,
        "the slot is free",
        "SELECT (NOT bool_or(active))::integer::bigint FROM pg_replication_slots",
    )
    .await;
    both.main
        .administrator
        .batch_execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        .await
        .expect("it is lost");
    let refused = both.refused(&["tenant", "move", "main", "b"]);
    assert!(refused.contains("is lost on main: undo the move by --cancel"), "{refused}");
    let undone = both.said(&["tenant", "move", "main", "b", "--cancel"]);
    assert_eq!(undone, "main stays on main, and nothing of it is on b.\n");
    assert_eq!(rows_of(&mut both.on_b, &tenant).await, 0);
    both.nothing_is_left().await;
}

/// The schema stays movable: every key but these is led by the tenant, every table of a tenant's has a primary key that names it, by which changes find their row on the
/// other side, and nothing points to another tenant.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_movable() {
    let world = World::new().await;
    let of_tenants = "SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)";
    let led = "EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attname = 'tenant_id' AND a.attnum = i.indkey[0])";
    let others = format!(
        "SELECT coalesce(string_agg(x.relname, ' ' ORDER BY x.relname COLLATE \"C\"), '') FROM pg_index i JOIN ({of_tenants}) t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
         WHERE i.indisunique AND NOT {led}"
    );
    // What is in a cluster once, whosever it is: a move looks whether it is another's on the target. Numbers of events stay where they are.
    assert_eq!(world.text(&others).await, "events_place_idx invite_codes_code_key link_hosts_host_key links_key_key");
    let without = format!(
        "SELECT coalesce(string_agg(t.relname, ' '), '') FROM ({of_tenants}) t WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary AND {led})
            OR (SELECT relreplident FROM pg_class WHERE oid = t.oid) <> 'd'"
    );
    assert_eq!(world.text(&without).await, "");
    let exclusions = format!(
        "SELECT coalesce(string_agg(c.conname, ' '), '') FROM pg_constraint c JOIN ({of_tenants}) t ON t.oid = c.conrelid
         WHERE c.contype = 'x' AND (SELECT attname FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = c.conkey[1]) <> 'tenant_id'"
    );
    assert_eq!(world.text(&exclusions).await, "");
    // Each reference is to a row of the same tenant.
    let across = format!(
        "SELECT coalesce(string_agg(c.conname, ' '), '') FROM pg_constraint c JOIN ({of_tenants}) t ON t.oid = c.conrelid WHERE c.contype = 'f' AND c.confrelid <> 'tenants'::regclass
            AND NOT EXISTS (SELECT FROM unnest(c.conkey, c.confkey) AS k (own, theirs)
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own AND a.attname = 'tenant_id'
                JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs AND b.attname = 'tenant_id')"
    );
    assert_eq!(world.text(&across).await, "");
    // Tables without tenants are the cluster's own.
    let own = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname COLLATE \"C\") FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)";
    assert_eq!(world.text(own).await, "__diesel_schema_migrations event_cursor_keys tenants visitor_keys");
    let published = format!(
        "DO $$ DECLARE t record; BEGIN FOR t IN {of_tenants} LOOP
            EXECUTE format('CREATE PUBLICATION movable FOR TABLE %I WHERE (tenant_id = %L) WITH (publish_via_partition_root = true)', t.relname, gen_random_uuid()); DROP PUBLICATION movable;
         END LOOP; END $$"
    );
    world.sql(&published).await;
}

/// Rows of a tenant that has not arrived, or has left, are nobody's work on that cluster, and keep nobody else's from being done.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_arrived_is_nobodys_work() {
    let world = World::new().await;
    let tenant = world.acme.uuid();
    world
        .sql(&format!(
            "SET session_replication_role = replica;
             INSERT INTO data_imports (tenant_id, id, source, options, files, created_at, status, is_dry_run, created_by)
                 VALUES ('{tenant}', gen_random_uuid(), 'rewardful', '{{}}', '[]', now(), 'waiting', false, gen_random_uuid());
             INSERT INTO webhook_events (tenant_id, id, event_type, at, facts) VALUES ('{tenant}', gen_random_uuid(), 'lead.created', now(), '{{}}');
             INSERT INTO webhook_sources (tenant_id, id, kind, created_at, created_by) VALUES ('{tenant}', '{tenant}', 'stripe', now(), gen_random_uuid());
             INSERT INTO programmes (tenant_id, id, key, name, domain) VALUES ('{tenant}', gen_random_uuid(), 'shop_0123456789', 'Shop', 'shop.example.com');
             INSERT INTO link_click_news (tenant_id, partner_id, is_new, announced_at) VALUES ('{tenant}', '{}', true, now() - interval '1 hour')",
            world.a.uuid()
        ))
        .await;
    let work = format!(
        "(SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now())) + (SELECT count(*) FROM raw_webhook_events(10, ARRAY['lead.created']))
         + (SELECT count(*) FROM find_webhook_source('{tenant}', now())) + (SELECT count(*) FROM programmes_without_rate(now(), now(), 10)) + announce_clicks()"
    );
    world.sql(&format!("CREATE TABLE gone AS SELECT * FROM tenants WHERE id = '{tenant}'; SET session_replication_role = replica; DELETE FROM tenants WHERE id = '{tenant}'")).await;
    assert_eq!(world.number(&format!("SELECT {work}")).await, 0);
    world.sql("INSERT INTO tenants SELECT * FROM gone").await;
    assert!(world.number(&format!("SELECT {work}")).await >= 4, "there is nothing to do for it where it is either");
}
