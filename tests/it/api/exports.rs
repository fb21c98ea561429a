//! Exports: whole lists as CSV files, behind the same guard, with the same filters.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use partner_portal::config::limits::Limits;
use serde_json::json;

use crate::support::{
    World, token,
    tokens::staff_token,
    world::{ACME, Answer, GLOBEX},
};

const DAY: &str = "2026-06-15T12:00:00Z";

async fn export(world: &World, token: &str, path: &str) -> Answer {
    let request = Request::get(format!("/export/{path}")).header(header::AUTHORIZATION, format!("Bearer {token}"));
    world.send(request.body(Body::empty()).expect("a request")).await
}

fn rows(answer: &Answer) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(answer.text.as_bytes()).records().map(|row| row.expect("a row")).collect()
}

/// A list comes whole, however many pages it has, in order, each row once; a partner's has its own alone.
#[tokio::test(flavor = "multi_thread")]
async fn whole_lists() {
    let world = World::new().await;
    world.customer("cus_1", world.a).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    world.refund("inv_1", "20.00").await;
    world.adjust(world.b, "9.00", None).await;
    let acme = world.acme.uuid();
    world
        .sql(&format!(
            "INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
             SELECT '{acme}', gen_random_uuid(), '{}', 'adjustment', 'approved', 'manual', 1, 'USD', timestamptz '2026-01-01' + n % 700 * interval '1 hour', 'n' || n
             FROM generate_series(1, 1250) n",
            world.a.uuid()
        ))
        .await;
    let answer = export(&world, &staff_token("operator", ACME), "commissions.csv").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"commissions.csv\"");
    let all = rows(&answer);
    let ids: std::collections::HashSet<&str> = all.iter().map(|row| &row[0]).collect();
    assert_eq!((all.len(), ids.len()), (1_253, 1_253));
    assert!(all.windows(2).all(|pair| pair[0][5] <= pair[1][5]));
    let refund = all.iter().find(|row| &row[3] == "REFUND").expect("the refund");
    assert_eq!((&refund[2], &refund[6], &refund[7], &refund[10], &refund[11]), ("Partner A", "-2.00", "USD", "cus_1", "inv_1"));
    assert_eq!(rows(&export(&world, &token("owner_b", ACME), "commissions.csv").await).len(), 1);
    assert_eq!(rows(&export(&world, &token("owner_g", GLOBEX), "commissions.csv").await).len(), 0);
    let filtered = "commissions.csv?eventType=REFUND,INVOICE_PAYMENT&status=APPROVED&currency=USD&minAmount=-5&earnedBefore=2026-12-31T00:00:00Z";
    assert_eq!(rows(&export(&world, &staff_token("operator", ACME), filtered).await).len(), 2);
}

/// Payouts too; what a spreadsheet would run as a formula is harmless.
#[tokio::test(flavor = "multi_thread")]
async fn payouts_and_formulas() {
    let world = World::new().await;
    world.adjust(world.a, "9.00", None).await;
    let id = world
        .batch_with(json!({"partnerId": world.a.to_string(), "notes": "=HYPERLINK(\"http://evil.example\", \"x\")"}))
        .await["payout"]["id"]
        .clone();
    world.pay_out(&id).await;
    let answer = export(&world, &token("owner_a", ACME), "payouts.csv?status=COMPLETED").await;
    let row = &rows(&answer)[0];
    assert_eq!((&row[0], &row[3], &row[4], &row[8]), (id.as_str().expect("an id"), "COMPLETED", "9.00", "WIRE-1"));
    assert_eq!(&row[14], "'=HYPERLINK(\"http://evil.example\", \"x\")");
    assert!(answer.text.ends_with("\r\n"));
}

