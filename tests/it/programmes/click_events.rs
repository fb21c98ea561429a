//! Clicks one by one, by where they came from, and as they happen.

use partner_portal::models::programmes::click::{self, Click, Device};
use serde_json::{Value, json};

use super::{path, until_written};
use crate::live::subscriptions::settled;
use crate::support::{
    World,
    listening::Listening,
    programmes::made_click,
    tokens::{staff_token, token},
    world::{ACME, Setup},
};

const CLICKS: &str = "query ($id: ID!, $first: Int, $after: String, $filter: LinkClickFilter) { link(id: $id) {
    clicks(first: $first, after: $after, filter: $filter) { totalCount pageInfo { endCursor hasNextPage }
        nodes { id isCounted isBot isPrefetch isRepeat referrer country device browser link { id } } } } }";

/// Clicks of visitors of their own, from these referrers and countries.
async fn clicks(world: &World, link: &Value, from: &[(Option<&str>, Option<&str>)]) {
    let click = |(number, (referrer, country)): (usize, &(Option<&str>, Option<&str>))| Click {
        visitor: uuid::Uuid::from_u128(number as u128 + 1),
        referrer: referrer.map(str::to_owned),
        country: country.map(str::to_owned),
        device: Some(Device::Phone),
        browser: Some("Firefox".to_owned()),
        ..made_click(world, link)
    };
    let clicks: Vec<Click> = from.iter().enumerate().map(click).collect();
    click::write(&world.owner().await, &clicks).await.expect("written");
}

/// Each click is in the list below its link, with what is known of it and whether it counts, page by page; another partner sees none of it.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_are_a_list() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    clicks(&world, &link, &[(Some("news.example"), Some("CH")), (None, None)]).await;
    let robot = Click { is_bot: true, ..made_click(&world, &link) };
    click::write(&world.owner().await, &[robot]).await.expect("written");
    let list = async |subject: &str, variables: Value| {
        let mut all = json!({"id": link["id"]});
        all.as_object_mut().expect("an object").extend(variables.as_object().expect("an object").clone());
        world.acme(subject, CLICKS, all).await.data()["link"]["clicks"].clone()
    };
    let first = list("owner_a", json!({"first": 1})).await;
    assert_eq!(
        (&first["totalCount"], &first["nodes"][0]["isBot"], &first["nodes"][0]["isCounted"]),
        (&json!(3), &json!(true), &json!(false))
    );
    let rest = list("owner_a", json!({"first": 9, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!(rest["nodes"].as_array().map(Vec::len), Some(2));
    let counted = list("owner_a", json!({"filter": {"counted": true}})).await;
    let mut known = counted["nodes"].as_array().expect("a list").iter().find(|row| row["country"] == "CH").expect("it").clone();
    let id = known["id"].take();
    assert_eq!(
        known,
        json!({"id": null, "isCounted": true, "isBot": false, "isPrefetch": false, "isRepeat": false, "referrer": "news.example", "country": "CH",
               "device": "PHONE", "browser": "Firefox", "link": {"id": link["id"]}})
    );
    assert_eq!(counted["totalCount"], 2);
    assert_eq!(list("owner_a", json!({"filter": {"at": {"before": "2020-01-01"}}})).await["totalCount"], 0);
    let node = "query ($id: ID!) { node(id: $id) { __typename id } }";
    assert_eq!(world.owner_a(node, json!({"id": id})).await.data()["node"]["__typename"], "LinkClick");
    assert_eq!(world.acme("owner_b", node, json!({"id": id})).await.data()["node"], Value::Null);
    let others =
        world.acme("owner_b", "query ($id: ID!) { link(id: $id) { clicks { totalCount } } }", json!({"id": link["id"]})).await;
    assert_eq!(others.data()["link"], Value::Null);
}

/// Where most clicks came from, of a link, a programme, an enrolment and a partner: those that count alone, the largest first, the unknown as null,
/// of a period and of all that is kept; 50 links cost no more statements than one.
#[tokio::test(flavor = "multi_thread")]
async fn tops_of_clicks() {
    let world = World::new().await;
    let (one, two) = (world.link("https://example.com/1").await, world.link("https://example.com/2").await);
    let news = (Some("news.example"), Some("CH"));
    clicks(&world, &one, &[news, news, (Some("blog.example"), Some("DE")), (None, Some("CH"))]).await;
    clicks(&world, &two, &[(Some("blog.example"), None), (Some("blog.example"), None)]).await;
    let robot = Click { is_bot: true, referrer: Some("robots.example".to_owned()), ..made_click(&world, &one) };
    click::write(&world.owner().await, &[robot]).await.expect("written");
    let query = "query ($id: ID!, $period: PeriodInput) { link(id: $id) { figures(period: $period) { referrers: top(by: REFERRER, first: 2) { value clicks }
        countries: top(by: COUNTRY) { value clicks } devices: top(by: DEVICE) { value clicks } browsers: top(by: BROWSER) { value clicks } }
        programme { figures { top(by: REFERRER) { value clicks } } enrolments { nodes { figures { top(by: REFERRER) { value clicks } } } } }
        partner { linkFigures { top(by: REFERRER) { value clicks } } } } }";
    let found = world.owner_a(query, json!({"id": one["id"]})).await.data()["link"].clone();
    let part = |value: Value, clicks: i64| json!({"value": value, "clicks": clicks});
    assert_eq!(
        found["figures"],
        json!({"referrers": [part(json!("news.example"), 2), part(Value::Null, 1)],
            "countries": [part(json!("CH"), 3), part(json!("DE"), 1)], "devices": [part(json!("phone"), 4)], "browsers": [part(json!("Firefox"), 4)]})
    );
    let all = json!([part(json!("blog.example"), 3), part(json!("news.example"), 2), part(Value::Null, 1)]);
    for top in [
        &found["programme"]["figures"],
        &found["programme"]["enrolments"]["nodes"][0]["figures"],
        &found["partner"]["linkFigures"],
    ] {
        assert_eq!(top["top"], all);
    }
    let before = world.owner_a(query, json!({"id": one["id"], "period": {"from": "2020-01-01", "before": "2020-02-01"}})).await;
    assert_eq!(before.data()["link"]["figures"]["referrers"], json!([]));
    let days = [0, 1].map(|days| (world.app.clock.now() + chrono::TimeDelta::days(days)).date_naive().to_string());
    let now = json!({"id": one["id"], "period": {"from": days[0], "before": days[1]}});
    assert_eq!(world.owner_a(query, now).await.data()["link"]["figures"]["countries"][0], part(json!("CH"), 3));
    let refused = world
        .owner_a(
            "query ($id: ID!) { link(id: $id) { figures { top(by: DEVICE, first: 0) { clicks } } } }",
            json!({"id": one["id"]}),
        )
        .await;
    assert!(refused.message().contains("first: must be from 1 to 100"), "{}", refused.message());
    assert_eq!(world.broken_rules().await, [""; 0]);
    // The parts go with the clicks.
    let later = world.app.clock.now() + chrono::TimeDelta::days(70);
    partner_portal::jobs::keep_clicks(&world.app.pool, &world.app.clock, later).await.expect("dropped");
    assert_eq!(world.number("SELECT count(*) FROM link_click_parts").await, 0);
}

