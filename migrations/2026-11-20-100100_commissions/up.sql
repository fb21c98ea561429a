CREATE DOMAIN commission_rule_kind AS text
    CONSTRAINT commission_rule_kind_known CHECK (VALUE IN ('percentage', 'flat', 'tiered'));
CREATE DOMAIN commission_event_type AS text
    CONSTRAINT commission_event_type_known CHECK (VALUE IN ('invoice_payment', 'lead_conversion', 'refund', 'adjustment'));
CREATE DOMAIN commission_status AS text
    CONSTRAINT commission_status_known CHECK (VALUE IN ('pending', 'approved', 'paid', 'rejected'));
CREATE DOMAIN commission_source AS text
    CONSTRAINT commission_source_known
        CHECK (VALUE IN ('customer_rate', 'partner_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual'));
CREATE DOMAIN total_grain AS text
    CONSTRAINT total_grain_known CHECK (VALUE IN ('day', 'month'));

ALTER TABLE tenants
    ADD COLUMN commission_hold_days integer NOT NULL DEFAULT 0
        CONSTRAINT tenants_hold_days_known CHECK (commission_hold_days IN (0, 7, 14, 30, 60, 90)),
    ADD COLUMN minimum_payout numeric(19, 4) NOT NULL DEFAULT 0
        CONSTRAINT tenants_minimum_payout_range CHECK (minimum_payout >= 0 AND minimum_payout < 100000000000000);
COMMENT ON COLUMN tenants.commission_hold_days IS 'How long an invoice''s commission stays pending, for refunds to come in';
COMMENT ON COLUMN tenants.minimum_payout IS 'The least that is paid out at once, in the default currency';
CREATE POLICY tenants_settings ON tenants FOR UPDATE TO portal_operator
    USING (id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT UPDATE (commission_hold_days, minimum_payout, updated_at) ON tenants TO portal_operator;

CREATE TABLE partner_commissions (
    tenant_id uuid NOT NULL CONSTRAINT partner_commissions_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    partner_id uuid,
    scope_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(partner_id, tenant_id)) STORED,
    currency text,
    scope_currency text NOT NULL GENERATED ALWAYS AS (coalesce(currency, '')) STORED,
    version integer NOT NULL,
    kind commission_rule_kind NOT NULL,
    rate numeric(5, 4),
    flat_amount numeric(19, 4),
    cap numeric(19, 4),
    duration_months integer,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_commissions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_commissions_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commissions_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commissions_version_key UNIQUE (tenant_id, scope_id, scope_currency, version),
    CONSTRAINT partner_commissions_one_at_a_time EXCLUDE USING gist
        (tenant_id WITH =, scope_id WITH =, scope_currency WITH =, tstzrange(valid_from, valid_to) WITH &&),
    CONSTRAINT partner_commissions_period CHECK (valid_to >= valid_from),
    CONSTRAINT partner_commissions_version_range CHECK (version >= 1),
    CONSTRAINT partner_commissions_rate_range CHECK (rate BETWEEN 0 AND 1),
    CONSTRAINT partner_commissions_flat_range CHECK (flat_amount >= 0 AND flat_amount < 100000000000000),
    CONSTRAINT partner_commissions_cap_range CHECK (cap > 0 AND cap < 100000000000000),
    CONSTRAINT partner_commissions_duration_range CHECK (duration_months BETWEEN 1 AND 1200),
    CONSTRAINT partner_commissions_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT partner_commissions_terms CHECK ((kind = 'percentage') = (rate IS NOT NULL) AND (kind = 'flat') = (flat_amount IS NOT NULL)),
    CONSTRAINT partner_commissions_amounts_have_currency CHECK (currency IS NOT NULL OR (kind = 'percentage' AND cap IS NULL))
);
COMMENT ON TABLE partner_commissions IS 'The rules by which commissions are calculated. Never edited: a change is a new version, and an end is a valid_to';
COMMENT ON COLUMN partner_commissions.partner_id IS 'NULL for a rule of the whole tenant';
COMMENT ON COLUMN partner_commissions.scope_id IS 'Whose rule it is, for the constraints: the partner''s or the tenant''s';
COMMENT ON COLUMN partner_commissions.currency IS 'NULL for every currency, which only a plain percentage can be for';
COMMENT ON COLUMN partner_commissions.cap IS 'The most that one commission can be';
COMMENT ON COLUMN partner_commissions.duration_months IS 'For how long after a customer''s first payment it earns; NULL for ever';
COMMENT ON COLUMN partner_commissions.valid_to IS 'Exclusive; NULL while no end is known. As early as valid_from when it never applied';