/// Without a token there is nothing; a wrong parameter is named; more exports at once than there may be are refused for now.
#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let world = World::new().await;
    let bare = world.send(Request::get("/export/payouts.csv").body(Body::empty()).expect("a request")).await;
    assert_eq!((bare.status, bare.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
    let operator = staff_token("operator", ACME);
    for (path, word) in [
        ("commissions.csv?state=PAID", "There is no parameter \"state\""),
        ("commissions.csv?status=LOST", "`status` must be one of the API's values"),
        ("commissions.csv?currency=ZZZ", "`currency` must be an ISO 4217 code"),
        ("commissions.csv?earnedFrom=yesterday", "`earnedFrom` must be an instant"),
        ("commissions.csv?status=PAID&status=PENDING", "`status` is given twice"),
        ("commissions.csv?earnedFrom=2026-11-20%2009:30:00%20%2B02:00", "`earnedFrom` must be an instant"),
        ("commissions.csv?maxAmount=5.", "`maxAmount` must be a decimal number"),
        ("payouts.csv?minAmount=.5", "`minAmount` must be a decimal number"),
        ("payouts.csv?minAmount=1_000", "`minAmount` must be a decimal number"),
        ("payouts.csv?minAmount=many", "`minAmount` must be a decimal number"),
        ("payouts.csv?partnerId=lead_01h455vb4pex5vsknk084sn02q", "the id of a lead, but the id of a partner"),
    ] {
        let answer = export(&world, &operator, path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.message().contains(word), "{path}: {}", answer.message());
    }
    let _places = world.app.files.clone().acquire_many_owned(2).await.expect("places");
    let busy = export(&world, &operator, "payouts.csv").await;
    assert_eq!((busy.status, busy.headers[header::RETRY_AFTER].to_str().ok()), (StatusCode::SERVICE_UNAVAILABLE, Some("60")));
}

/// What each list's file holds, in its order and its partner's alone; the filters are the API's.
#[tokio::test(flavor = "multi_thread")]
async fn every_list() {
    let world = World::new().await;
    let operator = staff_token("operator", ACME);
    world.add_leads(world.acme, world.a, 2).await;
    world.add_leads(world.acme, world.b, 1).await;
    world.customer("cus_1", world.a).await;
    world.customer("cus_2", world.b).await;
    world.pay("inv_1", "cus_1", "100.00", DAY).await;
    world.member("ann@example.com").await;
    let link = world.create_link("owner_b", json!({"url": "https://example.com/"})).await["link"].clone();
    let sign_up = json!({"customerExternalId": "cus_2", "linkKey": link["key"], "occurredAt": "2026-01-01T00:00:00Z"});
    assert_eq!(world.sign_up(sign_up).await["userErrors"], json!([]));
    let (user, code) = world.invite_code("owner_a").await;
    world.accept_invite("friend", &code).await;
    world.adjust_wallet(&user, "5.00").await;
    let b = world.b.to_string();
    for (list, columns, all, owner_a, of_b) in [
        (
            "leads",
            "id,partner_id,partner,client_name,client_email,client_phone,service,status,deal_value,commission,currency,created_at,converted_at,updated_at,notes",
            3,
            2,
            Some(1),
        ),
        (
            "members",
            "id,partner_id,partner,email,first_name,last_name,status,credits_assigned,created_at,updated_at",
            1,
            1,
            Some(0),
        ),
        ("customers", "id,external_id,name,email,partner_id,partner,managed_from,created_at,updated_at", 2, 1, None),
        (
            "links",
            "id,partner_id,partner,programme,host,key,url,title,external_id,coupon_code,clicks,visitors,sign_ups,customers,sales,sale_amount,earnings,currency,created_at,expires_at,archived_at",
            1,
            0,
            Some(1),
        ),
        (
            "sign-ups",
            "id,partner_id,partner,link_id,key,customer_id,name,means,click_id,clicked_at,signed_up_at,is_counted,metadata",
            1,
            0,
            Some(1),
        ),
        ("link-events", "kind,at,partner_id,partner,link_id,key,is_counted,click_id,sign_up_id,commission_id", 1, 0, Some(1)),
        (
            "wallet",
            "id,user_id,currency,number,kind,amount,balance_after,sales,at,created_at,invoice_id,referral_id,commission_id,reason",
            1,
            1,
            None,
        ),
        ("referrals", "id,referrer_id,user_id,initials,joined_month,means,is_current,has_paid,earned,reason", 1, 1, None),
        (
            "ledger",
            "entry,partner_id,partner,posted_at,kind,from,to,amount,currency,from_balance,to_balance,commission_id,payout_id",
            1,
            1,
            Some(0),
        ),
    ] {
        // Of clicks there is no list of all partners.
        let all_partners = if list == "link-events" { "?kind=SIGN_UP,SALE" } else { "" };
        let file = export(&world, &operator, &format!("{list}.csv{all_partners}")).await;
        assert_eq!(file.text.lines().next(), Some(columns), "{list}");
        assert_eq!(rows(&file).len(), all, "{list}: {}", file.text);
        assert_eq!(rows(&export(&world, &token("owner_a", ACME), &format!("{list}.csv")).await).len(), owner_a, "{list}");
        assert_eq!(rows(&export(&world, &token("owner_g", GLOBEX), &format!("{list}.csv")).await).len(), 0, "{list}");
        if let Some(of_b) = of_b {
            let path = format!("{list}.csv?partnerId={b}");
            assert_eq!(rows(&export(&world, &operator, &path).await).len(), of_b, "{list}");
            // Of another partner there is nothing to be seen.
            assert_eq!(rows(&export(&world, &token("owner_a", ACME), &path).await).len(), 0, "{list}");
        }
    }
    let ledger = rows(&export(&world, &operator, "ledger.csv?currency=USD").await);
    assert_eq!(
        [&ledger[0][4], &ledger[0][5], &ledger[0][6], &ledger[0][7], &ledger[0][10]],
        ["EARN", "EXPENSE", "PAYABLE", "10.00", "10.00"]
    );
    assert_eq!(rows(&export(&world, &operator, "ledger.csv?currency=EUR").await).len(), 0);
    let customers = rows(&export(&world, &operator, "customers.csv?search=CUS_2").await);
    assert_eq!((customers.len(), &customers[0][1], &customers[0][5]), (1, "cus_2", "Partner B"));
    assert_eq!(rows(&export(&world, &operator, "leads.csv?search=client%201&status=PENDING").await).len(), 2);
    assert_eq!(export(&world, &token("member_a", ACME), "ledger.csv").await.code(), "FORBIDDEN");
    assert_eq!(export(&world, &staff_token("service", ACME), "ledger.csv").await.code(), "FORBIDDEN");
}

/// A parameter that is unknown, wrong, missing or given twice is refused by its name.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_named() {
    let world = World::new().await;
    let operator = staff_token("operator", ACME);
    for (path, word) in [
        (
            "leads.csv?state=LOST",
            "there are partnerId, status, search, service, minDealValue, maxDealValue, createdFrom, createdBefore, bom.",
        ),
        ("members.csv?status=LOST", "`status` must be one of the API's values"),
        ("ledger.csv?currency=CREDITS", "`currency` must be an ISO 4217 code"),
        ("link-events.csv", "`partnerId` or `linkId`, or `kind` without CLICK"),
        ("link-events.csv?kind=CLICK", "`partnerId` or `linkId`, or `kind` without CLICK"),
        ("customers.csv?bom=yes", "`bom` must be true or false"),
        ("customers.csv?bom=true&bom=true", "`bom` is given twice"),
    ] {
        let answer = export(&world, &operator, path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.message().contains(word), "{path}: {}", answer.message());
    }
}

