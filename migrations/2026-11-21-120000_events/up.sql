-- What has changed, for those who watch: subscriptions are served from here, and replay from here what they missed.
--
-- A row tells of a change, not what it was: whoever is told reads the subject with rights of their own. Numbers that are drawn when rows are
-- written become visible out of order, and a reader who remembers the highest one it has seen would miss rows; so an event gets
-- its place afterwards, from publish_events(), which runs once at a time and sees what is committed.
CREATE DOMAIN event_kind AS text CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance'));

CREATE SEQUENCE event_places;

CREATE TABLE events (
    tenant_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    partner_id uuid NOT NULL,
    kind event_kind NOT NULL,
    subject_id uuid NOT NULL,
    transaction bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    place bigint,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT events_pkey PRIMARY KEY (tenant_id, id)
);
-- One transaction changes a thing once for those who watch.
CREATE UNIQUE INDEX events_once_idx ON events (tenant_id, transaction, kind, subject_id) WHERE place IS NULL;
CREATE INDEX events_waiting_idx ON events (id) WHERE place IS NULL;
CREATE UNIQUE INDEX events_place_idx ON events (place) WHERE place IS NOT NULL;
CREATE INDEX events_partner_idx ON events (tenant_id, partner_id, kind, place) WHERE place IS NOT NULL;
CREATE INDEX events_tenant_idx ON events (tenant_id, kind, place) WHERE place IS NOT NULL;
COMMENT ON TABLE events IS 'What has changed, in the order in which watchers are told; rows are added, given a place, and forgotten after a time. No foreign keys: a row comes from a trigger on the row that it is about';
COMMENT ON COLUMN events.subject_id IS 'The lead, commission or payout; for a balance the partner';
COMMENT ON COLUMN events.transaction IS 'Which transaction made the change, while the event waits for its place';
COMMENT ON COLUMN events.place IS 'Its place in the order of all events; null until it is published. Cursors hold it';

ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY events_partner ON events TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY events_staff ON events TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON events TO portal_partner, portal_operator, portal_service;

