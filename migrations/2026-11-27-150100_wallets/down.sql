DROP TRIGGER affiliate_people_follow ON referrals;
DROP FUNCTION affiliate_people_follow();
DROP FUNCTION post_wallet_transfers(uuid, uuid, timestamptz, uuid, text, text[], text[], numeric[], text[], uuid[], uuid[]);
CREATE OR REPLACE FUNCTION tenants_with_due_rewards(due_by timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.id FROM public.tenants t WHERE EXISTS (SELECT FROM public.customers c WHERE c.tenant_id = t.id AND c.are_rewards_due) ORDER BY t.id
$$;
DELETE FROM transfers WHERE user_id IS NOT NULL;
ALTER TABLE transfers
    DROP CONSTRAINT transfers_source,
    DROP CONSTRAINT transfers_credit_source,
    DROP COLUMN user_id,
    DROP COLUMN wallet_transaction_id,
    DROP COLUMN reward_id,
    ALTER COLUMN partner_id SET NOT NULL,
    ADD CONSTRAINT transfers_source CHECK (num_nonnulls(event_id, payout_id, grant_id, allocation_id) = 1),
    ADD CONSTRAINT transfers_credit_source CHECK ((unit = 'CREDIT') = (event_id IS NULL AND payout_id IS NULL));
COMMENT ON TABLE transfers IS 'The ledger, append-only: each row moves an amount from one of a partner''s accounts to another, so the books balance by construction';
DROP TABLE affiliate_people, affiliate_totals, user_accounts, wallet_transactions, affiliate_rewards;
DROP FUNCTION affiliate_totals_follow();
DROP DOMAIN wallet_transaction_kind;
ALTER TABLE partner_commission_events
    DROP CONSTRAINT partner_commission_events_shape,
    ADD CONSTRAINT partner_commission_events_shape CHECK (CASE event_type
        WHEN 'invoice_payment' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id) = 0
        WHEN 'split' THEN amount >= 0 AND base > 0 AND num_nulls(customer_id, invoice_id) = 0 AND num_nonnulls(lead_id, reverses_id, link_id) = 0
        WHEN 'lead_conversion' THEN amount >= 0 AND lead_id IS NOT NULL AND num_nonnulls(customer_id, invoice_id, reverses_id) = 0
        WHEN 'refund' THEN amount <> 0 AND base >= 0 AND num_nulls(customer_id, invoice_id, reverses_id) = 0 AND lead_id IS NULL
        ELSE amount <> 0 AND notes IS NOT NULL AND num_nonnulls(lead_id, customer_id, invoice_id, reverses_id) = 0 END) NOT VALID;
ALTER DOMAIN commission_event_type DROP CONSTRAINT commission_event_type_known;
ALTER DOMAIN commission_event_type ADD CONSTRAINT commission_event_type_known
    CHECK (VALUE IN ('invoice_payment', 'lead_conversion', 'refund', 'adjustment', 'split')) NOT VALID;
ALTER DOMAIN commission_source DROP CONSTRAINT commission_source_known;
ALTER DOMAIN commission_source ADD CONSTRAINT commission_source_known CHECK (VALUE IN (
    'customer_rate', 'enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule', 'partner_rate', 'lead', 'reversal', 'manual'));
ALTER DOMAIN transfer_kind DROP CONSTRAINT transfer_kind_known;
ALTER DOMAIN transfer_kind ADD CONSTRAINT transfer_kind_known CHECK (VALUE IN (
    'earn', 'approve', 'reject', 'hold', 'release', 'pay', 'return', 'move_out', 'move_in',
    'grant', 'withdraw', 'assign', 'revoke', 'redeem', 'expire', 'restore'));
ALTER DOMAIN account_kind DROP CONSTRAINT account_kind_known;
ALTER DOMAIN account_kind ADD CONSTRAINT account_kind_known CHECK (VALUE IN (
    'expense', 'pending', 'payable', 'in_payout', 'paid', 'issued', 'available', 'assigned', 'used', 'expired'));
