//! Programmes, enrolments, links and clicks, and what comes of them.
//!
//! What is known to go wrong in existing systems, and the test by which it does not here:
//!
//! 1. Two first links at once make twin programmes: `programme::one_programme_however_many_first_links_come_at_once`.
//! 2. A shop is one tenant's only, and fails for the second: the same.
//! 3. A programme's key is drawn by lot, though it is said to follow: `programme::keys_follow_from_tenant_and_domain`.
//! 4. Every link makes a programme of its own, or one for "unknown-domain.com": the same, and `models::programmes::address`.
//! 5. A rate of 0 counts as none, and becomes 10%: `rewards::which_rule_of_a_programme_wins`, `rate_service::what_an_answer_makes_of_a_programme`.
//! 6. One script writes 10 for 10%, the other 1000: `rewards::a_rate_is_never_a_hundred_times_too_high`, `rate_service::what_an_answer_makes_of_a_programme`.
//! 7. Clicks are dropped where a cache or a database is away, or the process ends: `lost_clicks`.
//! 8. A sign-up reported again after a week counts twice: `attribution::what_was_recorded_is_answered_again`.
//! 9. Two reports of one sale at once pass a cache together: `attribution::once_however_many_report_it_at_once`.
//! 10. A report that counts for nobody is answered as if it did: `attribution::what_counts_for_nobody_says_why`.
//! 11. First or last click is the browser's to decide: `attribution::the_first_or_the_last_click_counts`.
//! 12. A later click of a known customer is ignored silently, or moves it: `attribution::a_payment_may_say_how_the_customer_came`.
//! 13. Counters drift, and nothing recounts them: `ledger::verify::planted_faults_are_found`.
//! 14. Who is a first customer is guessed from a counter: `sales::figures_follow_every_change`.
//! 15. Totals leave clawbacks out: the same, and `sales::figures_over_time_have_no_gaps`.
//! 16. Earnings by group know three of seven kinds of events: `sales::earnings_by_group_have_every_amount`.
//! 17. Totals add up what other tenants' partners have earned: the same, and `isolation::link_roles`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;

mod attribution;
mod click_events;
mod clicks;
mod flags;
mod link_lists;
mod links;
mod lost_clicks;
mod programme;
mod rate_service;
mod rewards;
mod sales;
mod splits;

/// Waits until so many clicks are in the database.
async fn until_written(world: &World, count: i64) {
    for _ in 0..500 {
        if world.number("SELECT count(*) FROM link_clicks").await >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.number("SELECT count(*) FROM link_clicks").await, count);
}

/// The path of a link's short address.
fn path(link: &Value) -> String {
    format!("/l/{}", link["key"].as_str().expect("a key"))
}

/// What has come of a link.
async fn figures(world: &World, link: &Value) -> Value {
    let query = "query ($id: ID!) { link(id: $id) { figures { clicks visitors } } }";
    world.owner_a(query, json!({"id": link["id"]})).await.data()["link"]["figures"].clone()
}
