-- Wallets: what affiliates earn, in the ledger beside what partners earn. A transfer is of a partner's accounts or of a user's; users' balances are
-- in a table of their own, as members' are, because a partner is part of the key of accounts.
SET LOCAL lock_timeout = '60s';
LOCK TABLE transfers IN ACCESS EXCLUSIVE MODE;

-- Rows that are there have none of what is new, so they need not be read for it.
ALTER DOMAIN account_kind DROP CONSTRAINT account_kind_known;
ALTER DOMAIN account_kind ADD CONSTRAINT account_kind_known CHECK (VALUE IN (
    'expense', 'pending', 'payable', 'in_payout', 'paid', 'wallet', 'taken_out', 'issued', 'available', 'assigned', 'used', 'expired')) NOT VALID;
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'move_out', 'move_in', 'take_out', 'give_back', 'adjust',
    'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire', 'restore')) NOT VALID;
ALTER DOMAIN commission_event_type DROP CONSTRAINT commission_event_type_known;
ALTER DOMAIN commission_event_type ADD CONSTRAINT commission_event_type_known
    CHECK (VALUE IN ('invoice_payment', 'lead_conversion', 'refund', 'adjustment', 'split', 'wallet')) NOT VALID;
ALTER DOMAIN commission_source DROP CONSTRAINT commission_source_known;
ALTER DOMAIN commission_source ADD CONSTRAINT commission_source_known CHECK (VALUE IN (
    'customer_rate', 'enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual', 'wallet')) NOT VALID;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'split' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id, link_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount <> 0 AND base >= 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        WHEN 'wallet' THEN amount > 0 AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id, link_id, base, rate, notes) = 0
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END) NOT VALID;

