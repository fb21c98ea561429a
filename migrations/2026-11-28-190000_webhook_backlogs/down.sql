SET LOCAL lock_timeout = '60s';
DROP FUNCTION raw_webhook_events(bigint, text[]), give_webhook_deliveries_up(bigint, timestamptz);
CREATE OR REPLACE FUNCTION forget_webhook_events(before timestamptz, most bigint) RETURNS bigint
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

CREATE OR REPLACE FUNCTION end_webhook_attempts(holder uuid, given jsonb, by_then timestamptz, patience bigint, gone_reason text, failed_reason text) RETURNS bigint
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

CREATE OR REPLACE FUNCTION disable_webhook_endpoint(of_tenant uuid, of_endpoint uuid, why text, by_then timestamptz) RETURNS boolean
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
