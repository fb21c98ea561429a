-- What one statement posts costs what its transfers cost, and no longer a walk through all accounts for each; and a member's new address
-- changes its unused credits alone.
SET LOCAL lock_timeout = '60s';
LOCK TABLE transfers, accounts, account_days IN ACCESS EXCLUSIVE MODE;

-- Transfers that come with their balances were posted by post_transfers(): no caller may write those columns. All others are still posted
-- one by one, for programs that insert them.
DROP TRIGGER transfers_post ON transfers;
CREATE TRIGGER transfers_post BEFORE INSERT ON transfers FOR EACH ROW WHEN (NEW.from_balance IS NULL) EXECUTE FUNCTION transfers_post();

CREATE FUNCTION post_transfers(
        of_tenant uuid, poster uuid, at timestamptz, partners uuid[], units text[], from_kinds text[], to_kinds text[], amounts numeric[],
        kinds text[], events uuid[], payouts uuid[], attempts integer[], members uuid[], grants uuid[], allocations uuid[], redemptions uuid[])
    RETURNS void
    -- Its statements find single rows by their keys: see transfers_post().
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    latest timestamptz;
    caller text := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
    -- Whoever is not the owner, or may become it, posts for its own tenant alone, as by the policies.
    IF NOT pg_has_role(caller, current_user, 'MEMBER') AND of_tenant IS DISTINCT FROM current_setting('app.tenant_id')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'post_transfers: transfers of another tenant';
    END IF;
    -- Every account is locked, in one order, and time does not run backwards in any.
    SELECT max(a.posted_at) INTO latest FROM (
        SELECT acc.posted_at FROM public.accounts acc
        JOIN (SELECT DISTINCT s.partner, s.unit, s.kind FROM unnest(partners || partners, units || units, from_kinds || to_kinds) AS s (partner, unit, kind)) AS side
            ON acc.tenant_id = of_tenant AND acc.partner_id = side.partner AND acc.unit = side.unit AND acc.kind = side.kind
        ORDER BY acc.partner_id, acc.unit, acc.kind FOR UPDATE OF acc) AS a;
    at := greatest(least(at, clock_timestamp()), latest);
    INSERT INTO public.accounts (tenant_id, partner_id, unit, kind, balance, posted_at)
    SELECT DISTINCT of_tenant, s.partner, s.unit, s.kind, 0, at FROM unnest(partners || partners, units || units, from_kinds || to_kinds) AS s (partner, unit, kind)
    ORDER BY 2, 3, 4
    ON CONFLICT (tenant_id, partner_id, unit, kind) DO NOTHING;

    -- From here on nobody else posts to these accounts, so the numbers that are drawn are within each the order of posting.
    -- Nothing is joined by the sequence: how many transfers there are is not known when the plan is made.
    WITH sides AS MATERIALIZED (
            SELECT n.*, s.is_to, s.side, s.change
            FROM unnest(partners, units, from_kinds, to_kinds, amounts, kinds, events, payouts, attempts, members, grants, allocations, redemptions)
                WITH ORDINALITY AS n (partner, unit, from_kind, to_kind, amount, kind, event, payout, attempt, member, granted, allocation, redemption, sequence)
            CROSS JOIN LATERAL (VALUES (false, n.from_kind, -n.amount), (true, n.to_kind, n.amount)) AS s (is_to, side, change)),
        sums AS MATERIALIZED (
            SELECT partner, unit, side, sum(change) AS change, sum(greatest(-change, 0)) AS debits, sum(greatest(change, 0)) AS credits
            FROM sides GROUP BY 1, 2, 3),
        moved AS (
            UPDATE public.accounts a SET balance = a.balance + s.change, posted_at = at FROM sums s
            WHERE a.tenant_id = of_tenant AND a.partner_id = s.partner AND a.unit = s.unit AND a.kind = s.side
            RETURNING a.partner_id AS partner, a.unit, a.kind::text AS side, a.balance AS closing, s.change AS changed, s.debits, s.credits),
        days AS (
            INSERT INTO public.account_days AS d (tenant_id, partner_id, unit, kind, day, debits, credits, closing)
            SELECT of_tenant, partner, unit, side, (at AT TIME ZONE 'UTC')::date, debits, credits, closing FROM moved
            ON CONFLICT (tenant_id, partner_id, unit, kind, day) DO UPDATE
            SET debits = d.debits + EXCLUDED.debits, credits = d.credits + EXCLUDED.credits, closing = EXCLUDED.closing),
        -- What each account holds after each transfer; then both sides of a transfer in one row.
        run AS (
            SELECT s.*, m.closing - m.changed
                + sum(s.change) OVER (PARTITION BY s.partner, s.unit, s.side ORDER BY s.sequence ROWS UNBOUNDED PRECEDING) AS balance
            FROM sides s JOIN moved m USING (partner, unit, side)),
        whole AS (SELECT *, lead(balance) OVER (PARTITION BY sequence ORDER BY is_to) AS to_balance FROM run)
    INSERT INTO public.transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id, payout_id, attempt, member_id, grant_id,
        allocation_id, redemption_id, from_balance, to_balance, posted_by, posted_at)
    SELECT of_tenant, partner, unit, from_kind, to_kind, amount, kind, event, payout,
        -- What has come back to an allocation can be revoked, and can expire, once more.
        CASE WHEN kind IN ('revoke', 'expire') THEN 1 + (SELECT count(*)::integer FROM public.transfers r
            WHERE r.tenant_id = of_tenant AND r.allocation_id = allocation AND r.kind = 'restore') ELSE attempt END,
        member, granted, allocation, redemption, balance, to_balance, poster, at
    FROM whole WHERE NOT is_to ORDER BY sequence;

    IF NOT EXISTS (SELECT FROM unnest(members) AS m (id) WHERE m.id IS NOT NULL) THEN
        RETURN;
    END IF;
    WITH sides AS (
            SELECT n.partner, n.member, s.kind, sum(s.change) AS change
            FROM unnest(partners, from_kinds, to_kinds, amounts, members) AS n (partner, from_kind, to_kind, amount, member)
            CROSS JOIN LATERAL (VALUES (n.from_kind, -n.amount), (n.to_kind, n.amount)) AS s (kind, change)
            WHERE n.member IS NOT NULL AND s.kind <> 'available' GROUP BY 1, 2, 3),
        there AS (
            UPDATE public.member_accounts a SET balance = a.balance + s.change FROM sides s
            WHERE a.tenant_id = of_tenant AND a.member_id = s.member AND a.kind = s.kind
            RETURNING a.member_id, a.kind)
    INSERT INTO public.member_accounts (tenant_id, partner_id, member_id, kind, balance)
    SELECT of_tenant, s.partner, s.member, s.kind, s.change FROM sides s
    WHERE NOT EXISTS (SELECT FROM there t WHERE t.member_id = s.member AND t.kind = s.kind);
    UPDATE public.partner_members m SET credits_assigned = m.credits_assigned + s.change
    FROM (
        SELECT n.member, sum(CASE n.kind WHEN 'assign' THEN n.amount ELSE -n.amount END) AS change
        FROM unnest(kinds, amounts, members) AS n (kind, amount, member)
        WHERE n.kind IN ('assign', 'revoke') GROUP BY 1) AS s
    WHERE m.tenant_id = of_tenant AND m.id = s.member;
