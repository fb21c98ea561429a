-- Links whose partner shares what is earned by them with other partners.
SET LOCAL lock_timeout = '60s';

CREATE TABLE link_shares (
    tenant_id uuid NOT NULL,
    link_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    share numeric(5, 4) NOT NULL,
    CONSTRAINT link_shares_pkey PRIMARY KEY (tenant_id, link_id, partner_id),
    CONSTRAINT link_shares_link_id_fkey FOREIGN KEY (tenant_id, link_id) REFERENCES links (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_shares_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_shares_share_range CHECK (share > 0 AND share < 1)
);
CREATE INDEX link_shares_partner_idx ON link_shares (tenant_id, partner_id);
COMMENT ON TABLE link_shares IS 'Who has a part of what is earned by a link, beside its own partner, which has the rest; rows are only ever added, with the link';
COMMENT ON COLUMN link_shares.share IS 'The part, as a fraction';
ALTER TABLE link_shares ENABLE ROW LEVEL SECURITY;
-- A partner sees with whom it shares, and not who shares with it.
CREATE POLICY link_shares_partner ON link_shares FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM links l WHERE l.tenant_id = link_shares.tenant_id AND l.id = link_shares.link_id));
CREATE POLICY link_shares_staff ON link_shares TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON link_shares TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON link_shares TO portal_operator, portal_service;

-- Rows that are there have none of what is new, so they need not be read for it.
ALTER DOMAIN commission_event_type DROP CONSTRAINT commission_event_type_known;
ALTER DOMAIN commission_event_type ADD CONSTRAINT commission_event_type_known
    CHECK (VALUE IN ('invoice_payment', 'lead_conversion', 'refund', 'adjustment', 'split')) NOT VALID;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'split' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id, link_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount <> 0 AND base >= 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END) NOT VALID;

CREATE TABLE commission_splits (
    tenant_id uuid NOT NULL,
    commission_id uuid NOT NULL,
    owners_id uuid NOT NULL,
    share numeric(5, 4) NOT NULL,
    whole numeric(19, 4) NOT NULL,
    CONSTRAINT commission_splits_pkey PRIMARY KEY (tenant_id, commission_id),
    CONSTRAINT commission_splits_commission_id_fkey FOREIGN KEY (tenant_id, commission_id)
        REFERENCES partner_commission_events (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT commission_splits_owners_id_fkey FOREIGN KEY (tenant_id, owners_id)
        REFERENCES commission_splits (tenant_id, commission_id) ON DELETE RESTRICT,
    CONSTRAINT commission_splits_share_range CHECK (share > 0 AND share <= 1),
    CONSTRAINT commission_splits_whole_range CHECK (whole >= 0)
);
CREATE INDEX commission_splits_owners_idx ON commission_splits (tenant_id, owners_id);
COMMENT ON TABLE commission_splits IS 'Commissions that are parts of a whole, one row for each; rows are only ever added';
COMMENT ON COLUMN commission_splits.owners_id IS 'The commission of the link''s partner, which has the rest; its own row names itself';
COMMENT ON COLUMN commission_splits.whole IS 'What is divided: the amount that the payment earns by the rule';
ALTER TABLE commission_splits ENABLE ROW LEVEL SECURITY;
CREATE POLICY commission_splits_partner ON commission_splits FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_commission_events e WHERE e.tenant_id = commission_splits.tenant_id AND e.id = commission_splits.commission_id));
CREATE POLICY commission_splits_staff ON commission_splits TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON commission_splits TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON commission_splits TO portal_operator, portal_service;
