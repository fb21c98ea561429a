//! Who referred whom.

use serde_json::{Value, json};

use crate::support::{
    World, sign,
    tokens::good_claims,
    world::{ACME, GLOBEX},
};

async fn correct(world: &World, user: &str, referrer: Option<&str>) -> Value {
    let query = "mutation ($input: CorrectReferrerInput!) { correctReferrer(input: $input) { replayed affiliate { referredBy { id } referralHistory { means reason isCurrent } } userErrors { code field message } } }";
    let input = json!({"userId": user, "referrerId": referrer, "reason": "They said so"});
    world.operator(query, json!({"input": input})).await.data()["correctReferrer"].clone()
}

async fn id(world: &World, subject: &str) -> String {
    world.invite_code(subject).await.0
}

/// A code that is nobody's is refused with a sentence; one in a token keeps nobody from signing up, and can be put right for seven days.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_is_said_to_be_wrong() {
    let world = World::new().await;
    let refused = world.accept_invite("person", "nobody-s").await;
    assert_eq!(
        refused["userErrors"][0],
        json!({"code": "NOT_FOUND", "field": ["input", "code"], "message": "Nobody has this code. Please check it."})
    );
    let mut claims = good_claims("claimer", ACME);
    claims["invite_code"] = json!("nobody-s");
    let me = world.run(&sign(&claims), "{ me { affiliate { isReferred canAcceptInviteUntil } } }", json!({})).await.data()["me"]
        .clone();
    assert_eq!(me["affiliate"]["isReferred"], false);
    assert!(me["affiliate"]["canAcceptInviteUntil"].is_string());
    // A code of another tenant's is nobody's here.
    let other = world.run(&crate::support::token("owner_g", GLOBEX), "{ me { affiliate { inviteCode } } }", json!({})).await;
    let code = other.data()["me"]["affiliate"]["inviteCode"].as_str().expect("a code").to_owned();
    assert_eq!(world.accept_invite("person", &code).await["userErrors"][0]["code"], "NOT_FOUND");
}

/// Nobody refers themselves, by any of their codes, and nobody whom they have referred themselves, over however many others.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_refers_themselves() {
    let world = World::new().await;
    let people = ["first", "second", "third", "fourth"];
    let mut codes = Vec::new();
    for person in people {
        codes.push(world.invite_code(person).await.1);
    }
    assert_eq!(world.accept_invite("first", &codes[0]).await["userErrors"][0]["code"], "INVALID");
    for number in 1..4 {
        assert_eq!(world.accept_invite(people[number], &codes[number - 1]).await["affiliate"]["isReferred"], true);
    }
    for code in &codes[1..] {
        assert_eq!(world.accept_invite("first", code).await["userErrors"][0]["code"], "INVALID", "{code}");
    }
    let (first, last) = (id(&world, "first").await, id(&world, "fourth").await);
    assert_eq!(correct(&world, &first, Some(&last)).await["userErrors"][0]["code"], "INVALID");
    assert_eq!(correct(&world, &first, Some(&first)).await["userErrors"][0]["code"], "INVALID");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Decided once: by the claim of the first token alone, or by accepting, which can be repeated and not changed. It is too late after seven days, and after
