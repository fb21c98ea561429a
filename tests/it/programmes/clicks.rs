//! Redirects and clicks: where a link leads, and what is kept and counted of who follows it.

use std::time::Duration;

use axum::http::StatusCode;
use partner_portal::{ids::ClickId, models::programmes::click};
use serde_json::json;

use super::{figures, path, until_written};
use crate::support::{
    World,
    programmes::{BROWSER, made_click},
};

/// A link leads to the shop with the click's id, its own parameters and the visitor's; the click is in the partner's figures and keeps nothing
/// of the visitor but what says nobody's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_click_leads_to_the_shop() {
    let world = World::new().await;
    let tasks = world.follow_links().await;
    let input = json!({"url": "https://shop.example.com/shoe?size=9#top", "utm": {"source": "my mail"}});
    let link = world.create_link("owner_a", input).await["link"].clone();
    let headers = [
        ("user-agent", BROWSER),
        ("x-forwarded-for", "192.0.2.99, 203.0.113.7"),
        ("referer", "https://Blog.example/post?secret=1"),
        ("cf-ipcountry", "de"),
    ];
    let answer = world
        .visit(
            "GET",
            &format!("{}?a=1&click_id=mine&click%5fid=mine", path(&link).to_uppercase().replace("/L/", "/l/")),
            &headers,
        )
        .await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location = answer.headers()["location"].to_str().expect("text").to_owned();
    let id = location
        .strip_prefix("https://shop.example.com/shoe?size=9&utm_source=my+mail&a=1&click_id=")
        .and_then(|rest| rest.strip_suffix("#top"))
        .unwrap_or_else(|| panic!("{location}"));
    assert!(id.starts_with("click_"), "{id}");
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    assert_eq!(answer.headers()["referrer-policy"], "strict-origin-when-cross-origin");
    assert!(answer.body().is_empty());
    until_written(&world, 1).await;
    let kept = world
        .text("SELECT concat_ws(' ', device, browser, country, referrer, is_bot, is_prefetch, is_repeat) FROM link_clicks")
        .await;
    assert_eq!(kept, "desktop Firefox DE blog.example f f f");
    assert_eq!(figures(&world, &link).await, json!({"clicks": 1, "visitors": 1}));
    let everything = world.text("SELECT string_agg(c::text, '') FROM link_clicks c").await;
    assert!(!everything.contains("203.0.113.7") && !everything.contains("secret"), "{everything}");
    // A key that is forgotten with its day leads from no hash back to an address.
    assert_eq!(world.number("SELECT count(*) FROM visitor_keys WHERE day < current_date - 2").await, 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Programs, previews of only the headers and browsers that fetch ahead are kept and marked, and not counted; so is the same visitor on the same link
/// less than an hour later. Another link, another visitor and an hour later count.
#[tokio::test(flavor = "multi_thread")]
async fn only_people_are_counted_and_once_an_hour() {
    let world = World::new().await;
    let tasks = world.follow_links().await;
    let (link, other) = (world.link("https://example.com/1").await, world.link("https://example.com/2").await);
    let browser = [("user-agent", BROWSER), ("x-forwarded-for", "203.0.113.7")];
    let curl = [("user-agent", "curl/8.5.0"), ("x-forwarded-for", "203.0.113.8")];
    let ahead = [("user-agent", BROWSER), ("x-forwarded-for", "203.0.113.9"), ("sec-purpose", "prefetch;prerender")];
    for (method, headers) in [("GET", &browser[..]), ("GET", &browser), ("HEAD", &browser), ("GET", &curl), ("GET", &ahead)] {
        assert_eq!(world.visit(method, &path(&link), headers).await.status(), StatusCode::FOUND);
    }
    world.follow(&path(&link), "203.0.113.10").await;
    world.follow(&path(&other), "203.0.113.7").await;
    until_written(&world, 7).await;
    let marks = "SELECT count(*) FILTER (WHERE is_bot) || ' ' || count(*) FILTER (WHERE is_prefetch) || ' ' || count(*) FILTER (WHERE is_repeat) FROM link_clicks";
    assert_eq!(world.text(marks).await, "2 1 1");
    assert_eq!(figures(&world, &link).await, json!({"clicks": 2, "visitors": 2}));
    assert_eq!(figures(&world, &other).await, json!({"clicks": 1, "visitors": 1}));
    let query = "{ partner: me { partner { linkFigures { clicks } enrolments { nodes { figures { clicks } programme { figures { clicks } } } } } } }";
    let all = world.owner_a(query, json!({})).await.data()["partner"]["partner"].clone();
    assert_eq!(
        all,
        json!({"linkFigures": {"clicks": 3}, "enrolments": {"nodes": [{"figures": {"clicks": 3}, "programme": {"figures": {"clicks": 3}}}]}})
    );
    // An hour later the same visitor counts again, if it is still the same day: a visitor is the same within a day only.
    world.app.clock.advance(chrono::TimeDelta::minutes(61));
    world.follow(&path(&link), "203.0.113.7").await;
    until_written(&world, 8).await;
    let counted = "SELECT count(*) FROM link_clicks WHERE NOT (is_bot OR is_prefetch OR is_repeat)";
    assert_eq!(world.number(counted).await, 4);
    assert_eq!(world.broken_rules().await, [""; 0]);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A link that is no more, has expired or never was answers with a page and the status that says so; none of it is a click.
#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_nowhere() {
    let world = World::new().await;
    let expired = json!({"url": "https://example.com/1", "expiresAt": "2020-01-01T00:00:00Z"});
    let expired = world.create_link("owner_a", expired).await["link"].clone();
    let moved =
        json!({"url": "https://example.com/2", "expiresAt": "2020-01-01T00:00:00Z", "expiredUrl": "https://example.com/over"});
    let moved = world.create_link("owner_a", moved).await["link"].clone();
    let archived = world.link("https://example.com/3").await;
    world.decide_on("archiveLink", json!({"id": archived["id"]}), "link { id }").await;
    for (path, status, says) in [
        (path(&expired), StatusCode::GONE, "This link has expired"),
        (path(&archived), StatusCode::GONE, "This link is no longer in use"),
        ("/l/nothing".to_owned(), StatusCode::NOT_FOUND, "There is no such link"),
        ("/l/no%20thing".to_owned(), StatusCode::NOT_FOUND, "There is no such link"),
        ("/l/%ff".to_owned(), StatusCode::NOT_FOUND, "There is no such link"),
        ("/l/%00".to_owned(), StatusCode::NOT_FOUND, "There is no such link"),
        (format!("/l/{}", "x".repeat(5_000)), StatusCode::NOT_FOUND, "There is no such link"),
    ] {
        let answer = world.visit("GET", &path, &[("user-agent", BROWSER)]).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert!(answer.body().contains(says), "{path}: {}", answer.body());
    }
    assert_eq!(world.follow(&path(&moved), "203.0.113.7").await, "https://example.com/over");
    // Clicks on a suspended partner's part, or a closed partner's links, would earn nothing: the visitor comes to the shop all the same.
    let link = world.link("https://example.com/4").await;
    let enrolment =
        world.owner_a("{ enrolments { nodes { id } } }", json!({})).await.data()["enrolments"]["nodes"][0]["id"].clone();
    world.decide_on("decideEnrolment", json!({"id": enrolment, "status": "SUSPENDED", "reason": "R"}), "enrolment { id }").await;
    assert_eq!(world.follow(&path(&link), "203.0.113.7").await, "https://example.com/4");
    assert_eq!(world.app.clicks.backlog(), 0);
}

/// On a host of a tenant's own a link stands right behind the host; nothing else there is a link, and no other host has any.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_tenants_own() {
    let world = World::new().await;
    let tasks = world.follow_links().await;
    let server_own = world.link("https://example.com/0").await;
    world.sql(&format!("INSERT INTO link_hosts (tenant_id, host) VALUES ('{}', 'go.example.com')", world.acme.uuid())).await;
    for _ in 0..100 {
        if world.app.clicks.is_host("go.example.com") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let link = world.create_link("owner_a", json!({"url": "https://example.com/1", "key": "Summer"})).await["link"].clone();
    assert_eq!(link["shortUrl"], "https://go.example.com/Summer");
    let on = |host| [("user-agent", BROWSER), ("host", host)];
    let answer = world.visit("GET", "/summer?x=1", &on("GO.example.com:443")).await;
    assert!(answer.headers()["location"].to_str().expect("text").starts_with("https://example.com/1?x=1&click_id=click_"));
    let picture = world.visit("GET", "/summer/qr.svg", &on("go.example.com")).await;
    assert_eq!(picture.headers()["content-type"], "image/svg+xml");
    assert!(picture.body().contains("<svg"));
    let own_key = server_own["key"].as_str().expect("a key");
    for (path, host) in [
        (format!("/{own_key}"), "go.example.com"),
        ("/summer".to_owned(), "other.example.com"),
        ("/summer/x".to_owned(), "go.example.com"),
        ("/l/summer".to_owned(), "go.example.com"),
        // Links of other tenants, on the server's own host, are none there.
        (format!("/l/{own_key}"), "go.example.com"),
        (format!("/l/{own_key}/qr.svg"), "go.example.com"),
        ("/".to_owned(), "go.example.com"),
    ] {
        assert_eq!(world.visit("GET", &path, &on(host)).await.status(), StatusCode::NOT_FOUND, "{path} on {host}");
    }
    let posted = world.visit("POST", "/summer", &on("go.example.com")).await;
    assert_eq!(
        (posted.status(), &posted.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().expect("a value"))
    );
    let own = world.visit("GET", &format!("/l/{own_key}/qr.svg"), &[]).await;
    assert!(own.status() == StatusCode::OK && own.body().contains("<svg"));
    assert_eq!(world.visit("GET", "/l/nothing/qr.svg", &[]).await.status(), StatusCode::NOT_FOUND);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A link that is changed, archived or restored leads so within a second, also by another server that has remembered it.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_followed_within_a_second() {
    let world = World::new().await;
    let twin = world.twin().await;
    let tasks = world.follow_links().await.into_iter().chain(twin.follow_links().await);
    let tasks: Vec<_> = tasks.collect();
    let link = world.link("https://example.com/1").await;
    let until = async |status: StatusCode, leads: &str| {
        for server in [&world, &twin] {
            let mut last = String::new();
            for _ in 0..50 {
                let answer = server.visit("GET", &path(&link), &[("user-agent", BROWSER)]).await;
                last = format!("{} {:?}", answer.status(), answer.headers().get("location"));
                if answer.status() == status && last.contains(leads) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(last.contains(leads) && last.contains(status.as_str()), "{last}");
        }
    };
    until(StatusCode::FOUND, "example.com/1").await;
    world.decide_on("updateLink", json!({"id": link["id"], "url": "https://example.com/2"}), "link { id }").await;
    until(StatusCode::FOUND, "example.com/2").await;
    world.decide_on("archiveLink", json!({"id": link["id"]}), "link { id }").await;
    until(StatusCode::GONE, "").await;
    world.decide_on("restoreLink", json!({"id": link["id"]}), "link { id }").await;
    until(StatusCode::FOUND, "click_id").await;
    let id = world.owner_a("{ enrolments { nodes { id } } }", json!({})).await.data()["enrolments"]["nodes"][0]["id"].clone();
    world.decide_on("decideEnrolment", json!({"id": id, "status": "SUSPENDED", "reason": "R"}), "enrolment { id }").await;
    until(StatusCode::FOUND, "example.com/2\")").await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A visitor who guesses keys is turned away after some time, and may go on following links that there are.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_limited() {
    let world = World::new().await;
    let link = world.link("https://example.com/1").await;
    world.follow(&path(&link), "203.0.113.7").await;
    let guess = async |address: &str, number: usize| {
        let headers = [("user-agent", BROWSER), ("x-forwarded-for", address)];
        world.visit("GET", &format!("/l/guess{number}"), &headers).await.status()
    };
    let mut last = StatusCode::NOT_FOUND;
    for number in 0..100 {
        last = guess("203.0.113.7", number).await;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess("203.0.113.8", 0).await, StatusCode::NOT_FOUND);
    // A whole network of IPv6 is one guesser.
    for number in 0..70 {
        guess(&format!("2001:db8::{number:x}"), number).await;
    }
    assert_eq!(guess("2001:db8::ffff", 0).await, StatusCode::TOO_MANY_REQUESTS);
    world.follow(&path(&link), "203.0.113.7").await;
    let picture = world.visit("GET", "/l/guess/qr.svg", &[("x-forwarded-for", "203.0.113.7")]).await;
    assert_eq!(picture.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// Of one address so many clicks are kept at once and no more: a flood fills no disk. Its visitors come to the shop all the same, and others' clicks are
/// kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_not_kept() {
    let world = World::new().await;
    let link = world.link("https://example.com/1").await;
    let mut kept = 0;
    for _ in 0..1_200 {
        kept += usize::from(world.follow(&path(&link), "203.0.113.7").await.contains("click_id="));
    }
    assert!((1_000..1_200).contains(&kept), "{kept}");
    assert!(world.follow(&path(&link), "203.0.113.8").await.contains("click_id="));
}

/// A click that is written again, by whichever server, is the same click.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_are_written_once() {
    let world = World::new().await;
    let link = world.link("https://example.com/1").await;
    world.clicks(&link, 5).await;
    let connection = world.owner().await;
    let made = made_click(&world, &link);
    let again = click::Click { id: ClickId::new(), ..made.clone() };
    assert_eq!(click::write(&connection, &[made.clone(), again.clone()]).await.expect("written"), 2);
    assert_eq!(click::write(&connection, &[again, made.clone()]).await.expect("written"), 0);
    assert_eq!(figures(&world, &link).await, json!({"clicks": 6, "visitors": 6}));
    // Of a link that is not there, or of another tenant's, nothing is written.
    let elsewhere = click::Click { id: ClickId::new(), tenant: world.globex, ..made };
    assert_eq!(click::write(&connection, &[elsewhere]).await.expect("written"), 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Clicks are in partitions by month, which are made ahead; those of months long gone are dropped, and their totals stay.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_are_kept_for_some_time() {
    let world = World::new().await;
    let link = world.link("https://example.com/1").await;
    let month = |month: u32| chrono::NaiveDate::from_ymd_opt(2020, month, 1).expect("a day");
    let tables =
        "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits WHERE inhparent = 'link_clicks'::regclass";
    let connection = world.owner().await;
    click::prepare(&connection, &[month(1), month(2), month(3), month(2)]).await.expect("made");
    assert_eq!(world.text(tables).await, "link_clicks_2020_01 link_clicks_2020_02 link_clicks_2020_03");
    world.clicks(&link, 2).await;
    assert_eq!(click::forget(&connection, month(3)).await.expect("dropped"), 2);
    // What comes so late that its month is forgotten was counted long ago.
    let late = uuid::Timestamp::from_unix(uuid::NoContext, 1_577_900_000, 0);
    let late = click::Click { id: uuid::Uuid::new_v7(late).into(), ..made_click(&world, &link) };
    assert_eq!(click::write(&connection, &[late]).await.expect("nothing is written"), 0);
    assert_eq!(
        partner_portal::jobs::keep_clicks(&world.app.pool, &world.app.clock, world.app.clock.now()).await.expect("kept"),
        1
    );
    assert_eq!(world.number("SELECT count(*) FROM link_clicks").await, 2);
    let later = world.app.clock.now() + chrono::TimeDelta::days(40);
    partner_portal::jobs::keep_clicks(&world.app.pool, &world.app.clock, later).await.expect("dropped");
    assert_eq!(world.number("SELECT count(*) FROM link_clicks").await, 0);
    assert_eq!(figures(&world, &link).await, json!({"clicks": 2, "visitors": 2}));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Figures of a period are those of its quarters of an hour, in whichever time zone its days begin.
#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_period() {
    let world = World::new().await;
    let link = world.link("https://example.com/1").await;
    let at = |text: &str| {
        let at: chrono::DateTime<chrono::Utc> = text.parse().expect("an instant");
        let instant = uuid::Timestamp::from_unix(uuid::NoContext, at.timestamp().unsigned_abs(), 0);
        click::Click { id: uuid::Uuid::new_v7(instant).into(), ..made_click(&world, &link) }
    };
    // The last of them is on the next day in Kathmandu, which is 5:45 ahead.
    let clicks = ["2026-03-01T00:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T18:14:59Z", "2026-03-01T18:15:00Z"].map(at);
    click::write(&world.owner().await, &clicks).await.expect("written");
    let query = "query ($id: ID!) { link(id: $id) {
        utc: figures(period: { from: \"2026-03-01\", before: \"2026-03-02\" }) { clicks }
        kathmandu: figures(period: { from: \"2026-03-01\", before: \"2026-03-02\", timeZone: \"Asia/Kathmandu\" }) { clicks }
        next: figures(period: { from: \"2026-03-02\", before: \"2026-03-03\", timeZone: \"Asia/Kathmandu\" }) { clicks }
        hours: figures(period: { from: \"2026-03-01T11:59:00Z\", before: \"2026-03-01T12:15:00Z\" }) { clicks }
        month: figures(period: { from: \"2026-02-01\", before: \"2026-04-01\" }) { clicks } } }";
    let seen = world.owner_a(query, json!({"id": link["id"]})).await.data()["link"].clone();
    let clicks = |name: &str| seen[name]["clicks"].clone();
    assert_eq!(
        ["utc", "kathmandu", "next", "hours", "month"].map(clicks),
        [json!(4), json!(3), json!(1), json!(1), json!(4)],
        "{seen}"
    );
}

/// Figures of many links are one statement for each period that is asked for, however many links there are.
#[tokio::test(flavor = "multi_thread")]
async fn figures_are_one_statement() {
    let world = World::new().await;
    let query = "{ links { nodes { figures { clicks visitors } march: figures(period: { from: \"2026-03-01\", before: \"2026-04-01\" }) { clicks } } } }";
    world.clicks(&world.link("https://example.com/0").await, 2).await;
    let few = world.owner_a(query, json!({})).await;
    for number in 1..12 {
        world.clicks(&world.link(&format!("https://example.com/{number}")).await, 3).await;
    }
    let many = world.owner_a(query, json!({})).await;
    assert_eq!(many.data()["links"]["nodes"][0]["figures"], json!({"clicks": 3, "visitors": 3}));
    assert_eq!(crate::support::log::operation(&many)["statements"], crate::support::log::operation(&few)["statements"]);
}
