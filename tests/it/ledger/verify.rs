//! `verify`: the books that the code keeps hold, and every fault that somebody plants in them is found and named.

use diesel_async::SimpleAsyncConnection;
use partner_portal::{clock::Clock, seed, verify};
use serde_json::json;

use super::affiliates;
use crate::{imports, support::World};

const DAY: &str = "2026-06-15T12:00:00Z";

/// One of everything: commissions of each kind and status, payouts that are live, paid, failed and cancelled.
pub async fn business(world: &World) {
    world.customer("cus_1", world.a).await;
    world.customer("cus_2", world.b).await;
    for number in 0..6 {
        let customer = if number % 2 == 0 { "cus_1" } else { "cus_2" };
        world.pay(&format!("inv_{number}"), customer, "100.00", DAY).await;
    }
    world.refund("inv_0", "100.00").await;
    let failed = world.batch(world.a).await["payout"]["id"].clone();
    for step in ["releasePayout", "startPayout", "failPayout"] {
        world.step(step, &failed).await;
    }
    world.pay_out(&world.batch(world.a).await["payout"]["id"].clone()).await;
    world.batch(world.b).await;
    world.adjust(world.a, "7.00", None).await;
    let rejected = world.pay("inv_9", "cus_2", "10.00", DAY).await["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&rejected], false).await;
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    world.pay("inv_10", "cus_1", "80.00", &world.app.clock.now().to_rfc3339()).await;
    let create = "mutation { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", dealValue: \"1000\" }) { lead { id } } }";
    let lead = world.owner_a(create, json!({})).await.data()["createLead"]["lead"]["id"].clone();
    let convert = "mutation ($id: ID!) { updateLeadStatus(input: { id: $id, status: CONVERTED }) { userErrors { code } } }";
    world.owner_a(convert, json!({"id": lead})).await.data();
    let rule = "mutation { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", kind: PERCENTAGE, rate: \"0.1\", validFrom: \"2026-07-17T00:00:00Z\" }) { userErrors { code } } }";
    world.operator(rule, json!({})).await.data();
    let moved = world.adjust(world.a, "2.00", None).await["commission"]["id"].clone();
    let query = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { code } } }";
    world.operator(query, json!({"id": moved, "to": world.b.to_string()})).await.data();
}