CREATE TABLE affiliate_rewards (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    terms_id uuid NOT NULL,
    invoice_id text NOT NULL,
    currency text NOT NULL,
    base numeric(19, 4) NOT NULL,
    refunded numeric(19, 4) NOT NULL DEFAULT 0,
    amount numeric(19, 4) NOT NULL,
    is_held boolean NOT NULL,
    due_at timestamptz,
    paid_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT affiliate_rewards_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT affiliate_rewards_invoice_key UNIQUE (tenant_id, invoice_id),
    CONSTRAINT affiliate_rewards_user_key UNIQUE (tenant_id, user_id, id),
    CONSTRAINT affiliate_rewards_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT affiliate_rewards_referral_id_fkey FOREIGN KEY (tenant_id, referral_id) REFERENCES referrals (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT affiliate_rewards_terms_id_fkey FOREIGN KEY (tenant_id, terms_id) REFERENCES affiliate_terms (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT affiliate_rewards_invoice_id_fkey FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, external_id) ON DELETE RESTRICT,
    CONSTRAINT affiliate_rewards_amounts CHECK (base > 0 AND refunded BETWEEN 0 AND base AND amount BETWEEN 0 AND base),
    CONSTRAINT affiliate_rewards_held CHECK (NOT is_held OR due_at IS NOT NULL)
);
CREATE INDEX affiliate_rewards_due_idx ON affiliate_rewards (tenant_id, due_at) WHERE is_held;
CREATE INDEX affiliate_rewards_referral_idx ON affiliate_rewards (tenant_id, referral_id, currency);
COMMENT ON TABLE affiliate_rewards IS 'What a user earns by the payments of people whom they referred: one row for each payment';
COMMENT ON COLUMN affiliate_rewards.user_id IS 'The referrer, who earns it';
COMMENT ON COLUMN affiliate_rewards.base IS 'What was paid; refunded is what of it has been refunded in all, and amount the share of the rest';
COMMENT ON COLUMN affiliate_rewards.is_held IS 'Whether it is held back until due_at; what is held is in the wallet and cannot be taken out';

CREATE DOMAIN wallet_transaction_kind AS text
    CONSTRAINT wallet_transaction_kind_known CHECK (VALUE IN ('reward', 'refund', 'take_out', 'give_back', 'adjustment'));
CREATE TABLE wallet_transactions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    currency text NOT NULL,
    number bigint NOT NULL,
    kind wallet_transaction_kind NOT NULL,
    amount numeric(19, 4) NOT NULL,
    balance numeric(24, 4) NOT NULL,
    sales numeric(19, 4) NOT NULL DEFAULT 0,
    reward_id uuid,
    commission_id uuid,
    reason text,
    at timestamptz NOT NULL,
    idempotency_key text,
    request jsonb,
    created_by uuid,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    created_at timestamptz NOT NULL,
    CONSTRAINT wallet_transactions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT wallet_transactions_number_key UNIQUE (tenant_id, user_id, currency, number),
    CONSTRAINT wallet_transactions_user_key UNIQUE (tenant_id, user_id, id),
    CONSTRAINT wallet_transactions_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT wallet_transactions_reward_id_fkey FOREIGN KEY (tenant_id, user_id, reward_id)
        REFERENCES affiliate_rewards (tenant_id, user_id, id) ON DELETE RESTRICT,
    CONSTRAINT wallet_transactions_commission_id_fkey FOREIGN KEY (tenant_id, commission_id)
        REFERENCES partner_commission_events (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT wallet_transactions_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT wallet_transactions_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT wallet_transactions_number CHECK (number > 0),
    CONSTRAINT wallet_transactions_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1000),
    CONSTRAINT wallet_transactions_shape CHECK (CASE kind
        WHEN 'reward' THEN amount >= 0 AND sales > 0 AND reward_id IS NOT NULL AND num_nonnulls(commission_id, reason) = 0
        WHEN 'refund' THEN sales <> 0 AND reward_id IS NOT NULL AND num_nonnulls(commission_id, reason) = 0
        WHEN 'take_out' THEN amount < 0 AND sales = 0 AND commission_id IS NOT NULL AND num_nonnulls(reward_id, reason) = 0
        WHEN 'give_back' THEN amount > 0 AND sales = 0 AND num_nulls(commission_id, reason) = 0 AND reward_id IS NULL
        ELSE amount <> 0 AND sales = 0 AND reason IS NOT NULL AND num_nonnulls(reward_id, commission_id) = 0 END)
);
CREATE UNIQUE INDEX wallet_transactions_reward_key ON wallet_transactions (tenant_id, reward_id) WHERE kind = 'reward';
CREATE UNIQUE INDEX wallet_transactions_commission_key ON wallet_transactions (tenant_id, commission_id, kind) WHERE commission_id IS NOT NULL;
-- A person's own keys for what they take out, and the staff's for adjustments.
CREATE UNIQUE INDEX wallet_transactions_take_out_key ON wallet_transactions (tenant_id, user_id, idempotency_key) WHERE kind = 'take_out';
CREATE UNIQUE INDEX wallet_transactions_adjustment_key ON wallet_transactions (tenant_id, idempotency_key) WHERE kind = 'adjustment';
CREATE INDEX wallet_transactions_reward_idx ON wallet_transactions (tenant_id, reward_id, number) WHERE reward_id IS NOT NULL;
CREATE INDEX wallet_transactions_created_idx ON wallet_transactions (tenant_id, created_at, id);
COMMENT ON TABLE wallet_transactions IS 'What has gone into users'' wallets and out of them, one wallet for each user and currency; rows are only ever added';
COMMENT ON COLUMN wallet_transactions.number IS 'Its order within the wallet, from 1 without gaps';
COMMENT ON COLUMN wallet_transactions.balance IS 'What the wallet holds after it, with what is held back';
COMMENT ON COLUMN wallet_transactions.sales IS 'For a reward what was paid, for a refund what was refunded, below zero; 0 for all else';
COMMENT ON COLUMN wallet_transactions.commission_id IS 'The commission of the user''s partner that what was taken out has become';
COMMENT ON COLUMN wallet_transactions.at IS 'The instant by which figures count it: when it was paid, refunded or done';

CREATE TABLE user_accounts (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    unit text NOT NULL,
    kind account_kind NOT NULL,
    balance numeric(24, 4) NOT NULL DEFAULT 0,
    posted_at timestamptz NOT NULL,
    CONSTRAINT user_accounts_pkey PRIMARY KEY (tenant_id, user_id, unit, kind),
    CONSTRAINT user_accounts_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT user_accounts_kind CHECK (kind IN ('expense', 'pending', 'wallet', 'taken_out')),
    CONSTRAINT user_accounts_unit_form CHECK (unit ~ '^[A-Z]{3}$'),
    CONSTRAINT user_accounts_not_overdrawn CHECK (balance >= 0 OR kind IN ('expense', 'wallet'))
);
COMMENT ON TABLE user_accounts IS 'A user''s balances, each the sum of its transfers; kept by the function post_wallet_transfers';
COMMENT ON COLUMN user_accounts.kind IS 'expense (what the tenant has spent, below zero) → pending (held back) → wallet → taken_out';
COMMENT ON CONSTRAINT user_accounts_not_overdrawn ON user_accounts IS 'wallet goes below zero when what was taken out is refunded; expense is a source';

