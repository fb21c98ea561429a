-- Who acts for a partner, where that comes from, and until when.
SET LOCAL lock_timeout = '60s';
ALTER TABLE partner_users
    ADD COLUMN clerk_org_id text,
    ADD COLUMN removed_at timestamptz,
    ADD COLUMN removed_by uuid,
    ADD CONSTRAINT partner_users_clerk_org_id_length CHECK (char_length(clerk_org_id) BETWEEN 1 AND 200),
    ADD CONSTRAINT partner_users_removed CHECK (removed_by IS NULL OR removed_at IS NOT NULL),
    ADD CONSTRAINT partner_users_removed_by_fkey FOREIGN KEY (tenant_id, removed_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT;
CREATE INDEX partner_users_removed_by_idx ON partner_users (tenant_id, removed_by) WHERE removed_by IS NOT NULL;
COMMENT ON COLUMN partner_users.clerk_org_id IS 'The organisation at the token issuer that the membership came from: it holds only while the token names that organisation, and its role follows the token. NULL where it was given here';
COMMENT ON COLUMN partner_users.removed_at IS 'When the person was removed; the row stays, so that no token brings them back';

-- A sign-up inserts the partner and its first member in one transaction, with one timestamp. All other members joined through the partner's
-- organisation, where it has one.
UPDATE partner_users pu SET clerk_org_id = p.clerk_org_id
FROM partners p
WHERE p.tenant_id = pu.tenant_id AND p.id = pu.partner_id AND char_length(p.clerk_org_id) BETWEEN 1 AND 200 AND pu.created_at <> p.created_at;

-- A server of the version before, which runs while this migration does, registers members of organisations and does not say so.
CREATE FUNCTION partner_users_origin() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF current_setting('role') = 'portal_gate' AND NEW.clerk_org_id IS NULL THEN
        -- The partner that a sign-up makes has no organisation.
        NEW.clerk_org_id := (SELECT p.clerk_org_id FROM public.partners p WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.partner_id);
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION partner_users_origin() FROM PUBLIC;
CREATE TRIGGER partner_users_origin BEFORE INSERT ON partner_users FOR EACH ROW EXECUTE FUNCTION partner_users_origin();

GRANT UPDATE (role, clerk_org_id) ON partner_users TO portal_gate;
GRANT UPDATE (role, removed_at, removed_by) ON partner_users TO portal_partner, portal_operator;
CREATE POLICY partner_users_partner_change ON partner_users FOR UPDATE TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));

-- Everything that the server remembers of a caller stands for a number: their own and their tenant's together. Both only rise, so while
-- the sum is the same, nothing has changed.
ALTER TABLE users ADD COLUMN version bigint NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN users.version IS 'Raised by triggers whenever the user, a membership of theirs, or the status or organisation of its partner changes';
COMMENT ON COLUMN tenants.version IS 'Raised by a trigger whenever the tenant changes';

CREATE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER users_version BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION raise_version();
CREATE TRIGGER tenants_version BEFORE UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION raise_version();

-- Lock order: the partner's row first, the user's row last, both when a partner changes and when a user joins one.
CREATE FUNCTION raise_version_of_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    membership public.partner_users := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    UPDATE public.users u SET version = u.version WHERE u.tenant_id = membership.tenant_id AND u.id = membership.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER partner_users_version AFTER INSERT OR UPDATE OR DELETE ON partner_users FOR EACH ROW EXECUTE FUNCTION raise_version_of_member();

CREATE FUNCTION raise_version_of_people() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM FROM public.users u
        WHERE u.tenant_id = NEW.tenant_id
            AND u.id IN (SELECT pu.user_id FROM public.partner_users pu WHERE pu.tenant_id = NEW.tenant_id AND pu.partner_id = NEW.id)
        ORDER BY u.id FOR NO KEY UPDATE;
    UPDATE public.users u SET version = u.version
        WHERE u.tenant_id = NEW.tenant_id
            AND u.id IN (SELECT pu.user_id FROM public.partner_users pu WHERE pu.tenant_id = NEW.tenant_id AND pu.partner_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER partners_version AFTER UPDATE OF status, clerk_org_id ON partners FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.clerk_org_id IS DISTINCT FROM NEW.clerk_org_id)
    EXECUTE FUNCTION raise_version_of_people();

