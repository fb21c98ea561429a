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

-- The trail opens the table of users only where somebody signs in. An entry is of the time at which the first change was made: of those who wait for one another the
-- later comes later.
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
    INSERT INTO public.audit_entries (tenant_id, id, at, action, actor_role, actor_id, impersonator, reason, request_id, operation_name)
    VALUES (of_tenant, entry, clock_timestamp(), act ->> 'action', act ->> 'role', actor, nullif(current_setting('app.impersonator', true), ''), act ->> 'reason', act ->> 'request', act ->> 'operation');
    PERFORM set_config('app.audit_entry', own || ' ' || entry, true);
    RETURN entry;
END $$;

CREATE FUNCTION audit_left_out(more text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT string_to_array('tenant_id id created_at created_by updated_at version impersonator idempotency_key request search_text email_key '
        || 'company_name_sort deal_value_sort client_name_sort amount_sort total_sort name_sort tax_id_last4 bank_account_last4 ' || more, ' ')
$$;
COMMENT ON FUNCTION audit_left_out(text) IS 'Columns that the audit trail leaves out: what is written beside every change, what follows from other columns, and those that are given';

CREATE FUNCTION audit_is_secret(subject text, col text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT col LIKE '%sealed' OR col LIKE '%\_hash' OR subject || '.' || col IN ('WebhookEndpoint.url', 'PartnerProfile.payment_email')
$$;
COMMENT ON FUNCTION audit_is_secret(text, text) IS 'Whether the audit trail keeps no values of a column. In the address of an endpoint there may be a password of another system''s, and a payment address is where payouts go';

-- The audit trail of tables of which a statement changes a few rows compares column by column: comparing rows by way of JSON took half of the trail's time. Tables of
-- which a statement may change many rows stay with audit_record(), which counts them.
CREATE FUNCTION audit_by_row(tab name, given text[] DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    relation CONSTANT regclass := ('public.' || quote_ident(tab))::regclass;
    -- As the triggers have them: the subject, the column that names it, the column of its partner, the columns that name the row, those that are left out.
    arguments CONSTANT text[] := coalesce(given, (SELECT string_to_array(encode(t.tgargs, 'escape'), '\000') FROM pg_trigger t
        WHERE t.tgrelid = relation AND t.tgname ~ '_audit(_|$)' ORDER BY t.tgname LIMIT 1));
    subject CONSTANT text := arguments[1];
    of_tenant CONSTANT text := format('coalesce(NEW.%1$I, OLD.%1$I)', CASE tab WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END);
    subject_id CONSTANT text := CASE arguments[2] WHEN '' THEN 'NULL' ELSE format('coalesce(NEW.%1$I, OLD.%1$I)', arguments[2]) END;
    of_partner CONSTANT text := CASE arguments[3] WHEN '' THEN 'NULL' ELSE format('coalesce(NEW.%1$I, OLD.%1$I)', arguments[3]) END;
    left_out CONSTANT text[] := public.audit_left_out(arguments[5]);
    own CONSTANT name := tab || '_audit';
    comparisons text;
    moved text := '';
    named text := '';
    fired record;
BEGIN
    SELECT string_agg(format(E'    IF OLD.%1$I IS DISTINCT FROM NEW.%1$I THEN\n        differences := differences || jsonb_build_object(%1$L, %2$s);\n    END IF;\n', a.attname,
            CASE WHEN public.audit_is_secret(subject, a.attname) THEN 'true'
                ELSE format('jsonb_build_array(to_jsonb(OLD.%1$I) #>> ''{}'', to_jsonb(NEW.%1$I) #>> ''{}'')', a.attname) END), '' ORDER BY a.attnum)
        INTO comparisons FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (left_out);
    -- Where it goes from one partner to another, it is a change of both.
    IF arguments[3] NOT IN ('', arguments[2]) THEN
        moved := format($moved$    IF TG_OP = 'UPDATE' AND OLD.%1$I IS DISTINCT FROM NEW.%1$I THEN
        INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
            VALUES (%2$s, entry, OLD.%1$I, 'updated', %3$L, %4$s, differences);
    END IF;
$moved$, arguments[3], of_tenant, subject, subject_id);
    END IF;
    -- What has no id is named by its key, also where that stays.
    IF arguments[2] = '' THEN
        SELECT string_agg(format(E'    differences := differences || jsonb_build_object(%1$L, jsonb_build_array(to_jsonb(OLD.%1$I) #>> ''{}'', to_jsonb(NEW.%1$I) #>> ''{}''));\n', key), '')
            INTO named FROM unnest(string_to_array(arguments[4], ' ')) AS key;
    END IF;
    EXECUTE format('CREATE OR REPLACE ' || 'FUNCTION public.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS %L', own, format($body$
DECLARE
    differences jsonb := '{}';
    entry uuid;
BEGIN
%1$s    IF TG_OP = 'UPDATE' AND differences = '{}' THEN
        RETURN NULL;
    END IF;
%7$s    entry := public.audit_entry(%2$s);
    INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
        VALUES (%2$s, entry, %3$s, CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'removed' END, %4$L, %5$s, differences);
%6$s    RETURN NULL;
END $body$, comparisons, of_tenant, of_partner, subject, subject_id, moved, named));
    EXECUTE format('COMMENT ON FUNCTION public.%I() IS %L', own, format('Records in the audit trail each change of a row of %s. Made by audit_by_row()', tab));
    EXECUTE format('REVOKE ALL ON FUNCTION public.%I() FROM PUBLIC', own);
    -- Replaced in place, which keeps no reader waiting.
    FOR fired IN
        SELECT t.tgname, concat_ws(' OR ', CASE WHEN t.tgtype & 4 > 0 THEN 'INSERT' END, CASE WHEN t.tgtype & 8 > 0 THEN 'DELETE' END,
            CASE WHEN t.tgtype & 16 > 0 THEN 'UPDATE' || coalesce(' OF ' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum = ANY (t.tgattr)), '') END) AS events
        FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname ~ '_audit(_|$)'
        UNION ALL
        SELECT own || '_' || lower(e), e FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS e
        WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname ~ '_audit(_|$)')
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON public.%I FOR EACH ROW WHEN (coalesce(current_setting(''app.audit'', true), '''') <> '''') EXECUTE ' || 'FUNCTION public.%I(%s)',
            fired.tgname, fired.events, tab, own, (SELECT string_agg(quote_literal(a), ', ' ORDER BY number) FROM unnest(arguments[1:5]) WITH ORDINALITY AS l (a, number)));
    END LOOP;
END $$;
COMMENT ON FUNCTION audit_by_row(name, text[]) IS 'Creates the audit triggers of a table, or again after its columns have changed; then it takes the arguments that the triggers have. No statement should change more than a few of its rows';
REVOKE ALL ON FUNCTION audit_by_row(name, text[]) FROM PUBLIC;

DO $$
BEGIN
    PERFORM audit_by_row(tab) FROM unnest(string_to_array(regexp_replace(
        'partner_profiles partner_applications partner_leads partner_commissions partner_commission_tiers credit_grants credit_redemptions
        partner_accounts invoices programmes enrolments link_hosts link_shares affiliate_terms affiliate_periods invite_codes referrals data_imports
        webhook_endpoints webhook_secrets webhook_sources webhook_source_secrets tenants users partners', '\s+', ' ', 'g'), ' ')) AS tab;
    -- The hash of its address follows from the address.
    PERFORM audit_by_row('links', ARRAY['Link', 'id', 'partner_id', 'id', 'url_hash']);
END $$;

-- By statement: a row's columns are compared in one pass.
CREATE OR REPLACE FUNCTION audit_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    -- Of a statement that changes more rows than this, how many they are is recorded, and not each.
    most CONSTANT bigint := 200;
    subject CONSTANT text := TG_ARGV[0];
    id_column CONSTANT text := TG_ARGV[1];
    partner_column CONSTANT text := TG_ARGV[2];
    left_out CONSTANT text[] := public.audit_left_out(TG_ARGV[4]);
    done CONSTANT text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'removed' END;
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
        SELECT jsonb_object_agg(c.key, CASE WHEN public.audit_is_secret(subject, c.key) THEN 'true'::jsonb
                ELSE jsonb_build_array(c.before #>> '{}', c.after #>> '{}') END)
            INTO differences
            FROM (SELECT coalesce(r.before_key, r.after_key) AS key, coalesce(r.before_value, 'null') AS before, coalesce(r.after_value, 'null') AS after
                FROM ROWS FROM (jsonb_each(befores[i]), jsonb_each(afters[i])) AS r (before_key, before_value, after_key, after_value)) AS c
            WHERE c.before <> c.after AND c.key <> ALL (left_out);
        CONTINUE WHEN differences IS NULL AND TG_OP = 'UPDATE';
        of_tenant := whole ->> 'tenant_id';
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