/// the first payment.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_decided_once() {
    let world = World::new().await;
    let (_, a) = world.invite_code("owner_a").await;
    let (_, b) = world.invite_code("owner_b").await;
    world.referred("claimer", "owner_a", "cus_c").await;
    assert_eq!(world.accept_invite("claimer", &b).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    let mut claims = good_claims("claimer", ACME);
    claims["invite_code"] = json!(b);
    world.run(&sign(&claims), "{ me { role } }", json!({})).await.data();
    // A claim of a later token changes nothing: only the first sign-in counts.
    let mut claims = good_claims("accepter", ACME);
    world.run(&sign(&claims), "{ me { role } }", json!({})).await.data();
    claims["invite_code"] = json!(b);
    let me = world.run(&sign(&claims), "{ me { affiliate { isReferred } } }", json!({})).await.data()["me"].clone();
    assert_eq!(me["affiliate"]["isReferred"], false);
    for replayed in [false, true] {
        assert_eq!(world.accept_invite("accepter", &a).await["replayed"], replayed);
    }
    assert_eq!(world.accept_invite("accepter", &b).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    world.invite_code("late").await;
    world.sql("UPDATE users SET created_at = now() - interval '7 days 1 minute' WHERE clerk_user_id = 'late'").await;
    let refused = world.accept_invite("late", &a).await;
    assert!(refused["userErrors"][0]["message"].as_str().expect("a sentence").contains("seven days"), "{refused}");
    let (payer, _) = world.invite_code("payer").await;
    world.customer_is("cus_payer", Some(&payer)).await;
    world.pay_now("inv", "cus_payer", "10.00").await;
    assert_eq!(world.accept_invite("payer", &a).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    assert_eq!(world.number("SELECT count(*) FROM referrals").await, 2);
}

/// An operator's correction has a reason, holds from now on, and moves nothing that was earned; nobody can accept an invitation after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_moves_nothing_that_was_earned() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    world.switch_affiliate("owner_b", true).await;
    let person = world.referred("person", "owner_a", "cus_p").await;
    world.pay_now("one", "cus_p", "10.00").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let b = id(&world, "owner_b").await;
    let corrected = correct(&world, &person, Some(&b)).await;
    assert_eq!(corrected["affiliate"]["referredBy"]["id"], b);
    assert_eq!(
        corrected["affiliate"]["referralHistory"],
        json!([{"means": "CLAIMED", "reason": null, "isCurrent": false}, {"means": "CORRECTED", "reason": "They said so", "isCurrent": true}])
    );
    assert_eq!(correct(&world, &person, Some(&b)).await["replayed"], true);
    world.pay_now("two", "cus_p", "20.00").await;
    assert_eq!((&*world.wallet("owner_a").await[0], &*world.wallet("owner_b").await[0]), ("1.00", "2.00"));
    world.refund_at("one", "10.00", &world.now_in_seconds()).await;
    assert_eq!(world.wallet("owner_a").await[0], "0.00");
    assert_eq!(correct(&world, &person, None).await["affiliate"]["referredBy"], Value::Null);
    let (_, a) = world.invite_code("owner_a").await;
    assert_eq!(world.accept_invite("person", &a).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    let people = "{ me { affiliate { figures { people payingPeople } referrals { totalCount nodes { isCurrent user { id } code reason } } } } }";
    let seen = world.acme("owner_a", people, json!({})).await.data()["me"]["affiliate"].clone();
    assert_eq!(seen["figures"], json!({"people": 0, "payingPeople": 0}));
    assert_eq!(seen["referrals"]["nodes"], json!([{"isCurrent": false, "user": null, "code": null, "reason": null}]));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// The billing system reports with whose code a customer signed up, before or after it is known which user that is, and before or after payments: it ends
/// the same.
#[tokio::test(flavor = "multi_thread")]
async fn reports_come_in_any_order() {
    let orders: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let world = World::new().await;
    world.affiliate("owner_a").await;
    let (_, code) = world.invite_code("owner_a").await;
    for (number, order) in orders.iter().enumerate() {
        let (customer, subject) = (format!("cus_{number}"), format!("person_{number}"));
        let user = id(&world, &subject).await;
        world.customer_is(&customer, None).await;
        let (signed_up, paid) = (world.now_in_seconds(), world.now_in_seconds());
        for step in order {
            match step {
                0 => {
                    let report = json!({"customerExternalId": customer, "inviteCode": code, "occurredAt": signed_up});
                    let first = world.sign_up(report.clone()).await;
                    assert_eq!(
                        (&first["userErrors"], &first["outcome"], &first["replayed"]),
                        (&json!([]), &Value::Null, &json!(false))
                    );
                    assert_eq!(world.sign_up(report).await["replayed"], true);
                }
                1 => assert_eq!(world.customer_is(&customer, Some(&user)).await["customer"]["user"]["id"], user),
                _ => assert_eq!(world.pay(&format!("inv_{number}"), &customer, "10.00", &paid).await["userErrors"], json!([])),
            }
        }
        partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
        assert_eq!(world.wallet("owner_a").await[0], format!("{}.00", number + 1), "{order:?}");
    }
    let other = world.sign_up(json!({"customerExternalId": "cus_0", "inviteCode": world.invite_code("owner_b").await.1})).await;
    assert_eq!(other["userErrors"][0]["code"], "KEY_REUSED");
    let unknown = world.sign_up(json!({"customerExternalId": "cus_9", "inviteCode": "nobody-s"})).await;
    assert_eq!(unknown["userErrors"][0]["field"], json!(["input", "inviteCode"]));
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE external_id = 'cus_9'").await, 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A person who signs in with a verified address is the customer of that address, whichever was there first; an address that is not verified is nobody's,
/// and a customer who is one user stays that.
#[tokio::test(flavor = "multi_thread")]
async fn customers_are_who_signs_in_with_their_address() {
    let world = World::new().await;
    let add = "mutation ($input: UpsertCustomerInput!) { upsertCustomer(input: $input) { customer { id } } }";
    let sign_in = async |subject: &str, email: &str, is_verified: bool| {
        let mut claims = good_claims(subject, ACME);
        (claims["email"], claims["email_verified"]) = (json!(email), json!(is_verified));
        world.run(&sign(&claims), "{ me { role } }", json!({})).await.data();
    };
    let owner = "SELECT coalesce((SELECT u.clerk_user_id FROM customers c JOIN users u ON u.id = c.user_id WHERE c.external_id = '{}'), '')";
    let of = async |customer: &str| world.text(&owner.replace("{}", customer)).await;
    world.service(add, json!({"input": {"externalId": "early", "name": "E", "email": "Ada@Example.com"}})).await.data();
    sign_in("liar", "ada@example.com", false).await;
    assert_eq!(of("early").await, "");
    sign_in("ada", "ada@example.com", true).await;
    assert_eq!(of("early").await, "ada");
    world.service(add, json!({"input": {"externalId": "late", "name": "L", "email": "ada@example.com"}})).await.data();
    sign_in("ada", "ada@example.com", true).await;
    assert_eq!(of("late").await, "ada");
    sign_in("second", "ada@example.com", true).await;
    assert_eq!(of("early").await, "ada");
    let other = id(&world, "owner_b").await;
    assert_eq!(world.customer_is("early", Some(&other)).await["userErrors"][0]["code"], "TAKEN");
}

/// A report of a user who is known decides at once, and one of a customer as soon as it is known which user that is: nobody accepts another invitation in
/// between, and an operator's correction comes after it. The same code in another spelling is the same report; another instant is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_decided_at_once() {
    let world = World::new().await;
    world.affiliate("owner_a").await;
    let ((a, code), (_, other)) = (world.invite_code("owner_a").await, world.invite_code("owner_b").await);
    let known = id(&world, "known").await;
    let report =
        json!({"customerExternalId": "cus_k", "inviteCode": code, "userId": known, "occurredAt": world.now_in_seconds()});
    assert_eq!(world.sign_up(report.clone()).await["userErrors"], json!([]));
    assert_eq!(world.accept_invite("known", &other).await["userErrors"][0]["code"], "INVALID_TRANSITION");
    world.pay_now("inv_k", "cus_k", "10.00").await;
    assert_eq!(world.wallet("owner_a").await[0], "1.00");
    let mut again = report.clone();
    again["inviteCode"] = json!(format!("{}-{}", &code[..4].to_lowercase(), &code[4..]));
    assert_eq!(world.sign_up(again.clone()).await["replayed"], true);
    again["occurredAt"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(world.sign_up(again).await["userErrors"][0]["field"], json!(["input", "occurredAt"]));
    // Noted while nobody knew the user, who signs in with the customer's address then; maintenance has not come by.
    let late = json!({"customerExternalId": "cus_l", "inviteCode": code, "email": "late@example.com"});
    assert_eq!(world.sign_up(late).await["userErrors"], json!([]));
    let mut claims = good_claims("late", ACME);
    (claims["email"], claims["email_verified"]) = (json!("late@example.com"), json!(true));
    let me = world.run(&sign(&claims), "{ me { user { id } } }", json!({})).await.data()["me"].clone();
    let late = me["user"]["id"].as_str().expect("an id").to_owned();
    let corrected = correct(&world, &late, None).await;
    assert_eq!((&corrected["replayed"], &corrected["affiliate"]["referredBy"]), (&json!(false), &Value::Null));
    assert_eq!(corrected["affiliate"]["referralHistory"][0]["means"], "REPORTED");
    partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    assert_eq!(correct(&world, &late, None).await["replayed"], true);
    assert_eq!(correct(&world, &late, Some(&a)).await["affiliate"]["referredBy"]["id"], a);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
