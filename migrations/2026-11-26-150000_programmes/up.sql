-- Programmes, the partners that are enrolled in them, and the links that partners share.
SET LOCAL lock_timeout = '60s';

CREATE TABLE programmes (
    tenant_id uuid NOT NULL CONSTRAINT programmes_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    domain text COLLATE "C" NOT NULL,
    status text NOT NULL DEFAULT 'active',
    rate_source text NOT NULL DEFAULT 'default',
    cookie_days integer NOT NULL DEFAULT 90,
    attribution text NOT NULL DEFAULT 'last_click',
    enrolment_policy text NOT NULL DEFAULT 'automatic',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (sort_key(name)) STORED,
    search_text text COLLATE "C" NOT NULL GENERATED ALWAYS AS (search_key(name || ' ' || domain || ' ' || key)) STORED,
    CONSTRAINT programmes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT programmes_domain_key UNIQUE (tenant_id, domain),
    CONSTRAINT programmes_key_key UNIQUE (tenant_id, key),
    CONSTRAINT programmes_key_form CHECK (key ~ '^[a-z0-9]{1,40}_[0-9a-hjkmnp-tv-z]{10}$'),
    CONSTRAINT programmes_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT programmes_domain_form CHECK (domain ~ '^[a-z0-9_-]+(\.[a-z0-9_-]+)+$' AND char_length(domain) <= 253),
    CONSTRAINT programmes_status_known CHECK (status IN ('active', 'paused')),
    CONSTRAINT programmes_rate_source_known CHECK (rate_source IN ('service', 'operator', 'default')),
    CONSTRAINT programmes_cookie_days_range CHECK (cookie_days BETWEEN 1 AND 730),
    CONSTRAINT programmes_attribution_known CHECK (attribution IN ('last_click', 'first_click')),
    CONSTRAINT programmes_enrolment_policy_known CHECK (enrolment_policy IN ('automatic', 'by_approval'))
);
CREATE INDEX programmes_created_idx ON programmes (tenant_id, created_at, id);
CREATE INDEX programmes_name_idx ON programmes (tenant_id, name_sort, id);
COMMENT ON TABLE programmes IS 'What a tenant offers to partners for one shop';
COMMENT ON COLUMN programmes.key IS 'Its name for people and other systems: the domain''s first label and letters that follow from tenant and domain';
COMMENT ON COLUMN programmes.domain IS 'The shop''s registrable domain, in ASCII, as it was derived from the first link''s address; never derived again';
COMMENT ON COLUMN programmes.rate_source IS 'Where its reward comes from: the commission-rate service, an operator, or nowhere: then the tenant''s rules hold';
COMMENT ON COLUMN programmes.cookie_days IS 'For how many days after a click a sign-up counts for it';

CREATE TABLE enrolments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    status text NOT NULL,
    reason text,
    decided_by uuid,
    decided_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT enrolments_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT enrolments_partner_programme_key UNIQUE (tenant_id, partner_id, programme_id),
    CONSTRAINT enrolments_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT enrolments_programme_id_fkey FOREIGN KEY (tenant_id, programme_id) REFERENCES programmes (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT enrolments_decided_by_fkey FOREIGN KEY (tenant_id, decided_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT enrolments_status_known CHECK (status IN ('pending', 'approved', 'rejected', 'suspended')),
    CONSTRAINT enrolments_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1000)
);
CREATE INDEX enrolments_programme_idx ON enrolments (tenant_id, programme_id, created_at, id);
CREATE INDEX enrolments_partner_idx ON enrolments (tenant_id, partner_id, created_at, id);
CREATE INDEX enrolments_created_idx ON enrolments (tenant_id, created_at, id);
CREATE INDEX enrolments_decided_by_idx ON enrolments (tenant_id, decided_by);
COMMENT ON TABLE enrolments IS 'Which partners take part in which programmes';
COMMENT ON COLUMN enrolments.reason IS 'Why it has its status, as the operator who gave it said';

