-- Names as people search and order them. Both columns are computed when a row is written, and rows that are there by this migration, which
-- writes each of these tables anew.
SET LOCAL lock_timeout = '60s';

CREATE FUNCTION search_key(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(value) = char_length(value) THEN lower(value COLLATE "C")
        ELSE translate(replace(replace(replace(
            public.fold_case(regexp_replace(normalize(value, NFKD), '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g')),
            'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'øđłħŧðı', 'odlhtdi') END
$$;
COMMENT ON FUNCTION search_key(text) IS 'A text as it is searched: without regard to case, accents and compatibility forms';

CREATE FUNCTION search_patterns(words text, has_phone boolean) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg('%' || CASE WHEN has_phone AND word ~ '^[-+()./0-9]+$' AND word ~ '[0-9].*[0-9].*[0-9]' THEN regexp_replace(word, '\D', '', 'g')
        ELSE regexp_replace(word, '([\\%_])', '\\\1', 'g') END || '%'), '{}')
    FROM regexp_split_to_table(public.search_key(words), '\s+') AS split (word)
    WHERE word <> ''
$$;
COMMENT ON FUNCTION search_patterns(text, boolean) IS 'A LIKE pattern for each word: what is searched has all of them, in any order. Where it may be a phone number, a word of digits and what stands between them is its digits';

CREATE FUNCTION sort_key(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(value) = char_length(value) THEN lower(value COLLATE "C")
        ELSE public.search_key(value) || E'\u0001' || public.fold_case(normalize(value, NFC)) END
$$;
COMMENT ON FUNCTION sort_key(text) IS 'A text as lists are ordered by it, by code point: without regard to case, accents only among what is the same without them';

ALTER TABLE partners
    DROP COLUMN company_name_sort,
    ADD COLUMN company_name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (sort_key(company_name)) STORED,
    ADD COLUMN search_text text COLLATE "C" NOT NULL GENERATED ALWAYS AS (search_key(company_name)) STORED;
CREATE INDEX partners_name_idx ON partners (tenant_id, company_name_sort, id);
COMMENT ON COLUMN partners.company_name_sort IS 'company_name as lists are ordered by it: sort_key()';
COMMENT ON COLUMN partners.search_text IS 'What a search looks through: search_key() of the name';

-- A phone number is found by its digits, too.
ALTER TABLE partner_leads
    DROP COLUMN client_name_sort,
    ADD COLUMN client_name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (sort_key(client_name)) STORED,
    ADD COLUMN search_text text COLLATE "C" NOT NULL GENERATED ALWAYS AS (search_key(
        client_name || ' ' || client_email || ' ' || service
        || coalesce(' ' || client_phone || ' ' || regexp_replace(client_phone, '\D', '', 'g'), ''))) STORED;
CREATE INDEX partner_leads_partner_name_idx ON partner_leads (tenant_id, partner_id, client_name_sort, id);
CREATE INDEX partner_leads_name_idx ON partner_leads (tenant_id, client_name_sort, id);
COMMENT ON COLUMN partner_leads.client_name_sort IS 'client_name as lists are ordered by it: sort_key()';
COMMENT ON COLUMN partner_leads.search_text IS 'What a search looks through: search_key() of name, address, service and phone number';

ALTER TABLE partner_members
    ADD COLUMN search_text text COLLATE "C" NOT NULL GENERATED ALWAYS AS (search_key(
        email || ' ' || first_name || coalesce(' ' || last_name, ''))) STORED;
COMMENT ON COLUMN partner_members.search_text IS 'What a search looks through: search_key() of address and names';

ALTER TABLE customers
    ADD COLUMN search_text text COLLATE "C" NOT NULL GENERATED ALWAYS AS (search_key(
        name || ' ' || external_id || coalesce(' ' || email, ''))) STORED;
COMMENT ON COLUMN customers.search_text IS 'What a search looks through: search_key() of name, external id and address';
