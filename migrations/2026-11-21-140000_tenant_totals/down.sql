DROP TRIGGER commission_totals_tenant_insert ON commission_totals;
DROP TRIGGER commission_totals_tenant_update ON commission_totals;
DROP FUNCTION tenant_totals_follow();
DROP FUNCTION tenant_totals_shard();
DROP TABLE tenant_totals;
COMMENT ON COLUMN commission_totals.tenant_grain IS 'grain once more, for the index of a whole tenant: the planner would take that one for a single partner too';