-- Says to whoever publishes that there is something. Only where nothing else waits already: a transaction that notifies takes its turn with
-- all others that do, to the end of its commit, and many small ones would wait for each other. Whoever publishes looks by itself a few times
-- a second too, for the one whose neighbour was published while it was not committed yet.
CREATE FUNCTION events_say(is_first boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_first THEN
        NOTIFY portal_events_waiting;
    END IF;
END $$;
COMMENT ON FUNCTION events_say(boolean) IS 'Tells whoever publishes, if this is the first event that waits';

-- After a statement that changed rows of a table whose subject is the row itself. The kind is the trigger's argument.
CREATE FUNCTION events_raise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_first boolean := NOT EXISTS (SELECT FROM events WHERE place IS NULL);
BEGIN
    -- Filling a database with made-up rows is nothing to watch.
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    INSERT INTO events (tenant_id, partner_id, kind, subject_id)
        SELECT tenant_id, partner_id, TG_ARGV[0], id FROM changed
        ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING;
    PERFORM events_say(FOUND AND is_first);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION events_raise() IS 'Adds an event for each changed row, and says so to whoever publishes';

CREATE TRIGGER partner_leads_event_insert AFTER INSERT ON partner_leads REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('lead');
CREATE TRIGGER partner_leads_event_update AFTER UPDATE ON partner_leads REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('lead');
CREATE TRIGGER partner_commission_events_event_insert AFTER INSERT ON partner_commission_events REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('commission');
CREATE TRIGGER partner_commission_events_event_update AFTER UPDATE ON partner_commission_events REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('commission');
CREATE TRIGGER partner_payouts_event_insert AFTER INSERT ON partner_payouts REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('payout');
CREATE TRIGGER partner_payouts_event_update AFTER UPDATE ON partner_payouts REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION events_raise('payout');

CREATE FUNCTION events_raise_balance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_first boolean := NOT EXISTS (SELECT FROM events WHERE place IS NULL);
BEGIN
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    INSERT INTO events (tenant_id, partner_id, kind, subject_id)
        VALUES (NEW.tenant_id, NEW.partner_id, 'credit_balance', NEW.partner_id)
        ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING;
    PERFORM events_say(FOUND AND is_first);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION events_raise_balance() IS 'Adds an event for a partner whose credits have changed';

CREATE TRIGGER accounts_event_insert AFTER INSERT ON accounts FOR EACH ROW
    WHEN (NEW.unit = 'CREDIT' AND NEW.kind = 'available') EXECUTE FUNCTION events_raise_balance();
CREATE TRIGGER accounts_event_update AFTER UPDATE OF balance ON accounts FOR EACH ROW
    WHEN (NEW.unit = 'CREDIT' AND NEW.kind = 'available') EXECUTE FUNCTION events_raise_balance();

-- Gives events that are committed their places, in one transaction at a time: the lock is let go once those places are visible.
CREATE FUNCTION publish_events(most bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    published bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(x'706f7274616c0005'::bigint);
    WITH waiting AS MATERIALIZED (SELECT tenant_id, id FROM events WHERE place IS NULL ORDER BY id LIMIT most),
        placed AS MATERIALIZED (SELECT tenant_id, id, nextval('event_places') AS place FROM waiting)
    UPDATE events e SET place = p.place FROM placed p WHERE e.tenant_id = p.tenant_id AND e.id = p.id;
    GET DIAGNOSTICS published = ROW_COUNT;
    IF published > 0 THEN
        NOTIFY portal_events;
    END IF;
    RETURN published;
END $$;
COMMENT ON FUNCTION publish_events(bigint) IS 'Gives so many waiting events their places, the oldest first; gives how many it were';

-- For the server's one listener, which serves the callers of all tenants: what has changed where, and nothing of what it is.
CREATE FUNCTION published_events(after bigint, most bigint)
    RETURNS TABLE (place bigint, tenant_id uuid, partner_id uuid, kind text, subject_id uuid, at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT place, tenant_id, partner_id, kind::text, subject_id, at FROM events WHERE place > after ORDER BY place LIMIT most
$$;
COMMENT ON FUNCTION published_events(bigint, bigint) IS 'The events after a place, in their order';

-- From which place on nothing is forgotten, and up to which there is something: a cursor before the first has missed what nobody knows.
CREATE FUNCTION event_bounds(OUT first bigint, OUT last bigint) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(min(place), 0), coalesce(max(place), 0) FROM events
$$;
COMMENT ON FUNCTION event_bounds() IS 'The places of the first event that is kept, and of the last';

-- The last one stays, whatever its age: it says how far the order has come.
CREATE FUNCTION forget_events(before timestamptz, most bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    -- From the beginning of the order up to the first that is young enough: what is kept has no gaps, and no more rows are looked at than
    -- may be deleted.
    WITH oldest AS MATERIALIZED (
            SELECT e.place, e.at FROM events e WHERE e.place < (SELECT max(place) FROM events) ORDER BY e.place LIMIT most),
        kept AS (SELECT min(o.place) AS place FROM oldest o WHERE o.at >= before)
    DELETE FROM events WHERE place IN (
        SELECT o.place FROM oldest o WHERE o.place < coalesce((SELECT kept.place FROM kept), 9223372036854775807));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
COMMENT ON FUNCTION forget_events(timestamptz, bigint) IS 'Deletes so many events from before a time; gives how many it were';

REVOKE ALL ON FUNCTION events_raise(), events_raise_balance(), events_say(boolean), publish_events(bigint), published_events(bigint, bigint), event_bounds(), forget_events(timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publish_events(bigint), published_events(bigint, bigint), forget_events(timestamptz, bigint) TO portal_app;
GRANT EXECUTE ON FUNCTION event_bounds() TO portal_app, portal_partner, portal_operator, portal_service;
