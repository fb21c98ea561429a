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
CREATE INDEX partner_invitations_expires_idx ON partner_invitations (tenant_id, partner_id, expires_at) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX partner_invitations_created_idx ON partner_invitations (tenant_id, partner_id, created_at, id);
COMMENT ON TABLE partner_invitations IS 'People who are invited to act for a partner';
COMMENT ON COLUMN partner_invitations.token_hash IS 'SHA-256 of the token in the invitation''s link: its bearer can accept the invitation';
COMMENT ON COLUMN partner_invitations.created_by IS 'Who has made its token: with their membership it ends too';
COMMENT ON COLUMN partner_invitations.sent_at IS 'When its token was made';

ALTER TABLE partner_invitations ENABLE ROW LEVEL SECURITY;
CREATE POLICY partner_invitations_partner ON partner_invitations FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_invitations_partner_add ON partner_invitations FOR INSERT TO portal_partner
    WITH CHECK (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid)
        AND created_by = (SELECT current_setting('app.user_id')::uuid));
CREATE POLICY partner_invitations_partner_change ON partner_invitations FOR UPDATE TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid))
    WITH CHECK (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_invitations_staff ON partner_invitations TO portal_operator, portal_service USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT (tenant_id, id, partner_id, email, role, created_by, created_at, sent_at, expires_at, accepted_at, accepted_by, revoked_at, revoked_by) ON partner_invitations
    TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, id, partner_id, email, role, token_hash, created_by, created_at, sent_at, expires_at),
    UPDATE (role, token_hash, created_by, sent_at, expires_at, revoked_at, revoked_by) ON partner_invitations TO portal_partner, portal_operator;

ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'create_webhook_endpoint', 'create_webhook_source', 'import_data',
    'invite_user', 'resend_invitation', 'rotate_webhook_secret', 'rotate_webhook_source_secret', 'send_test_webhook', 'set_commission_rule')) NOT VALID;

-- Servers state which organisation a membership comes from; one by invitation comes from none.
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
            'url', (SELECT regexp_replace(t.sign_up_url, '(#.*)?$', CASE WHEN split_part(t.sign_up_url, '#', 1) LIKE '%?%' THEN '&' ELSE '?' END
                || 'invitation=' || current_setting('app.invitation_token', true) || '\1') FROM tenants t WHERE t.id = NEW.tenant_id))));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhook_raise_invitation() IS 'Writes an event of an invitation with its token and link, if anybody wants to hear of it';
CREATE TRIGGER partner_invitations_webhook AFTER INSERT OR UPDATE OF token_hash ON partner_invitations FOR EACH ROW EXECUTE FUNCTION webhook_raise_invitation();

