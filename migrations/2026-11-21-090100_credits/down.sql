DROP FUNCTION tenants_with_due_credits(timestamptz);
DROP TABLE partner_credits, credit_redemptions, credit_allocations, credit_grants;
DROP FUNCTION partner_credits_count();
DROP DOMAIN credit_status;
