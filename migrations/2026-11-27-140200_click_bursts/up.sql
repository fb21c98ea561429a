-- A sale by a click that was one of many, of which figures count hardly any, and a sale to somebody who has a share of the link.
SET LOCAL lock_timeout = '60s';

-- The clicks on the link nearest to one of them, within half an hour and 500 at most on each side, and how many of these figures count.
CREATE FUNCTION clicks_around(of_tenant uuid, of_click uuid) RETURNS TABLE (clicks bigint, people bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH one AS (SELECT c.link_id, c.at FROM link_clicks c WHERE c.tenant_id = of_tenant AND c.id = of_click),
        found AS (
            (SELECT NOT (c.is_bot OR c.is_prefetch OR c.is_repeat) AS is_person FROM one o JOIN link_clicks c ON c.tenant_id = of_tenant
                AND c.link_id = o.link_id AND c.at <= o.at AND c.at >= o.at - interval '30 minutes' ORDER BY c.at DESC LIMIT 500)
            UNION ALL
            (SELECT NOT (c.is_bot OR c.is_prefetch OR c.is_repeat) FROM one o JOIN link_clicks c ON c.tenant_id = of_tenant
                AND c.link_id = o.link_id AND c.at > o.at AND c.at <= o.at + interval '30 minutes' ORDER BY c.at LIMIT 500))
    SELECT count(*), count(*) FILTER (WHERE is_person) FROM found
$$;
COMMENT ON FUNCTION clicks_around(uuid, uuid) IS 'How many of a link''s clicks are near to one of them, and how many of these figures count';
REVOKE ALL ON FUNCTION clicks_around(uuid, uuid) FROM PUBLIC;

CREATE FUNCTION find_commission_flags(of_tenant uuid, of_partner uuid, of_customer uuid, of_click uuid, of_link uuid)
    RETURNS TABLE (kind text, subject text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH who AS (SELECT c.tenant_id, c.id, email_key(c.email) AS email FROM customers c
            WHERE c.tenant_id = of_tenant AND c.id = of_customer
                -- A caller of a tenant's asks of that tenant; the owner of the tables may of any.
                AND of_tenant = coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid, of_tenant)),
        -- Who earns by the link.
        earners AS (SELECT of_partner AS partner_id
            UNION SELECT s.partner_id FROM link_shares s WHERE s.tenant_id = of_tenant AND s.link_id = of_link),
        own AS (
            SELECT w.email AS subject FROM who w CROSS JOIN earners r JOIN partner_users m ON m.tenant_id = w.tenant_id AND m.partner_id = r.partner_id
                JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id WHERE email_key(u.email) = w.email
            UNION ALL SELECT w.email FROM who w CROSS JOIN earners r JOIN partner_profiles p ON p.tenant_id = w.tenant_id AND p.partner_id = r.partner_id
                WHERE w.email IN (email_key(p.contact_email), email_key(p.payment_email))
            UNION ALL SELECT split_part(w.email, '@', 2) FROM who w CROSS JOIN earners r JOIN partner_profiles p ON p.tenant_id = w.tenant_id
                AND p.partner_id = r.partner_id
                WHERE split_part(w.email, '@', 2) = regexp_replace(lower(p.website), '^https?://(www\.)?([^/:?#]+).*$', '\2')),
        others AS (
            SELECT s.partner_id FROM who w JOIN link_sign_ups s ON s.tenant_id = w.tenant_id AND s.customer_id = w.id WHERE s.partner_id <> of_partner
            UNION ALL SELECT l.partner_id FROM who w JOIN partner_leads l ON l.tenant_id = w.tenant_id AND email_key(l.client_email) = w.email
                WHERE l.partner_id <> of_partner),
        followed AS (SELECT c.id, c.is_bot FROM who w JOIN link_clicks c ON c.tenant_id = w.tenant_id AND c.id = of_click)
    SELECT 'own_purchase', (array_agg(o.subject ORDER BY o.subject LIKE '%@%' DESC, o.subject))[1] FROM own o HAVING count(*) > 0
    UNION ALL SELECT 'other_partner', min(o.partner_id::text) FROM others o HAVING count(*) > 0
    UNION ALL SELECT 'no_person', f.id::text FROM followed f WHERE f.is_bot
    UNION ALL SELECT 'no_person', format('%s/%s', a.people, a.clicks) FROM followed f CROSS JOIN clicks_around(of_tenant, f.id) a
        WHERE NOT f.is_bot AND a.clicks >= 50 AND a.people * 10 < a.clicks
$$;
COMMENT ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid, uuid) IS 'What a person should look at of a payment of a customer that came to a partner by a link';
REVOKE ALL ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid, uuid) TO portal_operator, portal_service;
COMMENT ON COLUMN commission_flags.subject IS 'What gave the reason: an address or a domain, another partner, a click, or of the clicks around it those that count and all';
COMMENT ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid) IS 'What servers of the previous version look at';
