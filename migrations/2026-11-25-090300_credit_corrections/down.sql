DROP TRIGGER partner_credits_restored ON partner_credits;
DROP FUNCTION partner_credits_restored();
REVOKE UPDATE (expires_at) ON credit_allocations FROM portal_operator, portal_service;
DROP TABLE credit_extensions;
REVOKE UPDATE (reversed_at, reversed_by, reversal_reason, reversal_key, reversal_request) ON credit_redemptions FROM portal_service;
ALTER TABLE credit_redemptions
    DROP COLUMN reversed_at, DROP COLUMN reversed_by, DROP COLUMN reversal_reason, DROP COLUMN reversal_key, DROP COLUMN reversal_request;
DROP INDEX transfers_allocation_key;
CREATE UNIQUE INDEX transfers_allocation_key ON transfers (tenant_id, allocation_id, kind) WHERE allocation_id IS NOT NULL AND redemption_id IS NULL;
DROP INDEX transfers_redemption_key;
CREATE UNIQUE INDEX transfers_redemption_key ON transfers (tenant_id, redemption_id, allocation_id) WHERE redemption_id IS NOT NULL;
ALTER TABLE transfers
    DROP CONSTRAINT transfers_redemption,
    ADD CONSTRAINT transfers_redemption CHECK ((redemption_id IS NOT NULL) = (kind = 'redeem')),
    DROP CONSTRAINT transfers_credit_path,
    ADD CONSTRAINT transfers_credit_path CHECK (unit <> 'CREDIT' OR (kind, from_kind, to_kind) IN (
        ('grant', 'issued', 'available'), ('withdraw', 'available', 'issued'), ('assign', 'available', 'assigned'),
        ('revoke', 'assigned', 'available'), ('redeem', 'assigned', 'used'), ('expire', 'assigned', 'expired')));
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire'));
