CREATE OR REPLACE FUNCTION find_link(host text, key text) RETURNS TABLE (tenant_id uuid, id uuid, partner_id uuid, url text, utm_source text, utm_medium text,
    utm_campaign text, utm_term text, utm_content text, expires_at timestamptz, expired_url text, is_archived boolean, is_counted boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT l.tenant_id, l.id, l.partner_id, l.url, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_term, l.utm_content, l.expires_at, l.expired_url,
        l.archived_at IS NOT NULL, p.status <> 'closed' AND e.status IN ('pending', 'approved')
    FROM links l
    JOIN partners p ON p.tenant_id = l.tenant_id AND p.id = l.partner_id
    JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
    WHERE coalesce(l.host, '') = find_link.host AND lower(l.key) = lower(find_link.key);
END $$;

CREATE OR REPLACE FUNCTION claim_data_import(holder uuid, seconds bigint, at timestamptz) RETURNS TABLE(tenant_id uuid, id uuid, source text,
    is_dry_run boolean, options jsonb, files jsonb, attempts integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- Two who claim at once would both see that nothing of the tenant's runs.
    PERFORM pg_advisory_xact_lock(x'706f7274616c0007'::bigint);
    -- Materialized: it is run once. In the FROM of an UPDATE a plan may run it for each row again, and each time it gives the next one.
    RETURN QUERY WITH next AS MATERIALIZED (
        SELECT w.tenant_id, w.id FROM data_imports w
        WHERE w.status IN ('waiting', 'running') AND coalesce(w.held_until, '-infinity') < clock_timestamp()
            -- One after the other in a tenant: they would wait for each other anyway.
            AND NOT EXISTS (SELECT FROM data_imports r WHERE r.tenant_id = w.tenant_id AND r.status = 'running' AND r.held_until >= clock_timestamp())
        ORDER BY w.created_at, w.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE data_imports d SET status = 'running', lease = holder, held_until = clock_timestamp() + make_interval(secs => seconds),
        attempts = d.attempts + 1, started_at = coalesce(d.started_at, at)
    FROM next
    WHERE d.tenant_id = next.tenant_id AND d.id = next.id
    RETURNING d.tenant_id, d.id, d.source, d.is_dry_run, d.options, d.files, d.attempts;
END $$;

CREATE OR REPLACE FUNCTION find_webhook_source(of_source uuid, by_then timestamptz) RETURNS TABLE(tenant_id uuid, kind text, secret_ids uuid[],
    secrets bytea[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT s.tenant_id, s.kind::text, coalesce(array_agg(k.id ORDER BY k.created_at DESC) FILTER (WHERE k.id IS NOT NULL), '{}'),
        coalesce(array_agg(k.sealed ORDER BY k.created_at DESC) FILTER (WHERE k.id IS NOT NULL), '{}')
    FROM webhook_sources s LEFT JOIN webhook_source_secrets k
        ON k.tenant_id = s.tenant_id AND k.source_id = s.id AND (k.expires_at IS NULL OR k.expires_at > by_then)
    WHERE s.id = of_source AND s.removed_at IS NULL
    GROUP BY s.tenant_id, s.id, s.kind;
END $$;

CREATE OR REPLACE FUNCTION programmes_without_rate(asked_before timestamptz, as_of timestamptz, most bigint) RETURNS TABLE(tenant_id uuid, id uuid,
    domain text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT p.tenant_id, p.id, p.domain FROM public.programmes p
    WHERE p.rate_source = 'default' AND (p.rate_asked_at IS NULL OR p.rate_asked_at < asked_before)
        OR p.rate_source = 'service' AND p.rate_until <= as_of AND (p.rate_asked_at < asked_before OR p.rate_asked_at < p.rate_until)
    ORDER BY p.rate_asked_at NULLS FIRST LIMIT most;
END $$;

CREATE OR REPLACE FUNCTION due_webhook_receipts(by_then timestamptz, most bigint) RETURNS TABLE(tenant_id uuid, id uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

CREATE OR REPLACE FUNCTION raw_webhook_events(most bigint, known text[]) RETURNS TABLE(tenant_id uuid, id uuid, event_type text, at timestamptz,
    facts jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT e.tenant_id, e.id, e.event_type, e.at, e.facts FROM webhook_events e
    WHERE e.body IS NULL AND e.event_type = ANY (known) ORDER BY e.at, e.id LIMIT most FOR NO KEY UPDATE SKIP LOCKED;
END $$;

CREATE OR REPLACE FUNCTION claim_webhook_deliveries(holder uuid, most bigint, seconds bigint, by_then timestamptz) RETURNS TABLE(tenant_id uuid,
    id uuid, endpoint_id uuid, url text, event_id uuid, body text, tries integer, secret_ids uuid[], secrets bytea[])
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

CREATE OR REPLACE FUNCTION give_webhook_deliveries_up(most bigint, by_then timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    given_up bigint;
BEGIN
    WITH RECURSIVE busy AS (
        (SELECT d.tenant_id, d.endpoint_id FROM webhook_deliveries d WHERE d.status = 'waiting' ORDER BY d.tenant_id, d.endpoint_id LIMIT 1)
        UNION ALL
        SELECT n.tenant_id, n.endpoint_id FROM busy b CROSS JOIN LATERAL (
            SELECT d.tenant_id, d.endpoint_id FROM webhook_deliveries d
            WHERE d.status = 'waiting' AND (d.tenant_id, d.endpoint_id) > (b.tenant_id, b.endpoint_id)
            ORDER BY d.tenant_id, d.endpoint_id LIMIT 1) AS n
    ), off AS MATERIALIZED (
        -- One that is being switched on again is left to its next turn.
        SELECT e.tenant_id, e.id FROM webhook_endpoints e JOIN busy b ON b.tenant_id = e.tenant_id AND b.endpoint_id = e.id
        WHERE e.removed_at IS NOT NULL OR e.disabled_at IS NOT NULL FOR SHARE OF e SKIP LOCKED
    ), lost AS MATERIALIZED (
        SELECT w.tenant_id, w.id FROM off o JOIN webhook_deliveries w ON w.tenant_id = o.tenant_id AND w.endpoint_id = o.id AND w.status = 'waiting'
        LIMIT most FOR UPDATE OF w SKIP LOCKED
    )
    UPDATE webhook_deliveries d SET status = 'failed', next_at = NULL, ended_at = by_then FROM lost l WHERE d.tenant_id = l.tenant_id AND d.id = l.id;
    GET DIAGNOSTICS given_up = ROW_COUNT;
    RETURN given_up;
END $$;

CREATE OR REPLACE FUNCTION announce_clicks() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_id bigint;
    left_over bigint;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT tenant_id, partner_id FROM link_click_news WHERE is_new AND announced_at <= now() - interval '1 second'
        ORDER BY tenant_id, partner_id FOR UPDATE SKIP LOCKED),
    noted AS (
        UPDATE link_click_news n SET is_new = false, announced_at = now() FROM due d
            WHERE n.tenant_id = d.tenant_id AND n.partner_id = d.partner_id),
    raised AS (
        INSERT INTO events (tenant_id, partner_id, kind, subject_id)
            SELECT tenant_id, partner_id, 'clicks', partner_id FROM due
            ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING
            RETURNING id)
    SELECT min(id) INTO first_id FROM raised;
    PERFORM events_say_of(first_id);
    SELECT count(*) INTO left_over FROM link_click_news WHERE is_new;
    RETURN left_over;
END $$;

DROP FUNCTION tenant_directory();

DROP FUNCTION fence_moving_tenant();
DROP TABLE tenant_moves;
DROP FUNCTION event_floor(uuid);
DROP TABLE tenant_arrivals;
