DROP FUNCTION announce_clicks();
DROP TRIGGER link_sign_ups_event_update ON link_sign_ups;
DROP TRIGGER link_sign_ups_event_insert ON link_sign_ups;
DROP FUNCTION published_events_from(bigint, bigint);
ALTER FUNCTION events_from(bigint, bigint) RENAME TO published_events_from;
DELETE FROM events WHERE kind IN ('clicks', 'sign_up');
ALTER DOMAIN event_kind DROP CONSTRAINT event_kind_known;
ALTER DOMAIN event_kind ADD CONSTRAINT event_kind_check CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance'));
CREATE OR REPLACE FUNCTION record_clicks(tenants uuid[], ids uuid[], links uuid[], times timestamptz[], visitors uuid[], bots boolean[],
    prefetches boolean[], devices text[], browsers text[], countries text[], referrers text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    written bigint;
    first_month date;
BEGIN
    PERFORM pg_advisory_xact_lock(x'706f7274616c0006'::bigint);
    -- What is of months that have been forgotten was written long ago, and comes again from a file that was found late.
    SELECT min(m) INTO first_month FROM click_months() AS m;
    PERFORM prepare_click_months(array_agg(DISTINCT (at AT TIME ZONE 'UTC')::date)) FROM unnest(times) AS given (at)
        WHERE first_month IS NULL OR at >= first_month::timestamp AT TIME ZONE 'UTC' HAVING count(*) > 0;
    -- Nobody else writes clicks or visitors meanwhile, so what is looked at here is still so when it is written.
    WITH given AS MATERIALIZED (
        SELECT g.*, (g.at AT TIME ZONE 'UTC')::date AS day, NOT (g.is_bot OR g.is_prefetch) AS is_person,
            l.partner_id, l.programme_id, e.id AS enrolment_id
        FROM unnest(tenants, ids, record_clicks.links, times, visitors, bots, prefetches, devices, browsers, countries, referrers)
            AS g (tenant_id, id, link_id, at, visitor, is_bot, is_prefetch, device, browser, country, referrer)
        JOIN links l ON l.tenant_id = g.tenant_id AND l.id = g.link_id
        JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        WHERE (first_month IS NULL OR g.at >= first_month::timestamp AT TIME ZONE 'UTC')
            AND NOT EXISTS (SELECT FROM link_clicks c WHERE c.tenant_id = g.tenant_id AND c.id = g.id)),
    marked AS MATERIALIZED (
        SELECT g.*,
            g.is_person AND (
                coalesce(g.at < lag(g.at) OVER same + interval '1 hour', false)
                OR coalesce(g.at < v.last_at + interval '1 hour' AND g.at > v.last_at - interval '1 hour', false)) AS is_repeat,
            v.visitor IS NOT NULL AS is_known,
            g.is_person AND v.visitor IS NULL AND lag(g.day) OVER same IS DISTINCT FROM g.day AS is_first_of_day
        FROM given g
        LEFT JOIN link_visitors v ON v.tenant_id = g.tenant_id AND v.day = g.day AND v.link_id = g.link_id AND v.visitor = g.visitor
        WINDOW same AS (PARTITION BY g.visitor, g.link_id, g.is_person ORDER BY g.id)),
    added AS (
        INSERT INTO link_clicks (tenant_id, id, link_id, partner_id, programme_id, at, visitor, is_bot, is_prefetch, is_repeat, device,
                browser, country, referrer)
            SELECT tenant_id, id, link_id, partner_id, programme_id, at, visitor, is_bot, is_prefetch, is_repeat, nullif(device, ''),
                nullif(browser, ''), nullif(country, ''), nullif(referrer, '')
            FROM marked
            ON CONFLICT DO NOTHING),
    newcomers AS (
        INSERT INTO link_visitors (tenant_id, day, link_id, visitor, last_at)
            SELECT tenant_id, day, link_id, visitor, max(at) FROM marked WHERE is_person AND NOT is_known GROUP BY 1, 2, 3, 4),
    others AS (
        UPDATE link_visitors v SET last_at = greatest(v.last_at, m.at) FROM (
                SELECT tenant_id, day, link_id, visitor, max(at) AS at FROM marked WHERE is_person AND is_known GROUP BY 1, 2, 3, 4) m
            WHERE v.tenant_id = m.tenant_id AND v.day = m.day AND v.link_id = m.link_id AND v.visitor = m.visitor),
    totals AS (
        INSERT INTO link_click_totals AS t (tenant_id, partner_id, scope_id, grain, starts_at, clicks, visitors)
            SELECT c.tenant_id, c.partner_id, s.scope_id, g.grain, g.starts_at, sum(c.clicks), sum(c.visitors)
            FROM (SELECT tenant_id, partner_id, link_id, enrolment_id, date_bin('15 minutes', at, 'epoch'::timestamptz) AS quarter,
                    count(*) FILTER (WHERE NOT is_repeat) AS clicks, count(*) FILTER (WHERE is_first_of_day) AS visitors
                FROM marked WHERE is_person GROUP BY 1, 2, 3, 4, 5) c
            CROSS JOIN LATERAL (VALUES (c.link_id), (c.enrolment_id), (c.partner_id)) AS s (scope_id)
            CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', date_trunc('day', c.quarter, 'UTC')), ('quarter_hour', c.quarter))
                AS g (grain, starts_at)
            WHERE c.clicks > 0 OR c.visitors > 0
            GROUP BY 1, 2, 3, 4, 5
            ON CONFLICT (tenant_id, scope_id, grain, starts_at)
                DO UPDATE SET clicks = t.clicks + excluded.clicks, visitors = t.visitors + excluded.visitors)
    SELECT count(*) INTO written FROM marked;
    RETURN written;
END $$;
CREATE OR REPLACE FUNCTION forget_clicks(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month date;
    count integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(x'706f7274616c0006'::bigint);
    DELETE FROM link_visitors WHERE day < current_date - 1;
    DELETE FROM visitor_keys WHERE day < current_date - 1;
    -- Dropping a table waits for all who read clicks, and all who come after wait for it: rather try again later.
    PERFORM set_config('lock_timeout', '1s', true);
    FOR month IN SELECT m FROM click_months() AS m WHERE m + interval '1 month' <= before LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I', 'link_clicks_' || to_char(month, 'YYYY_MM'));
        count := count + 1;
    END LOOP;
    RETURN count;
EXCEPTION WHEN lock_not_available THEN
    -- What was deleted above is taken back with it: once more, without the tables.
    DELETE FROM link_visitors WHERE day < current_date - 1;
    DELETE FROM visitor_keys WHERE day < current_date - 1;
    RETURN 0;
END $$;
DROP TABLE link_click_news, link_click_parts;
DROP INDEX link_clicks_link_idx;
