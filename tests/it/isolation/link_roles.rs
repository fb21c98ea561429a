//! Isolation of programmes, links and clicks in PostgreSQL itself: what each database role sees, and may write and run.

use diesel_async::SimpleAsyncConnection;
use serde_json::json;

use super::database_roles::visible;
use crate::support::{
    World,
    programmes::{CREATE_LINK, made_click},
    token,
    world::{ACME, GLOBEX},
};

const TABLES: &[&str] = &[
    "programmes",
    "enrolments",
    "enrolment_changes",
    "link_hosts",
    "links",
    "link_clicks",
    "link_click_totals",
    "link_visitors",
    "link_click_news",
    "link_click_parts",
    "link_sign_ups",
    "link_sale_totals",
    "links_by_clicks",
    "links_by_sales",
    "listed_links",
    "link_events",
    "commission_flags",
    "programme_rate_answers",
    "link_shares",
    "commission_splits",
];

/// A world in which partners A, B and G have one link each, to one shop, with a click on it; and each tenant a host.
async fn linked() -> World {
    let world = World::new().await;
    for (tenant, host) in [(world.acme, "go.acme.example"), (world.globex, "go.globex.example")] {
        world.sql(&format!("INSERT INTO link_hosts (tenant_id, host) VALUES ('{}', '{host}')", tenant.uuid())).await;
    }
    for (subject, slug, tenant) in
        [("owner_a", ACME, world.acme), ("owner_b", ACME, world.acme), ("owner_g", GLOBEX, world.globex)]
    {
        let made = world.run(&token(subject, slug), CREATE_LINK, json!({"input": {"url": "https://example.com/"}})).await;
        let click =
            partner_portal::models::programmes::click::Click { tenant, ..made_click(&world, &made.data()["createLink"]["link"]) };
        partner_portal::models::programmes::click::write(&world.owner().await, &[click]).await.expect("written");
    }
    world
        .sql(
            "INSERT INTO customers (tenant_id, id, external_id, name) SELECT tenant_id, id, id::text, 'C' FROM links;
             INSERT INTO link_sign_ups (tenant_id, id, partner_id, programme_id, link_id, customer_id, name, means, at, is_counted)
                 SELECT tenant_id, id, partner_id, programme_id, id, id, 'Sign-up', 'link_key', now(), true FROM links",
        )
        .await;
    world
}

/// With no condition in the SQL at all, each database role sees its own rows and nobody else's; who visited a link when is nobody's to see.
#[tokio::test(flavor = "multi_thread")]
async fn roles_see_their_own_links() {
    let world = linked().await;
    let who = |tenant: uuid::Uuid, partner: uuid::Uuid| {
        format!("SET app.tenant_id = '{tenant}'; SET app.partner_id = '{partner}'; SET app.user_id = '{}'", uuid::Uuid::nil())
    };
    let seen = |programmes: i32, links: i32| {
        // Of each link its enrolment and its partner have totals too, each by three grains.
        json!({"programmes": programmes, "enrolments": links, "enrolment_changes": links, "link_hosts": programmes, "links": links,
               "link_clicks": links, "link_click_totals": links * 9, "link_visitors": "denied", "link_click_news": "denied", "link_click_parts": links * 12,
               "link_sign_ups": links, "link_sale_totals": links * 9, "links_by_clicks": links, "links_by_sales": links,
               "listed_links": links, "link_events": links * 2, "commission_flags": 0,
               "programme_rate_answers": 0, "link_shares": 0, "commission_splits": 0})
    };
    let (acme, globex, a, b, g) = (world.acme.uuid(), world.globex.uuid(), world.a.uuid(), world.b.uuid(), world.g.uuid());
    for (role, settings, expected) in [
        ("portal_partner", who(acme, a), seen(1, 1)),
        ("portal_partner", who(acme, b), seen(1, 1)),
        ("portal_partner", who(globex, g), seen(1, 1)),
        // A partner of another tenant than the one that is named is nobody.
        ("portal_partner", who(globex, a), {
            let mut nothing = seen(0, 0);
            nothing["link_hosts"] = json!(1);
            nothing
        }),
        ("portal_operator", who(acme, a), seen(1, 2)),
        ("portal_service", who(globex, g), seen(1, 1)),
    ] {
        let mut expected = expected;
        if role == "portal_partner" {
            expected["programme_rate_answers"] = json!("denied");
        }
        assert_eq!(visible(&world, role, &settings, TABLES).await, expected, "{role} {settings}");
    }
    for role in ["portal_partner", "portal_operator", "portal_service", "portal_app"] {
        let mut connection = world.owner().await;
        connection.batch_execute(&format!("SET ROLE {role}")).await.expect("a role");
        assert!(connection.batch_execute("SELECT FROM visitor_keys").await.is_err(), "{role} reads visitors' keys");
        for call in [
            "find_link('', 'x')",
            "all_link_hosts()",
            "visitor_key(current_date)",
            "prepare_click_months(ARRAY[current_date])",
            "forget_clicks('2020-01-01')",
            "announce_clicks()",
            "record_clicks('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        ] {
            let ran = connection.batch_execute(&format!("SELECT * FROM {call}")).await;
            assert_eq!(ran.is_ok(), role == "portal_app", "whether {role} runs {call}: {ran:?}");
        }
    }
}