END $$;
COMMENT ON FUNCTION post_transfers(uuid, uuid, timestamptz, uuid[], text[], text[], text[], numeric[], text[], uuid[], uuid[], integer[], uuid[], uuid[], uuid[], uuid[])
    IS 'Posts transfers in their order, all of them or none; runs as its owner because callers may not write balances';
REVOKE ALL ON FUNCTION post_transfers(uuid, uuid, timestamptz, uuid[], text[], text[], text[], numeric[], text[], uuid[], uuid[], integer[], uuid[], uuid[], uuid[], uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION post_transfers(uuid, uuid, timestamptz, uuid[], text[], text[], text[], numeric[], text[], uuid[], uuid[], integer[], uuid[], uuid[], uuid[], uuid[])
    TO portal_operator, portal_service;

-- An address no longer goes down to every credit that was ever assigned: unused ones follow it, by a trigger, and those that have ended keep
-- the address that they had.
ALTER TABLE partner_credits DROP CONSTRAINT partner_credits_allocation_id_fkey;
ALTER TABLE credit_allocations
    DROP CONSTRAINT credit_allocations_member_id_fkey,
    DROP CONSTRAINT credit_allocations_units_key,
    ADD CONSTRAINT credit_allocations_member_key UNIQUE (tenant_id, partner_id, id, member_id),
    ADD CONSTRAINT credit_allocations_units_key UNIQUE (tenant_id, partner_id, id, member_id, expires_at),
    ADD CONSTRAINT credit_allocations_member_id_fkey FOREIGN KEY (tenant_id, partner_id, member_id)
        REFERENCES partner_members (tenant_id, partner_id, id) ON DELETE RESTRICT;
ALTER TABLE partner_credits
    ADD CONSTRAINT partner_credits_allocation_id_fkey FOREIGN KEY (tenant_id, partner_id, allocation_id, member_id, expires_at)
        REFERENCES credit_allocations (tenant_id, partner_id, id, member_id, expires_at) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE partner_members DROP CONSTRAINT partner_members_address_key;
-- One look-up for both, which says besides that the member is the allocation's.
ALTER TABLE transfers
    DROP CONSTRAINT transfers_allocation_id_fkey,
    DROP CONSTRAINT transfers_member_id_fkey,
    ADD CONSTRAINT transfers_allocation_id_fkey FOREIGN KEY (tenant_id, partner_id, allocation_id, member_id)
        REFERENCES credit_allocations (tenant_id, partner_id, id, member_id) ON DELETE RESTRICT;
ALTER TABLE credit_allocations DROP CONSTRAINT credit_allocations_partner_key;
-- Transfers of credits have neither a commission nor a payout, and are not in the indexes of those.
ALTER TABLE transfers DROP CONSTRAINT transfers_event_key, DROP CONSTRAINT transfers_payout_key;
CREATE UNIQUE INDEX transfers_event_key ON transfers (tenant_id, event_id, kind) WHERE event_id IS NOT NULL;
CREATE UNIQUE INDEX transfers_payout_key ON transfers (tenant_id, payout_id, kind, attempt) WHERE payout_id IS NOT NULL;
COMMENT ON COLUMN credit_allocations.employee_email IS 'The member''s address as it is compared; the one that it had at the end once nothing is available';
COMMENT ON COLUMN partner_credits.employee_email IS 'The member''s address as it is compared; the one that it had when the credit ended';

CREATE FUNCTION partner_members_address() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
BEGIN
    UPDATE public.partner_credits SET employee_email = NEW.email_key
    WHERE tenant_id = NEW.tenant_id AND employee_email = OLD.email_key AND status = 'available' AND member_id = NEW.id;
    UPDATE public.credit_allocations SET employee_email = NEW.email_key
    WHERE tenant_id = NEW.tenant_id AND member_id = NEW.id AND available > 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION partner_members_address() IS 'Lets a member''s unused credits follow its address; runs as its owner because callers may not write it';
REVOKE ALL ON FUNCTION partner_members_address() FROM PUBLIC;
CREATE TRIGGER partner_members_address AFTER UPDATE OF email ON partner_members FOR EACH ROW
    WHEN (OLD.email_key <> NEW.email_key) EXECUTE FUNCTION partner_members_address();

-- What the foreign key no longer says.
CREATE FUNCTION partner_credits_address() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT tenant_id, member_id, employee_email FROM added) AS a
        JOIN public.partner_members m ON m.tenant_id = a.tenant_id AND m.id = a.member_id
        WHERE m.email_key <> a.employee_email) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'a credit is of another address than its member';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION partner_credits_address() IS 'Refuses a credit under another address than its member''s';
