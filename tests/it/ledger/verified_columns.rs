//! `verify`, looked at by its enemies: each column of each money table is changed to another valid value, one at a time, as a superuser with
//! triggers and foreign keys off, and the books must be found wrong.

use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use partner_portal::verify;
use serde_json::json;

use super::{
    affiliates::affiliates,
    verify::{business, credits, sales_by_links},
};
use crate::support::{World, sql::number};

/// Where money and credits, and what decides of them, are kept.
const TABLES: &[&str] = &[
    "accounts",
    "account_days",
    "transfers",
    "member_accounts",
    "invoices",
    "partner_accounts",
    "partner_commissions",
    "partner_commission_tiers",
    "partner_commission_events",
    "commission_totals",
    "tenant_totals",
    "partner_payouts",
    "partner_payout_items",
    "partner_payout_changes",
    "partner_moves",
    "credit_grants",
    "credit_allocations",
    "credit_extensions",
    "credit_redemptions",
    "partner_credits",
    "link_sign_ups",
    "link_sale_totals",
    "links_by_clicks",
    "links_by_sales",
    "link_shares",
    "commission_splits",
    "affiliate_terms",
    "affiliate_rewards",
    "affiliate_totals",
    "affiliate_people",
    "referrals",
    "user_accounts",
    "wallet_transactions",
];

/// How many rows are tried of each table.
const ROWS: usize = 12;

/// The columns that `verify` cannot see, each with the reason.
const UNSEEN: &[(&str, &str)] = &[
    ("credit_allocations.employee_email", OLD_ADDRESS),
    ("partner_credits.employee_email", OLD_ADDRESS),
    ("credit_redemptions.employee_email", OLD_ADDRESS),
    ("credit_allocations.valid_days", ASKED_FOR),
    ("partner_payouts.payment_method", ASKED_FOR),
    ("partner_payouts.payout_date", ASKED_FOR),
    ("partner_payouts.period_start", ASKED_FOR),
    ("partner_payouts.period_end", ASKED_FOR),
    ("partner_commission_events.due_at", ASKED_FOR),
    ("credit_extensions.from_expires_at", ASKED_FOR),
    ("credit_allocations.idempotency_key", KEY),
    ("credit_grants.idempotency_key", KEY),
    ("credit_grants.request", KEY),
    ("credit_redemptions.idempotency_key", KEY),
    ("credit_redemptions.request", KEY),
    ("credit_redemptions.reversal_key", KEY),
    ("credit_redemptions.reversal_request", KEY),
    ("partner_commission_events.idempotency_key", KEY),
    ("partner_commission_events.request", KEY),
    ("partner_payouts.idempotency_key", KEY),
    ("partner_payouts.request", KEY),
    ("credit_allocations.assigned_by", WHO),
    ("credit_extensions.extended_by", WHO),
    ("credit_grants.granted_by", WHO),
    ("credit_redemptions.redeemed_by", WHO),
    ("credit_redemptions.reversed_by", WHO),
    ("partner_commission_events.created_by", WHO),
    ("partner_commission_events.decided_by", WHO),
    ("partner_commissions.created_by", WHO),
    ("partner_moves.impersonator", WHO),
    ("partner_payout_changes.changed_by", WHO),
    ("partner_payout_changes.impersonator", WHO),
    ("partner_payouts.created_by", WHO),
    ("transfers.posted_by", WHO),
    ("credit_allocations.created_at", WHEN),
    ("credit_extensions.created_at", WHEN),
    ("credit_grants.created_at", WHEN),
    ("credit_redemptions.reversed_at", WHEN),
    ("invoices.created_at", WHEN),
    ("invoices.updated_at", WHEN),
    ("invoices.refunded_at", WHEN),
    ("partner_accounts.created_at", WHEN),
    ("partner_commission_events.created_at", WHEN),
    ("partner_commission_events.decided_at", WHEN),
    ("partner_commission_events.updated_at", WHEN),
    ("partner_commissions.created_at", WHEN),
    ("partner_leads.converted_at", WHEN),
    ("partner_moves.created_at", WHEN),
    ("partner_payouts.updated_at", WHEN),
    ("credit_grants.reason", TEXT),
    ("credit_redemptions.reversal_reason", TEXT),
    ("partner_commission_events.notes", TEXT),
    ("partner_commission_events.rejection_reason", TEXT),
    ("partner_moves.reason", TEXT),
    ("partner_payouts.notes", TEXT),
    ("credit_extensions.id", NAME),
    ("partner_accounts.id", NAME),
    ("partner_moves.id", NAME),
    ("partner_payout_changes.id", NAME),
    ("link_sign_ups.id", NAME),
    ("link_sign_ups.name", TEXT),
    ("link_sign_ups.metadata", TEXT),
    ("link_sign_ups.created_at", WHEN),
    ("link_sign_ups.created_by", WHO),
    ("link_sign_ups.means", REPORTED),
    ("link_sign_ups.click_id", REPORTED),
    ("link_sign_ups.clicked_at", REPORTED),
    ("partner_accounts.means", REPORTED),
    ("partner_accounts.click_id", REPORTED),
    ("partner_accounts.clicked_at", REPORTED),
    (
        "partner_commissions.enrolment_id",
        "It is the one of partner and programme, which are checked: a foreign key of all three holds it",
    ),
    ("partner_accounts.customer_id", HINDSIGHT),
    ("partner_accounts.commission_rate", HINDSIGHT),
    ("partner_accounts.managed_from", HINDSIGHT),
    ("partner_accounts.managed_to", HINDSIGHT),
    ("partner_commissions.valid_from", HINDSIGHT),
    ("partner_commissions.valid_to", HINDSIGHT),
    ("partner_commissions.duration_months", UNREACHED),
    ("partner_commissions.cap", UNREACHED),
    (
        "partner_leads.commission_rate",
        "Where an operator has set the commission by hand, nothing follows from the rate; elsewhere a CHECK holds it",
    ),
    (
        "partner_leads.commission",
        "Until it converts nothing is booked for it; set by hand it follows from nothing, elsewhere a CHECK holds it",
    ),
    ("affiliate_rewards.due_at", ASKED_FOR),
    ("affiliate_rewards.updated_at", WHEN),
    ("affiliate_terms.validity_days", UNREACHED),
    ("affiliate_terms.created_by", WHO),
    ("affiliate_terms.impersonator", WHO),
    ("referrals.means", ASKED_FOR),
    ("referrals.code", ASKED_FOR),
    ("referrals.reason", TEXT),
    ("referrals.initials", TEXT),
    ("referrals.decided_by", WHO),
    ("referrals.impersonator", WHO),
    ("referrals.created_at", WHEN),
    ("referrals.end_reason", TEXT),
    ("referrals.ended_by", WHO),
    ("referrals.end_impersonator", WHO),
    ("wallet_transactions.reason", TEXT),
    ("wallet_transactions.idempotency_key", KEY),
    ("wallet_transactions.request", KEY),
    ("wallet_transactions.created_by", WHO),
    ("wallet_transactions.impersonator", WHO),
    ("wallet_transactions.created_at", WHEN),
    ("tenant_totals.shard", "One shard alone means nothing: only their sum does, and that is checked"),
];

