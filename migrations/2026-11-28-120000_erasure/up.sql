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

-- Whatever is reported late, imported again or received again names nobody anew. Its arguments are the columns that stay.
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
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
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
    REFERENCES import_rows (tenant_id, source, kind, source_id) ON UPDATE CASCADE ON DELETE RESTRICT NOT VALID;
ALTER TABLE import_findings VALIDATE CONSTRAINT import_findings_row_fkey;

ALTER TABLE audit_changes DROP CONSTRAINT audit_changes_change_known;
ALTER TABLE audit_changes ADD CONSTRAINT audit_changes_change_known CHECK (change IN ('created', 'updated', 'removed', 'revealed', 'erased')) NOT VALID;

-- What names a person, as regular expressions; NULL where nothing does.
CREATE TYPE person_patterns AS (pseudonym text, addresses text, phones text, names text, words text, anything text);
COMMENT ON TYPE person_patterns IS 'What names a person: addresses, telephone numbers, full names, the words of names, and addresses or telephone numbers within anything';

CREATE FUNCTION person_alternatives(given text[]) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT string_agg(DISTINCT regexp_replace(g, '([^[:alnum:][:space:]])', '\\\1', 'g'), '|') FROM unnest(given) AS g
$$;
COMMENT ON FUNCTION person_alternatives(text[]) IS 'A regular expression for any of some texts; NULL for none';