CREATE TABLE partner_commission_tiers (
    tenant_id uuid NOT NULL,
    rule_id uuid NOT NULL,
    above numeric(19, 4) NOT NULL,
    rate numeric(5, 4) NOT NULL,
    CONSTRAINT partner_commission_tiers_pkey PRIMARY KEY (tenant_id, rule_id, above),
    CONSTRAINT partner_commission_tiers_rule_id_fkey FOREIGN KEY (tenant_id, rule_id) REFERENCES partner_commissions (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_tiers_above_range CHECK (above >= 0 AND above < 100000000000000),
    CONSTRAINT partner_commission_tiers_rate_range CHECK (rate BETWEEN 0 AND 1)
);
COMMENT ON TABLE partner_commission_tiers IS 'The steps of a tiered rule: the part of a calendar month''s base above this amount, up to the next step, earns this rate';

CREATE TABLE invoices (
    tenant_id uuid NOT NULL CONSTRAINT invoices_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    external_id text NOT NULL,
    customer_id uuid,
    currency text NOT NULL,
    amount numeric(19, 4),
    paid_at timestamptz,
    refunded numeric(19, 4) NOT NULL DEFAULT 0,
    refunded_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT invoices_pkey PRIMARY KEY (tenant_id, external_id),
    CONSTRAINT invoices_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT invoices_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 200),
    CONSTRAINT invoices_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT invoices_payment_whole CHECK ((amount IS NULL) = (paid_at IS NULL) AND (amount IS NULL) = (customer_id IS NULL)),
    CONSTRAINT invoices_amount_range CHECK (amount > 0 AND amount < 100000000000000),
    CONSTRAINT invoices_refunded_range CHECK (refunded >= 0 AND refunded < 100000000000000 AND refunded <= amount)
);
CREATE INDEX invoices_customer_idx ON invoices (tenant_id, customer_id, paid_at);
COMMENT ON TABLE invoices IS 'What the billing system has reported, once for each invoice';
COMMENT ON COLUMN invoices.external_id IS 'The id that the billing system has for the invoice';
COMMENT ON COLUMN invoices.amount IS 'NULL while only a refund has been reported: reports may come out of order';
COMMENT ON COLUMN invoices.refunded IS 'The largest cumulative amount reported so far; reports that come late say less';

