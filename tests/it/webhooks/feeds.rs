//! Whole feeds of events, in any order: they end in the same figures.

use chrono::{DateTime, Utc};
use partner_portal::{
    models::webhooks::source::WebhookSourceKind,
    webhooks::receiving::samples::{Feed, Sample},
};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::{
    incoming::{Source, apply, apply_after},
    *,
};

/// What a feed of Stripe's leaves: of each invoice what it is of, what is refunded and what was earned; and what customers are called.
const STRIPE: &str = "SELECT string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") AS text FROM (
    SELECT i.external_id || ' ' || i.currency || ' ' || trim_scale(i.amount) || ' ' || trim_scale(i.refunded) || ' ' || coalesce((
        SELECT trim_scale(sum(e.amount))::text FROM partner_commission_events e WHERE e.tenant_id = i.tenant_id AND e.invoice_id = i.external_id), '-') AS line
    FROM invoices i UNION ALL SELECT external_id || ' ' || name || ' ' || coalesce(email, '-') FROM customers) AS lines";
/// What a feed of Clerk's leaves: who belongs to a partner, and what they are called.
const CLERK: &str = "SELECT string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") AS text FROM (
    SELECT u.clerk_user_id || ' ' || pu.role || ' ' || u.name || ' ' || coalesce(u.email, '-') AS line
    FROM partner_users pu JOIN users u ON u.tenant_id = pu.tenant_id AND u.id = pu.user_id WHERE pu.removed_at IS NULL AND u.clerk_user_id NOT LIKE 'owner%'
    UNION ALL SELECT object_id || ' deleted' FROM directory_objects WHERE is_deleted) AS lines";

/// How many orders are drawn for each feed.
const ORDERS: u32 = 12;

/// Which event arrives, by its number, and whether all that have arrived are applied then.
type Arrival = (usize, bool);

/// A feed in order, and as a service may send it.
fn order(kind: WebhookSourceKind) -> (Vec<Arrival>, BoxedStrategy<Vec<Arrival>>) {
    let feed = Feed { name: "feed".to_owned(), ends_at: now(), click: None, organization: String::new() };
    let count = feed.events(kind).len();
    let in_order = (0..count).map(|number| (number, number % 3 == 0)).collect();
    // Some come twice, and all in any order: also long after what they should have come before.
    let twice = prop::collection::vec(0..count, 0..count);
    let order = twice.prop_flat_map(move |twice| Just((0..count).chain(twice).collect::<Vec<_>>()).prop_shuffle());
    let applied = prop::collection::vec(any::<bool>(), 2 * count);
    (in_order, (order, applied).prop_map(|(order, applied)| order.into_iter().zip(applied).collect()).boxed())
}

/// In whatever order a feed comes, its figures are the same.
fn in_any_order(orders: &BoxedStrategy<Vec<Arrival>>, figures: impl Fn(&[Arrival]) -> String, expected: &str) {
    let config =
        ProptestConfig { cases: ORDERS, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() };
    let ran = proptest::test_runner::TestRunner::new(config).run(orders, |steps| {
        prop_assert_eq!(figures(&steps), expected);
        Ok(())
    });
    ran.expect("every order");
}

/// The figures that a feed ends in.
async fn figures(kind: WebhookSourceKind, ends_at: DateTime<Utc>, includes_tax: bool, steps: &[Arrival]) -> String {
    let world = World::new().await;
    let link = world.link("https://shop.example.com/p").await;
    let changes = json!({"id": link["programme"]["id"], "includesTax": includes_tax});
    done(&world, "updateProgramme", changes, "programme { id }").await;
    for number in 1..=3 {
        world
            .sql(&format!(
                "INSERT INTO users (tenant_id, id, clerk_user_id, name) VALUES ('{}', gen_random_uuid(), 'user_feed_{number}', 'Unknown')",
                world.acme.uuid()
            ))
            .await;
    }
    let click = world.click_at(&link, ends_at - TimeDelta::seconds(300)).await;
    let feed = Feed { name: "feed".to_owned(), ends_at, click: Some(click), organization: "org_a".to_owned() };
    let source = Source::new(&world, kind).await;
    let events: Vec<Sample> = feed.events(kind);
    for &(number, is_applied) in steps {
        let body = serde_json::from_str(&events[number].body).expect("JSON");
        source.send(&world, &events[number].id, &body).await;
        if is_applied {
            apply(&world).await;
        }
    }
    apply(&world).await;
    apply_after(&world, TimeDelta::hours(1)).await;
    let open = world.number("SELECT count(*) FROM webhook_receipts WHERE status NOT IN ('applied', 'ignored')").await;
    assert_eq!(open, 0, "{}", world.text("SELECT string_agg(event_type || ': ' || coalesce(reason, ''), ', ') AS text FROM webhook_receipts WHERE status NOT IN ('applied', 'ignored')").await);
    assert!(world.broken_rules().await.is_empty());
    world
        .text(match kind {
            WebhookSourceKind::Stripe => STRIPE,
            WebhookSourceKind::Clerk => CLERK,
        })
        .await
}

/// A feed of Stripe's in order comes to these figures; in whatever order, twice and late it comes to the same, and so it does with tax.
#[test]
fn of_stripe() {
    let (ends_at, runtime) = (now(), Runtime::new().expect("a runtime"));
    let (in_order, orders) = order(WebhookSourceKind::Stripe);
    let figures = |includes_tax: bool, steps: &[Arrival]| {
        runtime.block_on(figures(WebhookSourceKind::Stripe, ends_at, includes_tax, steps))
    };
    let with_tax = figures(true, &in_order);
    assert!(with_tax.contains("in_feed_1 EUR 120 30 9") && with_tax.contains("in_feed_2 EUR 240 0 24"), "{with_tax}");
    let without_tax = figures(false, &in_order);
    let lines: Vec<&str> = without_tax.lines().collect();
    let expected = [
        "cus_feed_1 First Buyer Ltd buyer1@feed.example",
        "cus_feed_2 Second Buyer buyer2@feed.example",
        "in_feed_1 EUR 100 25 7.5",
        "in_feed_2 EUR 200 0 20",
        "in_feed_3 EUR 60 60 0",
        "in_feed_5 ISK 4000 0 400",
        "pi_feed_102 EUR 100 100 0",
    ];
    assert_eq!(lines, expected);
    for (includes_tax, expected) in [(false, &without_tax), (true, &with_tax)] {
        in_any_order(&orders, |steps| figures(includes_tax, steps), expected);
    }
}

/// The same of Clerk's.
#[test]
fn of_clerk() {
    let (ends_at, runtime) = (now(), Runtime::new().expect("a runtime"));
    let (in_order, orders) = order(WebhookSourceKind::Clerk);
    let figures = |steps: &[Arrival]| runtime.block_on(figures(WebhookSourceKind::Clerk, ends_at, false, steps));
    let end = figures(&in_order);
    let lines: Vec<&str> = end.lines().collect();
    let expected = [
        "member_a member Name of member_a -",
        "orgmem_feed_1 deleted",
        "user_feed_1 member Adele Sample user1@feed.example",
        "user_feed_2 owner Ben Sample user2@feed.example",
        "user_feed_3 deleted",
    ];
    assert_eq!(lines, expected);
    in_any_order(&orders, figures, &end);
}
