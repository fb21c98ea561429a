-- Webhooks: what happens is sent to the tenant's other systems, as Standard Webhooks 1.0.0 says.
SET LOCAL lock_timeout = '60s';

CREATE DOMAIN webhook_delivery_status AS text CONSTRAINT webhook_delivery_status_known CHECK (VALUE IN ('waiting', 'delivered', 'failed'));

CREATE TABLE webhook_endpoints (
    tenant_id uuid NOT NULL CONSTRAINT webhook_endpoints_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    url text NOT NULL,
    description text,
    types text[] NOT NULL,
    disabled_at timestamptz,
    disabled_reason text,
    failing_since timestamptz,
    failures integer NOT NULL DEFAULT 0,
    is_slow boolean NOT NULL DEFAULT false,
    last_success_at timestamptz,
    paused_until timestamptz,
    created_by uuid NOT NULL,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_endpoints_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT webhook_endpoints_disabled CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);
CREATE INDEX webhook_endpoints_created_idx ON webhook_endpoints (tenant_id, created_at, id) WHERE removed_at IS NULL;
COMMENT ON TABLE webhook_endpoints IS 'Addresses that the tenant''s other systems have given, and of what they hear';
COMMENT ON COLUMN webhook_endpoints.types IS 'The types of events that are sent to it';
COMMENT ON COLUMN webhook_endpoints.disabled_at IS 'Since when nothing is sent to it';
COMMENT ON COLUMN webhook_endpoints.failing_since IS 'When the first attempt failed since the last that succeeded';
COMMENT ON COLUMN webhook_endpoints.failures IS 'How many attempts have failed since the last that succeeded';
COMMENT ON COLUMN webhook_endpoints.is_slow IS 'Whether the last answer took long: it gets fewer messages at once';
COMMENT ON COLUMN webhook_endpoints.paused_until IS 'Until when its owner has asked for nothing to be sent';

CREATE TABLE webhook_secrets (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT webhook_secrets_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_secrets_endpoint_fkey FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX webhook_secrets_endpoint_idx ON webhook_secrets (tenant_id, endpoint_id, created_at);
COMMENT ON TABLE webhook_secrets IS 'The secrets that messages to an endpoint are signed with, each sealed; several while one replaces another';

CREATE TABLE webhook_events (
    tenant_id uuid NOT NULL CONSTRAINT webhook_events_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    event_type text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    facts jsonb,
    body text,
    endpoint_id uuid,
    CONSTRAINT webhook_events_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_events_body CHECK ((facts IS NULL) <> (body IS NULL))
);
CREATE INDEX webhook_events_at_idx ON webhook_events (tenant_id, at, id);
CREATE INDEX webhook_events_old_idx ON webhook_events (at);
CREATE INDEX webhook_events_raw_idx ON webhook_events (at, id) WHERE body IS NULL;
COMMENT ON TABLE webhook_events IS 'What has happened that an endpoint wants to hear of, written in the transaction that did it';
COMMENT ON COLUMN webhook_events.facts IS 'The row as it was then, each column as text, until the body is made of it';
COMMENT ON COLUMN webhook_events.body IS 'What is sent: the same bytes to every endpoint and at every attempt';
COMMENT ON COLUMN webhook_events.endpoint_id IS 'The only endpoint that it is for: of test events; NULL of all others';

CREATE TABLE webhook_deliveries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    status webhook_delivery_status NOT NULL DEFAULT 'waiting',
    event_type text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    lease uuid,
    held_until timestamptz,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_deliveries_event_key UNIQUE (tenant_id, event_id, endpoint_id),
    CONSTRAINT webhook_deliveries_endpoint_fkey FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT webhook_deliveries_event_fkey FOREIGN KEY (tenant_id, event_id) REFERENCES webhook_events (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT webhook_deliveries_next CHECK ((next_at IS NOT NULL) = (status = 'waiting')),
    CONSTRAINT webhook_deliveries_ended CHECK ((ended_at IS NULL) = (status = 'waiting'))
);
CREATE INDEX webhook_deliveries_waiting_idx ON webhook_deliveries (tenant_id, endpoint_id, next_at, id) WHERE status = 'waiting';
CREATE INDEX webhook_deliveries_held_idx ON webhook_deliveries (tenant_id, endpoint_id, held_until) WHERE lease IS NOT NULL;
CREATE INDEX webhook_deliveries_created_idx ON webhook_deliveries (tenant_id, endpoint_id, created_at, id);
COMMENT ON TABLE webhook_deliveries IS 'Each event on its way to an endpoint';
COMMENT ON COLUMN webhook_deliveries.tries IS 'How many attempts of the present schedule have been made';
COMMENT ON COLUMN webhook_deliveries.attempts IS 'How many attempts have been made in all';
COMMENT ON COLUMN webhook_deliveries.lease IS 'The server that makes an attempt, by an id drawn for it';
COMMENT ON COLUMN webhook_deliveries.held_until IS 'When another server may make the attempt instead';

CREATE TABLE webhook_attempts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL,
    milliseconds integer NOT NULL,
    url text NOT NULL,
    status integer,
    response text,
    fault text,
    CONSTRAINT webhook_attempts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_attempts_delivery_fkey FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT webhook_attempts_outcome CHECK ((status IS NULL) = (fault IS NOT NULL))
);
CREATE INDEX webhook_attempts_number_idx ON webhook_attempts (tenant_id, delivery_id, number, id);
COMMENT ON TABLE webhook_attempts IS 'Each request that was made for a delivery, and what came of it';
COMMENT ON COLUMN webhook_attempts.status IS 'The HTTP status of the answer; NULL where there was none';
COMMENT ON COLUMN webhook_attempts.response IS 'The beginning of the answer''s body';
COMMENT ON COLUMN webhook_attempts.fault IS 'Why there was no answer';

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['webhook_endpoints', 'webhook_secrets', 'webhook_events', 'webhook_deliveries', 'webhook_attempts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;
GRANT SELECT, INSERT ON webhook_endpoints, webhook_events, webhook_deliveries TO portal_operator;
GRANT UPDATE (url, description, types, disabled_at, disabled_reason, failing_since, failures, is_slow, paused_until, updated_at, removed_at) ON webhook_endpoints TO portal_operator;
GRANT UPDATE (status, tries, next_at, ended_at) ON webhook_deliveries TO portal_operator;
-- Secrets are written and replaced, and what is in them is for those who sign alone.
GRANT SELECT (tenant_id, id, endpoint_id, created_at, expires_at), INSERT, UPDATE (expires_at), DELETE ON webhook_secrets TO portal_operator;
GRANT SELECT ON webhook_attempts TO portal_operator;

ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'create_webhook_endpoint', 'import_data', 'rotate_webhook_secret',
    'send_test_webhook', 'set_commission_rule')) NOT VALID;

