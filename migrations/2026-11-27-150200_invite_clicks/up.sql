-- Invite links: they lead to the tenant's sign-up page, and are counted like links.
SET LOCAL lock_timeout = '60s';

ALTER TABLE tenants ADD COLUMN sign_up_url text, ADD CONSTRAINT tenants_sign_up_url_form CHECK (sign_up_url ~ '^https?://[^[:space:]]+$' AND char_length(sign_up_url) <= 2000);
COMMENT ON COLUMN tenants.sign_up_url IS 'The page on which people sign up, to which invite links lead; NULL where there is none';

CREATE FUNCTION find_invitation(code text) RETURNS TABLE (tenant_id uuid, user_id uuid, shown text, url text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, c.user_id, c.code, t.sign_up_url FROM invite_codes c JOIN tenants t ON t.id = c.tenant_id
    WHERE c.code_key = invite_code_key(find_invitation.code) AND t.sign_up_url IS NOT NULL
$$;
COMMENT ON FUNCTION find_invitation(text) IS 'Whose invite code it is, and where it leads';
-- Redirects cache invitations beside links, under the tenant in place of a partner.
CREATE FUNCTION tenants_say_invitations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('portal_links', '@' || NEW.id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tenants_say_invitations() IS 'Notifies the redirects that the invitations of a tenant lead elsewhere';
CREATE TRIGGER tenants_say_invitations AFTER UPDATE OF sign_up_url ON tenants FOR EACH ROW
    WHEN (OLD.sign_up_url IS DISTINCT FROM NEW.sign_up_url) EXECUTE FUNCTION tenants_say_invitations();

CREATE TABLE invite_clicks (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    at timestamptz NOT NULL,
    visitor uuid NOT NULL,
    is_bot boolean NOT NULL,
    is_prefetch boolean NOT NULL,
    is_repeat boolean NOT NULL,
    CONSTRAINT invite_clicks_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT invite_clicks_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX invite_clicks_visitor_idx ON invite_clicks (tenant_id, user_id, visitor, at);
CREATE INDEX invite_clicks_at_idx ON invite_clicks (at);
COMMENT ON TABLE invite_clicks IS 'Who followed invite links; kept as long as the clicks of links, and read by nobody but the function that counts them';
CREATE TABLE invite_click_totals (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    day date NOT NULL,
    clicks bigint NOT NULL,
    CONSTRAINT invite_click_totals_pkey PRIMARY KEY (tenant_id, user_id, day),
    CONSTRAINT invite_click_totals_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
COMMENT ON TABLE invite_click_totals IS 'How often people followed a user''s invite links, by day (UTC), without programs, what is fetched ahead, and repeats within an hour';

CREATE FUNCTION record_visits(tenants uuid[], ids uuid[], subjects uuid[], times timestamptz[], visitors uuid[], bots boolean[], prefetches boolean[],
    devices text[], browsers text[], countries text[], referrers text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    written bigint := record_clicks(tenants, ids, subjects, times, visitors, bots, prefetches, devices, browsers, countries, referrers);
    of_invitations bigint;
BEGIN
    -- record_clicks() has taken the lock under which nobody else writes clicks, and has left out what is of no link.
    WITH given AS MATERIALIZED (
        SELECT g.*, NOT (g.is_bot OR g.is_prefetch) AS is_person
        FROM unnest(tenants, ids, subjects, times, visitors, bots, prefetches) AS g (tenant_id, id, user_id, at, visitor, is_bot, is_prefetch)
        JOIN users u ON u.tenant_id = g.tenant_id AND u.id = g.user_id
        WHERE NOT EXISTS (SELECT FROM invite_clicks c WHERE c.tenant_id = g.tenant_id AND c.id = g.id)),
    marked AS MATERIALIZED (
        SELECT g.*, g.is_person AND (
            coalesce(g.at < lag(g.at) OVER same + interval '1 hour', false)
            OR EXISTS (SELECT FROM invite_clicks c WHERE c.tenant_id = g.tenant_id AND c.user_id = g.user_id AND c.visitor = g.visitor
                AND NOT (c.is_bot OR c.is_prefetch) AND c.at > g.at - interval '1 hour' AND c.at < g.at + interval '1 hour')) AS is_repeat
        FROM given g WINDOW same AS (PARTITION BY g.visitor, g.user_id, g.is_person ORDER BY g.id)),
    added AS (
        INSERT INTO invite_clicks (tenant_id, id, user_id, at, visitor, is_bot, is_prefetch, is_repeat)
        SELECT tenant_id, id, user_id, at, visitor, is_bot, is_prefetch, is_repeat FROM marked),
    totals AS (
        INSERT INTO invite_click_totals AS t (tenant_id, user_id, day, clicks)
        SELECT tenant_id, user_id, (at AT TIME ZONE 'UTC')::date, count(*) FROM marked WHERE is_person AND NOT is_repeat GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (tenant_id, user_id, day) DO UPDATE SET clicks = t.clicks + EXCLUDED.clicks)
    SELECT count(*) INTO of_invitations FROM marked;
    RETURN written + of_invitations;
END $$;
COMMENT ON FUNCTION record_visits(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[]) IS 'Writes clicks on links and on invite links, whose subject is the user, each once; gives how many were not there before';
CREATE FUNCTION forget_visits(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM invite_clicks WHERE at < date_trunc('month', before) AT TIME ZONE 'UTC';
    RETURN forget_clicks(before);
END $$;
COMMENT ON FUNCTION forget_visits(date) IS 'Forgets the clicks on links and invite links of months that ended before a day; gives how many months of links were forgotten';

REVOKE ALL ON FUNCTION find_invitation(text), tenants_say_invitations(), forget_visits(date),
    record_visits(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_invitation(text), forget_visits(date),
    record_visits(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[]) TO portal_app;
ALTER TABLE invite_clicks ENABLE ROW LEVEL SECURITY;
ALTER TABLE invite_click_totals ENABLE ROW LEVEL SECURITY;
CREATE POLICY invite_click_totals_own ON invite_click_totals FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND user_id = (SELECT current_setting('app.user_id')::uuid));
CREATE POLICY invite_click_totals_staff ON invite_click_totals FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON invite_click_totals TO portal_partner, portal_operator, portal_service;