ALTER TABLE transfers
    ALTER COLUMN partner_id DROP NOT NULL,
    ADD COLUMN user_id uuid,
    ADD COLUMN wallet_transaction_id uuid,
    ADD COLUMN reward_id uuid,
    DROP CONSTRAINT transfers_source,
    DROP CONSTRAINT transfers_credit_source,
    ADD CONSTRAINT transfers_owner CHECK (num_nonnulls(partner_id, user_id) = 1) NOT VALID,
    ADD CONSTRAINT transfers_source CHECK (num_nonnulls(event_id, payout_id, grant_id, allocation_id, wallet_transaction_id, reward_id) = 1) NOT VALID,
    ADD CONSTRAINT transfers_credit_source CHECK ((unit = 'CREDIT') = (num_nonnulls(event_id, payout_id, user_id) = 0)) NOT VALID,
    ADD CONSTRAINT transfers_wallet_source CHECK ((user_id IS NOT NULL) = (num_nonnulls(wallet_transaction_id, reward_id) = 1)) NOT VALID,
    ADD CONSTRAINT transfers_wallet_path CHECK (user_id IS NULL OR (kind, from_kind, to_kind) IN (
        ('earn', 'expense', 'pending'), ('earn', 'pending', 'expense'), ('earn', 'expense', 'wallet'), ('earn', 'wallet', 'expense'),
        ('approve', 'pending', 'wallet'), ('take_out', 'wallet', 'taken_out'), ('give_back', 'taken_out', 'wallet'),
        ('adjust', 'expense', 'wallet'), ('adjust', 'wallet', 'expense'))) NOT VALID,
    ADD CONSTRAINT transfers_user_from_fkey FOREIGN KEY (tenant_id, user_id, unit, from_kind)
        REFERENCES user_accounts (tenant_id, user_id, unit, kind) ON DELETE RESTRICT NOT VALID,
    ADD CONSTRAINT transfers_user_to_fkey FOREIGN KEY (tenant_id, user_id, unit, to_kind)
        REFERENCES user_accounts (tenant_id, user_id, unit, kind) ON DELETE RESTRICT NOT VALID,
    ADD CONSTRAINT transfers_wallet_transaction_id_fkey FOREIGN KEY (tenant_id, user_id, wallet_transaction_id)
        REFERENCES wallet_transactions (tenant_id, user_id, id) ON DELETE RESTRICT NOT VALID,
    ADD CONSTRAINT transfers_reward_id_fkey FOREIGN KEY (tenant_id, user_id, reward_id)
        REFERENCES affiliate_rewards (tenant_id, user_id, id) ON DELETE RESTRICT NOT VALID;
-- Each source has one transfer: a transaction its own, and a reward that was held the one that sets it free.
CREATE UNIQUE INDEX transfers_wallet_transaction_key ON transfers (tenant_id, wallet_transaction_id) WHERE wallet_transaction_id IS NOT NULL;
CREATE UNIQUE INDEX transfers_reward_key ON transfers (tenant_id, reward_id) WHERE reward_id IS NOT NULL;
CREATE INDEX transfers_user_idx ON transfers (tenant_id, user_id, unit, entry) WHERE user_id IS NOT NULL;
COMMENT ON TABLE transfers IS 'The ledger, append-only: each row moves an amount from one of a partner''s or a user''s accounts to another of the same, so the books balance by construction';
COMMENT ON COLUMN transfers.user_id IS 'Whose wallet it is of; NULL where it is of a partner''s accounts';
COMMENT ON COLUMN transfers.reward_id IS 'The reward that was held long enough and is set free by it';

CREATE FUNCTION post_wallet_transfers(of_tenant uuid, poster uuid, at timestamptz, of_user uuid, of_unit text, from_kinds text[], to_kinds text[],
        amounts numeric[], kinds text[], transactions uuid[], rewards uuid[])
    RETURNS void
    -- Its statements find single rows by their keys: see transfers_post().
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    caller text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    given record;
    from_after numeric;
    to_after numeric;
