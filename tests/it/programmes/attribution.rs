//! Which link a customer came by, and so whose it is: decided here, once, and the same however reports come.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::World;

/// An instant so many days ago, as a report says it.
fn ago(world: &World, days: i64) -> DateTime<Utc> {
    world.app.clock.now() - TimeDelta::days(days)
}

async fn pay(world: &World, input: Value) -> Value {
    let query = "mutation ($input: RecordInvoicePaymentInput!) { recordInvoicePayment(input: $input) {
        commission { id amount { amount } partner { id } link { id } } attribution replayed userErrors { code field } } }";
    world.service(query, json!({"input": input})).await.data()["recordInvoicePayment"].clone()
}

async fn link_of(world: &World, subject: &str, url: &str) -> Value {
    world.create_link(subject, json!({"url": url})).await["link"].clone()
}

/// A sign-up by a click makes the customer the partner's: what it pays is a commission by the link, and the attribution explains itself. Sent
/// again it is the same; under the same name by another link it is refused. (Existing systems forget after seven days that they have had it.)
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_makes_the_customer_the_partners() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    let click = world.click_at(&link, ago(&world, 3)).await;
    let report = json!({"customerExternalId": "cus_1", "clickId": click, "email": "ann@example.com", "metadata": "plan=pro",
        "occurredAt": ago(&world, 2).to_rfc3339()});
    let made = world.sign_up(report.clone()).await;
    assert_eq!((&made["outcome"], &made["replayed"], &made["userErrors"]), (&json!("ATTRIBUTED"), &json!(false), &json!([])));
    let sign_up = &made["signUp"];
    assert_eq!((&sign_up["name"], &sign_up["means"], &sign_up["isCounted"]), (&json!("Sign-up"), &json!("CLICK"), &json!(true)));
    assert_eq!(
        (&sign_up["clickId"], &sign_up["link"]["id"], &sign_up["metadata"]),
        (&json!(click), &link["id"], &json!("plan=pro"))
    );
    let customer = &made["customer"];
    assert_eq!((&customer["name"], &customer["partner"]["id"]), (&json!("ann@example.com"), &json!(world.a.to_string())));
    let attribution = &customer["attribution"];
    assert_eq!((&attribution["means"], &attribution["link"]["id"]), (&json!("CLICK"), &link["id"]));
    let sentence = attribution["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("The customer followed the link at "), "{sentence}");
    let paid = pay(
        &world,
        json!({"invoiceId": "i", "customerExternalId": "cus_1", "amount": "100", "paidAt": ago(&world, 1).to_rfc3339()}),
    )
    .await;
    assert_eq!((&paid["commission"]["amount"]["amount"], &paid["commission"]["link"]["id"]), (&json!("10.00"), &link["id"]));
    // Again, at any time later, and without the instant.
    for again in [report.clone(), json!({"customerExternalId": "cus_1", "clickId": click, "name": "sign-UP"})] {
        let again = world.sign_up(again).await;
        assert_eq!((&again["signUp"]["id"], &again["replayed"]), (&sign_up["id"], &json!(true)));
    }
    let other = link_of(&world, "owner_b", "https://example.com/").await;
    let refused = world.sign_up(json!({"customerExternalId": "cus_1", "linkKey": other["key"]})).await;
    assert_eq!(refused["userErrors"][0]["code"], "KEY_REUSED");
    let mut moved = report;
    moved["occurredAt"] = json!(ago(&world, 1).to_rfc3339());
    assert_eq!(world.sign_up(moved).await["userErrors"][0]["field"], json!(["input", "occurredAt"]));
    let node = "query ($id: ID!) { node(id: $id) { ... on LinkSignUp { name customer { id } } } }";
    let seen = world.owner_a(node, json!({"id": sign_up["id"]})).await.data()["node"].clone();
    assert_eq!(seen, json!({"name": "Sign-up", "customer": {"id": customer["id"]}}));
    assert_eq!(world.acme("owner_b", node, json!({"id": sign_up["id"]})).await.data()["node"], Value::Null);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What counts for nobody says why: a click that is too old or is said to come after, an archived link, a partner that was rejected. What nobody
/// knows is a user error, and neither makes a customer. (Existing systems answer 200 and nothing else.)
#[tokio::test(flavor = "multi_thread")]
async fn what_counts_for_nobody_says_why() {
    let world = World::new().await;
    let link = world
        .create_link_as_operator(json!({"url": "https://example.com/", "partnerId": world.a.to_string(), "couponCode": "ANN10"}))
        .await["link"]
        .clone();
    let programme = json!({"id": link["programme"]["id"], "cookieDays": 10});
    world.decide_on("updateProgramme", programme, "programme { cookieDays }").await;
    let old = world.click_at(&link, ago(&world, 11)).await;
    let young = world.click_at(&link, ago(&world, 9)).await;
    let outcome = async |input: Value| world.sign_up(input).await["outcome"].clone();
    assert_eq!(outcome(json!({"customerExternalId": "c1", "clickId": old})).await, "CLICK_TOO_OLD");
    let before = json!({"customerExternalId": "c1", "clickId": young, "occurredAt": ago(&world, 10).to_rfc3339()});
    assert_eq!(outcome(before).await, "CLICK_TOO_OLD");
    for (input, field) in [
        (json!({"clickId": "click_01h455vb4pex5vsknk084sn02q"}), "clickId"),
        // Whatever stands in an address: somebody may have typed it.
        (json!({"clickId": "'; DROP TABLE links"}), "clickId"),
        (json!({"linkKey": "nobodys"}), "linkKey"),
        (json!({"couponCode": "FREE"}), "couponCode"),
    ] {
        let mut input = input;
        input["customerExternalId"] = json!("never");
        let refused = world.sign_up(input).await;
        assert_eq!(refused["userErrors"][0]["code"], "NOT_FOUND", "{refused}");
        assert_eq!(refused["userErrors"][0]["field"], json!(["input", field]));
    }
    for input in [json!({}), json!({"clickId": young, "couponCode": "ANN10"}), json!({"clickId": " "})] {
        let mut input = input;
        input["customerExternalId"] = json!("never");
        assert_eq!(world.sign_up(input).await["userErrors"][0]["field"], json!(["input", "clickId"]));
    }
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE external_id = 'never'").await, 0);
    world
        .acme(
            "owner_a",
            "mutation ($id: ID!) { archiveLink(input: { id: $id }) { userErrors { code } } }",
            json!({"id": link["id"]}),
        )
        .await
        .data();
    assert_eq!(outcome(json!({"customerExternalId": "c1", "couponCode": "ann10"})).await, "LINK_ARCHIVED");
    // Who followed it before it was archived came by it.
    assert_eq!(outcome(json!({"customerExternalId": "c2", "clickId": young})).await, "ATTRIBUTED");
    let enrolments = world.operator("{ enrolments { nodes { id } } }", json!({})).await;
    let id = enrolments.data()["enrolments"]["nodes"][0]["id"].clone();
    world.decide_on("decideEnrolment", json!({"id": id, "status": "REJECTED", "reason": "R"}), "enrolment { status }").await;
    assert_eq!(outcome(json!({"customerExternalId": "c1", "clickId": young})).await, "NOT_TAKING_PART");
    assert_eq!(world.number("SELECT count(*) FROM link_sign_ups").await, 1);
}

/// Of several clicks the programme decides which one counts, the last or the first that is not too old, and no browser; in whichever order they
/// are given.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_or_the_last_click_counts() {
    let world = World::new().await;
    let (first, last) =
        (link_of(&world, "owner_a", "https://example.com/").await, link_of(&world, "owner_b", "https://example.com/").await);
    let stale = world.click_at(&first, ago(&world, 100)).await;
    let clicks = [world.click_at(&first, ago(&world, 9)).await, world.click_at(&last, ago(&world, 1)).await];
    let mut number = 0;
    let mut whose = async |click: &str, others: Vec<&str>| {
        number += 1;
        let report = json!({"customerExternalId": format!("c{number}"), "clickId": click, "otherClickIds": others});
        world.sign_up(report).await["signUp"]["link"]["id"].clone()
    };
    assert_eq!(whose(&clicks[0], vec![&clicks[1], &stale]).await, last["id"]);
    assert_eq!(whose(&clicks[1], vec![&clicks[0]]).await, last["id"]);
    world
        .decide_on("updateProgramme", json!({"id": first["programme"]["id"], "attribution": "FIRST_CLICK"}), "programme { id }")
        .await;
    assert_eq!(whose(&clicks[1], vec![&stale, &clicks[0], "nonsense"]).await, first["id"]);
    assert_eq!(whose(&clicks[1], vec![]).await, last["id"]);
}

