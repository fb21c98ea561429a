DROP TABLE partner_applications;
DROP POLICY partners_partner_apply ON partners;
REVOKE UPDATE (company_name, updated_at) ON partners FROM portal_partner;
ALTER TABLE partners DROP COLUMN status_reason;
