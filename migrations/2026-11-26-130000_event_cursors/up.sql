-- A cursor in the order of changes names one event of one history. After a restore, a promotion or a move, another event can have the place of
-- one that a client knows; a cursor from before is then refused, where it used to skip what the client had never seen.
-- (published_events(bigint, bigint) and event_bounds() are still there for servers of the version before.)
--
-- A cursor is an event's place and its mark: a digest of the event itself and of the history that it belongs to. The server encrypts both
-- with a key that is kept here, so that all servers of one database understand each other's cursors, and clients read nothing from them.

-- Distinguishes one history of the database from another: a cluster has an identifier of its own, a promotion or a restore to a point in time
-- begins a new timeline, and a dump that is restored makes the table anew. A disk that was put back changes none of them: there the events
-- themselves tell, of which the mark has a digest too. In recovery the timeline is that of the last restart point.
CREATE FUNCTION event_epoch() RETURNS bytea LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT sha256(convert_to(concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
        CASE WHEN pg_is_in_recovery() THEN (SELECT to_hex(timeline_id) FROM pg_control_checkpoint())
            ELSE to_hex(('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer) END,
        to_regclass('public.events')::oid), 'UTF8'))
$$;
COMMENT ON FUNCTION event_epoch() IS 'Which history of the database this is: a digest of cluster, timeline and table';

CREATE FUNCTION event_mark(epoch bytea, id bigint, subject_id uuid, at timestamptz) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substr(sha256(epoch || int8send(id) || uuid_send(subject_id) || timestamptz_send(at)), 1, 8)
$$;
COMMENT ON FUNCTION event_mark(bytea, bigint, uuid, timestamptz) IS 'The first eight bytes of a digest of an event and its epoch';

-- For the server's one listener. The event at `first` is included: the listener compares it with the last event that it has sent to
-- subscribers.
CREATE FUNCTION published_events_from(first bigint, most bigint)
    RETURNS TABLE (place bigint, tenant_id uuid, partner_id uuid, kind text, subject_id uuid, at timestamptz, mark bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.place, e.tenant_id, e.partner_id, e.kind::text, e.subject_id, e.at,
            event_mark((SELECT event_epoch()), e.id, e.subject_id, e.at)
        FROM events e WHERE e.place >= first ORDER BY e.place LIMIT most
$$;
COMMENT ON FUNCTION published_events_from(bigint, bigint) IS 'The events from a place on, in their order';

-- Before the first event there is place 0, whose mark is of the epoch alone. It counts while nothing has been forgotten.
CREATE FUNCTION event_at(asked bigint, OUT last bigint, OUT mark bytea) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce((SELECT max(place) FROM events), 0),
        CASE WHEN asked > 0 THEN (SELECT event_mark(event_epoch(), id, subject_id, at) FROM events WHERE place = asked)
            WHEN (SELECT min(place) FROM events) > 1 THEN NULL
            ELSE substr(event_epoch(), 1, 8) END
$$;
COMMENT ON FUNCTION event_at(bigint) IS 'The place of the last event, and the mark of the event at a place; NULL where none is kept there';

CREATE FUNCTION last_event_mark(OUT place bigint, OUT mark bytea) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT last, (event_at(last)).mark FROM event_at(0)
$$;
COMMENT ON FUNCTION last_event_mark() IS 'The place of the last event, and its mark';

CREATE TABLE event_cursor_keys (
    is_only boolean NOT NULL DEFAULT true,
    key bytea NOT NULL,
    CONSTRAINT event_cursor_keys_pkey PRIMARY KEY (is_only),
    CONSTRAINT event_cursor_keys_only CHECK (is_only),
    CONSTRAINT event_cursor_keys_length CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE event_cursor_keys IS 'The one key that cursors of changes are encrypted with, the same for all servers of this database';
ALTER TABLE event_cursor_keys ENABLE ROW LEVEL SECURITY;
-- From PostgreSQL's strong source of randomness: two UUIDs have 244 bits of it.
INSERT INTO event_cursor_keys (key) SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

CREATE FUNCTION event_cursor_key() RETURNS bytea LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT key FROM event_cursor_keys
$$;
COMMENT ON FUNCTION event_cursor_key() IS 'The key that cursors of changes are encrypted with';

REVOKE ALL ON FUNCTION event_epoch(), event_mark(bytea, bigint, uuid, timestamptz), published_events_from(bigint, bigint), event_at(bigint),
    last_event_mark(), event_cursor_key() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION published_events_from(bigint, bigint), event_cursor_key() TO portal_app;
GRANT EXECUTE ON FUNCTION event_epoch(), event_mark(bytea, bigint, uuid, timestamptz), event_at(bigint), last_event_mark()
    TO portal_app, portal_partner, portal_operator, portal_service;
