-- Lists of links by their figures. The sort columns are in narrow tables, so that a batch of clicks writes no row of a link, with its many
-- indexes, and a sale writes no row that clicks are written to.
SET LOCAL lock_timeout = '60s';

CREATE TABLE links_by_clicks (
    tenant_id uuid NOT NULL,
    link_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    clicks bigint NOT NULL DEFAULT 0,
    CONSTRAINT links_by_clicks_pkey PRIMARY KEY (tenant_id, link_id),
    CONSTRAINT links_by_clicks_link_id_fkey FOREIGN KEY (tenant_id, link_id, partner_id, programme_id)
        REFERENCES links (tenant_id, id, partner_id, programme_id) ON DELETE RESTRICT
);
CREATE INDEX links_by_clicks_idx ON links_by_clicks (tenant_id, clicks, link_id);
CREATE INDEX links_by_clicks_partner_idx ON links_by_clicks (tenant_id, partner_id, clicks, link_id);
CREATE INDEX links_by_clicks_programme_idx ON links_by_clicks (tenant_id, programme_id, clicks, link_id);
COMMENT ON TABLE links_by_clicks IS 'Each link with its clicks that count, as link_click_totals has them: what lists of links are ordered by';

CREATE TABLE links_by_sales (
    tenant_id uuid NOT NULL,
    link_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    sign_ups bigint NOT NULL DEFAULT 0,
    sales bigint NOT NULL DEFAULT 0,
    earned numeric(24, 4) NOT NULL DEFAULT 0,
    earned_sort bigint NOT NULL GENERATED ALWAYS AS ((greatest(least(earned, 922337203685477), -922337203685477) * 10000)::bigint) STORED,
    CONSTRAINT links_by_sales_pkey PRIMARY KEY (tenant_id, link_id),
    CONSTRAINT links_by_sales_link_id_fkey FOREIGN KEY (tenant_id, link_id, partner_id, programme_id)
        REFERENCES links (tenant_id, id, partner_id, programme_id) ON DELETE RESTRICT
);
CREATE INDEX links_by_sales_sign_ups_idx ON links_by_sales (tenant_id, sign_ups, link_id);
CREATE INDEX links_by_sales_partner_sign_ups_idx ON links_by_sales (tenant_id, partner_id, sign_ups, link_id);
CREATE INDEX links_by_sales_programme_sign_ups_idx ON links_by_sales (tenant_id, programme_id, sign_ups, link_id);
CREATE INDEX links_by_sales_sales_idx ON links_by_sales (tenant_id, sales, link_id);
CREATE INDEX links_by_sales_partner_sales_idx ON links_by_sales (tenant_id, partner_id, sales, link_id);
CREATE INDEX links_by_sales_programme_sales_idx ON links_by_sales (tenant_id, programme_id, sales, link_id);
CREATE INDEX links_by_sales_earned_idx ON links_by_sales (tenant_id, earned_sort, link_id);
CREATE INDEX links_by_sales_partner_earned_idx ON links_by_sales (tenant_id, partner_id, earned_sort, link_id);
CREATE INDEX links_by_sales_programme_earned_idx ON links_by_sales (tenant_id, programme_id, earned_sort, link_id);
COMMENT ON TABLE links_by_sales IS 'Each link with its sign-ups, and with its sales and earnings in the tenant''s default currency, as link_sale_totals has them: what lists of links are ordered by';
COMMENT ON COLUMN links_by_sales.earned_sort IS 'earned in ten-thousandths: bigint comparison is leakproof and so served by an index below row-level security, numeric comparison is not';

-- Most partners have few links, and some have very many. A plan is made for all of them: it must look links up by their ids, and not read all of
-- a partner's, however few these are on average. (Beside 1,000 partners of 10 links, a page of a partner's 10,000 takes 0.3 ms
-- with this, and 11 ms without.)
ALTER TABLE links ALTER COLUMN partner_id SET (n_distinct = 20);
ALTER TABLE links_by_clicks ALTER COLUMN partner_id SET (n_distinct = 20);
ALTER TABLE links_by_sales ALTER COLUMN partner_id SET (n_distinct = 20);
CREATE STATISTICS links_of_partners (dependencies) ON tenant_id, partner_id FROM links;
CREATE STATISTICS links_by_clicks_of_partners (dependencies) ON tenant_id, partner_id FROM links_by_clicks;
CREATE STATISTICS links_by_sales_of_partners (dependencies) ON tenant_id, partner_id FROM links_by_sales;

ALTER TABLE links_by_clicks ENABLE ROW LEVEL SECURITY;
ALTER TABLE links_by_sales ENABLE ROW LEVEL SECURITY;
CREATE POLICY links_by_clicks_partner ON links_by_clicks FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY links_by_clicks_staff ON links_by_clicks FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY links_by_sales_partner ON links_by_sales FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY links_by_sales_staff ON links_by_sales FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON links_by_clicks, links_by_sales TO portal_partner, portal_operator, portal_service;

-- With left joins PostgreSQL leaves a table out whose columns are not used: counting links reads links alone. Each order has
-- the id of its own table, so that a cursor is a condition of its index.
CREATE VIEW listed_links WITH (security_invoker = true) AS
    SELECT l.*, c.clicks, c.link_id AS by_clicks_id, s.sign_ups, s.sales, s.earned_sort, s.link_id AS by_sales_id
    FROM links l
    LEFT JOIN links_by_clicks c ON c.tenant_id = l.tenant_id AND c.link_id = l.id AND c.partner_id = l.partner_id AND c.programme_id = l.programme_id
    LEFT JOIN links_by_sales s ON s.tenant_id = l.tenant_id AND s.link_id = l.id AND s.partner_id = l.partner_id AND s.programme_id = l.programme_id;