const OLD_ADDRESS: &str = "What has ended keeps the address of then, which nothing else remembers";
const ASKED_FOR: &str = "What was asked for, or followed from a setting of then: no other row says it again";
const REPORTED: &str = "What the shop has said of a click, which is forgotten sooner";
const KEY: &str = "What a request was known by; what it did is in the row beside it, and is checked";
const WHO: &str = "Who did it is written once";
const WHEN: &str = "When it was written down; what counts for money has columns of its own";
const TEXT: &str = "A text for people";
const NAME: &str = "A name that no other row uses";
const HINDSIGHT: &str = "Ends and begins may be set in hindsight, and what was booked by then stays";
const UNREACHED: &str = "Only where it is reached does anything follow from it";

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = diesel::sql_types::Text)]
    in_table: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    kind: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    domain: String,
}

/// Other values for a column of a type, as SQL of the present one.
fn others(column: &Column) -> Vec<String> {
    let Column { name, kind, domain, .. } = column;
    let words: &[&str] = match domain.as_str() {
        "account_kind" => {
            &["expense", "payable", "paid", "pending", "in_payout", "assigned", "used", "available", "wallet", "taken_out"]
        }
        "transfer_kind" => &["earn", "approve", "reject", "hold", "release", "pay", "return", "assign", "redeem", "expire"],
        "commission_status" => &["pending", "approved", "rejected", "paid"],
        "commission_event_type" => &["adjustment", "lead_conversion", "invoice_payment", "refund", "split"],
        "commission_source" => &["manual", "lead", "partner_rate", "customer_rate", "reversal", "partner_rule"],
        "commission_rule_kind" => &["percentage", "flat", "tiered"],
        "payout_status" => &["pending", "ready", "processing", "completed", "failed", "cancelled"],
        "payment_method" => &["manual", "paypal"],
        "lead_status" => &["pending", "contacted", "lost", "converted", "qualified"],
        "credit_status" => &["available", "used", "expired", "revoked"],
        "referral_means" => &["accepted", "claimed", "reported", "corrected"],
        "wallet_transaction_kind" => &["reward", "refund", "take_out", "give_back", "adjustment"],
        "link_means" => &["link_key", "coupon_code", "click"],
        "total_grain" => &["day", "month"],
        _ => &[],
    };
    if !words.is_empty() {
        return words.iter().map(|word| format!("'{word}'")).collect();
    }
    match kind.as_str() {
        "numeric" => ["+ 1", "- 1", "+ 0.01", "/ 2"].map(|change| format!("{name} {change}")).into(),
        "int4" | "int8" => ["+ 1", "- 1"].map(|change| format!("{name} {change}")).into(),
        "bool" => vec![format!("NOT {name}")],
        "uuid" => vec!["'01890a5d-ac96-774b-bcce-b302099a8057'".to_owned()],
        "timestamptz" => ["+ interval '40 days'", "- interval '40 days'", "+ interval '1 second'"]
            .map(|change| format!("{name} {change}"))
            .into(),
        "date" => vec![format!("{name} + 1")],
        "jsonb" => vec!["'{\"other\": true}'".to_owned()],
        "text" if name.contains("currency") || name == "unit" => vec!["'CHF'".to_owned(), "'USD'".to_owned()],
        "text" if name == "fingerprint" => vec!["repeat('0', 64)".to_owned()],
        "text" => vec![format!("{name} || 'x'"), "'x@example.com'".to_owned()],
        other => panic!("{name} has a type that this test does not know: {other}"),
    }
}