BEGIN
    IF NOT pg_has_role(caller, current_user, 'MEMBER') AND of_tenant IS DISTINCT FROM current_setting('app.tenant_id')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'post_wallet_transfers: transfers of another tenant';
    END IF;
    -- Every account is locked, in one order, and time does not run backwards in any.
    at := greatest(least(at, clock_timestamp()), (SELECT max(a.posted_at) FROM (
        SELECT acc.posted_at FROM public.user_accounts acc
        WHERE acc.tenant_id = of_tenant AND acc.user_id = of_user AND acc.unit = of_unit ORDER BY acc.kind FOR UPDATE) AS a));
    INSERT INTO public.user_accounts (tenant_id, user_id, unit, kind, balance, posted_at)
    SELECT DISTINCT of_tenant, of_user, of_unit, k, 0, at FROM unnest(from_kinds || to_kinds) AS k ORDER BY 4
    ON CONFLICT (tenant_id, user_id, unit, kind) DO NOTHING;
    FOR given IN SELECT * FROM unnest(from_kinds, to_kinds, amounts, kinds, transactions, rewards) AS t (from_kind, to_kind, amount, kind, transaction, reward) LOOP
        UPDATE public.user_accounts SET balance = balance - given.amount, posted_at = at
        WHERE tenant_id = of_tenant AND user_id = of_user AND unit = of_unit AND kind = given.from_kind RETURNING balance INTO from_after;
        UPDATE public.user_accounts SET balance = balance + given.amount, posted_at = at
        WHERE tenant_id = of_tenant AND user_id = of_user AND unit = of_unit AND kind = given.to_kind RETURNING balance INTO to_after;
        INSERT INTO public.transfers (tenant_id, user_id, unit, from_kind, to_kind, amount, kind, wallet_transaction_id, reward_id, from_balance,
            to_balance, posted_by, posted_at)
        VALUES (of_tenant, of_user, of_unit, given.from_kind, given.to_kind, given.amount, given.kind, given.transaction, given.reward, from_after,
            to_after, poster, at);
    END LOOP;
END $$;
COMMENT ON FUNCTION post_wallet_transfers(uuid, uuid, timestamptz, uuid, text, text[], text[], numeric[], text[], uuid[], uuid[]) IS 'Posts transfers of one wallet, in their order; runs as its owner because callers may not write balances';

