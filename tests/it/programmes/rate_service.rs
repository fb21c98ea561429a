//! The commission-rate service: what it knows becomes the first rule of a shop's programme, and no link ever waits long or fails because of it.

use chrono::TimeDelta;
use futures_util::future::join_all;
use partner_portal::jobs;
use serde_json::{Value, json};

use crate::support::{
    World,
    programmes::CREATE_LINK,
    rate_service::{FakeRates, Reply},
    world::{Setup, keyed},
};

async fn world_with(rates: &FakeRates) -> World {
    World::with(Setup { rates: Some(rates.url.clone()), ..Setup::default() }).await
}

/// What operators see of the programme of a shop.
async fn programme(world: &World, domain: &str) -> Value {
    let query = "query ($domain: String!) { programmes(filter: { search: $domain }) { nodes { rateSource rateAskedAt
        reward { kind rate flatAmount { amount } version createdBy { id } } } } }";
    world.operator(query, json!({"domain": domain})).await.data()["programmes"]["nodes"][0].clone()
}

async fn maintain(world: &World) -> usize {
    jobs::ask_for_rates(&world.app.pool, &world.app.clock, &world.app.rates).await.expect("maintenance")
}

/// The first link to a shop asks for its rate, once however many there are at once; the programme's first rule is nobody's, and what the service
/// said is kept as it said it. Links to a shop that has its programme ask for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_link_asks_for_the_rate() {
    let rates = FakeRates::start().await;
    rates.always(Reply::percentage("12.5"));
    let world = world_with(&rates).await;
    let links = join_all((0..24).map(async |number: i32| {
        let owner = ["owner_a", "owner_b"][usize::try_from(number % 2).expect("an index")];
        world.create_link(owner, json!({"url": format!("https://shop.example.com/{number}")})).await
    }));
    for link in links.await {
        assert_eq!(link["userErrors"], json!([]));
    }
    let [(query, authorization)] = &rates.asked()[..] else { panic!("asked more than once") };
    assert!(
        query.starts_with(&format!("domain=example.com&tenant={}&url=https%3A%2F%2Fshop.example.com%2F", world.acme)),
        "{query}"
    );
    assert_eq!(authorization, "Bearer rate-token");
    let mut shown = programme(&world, "example.com").await;
    assert!(shown["rateAskedAt"].take().is_string());
    let reward = json!({"kind": "PERCENTAGE", "rate": "0.1250", "flatAmount": null, "version": 1, "createdBy": null});
    assert_eq!(shown, json!({"rateSource": "SERVICE", "rateAskedAt": null, "reward": reward}));
    let kept = world.text("SELECT answer FROM programme_rate_answers").await;
    assert_eq!(kept, r#"{"type": "PERCENTAGE", "value": "12.5", "source": "test"}"#);
    world.link("https://example.com/another").await;
    world.create_link_as_operator(json!({"partnerId": world.b.to_string(), "url": "https://example.com/more"})).await;
    assert_eq!(rates.asked(), []);
}

