-- What is booked cannot be booked again from anywhere else.
DO $$
BEGIN
    IF EXISTS (SELECT FROM transfers WHERE unit = 'CREDIT') THEN
        RAISE EXCEPTION 'the ledger holds transfers of credits, and going back would lose them';
    END IF;
END $$;
CREATE OR REPLACE FUNCTION transfers_post() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    side record;
    after numeric;
BEGIN
    -- Both accounts are locked in one order, whichever way the amount goes, and time does not run backwards in either.
    NEW.posted_at := greatest(least(NEW.posted_at, clock_timestamp()),
        (SELECT max(a.posted_at) FROM (SELECT posted_at FROM public.accounts
            WHERE tenant_id = NEW.tenant_id AND partner_id = NEW.partner_id AND unit = NEW.unit AND kind IN (NEW.from_kind, NEW.to_kind)
            ORDER BY kind FOR UPDATE) a));
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
    END LOOP;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION transfers_post() IS 'Keeps balances, running balances and day totals; runs as its owner because callers may not write them';
DROP TABLE member_accounts;
ALTER TABLE transfers
    DROP CONSTRAINT transfers_source, DROP CONSTRAINT transfers_credit_source, DROP CONSTRAINT transfers_credit_whole,
    DROP CONSTRAINT transfers_credit_member, DROP CONSTRAINT transfers_redemption, DROP CONSTRAINT transfers_credit_path,
    DROP COLUMN member_id, DROP COLUMN grant_id, DROP COLUMN allocation_id, DROP COLUMN redemption_id,
    ADD CONSTRAINT transfers_source CHECK (num_nonnulls(event_id, payout_id) = 1);
ALTER TABLE accounts
    DROP CONSTRAINT accounts_unit_of_kind,
    DROP CONSTRAINT accounts_not_overdrawn,
    ADD CONSTRAINT accounts_not_overdrawn CHECK (balance >= 0 OR kind IN ('expense', 'payable'));
COMMENT ON COLUMN accounts.unit IS 'What is counted: an ISO 4217 currency';
COMMENT ON COLUMN accounts.kind IS 'expense (what the tenant has spent, below zero) → pending → payable → in_payout → paid';
COMMENT ON CONSTRAINT accounts_not_overdrawn ON accounts IS 'payable goes below zero when what was paid is refunded; expense is a source';
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN ('earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return'));
ALTER DOMAIN account_kind DROP CONSTRAINT account_kind_known;
ALTER DOMAIN account_kind ADD CONSTRAINT account_kind_known CHECK (VALUE IN ('expense', 'pending', 'payable', 'in_payout', 'paid'));
