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

/// Every table of a tenant's is audited, or is named here as one that need not be: one that a migration adds is thought about.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_audited_or_named() {
    let world = World::new().await;
    let not_audited = "SELECT string_agg(k.relname, ' ' ORDER BY k.relname COLLATE \"C\") FROM pg_class k
        JOIN pg_attribute a ON a.attrelid = k.oid AND a.attname = 'tenant_id'
        WHERE k.relnamespace = 'public'::regnamespace AND k.relkind IN ('r', 'p') AND NOT k.relispartition
            AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = k.oid AND t.tgfoid = 'audit_record'::regproc)";
    assert_eq!(world.text(not_audited).await, NOT_AUDITED);
    // Each in all three ways: rows are added, changed and removed.
    let partly = "SELECT count(*) FROM (SELECT tgrelid FROM pg_trigger WHERE tgfoid = 'audit_record'::regproc GROUP BY 1 HAVING bit_or(tgtype & 28) <> 28) AS t";
    assert_eq!(world.number(partly).await, 0);
}