CREATE TABLE enrolment_changes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    enrolment_id uuid NOT NULL,
    from_status text,
    to_status text NOT NULL,
    reason text,
    changed_by uuid,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT enrolment_changes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT enrolment_changes_enrolment_id_fkey FOREIGN KEY (tenant_id, enrolment_id) REFERENCES enrolments (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT enrolment_changes_changed_by_fkey FOREIGN KEY (tenant_id, changed_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX enrolment_changes_enrolment_idx ON enrolment_changes (tenant_id, enrolment_id, created_at, id);
CREATE INDEX enrolment_changes_changed_by_idx ON enrolment_changes (tenant_id, changed_by);
COMMENT ON COLUMN enrolment_changes.impersonator IS 'The act.sub claim of the token: who acted in the name of changed_by';
COMMENT ON TABLE enrolment_changes IS 'The history of each enrolment; rows are only ever added';

CREATE TABLE link_hosts (
    tenant_id uuid NOT NULL CONSTRAINT link_hosts_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    host text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT link_hosts_pkey PRIMARY KEY (tenant_id, host),
    CONSTRAINT link_hosts_host_form CHECK (host ~ '^[a-z0-9-]+(\.[a-z0-9-]+)+$' AND char_length(host) <= 253)
);
-- A host leads to one tenant's links.
CREATE UNIQUE INDEX link_hosts_host_key ON link_hosts (host);
COMMENT ON TABLE link_hosts IS 'Host names of tenants'' own that lead to their links; new links are made on the one that was added first';

CREATE TABLE links (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    user_id uuid,
    programme_id uuid NOT NULL,
    host text COLLATE "C",
    key text NOT NULL,
    url text NOT NULL,
    url_hash bytea,
    title text,
    external_id text,
    coupon_code text,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    expires_at timestamptz,
    expired_url text,
    archived_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search_text text COLLATE "C" NOT NULL GENERATED ALWAYS AS (search_key(
        key || ' ' || url || coalesce(' ' || title, '') || coalesce(' ' || external_id, '') || coalesce(' ' || coupon_code, ''))) STORED,
    CONSTRAINT links_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT links_enrolment_fkey FOREIGN KEY (tenant_id, partner_id, programme_id)
        REFERENCES enrolments (tenant_id, partner_id, programme_id) ON DELETE RESTRICT,
    -- Nobody can put a link on a host of another tenant, nor take a host away from links.
    CONSTRAINT links_host_fkey FOREIGN KEY (tenant_id, host) REFERENCES link_hosts (tenant_id, host) ON DELETE RESTRICT,
    CONSTRAINT links_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT links_url_length CHECK (char_length(url) BETWEEN 1 AND 4000),
    CONSTRAINT links_key_form CHECK (key ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'),
    CONSTRAINT links_title_length CHECK (char_length(title) BETWEEN 1 AND 200),
    CONSTRAINT links_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 200),
    CONSTRAINT links_coupon_code_form CHECK (coupon_code ~ '^[A-Za-z0-9_-]{1,50}$'),
    CONSTRAINT links_expired_url_length CHECK (char_length(expired_url) BETWEEN 1 AND 4000),
    CONSTRAINT links_utm_length CHECK (char_length(concat(utm_source, utm_medium, utm_campaign, utm_term, utm_content)) <= 1000)
);
-- Keys are compared without case. Those of the server's own host belong to all tenants together: the address does not name one.
CREATE UNIQUE INDEX links_key_key ON links (coalesce(host, ''), lower(key));
CREATE INDEX links_host_idx ON links (tenant_id, host) WHERE host IS NOT NULL;
-- One partner's link to one address that was made without a key of its own choice.
CREATE UNIQUE INDEX links_url_key ON links (tenant_id, partner_id, url_hash);
CREATE UNIQUE INDEX links_external_id_key ON links (tenant_id, external_id);
CREATE INDEX links_tenant_key_idx ON links (tenant_id, lower(key));
CREATE UNIQUE INDEX links_coupon_code_key ON links (tenant_id, lower(coupon_code));
CREATE INDEX links_created_idx ON links (tenant_id, created_at, id);
CREATE INDEX links_partner_created_idx ON links (tenant_id, partner_id, created_at, id);
CREATE INDEX links_programme_created_idx ON links (tenant_id, programme_id, created_at, id);
CREATE INDEX links_user_id_idx ON links (tenant_id, user_id);
COMMENT ON TABLE links IS 'Short addresses that partners share, each leading to a product of a programme''s shop';
COMMENT ON COLUMN links.host IS 'The tenant''s own host that it is on; NULL for the server''s';
COMMENT ON COLUMN links.url_hash IS 'SHA-256 of url where the link was made without a key of its own choice: the partner has one of these for each address';
COMMENT ON COLUMN links.user_id IS 'Who made it';
COMMENT ON COLUMN links.external_id IS 'The id that another system of the tenant''s has for it';
COMMENT ON COLUMN links.expired_url IS 'Where it leads once it has expired; NULL for a page that says so';

ALTER TABLE programmes ENABLE ROW LEVEL SECURITY;
ALTER TABLE enrolments ENABLE ROW LEVEL SECURITY;
ALTER TABLE enrolment_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE link_hosts ENABLE ROW LEVEL SECURITY;
ALTER TABLE links ENABLE ROW LEVEL SECURITY;

-- A partner sees the programmes that it is enrolled in.
CREATE POLICY programmes_partner ON programmes FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM enrolments e WHERE e.tenant_id = programmes.tenant_id AND e.programme_id = programmes.id));
CREATE POLICY programmes_staff ON programmes TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY enrolments_partner ON enrolments FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY enrolments_staff ON enrolments TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY enrolment_changes_partner ON enrolment_changes FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY enrolment_changes_staff ON enrolment_changes TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY link_hosts_all ON link_hosts FOR SELECT TO portal_partner, portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY links_partner ON links TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY links_staff ON links TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

GRANT SELECT ON programmes, enrolments, enrolment_changes, link_hosts, links TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON programmes, enrolments, enrolment_changes TO portal_operator, portal_service;
GRANT UPDATE (name, status, rate_source, cookie_days, attribution, enrolment_policy, updated_at) ON programmes TO portal_operator;
GRANT UPDATE (status, reason, decided_by, decided_at, updated_at) ON enrolments TO portal_operator;
-- Coupon codes are given by operators.
GRANT INSERT (tenant_id, id, partner_id, user_id, programme_id, host, key, url, url_hash, title, external_id, utm_source, utm_medium,
    utm_campaign, utm_term, utm_content, expires_at, expired_url, created_at, updated_at) ON links TO portal_partner, portal_operator, portal_service;
GRANT UPDATE (url, url_hash, title, external_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content, expires_at, expired_url,
    archived_at, updated_at) ON links TO portal_partner, portal_operator;
GRANT UPDATE (coupon_code) ON links TO portal_operator;

-- Keys of requests for the mutations that are new.
ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known
    CHECK (VALUE IN ('create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'set_commission_rule'));
