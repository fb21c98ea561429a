ALTER TABLE transfers
    ADD CONSTRAINT transfers_from_fkey FOREIGN KEY (tenant_id, partner_id, unit, from_kind) REFERENCES accounts (tenant_id, partner_id, unit, kind) ON DELETE RESTRICT,
    ADD CONSTRAINT transfers_to_fkey FOREIGN KEY (tenant_id, partner_id, unit, to_kind) REFERENCES accounts (tenant_id, partner_id, unit, kind) ON DELETE RESTRICT;
DO $migration$
BEGIN
    EXECUTE regexp_replace(
        pg_get_functiondef('commission_totals_follow()'::regprocedure),
        '    ELSIF EXISTS \(.*?\) THEN\n        -- A commission that has moved', E'    ELSE\n        -- A commission that has moved');
END $migration$;
