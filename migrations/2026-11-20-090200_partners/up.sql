CREATE DOMAIN partner_status AS text
    CONSTRAINT partner_status_known CHECK (VALUE IN ('pending', 'active', 'suspended', 'closed'));
CREATE DOMAIN partner_user_role AS text
    CONSTRAINT partner_user_role_known CHECK (VALUE IN ('owner', 'member'));
CREATE DOMAIN payment_method AS text
    CONSTRAINT payment_method_known CHECK (VALUE IN ('manual', 'bank_transfer', 'paypal', 'stripe', 'check'));

CREATE TABLE partners (
    tenant_id uuid NOT NULL CONSTRAINT partners_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    company_name text NOT NULL,
    company_name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(company_name)) STORED,
    status partner_status NOT NULL DEFAULT 'pending',
    commission_rate numeric(5, 4) NOT NULL,
    clerk_org_id text,
    total_referrals integer NOT NULL DEFAULT 0,
    converted_referrals integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partners_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partners_clerk_org_id_key UNIQUE (tenant_id, clerk_org_id),
    CONSTRAINT partners_company_name_length CHECK (char_length(company_name) BETWEEN 1 AND 200),
    CONSTRAINT partners_rate_range CHECK (commission_rate BETWEEN 0 AND 1),
    CONSTRAINT partners_referrals_sane CHECK (converted_referrals BETWEEN 0 AND total_referrals)
);
COMMENT ON TABLE partners IS 'Organisations that sell for a tenant';
COMMENT ON COLUMN partners.company_name_sort IS 'company_name as lists are ordered by it: without regard to case, by code point';
COMMENT ON COLUMN partners.commission_rate IS 'The default share of a sale, as a fraction: 0.1000 is ten per cent';
COMMENT ON COLUMN partners.clerk_org_id IS 'The organisation at the token issuer whose members act for this partner';
COMMENT ON COLUMN partners.total_referrals IS 'The number of its leads; kept by the trigger partner_leads_count_*';
COMMENT ON COLUMN partners.converted_referrals IS 'The number of its converted leads; kept by the trigger partner_leads_count_*';

CREATE INDEX partners_created_idx ON partners (tenant_id, created_at, id);
CREATE INDEX partners_updated_idx ON partners (tenant_id, updated_at, id);
CREATE INDEX partners_name_idx ON partners (tenant_id, company_name_sort, id);
CREATE INDEX partners_status_created_idx ON partners (tenant_id, status, created_at, id);

