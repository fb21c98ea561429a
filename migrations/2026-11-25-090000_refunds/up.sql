-- A refund can fail: the bank returns it, and the billing system reports a smaller sum with a later time. Reports are ordered by that
-- time, and what was taken back is given back by another commission, above zero.
SET LOCAL lock_timeout = '60s';

-- What is reported before the payment may be more than the payment: it is kept as it was reported, so that the same report is known again.
ALTER TABLE invoices
    DROP CONSTRAINT invoices_refunded_range,
    ADD CONSTRAINT invoices_refunded_range CHECK (refunded >= 0 AND refunded < 100000000000000);
COMMENT ON COLUMN invoices.refunded IS 'The cumulative amount of the latest report, by refunded_at; of two reports of one time the larger. More than the amount counts as all of it';
COMMENT ON COLUMN invoices.refunded_at IS 'The time that the latest report gives; reports of an earlier time change nothing';

ALTER TABLE partner_commission_events
    ADD COLUMN refunded_at timestamptz,
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount <> 0 AND base >= 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END),
    ADD CONSTRAINT partner_commission_events_refund_time CHECK (refunded_at IS NULL OR event_type = 'refund');
COMMENT ON COLUMN partner_commission_events.refunded_at IS 'For a refund: the time that its report gives; event_date is that of the commission where that is later. NULL where it was booked before this column was there: event_date then';
COMMENT ON COLUMN partner_commission_events.reverses_id IS 'For a refund: the commission that it takes back in part or whole, or gives back where a refund failed';

DROP INDEX partner_commission_events_refund_key;
CREATE UNIQUE INDEX partner_commission_events_refund_key ON partner_commission_events
    (tenant_id, reverses_id, base, coalesce(refunded_at, event_date)) WHERE event_type = 'refund';
GRANT INSERT (refunded_at) ON partner_commission_events TO portal_operator, portal_service;
