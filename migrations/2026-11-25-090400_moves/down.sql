CREATE OR REPLACE FUNCTION commission_totals_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.commission_totals AS t (tenant_id, partner_id, currency, grain, starts_on, base, earned, pending, commission_count)
        SELECT e.tenant_id, e.partner_id, e.currency, g.grain, date_trunc(g.grain, e.event_date AT TIME ZONE 'UTC')::date,
            coalesce(sum(e.base) FILTER (WHERE e.event_type = 'invoice_payment'), 0), sum(e.amount),
            coalesce(sum(e.amount) FILTER (WHERE e.status = 'pending'), 0), count(*)
        FROM added e CROSS JOIN (VALUES ('day'), ('month')) AS g (grain)
        WHERE e.status <> 'rejected'
        GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (tenant_id, partner_id, currency, grain, starts_on) DO UPDATE
        SET base = t.base + EXCLUDED.base, earned = t.earned + EXCLUDED.earned, pending = t.pending + EXCLUDED.pending,
            commission_count = t.commission_count + EXCLUDED.commission_count;
    ELSE
        -- Only the status of a commission changes, so its totals are there.
        UPDATE public.commission_totals t
        SET base = t.base + d.base, earned = t.earned + d.earned, pending = t.pending + d.pending,
            commission_count = t.commission_count + d.commission_count
        FROM (
            SELECT e.tenant_id, e.partner_id, e.currency, g.grain, date_trunc(g.grain, e.event_date AT TIME ZONE 'UTC')::date AS starts_on,
                coalesce(sum(e.base * e.n) FILTER (WHERE e.event_type = 'invoice_payment' AND e.status <> 'rejected'), 0) AS base,
                coalesce(sum(e.amount * e.n) FILTER (WHERE e.status <> 'rejected'), 0) AS earned,
                coalesce(sum(e.amount * e.n) FILTER (WHERE e.status = 'pending'), 0) AS pending,
                coalesce(sum(e.n) FILTER (WHERE e.status <> 'rejected'), 0) AS commission_count
            FROM (SELECT tenant_id, partner_id, currency, event_date, event_type, base, amount, status, 1 AS n FROM added
                  UNION ALL SELECT tenant_id, partner_id, currency, event_date, event_type, base, amount, status, -1 FROM removed) e
            CROSS JOIN (VALUES ('day'), ('month')) AS g (grain)
            GROUP BY 1, 2, 3, 4, 5) d
        WHERE t.tenant_id = d.tenant_id AND t.partner_id = d.partner_id AND t.currency = d.currency AND t.grain = d.grain
            AND t.starts_on = d.starts_on AND (d.earned <> 0 OR d.pending <> 0 OR d.commission_count <> 0 OR d.base <> 0);
    END IF;
    RETURN NULL;
END $$;
REVOKE UPDATE (partner_id) ON partner_leads, partner_commission_events FROM portal_operator;
DROP INDEX transfers_event_key;
CREATE UNIQUE INDEX transfers_event_key ON transfers (tenant_id, event_id, kind) WHERE event_id IS NOT NULL;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_lead_id_fkey,
    ADD CONSTRAINT partner_commission_events_lead_id_fkey FOREIGN KEY (tenant_id, partner_id, lead_id)
        REFERENCES partner_leads (tenant_id, partner_id, id) ON DELETE RESTRICT;
ALTER TABLE partner_payout_items
    DROP CONSTRAINT partner_payout_items_event_id_fkey,
    ADD CONSTRAINT partner_payout_items_event_id_fkey FOREIGN KEY (tenant_id, partner_id, event_id)
        REFERENCES partner_commission_events (tenant_id, partner_id, id) ON DELETE RESTRICT;
ALTER TABLE transfers
    DROP CONSTRAINT transfers_event_id_fkey,
    ADD CONSTRAINT transfers_event_id_fkey FOREIGN KEY (tenant_id, partner_id, event_id)
        REFERENCES partner_commission_events (tenant_id, partner_id, id) ON DELETE RESTRICT;
ALTER TABLE lead_status_changes
    DROP CONSTRAINT lead_status_changes_lead_id_fkey,
    ADD CONSTRAINT lead_status_changes_lead_id_fkey FOREIGN KEY (tenant_id, partner_id, lead_id)
        REFERENCES partner_leads (tenant_id, partner_id, id) ON DELETE RESTRICT;
DROP TABLE partner_moves;
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire', 'restore'));
