CREATE DOMAIN lead_status AS text
    CONSTRAINT lead_status_known CHECK (VALUE IN ('pending', 'contacted', 'qualified', 'converted', 'lost'));

CREATE TABLE partner_leads (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    client_name text NOT NULL,
    client_name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(client_name)) STORED,
    client_email text NOT NULL,
    client_phone text,
    service text NOT NULL,
    status lead_status NOT NULL DEFAULT 'pending',
    deal_value numeric(19, 4),
    deal_value_sort bigint NOT NULL GENERATED ALWAYS AS ((coalesce(deal_value, 0) * 10000)::bigint) STORED,
    commission_rate numeric(5, 4) NOT NULL,
    commission numeric(19, 4) NOT NULL DEFAULT 0,
    commission_fixed boolean NOT NULL DEFAULT false,
    commission_paid boolean NOT NULL DEFAULT false,
    currency text NOT NULL,
    notes text,
    created_at timestamptz NOT NULL DEFAULT now(),
    converted_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT partner_leads_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT partner_leads_partner_key UNIQUE (tenant_id, partner_id, id),
    CONSTRAINT partner_leads_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_leads_client_name_length CHECK (char_length(client_name) BETWEEN 1 AND 200),
    CONSTRAINT partner_leads_deal_value_range CHECK (deal_value >= 0 AND deal_value < 100000000000000),
    CONSTRAINT partner_leads_commission_range CHECK (commission >= 0 AND commission < 100000000000000),
    -- Half a unit is the most that rounding to any currency's minor unit can make.
    CONSTRAINT partner_leads_commission_follows
        CHECK (commission_fixed OR abs(commission - coalesce(deal_value, 0) * commission_rate) <= 0.5),
    CONSTRAINT partner_leads_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT partner_leads_converted_at_set CHECK ((status = 'converted') = (converted_at IS NOT NULL))
);
COMMENT ON TABLE partner_leads IS 'People and companies that a partner has sent to the tenant';
COMMENT ON COLUMN partner_leads.deal_value_sort IS 'deal_value in ten-thousandths, none as 0: bigint comparison is leakproof and so served by an index below row-level security, numeric comparison is not';
COMMENT ON COLUMN partner_leads.commission_rate IS 'The partner''s rate when the lead was sent, by the trigger partner_leads_rate; a later rate is for later leads';
COMMENT ON COLUMN partner_leads.commission IS 'What the lead earns its partner if it converts, in currency';
COMMENT ON COLUMN partner_leads.commission_fixed IS 'An operator set the commission by hand: a new deal value leaves it alone';

-- Each order of the list, for one partner and for a whole tenant.
CREATE INDEX partner_leads_partner_created_idx ON partner_leads (tenant_id, partner_id, created_at, id);
CREATE INDEX partner_leads_partner_updated_idx ON partner_leads (tenant_id, partner_id, updated_at, id);
CREATE INDEX partner_leads_partner_name_idx ON partner_leads (tenant_id, partner_id, client_name_sort, id);
CREATE INDEX partner_leads_partner_value_idx ON partner_leads (tenant_id, partner_id, deal_value_sort, id);
CREATE INDEX partner_leads_partner_status_idx ON partner_leads (tenant_id, partner_id, status, created_at, id);
CREATE INDEX partner_leads_created_idx ON partner_leads (tenant_id, created_at, id);
CREATE INDEX partner_leads_updated_idx ON partner_leads (tenant_id, updated_at, id);
CREATE INDEX partner_leads_name_idx ON partner_leads (tenant_id, client_name_sort, id);
CREATE INDEX partner_leads_value_idx ON partner_leads (tenant_id, deal_value_sort, id);
CREATE INDEX partner_leads_status_idx ON partner_leads (tenant_id, status, created_at, id);

CREATE TABLE lead_status_changes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    from_status lead_status,
    to_status lead_status NOT NULL,
    changed_by uuid,
    note text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT lead_status_changes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT lead_status_changes_lead_id_fkey FOREIGN KEY (tenant_id, partner_id, lead_id)
        REFERENCES partner_leads (tenant_id, partner_id, id) ON DELETE RESTRICT,
    CONSTRAINT lead_status_changes_changed_by_fkey FOREIGN KEY (tenant_id, changed_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT lead_status_changes_moves CHECK (from_status IS DISTINCT FROM to_status)
);
CREATE INDEX lead_status_changes_lead_idx ON lead_status_changes (tenant_id, lead_id, created_at, id);
CREATE INDEX lead_status_changes_changed_by_idx ON lead_status_changes (tenant_id, changed_by);
COMMENT ON TABLE lead_status_changes IS 'Every step a lead has taken, append-only';
COMMENT ON COLUMN lead_status_changes.from_status IS 'NULL for the first entry, which says what the lead was created as';
COMMENT ON COLUMN lead_status_changes.changed_by IS 'NULL when no person did it';

