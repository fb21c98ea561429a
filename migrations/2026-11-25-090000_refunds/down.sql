DROP INDEX partner_commission_events_refund_key;
CREATE UNIQUE INDEX partner_commission_events_refund_key ON partner_commission_events (tenant_id, reverses_id, base) WHERE event_type = 'refund';
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_refund_time,
    DROP COLUMN refunded_at,
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount < 0 AND base > 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END);
ALTER TABLE invoices
    DROP CONSTRAINT invoices_refunded_range,
    ADD CONSTRAINT invoices_refunded_range CHECK (refunded >= 0 AND refunded < 100000000000000 AND refunded <= amount);