CREATE TABLE partner_commission_events (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    event_type commission_event_type NOT NULL,
    status commission_status NOT NULL,
    lead_id uuid,
    customer_id uuid,
    invoice_id text,
    reverses_id uuid,
    payout_id uuid,
    source commission_source NOT NULL,
    rule_id uuid,
    base numeric(19, 4),
    rate numeric(5, 4),
    month_base numeric(24, 4),
    is_past_duration boolean NOT NULL DEFAULT false,
    amount numeric(19, 4) NOT NULL,
    amount_sort bigint NOT NULL GENERATED ALWAYS AS ((amount * 10000)::bigint) STORED,
    currency text NOT NULL,
    event_date timestamptz NOT NULL,
    due_at timestamptz,
    notes text,
    rejection_reason text,
    idempotency_key text,
    created_by uuid,
    decided_by uuid,
    decided_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_commission_events_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_commission_events_partner_key UNIQUE (tenant_id, partner_id, id),
    CONSTRAINT partner_commission_events_idempotency_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT partner_commission_events_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_lead_id_fkey FOREIGN KEY (tenant_id, partner_id, lead_id)
        REFERENCES partner_leads (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, external_id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_reverses_id_fkey FOREIGN KEY (tenant_id, partner_id, reverses_id)
        REFERENCES partner_commission_events (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_rule_id_fkey FOREIGN KEY (tenant_id, rule_id) REFERENCES partner_commissions (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_decided_by_fkey FOREIGN KEY (tenant_id, decided_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_commission_events_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT partner_commission_events_amount_range CHECK (abs(amount) < 100000000000000),
    CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount < 0 AND base > 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END),
    CONSTRAINT partner_commission_events_paid_by_payout CHECK (status <> 'paid' OR payout_id IS NOT NULL),
    CONSTRAINT partner_commission_events_in_payout CHECK (payout_id IS NULL OR status IN ('approved', 'paid')),
    CONSTRAINT partner_commission_events_rejection CHECK ((status = 'rejected') = (rejection_reason IS NOT NULL)),
    CONSTRAINT partner_commission_events_rule_named CHECK ((source IN ('partner_rule', 'tenant_rule')) = (rule_id IS NOT NULL) OR event_type = 'refund')
);
COMMENT ON TABLE partner_commission_events IS 'What partners have earned, one row for each cause. Amounts are never edited: a correction is another row';
COMMENT ON COLUMN partner_commission_events.invoice_id IS 'The invoice''s id in the billing system';
COMMENT ON COLUMN partner_commission_events.reverses_id IS 'The commission that a refund takes back, in part or whole';
COMMENT ON COLUMN partner_commission_events.payout_id IS 'The payout that it is in; NULL while it is free';
COMMENT ON COLUMN partner_commission_events.rule_id IS 'The version of the rule that made the amount';
COMMENT ON COLUMN partner_commission_events.base IS 'What the commission is a share of: the invoice''s amount, the deal''s value; for a refund the cumulative amount refunded';
COMMENT ON COLUMN partner_commission_events.month_base IS 'For a tiered rule: the base that the partner''s month had before';
COMMENT ON COLUMN partner_commission_events.is_past_duration IS 'The rule''s duration had passed for this customer: the commission is nothing';
COMMENT ON COLUMN partner_commission_events.amount_sort IS 'amount in ten-thousandths: bigint comparison is leakproof, numeric comparison is not';
COMMENT ON COLUMN partner_commission_events.due_at IS 'When a held commission is approved by itself; NULL for what an operator decides';
COMMENT ON COLUMN partner_commission_events.decided_by IS 'Who approved or rejected it; NULL when no person did';

-- One source makes one commission.
CREATE UNIQUE INDEX partner_commission_events_invoice_key ON partner_commission_events (tenant_id, invoice_id) WHERE event_type = 'invoice_payment';
CREATE UNIQUE INDEX partner_commission_events_lead_key ON partner_commission_events (tenant_id, lead_id) WHERE event_type = 'lead_conversion';
CREATE UNIQUE INDEX partner_commission_events_refund_key ON partner_commission_events (tenant_id, reverses_id, base) WHERE event_type = 'refund';
-- Each order of the list, for one partner and for a whole tenant.
CREATE INDEX partner_commission_events_partner_date_idx ON partner_commission_events (tenant_id, partner_id, event_date, id);
CREATE INDEX partner_commission_events_partner_amount_idx ON partner_commission_events (tenant_id, partner_id, amount_sort, id);
CREATE INDEX partner_commission_events_partner_status_idx ON partner_commission_events (tenant_id, partner_id, status, event_date, id);
CREATE INDEX partner_commission_events_date_idx ON partner_commission_events (tenant_id, event_date, id);
CREATE INDEX partner_commission_events_amount_idx ON partner_commission_events (tenant_id, amount_sort, id);
CREATE INDEX partner_commission_events_status_idx ON partner_commission_events (tenant_id, status, event_date, id);
-- What the next payout takes, what is due, what a payout holds.
CREATE INDEX partner_commission_events_free_idx ON partner_commission_events (tenant_id, partner_id, currency, event_date, id)
    WHERE status = 'approved' AND payout_id IS NULL;
CREATE INDEX partner_commission_events_due_idx ON partner_commission_events (tenant_id, due_at) WHERE status = 'pending' AND due_at IS NOT NULL;
CREATE INDEX partner_commission_events_payout_idx ON partner_commission_events (tenant_id, payout_id) WHERE payout_id IS NOT NULL;
CREATE INDEX partner_commission_events_customer_idx ON partner_commission_events (tenant_id, customer_id, event_date) WHERE customer_id IS NOT NULL;

CREATE TABLE commission_totals (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    currency text NOT NULL,
    grain total_grain NOT NULL,
    tenant_grain text NOT NULL GENERATED ALWAYS AS (grain) STORED,
    starts_on date NOT NULL,
    base numeric(24, 4) NOT NULL DEFAULT 0,
    earned numeric(24, 4) NOT NULL DEFAULT 0,
    pending numeric(24, 4) NOT NULL DEFAULT 0,
    commission_count bigint NOT NULL DEFAULT 0,
    paid_out numeric(24, 4) NOT NULL DEFAULT 0,
    CONSTRAINT commission_totals_pkey PRIMARY KEY (tenant_id, partner_id, currency, grain, starts_on),
    CONSTRAINT commission_totals_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX commission_totals_tenant_idx ON commission_totals (tenant_id, currency, tenant_grain, starts_on);
COMMENT ON TABLE commission_totals IS 'Each partner''s commissions and payouts by day and by calendar month (UTC), kept by triggers, so that no figure reads a history';
COMMENT ON COLUMN commission_totals.tenant_grain IS 'grain once more, for the index of a whole tenant: the planner would take that one for a single partner too';
COMMENT ON COLUMN commission_totals.base IS 'The invoices'' amounts behind the commissions that are not rejected';
COMMENT ON COLUMN commission_totals.earned IS 'The commissions of that day that are not rejected, reversals and adjustments included';
COMMENT ON COLUMN commission_totals.pending IS 'Those of them that are pending';
COMMENT ON COLUMN commission_totals.paid_out IS 'The payouts completed that day';

CREATE FUNCTION commission_totals_follow() RETURNS trigger
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
COMMENT ON FUNCTION commission_totals_follow() IS 'Keeps commission_totals in step with the commissions; runs as its owner because callers may not write them';
REVOKE ALL ON FUNCTION commission_totals_follow() FROM PUBLIC;

CREATE TRIGGER partner_commission_events_total_insert AFTER INSERT ON partner_commission_events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION commission_totals_follow();
CREATE TRIGGER partner_commission_events_total_update AFTER UPDATE ON partner_commission_events
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION commission_totals_follow();

CREATE FUNCTION partner_leads_paid() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE public.partner_leads SET commission_paid = (NEW.status = 'paid') WHERE tenant_id = NEW.tenant_id AND id = NEW.lead_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION partner_leads_paid() IS 'Keeps partner_leads.commission_paid in step with the lead''s commission; runs as its owner because callers may not write it';
REVOKE ALL ON FUNCTION partner_leads_paid() FROM PUBLIC;

CREATE TRIGGER partner_leads_paid AFTER UPDATE ON partner_commission_events FOR EACH ROW
    WHEN (NEW.lead_id IS NOT NULL AND (NEW.status = 'paid') <> (OLD.status = 'paid')) EXECUTE FUNCTION partner_leads_paid();

ALTER TABLE partner_commissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE partner_commission_tiers ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
ALTER TABLE partner_commission_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE commission_totals ENABLE ROW LEVEL SECURITY;

-- A partner sees its own rules and those that are everybody's.
CREATE POLICY partner_commissions_partner ON partner_commissions FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND (partner_id IS NULL OR partner_id = (SELECT current_setting('app.partner_id')::uuid)));
CREATE POLICY partner_commissions_staff ON partner_commissions TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY partner_commission_tiers_partner ON partner_commission_tiers FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_commissions c WHERE c.tenant_id = partner_commission_tiers.tenant_id AND c.id = rule_id));
CREATE POLICY partner_commission_tiers_staff ON partner_commission_tiers TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY invoices_staff ON invoices TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
-- A partner may ask when a customer of its own paid first, and nothing more of invoices.
CREATE POLICY invoices_partner ON invoices FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = invoices.tenant_id AND a.customer_id = invoices.customer_id));
CREATE POLICY partner_commission_events_partner ON partner_commission_events FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_commission_events_staff ON partner_commission_events TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY commission_totals_partner ON commission_totals FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY commission_totals_staff ON commission_totals FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