/// A payment may itself say by which click or coupon code the customer came; one that nobody knows refuses no payment. Who has a customer keeps it.
/// (An existing system ignores a later click silently, another moves the customer.)
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_may_say_how_the_customer_came() {
    let world = World::new().await;
    let link = link_of(&world, "owner_a", "https://example.com/").await;
    let other = world
        .create_link_as_operator(json!({"url": "https://example.com/", "partnerId": world.b.to_string(), "couponCode": "BOB"}))
        .await["link"]
        .clone();
    let click = world.click_at(&link, ago(&world, 5)).await;
    for customer in ["c1", "c2", "c3"] {
        let query = "mutation ($id: String!) { upsertCustomer(input: { externalId: $id, name: \"C\" }) { userErrors { code } } }";
        world.service(query, json!({"id": customer})).await.data();
    }
    let payment = |invoice: &str, customer: &str, days: i64, more: Value| {
        let mut input = json!({"invoiceId": invoice, "customerExternalId": customer, "amount": "100", "paidAt": ago(&world, days).to_rfc3339()});
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        input
    };
    // The second payment comes first, and says nothing; the click of the first one makes both earn.
    let unmanaged = pay(&world, payment("i2", "c1", 3, json!({}))).await;
    assert_eq!((&unmanaged["commission"], &unmanaged["attribution"]), (&Value::Null, &Value::Null));
    let direct = payment("i1", "c1", 4, json!({"clickId": click}));
    let booked = pay(&world, direct.clone()).await;
    assert_eq!((&booked["attribution"], &booked["commission"]["link"]["id"]), (&json!("ATTRIBUTED"), &link["id"]));
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, 2);
    let again = pay(&world, direct).await;
    assert_eq!((&again["replayed"], &again["commission"]["id"]), (&json!(true), &booked["commission"]["id"]));
    // Another partner's code changes nothing.
    let kept = pay(&world, payment("i3", "c1", 2, json!({"couponCode": "bob"}))).await;
    assert_eq!((&kept["attribution"], &kept["commission"]["partner"]["id"]), (&json!("KEPT"), &json!(world.a.to_string())));
    let by_code = pay(&world, payment("i4", "c2", 2, json!({"couponCode": "bob"}))).await;
    assert_eq!((&by_code["attribution"], &by_code["commission"]["link"]["id"]), (&json!("ATTRIBUTED"), &other["id"]));
    let mut unclear = payment("i5", "c3", 2, json!({"clickId": "gclid-123"}));
    let unknown = pay(&world, unclear.clone()).await;
    assert_eq!(
        (&unknown["attribution"], &unknown["userErrors"], &unknown["commission"]),
        (&json!("UNKNOWN"), &json!([]), &Value::Null)
    );
    // How it came may be said later.
    unclear["clickId"] = json!(click);
    let clear = pay(&world, unclear).await;
    assert_eq!(
        (&clear["attribution"], &clear["commission"]["partner"]["id"]),
        (&json!("ATTRIBUTED"), &json!(world.a.to_string()))
    );
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What was recorded is answered again, whatever has become of the link since; names are compared as PostgreSQL's index does, in every script.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_answered_again() {
    let world = World::new().await;
    let link = world.link("https://example.com/").await;
    let click = world.click_at(&link, ago(&world, 9)).await;
    for name in ["ΟΔΟΣ", "İzmir", "Straße"] {
        for _ in 0..2 {
            let again = world.sign_up(json!({"customerExternalId": "names", "linkKey": link["key"], "name": name})).await;
            assert_eq!((&again["userErrors"], again["signUp"]["name"].is_string()), (&json!([]), true), "{name}: {again}");
        }
    }
    let report = json!({"customerExternalId": "c", "clickId": click.to_uppercase()});
    let first = world.sign_up(report.clone()).await;
    world.decide_on("updateProgramme", json!({"id": link["programme"]["id"], "cookieDays": 1}), "programme { id }").await;
    let archive = "mutation ($id: ID!) { archiveLink(input: { id: $id }) { userErrors { code } } }";
    world.owner_a(archive, json!({"id": link["id"]})).await.data();
    world.sql("DELETE FROM link_clicks").await;
    let by_key = json!({"customerExternalId": "c", "linkKey": link["key"]});
    for again in [report, by_key] {
        let again = world.sign_up(again).await;
        assert_eq!(
            (&again["signUp"]["id"], &again["outcome"], &again["replayed"]),
            (&first["signUp"]["id"], &json!("ATTRIBUTED"), &json!(true))
        );
    }
}

