-- What other systems give out: every row that an import has read, what became of it, and how history is written as it was.
SET LOCAL lock_timeout = '60s';

ALTER DOMAIN commission_event_type DROP CONSTRAINT commission_event_type_known;
ALTER DOMAIN commission_event_type ADD CONSTRAINT commission_event_type_known
    CHECK (VALUE IN ('invoice_payment', 'lead_conversion', 'refund', 'adjustment', 'split', 'wallet', 'imported')) NOT VALID;
ALTER DOMAIN commission_source DROP CONSTRAINT commission_source_known;
ALTER DOMAIN commission_source ADD CONSTRAINT commission_source_known CHECK (VALUE IN (
    'customer_rate', 'enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual', 'wallet',
    'imported')) NOT VALID;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'split' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id, link_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount <> 0 AND base >= 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        WHEN 'wallet' THEN amount > 0 AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id, link_id, base, rate, notes) = 0
        WHEN 'imported' THEN notes IS NOT NULL AND num_nonnulls(lead_id, invoice_id, reverses_id, rate, rule_id) = 0
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END) NOT VALID,
    ADD CONSTRAINT partner_commission_events_imported CHECK (
        CASE event_type WHEN 'imported' THEN source = 'imported' WHEN 'invoice_payment' THEN source <> 'imported' OR notes IS NOT NULL
            WHEN 'refund' THEN true ELSE source <> 'imported' END) NOT VALID;

CREATE TABLE import_runs (
    tenant_id uuid NOT NULL CONSTRAINT import_runs_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    source text NOT NULL,
    run integer NOT NULL,
    request bytea NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT import_runs_pkey PRIMARY KEY (tenant_id, source),
    CONSTRAINT import_runs_run_range CHECK (run > 0)
);
COMMENT ON TABLE import_runs IS 'The last run of an import from each system; one that was stopped is continued, and has no finished_at';
COMMENT ON COLUMN import_runs.request IS 'SHA-256 of what was asked for, files and decisions included: a run is continued only by the same request';

CREATE TABLE import_files (
    tenant_id uuid NOT NULL,
    source text NOT NULL,
    file text NOT NULL,
    kind text NOT NULL,
    run integer NOT NULL,
    lines bigint NOT NULL,
    CONSTRAINT import_files_pkey PRIMARY KEY (tenant_id, source, file, kind),
    CONSTRAINT import_files_run_fkey FOREIGN KEY (tenant_id, source) REFERENCES import_runs (tenant_id, source) ON DELETE RESTRICT
);
COMMENT ON TABLE import_files IS 'How far each file has been read: the checkpoint, written in the transaction that keeps the rows';

CREATE DOMAIN import_kind AS text CONSTRAINT import_kind_known CHECK (VALUE IN (
    'partner', 'user', 'membership', 'programme', 'enrolment', 'rule', 'link', 'link_day', 'customer', 'payout', 'commission'));
CREATE DOMAIN import_state AS text CONSTRAINT import_state_known CHECK (VALUE IN ('read', 'ready', 'in', 'left'));

