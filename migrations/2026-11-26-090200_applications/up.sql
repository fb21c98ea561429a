-- Applications of partners that signed up, and the reason of an operator's decision.
SET LOCAL lock_timeout = '60s';
ALTER TABLE partners ADD COLUMN status_reason text,
    ADD CONSTRAINT partners_status_reason_length CHECK (char_length(status_reason) BETWEEN 1 AND 1000);
COMMENT ON COLUMN partners.status_reason IS 'Why the partner has its status, as the operator who gave it said';
GRANT UPDATE (status_reason) ON partners TO portal_operator;

-- Until an operator has decided, owners may put the company's name right.
GRANT UPDATE (company_name, updated_at) ON partners TO portal_partner;
CREATE POLICY partners_partner_apply ON partners FOR UPDATE TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND id = (SELECT current_setting('app.partner_id')::uuid)
        AND status = 'pending');

CREATE TABLE partner_applications (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    sales_plan text NOT NULL,
    submitted_by uuid NOT NULL,
    submitted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT partner_applications_pkey PRIMARY KEY (tenant_id, partner_id),
    CONSTRAINT partner_applications_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_applications_submitted_by_fkey FOREIGN KEY (tenant_id, submitted_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT partner_applications_sales_plan_length CHECK (char_length(sales_plan) BETWEEN 1 AND 5000)
);
CREATE INDEX partner_applications_submitted_by_idx ON partner_applications (tenant_id, submitted_by);
COMMENT ON TABLE partner_applications IS 'What partners that signed up say of themselves beside their profile; one row for each that has';
COMMENT ON COLUMN partner_applications.sales_plan IS 'How the partner will sell, in its own words';
COMMENT ON COLUMN partner_applications.submitted_by IS 'Who submitted it last';
COMMENT ON COLUMN partner_applications.submitted_at IS 'When it was submitted for the first time';
ALTER TABLE partner_applications ENABLE ROW LEVEL SECURITY;
CREATE POLICY partner_applications_partner ON partner_applications TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY partner_applications_staff ON partner_applications FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON partner_applications TO portal_partner, portal_operator, portal_service;
GRANT INSERT, UPDATE (sales_plan, submitted_by, updated_at) ON partner_applications TO portal_partner;
