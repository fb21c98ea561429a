SET LOCAL lock_timeout = '60s';
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        ' OR coalesce(public.portal_is_awaited(t.id, verified_email, u.id), false)', '');
END $$;
DROP FUNCTION portal_is_awaited(uuid, text, uuid);
DROP FUNCTION accept_invitation(bytea), accept_invitations_of_address(uuid, uuid, text), join_by_invitation(uuid, uuid, uuid), is_same_mailbox(text, text);
DROP TABLE partner_invitations;
DROP FUNCTION webhook_raise_invitation();
DELETE FROM idempotency_keys WHERE operation IN ('invite_user', 'resend_invitation');
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
