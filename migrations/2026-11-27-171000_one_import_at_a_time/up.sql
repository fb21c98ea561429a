-- A server claims one import: by one plan that PostgreSQL could choose, it claimed all that waited, and ran none of them.
SET LOCAL lock_timeout = '60s';

-- A part in a programme has become that enrolment, and not the programme.
UPDATE import_rows r SET target_id = e.id FROM enrolments e
    WHERE r.kind = 'enrolment' AND r.state = 'in' AND e.tenant_id = r.tenant_id AND e.partner_id = r.partner_id AND e.programme_id = r.target_id;

CREATE OR REPLACE FUNCTION claim_data_import(holder uuid, seconds bigint, at timestamptz)
    RETURNS TABLE (tenant_id uuid, id uuid, source text, is_dry_run boolean, options jsonb, files jsonb, attempts integer)
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
