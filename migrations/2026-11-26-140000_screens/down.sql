DROP INDEX partner_payouts_completed_idx;
DROP FUNCTION own_customer_revenue(uuid[]);
ALTER TABLE customers DROP COLUMN name_sort;
ALTER TABLE partner_members DROP COLUMN name_sort;
