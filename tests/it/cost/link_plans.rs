//! The plans of lists of links by their figures, and of what has come of links: each page is read from indexes, in their order.

use serde_json::json;

use super::plans::plans_of;
use crate::support::{World, token, tokens::staff_token, world::ACME};

/// A world with 6,000 links of 30 partners to 31 shops, with figures and events, whose plans are logged.
async fn many_links() -> World {
    let world = World::with_pool(1).await;
    let name = world.database.owner.get_dbname().expect("a name").to_owned();
    let link = world.link("https://example.com/").await;
    world.clicks(&link, 20).await;
    world.sign_up(json!({"customerExternalId": "c", "linkKey": link["key"], "occurredAt": "2026-06-01T10:00:00Z"})).await;
    world.pay("i1", "c", "60.00", "2026-06-01T11:00:00Z").await;
    world
        .sql(&format!(
            "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate)
                SELECT '{acme}', gen_random_uuid(), 'Company ' || n, 'active', 0.1 FROM generate_series(1, 30) n;
             INSERT INTO programmes (tenant_id, id, key, name, domain)
                SELECT '{acme}', gen_random_uuid(), 'shop' || n || '_0000000000', 'Shop', 'shop-' || n || '.example' FROM generate_series(1, 30) n;
             INSERT INTO enrolments (tenant_id, id, partner_id, programme_id, status)
                SELECT p.tenant_id, gen_random_uuid(), p.id, g.id, 'approved' FROM partners p JOIN programmes g ON g.tenant_id = p.tenant_id
                ON CONFLICT DO NOTHING;
             INSERT INTO links (tenant_id, id, partner_id, programme_id, key, url)
                SELECT tenant_id, gen_random_uuid(), partner_id, programme_id, 'k' || substr(id::text, 1, 8) || '-' || n, 'https://example.com/' || n
                FROM enrolments, generate_series(1, 3) n;
             INSERT INTO links (tenant_id, id, partner_id, programme_id, key, url)
                SELECT tenant_id, gen_random_uuid(), '{a}', programme_id, 'a' || substr(id::text, 1, 8) || '-' || n, 'https://example.com/' || n FROM enrolments, generate_series(1, 100) n
                WHERE partner_id = '{a}';
             UPDATE links_by_clicks SET clicks = abs(hashtext(link_id::text)) % 1000;
             UPDATE links_by_sales SET sign_ups = abs(hashtext(link_id::text)) % 1000, sales = abs(hashtext(link_id::text)) % 100, earned = hashtext(link_id::text) % 1000;
             INSERT INTO link_clicks (tenant_id, id, link_id, partner_id, programme_id, at, visitor, is_bot, is_prefetch, is_repeat)
                SELECT l.tenant_id, c.id_of, l.id, l.partner_id, l.programme_id, now() - n * interval '1 second', gen_random_uuid(), false, false, false
                FROM links l, generate_series(1, 10) n,
                    LATERAL (SELECT overlay(first_uuid(now())::text PLACING substr(gen_random_uuid()::text, 15) FROM 15)::uuid AS id_of WHERE n > 0 AND l.id IS NOT NULL) c;
             ANALYZE;
             ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0",
            acme = world.acme.uuid(),
            a = world.a.uuid()
        ))
        .await;
    // The pool's connection is from before plans were logged.
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    while world.run(&staff_token("operator", ACME), "{ me { role } }", json!({})).await.body.get("errors").is_some() {}
    world
}

fn check(plan: &str, index: &str, what: &str) {
    assert!(plan.contains(&format!(" {index} ")), "{what}: {index} is not used\n{plan}");
    assert!(!plan.contains("Sort  ") && !plan.contains("Seq Scan"), "{what}\n{plan}");
}

/// Links by each figure, for a partner, for an operator, and below programmes: the first page and the next. A list by nothing but time reads no figure.
#[tokio::test(flavor = "multi_thread")]
async fn links_by_figures_are_read_from_their_indexes() {
    let world = many_links().await;
    let (owner, operator) = (token("owner_a", ACME), staff_token("operator", ACME));
    for (field, table, suffix) in [
        ("CLICKS", "links_by_clicks", ""),
        ("SIGN_UPS", "links_by_sales", "sign_ups_"),
        ("SALES", "links_by_sales", "sales_"),
        ("EARNINGS", "links_by_sales", "earned_"),
    ] {
        for (token, of) in [(&owner, "partner_"), (&operator, "")] {
            let query = |after: &str| {
                format!(
                    "{{ links(first: 10, orderBy: {{ field: {field} }}{after}) {{ nodes {{ key }} pageInfo {{ endCursor }} }} }}"
                )
            };
            let index = format!("{table}_{of}{suffix}idx");
            check(
                &plans_of(&world, token, &query(""), json!({}), "FROM \"listed_links\"").await[0],
                &index,
                &format!("links by {field}"),
            );
            let page = world.run(token, &query(""), json!({})).await;
            let after = format!(", after: {}", page.data()["links"]["pageInfo"]["endCursor"]);
            let next = plans_of(&world, token, &query(&after), json!({}), "FROM \"listed_links\"").await;
            check(&next[0], &index, &format!("links by {field}, next page"));
            assert!(next[0].lines().any(|line| line.contains("Index Cond") && line.contains("ROW(")), "{}", next[0]);
        }
        let below =
            format!("{{ programmes {{ nodes {{ links(first: 5, orderBy: {{ field: {field} }}) {{ nodes {{ key }} }} }} }} }}");
        let found = plans_of(&world, &operator, &below, json!({}), "AS page").await;
        check(&found[0], &format!("{table}_programme_{suffix}idx"), &format!("links by {field} below programmes"));
    }
    let plain =
        plans_of(&world, &owner, "{ links(first: 10) { totalCount nodes { key } } }", json!({}), "FROM \"listed_links\"").await;
    assert_eq!(plain.len(), 2, "a page and a count: {plain:?}");
    for plan in &plain {
        assert!(!plan.contains("links_by_"), "{plan}");
    }
    check(plain.iter().find(|plan| plan.contains("LIMIT")).expect("the page"), "links_partner_created_idx", "links by time");
}

/// What has come of a partner's links, and of one link, is merged from an index of clicks, one of sign-ups and one of sales.
#[tokio::test(flavor = "multi_thread")]
async fn link_events_are_merged_from_their_indexes() {
    let world = many_links().await;
    let query = "query ($filter: LinkEventFilter, $after: String) { linkEvents(first: 10, after: $after, filter: $filter) { nodes { id } pageInfo { endCursor } } }";
    let link = world.owner_a("{ links(first: 1) { nodes { id } } }", json!({})).await.data()["links"]["nodes"][0]["id"].clone();
    for (filter, index) in [(json!({}), "partner_id_at_id_idx"), (json!({"linkId": link}), "link_id_at_id_idx")] {
        let mut after = json!(null);
        for _ in 0..2 {
            let variables = json!({"filter": filter, "after": after});
            let found = plans_of(&world, &token("owner_a", ACME), query, variables.clone(), "FROM \"link_events\"").await;
            assert!(found[0].contains(index) && found[0].contains("Merge Append"), "{filter}\n{}", found[0]);
            assert!(!found[0].contains("Seq Scan on link_clicks") && !found[0].contains("Sort  "), "{filter}\n{}", found[0]);
            after = world.owner_a(query, variables).await.data()["linkEvents"]["pageInfo"]["endCursor"].clone();
        }
    }
}
