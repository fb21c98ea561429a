-- Credits are counted in the same ledger as money, in the unit CREDIT. A partner's accounts hold what it and its members have together;
-- each member's share of assigned, used and expired is in member_accounts, kept by the same trigger from the same transfers.
-- Servers of the version before go on booking meanwhile: the tables are locked in the order in which a booking does.
SET LOCAL lock_timeout = '60s';
LOCK TABLE transfers, accounts, account_days IN ACCESS EXCLUSIVE MODE;
ALTER DOMAIN account_kind DROP CONSTRAINT account_kind_known;
ALTER DOMAIN account_kind ADD CONSTRAINT account_kind_known CHECK (VALUE IN (
    'expense', 'pending', 'payable', 'in_payout', 'paid', 'issued', 'available', 'assigned', 'used', 'expired'));
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire'));

ALTER TABLE accounts
    DROP CONSTRAINT accounts_not_overdrawn,
    ADD CONSTRAINT accounts_not_overdrawn CHECK (balance >= 0 OR kind IN ('expense', 'payable', 'issued')),
    ADD CONSTRAINT accounts_unit_of_kind CHECK ((unit = 'CREDIT') = (kind IN ('issued', 'available', 'assigned', 'used', 'expired')));
COMMENT ON COLUMN accounts.unit IS 'What is counted: an ISO 4217 currency, or CREDIT';
COMMENT ON COLUMN accounts.kind IS 'Money: expense (what the tenant has spent, below zero) → pending → payable → in_payout → paid. Credits: issued (what the tenant has granted, below zero) → available → assigned → used or expired; assigned and expired are its members''';
COMMENT ON CONSTRAINT accounts_not_overdrawn ON accounts IS 'payable goes below zero when what was paid is refunded; expense and issued are sources';

