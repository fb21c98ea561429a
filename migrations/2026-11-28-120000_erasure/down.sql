-- People who were erased stay so, but nothing keeps their rows from being named again.
SET LOCAL lock_timeout = '60s';
DROP INDEX users_email_idx;
DROP INDEX customers_email_idx;
DROP TRIGGER webhook_receipts_erased ON webhook_receipts;
DROP FUNCTION webhook_receipts_erased();
DROP FUNCTION erase_person(uuid, uuid[], text[], text[], text, boolean, uuid, timestamptz);
DROP FUNCTION erase_mentions(uuid, uuid[], text[], uuid[], text[], uuid[], text[], text[], person_patterns);
DROP FUNCTION erase_own_rows(uuid, uuid[], person_patterns, boolean, uuid, timestamptz);
DROP FUNCTION person_mentions();
DROP FUNCTION name_person(uuid, uuid[], text, boolean);
DROP FUNCTION person_phone(text);
DROP FUNCTION person_reported(text);
DROP FUNCTION person_body(text, person_patterns, text[], boolean);
DROP FUNCTION person_json(jsonb, person_patterns, text[], boolean, text);
DROP FUNCTION person_text(text, person_patterns, boolean);
DROP FUNCTION person_alternatives(text[]);
DROP TYPE person_patterns;
UPDATE audit_changes SET change = 'updated' WHERE change = 'erased';
ALTER TABLE import_findings DROP CONSTRAINT import_findings_row_fkey;
ALTER TABLE import_findings ADD CONSTRAINT import_findings_row_fkey FOREIGN KEY (tenant_id, source, kind, source_id)
    REFERENCES import_rows (tenant_id, source, kind, source_id) ON DELETE RESTRICT;
ALTER TABLE audit_changes DROP CONSTRAINT audit_changes_change_known;
ALTER TABLE audit_changes ADD CONSTRAINT audit_changes_change_known CHECK (change IN ('created', 'updated', 'removed', 'revealed')) NOT VALID;
CREATE OR REPLACE FUNCTION partner_credits_address_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.status <> 'available' OR NEW.employee_email IS DISTINCT FROM (
        SELECT m.email_key FROM public.partner_members m WHERE m.tenant_id = NEW.tenant_id AND m.id = NEW.member_id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'the address of a credit follows its member while it is available';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER partner_invitations_erased ON partner_invitations;
DROP TRIGGER users_erased ON users;
DROP TRIGGER customers_erased ON customers;
DROP TRIGGER partner_members_erased ON partner_members;
DROP TRIGGER partner_leads_erased ON partner_leads;
DROP FUNCTION erased_stays();
ALTER TABLE partner_invitations DROP COLUMN erased_at;
ALTER TABLE users DROP COLUMN erased_at;
ALTER TABLE customers DROP COLUMN erased_at;
ALTER TABLE partner_members DROP COLUMN erased_at;
ALTER TABLE partner_leads DROP COLUMN erased_at;
