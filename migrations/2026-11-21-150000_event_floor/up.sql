-- What it costs to tell of a change, and to publish it, no longer grows with the changes since the oldest snapshot that somebody holds.
--
-- An event that is published leaves the index of those that wait, but its old entry stays until nobody can see it any more: while a report
-- or a backup reads, all entries since its beginning stay. Whoever looked for the first that waits, at every change, went through all of
-- them.

-- Nobody waits among the last few: then whoever publishes has caught up, and is to be told. If only older ones wait, telling once more
-- does no harm.
CREATE FUNCTION events_say_of(first_id bigint) RETURNS void LANGUAGE plpgsql STRICT AS $$
DECLARE
    few CONSTANT bigint := 64;
BEGIN
    IF NOT EXISTS (SELECT FROM events WHERE place IS NULL AND id >= first_id - few AND id < first_id) THEN
        NOTIFY portal_events_waiting;
    END IF;
END $$;
COMMENT ON FUNCTION events_say_of(bigint) IS 'Tells whoever publishes of an event, if there is one and none shortly before it waits too';

CREATE OR REPLACE FUNCTION events_raise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_id bigint;
BEGIN
    -- Filling a database with made-up rows is nothing to watch.
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    WITH raised AS (
        INSERT INTO events (tenant_id, partner_id, kind, subject_id)
            SELECT tenant_id, partner_id, TG_ARGV[0], id FROM changed
            ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING
            RETURNING id)
    SELECT min(id) INTO first_id FROM raised;
    PERFORM events_say_of(first_id);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION events_raise_balance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    own_id bigint;
BEGIN
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    INSERT INTO events (tenant_id, partner_id, kind, subject_id)
        VALUES (NEW.tenant_id, NEW.partner_id, 'credit_balance', NEW.partner_id)
        ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING
        RETURNING id INTO own_id;
    PERFORM events_say_of(own_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION events_say(boolean) IS 'No longer called: for changes that were being made when its callers were replaced';

-- Gives events from an id on that are committed their places, as publish_events(most) does, which servers of the version before call.
--
-- Whoever calls it learns up to where none can come to wait any more. An event's id is drawn by a transaction that has an id of its own:
-- events come from triggers on rows that it has written, and the sequence hands out none in advance (CACHE 1; both must stay so). What had
-- drawn an event's id up to `last_id` had its own before the publishing transaction was given `own`. So once all transactions before that
-- one have ended (`oldest` of a later call is not before `own`), events up to `last_id` are published by that call, or were before.
-- `own` is NULL where the caller's transaction had its id already, and where it would be given one for little.
CREATE FUNCTION publish_events(most bigint, from_id bigint, OUT published bigint, OUT oldest bigint, OUT own bigint, OUT last_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    much CONSTANT bigint := 1000;
    is_fresh boolean := pg_current_xact_id_if_assigned() IS NULL;
BEGIN
    PERFORM pg_advisory_xact_lock(x'706f7274616c0005'::bigint);
    oldest := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
    last_id := coalesce(pg_sequence_last_value('events_id_seq'), 0);
    WITH waiting AS MATERIALIZED (SELECT tenant_id, id FROM events WHERE place IS NULL AND id >= from_id ORDER BY id LIMIT most),
        placed AS MATERIALIZED (SELECT tenant_id, id, nextval('event_places') AS place FROM waiting)
    UPDATE events e SET place = p.place FROM placed p WHERE e.tenant_id = p.tenant_id AND e.id = p.id;
    GET DIAGNOSTICS published = ROW_COUNT;
    IF published > 0 THEN
        NOTIFY portal_events;
    END IF;
    IF is_fresh AND (published > 0 OR last_id >= from_id + much) THEN
        own := pg_current_xact_id()::text::bigint;
    END IF;
END $$;
COMMENT ON FUNCTION publish_events(bigint, bigint) IS 'Gives so many waiting events from an id on their places, the oldest first; gives how many it were, the oldest transaction that had not ended before, its own, and the last id that was drawn before it';

-- event_bounds() goes through all that was forgotten and can still be seen, to find the first; most ask for the last alone.
CREATE FUNCTION last_event() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(max(place), 0) FROM events
$$;
COMMENT ON FUNCTION last_event() IS 'The place of the last event';
REVOKE ALL ON FUNCTION publish_events(bigint, bigint), events_say_of(bigint), last_event() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publish_events(bigint, bigint) TO portal_app;
GRANT EXECUTE ON FUNCTION last_event() TO portal_app, portal_partner, portal_operator, portal_service;
