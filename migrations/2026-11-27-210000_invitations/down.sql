SET LOCAL lock_timeout = '60s';
CREATE OR REPLACE FUNCTION portal_is_invited(of_tenant uuid, verified_email text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = of_tenant AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = 'invited')
        OR EXISTS (SELECT FROM public.customers c
            WHERE c.tenant_id = of_tenant AND public.email_key(c.email) = public.email_key(verified_email) AND c.user_id IS NULL AND c.email IS NOT NULL)
$$;
COMMENT ON FUNCTION portal_is_invited(uuid, text) IS 'Whether an address, which the issuer has verified, is that of an invited member, or of a customer of whom no user is known';
DROP FUNCTION accept_invitation(bytea, timestamptz), accept_invitations_of_address(uuid, uuid, text, timestamptz), join_by_invitation(uuid, uuid, uuid, timestamptz);
DROP TABLE partner_invitations;
DROP FUNCTION webhook_raise_invitation();
DELETE FROM idempotency_keys WHERE operation = 'resend_invitation';
ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'create_webhook_endpoint', 'create_webhook_source', 'import_data',
    'rotate_webhook_secret', 'rotate_webhook_source_secret', 'send_test_webhook', 'set_commission_rule')) NOT VALID;
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
