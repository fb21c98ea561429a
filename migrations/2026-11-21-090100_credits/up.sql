CREATE DOMAIN credit_status AS text
    CONSTRAINT credit_status_known CHECK (VALUE IN ('available', 'used', 'expired', 'revoked'));

CREATE TABLE credit_grants (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    credits integer NOT NULL,
    reason text NOT NULL,
    idempotency_key text,
    granted_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credit_grants_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT credit_grants_partner_key UNIQUE (tenant_id, partner_id, id),
    CONSTRAINT credit_grants_idempotency_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT credit_grants_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_grants_granted_by_fkey FOREIGN KEY (tenant_id, granted_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_grants_credits_range CHECK (credits <> 0 AND credits BETWEEN -100000000 AND 100000000),
    CONSTRAINT credit_grants_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1000),
    CONSTRAINT credit_grants_idempotency_key_length CHECK (char_length(idempotency_key) BETWEEN 1 AND 200)
);
CREATE INDEX credit_grants_partner_idx ON credit_grants (tenant_id, partner_id, created_at, id);
COMMENT ON TABLE credit_grants IS 'Credits that the tenant has given to partners, append-only';
COMMENT ON COLUMN credit_grants.credits IS 'Below zero where unassigned credits were taken back';

CREATE TABLE credit_allocations (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    member_id uuid NOT NULL,
    employee_email text COLLATE "C" NOT NULL,
    credits integer NOT NULL,
    used integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    revoked integer NOT NULL DEFAULT 0,
    available integer NOT NULL GENERATED ALWAYS AS (credits - used - expired - revoked) STORED,
    valid_days integer NOT NULL,
    expires_at timestamptz NOT NULL,
    idempotency_key text,
    assigned_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credit_allocations_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT credit_allocations_partner_key UNIQUE (tenant_id, partner_id, id),
    CONSTRAINT credit_allocations_units_key UNIQUE (tenant_id, partner_id, id, member_id, employee_email, expires_at),
    CONSTRAINT credit_allocations_idempotency_key UNIQUE (tenant_id, partner_id, idempotency_key),
    CONSTRAINT credit_allocations_member_id_fkey FOREIGN KEY (tenant_id, partner_id, member_id, employee_email)
        REFERENCES partner_members (tenant_id, partner_id, id, email_key) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT credit_allocations_assigned_by_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_allocations_credits_range CHECK (credits BETWEEN 1 AND 100000),
    CONSTRAINT credit_allocations_valid_days_range CHECK (valid_days BETWEEN 1 AND 3650),
    CONSTRAINT credit_allocations_units_sane CHECK (used >= 0 AND expired >= 0 AND revoked >= 0 AND used + expired + revoked <= credits),
    CONSTRAINT credit_allocations_idempotency_key_length CHECK (char_length(idempotency_key) BETWEEN 1 AND 400)
);
CREATE INDEX credit_allocations_partner_idx ON credit_allocations (tenant_id, partner_id, created_at, id);
CREATE INDEX credit_allocations_member_idx ON credit_allocations (tenant_id, member_id, created_at, id);
CREATE INDEX credit_allocations_created_idx ON credit_allocations (tenant_id, created_at, id);
-- What can still be used, and what is due to expire.
CREATE INDEX credit_allocations_due_idx ON credit_allocations (tenant_id, expires_at, id) WHERE available > 0;
CREATE INDEX credit_allocations_partner_due_idx ON credit_allocations (tenant_id, partner_id, expires_at) INCLUDE (available) WHERE available > 0;
CREATE INDEX credit_allocations_member_due_idx ON credit_allocations (tenant_id, member_id, expires_at) INCLUDE (available) WHERE available > 0;
COMMENT ON TABLE credit_allocations IS 'Credits assigned to a member in one go; what has become of them is counted from partner_credits by the trigger partner_credits_count';
COMMENT ON COLUMN credit_allocations.employee_email IS 'The member''s address as it is compared';
COMMENT ON COLUMN credit_allocations.expires_at IS 'The first instant at which what is unused can no longer be used';
COMMENT ON COLUMN credit_allocations.assigned_by IS 'NULL when no person did: another program, or the shell';