-- Figures, by day as days begin in the tenant's time zone.
CREATE TABLE affiliate_totals (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    currency text NOT NULL,
    day date NOT NULL,
    sales numeric(24, 4) NOT NULL,
    earned numeric(24, 4) NOT NULL,
    taken_out numeric(24, 4) NOT NULL,
    adjusted numeric(24, 4) NOT NULL,
    CONSTRAINT affiliate_totals_pkey PRIMARY KEY (tenant_id, user_id, currency, day),
    CONSTRAINT affiliate_totals_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
COMMENT ON TABLE affiliate_totals IS 'What wallets'' transactions come to by day; kept by the trigger affiliate_totals_follow';
COMMENT ON COLUMN affiliate_totals.sales IS 'What referred people paid, less refunds; earned is the user''s share of it, taken_out is less what came back';
CREATE TABLE affiliate_people (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    day date NOT NULL,
    people bigint NOT NULL,
    paying bigint NOT NULL,
    CONSTRAINT affiliate_people_pkey PRIMARY KEY (tenant_id, user_id, day),
    CONSTRAINT affiliate_people_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
COMMENT ON TABLE affiliate_people IS 'How many people users have referred, by the day of their sign-up, and how many paid first on a day; kept by the trigger affiliate_people_follow';

CREATE FUNCTION affiliate_totals_follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO public.affiliate_totals AS t (tenant_id, user_id, currency, day, sales, earned, taken_out, adjusted)
    VALUES (NEW.tenant_id, NEW.user_id, NEW.currency, (NEW.at AT TIME ZONE public.tenant_time_zone(NEW.tenant_id))::date, NEW.sales,
        CASE WHEN NEW.kind IN ('reward', 'refund') THEN NEW.amount ELSE 0 END,
        CASE WHEN NEW.kind IN ('take_out', 'give_back') THEN -NEW.amount ELSE 0 END,
        CASE NEW.kind WHEN 'adjustment' THEN NEW.amount ELSE 0 END)
    ON CONFLICT (tenant_id, user_id, currency, day) DO UPDATE
    SET sales = t.sales + EXCLUDED.sales, earned = t.earned + EXCLUDED.earned, taken_out = t.taken_out + EXCLUDED.taken_out,
        adjusted = t.adjusted + EXCLUDED.adjusted;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION affiliate_totals_follow() IS 'Counts a transaction to its day; runs as its owner because callers may not write totals';
CREATE TRIGGER affiliate_totals_follow AFTER INSERT ON wallet_transactions FOR EACH ROW EXECUTE FUNCTION affiliate_totals_follow();

-- A correction moves the person: the user who had referred somebody has one less.
CREATE FUNCTION affiliate_people_follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    zone text := public.tenant_time_zone(NEW.tenant_id);
BEGIN
    INSERT INTO public.affiliate_people AS p (tenant_id, user_id, day, people, paying)
    SELECT NEW.tenant_id, NEW.referrer_id, (c.at AT TIME ZONE zone)::date, sum(c.people), sum(c.paying)
    FROM (
        SELECT NEW.signed_up_at AS at, 1 AS people, 0 AS paying WHERE NEW.valid_to IS NULL
        UNION ALL SELECT NEW.first_paid_at, 0, 1 WHERE NEW.first_paid_at IS NOT NULL AND NEW.valid_to IS NULL
        UNION ALL SELECT OLD.signed_up_at, -1, 0 WHERE TG_OP = 'UPDATE' AND OLD.valid_to IS NULL
        UNION ALL SELECT OLD.first_paid_at, 0, -1 WHERE TG_OP = 'UPDATE' AND OLD.first_paid_at IS NOT NULL AND OLD.valid_to IS NULL) AS c
    GROUP BY 3 HAVING sum(c.people) <> 0 OR sum(c.paying) <> 0 ORDER BY 3
    ON CONFLICT (tenant_id, user_id, day) DO UPDATE SET people = p.people + EXCLUDED.people, paying = p.paying + EXCLUDED.paying;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION affiliate_people_follow() IS 'Counts a referred person to the day of their sign-up and of their first payment';
CREATE TRIGGER affiliate_people_follow AFTER INSERT OR UPDATE ON referrals FOR EACH ROW EXECUTE FUNCTION affiliate_people_follow();

CREATE OR REPLACE FUNCTION tenants_with_due_rewards(due_by timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id FROM public.tenants t
    WHERE EXISTS (SELECT FROM public.customers c WHERE c.tenant_id = t.id AND c.are_rewards_due)
        OR EXISTS (SELECT FROM public.affiliate_rewards r WHERE r.tenant_id = t.id AND r.is_held AND r.due_at <= due_by)
    ORDER BY t.id
$$;

REVOKE ALL ON FUNCTION post_wallet_transfers(uuid, uuid, timestamptz, uuid, text, text[], text[], numeric[], text[], uuid[], uuid[]),
    affiliate_totals_follow(), affiliate_people_follow() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION post_wallet_transfers(uuid, uuid, timestamptz, uuid, text, text[], text[], numeric[], text[], uuid[], uuid[])
    TO portal_operator, portal_service;

-- A wallet is its user's alone, and no colleague's. Its transfers are the staff's to read, as a ledger is: the policy of partners has no more
-- conditions for them, which would cost their ledgers the index.
DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['affiliate_rewards', 'wallet_transactions', 'user_accounts', 'affiliate_totals', 'affiliate_people'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO portal_partner
            USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid) AND user_id = (SELECT current_setting(''app.user_id'')::uuid))',
            tab || '_own', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator, portal_service USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))',
            tab || '_staff', tab);
    END LOOP;
END $$;
GRANT SELECT ON affiliate_rewards, wallet_transactions, user_accounts, affiliate_totals, affiliate_people TO portal_partner, portal_operator, portal_service;
GRANT INSERT, UPDATE (refunded, amount, is_held, updated_at) ON affiliate_rewards TO portal_operator, portal_service;
GRANT INSERT ON wallet_transactions TO portal_operator, portal_service;