/// Zero is a rate; an amount for each payment is one too; and what cannot be one is none, so that the rules of the tenant hold.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_makes_of_a_programme() {
    let rates = FakeRates::start().await;
    let world = world_with(&rates).await;
    let flat = r#"{"type": "FLAT", "value": "7.50", "currency": "USD", "domain": "flat.com"}"#;
    let too_long = format!(r#"{{"type": "PERCENTAGE", "value": 10, "raw": "{}"}}"#, "x".repeat(9_000));
    let elsewhere = FakeRates::start().await;
    elsewhere.always(Reply::percentage("99"));
    for (domain, reply, source, reward) in [
        ("zero.com", Reply::percentage("0"), "SERVICE", json!("0.0000")),
        ("flat.com", Reply::Says(200, flat.to_owned()), "SERVICE", json!("7.50")),
        ("none.com", Reply::Says(204, String::new()), "DEFAULT", Value::Null),
        ("unknown.com", Reply::Says(404, "?".to_owned()), "DEFAULT", Value::Null),
        ("hundredfold.com", Reply::percentage("1250"), "DEFAULT", Value::Null),
        ("below.com", Reply::percentage("-1"), "DEFAULT", Value::Null),
        ("precise.com", Reply::percentage("12.345"), "DEFAULT", Value::Null),
        ("words.com", Reply::Says(200, "<html>".to_owned()), "DEFAULT", Value::Null),
        ("other.com", Reply::Says(200, flat.to_owned()), "DEFAULT", Value::Null),
        ("long.com", Reply::Says(200, too_long), "DEFAULT", Value::Null),
        ("refused.com", Reply::Says(401, String::new()), "DEFAULT", Value::Null),
        // What is for one address is not sent to another, and neither is the token.
        ("moved.com", Reply::SendsTo(elsewhere.url.to_string()), "DEFAULT", Value::Null),
    ] {
        // So that failures do not add up.
        rates.then(reply);
        world.link(&format!("https://{domain}/")).await;
        let shown = programme(&world, domain).await;
        let rate = [&shown["reward"]["rate"], &shown["reward"]["flatAmount"]["amount"]].into_iter().find(|rate| !rate.is_null());
        assert_eq!((&shown["rateSource"], rate.unwrap_or(&Value::Null)), (&json!(source), &reward), "{domain}");
        assert_eq!(rates.asked().len(), 1, "{domain}");
        world.app.clock.advance(TimeDelta::seconds(31));
    }
    assert_eq!(elsewhere.asked(), []);
}

/// A service that fails is asked once more, and keeps no link from being made; after three failures it is left alone for half a minute. What came
/// by default is asked for again by maintenance: at once where there was no answer, after an hour where there was no rate.
#[tokio::test(flavor = "multi_thread")]
async fn failures_are_asked_about_again() {
    let rates = FakeRates::start().await;
    rates.always(Reply::Says(503, String::new()));
    let world = world_with(&rates).await;
    for (number, asked) in [(1, 2), (2, 2), (3, 2), (4, 0), (5, 0)] {
        world.link(&format!("https://shop{number}.com/")).await;
        assert_eq!(rates.asked().len(), asked, "{number}");
    }
    assert_eq!((maintain(&world).await, rates.asked().len()), (0, 0));
    world.app.clock.advance(TimeDelta::seconds(31));
    // One failure is enough now.
    assert_eq!((maintain(&world).await, rates.asked().len()), (0, 2));
    world.app.clock.advance(TimeDelta::seconds(31));
    rates.always(Reply::percentage("5"));
    rates.then(Reply::Says(404, String::new()));
    assert_eq!((maintain(&world).await, rates.asked().len()), (4, 5));
    assert_eq!((maintain(&world).await, rates.asked().len()), (0, 0));
    let without = "(SELECT count(*) FROM programmes WHERE rate_source = 'default')";
    assert_eq!(world.number(without).await, 1);
    world.app.clock.advance(TimeDelta::minutes(61));
    assert_eq!((maintain(&world).await, rates.asked().len()), (1, 1));
    assert_eq!(world.number(without).await, 0);
}

/// While the service does not answer, a link is made without it, and other requests have the connections.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_silent_service() {
    let rates = FakeRates::start().await;
    rates.always(Reply::Hangs);
    let world = World::with(Setup { rates: Some(rates.url.clone()), pool: 1, ..Setup::default() }).await;
    let making = async {
        let query = "mutation ($input: CreateLinksInput!) { createLinks(input: $input) { results { link { programme { rateSource } } } } }";
        let links = json!({"input": {"links": [{"url": "https://one.com/"}, {"url": "https://two.com/"}, {"url": "https://three.com/"}]}});
        world.owner_a(query, links).await.data()["createLinks"]["results"].clone()
    };
    let reading = async {
        while rates.asked().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        world.acme("owner_b", "{ links { totalCount } }", json!({})).await.data()["links"].clone()
    };
    let made = async { (making.await, std::time::Instant::now()) };
    let read = async { (reading.await, std::time::Instant::now()) };
    let ((made, made_at), (read, read_at)) = tokio::join!(made, read);
    let default = json!({"link": {"programme": {"rateSource": "DEFAULT"}}});
    assert_eq!(made, json!([default, default, default]));
    assert_eq!(read, json!({"totalCount": 0}));
    assert!(read_at < made_at, "a read waited for the service");
}