GRANT SELECT ON partner_commissions, partner_commission_tiers, partner_commission_events, commission_totals
    TO portal_partner, portal_operator, portal_service;
GRANT SELECT ON invoices TO portal_operator, portal_service;
GRANT SELECT (tenant_id, customer_id, paid_at) ON invoices TO portal_partner;
GRANT INSERT (tenant_id, id, partner_id, currency, version, kind, rate, flat_amount, cap, duration_months, valid_from, valid_to, created_by)
    ON partner_commissions TO portal_operator;
GRANT UPDATE (valid_to) ON partner_commissions TO portal_operator;
GRANT INSERT ON partner_commission_tiers TO portal_operator;
GRANT INSERT ON invoices TO portal_operator, portal_service;
GRANT UPDATE (customer_id, amount, paid_at, refunded, refunded_at, updated_at) ON invoices TO portal_operator, portal_service;
GRANT INSERT (tenant_id, id, partner_id, event_type, status, lead_id, customer_id, invoice_id, reverses_id, source, rule_id, base, rate,
    month_base, is_past_duration, amount, currency, event_date, due_at, notes, idempotency_key, created_by, decided_by, decided_at, created_at, updated_at)
    ON partner_commission_events TO portal_operator, portal_service;
GRANT UPDATE (status, payout_id, rejection_reason, decided_by, decided_at, updated_at)
    ON partner_commission_events TO portal_operator, portal_service;

-- The tenants for which maintenance has something to do; a machine sees its own tenant alone otherwise.
CREATE FUNCTION tenants_with_due_commissions(due_by timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id FROM public.tenants t
    WHERE EXISTS (SELECT FROM public.partner_commission_events e
        WHERE e.tenant_id = t.id AND e.status = 'pending' AND e.due_at <= due_by)
    ORDER BY t.id
$$;
COMMENT ON FUNCTION tenants_with_due_commissions(timestamptz) IS 'Ids alone, for the maintenance task';
REVOKE ALL ON FUNCTION tenants_with_due_commissions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_with_due_commissions(timestamptz) TO portal_service;