COMMENT ON VIEW listed_links IS 'Links with what lists of them are ordered by; each caller sees what the tables show it';
GRANT SELECT ON listed_links TO portal_partner, portal_operator, portal_service;

CREATE FUNCTION link_orders_start() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO links_by_clicks (tenant_id, link_id, partner_id, programme_id) SELECT tenant_id, id, partner_id, programme_id FROM added;
    INSERT INTO links_by_sales (tenant_id, link_id, partner_id, programme_id) SELECT tenant_id, id, partner_id, programme_id FROM added;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_orders_start() IS 'Adds new links to links_by_clicks and links_by_sales; runs as its owner because callers may not write them';
CREATE TRIGGER links_orders_start AFTER INSERT ON links REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION link_orders_start();

-- Most clicks come to links that have totals already: then every row is of an update. Whatever writes the totals, the orders follow.
CREATE FUNCTION link_order_by_clicks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE links_by_clicks l SET clicks = c.clicks FROM changed c
        WHERE c.grain = 'all' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND l.clicks <> c.clicks;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_order_by_clicks() IS 'Keeps links_by_clicks in step with link_click_totals; runs as its owner because callers may not write it';
CREATE TRIGGER link_click_totals_order_insert AFTER INSERT ON link_click_totals REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION link_order_by_clicks();
CREATE TRIGGER link_click_totals_order_update AFTER UPDATE ON link_click_totals REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION link_order_by_clicks();

-- Every writer of link_sale_totals holds the advisory lock of the link's partner.
CREATE FUNCTION link_order_by_sales() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE links_by_sales l SET sign_ups = c.sign_ups FROM changed c
        WHERE c.grain = 'all' AND c.currency = '' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND l.sign_ups <> c.sign_ups;
    UPDATE links_by_sales l SET sales = c.sales, earned = c.earned FROM changed c JOIN tenants t ON t.id = c.tenant_id AND t.default_currency = c.currency
        WHERE c.grain = 'all' AND l.tenant_id = c.tenant_id AND l.link_id = c.scope_id AND (l.sales <> c.sales OR l.earned <> c.earned);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_order_by_sales() IS 'Keeps links_by_sales in step with link_sale_totals; runs as its owner because callers may not write it';
CREATE TRIGGER link_sale_totals_order_insert AFTER INSERT ON link_sale_totals REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION link_order_by_sales();
CREATE TRIGGER link_sale_totals_order_update AFTER UPDATE ON link_sale_totals REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION link_order_by_sales();

-- The lock waits for every transaction that has written with the old currency; those that come after it read the new one.
CREATE FUNCTION link_orders_in_another_currency() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE links_by_sales IN SHARE ROW EXCLUSIVE MODE;
    UPDATE links_by_sales l SET sales = coalesce(t.sales, 0), earned = coalesce(t.earned, 0)
        FROM links k LEFT JOIN link_sale_totals t ON t.tenant_id = k.tenant_id AND t.scope_id = k.id AND t.grain = 'all' AND t.currency = NEW.default_currency
        WHERE k.tenant_id = NEW.id AND l.tenant_id = k.tenant_id AND l.link_id = k.id
            AND (l.sales, l.earned) IS DISTINCT FROM (coalesce(t.sales, 0), coalesce(t.earned, 0));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_orders_in_another_currency() IS 'Orders a tenant''s links by sales in its new default currency; runs as its owner because callers may not write links_by_sales';
CREATE TRIGGER tenants_link_orders AFTER UPDATE OF default_currency ON tenants FOR EACH ROW
    WHEN (NEW.default_currency <> OLD.default_currency) EXECUTE FUNCTION link_orders_in_another_currency();

-- Links from before. Nobody adds one, and nobody writes totals, until this is committed: the triggers' locks see to that.
INSERT INTO links_by_clicks (tenant_id, link_id, partner_id, programme_id, clicks)
    SELECT l.tenant_id, l.id, l.partner_id, l.programme_id, coalesce(t.clicks, 0)
    FROM links l LEFT JOIN link_click_totals t ON t.tenant_id = l.tenant_id AND t.scope_id = l.id AND t.grain = 'all';
INSERT INTO links_by_sales (tenant_id, link_id, partner_id, programme_id, sign_ups, sales, earned)
    SELECT l.tenant_id, l.id, l.partner_id, l.programme_id, coalesce(n.sign_ups, 0), coalesce(t.sales, 0), coalesce(t.earned, 0)
    FROM links l
    JOIN tenants o ON o.id = l.tenant_id
    LEFT JOIN link_sale_totals n ON n.tenant_id = l.tenant_id AND n.scope_id = l.id AND n.grain = 'all' AND n.currency = ''
    LEFT JOIN link_sale_totals t ON t.tenant_id = l.tenant_id AND t.scope_id = l.id AND t.grain = 'all' AND t.currency = o.default_currency;

REVOKE ALL ON FUNCTION link_orders_start(), link_order_by_clicks(), link_order_by_sales(), link_orders_in_another_currency() FROM PUBLIC;

-- Only then the planner knows of the statistics above.
ANALYZE links, links_by_clicks, links_by_sales;