-- Access is given to no mailbox but the one that was invited: of the part before the @, letters of ASCII alone may differ in case.
CREATE FUNCTION is_same_mailbox(one text, other text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, public AS $$
    SELECT public.email_key(one) = public.email_key(other)
        AND lower(regexp_replace(one, '@[^@]*$', '') COLLATE "C") = lower(regexp_replace(other, '@[^@]*$', '') COLLATE "C")
$$;
COMMENT ON FUNCTION is_same_mailbox(text, text) IS 'Whether two addresses are one mailbox everywhere; email_key is for finding duplicates, and finds more';

-- The caller has locked the user's membership: removals lock memberships before invitations, so that the two cannot deadlock. An owner's role that was
-- given here stays; that of an organisation held only while the token named it.
CREATE FUNCTION join_by_invitation(of_tenant uuid, of_invitation uuid, of_user uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    invitation public.partner_invitations;
    membership public.partner_users;
BEGIN
    SELECT i.* INTO STRICT invitation FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = of_invitation FOR UPDATE;
    SELECT pu.* INTO membership FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.partner_id = invitation.partner_id AND pu.user_id = of_user;
    CASE
        WHEN invitation.accepted_by = of_user AND membership.removed_at IS NULL THEN RETURN 'replayed';
        WHEN invitation.accepted_by = of_user OR membership.removed_at >= invitation.sent_at THEN RETURN 'removed';
        WHEN invitation.accepted_at IS NOT NULL THEN RETURN 'taken';
        WHEN invitation.revoked_at IS NOT NULL THEN RETURN 'revoked';
        WHEN invitation.expires_at <= now() THEN RETURN 'expired';
        WHEN EXISTS (SELECT FROM public.partners p WHERE p.tenant_id = of_tenant AND p.id = invitation.partner_id AND p.status = 'closed') THEN RETURN 'closed';
        ELSE NULL;
    END CASE;
    INSERT INTO public.partner_users AS pu (tenant_id, partner_id, user_id, role) VALUES (of_tenant, invitation.partner_id, of_user, invitation.role)
        ON CONFLICT (tenant_id, partner_id, user_id) DO UPDATE SET removed_at = NULL, removed_by = NULL, clerk_org_id = NULL,
            role = CASE WHEN pu.removed_at IS NULL AND pu.clerk_org_id IS NULL AND pu.role = 'owner' THEN 'owner' ELSE EXCLUDED.role END;
    UPDATE public.users u SET default_partner_id = invitation.partner_id WHERE u.tenant_id = of_tenant AND u.id = of_user
        AND NOT EXISTS (SELECT FROM public.partner_users d WHERE d.tenant_id = u.tenant_id AND d.partner_id = u.default_partner_id AND d.user_id = u.id AND d.removed_at IS NULL);
    UPDATE public.partner_invitations i SET accepted_at = now(), accepted_by = of_user WHERE i.tenant_id = of_tenant AND i.id = of_invitation;
    RETURN 'joined';
END $$;
COMMENT ON FUNCTION join_by_invitation(uuid, uuid, uuid) IS 'Makes a user one of the people of the partner that an invitation is to, and the invitation accepted, if it is open; gives what came of it';

-- At the first sign-in, and for people who act for nobody: somebody who acts for a partner is asked, by the link.
CREATE FUNCTION accept_invitations_of_address(of_tenant uuid, of_user uuid, verified_email text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    open uuid;
    count bigint := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = of_user AND u.clerk_user_id = current_setting('app.subject', true)) THEN
        RETURN 0;
    END IF;
    PERFORM FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.user_id = of_user ORDER BY pu.partner_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.user_id = of_user AND pu.removed_at IS NULL) THEN
        RETURN 0;
    END IF;
    FOR open IN SELECT i.id FROM public.partner_invitations i
        WHERE i.tenant_id = of_tenant AND public.email_key(i.email) = public.email_key(verified_email) AND public.is_same_mailbox(i.email, verified_email)
            AND i.accepted_at IS NULL AND i.revoked_at IS NULL
        ORDER BY i.partner_id
    LOOP
        IF public.join_by_invitation(of_tenant, open, of_user) = 'joined' THEN
            count := count + 1;
        END IF;
    END LOOP;
    RETURN count;
END $$;
COMMENT ON FUNCTION accept_invitations_of_address(uuid, uuid, text) IS 'Accepts the open invitations of an address that the issuer has verified as the user''s, who acts for nobody yet; gives how many';

CREATE FUNCTION accept_invitation(of_hash bytea) RETURNS TABLE (partner_id uuid, outcome text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    of_tenant uuid := current_setting('app.tenant_id')::uuid;
    of_user uuid := current_setting('app.user_id')::uuid;
    invitation public.partner_invitations;
BEGIN
    SELECT i.* INTO invitation FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.token_hash = of_hash;
    IF FOUND THEN
        PERFORM FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.partner_id = invitation.partner_id AND pu.user_id = of_user FOR NO KEY UPDATE;
        partner_id := invitation.partner_id;
        outcome := public.join_by_invitation(of_tenant, invitation.id, of_user);
        -- Another link may have been made meanwhile; then nothing of this is committed.
        IF EXISTS (SELECT FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = invitation.id AND i.token_hash = of_hash) THEN
            RETURN NEXT;
        ELSE
            RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'another link was made meanwhile';
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION accept_invitation(bytea) IS 'Accepts the invitation of a token as the caller; gives the partner and what came of it, or nothing where there is no such invitation';

CREATE FUNCTION portal_is_awaited(of_tenant uuid, verified_email text, of_user uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT verified_email IS NOT NULL AND EXISTS (
        SELECT FROM public.partner_invitations i JOIN public.partners p ON p.tenant_id = i.tenant_id AND p.id = i.partner_id
        WHERE i.tenant_id = of_tenant AND public.email_key(i.email) = public.email_key(verified_email) AND public.is_same_mailbox(i.email, verified_email)
            AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now() AND p.status <> 'closed'
            AND NOT EXISTS (SELECT FROM public.partner_users pu WHERE pu.tenant_id = of_tenant AND pu.user_id = of_user
                AND (pu.removed_at IS NULL OR (pu.partner_id = i.partner_id AND pu.removed_at >= i.sent_at))))
$$;
COMMENT ON FUNCTION portal_is_awaited(uuid, text, uuid) IS 'Whether a user who acts for nobody, or somebody of whom no user is known, is invited by an address that the issuer has verified';
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure), 'coalesce(public.portal_is_invited(t.id, verified_email), false)',
        'coalesce(public.portal_is_invited(t.id, verified_email), false) OR coalesce(public.portal_is_awaited(t.id, verified_email, u.id), false)');
    IF pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure) NOT LIKE '%portal_is_awaited%' THEN
        RAISE 'portal_caller is not as it was expected';
    END IF;
END $$;

REVOKE ALL ON FUNCTION portal_is_awaited(uuid, text, uuid), webhook_raise_invitation(), join_by_invitation(uuid, uuid, uuid), accept_invitations_of_address(uuid, uuid, text),
    accept_invitation(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal_is_awaited(uuid, text, uuid) TO portal_gate, portal_app;
GRANT EXECUTE ON FUNCTION accept_invitations_of_address(uuid, uuid, text) TO portal_gate;
GRANT EXECUTE ON FUNCTION accept_invitation(bytea) TO portal_partner;
