DROP FUNCTION partner_ranks(uuid[], text);
DROP TABLE transfers, account_days, accounts;
DROP FUNCTION transfers_post();
DROP DOMAIN account_kind, transfer_kind;
