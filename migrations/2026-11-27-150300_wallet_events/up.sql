-- Wallets that change are announced to their users.
SET LOCAL lock_timeout = '60s';
ALTER DOMAIN event_kind DROP CONSTRAINT event_kind_known;
ALTER DOMAIN event_kind ADD CONSTRAINT event_kind_known
    CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance', 'clicks', 'sign_up', 'wallet')) NOT VALID;
COMMENT ON COLUMN events.partner_id IS 'Whose: the partner''s, or of a wallet the user''s';
DROP POLICY events_partner ON events;
CREATE POLICY events_partner ON events TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND partner_id = ANY (ARRAY[(SELECT current_setting('app.partner_id')::uuid), (SELECT current_setting('app.user_id')::uuid)]));

-- A server of the previous version does not know the kind. It receives it as an event of a commission that does not exist, and skips it.
ALTER FUNCTION events_from(bigint, bigint) RENAME TO all_events_from;
CREATE FUNCTION events_from(first bigint, most bigint)
    RETURNS TABLE (place bigint, tenant_id uuid, partner_id uuid, kind text, subject_id uuid, at timestamptz, mark bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.place, e.tenant_id, e.partner_id, CASE e.kind WHEN 'wallet' THEN 'commission' ELSE e.kind END, e.subject_id, e.at, e.mark
    FROM all_events_from(first, most) e
$$;
COMMENT ON FUNCTION events_from(bigint, bigint) IS 'The events from a sequence number on, with only the kinds that servers of the previous version know';

CREATE FUNCTION events_raise_wallet() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    raised bigint;
BEGIN
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    INSERT INTO events (tenant_id, partner_id, kind, subject_id) VALUES (NEW.tenant_id, NEW.user_id, 'wallet', NEW.user_id)
        ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING RETURNING id INTO raised;
    PERFORM events_say_of(raised);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION events_raise_wallet() IS 'Adds an event for a user whose wallet has changed';
CREATE TRIGGER user_accounts_event_insert AFTER INSERT ON user_accounts FOR EACH ROW
    WHEN (NEW.kind = 'wallet' OR NEW.kind = 'pending') EXECUTE FUNCTION events_raise_wallet();
CREATE TRIGGER user_accounts_event_update AFTER UPDATE OF balance ON user_accounts FOR EACH ROW
    WHEN (NEW.kind = 'wallet' OR NEW.kind = 'pending') EXECUTE FUNCTION events_raise_wallet();

REVOKE ALL ON FUNCTION events_from(bigint, bigint), events_raise_wallet() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION events_from(bigint, bigint) TO portal_app;
