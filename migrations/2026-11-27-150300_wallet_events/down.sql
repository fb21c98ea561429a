DROP TRIGGER user_accounts_event_insert ON user_accounts;
DROP TRIGGER user_accounts_event_update ON user_accounts;
DROP FUNCTION events_raise_wallet();
DROP FUNCTION events_from(bigint, bigint);
ALTER FUNCTION all_events_from(bigint, bigint) RENAME TO events_from;
DROP POLICY events_partner ON events;
CREATE POLICY events_partner ON events TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
COMMENT ON COLUMN events.partner_id IS NULL;
DELETE FROM events WHERE kind = 'wallet';
ALTER DOMAIN event_kind DROP CONSTRAINT event_kind_known;
ALTER DOMAIN event_kind ADD CONSTRAINT event_kind_known
    CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance', 'clicks', 'sign_up')) NOT VALID;