/// What an operator has decided, the service does not change; what the service stands by until an instant is asked for again then, and a new
/// version ends the one before it. The rate stays where the service has no answer then.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_renewed_and_an_operators_stays() {
    let rates = FakeRates::start().await;
    let world = world_with(&rates).await;
    let until = partner_portal::clock::shown(world.app.clock.now() + TimeDelta::minutes(10));
    rates.then(Reply::Says(200, format!(r#"{{"type": "PERCENTAGE", "value": 10, "validUntil": "{until}"}}"#)));
    rates.then(Reply::Says(404, String::new()));
    world.link("https://renewed.com/").await;
    let chosen = world.link("https://chosen.com/").await["programme"]["id"].clone();
    let set = "mutation ($input: SetCommissionRuleInput!) { setCommissionRule(input: $input) { userErrors { code } } }";
    let rule = keyed(json!({"programmeId": chosen, "kind": "PERCENTAGE", "rate": "0.03"}));
    world.operator(set, json!({"input": rule})).await.data();
    rates.asked();
    assert_eq!((maintain(&world).await, rates.asked().len()), (0, 0));
    world.app.clock.advance(TimeDelta::minutes(11));
    assert_eq!((maintain(&world).await, rates.asked().len()), (0, 1));
    let versions =
        "(SELECT string_agg(format('%s: %s %s', version, rate, valid_to IS NULL), ', ' ORDER BY version) FROM partner_commissions
        WHERE programme_id = (SELECT id FROM programmes WHERE domain = 'renewed.com'))";
    assert_eq!(world.text(versions).await, "1: 0.1000 t");
    world.app.clock.advance(TimeDelta::minutes(61));
    rates.always(Reply::percentage("20"));
    assert_eq!((maintain(&world).await, rates.asked().len()), (1, 1));
    assert_eq!(world.text(versions).await, "1: 0.1000 f, 2: 0.2000 t");
    assert_eq!(world.text("SELECT rate_source FROM programmes WHERE domain = 'chosen.com'").await, "operator");
    assert_eq!(world.number("SELECT count(*) FROM programme_rate_answers").await, 2);
}

/// A server without the service makes links as before, by the same statements: nothing is asked, and nothing is read for it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_nothing_is_asked() {
    let world = World::new().await;
    let made = world.owner_a(CREATE_LINK, json!({"input": {"url": "https://example.com/"}})).await;
    assert_eq!(made.data()["createLink"]["link"]["programme"]["rateSource"], "DEFAULT");
    assert_eq!(maintain(&world).await, 0);
    assert_eq!(programme(&world, "example.com").await["rateAskedAt"], Value::Null);
}

/// What the service says replaces all that it said before, of whichever currency; a rule of its that an operator has ended it does not begin again.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_is_one() {
    let rates = FakeRates::start().await;
    let world = world_with(&rates).await;
    let until = partner_portal::clock::shown(world.app.clock.now() + TimeDelta::minutes(10));
    let flat = format!(r#"{{"type": "FLAT", "value": "5", "currency": "USD", "validUntil": "{until}"}}"#);
    rates.always(Reply::Says(200, flat));
    world.link("https://changed.com/").await;
    world.link("https://ended.com/").await;
    let rule = "(SELECT format('%s', id) FROM partner_commissions WHERE programme_id = (SELECT id FROM programmes WHERE domain = 'ended.com'))";
    let rule: uuid::Uuid = world.text(rule).await.parse().expect("an id");
    let end = "mutation ($id: ID!) { endCommissionRule(input: { id: $id }) { userErrors { message } } }";
    let ended = world.operator(end, json!({"id": partner_portal::ids::RuleId::from(rule).to_string()})).await;
    assert_eq!(ended.data()["endCommissionRule"]["userErrors"], json!([]));
    rates.asked();
    rates.always(Reply::percentage("2"));
    world.app.clock.advance(TimeDelta::minutes(11));
    assert_eq!((maintain(&world).await, rates.asked().len()), (1, 1));
    let open = "(SELECT string_agg(format('%s %s %s', p.domain, c.kind, c.rate), ', ') FROM partner_commissions c JOIN programmes p ON p.id = c.programme_id
        WHERE c.valid_to IS NULL OR c.valid_to > now() + interval '12 minutes')";
    assert_eq!(world.text(open).await, "changed.com percentage 0.0200");
}