-- A partner never sets its own pay: a lead's rate is the one that its partner has when it is sent.
CREATE FUNCTION partner_leads_rate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- No caller's role may write the column; only the tables' owner can have given a rate.
    IF NEW.commission_rate IS NULL THEN
        SELECT p.commission_rate INTO NEW.commission_rate
        FROM public.partners p WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.partner_id;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION partner_leads_rate() IS 'Fills partner_leads.commission_rate; runs as its owner because callers may not write it';
REVOKE ALL ON FUNCTION partner_leads_rate() FROM PUBLIC;

CREATE TRIGGER partner_leads_rate BEFORE INSERT ON partner_leads FOR EACH ROW EXECUTE FUNCTION partner_leads_rate();

-- A partner's counters follow its leads. One statement of any size updates each partner once.
CREATE FUNCTION partner_leads_count() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE public.partners p
        SET total_referrals = p.total_referrals + d.total, converted_referrals = p.converted_referrals + d.converted
        FROM (SELECT tenant_id, partner_id, count(*) AS total, count(*) FILTER (WHERE status = 'converted') AS converted
              FROM added GROUP BY 1, 2) d
        WHERE p.tenant_id = d.tenant_id AND p.id = d.partner_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE public.partners p
        SET total_referrals = p.total_referrals - d.total, converted_referrals = p.converted_referrals - d.converted
        FROM (SELECT tenant_id, partner_id, count(*) AS total, count(*) FILTER (WHERE status = 'converted') AS converted
              FROM removed GROUP BY 1, 2) d
        WHERE p.tenant_id = d.tenant_id AND p.id = d.partner_id;
    ELSE
        UPDATE public.partners p
        SET total_referrals = p.total_referrals + d.total, converted_referrals = p.converted_referrals + d.converted
        FROM (SELECT tenant_id, partner_id, sum(n) AS total, coalesce(sum(n) FILTER (WHERE status = 'converted'), 0) AS converted
              FROM (SELECT tenant_id, partner_id, status, 1 AS n FROM added
                    UNION ALL SELECT tenant_id, partner_id, status, -1 FROM removed) moved
              GROUP BY 1, 2) AS d (tenant_id, partner_id, total, converted)
        WHERE p.tenant_id = d.tenant_id AND p.id = d.partner_id
            AND (d.total <> 0 OR d.converted <> 0);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION partner_leads_count() IS 'Keeps partners.total_referrals and converted_referrals; runs as its owner because callers may not write them';
REVOKE ALL ON FUNCTION partner_leads_count() FROM PUBLIC;

CREATE TRIGGER partner_leads_count_insert AFTER INSERT ON partner_leads
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION partner_leads_count();
CREATE TRIGGER partner_leads_count_update AFTER UPDATE ON partner_leads
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION partner_leads_count();
CREATE TRIGGER partner_leads_count_delete AFTER DELETE ON partner_leads
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION partner_leads_count();

ALTER TABLE partner_leads ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_status_changes ENABLE ROW LEVEL SECURITY;

CREATE POLICY partner_leads_partner ON partner_leads TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_leads_staff ON partner_leads TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY lead_status_changes_partner ON lead_status_changes TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY lead_status_changes_staff ON lead_status_changes TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));

GRANT SELECT ON partner_leads, lead_status_changes TO portal_partner, portal_operator, portal_service;
GRANT INSERT (tenant_id, id, partner_id, client_name, client_email, client_phone, service, deal_value, commission, currency, notes)
    ON partner_leads TO portal_partner, portal_operator;
GRANT INSERT (commission_fixed) ON partner_leads TO portal_operator;
GRANT UPDATE (client_name, client_email, client_phone, service, status, deal_value, commission, notes, converted_at, updated_at)
    ON partner_leads TO portal_partner, portal_operator;
GRANT UPDATE (commission_fixed) ON partner_leads TO portal_operator;
GRANT INSERT ON lead_status_changes TO portal_partner, portal_operator;