/// Clicks on links, sign-ups by them that count and that do not, and sales: refunded, rejected, moved to another partner.
pub async fn sales_by_links(world: &World) {
    let link = world.link("https://example.com/").await;
    world.clicks(&link, 3).await;
    let now = world.app.clock.now();
    let (clicked, signed_up) = (now - chrono::TimeDelta::days(2), now - chrono::TimeDelta::days(1));
    let click = world.click_at(&link, clicked).await;
    let report = json!({"customerExternalId": "cus_l", "clickId": click, "occurredAt": signed_up.to_rfc3339(), "metadata": "M"});
    assert_eq!(world.sign_up(report).await["outcome"], "ATTRIBUTED");
    let other = world.create_link("owner_b", json!({"url": "https://example.com/"})).await["link"].clone();
    let late = json!({"customerExternalId": "cus_l", "linkKey": other["key"], "name": "Trial"});
    assert_eq!(world.sign_up(late).await["outcome"], "KEPT");
    let rule = json!({"programmeId": link["programme"]["id"], "kind": "PERCENTAGE", "rate": "0.2", "idempotencyKey": "FRESH_KEY", "validFrom": signed_up.to_rfc3339()});
    world.decide_on("setCommissionRule", rule, "rule { id }").await;
    let own = json!({"partnerId": world.a.to_string(), "programmeId": link["programme"]["id"], "currency": "EUR", "kind": "FLAT", "flatAmount": "3.00",
        "idempotencyKey": "FRESH_KEY", "validFrom": signed_up.to_rfc3339()});
    world.decide_on("setCommissionRule", own, "rule { id }").await;
    world.pay_in("inv_l0", "cus_l", "50.00", "EUR", &now.to_rfc3339()).await;
    let paid = now.to_rfc3339();
    let mut commissions = Vec::new();
    for number in 1..=4 {
        commissions.push(world.pay(&format!("inv_l{number}"), "cus_l", "50.00", &paid).await["commission"]["id"].clone());
    }
    world.refund("inv_l2", "20.00").await;
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    let pending = world.pay("inv_l5", "cus_l", "50.00", &paid).await["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&pending], false).await;
    let query = "mutation ($id: ID!, $to: ID!) { moveCommission(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { code } } }";
    let own = json!({"customerExternalId": "cus_o", "linkKey": link["key"], "email": "owner@own.example", "occurredAt": signed_up.to_rfc3339()});
    world.sql("UPDATE users SET email = 'owner@own.example' WHERE clerk_user_id = 'owner_a'").await;
    world.sign_up(own).await;
    let flagged = world.pay("inv_o", "cus_o", "50.00", &paid).await["commission"]["id"].clone();
    world.decide("approveCommissions", &[&flagged], false).await;
    let moved = world.operator(query, json!({"id": commissions[2], "to": world.b.to_string()})).await;
    assert_eq!(moved.data()["moveCommission"]["userErrors"], json!([]));
    world.sql("UPDATE tenants SET commission_hold_days = 0").await;
    let shared = json!({"url": "https://example.com/shared", "split": [{"partnerId": world.b.to_string(), "share": "0.3333"}]});
    let shared = world.create_link("owner_a", shared).await["link"].clone();
    world.sign_up(json!({"customerExternalId": "cus_s", "linkKey": shared["key"], "occurredAt": signed_up.to_rfc3339()})).await;
    world.pay("inv_s", "cus_s", "50.00", &paid).await;
    world.refund("inv_s", "20.00").await;
}

/// Credits that are unassigned, with a member, used, expired and revoked.
pub async fn credits(world: &World) {
    world.grant(world.a, 100, None).await;
    world.grant(world.a, -10, None).await;
    let member = world.member("ann@example.com").await;
    let soon = world.assign(&member, 10, 1, None).await;
    world.redeem(&member, 4, "r1").await;
    world.assign(&member, 20, 90, None).await;
    world.redeem("ann@example.com", 7, "r2").await;
    world.revoke(&world.assign(&member, 5, 60, None).await["allocation"]["id"]).await;
    world.assign(&member, 3, 1, None).await;
    let extended = world.assign(&member, 2, 45, None).await["allocation"]["id"].clone();
    let query = "mutation ($id: ID!) { extendCredits(input: { allocationId: $id, expiresAt: \"2031-01-01T00:00:00Z\" }) { userErrors { code } } }";
    world.owner_a(query, json!({"id": extended})).await.data();
    world
        .sql(&format!(
            "UPDATE credit_allocations SET expires_at = now() WHERE valid_days = 1 AND id <> '{}'",
            uuid(&soon["allocation"]["id"])
        ))
        .await;
    partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
}

fn uuid(id: &serde_json::Value) -> uuid::Uuid {
    id.as_str().expect("an id").parse::<partner_portal::ids::AllocationId>().expect("an allocation's id").uuid()
}

/// Faults in members and credits, and the rules that they break.
fn faults_of_credits() -> Vec<(&'static str, String)> {
    let unchecked = "ALTER TABLE partner_credits DROP CONSTRAINT partner_credits_ended, DROP CONSTRAINT partner_credits_redeemed,
        DROP CONSTRAINT partner_credits_used_in_time, DROP CONSTRAINT partner_credits_expired_in_time; ";
    vec![
        ("accounts_equal_credits", "UPDATE accounts SET balance = balance + 1 WHERE kind = 'available'".to_owned()),
        ("accounts_equal_credits", "DELETE FROM credit_grants WHERE credits < 0".to_owned()),
        (
            "accounts_equal_credits",
            format!("{unchecked}UPDATE partner_credits SET status = 'available' WHERE status = 'revoked'"),
        ),
        ("member_accounts_equal_transfers", "UPDATE member_accounts SET balance = balance + 1 WHERE kind = 'used'".to_owned()),
        (
            "member_accounts_equal_transfers",
            "UPDATE transfers SET member_id = gen_random_uuid() WHERE kind = 'expire'".to_owned(),
        ),
        ("member_accounts_equal_credits", "UPDATE member_accounts SET balance = balance - 1 WHERE kind = 'assigned'".to_owned()),
        (
            "member_accounts_equal_credits",
            format!("{unchecked}UPDATE partner_credits SET status = 'used' WHERE status = 'expired'"),
        ),
        ("allocations_equal_credits", "DELETE FROM partner_credits WHERE number = 20".to_owned()),
        (
            "allocations_equal_credits",
            "UPDATE credit_allocations SET used = used - 1, expired = expired + 1 WHERE used > 0".to_owned(),
        ),
        (
            "allocations_equal_credits",
            format!("{unchecked}UPDATE partner_credits SET employee_email = 'eve@example.com' WHERE number = 2"),
        ),
        ("members_equal_credits", "UPDATE partner_members SET credits_assigned = credits_assigned + 1".to_owned()),
        (
            "credits_used_in_time",
            format!("{unchecked}UPDATE partner_credits SET ended_at = expires_at WHERE status = 'used' AND number = 1"),
        ),
        ("credits_used_in_time", "UPDATE credit_redemptions SET credits = credits + 1 WHERE credits = 4".to_owned()),
        (
            "credits_used_in_time",
            format!("{unchecked}UPDATE partner_credits SET ended_at = expires_at - interval '1 second' WHERE status = 'expired'"),
        ),
        ("credit_transfers_equal_sources", "UPDATE transfers SET amount = amount + 1 WHERE kind = 'redeem'".to_owned()),
        ("credit_transfers_equal_sources", "DELETE FROM transfers WHERE kind = 'withdraw'".to_owned()),
        (
            "credit_transfers_equal_sources",
            "UPDATE transfers SET redemption_id = (SELECT id FROM credit_redemptions WHERE id <> redemption_id LIMIT 1) WHERE kind = 'redeem' AND amount = 1".to_owned(),
        ),
        ("credits_used_in_time", "UPDATE credit_redemptions SET member_id = gen_random_uuid() WHERE member_id IS NOT NULL".to_owned()),
        ("extensions_lead_here", "UPDATE credit_extensions SET to_expires_at = to_expires_at + interval '1 second'".to_owned()),
        ("member_counts_equal_rows", "UPDATE member_counts SET invited = invited + 1".to_owned()),
    ]
}

/// Faults in programmes and links, and the rules that they break.
fn faults_of_links() -> Vec<(&'static str, String)> {
    vec![
        ("enrolments_lead_here", "UPDATE enrolments SET status = 'suspended'".to_owned()),
        ("enrolments_lead_here", "DELETE FROM enrolment_changes".to_owned()),
        ("click_totals_equal_clicks", "UPDATE link_clicks SET is_repeat = true".to_owned()),
        ("click_totals_equal_clicks", "UPDATE link_click_totals SET clicks = clicks + 1 WHERE grain = 'quarter_hour'".to_owned()),
        ("click_parts_equal_clicks", "UPDATE link_clicks SET referrer = 'other.example'".to_owned()),
        ("click_parts_equal_clicks", "UPDATE link_click_parts SET clicks = clicks + 1".to_owned()),
        ("click_totals_agree", "UPDATE link_click_totals SET visitors = visitors + 1 WHERE grain = 'all'".to_owned()),
        ("click_totals_agree", "DELETE FROM link_click_totals WHERE scope_id = partner_id AND grain = 'day'".to_owned()),
        ("link_orders_follow_figures", "UPDATE links_by_clicks SET clicks = clicks + 1".to_owned()),
        ("link_orders_follow_figures", "DELETE FROM links_by_sales".to_owned()),
        ("link_orders_follow_figures", "UPDATE links_by_sales SET earned = earned + 0.01".to_owned()),
        ("link_orders_follow_figures", "UPDATE links_by_sales SET partner_id = gen_random_uuid()".to_owned()),
        ("click_totals_agree", "UPDATE link_click_totals SET partner_id = gen_random_uuid()".to_owned()),
        (
            "sale_totals_equal_sales",
            "UPDATE link_sale_totals SET earned = earned + 0.01 WHERE grain = 'day' AND currency <> ''".to_owned(),
        ),
        ("sale_totals_equal_sales", "UPDATE link_sign_ups SET is_counted = NOT is_counted".to_owned()),
        (
            "flags_are_decided",
            "UPDATE partner_commission_events SET due_at = now() WHERE id IN (SELECT commission_id FROM commission_flags)"
                .to_owned(),
        ),
        (
            "flags_are_decided",
            "UPDATE partner_commission_events SET decided_by = NULL WHERE id IN (SELECT commission_id FROM commission_flags)"
                .to_owned(),
        ),
        ("sale_totals_equal_sales", "UPDATE invoices SET refunded = 0 WHERE external_id = 'inv_l2'".to_owned()),
        (
            "sale_totals_equal_sales",
            "DELETE FROM link_sale_totals WHERE grain = 'quarter_hour' AND scope_id = partner_id".to_owned(),
        ),
        ("links_customers_commissions_agree", "DELETE FROM partner_moves".to_owned()),
        (
            "links_customers_commissions_agree",
            "UPDATE partner_accounts SET customer_id = gen_random_uuid() WHERE link_id IS NOT NULL".to_owned(),
        ),
        ("links_customers_commissions_agree", "UPDATE links SET programme_id = gen_random_uuid()".to_owned()),
        ("parts_sum_to_the_whole", "UPDATE commission_splits SET share = share / 2".to_owned()),
        ("parts_sum_to_the_whole", "DELETE FROM commission_splits WHERE commission_id <> owners_id".to_owned()),
        ("parts_sum_to_the_whole", "UPDATE link_shares SET share = 0.5".to_owned()),
    ]
}

/// Each rule finds the fault that breaks it, planted by a superuser behind the back of constraints and triggers.
#[tokio::test(flavor = "multi_thread")]
async fn planted_faults_are_found() {
    let world = World::new().await;
    business(&world).await;
    credits(&world).await;
    sales_by_links(&world).await;
    affiliates::affiliates(&world).await;
    imports::brought_along(&world).await;
    assert_eq!(world.broken_rules().await, [""; 0]);
    let paid = "(SELECT id FROM partner_commission_events WHERE status = 'paid' ORDER BY id LIMIT 1)";
    let mut faults = vec![
        ("accounts_equal_transfers", "UPDATE accounts SET balance = balance + 1 WHERE kind = 'payable'".to_owned()),
        ("accounts_equal_transfers", "DELETE FROM transfers WHERE kind = 'pay'".to_owned()),
        (
            "running_balances",
            "UPDATE transfers SET to_balance = to_balance + 0.01 WHERE entry = (SELECT min(entry) FROM transfers)".to_owned(),
        ),
        ("day_totals_equal_transfers", "UPDATE account_days SET credits = credits + 1 WHERE kind = 'paid'".to_owned()),
        ("day_totals_equal_transfers", "UPDATE account_days SET closing = closing - 1 WHERE kind = 'payable'".to_owned()),
        (
            "accounts_equal_commissions",
            "UPDATE partner_commission_events SET status = 'approved' WHERE status = 'pending'".to_owned(),
        ),
        ("accounts_equal_payouts", "UPDATE partner_payouts SET status = 'cancelled' WHERE status = 'pending'".to_owned()),
        (
            "payouts_equal_items",
            "UPDATE partner_payouts SET commission_count = commission_count + 1 WHERE status = 'completed'".to_owned(),
        ),
        ("payouts_equal_items", "UPDATE partner_payouts SET fingerprint = repeat('0', 64) WHERE status = 'completed'".to_owned()),
        ("items_equal_commissions", format!("UPDATE partner_payout_items SET amount = amount + 1 WHERE event_id = {paid}")),
        (
            "one_live_payout",
            format!(
                "INSERT INTO partner_payout_items SELECT i.tenant_id, p.id, i.event_id, i.partner_id, i.event_date, i.amount
                 FROM partner_payout_items i, partner_payouts p WHERE i.event_id = {paid} AND p.status = 'pending' LIMIT 1"
            ),
        ),
        ("status_follows_payout", format!("UPDATE partner_commission_events SET status = 'approved' WHERE id = {paid}")),
        ("transfers_equal_sources", format!("DELETE FROM transfers WHERE event_id = {paid} AND kind = 'earn'")),
        ("transfers_equal_sources", "UPDATE transfers SET amount = amount + 1 WHERE kind = 'hold'".to_owned()),
        ("reversals_fit", "DELETE FROM partner_commission_events WHERE event_type = 'refund'".to_owned()),
        ("refunds_converge", "UPDATE invoices SET refunded = 50 WHERE external_id = 'inv_2'".to_owned()),
        ("refunds_converge", "DELETE FROM partner_commission_events WHERE event_type = 'refund'".to_owned()),
        (
            "invoices_equal_commissions",
            "UPDATE invoices SET amount = NULL, paid_at = NULL, customer_id = NULL WHERE external_id = 'inv_2'".to_owned(),
        ),
        ("invoices_equal_commissions", "UPDATE invoices SET amount = 200 WHERE external_id = 'inv_2'".to_owned()),
        ("reversals_fit", "UPDATE partner_commission_events SET amount = amount - 0.01 WHERE event_type = 'refund'".to_owned()),
        ("reversals_fit", "UPDATE partner_commission_events SET amount = -9.99 WHERE event_type = 'refund'".to_owned()),
        ("amounts_explain_themselves", format!("UPDATE partner_commission_events SET rate = 0.2 WHERE id = {paid}")),
        ("totals_equal_rows", "UPDATE commission_totals SET earned = earned + 1 WHERE grain = 'month'".to_owned()),
        ("totals_equal_rows", "UPDATE commission_totals SET paid_out = 0 WHERE grain = 'day'".to_owned()),
        ("tenants_equal_partners", "UPDATE tenant_totals SET earned = earned + 1 WHERE grain = 'month'".to_owned()),
        ("tenants_equal_partners", "DELETE FROM tenant_totals WHERE grain = 'day'".to_owned()),
        ("counters_equal_rows", "UPDATE partners SET total_referrals = total_referrals + 1".to_owned()),
        ("leads_have_commissions", "UPDATE partner_leads SET commission_paid = true".to_owned()),
        ("leads_have_commissions", "UPDATE partner_leads SET commission = 99.99, commission_fixed = true".to_owned()),
        ("reversals_fit", "UPDATE partner_commission_events SET status = 'rejected', rejection_reason = 'R', payout_id = NULL WHERE event_type = 'invoice_payment' AND id = (SELECT reverses_id FROM partner_commission_events WHERE event_type = 'refund' ORDER BY id LIMIT 1)".to_owned()),
        ("leads_have_commissions", "UPDATE partner_leads SET currency = 'EUR' WHERE status = 'converted'".to_owned()),
        ("histories_lead_here", "DELETE FROM partner_payout_changes WHERE to_status = 'completed'".to_owned()),
        ("histories_lead_here", "DELETE FROM lead_status_changes WHERE from_status IS NULL".to_owned()),
        ("histories_lead_here", "UPDATE partner_payouts SET payment_reference = 'X' WHERE status = 'completed'".to_owned()),
        ("transfers_go_their_way", "UPDATE transfers SET kind = 'approve' WHERE entry = (SELECT min(entry) FROM transfers WHERE kind = 'earn')".to_owned()),
        ("transfers_go_their_way", "UPDATE transfers SET attempt = 7 WHERE kind = 'pay'".to_owned()),
        ("sources_fit", "UPDATE partner_commission_events SET source = 'lead' WHERE event_type = 'adjustment'".to_owned()),
        ("rules_are_versions", "UPDATE partner_commissions SET version = version + 1".to_owned()),
        ("moves_lead_here", "UPDATE partner_moves SET to_partner_id = gen_random_uuid()".to_owned()),
        ("rows_have_partners", format!("UPDATE transfers SET partner_id = gen_random_uuid() WHERE event_id = {paid}")),
        ("rows_have_partners", "UPDATE partner_members SET partner_id = gen_random_uuid()".to_owned()),
    ];
    faults.extend(faults_of_credits());
    faults.extend(faults_of_links());
    faults.extend(affiliates::faults());
    faults.extend(imports::faults());
    for rule in verify::rules() {
        assert!(faults.iter().any(|(name, _)| *name == rule.name), "no fault is planted for {}", rule.name);
    }
    for (rule, fault) in faults {
        let mut connection = world.owner().await;
        let plant = format!("SET TIME ZONE 'UTC'; BEGIN; SET LOCAL session_replication_role = replica; {fault}");
        connection.batch_execute(&plant).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        let findings = verify::examine(&connection, None, |_| ()).await.expect("the rules can be checked");
        let found = findings.iter().find(|finding| finding.rule.name == rule).expect("the rule");
        assert!(found.faults > 0, "{rule} does not see: {fault}");
        assert!(found.example.is_some(), "{rule} gives no example");
        connection.batch_execute("ROLLBACK").await.expect("as it was");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Seeded data, a year of business in two currencies with payouts in every status, holds; and seeding again changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn seeded_books_hold() {
    let world = World::new().await;
    let amounts = seed::Amounts { partners: 6, leads: 40, invoices: 260, members: 30, clicks: 400, pays_monthly: false, seed: 3 };
    let clock = Clock::default();
    let fill = async || {
        seed::fill(&mut world.owner().await, Some("acme"), amounts, &world.app.keyring, &clock, |_| ()).await.expect("data")
    };
    let first = fill().await;
    assert!(first.commissions > 100 && first.payouts > 10, "{first:?}");
    assert_eq!(world.broken_rules().await, [""; 0]);
    assert_eq!(world.number("SELECT count(DISTINCT status) FROM partner_payouts").await, 6);
    assert_eq!(world.number("SELECT count(DISTINCT unit) FROM accounts").await, 3);
    assert_eq!(world.number("SELECT count(DISTINCT status) FROM partner_credits").await, 4);
    assert_eq!((first.members, world.number("SELECT count(DISTINCT status) FROM partner_members").await), (30, 2));
    assert!(world.number("SELECT count(DISTINCT event_type) FROM partner_commission_events").await >= 3);
    let transfers = world.number("SELECT count(*) FROM transfers").await;
    let again = fill().await;
    assert_eq!(world.number("SELECT count(*) FROM transfers").await, transfers);
    assert_eq!((again.partners, again.leads, again.commissions, again.payouts, again.members), (0, 0, 0, 0, 0));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// The command says PASS or FAIL for each rule, and its exit status follows.
#[test]
fn the_command_tells() {
    use crate::support::binary;
    let folder = binary::Folder::new();
    let folder = &folder.0;
    let seeded = binary::run(folder, &["seed", "--partners", "0", "--leads", "0", "--invoices", "0"]);
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let verified = binary::run(folder, &["verify", "--tenant", "northwind"]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("PASS  ")).count(), verify::rules().count());
    assert!(!text.contains("FAIL"));
    let unknown = binary::run(folder, &["verify", "--tenant", "nobody"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("there is no tenant \"nobody\""));
    // The same books with a fault in them, by the running database of this folder.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let options = partner_portal::db::embedded::Options { throw_away: false, ..crate::support::cluster::options() };
        let database =
            partner_portal::db::embedded::Embedded::start(&folder.join("postgres"), &options).await.expect("the database");
        let mut owner = partner_portal::db::connect::establish(&database.owner(), None).await.expect("a connection");
        owner.batch_execute("UPDATE accounts SET balance = balance + 1 WHERE kind = 'paid'").await.expect("a fault");
        database.stop().await;
    });
    let broken = binary::run(folder, &["verify"]);
    let text = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert!(
        !broken.status.success() && text.contains("FAIL  Every account equals its transfers (accounts_equal_transfers): "),
        "{text}"
    );
    assert!(String::from_utf8_lossy(&broken.stderr).starts_with("partner-portal: the books do not hold: "));
    let maintained = binary::run(folder, &["maintain"]);
    assert_eq!(
        String::from_utf8_lossy(&maintained.stdout),
        "0 commissions were due and are approved.\n0 credits were past their time and are expired.\n"
    );
}
