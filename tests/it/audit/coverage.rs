//! What the audit trail is written of.

use crate::support::World;

/// Tables of tenants that are not audited: what follows from rows that are, or records itself who has done it and when; the trail itself; what imports, clicks
/// and payment services have reported; and what is sent and kept for a while.
const NOT_AUDITED: &str = "account_days accounts affiliate_people affiliate_rewards affiliate_totals audit_changes audit_entries commission_flags commission_splits \
                           commission_totals credit_extensions data_import_chunks data_import_findings directory_objects enrolment_changes events idempotency_keys \
                           import_files import_findings import_rows import_runs invite_click_totals invite_clicks lead_status_changes link_click_news \
                           link_click_parts link_click_totals link_clicks link_imported_days link_sale_totals link_visitors links_by_clicks links_by_sales \
                           member_accounts member_counts partner_credits partner_moves partner_payout_changes partner_payout_items processor_customers \
                           processor_invoices processor_payments processor_reversals programme_rate_answers tenant_arrivals tenant_moves tenant_totals transfers user_accounts \
                           webhook_attempts webhook_events";

/// Which triggers `t` write the trail: those of one function for all, or of the table's own.
const AUDITS: &str = "t.tgenabled <> 'D' AND t.tgfoid IN (SELECT p.oid FROM pg_proc p WHERE p.proname IN ('audit_record', (SELECT c.relname FROM pg_class c WHERE c.oid = t.tgrelid) || '_audit'))";

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

/// Where a table has a function of its own for the trail, that compares its columns: one that a migration adds or drops is found here until the function is made
/// again, and so is one whose change alone fires no trigger.
#[tokio::test(flavor = "multi_thread")]
async fn every_column_is_compared() {
    let world = World::new().await;
    let own = "WITH own AS (SELECT t.tgrelid, t.tgattr, p.prosrc, string_to_array(encode(t.tgargs, 'escape'), '\\000') AS arguments
        FROM pg_proc p JOIN pg_trigger t ON t.tgfoid = p.oid AND t.tgtype & 16 > 0
        WHERE p.proname = (SELECT c.relname FROM pg_class c WHERE c.oid = t.tgrelid) || '_audit'),
        compared AS (SELECT o.tgrelid, o.tgattr, m[1] AS col FROM own o CROSS JOIN LATERAL regexp_matches(o.prosrc, 'IF OLD\\.\"?(\\w+)\"? IS DISTINCT', 'g') AS m),
        columns AS (SELECT o.tgrelid, a.attname::text AS col FROM own o JOIN pg_attribute a ON a.attrelid = o.tgrelid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE a.attname <> ALL (audit_left_out(o.arguments[5])))";
    assert!(world.number(&format!("{own} SELECT count(*) FROM own")).await > 20);
    let differences = format!(
        "({own} SELECT string_agg(d.tgrelid::regclass || '.' || d.col, ' ' ORDER BY 1) FROM (
            (SELECT tgrelid, col FROM columns EXCEPT SELECT tgrelid, col FROM compared) UNION ALL (SELECT tgrelid, col FROM compared EXCEPT SELECT tgrelid, col FROM columns)) AS d)"
    );
    assert_eq!(world.text(&differences).await, "");
    // Not by these alone: an erasure is recorded by itself.
    let silent = format!(
        "({own} SELECT string_agg(c.tgrelid::regclass || '.' || c.col, ' ' ORDER BY 1) FROM compared c JOIN pg_attribute a ON a.attrelid = c.tgrelid AND a.attname = c.col
            WHERE cardinality(c.tgattr::smallint[]) > 0 AND a.attnum <> ALL (c.tgattr::smallint[]))"
    );
    assert_eq!(world.text(&silent).await, "users.erased_at");
}
