-- The histories name the impersonator of a user. A transaction that writes for them says so in app.impersonator, and every history
-- takes it up by itself.
SET LOCAL lock_timeout = '60s';
ALTER TABLE lead_status_changes ADD COLUMN impersonator text;
ALTER TABLE lead_status_changes ALTER COLUMN impersonator SET DEFAULT nullif(current_setting('app.impersonator', true), '');
ALTER TABLE partner_payout_changes ADD COLUMN impersonator text;
ALTER TABLE partner_payout_changes ALTER COLUMN impersonator SET DEFAULT nullif(current_setting('app.impersonator', true), '');
ALTER TABLE partner_moves ADD COLUMN impersonator text;
ALTER TABLE partner_moves ALTER COLUMN impersonator SET DEFAULT nullif(current_setting('app.impersonator', true), '');
COMMENT ON COLUMN lead_status_changes.impersonator IS 'The act.sub claim of the token: who acted in the name of changed_by';
COMMENT ON COLUMN partner_payout_changes.impersonator IS 'The act.sub claim of the token: who acted in the name of changed_by';
COMMENT ON COLUMN partner_moves.impersonator IS 'The act.sub claim of the token: who acted in the name of moved_by';
