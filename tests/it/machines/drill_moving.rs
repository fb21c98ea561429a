//! A tenant is moved to another cluster under load: nothing acknowledged is lost or made twice.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use super::drill::{half, print};
use crate::support::{
    sql::{number, text},
    traffic::{Traffic, ask, partner},
    two_clusters::{TwoClusters, rows_of},
};

/// Follows a link again and again, and gives the ids of the clicks that it was promised.
async fn follow(address: SocketAddr, key: String, is_over: Arc<AtomicBool>) -> HashSet<String> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut clicks = HashSet::new();
    while !is_over.load(Ordering::Relaxed) {
        let answer =
            client.get(format!("http://{address}/l/{key}")).header("user-agent", "Mozilla/5.0 Firefox/130.0").send().await;
        assert!(!answer.as_ref().is_ok_and(|answer| answer.status() == 404), "a link that is there is never said not to be");
        let location = answer.ok().and_then(|answer| Some(answer.headers().get("location")?.to_str().ok()?.to_owned()));
        clicks.extend(location.and_then(|address| Some(address.split("click_id=").nth(1)?.to_owned())));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clicks
}

/// A tenant in use is moved: nothing that was acknowledged is lost or made twice, it is held for less than two seconds, its subscriber gets `CURSOR_EXPIRED`, each click is
/// counted once, and the books hold on both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_in_use_is_moved() {
    let mut both = TwoClusters::start().await;
    let token = partner(&both.main).await;
    both.said(&["seed", "--partners", "5", "--leads", "200", "--invoices", "50", "--clicks", "500", "--members", "20"]);
    let tenant = both.tenant().await;
    let link = "FROM links l JOIN enrolments e USING (tenant_id, partner_id, programme_id) WHERE e.status = 'approved' AND host IS NULL AND archived_at IS NULL
        AND expires_at IS NULL ORDER BY key LIMIT 1";
    let key = text(&mut both.main.administrator, &format!("SELECT key {link}")).await;
    let clicks_of_link = format!("SELECT count(*) FROM link_clicks WHERE link_id = (SELECT l.id {link})");
    let seeded = number(&mut both.main.administrator, &clicks_of_link).await;
    let (_servers, balancer) = both.servers().await;
    let traffic = Traffic::start(balancer.address, &token, 6).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn(follow(balancer.address, key, Arc::clone(&is_over)));
    tokio::time::sleep(half()).await;
    let before = traffic.acknowledged();
    let moved = both.said(&["tenant", "move", "main", "b"]);
    let while_moving = traffic.acknowledged() - before;
    tokio::time::sleep(half()).await;
    assert!(traffic.acknowledged() - before > while_moving, "nothing is taken after the move");
    let counts = traffic.end(&mut both.on_b).await;
    print("a tenant is moved to another cluster", &counts);
    assert_eq!((counts.lost, counts.doubled, counts.twice), (0, 0, 0), "{counts:?}");
    assert!(while_moving > 20 && counts.expired > 0, "{counts:?}");
    let held = moved.split("held for ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a time");
    assert!(held.parse::<f64>().expect("a number") < 2.0, "{moved}");
    assert!(moved.contains("rules hold for main on b.") && moved.contains("rules hold for the others on main."), "{moved}");
    // Those that are on the way into the database arrive.
    is_over.store(true, Ordering::Relaxed);
    let clicks = following.await.expect("it ends");
    let promised = i64::try_from(clicks.len()).expect("few");
    let begun = Instant::now();
    let mut counted = 0;
    while counted < promised && begun.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        counted = number(&mut both.on_b, &clicks_of_link).await - seeded;
    }
    assert!(promised > 20);
    assert_eq!(counted, promised, "clicks that were promised, and those that are there");
    assert_eq!(rows_of(&mut both.main.administrator, &tenant).await, 0);
    assert!(rows_of(&mut both.on_b, &tenant).await > 1_000);
    let slugs = "SELECT coalesce(string_agg(slug, ' '), '') FROM tenants";
    assert_eq!(text(&mut both.main.administrator, slugs).await, "");
    assert_eq!(text(&mut both.on_b, slugs).await, "main");
    let verified = both.said(&["verify"]);
    assert!(
        verified.contains("main:\nThere is nothing to check") && verified.contains("b:\n") && verified.contains("PASS: all"),
        "{verified}"
    );
    // The months of clicks that were made there are the owner's, and behind the same wall.
    let others = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '__diesel_schema_migrations'
        AND (relowner <> 'portal_owner'::regrole OR NOT relrowsecurity)";
    assert_eq!(number(&mut both.on_b, others).await, 0);
    both.nothing_is_left().await;
    ask(&reqwest::Client::new(), balancer.address, &token, "{ me { user { id } } }", json!({})).await.expect("an answer");
}
