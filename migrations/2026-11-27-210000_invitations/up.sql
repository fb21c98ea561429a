-- Invitations: a partner's owner, or an operator, lets somebody act for the partner who may have no user yet.
SET LOCAL lock_timeout = '60s';

CREATE TABLE partner_invitations (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL,
    created_by uuid NOT NULL,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    created_at timestamptz NOT NULL,
    sent_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at timestamptz,
    revoked_by uuid,
    CONSTRAINT partner_invitations_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_invitations_token_key UNIQUE (tenant_id, token_hash),
    CONSTRAINT partner_invitations_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_invitations_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_invitations_accepted_by_fkey FOREIGN KEY (tenant_id, accepted_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_invitations_revoked_by_fkey FOREIGN KEY (tenant_id, revoked_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_invitations_role_known CHECK (role IN ('owner', 'member')),
    CONSTRAINT partner_invitations_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT partner_invitations_token_length CHECK (octet_length(token_hash) = 32),
    CONSTRAINT partner_invitations_accepted CHECK ((accepted_at IS NULL) = (accepted_by IS NULL)),
    CONSTRAINT partner_invitations_revoked CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL OR accepted_at IS NULL))
);
-- One that is open for each partner and address; one that has expired is open until it is renewed or revoked.
CREATE UNIQUE INDEX partner_invitations_open_key ON partner_invitations (tenant_id, partner_id, email_key(email)) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX partner_invitations_email_idx ON partner_invitations (tenant_id, email_key(email)) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX partner_invitations_created_idx ON partner_invitations (tenant_id, partner_id, created_at, id);
COMMENT ON TABLE partner_invitations IS 'People who are invited to act for a partner';
COMMENT ON COLUMN partner_invitations.token_hash IS 'SHA-256 of the token in the invitation''s link: whoever has the token can accept it';
COMMENT ON COLUMN partner_invitations.sent_at IS 'When its token was made';

ALTER TABLE partner_invitations ENABLE ROW LEVEL SECURITY;
CREATE POLICY partner_invitations_partner ON partner_invitations TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_invitations_staff ON partner_invitations TO portal_operator, portal_service USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT (tenant_id, id, partner_id, email, role, created_by, created_at, sent_at, expires_at, accepted_at, accepted_by, revoked_at, revoked_by) ON partner_invitations TO portal_service;
GRANT SELECT (tenant_id, id, partner_id, email, role, created_by, created_at, sent_at, expires_at, accepted_at, accepted_by, revoked_at, revoked_by), INSERT,
    UPDATE (role, token_hash, sent_at, expires_at, revoked_at, revoked_by) ON partner_invitations TO portal_partner, portal_operator;

ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'create_webhook_endpoint', 'create_webhook_source', 'import_data',
    'resend_invitation', 'rotate_webhook_secret', 'rotate_webhook_source_secret', 'send_test_webhook', 'set_commission_rule')) NOT VALID;

-- Servers say themselves, since long, which organisation a membership comes from; one by invitation comes from none.
DROP TRIGGER partner_users_origin ON partner_users;
DROP FUNCTION partner_users_origin();

-- The event carries the token, which the table does not.
CREATE FUNCTION webhook_raise_invitation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('app.events', true) = 'off' OR NOT EXISTS (
        SELECT FROM webhook_endpoints e WHERE e.tenant_id = NEW.tenant_id AND e.removed_at IS NULL AND 'invitation.created' = ANY (e.types)) THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhook_events (tenant_id, id, event_type, facts) VALUES (NEW.tenant_id, gen_random_uuid(), 'invitation.created',
        webhook_texts(to_jsonb(NEW) - 'token_hash' || jsonb_build_object('token', current_setting('app.invitation_token', true),
            'url', (SELECT t.sign_up_url || CASE WHEN t.sign_up_url LIKE '%?%' THEN '&' ELSE '?' END || 'invitation=' || current_setting('app.invitation_token', true)
                FROM tenants t WHERE t.id = NEW.tenant_id))));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhook_raise_invitation() IS 'Writes an event of an invitation with its token and link, if anybody wants to hear of it';
CREATE TRIGGER partner_invitations_webhook AFTER INSERT OR UPDATE OF token_hash ON partner_invitations FOR EACH ROW EXECUTE FUNCTION webhook_raise_invitation();

