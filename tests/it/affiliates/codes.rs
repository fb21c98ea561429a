//! Invite codes.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::World;

async fn choose(world: &World, subject: &str, input: Value) -> Value {
    let query = "mutation ($input: ChooseInviteCodeInput!) { chooseInviteCode(input: $input) { replayed affiliate { inviteCode formerCodes } userErrors { code field message } } }";
    world.acme(subject, query, json!({"input": input})).await.data()["chooseInviteCode"].clone()
}

/// Everyone has a code of eight letters of Crockford's base 32, also whom an older server has added; all differ.
#[tokio::test(flavor = "multi_thread")]
async fn codes_are_long_and_drawn_by_the_system() {
    let world = World::new().await;
    let made = "SELECT count(DISTINCT code) FROM invite_codes WHERE is_current AND code ~ '^[0-9A-HJKMNP-TV-Z]{8}$'";
    assert_eq!(world.number(made).await, world.number("SELECT count(*) FROM users").await);
    world.sql("INSERT INTO users (tenant_id, id, clerk_user_id) SELECT id, gen_random_uuid(), 'n' || n FROM tenants, generate_series(1, 500) AS n").await;
    assert_eq!(world.number(made).await, world.number("SELECT count(*) FROM users").await);
    let letters = "SELECT count(DISTINCT substr(code, n, 1)) FROM invite_codes, generate_series(1, 8) AS n";
    assert_eq!(world.number(letters).await, 32);
}

