ALTER TABLE customers DROP COLUMN search_text;
ALTER TABLE partner_members DROP COLUMN search_text;
ALTER TABLE partner_leads
    DROP COLUMN search_text,
    DROP COLUMN client_name_sort,
    ADD COLUMN client_name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(client_name)) STORED;
CREATE INDEX partner_leads_partner_name_idx ON partner_leads (tenant_id, partner_id, client_name_sort, id);
CREATE INDEX partner_leads_name_idx ON partner_leads (tenant_id, client_name_sort, id);
ALTER TABLE partners
    DROP COLUMN search_text,
    DROP COLUMN company_name_sort,
    ADD COLUMN company_name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(company_name)) STORED;
CREATE INDEX partners_name_idx ON partners (tenant_id, company_name_sort, id);
DROP FUNCTION sort_key(text);
DROP FUNCTION search_patterns(text, boolean);
DROP FUNCTION search_key(text);