/// An earlier visit that becomes known later changes the period that it precedes, and none that has ended: what was earned then stays by its link. It
/// holds until somebody else began to manage the customer, and does not end with a partner that was closed.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_visits_leave_ended_periods_alone() {
    let world = World::new().await;
    let (one, two) = (world.link("https://example.com/1").await, world.link("https://example.com/2").await);
    let other = link_of(&world, "owner_b", "https://example.com/").await;
    let sign_up = async |customer: &str, link: &Value, name: &str, days: i64| {
        let at = ago(&world, days).to_rfc3339();
        let report = json!({"customerExternalId": customer, "linkKey": link["key"], "name": name, "occurredAt": at});
        world.sign_up(report).await["outcome"].clone()
    };
    let paid = async |invoice: &str, customer: &str, days: i64| {
        let at = ago(&world, days).to_rfc3339();
        let input = json!({"invoiceId": invoice, "customerExternalId": customer, "amount": "100", "paidAt": at});
        pay(&world, input).await["commission"]["link"]["id"].clone()
    };
    assert_eq!(sign_up("c", &one, "first", 30).await, "ATTRIBUTED");
    assert_eq!(paid("old", "c", 29).await, one["id"]);
    let customers = world.operator("{ customers { nodes { id } } }", json!({})).await;
    let customer = customers.data()["customers"]["nodes"][0]["id"].clone();
    let release =
        "mutation ($id: ID!, $at: DateTime!) { releaseCustomer(input: { customerId: $id, at: $at }) { userErrors { code } } }";
    world.service(release, json!({"id": customer, "at": ago(&world, 28).to_rfc3339()})).await.data();
    assert_eq!(sign_up("c", &one, "second", 2).await, "ATTRIBUTED");
    assert_eq!(paid("new", "c", 1).await, one["id"]);
    assert_eq!(sign_up("c", &two, "third", 5).await, "ATTRIBUTED");
    let links = "SELECT string_agg(e.invoice_id || ' ' || l.url, ', ' ORDER BY e.event_date)
        FROM partner_commission_events e JOIN links l ON l.id = e.link_id";
    assert_eq!(world.text(links).await, "old https://example.com/1, new https://example.com/2");
    // Another partner's later visit, by which nothing was earned, gives way.
    assert_eq!(sign_up("d", &other, "late", 3).await, "ATTRIBUTED");
    assert_eq!(sign_up("d", &one, "early", 6).await, "ATTRIBUTED");
    assert_eq!(paid("d", "d", 1).await, one["id"]);
    // One by which something was earned does not: until then the customer was the other's.
    assert_eq!(sign_up("e", &other, "late", 3).await, "ATTRIBUTED");
    assert_eq!(paid("e2", "e", 1).await, other["id"]);
    assert_eq!(sign_up("e", &one, "early", 6).await, "ATTRIBUTED");
    assert_eq!((paid("e1", "e", 5).await, paid("e3", "e", 2).await), (one["id"].clone(), other["id"].clone()));
    // A partner that turned out never to have managed a customer does not see it.
    let seen = world.acme("owner_b", "{ customers { nodes { externalId } } }", json!({})).await;
    assert_eq!(seen.data()["customers"]["nodes"], json!([{"externalId": "e"}]));
    // Of several clicks those count whose partners take part.
    let clicks = [world.click_at(&one, ago(&world, 4)).await, world.click_at(&other, ago(&world, 2)).await];
    assert_eq!(sign_up("f", &other, "late", 1).await, "ATTRIBUTED");
    assert_eq!(world.broken_rules().await, [""; 0]);
    // Closed, as it is once its balance is settled: its periods end with it.
    let b = world.b.uuid();
    world.sql(&format!("UPDATE partners SET status = 'closed' WHERE id = '{b}'")).await;
    world.sql(&format!("UPDATE partner_accounts SET managed_to = now() WHERE partner_id = '{b}' AND managed_to IS NULL")).await;
    let both = json!({"customerExternalId": "g", "clickId": clicks[1], "otherClickIds": [clicks[0]]});
    assert_eq!(world.sign_up(both).await["signUp"]["link"]["id"], one["id"]);
    assert_eq!(sign_up("f", &one, "early", 6).await, "ATTRIBUTED");
    let unended = "SELECT count(*) FROM partner_accounts a JOIN customers c ON c.id = a.customer_id WHERE c.external_id = 'f' AND a.managed_to IS NULL";
    assert_eq!(world.number(unended).await, 1);
}

