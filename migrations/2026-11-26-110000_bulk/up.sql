-- What is paid or used by the ten thousand waits for nothing that its rows need not be asked one by one.
SET LOCAL lock_timeout = '60s';

-- A step of a payout changes no total: the sums that would come to nothing are not made.
DO $migration$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('commission_totals_follow()'::regprocedure),
        E'    ELSE\n        -- A commission that has moved',
        E'    ELSIF EXISTS (\n'
            || E'        -- Amount, currency and date of a commission never change; what it counts as does, and whose it is.\n'
            || E'        SELECT FROM added a JOIN removed r ON r.tenant_id = a.tenant_id AND r.id = a.id\n'
            || E'        WHERE (a.partner_id, a.status = ''pending'', a.status = ''rejected'')\n'
            || E'            IS DISTINCT FROM (r.partner_id, r.status = ''pending'', r.status = ''rejected'')) THEN\n'
            || E'        -- A commission that has moved');
END $migration$;

-- Both functions that post a transfer have just written its accounts, no other role inserts balances, and an account that has been posted to
-- has days that keep it from being deleted: asking for both accounts of each transfer again is a quarter of what posting many costs.
-- `accounts_equal_transfers` of `partner-portal verify` finds a transfer without an account.
ALTER TABLE transfers DROP CONSTRAINT transfers_from_fkey, DROP CONSTRAINT transfers_to_fkey;
