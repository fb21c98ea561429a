-- A whole tenant's figures, so that they cost the same however many partners it has: the sums of its partners' totals.
--
-- One row for a day would be a queue for everybody who books. Each transaction adds to rows of a shard that it has for itself until it
-- ends: nobody waits for anybody, and no two can wait for each other. Who reads adds the shards up; one alone means nothing, and may be
-- below zero.
CREATE TABLE tenant_totals (
    tenant_id uuid NOT NULL,
    currency text NOT NULL,
    grain total_grain NOT NULL,
    starts_on date NOT NULL,
    shard integer NOT NULL,
    earned numeric(24, 4) NOT NULL DEFAULT 0,
    pending numeric(24, 4) NOT NULL DEFAULT 0,
    commission_count bigint NOT NULL DEFAULT 0,
    paid_out numeric(24, 4) NOT NULL DEFAULT 0,
    CONSTRAINT tenant_totals_pkey PRIMARY KEY (tenant_id, currency, grain, starts_on, shard),
    CONSTRAINT tenant_totals_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE RESTRICT
);
COMMENT ON TABLE tenant_totals IS 'All of a tenant''s commissions and payouts by day and by calendar month (UTC), in shards to be added up, kept by triggers from commission_totals';
COMMENT ON COLUMN tenant_totals.shard IS 'Which of the parts that transactions at the same time write to';
COMMENT ON COLUMN tenant_totals.earned IS 'The commissions of that day that are not rejected, reversals and adjustments included';
COMMENT ON COLUMN tenant_totals.pending IS 'Those of them that are pending';
COMMENT ON COLUMN tenant_totals.paid_out IS 'The payouts completed that day';

CREATE FUNCTION tenant_totals_shard() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    shards CONSTANT integer := 64;
    family CONSTANT integer := 1953391220;
BEGIN
    -- The first that is free, so that there are as many as transactions have come together.
    FOR shard IN 0..shards - 1 LOOP
        IF pg_try_advisory_xact_lock(family, shard) THEN
            RETURN shard;
        END IF;
    END LOOP;
    -- More write at once than there are shards: one of this process's own.
    RETURN shards + pg_backend_pid();
END $$;
COMMENT ON FUNCTION tenant_totals_shard() IS 'A shard that no other transaction writes to until this one ends';
REVOKE ALL ON FUNCTION tenant_totals_shard() FROM PUBLIC;

CREATE FUNCTION tenant_totals_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    own integer;
BEGIN
    -- What becomes an update is an insert of nothing, too.
    IF NOT EXISTS (SELECT FROM added) THEN
        RETURN NULL;
    END IF;
    own := public.tenant_totals_shard();
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.tenant_totals AS t (tenant_id, currency, grain, starts_on, shard, earned, pending, commission_count, paid_out)
        SELECT tenant_id, currency, grain, starts_on, own, sum(earned), sum(pending), sum(commission_count), sum(paid_out)
        FROM added
        GROUP BY 1, 2, 3, 4
        ON CONFLICT (tenant_id, currency, grain, starts_on, shard) DO UPDATE
        SET earned = t.earned + EXCLUDED.earned, pending = t.pending + EXCLUDED.pending,
            commission_count = t.commission_count + EXCLUDED.commission_count, paid_out = t.paid_out + EXCLUDED.paid_out;
    ELSE
        INSERT INTO public.tenant_totals AS t (tenant_id, currency, grain, starts_on, shard, earned, pending, commission_count, paid_out)
        SELECT tenant_id, currency, grain, starts_on, own, sum(earned * n), sum(pending * n), sum(commission_count * n), sum(paid_out * n)
        FROM (SELECT *, 1 AS n FROM added UNION ALL SELECT *, -1 FROM removed) AS changed
        GROUP BY 1, 2, 3, 4
        HAVING sum(earned * n) <> 0 OR sum(pending * n) <> 0 OR sum(commission_count * n) <> 0 OR sum(paid_out * n) <> 0
        ON CONFLICT (tenant_id, currency, grain, starts_on, shard) DO UPDATE
        SET earned = t.earned + EXCLUDED.earned, pending = t.pending + EXCLUDED.pending,
            commission_count = t.commission_count + EXCLUDED.commission_count, paid_out = t.paid_out + EXCLUDED.paid_out;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tenant_totals_follow() IS 'Keeps tenant_totals in step with commission_totals; runs as its owner because callers may not write them';
REVOKE ALL ON FUNCTION tenant_totals_follow() FROM PUBLIC;

-- From here on nobody books until this migration ends, so that the sums that follow miss nothing.
CREATE TRIGGER commission_totals_tenant_insert AFTER INSERT ON commission_totals
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tenant_totals_follow();
CREATE TRIGGER commission_totals_tenant_update AFTER UPDATE ON commission_totals
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tenant_totals_follow();
INSERT INTO tenant_totals (tenant_id, currency, grain, starts_on, shard, earned, pending, commission_count, paid_out)
SELECT tenant_id, currency, grain, starts_on, 0, sum(earned), sum(pending), sum(commission_count), sum(paid_out)
FROM commission_totals GROUP BY 1, 2, 3, 4;

-- What the sums were read by before is for servers of the version before, which may still run; a later migration takes it away.
COMMENT ON COLUMN commission_totals.tenant_grain IS 'No longer read: grain once more, for an index of a whole tenant';

ALTER TABLE tenant_totals ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_totals_staff ON tenant_totals FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON tenant_totals TO portal_operator, portal_service;
