-- Functions whose plans are kept. A function in SQL that has settings of its own is not inlined, and is parsed and planned anew at each call. `portal_is_awaited()`,
-- which each request calls, took a quarter of a millisecond by that, and `find_link()` half of one. They do and give the same,
-- but that `raw_webhook_events()` keeps nobody from making a delivery of an event that it locks: with `recoverWebhooks` it came to a deadlock.
SET LOCAL lock_timeout = '60s';

-- No version calls these any more.
DROP FUNCTION published_events_from(bigint,bigint);
DROP FUNCTION events_from(bigint,bigint);
DROP FUNCTION all_events_from(bigint,bigint);
DROP FUNCTION published_events(bigint,bigint);
DROP FUNCTION event_bounds();
DROP FUNCTION find_commission_flags(uuid,uuid,uuid,uuid);
DROP FUNCTION raw_webhook_events(bigint);

CREATE OR REPLACE FUNCTION clicks_around(of_tenant uuid, of_click uuid) RETURNS TABLE(clicks bigint, people bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH one AS (SELECT c.link_id, c.at FROM link_clicks c WHERE c.tenant_id = of_tenant AND c.id = of_click),
        found AS (
            (SELECT NOT (c.is_bot OR c.is_prefetch OR c.is_repeat) AS is_person FROM one o JOIN link_clicks c ON c.tenant_id = of_tenant
                AND c.link_id = o.link_id AND c.at <= o.at AND c.at >= o.at - interval '30 minutes' ORDER BY c.at DESC LIMIT 500)
            UNION ALL
            (SELECT NOT (c.is_bot OR c.is_prefetch OR c.is_repeat) FROM one o JOIN link_clicks c ON c.tenant_id = of_tenant
                AND c.link_id = o.link_id AND c.at > o.at AND c.at <= o.at + interval '30 minutes' ORDER BY c.at LIMIT 500))
    SELECT count(*), count(*) FILTER (WHERE is_person) FROM found;
END $$;

CREATE OR REPLACE FUNCTION due_webhook_receipts(by_then timestamptz, most bigint) RETURNS TABLE(tenant_id uuid, id uuid) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- Of each tenant some, the new ones first: nobody's backlog keeps another's events waiting, or its own new ones.
    RETURN QUERY SELECT d.tenant_id, d.id FROM (SELECT DISTINCT s.tenant_id FROM webhook_sources s) t CROSS JOIN LATERAL (
        SELECT picked.tenant_id, picked.id, row_number() OVER () AS turn FROM (
            (SELECT r.tenant_id, r.id FROM webhook_receipts r WHERE r.tenant_id = t.tenant_id AND r.status = 'received' AND r.next_at <= by_then
                ORDER BY r.next_at, r.id LIMIT most)
            UNION ALL
            (SELECT r.tenant_id, r.id FROM webhook_receipts r WHERE r.tenant_id = t.tenant_id AND r.status = 'parked' AND r.next_at <= by_then
                ORDER BY r.next_at, r.id LIMIT greatest(most / 4, 1))) AS picked) AS d
    ORDER BY d.turn, d.id LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION event_at(asked bigint, OUT last bigint, OUT mark bytea) RETURNS record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    SELECT coalesce((SELECT max(place) FROM events), 0),
        CASE WHEN asked > 0 THEN (SELECT event_mark(event_epoch(), id, subject_id, at) FROM events WHERE place = asked)
            WHEN (SELECT min(place) FROM events) > 1 THEN NULL
            ELSE substr(event_epoch(), 1, 8) END
        INTO last, mark;
END $$;

CREATE OR REPLACE FUNCTION event_epoch() RETURNS bytea LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT sha256(convert_to(concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
        CASE WHEN pg_is_in_recovery() THEN (SELECT to_hex(timeline_id) FROM pg_control_checkpoint())
            ELSE to_hex(('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer) END,
        to_regclass('public.events')::oid), 'UTF8')));
END $$;

CREATE OR REPLACE FUNCTION events_of_all_kinds_from(first bigint, most bigint) RETURNS TABLE(place bigint, tenant_id uuid, partner_id uuid, kind text, subject_id uuid, at timestamptz, mark bytea) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.place, e.tenant_id, e.partner_id, e.kind::text, e.subject_id, e.at,
            event_mark((SELECT event_epoch()), e.id, e.subject_id, e.at)
        FROM events e WHERE e.place >= first ORDER BY e.place LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION find_commission_flags(of_tenant uuid, of_partner uuid, of_customer uuid, of_click uuid, of_link uuid) RETURNS TABLE(kind text, subject text) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH who AS (SELECT c.tenant_id, c.id, email_key(c.email) AS email FROM customers c
            WHERE c.tenant_id = of_tenant AND c.id = of_customer
                -- A caller of a tenant's asks of that tenant; the owner of the tables may of any.
                AND of_tenant = coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid, of_tenant)),
        -- Who earns by the link.
        earners AS (SELECT of_partner AS partner_id
            UNION SELECT s.partner_id FROM link_shares s WHERE s.tenant_id = of_tenant AND s.link_id = of_link),
        own AS (
            SELECT w.email AS subject FROM who w CROSS JOIN earners r JOIN partner_users m ON m.tenant_id = w.tenant_id AND m.partner_id = r.partner_id
                JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id WHERE email_key(u.email) = w.email
            UNION ALL SELECT w.email FROM who w CROSS JOIN earners r JOIN partner_profiles p ON p.tenant_id = w.tenant_id AND p.partner_id = r.partner_id
                WHERE w.email IN (email_key(p.contact_email), email_key(p.payment_email))
            UNION ALL SELECT split_part(w.email, '@', 2) FROM who w CROSS JOIN earners r JOIN partner_profiles p ON p.tenant_id = w.tenant_id
                AND p.partner_id = r.partner_id
                WHERE split_part(w.email, '@', 2) = regexp_replace(lower(p.website), '^https?://(www\.)?([^/:?#]+).*$', '\2')),
        others AS (
            SELECT s.partner_id FROM who w JOIN link_sign_ups s ON s.tenant_id = w.tenant_id AND s.customer_id = w.id WHERE s.partner_id <> of_partner
            UNION ALL SELECT l.partner_id FROM who w JOIN partner_leads l ON l.tenant_id = w.tenant_id AND email_key(l.client_email) = w.email
                WHERE l.partner_id <> of_partner),
        followed AS (SELECT c.id, c.is_bot FROM who w JOIN link_clicks c ON c.tenant_id = w.tenant_id AND c.id = of_click)
    SELECT 'own_purchase', (array_agg(o.subject ORDER BY o.subject LIKE '%@%' DESC, o.subject))[1] FROM own o HAVING count(*) > 0
    UNION ALL SELECT 'other_partner', min(o.partner_id::text) FROM others o HAVING count(*) > 0
    UNION ALL SELECT 'no_person', f.id::text FROM followed f WHERE f.is_bot
    UNION ALL SELECT 'no_person', format('%s/%s', a.people, a.clicks) FROM followed f CROSS JOIN clicks_around(of_tenant, f.id) a
        WHERE NOT f.is_bot AND a.clicks >= 50 AND a.people * 10 < a.clicks;
