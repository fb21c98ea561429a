CREATE DOMAIN payout_status AS text
    CONSTRAINT payout_status_known CHECK (VALUE IN ('pending', 'ready', 'processing', 'completed', 'failed', 'cancelled'));

CREATE TABLE partner_payouts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    total_amount numeric(19, 4) NOT NULL,
    total_sort bigint NOT NULL GENERATED ALWAYS AS ((total_amount * 10000)::bigint) STORED,
    currency text NOT NULL,
    commission_count integer NOT NULL,
    fingerprint text NOT NULL,
    payment_method payment_method NOT NULL DEFAULT 'manual',
    payment_reference text,
    status payout_status NOT NULL DEFAULT 'pending',
    attempt integer NOT NULL DEFAULT 1,
    payout_date timestamptz NOT NULL,
    completed_at timestamptz,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    notes text,
    failure_reason text,
    idempotency_key text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_payouts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_payouts_partner_key UNIQUE (tenant_id, partner_id, id),
    CONSTRAINT partner_payouts_idempotency_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT partner_payouts_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_payouts_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_payouts_total_range CHECK (total_amount > 0 AND total_amount < 100000000000000),
    CONSTRAINT partner_payouts_count_range CHECK (commission_count > 0),
    CONSTRAINT partner_payouts_attempt_range CHECK (attempt > 0),
    CONSTRAINT partner_payouts_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT partner_payouts_period CHECK (period_start < period_end),
    CONSTRAINT partner_payouts_completion CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT partner_payouts_failure CHECK (status <> 'failed' OR failure_reason IS NOT NULL)
);
CREATE INDEX partner_payouts_partner_created_idx ON partner_payouts (tenant_id, partner_id, created_at, id);
CREATE INDEX partner_payouts_partner_total_idx ON partner_payouts (tenant_id, partner_id, total_sort, id);
CREATE INDEX partner_payouts_partner_status_idx ON partner_payouts (tenant_id, partner_id, status, created_at, id);
CREATE INDEX partner_payouts_created_idx ON partner_payouts (tenant_id, created_at, id);
CREATE INDEX partner_payouts_total_idx ON partner_payouts (tenant_id, total_sort, id);
CREATE INDEX partner_payouts_status_idx ON partner_payouts (tenant_id, status, created_at, id);
CREATE INDEX partner_payouts_dates_idx ON partner_payouts (tenant_id, payout_date, period_start, period_end);
COMMENT ON TABLE partner_payouts IS 'What is, was or could not be paid to partners';
COMMENT ON COLUMN partner_payouts.fingerprint IS 'SHA-256 over the canonical lines that it was made of';
COMMENT ON COLUMN partner_payouts.attempt IS 'How often it has been tried to pay it';
COMMENT ON COLUMN partner_payouts.payout_date IS 'When it is to be paid';
COMMENT ON COLUMN partner_payouts.period_end IS 'Exclusive: it takes what was earned before, also before period_start where that was carried forward, and what was taken back or off until it was made';

ALTER TABLE partner_commission_events ADD CONSTRAINT partner_commission_events_payout_id_fkey
    FOREIGN KEY (tenant_id, partner_id, payout_id) REFERENCES partner_payouts (tenant_id, partner_id, id) ON DELETE RESTRICT;

CREATE TABLE partner_payout_items (
    tenant_id uuid NOT NULL,
    payout_id uuid NOT NULL,
    event_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    event_date timestamptz NOT NULL,
    amount numeric(19, 4) NOT NULL,
    CONSTRAINT partner_payout_items_pkey PRIMARY KEY (tenant_id, payout_id, event_id),
    CONSTRAINT partner_payout_items_payout_id_fkey FOREIGN KEY (tenant_id, partner_id, payout_id)
        REFERENCES partner_payouts (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_payout_items_event_id_fkey FOREIGN KEY (tenant_id, partner_id, event_id)
        REFERENCES partner_commission_events (tenant_id, partner_id, id) ON DELETE RESTRICT
);
CREATE INDEX partner_payout_items_date_idx ON partner_payout_items (tenant_id, payout_id, event_date, event_id);
CREATE INDEX partner_payout_items_event_idx ON partner_payout_items (tenant_id, event_id);
COMMENT ON TABLE partner_payout_items IS 'The commissions that a payout was made of, kept also when it fails and they are free for another';
COMMENT ON COLUMN partner_payout_items.event_date IS 'The commission''s: a payout''s list is read in this order from its index';

CREATE TABLE partner_payout_changes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    payout_id uuid NOT NULL,
    from_status payout_status,
    to_status payout_status NOT NULL,
    changed_by uuid,
    note text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT partner_payout_changes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_payout_changes_payout_id_fkey FOREIGN KEY (tenant_id, partner_id, payout_id)
        REFERENCES partner_payouts (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_payout_changes_changed_by_fkey FOREIGN KEY (tenant_id, changed_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_payout_changes_moves CHECK (from_status IS DISTINCT FROM to_status)
);
CREATE INDEX partner_payout_changes_payout_idx ON partner_payout_changes (tenant_id, payout_id, created_at, id);
COMMENT ON TABLE partner_payout_changes IS 'Every step a payout has taken, append-only';

CREATE FUNCTION payout_totals_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO public.commission_totals AS t (tenant_id, partner_id, currency, grain, starts_on, paid_out)
    SELECT NEW.tenant_id, NEW.partner_id, NEW.currency, g.grain, date_trunc(g.grain, p.completed_at AT TIME ZONE 'UTC')::date, sum(p.paid)
    FROM (VALUES (NEW.completed_at, NEW.total_amount), (OLD.completed_at, -OLD.total_amount)) AS p (completed_at, paid)
    CROSS JOIN (VALUES ('day'), ('month')) AS g (grain)
    WHERE p.completed_at IS NOT NULL
    GROUP BY 4, 5
    ON CONFLICT (tenant_id, partner_id, currency, grain, starts_on) DO UPDATE SET paid_out = t.paid_out + EXCLUDED.paid_out;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION payout_totals_follow() IS 'Keeps commission_totals.paid_out in step with the payouts; runs as its owner because callers may not write it';
REVOKE ALL ON FUNCTION payout_totals_follow() FROM PUBLIC;

CREATE TRIGGER partner_payouts_total AFTER UPDATE ON partner_payouts FOR EACH ROW
    WHEN (NEW.completed_at IS DISTINCT FROM OLD.completed_at) EXECUTE FUNCTION payout_totals_follow();

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['partner_payouts', 'partner_payout_items', 'partner_payout_changes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO portal_partner
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid)
                AND partner_id = (SELECT current_setting(''app.partner_id'')::uuid))', tab || '_partner', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator, portal_service
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;

GRANT SELECT ON partner_payouts, partner_payout_items, partner_payout_changes TO portal_partner, portal_operator, portal_service;
-- A payout begins as pending: no caller can make one that is completed.
GRANT INSERT (tenant_id, id, partner_id, total_amount, currency, commission_count, fingerprint, payment_method, payout_date, period_start,
    period_end, notes, idempotency_key, created_by, created_at, updated_at) ON partner_payouts TO portal_operator;
GRANT UPDATE (status, attempt, payment_reference, completed_at, failure_reason, updated_at) ON partner_payouts TO portal_operator;
GRANT INSERT ON partner_payout_items, partner_payout_changes TO portal_operator;
