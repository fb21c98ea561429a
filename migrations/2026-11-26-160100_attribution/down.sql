ALTER POLICY customers_partner ON customers
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = customers.tenant_id AND a.customer_id = customers.id));
ALTER POLICY invoices_partner ON invoices
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = invoices.tenant_id AND a.customer_id = invoices.customer_id));
DROP TRIGGER invoices_link_refund ON invoices;
DROP TRIGGER partner_commission_events_link_update ON partner_commission_events;
DROP TRIGGER partner_commission_events_link_insert ON partner_commission_events;
DROP TABLE link_sale_totals, link_sign_ups;
DROP FUNCTION relink_commissions(uuid, uuid, uuid, uuid, timestamptz, timestamptz), link_totals_of_refunds(), link_totals_of_decisions(), link_totals_of_commissions(), link_totals_of_sign_ups(),
    add_to_link_totals(uuid, uuid, text, timestamptz, bigint, bigint, bigint, numeric, numeric);
ALTER TABLE partner_accounts DROP COLUMN means, DROP COLUMN click_id, DROP COLUMN clicked_at;
DROP DOMAIN link_means;
