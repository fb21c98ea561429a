-- Periods that may not overlap are exclusion constraints, which need equality of uuid and text in a GiST index.
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

CREATE TABLE customers (
    tenant_id uuid NOT NULL CONSTRAINT customers_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    email text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT customers_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT customers_external_id_key UNIQUE (tenant_id, external_id),
    CONSTRAINT customers_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 200),
    CONSTRAINT customers_name_length CHECK (char_length(name) BETWEEN 1 AND 200)
);
CREATE INDEX customers_created_idx ON customers (tenant_id, created_at, id);
COMMENT ON TABLE customers IS 'Who pays the tenant, as its billing system knows them';
COMMENT ON COLUMN customers.external_id IS 'The id that the billing system has for the customer';

CREATE TABLE partner_accounts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    commission_rate numeric(5, 4),
    managed_from timestamptz NOT NULL,
    managed_to timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_accounts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_accounts_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_accounts_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_accounts_rate_range CHECK (commission_rate BETWEEN 0 AND 1),
    CONSTRAINT partner_accounts_period CHECK (managed_to >= managed_from),
    CONSTRAINT partner_accounts_one_at_a_time EXCLUDE USING gist
        (tenant_id WITH =, customer_id WITH =, tstzrange(managed_from, managed_to) WITH &&)
);
CREATE INDEX partner_accounts_customer_idx ON partner_accounts (tenant_id, customer_id, managed_from);
CREATE INDEX partner_accounts_partner_idx ON partner_accounts (tenant_id, partner_id, managed_from, id);
COMMENT ON TABLE partner_accounts IS 'Which customers a partner manages, and when: one partner at a time';
COMMENT ON COLUMN partner_accounts.commission_rate IS 'The customer''s own rate, as a fraction; it goes before every rule. NULL where the rules decide';
COMMENT ON COLUMN partner_accounts.managed_to IS 'Exclusive; NULL while no end is known. As early as managed_from when it never began';

ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE partner_accounts ENABLE ROW LEVEL SECURITY;

CREATE POLICY partner_accounts_partner ON partner_accounts FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_accounts_staff ON partner_accounts TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
-- A partner sees whom it manages or once did.
CREATE POLICY customers_partner ON customers FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = customers.tenant_id AND a.customer_id = customers.id));
CREATE POLICY customers_staff ON customers TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

GRANT SELECT ON customers, partner_accounts TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON customers, partner_accounts TO portal_operator, portal_service;
GRANT UPDATE (name, email, updated_at) ON customers TO portal_operator, portal_service;
GRANT UPDATE (managed_to) ON partner_accounts TO portal_operator, portal_service;