/// Changes the column in the given row to another value, in a transaction that stays open; whether constraints let it.
async fn change(connection: &mut AsyncPgConnection, column: &Column, other: &str, row: usize) -> bool {
    let Column { in_table, name, .. } = column;
    let sql = format!(
        "BEGIN; SET LOCAL session_replication_role = replica;
         DO $$ DECLARE changed integer; BEGIN
             UPDATE {in_table} SET {name} = {other}
             WHERE ctid = (SELECT ctid FROM {in_table} WHERE {name} IS DISTINCT FROM ({other}) AND {name} IS NOT NULL ORDER BY ctid OFFSET {row} LIMIT 1);
             GET DIAGNOSTICS changed = ROW_COUNT;
             IF changed <> 1 THEN RAISE 'nothing to change'; END IF;
         END $$"
    );
    let is_changed = connection.batch_execute(&sql).await.is_ok();
    if !is_changed {
        connection.batch_execute("ROLLBACK").await.expect("as it was");
    }
    is_changed
}

/// Changes the column, one row and value after the other, until a change is seen, or is not, as is wanted. Gives whether there was one; `None`
/// where constraints let it take no other value. Rows are in no certain order, and a rule may see what it rules in some of them alone.
async fn some_change_is(connection: &mut AsyncPgConnection, column: &Column, wanted: bool) -> Option<bool> {
    let mut found = None;
    for other in others(column) {
        for row in 0..ROWS {
            if !change(connection, column, &other, row).await {
                continue;
            }
            let findings = verify::examine(connection, None, |_| ()).await;
            connection.batch_execute("ROLLBACK").await.expect("as it was");
            // What can no longer be read is seen as well.
            let is_seen = findings.is_err() || findings.is_ok_and(|findings| findings.iter().any(|finding| finding.faults > 0));
            if is_seen == wanted {
                return Some(true);
            }
            found = Some(false);
        }
    }
    found
}

async fn columns(world: &World) -> Vec<Column> {
    let tables: Vec<String> = TABLES.iter().map(|table| format!("'{table}'")).collect();
    let sql = format!(
        "SELECT table_name::text AS in_table, column_name::text AS name, udt_name::text AS kind, coalesce(domain_name::text, '') AS domain
         FROM information_schema.columns
         WHERE table_schema = 'public' AND (table_name IN ({}) OR (table_name = 'partner_leads' AND column_name IN (
             'partner_id', 'status', 'deal_value', 'commission_rate', 'commission', 'commission_fixed', 'commission_paid', 'currency', 'converted_at')))
             AND is_generated = 'NEVER' AND is_identity = 'NO' AND column_name <> 'tenant_id'
         ORDER BY 1, ordinal_position",
        tables.join(", ")
    );
    diesel::sql_query(sql).load(&mut world.owner().await).await.expect("columns")
}