END $$;

CREATE OR REPLACE FUNCTION find_invitation(code text) RETURNS TABLE(tenant_id uuid, user_id uuid, shown text, url text) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT c.tenant_id, c.user_id, c.code, t.sign_up_url FROM invite_codes c JOIN tenants t ON t.id = c.tenant_id
    WHERE c.code_key = invite_code_key(find_invitation.code) AND t.sign_up_url IS NOT NULL;
END $$;

CREATE OR REPLACE FUNCTION find_link(host text, key text) RETURNS TABLE(tenant_id uuid, id uuid, partner_id uuid, url text, utm_source text, utm_medium text, utm_campaign text, utm_term text, utm_content text, expires_at timestamptz, expired_url text, is_archived boolean, is_counted boolean) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT l.tenant_id, l.id, l.partner_id, l.url, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_term, l.utm_content, l.expires_at, l.expired_url,
        l.archived_at IS NOT NULL, p.status <> 'closed' AND e.status IN ('pending', 'approved')
    FROM links l
    JOIN partners p ON p.tenant_id = l.tenant_id AND p.id = l.partner_id
    JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
    WHERE coalesce(l.host, '') = find_link.host AND lower(l.key) = lower(find_link.key);
END $$;

CREATE OR REPLACE FUNCTION find_webhook_source(of_source uuid, by_then timestamptz) RETURNS TABLE(tenant_id uuid, kind text, secret_ids uuid[], secrets bytea[]) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT s.tenant_id, s.kind::text, coalesce(array_agg(k.id ORDER BY k.created_at DESC) FILTER (WHERE k.id IS NOT NULL), '{}'),
        coalesce(array_agg(k.sealed ORDER BY k.created_at DESC) FILTER (WHERE k.id IS NOT NULL), '{}')
    FROM webhook_sources s LEFT JOIN webhook_source_secrets k
        ON k.tenant_id = s.tenant_id AND k.source_id = s.id AND (k.expires_at IS NULL OR k.expires_at > by_then)
    WHERE s.id = of_source AND s.removed_at IS NULL
    GROUP BY s.tenant_id, s.id, s.kind;
