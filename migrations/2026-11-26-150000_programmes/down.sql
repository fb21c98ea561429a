DELETE FROM idempotency_keys WHERE operation = 'create_link';
ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known
    CHECK (VALUE IN ('create_lead', 'create_partner', 'create_payout_batches', 'set_commission_rule'));
DROP TABLE links, link_hosts, enrolment_changes, enrolments, programmes;
