-- Clicks as lists, by where they came from, and as they happen.
SET LOCAL lock_timeout = '60s';

CREATE INDEX link_clicks_link_idx ON link_clicks (tenant_id, link_id, at, id);

CREATE TABLE link_click_parts (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    day date NOT NULL,
    dimension text NOT NULL,
    value text NOT NULL,
    clicks bigint NOT NULL,
    CONSTRAINT link_click_parts_pkey PRIMARY KEY (tenant_id, scope_id, dimension, day, value),
    CONSTRAINT link_click_parts_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_click_parts_dimension_known CHECK (dimension IN ('referrer', 'country', 'device', 'browser'))
);
CREATE INDEX link_click_parts_day_idx ON link_click_parts (day);
COMMENT ON TABLE link_click_parts IS 'Clicks that count by referrer, country, device and browser: of each link, each enrolment and each partner, by day (UTC); kept as long as the clicks';
COMMENT ON COLUMN link_click_parts.scope_id IS 'The link, the enrolment or the partner';
COMMENT ON COLUMN link_click_parts.value IS 'The referrer''s host, the country and so on; empty where it is unknown';
ALTER TABLE link_click_parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY link_click_parts_partner ON link_click_parts FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY link_click_parts_staff ON link_click_parts FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON link_click_parts TO portal_partner, portal_operator, portal_service;

-- Clicks from before have their parts too.
INSERT INTO link_click_parts (tenant_id, partner_id, scope_id, day, dimension, value, clicks)
    SELECT c.tenant_id, c.partner_id, s.scope_id, (c.at AT TIME ZONE 'UTC')::date, d.dimension, coalesce(d.value, ''), count(*)
    FROM link_clicks c
    JOIN enrolments e ON e.tenant_id = c.tenant_id AND e.partner_id = c.partner_id AND e.programme_id = c.programme_id
    CROSS JOIN LATERAL (VALUES (c.link_id), (e.id), (c.partner_id)) AS s (scope_id)
    CROSS JOIN LATERAL (VALUES ('referrer', c.referrer), ('country', c.country), ('device', c.device), ('browser', c.browser)) AS d (dimension, value)
    WHERE NOT (c.is_bot OR c.is_prefetch OR c.is_repeat)
    GROUP BY 1, 2, 3, 4, 5, 6;

-- The partners whose links have new clicks that no event has announced yet, and when one last did: at most once a second.
CREATE TABLE link_click_news (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    is_new boolean NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT link_click_news_pkey PRIMARY KEY (tenant_id, partner_id)
);
CREATE INDEX link_click_news_new_idx ON link_click_news (announced_at) WHERE is_new;
COMMENT ON TABLE link_click_news IS 'Partners whose links have clicks that no event has announced yet; no caller reads it';
ALTER TABLE link_click_news ENABLE ROW LEVEL SECURITY;

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
    DELETE FROM link_click_parts WHERE day < date_trunc('month', before);
    RETURN count;
EXCEPTION WHEN lock_not_available THEN
    -- What was deleted above is taken back with it: once more, without the tables.
    DELETE FROM link_visitors WHERE day < current_date - 1;
    DELETE FROM visitor_keys WHERE day < current_date - 1;
    RETURN 0;
END $$;

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
                DO UPDATE SET clicks = t.clicks + excluded.clicks, visitors = t.visitors + excluded.visitors),
    parts AS (
        INSERT INTO link_click_parts AS t (tenant_id, partner_id, scope_id, day, dimension, value, clicks)
            SELECT m.tenant_id, m.partner_id, s.scope_id, m.day, d.dimension, coalesce(d.value, ''), count(*)
            FROM marked m
            CROSS JOIN LATERAL (VALUES (m.link_id), (m.enrolment_id), (m.partner_id)) AS s (scope_id)
            CROSS JOIN LATERAL (VALUES ('referrer', m.referrer), ('country', m.country), ('device', m.device), ('browser', m.browser))
                AS d (dimension, value)
            WHERE m.is_person AND NOT m.is_repeat
            GROUP BY 1, 2, 3, 4, 5, 6
            ON CONFLICT (tenant_id, scope_id, dimension, day, value) DO UPDATE SET clicks = t.clicks + excluded.clicks),
    news AS (
        INSERT INTO link_click_news AS n (tenant_id, partner_id, is_new)
            SELECT DISTINCT tenant_id, partner_id, true FROM marked WHERE is_person AND NOT is_repeat
            ON CONFLICT (tenant_id, partner_id) DO UPDATE SET is_new = true WHERE NOT n.is_new)
    SELECT count(*) INTO written FROM marked;
    RETURN written;
END $$;

-- A server of the previous version knows four kinds of events. It receives the new ones as events of a commission that does not exist, and skips them.
ALTER DOMAIN event_kind DROP CONSTRAINT event_kind_check;
ALTER DOMAIN event_kind ADD CONSTRAINT event_kind_known
    CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance', 'clicks', 'sign_up')) NOT VALID;
ALTER FUNCTION published_events_from(bigint, bigint) RENAME TO events_from;
GRANT EXECUTE ON FUNCTION events_from(bigint, bigint) TO portal_app;
CREATE FUNCTION published_events_from(first bigint, most bigint)
    RETURNS TABLE (place bigint, tenant_id uuid, partner_id uuid, kind text, subject_id uuid, at timestamptz, mark bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.place, e.tenant_id, e.partner_id, CASE WHEN e.kind IN ('clicks', 'sign_up') THEN 'commission' ELSE e.kind END, e.subject_id, e.at, e.mark
    FROM events_from(first, most) e
$$;
COMMENT ON FUNCTION published_events_from(bigint, bigint) IS 'The events from a place on, with only the kinds that servers of the previous version know';

CREATE TRIGGER link_sign_ups_event_insert AFTER INSERT ON link_sign_ups REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('sign_up');
CREATE TRIGGER link_sign_ups_event_update AFTER UPDATE ON link_sign_ups REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('sign_up');

-- Several servers may call it at once: rows that another is about to announce are left to it.
CREATE FUNCTION announce_clicks() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_id bigint;
    left_over bigint;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT tenant_id, partner_id FROM link_click_news WHERE is_new AND announced_at <= now() - interval '1 second'
        ORDER BY tenant_id, partner_id FOR UPDATE SKIP LOCKED),
    noted AS (
        UPDATE link_click_news n SET is_new = false, announced_at = now() FROM due d
            WHERE n.tenant_id = d.tenant_id AND n.partner_id = d.partner_id),
    raised AS (
        INSERT INTO events (tenant_id, partner_id, kind, subject_id)
            SELECT tenant_id, partner_id, 'clicks', partner_id FROM due
            ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING
            RETURNING id)
    SELECT min(id) INTO first_id FROM raised;
    PERFORM events_say_of(first_id);
    SELECT count(*) INTO left_over FROM link_click_news WHERE is_new;
    RETURN left_over;
END $$;
COMMENT ON FUNCTION announce_clicks() IS 'Adds an event for each partner whose links have been followed, at most one a second; returns the number of partners that are still to be announced';

REVOKE ALL ON FUNCTION published_events_from(bigint, bigint), announce_clicks() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION published_events_from(bigint, bigint), announce_clicks() TO portal_app;
