-- A lead, or a commission that is not paid, can be moved to another partner: in the ledger by two transfers, in the history by a row with the
-- reason.
SET LOCAL lock_timeout = '60s';
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'move_out', 'move_in',
    'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire', 'restore'));

CREATE TABLE partner_moves (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    lead_id uuid,
    commission_id uuid,
    from_partner_id uuid NOT NULL,
    to_partner_id uuid NOT NULL,
    reason text NOT NULL,
    moved_by uuid,
    created_at timestamptz NOT NULL,
    CONSTRAINT partner_moves_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_moves_lead_id_fkey FOREIGN KEY (tenant_id, lead_id) REFERENCES partner_leads (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_moves_commission_id_fkey FOREIGN KEY (tenant_id, commission_id) REFERENCES partner_commission_events (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_moves_from_partner_id_fkey FOREIGN KEY (tenant_id, from_partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_moves_to_partner_id_fkey FOREIGN KEY (tenant_id, to_partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_moves_moved_by_fkey FOREIGN KEY (tenant_id, moved_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_moves_subject CHECK (num_nonnulls(lead_id, commission_id) = 1),
    CONSTRAINT partner_moves_moves CHECK (from_partner_id <> to_partner_id),
    CONSTRAINT partner_moves_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1000)
);
CREATE INDEX partner_moves_lead_idx ON partner_moves (tenant_id, lead_id, created_at, id) WHERE lead_id IS NOT NULL;
CREATE INDEX partner_moves_commission_idx ON partner_moves (tenant_id, commission_id, created_at, id) WHERE commission_id IS NOT NULL;
COMMENT ON TABLE partner_moves IS 'Leads and commissions that were moved from one partner to another, append-only';
COMMENT ON COLUMN partner_moves.commission_id IS 'A commission that was moved by itself; one that went with its lead is named by the lead';
ALTER TABLE partner_moves ENABLE ROW LEVEL SECURITY;
-- Whoever has it now may know why; from whom it came is told to staff alone.
CREATE POLICY partner_moves_partner ON partner_moves FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND to_partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_moves_staff ON partner_moves TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON partner_moves TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON partner_moves TO portal_operator;

-- What a lead takes along by itself. Payouts that failed, and transfers, stay with the partner whose they were.
ALTER TABLE lead_status_changes
    DROP CONSTRAINT lead_status_changes_lead_id_fkey,
    ADD CONSTRAINT lead_status_changes_lead_id_fkey FOREIGN KEY (tenant_id, partner_id, lead_id)
        REFERENCES partner_leads (tenant_id, partner_id, id) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE transfers
    DROP CONSTRAINT transfers_event_id_fkey,
    ADD CONSTRAINT transfers_event_id_fkey FOREIGN KEY (tenant_id, event_id) REFERENCES partner_commission_events (tenant_id, id) ON DELETE RESTRICT;
ALTER TABLE partner_payout_items
    DROP CONSTRAINT partner_payout_items_event_id_fkey,
    ADD CONSTRAINT partner_payout_items_event_id_fkey FOREIGN KEY (tenant_id, event_id)
        REFERENCES partner_commission_events (tenant_id, id) ON DELETE RESTRICT;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_lead_id_fkey,
    ADD CONSTRAINT partner_commission_events_lead_id_fkey FOREIGN KEY (tenant_id, partner_id, lead_id)
        REFERENCES partner_leads (tenant_id, partner_id, id) ON UPDATE CASCADE ON DELETE RESTRICT;
-- A commission can be moved more than once.
DROP INDEX transfers_event_key;
CREATE UNIQUE INDEX transfers_event_key ON transfers (tenant_id, event_id, kind, attempt) WHERE event_id IS NOT NULL;
COMMENT ON COLUMN transfers.attempt IS 'Which attempt at the payout, or which move of the commission; for credits that are revoked or expire, 1 and how often some have come back to the allocation before';
GRANT UPDATE (partner_id) ON partner_leads, partner_commission_events TO portal_operator;

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
        -- A commission that has moved may be the first of its day for its new partner.
        INSERT INTO public.commission_totals AS t (tenant_id, partner_id, currency, grain, starts_on, base, earned, pending, commission_count)
        SELECT d.tenant_id, d.partner_id, d.currency, d.grain, d.starts_on, d.base, d.earned, d.pending, d.commission_count
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
        WHERE d.earned <> 0 OR d.pending <> 0 OR d.commission_count <> 0 OR d.base <> 0
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (tenant_id, partner_id, currency, grain, starts_on) DO UPDATE
        SET base = t.base + EXCLUDED.base, earned = t.earned + EXCLUDED.earned, pending = t.pending + EXCLUDED.pending,
            commission_count = t.commission_count + EXCLUDED.commission_count;
    END IF;
    RETURN NULL;
END $$;