-- A partner's new organisation affects all users whose tokens name it, and a second tenant of one issuer all of its users. Which users these are
-- only their tokens say, so the whole tenant's version is raised.
CREATE FUNCTION raise_version_of_tenant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE public.tenants t SET version = t.version WHERE t.id = NEW.tenant_id;
    RETURN NULL;
END $$;
CREATE TRIGGER partners_tenant_version_insert AFTER INSERT ON partners FOR EACH ROW
    WHEN (NEW.clerk_org_id IS NOT NULL) EXECUTE FUNCTION raise_version_of_tenant();
CREATE TRIGGER partners_tenant_version_update AFTER UPDATE OF clerk_org_id ON partners FOR EACH ROW
    WHEN (OLD.clerk_org_id IS DISTINCT FROM NEW.clerk_org_id) EXECUTE FUNCTION raise_version_of_tenant();
CREATE FUNCTION raise_version_of_issuer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE public.tenants t SET version = t.version WHERE t.issuer = NEW.issuer AND t.id <> NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_issuer_version AFTER INSERT OR UPDATE OF issuer ON tenants FOR EACH ROW EXECUTE FUNCTION raise_version_of_issuer();
REVOKE ALL ON FUNCTION raise_version(), raise_version_of_member(), raise_version_of_people(), raise_version_of_tenant(), raise_version_of_issuer()
    FROM PUBLIC;

-- Read by its key in the statement that says who is asking, which the login runs before it takes a caller's role. It tells numbers alone.
CREATE VIEW caller_versions AS
    SELECT u.tenant_id, u.id AS user_id, u.version + t.version AS version FROM users u JOIN tenants t ON t.id = u.tenant_id;
COMMENT ON VIEW caller_versions IS 'The number of what is known of each user: while it is the same, so is that';
GRANT SELECT ON caller_versions TO portal_app;

-- portal_bearer() with memberships that end and the number. That one stays for servers of the version before, which run while this
-- migration does, and takes up the first of the two.
CREATE FUNCTION portal_caller(token_issuer text, token_subject text, token_organization text, token_tenant text, verified_email text)
    RETURNS TABLE (
        tenant_id uuid, slug text, name text, issuer text, default_currency text, default_commission_rate numeric,
        partner_on_signup text, time_zone text, user_id uuid, email text, user_name text, partner_id uuid, partner_status text, partner_role text,
        membership_organization text, is_active_organization boolean, is_removed boolean, is_invited boolean, version bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.slug, t.name, t.issuer, t.default_currency, t.default_commission_rate, t.partner_on_signup::text,
        t.time_zone, u.id, u.email, u.name, p.id, p.status::text,
        CASE WHEN pu.removed_at IS NULL AND (pu.clerk_org_id IS NULL OR pu.clerk_org_id = o.clerk_org_id) THEN pu.role::text END,
        pu.clerk_org_id, o.id IS NOT NULL, pu.removed_at IS NOT NULL,
        verified_email IS NOT NULL AND EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = t.id AND m.email_key = lower(verified_email COLLATE "C") AND m.user_id IS NULL AND m.status = 'invited'),
        u.version + t.version
    FROM public.tenants t
    LEFT JOIN public.users u ON u.tenant_id = t.id AND u.clerk_user_id = token_subject
    LEFT JOIN public.partners o ON o.tenant_id = t.id AND o.clerk_org_id = token_organization
    LEFT JOIN public.partners p ON p.tenant_id = t.id AND p.id = coalesce(o.id, u.default_partner_id)
    LEFT JOIN public.partner_users pu ON pu.tenant_id = t.id AND pu.partner_id = p.id AND pu.user_id = u.id
    WHERE t.issuer = token_issuer AND (token_tenant IS NULL OR t.slug = token_tenant)
    LIMIT 2;
