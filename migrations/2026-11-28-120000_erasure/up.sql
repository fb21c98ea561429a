-- Erasing people: what names somebody is replaced by a pseudonym, in their own rows and wherever else it was written. Amounts, dates and statuses stay.
SET LOCAL lock_timeout = '60s';

ALTER TABLE partner_leads ADD COLUMN erased_at timestamptz;
ALTER TABLE partner_members ADD COLUMN erased_at timestamptz;
ALTER TABLE customers ADD COLUMN erased_at timestamptz;
ALTER TABLE users ADD COLUMN erased_at timestamptz;
ALTER TABLE partner_invitations ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN partner_leads.erased_at IS 'When the client was erased: what named them is a pseudonym since';
COMMENT ON COLUMN partner_members.erased_at IS 'When the member was erased: what named them is a pseudonym since';
COMMENT ON COLUMN customers.erased_at IS 'When the customer was erased: what named them is a pseudonym since';
COMMENT ON COLUMN users.erased_at IS 'When the user was erased: what named them is a pseudonym since';
COMMENT ON COLUMN partner_invitations.erased_at IS 'When the invited person was erased: the address is a pseudonym since';

-- A row of an erased person takes no name again, whatever reports it late or imports it again. The arguments are the columns that stay.
CREATE FUNCTION erased_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN jsonb_populate_record(NEW, (SELECT jsonb_object_agg(stays, to_jsonb(OLD) -> stays) FROM unnest(TG_ARGV) AS stays));
END $$;
COMMENT ON FUNCTION erased_stays() IS 'Leaves the columns that named an erased person as they are';
CREATE TRIGGER partner_leads_erased BEFORE UPDATE ON partner_leads FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION erased_stays('erased_at', 'client_name', 'client_email', 'client_phone', 'notes');
CREATE TRIGGER partner_members_erased BEFORE UPDATE ON partner_members FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION erased_stays('erased_at', 'email', 'email_key', 'first_name', 'last_name', 'status', 'user_id');
CREATE TRIGGER customers_erased BEFORE UPDATE ON customers FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION erased_stays('erased_at', 'external_id', 'name', 'email', 'user_id');
CREATE TRIGGER users_erased BEFORE UPDATE ON users FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION erased_stays('erased_at', 'clerk_user_id', 'name', 'email');
CREATE TRIGGER partner_invitations_erased BEFORE UPDATE ON partner_invitations FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION erased_stays('erased_at', 'email', 'token_hash', 'revoked_at', 'revoked_by');

-- A credit that was used keeps the address that it was used with, unless the member is erased.
CREATE OR REPLACE FUNCTION partner_credits_address_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.partner_members m WHERE m.tenant_id = NEW.tenant_id AND m.id = NEW.member_id AND m.email_key = NEW.employee_email
            AND (NEW.status = 'available' OR m.erased_at IS NOT NULL)) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'the address of a credit follows its member while it is available';
    END IF;
    RETURN NEW;
END $$;

-- What was found of a row follows the row, whose id may be an address.
ALTER TABLE import_findings DROP CONSTRAINT import_findings_row_fkey;
ALTER TABLE import_findings ADD CONSTRAINT import_findings_row_fkey FOREIGN KEY (tenant_id, source, kind, source_id)
    REFERENCES import_rows (tenant_id, source, kind, source_id) ON UPDATE CASCADE ON DELETE RESTRICT;

ALTER TABLE audit_changes DROP CONSTRAINT audit_changes_change_known;
ALTER TABLE audit_changes ADD CONSTRAINT audit_changes_change_known CHECK (change IN ('created', 'updated', 'removed', 'revealed', 'erased')) NOT VALID;

-- What names a person, as regular expressions; NULL where nothing does.
CREATE TYPE person_patterns AS (pseudonym text, addresses text, phones text, names text, words text, anything text, loosely text);
COMMENT ON TYPE person_patterns IS 'What names a person: e-mail addresses, telephone numbers, full names, and the words of names; anything is what is looked for in all rows, and loosely in those that are about the person';

CREATE FUNCTION person_alternatives(given text[]) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT string_agg(DISTINCT regexp_replace(g, '([^[:alnum:][:space:]])', '\\\1', 'g'), '|') FROM unnest(given) AS g
$$;
COMMENT ON FUNCTION person_alternatives(text[]) IS 'A regular expression for any of some texts; NULL for none';

