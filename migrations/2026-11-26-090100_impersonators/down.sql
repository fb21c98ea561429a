ALTER TABLE partner_moves DROP COLUMN impersonator;
ALTER TABLE partner_payout_changes DROP COLUMN impersonator;
ALTER TABLE lead_status_changes DROP COLUMN impersonator;
