DROP FUNCTION event_cursor_key();
DROP TABLE event_cursor_keys;
DROP FUNCTION last_event_mark();
DROP FUNCTION event_at(bigint);
DROP FUNCTION published_events_from(bigint, bigint);
DROP FUNCTION event_mark(bytea, bigint, uuid, timestamptz);
DROP FUNCTION event_epoch();
