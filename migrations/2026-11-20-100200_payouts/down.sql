ALTER TABLE partner_commission_events DROP CONSTRAINT partner_commission_events_payout_id_fkey;
DROP TABLE partner_payout_changes, partner_payout_items, partner_payouts;
DROP FUNCTION payout_totals_follow();
DROP DOMAIN payout_status;
