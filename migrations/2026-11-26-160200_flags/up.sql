-- What a person should look at before a commission by a link is paid.
SET LOCAL lock_timeout = '60s';

CREATE DOMAIN commission_flag_kind AS text CONSTRAINT commission_flag_kind_known CHECK (VALUE IN ('own_purchase', 'other_partner', 'no_person'));

CREATE TABLE commission_flags (
    tenant_id uuid NOT NULL,
    commission_id uuid NOT NULL,
    kind commission_flag_kind NOT NULL,
    subject text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT commission_flags_pkey PRIMARY KEY (tenant_id, commission_id, kind),
    CONSTRAINT commission_flags_commission_id_fkey FOREIGN KEY (tenant_id, commission_id)
        REFERENCES partner_commission_events (tenant_id, id) ON DELETE RESTRICT
);
COMMENT ON TABLE commission_flags IS 'Why a commission waits for a person, however long; rows are only ever added';
COMMENT ON COLUMN commission_flags.subject IS 'What gave the reason: an address or a domain, another partner, a click';
ALTER TABLE commission_flags ENABLE ROW LEVEL SECURITY;
-- Partners have the right to select, and no policy: they see no rows, so fraud does not learn how it is detected.
CREATE POLICY commission_flags_staff ON commission_flags TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON commission_flags TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON commission_flags TO portal_operator, portal_service;

CREATE INDEX partner_leads_client_email_idx ON partner_leads (tenant_id, email_key(client_email));

-- It looks at addresses of people and leads, which the billing system may not read.
CREATE FUNCTION find_commission_flags(of_tenant uuid, of_partner uuid, of_customer uuid, of_click uuid) RETURNS TABLE (kind text, subject text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH who AS (SELECT c.tenant_id, c.id, email_key(c.email) AS email FROM customers c
            WHERE c.tenant_id = of_tenant AND c.id = of_customer
                -- A caller of a tenant's asks of that tenant; the owner of the tables may of any.
                AND of_tenant = coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid, of_tenant)),
        own AS (
            SELECT w.email AS subject FROM who w JOIN partner_users m ON m.tenant_id = w.tenant_id AND m.partner_id = of_partner
                JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id WHERE email_key(u.email) = w.email
            UNION ALL SELECT w.email FROM who w JOIN partner_profiles p ON p.tenant_id = w.tenant_id AND p.partner_id = of_partner
                WHERE w.email IN (email_key(p.contact_email), email_key(p.payment_email))
            UNION ALL SELECT split_part(w.email, '@', 2) FROM who w JOIN partner_profiles p ON p.tenant_id = w.tenant_id AND p.partner_id = of_partner
                WHERE split_part(w.email, '@', 2) = regexp_replace(lower(p.website), '^https?://(www\.)?([^/:?#]+).*$', '\2')),
        others AS (
            SELECT s.partner_id FROM who w JOIN link_sign_ups s ON s.tenant_id = w.tenant_id AND s.customer_id = w.id WHERE s.partner_id <> of_partner
            UNION ALL SELECT l.partner_id FROM who w JOIN partner_leads l ON l.tenant_id = w.tenant_id AND email_key(l.client_email) = w.email
                WHERE l.partner_id <> of_partner)
    SELECT 'own_purchase', (array_agg(o.subject ORDER BY o.subject LIKE '%@%' DESC, o.subject))[1] FROM own o HAVING count(*) > 0
    UNION ALL SELECT 'other_partner', min(o.partner_id::text) FROM others o HAVING count(*) > 0
    UNION ALL SELECT 'no_person', c.id::text FROM who w JOIN link_clicks c ON c.tenant_id = w.tenant_id AND c.id = of_click WHERE c.is_bot
$$;
COMMENT ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid) IS 'What a person should look at of a payment of a customer that came to a partner by a link';
REVOKE ALL ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid) TO portal_operator, portal_service;
