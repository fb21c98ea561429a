-- Clicks: who followed a link, in partitions by month, with totals that are kept as they are written.
SET LOCAL lock_timeout = '60s';

-- Partitioned by id: it is a UUIDv7, which begins with the instant. Without foreign keys, which would be checked row by row: record_clicks()
-- alone writes here, of links that it has just read, and nobody can delete a link.
CREATE TABLE link_clicks (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    link_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    at timestamptz NOT NULL,
    visitor uuid NOT NULL,
    is_bot boolean NOT NULL,
    is_prefetch boolean NOT NULL,
    is_repeat boolean NOT NULL,
    device text,
    browser text,
    country text,
    referrer text,
    CONSTRAINT link_clicks_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT link_clicks_device_known CHECK (device IN ('desktop', 'phone', 'tablet', 'other')),
    CONSTRAINT link_clicks_country_form CHECK (country ~ '^[A-Z]{2}$')
) PARTITION BY RANGE (id);
COMMENT ON TABLE link_clicks IS 'Each time a link was followed; kept for some time, unlike the totals';
COMMENT ON COLUMN link_clicks.visitor IS 'A keyed hash of address and browser, by a key that is forgotten after its day: the same visitor of the same day';
COMMENT ON COLUMN link_clicks.is_bot IS 'A program followed it, not a person; not counted';
COMMENT ON COLUMN link_clicks.is_prefetch IS 'A browser fetched it ahead of a person who may follow it; not counted';
COMMENT ON COLUMN link_clicks.is_repeat IS 'The same visitor had followed the same link less than an hour before; not counted';
COMMENT ON COLUMN link_clicks.referrer IS 'The host of the page that it was followed from';

-- Who followed which link when, by day: for repeats, and for the number of visitors. No caller reads it.
CREATE TABLE link_visitors (
    tenant_id uuid NOT NULL,
    day date NOT NULL,
    link_id uuid NOT NULL,
    visitor uuid NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT link_visitors_pkey PRIMARY KEY (tenant_id, day, link_id, visitor)
);
CREATE INDEX link_visitors_day_idx ON link_visitors (day);
COMMENT ON TABLE link_visitors IS 'The visitors of each link and day; forgotten after a day';