/// Subscribers of one partner receive one event for its clicks, however many there are at once, and one for each sign-up; other partners receive none.
/// Subscribers of all partners receive sign-ups alone.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_and_sign_ups_are_told_of() {
    let world = World::with(Setup { is_live: true, ..Setup::default() }).await;
    let link = world.link("https://example.com/").await;
    let listening = Listening::start(&world).await;
    let watch = "subscription ($kinds: [ChangeKind!], $partner: ID) { changes(kinds: $kinds, partnerId: $partner) { __typename
        ... on ClicksChange { partner { id linkFigures { clicks } } } ... on SignUpChange { signUp { name link { id } } } } }";
    let kinds = json!(["CLICKS", "SIGN_UP"]);
    let mut owner = listening.connect(&token("owner_a", ACME)).await;
    owner.subscribe("one", watch, json!({"kinds": kinds})).await;
    let mut other = listening.connect(&token("owner_b", ACME)).await;
    other.subscribe("one", watch, json!({"kinds": kinds})).await;
    let mut staff = listening.connect(&staff_token("operator", ACME)).await;
    staff.subscribe("all", watch, json!({"kinds": kinds})).await;
    let refused = "subscription { changes(kinds: [CLICKS]) { __typename } }";
    staff.subscribe("none", refused, json!({})).await;
    let error = staff.receive().await;
    assert!(error.to_string().contains("clicks are told of to those who watch one partner"), "{error}");
    settled(&world, 3).await;
    let writing = world.follow_links().await;
    for number in 0..8 {
        world.follow(&path(&link), &format!("203.0.113.{number}")).await;
    }
    until_written(&world, 8).await;
    let mut counted = json!(0);
    let mut messages = 0;
    while counted != json!(8) {
        let change = owner.next("one").await["changes"].clone();
        assert_eq!((&change["__typename"], &change["partner"]["id"]), (&json!("ClicksChange"), &json!(world.a.to_string())));
        counted = change["partner"]["linkFigures"]["clicks"].clone();
        messages += 1;
    }
    assert!(messages <= 2, "{messages} messages for what happened at once");
    world.sign_up(json!({"customerExternalId": "cus", "linkKey": link["key"], "name": "Trial"})).await;
    let change = owner.next("one").await["changes"].clone();
    assert_eq!(change, json!({"__typename": "SignUpChange", "signUp": {"name": "Trial", "link": {"id": link["id"]}}}));
    let change = staff.next("all").await["changes"].clone();
    assert_eq!(change["__typename"], "SignUpChange");
    assert!(other.is_silent(std::time::Duration::from_millis(300)).await);
    for task in writing {
        task.abort();
    }
}
