-- Who invited whom: everyone's invite codes, the switch of each affiliate, the tenant's terms in versions, and which customers are whose.
SET LOCAL lock_timeout = '60s';

-- Codes are compared as Crockford's base 32 is read: without regard to case and dashes, I and L as 1, O as 0.
CREATE FUNCTION invite_code_key(code text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog AS $$
    SELECT translate(upper(replace(code, '-', '') COLLATE "C"), 'ILO', '110')
$$;
COMMENT ON FUNCTION invite_code_key(text) IS 'An invite code as it is compared';

CREATE TABLE invite_codes (
    tenant_id uuid NOT NULL,
    code_key text NOT NULL GENERATED ALWAYS AS (invite_code_key(code)) STORED,
    code text NOT NULL,
    user_id uuid NOT NULL,
    is_current boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT invite_codes_pkey PRIMARY KEY (tenant_id, code_key),
    CONSTRAINT invite_codes_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT invite_codes_code_form CHECK (code ~ '^[0-9A-Za-z][0-9A-Za-z-]{1,30}[0-9A-Za-z]$')
);
CREATE UNIQUE INDEX invite_codes_code_key ON invite_codes (code_key);
CREATE UNIQUE INDEX invite_codes_current_key ON invite_codes (tenant_id, user_id) WHERE is_current;
CREATE INDEX invite_codes_user_idx ON invite_codes (tenant_id, user_id, created_at);
COMMENT ON TABLE invite_codes IS 'The codes by which users invite others; old ones stay theirs for ever, so rows are only ever added';
COMMENT ON COLUMN invite_codes.code_key IS 'As it is compared: no two codes look alike, of whatever tenants, as all stand in addresses of one server';
COMMENT ON COLUMN invite_codes.is_current IS 'Whether it is the one that its user gives out now';

-- 40 of the random bits of a version 4 UUID, whose first 48 are all random (RFC 9562, section 5.4); PostgreSQL takes them from the system.
CREATE FUNCTION make_invite_code() RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
    WITH drawn AS MATERIALIZED (SELECT ('x' || left(replace(gen_random_uuid()::text, '-', ''), 10))::bit(40)::bigint AS bits)
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (d.bits >> (5 * n) & 31)::integer, 1), '') FROM drawn d, generate_series(0, 7) AS n
$$;
COMMENT ON FUNCTION make_invite_code() IS 'Eight letters of Crockford''s base 32';
CREATE FUNCTION give_invite_code(of_tenant uuid, of_user uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    made text;
BEGIN
    -- A caller of a tenant's asks for that tenant; who signs in is of none yet.
    IF current_setting('role') IN ('portal_operator', 'portal_service') AND of_tenant <> current_setting('app.tenant_id')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'give_invite_code: a user of another tenant';
    END IF;
    UPDATE public.invite_codes SET is_current = false WHERE tenant_id = of_tenant AND user_id = of_user AND is_current;
    LOOP
        INSERT INTO public.invite_codes (tenant_id, code, user_id, is_current) VALUES (of_tenant, public.make_invite_code(), of_user, true)
        ON CONFLICT (code_key) DO NOTHING RETURNING code INTO made;
        EXIT WHEN made IS NOT NULL;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION give_invite_code(uuid, uuid) IS 'Makes a user a new code, which becomes the current one';
CREATE FUNCTION users_invite_code() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.give_invite_code(NEW.tenant_id, NEW.id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION users_invite_code() IS 'Makes every new user a code, by whatever way the user is added';
SELECT count(give_invite_code(tenant_id, id)) FROM users;
CREATE TRIGGER users_invite_code AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION users_invite_code();

-- Whose a code is. A function and not a policy: who knows a code may know that it is one, and nothing is listed.
CREATE FUNCTION user_of_invite_code(of_tenant uuid, given text) RETURNS uuid
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.user_id FROM public.invite_codes c WHERE c.tenant_id = of_tenant AND c.code_key = public.invite_code_key(given)
        AND (current_setting('role') NOT IN ('portal_partner', 'portal_operator', 'portal_service') OR of_tenant = current_setting('app.tenant_id')::uuid)
$$;
COMMENT ON FUNCTION user_of_invite_code(uuid, text) IS 'Whose invite code it is';

CREATE TABLE affiliate_periods (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    active_from timestamptz NOT NULL,
    active_to timestamptz,
    started_by text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    ended_by text,
    CONSTRAINT affiliate_periods_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT affiliate_periods_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT affiliate_periods_order CHECK (active_to >= active_from),
    CONSTRAINT affiliate_periods_one_at_a_time EXCLUDE USING gist
        (tenant_id WITH =, user_id WITH =, tstzrange(active_from, active_to) WITH &&)
);
CREATE INDEX affiliate_periods_user_idx ON affiliate_periods (tenant_id, user_id, active_from);
COMMENT ON TABLE affiliate_periods IS 'When users have been active as affiliates: switching on begins a period, switching off ends it';
COMMENT ON COLUMN affiliate_periods.started_by IS 'The act.sub claim of the token: who acted in the user''s name when it began; ended_by likewise';

CREATE TABLE affiliate_terms (
    tenant_id uuid NOT NULL CONSTRAINT affiliate_terms_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    number integer NOT NULL,
    share numeric(5, 4) NOT NULL,
    validity_days integer,
    is_active boolean NOT NULL,
    valid_from timestamptz NOT NULL,
    created_by uuid,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    CONSTRAINT affiliate_terms_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT affiliate_terms_number_key UNIQUE (tenant_id, number),
    CONSTRAINT affiliate_terms_valid_from_key UNIQUE (tenant_id, valid_from),
    CONSTRAINT affiliate_terms_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT affiliate_terms_share_range CHECK (share BETWEEN 0 AND 1),
    CONSTRAINT affiliate_terms_validity_range CHECK (validity_days BETWEEN 1 AND 36500)
);
COMMENT ON TABLE affiliate_terms IS 'What affiliates earn, in versions; the latest that has begun is in force. Rows are only ever added';
COMMENT ON COLUMN affiliate_terms.share IS 'Of what a referred person pays, as a fraction';
COMMENT ON COLUMN affiliate_terms.validity_days IS 'For how many days after a person''s sign-up their payments earn; NULL for good';
COMMENT ON COLUMN affiliate_terms.is_active IS 'Whether anybody earns anything: beats every other switch';

CREATE DOMAIN referral_means AS text CONSTRAINT referral_means_known CHECK (VALUE IN ('claimed', 'accepted', 'reported', 'corrected'));
CREATE TABLE referrals (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    referrer_id uuid NOT NULL,
    means referral_means NOT NULL,
    code text,
    reason text,
    signed_up_at timestamptz NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    first_paid_at timestamptz,
    initials text,
    decided_by uuid,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    end_reason text,
    ended_by uuid,
    end_impersonator text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT referrals_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT referrals_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT referrals_referrer_id_fkey FOREIGN KEY (tenant_id, referrer_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT referrals_decided_by_fkey FOREIGN KEY (tenant_id, decided_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT referrals_not_oneself CHECK (referrer_id <> user_id),
    CONSTRAINT referrals_order CHECK (valid_to >= valid_from),
    CONSTRAINT referrals_reason CHECK ((reason IS NOT NULL) = (means = 'corrected') AND char_length(reason) BETWEEN 1 AND 1000),
    CONSTRAINT referrals_ended_by_fkey FOREIGN KEY (tenant_id, ended_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT referrals_end CHECK ((end_reason IS NOT NULL) = (valid_to IS NOT NULL) AND char_length(end_reason) BETWEEN 1 AND 1000),
    CONSTRAINT referrals_code CHECK ((code IS NOT NULL) = (means <> 'corrected')),
    CONSTRAINT referrals_one_at_a_time EXCLUDE USING gist (tenant_id WITH =, user_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
);
-- Decided once; what comes after is an operator's correction.
CREATE UNIQUE INDEX referrals_decision_key ON referrals (tenant_id, user_id) WHERE means <> 'corrected';
CREATE INDEX referrals_user_idx ON referrals (tenant_id, user_id, valid_from);
CREATE INDEX referrals_referrer_idx ON referrals (tenant_id, referrer_id, signed_up_at, id);
COMMENT ON TABLE referrals IS 'Who was referred by whom, and when that holds; a correction ends one row and begins another';
COMMENT ON COLUMN referrals.signed_up_at IS 'When the person signed up: how long they earn their referrer something is counted from here';
COMMENT ON COLUMN referrals.first_paid_at IS 'The first payment of the person while this holds; NULL before it';
COMMENT ON COLUMN referrals.end_reason IS 'Why an operator ended it; ended_by and end_impersonator say who';
COMMENT ON COLUMN referrals.initials IS 'The person''s, kept here because the referrer may not read the person''s name; NULL where no name is known';

-- No more of a person is shown to the user who invited them.
CREATE FUNCTION initials(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
    SELECT nullif(string_agg(upper(left(word, 1)) || '.', ' ' ORDER BY n), '')
    FROM regexp_split_to_table(trim(coalesce(name, '')), '\s+') WITH ORDINALITY AS w (word, n) WHERE word ~ '^\w' AND n <= 3
$$;
COMMENT ON FUNCTION initials(text) IS 'The first letters of the first three words of a name';
CREATE FUNCTION referrals_initials() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.initials := (SELECT public.initials(u.name) FROM public.users u WHERE u.tenant_id = NEW.tenant_id AND u.id = NEW.user_id);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION referrals_initials() IS 'Takes the person''s initials along';
CREATE TRIGGER referrals_initials BEFORE INSERT ON referrals FOR EACH ROW EXECUTE FUNCTION referrals_initials();
CREATE FUNCTION users_initials() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE public.referrals r SET initials = public.initials(NEW.name) WHERE r.tenant_id = NEW.tenant_id AND r.user_id = NEW.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION users_initials() IS 'Lets the initials follow a person''s name';
CREATE TRIGGER users_initials AFTER UPDATE OF name ON users FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION users_initials();

-- Customers that are users. What the shop said of who invited a customer waits until the user is known.
ALTER TABLE customers
    ADD COLUMN user_id uuid,
    ADD COLUMN invite_code text,
    ADD COLUMN invited_at timestamptz,
    ADD COLUMN are_rewards_due boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT customers_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT customers_invited CHECK ((invite_code IS NULL) = (invited_at IS NULL));
CREATE INDEX customers_user_idx ON customers (tenant_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX customers_unlinked_email_idx ON customers (tenant_id, email_key(email)) WHERE user_id IS NULL AND email IS NOT NULL;
CREATE INDEX customers_rewards_due_idx ON customers (tenant_id, id) WHERE are_rewards_due;
COMMENT ON COLUMN customers.user_id IS 'The user that the customer is; NULL while that is not known';
COMMENT ON COLUMN customers.invite_code IS 'With whose code the customer signed up, as the billing system reported it first, and invited_at when';
COMMENT ON COLUMN customers.are_rewards_due IS 'Whether payments from before it was known who the customer is are still to be looked at';
GRANT UPDATE (user_id, invite_code, invited_at, are_rewards_due) ON customers TO portal_operator, portal_service;

-- Customers of a person's verified address become that person's when the person signs in. A user who may still become one is looked up for each
-- request with a verified address, as invited members are.
CREATE FUNCTION link_customers(of_tenant uuid, of_user uuid, verified_email text) RETURNS bigint
    LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH found AS (
        SELECT c.tenant_id, c.id FROM public.customers c
        WHERE c.tenant_id = of_tenant AND public.email_key(c.email) = public.email_key(verified_email) AND c.user_id IS NULL
            AND c.email IS NOT NULL
        ORDER BY c.id FOR NO KEY UPDATE),
    linked AS (
        UPDATE public.customers c SET user_id = of_user, are_rewards_due = true, updated_at = now() FROM found f
        WHERE c.tenant_id = f.tenant_id AND c.id = f.id RETURNING 1)
    SELECT count(*) FROM linked
$$;
COMMENT ON FUNCTION link_customers(uuid, uuid, text) IS 'Makes the customers of a verified address a user''s; gives how many';
CREATE OR REPLACE FUNCTION portal_is_invited(of_tenant uuid, verified_email text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = of_tenant AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = 'invited')
        OR EXISTS (SELECT FROM public.customers c
            WHERE c.tenant_id = of_tenant AND public.email_key(c.email) = public.email_key(verified_email) AND c.user_id IS NULL AND c.email IS NOT NULL)
$$;
COMMENT ON FUNCTION portal_is_invited(uuid, text) IS 'Whether an address, which the issuer has verified, is that of an invited member, or of a customer of whom no user is known';
DO $migration$
BEGIN
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        'verified_email IS NOT NULL AND EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = t.id AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = ''invited'')',
        'coalesce(public.portal_is_invited(t.id, verified_email), false)');
    IF pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure) NOT LIKE '%portal_is_invited%' THEN
        RAISE 'portal_caller() is not as it was expected';
    END IF;
END $migration$;

-- What the machine that does what is due needs to know of other tenants.
CREATE FUNCTION tenants_with_due_rewards(due_by timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id FROM public.tenants t WHERE EXISTS (SELECT FROM public.customers c WHERE c.tenant_id = t.id AND c.are_rewards_due) ORDER BY t.id
$$;
COMMENT ON FUNCTION tenants_with_due_rewards(timestamptz) IS 'Ids alone, for the maintenance task';

REVOKE ALL ON FUNCTION give_invite_code(uuid, uuid), users_invite_code(), user_of_invite_code(uuid, text), referrals_initials(), users_initials(),
    link_customers(uuid, uuid, text), tenants_with_due_rewards(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION user_of_invite_code(uuid, text) TO portal_gate, portal_partner, portal_operator, portal_service;
GRANT EXECUTE ON FUNCTION give_invite_code(uuid, uuid) TO portal_operator, portal_service;
GRANT EXECUTE ON FUNCTION link_customers(uuid, uuid, text) TO portal_gate;
GRANT EXECUTE ON FUNCTION tenants_with_due_rewards(timestamptz) TO portal_service;

ALTER TABLE invite_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE affiliate_periods ENABLE ROW LEVEL SECURITY;
ALTER TABLE affiliate_terms ENABLE ROW LEVEL SECURITY;
ALTER TABLE referrals ENABLE ROW LEVEL SECURITY;
CREATE POLICY invite_codes_own ON invite_codes FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND user_id = (SELECT current_setting('app.user_id')::uuid));
CREATE POLICY affiliate_periods_own ON affiliate_periods FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND user_id = (SELECT current_setting('app.user_id')::uuid));
CREATE POLICY affiliate_terms_partner ON affiliate_terms FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
-- A person sees whom they referred, and whether somebody referred them.
CREATE POLICY referrals_own ON referrals FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND (referrer_id = (SELECT current_setting('app.user_id')::uuid) OR user_id = (SELECT current_setting('app.user_id')::uuid)));
DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['invite_codes', 'affiliate_periods', 'affiliate_terms', 'referrals'] LOOP
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator, portal_service USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))',
            tab || '_staff', tab);
    END LOOP;
END $$;
-- Who signs up with a claim is referred before anything else is known of them.
CREATE POLICY referrals_gate ON referrals FOR INSERT TO portal_gate
    WITH CHECK (means = 'claimed' AND user_id IN (SELECT id FROM users WHERE users.tenant_id = referrals.tenant_id));
GRANT SELECT ON invite_codes, affiliate_periods, affiliate_terms, referrals TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, code, user_id, is_current), UPDATE (is_current) ON invite_codes TO portal_operator, portal_service;
GRANT INSERT, UPDATE (active_to, ended_by) ON affiliate_periods TO portal_operator, portal_service;
GRANT INSERT ON affiliate_terms TO portal_operator;
GRANT INSERT, UPDATE (valid_to, first_paid_at, end_reason, ended_by, end_impersonator) ON referrals TO portal_operator, portal_service;
GRANT INSERT ON referrals TO portal_gate;
