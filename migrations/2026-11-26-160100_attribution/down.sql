DROP TRIGGER invoices_link_refund ON invoices;
DROP TRIGGER partner_commission_events_link_update ON partner_commission_events;
DROP TRIGGER partner_commission_events_link_insert ON partner_commission_events;
DROP TABLE link_sale_totals, link_sign_ups;
DROP FUNCTION relink_commissions(uuid, uuid, uuid, uuid), link_totals_of_refunds(), link_totals_of_decisions(), link_totals_of_commissions(), link_totals_of_sign_ups(),
    add_to_link_totals(uuid, uuid, text, timestamptz, bigint, bigint, bigint, numeric, numeric);
ALTER TABLE partner_accounts DROP COLUMN means, DROP COLUMN click_id, DROP COLUMN clicked_at;
DROP DOMAIN link_means;