ALTER TABLE users ADD CONSTRAINT users_default_partner_id_fkey
    FOREIGN KEY (tenant_id, default_partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT;
CREATE INDEX users_default_partner_id_idx ON users (tenant_id, default_partner_id);

CREATE TABLE partner_users (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role partner_user_role NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_users_pkey PRIMARY KEY (tenant_id, partner_id, user_id),
    CONSTRAINT partner_users_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_users_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX partner_users_user_id_idx ON partner_users (tenant_id, user_id);
COMMENT ON TABLE partner_users IS 'Who acts for which partner';

CREATE TABLE partner_profiles (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    payment_email text,
    payment_method payment_method NOT NULL DEFAULT 'manual',
    tax_id_sealed bytea,
    tax_id_last4 text,
    bank_account_sealed bytea,
    bank_account_last4 text,
    contact_name text,
    contact_email text,
    contact_phone text,
    website text,
    address_line1 text,
    address_city text,
    address_state text,
    address_postal_code text,
    address_country text,
    notifications_enabled boolean NOT NULL DEFAULT true,
    notify_by_email boolean NOT NULL DEFAULT true,
    monthly_reports boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_profiles_pkey PRIMARY KEY (tenant_id, partner_id),
    CONSTRAINT partner_profiles_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_profiles_country_form CHECK (address_country ~ '^[A-Z]{2}$'),
    CONSTRAINT partner_profiles_tax_id_whole CHECK ((tax_id_sealed IS NULL) = (tax_id_last4 IS NULL)),
    CONSTRAINT partner_profiles_bank_account_whole CHECK ((bank_account_sealed IS NULL) = (bank_account_last4 IS NULL)),
    CONSTRAINT partner_profiles_last4_length CHECK (char_length(tax_id_last4) <= 4 AND char_length(bank_account_last4) <= 4)
);
COMMENT ON TABLE partner_profiles IS 'How a partner is paid and reached; one row for each partner';
COMMENT ON COLUMN partner_profiles.tax_id_sealed IS 'AES-256-GCM by the application: key version, nonce, ciphertext and tag';
COMMENT ON COLUMN partner_profiles.tax_id_last4 IS 'All that is ever shown of the tax id';
COMMENT ON COLUMN partner_profiles.bank_account_sealed IS 'AES-256-GCM by the application: key version, nonce, ciphertext and tag';
COMMENT ON COLUMN partner_profiles.bank_account_last4 IS 'All that is ever shown of the bank account';

ALTER TABLE partners ENABLE ROW LEVEL SECURITY;
ALTER TABLE partner_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE partner_profiles ENABLE ROW LEVEL SECURITY;

-- The guard registers whom the token names, and reads what portal_identity() gives.
CREATE POLICY partner_users_gate ON partner_users TO portal_gate
    USING (EXISTS (SELECT FROM users u WHERE u.tenant_id = partner_users.tenant_id AND u.id = partner_users.user_id));
CREATE POLICY partners_gate_signup ON partners FOR INSERT TO portal_gate
    WITH CHECK (tenant_id IN (SELECT id FROM tenants) AND clerk_org_id IS NULL);
CREATE POLICY partner_profiles_gate_signup ON partner_profiles FOR INSERT TO portal_gate
    WITH CHECK (tenant_id IN (SELECT id FROM tenants));

CREATE POLICY partners_partner ON partners FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partners_staff ON partners TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

CREATE POLICY partner_users_partner ON partner_users FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_users_staff ON partner_users TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

CREATE POLICY partner_profiles_partner ON partner_profiles TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_profiles_staff ON partner_profiles TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

-- Who is asking, in one index look-up for each table. A function and not policies: a policy that follows the token's subject
-- through three tables is planned as scans of all of them, at every request.
CREATE FUNCTION portal_identity(token_issuer text, token_subject text, token_organization text, token_tenant text)
    RETURNS TABLE (
        tenant_id uuid, slug text, name text, issuer text, default_currency text, default_commission_rate numeric,
        partner_on_signup text, user_id uuid, email text, user_name text, partner_id uuid, partner_status text, partner_role text,
        is_active_organization boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.slug, t.name, t.issuer, t.default_currency, t.default_commission_rate, t.partner_on_signup::text,
        u.id, u.email, u.name, p.id, p.status::text, pu.role::text, o.id IS NOT NULL
    FROM public.tenants t
    LEFT JOIN public.users u ON u.tenant_id = t.id AND u.clerk_user_id = token_subject
    LEFT JOIN public.partners o ON o.tenant_id = t.id AND o.clerk_org_id = token_organization
    LEFT JOIN public.partners p ON p.tenant_id = t.id AND p.id = coalesce(o.id, u.default_partner_id)
    LEFT JOIN public.partner_users pu ON pu.tenant_id = t.id AND pu.partner_id = p.id AND pu.user_id = u.id
    WHERE t.issuer = token_issuer AND (token_tenant IS NULL OR t.slug = token_tenant)
    LIMIT 2;
END $$;
COMMENT ON FUNCTION portal_identity(text, text, text, text) IS 'The tenants that a verified token may be for (two at most: more than one is too many), and what is known there of its subject and its active organisation';
REVOKE ALL ON FUNCTION portal_identity(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION portal_identity(text, text, text, text) TO portal_gate;

-- A partner sees itself and its colleagues among the users.
CREATE POLICY users_partner ON users FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND (id = (SELECT current_setting('app.user_id')::uuid)
            OR id IN (SELECT user_id FROM partner_users)));

GRANT INSERT (tenant_id, id, company_name, status, commission_rate) ON partners TO portal_gate;
GRANT SELECT, INSERT ON partner_users TO portal_gate;
GRANT INSERT (tenant_id, partner_id, contact_name, contact_email) ON partner_profiles TO portal_gate;

GRANT SELECT ON partners, partner_users, partner_profiles TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, id, company_name, status, commission_rate, clerk_org_id) ON partners TO portal_operator;
GRANT UPDATE (company_name, status, commission_rate, clerk_org_id, updated_at) ON partners TO portal_operator;
GRANT INSERT (tenant_id, partner_id) ON partner_profiles TO portal_operator;
GRANT UPDATE (payment_email, payment_method, tax_id_sealed, tax_id_last4, bank_account_sealed, bank_account_last4,
    contact_name, contact_email, contact_phone, website, address_line1, address_city, address_state, address_postal_code,
    address_country, notifications_enabled, notify_by_email, monthly_reports, updated_at)
    ON partner_profiles TO portal_partner, portal_operator;
