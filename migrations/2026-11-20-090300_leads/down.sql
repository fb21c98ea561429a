DROP TABLE lead_status_changes;
DROP TABLE partner_leads;
DROP FUNCTION partner_leads_count();
DROP FUNCTION partner_leads_rate();
DROP DOMAIN lead_status;