CREATE TABLE import_rows (
    tenant_id uuid NOT NULL,
    source text NOT NULL,
    kind import_kind NOT NULL,
    source_id text NOT NULL,
    position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    file text NOT NULL,
    line bigint NOT NULL,
    run integer NOT NULL,
    digest text NOT NULL,
    state import_state NOT NULL DEFAULT 'read',
    target_id uuid,
    facts jsonb NOT NULL,
    raw jsonb,
    decision jsonb,
    email_key text COLLATE "C" GENERATED ALWAYS AS (email_key(btrim(facts ->> 'email'))) STORED,
    user_ref text GENERATED ALWAYS AS (facts ->> 'user') STORED,
    customer_ref text GENERATED ALWAYS AS (facts ->> 'customer') STORED,
    currency text GENERATED ALWAYS AS (facts ->> 'currency') STORED,
    status text GENERATED ALWAYS AS (facts ->> 'status') STORED,
    amount numeric(19, 4) GENERATED ALWAYS AS ((facts ->> 'amount')::numeric) STORED,
    partner_id uuid,
    link_id uuid,
    customer_id uuid,
    payout_key text,
    CONSTRAINT import_rows_pkey PRIMARY KEY (tenant_id, source, kind, source_id),
    CONSTRAINT import_rows_run_fkey FOREIGN KEY (tenant_id, source) REFERENCES import_runs (tenant_id, source) ON DELETE RESTRICT,
    CONSTRAINT import_rows_target CHECK (state <> 'in' OR target_id IS NOT NULL),
    CONSTRAINT import_rows_source_id_length CHECK (char_length(source_id) BETWEEN 1 AND 500)
);
CREATE INDEX import_rows_waiting_idx ON import_rows (tenant_id, source, kind, position) WHERE state = 'read';
CREATE INDEX import_rows_ready_idx ON import_rows (tenant_id, source, kind, payout_key, link_id, position) WHERE state = 'ready';
CREATE INDEX import_rows_target_idx ON import_rows (tenant_id, target_id) WHERE target_id IS NOT NULL;
CREATE INDEX import_rows_email_idx ON import_rows (tenant_id, source, kind, email_key) WHERE kind IN ('partner', 'user') AND email_key IS NOT NULL;
CREATE INDEX import_rows_memberships_idx ON import_rows (tenant_id, source, user_ref) WHERE kind = 'membership';
CREATE INDEX import_rows_customers_idx ON import_rows (tenant_id, source, customer_ref) WHERE kind = 'commission' AND customer_ref IS NOT NULL;
COMMENT ON TABLE import_rows IS 'Every row that another system gave out: as it was, as it was understood, and what it has become here';
COMMENT ON COLUMN import_rows.source_id IS 'Its id there; for a row without one its file and line. Rows that follow from others begin with what they follow from';
COMMENT ON COLUMN import_rows.run IS 'The run that read it last';
COMMENT ON COLUMN import_rows.digest IS 'Of its cells and the decision about it: the same where nothing has changed';
COMMENT ON COLUMN import_rows.state IS 'read, or ready: waits for its turn. in: it is here. left: it was reported, and waits for a decision';
COMMENT ON COLUMN import_rows.target_id IS 'What it is here';
COMMENT ON COLUMN import_rows.facts IS 'As it was understood: amounts in the currency''s major unit, times in UTC, references as the ids that the source has';
COMMENT ON COLUMN import_rows.payout_key IS 'The payout that pays a commission: the source''s id, or one that follows from partner, currency and month';
COMMENT ON COLUMN import_rows.raw IS 'Its cells, as they were read';

CREATE TABLE import_findings (
    tenant_id uuid NOT NULL,
    source text NOT NULL,
    kind import_kind NOT NULL,
    source_id text NOT NULL,
    code text NOT NULL,
    field text NOT NULL DEFAULT '',
    value text,
    message text NOT NULL,
    is_left boolean NOT NULL,
    run integer NOT NULL,
    CONSTRAINT import_findings_pkey PRIMARY KEY (tenant_id, source, kind, source_id, code, field),
    CONSTRAINT import_findings_row_fkey FOREIGN KEY (tenant_id, source, kind, source_id)
        REFERENCES import_rows (tenant_id, source, kind, source_id) ON DELETE RESTRICT
);
COMMENT ON TABLE import_findings IS 'What was reported of the rows of imports';
COMMENT ON COLUMN import_findings.is_left IS 'Whether the row was left out because of it, and waits for a decision';

