-- A request that is sent again with its idempotency key is known by everything that it asked for, also what the row does not keep.
DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['partner_commission_events', 'partner_payouts', 'credit_grants', 'credit_redemptions'] LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN request jsonb', tab);
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (request IS NULL OR (jsonb_typeof(request) = ''object'' AND idempotency_key IS NOT NULL))',
            tab, tab || '_request_form');
        EXECUTE format('COMMENT ON COLUMN %I.request IS %L', tab,
            'What was asked for with the idempotency key, field by field; NULL where there is no key, and for keys used before this column was there');
    END LOOP;
END $$;
GRANT INSERT (request) ON partner_commission_events TO portal_operator, portal_service;
GRANT INSERT (request) ON partner_payouts TO portal_operator;
