REVOKE SELECT (id) ON partner_members FROM portal_gate;
DROP TRIGGER partner_members_address ON partner_members;
DROP FUNCTION partner_members_address();
DROP TRIGGER partner_credits_address_insert ON partner_credits;
DROP FUNCTION partner_credits_address();
DROP TRIGGER partner_credits_address_update ON partner_credits;
DROP FUNCTION partner_credits_address_change();
CREATE OR REPLACE FUNCTION partner_credits_count() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    d record;
BEGIN
    FOR d IN
        SELECT tenant_id, allocation_id, coalesce(sum(n) FILTER (WHERE status = 'used'), 0) AS used,
            coalesce(sum(n) FILTER (WHERE status = 'expired'), 0) AS expired, coalesce(sum(n) FILTER (WHERE status = 'revoked'), 0) AS revoked
        FROM (SELECT tenant_id, allocation_id, status, 1 AS n FROM added
              UNION ALL SELECT tenant_id, allocation_id, status, -1 FROM removed) AS moved
        GROUP BY 1, 2 ORDER BY 1, 2
    LOOP
        UPDATE public.credit_allocations a
        SET used = a.used + d.used, expired = a.expired + d.expired, revoked = a.revoked + d.revoked
        WHERE a.tenant_id = d.tenant_id AND a.id = d.allocation_id AND (d.used <> 0 OR d.expired <> 0 OR d.revoked <> 0);
    END LOOP;
    RETURN NULL;
END $$;
ALTER TABLE partner_credits ADD CONSTRAINT partner_credits_redemption_id_fkey
    FOREIGN KEY (tenant_id, redemption_id) REFERENCES credit_redemptions (tenant_id, id) ON DELETE RESTRICT;
DROP INDEX transfers_event_key, transfers_payout_key;
ALTER TABLE credit_allocations ADD CONSTRAINT credit_allocations_partner_key UNIQUE (tenant_id, partner_id, id);
ALTER TABLE transfers
    ADD CONSTRAINT transfers_event_key UNIQUE (tenant_id, event_id, kind),
    ADD CONSTRAINT transfers_payout_key UNIQUE (tenant_id, payout_id, kind, attempt),
    DROP CONSTRAINT transfers_allocation_id_fkey,
    ADD CONSTRAINT transfers_allocation_id_fkey FOREIGN KEY (tenant_id, partner_id, allocation_id)
        REFERENCES credit_allocations (tenant_id, partner_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT transfers_member_id_fkey FOREIGN KEY (tenant_id, partner_id, member_id)
        REFERENCES partner_members (tenant_id, partner_id, id) ON DELETE RESTRICT;
-- What has ended repeats the address of today again.
UPDATE credit_allocations a SET employee_email = m.email_key FROM partner_members m
WHERE m.tenant_id = a.tenant_id AND m.id = a.member_id AND a.employee_email <> m.email_key;
UPDATE partner_credits c SET employee_email = a.employee_email FROM credit_allocations a
WHERE a.tenant_id = c.tenant_id AND a.id = c.allocation_id AND c.employee_email <> a.employee_email;
ALTER TABLE partner_members ADD CONSTRAINT partner_members_address_key UNIQUE (tenant_id, partner_id, id, email_key);
ALTER TABLE partner_credits DROP CONSTRAINT partner_credits_allocation_id_fkey;
ALTER TABLE credit_allocations
    DROP CONSTRAINT credit_allocations_member_id_fkey,
    DROP CONSTRAINT credit_allocations_units_key,
    DROP CONSTRAINT credit_allocations_member_key,
    ADD CONSTRAINT credit_allocations_units_key UNIQUE (tenant_id, partner_id, id, member_id, employee_email, expires_at),
    ADD CONSTRAINT credit_allocations_member_id_fkey FOREIGN KEY (tenant_id, partner_id, member_id, employee_email)
        REFERENCES partner_members (tenant_id, partner_id, id, email_key) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE partner_credits
    ADD CONSTRAINT partner_credits_allocation_id_fkey FOREIGN KEY (tenant_id, partner_id, allocation_id, member_id, employee_email, expires_at)
        REFERENCES credit_allocations (tenant_id, partner_id, id, member_id, employee_email, expires_at) ON UPDATE CASCADE ON DELETE RESTRICT;
DROP FUNCTION post_transfers(uuid, uuid, timestamptz, uuid[], text[], text[], text[], numeric[], text[], uuid[], uuid[], integer[], uuid[], uuid[], uuid[], uuid[]);
DROP TRIGGER transfers_post ON transfers;
CREATE TRIGGER transfers_post BEFORE INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION transfers_post();
