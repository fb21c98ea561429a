SET LOCAL lock_timeout = '60s';
DROP FUNCTION forget_webhook_events(timestamptz, bigint), disable_webhook_endpoint(uuid, uuid, text, timestamptz),
    end_webhook_attempts(uuid, jsonb, timestamptz, bigint, text, text), claim_webhook_deliveries(uuid, bigint, bigint, timestamptz),
    send_webhook_events(jsonb, timestamptz), raw_webhook_events(bigint);
DROP TABLE webhook_attempts, webhook_deliveries, webhook_events, webhook_secrets, webhook_endpoints;
DROP DOMAIN webhook_delivery_status;
-- With the triggers.
DROP FUNCTION webhook_raise(), webhook_raise_clicks() CASCADE;
DROP FUNCTION webhook_texts(jsonb);
DELETE FROM idempotency_keys WHERE operation IN ('create_webhook_endpoint', 'rotate_webhook_secret', 'send_test_webhook');
ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'import_data', 'set_commission_rule')) NOT VALID;
