DROP TABLE idempotency_keys;
DROP DOMAIN keyed_operation;
