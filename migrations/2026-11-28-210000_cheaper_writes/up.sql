-- Writes cost less.
--
-- A function in SQL that is not inlined is parsed and planned anew by every statement that computes a generated column by it, and was by each change of a lead, a
-- member or a customer: that was two fifths of what PostgreSQL did for it. Functions in PL/pgSQL keep their plans. They give the same values.
SET LOCAL lock_timeout = '60s';

CREATE OR REPLACE FUNCTION search_key(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
    IF octet_length(value) = char_length(value) THEN
        RETURN lower(value COLLATE "C");
    END IF;
    RETURN translate(replace(replace(replace(
        public.fold_case(regexp_replace(normalize(value, NFKD), '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g')),
        'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'øđłħŧðı', 'odlhtdi');
END $$;

CREATE OR REPLACE FUNCTION sort_key(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
    IF octet_length(value) = char_length(value) THEN
        RETURN lower(value COLLATE "C");
    END IF;
    RETURN public.search_key(value) || E'\u0001' || public.fold_case(normalize(value, NFC));
END $$;

CREATE OR REPLACE FUNCTION webhook_texts(given jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each_text(given) AS t);
END $$;

-- The trail opens the table of users only where somebody signs in.
CREATE OR REPLACE FUNCTION audit_entry(of_tenant uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    known text := current_setting('app.audit_entry', true);
    -- What another transaction has set is not this one's entry.
    own CONSTANT text := of_tenant || ' ' || pg_current_xact_id();
    act jsonb;
    entry uuid;
    actor uuid;
BEGIN
    IF known LIKE own || ' %' THEN
        RETURN split_part(known, ' ', 3)::uuid;
    END IF;
    act := current_setting('app.audit')::jsonb;
    -- A UUIDv7 (RFC 9562, section 5.7), but for its version: entries of one time are beside each other in all indexes.
    entry := encode(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        'hex')::uuid;
    -- Not within the statement below, which would open the table of users each time.
    IF act ->> 'role' = 'sign_in' THEN
        SELECT u.id INTO actor FROM public.users u WHERE u.tenant_id = of_tenant AND u.clerk_user_id = current_setting('app.subject', true);
    ELSE
        actor := nullif(nullif(current_setting('app.user_id', true), ''), '00000000-0000-0000-0000-000000000000');
    END IF;
    INSERT INTO public.audit_entries (tenant_id, id, action, actor_role, actor_id, impersonator, reason, request_id, operation_name)
    VALUES (of_tenant, entry, act ->> 'action', act ->> 'role', actor, nullif(current_setting('app.impersonator', true), ''), act ->> 'reason', act ->> 'request', act ->> 'operation');
    PERFORM set_config('app.audit_entry', own || ' ' || entry, true);
    RETURN entry;
END $$;

-- The audit trail of tables of which a statement changes a few rows: a function for each table that compares column by column, as comparing rows by way of JSON
-- took half of the trail's time. What is mass work stays with audit_record(), which counts where there are many.
CREATE FUNCTION audit_by_row(tab name, subject text, id_column text, partner_column text, ignored text, columns text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    -- What is written beside every change, and what follows from other columns.
    left_out CONSTANT text[] := string_to_array('tenant_id id created_at created_by updated_at version impersonator idempotency_key request search_text email_key '
        || 'company_name_sort deal_value_sort client_name_sort amount_sort total_sort name_sort tax_id_last4 bank_account_last4 ' || ignored, ' ');
    -- Beside what is sealed or hashed: in the address of an endpoint there may be a password of another system's, and a payment address is where payouts go.
    secrets CONSTANT text[] := CASE subject WHEN 'WebhookEndpoint' THEN '{url}' WHEN 'PartnerProfile' THEN '{payment_email}' ELSE '{}' END;
    tenant_column CONSTANT text := CASE tab WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END;
    comparisons text;
    skipped text;
BEGIN
    SELECT string_agg(format(E'    IF OLD.%1$I IS DISTINCT FROM NEW.%1$I THEN\n        differences := differences || jsonb_build_object(%1$L, %2$s);\n    END IF;\n', a.attname,
            CASE WHEN a.attname LIKE '%sealed' OR a.attname LIKE '%\_hash' OR a.attname = ANY (secrets) THEN 'true'
                ELSE format('jsonb_build_array(to_jsonb(OLD.%1$I) #>> ''{}'', to_jsonb(NEW.%1$I) #>> ''{}'')', a.attname) END), '' ORDER BY a.attnum)
            FILTER (WHERE a.attname <> ALL (left_out)),
        string_agg(a.attname, ' ' ORDER BY a.attnum) FILTER (WHERE a.attname = ANY (left_out))
        INTO comparisons, skipped
        FROM pg_attribute a WHERE a.attrelid = ('public.' || quote_ident(tab))::regclass AND a.attnum > 0 AND NOT a.attisdropped;
    EXECUTE format('CREATE OR REPLACE FUNCTION public.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS %L',
        tab || '_audit', format($body$
-- Made by audit_by_row(), which is called again where the table gets a column.
-- Left out: %1$s
DECLARE
    differences jsonb := '{}';
    entry uuid;
BEGIN
    IF coalesce(current_setting('app.audit', true), '') = '' THEN
        RETURN NULL;
    END IF;
%2$s    IF TG_OP = 'UPDATE' AND differences = '{}' THEN
        RETURN NULL;
    END IF;
    entry := public.audit_entry(coalesce(NEW.%3$I, OLD.%3$I));
    INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
        VALUES (coalesce(NEW.%3$I, OLD.%3$I), entry, %4$s, CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'removed' END, %5$L, %6$s, differences);
%7$s    RETURN NULL;
END $body$, skipped, comparisons, tenant_column,
            CASE WHEN partner_column = '' THEN 'NULL' ELSE format('coalesce(NEW.%1$I, OLD.%1$I)', partner_column) END, subject,
            CASE WHEN id_column = '' THEN 'NULL' ELSE format('coalesce(NEW.%1$I, OLD.%1$I)', id_column) END,
            CASE WHEN partner_column = '' OR partner_column = id_column THEN '' ELSE format($moved$    -- Where it goes from one partner to another, it is a change of both.
    IF TG_OP = 'UPDATE' AND OLD.%1$I IS DISTINCT FROM NEW.%1$I THEN
        INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
            VALUES (NEW.%2$I, entry, OLD.%1$I, 'updated', %3$L, %4$s, differences);
    END IF;
$moved$, partner_column, tenant_column, subject, CASE WHEN id_column = '' THEN 'NULL' ELSE 'NEW.' || quote_ident(id_column) END) END));
    EXECUTE format('REVOKE ALL ON FUNCTION public.%I() FROM PUBLIC', tab || '_audit');
    EXECUTE format('DROP TRIGGER IF EXISTS %1$I ON public.%2$I', tab || '_audit', tab);
    EXECUTE format('CREATE TRIGGER %1$I AFTER INSERT OR DELETE OR UPDATE %3$s ON public.%2$I FOR EACH ROW EXECUTE FUNCTION public.%1$I()', tab || '_audit', tab, 'OF ' || columns);
END $$;
COMMENT ON FUNCTION audit_by_row(name, text, text, text, text, text) IS 'Records each change of a row of a table in the audit trail; again after its columns have changed. Columns: only where a statement names one of these';
REVOKE ALL ON FUNCTION audit_by_row(name, text, text, text, text, text) FROM PUBLIC;

DO $$
DECLARE
    audited record;
BEGIN
    FOR audited IN SELECT * FROM (VALUES
        ('partner_profiles', 'PartnerProfile', 'partner_id', 'partner_id', ''),
        ('partner_applications', 'PartnerApplication', 'partner_id', 'partner_id', ''),
        ('partner_users', 'PartnerUser', 'user_id', 'partner_id', ''),
        ('partner_invitations', 'Invitation', 'id', 'partner_id', ''),
        ('partner_leads', 'Lead', 'id', 'partner_id', ''),
        ('partner_commissions', 'CommissionRule', 'id', 'partner_id', 'scope_currency scope_id'),
        ('partner_commission_tiers', 'CommissionRuleTier', 'rule_id', '', 'rule_id'),
        ('credit_grants', 'CreditGrant', 'id', 'partner_id', ''),
        ('credit_redemptions', 'CreditRedemption', 'id', '', 'reversal_key reversal_request'),
        ('partner_accounts', 'CustomerAccount', 'id', 'partner_id', ''),
        ('invoices', 'Sale', '', '', ''),
        ('programmes', 'Programme', 'id', '', 'rate_asked_at rate_until'),
        ('enrolments', 'Enrolment', 'id', 'partner_id', ''),
        ('links', 'Link', 'id', 'partner_id', ''),
        ('link_hosts', 'LinkHost', '', '', ''),
        ('link_shares', 'LinkShare', 'link_id', 'partner_id', ''),
        ('affiliate_terms', 'AffiliateTerms', 'id', '', ''),
        ('affiliate_periods', 'Affiliate', 'user_id', '', ''),
        ('invite_codes', 'InviteCode', 'user_id', '', 'code_key'),
        ('referrals', 'Referral', 'id', '', ''),
        ('data_imports', 'DataImport', 'id', '', 'files lease held_until'),
        ('webhook_endpoints', 'WebhookEndpoint', 'id', '', 'failing_since failures is_slow paused_until last_success_at'),
        ('webhook_secrets', 'WebhookSecret', 'endpoint_id', '', ''),
        ('webhook_sources', 'WebhookSource', 'id', '', ''),
        ('webhook_source_secrets', 'WebhookSourceSecret', 'source_id', '', '')
    ) AS known (name, subject, id_column, partner_column, ignored)
    LOOP
        EXECUTE format('DROP TRIGGER %1$s_audit_insert ON %1$I; DROP TRIGGER %1$s_audit_update ON %1$I; DROP TRIGGER %1$s_audit_delete ON %1$I', audited.name);
        PERFORM audit_by_row(audited.name, audited.subject, audited.id_column, audited.partner_column, audited.ignored);
    END LOOP;
    -- These have counters and versions beside what people change.
    PERFORM audit_by_row('tenants', 'Tenant', 'id', '', '',
        'slug, name, issuer, default_currency, default_commission_rate, partner_on_signup, commission_hold_days, minimum_payout, time_zone, sign_up_url');
    PERFORM audit_by_row('users', 'User', 'id', '', '', 'clerk_user_id, email, name, default_partner_id');
    PERFORM audit_by_row('partners', 'Partner', 'id', 'id', 'total_referrals converted_referrals', 'company_name, status, status_reason, commission_rate, clerk_org_id');
END $$;

-- By statement: a row's columns are compared in one pass.
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
    IF TG_OP = 'DELETE' THEN
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
    IF TG_OP = 'INSERT' THEN
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
        -- Before and after have the same columns, in the same order.
        SELECT jsonb_object_agg(c.key, CASE WHEN c.key LIKE '%sealed' OR c.key LIKE '%\_hash' OR c.key = ANY (secrets) THEN 'true'::jsonb
                ELSE jsonb_build_array(c.before #>> '{}', c.after #>> '{}') END)
            INTO differences
            FROM (SELECT coalesce(r.before_key, r.after_key) AS key, coalesce(r.before_value, 'null') AS before, coalesce(r.after_value, 'null') AS after
                FROM ROWS FROM (jsonb_each(befores[i]), jsonb_each(afters[i])) AS r (before_key, before_value, after_key, after_value)) AS c
            WHERE c.before <> c.after AND c.key <> ALL (ignored);
        CONTINUE WHEN differences IS NULL AND TG_OP = 'UPDATE';
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
