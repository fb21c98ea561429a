CREATE DOMAIN member_status AS text
    CONSTRAINT member_status_known CHECK (VALUE IN ('invited', 'active', 'inactive'));

CREATE TABLE partner_members (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    email text NOT NULL,
    -- ASCII letters alone, whatever the database's locale: the program compares addresses in the same way.
    email_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED,
    first_name text NOT NULL,
    last_name text,
    status member_status NOT NULL DEFAULT 'invited',
    user_id uuid,
    credits_assigned integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_members_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_members_email_key UNIQUE (tenant_id, partner_id, email_key),
    CONSTRAINT partner_members_partner_key UNIQUE (tenant_id, partner_id, id),
    CONSTRAINT partner_members_address_key UNIQUE (tenant_id, partner_id, id, email_key),
    CONSTRAINT partner_members_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_members_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_members_email_form CHECK (char_length(email) <= 254
        AND email ~ '^[^]@[:space:][:cntrl:]"(),:;<>[\\]+@[^]@[:space:][:cntrl:]"(),:;<>[\\]+\.[^]@[:space:][:cntrl:]"(),:;<>[\\]+$'),
    CONSTRAINT partner_members_first_name_length CHECK (char_length(first_name) BETWEEN 1 AND 200),
    CONSTRAINT partner_members_last_name_length CHECK (char_length(last_name) BETWEEN 1 AND 200),
    CONSTRAINT partner_members_linked CHECK (user_id IS NULL OR status <> 'invited'),
    CONSTRAINT partner_members_credits_assigned_sane CHECK (credits_assigned >= 0)
);
COMMENT ON TABLE partner_members IS 'Employees and clients of a partner, to whom it can assign credits';
COMMENT ON COLUMN partner_members.email_key IS 'email as it is compared: without regard to the case of ASCII letters';
COMMENT ON COLUMN partner_members.user_id IS 'The user who has signed in with this address, verified by the issuer; NULL until then';
COMMENT ON COLUMN partner_members.credits_assigned IS 'Credits assigned and not revoked, used and expired ones included; kept by the trigger transfers_post';

CREATE INDEX partner_members_partner_created_idx ON partner_members (tenant_id, partner_id, created_at, id);
CREATE INDEX partner_members_partner_status_idx ON partner_members (tenant_id, partner_id, status, created_at, id);
CREATE INDEX partner_members_created_idx ON partner_members (tenant_id, created_at, id);
CREATE INDEX partner_members_status_idx ON partner_members (tenant_id, status, created_at, id);
CREATE INDEX partner_members_address_idx ON partner_members (tenant_id, email_key);
CREATE INDEX partner_members_user_id_idx ON partner_members (tenant_id, user_id) WHERE user_id IS NOT NULL;

CREATE TABLE member_counts (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    invited integer NOT NULL DEFAULT 0,
    active integer NOT NULL DEFAULT 0,
    inactive integer NOT NULL DEFAULT 0,
    CONSTRAINT member_counts_pkey PRIMARY KEY (tenant_id, partner_id),
    CONSTRAINT member_counts_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT member_counts_sane CHECK (invited >= 0 AND active >= 0 AND inactive >= 0)
);
COMMENT ON TABLE member_counts IS 'How many members of each status a partner has; kept by triggers on partner_members';

CREATE FUNCTION member_counts_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.member_counts AS c (tenant_id, partner_id, invited, active, inactive)
        SELECT tenant_id, partner_id, count(*) FILTER (WHERE status = 'invited'), count(*) FILTER (WHERE status = 'active'),
            count(*) FILTER (WHERE status = 'inactive')
        FROM added GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (tenant_id, partner_id) DO UPDATE
        SET invited = c.invited + EXCLUDED.invited, active = c.active + EXCLUDED.active, inactive = c.inactive + EXCLUDED.inactive;
    ELSE
        UPDATE public.member_counts c
        SET invited = c.invited + (NEW.status = 'invited')::int - (OLD.status = 'invited')::int,
            active = c.active + (NEW.status = 'active')::int - (OLD.status = 'active')::int,
            inactive = c.inactive + (NEW.status = 'inactive')::int - (OLD.status = 'inactive')::int
        WHERE c.tenant_id = NEW.tenant_id AND c.partner_id = NEW.partner_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION member_counts_follow() IS 'Keeps member_counts in step with the members; runs as its owner because callers may not write them';
