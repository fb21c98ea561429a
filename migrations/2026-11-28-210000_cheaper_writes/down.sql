SET LOCAL lock_timeout = '60s';

CREATE OR REPLACE FUNCTION search_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN octet_length(value) = char_length(value) THEN lower(value COLLATE "C")
        ELSE translate(replace(replace(replace(
            public.fold_case(regexp_replace(normalize(value, NFKD), '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g')),
            'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'øđłħŧðı', 'odlhtdi') END
$$;

CREATE OR REPLACE FUNCTION sort_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN octet_length(value) = char_length(value) THEN lower(value COLLATE "C")
        ELSE public.search_key(value) || E'\u0001' || public.fold_case(normalize(value, NFC)) END
$$;

CREATE OR REPLACE FUNCTION webhook_texts(given jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each_text(given) AS t
$$;

CREATE OR REPLACE FUNCTION audit_entry(of_tenant uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    known text := current_setting('app.audit_entry', true);
    -- What another transaction has set is not this one's entry.
    own CONSTANT text := of_tenant || ' ' || pg_current_xact_id();
    act jsonb;
    entry uuid;
BEGIN
    IF known LIKE own || ' %' THEN
        RETURN split_part(known, ' ', 3)::uuid;
    END IF;
    act := current_setting('app.audit')::jsonb;
    -- A UUIDv7 (RFC 9562, section 5.7), but for its version: entries of one time are beside each other in all indexes.
    entry := encode(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        'hex')::uuid;
    INSERT INTO public.audit_entries (tenant_id, id, action, actor_role, actor_id, impersonator, reason, request_id, operation_name)
    VALUES (of_tenant, entry, act ->> 'action', act ->> 'role', CASE act ->> 'role'
            WHEN 'sign_in' THEN (SELECT u.id FROM public.users u WHERE u.tenant_id = of_tenant AND u.clerk_user_id = current_setting('app.subject', true))
            ELSE nullif(nullif(current_setting('app.user_id', true), ''), '00000000-0000-0000-0000-000000000000')::uuid END,
        nullif(current_setting('app.impersonator', true), ''), act ->> 'reason', act ->> 'request', act ->> 'operation');
    PERFORM set_config('app.audit_entry', own || ' ' || entry, true);
    RETURN entry;
END $$;

CREATE OR REPLACE FUNCTION audit_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    -- Of a statement that changes more rows than this, how many they are is recorded, and not each.
    most CONSTANT bigint := 200;
    subject CONSTANT text := TG_ARGV[0];
    id_column CONSTANT text := TG_ARGV[1];
    partner_column CONSTANT text := TG_ARGV[2];
    -- What is written beside every change, and what follows from other columns.
    ignored CONSTANT text[] := string_to_array('tenant_id id created_at created_by updated_at version impersonator idempotency_key request search_text email_key '
        || 'company_name_sort deal_value_sort client_name_sort amount_sort total_sort name_sort tax_id_last4 bank_account_last4 ' || TG_ARGV[4], ' ');
    done CONSTANT text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'removed' END;
    -- Beside what is sealed or hashed: in the address of an endpoint there may be a password of another system's, and a payment address is where payouts go.
    secrets CONSTANT text[] := CASE subject WHEN 'WebhookEndpoint' THEN '{url}' WHEN 'PartnerProfile' THEN '{payment_email}' ELSE '{}' END;
    keys text[];
    total bigint;
    befores jsonb[];
    afters jsonb[];
    before jsonb;
    after jsonb;
    whole jsonb;
    differences jsonb;
    of_tenant uuid;
    of_partner uuid;
    former_partner uuid;
    entry uuid;
BEGIN
    IF coalesce(current_setting('app.audit', true), '') = '' THEN
        RETURN NULL;
    END IF;
    -- That a received event was decided is not what it has changed.
    IF subject = 'WebhookReceipt' AND current_setting('app.audit')::jsonb ->> 'role' = 'webhook' THEN
        RETURN NULL;
    END IF;
    IF TG_LEVEL = 'ROW' THEN
        total := 1;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO total FROM old_rows;
    ELSE
        SELECT count(*) INTO total FROM new_rows;
    END IF;
    IF total > most THEN
        EXECUTE format('INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, row_count, fields)
            SELECT %3$I, public.audit_entry(%3$I), %1$s, %4$L, %5$L, count(*), ''{}'' FROM %2$I GROUP BY 1, 3',
            CASE WHEN partner_column = '' THEN 'NULL::uuid' ELSE quote_ident(partner_column) END,
            CASE TG_OP WHEN 'DELETE' THEN 'old_rows' ELSE 'new_rows' END, 'tenant_id', done, subject);
        RETURN NULL;
    END IF;
    IF TG_LEVEL = 'ROW' THEN
        IF TG_OP <> 'INSERT' THEN
            befores := ARRAY[to_jsonb(OLD)];
        END IF;
        IF TG_OP <> 'DELETE' THEN
            afters := ARRAY[to_jsonb(NEW)];
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(to_jsonb(n)) INTO afters FROM new_rows n;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(to_jsonb(o)) INTO befores FROM old_rows o;
    ELSIF total = 1 THEN
        SELECT ARRAY[to_jsonb(o)], ARRAY[to_jsonb(n)] INTO befores, afters FROM old_rows o CROSS JOIN new_rows n;
    ELSE
        keys := string_to_array(TG_ARGV[3], ' ');
        SELECT array_agg(o.row), array_agg(n.row) INTO befores, afters
        FROM (SELECT to_jsonb(o) AS row FROM old_rows o OFFSET 0) AS o
        JOIN (SELECT to_jsonb(n) AS row FROM new_rows n OFFSET 0) AS n ON (SELECT bool_and(n.row -> key = o.row -> key) FROM unnest(keys) AS key);
    END IF;
    FOR i IN 1 .. coalesce(cardinality(afters), cardinality(befores), 0) LOOP
        whole := coalesce(afters[i], befores[i]);
        before := befores[i] - ignored;
        after := afters[i] - ignored;
        CONTINUE WHEN before = after;
        SELECT jsonb_object_agg(c.key, CASE WHEN c.key LIKE '%sealed' OR c.key LIKE '%\_hash' OR c.key = ANY (secrets) THEN 'true'::jsonb
                ELSE jsonb_build_array(before ->> c.key, after ->> c.key) END)
            INTO differences FROM jsonb_each_text(coalesce(after, before)) AS c WHERE before ->> c.key IS DISTINCT FROM after ->> c.key;
        of_tenant := coalesce(whole ->> 'tenant_id', whole ->> 'id');
        of_partner := whole ->> partner_column;
        former_partner := coalesce(befores[i], whole) ->> partner_column;
        entry := public.audit_entry(of_tenant);
        INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
            VALUES (of_tenant, entry, of_partner, done, subject, (whole ->> id_column)::uuid, coalesce(differences, '{}'));
        -- Where it goes from one partner to another, it is a change of both.
        IF former_partner IS DISTINCT FROM of_partner THEN
            INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
                VALUES (of_tenant, entry, former_partner, done, subject, (whole ->> id_column)::uuid, coalesce(differences, '{}'));
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

DO $$
DECLARE
    audited record;
BEGIN
    FOR audited IN SELECT * FROM (VALUES
        ('partner_profiles', 'PartnerProfile', 'partner_id', 'partner_id', 'partner_id', ''),
        ('partner_applications', 'PartnerApplication', 'partner_id', 'partner_id', 'partner_id', ''),
        ('partner_leads', 'Lead', 'id', 'partner_id', 'id', ''),
        ('partner_commissions', 'CommissionRule', 'id', 'partner_id', 'id', 'scope_currency scope_id'),
        ('partner_commission_tiers', 'CommissionRuleTier', 'rule_id', '', 'rule_id above', 'rule_id'),
        ('credit_grants', 'CreditGrant', 'id', 'partner_id', 'id', ''),
        ('credit_redemptions', 'CreditRedemption', 'id', '', 'id', 'reversal_key reversal_request'),
        ('partner_accounts', 'CustomerAccount', 'id', 'partner_id', 'id', ''),
        ('invoices', 'Sale', '', '', 'external_id', ''),
        ('programmes', 'Programme', 'id', '', 'id', 'rate_asked_at rate_until'),
        ('enrolments', 'Enrolment', 'id', 'partner_id', 'id', ''),
        ('links', 'Link', 'id', 'partner_id', 'id', ''),
        ('link_hosts', 'LinkHost', '', '', 'host', ''),
        ('link_shares', 'LinkShare', 'link_id', 'partner_id', 'link_id partner_id', ''),
        ('affiliate_terms', 'AffiliateTerms', 'id', '', 'id', ''),
        ('affiliate_periods', 'Affiliate', 'user_id', '', 'user_id', ''),
        ('invite_codes', 'InviteCode', 'user_id', '', 'code', 'code_key'),
        ('referrals', 'Referral', 'id', '', 'id', ''),
        ('data_imports', 'DataImport', 'id', '', 'id', 'files lease held_until'),
        ('webhook_endpoints', 'WebhookEndpoint', 'id', '', 'id', 'failing_since failures is_slow paused_until last_success_at'),
        ('webhook_secrets', 'WebhookSecret', 'endpoint_id', '', 'id', ''),
        ('webhook_sources', 'WebhookSource', 'id', '', 'id', ''),
        ('webhook_source_secrets', 'WebhookSourceSecret', 'source_id', '', 'id', '')
    ) AS known (name, subject, id_column, partner_column, keys, ignored)
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %1$s_audit_insert AFTER INSERT ON %1$I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_record(%2$L, %3$L, %4$L, %5$L, %6$L)',
            audited.name, audited.subject, audited.id_column, audited.partner_column, audited.keys, audited.ignored);
        EXECUTE format('CREATE OR REPLACE TRIGGER %1$s_audit_update AFTER UPDATE ON %1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_record(%2$L, %3$L, %4$L, %5$L, %6$L)',
            audited.name, audited.subject, audited.id_column, audited.partner_column, audited.keys, audited.ignored);
        EXECUTE format('CREATE OR REPLACE TRIGGER %1$s_audit_delete AFTER DELETE ON %1$I REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_record(%2$L, %3$L, %4$L, %5$L, %6$L)',
            audited.name, audited.subject, audited.id_column, audited.partner_column, audited.keys, audited.ignored);
    END LOOP;
END $$;

-- These have counters and versions beside what people change: row by row, and only where a statement names a column that people change.
DO $$
DECLARE
    audited record;
BEGIN
    FOR audited IN SELECT * FROM (VALUES
        ('tenants', 'Tenant', '', 'slug, name, issuer, default_currency, default_commission_rate, partner_on_signup, commission_hold_days, minimum_payout, time_zone, sign_up_url'),
        ('users', 'User', '', 'clerk_user_id, email, name, default_partner_id'),
        ('partners', 'Partner', 'id', 'company_name, status, status_reason, commission_rate, clerk_org_id')
    ) AS known (name, subject, partner_column, columns)
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %1$s_audit AFTER INSERT OR DELETE OR UPDATE OF %4$s ON %1$I FOR EACH ROW EXECUTE FUNCTION audit_record(%2$L, ''id'', %3$L, ''id'', ''total_referrals converted_referrals'')',
            audited.name, audited.subject, audited.partner_column, audited.columns);
    END LOOP;
END $$;

DO $$
DECLARE
    made record;
BEGIN
    FOR made IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE '%\_audit' AND p.prorettype = 'trigger'::regtype LOOP
        EXECUTE format('DROP ' || 'FUNCTION %s', made.name);
    END LOOP;
END $$;

DROP FUNCTION audit_by_row(name, text[]), audit_left_out(text), audit_is_secret(text, text);