CREATE TABLE credit_redemptions (
    tenant_id uuid NOT NULL CONSTRAINT credit_redemptions_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    employee_email text COLLATE "C" NOT NULL,
    member_id uuid,
    credits integer NOT NULL,
    idempotency_key text NOT NULL,
    redeemed_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credit_redemptions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT credit_redemptions_idempotency_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT credit_redemptions_member_id_fkey FOREIGN KEY (tenant_id, member_id) REFERENCES partner_members (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_redemptions_redeemed_by_fkey FOREIGN KEY (tenant_id, redeemed_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_redemptions_credits_range CHECK (credits BETWEEN 1 AND 100000),
    CONSTRAINT credit_redemptions_idempotency_key_length CHECK (char_length(idempotency_key) BETWEEN 1 AND 200)
);
COMMENT ON TABLE credit_redemptions IS 'The use of credits, append-only: one row for each report of a service';
COMMENT ON COLUMN credit_redemptions.member_id IS 'The member that was named; NULL where an address was, which may be that of members of several partners';

CREATE TABLE partner_credits (
    tenant_id uuid NOT NULL,
    allocation_id uuid NOT NULL,
    number integer NOT NULL,
    partner_id uuid NOT NULL,
    member_id uuid NOT NULL,
    employee_email text COLLATE "C" NOT NULL,
    status credit_status NOT NULL DEFAULT 'available',
    expires_at timestamptz NOT NULL,
    redemption_id uuid,
    ended_at timestamptz,
    CONSTRAINT partner_credits_pkey PRIMARY KEY (tenant_id, allocation_id, number),
    -- What a unit repeats of its allocation is its allocation's, and follows it.
    CONSTRAINT partner_credits_allocation_id_fkey FOREIGN KEY (tenant_id, partner_id, allocation_id, member_id, employee_email, expires_at)
        REFERENCES credit_allocations (tenant_id, partner_id, id, member_id, employee_email, expires_at) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT partner_credits_redemption_id_fkey FOREIGN KEY (tenant_id, redemption_id) REFERENCES credit_redemptions (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_credits_number_range CHECK (number BETWEEN 1 AND 100000),
    CONSTRAINT partner_credits_ended CHECK ((status = 'available') = (ended_at IS NULL)),
    CONSTRAINT partner_credits_redeemed CHECK ((status = 'used') = (redemption_id IS NOT NULL)),
    CONSTRAINT partner_credits_used_in_time CHECK (status <> 'used' OR ended_at < expires_at),
    CONSTRAINT partner_credits_expired_in_time CHECK (status <> 'expired' OR ended_at >= expires_at)
);
-- Goes on with the order in which units are taken, so that taking some reads no others.
CREATE INDEX partner_credits_employee_idx ON partner_credits (tenant_id, employee_email, status, expires_at, allocation_id, number);
CREATE INDEX partner_credits_partner_status_idx ON partner_credits (tenant_id, partner_id, status);
CREATE INDEX partner_credits_partner_email_idx ON partner_credits (tenant_id, partner_id, employee_email);
CREATE INDEX partner_credits_redemption_idx ON partner_credits (tenant_id, redemption_id) WHERE redemption_id IS NOT NULL;
COMMENT ON TABLE partner_credits IS 'One row for each credit that was ever assigned';
COMMENT ON COLUMN partner_credits.number IS 'Which of its allocation''s credits it is, from 1';
COMMENT ON COLUMN partner_credits.ended_at IS 'When it was used, expired or revoked; NULL while it is available';

CREATE FUNCTION partner_credits_count() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    d record;
BEGIN
    -- In one order, so that two who change units of the same allocations do not wait for each other. Without a join of the two: its plan
    -- would be made for the first change of a connection, which is often one unit's, and kept for those of a hundred thousand.
    FOR d IN
        SELECT tenant_id, allocation_id, coalesce(sum(n) FILTER (WHERE status = 'used'), 0) AS used,
            coalesce(sum(n) FILTER (WHERE status = 'expired'), 0) AS expired, coalesce(sum(n) FILTER (WHERE status = 'revoked'), 0) AS revoked
        FROM (SELECT tenant_id, allocation_id, status, 1 AS n FROM added
              UNION ALL SELECT tenant_id, allocation_id, status, -1 FROM removed) AS moved
        GROUP BY 1, 2 ORDER BY 1, 2
    LOOP
        UPDATE public.credit_allocations a
        SET used = a.used + d.used, expired = a.expired + d.expired, revoked = a.revoked + d.revoked
        WHERE a.tenant_id = d.tenant_id AND a.id = d.allocation_id AND (d.used <> 0 OR d.expired <> 0 OR d.revoked <> 0);
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION partner_credits_count() IS 'Keeps the counters of credit_allocations in step with the units; runs as its owner because callers may not write them';
REVOKE ALL ON FUNCTION partner_credits_count() FROM PUBLIC;

CREATE TRIGGER partner_credits_count AFTER UPDATE ON partner_credits
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION partner_credits_count();

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['credit_grants', 'credit_allocations', 'partner_credits'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO portal_partner
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid)
                AND partner_id = (SELECT current_setting(''app.partner_id'')::uuid))', tab || '_partner', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator, portal_service
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;
ALTER TABLE credit_redemptions ENABLE ROW LEVEL SECURITY;
CREATE POLICY credit_redemptions_staff ON credit_redemptions TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

GRANT SELECT ON credit_grants, credit_allocations, partner_credits TO portal_partner, portal_operator, portal_service;
GRANT SELECT ON credit_redemptions TO portal_operator, portal_service;
GRANT INSERT ON credit_grants TO portal_operator, portal_service;
GRANT INSERT ON credit_redemptions TO portal_service;
GRANT INSERT (tenant_id, id, partner_id, member_id, employee_email, credits, valid_days, expires_at, idempotency_key, assigned_by, created_at)
    ON credit_allocations TO portal_service;
GRANT INSERT (tenant_id, allocation_id, number, partner_id, member_id, employee_email, expires_at) ON partner_credits TO portal_service;
-- Whoever may change a status may lock the row; only a service can say that a credit was used.
GRANT UPDATE (status, ended_at) ON partner_credits TO portal_operator, portal_service;
GRANT UPDATE (redemption_id) ON partner_credits TO portal_service;

CREATE FUNCTION tenants_with_due_credits(due_by timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id FROM public.tenants t
    WHERE EXISTS (SELECT FROM public.credit_allocations a WHERE a.tenant_id = t.id AND a.available > 0 AND a.expires_at <= due_by)
    ORDER BY t.id
$$;
COMMENT ON FUNCTION tenants_with_due_credits(timestamptz) IS 'Ids alone, for the maintenance task';
REVOKE ALL ON FUNCTION tenants_with_due_credits(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_with_due_credits(timestamptz) TO portal_service;
