-- What screens show beside rows as they came: members and customers by name, and what a customer has paid.
SET LOCAL lock_timeout = '60s';

ALTER TABLE partner_members
    ADD COLUMN name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        sort_key(coalesce(last_name || ' ', '') || first_name)) STORED;
COMMENT ON COLUMN partner_members.name_sort IS 'Last and first name as lists are ordered by them: sort_key()';
CREATE INDEX partner_members_partner_name_idx ON partner_members (tenant_id, partner_id, name_sort, id);
CREATE INDEX partner_members_name_idx ON partner_members (tenant_id, name_sort, id);

ALTER TABLE customers
    ADD COLUMN name_sort text COLLATE "C" NOT NULL GENERATED ALWAYS AS (sort_key(name)) STORED;
COMMENT ON COLUMN customers.name_sort IS 'name as lists are ordered by it: sort_key()';
-- For figures of a period of which there are no totals.
CREATE INDEX partner_payouts_completed_idx ON partner_payouts (tenant_id, completed_at) WHERE completed_at IS NOT NULL;

CREATE INDEX customers_name_idx ON customers (tenant_id, name_sort, id);

-- Of invoices a partner may read when they were paid, and no amounts. Of those that have earned it something it knows the amounts, by its own
-- commissions.
CREATE FUNCTION own_customer_revenue(customers uuid[]) RETURNS TABLE (customer_id uuid, currency text, revenue numeric)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.customer_id, i.currency::text, sum(i.amount - least(i.refunded, i.amount))
        FROM partner_commission_events e JOIN invoices i ON i.tenant_id = e.tenant_id AND i.external_id = e.invoice_id
        WHERE e.tenant_id = current_setting('app.tenant_id')::uuid AND e.partner_id = current_setting('app.partner_id')::uuid
            AND e.customer_id = ANY (customers) AND e.event_type = 'invoice_payment' AND e.status <> 'rejected' AND i.amount IS NOT NULL
        GROUP BY 1, 2
$$;
COMMENT ON FUNCTION own_customer_revenue(uuid[]) IS 'What customers have paid, less refunds, by the invoices that have earned the caller''s partner something';
REVOKE ALL ON FUNCTION own_customer_revenue(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_customer_revenue(uuid[]) TO portal_partner;
