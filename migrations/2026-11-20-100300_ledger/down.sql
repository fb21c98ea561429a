-- What is booked cannot be booked again from anywhere else.
DO $$
BEGIN
    IF EXISTS (SELECT FROM transfers) THEN
        RAISE EXCEPTION 'the ledger holds transfers, and going back would lose them';
    END IF;
END $$;
DROP FUNCTION partner_ranks(uuid[], text);
DROP TABLE transfers, account_days, accounts;
DROP FUNCTION transfers_post();
DROP DOMAIN account_kind, transfer_kind;
