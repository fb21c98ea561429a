SET LOCAL lock_timeout = '60s';
DROP FUNCTION import_analyze(boolean), import_link_days(uuid, jsonb), import_commissions(uuid, timestamptz, jsonb, jsonb), claim_imported_user(uuid, text, text),
    import_users(uuid, jsonb, jsonb), import_partners(uuid, jsonb), import_guard(uuid);
DROP INDEX users_imported_idx;
DROP TRIGGER partner_payouts_total_insert ON partner_payouts;
DROP TABLE link_imported_days, import_findings, import_rows, import_files, import_runs;
DROP DOMAIN import_kind, import_state;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_imported,
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'split' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id, link_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount <> 0 AND base >= 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        WHEN 'wallet' THEN amount > 0 AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id, link_id, base, rate, notes) = 0
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END) NOT VALID;
ALTER DOMAIN commission_source DROP CONSTRAINT commission_source_known;
ALTER DOMAIN commission_source ADD CONSTRAINT commission_source_known CHECK (VALUE IN (
    'customer_rate', 'enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual', 'wallet')) NOT VALID;
ALTER DOMAIN commission_event_type DROP CONSTRAINT commission_event_type_known;
ALTER DOMAIN commission_event_type ADD CONSTRAINT commission_event_type_known
    CHECK (VALUE IN ('invoice_payment', 'lead_conversion', 'refund', 'adjustment', 'split', 'wallet')) NOT VALID;
CREATE OR REPLACE FUNCTION link_totals_of_commissions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
    was record;
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE link_id IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    FOR was IN
        SELECT a.tenant_id, a.link_id, a.currency, a.event_date, count(*) FILTER (WHERE a.event_type = 'invoice_payment') AS sales,
            coalesce(sum(a.base - least(i.refunded, i.amount)) FILTER (WHERE a.event_type = 'invoice_payment'), 0) AS sale_amount,
            coalesce(sum(a.amount) FILTER (WHERE a.status <> 'rejected' AND a.partner_id = l.partner_id), 0) AS earned
        FROM added a
        JOIN links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id
        LEFT JOIN invoices i ON i.tenant_id = a.tenant_id AND i.external_id = a.invoice_id
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    LOOP
        PERFORM add_to_link_totals(was.tenant_id, was.link_id, was.currency, was.event_date, 0, 0, was.sales, was.sale_amount, was.earned);
    END LOOP;
    -- Reports may come out of order: a sale from before a customer's first one is the first one now.
    FOR was IN
        SELECT n.tenant_id, n.link_id, n.first_at, min(e.event_date) AS earlier_at
        FROM (SELECT tenant_id, link_id, customer_id, min(event_date) AS first_at FROM added
              WHERE link_id IS NOT NULL AND event_type = 'invoice_payment' GROUP BY 1, 2, 3) n
        LEFT JOIN partner_commission_events e ON e.tenant_id = n.tenant_id AND e.customer_id = n.customer_id AND e.link_id = n.link_id
            AND e.event_type = 'invoice_payment' AND NOT EXISTS (SELECT FROM added a WHERE a.tenant_id = e.tenant_id AND a.id = e.id)
        GROUP BY n.tenant_id, n.link_id, n.customer_id, n.first_at ORDER BY 1, 2, 3
    LOOP
        CONTINUE WHEN was.earlier_at <= was.first_at;
        PERFORM add_to_link_totals(was.tenant_id, was.link_id, '', was.first_at, 0, 1, 0, 0, 0);
        IF was.earlier_at IS NOT NULL THEN
            PERFORM add_to_link_totals(was.tenant_id, was.link_id, '', was.earlier_at, 0, -1, 0, 0, 0);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
