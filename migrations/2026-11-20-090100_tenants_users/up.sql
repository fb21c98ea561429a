-- Enumerations are domains over text, not enum types: below row-level security an index serves only leakproof operators,
-- and PostgreSQL marks text equality leakproof but not enum equality.
CREATE DOMAIN partner_on_signup AS text
    CONSTRAINT partner_on_signup_known CHECK (VALUE IN ('none', 'pending', 'active'));

CREATE TABLE tenants (
    id uuid NOT NULL CONSTRAINT tenants_pkey PRIMARY KEY,
    slug text NOT NULL CONSTRAINT tenants_slug_key UNIQUE,
    name text NOT NULL,
    issuer text NOT NULL,
    default_currency text NOT NULL,
    default_commission_rate numeric(5, 4) NOT NULL DEFAULT 0.1000,
    partner_on_signup partner_on_signup NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_slug_form CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    CONSTRAINT tenants_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT tenants_currency_form CHECK (default_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT tenants_rate_range CHECK (default_commission_rate BETWEEN 0 AND 1)
);
CREATE INDEX tenants_issuer_idx ON tenants (issuer);
COMMENT ON TABLE tenants IS 'Companies that run a partner programme';
COMMENT ON COLUMN tenants.issuer IS 'The iss claim of the session tokens that belong to this tenant; several tenants may share one';
COMMENT ON COLUMN tenants.partner_on_signup IS 'What a new user gets: no partner, one that an operator must approve, or an active one';
COMMENT ON COLUMN tenants.default_commission_rate IS 'The rate of a partner that a sign-up makes, as a fraction';

CREATE TABLE users (
    tenant_id uuid NOT NULL CONSTRAINT users_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    clerk_user_id text NOT NULL,
    email text,
    name text,
    default_partner_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT users_clerk_user_id_key UNIQUE (tenant_id, clerk_user_id),
    CONSTRAINT users_clerk_user_id_length CHECK (char_length(clerk_user_id) BETWEEN 1 AND 255)
);
COMMENT ON TABLE users IS 'People and machines that have presented a valid session token';
COMMENT ON COLUMN users.clerk_user_id IS 'The sub claim of their tokens';
COMMENT ON COLUMN users.default_partner_id IS 'The partner they act for when the token names no active organisation';

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenants_gate ON tenants TO portal_gate
    USING (issuer = (SELECT current_setting('app.issuer')));
CREATE POLICY tenants_caller ON tenants FOR SELECT TO portal_partner, portal_operator, portal_service
    USING (id = (SELECT current_setting('app.tenant_id')::uuid));

CREATE POLICY users_gate ON users TO portal_gate
    USING (clerk_user_id = (SELECT current_setting('app.subject')) AND tenant_id IN (SELECT id FROM tenants));
CREATE POLICY users_staff ON users TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

GRANT SELECT ON tenants TO portal_gate, portal_partner, portal_operator, portal_service;
GRANT SELECT, INSERT, UPDATE (email, name, default_partner_id, updated_at) ON users TO portal_gate;
GRANT SELECT ON users TO portal_partner, portal_operator, portal_service;
