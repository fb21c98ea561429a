DROP FUNCTION forget_visits(date);
DROP FUNCTION record_visits(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[]);
DROP TABLE invite_click_totals, invite_clicks;
DROP TRIGGER tenants_say_invitations ON tenants;
DROP FUNCTION tenants_say_invitations();
DROP FUNCTION find_invitation(text);
ALTER TABLE tenants DROP COLUMN sign_up_url;
