-- Clicks, sign-ups and sales as one list. A page of one partner's, or of one link's, is merged from three indexes.
SET LOCAL lock_timeout = '60s';

CREATE INDEX link_clicks_partner_idx ON link_clicks (tenant_id, partner_id, at, id);
CREATE INDEX partner_commission_events_sales_idx ON partner_commission_events (tenant_id, event_date, id)
    WHERE link_id IS NOT NULL AND event_type = 'invoice_payment';
CREATE INDEX partner_commission_events_partner_sales_idx ON partner_commission_events (tenant_id, partner_id, event_date, id)
    WHERE link_id IS NOT NULL AND event_type = 'invoice_payment';

-- The condition stands outside: with one of its own a part of the union is not read in the order of its index.
CREATE VIEW link_events WITH (security_invoker = true) AS
    SELECT tenant_id, id, kind, link_id, partner_id, at, is_counted FROM (
        SELECT tenant_id, id, 'click'::text AS kind, link_id, partner_id, at, NOT (is_bot OR is_prefetch OR is_repeat) AS is_counted, true AS is_event
            FROM link_clicks
        UNION ALL SELECT tenant_id, id, 'sign_up', link_id, partner_id, at, is_counted, true FROM link_sign_ups
        UNION ALL SELECT tenant_id, id, 'sale', link_id, partner_id, event_date, true, link_id IS NOT NULL AND event_type = 'invoice_payment'
            FROM partner_commission_events) AS e
    WHERE is_event;
COMMENT ON VIEW link_events IS 'What has come of links, event by event; each caller sees what the tables show it';
GRANT SELECT ON link_events TO portal_partner, portal_operator, portal_service;
