-- The days and months of a tenant's figures, totals and statements begin where it does business.
SET LOCAL lock_timeout = '60s';
ALTER TABLE tenants ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
    ADD CONSTRAINT tenants_time_zone_length CHECK (char_length(time_zone) BETWEEN 1 AND 64);
COMMENT ON COLUMN tenants.time_zone IS 'The IANA time zone by which its days and months begin; totals are by it, so it changes with them (`partner-portal tenant set --time-zone`)';
COMMENT ON TABLE commission_totals IS 'Each partner''s commissions and payouts by day and by calendar month (the tenant''s time zone), kept by triggers';
COMMENT ON TABLE tenant_totals IS 'All of a tenant''s commissions and payouts by day and by calendar month (its time zone), in shards to be added up, kept by triggers from commission_totals';

CREATE FUNCTION tenant_time_zone(of_tenant uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- The zone cannot change before this transaction ends: a change takes the lock exclusively and rewrites the totals under it.
    PERFORM pg_advisory_xact_lock_shared(1953391221, hashtext(of_tenant::text));
    RETURN (SELECT t.time_zone FROM public.tenants t WHERE t.id = of_tenant);
END $$;
COMMENT ON FUNCTION tenant_time_zone(uuid) IS 'The time zone by which to add to a tenant''s totals; it cannot change before the transaction ends';
REVOKE ALL ON FUNCTION tenant_time_zone(uuid) FROM PUBLIC;

-- The functions that add to totals, with the tenant's time zone in place of UTC.
DO $migration$
BEGIN
    EXECUTE replace(replace(
        pg_get_functiondef('post_transfers(uuid, uuid, timestamptz, uuid[], text[], text[], text[], numeric[], text[], uuid[], uuid[], integer[], uuid[], uuid[], uuid[], uuid[])'::regprocedure),
        'latest timestamptz;', 'latest timestamptz;' || E'\n    zone CONSTANT text := public.tenant_time_zone(of_tenant);'),
        'AT TIME ZONE ''UTC''', 'AT TIME ZONE zone');
    EXECUTE replace(replace(
        pg_get_functiondef('transfers_post()'::regprocedure),
        'side record;', 'side record;' || E'\n    zone CONSTANT text := public.tenant_time_zone(NEW.tenant_id);'),
        'AT TIME ZONE ''UTC''', 'AT TIME ZONE zone');
    EXECUTE replace(replace(
        pg_get_functiondef('payout_totals_follow()'::regprocedure),
        E'\nBEGIN\n', E'\nDECLARE\n    zone CONSTANT text := public.tenant_time_zone(NEW.tenant_id);\nBEGIN\n'),
        'AT TIME ZONE ''UTC''', 'AT TIME ZONE zone');
    -- One statement may be about several tenants.
    EXECUTE replace(replace(
        pg_get_functiondef('commission_totals_follow()'::regprocedure),
        'CROSS JOIN (VALUES (''day''), (''month'')) AS g (grain)',
        'JOIN (SELECT a.tenant_id AS of_tenant, public.tenant_time_zone(a.tenant_id) AS zone FROM (SELECT DISTINCT tenant_id FROM added) AS a OFFSET 0) AS z '
            || 'ON z.of_tenant = e.tenant_id CROSS JOIN (VALUES (''day''), (''month'')) AS g (grain)'),
        'AT TIME ZONE ''UTC''', 'AT TIME ZONE z.zone');
END $migration$;
