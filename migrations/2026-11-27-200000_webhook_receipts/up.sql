-- Webhooks in: what the sign-in service (Clerk, sent by Svix) and the payment service (Stripe) report, stored once each and applied in whatever
-- order it comes.
SET LOCAL lock_timeout = '60s';

CREATE DOMAIN webhook_source_kind AS text CONSTRAINT webhook_source_kind_known CHECK (VALUE IN ('clerk', 'stripe'));
CREATE DOMAIN webhook_receipt_status AS text
    CONSTRAINT webhook_receipt_status_known CHECK (VALUE IN ('received', 'applied', 'ignored', 'parked', 'failed'));

CREATE TABLE webhook_sources (
    tenant_id uuid NOT NULL CONSTRAINT webhook_sources_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    kind webhook_source_kind NOT NULL,
    description text,
    created_by uuid NOT NULL,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT webhook_sources_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_sources_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX webhook_sources_id_idx ON webhook_sources (id) WHERE removed_at IS NULL;
COMMENT ON TABLE webhook_sources IS 'Services that report what happens there, each to an address of its own';

CREATE TABLE webhook_source_secrets (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    source_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT webhook_source_secrets_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_source_secrets_source_fkey FOREIGN KEY (tenant_id, source_id) REFERENCES webhook_sources (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX webhook_source_secrets_source_idx ON webhook_source_secrets (tenant_id, source_id, created_at);
COMMENT ON TABLE webhook_source_secrets IS 'The secrets that a service signs with, each sealed; several while one replaces another';

CREATE TABLE webhook_receipts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    source_id uuid NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    body text,
    status webhook_receipt_status NOT NULL DEFAULT 'received',
    attempts integer NOT NULL DEFAULT 0,
    reason text,
    waits_for text,
    received_at timestamptz NOT NULL,
    tried_since timestamptz NOT NULL,
    next_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT webhook_receipts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_receipts_event_key UNIQUE (tenant_id, source_id, event_id),
    CONSTRAINT webhook_receipts_source_fkey FOREIGN KEY (tenant_id, source_id) REFERENCES webhook_sources (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT webhook_receipts_next CHECK ((next_at IS NOT NULL) = (status IN ('received', 'parked'))),
    CONSTRAINT webhook_receipts_ended CHECK ((ended_at IS NULL) = (status IN ('received', 'parked'))),
    CONSTRAINT webhook_receipts_waits CHECK (waits_for IS NULL OR status = 'parked')
);
CREATE INDEX webhook_receipts_due_idx ON webhook_receipts (tenant_id, status, next_at, id) WHERE status IN ('received', 'parked');
CREATE INDEX webhook_receipts_received_idx ON webhook_receipts (tenant_id, source_id, received_at, id);
CREATE INDEX webhook_receipts_waits_idx ON webhook_receipts (tenant_id, waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX webhook_receipts_old_idx ON webhook_receipts (received_at) WHERE body IS NOT NULL;
CREATE INDEX webhook_receipts_oldest_idx ON webhook_receipts (received_at) WHERE body IS NULL;
COMMENT ON TABLE webhook_receipts IS 'Each event that a source has reported, once, and what became of it';
COMMENT ON COLUMN webhook_receipts.event_id IS 'The sender''s id of the event, which is the same when it is sent again';
COMMENT ON COLUMN webhook_receipts.body IS 'What was sent; NULL once it was forgotten';
COMMENT ON COLUMN webhook_receipts.reason IS 'Why it was not applied';
COMMENT ON COLUMN webhook_receipts.waits_for IS 'What a parked one waits for: it is tried again when that is known';
COMMENT ON COLUMN webhook_receipts.tried_since IS 'When it was received, or somebody has had it applied again: it is tried for three days since then';

-- What the sign-in service has said last of a user, an organisation or a membership. Reports come in any order and more than once.
CREATE TABLE directory_objects (
    tenant_id uuid NOT NULL CONSTRAINT directory_objects_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    object_id text NOT NULL,
    as_of timestamptz NOT NULL,
    sent_at timestamptz NOT NULL,
    is_deleted boolean NOT NULL,
    is_blocked boolean NOT NULL DEFAULT false,
    subject text,
    organization text,
    role text,
    CONSTRAINT directory_objects_pkey PRIMARY KEY (tenant_id, object_id)
);
CREATE INDEX directory_objects_membership_idx ON directory_objects (tenant_id, subject, organization) WHERE organization IS NOT NULL;
COMMENT ON TABLE directory_objects IS 'Users, organisations and memberships at the sign-in service, as far as it has reported them';
COMMENT ON COLUMN directory_objects.as_of IS 'When it was as reported, by the sign-in service''s clock: an older report changes nothing';
COMMENT ON COLUMN directory_objects.sent_at IS 'When that was reported: which of two reports of one state''s time is the later';
COMMENT ON COLUMN directory_objects.is_deleted IS 'It is gone for good: no report that comes late revives it';
COMMENT ON COLUMN directory_objects.is_blocked IS 'The user is banned there';
COMMENT ON COLUMN directory_objects.subject IS 'Of a membership: the user';
COMMENT ON COLUMN directory_objects.organization IS 'Of a membership: the organisation';
COMMENT ON COLUMN directory_objects.role IS 'Of a membership: what the user is in the partner by it';

-- What the payment service has said of the payments of invoices, in the currency's major unit. Its ids are its own: however many sources a tenant has,
-- they speak of the same objects.
CREATE TABLE processor_invoices (
    tenant_id uuid NOT NULL CONSTRAINT processor_invoices_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    invoice_id text NOT NULL,
    currency text NOT NULL,
    gross numeric(19, 4) NOT NULL,
    net numeric(19, 4) NOT NULL,
    CONSTRAINT processor_invoices_pkey PRIMARY KEY (tenant_id, invoice_id)
);
COMMENT ON TABLE processor_invoices IS 'What was paid of each invoice, with tax and without';
CREATE TABLE processor_payments (
    tenant_id uuid NOT NULL CONSTRAINT processor_payments_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    payment_id text NOT NULL,
    invoice_id text NOT NULL,
    CONSTRAINT processor_payments_pkey PRIMARY KEY (tenant_id, payment_id, invoice_id)
);
CREATE INDEX processor_payments_invoice_idx ON processor_payments (tenant_id, invoice_id);
COMMENT ON TABLE processor_payments IS 'Which invoice a payment intent or a charge has paid; a payment without an invoice is its own';
CREATE TABLE processor_reversals (
    tenant_id uuid NOT NULL CONSTRAINT processor_reversals_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    object_id text NOT NULL,
    payment_id text NOT NULL,
    kind text NOT NULL CONSTRAINT processor_reversals_kind_known CHECK (kind IN ('charge', 'refund', 'dispute')),
    currency text NOT NULL,
    amount numeric(19, 4) NOT NULL,
    is_taken boolean NOT NULL,
    created_at timestamptz NOT NULL,
    as_of timestamptz NOT NULL,
    step integer NOT NULL,
    CONSTRAINT processor_reversals_pkey PRIMARY KEY (tenant_id, object_id)
);
CREATE INDEX processor_reversals_payment_idx ON processor_reversals (tenant_id, payment_id);
COMMENT ON TABLE processor_reversals IS 'What is taken back of payments: by single refunds, by disputes, and by what a charge says has been refunded of it in all';
COMMENT ON COLUMN processor_reversals.is_taken IS 'Whether the money is gone: not that of a refund that failed, or of a dispute that was won';
COMMENT ON COLUMN processor_reversals.as_of IS 'When it was as reported, by the payment service''s clock: an older report changes nothing';
COMMENT ON COLUMN processor_reversals.step IS 'Which of two reports of one second is the later: the one of the higher step';
-- Reports of customers come in any order too.
CREATE TABLE processor_customers (
    tenant_id uuid NOT NULL CONSTRAINT processor_customers_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    customer_id text NOT NULL,
    as_of timestamptz NOT NULL,
    step integer NOT NULL,
    CONSTRAINT processor_customers_pkey PRIMARY KEY (tenant_id, customer_id)
);
COMMENT ON TABLE processor_customers IS 'As of when the payment service has reported each customer';

ALTER TABLE programmes ADD COLUMN includes_tax boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN programmes.includes_tax IS 'Whether partners earn by what customers pay with tax; of payments that the payment service reports';
GRANT UPDATE (includes_tax) ON programmes TO portal_operator;
DROP TRIGGER programmes_webhook_updated ON programmes;
CREATE TRIGGER programmes_webhook_updated AFTER UPDATE OF name, status, rate_source, cookie_days, attribution, enrolment_policy, includes_tax ON programmes FOR EACH ROW
    WHEN ((OLD.name, OLD.status, OLD.rate_source, OLD.cookie_days, OLD.attribution, OLD.enrolment_policy, OLD.includes_tax)
        IS DISTINCT FROM (NEW.name, NEW.status, NEW.rate_source, NEW.cookie_days, NEW.attribution, NEW.enrolment_policy, NEW.includes_tax))
    EXECUTE FUNCTION webhook_raise('programme.updated');

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['webhook_sources', 'webhook_source_secrets', 'webhook_receipts', 'directory_objects', 'processor_invoices', 'processor_payments',
        'processor_reversals', 'processor_customers'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator, portal_service USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (removed_at) ON webhook_sources TO portal_operator;
-- Secrets are written and replaced, and what is in them is for the server alone.
GRANT SELECT (tenant_id, id, source_id, created_at, expires_at), INSERT, UPDATE (expires_at), DELETE ON webhook_source_secrets TO portal_operator;
GRANT SELECT, UPDATE (status, attempts, reason, waits_for, tried_since, next_at, ended_at) ON webhook_receipts TO portal_operator, portal_service;
-- What is applied runs as the tenant's service.
GRANT SELECT ON webhook_sources TO portal_service;
GRANT SELECT, INSERT, UPDATE (as_of, sent_at, is_deleted, is_blocked, subject, organization, role) ON directory_objects TO portal_service;
GRANT SELECT, INSERT ON processor_invoices, processor_payments TO portal_service;
GRANT SELECT, INSERT, UPDATE (amount, is_taken, as_of, step) ON processor_reversals TO portal_service;
GRANT SELECT, INSERT, UPDATE (as_of, step) ON processor_customers TO portal_service;
-- An operator who lets a partner manage a customer books what the customer has paid before.
GRANT SELECT ON processor_invoices TO portal_operator;

ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'create_webhook_endpoint', 'create_webhook_source', 'import_data',
    'rotate_webhook_secret', 'rotate_webhook_source_secret', 'send_test_webhook', 'set_commission_rule')) NOT VALID;

-- What the server does before any caller is known: the signature is checked by it, with secrets that it alone can open.
CREATE FUNCTION find_webhook_source(of_source uuid, by_then timestamptz) RETURNS TABLE (tenant_id uuid, kind text, secret_ids uuid[], secrets bytea[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.kind::text, coalesce(array_agg(k.id ORDER BY k.created_at DESC) FILTER (WHERE k.id IS NOT NULL), '{}'),
        coalesce(array_agg(k.sealed ORDER BY k.created_at DESC) FILTER (WHERE k.id IS NOT NULL), '{}')
    FROM webhook_sources s LEFT JOIN webhook_source_secrets k
        ON k.tenant_id = s.tenant_id AND k.source_id = s.id AND (k.expires_at IS NULL OR k.expires_at > by_then)
    WHERE s.id = of_source AND s.removed_at IS NULL
    GROUP BY s.tenant_id, s.id, s.kind
$$;
COMMENT ON FUNCTION find_webhook_source(uuid, timestamptz) IS 'Whose a source is, of what kind, and the secrets that are valid by then, the latest first, sealed';

CREATE FUNCTION receive_webhook(of_source uuid, as_id uuid, event text, type_of_event text, content text, by_then timestamptz) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH stored AS (
        INSERT INTO webhook_receipts (tenant_id, id, source_id, event_id, event_type, body, received_at, tried_since, next_at)
            SELECT s.tenant_id, as_id, s.id, event, type_of_event, content, by_then, by_then, by_then
            FROM webhook_sources s WHERE s.id = of_source AND s.removed_at IS NULL
            ON CONFLICT (tenant_id, source_id, event_id) DO NOTHING RETURNING 1)
    SELECT CASE WHEN EXISTS (SELECT FROM webhook_sources s WHERE s.id = of_source AND s.removed_at IS NULL) THEN EXISTS (SELECT FROM stored) END
$$;
COMMENT ON FUNCTION receive_webhook(uuid, uuid, text, text, text, timestamptz) IS 'Stores an event of a source, once; gives whether it is new, and NULL where there is no such source';

CREATE FUNCTION due_webhook_receipts(by_then timestamptz, most bigint) RETURNS TABLE (tenant_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    -- Of each tenant some, the new ones first: nobody's backlog keeps another's events waiting, or its own new ones.
    SELECT d.tenant_id, d.id FROM (SELECT DISTINCT s.tenant_id FROM webhook_sources s) t CROSS JOIN LATERAL (
        SELECT picked.tenant_id, picked.id, row_number() OVER () AS turn FROM (
            (SELECT r.tenant_id, r.id FROM webhook_receipts r WHERE r.tenant_id = t.tenant_id AND r.status = 'received' AND r.next_at <= by_then
                ORDER BY r.next_at, r.id LIMIT most)
            UNION ALL
            (SELECT r.tenant_id, r.id FROM webhook_receipts r WHERE r.tenant_id = t.tenant_id AND r.status = 'parked' AND r.next_at <= by_then
                ORDER BY r.next_at, r.id LIMIT greatest(most / 4, 1))) AS picked) AS d
    ORDER BY d.turn, d.id LIMIT most
$$;
COMMENT ON FUNCTION due_webhook_receipts(timestamptz, bigint) IS 'Some receipts that are to be applied by then, of each tenant in turn';

CREATE FUNCTION forget_webhook_bodies(before timestamptz, by_then timestamptz, most bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    UPDATE webhook_receipts r SET body = NULL,
            status = CASE WHEN r.status IN ('received', 'parked') THEN 'failed' ELSE r.status END,
            reason = CASE WHEN r.status IN ('received', 'parked') THEN coalesce(r.reason, 'It was not applied in time.') ELSE r.reason END,
            waits_for = NULL, next_at = NULL, ended_at = coalesce(r.ended_at, by_then)
        FROM (SELECT o.tenant_id, o.id FROM webhook_receipts o WHERE o.body IS NOT NULL AND o.received_at < before
              ORDER BY o.received_at LIMIT most FOR UPDATE SKIP LOCKED) AS old
        WHERE r.tenant_id = old.tenant_id AND r.id = old.id;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
COMMENT ON FUNCTION forget_webhook_bodies(timestamptz, timestamptz, bigint) IS 'Forgets what was in receipts from before a time, some of them; gives how many';

CREATE FUNCTION forget_webhook_receipts(before timestamptz, most bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    DELETE FROM webhook_receipts r USING (
        SELECT o.tenant_id, o.id FROM webhook_receipts o WHERE o.body IS NULL AND o.received_at < before
        ORDER BY o.received_at LIMIT most FOR UPDATE SKIP LOCKED) AS old
        WHERE r.tenant_id = old.tenant_id AND r.id = old.id;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
COMMENT ON FUNCTION forget_webhook_receipts(timestamptz, bigint) IS 'Forgets receipts without a body from before a time, some of them; gives how many';

-- What the sign-in service says of people changes what callers may: by functions that hold to the caller's tenant.
CREATE FUNCTION directory_guard(of_tenant uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public AS $$
BEGIN
    IF of_tenant IS DISTINCT FROM current_setting('app.tenant_id')::uuid THEN
        RAISE EXCEPTION 'another tenant''s directory' USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

CREATE FUNCTION directory_user(of_tenant uuid, of_subject text, new_name text, new_email text, at timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.directory_guard(of_tenant);
    UPDATE public.users u SET name = coalesce(new_name, u.name), email = coalesce(new_email, u.email), updated_at = at
        WHERE u.tenant_id = of_tenant AND u.clerk_user_id = of_subject
            AND (u.name, u.email) IS DISTINCT FROM (coalesce(new_name, u.name), coalesce(new_email, u.email));
    RETURN EXISTS (SELECT FROM public.users u WHERE u.tenant_id = of_tenant AND u.clerk_user_id = of_subject);
END $$;
COMMENT ON FUNCTION directory_user(uuid, text, text, text, timestamptz) IS 'Takes up a user''s name and verified address; gives whether there is such a user';

CREATE FUNCTION directory_raise_version(of_tenant uuid, of_subject text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.directory_guard(of_tenant);
    UPDATE public.users u SET version = u.version WHERE u.tenant_id = of_tenant AND u.clerk_user_id = of_subject;
END $$;
COMMENT ON FUNCTION directory_raise_version(uuid, text) IS 'Raises the version of a user, so that no server goes by what it remembers of them';

CREATE FUNCTION directory_leave(of_tenant uuid, of_subject text, of_organization text, at timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    partners uuid[];
    ended bigint;
BEGIN
    PERFORM public.directory_guard(of_tenant);
    SELECT array_agg(DISTINCT pu.partner_id) INTO partners FROM public.partner_users pu
        JOIN public.users u ON u.tenant_id = pu.tenant_id AND u.id = pu.user_id
        WHERE pu.tenant_id = of_tenant AND pu.removed_at IS NULL AND (of_subject IS NULL OR u.clerk_user_id = of_subject)
            AND (of_organization IS NULL OR pu.clerk_org_id = of_organization);
    -- The partners' rows first and the users' rows last, as in every change of a membership.
    PERFORM FROM public.partners p WHERE p.tenant_id = of_tenant AND p.id = ANY (partners) ORDER BY p.id FOR KEY SHARE;
    UPDATE public.partner_users pu SET removed_at = at, removed_by = NULL
        FROM public.users u
        WHERE u.tenant_id = pu.tenant_id AND u.id = pu.user_id AND pu.tenant_id = of_tenant AND pu.partner_id = ANY (partners)
            AND pu.removed_at IS NULL AND (of_subject IS NULL OR u.clerk_user_id = of_subject)
            AND (of_organization IS NULL OR pu.clerk_org_id = of_organization);
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END $$;
COMMENT ON FUNCTION directory_leave(uuid, text, text, timestamptz) IS 'Ends a user''s memberships, or those that came from an organisation, or the one that is both; gives how many';

CREATE FUNCTION directory_join(of_tenant uuid, of_subject text, of_organization text, as_role text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    partner uuid;
    member uuid;
BEGIN
    PERFORM public.directory_guard(of_tenant);
    SELECT p.id INTO partner FROM public.partners p WHERE p.tenant_id = of_tenant AND p.clerk_org_id = of_organization FOR KEY SHARE;
    SELECT u.id INTO member FROM public.users u WHERE u.tenant_id = of_tenant AND u.clerk_user_id = of_subject;
    IF partner IS NULL OR member IS NULL THEN
        RETURN CASE WHEN partner IS NULL THEN 'no partner' ELSE 'no user' END;
    END IF;
    INSERT INTO public.partner_users AS pu (tenant_id, partner_id, user_id, role, clerk_org_id) VALUES (of_tenant, partner, member, as_role, of_organization)
        ON CONFLICT (tenant_id, partner_id, user_id) DO UPDATE SET role = EXCLUDED.role, clerk_org_id = EXCLUDED.clerk_org_id, removed_at = NULL
            -- What was given here stays, and whom a person has removed stays removed.
            WHERE pu.clerk_org_id IS NOT NULL AND pu.removed_by IS NULL
                AND (pu.role <> EXCLUDED.role OR pu.clerk_org_id <> EXCLUDED.clerk_org_id OR pu.removed_at IS NOT NULL);
    UPDATE public.users u SET default_partner_id = partner WHERE u.tenant_id = of_tenant AND u.id = member AND u.default_partner_id IS NULL;
    RETURN 'joined';
END $$;
COMMENT ON FUNCTION directory_join(uuid, text, text, text) IS 'Makes a user one of the people of the partner that has an organisation, as its member there; says whether that was so, or which of the two is not known here';

CREATE FUNCTION directory_drop_organization(of_tenant uuid, of_organization text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.directory_guard(of_tenant);
    UPDATE public.partners p SET clerk_org_id = NULL, updated_at = now() WHERE p.tenant_id = of_tenant AND p.clerk_org_id = of_organization;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION directory_drop_organization(uuid, text) IS 'Lets the partner of an organisation have none; gives whether a partner had it';

-- A user who was deleted or banned at the sign-in service is nobody here, whatever a token says that was issued before.
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        'WHERE t.issuer = token_issuer',
        'WHERE (NOT EXISTS (SELECT FROM public.directory_objects d WHERE d.tenant_id = t.id AND d.object_id = token_subject AND (d.is_deleted OR d.is_blocked))
            -- Where the token does not say which of several tenants it is for, it is for none.
            OR token_tenant IS NULL AND (SELECT count(*) FROM public.tenants several WHERE several.issuer = token_issuer) > 1)
        AND t.issuer = token_issuer');
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        'pu.removed_at IS NOT NULL,',
        'pu.removed_at IS NOT NULL OR (o.id IS NOT NULL AND pu.user_id IS NULL
            AND EXISTS (SELECT FROM public.directory_objects d WHERE d.tenant_id = t.id AND d.subject = token_subject AND d.organization = token_organization)
            AND NOT EXISTS (SELECT FROM public.directory_objects d WHERE d.tenant_id = t.id AND d.subject = token_subject
                AND d.organization = token_organization AND NOT d.is_deleted)),');
    IF pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure) NOT LIKE '%several.issuer%d.organization%' AND
        pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure) NOT LIKE '%d.organization%several.issuer%' THEN
        RAISE 'portal_caller() is not as it was expected';
    END IF;
END $$;

REVOKE ALL ON FUNCTION find_webhook_source(uuid, timestamptz), receive_webhook(uuid, uuid, text, text, text, timestamptz), due_webhook_receipts(timestamptz, bigint),
    forget_webhook_bodies(timestamptz, timestamptz, bigint), forget_webhook_receipts(timestamptz, bigint), directory_guard(uuid),
    directory_user(uuid, text, text, text, timestamptz), directory_raise_version(uuid, text), directory_leave(uuid, text, text, timestamptz),
    directory_join(uuid, text, text, text), directory_drop_organization(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_webhook_source(uuid, timestamptz), receive_webhook(uuid, uuid, text, text, text, timestamptz), due_webhook_receipts(timestamptz, bigint),
    forget_webhook_bodies(timestamptz, timestamptz, bigint), forget_webhook_receipts(timestamptz, bigint) TO portal_app;
GRANT EXECUTE ON FUNCTION directory_user(uuid, text, text, text, timestamptz), directory_raise_version(uuid, text),
    directory_leave(uuid, text, text, timestamptz), directory_join(uuid, text, text, text), directory_drop_organization(uuid, text) TO portal_service;
