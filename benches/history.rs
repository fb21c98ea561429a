//! Work that must not grow with what has been: credits of many small allocations used or taken back at once, a new address of a member with
//! a million used credits, the steps of a payout of many commissions. `cargo bench --bench history` prints it; nothing here judges it.

mod portal;

use std::time::Instant;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use partner_portal::{
    ids::{MemberId, PartnerId},
    seed::{
        Amounts,
        demo::{self, FIRST_TENANT},
    },
};
use portal::Portal;
use serde_json::Value;

/// Besides the demo data.
const AMOUNTS: Amounts = Amounts { partners: 10, leads: 0, invoices: 0, members: 100, clicks: 0, pays_monthly: false, seed: 7 };
const ALLOCATIONS: usize = 20_000;
const USED: usize = 1_000_000;
/// The most credits that are moved at once.
const AT_ONCE: usize = 100_000;
const COMMISSIONS: usize = 50_000;
/// The id of a row with the number `n`: in the order of time, as the program makes them (RFC 9562, section 5.7).
const ID_IN_ORDER: &str =
    "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
    || '8' || substr(md5(random()::text), 1, 15))::uuid";

fn main() {
    // `cargo test` runs benches once, and has no use for this one.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

/// Prints how long an operation took that must have succeeded.
async fn time(portal: &Portal, token: &str, name: &str, query: &str) -> Value {
    let started = Instant::now();
    let data = portal.data(token, query).await;
    let took = started.elapsed().as_secs_f64();
    let faults = data.as_object().and_then(|fields| fields.values().next()).map(|payload| payload["userErrors"].clone());
    assert_eq!(faults, Some(serde_json::json!([])), "{name}: {data}");
    println!("{name}: {took:.3} s");
    data
}

async fn run() {
    let portal = Portal::start(AMOUNTS).await;
    let mut owner = portal.connect().await;
    owner.batch_execute("VACUUM ANALYZE").await.expect("statistics");
    let me = portal.data(&portal.owner, "{ me { partner { id } } members(first: 3) { nodes { id email } } }").await;
    let partner: PartnerId = me["me"]["partner"]["id"].as_str().and_then(|id| id.parse().ok()).expect("a partner");
    let members: Vec<MemberId> = me["members"]["nodes"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| member["id"].as_str().and_then(|id| id.parse().ok()).expect("a member"))
        .collect();
    let grant = format!(
        "mutation {{ grantCredits(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{partner}\", credits: 50000000, reason: \"R\" }}) {{ userErrors {{ message }} }} }}"
    );
    portal.data(&portal.operator, &grant).await;
    small_allocations(&portal, &mut owner, partner, members[0]).await;
    addresses(&portal, members[1], members[2]).await;
    payout(&portal, &mut owner, partner).await;
}

/// One credit in each of many allocations: used by one call, and taken back with their member.
async fn small_allocations(portal: &Portal, owner: &mut AsyncPgConnection, partner: PartnerId, member: MemberId) {
    let service = portal.token(demo::service(FIRST_TENANT), Some("service"));
    // As so many assignments would leave them.
    let fill = format!(
        "CREATE TEMP TABLE filled ON COMMIT DROP AS
             SELECT m.*, {ID_IN_ORDER} AS allocation, 1 + n % 3000 AS days FROM partner_members m, generate_series(1, {ALLOCATIONS}) AS n
             WHERE m.id = '{}' AND m.partner_id = '{}' AND m.tenant_id = (SELECT id FROM tenants WHERE slug = '{FIRST_TENANT}');
         INSERT INTO credit_allocations (tenant_id, id, partner_id, member_id, employee_email, credits, valid_days, expires_at)
             SELECT tenant_id, allocation, partner_id, id, email_key, 1, days, now() + days * interval '1 day' FROM filled;
         INSERT INTO partner_credits (tenant_id, allocation_id, number, partner_id, member_id, employee_email, expires_at)
             SELECT a.tenant_id, a.id, 1, a.partner_id, a.member_id, a.employee_email, a.expires_at
             FROM credit_allocations a JOIN filled f ON f.tenant_id = a.tenant_id AND f.allocation = a.id;
         SELECT post_transfers(tenant_id, NULL, now(), array_agg(partner_id), array_agg('CREDIT'::text), array_agg('available'::text),
             array_agg('assigned'::text), array_agg(1::numeric), array_agg('assign'::text), array_agg(NULL::uuid), array_agg(NULL::uuid), array_agg(1),
             array_agg(id), array_agg(NULL::uuid), array_agg(allocation), array_agg(NULL::uuid)) FROM filled GROUP BY tenant_id",
        member.uuid(),
        partner.uuid()
    );
    owner.batch_execute(&fill).await.expect("allocations");
    let redeem = format!(
        "mutation {{ redeemCredit(input: {{ memberId: \"{member}\", count: {ALLOCATIONS}, idempotencyKey: \"b\" }}) {{ redemption {{ id }} userErrors {{ message }} }} }}"
    );
    time(portal, &service, &format!("credits of {ALLOCATIONS} allocations used by one call"), &redeem).await;
    owner.batch_execute(&fill).await.expect("allocations");
    let off = format!("mutation {{ deactivateMember(input: {{ id: \"{member}\" }}) {{ revoked userErrors {{ message }} }} }}");
    time(portal, &portal.owner, &format!("a member of {ALLOCATIONS} unused allocations deactivated"), &off).await;
}

/// A new address of a member who has used nothing, and of one who has used many credits.
async fn addresses(portal: &Portal, fresh: MemberId, old: MemberId) {
    let service = portal.token(demo::service(FIRST_TENANT), Some("service"));
    for turn in 0..USED / AT_ONCE {
        let assign = format!(
            "mutation {{ assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{old}\", credits: {AT_ONCE}, validDays: 9 }}) {{ userErrors {{ message }} }} }}"
        );
        portal.data(&portal.owner, &assign).await;
        let redeem = format!(
            "mutation {{ redeemCredit(input: {{ memberId: \"{old}\", count: {AT_ONCE}, idempotencyKey: \"u{turn}\" }}) {{ userErrors {{ message }} }} }}"
        );
        portal.data(&service, &redeem).await;
    }
    for (name, member) in [("no used credits", fresh), ("a million used credits", old)] {
        for turn in 0..3 {
            let change = format!(
                "mutation {{ updateMember(input: {{ id: \"{member}\", email: \"{turn}{}@example.com\" }}) {{ userErrors {{ message }} }} }}",
                member.uuid()
            );
            time(portal, &portal.owner, &format!("a new address of a member with {name}"), &change).await;
        }
    }
}

/// A payout of many commissions, made and taken through its steps.
async fn payout(portal: &Portal, owner: &mut AsyncPgConnection, partner: PartnerId) {
    let fill = format!(
        "INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, source, amount, currency, event_date, notes)
         SELECT tenant_id, {ID_IN_ORDER}, id, 'adjustment', 'approved', 'manual', 1, 'SEK', now() - n * interval '1 minute', 'N'
         FROM partners CROSS JOIN generate_series(1, {COMMISSIONS}) AS n
         WHERE id = '{partner}' AND tenant_id = (SELECT id FROM tenants WHERE slug = '{FIRST_TENANT}');
         SELECT post_transfers(tenant_id, NULL, now(), array_agg(partner_id), array_agg('SEK'::text), array_agg('expense'::text), array_agg('payable'::text),
             array_agg(amount), array_agg('earn'::text), array_agg(id), array_agg(NULL::uuid), array_agg(1), array_agg(NULL::uuid),
             array_agg(NULL::uuid), array_agg(NULL::uuid), array_agg(NULL::uuid))
         FROM partner_commission_events WHERE partner_id = '{partner}' AND currency = 'SEK' GROUP BY tenant_id;
         ANALYZE",
        partner = partner.uuid()
    );
    owner.batch_execute(&fill).await.expect("commissions");
    let request = format!(
        "mutation {{ createPayoutBatch(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{partner}\", currency: \"SEK\", period: {{ from: \"2020-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" }} }}) {{ payout {{ id }} userErrors {{ message }} }} }}"
    );
    let made = time(portal, &portal.operator, &format!("a payout of {COMMISSIONS} commissions made"), &request).await;
    let id = made["createPayoutBatch"]["payout"]["id"].clone();
    let step =
        |name: &str, more: &str| format!("mutation {{ {name}(input: {{ id: {id} {more} }}) {{ userErrors {{ message }} }} }}");
    for (name, more) in [
        ("releasePayout", ""),
        ("startPayout", ""),
        ("failPayout", ", reason: \"R\""),
        ("retryPayout", ""),
        ("startPayout", ""),
        ("completePayout", ", reference: \"W\""),
        ("returnPayout", ", reason: \"R\""),
        ("cancelPayout", ""),
    ] {
        time(portal, &portal.operator, &format!("{name} of it"), &step(name, more)).await;
    }
}
