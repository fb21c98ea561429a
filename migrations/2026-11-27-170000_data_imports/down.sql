SET LOCAL lock_timeout = '60s';
DROP FUNCTION end_data_import(uuid, jsonb, text, timestamptz), report_data_import(uuid, bigint, jsonb), put_back_data_import(uuid, bigint, boolean),
    hold_data_import(uuid, bigint, text, bigint, bigint), data_import_chunk(uuid, integer, integer),
    claim_data_import(uuid, bigint, timestamptz), all_events_from(bigint, bigint);
ALTER FUNCTION events_of_all_kinds_from(bigint, bigint) RENAME TO all_events_from;
DROP TABLE data_import_findings, data_import_chunks, data_imports;
DROP DOMAIN data_import_status;
DROP FUNCTION events_raise_data_import();
DELETE FROM idempotency_keys WHERE operation = 'import_data';
ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'set_commission_rule')) NOT VALID;
COMMENT ON COLUMN events.partner_id IS 'Whose: the partner''s, or of a wallet the user''s';
DELETE FROM events WHERE kind = 'data_import';
ALTER DOMAIN event_kind DROP CONSTRAINT event_kind_known;
ALTER DOMAIN event_kind ADD CONSTRAINT event_kind_known
    CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance', 'clicks', 'sign_up', 'wallet')) NOT VALID;