END $$;

CREATE OR REPLACE FUNCTION invite_code_key(code text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
    RETURN translate(upper(replace(code, '-', '') COLLATE "C"), 'ILO', '110');
END $$;

CREATE OR REPLACE FUNCTION is_same_mailbox(one text, other text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN public.email_key(one) = public.email_key(other)
        AND lower(regexp_replace(one, '@[^@]*$', '') COLLATE "C") = lower(regexp_replace(other, '@[^@]*$', '') COLLATE "C");
END $$;

CREATE OR REPLACE FUNCTION last_event() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(max(place), 0) FROM events);
END $$;

CREATE OR REPLACE FUNCTION last_event_mark(OUT place bigint, OUT mark bytea) RETURNS record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    SELECT last, (event_at(last)).mark FROM event_at(0)
        INTO place, mark;
END $$;

CREATE OR REPLACE FUNCTION link_customers(of_tenant uuid, of_user uuid, verified_email text) RETURNS bigint LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    done bigint;
BEGIN
    WITH found AS (
        SELECT c.tenant_id, c.id FROM public.customers c
        WHERE c.tenant_id = of_tenant AND public.email_key(c.email) = public.email_key(verified_email) AND c.user_id IS NULL
            AND c.email IS NOT NULL
        ORDER BY c.id FOR NO KEY UPDATE),
    linked AS (
        UPDATE public.customers c SET user_id = of_user, are_rewards_due = true, updated_at = now() FROM found f
        WHERE c.tenant_id = f.tenant_id AND c.id = f.id RETURNING 1)
    SELECT count(*) FROM linked
        INTO done;
    RETURN done;
END $$;

CREATE OR REPLACE FUNCTION own_customer_revenue(customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, revenue numeric) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.customer_id, i.currency::text, sum(i.amount - least(i.refunded, i.amount))
        FROM partner_commission_events e JOIN invoices i ON i.tenant_id = e.tenant_id AND i.external_id = e.invoice_id
        WHERE e.tenant_id = current_setting('app.tenant_id')::uuid AND e.partner_id = current_setting('app.partner_id')::uuid
            AND e.customer_id = ANY (customers) AND e.event_type = 'invoice_payment' AND e.status <> 'rejected' AND i.amount IS NOT NULL
        GROUP BY 1, 2;
END $$;

CREATE OR REPLACE FUNCTION partner_ranks(partner_ids uuid[], ranked_unit text) RETURNS TABLE(partner_id uuid, rank bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT own.partner_id, 1 + (SELECT count(*) FROM public.accounts other
        WHERE other.tenant_id = own.tenant_id AND other.kind = 'expense' AND other.unit = ranked_unit AND other.balance < own.balance)
    FROM public.accounts own
    WHERE own.tenant_id = current_setting('app.tenant_id')::uuid AND own.partner_id = ANY (partner_ids)
        AND (current_setting('role') IN ('portal_operator', 'portal_service') OR own.partner_id = current_setting('app.partner_id')::uuid)
        AND own.kind = 'expense' AND own.unit = ranked_unit AND own.balance < 0;
END $$;

CREATE OR REPLACE FUNCTION portal_is_awaited(of_tenant uuid, verified_email text, of_user uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN verified_email IS NOT NULL AND EXISTS (
        SELECT FROM public.partner_invitations i JOIN public.partners p ON p.tenant_id = i.tenant_id AND p.id = i.partner_id
        WHERE i.tenant_id = of_tenant AND public.email_key(i.email) = public.email_key(verified_email) AND public.is_same_mailbox(i.email, verified_email)
            AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now() AND p.status <> 'closed'
            AND NOT EXISTS (SELECT FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.user_id = of_user
                AND (pu.removed_at IS NULL OR (pu.partner_id = i.partner_id AND pu.removed_at >= i.sent_at))));
END $$;

CREATE OR REPLACE FUNCTION portal_is_invited(of_tenant uuid, verified_email text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = of_tenant AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = 'invited')
        OR EXISTS (SELECT FROM public.customers c
            WHERE c.tenant_id = of_tenant AND public.email_key(c.email) = public.email_key(verified_email) AND c.user_id IS NULL AND c.email IS NOT NULL);
END $$;

CREATE OR REPLACE FUNCTION portal_may_act_for(partner uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN EXISTS (SELECT FROM public.partner_users pu
        WHERE pu.tenant_id = current_setting('app.tenant_id')::uuid AND pu.partner_id = partner
            AND pu.user_id = current_setting('app.user_id')::uuid AND pu.removed_at IS NULL AND pu.clerk_org_id IS NULL);
END $$;

CREATE OR REPLACE FUNCTION portal_own_partners(token_organization text) RETURNS SETOF partners LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT p.*
    FROM public.partner_users pu
    JOIN public.partners p ON p.tenant_id = pu.tenant_id AND p.id = pu.partner_id
    WHERE pu.tenant_id = current_setting('app.tenant_id')::uuid AND pu.user_id = current_setting('app.user_id')::uuid AND pu.removed_at IS NULL
        AND (pu.clerk_org_id IS NULL OR pu.clerk_org_id = token_organization AND p.clerk_org_id = token_organization)
    ORDER BY pu.created_at, pu.partner_id;
END $$;

CREATE OR REPLACE FUNCTION raw_webhook_events(most bigint, known text[]) RETURNS TABLE(tenant_id uuid, id uuid, event_type text, at timestamptz, facts jsonb) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.tenant_id, e.id, e.event_type, e.at, e.facts FROM webhook_events e
    WHERE e.body IS NULL AND e.event_type = ANY (known) ORDER BY e.at, e.id LIMIT most FOR NO KEY UPDATE SKIP LOCKED;
END $$;

CREATE OR REPLACE FUNCTION receive_webhook(of_source uuid, as_id uuid, event text, type_of_event text, content text, by_then timestamptz) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    done boolean;
BEGIN
    WITH stored AS (
        INSERT INTO webhook_receipts (tenant_id, id, source_id, event_id, event_type, body, received_at, tried_since, next_at)
            SELECT s.tenant_id, as_id, s.id, event, type_of_event, content, by_then, by_then, by_then
            FROM webhook_sources s WHERE s.id = of_source AND s.removed_at IS NULL
            ON CONFLICT (tenant_id, source_id, event_id) DO NOTHING RETURNING 1)
    SELECT CASE WHEN EXISTS (SELECT FROM webhook_sources s WHERE s.id = of_source AND s.removed_at IS NULL) THEN EXISTS (SELECT FROM stored) END
        INTO done;
    RETURN done;
END $$;

CREATE OR REPLACE FUNCTION user_of_invite_code(of_tenant uuid, given text) RETURNS uuid LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT c.user_id FROM public.invite_codes c WHERE c.tenant_id = of_tenant AND c.code_key = public.invite_code_key(given)
        AND (current_setting('role') NOT IN ('portal_partner', 'portal_operator', 'portal_service') OR of_tenant = current_setting('app.tenant_id')::uuid));
END $$;

CREATE OR REPLACE FUNCTION programmes_without_rate(asked_before timestamptz, as_of timestamptz, most bigint) RETURNS TABLE(tenant_id uuid, id uuid, domain text) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT p.tenant_id, p.id, p.domain FROM public.programmes p
    WHERE p.rate_source = 'default' AND (p.rate_asked_at IS NULL OR p.rate_asked_at < asked_before)
        OR p.rate_source = 'service' AND p.rate_until <= as_of AND (p.rate_asked_at < asked_before OR p.rate_asked_at < p.rate_until)
    ORDER BY p.rate_asked_at NULLS FIRST LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION data_import_chunk(holder uuid, of_file integer, of_number integer) RETURNS bytea LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT c.content FROM data_imports d JOIN data_import_chunks c ON c.tenant_id = d.tenant_id AND c.import_id = d.id
    WHERE d.status = 'running' AND d.lease = holder AND c.file = of_file AND c.number = of_number);
END $$;