/// A code of one's own choice: its form is checked, some words are reserved, and nobody has a code that looks like another's, in whichever tenant.
#[tokio::test(flavor = "multi_thread")]
async fn no_two_people_have_codes_that_look_alike() {
    let world = World::new().await;
    for (code, fault) in [
        ("ab", "TOO_SHORT"),
        ("a b c", "INVALID"),
        ("-abc", "INVALID"),
        ("añb", "INVALID"),
        ("Support", "TAKEN"),
        ("l0-gin", "TAKEN"),
    ] {
        assert_eq!(choose(&world, "owner_a", json!({"code": code})).await["userErrors"][0]["code"], fault, "{code}");
    }
    let chosen = choose(&world, "owner_a", json!({"code": "Oliver-1"})).await;
    assert_eq!(chosen["affiliate"]["inviteCode"], "Oliver-1");
    assert_eq!(choose(&world, "owner_a", json!({"code": "Oliver-1"})).await["replayed"], true);
    for alike in ["oliver1", "0L1VER-I", "O-L-I-V-E-R-1"] {
        assert_eq!(choose(&world, "owner_b", json!({"code": alike})).await["userErrors"][0]["code"], "TAKEN", "{alike}");
    }
    let all = join_all((0..8).map(|n| {
        let world = &world;
        async move { choose(world, ["owner_b", "member_a"][n % 2], json!({"code": "everybody"})).await }
    }));
    let taken = all.await.iter().filter(|answer| answer["userErrors"][0]["code"] == "TAKEN").count();
    assert_eq!(taken, 4);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A user who chooses or renews their code keeps the ones before, which others can still use, in whatever form they type them. Renewing again by the
/// same request makes no second one.
#[tokio::test(flavor = "multi_thread")]
async fn former_codes_stay_good() {
    let world = World::new().await;
    let (_, first) = world.invite_code("owner_a").await;
    assert_eq!(choose(&world, "owner_a", json!({})).await["userErrors"][0]["field"], json!(["input", "replacing"]));
    let renewed = choose(&world, "owner_a", json!({"replacing": first})).await;
    assert_eq!((&renewed["replayed"], &renewed["affiliate"]["formerCodes"]), (&json!(false), &json!([first])));
    let again = choose(&world, "owner_a", json!({"replacing": first})).await;
    assert_eq!((&again["replayed"], &again["affiliate"]), (&json!(true), &renewed["affiliate"]));
    choose(&world, "owner_a", json!({"code": "spring"})).await;
    let back = choose(&world, "owner_a", json!({"code": first.to_lowercase()})).await;
    assert_eq!(back["affiliate"]["inviteCode"], first);
    let typed = format!(" {}-{} ", &first[..4].to_lowercase(), &first[4..]);
    assert_eq!(world.accept_invite("somebody_new", &typed).await["affiliate"]["isReferred"], true);
    assert_eq!(world.accept_invite("somebody_else", "S-P-RING").await["affiliate"]["isReferred"], true);
    for number in 0..17 {
        choose(&world, "owner_a", json!({"code": format!("code-{number}")})).await;
    }
    let many = choose(&world, "owner_a", json!({"code": "one-more"})).await;
    assert_eq!(many["userErrors"][0]["code"], "OUT_OF_RANGE");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A user who tries code after code is refused, also the right one, until some time has passed; others are not.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_limited() {
    let world = World::new().await;
    let (_, code) = world.invite_code("owner_a").await;
    for number in 0..11 {
        assert_eq!(world.accept_invite("guesser", &format!("guess-{number}")).await["userErrors"][0]["code"], "NOT_FOUND");
    }
    let query = "mutation ($code: String!) { acceptInvite(input: { code: $code }) { replayed } }";
    assert_eq!(world.acme("guesser", query, json!({"code": code})).await.code(), "RATE_LIMITED");
    assert_eq!(world.accept_invite("another", &code).await["affiliate"]["isReferred"], true);
}

/// An invite link leads to the tenant's sign-up page with the code, whichever of the codes and however it is typed; a visitor's own parameters go along, but
/// none that stands for the code. It is counted once an hour for each visitor; programs, and what is fetched ahead, are not. Unknown codes, and those of a
/// tenant without such a page, lead nowhere. Another page is right at once.
#[tokio::test(flavor = "multi_thread")]
async fn invite_links_lead_to_the_sign_up_page() {
    let world = World::new().await;
    let running = world.follow_links().await;
    let (_, code) = world.invite_code("owner_a").await;
    let url = "{ me { tenant { signUpUrl } affiliate { inviteUrl figures { clicks } } } }";
    let me = world.owner_a(url, json!({})).await.data()["me"].clone();
    assert_eq!((&me["tenant"]["signUpUrl"], &me["affiliate"]["inviteUrl"]), (&Value::Null, &Value::Null));
    let answer = world.visit("GET", &format!("/i/{code}"), &[]).await;
    assert_eq!(answer.status(), 404);
    world.sql("UPDATE tenants SET sign_up_url = 'https://www.example.com/join?plan=a#top' WHERE slug = 'acme'").await;
    let me = world.owner_a(url, json!({})).await.data()["me"].clone();
    assert_eq!(me["affiliate"]["inviteUrl"], format!("https://portal.example.com/i/{code}"));
    choose(&world, "owner_a", json!({"code": "spring"})).await;
    let location = async |path: &str, headers: &[(&str, &str)]| {
        let answer = world.visit("GET", path, headers).await;
        assert_eq!(answer.status(), 302, "{path}");
        answer.headers()["location"].to_str().expect("an address").to_owned()
    };
    let browser = [("user-agent", crate::support::programmes::BROWSER)];
    let typed = format!("/i/{}-{}?a=1&invite_code=mine", &code[..3].to_lowercase(), &code[3..]);
    assert_eq!(location(&typed, &browser).await, format!("https://www.example.com/join?plan=a&a=1&invite_code={code}#top"));
    assert_eq!(location("/i/SPR1NG", &browser).await, "https://www.example.com/join?plan=a&invite_code=spring#top");
    location("/i/spring", &[("user-agent", "curl/8.0")]).await;
    location("/i/spring", &[browser[0], ("sec-purpose", "prefetch")]).await;
    assert_eq!(world.visit("GET", "/i/nobody-s", &browser).await.status(), 404);
    for _ in 0..500 {
        if world.number("SELECT count(*) FROM invite_clicks").await == 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(world.number("SELECT count(*) FROM invite_clicks WHERE NOT (is_bot OR is_prefetch OR is_repeat)").await, 1);
    assert_eq!(world.owner_a(url, json!({})).await.data()["me"]["affiliate"]["figures"]["clicks"], 1);
    world.sql("UPDATE tenants SET sign_up_url = 'https://www.example.com/other' WHERE slug = 'acme'").await;
    let mut now = String::new();
    for _ in 0..100 {
        now = location("/i/spring", &browser).await;
        if now.contains("other") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(now, "https://www.example.com/other?invite_code=spring");
    running.iter().for_each(tokio::task::JoinHandle::abort);
}