CREATE TABLE visitor_keys (
    day date NOT NULL CONSTRAINT visitor_keys_pkey PRIMARY KEY,
    key bytea NOT NULL,
    CONSTRAINT visitor_keys_length CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE visitor_keys IS 'The keys by which visitors are hashed, one for each day (UTC); forgotten after a day';

CREATE TABLE link_click_totals (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    grain text NOT NULL,
    starts_at timestamptz NOT NULL,
    clicks bigint NOT NULL,
    visitors bigint NOT NULL,
    CONSTRAINT link_click_totals_pkey PRIMARY KEY (tenant_id, scope_id, grain, starts_at),
    CONSTRAINT link_click_totals_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_click_totals_grain_known CHECK (grain IN ('all', 'day', 'quarter_hour'))
);
COMMENT ON TABLE link_click_totals IS 'Clicks that count and visitors: of each link, each enrolment and each partner, from the beginning, by day (UTC) and by quarter of an hour';
COMMENT ON COLUMN link_click_totals.scope_id IS 'The link, the enrolment or the partner';
COMMENT ON COLUMN link_click_totals.starts_at IS 'The beginning of the day or the quarter of an hour; 1970 for all';

ALTER TABLE link_clicks ENABLE ROW LEVEL SECURITY;
ALTER TABLE link_visitors ENABLE ROW LEVEL SECURITY;
ALTER TABLE visitor_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE link_click_totals ENABLE ROW LEVEL SECURITY;
CREATE POLICY link_clicks_partner ON link_clicks FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY link_clicks_staff ON link_clicks FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY link_click_totals_partner ON link_click_totals FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY link_click_totals_staff ON link_click_totals FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON link_clicks, link_click_totals TO portal_partner, portal_operator, portal_service;

-- What a redirect needs of a link. It comes from anybody, before there is any caller.
CREATE FUNCTION find_link(host text, key text)
    RETURNS TABLE (tenant_id uuid, id uuid, partner_id uuid, url text, utm_source text, utm_medium text, utm_campaign text, utm_term text, utm_content text,
        expires_at timestamptz, expired_url text, is_archived boolean, is_counted boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.tenant_id, l.id, l.partner_id, l.url, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_term, l.utm_content, l.expires_at, l.expired_url,
        l.archived_at IS NOT NULL, p.status <> 'closed' AND e.status IN ('pending', 'approved')
    FROM links l
    JOIN partners p ON p.tenant_id = l.tenant_id AND p.id = l.partner_id
    JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
    WHERE coalesce(l.host, '') = find_link.host AND lower(l.key) = lower(find_link.key)
$$;
COMMENT ON FUNCTION find_link(text, text) IS 'Where the link of a key leads, and whether its clicks count';

CREATE FUNCTION all_link_hosts() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT host FROM link_hosts
$$;
COMMENT ON FUNCTION all_link_hosts() IS 'The hosts of all tenants that lead to links';

-- Redirects cache links. They are notified of a link by its host and key, of all links of a partner by its id, and of hosts by a star.
CREATE FUNCTION links_say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('portal_links', coalesce(NEW.host, '') || '/' || lower(NEW.key));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION links_say() IS 'Notifies the redirects of a link that has changed';
CREATE TRIGGER links_say AFTER UPDATE ON links FOR EACH ROW EXECUTE FUNCTION links_say();
CREATE FUNCTION links_say_partner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('portal_links', '@' || (to_jsonb(NEW) ->> TG_ARGV[0]));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION links_say_partner() IS 'Notifies the redirects that the links of a partner may lead elsewhere';
CREATE TRIGGER partners_say_links AFTER UPDATE OF status ON partners FOR EACH ROW
    WHEN ((OLD.status = 'closed') <> (NEW.status = 'closed')) EXECUTE FUNCTION links_say_partner('id');
CREATE TRIGGER enrolments_say_links AFTER UPDATE OF status ON enrolments FOR EACH ROW
    WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION links_say_partner('partner_id');

CREATE FUNCTION links_say_hosts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY portal_links, '*';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION links_say_hosts() IS 'Notifies the redirects that there are other hosts';
CREATE TRIGGER link_hosts_say AFTER INSERT OR UPDATE OR DELETE ON link_hosts FOR EACH STATEMENT EXECUTE FUNCTION links_say_hosts();

CREATE FUNCTION visitor_key(of_day date) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO visitor_keys (day, key) VALUES (of_day, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING;
    RETURN (SELECT key FROM visitor_keys WHERE day = of_day);
END $$;
COMMENT ON FUNCTION visitor_key(date) IS 'The key by which the visitors of a day are hashed, made where there is none yet';

-- The first UUIDv7 of an instant.
CREATE FUNCTION first_uuid(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
COMMENT ON FUNCTION first_uuid(timestamptz) IS 'The least UUIDv7 of an instant (RFC 9562, section 5.7), to the millisecond';

CREATE FUNCTION prepare_click_months(months date[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month date;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(x'706f7274616c0006'::bigint);
    FOR month IN SELECT DISTINCT date_trunc('month', day)::date FROM unnest(months) AS given (day) ORDER BY 1 LOOP
        name := 'link_clicks_' || to_char(month, 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            -- Attached once it is made: that waits for nobody who writes or reads clicks.
            EXECUTE format('CREATE TABLE %I (LIKE link_clicks INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
            EXECUTE format('ALTER TABLE link_clicks ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                first_uuid(month::timestamp AT TIME ZONE 'UTC'), first_uuid((month + interval '1 month')::timestamp AT TIME ZONE 'UTC'));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION prepare_click_months(date[]) IS 'Makes the partitions of clicks for the months of these days that have none yet';

CREATE FUNCTION click_months() RETURNS SETOF date LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT to_date(right(c.relname, 7), 'YYYY_MM') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'link_clicks'::regclass
$$;
COMMENT ON FUNCTION click_months() IS 'The months whose clicks are kept';

CREATE FUNCTION forget_clicks(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
COMMENT ON FUNCTION forget_clicks(date) IS 'Drops the clicks of months that ended before a day, and forgets visitors and keys of days gone by; gives how many months it were';

-- Writes clicks, each once by its id, with their totals; within one call no id may come twice. One writer at a time: no two wait for each
-- other, and a repeat is seen.
CREATE FUNCTION record_clicks(tenants uuid[], ids uuid[], links uuid[], times timestamptz[], visitors uuid[], bots boolean[],
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
COMMENT ON FUNCTION record_clicks(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[]) IS 'Writes clicks that are not there yet, with their totals; gives how many they were';

REVOKE ALL ON FUNCTION find_link(text, text), all_link_hosts(), links_say(), links_say_partner(), links_say_hosts(), visitor_key(date),
    prepare_click_months(date[]), click_months(), forget_clicks(date), record_clicks(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[])
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_link(text, text), all_link_hosts(), visitor_key(date), prepare_click_months(date[]), forget_clicks(date),
    record_clicks(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[])
    TO portal_app;