CREATE FUNCTION person_text(given text, who person_patterns, is_about boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
BEGIN
    IF who.addresses IS NOT NULL THEN
        given := regexp_replace(given, who.addresses, who.pseudonym || '@erased.invalid', 'gi');
    END IF;
    IF who.phones IS NOT NULL THEN
        given := regexp_replace(given, who.phones, who.pseudonym, 'gi');
    END IF;
    IF is_about AND who.words IS NOT NULL THEN
        given := regexp_replace(regexp_replace(given, who.names, who.pseudonym, 'gi'), who.words, who.pseudonym, 'gi');
    END IF;
    RETURN given;
END $$;
COMMENT ON FUNCTION person_text(text, person_patterns, boolean) IS 'A text without a person''s addresses and telephone numbers and, where it is about the person, without their name';

-- `own` are the members whose values name the person whatever they are.
CREATE FUNCTION person_json(given jsonb, who person_patterns, own text[], is_about boolean, member text DEFAULT '') RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public AS $$
BEGIN
    CASE jsonb_typeof(given)
        WHEN 'object' THEN
            RETURN coalesce((SELECT jsonb_object_agg(m.key, public.person_json(m.value, who, own, is_about, lower(replace(m.key, '_', ''))))
                FROM jsonb_each(given) AS m), '{}');
        WHEN 'array' THEN
            RETURN coalesce((SELECT jsonb_agg(public.person_json(e.value, who, own, is_about, member) ORDER BY e.number)
                FROM jsonb_array_elements(given) WITH ORDINALITY AS e (value, number)), '[]');
        WHEN 'string' THEN
            IF member = ANY (own) THEN
                RETURN to_jsonb(who.pseudonym || CASE WHEN member LIKE '%mail%' THEN '@erased.invalid' ELSE '' END);
            END IF;
            given := to_jsonb(public.person_text(given #>> '{}', who, false));
            IF is_about AND who.names IS NOT NULL THEN
                given := to_jsonb(regexp_replace(given #>> '{}', who.names, who.pseudonym, 'gi'));
            END IF;
            RETURN given;
        ELSE
            RETURN given;
    END CASE;
END $$;
COMMENT ON FUNCTION person_json(jsonb, person_patterns, text[], boolean, text) IS 'The same of all texts within JSON; what its own members say is replaced whole';

-- JSON that is kept as a text, such as bodies of webhooks. What cannot be read names nobody either: it is forgotten.
CREATE FUNCTION person_body(given text, who person_patterns, own text[], is_about boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN public.person_json(given::jsonb, who, own, is_about)::text;
EXCEPTION WHEN data_exception THEN
    RETURN '{}';
END $$;
COMMENT ON FUNCTION person_body(text, person_patterns, text[], boolean) IS 'The same of JSON that is kept as a text';

CREATE FUNCTION name_person(of_tenant uuid, ids uuid[]) RETURNS person_patterns LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public AS $$
DECLARE
    who person_patterns;
    addresses text[];
    phones text[];
    names text[];
BEGIN
    who.pseudonym := 'erased-' || left(replace(gen_random_uuid()::text, '-', ''), 12);
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
                CROSS JOIN LATERAL (VALUES ('address', m.email), ('address', m.email_key), ('name', m.first_name), ('name', m.last_name),
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
            SELECT 'address', a.employee_email FROM public.credit_allocations a WHERE a.tenant_id = of_tenant AND a.member_id = ANY (ids)
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
        WHERE k.value <> '' AND k.value NOT LIKE 'erased-%';
    -- However an address is written: in another case of letters, or within the address of a page.
    addresses := addresses || (SELECT array_agg(public.email_key(a)) FROM unnest(addresses) AS a);
    addresses := addresses || (SELECT array_agg(replace(a, '@', '%40')) FROM unnest(addresses) AS a);
    -- Telephone numbers by their digits, however they are grouped.
    phones := (SELECT array_agg(DISTINCT d.digits) FROM (SELECT regexp_replace(p, '\D', '', 'g') AS digits FROM unnest(phones) AS p) AS d
        WHERE length(d.digits) >= 7);
    who.phones := '(?<![0-9])(?:' || (
        SELECT string_agg(regexp_replace(left(p, -1), '(.)', '\1[^[:alnum:]]{0,2}', 'g') || right(p, 1), '|') FROM unnest(phones) AS p) || ')(?![0-9])';
    who.addresses := '(?<![[:alnum:]._+-])(?:' || public.person_alternatives(addresses) || ')(?![[:alnum:]-]|\.[[:alnum:]])';
    who.names := '(?<![[:alnum:]])(?:' || public.person_alternatives(names) || ')(?![[:alnum:]])';
    who.words := '(?<![[:alnum:]])(?:' || public.person_alternatives((SELECT array_agg(DISTINCT w) FROM unnest(names) AS n
        CROSS JOIN LATERAL regexp_split_to_table(n, '[^[:alnum:]''’-]+') AS w WHERE length(w) >= 2)) || ')(?![[:alnum:]])';
    -- Where it stands in JSON, a letter of an escape may come before it. What never is found where there is neither.
    who.anything := coalesce(concat_ws('|', public.person_alternatives(addresses), who.phones), '');
    IF who.anything = '' THEN
        who.anything := 'a\A';
    END IF;
    RETURN who;
END $$;
COMMENT ON FUNCTION name_person(uuid, uuid[]) IS 'What names the person that some rows are about, and a new pseudonym';

CREATE FUNCTION erase_person(of_tenant uuid, ids uuid[], node_ids text[], erased_by uuid, at timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    act CONSTANT text := coalesce(current_setting('app.audit', true), '');
    waits CONSTANT text := current_setting('lock_timeout');
    -- What names somebody in the JSON of their own rows, and in what a payment or sign-in service reports.
    own CONSTANT text[] := '{clientname,clientemail,clientphone,notes,email,firstname,lastname,name,employeeemail,clerkuserid}';
    reported CONSTANT text[] := '{email,emailaddress,receiptemail,customeremail,customername,customerphone,phone,phonenumber,firstname,lastname,username,identifier,line1,line2,city,postalcode,ip,ipaddress,imageurl,profileimageurl}';
    who person_patterns;
    subjects text[];
    customers_there text[];
    acted_for uuid[];
    named uuid[];
    related uuid[];
    target record;
    is_about text;
    is_own text;
    changed text;
BEGIN
    IF of_tenant IS DISTINCT FROM current_setting('app.tenant_id')::uuid THEN
        RAISE EXCEPTION 'people of another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- It changes rows of nearly every table: it waits for nobody, who could wait for it in turn, but is run again.
    PERFORM set_config('lock_timeout', '20ms', true);
    who := public.name_person(of_tenant, ids);
    subjects := ARRAY(SELECT u.clerk_user_id FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = ANY (ids));
    customers_there := ARRAY(SELECT c.external_id FROM public.customers c WHERE c.tenant_id = of_tenant AND c.id = ANY (ids));
    acted_for := ARRAY(SELECT p.partner_id FROM public.partner_users p WHERE p.tenant_id = of_tenant AND p.user_id = ANY (ids));
    named := ARRAY(SELECT p.id FROM public.partners p WHERE p.tenant_id = of_tenant AND p.id = ANY (acted_for)
        AND (p.company_name ~* ('^' || who.names || '$') OR p.company_name ~* ('^' || who.addresses || '$')));
    -- What hangs on their rows is about them too.
    related := ids || named || ARRAY(
        SELECT s.id FROM public.link_sign_ups s WHERE s.tenant_id = of_tenant AND s.customer_id = ANY (ids)
        UNION ALL SELECT c.id FROM public.partner_commission_events c WHERE c.tenant_id = of_tenant AND (c.lead_id = ANY (ids) OR c.customer_id = ANY (ids))
        UNION ALL SELECT a.id FROM public.credit_allocations a WHERE a.tenant_id = of_tenant AND a.member_id = ANY (ids)
        UNION ALL SELECT u.redemption_id FROM public.credit_allocations a JOIN public.partner_credits u ON u.tenant_id = a.tenant_id AND u.allocation_id = a.id
            WHERE a.tenant_id = of_tenant AND a.member_id = ANY (ids) AND u.redemption_id IS NOT NULL
        UNION ALL SELECT r.id FROM public.referrals r WHERE r.tenant_id = of_tenant AND r.user_id = ANY (ids)
        UNION ALL SELECT w.id FROM public.wallet_transactions w WHERE w.tenant_id = of_tenant AND w.user_id = ANY (ids)
        UNION ALL SELECT i.id FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.accepted_by = ANY (ids));

    -- The trail says that they were erased, and not what they were called.
    IF act <> '' THEN
        INSERT INTO public.audit_changes (tenant_id, entry_id, partner_id, change, subject, subject_id, fields)
            SELECT of_tenant, public.audit_entry(of_tenant), e.partner_id, 'erased', e.subject, e.id, (SELECT jsonb_object_agg(f, true) FROM unnest(e.fields) AS f)
            FROM (
                SELECT l.partner_id, 'Lead' AS subject, l.id, ARRAY['client_name', 'client_email', 'client_phone', 'notes'] AS fields
                    FROM public.partner_leads l WHERE l.tenant_id = of_tenant AND l.id = ANY (ids)
                UNION ALL SELECT m.partner_id, 'Member', m.id, ARRAY['email', 'first_name', 'last_name']
                    FROM public.partner_members m WHERE m.tenant_id = of_tenant AND m.id = ANY (ids)
                UNION ALL SELECT NULL, 'Customer', c.id, ARRAY['name', 'email'] FROM public.customers c WHERE c.tenant_id = of_tenant AND c.id = ANY (ids)
                UNION ALL SELECT NULL, 'User', u.id, ARRAY['clerk_user_id', 'name', 'email'] FROM public.users u WHERE u.tenant_id = of_tenant AND u.id = ANY (ids)
                UNION ALL SELECT i.partner_id, 'Invitation', i.id, ARRAY['email'] FROM public.partner_invitations i WHERE i.tenant_id = of_tenant AND i.id = ANY (ids)
            ) AS e;
        PERFORM set_config('app.audit', '', true);
    END IF;

    -- What was imported of them is theirs; the row that it came from is not needed any more.
    UPDATE public.import_rows r SET raw = NULL WHERE r.tenant_id = of_tenant AND r.target_id = ANY (ids) AND r.raw IS NOT NULL;
    -- Their own rows. Partners' people first and users last, as in every change of a membership.
    UPDATE public.partner_users p SET removed_at = at, removed_by = erased_by
        WHERE p.tenant_id = of_tenant AND p.user_id = ANY (ids) AND p.removed_at IS NULL;
    UPDATE public.partner_leads l SET erased_at = at, updated_at = at, client_name = who.pseudonym, client_email = who.pseudonym || '@erased.invalid',
            client_phone = NULL, notes = NULL
        WHERE l.tenant_id = of_tenant AND l.id = ANY (ids) AND l.erased_at IS NULL;
    -- Of one partner, two members have two addresses.
    UPDATE public.partner_members m SET erased_at = at, updated_at = at, status = 'inactive', first_name = who.pseudonym, last_name = NULL,
            email = who.pseudonym || CASE n.number WHEN 1 THEN '' ELSE '+' || n.number END || '@erased.invalid'
        FROM (SELECT o.id, row_number() OVER (PARTITION BY o.partner_id ORDER BY o.id) AS number
              FROM public.partner_members o WHERE o.tenant_id = of_tenant AND o.id = ANY (ids)) AS n
        WHERE m.tenant_id = of_tenant AND m.id = n.id AND m.erased_at IS NULL;
    UPDATE public.credit_allocations a SET employee_email = m.email_key FROM public.partner_members m
        WHERE m.tenant_id = of_tenant AND m.id = ANY (ids) AND a.tenant_id = m.tenant_id AND a.member_id = m.id AND a.employee_email <> m.email_key;
    UPDATE public.partner_credits c SET employee_email = m.email_key FROM public.credit_allocations a, public.partner_members m
        WHERE m.tenant_id = of_tenant AND m.id = ANY (ids) AND a.tenant_id = m.tenant_id AND a.member_id = m.id
            AND c.tenant_id = a.tenant_id AND c.allocation_id = a.id AND c.employee_email <> m.email_key;
    -- What another system calls a customer stays, as payments are known by it, unless that is an address.
    UPDATE public.customers c SET erased_at = at, updated_at = at, name = who.pseudonym, email = NULL,
            external_id = CASE WHEN c.external_id LIKE '%@%'
                THEN who.pseudonym || CASE n.number WHEN 1 THEN '' ELSE '+' || n.number END || '@erased.invalid' ELSE c.external_id END
        FROM (SELECT o.id, row_number() OVER (ORDER BY o.id) AS number FROM public.customers o WHERE o.tenant_id = of_tenant AND o.id = ANY (ids)) AS n
        WHERE c.tenant_id = of_tenant AND c.id = n.id AND c.erased_at IS NULL;
    UPDATE public.partner_invitations i SET erased_at = at, email = who.pseudonym || '@erased.invalid',
            revoked_at = CASE WHEN i.accepted_at IS NULL THEN coalesce(i.revoked_at, at) END,
            revoked_by = CASE WHEN i.accepted_at IS NULL THEN coalesce(i.revoked_by, erased_by) END
        WHERE i.tenant_id = of_tenant AND i.erased_at IS NULL
            AND (i.id = ANY (ids) OR i.accepted_by = ANY (ids) OR i.email ~* ('^(?:' || who.addresses || ')$'));
    -- No token that was issued before lets them in, and no report that comes late revives them.
    INSERT INTO public.directory_objects AS d (tenant_id, object_id, as_of, sent_at, is_deleted)
        SELECT of_tenant, s, at, at, true FROM unnest(subjects) AS s WHERE s NOT LIKE 'erased-%'
        ON CONFLICT (tenant_id, object_id) DO UPDATE SET is_deleted = true, as_of = greatest(d.as_of, EXCLUDED.as_of), sent_at = greatest(d.sent_at, EXCLUDED.sent_at);
    UPDATE public.partners p SET company_name = who.pseudonym, updated_at = at
        WHERE p.tenant_id = of_tenant AND p.id = ANY (named);
    UPDATE public.users u SET erased_at = at, updated_at = at, name = who.pseudonym, email = NULL,
            clerk_user_id = who.pseudonym || CASE n.number WHEN 1 THEN '' ELSE '+' || n.number END
        FROM (SELECT o.id, row_number() OVER (ORDER BY o.id) AS number FROM public.users o WHERE o.tenant_id = of_tenant AND o.id = ANY (ids)) AS n
        WHERE u.tenant_id = of_tenant AND u.id = n.id AND u.erased_at IS NULL;
    UPDATE public.referrals r SET initials = NULL WHERE r.tenant_id = of_tenant AND r.user_id = ANY (ids) AND r.initials IS NOT NULL;

    -- Wherever else it was written: the table, the column, its form, the most characters that fit, which rows are about the person, and of which JSON all
    -- members are that can name somebody. $3 are the ids of the person's rows, $4 of the partners that they acted for, $8 of what hangs on their rows.
    FOR target IN SELECT * FROM (VALUES
        ('partner_leads', 'service', 'text', 200, '', ''),
        ('partner_leads', 'notes', 'text', NULL, '', ''),
        ('lead_status_changes', 'note', 'text', NULL, 't.lead_id = ANY ($3)', ''),
        ('partner_moves', 'reason', 'text', 1000, 't.lead_id = ANY ($3)', ''),
        ('partner_commission_events', 'notes', 'text', NULL, 't.lead_id = ANY ($3) OR t.customer_id = ANY ($3)', ''),
        ('partner_commission_events', 'rejection_reason', 'text', NULL, 't.lead_id = ANY ($3) OR t.customer_id = ANY ($3)', ''),
        ('partner_commission_events', 'request', 'json', NULL, 't.lead_id = ANY ($3) OR t.customer_id = ANY ($3)', ''),
        ('partner_payouts', 'notes', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_payouts', 'payment_reference', 'text', NULL, '', ''),
        ('partner_payouts', 'failure_reason', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_payouts', 'request', 'json', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_payout_changes', 'note', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_profiles', 'contact_name', 'text', NULL, 't.partner_id = ANY ($4)', ''),
        ('partner_profiles', 'contact_email', 'text', NULL, '', ''),
        ('partner_profiles', 'payment_email', 'text', NULL, '', ''),
        ('partner_profiles', 'contact_phone', 'text', NULL, '', ''),
        ('partner_applications', 'sales_plan', 'text', 5000, 't.partner_id = ANY ($4)', ''),
        ('partners', 'status_reason', 'text', 1000, 't.id = ANY ($4)', ''),
        ('enrolments', 'reason', 'text', 1000, 't.partner_id = ANY ($4)', ''),
        ('enrolment_changes', 'reason', 'text', 1000, 't.partner_id = ANY ($4)', ''),
        ('credit_grants', 'reason', 'text', 1000, 't.partner_id = ANY ($4)', ''),
        ('credit_grants', 'request', 'json', NULL, 't.partner_id = ANY ($4)', ''),
        ('credit_redemptions', 'employee_email', 'text', NULL, '', ''),
        ('credit_redemptions', 'request', 'json', NULL, 't.id = ANY ($8)', ''),
        ('credit_redemptions', 'reversal_reason', 'text', 1000, 't.id = ANY ($8)', ''),
        ('credit_redemptions', 'reversal_request', 'json', NULL, 't.id = ANY ($8)', ''),
        ('commission_flags', 'subject', 'text', NULL, '', ''),
        ('link_sign_ups', 'name', 'text', 200, 't.customer_id = ANY ($3)', ''),
        ('link_sign_ups', 'metadata', 'text', 10000, 't.customer_id = ANY ($3)', ''),
        ('links', 'title', 'text', 200, 't.partner_id = ANY ($4)', ''),
        ('referrals', 'reason', 'text', 1000, 't.user_id = ANY ($3)', ''),
        ('referrals', 'end_reason', 'text', 1000, 't.user_id = ANY ($3)', ''),
        ('wallet_transactions', 'reason', 'text', 1000, 't.user_id = ANY ($3)', ''),
        ('wallet_transactions', 'request', 'json', NULL, 't.user_id = ANY ($3)', ''),
        ('processor_customers', 'customer_id', 'text', NULL, '', ''),
        ('webhook_endpoints', 'description', 'text', NULL, '', ''),
        ('webhook_sources', 'description', 'text', NULL, '', ''),
        ('webhook_events', 'facts', 'json', NULL, $about$t.facts ->> 'id' = ANY ($8::text[])$about$, $own$t.facts ->> 'id' = ANY ($3::text[])$own$),
        ('webhook_events', 'body', 'body', NULL,
            $about$EXISTS (SELECT FROM unnest($5) AS n WHERE strpos(t.body, n) > 0) OR t.event_type LIKE 'partner.%' AND t.body ~* ($2).names$about$,
            $own$t.body::jsonb #>> '{data,id}' = ANY ($5)$own$),
        ('webhook_attempts', 'response', 'text', NULL, '', ''),
        ('webhook_receipts', 'reason', 'text', NULL, '', ''),
        ('webhook_receipts', 'waits_for', 'text', NULL, '', ''),
        ('webhook_receipts', 'body', 'body', NULL, $about$EXISTS (SELECT FROM unnest($6) AS n WHERE strpos(t.body, '"' || n || '"') > 0)$about$, 'true'),
        ('import_rows', 'facts', 'json', NULL, 't.target_id = ANY ($3)', 't.target_id = ANY ($3)'),
        ('import_rows', 'raw', 'json', NULL, 't.target_id = ANY ($3)', 't.target_id = ANY ($3)'),
        ('import_rows', 'decision', 'json', NULL, 't.target_id = ANY ($3)', 't.target_id = ANY ($3)'),
        ('import_findings', 'value', 'text', NULL, '', ''),
        ('import_findings', 'message', 'text', NULL, '', ''),
        ('data_import_findings', 'value', 'text', NULL, '', ''),
        ('data_import_findings', 'message', 'text', NULL, '', ''),
        ('data_imports', 'outcome', 'json', NULL, '', ''),
        ('data_imports', 'failure', 'text', NULL, '', ''),
        ('idempotency_keys', 'request', 'json', NULL, 't.subject_id = ANY ($8)', 't.subject_id = ANY ($3)'),
        ('audit_changes', 'fields', 'json', NULL, 't.subject_id = ANY ($8)', 't.subject_id = ANY ($3)'),
        ('audit_entries', 'reason', 'text', NULL,
            'EXISTS (SELECT FROM audit_changes c WHERE c.tenant_id = t.tenant_id AND c.entry_id = t.id AND c.subject_id = ANY ($8))', '')
    ) AS known (tab, col, form, most, about, own)
    LOOP
        is_about := CASE target.about WHEN '' THEN 'false' ELSE 'coalesce(' || target.about || ', false)' END;
        is_own := CASE target.own WHEN '' THEN 'false' ELSE 'coalesce(' || target.own || ', false)' END;
        changed := CASE target.form WHEN 'text' THEN format('person_text(t.%I, $2, %s)', target.col, is_about)
            ELSE format('person_%s(t.%I, $2, CASE WHEN %s THEN $7 ELSE ''{}'' END, %s)', target.form, target.col, is_own, is_about) END;
        IF target.most IS NOT NULL THEN
            changed := format('left(%s, %s)', changed, target.most);
        END IF;
        -- What another service has reported of them, and is done with, is not needed any more; what is still to be applied is kept, without what names them.
        IF target.tab = 'webhook_receipts' AND target.col = 'body' THEN
            changed := format('CASE WHEN t.status NOT IN (''applied'', ''ignored'') THEN %s END', changed);
        END IF;
        EXECUTE format('UPDATE public.%1$I AS t SET %2$I = %3$s WHERE t.tenant_id = $1 AND t.%2$I IS NOT NULL AND (t.%2$I::text ~* ($2).anything OR %4$s)
                AND (%3$s) IS DISTINCT FROM t.%2$I', target.tab, target.col, changed, is_about)
            USING of_tenant, who, ids, acted_for, node_ids, customers_there || subjects, CASE target.tab WHEN 'webhook_receipts' THEN reported ELSE own END, related;
    END LOOP;
    -- What another system calls them is a part of the key there.
    UPDATE public.import_rows r SET source_id = public.person_text(r.source_id, who, false) WHERE r.tenant_id = of_tenant AND r.source_id ~* who.anything;
    UPDATE public.data_import_findings f SET source_id = public.person_text(f.source_id, who, false) WHERE f.tenant_id = of_tenant AND f.source_id ~* who.anything;
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
COMMENT ON FUNCTION erase_person(uuid, uuid[], text[], uuid, timestamptz) IS 'Replaces what names a person, whom some rows are about, by a pseudonym, in all that the tenant keeps; gives the pseudonym';

REVOKE ALL ON FUNCTION erased_stays(), person_alternatives(text[]), person_text(text, person_patterns, boolean), person_json(jsonb, person_patterns, text[], boolean, text),
    person_body(text, person_patterns, text[], boolean), name_person(uuid, uuid[]), erase_person(uuid, uuid[], text[], uuid, timestamptz) FROM PUBLIC;
GRANT SELECT (erased_at) ON partner_invitations TO portal_operator;
GRANT EXECUTE ON FUNCTION erase_person(uuid, uuid[], text[], uuid, timestamptz) TO portal_operator;