END $$;
COMMENT ON FUNCTION portal_caller(text, text, text, text, text) IS 'The tenants that a verified token may be for (two at most: more than one is too many); what is known there of its subject and its active organisation; what the subject is in its partner, if the membership holds; whether its address, which the issuer has verified, is that of an invited member; and the number that stands for all this';
REVOKE ALL ON FUNCTION portal_caller(text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal_caller(text, text, text, text, text) TO portal_gate, portal_app;

CREATE OR REPLACE FUNCTION portal_bearer(token_issuer text, token_subject text, token_organization text, token_tenant text, verified_email text)
    RETURNS TABLE (
        tenant_id uuid, slug text, name text, issuer text, default_currency text, default_commission_rate numeric,
        partner_on_signup text, user_id uuid, email text, user_name text, partner_id uuid, partner_status text, partner_role text,
        is_active_organization boolean, is_invited boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN QUERY
    SELECT c.tenant_id, c.slug, c.name, c.issuer, c.default_currency, c.default_commission_rate, c.partner_on_signup,
        c.user_id, c.email, c.user_name, c.partner_id, c.partner_status, c.partner_role, c.is_active_organization, c.is_invited
    FROM public.portal_caller(token_issuer, token_subject, token_organization, token_tenant, verified_email) c;
END $$;

-- A person may belong to several partners. Of those for which they are not acting they are told what they are called, and may choose one.
CREATE FUNCTION portal_own_partners(token_organization text) RETURNS SETOF partners
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT p.*
    FROM public.partner_users pu
    JOIN public.partners p ON p.tenant_id = pu.tenant_id AND p.id = pu.partner_id
    WHERE pu.tenant_id = current_setting('app.tenant_id')::uuid AND pu.user_id = current_setting('app.user_id')::uuid AND pu.removed_at IS NULL
        AND (pu.clerk_org_id IS NULL OR pu.clerk_org_id = token_organization AND p.clerk_org_id = token_organization)
    ORDER BY pu.created_at, pu.partner_id
$$;
COMMENT ON FUNCTION portal_own_partners(text) IS 'The partners that the caller belongs to by a token that names this organisation or none, those joined first before the others';
CREATE FUNCTION portal_may_act_for(partner uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.partner_users pu
        WHERE pu.tenant_id = current_setting('app.tenant_id')::uuid AND pu.partner_id = partner
            AND pu.user_id = current_setting('app.user_id')::uuid AND pu.removed_at IS NULL AND pu.clerk_org_id IS NULL)
$$;
COMMENT ON FUNCTION portal_may_act_for(uuid) IS 'Whether the caller belongs to the partner whatever their token says';
-- Changes of memberships lock the partner's row first (see the lock order above), so that its organisation cannot change meanwhile. The role
-- portal_partner has no right to lock the row itself.
CREATE FUNCTION portal_hold_partner(partner uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM FROM public.partners p WHERE p.tenant_id = current_setting('app.tenant_id')::uuid AND p.id = partner FOR KEY SHARE;
END $$;
COMMENT ON FUNCTION portal_hold_partner(uuid) IS 'Keeps a partner of the caller''s tenant from getting another organisation until the transaction ends; tells nothing of it';
REVOKE ALL ON FUNCTION portal_own_partners(text), portal_may_act_for(uuid), portal_hold_partner(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal_own_partners(text), portal_may_act_for(uuid) TO portal_partner;
GRANT EXECUTE ON FUNCTION portal_hold_partner(uuid) TO portal_partner, portal_operator;
CREATE POLICY users_default_partner ON users FOR UPDATE TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND id = (SELECT current_setting('app.user_id')::uuid))
    WITH CHECK (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND id = (SELECT current_setting('app.user_id')::uuid)
        AND portal_may_act_for(default_partner_id));
GRANT UPDATE (default_partner_id, updated_at) ON users TO portal_partner;
