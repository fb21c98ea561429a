DO $migration$
BEGIN
    EXECUTE replace(pg_get_functiondef('allocate_partner_credit(uuid, text, text, integer, integer)'::regprocedure),
        'public.email_key(address)', 'lower(address COLLATE "C")');
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        'public.email_key(verified_email)', 'lower(verified_email COLLATE "C")');
END $migration$;
DROP FUNCTION portal_is_invited(uuid, text);
DROP TRIGGER partner_members_email_key ON partner_members;
DROP FUNCTION partner_members_email_key();
UPDATE partner_members SET email_key = lower(email COLLATE "C") WHERE email_key <> lower(email COLLATE "C");
-- A generated column again, with all that stands on it.
DO $migration$
BEGIN
    DROP TRIGGER partner_members_address ON partner_members;
    DROP INDEX partner_members_address_idx;
    ALTER TABLE partner_members DROP CONSTRAINT partner_members_email_key, DROP COLUMN email_key;
    ALTER TABLE partner_members
        ADD COLUMN email_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED,
        ADD CONSTRAINT partner_members_email_key UNIQUE (tenant_id, partner_id, email_key);
    CREATE INDEX partner_members_address_idx ON partner_members (tenant_id, email_key);
    CREATE TRIGGER partner_members_address AFTER UPDATE OF email ON partner_members FOR EACH ROW
        WHEN (OLD.email_key <> NEW.email_key) EXECUTE FUNCTION partner_members_address();
END $migration$;
GRANT SELECT (email_key) ON partner_members TO portal_gate;
DROP FUNCTION email_key(text);
DROP FUNCTION punycode(text);
DROP FUNCTION fold_case(text);
