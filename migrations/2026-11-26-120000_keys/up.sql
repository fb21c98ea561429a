-- What was done with an idempotency key, where no row of what was done keeps the key itself.
CREATE DOMAIN keyed_operation AS text
    CONSTRAINT keyed_operation_known CHECK (VALUE IN ('create_lead', 'create_partner', 'create_payout_batches', 'set_commission_rule'));
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    partner_id uuid,
    scope_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(partner_id, tenant_id)) STORED,
    operation keyed_operation NOT NULL,
    key text NOT NULL,
    request jsonb NOT NULL,
    subject_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, scope_id, operation, key),
    CONSTRAINT idempotency_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE RESTRICT,
    CONSTRAINT idempotency_keys_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 200)
);
COMMENT ON TABLE idempotency_keys IS 'Keys of mutations that were done, with what was asked for: sent again, they answer with the first result';
COMMENT ON COLUMN idempotency_keys.partner_id IS 'Whose key it is; NULL for one of the tenant''s staff';
COMMENT ON COLUMN idempotency_keys.scope_id IS 'Whose key it is, for the primary key: the partner''s or the tenant''s';
COMMENT ON COLUMN idempotency_keys.request IS 'All that was asked for, field by field';
COMMENT ON COLUMN idempotency_keys.subject_id IS 'What was made: the lead, the partner, the rule; for payouts of all partners, which have keys of their own, nothing else';

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY idempotency_keys_partner ON idempotency_keys TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY idempotency_keys_staff ON idempotency_keys TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON idempotency_keys TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, partner_id, operation, key, request, subject_id) ON idempotency_keys TO portal_partner, portal_operator, portal_service;