CREATE TABLE member_accounts (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    member_id uuid NOT NULL,
    kind account_kind NOT NULL,
    balance numeric(24, 4) NOT NULL,
    CONSTRAINT member_accounts_pkey PRIMARY KEY (tenant_id, member_id, kind),
    CONSTRAINT member_accounts_member_id_fkey FOREIGN KEY (tenant_id, partner_id, member_id)
        REFERENCES partner_members (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT member_accounts_kind CHECK (kind IN ('assigned', 'used', 'expired')),
    CONSTRAINT member_accounts_not_overdrawn CHECK (balance >= 0)
);
COMMENT ON TABLE member_accounts IS 'Each member''s share of its partner''s accounts in CREDIT; kept by the trigger transfers_post';

ALTER TABLE transfers
    ADD COLUMN member_id uuid,
    ADD COLUMN grant_id uuid,
    ADD COLUMN allocation_id uuid,
    ADD COLUMN redemption_id uuid,
    DROP CONSTRAINT transfers_source,
    ADD CONSTRAINT transfers_source CHECK (num_nonnulls(event_id, payout_id, grant_id, allocation_id) = 1),
    ADD CONSTRAINT transfers_credit_source CHECK ((unit = 'CREDIT') = (event_id IS NULL AND payout_id IS NULL)),
    ADD CONSTRAINT transfers_credit_whole CHECK (unit <> 'CREDIT' OR amount = trunc(amount)),
    ADD CONSTRAINT transfers_credit_member CHECK ((member_id IS NOT NULL) = (allocation_id IS NOT NULL)),
    ADD CONSTRAINT transfers_redemption CHECK ((redemption_id IS NOT NULL) = (kind = 'redeem')),
    ADD CONSTRAINT transfers_credit_path CHECK (unit <> 'CREDIT' OR (kind, from_kind, to_kind) IN (
        ('grant', 'issued', 'available'), ('withdraw', 'available', 'issued'), ('assign', 'available', 'assigned'),
        ('revoke', 'assigned', 'available'), ('redeem', 'assigned', 'used'), ('expire', 'assigned', 'expired'))),
    ADD CONSTRAINT transfers_grant_id_fkey FOREIGN KEY (tenant_id, partner_id, grant_id)
        REFERENCES credit_grants (tenant_id, partner_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT transfers_allocation_id_fkey FOREIGN KEY (tenant_id, partner_id, allocation_id)
        REFERENCES credit_allocations (tenant_id, partner_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT transfers_member_id_fkey FOREIGN KEY (tenant_id, partner_id, member_id)
        REFERENCES partner_members (tenant_id, partner_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT transfers_redemption_id_fkey FOREIGN KEY (tenant_id, redemption_id) REFERENCES credit_redemptions (tenant_id, id) ON DELETE RESTRICT;
CREATE UNIQUE INDEX transfers_grant_key ON transfers (tenant_id, grant_id) WHERE grant_id IS NOT NULL;
-- An allocation is assigned, revoked and expires once; one redemption takes from it once.
CREATE UNIQUE INDEX transfers_allocation_key ON transfers (tenant_id, allocation_id, kind) WHERE allocation_id IS NOT NULL AND redemption_id IS NULL;
CREATE UNIQUE INDEX transfers_redemption_key ON transfers (tenant_id, redemption_id, allocation_id) WHERE redemption_id IS NOT NULL;
CREATE INDEX transfers_allocation_idx ON transfers (tenant_id, allocation_id, entry) WHERE allocation_id IS NOT NULL;
COMMENT ON COLUMN transfers.member_id IS 'The member whose share it changes; NULL where none';
COMMENT ON COLUMN transfers.grant_id IS 'The grant that is the transfer''s source';
COMMENT ON COLUMN transfers.allocation_id IS 'The allocation that is the transfer''s source';
COMMENT ON COLUMN transfers.redemption_id IS 'The redemption that used credits of the allocation';

-- Each statement finds single rows by their keys. A plan that is made while a table is small, and kept, would go on scanning it when it
-- is large.
CREATE OR REPLACE FUNCTION transfers_post() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    side record;
    after numeric;
BEGIN
    -- Both accounts are locked in one order, whichever way the amount goes, and time does not run backwards in either.
    NEW.posted_at := greatest(least(NEW.posted_at, clock_timestamp()),
        (SELECT max(a.posted_at) FROM (SELECT posted_at FROM public.accounts
            WHERE tenant_id = NEW.tenant_id AND partner_id = NEW.partner_id AND unit = NEW.unit AND kind IN (NEW.from_kind, NEW.to_kind)
            ORDER BY kind FOR UPDATE) a));
    -- Drawn once the accounts are locked: within an account the order of the numbers is that of posting.
    NEW.entry := nextval('public.transfers_entry_seq');
    FOR side IN SELECT * FROM (VALUES (NEW.from_kind::text, -NEW.amount), (NEW.to_kind::text, NEW.amount)) AS s (kind, change) ORDER BY kind LOOP
        UPDATE public.accounts SET balance = balance + side.change, posted_at = NEW.posted_at
        WHERE tenant_id = NEW.tenant_id AND partner_id = NEW.partner_id AND unit = NEW.unit AND kind = side.kind
        RETURNING balance INTO after;
        IF NOT FOUND THEN
            INSERT INTO public.accounts (tenant_id, partner_id, unit, kind, balance, posted_at)
            VALUES (NEW.tenant_id, NEW.partner_id, NEW.unit, side.kind, side.change, NEW.posted_at)
            RETURNING balance INTO after;
        END IF;
        IF side.change < 0 THEN NEW.from_balance := after; ELSE NEW.to_balance := after; END IF;
        INSERT INTO public.account_days AS d (tenant_id, partner_id, unit, kind, day, debits, credits, closing)
        VALUES (NEW.tenant_id, NEW.partner_id, NEW.unit, side.kind, (NEW.posted_at AT TIME ZONE 'UTC')::date,
            greatest(-side.change, 0), greatest(side.change, 0), after)
        ON CONFLICT (tenant_id, partner_id, unit, kind, day) DO UPDATE
        SET debits = d.debits + EXCLUDED.debits, credits = d.credits + EXCLUDED.credits, closing = EXCLUDED.closing;
        IF NEW.member_id IS NOT NULL AND side.kind <> 'available' THEN
            UPDATE public.member_accounts SET balance = balance + side.change
            WHERE tenant_id = NEW.tenant_id AND member_id = NEW.member_id AND kind = side.kind;
            IF NOT FOUND THEN
                INSERT INTO public.member_accounts (tenant_id, partner_id, member_id, kind, balance)
                VALUES (NEW.tenant_id, NEW.partner_id, NEW.member_id, side.kind, side.change);
            END IF;
        END IF;
    END LOOP;
    IF NEW.kind IN ('assign', 'revoke') THEN
        UPDATE public.partner_members
        SET credits_assigned = credits_assigned + CASE NEW.kind WHEN 'assign' THEN NEW.amount ELSE -NEW.amount END
        WHERE tenant_id = NEW.tenant_id AND id = NEW.member_id;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION transfers_post() IS 'Keeps balances, members'' shares, running balances and day totals; runs as its owner because callers may not write them';

ALTER TABLE member_accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY member_accounts_partner ON member_accounts FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY member_accounts_staff ON member_accounts FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON member_accounts TO portal_partner, portal_operator, portal_service;
GRANT INSERT (member_id, grant_id, allocation_id, redemption_id) ON transfers TO portal_operator, portal_service;
