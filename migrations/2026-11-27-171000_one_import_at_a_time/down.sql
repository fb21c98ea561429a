SET LOCAL lock_timeout = '60s';
UPDATE import_rows r SET target_id = e.programme_id FROM enrolments e
    WHERE r.kind = 'enrolment' AND r.state = 'in' AND e.tenant_id = r.tenant_id AND e.id = r.target_id;
CREATE OR REPLACE FUNCTION claim_data_import(holder uuid, seconds bigint, at timestamptz)
    RETURNS TABLE (tenant_id uuid, id uuid, source text, is_dry_run boolean, options jsonb, files jsonb, attempts integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- Two who claim at once would both see that nothing of the tenant's runs.
    PERFORM pg_advisory_xact_lock(x'706f7274616c0007'::bigint);
    RETURN QUERY UPDATE data_imports d SET status = 'running', lease = holder, held_until = clock_timestamp() + make_interval(secs => seconds),
        attempts = d.attempts + 1, started_at = coalesce(d.started_at, at)
    FROM (SELECT w.tenant_id, w.id FROM data_imports w
          WHERE w.status IN ('waiting', 'running') AND coalesce(w.held_until, '-infinity') < clock_timestamp()
              -- One after the other in a tenant: they would wait for each other anyway.
              AND NOT EXISTS (SELECT FROM data_imports r WHERE r.tenant_id = w.tenant_id AND r.status = 'running' AND r.held_until >= clock_timestamp())
          ORDER BY w.created_at, w.id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next
    WHERE d.tenant_id = next.tenant_id AND d.id = next.id
    RETURNING d.tenant_id, d.id, d.source, d.is_dry_run, d.options, d.files, d.attempts;
END $$;
