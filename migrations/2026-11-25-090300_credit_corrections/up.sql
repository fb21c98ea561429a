-- A redemption that was a mistake is reversed, whole and once; an allocation is given more time.
SET LOCAL lock_timeout = '60s';
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire', 'restore'));
ALTER TABLE transfers
    DROP CONSTRAINT transfers_redemption,
    ADD CONSTRAINT transfers_redemption CHECK ((redemption_id IS NOT NULL) = (kind IN ('redeem', 'restore'))),
    DROP CONSTRAINT transfers_credit_path,
    ADD CONSTRAINT transfers_credit_path CHECK (unit <> 'CREDIT' OR (kind, from_kind, to_kind) IN (
        ('grant', 'issued', 'available'), ('withdraw', 'available', 'issued'), ('assign', 'available', 'assigned'),
        ('revoke', 'assigned', 'available'), ('redeem', 'assigned', 'used'), ('restore', 'used', 'assigned'), ('expire', 'assigned', 'expired')));
DROP INDEX transfers_redemption_key;
CREATE UNIQUE INDEX transfers_redemption_key ON transfers (tenant_id, redemption_id, allocation_id, kind) WHERE redemption_id IS NOT NULL;
DROP INDEX transfers_allocation_key;
CREATE UNIQUE INDEX transfers_allocation_key ON transfers (tenant_id, allocation_id, kind, attempt) WHERE allocation_id IS NOT NULL AND redemption_id IS NULL;
COMMENT ON COLUMN transfers.attempt IS 'Which attempt at the payout; for credits that are revoked or expire, 1 and how often some have come back to the allocation before';

ALTER TABLE credit_redemptions
    ADD COLUMN reversed_at timestamptz,
    ADD COLUMN reversed_by uuid,
    ADD COLUMN reversal_reason text,
    ADD COLUMN reversal_key text,
    ADD COLUMN reversal_request jsonb,
    ADD CONSTRAINT credit_redemptions_reversal_key UNIQUE (tenant_id, reversal_key),
    ADD CONSTRAINT credit_redemptions_reversed_by_fkey FOREIGN KEY (tenant_id, reversed_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT credit_redemptions_reversal CHECK (num_nonnulls(reversed_at, reversal_reason, reversal_key, reversal_request) IN (0, 4)
        AND (reversed_by IS NULL OR reversed_at IS NOT NULL)),
    ADD CONSTRAINT credit_redemptions_reversal_reason_length CHECK (char_length(reversal_reason) BETWEEN 1 AND 1000),
    ADD CONSTRAINT credit_redemptions_reversal_key_length CHECK (char_length(reversal_key) BETWEEN 1 AND 200);
COMMENT ON COLUMN credit_redemptions.reversed_at IS 'When its credits were given back; NULL while it stands';
COMMENT ON COLUMN credit_redemptions.reversal_key IS 'The idempotency key of the reversal';
COMMENT ON COLUMN credit_redemptions.reversal_request IS 'What was asked for with that key, field by field';
GRANT UPDATE (reversed_at, reversed_by, reversal_reason, reversal_key, reversal_request) ON credit_redemptions TO portal_service;

CREATE TABLE credit_extensions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    allocation_id uuid NOT NULL,
    from_expires_at timestamptz NOT NULL,
    to_expires_at timestamptz NOT NULL,
    extended_by uuid,
    created_at timestamptz NOT NULL,
    CONSTRAINT credit_extensions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT credit_extensions_allocation_key UNIQUE (tenant_id, allocation_id, to_expires_at),
    CONSTRAINT credit_extensions_allocation_id_fkey FOREIGN KEY (tenant_id, allocation_id) REFERENCES credit_allocations (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_extensions_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_extensions_extended_by_fkey FOREIGN KEY (tenant_id, extended_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_extensions_later CHECK (to_expires_at > from_expires_at)
);
COMMENT ON TABLE credit_extensions IS 'How allocations were given more time, append-only';
ALTER TABLE credit_extensions ENABLE ROW LEVEL SECURITY;
CREATE POLICY credit_extensions_partner ON credit_extensions FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY credit_extensions_staff ON credit_extensions TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON credit_extensions TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON credit_extensions TO portal_operator, portal_service;
GRANT UPDATE (expires_at) ON credit_allocations TO portal_operator, portal_service;

-- What was used is its member's again, under the address that the member has by now.
CREATE FUNCTION partner_credits_restored() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    SELECT m.email_key INTO NEW.employee_email FROM public.partner_members m WHERE m.tenant_id = NEW.tenant_id AND m.id = NEW.member_id;
    UPDATE public.credit_allocations SET employee_email = NEW.employee_email
    WHERE tenant_id = NEW.tenant_id AND id = NEW.allocation_id AND employee_email <> NEW.employee_email;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION partner_credits_restored() IS 'Gives a credit that is available again its member''s address; runs as its owner because callers may not write it';
REVOKE ALL ON FUNCTION partner_credits_restored() FROM PUBLIC;
CREATE TRIGGER partner_credits_restored BEFORE UPDATE OF status ON partner_credits FOR EACH ROW
    WHEN (OLD.status <> 'available' AND NEW.status = 'available') EXECUTE FUNCTION partner_credits_restored();