/// A payout's row says where the money goes, masked, to anyone who may read profiles; a byte-order mark comes where it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn destinations_and_marks() {
    let world = World::new().await;
    world.adjust(world.a, "9.00", None).await;
    world.batch(world.a).await;
    let a = world.a.uuid();
    for (profile, destination) in [
        (
            "payment_method = 'manual', bank_account_sealed = '\\x00', bank_account_last4 = '3000', payment_email = 'pay@example.com'",
            "",
        ),
        ("payment_method = 'bank_transfer'", "•••• 3000"),
        ("payment_method = 'paypal'", "p•••@example.com"),
        ("payment_method = 'check', address_city = 'Berlin', address_country = 'DE'", "Berlin, DE"),
    ] {
        world.sql(&format!("UPDATE partner_profiles SET {profile} WHERE partner_id = '{a}'")).await;
        world.sql("UPDATE partner_payouts SET payment_method = (SELECT payment_method FROM partner_profiles p WHERE p.partner_id = partner_payouts.partner_id)").await;
        for (bearer, seen) in [
            (token("owner_a", ACME), destination),
            (staff_token("operator", ACME), destination),
            (token("member_a", ACME), ""),
            (staff_token("service", ACME), ""),
        ] {
            let answer = export(&world, &bearer, "payouts.csv?bom=true").await;
            assert!(answer.text.starts_with("\u{feff}id,"), "{}", answer.text);
            assert_eq!(&rows(&answer)[0][15], seen, "{profile}");
        }
    }
    let plain = export(&world, &token("owner_a", ACME), "payouts.csv?bom=false").await;
    assert!(plain.text.starts_with("id,"));
    // A link in a page of another site does not carry the session's cookie here; a link in the own site does.
    for (site, status) in [("cross-site", StatusCode::FORBIDDEN), ("same-origin", StatusCode::OK), ("none", StatusCode::OK)] {
        let request = Request::get("/export/payouts.csv")
            .header(header::COOKIE, format!("__session={}", token("owner_a", ACME)))
            .header("sec-fetch-site", site);
        assert_eq!(world.send(request.body(Body::empty()).expect("a request")).await.status, status, "{site}");
    }
}

