SET LOCAL lock_timeout = '60s';
CREATE OR REPLACE FUNCTION import_link_days(of_tenant uuid, given jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.import_guard(of_tenant);
    INSERT INTO public.link_imported_days (tenant_id, link_id, day, clicks, sign_ups)
        SELECT of_tenant, g.link, g.day, g.clicks, g.sign_ups FROM jsonb_to_recordset(given) AS g (link uuid, day date, clicks bigint, sign_ups bigint);
    INSERT INTO public.link_click_totals AS t (tenant_id, partner_id, scope_id, grain, starts_at, clicks, visitors)
        SELECT of_tenant, l.partner_id, s.scope_id, b.grain, b.starts_at, sum(g.clicks), 0
        FROM jsonb_to_recordset(given) AS g (link uuid, day date, clicks bigint)
        JOIN public.links l ON l.tenant_id = of_tenant AND l.id = g.link
        JOIN public.enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', g.day::timestamp AT TIME ZONE 'UTC'),
            ('quarter_hour', g.day::timestamp AT TIME ZONE 'UTC')) AS b (grain, starts_at)
        WHERE g.clicks > 0 GROUP BY 2, 3, 4, 5 ORDER BY 3, 4, 5
        ON CONFLICT (tenant_id, scope_id, grain, starts_at) DO UPDATE SET clicks = t.clicks + EXCLUDED.clicks;
    INSERT INTO public.link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
        SELECT of_tenant, l.partner_id, s.scope_id, '', b.grain, b.starts_at, sum(g.sign_ups), 0, 0, 0, 0
        FROM jsonb_to_recordset(given) AS g (link uuid, day date, sign_ups bigint)
        JOIN public.links l ON l.tenant_id = of_tenant AND l.id = g.link
        JOIN public.enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', g.day::timestamp AT TIME ZONE 'UTC'),
            ('quarter_hour', g.day::timestamp AT TIME ZONE 'UTC')) AS b (grain, starts_at)
        WHERE g.sign_ups > 0 GROUP BY 2, 3, 5, 6 ORDER BY 3, 5, 6
        ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET sign_ups = t.sign_ups + EXCLUDED.sign_ups;
END $$;
COMMENT ON FUNCTION import_link_days(uuid, jsonb) IS 'Adds the clicks and sign-ups that links had elsewhere, by day, to the totals';

ALTER TABLE link_imported_days ALTER CONSTRAINT link_imported_days_link_fkey NOT DEFERRABLE;
CREATE OR REPLACE FUNCTION link_orders_start() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO links_by_clicks (tenant_id, link_id, partner_id, programme_id) SELECT tenant_id, id, partner_id, programme_id FROM added;
    INSERT INTO links_by_sales (tenant_id, link_id, partner_id, programme_id) SELECT tenant_id, id, partner_id, programme_id FROM added;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION link_order_by_clicks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE links_by_clicks l SET clicks = c.clicks FROM changed c
        WHERE c.grain = 'all' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND l.clicks <> c.clicks;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION link_order_by_sales() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE links_by_sales l SET sign_ups = c.sign_ups FROM changed c
        WHERE c.grain = 'all' AND c.currency = '' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND l.sign_ups <> c.sign_ups;
    UPDATE links_by_sales l SET sales = c.sales, earned = c.earned FROM changed c JOIN tenants t ON t.id = c.tenant_id AND t.default_currency = c.currency
        WHERE c.grain = 'all' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND (l.sales <> c.sales OR l.earned <> c.earned);
    RETURN NULL;
END $$;
ALTER TABLE link_sale_totals ADD CONSTRAINT link_sale_totals_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT;
ALTER TABLE link_click_totals ADD CONSTRAINT link_click_totals_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT;
