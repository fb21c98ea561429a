//! What the audit trail is written of.

use crate::support::World;

/// Tables of tenants that are not audited: what follows from rows that are, or records itself who has done it and when; the trail itself; what imports, clicks
/// and payment services have reported; and what is sent and kept for a while.
const NOT_AUDITED: &str = "account_days accounts affiliate_people affiliate_rewards affiliate_totals audit_changes audit_entries commission_flags commission_splits \
                           commission_totals credit_extensions data_import_chunks data_import_findings directory_objects enrolment_changes events idempotency_keys \
                           import_files import_findings import_rows import_runs invite_click_totals invite_clicks lead_status_changes link_click_news \
                           link_click_parts link_click_totals link_clicks link_imported_days link_sale_totals link_visitors links_by_clicks links_by_sales \
                           member_accounts member_counts partner_credits partner_moves partner_payout_changes partner_payout_items processor_customers \
                           processor_invoices processor_payments processor_reversals programme_rate_answers tenant_totals transfers user_accounts \
                           webhook_attempts webhook_events";

/// Which triggers `t` write the trail.
const AUDITS: &str = "t.tgname ~ '_audit(_|$)' AND NOT t.tgisinternal";

/// Every table of a tenant's is audited, or is named here as one that need not be: one that a migration adds is thought about.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_audited_or_named() {
    let world = World::new().await;
    let not_audited = format!(
        "SELECT string_agg(k.relname, ' ' ORDER BY k.relname COLLATE \"C\") FROM pg_class k
         JOIN pg_attribute a ON a.attrelid = k.oid AND a.attname = 'tenant_id'
         WHERE k.relnamespace = 'public'::regnamespace AND k.relkind IN ('r', 'p') AND NOT k.relispartition
            AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = k.oid AND {AUDITS})"
    );
    assert_eq!(world.text(&not_audited).await, NOT_AUDITED);
    // Each in all three ways: rows are added, changed and removed.
    let partly = format!(
        "SELECT count(*) FROM (SELECT tgrelid FROM pg_trigger t WHERE {AUDITS} GROUP BY 1 HAVING bit_or(tgtype & 28) <> 28) AS t"
    );
    assert_eq!(world.number(&partly).await, 0);
}

/// Where a table has a function of its own for the trail, that knows all of its columns: one that a migration adds is compared, or left out by name.
#[tokio::test(flavor = "multi_thread")]
async fn every_column_is_compared_or_left_out() {
    let world = World::new().await;
    let own = "FROM pg_proc p JOIN pg_trigger t ON t.tgfoid = p.oid AND t.tgname = p.proname WHERE p.proname LIKE '%\\_audit'";
    assert!(world.number(&format!("SELECT count(*) {own}")).await > 20);
    let forgotten = format!(
        "SELECT string_agg(t.tgrelid::regclass || '.' || a.attname, ' ') AS text FROM (SELECT t.tgrelid, p.prosrc {own}) AS t
         JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE t.prosrc !~ ('-- Left out:[^\\n]* ' || a.attname || '[ \\n]') AND strpos(t.prosrc, format('IF OLD.%I IS DISTINCT', a.attname)) = 0"
    );
    assert_eq!(world.text(&forgotten).await, "");
}