/// An export costs what its rows cost: many small ones can be had, a wrong parameter costs next to nothing, and a large one waits for what it
/// has to pay, or is refused at its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_export_costs() {
    let limits = Limits { max_cost: 500, user_rate: 400, user_burst: 600, ..Limits::default() };
    let world = World::with_limits(limits).await;
    let operator = staff_token("operator", ACME);
    world.add_leads(world.acme, world.a, 3).await;
    for _ in 0..50 {
        assert_eq!(export(&world, &operator, "leads.csv").await.status, StatusCode::OK);
        assert_eq!(export(&world, &operator, "leads.csv?state=X").await.status, StatusCode::BAD_REQUEST);
    }
    // Two at once are all that one user has.
    let claims = world.app.verifier.verify(&operator).await.expect("claims");
    let running: Vec<_> = (0..2).map(|_| world.app.edge.exports.enter(&claims, "exports").expect("a place")).collect();
    let third = export(&world, &operator, "leads.csv").await;
    assert_eq!((third.status, third.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert_eq!(export(&world, &token("owner_a", ACME), "payouts.csv").await.status, StatusCode::OK);
    drop(running);
    world.add_leads(world.acme, world.a, 1_000).await;
    let other = token("owner_a", ACME);
    // Two parts are more than may be spent at once: the second waits, and the file is whole.
    assert_eq!(rows(&export(&world, &other, "leads.csv").await).len(), 1_003);
    let refused = export(&world, &other, "leads.csv").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
}

/// The audit trail has a line for each change, with the fields as JSON; operators have all of it, a partner's owners what is their partner's.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_trail() {
    let world = World::new().await;
    let profile =
        "mutation { updatePartnerProfile(input: { contactName: \"Ann\", taxId: \"DE123456789\" }) { userErrors { code } } }";
    world.owner_a(profile, json!({})).await.data();
    world.adjust(world.b, "9.00", None).await;
    let all = rows(&export(&world, &staff_token("operator", ACME), "audit.csv?actorKind=PARTNER,OPERATOR").await);
    let actions: Vec<&str> = all.iter().map(|row| &row[2]).collect();
    assert_eq!(actions, ["updatePartnerProfile", "adjustCommission"]);
    let profile = &all[0];
    assert_eq!(
        (&profile[3], &profile[9], &profile[10], &profile[11]),
        ("PARTNER", "UPDATED", "PartnerProfile", world.a.to_string().as_str())
    );
    assert_eq!(&profile[14], "{\"contactName\":[null,\"Ann\"],\"taxId\":\"changed\"}");
    let own = rows(&export(&world, &token("owner_b", ACME), "audit.csv?action=adjustCommission,updatePartnerProfile").await);
    assert_eq!(own.iter().map(|row| &row[2]).collect::<Vec<_>>(), ["adjustCommission"]);
    let of_subject = format!("audit.csv?subjectId={}", world.a);
    assert_eq!(rows(&export(&world, &staff_token("operator", ACME), &of_subject).await).len(), 1);
    for bearer in [token("member_a", ACME), staff_token("service", ACME)] {
        assert_eq!(export(&world, &bearer, "audit.csv").await.status, StatusCode::FORBIDDEN);
    }
}