/// However many report one sign-up and one payment at once, there is one of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_however_many_report_it_at_once() {
    let world = World::with_pool(8).await;
    let link = world.link("https://example.com/").await;
    let other = link_of(&world, "owner_b", "https://example.com/").await;
    let click = world.click_at(&link, ago(&world, 3)).await;
    let report = json!({"customerExternalId": "c", "clickId": click, "occurredAt": ago(&world, 2).to_rfc3339()});
    let late = json!({"customerExternalId": "c", "linkKey": other["key"], "name": "Trial"});
    let payment = json!({"invoiceId": "i", "customerExternalId": "c", "amount": "100", "paidAt": ago(&world, 1).to_rfc3339(), "clickId": click});
    world.sign_up(late.clone()).await;
    let answers = join_all((0..24).map(|number| {
        let (world, report, late, payment) = (&world, &report, &late, &payment);
        async move {
            match number % 3 {
                0 => world.sign_up(report.clone()).await["userErrors"].clone(),
                1 => world.sign_up(late.clone()).await["userErrors"].clone(),
                _ => pay(world, payment.clone()).await["userErrors"].clone(),
            }
        }
    }))
    .await;
    assert!(answers.iter().all(|errors| *errors == json!([])), "{answers:?}");
    assert_eq!(world.number("SELECT count(*) FROM link_sign_ups").await, 2);
    assert_eq!(world.number("SELECT count(*) FROM link_sign_ups WHERE is_counted").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM partner_accounts WHERE managed_to IS NULL").await, 1);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// All orders of a few things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.len() <= 1 {
        return vec![things.to_vec()];
    }
    let mut all = Vec::new();
    for at in 0..things.len() {
        let mut rest = things.to_vec();
        let first = rest.remove(at);
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first.clone());
            order
        }));
    }
    all
}

