-- Not while commissions were made by rules of programmes: the constraints refuse it.
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_rule_named,
    ADD CONSTRAINT partner_commission_events_rule_named CHECK ((source IN ('partner_rule', 'tenant_rule')) = (rule_id IS NOT NULL) OR event_type = 'refund'),
    DROP COLUMN link_id;
ALTER TABLE partner_accounts DROP COLUMN link_id, DROP COLUMN programme_id;
ALTER TABLE links DROP CONSTRAINT links_whole_key;
DELETE FROM partner_commission_tiers t USING partner_commissions c
    WHERE c.tenant_id = t.tenant_id AND c.id = t.rule_id AND c.programme_id IS NOT NULL;
DELETE FROM partner_commissions WHERE programme_id IS NOT NULL;
DROP POLICY partner_commissions_partner ON partner_commissions;
ALTER TABLE partner_commissions DROP COLUMN scope_id, DROP COLUMN programme_id, DROP COLUMN enrolment_id;
ALTER TABLE partner_commissions
    ADD COLUMN scope_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(partner_id, tenant_id)) STORED;
ALTER TABLE partner_commissions
    ADD CONSTRAINT partner_commissions_version_key UNIQUE (tenant_id, scope_id, scope_currency, version),
    ADD CONSTRAINT partner_commissions_one_at_a_time EXCLUDE USING gist
        (tenant_id WITH =, scope_id WITH =, scope_currency WITH =, tstzrange(valid_from, valid_to) WITH &&);
CREATE POLICY partner_commissions_partner ON partner_commissions FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND (partner_id IS NULL OR partner_id = (SELECT current_setting('app.partner_id')::uuid)));
ALTER TABLE enrolments DROP CONSTRAINT enrolments_whole_key;
ALTER DOMAIN commission_source DROP CONSTRAINT commission_source_known;
ALTER DOMAIN commission_source ADD CONSTRAINT commission_source_known
    CHECK (VALUE IN ('customer_rate', 'partner_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual'));
