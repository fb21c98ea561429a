ALTER TABLE partner_commission_events DROP COLUMN request;
ALTER TABLE partner_payouts DROP COLUMN request;
ALTER TABLE credit_grants DROP COLUMN request;
ALTER TABLE credit_redemptions DROP COLUMN request;