-- Locks in the order of removals (partner, membership, invitation), so that the two cannot deadlock. Neither a higher role nor what was given here
-- before is taken away by it.
CREATE FUNCTION join_by_invitation(of_tenant uuid, of_invitation uuid, of_user uuid, at timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    invitation public.partner_invitations;
    is_closed boolean;
BEGIN
    SELECT i.* INTO STRICT invitation FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = of_invitation;
    SELECT p.status = 'closed' INTO STRICT is_closed FROM public.partners p WHERE p.tenant_id = of_tenant AND p.id = invitation.partner_id FOR SHARE;
    PERFORM FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.partner_id = invitation.partner_id AND pu.user_id = of_user FOR NO KEY UPDATE;
    SELECT i.* INTO STRICT invitation FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = of_invitation FOR UPDATE;
    CASE
        WHEN invitation.accepted_by = of_user THEN RETURN 'replayed';
        WHEN invitation.accepted_at IS NOT NULL THEN RETURN 'taken';
        WHEN invitation.revoked_at IS NOT NULL THEN RETURN 'revoked';
        WHEN invitation.expires_at <= at THEN RETURN 'expired';
        WHEN is_closed THEN RETURN 'closed';
        ELSE NULL;
    END CASE;
    INSERT INTO public.partner_users AS pu (tenant_id, partner_id, user_id, role) VALUES (of_tenant, invitation.partner_id, of_user, invitation.role)
        ON CONFLICT (tenant_id, partner_id, user_id) DO UPDATE SET removed_at = NULL, removed_by = NULL, clerk_org_id = NULL,
            role = CASE WHEN pu.removed_at IS NULL AND pu.role = 'owner' THEN 'owner' ELSE EXCLUDED.role END;
    UPDATE public.users u SET default_partner_id = invitation.partner_id WHERE u.tenant_id = of_tenant AND u.id = of_user AND u.default_partner_id IS NULL;
    UPDATE public.partner_invitations i SET accepted_at = at, accepted_by = of_user WHERE i.tenant_id = of_tenant AND i.id = of_invitation;
    RETURN 'joined';
END $$;
COMMENT ON FUNCTION join_by_invitation(uuid, uuid, uuid, timestamptz) IS 'Makes a user one of the people of the partner that an invitation is to, and the invitation accepted, if it is open; gives what came of it';

-- A token's bearer of a verified address: all that are open for it.
CREATE FUNCTION accept_invitations_of_address(of_tenant uuid, of_user uuid, verified_email text, at timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    open uuid;
    count bigint := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = of_user AND u.clerk_user_id = current_setting('app.subject', true)) THEN
        RETURN 0;
    END IF;
    FOR open IN SELECT i.id FROM public.partner_invitations i
        WHERE i.tenant_id = of_tenant AND public.email_key(i.email) = public.email_key(verified_email) AND i.accepted_at IS NULL AND i.revoked_at IS NULL
        ORDER BY i.partner_id
    LOOP
        IF public.join_by_invitation(of_tenant, open, of_user, at) = 'joined' THEN
            count := count + 1;
        END IF;
    END LOOP;
    RETURN count;
END $$;
COMMENT ON FUNCTION accept_invitations_of_address(uuid, uuid, text, timestamptz) IS 'Accepts the open invitations of an address that the issuer has verified as the user''s; gives how many';

CREATE FUNCTION accept_invitation(of_hash bytea, at timestamptz) RETURNS TABLE (partner_id uuid, outcome text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    of_tenant uuid := current_setting('app.tenant_id')::uuid;
    invitation public.partner_invitations;
BEGIN
    SELECT i.* INTO invitation FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.token_hash = of_hash;
    IF FOUND THEN
        partner_id := invitation.partner_id;
        outcome := public.join_by_invitation(of_tenant, invitation.id, current_setting('app.user_id')::uuid, at);
        -- Another link may have been made meanwhile; then nothing of this is committed.
        IF EXISTS (SELECT FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = invitation.id AND i.token_hash = of_hash) THEN
            RETURN NEXT;
        ELSE
            RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'another link was made meanwhile';
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION accept_invitation(bytea, timestamptz) IS 'Accepts the invitation of a token as the caller; gives the partner and what came of it, or nothing where there is no such invitation';

CREATE OR REPLACE FUNCTION portal_is_invited(of_tenant uuid, verified_email text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = of_tenant AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = 'invited')
        OR EXISTS (SELECT FROM public.customers c
            WHERE c.tenant_id = of_tenant AND public.email_key(c.email) = public.email_key(verified_email) AND c.user_id IS NULL AND c.email IS NOT NULL)
        OR EXISTS (SELECT FROM public.partner_invitations i JOIN public.partners p ON p.tenant_id = i.tenant_id AND p.id = i.partner_id
            WHERE i.tenant_id = of_tenant AND public.email_key(i.email) = public.email_key(verified_email) AND i.accepted_at IS NULL AND i.revoked_at IS NULL
                AND i.expires_at > now() AND p.status <> 'closed')
$$;
COMMENT ON FUNCTION portal_is_invited(uuid, text) IS 'Whether an address, which the issuer has verified, is that of an invited member or person, or of a customer of whom no user is known';

REVOKE ALL ON FUNCTION webhook_raise_invitation(), join_by_invitation(uuid, uuid, uuid, timestamptz), accept_invitations_of_address(uuid, uuid, text, timestamptz),
    accept_invitation(bytea, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accept_invitations_of_address(uuid, uuid, text, timestamptz) TO portal_gate;
GRANT EXECUTE ON FUNCTION accept_invitation(bytea, timestamptz) TO portal_partner;
