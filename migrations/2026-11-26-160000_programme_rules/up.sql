-- Commission rules of a programme, and of one partner in a programme; commissions know by which link they came.
SET LOCAL lock_timeout = '60s';

ALTER DOMAIN commission_source DROP CONSTRAINT commission_source_known;
ALTER DOMAIN commission_source ADD CONSTRAINT commission_source_known CHECK (VALUE IN (
    'customer_rate', 'enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual'));

ALTER TABLE enrolments ADD CONSTRAINT enrolments_whole_key UNIQUE (tenant_id, id, partner_id, programme_id);

-- Servers of the version before look rules up by the partner and the tenant: they do not see those of programmes.
ALTER TABLE partner_commissions
    DROP CONSTRAINT partner_commissions_version_key,
    DROP CONSTRAINT partner_commissions_one_at_a_time,
    DROP COLUMN scope_id;
ALTER TABLE partner_commissions
    ADD COLUMN programme_id uuid,
    ADD COLUMN enrolment_id uuid,
    ADD COLUMN scope_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(enrolment_id, programme_id, partner_id, tenant_id)) STORED;
ALTER TABLE partner_commissions
    ADD CONSTRAINT partner_commissions_programme_id_fkey FOREIGN KEY (tenant_id, programme_id) REFERENCES programmes (tenant_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT partner_commissions_enrolment_fkey FOREIGN KEY (tenant_id, enrolment_id, partner_id, programme_id)
        REFERENCES enrolments (tenant_id, id, partner_id, programme_id) ON DELETE RESTRICT,
    ADD CONSTRAINT partner_commissions_enrolment_named CHECK ((enrolment_id IS NOT NULL) = (partner_id IS NOT NULL AND programme_id IS NOT NULL)),
    ADD CONSTRAINT partner_commissions_version_key UNIQUE (tenant_id, scope_id, scope_currency, version),
    ADD CONSTRAINT partner_commissions_one_at_a_time EXCLUDE USING gist
        (tenant_id WITH =, scope_id WITH =, scope_currency WITH =, tstzrange(valid_from, valid_to) WITH &&);
CREATE INDEX partner_commissions_programme_idx ON partner_commissions (tenant_id, programme_id) WHERE programme_id IS NOT NULL;
COMMENT ON COLUMN partner_commissions.partner_id IS 'NULL for a rule of all partners';
COMMENT ON COLUMN partner_commissions.programme_id IS 'NULL for a rule of all programmes';
COMMENT ON COLUMN partner_commissions.enrolment_id IS 'The partner''s enrolment in the programme, for a rule of that partner in that programme';
COMMENT ON COLUMN partner_commissions.scope_id IS 'Whose rule it is, for the constraints: the enrolment''s, the programme''s, the partner''s or the tenant''s';

-- A partner sees its own rules, those of all partners, and those of programmes that it is enrolled in.
DROP POLICY partner_commissions_partner ON partner_commissions;
CREATE POLICY partner_commissions_partner ON partner_commissions FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND (partner_id IS NULL OR partner_id = (SELECT current_setting('app.partner_id')::uuid))
        AND (programme_id IS NULL OR EXISTS (SELECT FROM enrolments e
            WHERE e.tenant_id = partner_commissions.tenant_id AND e.programme_id = partner_commissions.programme_id)));
GRANT INSERT (programme_id, enrolment_id) ON partner_commissions TO portal_operator;

-- A customer that came by a link is managed by that link's partner.
ALTER TABLE links ADD CONSTRAINT links_whole_key UNIQUE (tenant_id, id, partner_id, programme_id);
ALTER TABLE partner_accounts
    ADD COLUMN link_id uuid,
    ADD COLUMN programme_id uuid,
    ADD CONSTRAINT partner_accounts_link_whole CHECK ((link_id IS NULL) = (programme_id IS NULL)),
    ADD CONSTRAINT partner_accounts_link_fkey FOREIGN KEY (tenant_id, link_id, partner_id, programme_id)
        REFERENCES links (tenant_id, id, partner_id, programme_id) ON DELETE RESTRICT;
CREATE INDEX partner_accounts_link_idx ON partner_accounts (tenant_id, link_id) WHERE link_id IS NOT NULL;
COMMENT ON COLUMN partner_accounts.link_id IS 'The partner''s link that the customer came by; NULL where an operator assigned it';
COMMENT ON COLUMN partner_accounts.programme_id IS 'That link''s programme';

ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_rule_named,
    ADD CONSTRAINT partner_commission_events_rule_named CHECK (
        (source IN ('enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule')) = (rule_id IS NOT NULL) OR event_type = 'refund'),
    ADD COLUMN link_id uuid,
    ADD CONSTRAINT partner_commission_events_link_id_fkey FOREIGN KEY (tenant_id, link_id) REFERENCES links (tenant_id, id) ON DELETE RESTRICT;
CREATE INDEX partner_commission_events_link_idx ON partner_commission_events (tenant_id, link_id, event_date, id) WHERE link_id IS NOT NULL;
COMMENT ON COLUMN partner_commission_events.link_id IS 'The link that the customer came by; it is its first partner''s, also once the commission was moved to another';
GRANT INSERT (link_id) ON partner_commission_events TO portal_operator, portal_service;