/// A change of each column of each money table that holds something is seen by a rule, or the column stands in the list of those that cannot be,
/// with the reason; and none stands there whose changes are all seen.
#[tokio::test(flavor = "multi_thread")]
async fn every_column_is_seen() {
    let world = World::new().await;
    business(&world).await;
    credits(&world).await;
    sales_by_links(&world).await;
    corrections(&world).await;
    affiliates(&world).await;
    for history in ["partner_moves", "partner_payout_changes"] {
        world.sql(&format!("SET session_replication_role = replica; UPDATE {history} SET impersonator = 'user_support'")).await;
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
    let mut connection = world.owner().await;
    connection.batch_execute("SET TIME ZONE 'UTC'").await.expect("a time zone");
    let (mut unseen, mut needless, mut seen) = (Vec::new(), Vec::new(), 0);
    for column in columns(&world).await {
        let name = format!("{}.{}", column.in_table, column.name);
        let reason = UNSEEN.iter().find(|(known, _)| *known == name);
        let filled = format!("SELECT count({}) FROM {}", column.name, column.in_table);
        if number(&mut connection, &filled).await == 0 {
            unseen.push(format!("{name} (holds nothing here)"));
            continue;
        }
        // What constraints let take no other value needs no rule.
        match (some_change_is(&mut connection, &column, reason.is_none()).await, reason) {
            (Some(true), None) => seen += 1,
            (Some(false), None) => unseen.push(name),
            (Some(false), Some(_)) => needless.push(name),
            (None, _) | (Some(true), Some(_)) => {}
        }
    }
    assert_eq!((unseen, needless), (Vec::<String>::new(), Vec::<String>::new()), "{seen} are seen");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What `business` and `credits` leave out: moves, rules with tiers, a redemption that was reversed, an allocation that was extended, requests
/// with keys.
async fn corrections(world: &World) {
    let tiered = "mutation ($id: ID!) { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, currency: \"USD\", kind: TIERED, tiers: [{ above: \"0\", rate: \"0.05\" }, { above: \"50\", rate: \"0.10\" }], cap: \"90\", durationMonths: 12, validFrom: \"2026-07-01T00:00:00Z\" }) { rule { id } userErrors { message } } }";
    let made = world.operator(tiered, json!({"id": world.b.to_string()})).await;
    assert_eq!(made.data()["setCommissionRule"]["userErrors"], json!([]));
    world.pay("inv_20", "cus_2", "100.00", "2026-07-15T12:00:00Z").await;
    world.pay("inv_21", "cus_2", "70.00", "2026-07-16T12:00:00Z").await;
    let flat = "mutation { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", currency: \"EUR\", kind: FLAT, flatAmount: \"3\", validFrom: \"2026-01-01T00:00:00Z\", validTo: \"2026-12-01T00:00:00Z\" }) { userErrors { message } } }";
    assert_eq!(world.operator(flat, json!({})).await.data()["setCommissionRule"]["userErrors"], json!([]));
    world.pay_in("inv_22", "cus_1", "70.00", "EUR", "2026-07-16T12:00:00Z").await;
    world.pay("inv_23", "cus_1", "70.00", "2026-07-18T12:00:00Z").await;
    let assign = "mutation ($id: ID!, $to: ID!) { assignCustomer(input: { customerId: $id, partnerId: $to, commissionRate: \"0.2\" }) { userErrors { message } } }";
    let customer = world.customer("cus_3", world.a).await;
    world.service(assign, json!({"id": customer, "to": world.a.to_string()})).await.data();
    let moved = world.adjust(world.a, "3.00", Some("moved")).await["commission"]["id"].clone();
    let query = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { message } } }";
    let answer = world.operator(query, json!({"id": moved, "to": world.b.to_string()})).await;
    assert_eq!(answer.data()["moveCommission"]["userErrors"], json!([]));
    let lead = world.add_lead(world.acme, world.a).await;
    let query = "mutation ($id: ID!, $to: ID!) { moveLead(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { message } } }";
    world.operator(query, json!({"id": lead.to_string(), "to": world.b.to_string()})).await.data();
    world.grant(world.a, 50, Some("grant")).await;
    let member = world.member("zoe@example.com").await;
    let allocation = world.assign(&member, 10, 30, Some("assign")).await["allocation"]["id"].clone();
    let redemption = world.redeem(&member, 2, "reversed").await["redemption"]["id"].clone();
    world.redeem(&member, 3, "stands").await;
    let query = "mutation ($id: ID!) { reverseRedemption(input: { redemptionId: $id, reason: \"R\", idempotencyKey: \"v\" }) { userErrors { message } } }";
    world.service(query, json!({"id": redemption})).await.data();
    let query = "mutation ($id: ID!) { extendCredits(input: { allocationId: $id, expiresAt: \"2030-01-01T00:00:00Z\" }) { userErrors { message } } }";
    world.owner_a(query, json!({"id": allocation})).await.data();
    let keyed = json!({"partnerId": world.a.to_string(), "currency": "USD", "idempotencyKey": "payout", "notes": "N"});
    world.adjust(world.a, "20.00", None).await;
    let payout = world.batch_with(keyed).await["payout"]["id"].clone();
    world.pay_out(&payout).await;
}
