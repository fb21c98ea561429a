DO $migration$
DECLARE
    declared CONSTANT text := E'\n    zone CONSTANT text := public.tenant_time_zone(';
BEGIN
    IF EXISTS (SELECT FROM tenants WHERE time_zone <> 'UTC') THEN
        RAISE EXCEPTION 'the version before knows no time zones: set those of all tenants to UTC first (partner-portal tenant set --time-zone UTC)';
    END IF;
    EXECUTE replace(replace(
        pg_get_functiondef('post_transfers(uuid, uuid, timestamptz, uuid[], text[], text[], text[], numeric[], text[], uuid[], uuid[], integer[], uuid[], uuid[], uuid[], uuid[])'::regprocedure),
        declared || 'of_tenant);', ''), 'AT TIME ZONE zone', 'AT TIME ZONE ''UTC''');
    EXECUTE replace(replace(
        pg_get_functiondef('transfers_post()'::regprocedure), declared || 'NEW.tenant_id);', ''), 'AT TIME ZONE zone', 'AT TIME ZONE ''UTC''');
    EXECUTE replace(replace(
        pg_get_functiondef('payout_totals_follow()'::regprocedure), E'\nDECLARE' || declared || 'NEW.tenant_id);', ''),
        'AT TIME ZONE zone', 'AT TIME ZONE ''UTC''');
    EXECUTE replace(replace(
        pg_get_functiondef('commission_totals_follow()'::regprocedure),
        'JOIN (SELECT a.tenant_id AS of_tenant, public.tenant_time_zone(a.tenant_id) AS zone FROM (SELECT DISTINCT tenant_id FROM added) AS a OFFSET 0) AS z '
            || 'ON z.of_tenant = e.tenant_id CROSS JOIN (VALUES', 'CROSS JOIN (VALUES'),
        'AT TIME ZONE z.zone', 'AT TIME ZONE ''UTC''');
END $migration$;
DROP FUNCTION tenant_time_zone(uuid);
ALTER TABLE tenants DROP COLUMN time_zone;