-- What raises events. Where nobody wants to hear of a type, it costs one look at the endpoints of the tenant, which are few.
CREATE FUNCTION webhook_texts(given jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each_text(given) AS t
$$;
COMMENT ON FUNCTION webhook_texts(jsonb) IS 'The same object with each value as text: numbers keep every digit';

CREATE FUNCTION webhook_raise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    facts jsonb;
BEGIN
    -- Also what only disabled endpoints are for: it can be recovered.
    IF current_setting('app.events', true) = 'off' OR NOT EXISTS (
        SELECT FROM webhook_endpoints e WHERE e.tenant_id = NEW.tenant_id AND e.removed_at IS NULL AND TG_ARGV[0] = ANY (e.types)) THEN
        RETURN NULL;
    END IF;
    facts := to_jsonb(NEW);
    -- What it was before, where that is the point.
    IF TG_NARGS > 1 THEN
        facts := facts || jsonb_build_object('previous_' || TG_ARGV[1], to_jsonb(OLD) -> TG_ARGV[1]);
    END IF;
    INSERT INTO webhook_events (tenant_id, id, event_type, facts) VALUES (NEW.tenant_id, gen_random_uuid(), TG_ARGV[0], webhook_texts(facts));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhook_raise() IS 'Writes an event of the type that the trigger names, if anybody wants to hear of it; with the former value of a second column that it names';

-- Clicks come many at a time.
CREATE FUNCTION webhook_raise_clicks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhook_events (tenant_id, id, event_type, at, facts)
        SELECT c.tenant_id, gen_random_uuid(), 'link.clicked', c.at, webhook_texts(to_jsonb(c)) FROM added c
        WHERE c.tenant_id IN (SELECT e.tenant_id FROM webhook_endpoints e WHERE e.removed_at IS NULL AND 'link.clicked' = ANY (e.types));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhook_raise_clicks() IS 'Writes an event for each click, if anybody wants to hear of clicks';
CREATE TRIGGER link_clicks_webhook AFTER INSERT ON link_clicks REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION webhook_raise_clicks();

CREATE TRIGGER partners_webhook_created AFTER INSERT ON partners FOR EACH ROW EXECUTE FUNCTION webhook_raise('partner.created');
CREATE TRIGGER partners_webhook_updated AFTER UPDATE OF company_name, commission_rate, clerk_org_id ON partners FOR EACH ROW
    WHEN ((OLD.company_name, OLD.commission_rate, OLD.clerk_org_id) IS DISTINCT FROM (NEW.company_name, NEW.commission_rate, NEW.clerk_org_id))
    EXECUTE FUNCTION webhook_raise('partner.updated');
CREATE TRIGGER partners_webhook_status AFTER UPDATE OF status ON partners FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION webhook_raise('partner.status_changed', 'status');
CREATE TRIGGER partner_applications_webhook AFTER INSERT ON partner_applications FOR EACH ROW EXECUTE FUNCTION webhook_raise('application.submitted');
CREATE TRIGGER partner_users_webhook_added AFTER INSERT ON partner_users FOR EACH ROW EXECUTE FUNCTION webhook_raise('partner_user.added');
CREATE TRIGGER partner_users_webhook_restored AFTER UPDATE OF removed_at ON partner_users FOR EACH ROW
    WHEN (OLD.removed_at IS NOT NULL AND NEW.removed_at IS NULL) EXECUTE FUNCTION webhook_raise('partner_user.added');
CREATE TRIGGER partner_users_webhook_removed AFTER UPDATE OF removed_at ON partner_users FOR EACH ROW
    WHEN (OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL) EXECUTE FUNCTION webhook_raise('partner_user.removed');

CREATE TRIGGER partner_users_webhook_role AFTER UPDATE OF role ON partner_users FOR EACH ROW
    WHEN (OLD.role IS DISTINCT FROM NEW.role) EXECUTE FUNCTION webhook_raise('partner_user.role_changed', 'role');

CREATE TRIGGER programmes_webhook AFTER INSERT ON programmes FOR EACH ROW EXECUTE FUNCTION webhook_raise('programme.created');
CREATE TRIGGER programmes_webhook_updated AFTER UPDATE OF name, status, rate_source, cookie_days, attribution, enrolment_policy ON programmes FOR EACH ROW
    WHEN ((OLD.name, OLD.status, OLD.rate_source, OLD.cookie_days, OLD.attribution, OLD.enrolment_policy)
        IS DISTINCT FROM (NEW.name, NEW.status, NEW.rate_source, NEW.cookie_days, NEW.attribution, NEW.enrolment_policy)) EXECUTE FUNCTION webhook_raise('programme.updated');
CREATE TRIGGER enrolments_webhook_created AFTER INSERT ON enrolments FOR EACH ROW EXECUTE FUNCTION webhook_raise('enrolment.created');
CREATE TRIGGER enrolments_webhook_status AFTER UPDATE OF status ON enrolments FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION webhook_raise('enrolment.status_changed', 'status');
CREATE TRIGGER links_webhook_created AFTER INSERT ON links FOR EACH ROW EXECUTE FUNCTION webhook_raise('link.created');
CREATE TRIGGER links_webhook_updated AFTER UPDATE ON links FOR EACH ROW
    WHEN (OLD.updated_at IS DISTINCT FROM NEW.updated_at) EXECUTE FUNCTION webhook_raise('link.updated');
CREATE TRIGGER link_sign_ups_webhook AFTER INSERT ON link_sign_ups FOR EACH ROW EXECUTE FUNCTION webhook_raise('sign_up.recorded');

CREATE TRIGGER partner_leads_webhook_created AFTER INSERT ON partner_leads FOR EACH ROW EXECUTE FUNCTION webhook_raise('lead.created');
CREATE TRIGGER partner_leads_webhook_status AFTER UPDATE OF status ON partner_leads FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION webhook_raise('lead.status_changed', 'status');
CREATE TRIGGER partner_leads_webhook_updated AFTER UPDATE OF client_name, client_email, client_phone, service, deal_value, notes, partner_id ON partner_leads FOR EACH ROW
    WHEN ((OLD.client_name, OLD.client_email, OLD.client_phone, OLD.service, OLD.deal_value, OLD.notes, OLD.partner_id)
        IS DISTINCT FROM (NEW.client_name, NEW.client_email, NEW.client_phone, NEW.service, NEW.deal_value, NEW.notes, NEW.partner_id))
    EXECUTE FUNCTION webhook_raise('lead.updated');

CREATE TRIGGER customers_webhook AFTER INSERT ON customers FOR EACH ROW EXECUTE FUNCTION webhook_raise('customer.created');
CREATE TRIGGER customers_webhook_updated AFTER UPDATE OF name, email, user_id ON customers FOR EACH ROW
    WHEN ((OLD.name, OLD.email, OLD.user_id)
        IS DISTINCT FROM (NEW.name, NEW.email, NEW.user_id)) EXECUTE FUNCTION webhook_raise('customer.updated');
CREATE TRIGGER partner_accounts_webhook_ended AFTER UPDATE OF managed_to ON partner_accounts FOR EACH ROW
    WHEN (OLD.managed_to IS NULL AND NEW.managed_to IS NOT NULL) EXECUTE FUNCTION webhook_raise('customer.unassigned');
CREATE TRIGGER partner_accounts_webhook AFTER INSERT ON partner_accounts FOR EACH ROW EXECUTE FUNCTION webhook_raise('customer.assigned');
CREATE TRIGGER invoices_webhook_paid_insert AFTER INSERT ON invoices FOR EACH ROW
    WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION webhook_raise('sale.recorded');
CREATE TRIGGER invoices_webhook_paid_update AFTER UPDATE OF paid_at ON invoices FOR EACH ROW
    WHEN (OLD.paid_at IS NULL AND NEW.paid_at IS NOT NULL) EXECUTE FUNCTION webhook_raise('sale.recorded');
CREATE TRIGGER invoices_webhook_refunded_insert AFTER INSERT ON invoices FOR EACH ROW
    WHEN (NEW.refunded > 0) EXECUTE FUNCTION webhook_raise('sale.refunded');
CREATE TRIGGER invoices_webhook_refunded_update AFTER UPDATE OF refunded ON invoices FOR EACH ROW
    WHEN (OLD.refunded IS DISTINCT FROM NEW.refunded) EXECUTE FUNCTION webhook_raise('sale.refunded');

CREATE TRIGGER partner_commission_events_webhook_created AFTER INSERT ON partner_commission_events FOR EACH ROW
    WHEN (NEW.event_type NOT IN ('adjustment', 'refund')) EXECUTE FUNCTION webhook_raise('commission.created');
CREATE TRIGGER partner_commission_events_webhook_adjusted AFTER INSERT ON partner_commission_events FOR EACH ROW
    WHEN (NEW.event_type = 'adjustment') EXECUTE FUNCTION webhook_raise('commission.adjusted');
CREATE TRIGGER partner_commission_events_webhook_reversed AFTER INSERT ON partner_commission_events FOR EACH ROW
    WHEN (NEW.event_type = 'refund') EXECUTE FUNCTION webhook_raise('commission.reversed');
CREATE TRIGGER partner_commission_events_webhook_approved AFTER UPDATE OF status ON partner_commission_events FOR EACH ROW
    WHEN (OLD.status <> 'approved' AND NEW.status = 'approved') EXECUTE FUNCTION webhook_raise('commission.approved', 'status');
CREATE TRIGGER partner_commission_events_webhook_rejected AFTER UPDATE OF status ON partner_commission_events FOR EACH ROW
    WHEN (OLD.status <> 'rejected' AND NEW.status = 'rejected') EXECUTE FUNCTION webhook_raise('commission.rejected', 'status');
CREATE TRIGGER partner_commission_events_webhook_paid AFTER UPDATE OF status ON partner_commission_events FOR EACH ROW
    WHEN (OLD.status <> 'paid' AND NEW.status = 'paid') EXECUTE FUNCTION webhook_raise('commission.paid', 'status');

CREATE TRIGGER partner_commission_events_webhook_moved AFTER UPDATE OF partner_id ON partner_commission_events FOR EACH ROW
    WHEN (OLD.partner_id IS DISTINCT FROM NEW.partner_id) EXECUTE FUNCTION webhook_raise('commission.moved', 'partner_id');

CREATE TRIGGER partner_payouts_webhook_created AFTER INSERT ON partner_payouts FOR EACH ROW EXECUTE FUNCTION webhook_raise('payout.created');
CREATE TRIGGER partner_payouts_webhook_ready AFTER UPDATE OF status ON partner_payouts FOR EACH ROW
    WHEN (OLD.status <> 'ready' AND NEW.status = 'ready') EXECUTE FUNCTION webhook_raise('payout.ready', 'status');
CREATE TRIGGER partner_payouts_webhook_processing AFTER UPDATE OF status ON partner_payouts FOR EACH ROW
    WHEN (OLD.status <> 'processing' AND NEW.status = 'processing') EXECUTE FUNCTION webhook_raise('payout.processing', 'status');
CREATE TRIGGER partner_payouts_webhook_cancelled AFTER UPDATE OF status ON partner_payouts FOR EACH ROW
    WHEN (OLD.status <> 'cancelled' AND NEW.status = 'cancelled') EXECUTE FUNCTION webhook_raise('payout.cancelled', 'status');
CREATE TRIGGER partner_payouts_webhook_completed AFTER UPDATE OF status ON partner_payouts FOR EACH ROW
    WHEN (OLD.status <> 'completed' AND NEW.status = 'completed') EXECUTE FUNCTION webhook_raise('payout.completed', 'status');
CREATE TRIGGER partner_payouts_webhook_failed AFTER UPDATE OF status ON partner_payouts FOR EACH ROW
    WHEN (OLD.status <> 'failed' AND NEW.status = 'failed') EXECUTE FUNCTION webhook_raise('payout.failed', 'status');

CREATE TRIGGER partner_members_webhook_added AFTER INSERT ON partner_members FOR EACH ROW EXECUTE FUNCTION webhook_raise('member.added');
CREATE TRIGGER partner_members_webhook_updated AFTER UPDATE OF email, first_name, last_name ON partner_members FOR EACH ROW
    WHEN ((OLD.email, OLD.first_name, OLD.last_name)
        IS DISTINCT FROM (NEW.email, NEW.first_name, NEW.last_name)) EXECUTE FUNCTION webhook_raise('member.updated');
CREATE TRIGGER partner_members_webhook_status AFTER UPDATE OF status ON partner_members FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION webhook_raise('member.status_changed', 'status');
CREATE TRIGGER credit_grants_webhook AFTER INSERT ON credit_grants FOR EACH ROW EXECUTE FUNCTION webhook_raise('credit.granted');
CREATE TRIGGER credit_allocations_webhook_assigned AFTER INSERT ON credit_allocations FOR EACH ROW EXECUTE FUNCTION webhook_raise('credit.assigned');
CREATE TRIGGER credit_allocations_webhook_expired AFTER UPDATE OF expired ON credit_allocations FOR EACH ROW
    WHEN (NEW.expired > OLD.expired) EXECUTE FUNCTION webhook_raise('credit.expired');
CREATE TRIGGER credit_allocations_webhook_revoked AFTER UPDATE OF revoked ON credit_allocations FOR EACH ROW
    WHEN (NEW.revoked > OLD.revoked) EXECUTE FUNCTION webhook_raise('credit.revoked');
CREATE TRIGGER credit_redemptions_webhook_redeemed AFTER INSERT ON credit_redemptions FOR EACH ROW EXECUTE FUNCTION webhook_raise('credit.redeemed');
CREATE TRIGGER credit_redemptions_webhook_reversed AFTER UPDATE OF reversed_at ON credit_redemptions FOR EACH ROW
    WHEN (OLD.reversed_at IS NULL AND NEW.reversed_at IS NOT NULL) EXECUTE FUNCTION webhook_raise('credit.redemption_reversed');
CREATE TRIGGER wallet_transactions_webhook AFTER INSERT ON wallet_transactions FOR EACH ROW EXECUTE FUNCTION webhook_raise('wallet.changed');
CREATE TRIGGER webhook_endpoints_webhook AFTER UPDATE OF disabled_at ON webhook_endpoints FOR EACH ROW
    WHEN (OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL AND NEW.removed_at IS NULL) EXECUTE FUNCTION webhook_raise('endpoint.disabled');

-- What the servers do for all tenants. Leases are by the database's clock, which all servers share; what is due, by the clock of the server.
CREATE FUNCTION raw_webhook_events(most bigint) RETURNS TABLE (tenant_id uuid, id uuid, event_type text, at timestamptz, facts jsonb)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.tenant_id, e.id, e.event_type, e.at, e.facts FROM webhook_events e WHERE e.body IS NULL ORDER BY e.at, e.id LIMIT most FOR UPDATE SKIP LOCKED
$$;
COMMENT ON FUNCTION raw_webhook_events(bigint) IS 'Events that have no body yet, which are the caller''s until its transaction ends';

CREATE FUNCTION send_webhook_events(given jsonb, by_then timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    UPDATE webhook_events e SET body = g.body, facts = NULL FROM jsonb_to_recordset(given) AS g (tenant_id uuid, id uuid, body text)
        WHERE e.tenant_id = g.tenant_id AND e.id = g.id AND e.body IS NULL;
    -- One that is being disabled or removed is waited for: nothing comes to wait for it afterwards.
    PERFORM FROM webhook_endpoints p WHERE p.tenant_id IN (SELECT g.tenant_id FROM jsonb_to_recordset(given) AS g (tenant_id uuid))
        AND p.removed_at IS NULL ORDER BY p.tenant_id, p.id FOR SHARE;
    INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, event_type, next_at, created_at)
        -- In the order in which they happened.
        SELECT e.tenant_id, gen_random_uuid(), p.id, e.id, e.event_type, least(e.at, by_then), by_then
        FROM jsonb_to_recordset(given) AS g (tenant_id uuid, id uuid)
        JOIN webhook_events e ON e.tenant_id = g.tenant_id AND e.id = g.id
        JOIN webhook_endpoints p ON p.tenant_id = e.tenant_id AND p.removed_at IS NULL AND p.disabled_at IS NULL AND e.event_type = ANY (p.types)
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END $$;
COMMENT ON FUNCTION send_webhook_events(jsonb, timestamptz) IS 'Gives events their bodies, and makes a delivery to each endpoint that is for them';

CREATE FUNCTION claim_webhook_deliveries(holder uuid, most bigint, seconds bigint, by_then timestamptz)
    RETURNS TABLE (tenant_id uuid, id uuid, endpoint_id uuid, url text, event_id uuid, body text, tries integer, secret_ids uuid[], secrets bytea[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenants uuid[];
    endpoints uuid[];
BEGIN
    -- The endpoints for which anything waits, each found by one look at the index. Two who claim at once take different endpoints. What others have done with
    -- these is seen by the next statement, which begins when they are locked.
    WITH RECURSIVE busy AS (
        (SELECT d.tenant_id, d.endpoint_id FROM webhook_deliveries d WHERE d.status = 'waiting' ORDER BY d.tenant_id, d.endpoint_id LIMIT 1)
        UNION ALL
        SELECT n.tenant_id, n.endpoint_id FROM busy b CROSS JOIN LATERAL (
            SELECT d.tenant_id, d.endpoint_id FROM webhook_deliveries d
            WHERE d.status = 'waiting' AND (d.tenant_id, d.endpoint_id) > (b.tenant_id, b.endpoint_id)
            ORDER BY d.tenant_id, d.endpoint_id LIMIT 1) AS n
    ), free AS (
        SELECT e.tenant_id, e.id FROM webhook_endpoints e JOIN busy b ON b.tenant_id = e.tenant_id AND b.endpoint_id = e.id
        WHERE e.removed_at IS NULL AND e.disabled_at IS NULL AND coalesce(e.paused_until, '-infinity') <= by_then
        FOR NO KEY UPDATE OF e SKIP LOCKED
    )
    SELECT array_agg(f.tenant_id), array_agg(f.id) INTO tenants, endpoints FROM free f;
    RETURN QUERY WITH free AS (
        SELECT e.tenant_id, e.id, e.url,
            -- At most 8 at once; of one whose answers take long 2, and of one that fails 1.
            (CASE WHEN e.failing_since IS NOT NULL THEN 1 WHEN e.is_slow THEN 2 ELSE 8 END) - (
                SELECT count(*) FROM webhook_deliveries h WHERE h.tenant_id = e.tenant_id AND h.endpoint_id = e.id AND h.lease IS NOT NULL
                    AND h.held_until >= clock_timestamp()) AS room
        FROM unnest(tenants, endpoints) AS f (tenant_id, id) JOIN webhook_endpoints e ON e.tenant_id = f.tenant_id AND e.id = f.id
    ), due AS (
        SELECT f.tenant_id, f.url, d.id, row_number() OVER (PARTITION BY f.tenant_id, f.id ORDER BY d.next_at, d.id) AS turn
        FROM free f CROSS JOIN LATERAL (
            SELECT w.id, w.next_at FROM webhook_deliveries w
            WHERE w.tenant_id = f.tenant_id AND w.endpoint_id = f.id AND w.status = 'waiting' AND w.next_at <= by_then
                AND (w.lease IS NULL OR w.held_until < clock_timestamp())
            ORDER BY w.next_at, w.id LIMIT greatest(f.room, 0)) AS d
    ), share AS (
        -- A tenant has at most 64 under way, so that no few of them take all there are.
        SELECT d.*, row_number() OVER (PARTITION BY d.tenant_id ORDER BY d.turn, d.id) + (
            SELECT count(*) FROM webhook_deliveries h WHERE h.tenant_id = d.tenant_id AND h.lease IS NOT NULL AND h.held_until >= clock_timestamp()) AS number
        FROM due d
    ), next AS MATERIALIZED (SELECT * FROM share WHERE number <= 64 ORDER BY turn, id LIMIT most), held AS (
        UPDATE webhook_deliveries d SET lease = holder, held_until = clock_timestamp() + make_interval(secs => seconds)
        FROM next n WHERE d.tenant_id = n.tenant_id AND d.id = n.id AND d.status = 'waiting' AND (d.lease IS NULL OR d.held_until < clock_timestamp())
        RETURNING d.tenant_id, d.id, d.endpoint_id, n.url, d.event_id, d.tries
    )
    SELECT h.tenant_id, h.id, h.endpoint_id, h.url, h.event_id, e.body, h.tries, s.ids, s.sealed
    FROM held h JOIN webhook_events e ON e.tenant_id = h.tenant_id AND e.id = h.event_id
    CROSS JOIN LATERAL (
        SELECT array_agg(s.id ORDER BY s.created_at DESC) AS ids, array_agg(s.sealed ORDER BY s.created_at DESC) AS sealed FROM webhook_secrets s
        WHERE s.tenant_id = h.tenant_id AND s.endpoint_id = h.endpoint_id AND (s.expires_at IS NULL OR s.expires_at > by_then)) AS s;
END $$;
COMMENT ON FUNCTION claim_webhook_deliveries(uuid, bigint, bigint, timestamptz) IS 'Makes deliveries that are due the holder''s for so many seconds: at most so many, of each endpoint and tenant so many as may be under way, in fair turns';

CREATE FUNCTION end_webhook_attempts(holder uuid, given jsonb, by_then timestamptz, patience bigint, gone_reason text, failed_reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept bigint;
    lost record;
BEGIN
    -- Endpoints first and in one order, as those do who change one: no deadlock.
    PERFORM FROM webhook_endpoints p
        WHERE (p.tenant_id, p.id) IN (SELECT g.tenant_id, g.endpoint_id FROM jsonb_to_recordset(given) AS g (tenant_id uuid, endpoint_id uuid))
        ORDER BY p.tenant_id, p.id FOR NO KEY UPDATE;
    WITH result AS (
        SELECT g.*, p.disabled_at IS NOT NULL OR p.removed_at IS NOT NULL AS is_over
        FROM jsonb_to_recordset(given) AS g (tenant_id uuid, id uuid, endpoint_id uuid, tries integer, at timestamptz, milliseconds integer, url text,
            status integer, response text, fault text, outcome webhook_delivery_status, next_at timestamptz)
        JOIN webhook_endpoints p ON p.tenant_id = g.tenant_id AND p.id = g.endpoint_id
    ), ended AS (
        UPDATE webhook_deliveries d SET lease = NULL, held_until = NULL, attempts = d.attempts + 1,
            -- Where somebody has begun its schedule again meanwhile, that stays.
            tries = CASE WHEN d.tries = r.tries THEN d.tries + 1 ELSE d.tries END,
            status = CASE WHEN r.outcome = 'delivered' THEN 'delivered' WHEN r.is_over THEN 'failed' WHEN d.tries <> r.tries THEN d.status ELSE r.outcome END,
            next_at = CASE WHEN r.outcome = 'delivered' OR r.is_over THEN NULL WHEN d.tries <> r.tries THEN d.next_at ELSE r.next_at END,
            ended_at = CASE WHEN r.outcome = 'delivered' OR r.is_over THEN by_then WHEN d.tries <> r.tries THEN d.ended_at
                WHEN r.outcome = 'failed' THEN by_then END
        FROM result r WHERE d.tenant_id = r.tenant_id AND d.id = r.id AND d.lease = holder
        RETURNING d.tenant_id, d.id, d.attempts, r.at, r.milliseconds, r.url, r.status, r.response, r.fault
    )
    INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, milliseconds, url, status, response, fault)
        SELECT e.tenant_id, e.id, e.attempts, e.at, e.milliseconds, e.url, e.status, e.response, e.fault FROM ended e;
    GET DIAGNOSTICS kept = ROW_COUNT;
    -- What an endpoint answered at another address, or before it was changed, says nothing of it as it is.
    UPDATE webhook_endpoints p SET
            last_success_at = greatest(p.last_success_at, o.succeeded_at),
            is_slow = o.is_slow,
            failures = CASE WHEN o.succeeded_at IS NULL THEN p.failures + o.failures ELSE 0 END,
            failing_since = CASE WHEN o.failed_at IS NULL OR o.succeeded_at >= o.failed_at THEN NULL
                WHEN o.succeeded_at IS NOT NULL THEN o.failed_at ELSE coalesce(p.failing_since, o.first_failed_at) END,
            paused_until = coalesce(o.paused_until, p.paused_until)
        FROM (SELECT g.tenant_id, g.endpoint_id, max(g.at) FILTER (WHERE g.outcome = 'delivered') AS succeeded_at,
                  max(g.at) FILTER (WHERE g.outcome <> 'delivered') AS failed_at, min(g.at) FILTER (WHERE g.outcome <> 'delivered') AS first_failed_at,
                  count(*) FILTER (WHERE g.outcome <> 'delivered') AS failures, bool_or(g.milliseconds > 5000) AS is_slow, max(g.paused_until) AS paused_until
              FROM jsonb_to_recordset(given) AS g (tenant_id uuid, endpoint_id uuid, at timestamptz, milliseconds integer, url text, outcome text, paused_until timestamptz)
              JOIN webhook_endpoints c ON c.tenant_id = g.tenant_id AND c.id = g.endpoint_id AND c.url = g.url AND c.updated_at <= g.at
              GROUP BY 1, 2) AS o
        WHERE p.tenant_id = o.tenant_id AND p.id = o.endpoint_id;
    FOR lost IN SELECT DISTINCT ON (p.tenant_id, p.id) p.tenant_id, p.id, CASE WHEN g.is_gone THEN gone_reason ELSE failed_reason END AS why
        FROM jsonb_to_recordset(given) AS g (tenant_id uuid, endpoint_id uuid, at timestamptz, url text, outcome text, is_gone boolean)
        JOIN webhook_endpoints p ON p.tenant_id = g.tenant_id AND p.id = g.endpoint_id AND p.url = g.url AND p.updated_at <= g.at
        WHERE g.is_gone OR (g.outcome <> 'delivered' AND p.failures >= 10 AND p.failing_since <= by_then - make_interval(secs => patience))
        ORDER BY p.tenant_id, p.id, g.is_gone DESC
    LOOP
        PERFORM disable_webhook_endpoint(lost.tenant_id, lost.id, lost.why, by_then);
    END LOOP;
    RETURN kept;
END $$;
COMMENT ON FUNCTION end_webhook_attempts(uuid, jsonb, timestamptz, bigint, text, text) IS 'Keeps what came of attempts whose deliveries are the holder''s, and what it says of their endpoints; disables those that are gone, and those that have failed for so many seconds';

CREATE FUNCTION disable_webhook_endpoint(of_tenant uuid, of_endpoint uuid, why text, by_then timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE webhook_endpoints SET disabled_at = by_then, disabled_reason = why, updated_at = by_then
        WHERE tenant_id = of_tenant AND id = of_endpoint AND disabled_at IS NULL AND removed_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, ended_at = by_then
        WHERE tenant_id = of_tenant AND endpoint_id = of_endpoint AND status = 'waiting';
    RETURN true;
END $$;
COMMENT ON FUNCTION disable_webhook_endpoint(uuid, uuid, text, timestamptz) IS 'Sends nothing more to an endpoint; what waits for it has failed, and can be recovered';

CREATE FUNCTION forget_webhook_events(before timestamptz, most bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    old record;
    forgotten bigint := 0;
BEGIN
    FOR old IN SELECT e.tenant_id, e.id FROM webhook_events e
        WHERE e.at < before ORDER BY e.at LIMIT most FOR UPDATE SKIP LOCKED
    LOOP
        DELETE FROM webhook_attempts a USING webhook_deliveries d
            WHERE d.tenant_id = old.tenant_id AND d.event_id = old.id AND a.tenant_id = d.tenant_id AND a.delivery_id = d.id;
        DELETE FROM webhook_deliveries d WHERE d.tenant_id = old.tenant_id AND d.event_id = old.id;
        DELETE FROM webhook_events e WHERE e.tenant_id = old.tenant_id AND e.id = old.id;
        forgotten := forgotten + 1;
    END LOOP;
    RETURN forgotten;
END $$;
COMMENT ON FUNCTION forget_webhook_events(timestamptz, bigint) IS 'Deletes so many events from before a time with their deliveries; gives how many it were';

REVOKE ALL ON FUNCTION webhook_texts(jsonb), webhook_raise(), webhook_raise_clicks(), raw_webhook_events(bigint),
    send_webhook_events(jsonb, timestamptz), claim_webhook_deliveries(uuid, bigint, bigint, timestamptz),
    end_webhook_attempts(uuid, jsonb, timestamptz, bigint, text, text), disable_webhook_endpoint(uuid, uuid, text, timestamptz),
    forget_webhook_events(timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION raw_webhook_events(bigint), send_webhook_events(jsonb, timestamptz),
    claim_webhook_deliveries(uuid, bigint, bigint, timestamptz), end_webhook_attempts(uuid, jsonb, timestamptz, bigint, text, text),
    forget_webhook_events(timestamptz, bigint) TO portal_app;