CREATE FUNCTION person_text(given text, who person_patterns, is_about boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public AS $$
BEGIN
    IF who.addresses IS NOT NULL THEN
        given := regexp_replace(given, who.addresses, who.pseudonym || '@erased.invalid', 'gi');
    END IF;
    IF is_about AND who.phones IS NOT NULL THEN
        given := regexp_replace(given, who.phones, who.pseudonym, 'gi');
    END IF;
    IF is_about AND who.names IS NOT NULL THEN
        given := regexp_replace(given, who.names, who.pseudonym, 'gi');
    END IF;
    IF is_about AND who.words IS NOT NULL THEN
        given := regexp_replace(given, who.words, who.pseudonym, 'gi');
    END IF;
    RETURN given;
END $$;
COMMENT ON FUNCTION person_text(text, person_patterns, boolean) IS 'A text without a person''s addresses and, where it is about the person, without their name and telephone numbers';

-- The members of `naming` name the person, whatever their value is. Of others, those that hold texts which people write may mention them; ids, dates, amounts and
-- words of ours never do, whatever somebody is called.
CREATE FUNCTION person_json(given jsonb, who person_patterns, naming text[], is_about boolean, member text DEFAULT '') RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public AS $$
BEGIN
    CASE jsonb_typeof(given)
        WHEN 'object' THEN
            RETURN coalesce((SELECT jsonb_object_agg(CASE WHEN strpos(m.key, '@') > 0 THEN public.person_text(m.key, who, false) ELSE m.key END,
                public.person_json(m.value, who, naming, is_about, CASE
                    -- Whose names these are is said by what they are in, and others' members are texts.
                    WHEN member IN ('billingdetails', 'shipping', 'customerdetails') AND m.key = 'name' THEN 'customername'
                    WHEN member LIKE '%metadata' THEN member
                    ELSE lower(replace(m.key, '_', '')) END)) FROM jsonb_each(given) AS m), '{}');
        WHEN 'array' THEN
            RETURN coalesce((SELECT jsonb_agg(public.person_json(e.value, who, naming, is_about, member) ORDER BY e.number)
                FROM jsonb_array_elements(given) WITH ORDINALITY AS e (value, number)), '[]');
        WHEN 'string' THEN
            IF member = ANY (naming) THEN
                RETURN to_jsonb(who.pseudonym || CASE WHEN member LIKE '%mail%' THEN '@erased.invalid' ELSE '' END);
            END IF;
            RETURN to_jsonb(public.person_text(given #>> '{}', who,
                is_about AND member ~ '(reason|notes?|message|description|descriptor|metadata|title|comment|text|memo|plan|summary|purpose|name|namesort|phone|mobile|service)$'));
        ELSE
            RETURN given;
    END CASE;
END $$;
COMMENT ON FUNCTION person_json(jsonb, person_patterns, text[], boolean, text) IS 'JSON without what names a person';

CREATE FUNCTION person_body(given text, who person_patterns, naming text[], is_about boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN public.person_json(given::jsonb, who, naming, is_about)::text;
EXCEPTION WHEN data_exception THEN
    -- What jsonb cannot hold, such as the escape of a NUL.
    RETURN public.person_text(given, who, false);
END $$;
COMMENT ON FUNCTION person_body(text, person_patterns, text[], boolean) IS 'JSON that is kept as a text, without what names a person';

-- Whom a received event is about: ids that the sign-in service or the payment service has given, and the address of somebody who paid without an account.
CREATE FUNCTION person_reported(body text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
    event jsonb;
BEGIN
    event := body::jsonb;
    RETURN ARRAY[event #>> '{data,id}', event #>> '{data,user_id}', event #>> '{data,public_user_data,user_id}', event #>> '{data,object,id}',
        event #>> '{data,object,customer}', event #>> '{data,object,customer,id}', lower(event #>> '{data,object,customer_email}'),
        lower(event #>> '{data,object,customer_details,email}'), lower(event #>> '{data,object,receipt_email}'), lower(event #>> '{data,object,billing_details,email}')];
EXCEPTION WHEN data_exception THEN
    RETURN '{}';
END $$;
COMMENT ON FUNCTION person_reported(text) IS 'Whom the body of a received event is about';

-- A telephone number as a regular expression: its digits however they are grouped, with the country or without. ITU-T E.164 has the lengths of country codes.
CREATE FUNCTION person_phone(given text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
    gap CONSTANT text := '[^[:alnum:]]{0,3}';
    digits text := regexp_replace(given, '\D', '', 'g');
    national text;
BEGIN
    IF length(digits) < 7 THEN
        RETURN NULL;
    END IF;
    IF given ~ '^\s*(\+|00)' THEN
        digits := regexp_replace(digits, '^00', '');
        national := substr(digits, CASE WHEN digits ~ '^[17]' THEN 2 WHEN digits ~ '^(2[1-69]|3[578]|42|5[09]|6[789]|8[0578]|9[679])' THEN 4 ELSE 3 END);
    ELSE
        national := digits;
    END IF;
    national := ltrim(national, '0');
    IF length(national) < 7 THEN
        national := digits;
    END IF;
    RETURN format('(?:(?:(?:\+|00)[0-9]{1,3}%1$s)?(?:\(?0\)?%1$s)?%2$s|%3$s)', gap, regexp_replace(left(national, -1), '(.)', '\1' || gap, 'g') || right(national, 1), digits);
END $$;
COMMENT ON FUNCTION person_phone(text) IS 'A regular expression for a telephone number; NULL where it is too short to be one';

-- `is_shared`: others keep the address, so that it is theirs in whatever is not about the person.
CREATE FUNCTION name_person(of_tenant uuid, ids uuid[], known_as text, is_shared boolean) RETURNS person_patterns
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public AS $$
DECLARE
    who person_patterns;
    addresses text[];
    phones text[];
    names text[];
    words text[];
    phone text;
BEGIN
    who.pseudonym := coalesce(known_as, 'erased-' || left(replace(gen_random_uuid()::text, '-', ''), 12));
    -- As they are called now, and as they were: the audit trail knows.
    SELECT array_agg(DISTINCT k.value) FILTER (WHERE k.kind = 'address'), array_agg(DISTINCT k.value) FILTER (WHERE k.kind = 'phone'),
            array_agg(DISTINCT k.value) FILTER (WHERE k.kind = 'name')
        INTO addresses, phones, names
        FROM (
            SELECT v.kind, btrim(v.value) AS value FROM public.partner_leads l
                CROSS JOIN LATERAL (VALUES ('address', l.client_email), ('phone', l.client_phone), ('name', l.client_name)) AS v (kind, value)
                WHERE l.tenant_id = of_tenant AND l.id = ANY (ids)
            UNION ALL
            SELECT v.kind, btrim(v.value) FROM public.partner_members m
                CROSS JOIN LATERAL (VALUES ('address', m.email), ('name', m.first_name), ('name', m.last_name),
                    ('name', m.first_name || ' ' || m.last_name)) AS v (kind, value)
                WHERE m.tenant_id = of_tenant AND m.id = ANY (ids)
            UNION ALL
            SELECT v.kind, btrim(v.value) FROM public.customers c
                CROSS JOIN LATERAL (VALUES ('address', c.email), ('name', c.name), ('address', CASE WHEN c.external_id LIKE '%@%' THEN c.external_id END)) AS v (kind, value)
                WHERE c.tenant_id = of_tenant AND c.id = ANY (ids)
            UNION ALL
            SELECT v.kind, btrim(v.value) FROM public.users u CROSS JOIN LATERAL (VALUES ('address', u.email), ('name', u.name)) AS v (kind, value)
                WHERE u.tenant_id = of_tenant AND u.id = ANY (ids)
            UNION ALL
            SELECT 'address', i.email FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND (i.id = ANY (ids) OR i.accepted_by = ANY (ids))
            UNION ALL
            SELECT 'address', u.employee_email FROM public.credit_allocations a
                JOIN public.partner_credits u ON u.tenant_id = a.tenant_id AND u.allocation_id = a.id
                WHERE a.tenant_id = of_tenant AND a.member_id = ANY (ids)
            UNION ALL
            SELECT CASE WHEN f.key LIKE '%email' THEN 'address' WHEN f.key = 'client_phone' THEN 'phone' ELSE 'name' END, btrim(v.value)
                FROM public.audit_changes c CROSS JOIN LATERAL jsonb_each(c.fields) AS f
                CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(f.value) WHEN 'array' THEN f.value ELSE '[]' END) AS v (value)
                WHERE c.tenant_id = of_tenant AND c.subject_id = ANY (ids) AND c.subject IN ('Lead', 'Member', 'Customer', 'User', 'Invitation')
                    AND f.key IN ('client_name', 'client_email', 'client_phone', 'email', 'first_name', 'last_name', 'name')
        ) AS k
        WHERE k.value <> '' AND k.value !~ '^erased-[0-9a-f]{12}($|[+@])';
    -- In each form that Unicode and addresses of pages know, as they may be written elsewhere.
    addresses := addresses || (SELECT array_agg(public.email_key(a)) FROM unnest(addresses) AS a);
    addresses := addresses || (SELECT array_agg(replace(replace(a, '+', '%2B'), '@', '%40')) FROM unnest(addresses) AS a);
    addresses := (SELECT array_agg(f) FROM unnest(addresses) AS a CROSS JOIN LATERAL unnest(ARRAY[a, normalize(a, NFC), normalize(a, NFD)]) AS f);
    names := (SELECT array_agg(DISTINCT f) FROM unnest(names) AS n CROSS JOIN LATERAL unnest(ARRAY[n, replace(n, 'ß', 'ss')]) AS s
        CROSS JOIN LATERAL unnest(ARRAY[s, normalize(s, NFC), normalize(s, NFD)]) AS f
        -- A single letter is a word of its own, unless it is a name in its script.
        WHERE length(n) >= 2 OR n !~ '[ -~]');
    phone := (SELECT string_agg(public.person_phone(p), '|') FROM unnest(phones) AS p);
    who.phones := '(?<![0-9])(?:' || phone || ')(?![0-9])';
    -- Before it may stand the escape of a colon or the like, in the address of a page.
    who.addresses := '(?:(?<![[:alnum:]])(?<![[:alnum:]][._+-])|(?<=%[0-9A-F]{2}))(?:' || public.person_alternatives(addresses) || ')(?!-?[[:alnum:]]|\.[[:alnum:]])';
    -- Scripts that are written without spaces: the name may stand within a sentence.
    who.names := concat_ws('|', '(?<![[:alnum:]])(?:' || public.person_alternatives(names) || ')(?![[:alnum:]])',
        public.person_alternatives((SELECT array_agg(n) FROM unnest(names) AS n WHERE length(n) >= 2 AND n ~ '^[\u2E80-\u9FFF\uAC00-\uD7AF]+$')));
    who.names := nullif(who.names, '');
    words := (SELECT array_agg(DISTINCT w) FROM unnest(names) AS n CROSS JOIN LATERAL regexp_split_to_table(n, '[^[:alnum:]''’-]+') AS w WHERE length(w) >= 2);
    who.words := '(?<![[:alnum:]])(?:' || public.person_alternatives(words) || ')(?![[:alnum:]])';
    -- Without what must stand around it: in JSON, a letter of an escape may come before it.
    who.loosely := coalesce(concat_ws('|', public.person_alternatives(addresses || words), public.person_alternatives(names), who.phones), '');
    IF NOT is_shared THEN
        who.anything := public.person_alternatives(addresses);
    END IF;
    -- What is never found.
    who.anything := coalesce(who.anything, 'a\A');
    who.loosely := coalesce(nullif(who.loosely, ''), 'a\A');
    RETURN who;
END $$;
COMMENT ON FUNCTION name_person(uuid, uuid[], text, boolean) IS 'What names the person that some rows are about, and the pseudonym in place of it';

-- Of the rows where a person may be mentioned: which are about the person, as a condition, and in which JSON each naming member is theirs. In the conditions, $2 is
-- what names them, $3 are the ids of their rows and $5 the same as texts, $4 the ids of the partners that they acted for and $9 the same as texts, $6 what other
-- services call them, $8 the ids of rows that reference theirs, and $10 what other systems call their imported rows. `most` is how many characters fit.
CREATE FUNCTION person_mentions() RETURNS TABLE (tab text, col text, form text, most integer, about text, owned text) LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    VALUES
        ('partner_leads', 'service', 'text', 200, 't.id = ANY ($3)', ''),
        ('partner_leads', 'notes', 'text', NULL, '', ''),
        ('lead_status_changes', 'note', 'text', NULL, 't.lead_id = ANY ($3)', ''),
        ('partner_moves', 'reason', 'text', 1000, 't.lead_id = ANY ($3) OR t.commission_id = ANY ($8)', ''),
        ('partner_commission_events', 'notes', 'text', NULL, 't.id = ANY ($8)', ''),
        ('partner_commission_events', 'rejection_reason', 'text', NULL, 't.id = ANY ($8)', ''),
        ('partner_commission_events', 'request', 'json', NULL, 't.id = ANY ($8)', ''),
        ('partner_payouts', 'notes', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_payouts', 'payment_reference', 'text', NULL, '', ''),
        ('partner_payouts', 'failure_reason', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_payouts', 'request', 'json', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_payout_changes', 'note', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_applications', 'sales_plan', 'text', 5000, 't.partner_id = ANY ($4)', ''),
        ('partners', 'status_reason', 'text', 1000, 't.id = ANY ($4)', ''),
        ('enrolments', 'reason', 'text', 1000, 't.partner_id = ANY ($4)', ''),
        ('enrolment_changes', 'reason', 'text', 1000, 't.partner_id = ANY ($4)', ''),
        ('credit_grants', 'reason', 'text', 1000, 't.partner_id = ANY ($4)', ''),
        ('credit_grants', 'request', 'json', NULL, 't.partner_id = ANY ($4)', ''),
        ('credit_redemptions', 'employee_email', 'text', NULL, 't.id = ANY ($8)', ''),
        ('credit_redemptions', 'request', 'json', NULL, 't.id = ANY ($8)', ''),
        ('credit_redemptions', 'reversal_reason', 'text', 1000, 't.id = ANY ($8)', ''),
        ('credit_redemptions', 'reversal_request', 'json', NULL, 't.id = ANY ($8)', ''),
        ('commission_flags', 'subject', 'text', NULL, 't.commission_id = ANY ($8)', ''),
        ('link_sign_ups', 'name', 'text', 200, 't.id = ANY ($8)', ''),
        ('link_sign_ups', 'metadata', 'text', 10000, 't.id = ANY ($8)', ''),
        ('links', 'title', 'text', 200, 't.partner_id = ANY ($4)', ''),
        ('referrals', 'reason', 'text', 1000, 't.id = ANY ($8)', ''),
        ('referrals', 'end_reason', 'text', 1000, 't.id = ANY ($8)', ''),
        ('wallet_transactions', 'reason', 'text', 1000, 't.id = ANY ($8)', ''),
        ('wallet_transactions', 'request', 'json', NULL, 't.id = ANY ($8)', ''),
        ('webhook_endpoints', 'description', 'text', NULL, '', ''),
        ('webhook_sources', 'description', 'text', NULL, '', ''),
        ('webhook_events', 'facts', 'json', NULL, $q$t.facts ->> 'id' = ANY ($8::text[]) OR t.facts ->> 'partner_id' = ANY ($4::text[])$q$, $q$t.facts ->> 'id' = ANY ($3::text[])$q$),
        ('webhook_events', 'body', 'body', NULL, 'EXISTS (SELECT FROM unnest($5 || $9) AS n WHERE strpos(t.body, n) > 0)', $q$t.body::jsonb #>> '{data,id}' = ANY ($5)$q$),
        ('webhook_attempts', 'response', 'text', NULL, '', ''),
        ('webhook_receipts', 'reason', 'text', NULL, '', ''),
        ('webhook_receipts', 'waits_for', 'text', NULL, '', ''),
        ('webhook_receipts', 'body', 'reported', NULL, $q$CASE WHEN EXISTS (SELECT FROM unnest($6) AS n WHERE strpos(lower(t.body), lower(n)) > 0) THEN person_reported(t.body) && $6 END$q$, ''),
        ('import_rows', 'facts', 'json', NULL, 't.target_id = ANY ($8) OR t.email_key = ANY ($6) OR t.customer_ref = ANY ($10) OR t.user_ref = ANY ($10)', 't.target_id = ANY ($3) OR t.email_key = ANY ($6)'),
        ('import_rows', 'raw', 'json', NULL, 't.target_id = ANY ($8) OR t.email_key = ANY ($6) OR t.customer_ref = ANY ($10) OR t.user_ref = ANY ($10)', 't.email_key = ANY ($6)'),
        ('import_rows', 'decision', 'json', NULL, 't.target_id = ANY ($3) OR t.email_key = ANY ($6)', ''),
        ('import_findings', 'value', 'text', NULL, 't.source_id = ANY ($10)', ''),
        ('import_findings', 'message', 'text', NULL, 't.source_id = ANY ($10)', ''),
        ('data_import_findings', 'value', 'text', NULL, 't.source_id = ANY ($10)', ''),
        ('data_import_findings', 'message', 'text', NULL, 't.source_id = ANY ($10)', ''),
        ('data_imports', 'outcome', 'json', NULL, '', ''),
        ('data_imports', 'failure', 'text', NULL, '', ''),
        ('idempotency_keys', 'request', 'json', NULL, 't.subject_id = ANY ($8) OR t.partner_id = ANY ($4)', 't.subject_id = ANY ($3)'),
        ('audit_changes', 'fields', 'json', NULL, 't.subject_id = ANY ($8) OR t.partner_id = ANY ($4)', $q$t.subject_id = ANY ($3) OR t.subject = 'Referral' AND t.subject_id = ANY ($8)$q$),
        ('audit_entries', 'reason', 'text', 2000, 'EXISTS (SELECT FROM public.audit_changes c WHERE c.tenant_id = t.tenant_id AND c.entry_id = t.id AND c.subject_id = ANY ($8))', '')
$$;
COMMENT ON FUNCTION person_mentions() IS 'The columns that may mention a person, but for the rows that are the person''s own';

-- The person's own rows. Partners' people come first and users last, as in every change of a membership.
CREATE FUNCTION erase_own_rows(of_tenant uuid, ids uuid[], who person_patterns, is_known boolean, erased_by uuid, at timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    -- Two rows with an address must differ in it, as of one partner no two members may have the same.
    address CONSTANT text := '@erased.invalid';
    acted_for CONSTANT uuid[] := ARRAY(SELECT p.partner_id FROM public.partner_users p WHERE p.tenant_id = of_tenant AND p.user_id = ANY (ids));
BEGIN
    UPDATE public.partner_users p SET removed_at = at, removed_by = erased_by
        WHERE p.tenant_id = of_tenant AND p.user_id = ANY (ids) AND p.removed_at IS NULL;
    UPDATE public.partner_leads l SET erased_at = at, updated_at = at, client_name = who.pseudonym, client_email = who.pseudonym || address, client_phone = NULL, notes = NULL
        WHERE l.tenant_id = of_tenant AND l.id = ANY (ids) AND l.erased_at IS NULL;
    UPDATE public.partner_members m SET erased_at = at, updated_at = at, status = 'inactive', first_name = who.pseudonym, last_name = NULL,
            email = who.pseudonym || CASE WHEN n.number = 1 AND NOT is_known THEN '' ELSE '+' || left(md5(m.id::text), 8) END || address
        FROM (SELECT o.id, row_number() OVER (PARTITION BY o.partner_id ORDER BY o.id) AS number
              FROM public.partner_members o WHERE o.tenant_id = of_tenant AND o.id = ANY (ids)) AS n
        WHERE m.tenant_id = of_tenant AND m.id = n.id AND m.erased_at IS NULL;
    UPDATE public.credit_allocations a SET employee_email = m.email_key,
            -- The key that an import of members has made of its file and the address.
            idempotency_key = CASE WHEN a.idempotency_key LIKE 'import:%@%' THEN regexp_replace(a.idempotency_key, '[^:]*$', '') || left(md5(a.idempotency_key), 16)
                ELSE a.idempotency_key END
        FROM public.partner_members m
        WHERE m.tenant_id = of_tenant AND m.id = ANY (ids) AND a.tenant_id = m.tenant_id AND a.member_id = m.id
            AND (a.employee_email <> m.email_key OR a.idempotency_key LIKE 'import:%@%');
    UPDATE public.partner_credits c SET employee_email = m.email_key FROM public.credit_allocations a, public.partner_members m
        WHERE m.tenant_id = of_tenant AND m.id = ANY (ids) AND a.tenant_id = m.tenant_id AND a.member_id = m.id
            AND c.tenant_id = a.tenant_id AND c.allocation_id = a.id AND c.employee_email <> m.email_key;
    -- What another system calls a customer stays, as payments are known by it, unless that is an address.
    UPDATE public.customers c SET erased_at = at, updated_at = at, name = who.pseudonym, email = NULL,
            external_id = CASE WHEN c.external_id LIKE '%@%' THEN who.pseudonym || '+' || left(md5(c.id::text), 8) || address ELSE c.external_id END
        WHERE c.tenant_id = of_tenant AND c.id = ANY (ids) AND c.erased_at IS NULL;
    UPDATE public.partner_invitations i SET erased_at = at, email = who.pseudonym || address,
            revoked_at = CASE WHEN i.accepted_at IS NULL THEN coalesce(i.revoked_at, at) END,
            revoked_by = CASE WHEN i.accepted_at IS NULL THEN coalesce(i.revoked_by, erased_by) END
        WHERE i.tenant_id = of_tenant AND i.id = ANY (ids) AND i.erased_at IS NULL;
    -- Nobody comes in by an invitation of theirs.
    UPDATE public.partner_invitations i SET revoked_at = at, revoked_by = erased_by
        WHERE i.tenant_id = of_tenant AND i.created_by = ANY (ids) AND i.accepted_at IS NULL AND i.revoked_at IS NULL;
    -- As whom a partner is reached; what it is paid by stays as it is.
    UPDATE public.partner_profiles p SET contact_name = public.person_text(p.contact_name, who, true), contact_email = public.person_text(p.contact_email, who, true), contact_phone = NULL
        WHERE p.tenant_id = of_tenant AND p.partner_id = ANY (acted_for) AND (p.contact_name ~* who.names OR p.contact_email ~* who.addresses);
    UPDATE public.partners p SET company_name = who.pseudonym, updated_at = at
        WHERE p.tenant_id = of_tenant AND p.id = ANY (acted_for)
            AND (p.company_name ~* ('^(?:' || who.names || ')$') OR p.company_name ~* ('^(?:' || who.addresses || ')$'));
    -- No token that was issued before lets them in, and no report that comes late revives them.
    INSERT INTO public.directory_objects AS d (tenant_id, object_id, as_of, sent_at, is_deleted)
        SELECT of_tenant, u.clerk_user_id, at, at, true FROM public.users u
        WHERE u.tenant_id = of_tenant AND u.id = ANY (ids) AND u.clerk_user_id NOT LIKE 'erased-%' AND u.clerk_user_id NOT LIKE 'import:%'
        ON CONFLICT (tenant_id, object_id) DO UPDATE SET is_deleted = true, as_of = greatest(d.as_of, EXCLUDED.as_of), sent_at = greatest(d.sent_at, EXCLUDED.sent_at);
    UPDATE public.users u SET erased_at = at, updated_at = at, name = who.pseudonym, email = NULL, clerk_user_id = who.pseudonym || '+' || left(md5(u.id::text), 8)
        WHERE u.tenant_id = of_tenant AND u.id = ANY (ids) AND u.erased_at IS NULL;
    UPDATE public.referrals r SET initials = NULL WHERE r.tenant_id = of_tenant AND r.user_id = ANY (ids) AND r.initials IS NOT NULL;
    -- What was imported of them is in their rows; the row that it came from is not needed any more.
    UPDATE public.import_rows r SET raw = NULL WHERE r.tenant_id = of_tenant AND r.target_id = ANY (ids) AND r.raw IS NOT NULL;
END $$;
COMMENT ON FUNCTION erase_own_rows(uuid, uuid[], person_patterns, boolean, uuid, timestamptz) IS 'Erases a person in the rows that are theirs';

-- Each table once, as there may be many rows.
CREATE FUNCTION erase_mentions(of_tenant uuid, ids uuid[], node_ids text[], acted_for uuid[], partner_nodes text[], related uuid[], called text[], imported_as text[], who person_patterns)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    naming CONSTANT text[] := '{clientname,clientemail,clientphone,notes,email,firstname,lastname,name,employeeemail,customername,customeremail,clerkuserid,initials,clientnamesort,namesort,searchtext,emailkey}';
    -- What the sign-in service and the payment service report of a person.
    reported CONSTANT text[] := '{email,emailaddress,receiptemail,customeremail,customername,customerphone,phone,phonenumber,firstname,lastname,username,identifier,line1,line2,city,postalcode,ip,ipaddress,imageurl,profileimageurl}';
    target record;
BEGIN
    FOR target IN
        SELECT c.tab, string_agg(format('%I = %s', c.col, c.changed), ', ') AS changes,
            string_agg(format('(t.%1$I::text ~* ($2).anything OR %2$s OR %3$s AND t.%1$I::text ~* ($2).loosely) AND (%4$s) IS DISTINCT FROM t.%1$I',
                c.col, c.owned, c.about, c.changed), ' OR ') AS condition
        FROM (
            SELECT m.tab, m.col, m.about, CASE WHEN m.form = 'reported' THEN m.about ELSE m.owned END AS owned, CASE WHEN m.most IS NULL THEN m.changed ELSE format('left(%s, %s)', m.changed, m.most) END AS changed
            FROM (
                SELECT p.tab, p.col, p.form, p.most, a.about, a.owned, CASE p.form
                    WHEN 'text' THEN format('person_text(t.%I, $2, %s)', p.col, a.about)
                    -- What is done with is not needed any more; what is still to be applied is kept, without what names them.
                    WHEN 'reported' THEN format('CASE WHEN t.status IN (''applied'', ''ignored'') AND %2$s THEN NULL
                        ELSE person_body(t.%1$I, $2, CASE WHEN %2$s THEN $11 ELSE ''{}'' END, %2$s) END', p.col, a.about)
                    ELSE format('person_%s(t.%I, $2, CASE WHEN %s THEN $7 ELSE ''{}'' END, %s)', p.form, p.col, a.owned, a.about) END AS changed
                FROM public.person_mentions() AS p CROSS JOIN LATERAL (SELECT CASE p.about WHEN '' THEN 'false' ELSE format('coalesce(%s, false)', p.about) END AS about,
                    CASE p.owned WHEN '' THEN 'false' ELSE format('coalesce(%s, false)', p.owned) END AS owned) AS a
            ) AS m
        ) AS c
        GROUP BY c.tab
    LOOP
        EXECUTE format('UPDATE public.%I AS t SET %s WHERE t.tenant_id = $1 AND (%s)', target.tab, target.changes, target.condition)
            USING of_tenant, who, ids, acted_for, node_ids, called, naming, related, partner_nodes, imported_as, reported;
    END LOOP;
    -- Where it is a part of a key, each stays different from every other.
    UPDATE public.import_rows r SET source_id = replace(public.person_text(r.source_id, who, false), '@erased.invalid', '+' || left(md5(r.source_id), 8) || '@erased.invalid')
        WHERE r.tenant_id = of_tenant AND r.source_id ~* who.anything;
    UPDATE public.data_import_findings f SET source_id = public.person_text(f.source_id, who, false) WHERE f.tenant_id = of_tenant AND f.source_id ~* who.anything;
    UPDATE public.processor_customers c SET customer_id = replace(public.person_text(c.customer_id, who, false), '@erased.invalid', '+' || left(md5(c.customer_id), 8) || '@erased.invalid')
        WHERE c.tenant_id = of_tenant AND c.customer_id ~* who.anything;
END $$;
COMMENT ON FUNCTION erase_mentions(uuid, uuid[], text[], uuid[], text[], uuid[], text[], text[], person_patterns) IS 'Erases a person wherever else they are mentioned';

CREATE FUNCTION erase_person(of_tenant uuid, ids uuid[], node_ids text[], partner_nodes text[], known_as text, is_shared boolean, erased_by uuid, at timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    act CONSTANT text := coalesce(current_setting('app.audit', true), '');
    waits CONSTANT text := current_setting('lock_timeout');
    who person_patterns;
    subjects text[];
    called text[];
    imported_as text[];
    acted_for uuid[];
    related uuid[];
    target record;
BEGIN
    IF of_tenant IS DISTINCT FROM current_setting('app.tenant_id')::uuid THEN
        RAISE EXCEPTION 'people of another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- It changes rows of nearly every table: it waits for a lock so shortly that nobody waits for it in a circle, and is run again.
    PERFORM set_config('lock_timeout', '20ms', true);
    who := public.name_person(of_tenant, ids, known_as, is_shared);
    subjects := ARRAY(SELECT u.clerk_user_id FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = ANY (ids));
    called := subjects || ARRAY(SELECT c.external_id FROM public.customers c WHERE c.tenant_id = of_tenant AND c.id = ANY (ids));
    IF NOT is_shared THEN
        called := called || ARRAY(
            SELECT public.email_key(l.client_email) FROM public.partner_leads l WHERE l.tenant_id = of_tenant AND l.id = ANY (ids)
            UNION SELECT m.email_key FROM public.partner_members m WHERE m.tenant_id = of_tenant AND m.id = ANY (ids)
            UNION SELECT public.email_key(c.email) FROM public.customers c WHERE c.tenant_id = of_tenant AND c.id = ANY (ids) AND c.email IS NOT NULL
            UNION SELECT public.email_key(u.email) FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = ANY (ids) AND u.email IS NOT NULL
            UNION SELECT public.email_key(i.email) FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = ANY (ids));
    END IF;
    imported_as := ARRAY(SELECT r.source_id FROM public.import_rows r WHERE r.tenant_id = of_tenant AND r.target_id = ANY (ids));
    acted_for := ARRAY(SELECT p.partner_id FROM public.partner_users p WHERE p.tenant_id = of_tenant AND p.user_id = ANY (ids));
    related := ids || ARRAY(
        SELECT p.id FROM public.partners p WHERE p.tenant_id = of_tenant AND p.id = ANY (acted_for)
        UNION ALL SELECT s.id FROM public.link_sign_ups s WHERE s.tenant_id = of_tenant AND s.customer_id = ANY (ids)
        UNION ALL SELECT c.id FROM public.partner_commission_events c WHERE c.tenant_id = of_tenant AND (c.lead_id = ANY (ids) OR c.customer_id = ANY (ids))
        UNION ALL SELECT a.id FROM public.credit_allocations a WHERE a.tenant_id = of_tenant AND a.member_id = ANY (ids)
        UNION ALL SELECT u.redemption_id FROM public.credit_allocations a JOIN public.partner_credits u ON u.tenant_id = a.tenant_id AND u.allocation_id = a.id
            WHERE a.tenant_id = of_tenant AND a.member_id = ANY (ids) AND u.redemption_id IS NOT NULL
        UNION ALL SELECT r.id FROM public.credit_redemptions r WHERE r.tenant_id = of_tenant AND (r.member_id = ANY (ids) OR r.employee_email = ANY (called))
        UNION ALL SELECT r.id FROM public.referrals r WHERE r.tenant_id = of_tenant AND r.user_id = ANY (ids)
        UNION ALL SELECT w.id FROM public.wallet_transactions w WHERE w.tenant_id = of_tenant AND w.user_id = ANY (ids));

    -- The trail says that they were erased, and not what they were called.
    IF act <> '' THEN
        INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
            SELECT of_tenant, public.audit_entry(of_tenant), e.partner_id, 'erased', e.subject, e.id, (SELECT jsonb_object_agg(f, true) FROM unnest(e.fields) AS f)
            FROM (
                SELECT l.partner_id, 'Lead' AS subject, l.id, ARRAY['client_name', 'client_email', 'client_phone', 'notes'] AS fields
                    FROM public.partner_leads l WHERE l.tenant_id = of_tenant AND l.id = ANY (ids) AND l.erased_at IS NULL
                UNION ALL SELECT m.partner_id, 'Member', m.id, ARRAY['email', 'first_name', 'last_name']
                    FROM public.partner_members m WHERE m.tenant_id = of_tenant AND m.id = ANY (ids) AND m.erased_at IS NULL
                UNION ALL SELECT NULL, 'Customer', c.id, ARRAY['name', 'email'] FROM public.customers c WHERE c.tenant_id = of_tenant AND c.id = ANY (ids) AND c.erased_at IS NULL
                UNION ALL SELECT NULL, 'User', u.id, ARRAY['clerk_user_id', 'name', 'email'] FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = ANY (ids) AND u.erased_at IS NULL
                UNION ALL SELECT i.partner_id, 'Invitation', i.id, ARRAY['email'] FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = ANY (ids) AND i.erased_at IS NULL
            ) AS e;
        PERFORM set_config('app.audit', '', true);
    END IF;
    PERFORM public.erase_own_rows(of_tenant, ids, who, known_as IS NOT NULL, erased_by, at);
    PERFORM public.erase_mentions(of_tenant, ids, node_ids, acted_for, partner_nodes, related, called, imported_as, who);
    -- Where they acted in another's name.
    IF subjects <> '{}' THEN
        FOR target IN SELECT * FROM (VALUES ('affiliate_periods', 'started_by'), ('affiliate_periods', 'ended_by'), ('affiliate_terms', 'impersonator'),
            ('audit_entries', 'impersonator'), ('data_imports', 'impersonator'), ('enrolment_changes', 'impersonator'), ('lead_status_changes', 'impersonator'),
            ('partner_moves', 'impersonator'), ('partner_payout_changes', 'impersonator'), ('referrals', 'impersonator'), ('referrals', 'end_impersonator'),
            ('wallet_transactions', 'impersonator'), ('webhook_endpoints', 'impersonator'), ('webhook_sources', 'impersonator')) AS known (tab, col)
        LOOP
            EXECUTE format('UPDATE public.%1$I AS t SET %2$I = $2 WHERE t.tenant_id = $1 AND t.%2$I = ANY ($3)', target.tab, target.col)
                USING of_tenant, who.pseudonym, subjects;
        END LOOP;
    END IF;
    PERFORM set_config('lock_timeout', waits, true), set_config('app.audit', act, true);
    RETURN who.pseudonym;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'what names the person is being changed' USING ERRCODE = 'serialization_failure';
END $$;
COMMENT ON FUNCTION erase_person(uuid, uuid[], text[], text[], text, boolean, uuid, timestamptz) IS 'Replaces what names a person, whom some rows are about, by a pseudonym, in all that the tenant keeps; gives the pseudonym';

-- What is reported of them later is forgotten once it is done with.
CREATE FUNCTION webhook_receipts_erased() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    about CONSTANT text[] := public.person_reported(NEW.body);
BEGIN
    IF EXISTS (SELECT FROM public.customers c WHERE c.tenant_id = NEW.tenant_id AND c.external_id = ANY (about) AND c.erased_at IS NOT NULL)
        OR EXISTS (SELECT FROM public.directory_objects d WHERE d.tenant_id = NEW.tenant_id AND d.object_id = ANY (about) AND d.is_deleted) THEN
        NEW.body := NULL;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION webhook_receipts_erased() IS 'Forgets what was reported of somebody who is erased, or deleted at the sign-in service';
CREATE TRIGGER webhook_receipts_erased BEFORE UPDATE OF status ON webhook_receipts FOR EACH ROW
    WHEN (NEW.status IN ('applied', 'ignored') AND NEW.body IS NOT NULL) EXECUTE FUNCTION webhook_receipts_erased();

REVOKE ALL ON FUNCTION webhook_receipts_erased(), erased_stays(), person_alternatives(text[]), person_text(text, person_patterns, boolean), person_json(jsonb, person_patterns, text[], boolean, text),
    person_body(text, person_patterns, text[], boolean), person_reported(text), person_phone(text), name_person(uuid, uuid[], text, boolean), person_mentions(),
    erase_own_rows(uuid, uuid[], person_patterns, boolean, uuid, timestamptz),
    erase_mentions(uuid, uuid[], text[], uuid[], text[], uuid[], text[], text[], person_patterns),
    erase_person(uuid, uuid[], text[], text[], text, boolean, uuid, timestamptz) FROM PUBLIC;
GRANT SELECT (erased_at) ON partner_invitations TO portal_operator;
GRANT EXECUTE ON FUNCTION erase_person(uuid, uuid[], text[], text[], text, boolean, uuid, timestamptz) TO portal_operator;

-- Everything of one address is found by it.
CREATE INDEX users_email_idx ON users (tenant_id, email_key(email)) WHERE email IS NOT NULL;
CREATE INDEX customers_email_idx ON customers (tenant_id, email_key(email)) WHERE email IS NOT NULL;