REVOKE ALL ON FUNCTION member_counts_follow() FROM PUBLIC;

CREATE TRIGGER partner_members_count_insert AFTER INSERT ON partner_members
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION member_counts_follow();
-- By row: most updates are of credits_assigned, and are none of its business.
CREATE TRIGGER partner_members_count_update AFTER UPDATE OF status ON partner_members FOR EACH ROW
    WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION member_counts_follow();

ALTER TABLE partner_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE member_counts ENABLE ROW LEVEL SECURITY;

CREATE POLICY partner_members_partner ON partner_members TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_members_staff ON partner_members TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY member_counts_partner ON member_counts FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY member_counts_staff ON member_counts FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
-- The guard links invited members of the token's tenant, to the token's user and to nobody else.
CREATE POLICY partner_members_gate ON partner_members FOR SELECT TO portal_gate
    USING (tenant_id IN (SELECT id FROM tenants) AND (user_id IS NULL
        OR EXISTS (SELECT FROM users u WHERE u.tenant_id = partner_members.tenant_id AND u.id = partner_members.user_id)));
CREATE POLICY partner_members_gate_link ON partner_members FOR UPDATE TO portal_gate
    USING (user_id IS NULL)
    WITH CHECK (EXISTS (SELECT FROM users u WHERE u.tenant_id = partner_members.tenant_id AND u.id = partner_members.user_id));

GRANT SELECT ON partner_members, member_counts TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, id, partner_id, email, first_name, last_name, status, created_at, updated_at)
    ON partner_members TO portal_partner, portal_operator, portal_service;
GRANT UPDATE (email, first_name, last_name, status, updated_at) ON partner_members TO portal_partner, portal_operator, portal_service;
GRANT SELECT (tenant_id, partner_id, email_key, status, user_id), UPDATE (status, user_id, updated_at) ON partner_members TO portal_gate;

-- portal_identity() and one answer more. It stays for servers of the version before, which run while this migration does.
CREATE FUNCTION portal_bearer(token_issuer text, token_subject text, token_organization text, token_tenant text, verified_email text)
    RETURNS TABLE (
        tenant_id uuid, slug text, name text, issuer text, default_currency text, default_commission_rate numeric,
        partner_on_signup text, user_id uuid, email text, user_name text, partner_id uuid, partner_status text, partner_role text,
        is_active_organization boolean, is_invited boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.slug, t.name, t.issuer, t.default_currency, t.default_commission_rate, t.partner_on_signup::text,
        u.id, u.email, u.name, p.id, p.status::text, pu.role::text, o.id IS NOT NULL,
        verified_email IS NOT NULL AND EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = t.id AND m.email_key = lower(verified_email COLLATE "C") AND m.user_id IS NULL AND m.status = 'invited')
    FROM public.tenants t
    LEFT JOIN public.users u ON u.tenant_id = t.id AND u.clerk_user_id = token_subject
    LEFT JOIN public.partners o ON o.tenant_id = t.id AND o.clerk_org_id = token_organization
    LEFT JOIN public.partners p ON p.tenant_id = t.id AND p.id = coalesce(o.id, u.default_partner_id)
    LEFT JOIN public.partner_users pu ON pu.tenant_id = t.id AND pu.partner_id = p.id AND pu.user_id = u.id
    WHERE t.issuer = token_issuer AND (token_tenant IS NULL OR t.slug = token_tenant)
    LIMIT 2;
END $$;
COMMENT ON FUNCTION portal_bearer(text, text, text, text, text) IS 'The tenants that a verified token may be for (two at most: more than one is too many), what is known there of its subject and its active organisation, and whether its address, which the issuer has verified, is that of an invited member';
REVOKE ALL ON FUNCTION portal_bearer(text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal_bearer(text, text, text, text, text) TO portal_gate;