/// Of commission rules a partner's role sees those of programmes that the partner takes part in, and not those of another partner there.
#[tokio::test(flavor = "multi_thread")]
async fn roles_see_the_rules_of_their_programmes() {
    let world = linked().await;
    let (acme, a) = (world.acme.uuid(), world.a.uuid());
    for (domain, partner) in [("example.com", "NULL"), ("example.com", "own"), ("else.example", "NULL")] {
        let own = format!("'{a}'");
        let (partner, enrolment) = match partner {
            "own" => (own.as_str(), format!("(SELECT id FROM enrolments WHERE partner_id = '{a}')")),
            none => (none, none.to_owned()),
        };
        world
            .sql(&format!(
                "INSERT INTO programmes (tenant_id, id, key, name, domain)
                     VALUES ('{acme}', gen_random_uuid(), 'x_' || substr(md5('{domain}'), 1, 10), 'x', '{domain}') ON CONFLICT DO NOTHING;
                 INSERT INTO partner_commissions (tenant_id, id, partner_id, programme_id, enrolment_id, version, kind, rate, valid_from)
                     SELECT '{acme}', gen_random_uuid(), {partner}, id, {enrolment}, 1, 'percentage', 0.1, now() FROM programmes
                     WHERE tenant_id = '{acme}' AND domain = '{domain}'"
            ))
            .await;
    }
    for (partner, count) in [(a, 2), (world.b.uuid(), 1)] {
        let settings = format!("SET app.tenant_id = '{acme}'; SET app.partner_id = '{partner}'; SET app.user_id = '{partner}'");
        let seen = visible(&world, "portal_partner", &settings, &["partner_commissions"]).await;
        assert_eq!(seen, json!({"partner_commissions": count}));
    }
}

/// No role can put a link on another tenant's host or in another partner's name, nor write clicks, totals or a decision that is not its own.
#[tokio::test(flavor = "multi_thread")]
async fn roles_write_their_own_links_only() {
    let world = linked().await;
    let (acme, a, b) = (world.acme.uuid(), world.a.uuid(), world.b.uuid());
    let insert = |partner: uuid::Uuid, host: &str, key: &str| {
        format!(
            "INSERT INTO links (tenant_id, id, partner_id, programme_id, host, key, url)
                SELECT '{acme}', gen_random_uuid(), '{partner}', id, {host}, '{key}', 'https://example.com/x' FROM programmes"
        )
    };
    let rule = |whose: &str| {
        format!(
            "INSERT INTO partner_commissions (programme_id, partner_id, created_by, tenant_id, id, version, kind, rate, valid_from)
                SELECT {whose}, '{acme}', gen_random_uuid(), 1, 'percentage', 0.9, now() FROM programmes"
        )
    };
    for (role, sql, may) in [
        ("portal_partner", insert(a, "'go.acme.example'", "own"), true),
        ("portal_partner", insert(a, "NULL", "servers"), true),
        ("portal_partner", insert(a, "'go.globex.example'", "theirs"), false),
        ("portal_partner", insert(a, "'nobody.example'", "nobodys"), false),
        ("portal_partner", insert(b, "NULL", "others"), false),
        ("portal_partner", "UPDATE links SET coupon_code = 'FREE'".to_owned(), false),
        ("portal_partner", "UPDATE links SET host = NULL".to_owned(), false),
        ("portal_partner", "UPDATE enrolments SET status = 'approved'".to_owned(), false),
        ("portal_operator", "INSERT INTO link_hosts (tenant_id, host) SELECT id, 'new.example' FROM tenants".to_owned(), false),
        ("portal_operator", "UPDATE link_clicks SET is_bot = true".to_owned(), false),
        ("portal_operator", "UPDATE link_click_totals SET clicks = 9".to_owned(), false),
        ("portal_operator", "DELETE FROM enrolment_changes".to_owned(), false),
        ("portal_operator", "UPDATE link_sale_totals SET earned = 9".to_owned(), false),
        ("portal_operator", "UPDATE links_by_sales SET earned = 9".to_owned(), false),
        ("portal_operator", "UPDATE links_by_clicks SET clicks = 9".to_owned(), false),
        ("portal_partner", "UPDATE listed_links SET title = 'x'".to_owned(), false),
        ("portal_operator", "UPDATE link_sign_ups SET at = now()".to_owned(), false),
        ("portal_partner", "UPDATE link_sign_ups SET is_counted = false".to_owned(), false),
        ("portal_partner", "INSERT INTO link_sign_ups SELECT * FROM link_sign_ups".to_owned(), false),
        // What the commission-rate service says is a rule of a programme for all, by nobody; a machine sets no other.
        ("portal_service", rule("id, NULL, NULL"), true),
        ("portal_service", rule("NULL, NULL, NULL"), false),
        ("portal_service", rule(&format!("id, '{a}', NULL")), false),
        ("portal_service", rule(&format!("id, NULL, '{}'", uuid::Uuid::nil())), false),
        ("portal_partner", rule("id, NULL, NULL"), false),
        ("portal_service", format!("SELECT add_to_link_totals('{acme}', id, '', now(), 1, 0, 0, 0, 0) FROM links"), false),
    ] {
        let mut connection = world.owner().await;
        let who = format!("SET app.tenant_id = '{acme}'; SET app.partner_id = '{a}'; SET app.user_id = '{}'", uuid::Uuid::nil());
        connection.batch_execute(&format!("SET ROLE {role}; {who}")).await.expect("a role");
        let written = connection.batch_execute(&sql).await;
        assert_eq!(written.is_ok(), may, "{role}: {sql}: {written:?}");
    }
}

/// Whatever runs as the owner of the tables is run by nobody but those to whom it was granted: a function that everybody may execute could be made the
/// trigger of a table of one's own.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_as_the_owner_is_granted_one_by_one() {
    let world = World::new().await;
    let open = world
        .text(
            "SELECT coalesce(string_agg(p.proname, ' '), '') FROM pg_proc p
             WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
                 AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)",
        )
        .await;
    assert_eq!(open, "");
}
