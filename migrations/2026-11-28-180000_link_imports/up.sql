-- Links with clicks are imported in three quarters of the time.
SET LOCAL lock_timeout = '60s';

-- Only functions of the database write the totals, and each takes the partner from a link or a programme's enrolment, whose foreign keys hold; a
-- partner is never removed. Checked again for each of up to nine rows of a click, it was nearly a third of what a link's totals cost.
ALTER TABLE link_click_totals DROP CONSTRAINT link_click_totals_partner_id_fkey;
ALTER TABLE link_sale_totals DROP CONSTRAINT link_sale_totals_partner_id_fkey;

-- A link that comes with clicks and sign-ups is put into the lists' orders once it has them: each change would be one of four and of ten indexes. Rows are
-- looked up one by one, also by a plan that was made while the tables were empty.
CREATE OR REPLACE FUNCTION link_orders_start() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO links_by_clicks (tenant_id, link_id, partner_id, programme_id, clicks)
        SELECT a.tenant_id, a.id, a.partner_id, a.programme_id, coalesce((SELECT t.clicks FROM link_click_totals t
            WHERE t.tenant_id = a.tenant_id AND t.scope_id = a.id AND t.grain = 'all'), 0) FROM added a;
    INSERT INTO links_by_sales (tenant_id, link_id, partner_id, programme_id, sign_ups)
        SELECT a.tenant_id, a.id, a.partner_id, a.programme_id, coalesce((SELECT t.sign_ups FROM link_sale_totals t
            WHERE t.tenant_id = a.tenant_id AND t.scope_id = a.id AND t.currency = '' AND t.grain = 'all'), 0) FROM added a;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION link_order_by_clicks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('app.link_orders', true) = 'off' THEN
        RETURN NULL;
    END IF;
    UPDATE links_by_clicks l SET clicks = c.clicks FROM changed c
        WHERE c.grain = 'all' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND l.clicks <> c.clicks;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION link_order_by_sales() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('app.link_orders', true) = 'off' THEN
        RETURN NULL;
    END IF;
    UPDATE links_by_sales l SET sign_ups = c.sign_ups FROM changed c
        WHERE c.grain = 'all' AND c.currency = '' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND l.sign_ups <> c.sign_ups;
    UPDATE links_by_sales l SET sales = c.sales, earned = c.earned FROM changed c JOIN tenants t ON t.id = c.tenant_id AND t.default_currency = c.currency
        WHERE c.grain = 'all' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND (l.sales <> c.sales OR l.earned <> c.earned);
    RETURN NULL;
END $$;
ALTER TABLE link_imported_days ALTER CONSTRAINT link_imported_days_link_fkey DEFERRABLE INITIALLY DEFERRED;

CREATE OR REPLACE FUNCTION import_link_days(of_tenant uuid, given jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
BEGIN
    PERFORM public.import_guard(of_tenant);
    -- Links that come later with their partner and programme are in no order yet.
    PERFORM set_config('app.link_orders', CASE WHEN given #>> '{0,partner}' IS NULL THEN 'on' ELSE 'off' END, true);
    WITH days AS MATERIALIZED (
        SELECT g.link, g.day, g.clicks, g.sign_ups, e.id AS enrolment, e.partner_id AS partner
        FROM jsonb_to_recordset(given) AS g (link uuid, partner uuid, programme uuid, day date, clicks bigint, sign_ups bigint)
        LEFT JOIN public.links l ON g.partner IS NULL AND l.tenant_id = of_tenant AND l.id = g.link
        JOIN public.enrolments e ON e.tenant_id = of_tenant AND e.partner_id = coalesce(g.partner, l.partner_id)
            AND e.programme_id = coalesce(g.programme, l.programme_id)
    ), kept AS (
        INSERT INTO public.link_imported_days (tenant_id, link_id, day, clicks, sign_ups)
        SELECT of_tenant, d.link, d.day, d.clicks, d.sign_ups FROM days d
    ), sums AS MATERIALIZED (
        SELECT d.partner, s.scope, b.grain, b.starts_at, sum(d.clicks) AS clicks, sum(d.sign_ups) AS sign_ups
        FROM days d
        CROSS JOIN LATERAL (VALUES (d.link), (d.enrolment), (d.partner)) AS s (scope)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', d.day::timestamp AT TIME ZONE 'UTC'),
            ('quarter_hour', d.day::timestamp AT TIME ZONE 'UTC')) AS b (grain, starts_at)
        GROUP BY 1, 2, 3, 4
    ), clicks AS (
        INSERT INTO public.link_click_totals AS t (tenant_id, partner_id, scope_id, grain, starts_at, clicks, visitors)
        SELECT of_tenant, s.partner, s.scope, s.grain, s.starts_at, s.clicks, 0 FROM sums s WHERE s.clicks > 0 ORDER BY s.scope, s.grain COLLATE "C", s.starts_at
        ON CONFLICT (tenant_id, scope_id, grain, starts_at) DO UPDATE SET clicks = t.clicks + EXCLUDED.clicks
    )
    INSERT INTO public.link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
    SELECT of_tenant, s.partner, s.scope, '', s.grain, s.starts_at, s.sign_ups, 0, 0, 0, 0 FROM sums s WHERE s.sign_ups > 0 ORDER BY s.scope, s.grain COLLATE "C", s.starts_at
    ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET sign_ups = t.sign_ups + EXCLUDED.sign_ups;
    PERFORM set_config('app.link_orders', 'on', true);
END $$;
COMMENT ON FUNCTION import_link_days(uuid, jsonb)
    IS 'Adds the clicks and sign-ups that links had elsewhere, by day, to the totals; those of links that are added afterwards come with their partner and programme, all or none';