/// Two sign-ups by partner A's links, one by partner B's that comes after them, a payment and a refund end the same in each of their 120 orders: who
/// has the customer, by which link, which sign-up counts, what is earned and taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reports_end_the_same_in_every_order() {
    let world = World::with_pool(8).await;
    let (one, two) = (world.link("https://example.com/1").await, world.link("https://example.com/2").await);
    let other = link_of(&world, "owner_b", "https://example.com/").await;
    let rule = json!({"programmeId": one["programme"]["id"], "kind": "PERCENTAGE", "rate": "0.3", "idempotencyKey": "FRESH_KEY", "validFrom": ago(&world, 60).to_rfc3339()});
    world.decide_on("setCommissionRule", rule, "rule { id }").await;
    let at = [9, 8, 7, 6, 1].map(|days| ago(&world, days).to_rfc3339());
    let all = orders(&[0, 1, 2, 3, 4]);
    assert_eq!(all.len(), 120);
    let report = async |number: usize, step: usize| {
        let (customer, invoice) = (format!("c{number}"), format!("i{number}"));
        let sign_up = |link: &Value, name: &str| json!({"customerExternalId": customer, "linkKey": link["key"], "name": name, "occurredAt": at[step]});
        match step {
            0 => drop(world.sign_up(sign_up(&one, "Sign-up")).await),
            1 => drop(world.sign_up(sign_up(&two, "Trial")).await),
            2 => {
                let query =
                    "mutation ($id: String!) { upsertCustomer(input: { externalId: $id, name: \"C\" }) { userErrors { code } } }";
                world.service(query, json!({"id": customer})).await.data();
                let input = json!({"invoiceId": invoice, "customerExternalId": customer, "amount": "50", "paidAt": at[step]});
                assert_eq!(pay(&world, input).await["userErrors"], json!([]));
            }
            3 => drop(world.refund_at(&invoice, "20", &at[step]).await),
            _ => drop(world.sign_up(sign_up(&other, "Late")).await),
        }
    };
    for chunk in all.iter().enumerate().collect::<Vec<_>>().chunks(8) {
        join_all(chunk.iter().map(|(number, order)| {
            let report = &report;
            async move {
                for step in *order {
                    report(*number, *step).await;
                }
            }
        }))
        .await;
    }
    let ends = |what: &str| format!("SELECT count(DISTINCT ends)::text || ': ' || min(ends) FROM ({what}) AS found (ends)");
    let owners = "SELECT string_agg(concat_ws(' ', a.partner_id, l.url, a.managed_from, a.managed_to), ';' ORDER BY a.managed_from)
        FROM partner_accounts a JOIN links l ON l.id = a.link_id WHERE a.managed_to IS NULL OR a.managed_to > a.managed_from GROUP BY a.customer_id";
    assert!(world.text(&ends(owners)).await.starts_with(&format!("1: {} https://example.com/1 ", world.a.uuid())));
    let counted =
        "SELECT string_agg(concat_ws(' ', name, is_counted), ';' ORDER BY name) FROM link_sign_ups GROUP BY customer_id";
    assert_eq!(world.text(&ends(counted)).await, "1: Late f;Sign-up t;Trial f");
    let earned = "SELECT string_agg(concat_ws(' ', event_type, amount, link_id, source, partner_id, event_date), ';' ORDER BY event_type, event_date)
        FROM partner_commission_events GROUP BY customer_id";
    let earned = world.text(&ends(earned)).await;
    assert!(earned.starts_with("1: invoice_payment 15.0000 ") && earned.contains("refund -6.0000"), "{earned}");
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, 120 * 2);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