CREATE TABLE link_imported_days (
    tenant_id uuid NOT NULL,
    link_id uuid NOT NULL,
    day date NOT NULL,
    clicks bigint NOT NULL,
    sign_ups bigint NOT NULL,
    CONSTRAINT link_imported_days_pkey PRIMARY KEY (tenant_id, link_id, day),
    CONSTRAINT link_imported_days_link_fkey FOREIGN KEY (tenant_id, link_id) REFERENCES links (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_imported_days_range CHECK (clicks >= 0 AND sign_ups >= 0 AND clicks + sign_ups > 0)
);
COMMENT ON TABLE link_imported_days IS 'Clicks and sign-ups of links from before they were imported, by day (UTC); each is in the totals at the day''s begin';

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['import_runs', 'import_files', 'import_rows', 'import_findings', 'link_imported_days'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON import_runs, import_files TO portal_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON import_rows, import_findings TO portal_operator;
GRANT SELECT ON link_imported_days TO portal_operator;

-- A payout that comes as one that is completed counts as paid out like one that is completed here.
CREATE TRIGGER partner_payouts_total_insert AFTER INSERT ON partner_payouts FOR EACH ROW
    WHEN (NEW.completed_at IS NOT NULL) EXECUTE FUNCTION payout_totals_follow();

-- One statement for all commissions that come at once, in place of two for each: a history comes in thousands. Scopes are in one order, so
-- that two who add to the same totals do not wait for each other.
CREATE OR REPLACE FUNCTION link_totals_of_commissions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE link_id IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    WITH firsts AS (
            SELECT n.tenant_id, n.link_id, n.first_at, (
                SELECT min(e.event_date) FROM partner_commission_events e
                WHERE e.tenant_id = n.tenant_id AND e.customer_id = n.customer_id AND e.link_id = n.link_id AND e.event_type = 'invoice_payment'
                    AND NOT EXISTS (SELECT FROM added a WHERE a.tenant_id = e.tenant_id AND a.id = e.id)) AS earlier_at
            FROM (SELECT tenant_id, link_id, customer_id, min(event_date) AS first_at FROM added
                  WHERE link_id IS NOT NULL AND event_type = 'invoice_payment' GROUP BY 1, 2, 3) n),
        changes AS (
            SELECT a.tenant_id, a.link_id, a.currency, a.event_date AS at, 0 AS customers, (a.event_type = 'invoice_payment')::integer AS sales,
                CASE WHEN a.event_type = 'invoice_payment' THEN coalesce(a.base - least(i.refunded, i.amount), 0) ELSE 0 END AS sale_amount,
                CASE WHEN a.status <> 'rejected' AND a.partner_id = l.partner_id THEN a.amount ELSE 0 END AS earned
            FROM added a
            JOIN links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id
            LEFT JOIN invoices i ON i.tenant_id = a.tenant_id AND i.external_id = a.invoice_id
            -- Reports may come out of order: a sale from before a customer's first one is the first one now.
            UNION ALL SELECT tenant_id, link_id, '', first_at, 1, 0, 0, 0 FROM firsts WHERE earlier_at IS NULL OR earlier_at > first_at
            UNION ALL SELECT tenant_id, link_id, '', earlier_at, -1, 0, 0, 0 FROM firsts WHERE earlier_at > first_at)
    INSERT INTO link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
        SELECT c.tenant_id, l.partner_id, s.scope_id, c.currency, g.grain, g.starts_at, 0, sum(c.customers), sum(c.sales), sum(c.sale_amount), sum(c.earned)
        FROM changes c
        JOIN links l ON l.tenant_id = c.tenant_id AND l.id = c.link_id
        JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', date_trunc('day', c.at, 'UTC')),
            ('quarter_hour', date_bin('15 minutes', c.at, 'epoch'::timestamptz))) AS g (grain, starts_at)
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 3, 4, 5, 6
        ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET customers = t.customers + excluded.customers,
            sales = t.sales + excluded.sales, sale_amount = t.sale_amount + excluded.sale_amount, earned = t.earned + excluded.earned;
    RETURN NULL;
END $$;

-- Each of the functions below writes what no caller's role may write: rows with the dates and statuses that they had elsewhere.
CREATE FUNCTION import_guard(of_tenant uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF of_tenant IS DISTINCT FROM nullif(current_setting('app.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'an import into another tenant';
    END IF;
END $$;
COMMENT ON FUNCTION import_guard(uuid) IS 'Refuses to write for another tenant than the caller''s';

CREATE FUNCTION import_partners(of_tenant uuid, given jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.import_guard(of_tenant);
    INSERT INTO public.partners (tenant_id, id, company_name, status, status_reason, commission_rate, created_at, updated_at)
        SELECT of_tenant, g.id, g.name, g.status, g.reason, t.default_commission_rate, g.at, g.at
        FROM jsonb_to_recordset(given) AS g (id uuid, name text, status text, reason text, at timestamptz)
        JOIN public.tenants t ON t.id = of_tenant;
    INSERT INTO public.partner_profiles (tenant_id, partner_id, contact_name, contact_email, payment_email)
        SELECT of_tenant, g.id, g.contact, g.email, g.email FROM jsonb_to_recordset(given) AS g (id uuid, contact text, email text);
END $$;
COMMENT ON FUNCTION import_partners(uuid, jsonb) IS 'Adds partners as they were elsewhere';

CREATE FUNCTION import_users(of_tenant uuid, given jsonb, memberships jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.import_guard(of_tenant);
    INSERT INTO public.users (tenant_id, id, clerk_user_id, email, name, default_partner_id, created_at, updated_at)
        SELECT of_tenant, g.id, g.subject, g.email, g.name, g.partner, g.at, g.at
        FROM jsonb_to_recordset(given) AS g (id uuid, subject text, email text, name text, partner uuid, at timestamptz)
        ON CONFLICT (tenant_id, id) DO UPDATE SET default_partner_id = EXCLUDED.default_partner_id
        WHERE users.default_partner_id IS NULL;
    INSERT INTO public.partner_users (tenant_id, partner_id, user_id, role, created_at)
        SELECT of_tenant, g.partner, g.id, g.role, g.at
        FROM jsonb_to_recordset(memberships) AS g (id uuid, partner uuid, role text, at timestamptz)
        ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION import_users(uuid, jsonb, jsonb) IS 'Adds users and their memberships as they were elsewhere; of a user who is here already, just memberships and a first default partner';

-- A person who was imported has no subject yet: the first sign-in with their verified address gives it.
CREATE INDEX users_imported_idx ON users (tenant_id, email_key(email)) WHERE clerk_user_id LIKE 'import:%';
CREATE FUNCTION claim_imported_user(of_tenant uuid, subject text, verified_email text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    claimed uuid[];
BEGIN
    IF subject IS DISTINCT FROM current_setting('app.subject', true) OR subject LIKE 'import:%' THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(u.id) INTO claimed FROM (
        SELECT id FROM public.users WHERE tenant_id = of_tenant AND clerk_user_id LIKE 'import:%'
            AND public.email_key(email) = public.email_key(verified_email) LIMIT 2 FOR UPDATE) AS u;
    IF cardinality(claimed) = 1 AND NOT EXISTS (SELECT FROM public.users WHERE tenant_id = of_tenant AND clerk_user_id = subject) THEN
        UPDATE public.users SET clerk_user_id = subject WHERE tenant_id = of_tenant AND id = claimed[1];
        RETURN claimed[1];
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION claim_imported_user(uuid, text, text)
    IS 'Makes the one imported user of an address, which the issuer has verified, the user of a token''s subject; NULL where there is none or more than one';

CREATE FUNCTION import_commissions(of_tenant uuid, booked_at timestamptz, commissions jsonb, payouts jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    moves record;
BEGIN
    PERFORM public.import_guard(of_tenant);
    INSERT INTO public.invoices (tenant_id, external_id, customer_id, currency, amount, paid_at, created_at, updated_at)
        SELECT of_tenant, c.invoice, c.customer, c.currency, c.base, c.at, c.at, c.at
        FROM jsonb_to_recordset(commissions) AS c (invoice text, customer uuid, currency text, base numeric, at timestamptz)
        WHERE c.invoice IS NOT NULL;
    INSERT INTO public.partner_payouts (tenant_id, id, partner_id, total_amount, currency, commission_count, fingerprint, payment_reference, status,
            payout_date, completed_at, period_start, period_end, notes, created_at, updated_at)
        SELECT of_tenant, p.id, p.partner, s.total, p.currency, s.count, s.print, p.reference, p.status, p.at, CASE p.status WHEN 'completed' THEN p.at END,
            least(p.period_start, s.first), greatest(p.period_end, s.last + interval '1 microsecond'), p.notes, p.at, p.at
        FROM jsonb_to_recordset(payouts) AS p (id uuid, partner uuid, currency text, status text, reference text, at timestamptz,
            period_start timestamptz, period_end timestamptz, notes text)
        JOIN (SELECT c.payout, sum(c.amount) AS total, count(*) AS count, min(c.at) AS first, max(c.at) AS last,
                encode(sha256(convert_to(string_agg(c.id::text || ' ' || c.amount::text || ' ' || c.currency, E'\n' ORDER BY c.at, c.id), 'UTF8')), 'hex') AS print
            FROM jsonb_to_recordset(commissions) AS c (id uuid, payout uuid, amount numeric(19, 4), currency text, at timestamptz) GROUP BY 1) AS s
            ON s.payout = p.id;
    INSERT INTO public.partner_payout_changes (tenant_id, id, partner_id, payout_id, to_status, note, created_at)
        SELECT of_tenant, p.change, p.partner, p.id, p.status, p.reference, p.at
        FROM jsonb_to_recordset(payouts) AS p (id uuid, change uuid, partner uuid, status text, reference text, at timestamptz);
    INSERT INTO public.partner_commission_events (tenant_id, id, partner_id, event_type, status, customer_id, invoice_id, payout_id, link_id, source, base,
            amount, currency, event_date, decided_at, notes, rejection_reason, created_at, updated_at)
        SELECT of_tenant, c.id, c.partner, CASE WHEN c.invoice IS NULL THEN 'imported' ELSE 'invoice_payment' END, c.status, c.customer, c.invoice,
            c.payout, c.link, 'imported', c.base, c.amount, c.currency, c.at, c.decided_at, c.notes, c.reason, booked_at, booked_at
        FROM jsonb_to_recordset(commissions) AS c (id uuid, partner uuid, status text, customer uuid, invoice text, payout uuid, link uuid, base numeric,
            amount numeric, currency text, at timestamptz, decided_at timestamptz, notes text, reason text);
    INSERT INTO public.partner_payout_items (tenant_id, payout_id, event_id, partner_id, event_date, amount)
        SELECT of_tenant, c.payout, c.id, c.partner, c.at, c.amount
        FROM jsonb_to_recordset(commissions) AS c (id uuid, partner uuid, payout uuid, amount numeric, at timestamptz) WHERE c.payout IS NOT NULL;

    -- What their statuses stand for, in the order in which it would have been booked.
    SELECT count(*)::integer AS count, array_agg(m.partner ORDER BY m.step) AS partners, array_agg(m.currency ORDER BY m.step) AS units,
        array_agg(CASE WHEN m.amount > 0 THEN m.from_kind ELSE m.to_kind END ORDER BY m.step) AS from_kinds,
        array_agg(CASE WHEN m.amount > 0 THEN m.to_kind ELSE m.from_kind END ORDER BY m.step) AS to_kinds,
        array_agg(abs(m.amount) ORDER BY m.step) AS amounts, array_agg(m.kind ORDER BY m.step) AS kinds,
        array_agg(m.event ORDER BY m.step) AS events, array_agg(m.payout ORDER BY m.step) AS payouts
    INTO moves
    FROM (
        SELECT s.step, c.partner, c.currency, c.amount, s.from_kind, s.to_kind, s.kind, c.id AS event, NULL::uuid AS payout
        FROM jsonb_to_recordset(commissions) AS c (id uuid, partner uuid, status text, amount numeric(19, 4), currency text)
        CROSS JOIN LATERAL (VALUES
            (1, 'expense', CASE WHEN c.status IN ('pending', 'rejected') THEN 'pending' ELSE 'payable' END, 'earn', true),
            (2, 'pending', 'expense', 'reject', c.status = 'rejected')) AS s (step, from_kind, to_kind, kind, is_due)
        WHERE s.is_due AND c.amount <> 0
        UNION ALL
        SELECT s.step, p.partner, p.currency, o.total_amount, s.from_kind, s.to_kind, s.kind, NULL, p.id
        FROM jsonb_to_recordset(payouts) AS p (id uuid, partner uuid, currency text, status text)
        JOIN public.partner_payouts o ON o.tenant_id = of_tenant AND o.id = p.id
        CROSS JOIN LATERAL (VALUES (3, 'payable', 'in_payout', 'hold', true), (4, 'in_payout', 'paid', 'pay', p.status = 'completed'))
            AS s (step, from_kind, to_kind, kind, is_due)
        WHERE s.is_due) AS m;
    IF moves.count > 0 THEN
        PERFORM public.post_transfers(of_tenant, NULL, booked_at, moves.partners, moves.units, moves.from_kinds, moves.to_kinds, moves.amounts,
            moves.kinds, moves.events, moves.payouts, array_fill(1, ARRAY[moves.count]), array_fill(NULL::uuid, ARRAY[moves.count]),
            array_fill(NULL::uuid, ARRAY[moves.count]), array_fill(NULL::uuid, ARRAY[moves.count]), array_fill(NULL::uuid, ARRAY[moves.count]));
    END IF;
END $$;
COMMENT ON FUNCTION import_commissions(uuid, timestamptz, jsonb, jsonb)
    IS 'Adds commissions as they were elsewhere, with the payouts that paid them, the payments that they are of, and the transfers that their statuses stand for';

CREATE FUNCTION import_link_days(of_tenant uuid, given jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.import_guard(of_tenant);
    INSERT INTO public.link_imported_days (tenant_id, link_id, day, clicks, sign_ups)
        SELECT of_tenant, g.link, g.day, g.clicks, g.sign_ups FROM jsonb_to_recordset(given) AS g (link uuid, day date, clicks bigint, sign_ups bigint);
    INSERT INTO public.link_click_totals AS t (tenant_id, partner_id, scope_id, grain, starts_at, clicks, visitors)
        SELECT of_tenant, l.partner_id, s.scope_id, b.grain, b.starts_at, sum(g.clicks), 0
        FROM jsonb_to_recordset(given) AS g (link uuid, day date, clicks bigint)
        JOIN public.links l ON l.tenant_id = of_tenant AND l.id = g.link
        JOIN public.enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', g.day::timestamp AT TIME ZONE 'UTC'),
            ('quarter_hour', g.day::timestamp AT TIME ZONE 'UTC')) AS b (grain, starts_at)
        WHERE g.clicks > 0 GROUP BY 2, 3, 4, 5 ORDER BY 3, 4, 5
        ON CONFLICT (tenant_id, scope_id, grain, starts_at) DO UPDATE SET clicks = t.clicks + EXCLUDED.clicks;
    INSERT INTO public.link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
        SELECT of_tenant, l.partner_id, s.scope_id, '', b.grain, b.starts_at, sum(g.sign_ups), 0, 0, 0, 0
        FROM jsonb_to_recordset(given) AS g (link uuid, day date, sign_ups bigint)
        JOIN public.links l ON l.tenant_id = of_tenant AND l.id = g.link
        JOIN public.enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', g.day::timestamp AT TIME ZONE 'UTC'),
            ('quarter_hour', g.day::timestamp AT TIME ZONE 'UTC')) AS b (grain, starts_at)
        WHERE g.sign_ups > 0 GROUP BY 2, 3, 5, 6 ORDER BY 3, 5, 6
        ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET sign_ups = t.sign_ups + EXCLUDED.sign_ups;
END $$;
COMMENT ON FUNCTION import_link_days(uuid, jsonb) IS 'Adds the clicks and sign-ups that links had elsewhere, by day, to the totals';

-- An import fills these tables within minutes, and a rehearsal within one transaction, before anything else looks at them. What the planner
-- believes to be empty it joins row by row.
CREATE FUNCTION import_analyze(of_rows_alone boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- ANALYZE keeps others from it until the transaction ends, which a rehearsal's does late.
    IF of_rows_alone THEN
        ANALYZE (SKIP_LOCKED) public.import_rows;
        RETURN;
    END IF;
    ANALYZE (SKIP_LOCKED) public.import_rows, public.partners, public.users, public.partner_users, public.programmes, public.enrolments, public.links,
        public.links_by_clicks, public.links_by_sales, public.link_click_totals, public.link_sale_totals, public.customers, public.invoices,
        public.partner_commission_events, public.partner_payouts, public.partner_payout_items, public.transfers, public.accounts;
END $$;
COMMENT ON FUNCTION import_analyze(boolean) IS 'Renews what the planner knows of the tables that imports fill, or of import_rows alone, but for those that somebody else is at';

REVOKE ALL ON FUNCTION import_analyze(boolean), import_guard(uuid), import_partners(uuid, jsonb), import_users(uuid, jsonb, jsonb), claim_imported_user(uuid, text, text),
    import_commissions(uuid, timestamptz, jsonb, jsonb), import_link_days(uuid, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION import_analyze(boolean), import_partners(uuid, jsonb), import_users(uuid, jsonb, jsonb), import_commissions(uuid, timestamptz, jsonb, jsonb),
    import_link_days(uuid, jsonb) TO portal_operator;
GRANT EXECUTE ON FUNCTION claim_imported_user(uuid, text, text) TO portal_gate;
