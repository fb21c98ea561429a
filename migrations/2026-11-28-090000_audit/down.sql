SET LOCAL lock_timeout = '60s';
DO $$
DECLARE
    audited record;
BEGIN
    FOR audited IN SELECT t.tgname, t.tgrelid::regclass AS of_table FROM pg_trigger t WHERE t.tgfoid = 'audit_record'::regproc LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', audited.tgname, audited.of_table);
    END LOOP;
END $$;
DROP FUNCTION audit_record(), audit_reveal(uuid, text[]), audit_entry(uuid);
DROP TABLE audit_changes, audit_entries;
DELETE FROM idempotency_keys WHERE operation = 'reveal_payout_destination';
ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'create_webhook_endpoint', 'create_webhook_source', 'import_data',
    'invite_user', 'resend_invitation', 'rotate_webhook_secret', 'rotate_webhook_source_secret', 'send_test_webhook', 'set_commission_rule')) NOT VALID;
