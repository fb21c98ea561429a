DROP FUNCTION tenants_with_due_commissions(timestamptz);
DROP TABLE commission_totals, partner_commission_events, invoices, partner_commission_tiers, partner_commissions;
DROP FUNCTION commission_totals_follow(), partner_leads_paid();
REVOKE UPDATE (commission_hold_days, minimum_payout, updated_at) ON tenants FROM portal_operator;
DROP POLICY tenants_settings ON tenants;
ALTER TABLE tenants DROP COLUMN commission_hold_days, DROP COLUMN minimum_payout;
DROP DOMAIN commission_rule_kind, commission_event_type, commission_status, commission_source, total_grain;
