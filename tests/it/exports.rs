//! Exports: whole lists as CSV files, behind the same guard, with the same filters.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
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

/// Without a token there is nothing; a wrong parameter is named; more exports at once than there may be are told to come back.
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