REVOKE ALL ON FUNCTION partner_credits_address() FROM PUBLIC;
CREATE TRIGGER partner_credits_address_insert AFTER INSERT ON partner_credits
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION partner_credits_address();
CREATE FUNCTION partner_credits_address_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.status <> 'available' OR NEW.employee_email IS DISTINCT FROM (
        SELECT m.email_key FROM public.partner_members m WHERE m.tenant_id = NEW.tenant_id AND m.id = NEW.member_id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'the address of a credit follows its member while it is available';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION partner_credits_address_change() IS 'Lets an unused credit take its member''s address, and no other';
REVOKE ALL ON FUNCTION partner_credits_address_change() FROM PUBLIC;
CREATE TRIGGER partner_credits_address_update BEFORE UPDATE OF employee_email ON partner_credits FOR EACH ROW
    WHEN (OLD.employee_email <> NEW.employee_email) EXECUTE FUNCTION partner_credits_address_change();

-- All at once, and with a look at the redemptions in place of one for each credit.
ALTER TABLE partner_credits DROP CONSTRAINT partner_credits_redemption_id_fkey;
CREATE OR REPLACE FUNCTION partner_credits_count() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
    -- One plan for one credit and for a hundred thousand: each allocation is found by its key, in one order, so that two who change units of
    -- the same allocations do not wait for each other.
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT tenant_id, redemption_id FROM added WHERE redemption_id IS NOT NULL) AS a
        WHERE NOT EXISTS (SELECT FROM public.credit_redemptions r WHERE r.tenant_id = a.tenant_id AND r.id = a.redemption_id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'a credit is used by no redemption';
    END IF;
    UPDATE public.credit_allocations a
    SET used = a.used + d.used, expired = a.expired + d.expired, revoked = a.revoked + d.revoked
    FROM (
        SELECT tenant_id, allocation_id, coalesce(sum(n) FILTER (WHERE status = 'used'), 0) AS used,
            coalesce(sum(n) FILTER (WHERE status = 'expired'), 0) AS expired, coalesce(sum(n) FILTER (WHERE status = 'revoked'), 0) AS revoked
        FROM (SELECT tenant_id, allocation_id, status, 1 AS n FROM added
              UNION ALL SELECT tenant_id, allocation_id, status, -1 FROM removed) AS moved
        GROUP BY 1, 2 ORDER BY 1, 2) AS d
    WHERE a.tenant_id = d.tenant_id AND a.id = d.allocation_id AND (d.used <> 0 OR d.expired <> 0 OR d.revoked <> 0);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION partner_credits_count() IS 'Keeps the counters of credit_allocations in step with the units, and lets a credit be used by a redemption that is there alone; runs as its owner because callers may not write them';

-- Who signs in locks the members that become it by their ids.
GRANT SELECT (id) ON partner_members TO portal_gate;
