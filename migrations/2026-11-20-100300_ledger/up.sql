CREATE DOMAIN account_kind AS text
    CONSTRAINT account_kind_known CHECK (VALUE IN ('expense', 'pending', 'payable', 'in_payout', 'paid'));
CREATE DOMAIN transfer_kind AS text
    CONSTRAINT transfer_kind_known CHECK (VALUE IN ('earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return'));

CREATE TABLE accounts (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    unit text NOT NULL,
    kind account_kind NOT NULL,
    balance numeric(24, 4) NOT NULL DEFAULT 0,
    posted_at timestamptz NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (tenant_id, partner_id, unit, kind),
    CONSTRAINT accounts_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT accounts_unit_form CHECK (unit ~ '^[A-Z]{3,6}$'),
    CONSTRAINT accounts_not_overdrawn CHECK (balance >= 0 OR kind IN ('expense', 'payable'))
);
CREATE INDEX accounts_rank_idx ON accounts (tenant_id, kind, unit, balance);
COMMENT ON TABLE accounts IS 'A partner''s balances, each the sum of its transfers; kept by the trigger transfers_post';
COMMENT ON COLUMN accounts.unit IS 'What is counted: an ISO 4217 currency';
COMMENT ON COLUMN accounts.kind IS 'expense (what the tenant has spent, below zero) → pending → payable → in_payout → paid';
COMMENT ON COLUMN accounts.posted_at IS 'When its last transfer was posted; later ones are not posted earlier';
COMMENT ON CONSTRAINT accounts_not_overdrawn ON accounts IS 'payable goes below zero when what was paid is refunded; expense is a source';

CREATE TABLE account_days (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    unit text NOT NULL,
    kind account_kind NOT NULL,
    day date NOT NULL,
    debits numeric(24, 4) NOT NULL DEFAULT 0,
    credits numeric(24, 4) NOT NULL DEFAULT 0,
    closing numeric(24, 4) NOT NULL,
    CONSTRAINT account_days_pkey PRIMARY KEY (tenant_id, partner_id, unit, kind, day),
    CONSTRAINT account_days_account_fkey FOREIGN KEY (tenant_id, partner_id, unit, kind) REFERENCES accounts (tenant_id, partner_id, unit, kind) ON DELETE RESTRICT
);
COMMENT ON TABLE account_days IS 'What went out of and into an account on a day (UTC), and its balance at the day''s end; kept by the trigger transfers_post';

CREATE TABLE transfers (
    tenant_id uuid NOT NULL,
    entry bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    partner_id uuid NOT NULL,
    unit text NOT NULL,
    from_kind account_kind NOT NULL,
    to_kind account_kind NOT NULL,
    amount numeric(19, 4) NOT NULL,
    kind transfer_kind NOT NULL,
    event_id uuid,
    payout_id uuid,
    attempt integer NOT NULL DEFAULT 1,
    from_balance numeric(24, 4) NOT NULL,
    to_balance numeric(24, 4) NOT NULL,
    posted_by uuid,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT transfers_pkey PRIMARY KEY (tenant_id, entry),
    CONSTRAINT transfers_event_key UNIQUE (tenant_id, event_id, kind),
    CONSTRAINT transfers_payout_key UNIQUE (tenant_id, payout_id, kind, attempt),
    CONSTRAINT transfers_from_fkey FOREIGN KEY (tenant_id, partner_id, unit, from_kind) REFERENCES accounts (tenant_id, partner_id, unit, kind) ON DELETE RESTRICT,
    CONSTRAINT transfers_to_fkey FOREIGN KEY (tenant_id, partner_id, unit, to_kind) REFERENCES accounts (tenant_id, partner_id, unit, kind) ON DELETE RESTRICT,
    CONSTRAINT transfers_event_id_fkey FOREIGN KEY (tenant_id, partner_id, event_id)
        REFERENCES partner_commission_events (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT transfers_payout_id_fkey FOREIGN KEY (tenant_id, partner_id, payout_id)
        REFERENCES partner_payouts (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT transfers_posted_by_fkey FOREIGN KEY (tenant_id, posted_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT transfers_amount_range CHECK (amount > 0 AND amount < 100000000000000),
    CONSTRAINT transfers_moves CHECK (from_kind <> to_kind),
    CONSTRAINT transfers_source CHECK (num_nonnulls(event_id, payout_id) = 1)
);
CREATE INDEX transfers_partner_idx ON transfers (tenant_id, partner_id, unit, entry);
COMMENT ON TABLE transfers IS 'The ledger, append-only: each row moves an amount from one of a partner''s accounts to another, so the books balance by construction';
COMMENT ON COLUMN transfers.entry IS 'The order of posting; within one account also that of time';
COMMENT ON COLUMN transfers.event_id IS 'The commission that is the transfer''s source, or NULL where a payout is';
COMMENT ON COLUMN transfers.attempt IS 'Which attempt at the payout';
COMMENT ON COLUMN transfers.from_balance IS 'The balance of from_kind after the transfer; by the trigger transfers_post';
COMMENT ON COLUMN transfers.to_balance IS 'The balance of to_kind after the transfer; by the trigger transfers_post';

CREATE FUNCTION transfers_post() RETURNS trigger
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
REVOKE ALL ON FUNCTION transfers_post() FROM PUBLIC;

CREATE TRIGGER transfers_post BEFORE INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION transfers_post();

-- A partner's place is a number that depends on rows which it may not see.
CREATE FUNCTION partner_ranks(partner_ids uuid[], ranked_unit text) RETURNS TABLE (partner_id uuid, rank bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT own.partner_id, 1 + (SELECT count(*) FROM public.accounts other
        WHERE other.tenant_id = own.tenant_id AND other.kind = 'expense' AND other.unit = ranked_unit AND other.balance < own.balance)
    FROM public.accounts own
    WHERE own.tenant_id = current_setting('app.tenant_id')::uuid AND own.partner_id = ANY (partner_ids)
        AND (current_setting('role') IN ('portal_operator', 'portal_service') OR own.partner_id = current_setting('app.partner_id')::uuid)
        AND own.kind = 'expense' AND own.unit = ranked_unit AND own.balance < 0
$$;
COMMENT ON FUNCTION partner_ranks(uuid[], text) IS 'The places of the caller''s own partner, or for staff of any, by what they have earned in a unit';
REVOKE ALL ON FUNCTION partner_ranks(uuid[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION partner_ranks(uuid[], text) TO portal_partner, portal_operator, portal_service;

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['accounts', 'account_days', 'transfers'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO portal_partner
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid)
                AND partner_id = (SELECT current_setting(''app.partner_id'')::uuid))', tab || '_partner', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator, portal_service
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;

GRANT SELECT ON accounts, account_days, transfers TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id, payout_id, attempt, posted_by, posted_at)
    ON transfers TO portal_operator, portal_service;

-- Leads that converted before there was a ledger are owed their commissions.
INSERT INTO partner_commission_events (tenant_id, id, partner_id, event_type, status, lead_id, source, base, rate, amount, currency, event_date)
SELECT tenant_id, gen_random_uuid(), partner_id, 'lead_conversion', 'pending', id, 'lead', deal_value,
    CASE WHEN NOT commission_fixed THEN commission_rate END, commission, currency, converted_at
FROM partner_leads WHERE status = 'converted' AND commission > 0;
INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, event_id)
SELECT tenant_id, partner_id, currency, 'expense', 'pending', amount, 'earn', id
FROM partner_commission_events ORDER BY tenant_id, partner_id, event_date, id;
