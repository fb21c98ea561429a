-- Both functions take time for what they are given, not for what is there: joined by hash, each thousand commissions or days of links read every link
-- of the database, and every enrolment.
SET LOCAL lock_timeout = '60s';

-- What is of a new link alone cannot be there yet, so it is not looked for.
CREATE OR REPLACE FUNCTION import_link_days(of_tenant uuid, given jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    PERFORM public.import_guard(of_tenant);
    -- Links that come later with their partner and programme are in no order yet.
    PERFORM set_config('app.link_orders', CASE WHEN given #>> '{0,partner}' IS NULL THEN 'on' ELSE 'off' END, true);
    WITH days AS MATERIALIZED (
        SELECT g.link, g.partner IS NOT NULL AS is_new, g.day, g.clicks, g.sign_ups, e.id AS enrolment, e.partner_id AS partner
        FROM jsonb_to_recordset(given) AS g (link uuid, partner uuid, programme uuid, day date, clicks bigint, sign_ups bigint)
        LEFT JOIN public.links l ON g.partner IS NULL AND l.tenant_id = of_tenant AND l.id = g.link
        JOIN public.enrolments e ON e.tenant_id = of_tenant AND e.partner_id = coalesce(g.partner, l.partner_id)
            AND e.programme_id = coalesce(g.programme, l.programme_id)
    ), kept AS (
        INSERT INTO public.link_imported_days (tenant_id, link_id, day, clicks, sign_ups)
        SELECT of_tenant, d.link, d.day, d.clicks, d.sign_ups FROM days d
    ), sums AS MATERIALIZED (
        SELECT d.partner, s.scope, s.is_own, b.grain, b.starts_at, sum(d.clicks) AS clicks, sum(d.sign_ups) AS sign_ups
        FROM days d
        CROSS JOIN LATERAL (VALUES (d.link, d.is_new), (d.enrolment, false), (d.partner, false)) AS s (scope, is_own)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', d.day::timestamp AT TIME ZONE 'UTC'),
            ('quarter_hour', d.day::timestamp AT TIME ZONE 'UTC')) AS b (grain, starts_at)
        GROUP BY 1, 2, 3, 4, 5
    ), own_clicks AS (
        INSERT INTO public.link_click_totals (tenant_id, partner_id, scope_id, grain, starts_at, clicks, visitors)
        SELECT of_tenant, s.partner, s.scope, s.grain, s.starts_at, s.clicks, 0 FROM sums s WHERE s.is_own AND s.clicks > 0
        ORDER BY s.scope, s.grain COLLATE "C", s.starts_at
    ), own_sign_ups AS (
        INSERT INTO public.link_sale_totals (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
        SELECT of_tenant, s.partner, s.scope, '', s.grain, s.starts_at, s.sign_ups, 0, 0, 0, 0 FROM sums s WHERE s.is_own AND s.sign_ups > 0
        ORDER BY s.scope, s.grain COLLATE "C", s.starts_at
    ), clicks AS (
        INSERT INTO public.link_click_totals AS t (tenant_id, partner_id, scope_id, grain, starts_at, clicks, visitors)
        SELECT of_tenant, s.partner, s.scope, s.grain, s.starts_at, s.clicks, 0 FROM sums s WHERE NOT s.is_own AND s.clicks > 0
        ORDER BY s.scope, s.grain COLLATE "C", s.starts_at
        ON CONFLICT (tenant_id, scope_id, grain, starts_at) DO UPDATE SET clicks = t.clicks + EXCLUDED.clicks
    )
    INSERT INTO public.link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
    SELECT of_tenant, s.partner, s.scope, '', s.grain, s.starts_at, s.sign_ups, 0, 0, 0, 0 FROM sums s WHERE NOT s.is_own AND s.sign_ups > 0
    ORDER BY s.scope, s.grain COLLATE "C", s.starts_at
    ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET sign_ups = t.sign_ups + EXCLUDED.sign_ups;
    PERFORM set_config('app.link_orders', 'on', true);
END $$;

-- Earlier sales of a customer were compared with each commission of the statement.
CREATE OR REPLACE FUNCTION link_totals_of_commissions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE link_id IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    WITH firsts AS (
            SELECT n.tenant_id, n.link_id, n.first_at, (
                SELECT min(e.event_date) FROM partner_commission_events e
                WHERE e.tenant_id = n.tenant_id AND e.customer_id = n.customer_id AND e.link_id = n.link_id AND e.event_type = 'invoice_payment'
                    AND e.id <> ALL (n.ids)) AS earlier_at
            FROM (SELECT tenant_id, link_id, customer_id, min(event_date) AS first_at, array_agg(id) AS ids FROM added
                  WHERE link_id IS NOT NULL AND event_type = 'invoice_payment' GROUP BY 1, 2, 3) n),
        changes AS (
            SELECT a.tenant_id, a.link_id, a.currency, a.event_date AS at, 0 AS customers, (a.event_type = 'invoice_payment')::integer AS sales,
                CASE WHEN a.event_type = 'invoice_payment' THEN coalesce(a.base - least(i.refunded, i.amount), 0) ELSE 0 END AS sale_amount,
                CASE WHEN a.status <> 'rejected' AND a.partner_id = l.partner_id THEN a.amount ELSE 0 END AS earned
            FROM added a
            JOIN links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id
            LEFT JOIN invoices i ON i.tenant_id = a.tenant_id AND i.external_id = a.invoice_id
            -- Reports may come out of order: a sale from before a customer's first one is the first one now.
            UNION ALL SELECT tenant_id, link_id, '', first_at, 1, 0, 0, 0 FROM firsts WHERE earlier_at IS NULL OR earlier_at > first_at
            UNION ALL SELECT tenant_id, link_id, '', earlier_at, -1, 0, 0, 0 FROM firsts WHERE earlier_at > first_at)
    INSERT INTO link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
        SELECT c.tenant_id, l.partner_id, s.scope_id, c.currency, g.grain, g.starts_at, 0, sum(c.customers), sum(c.sales), sum(c.sale_amount), sum(c.earned)
        FROM changes c
        JOIN links l ON l.tenant_id = c.tenant_id AND l.id = c.link_id
        JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', date_trunc('day', c.at, 'UTC')),
            ('quarter_hour', date_bin('15 minutes', c.at, 'epoch'::timestamptz))) AS g (grain, starts_at)
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 3, 4, 5, 6
        ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET customers = t.customers + excluded.customers,
            sales = t.sales + excluded.sales, sale_amount = t.sale_amount + excluded.sale_amount, earned = t.earned + excluded.earned;
    RETURN NULL;
END $$;
